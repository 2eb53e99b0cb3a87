//! What claims come to together: by month, type, provider, drug and diagnosis.

mod sections;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::civil::Date;

use super::{
    claims::{UNKNOWN, dollars},
    html::Td,
};
use crate::fhir::claim::{Cents, Claim, Decision, Kind, Standing};

/// Longest list of its kind; a person's claims name hundreds of providers.
const LONGEST: usize = 50;

/// Amounts of several claims. A claim that does not say an amount adds nothing to it; where none says it, there
/// is no sum.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    claims: u64,
    charged: Option<Cents>,
    paid: Option<Cents>,
    /// Claims that do not say what was paid.
    unsaid_paid: u64,
    /// What Medicare sent to the patient.
    sent: Option<Cents>,
    /// The patient's share, of all but drugs.
    share: Option<Cents>,
    /// Claims that do not say a share, and could.
    unsaid_share: u64,
    /// What was paid for drugs at the pharmacy.
    at_pharmacy: Option<Cents>,
    /// Fills that do not say it.
    unsaid_at_pharmacy: u64,
}

/// A sum of more than can be said, and whatever is added to it. [`Cents::plus`] makes none of it again.
const BEYOND: Cents = Cents(i64::MAX);

fn add(sum: &mut Option<Cents>, amount: Option<Cents>) {
    if let Some(amount) = amount {
        *sum = Some(sum.unwrap_or_default().plus(amount).unwrap_or(BEYOND));
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
        self.unsaid_paid += u64::from(amounts.medicare_paid.is_none());
        add(&mut self.sent, amounts.paid_to_patient);
        if claim.kind == Some(Kind::Pde) {
            // What was paid there is no share that is still to be paid.
            add(&mut self.at_pharmacy, amounts.patient_pays);
            self.unsaid_at_pharmacy += u64::from(amounts.patient_pays.is_none());
        } else {
            add(&mut self.share, amounts.patient_pays);
            self.unsaid_share += u64::from(amounts.patient_pays.is_none() && claim.decision.is_none());
        }
    }

    fn cells(&self, name: &str) -> Vec<Td> {
        let amounts = [self.charged, self.paid, self.share, self.at_pharmacy];
        let amounts = amounts.map(|amount| Td::Number(dollars(amount)));
        let mut cells = vec![Td::Text(name.to_owned()), Td::Number(self.claims.to_string())];
        cells.extend(amounts);
        cells
    }
}

/// Whoever has a number is known by it, whatever name a claim gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Npi(String),
    Named(String),
}

/// What the claims of somebody come to, and a name for him, if one of them has one.
#[derive(Default)]
struct Provider {
    name: Option<String>,
    sum: Sum,
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
    /// Of those that count, what Medicare did not pay.
    decided: BTreeMap<Decision, u64>,
    incomplete: u64,
    /// Years of all claims that are shown, in a sum or not; the search asks for them.
    shown_years: BTreeSet<String>,
    is_one_undated: bool,
    is_one_untyped: bool,
    first: Option<Date>,
    last: Option<Date>,
    months: BTreeMap<Month, Sum>,
    years: BTreeMap<String, Sum>,
    /// Claims that do not say on which day.
    undated: Sum,
    kinds: BTreeMap<Kind, Sum>,
    /// Claims of no known type.
    untyped: Sum,
    providers: BTreeMap<Who, Provider>,
    /// Claims that name nobody.
    nameless: u64,
    drugs: BTreeMap<String, Drug>,
    diagnoses: BTreeMap<String, (String, u64)>,
    /// The newest first, up to [`LONGEST`]; whoever stays as often has more claims than a page shows.
    stays: BTreeMap<(Reverse<Option<Date>>, u64), Vec<Td>>,
    stays_seen: u64,
}

impl Sums {
    pub(super) fn take(&mut self, claim: &Claim) {
        self.incomplete += u64::from(claim.is_incomplete);
        match claim.year() {
            Some(year) if !self.shown_years.contains(year) => {
                self.shown_years.insert(year.to_owned());
            }
            Some(_) => {}
            None => self.is_one_undated = true,
        }
        self.is_one_untyped |= claim.kind.is_none();
        if claim.standing != Standing::Final {
            *self.left_out.entry(claim.standing).or_default() += 1;
            return;
        }
        self.all.take(claim);
        if let Some(decision) = claim.decision {
            *self.decided.entry(decision).or_default() += 1;
        }
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
        self.take_provider(claim);
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

    fn take_provider(&mut self, claim: &Claim) {
        let (name, npi) = claim.party();
        let who = match (name, npi) {
            (_, Some(npi)) => Who::Npi(npi.to_owned()),
            (Some(name), None) => Who::Named(name.to_owned()),
            (None, None) => {
                self.nameless += 1;
                return;
            }
        };
        let provider = self.providers.entry(who).or_default();
        provider.sum.take(claim);
        // The last of them, as in the view of a database.
        if name > provider.name.as_deref() {
            provider.name = name.map(str::to_owned);
        }
    }

    /// What the search offers: all years of claims that are shown.
    pub(super) fn years(&self) -> impl Iterator<Item = &str> {
        let unknown = self.is_one_undated.then_some(UNKNOWN);
        self.shown_years.iter().rev().map(String::as_str).chain(unknown)
    }

    pub(super) fn is_one_untyped(&self) -> bool {
        self.is_one_untyped
    }
}

#[cfg(test)]
mod tests;
