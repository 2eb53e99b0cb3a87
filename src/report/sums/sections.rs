//! The sums as sections of the page.

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _};

use jiff::civil::Date;

use super::{LONGEST, Month, Sum, Sums, Who};
use crate::{
    fhir::claim::{Decision, Standing},
    report::{
        claims::{counted, dollars, plain},
        html::{Shown, Td, bars, table},
    },
};

/// The first heads of tables of sums, after what the row is of.
fn heads(first: &'static str) -> Vec<(&'static str, bool)> {
    let amounts = ["Claims", "Billed", "Paid", "Your share", "At the pharmacy"].map(|head| (head, true));
    [(first, false)].into_iter().chain(amounts).collect()
}

fn quiet(out: &mut String, text: &str) {
    let _ = writeln!(out, "<p class=\"quiet\">{}</p>", Shown(text));
}

/// "does" or "do", by how many they are.
fn does(count: u64) -> &'static str {
    if count == 1 { "does" } else { "do" }
}

impl Sums {
    pub(in crate::report) fn write_summary(&self, out: &mut String) {
        let all = &self.all;
        let period = match (&self.first, &self.last) {
            (Some(first), Some(last)) => format!("{first} to {last}").replace('-', "\u{2011}"),
            _ => "no dates".to_owned(),
        };
        out.push_str("<dl class=\"sums\">");
        for (name, text) in [
            ("Period", period),
            ("Claims", all.claims.to_string()),
            ("Billed", dollars(all.charged)),
            ("Medicare and plans paid", dollars(all.paid)),
            ("Medicare sent you", dollars(all.sent.filter(|sent| sent.0 != 0))),
            ("Your share", dollars(all.share)),
            ("At the pharmacy", dollars(all.at_pharmacy)),
        ]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        {
            let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Shown(&text));
        }
        out.push_str("</dl>\n");
        for (unsaid, what) in [
            (all.unsaid_paid, "what was paid"),
            (all.unsaid_share, "your share"),
            (all.unsaid_at_pharmacy, "what was paid at the pharmacy"),
        ] {
            if unsaid > 0 {
                let (of, do_not) = (counted(all.claims, "claim"), does(unsaid));
                quiet(out, &format!("{unsaid} of the {of} {do_not} not say {what}, and nothing is added for it."));
            }
        }
        for (decision, count) in &self.decided {
            let claims = counted(*count, "claim");
            let text = match decision {
                Decision::Denied => format!(
                    "Medicare did not pay {claims}. Whether you owe anything there is not said, so no share is shown; your provider can tell you."
                ),
                Decision::MedicareAdvantage => {
                    format!(
                        "Your Medicare Advantage plan paid {claims}. Your part there is what the plan says, so no share is shown."
                    )
                }
            };
            quiet(out, &text);
        }
        if !self.left_out.is_empty() {
            let reasons = Standing::LEFT_OUT.iter().filter_map(|it| Some((self.left_out.get(it)?, it.words())));
            let reasons: Vec<String> = reasons.map(|(count, words)| format!("{count} {words}")).collect();
            let more = self.left_out.values().sum::<u64>();
            let are = if more == 1 { "is" } else { "are" };
            quiet(out, &format!("{more} more {are} shown and in no sum: {}.", reasons.join(", ")));
        }
        if self.incomplete > 0 {
            let claims = counted(self.incomplete, "claim");
            quiet(out, &format!("Of {claims} something cannot be shown here; it is in the archive."));
        }
    }

    /// All sections; none where nothing counts. `pulled` is when the claims were fetched.
    pub(in crate::report) fn write(&self, out: &mut String, pulled: Option<Date>) {
        if self.all.claims == 0 {
            return;
        }
        // So that all rows together are all claims.
        let and = |word: &str, sum: Sum| (sum.claims > 0).then(|| (word.to_owned(), sum));
        let rows = |sums: &mut dyn Iterator<Item = (String, Sum)>| {
            sums.map(|(name, sum)| sum.cells(&name)).collect::<Vec<_>>()
        };

        out.push_str("<h2>Your part of the cost</h2>\n");
        quiet(out, "What you may owe, or have paid already.");
        let mut years = Vec::new();
        let named = self.years.iter().rev().map(|(year, sum)| (year.clone(), *sum));
        for (name, sum) in named.chain(and("No date", self.undated)) {
            years.push(sum.cells(&name));
        }
        table(out, "By year of service", &heads("Year"), &years);
        quiet(out, SHARE);

        out.push_str("<h2>Spending</h2>\n");
        self.picture_of_months(out, pulled);
        out.push_str("<details><summary>All months as a table</summary>\n");
        let named = self.months.iter().rev().map(|(month, sum)| (month.to_string(), *sum));
        let months = rows(&mut named.chain(and("No date", self.undated)));
        table(out, "By month", &heads("Month"), &months);
        out.push_str("</details>\n<h3>By type of claim: paid</h3>\n");
        let named = || {
            let kinds = self.kinds.iter().map(|(kind, sum)| (kind.words().to_owned(), *sum));
            kinds.chain(and("Of no known type", self.untyped))
        };
        let picture: Vec<_> =
            named().map(|(name, sum)| (name, sum.paid.unwrap_or_default().0, dollars(sum.paid))).collect();
        bars(out, "Paid by type of claim; the numbers are in the table that follows", &picture);
        table(out, "By type of claim", &heads("Type"), &rows(&mut named()));

        self.doctors_and_places(out);
        self.medicines(out);
        self.hospital_stays(out);
        self.conditions(out);
    }

    /// The last two years until the claims were fetched: a day far ahead would leave nothing but itself.
    fn picture_of_months(&self, out: &mut String, pulled: Option<Date>) {
        let end = pulled.map(Month::of);
        let until = || self.months.keys().filter(|month| end.is_none_or(|end| **month <= end));
        let (Some(first), Some(newest)) = (until().next(), until().next_back()) else { return };
        let oldest = first.0.max(newest.0 - 23);
        let picture: Vec<_> = (oldest..=newest.0)
            .map(|month| {
                let paid = self.months.get(&Month(month)).and_then(|sum| sum.paid);
                (Month(month).to_string(), paid.unwrap_or_default().0, dollars(paid))
            })
            .collect();
        out.push_str("<h3>By month: paid</h3>\n");
        let months = counted(picture.len() as u64, "month");
        let title = format!("Paid by month, the last {months}; the numbers are in the table that follows");
        bars(out, &title.replace("last 1 month", "last month"), &picture);
    }

    pub(super) fn doctors_and_places(&self, out: &mut String) {
        if self.providers.is_empty() {
            return;
        }
        let mut providers: Vec<_> = self.providers.iter().collect();
        providers.sort_by_key(|(_, provider)| Reverse(provider.sum.claims));
        let mut names = BTreeMap::new();
        providers.iter().filter_map(|(_, it)| it.name.as_ref()).for_each(|name| *names.entry(name).or_insert(0) += 1);
        let rows = providers.into_iter().take(LONGEST).map(|(who, provider)| {
            let name = match (&provider.name, who) {
                // Several of one name are told apart.
                (Some(name), Who::Npi(npi)) if names.get(name).is_some_and(|count| *count > 1) => {
                    format!("{name} (NPI {npi})")
                }
                (Some(name), _) | (None, Who::Named(name)) => name.clone(),
                (None, Who::Npi(npi)) => format!("NPI {npi}"),
            };
            provider.sum.cells(&name)
        });
        out.push_str("<h2>Doctors and places</h2>\n");
        table(out, "Those with the most claims", &heads("Billed or treated by"), &rows.collect::<Vec<_>>());
        if self.nameless > 0 {
            let name = if self.nameless == 1 { "names" } else { "name" };
            quiet(out, &format!("{} {name} nobody.", counted(self.nameless, "claim")));
        }
    }

    fn hospital_stays(&self, out: &mut String) {
        if self.stays.is_empty() {
            return;
        }
        out.push_str("<h2>Stays</h2>\n");
        let heads = [
            ("From", false),
            ("Until", false),
            ("Where", false),
            ("DRG", false),
            ("Billed", true),
            ("Paid", true),
            ("Your share", true),
        ];
        let shown = self.stays.len();
        let caption = match self.stays_seen {
            all if all > shown as u64 => format!("In hospitals and nursing facilities, the last {shown} of {all}"),
            _ => "In hospitals and nursing facilities".to_owned(),
        };
        let rows: Vec<Vec<Td>> = self.stays.values().cloned().collect();
        table(out, &caption, &heads, &rows);
    }

    pub(super) fn medicines(&self, out: &mut String) {
        let mut drugs: Vec<_> = self.drugs.iter().collect();
        drugs.sort_by_key(|(_, drug)| Reverse(drug.sum.claims));
        if drugs.is_empty() {
            return;
        }
        out.push_str("<h2>Medicines</h2>\n");
        let heads =
            [("Medicine", false), ("Fills", true), ("Days supplied", true), ("Cost", true), ("At the pharmacy", true)];
        let rows = drugs.into_iter().take(LONGEST).map(|(name, drug)| {
            let sum = &drug.sum;
            let days = match drug.with_days {
                0 => String::new(),
                all if all == sum.claims => plain(drug.days),
                some => format!("{} ({some} of {} fills)", plain(drug.days), sum.claims),
            };
            let amounts = [sum.charged, sum.at_pharmacy].map(|amount| Td::Number(dollars(amount)));
            [Td::Text(name.clone()), Td::Number(sum.claims.to_string()), Td::Number(days)]
                .into_iter()
                .chain(amounts)
                .collect()
        });
        table(out, "Those filled most often", &heads, &rows.collect::<Vec<_>>());
    }

    fn conditions(&self, out: &mut String) {
        let mut diagnoses: Vec<_> = self.diagnoses.iter().collect();
        diagnoses.sort_by_key(|(_, (_, count))| Reverse(*count));
        if diagnoses.is_empty() {
            return;
        }
        out.push_str("<h2>Diagnoses</h2>\n");
        let rows = diagnoses.into_iter().take(LONGEST).map(|(code, (words, count))| {
            vec![Td::Text(code.clone()), Td::Text(words.clone()), Td::Number(count.to_string())]
        });
        let heads = [("Code", false), ("In the server's words", false), ("Claims", true)];
        table(out, "Those named most often", &heads, &rows.collect::<Vec<_>>());
    }
}

/// What the two numbers mean, and what they do not.
const SHARE: &str = "Your share is what the claims make you responsible for: deductible, coinsurance and blood deductible. What Medicare does \
not cover, or sent to you to hand on, is not in it. At the pharmacy is what claims for prescriptions say was paid there for you; it is paid \
already, and not in your share. The two are never added up, and neither of them is a bill.";
