//! What claims come to together: by month, type, provider, drug and diagnosis.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use jiff::civil::Date;

use super::{
    claims::{UNKNOWN, dollars, plain},
    html::{Shown, Td, bars, table},
};
use crate::fhir::claim::{Cents, Claim, Kind, Standing};

/// Longest list of its kind; a person's claims name hundreds of providers.
const LONGEST: usize = 50;

/// Amounts of several claims. A claim that does not say an amount adds nothing to it; where none says it, there
/// is no sum.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    claims: u64,
    charged: Option<Cents>,
    paid: Option<Cents>,
    share: Option<Cents>,
    /// Claims that say a share.
    with_share: u64,
    /// What the patient has paid.
    out_of_pocket: Option<Cents>,
}

fn add(sum: &mut Option<Cents>, amount: Option<Cents>) {
    if let Some(amount) = amount {
        *sum = Some(sum.unwrap_or_default() + amount);
    }
}

/// A month, counted from the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Month(i32);

impl Month {
    fn of(day: Date) -> Self {
        Self(i32::from(day.year()) * 12 + i32::from(day.month()) - 1)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

impl Sum {
    fn take(&mut self, claim: &Claim) {
        let amounts = &claim.amounts;
        self.claims += 1;
        add(&mut self.charged, amounts.charged);
        add(&mut self.paid, amounts.medicare_paid);
        add(&mut self.share, amounts.patient_pays);
        self.with_share += u64::from(amounts.patient_pays.is_some());
        add(&mut self.out_of_pocket, amounts.patient_paid);
    }

    fn cells(&self, name: &str) -> Vec<Td> {
        let amounts = [self.charged, self.paid, self.share].map(|amount| Td::Number(dollars(amount)));
        let mut cells = vec![Td::Text(name.to_owned()), Td::Number(self.claims.to_string())];
        cells.extend(amounts);
        cells
    }
}

/// What the fills of a medicine come to.
#[derive(Default)]
struct Drug {
    sum: Sum,
    /// Hundredths of days: the claim need not say a whole number.
    days: Cents,
    /// Fills that say for how many days.
    with_days: u64,
}

#[derive(Default)]
pub(super) struct Sums {
    all: Sum,
    left_out: BTreeMap<Standing, u64>,
    incomplete: u64,
    first: Option<Date>,
    last: Option<Date>,
    months: BTreeMap<Month, Sum>,
    years: BTreeMap<String, Sum>,
    /// Claims that do not say on which day.
    undated: Sum,
    kinds: BTreeMap<Kind, Sum>,
    /// Claims of no known type.
    untyped: Sum,
    providers: BTreeMap<String, Sum>,
    drugs: BTreeMap<String, Drug>,
    diagnoses: BTreeMap<String, (String, u64)>,
    /// The newest first, up to [`LONGEST`]; whoever stays as often has more claims than a page shows.
    stays: BTreeMap<(Reverse<Option<Date>>, u64), Vec<Td>>,
    stays_seen: u64,
}

impl Sums {
    pub(super) fn take(&mut self, claim: &Claim) {
        self.incomplete += u64::from(claim.is_incomplete);
        if claim.standing != Standing::Final {
            *self.left_out.entry(claim.standing).or_default() += 1;
            return;
        }
        self.all.take(claim);
        // What is no day has no place in a period.
        if let Some(day) = claim.first_day() {
            self.first = Some(self.first.map_or(day, |first| first.min(day)));
            self.last = Some(self.last.map_or(day, |last| last.max(day)));
            self.months.entry(Month::of(day)).or_default().take(claim);
            self.years.entry(format!("{:04}", day.year())).or_default().take(claim);
        } else {
            self.undated.take(claim);
        }
        claim.kind.map_or(&mut self.untyped, |kind| self.kinds.entry(kind).or_default()).take(claim);
        if let Some(who) = claim.who() {
            self.providers.entry(who).or_default().take(claim);
        }
        if claim.kind == Some(Kind::Pde) {
            let line = claim.lines.first();
            let name =
                line.and_then(|line| line.words.clone().or_else(|| line.ndc.as_ref().map(|ndc| format!("NDC {ndc}"))));
            if let Some(name) = name {
                let drug = self.drugs.entry(name).or_default();
                drug.sum.take(claim);
                if let Some(days) = claim.days_supply.as_deref().and_then(Cents::read) {
                    drug.days = drug.days + days;
                    drug.with_days += 1;
                }
            }
        }
        for diagnosis in &claim.diagnoses {
            let (words, count) = self.diagnoses.entry(diagnosis.code.clone()).or_default();
            *count += 1;
            if let (true, Some(said)) = (words.is_empty(), &diagnosis.words) {
                words.clone_from(said);
            }
        }
        if matches!(claim.kind, Some(Kind::Inpatient | Kind::Snf)) {
            let text = |text: &Option<String>| Td::Text(text.clone().unwrap_or_default());
            self.stays_seen += 1;
            let newest_first = (Reverse(claim.first_day()), self.stays_seen);
            let row = vec![
                text(&claim.start),
                text(&claim.end),
                text(&claim.who()),
                text(&claim.drg),
                Td::Number(dollars(claim.amounts.charged)),
                Td::Number(dollars(claim.amounts.medicare_paid)),
                Td::Number(dollars(claim.amounts.patient_pays)),
            ];
            self.stays.insert(newest_first, row);
            if self.stays.len() > LONGEST {
                self.stays.pop_last();
            }
        }
    }

    pub(super) fn years(&self) -> impl Iterator<Item = &str> {
        let unknown = (self.undated.claims > 0).then_some(UNKNOWN);
        self.years.keys().rev().map(String::as_str).chain(unknown)
    }

    pub(super) fn is_one_untyped(&self) -> bool {
        self.untyped.claims > 0
    }

    pub(super) fn write_summary(&self, out: &mut String) {
        let period = match (&self.first, &self.last) {
            (Some(first), Some(last)) => format!("{first} to {last}").replace('-', "\u{2011}"),
            _ => "no dates".to_owned(),
        };
        out.push_str("<dl class=\"sums\">");
        for (name, text) in [
            ("Period", period),
            ("Claims", self.all.claims.to_string()),
            ("Billed", dollars(self.all.charged)),
            ("Medicare and plans paid", dollars(self.all.paid)),
            ("Your share", dollars(self.all.share)),
            ("You paid, claims say", dollars(self.all.out_of_pocket)),
        ]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        {
            let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Shown(&text));
        }
        out.push_str("</dl>\n");
        match self.all.claims - self.all.with_share {
            0 => {}
            unsaid => {
                let _ = writeln!(
                    out,
                    "<p class=\"quiet\">{unsaid} of the {} claims do not say your share; they add nothing to it.</p>",
                    self.all.claims
                );
            }
        }
        if !self.left_out.is_empty() {
            let reasons = Standing::LEFT_OUT.iter().filter_map(|it| Some((self.left_out.get(it)?, it.words())));
            let reasons: Vec<String> = reasons.map(|(count, words)| format!("{count} {words}")).collect();
            let _ = writeln!(
                out,
                "<p class=\"quiet\">{} more are shown and in no sum: {}.</p>",
                self.left_out.values().sum::<u64>(),
                reasons.join(", ")
            );
        }
        if self.incomplete > 0 {
            let _ = writeln!(
                out,
                "<p class=\"quiet\">Of {} claims something cannot be shown here; it is in the archive.</p>",
                self.incomplete
            );
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        let heads = |first| [(first, false), ("Claims", true), ("Billed", true), ("Paid", true), ("Your share", true)];
        // So that all rows together are all claims.
        let and = |word: &str, sum: Sum| (sum.claims > 0).then(|| (word.to_owned(), sum));
        let rows = |sums: &mut dyn Iterator<Item = (String, Sum)>| {
            sums.map(|(name, sum)| sum.cells(&name)).collect::<Vec<_>>()
        };

        out.push_str("<h2>What you may owe</h2>\n");
        let mut years = Vec::new();
        let named = self.years.iter().rev().map(|(year, sum)| (year.clone(), *sum));
        for (name, sum) in named.chain(and("No date", self.undated)) {
            let mut row = sum.cells(&name);
            row.push(Td::Number(dollars(sum.out_of_pocket)));
            years.push(row);
        }
        let with_paid: Vec<_> = heads("Year").into_iter().chain([("You paid", true)]).collect();
        table(out, "By year of service", &with_paid, &years);
        out.push_str(SHARE);

        out.push_str("<h2>Spending</h2>\n<h3>By month: paid</h3>\n");
        let newest = self.months.keys().next_back().map_or(0, |month| month.0);
        let oldest = self.months.keys().next().map_or(0, |month| month.0).max(newest - 23);
        let picture: Vec<_> = (oldest..=newest)
            .filter(|_| !self.months.is_empty())
            .map(|month| {
                let paid = self.months.get(&Month(month)).and_then(|sum| sum.paid).unwrap_or_default();
                (Month(month).to_string(), paid.0, dollars(Some(paid)))
            })
            .collect();
        bars(out, "Paid by month, the last 24 months; the numbers are in the table that follows", &picture);
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

        let mut providers: Vec<_> = self.providers.iter().map(|(name, sum)| (name.clone(), *sum)).collect();
        providers.sort_by_key(|(_, sum)| Reverse(sum.claims));
        if !providers.is_empty() {
            out.push_str("<h2>Doctors and places</h2>\n");
            let listed = rows(&mut providers.into_iter().take(LONGEST));
            table(out, "Those with the most claims", &heads("Billed or treated by"), &listed);
        }
        self.medicines(out);
        if !self.stays.is_empty() {
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
        self.conditions(out);
    }

    fn medicines(&self, out: &mut String) {
        let mut drugs: Vec<_> = self.drugs.iter().collect();
        drugs.sort_by_key(|(_, drug)| Reverse(drug.sum.claims));
        if drugs.is_empty() {
            return;
        }
        out.push_str("<h2>Medicines</h2>\n");
        let heads =
            [("Medicine", false), ("Fills", true), ("Days supplied", true), ("Cost", true), ("Your share", true)];
        let rows = drugs.into_iter().take(LONGEST).map(|(name, drug)| {
            let sum = &drug.sum;
            let days = match drug.with_days {
                0 => String::new(),
                all if all == sum.claims => plain(drug.days),
                some => format!("{} ({some} of {} fills)", plain(drug.days), sum.claims),
            };
            let amounts = [sum.charged, sum.share].map(|amount| Td::Number(dollars(amount)));
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
const SHARE: &str = "<p class=\"quiet\">Your share is what the claims make you responsible for: deductible, coinsurance and blood deductible; for \
a drug, what was paid at the pharmacy. You paid is what claims say you gave the provider; most do not say it. The two are never added up, and \
neither is a bill.</p>\n";

#[cfg(test)]
mod tests;
