//! Totals over claims: by month, type, provider, drug and diagnosis.

mod sections;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::{Span, civil::Date};

use super::{
    billable::{billable, uncovered},
    claims::{UNKNOWN, coded, drug, service, unexplained},
    html::Td,
    preventive,
    words::{calm, capitalized, dollars, number, said_date},
};
use crate::claim::{Cents, Claim, Disposition, Kind, Line, PayerDecision};

/// The most rows that one list shows. A person's claims can name hundreds of providers.
const LONGEST: usize = 50;

/// Totals of several claims. A claim without an amount adds nothing. If no claim has the amount, there
/// is no total.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    claims: u64,
    charged: Option<Cents>,
    /// Claims that do not say what was billed.
    unsaid_charged: u64,
    paid: Option<Cents>,
    /// Claims that do not say what was paid.
    unsaid_paid: u64,
    /// What Medicare sent to the patient.
    sent: Option<Cents>,
    /// The patient's share, without drugs.
    share: Option<Cents>,
    /// Claims that have no share, although claims of their kind can have one.
    unsaid_share: u64,
    /// What Medicare does not cover, without drugs.
    not_covered: Option<Cents>,
    /// The patient's share and what is not covered, together.
    billable: Option<Cents>,
    /// Lines that were not approved.
    denied: u64,
    /// What was paid for drugs at the pharmacy.
    at_pharmacy: Option<Cents>,
    /// Fills without that amount.
    unsaid_at_pharmacy: u64,
}

/// The day of a line in words, or that of its claim if the line has none.
fn day_of(claim: &Claim, line: &Line) -> String {
    line.start.as_deref().or(claim.start.as_deref()).map(said_date).unwrap_or_default()
}

/// Marks a total that is too large for [`Cents`]. It stays so after further additions, and [`Cents::plus`] then
/// returns no total.
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
        self.unsaid_charged += u64::from(amounts.charged.is_none());
        add(&mut self.paid, amounts.medicare_paid);
        self.unsaid_paid += u64::from(amounts.medicare_paid.is_none());
        add(&mut self.sent, amounts.paid_to_patient);
        self.denied += claim.denied_services();
        if claim.kind == Some(Kind::Pde) {
            // What was paid at the pharmacy is not owed any more, so it is not part of the share.
            add(&mut self.at_pharmacy, amounts.patient_pays);
            self.unsaid_at_pharmacy += u64::from(amounts.patient_pays.is_none());
        } else {
            add(&mut self.share, amounts.patient_pays);
            add(&mut self.not_covered, uncovered(claim));
            add(&mut self.billable, billable(claim));
            self.unsaid_share += u64::from(amounts.patient_pays.is_none() && claim.payer_decision.is_none());
        }
    }

    fn cells(&self, name: &str) -> Vec<Td> {
        let amounts = [self.charged, self.paid, self.share, self.not_covered, self.at_pharmacy];
        let amounts = amounts.map(|amount| Td::Number(dollars(amount)));
        let mut cells = vec![Td::Text(name.to_owned()), Td::Number(self.claims.to_string())];
        cells.extend(amounts);
        cells
    }
}

/// A provider. One with an NPI is identified by it, even if claims give different names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Npi(String),
    Named(String),
}

/// The totals of one provider's claims, and the provider's name if a claim has it.
#[derive(Default)]
struct Provider {
    name: Option<String>,
    contact: Option<String>,
    last: Option<Date>,
    sum: Sum,
}

/// The totals of one medicine's fills.
#[derive(Default)]
struct Drug {
    sum: Sum,
    /// In hundredths of days, because a claim may have a fraction of a day.
    days: Cents,
    /// Fills that have a number of days.
    with_days: u64,
    /// The first and the last fill that have a date: when, what it cost, which refill it was.
    first: Option<Fill>,
    last: Option<Fill>,
}

#[derive(Clone)]
struct Fill {
    day: Date,
    cost: Option<Cents>,
    refill: Option<String>,
}

/// Who paid for the drugs of a year.
#[derive(Clone, Copy, Default)]
struct DrugYear {
    fills: u64,
    cost: Option<Cents>,
    plan: Option<Cents>,
    you: Option<Cents>,
    extra_help: Option<Cents>,
    discount: Option<Cents>,
    others: Option<Cents>,
    /// The part of the price that no payer accounts for.
    unexplained: Option<Cents>,
}

/// The newest rows of a table, and how many rows there were in all.
#[derive(Default)]
pub(super) struct Newest {
    rows: BTreeMap<(Reverse<Option<Date>>, u64), Vec<Td>>,
    seen: u64,
}

impl Newest {
    fn take(&mut self, day: Option<Date>, row: impl FnOnce() -> Vec<Td>) {
        self.seen += 1;
        let place = (Reverse(day), self.seen);
        if self.rows.len() < LONGEST || self.rows.last_key_value().is_some_and(|(last, _)| place < *last) {
            self.rows.insert(place, row());
            if self.rows.len() > LONGEST {
                self.rows.pop_last();
            }
        }
    }

    fn rows(&self) -> Vec<Vec<Td>> {
        self.rows.values().cloned().collect()
    }

    /// The caption. It says so if not all rows are shown.
    fn caption(&self, words: &str) -> String {
        match self.rows.len() {
            shown if self.seen > shown as u64 => format!("{words}, the last {shown} of {}", self.seen),
            _ => words.to_owned(),
        }
    }
}

#[derive(Default)]
pub(super) struct Sums {
    /// The last day that the page covers.
    pub(super) as_of: Option<Date>,
    /// The one year that the page is limited to, if any.
    pub(super) year: Option<i16>,
    all: Sum,
    /// The twelve months until `as_of`, or the year.
    recent: Sum,
    /// Claims of the recent time that were denied as a whole, and those a plan paid.
    recent_decided: BTreeMap<PayerDecision, u64>,
    /// The deductible of this year: of part A, of part B.
    deductible: [Option<Cents>; 2],
    left_out: BTreeMap<Disposition, u64>,
    /// Claims that count, but that Medicare did not pay.
    decided: BTreeMap<PayerDecision, u64>,
    incomplete: u64,
    /// Years of all claims on the page, counted or not. The search offers them.
    shown_years: BTreeSet<String>,
    is_one_undated: bool,
    is_one_untyped: bool,
    first: Option<Date>,
    last: Option<Date>,
    months: BTreeMap<Month, Sum>,
    years: BTreeMap<String, Sum>,
    /// Claims without a date.
    undated: Sum,
    kinds: BTreeMap<Kind, Sum>,
    /// Claims of no known type.
    untyped: Sum,
    providers: BTreeMap<Who, Provider>,
    /// Claims without a provider.
    nameless: u64,
    drugs: BTreeMap<String, Drug>,
    drug_years: BTreeMap<String, DrugYear>,
    /// By the code, and whether it is of ICD-9 if ICD-10 has it too.
    diagnoses: BTreeMap<(String, bool), (String, u64)>,
    denied: Newest,
    preventive: Newest,
    stays: Newest,
    equipment: Newest,
}

impl Sums {
    /// Totals for a page that ends on this day, for one year or for all.
    pub(super) fn until(as_of: Option<Date>, year: Option<i16>) -> Self {
        Self { as_of, year, ..Self::default() }
    }

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
        if claim.disposition != Disposition::Final {
            *self.left_out.entry(claim.disposition).or_default() += 1;
            return;
        }
        self.all.take(claim);
        if let Some(decision) = claim.payer_decision {
            *self.decided.entry(decision).or_default() += 1;
        }
        // A text that is not a valid date belongs to no period.
        if let Some(day) = claim.first_day() {
            self.first = Some(self.first.map_or(day, |first| first.min(day)));
            self.last = Some(self.last.map_or(day, |last| last.max(day)));
            self.months.entry(Month::of(day)).or_default().take(claim);
            self.years.entry(format!("{:04}", day.year())).or_default().take(claim);
            self.take_recent(claim, day);
        } else {
            self.undated.take(claim);
        }
        claim.kind.map_or(&mut self.untyped, |kind| self.kinds.entry(kind).or_default()).take(claim);
        self.take_provider(claim);
        self.take_drug(claim);
        for diagnosis in &claim.diagnoses {
            let key = (diagnosis.code.clone(), diagnosis.is_shared_icd_9());
            let (words, count) = self.diagnoses.entry(key).or_default();
            *count += 1;
            if let (true, Some(said)) = (words.is_empty(), &diagnosis.words) {
                *words = calm(said);
            }
        }
        let text = |text: &Option<String>| Td::Day(text.as_deref().map(said_date).unwrap_or_default());
        let who = || Td::Text(claim.who().unwrap_or_default());
        let amount = |amount: Option<Cents>| Td::Number(dollars(amount));
        let day = claim.first_day();
        if matches!(claim.kind, Some(Kind::Inpatient | Kind::Snf)) {
            self.stays.take(day, || {
                let drg = Td::Text(claim.drg.clone().unwrap_or_default());
                let amounts = [claim.amounts.charged, claim.amounts.medicare_paid, claim.amounts.patient_pays];
                [text(&claim.start), text(&claim.end), who(), drg].into_iter().chain(amounts.map(amount)).collect()
            });
        }
        for line in claim.lines.iter().filter(|line| claim.kind == Some(Kind::Dme) && !line.is_total) {
            let cells = [text(&claim.start), Td::Text(service(line)), who()];
            let amounts = [line.charged, line.patient_pays].map(amount);
            self.equipment.take(day, || cells.into_iter().chain(amounts).collect());
        }
        for line in preventive::lines(claim) {
            self.preventive.take(day, || {
                let cells = [Td::Day(day_of(claim, line)), Td::Text(service(line)), who()];
                cells.into_iter().chain([amount(line.patient_pays)]).collect()
            });
        }
        for line in claim.denied_lines() {
            self.denied.take(day, || {
                let cells = [Td::Day(day_of(claim, line)), who(), Td::Text(service(line))];
                let why = Td::Text(capitalized(&line.why_denied().unwrap_or_default()));
                cells.into_iter().chain([why, amount(line.charged)]).collect()
            });
        }
        if claim.lines.is_empty() && claim.denied_services() > 0 {
            self.denied.take(day, || {
                let why = claim.denial_reason.as_ref().map(coded).unwrap_or_default();
                let cells = [text(&claim.start), who(), Td::Text("This claim".to_owned())];
                cells.into_iter().chain([Td::Text(capitalized(&why)), amount(claim.amounts.charged)]).collect()
            });
        }
    }

    /// Counts what belongs to the last twelve months, or to the year that the page is limited to.
    fn take_recent(&mut self, claim: &Claim, day: Date) {
        let Some(as_of) = self.as_of else { return };
        let is_recent = match self.year {
            Some(year) => day.year() == year,
            None => day <= as_of && day > as_of.saturating_sub(Span::new().years(1)),
        };
        if is_recent {
            self.recent.take(claim);
            if let Some(decision) = claim.payer_decision {
                *self.recent_decided.entry(decision).or_default() += 1;
            }
        }
        if day.year() == self.this_year() && claim.payer_decision.is_none() {
            let part = match claim.kind {
                Some(Kind::Inpatient | Kind::Snf) => 0,
                Some(Kind::Carrier | Kind::Dme | Kind::Outpatient) => 1,
                _ => return,
            };
            add(&mut self.deductible[part], claim.amounts.deductible);
        }
    }

    /// The year that is shown first.
    fn this_year(&self) -> i16 {
        self.year.or(self.as_of.map(Date::year)).unwrap_or_default()
    }

    fn take_drug(&mut self, claim: &Claim) {
        if claim.kind != Some(Kind::Pde) {
            return;
        }
        let amounts = &claim.amounts;
        let year = self.drug_years.entry(claim.year().unwrap_or("No date").to_owned()).or_default();
        year.fills += 1;
        for (sum, amount) in [
            (&mut year.cost, amounts.charged),
            (&mut year.plan, amounts.medicare_paid),
            (&mut year.you, amounts.patient_pays),
            (&mut year.extra_help, amounts.low_income_subsidy),
            (&mut year.discount, amounts.discount),
            (&mut year.others, amounts.other_paid),
            (&mut year.unexplained, unexplained(claim)),
        ] {
            add(sum, amount);
        }
        let Some(name) = drug(claim) else { return };
        let drug = self.drugs.entry(name).or_default();
        drug.sum.take(claim);
        if let Some(days) = claim.days_supply.as_deref().and_then(Cents::read) {
            drug.days = drug.days + days;
            drug.with_days += 1;
        }
        if let Some(day) = claim.first_day() {
            let fill = Fill { day, cost: amounts.charged, refill: claim.refill.as_deref().map(number) };
            if drug.first.as_ref().is_none_or(|first| day < first.day) {
                drug.first = Some(fill.clone());
            }
            if drug.last.as_ref().is_none_or(|last| day >= last.day) {
                drug.last = Some(fill);
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
        provider.last = provider.last.max(claim.first_day());
        if provider.contact.is_none() {
            provider.contact.clone_from(&claim.provider_contact);
        }
        // Takes the last name in order, like the database's view.
        if name > provider.name.as_deref() {
            provider.name = name.map(str::to_owned);
        }
    }

    /// The years that the search offers: those of all claims on the page.
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
