//! The columns of both tables; `docs/export.md` says where each comes from.

use crate::fhir::claim::{Cents, Claim, Coded, Kind, Line};

/// What a cell holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'c> {
    /// The claim does not say.
    Nothing,
    /// Words, codes, dates.
    Text(std::borrow::Cow<'c, str>),
    /// A count, or yes (1) and no (0).
    Count(i64),
    /// US dollars.
    Money(Cents),
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Words, codes, dates.
    Text,
    /// A count.
    Count,
    /// US dollars with two decimals.
    Money,
}

/// A column of a table whose rows are made from `F`.
pub struct Column<F> {
    /// Its name: no other is ever given to it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Type,
    /// How it is filled.
    pub of: F,
}

/// How a cell of a claim is filled.
pub type OfClaim = for<'c> fn(&'c Claim) -> Cell<'c>;
/// How a cell of a line is filled.
pub type OfLine = for<'c> fn(&'c Claim, &'c Line) -> Cell<'c>;

fn text(text: &Option<String>) -> Cell<'_> {
    text.as_deref().map_or(Cell::Nothing, |text| Cell::Text(text.into()))
}

fn money(amount: Option<Cents>) -> Cell<'static> {
    amount.map_or(Cell::Nothing, Cell::Money)
}

fn joined<'c>(parts: impl Iterator<Item = &'c str>) -> Cell<'c> {
    let parts: Vec<&str> = parts.collect();
    if parts.is_empty() { Cell::Nothing } else { Cell::Text(parts.join(" ").into()) }
}

fn codes(coded: &[Coded]) -> Cell<'_> {
    joined(coded.iter().map(|coded| coded.code.as_str()))
}

fn count(number: usize) -> Cell<'static> {
    Cell::Count(i64::try_from(number).unwrap_or(i64::MAX))
}

macro_rules! column {
    ($name:literal, $kind:ident, $of:expr) => {
        Column { name: $name, kind: Type::$kind, of: $of }
    };
}

/// One row a claim.
pub const CLAIMS: &[Column<OfClaim>] = &[
    column!("claim_id", Text, |claim| Cell::Text(claim.id.as_str().into())),
    column!("claim_number", Text, |claim| text(&claim.number)),
    column!("claim_type", Text, |claim| claim.kind.map_or(Cell::Nothing, |kind| Cell::Text(Kind::name(kind).into()))),
    column!("is_prior_authorization", Count, |claim| count(usize::from(claim.is_prior_authorization))),
    column!("status", Text, |claim| text(&claim.status)),
    column!("outcome", Text, |claim| text(&claim.outcome)),
    column!("source", Text, |claim| text(&claim.source)),
    column!("service_start", Text, |claim| text(&claim.start)),
    column!("service_end", Text, |claim| text(&claim.end)),
    column!("provider", Text, |claim| text(&claim.provider)),
    column!("provider_npi", Text, |claim| text(&claim.provider_npi)),
    column!("practitioner", Text, |claim| text(&claim.practitioner)),
    column!("principal_diagnosis", Text, |claim| codes(claim.diagnoses.get(..1).unwrap_or_default())),
    column!("diagnoses", Text, |claim| codes(&claim.diagnoses)),
    column!("procedures", Text, |claim| codes(&claim.procedures)),
    column!("drg", Text, |claim| text(&claim.drg)),
    column!("charged", Money, |claim| money(claim.amounts.charged)),
    column!("allowed", Money, |claim| money(claim.amounts.allowed)),
    column!("medicare_paid", Money, |claim| money(claim.amounts.medicare_paid)),
    column!("paid_to_provider", Money, |claim| money(claim.amounts.paid_to_provider)),
    column!("paid_to_patient", Money, |claim| money(claim.amounts.paid_to_patient)),
    column!("deductible", Money, |claim| money(claim.amounts.deductible)),
    column!("coinsurance", Money, |claim| money(claim.amounts.coinsurance)),
    column!("not_covered", Money, |claim| money(claim.amounts.not_covered)),
    column!("patient_pays", Money, |claim| money(claim.amounts.patient_pays)),
    column!("other_paid", Money, |claim| money(claim.amounts.other_paid)),
    column!("lines", Count, |claim| count(claim.lines.len())),
    column!("last_updated", Text, |claim| text(&claim.last_updated)),
];

/// One row a line.
pub const LINES: &[Column<OfLine>] = &[
    column!("claim_id", Text, |claim, _| Cell::Text(claim.id.as_str().into())),
    column!("line", Count, |_, line| {
        line.sequence.and_then(|number| i64::try_from(number).ok()).map_or(Cell::Nothing, Cell::Count)
    }),
    column!("service_start", Text, |_, line| text(&line.start)),
    column!("service_end", Text, |_, line| text(&line.end)),
    column!("code", Text, |_, line| text(&line.code)),
    column!("modifiers", Text, |_, line| joined(line.modifiers.iter().map(String::as_str))),
    column!("revenue_center", Text, |_, line| text(&line.revenue)),
    column!("words", Text, |_, line| text(&line.words)),
    column!("place", Text, |_, line| text(&line.place)),
    column!("ndc", Text, |_, line| text(&line.ndc)),
    column!("units", Text, |_, line| text(&line.units)),
    column!("charged", Money, |_, line| money(line.charged)),
    column!("allowed", Money, |_, line| money(line.allowed)),
    column!("medicare_paid", Money, |_, line| money(line.medicare_paid)),
    column!("deductible", Money, |_, line| money(line.deductible)),
    column!("coinsurance", Money, |_, line| money(line.coinsurance)),
    column!("patient_pays", Money, |_, line| money(line.patient_pays)),
    column!("is_total", Count, |_, line| count(usize::from(line.is_total))),
];
