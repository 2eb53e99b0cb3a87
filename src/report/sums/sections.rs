//! The sums as sections of the page.

use std::{cmp::Reverse, collections::BTreeMap};

use maud::{Markup, html};

use super::{LONGEST, Month, Sum, Sums, Who};
use crate::{
    claim::{Cents, Disposition, PayerDecision},
    report::{
        html::{Head, Td, bars, quiet, table},
        preventive::RULE,
        words::{counted, date, does, dollars, plain},
    },
};

/// The yearly deductibles of Part B as set by CMS in the Federal Register: documents 2023-22823, 2024-26474 and
/// 2025-20251 (<https://www.govinfo.gov/content/pkg/FR-2025-11-19/html/2025-20251.htm>). For other years, the page
/// shows no amount.
const PART_B_DEDUCTIBLES: [(i16, Cents); 3] = [(2024, Cents(24_000)), (2025, Cents(25_700)), (2026, Cents(28_300))];

/// The column heads of tables of totals, after the first column.
fn heads(first: &'static str) -> Vec<Head> {
    let amounts = ["Claims", "Billed", "Medicare and plans paid", "Your share", "Not covered", "At the pharmacy"];
    [(first, false)].into_iter().chain(amounts.map(|head| (head, true))).collect()
}

impl Sums {
    /// What a person wants to know first.
    pub(in crate::report) fn at_a_glance(&self, news: &str) -> Markup {
        let time = match (self.year, self.as_of) {
            (Some(year), _) => format!("In {year}"),
            (None, Some(day)) => format!("In the 12 months to {}", date(day)),
            (None, None) => "Lately".to_owned(),
        };
        let recent = &self.recent;
        html! {
            h2 #glance { "At a glance" }
            div.cards {
                div.card {
                    h3 { "What you may be billed" }
                    @if recent.claims == 0 {
                        p.big { "Nothing" } p { (time) ", there are no claims." }
                    } @else {
                        p.big { (dollars(Some(recent.billable.unwrap_or_default()))) }
                        p { (time) ": " (self.parts()) }
                    }
                    p.quiet { "Not a bill. You, Medigap, Medicaid or another insurer may have paid it. " @if self.all.claims > 0 { a href="#money" { "How it is counted" } } }
                }
                div.card {
                    h3 { "Did Medicare approve everything?" }
                    @match (recent.claims, recent.denied) {
                        (0, _) => { p.big { "No claims" } },
                        (_, 0) => { p.big { "Yes" } p { (time) ", no claim says that a service was not approved." } },
                        (_, denied) => {
                            p.big { "No" }
                            p { (time) ", " b { (counted(denied, "service")) } (if denied == 1 { " was" } else { " were" }) " not approved. " a href="#denied" { "Which and why" } }
                        }
                    }
                }
                div.card {
                    h3 { "Deductible used in " (self.this_year()) }
                    (self.deductibles())
                    p.quiet { "A deductible is what you pay before Medicare pays. This is what these claims say." }
                }
                div.card { h3 { "New since last time" } p { (news) } }
            }
        }
    }

    /// What the total on the first card consists of, and what is missing from it.
    fn parts(&self) -> String {
        let recent = &self.recent;
        let share = dollars(Some(recent.share.unwrap_or_default()));
        let mut said = format!("your share {share}");
        if let Some(uncovered) = recent.not_covered {
            said += &format!(", and {} that Medicare does not cover", dollars(Some(uncovered)));
        }
        said.push('.');
        if recent.unsaid_share > 0 {
            let (count, of) = (recent.unsaid_share, counted(recent.claims, "claim"));
            said += &format!(" {count} of {of} {} not say your share.", does(count));
        }
        if let Some(denied) = self.recent_decided.get(&PayerDecision::Denied) {
            said += &format!(" Of {} that Medicare did not pay, nothing is counted.", counted(*denied, "claim"));
        }
        said
    }

    fn deductibles(&self) -> Markup {
        let [hospital, doctors] = self.deductible;
        let year = self.this_year();
        let limit = PART_B_DEDUCTIBLES.iter().find(|(known, _)| *known == year).map(|(_, limit)| *limit);
        html! {
            p.big { (dollars(Some(doctors.unwrap_or_default()))) }
            p {
                "Part B (doctors, outpatient care, equipment)"
                @if let Some(limit) = limit { ", of " (dollars(Some(limit))) " a year" }
                "."
                @if let Some(hospital) = hospital.filter(|amount| amount.0 != 0) { " Part A (hospital stays): " (dollars(Some(hospital))) "." }
            }
        }
    }

    /// What Medicare did not approve, and why.
    pub(in crate::report) fn denied(&self) -> Markup {
        let heads =
            [("Date", false), ("Billed by", false), ("Service", false), ("Why not approved", false), ("Billed", true)];
        html! {
            h2 #denied { "Services that Medicare did not approve" }
            @if self.denied.seen == 0 {
                p { "No claim here says that a service was not approved." }
            } @else {
                p { "Claims do not say what you owe for these. Ask the provider first: often a bill is sent again, corrected. You may also "
                    a href="#appeal" { "appeal" } "." }
                (table(&self.denied.caption("Newest first"), &heads, &self.denied.rows()))
            }
        }
    }

    /// All other sections; none if no claim counts.
    pub(in crate::report) fn sections(&self) -> Markup {
        html! {
            @if self.all.claims == 0 {
                (self.notes())
            } @else {
                (self.preventive_services())
                (self.medicines())
                (self.money())
                (self.doctors_and_places())
                (self.hospital_stays())
                (self.equipment_and_supplies())
                (self.conditions())
            }
        }
    }

    /// The sections of [`Sums::sections`], with the text of the links to them.
    pub(in crate::report) fn places(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let places = [
            (self.all.claims > 0, "preventive", "Preventive services"),
            (!self.drug_years.is_empty(), "medicines", "Medicines"),
            (self.all.claims > 0, "money", "Costs"),
            (!self.providers.is_empty(), "doctors", "Doctors"),
            (self.stays.seen > 0, "stays", "Stays"),
            (self.equipment.seen > 0, "equipment", "Equipment"),
            (!self.diagnoses.is_empty(), "diagnoses", "Diagnoses"),
        ];
        places.into_iter().filter(|(is_there, ..)| *is_there).map(|(_, id, name)| (id, name))
    }

    /// Notes about the totals: what is missing from them, and what is left out.
    pub(in crate::report) fn notes(&self) -> Markup {
        let all = &self.all;
        let of = counted(all.claims, "claim");
        let unsaid = [
            (all.unsaid_charged, "what was billed"),
            (all.unsaid_paid, "what was paid"),
            (all.unsaid_share, "your share"),
            (all.unsaid_at_pharmacy, "what was paid at the pharmacy"),
        ];
        let left_out = self.left_out.values().sum::<u64>();
        let reasons = Disposition::LEFT_OUT.iter().filter_map(|it| Some((self.left_out.get(it)?, it.words())));
        let reasons: Vec<String> = reasons.map(|(count, words)| format!("{count} {words}")).collect();
        html! {
            @for (count, what) in unsaid { @if count > 0 {
                (quiet(&format!("{count} of the {of} {} not say {what}, and nothing is added for it.", does(count))))
            } }
            @for (decision, count) in &self.decided { @let claims = counted(*count, "claim"); @match decision {
                PayerDecision::Denied => (quiet(&format!("Medicare did not pay {claims}. The claims do not say whether you owe anything, so no share is shown. Your provider can tell you."))),
                PayerDecision::MedicareAdvantage => (quiet(&format!("Your Medicare Advantage plan paid {claims}. Ask your plan what you owe. No share is shown."))),
            } }
            @if left_out > 0 {
                (quiet(&format!("{left_out} more {} shown but not in any sum: {}.", if left_out == 1 { "is" } else { "are" }, reasons.join(", "))))
            }
            @if self.incomplete > 0 {
                (quiet(&format!("Some data of {} cannot be shown here. The archive has them.", counted(self.incomplete, "claim"))))
            }
        }
    }

    fn money(&self) -> Markup {
        // With this row, the rows add up to all claims.
        let and = |word: &str, sum: Sum| (sum.claims > 0).then(|| (word.to_owned(), sum));
        let rows = |sums: &mut dyn Iterator<Item = (String, Sum)>| {
            sums.map(|(name, sum)| sum.cells(&name)).collect::<Vec<_>>()
        };
        let years = rows(
            &mut self.years.iter().rev().map(|(year, sum)| (year.clone(), *sum)).chain(and("No date", self.undated)),
        );
        let months = rows(
            &mut self
                .months
                .iter()
                .rev()
                .map(|(month, sum)| (month.to_string(), *sum))
                .chain(and("No date", self.undated)),
        );
        let kinds = self.kinds.iter().map(|(kind, sum)| (kind.words().to_owned(), *sum));
        let kinds = rows(&mut kinds.chain(and("Of no known type", self.untyped)));
        let all = &self.all;
        let totals = [
            ("Claims", all.claims.to_string()),
            ("Billed", dollars(all.charged)),
            ("Medicare and plans paid", dollars(all.paid)),
            ("Medicare sent you", dollars(all.sent.filter(|sent| sent.0 != 0))),
            ("Your share", dollars(all.share)),
            ("Not covered", dollars(all.not_covered)),
            ("At the pharmacy", dollars(all.at_pharmacy)),
        ];
        html! {
            h2 #money { "Costs" }
            p { "All claims on this page" @if let (Some(first), Some(last)) = (self.first, self.last) { ", from " (date(first)) " to " (date(last)) } ":" }
            dl.sums { @for (name, text) in totals.iter().filter(|(_, text)| !text.is_empty()) { div { dt { (name) } dd { (text) } } } }
            (self.notes())
            (table("By year of service", &heads("Year"), &years))
            (self.picture_of_months())
            details { summary { "All months as a table" } (table("By month", &heads("Month"), &months)) }
            (table("By type of claim", &heads("Type"), &kinds))
            h3 { "How to read these numbers" }
            dl.terms { @for (term, words) in TERMS { dt { (term) } dd { (words) } } }
        }
    }

    /// A chart of the last two years before the claims were fetched. Without that limit, one date far in the future
    /// would push out all others.
    fn picture_of_months(&self) -> Markup {
        let end = self.as_of.map(Month::of);
        let until = || self.months.keys().filter(|month| end.is_none_or(|end| **month <= end));
        let (Some(first), Some(newest)) = (until().next(), until().next_back()) else { return html! {} };
        let oldest = first.0.max(newest.0 - 23);
        let picture: Vec<_> = (oldest..=newest.0)
            .map(|month| {
                let paid = self.months.get(&Month(month)).and_then(|sum| sum.paid);
                (Month(month).to_string(), paid.unwrap_or_default().0, dollars(paid))
            })
            .collect();
        let months = counted(picture.len() as u64, "month");
        let title = format!("Paid by month, the last {months}; the numbers are in the table that follows");
        html! {
            h3 { "Paid by Medicare and plans, by month" }
            (bars(&title.replace("last 1 month", "last month"), &picture))
        }
    }

    pub(super) fn doctors_and_places(&self) -> Markup {
        if self.providers.is_empty() {
            return html! {};
        }
        let mut providers: Vec<_> = self.providers.iter().collect();
        providers.sort_by_key(|(_, provider)| Reverse((provider.last, provider.sum.claims)));
        let mut names = BTreeMap::new();
        providers.iter().filter_map(|(_, it)| it.name.as_ref()).for_each(|name| *names.entry(name).or_insert(0) += 1);
        let rows = providers.into_iter().take(LONGEST).map(|(who, provider)| {
            let name = match (&provider.name, who) {
                // Providers with the same name get their number, to tell them apart.
                (Some(name), Who::Npi(npi)) if names.get(name).is_some_and(|count| *count > 1) => {
                    format!("{name} (NPI {npi})")
                }
                (Some(name), _) | (None, Who::Named(name)) => name.clone(),
                (None, Who::Npi(npi)) => format!("NPI {npi}"),
            };
            let sum = &provider.sum;
            let amounts = [sum.charged, sum.share, sum.at_pharmacy].map(|amount| Td::Number(dollars(amount)));
            let cells = [
                Td::Text(name),
                Td::Text(provider.contact.clone().unwrap_or_default()),
                Td::Day(provider.last.map(date).unwrap_or_default()),
                Td::Number(sum.claims.to_string()),
            ];
            cells.into_iter().chain(amounts).collect()
        });
        let heads = [
            ("Billed or treated by", false),
            ("Address or phone", false),
            ("Last seen", false),
            ("Claims", true),
            ("Billed", true),
            ("Your share", true),
            ("At the pharmacy", true),
        ];
        let rows = rows.collect::<Vec<_>>();
        let name = if self.nameless == 1 { "names" } else { "name" };
        html! {
            h2 #doctors { "Doctors and places" }
            p { "Do you know them all? A name that you do not know can be a lab, or a mistake, or fraud. " a href="#fraud" { "Where to ask" } }
            (table("The latest first", &heads, &rows))
            @if self.nameless > 0 { (quiet(&format!("{} {name} nobody.", counted(self.nameless, "claim")))) }
        }
    }

    fn preventive_services(&self) -> Markup {
        let heads = [("Date", false), ("Service", false), ("Billed by", false), ("Your share", true)];
        html! {
            h2 #preventive { "Preventive services" }
            @if self.preventive.seen == 0 {
                p { "No claim here marks a service as preventive. That does not mean that you had none." }
            } @else {
                p { "Shots, tests and visits that keep you well or find an illness early. For many of them you owe nothing. If you get a bill, ask the provider why." }
                (table(&self.preventive.caption("Newest first"), &heads, &self.preventive.rows()))
            }
            (quiet(RULE))
        }
    }

    fn hospital_stays(&self) -> Markup {
        let heads = [
            ("From", false),
            ("Until", false),
            ("Where", false),
            ("DRG", false),
            ("Billed", true),
            ("Medicare paid", true),
            ("Your share", true),
        ];
        html! { @if self.stays.seen > 0 {
            h2 #stays { "Hospital and nursing stays" }
            p.quiet { "DRG is the group of illnesses by which Medicare pays a stay." }
            (table(&self.stays.caption("In hospitals and nursing facilities"), &heads, &self.stays.rows()))
        } }
    }

    fn equipment_and_supplies(&self) -> Markup {
        let heads = [("Date", false), ("What", false), ("From", false), ("Billed", true), ("Your share", true)];
        html! { @if self.equipment.seen > 0 {
            h2 #equipment { "Equipment and supplies" }
            p { "Did you get each of these? If not, " a href="#fraud" { "say so" } "." }
            (table(&self.equipment.caption("Newest first"), &heads, &self.equipment.rows()))
        } }
    }

    pub(super) fn medicines(&self) -> Markup {
        let mut drugs: Vec<_> = self.drugs.iter().collect();
        let last = |drug: &super::Drug| drug.last.as_ref().map(|fill| fill.day);
        drugs.sort_by_key(|(_, drug)| Reverse((last(drug), drug.sum.claims)));
        if self.drug_years.is_empty() {
            return html! {};
        }
        let heads = [
            ("Medicine", false),
            ("Last filled", false),
            ("Fills", true),
            ("Refill number", true),
            ("Days supplied", true),
            ("Cost of a fill", false),
            ("You paid", true),
        ];
        let shown = drugs.len().min(LONGEST);
        let caption = if drugs.len() > shown {
            format!("The last {shown} of {}", drugs.len())
        } else {
            "The latest first".to_owned()
        };
        let rows = drugs.into_iter().take(LONGEST).map(|(name, drug)| {
            let sum = &drug.sum;
            let days = match drug.with_days {
                0 => String::new(),
                all if all == sum.claims => plain(drug.days),
                some => format!("{} ({some} of {} fills)", plain(drug.days), sum.claims),
            };
            let costs = [&drug.first, &drug.last].map(|fill| fill.as_ref().and_then(|it| it.cost));
            let cost = match costs {
                [Some(first), Some(last)] if first != last => {
                    let when = drug.first.as_ref().map(|fill| date(fill.day)).unwrap_or_default();
                    format!("{} now, {} on {when}", dollars(Some(last)), dollars(Some(first)))
                }
                [_, last] => dollars(last),
            };
            let refill = drug.last.as_ref().and_then(|fill| fill.refill.clone());
            vec![
                Td::Text(name.clone()),
                Td::Day(last(drug).map(date).unwrap_or_default()),
                Td::Number(sum.claims.to_string()),
                Td::Number(refill.unwrap_or_default()),
                Td::Number(days),
                Td::Text(cost),
                Td::Number(dollars(sum.at_pharmacy)),
            ]
        });
        let rows = rows.collect::<Vec<_>>();
        html! {
            h2 #medicines { "Medicines" }
            (table(&caption, &heads, &rows))
            (self.who_paid_for_drugs())
        }
    }

    fn who_paid_for_drugs(&self) -> Markup {
        let heads = [
            ("Year", false),
            ("Fills", true),
            ("Cost", true),
            ("Plan paid", true),
            ("You paid", true),
            ("Extra Help paid", true),
            ("Maker\u{2019}s discount", true),
            ("Others paid", true),
            ("Not explained", true),
        ];
        let rows = self.drug_years.iter().rev().map(|(year, it)| {
            // Most people have none of these.
            let optional = [it.extra_help, it.discount, it.others, it.unexplained];
            let optional = optional.map(|amount| amount.filter(|amount| amount.0 != 0));
            let amounts = [it.cost, it.plan, it.you].into_iter().chain(optional);
            let amounts = amounts.map(|amount| Td::Number(dollars(amount)));
            [Td::Text(year.clone()), Td::Number(it.fills.to_string())].into_iter().chain(amounts).collect()
        });
        let rows = rows.collect::<Vec<_>>();
        html! {
            (table("Who paid for them", &heads, &rows))
            p.quiet {
                "Extra Help is Medicare\u{2019}s aid with drug costs for people with low incomes. \u{201c}Not explained\u{201d} is what of the cost no claim says who paid; "
                "below zero, more was paid than it cost. API v3 does not say what the plan paid for most prescriptions."
            }
        }
    }

    fn conditions(&self) -> Markup {
        let mut diagnoses: Vec<_> = self.diagnoses.iter().collect();
        diagnoses.sort_by_key(|(_, (_, count))| Reverse(*count));
        let rows = diagnoses.into_iter().take(LONGEST).map(|((code, _), (words, count))| {
            vec![Td::Text(words.clone()), Td::Text(code.clone()), Td::Number(count.to_string())]
        });
        let rows = rows.collect::<Vec<_>>();
        let heads = [("Diagnosis", false), ("Code", false), ("Claims", true)];
        html! { @if !rows.is_empty() {
            h2 #diagnoses { "Diagnoses" }
            p { "What providers wrote on their claims. It can be something that they only tested for." }
            (table("Those named most often", &heads, &rows))
        } }
    }
}

/// Special terms, explained where they are used.
const TERMS: [(&str, &str); 7] = [
    (
        "What you may be billed",
        "Your share and what Medicare does not cover, together. It is the most that these claims leave for you to pay. It is not a bill. A supplement (Medigap), Medicaid, or another insurer may have paid it, and so may you. It does not include what Medicare sent you to pass on.",
    ),
    ("Billed", "What the provider asked for. Nobody has to pay that much: Medicare\u{2019}s prices are lower."),
    ("Medicare approved", "Medicare\u{2019}s price for the service. Most hospital claims do not say it."),
    (
        "Your share",
        "Deductible, coinsurance and blood deductible together. This is the one number that this page adds up itself. Claims that Medicare did not pay, or that a Medicare Advantage plan paid, have none.",
    ),
    (
        "Deductible and coinsurance",
        "The deductible is what you pay each year before Medicare pays. Coinsurance is your part after that, often 20 of 100 dollars.",
    ),
    ("Not covered", "Charges that Medicare does not pay at all. The provider may not be allowed to bill you for them."),
    ("At the pharmacy", "What was paid at the pharmacy for you. It is already paid, and is not part of your share."),
];
