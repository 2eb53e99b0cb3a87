//! What claims come to together: by month, type, provider, drug and diagnosis.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use jiff::civil::Date;

use super::{
    claims::dollars,
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
    /// The month of a day; none for what is no day.
    fn of(day: &str) -> Option<Self> {
        let day: Date = day.get(..10)?.parse().ok()?;
        Some(Self(i32::from(day.year()) * 12 + i32::from(day.month()) - 1))
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
    }

    fn cells(&self, name: &str) -> Vec<Td> {
        let amounts = [self.charged, self.paid, self.share].map(|amount| Td::Number(dollars(amount)));
        let mut cells = vec![Td::Text(name.to_owned()), Td::Number(self.claims.to_string())];
        cells.extend(amounts);
        cells
    }
}

#[derive(Default)]
pub(super) struct Sums {
    all: Sum,
    left_out: BTreeMap<Standing, u64>,
    incomplete: u64,
    first: Option<String>,
    last: Option<String>,
    months: BTreeMap<Month, Sum>,
    years: BTreeMap<String, Sum>,
    kinds: BTreeMap<Kind, Sum>,
    providers: BTreeMap<String, Sum>,
    drugs: BTreeMap<String, (Sum, u64)>,
    diagnoses: BTreeMap<String, (String, u64)>,
    /// The newest first, up to [`LONGEST`]; whoever stays as often has more claims than a page shows.
    stays: BTreeMap<(Reverse<String>, u64), Vec<Td>>,
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
        if let (Some(start), Some(year)) = (&claim.start, claim.year()) {
            self.years.entry(year.to_owned()).or_default().take(claim);
            // What is no day has no place in a period.
            if let Some(month) = Month::of(start) {
                self.first = self.first.take().into_iter().chain([start.clone()]).min();
                self.last = self.last.take().into_iter().chain([start.clone()]).max();
                self.months.entry(month).or_default().take(claim);
            }
        }
        if let Some(kind) = claim.kind {
            self.kinds.entry(kind).or_default().take(claim);
        }
        // Doctors' claims of v1 name who treated, and seldom who billed.
        if let Some(provider) = claim.provider.as_ref().or(claim.practitioner.as_ref()) {
            self.providers.entry(provider.clone()).or_default().take(claim);
        }
        if claim.kind == Some(Kind::Pde) {
            let line = claim.lines.first();
            let name =
                line.and_then(|line| line.words.clone().or_else(|| line.ndc.as_ref().map(|ndc| format!("NDC {ndc}"))));
            if let Some(name) = name {
                let (sum, days) = self.drugs.entry(name).or_default();
                sum.take(claim);
                *days += claim.days_supply.as_deref().and_then(|days| days.parse::<u64>().ok()).unwrap_or(0);
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
            let newest_first = (Reverse(claim.start.clone().unwrap_or_default()), self.stays_seen);
            let row = vec![
                text(&claim.start),
                text(&claim.end),
                text(&claim.provider),
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
        self.years.keys().rev().map(String::as_str)
    }

    pub(super) fn write_summary(&self, out: &mut String) {
        let period = match (&self.first, &self.last) {
            (Some(first), Some(last)) => {
                format!("{} to {}", first.replace('-', "\u{2011}"), last.replace('-', "\u{2011}"))
            }
            _ => "no dates".to_owned(),
        };
        out.push_str("<dl class=\"sums\">");
        for (name, text) in [
            ("Period", period),
            ("Claims", self.all.claims.to_string()),
            ("Billed", dollars(self.all.charged)),
            ("Medicare and plans paid", dollars(self.all.paid)),
            ("Your share", dollars(self.all.share)),
        ] {
            let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Shown(&text));
        }
        out.push_str("</dl>\n");
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
        let rows = |sums: &mut dyn Iterator<Item = (String, Sum)>| {
            sums.map(|(name, sum)| sum.cells(&name)).collect::<Vec<_>>()
        };

        out.push_str("<h2>What you may owe</h2>\n");
        let years = rows(&mut self.years.iter().rev().map(|(year, sum)| (year.clone(), *sum)));
        table(out, "By year of service", &heads("Year"), &years);

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
        let months = rows(&mut self.months.iter().rev().map(|(month, sum)| (month.to_string(), *sum)));
        table(out, "By month", &heads("Month"), &months);
        out.push_str("</details>\n<h3>By type of claim: paid</h3>\n");
        let named = || self.kinds.iter().map(|(kind, sum)| (kind.words().to_owned(), *sum));
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
        drugs.sort_by_key(|(_, (sum, _))| Reverse(sum.claims));
        if drugs.is_empty() {
            return;
        }
        out.push_str("<h2>Medicines</h2>\n");
        let heads =
            [("Medicine", false), ("Fills", true), ("Days supplied", true), ("Cost", true), ("Your share", true)];
        let rows = drugs.into_iter().take(LONGEST).map(|(name, (sum, days))| {
            let days = if *days == 0 { String::new() } else { days.to_string() };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_counted_and_shown_and_what_is_no_day_has_none() {
        for day in ["2024-12-31", "2025-01-01", "0001-01-01"] {
            assert_eq!(Month::of(day).map(|month| month.to_string()).as_deref(), day.get(..7));
        }
        assert_eq!(Month::of("2025-01-01").map(|it| it.0), Month::of("2024-12-31").map(|it| it.0 + 1));
        for other in ["", "2024-12", "2024-13-01", "<script>al"] {
            assert_eq!(Month::of(other), None);
        }
    }

    #[test]
    fn what_no_claim_says_has_no_sum() {
        let mut sum = None;
        add(&mut sum, None);
        assert_eq!(sum, None);
        add(&mut sum, Some(Cents(0)));
        add(&mut sum, Some(Cents(7)));
        assert_eq!(sum, Some(Cents(7)));
    }
}
