//! The columns of all tables. `docs/export.md` says where each one comes from.

use std::borrow::Cow;

use jiff::civil::Date;

use crate::claim::{
    self, Cents, Claim, Coded, Kind, Line, PayerDecision,
    coverage::{Contract, Coverage, Month, Part},
};

/// The value of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'c> {
    /// The claim has no value.
    Nothing,
    /// Words and codes.
    Text(Cow<'c, str>),
    /// A day.
    Day(Date),
    /// Codes, in the claim's order; there may be none.
    List(Vec<&'c str>),
    /// A count, or yes (1) and no (0).
    Count(i64),
    /// US dollars.
    Money(Cents),
}

/// The type of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Words and codes.
    Text,
    /// A day.
    Day,
    /// Codes, in the claim's order.
    List,
    /// A count.
    Count,
    /// US dollars with two decimals.
    Money,
}

/// A column of a table whose rows are made from `F`.
pub struct Column<F> {
    /// Its name, which never changes.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// How it is filled.
    pub of: F,
}

/// How a cell of a claim is filled.
pub type OfClaim = for<'c> fn(&'c Claim) -> Cell<'c>;
/// How a cell of a line is filled.
pub type OfLine = for<'c> fn(&'c Claim, &'c Line) -> Cell<'c>;

/// How a cell of the coverage table is filled.
pub type OfCoverage = for<'c> fn(&'c Coverage, Option<&'c Contract>) -> Cell<'c>;

fn text(text: &Option<String>) -> Cell<'_> {
    text.as_deref().map_or(Cell::Nothing, |text| Cell::Text(text.into()))
}

/// The claim's id without control characters. Comparing claims uses the id as it was sent.
fn id(claim: &Claim) -> Cell<'_> {
    Cell::Text(claim::clean(&claim.id))
}

fn money(amount: Option<Cents>) -> Cell<'static> {
    amount.map_or(Cell::Nothing, Cell::Money)
}

/// An incomplete date becomes an empty cell, because a date column can hold nothing else.
fn day(text: &Option<String>) -> Cell<'_> {
    text.as_deref().and_then(claim::day).map_or(Cell::Nothing, Cell::Day)
}

fn codes(coded: &[Coded]) -> Cell<'_> {
    Cell::List(coded.iter().map(|coded| coded.code.as_str()).collect())
}

fn code(coded: Option<&Coded>) -> Cell<'_> {
    coded.map_or(Cell::Nothing, |coded| Cell::Text(coded.code.as_str().into()))
}

/// The descriptions of those codes that have one.
fn words(coded: &[Coded]) -> Cell<'_> {
    let words: Vec<&str> = coded.iter().filter_map(|it| it.words.as_deref()).collect();
    if words.is_empty() { Cell::Nothing } else { Cell::Text(words.join("; ").into()) }
}

fn count(number: usize) -> Cell<'static> {
    Cell::Count(i64::try_from(number).unwrap_or(i64::MAX))
}

macro_rules! column {
    ($name:literal, $kind:ident, $of:expr) => {
        Column { name: $name, kind: Type::$kind, of: $of }
    };
}

/// One row per claim.
pub const CLAIMS: &[Column<OfClaim>] = &[
    column!("claim_id", Text, |claim| id(claim)),
    column!("claim_number", Text, |claim| text(&claim.number)),
    column!("claim_type", Text, |claim| claim.kind.map_or(Cell::Nothing, |kind| Cell::Text(Kind::name(kind).into()))),
    column!("is_prior_authorization", Count, |claim| count(usize::from(claim.is_prior_authorization))),
    column!("standing", Text, |claim| Cell::Text(claim.disposition.name().into())),
    column!("decision", Text, |claim| {
        claim.payer_decision.map_or(Cell::Nothing, |decision| Cell::Text(PayerDecision::name(decision).into()))
    }),
    column!("denial_reason", Text, |claim| code(claim.denial_reason.as_ref())),
    column!("denial_words", Text, |claim| words(claim.denial_reason.as_slice())),
    column!("status", Text, |claim| text(&claim.status)),
    column!("outcome", Text, |claim| text(&claim.outcome)),
    column!("source", Text, |claim| text(&claim.source)),
    column!("service_start", Day, |claim| day(&claim.start)),
    column!("service_end", Day, |claim| day(&claim.end)),
    column!("provider", Text, |claim| text(&claim.provider)),
    column!("provider_npi", Text, |claim| text(&claim.provider_npi)),
    column!("practitioner", Text, |claim| text(&claim.practitioner)),
    column!("practitioner_npi", Text, |claim| text(&claim.practitioner_npi)),
    column!("principal_diagnosis", Text, |claim| {
        claim
            .diagnoses
            .first()
            .filter(|_| claim.has_principal_diagnosis)
            .map_or(Cell::Nothing, |first| Cell::Text(first.code.as_str().into()))
    }),
    column!("diagnoses", List, |claim| codes(&claim.diagnoses)),
    column!("procedures", List, |claim| codes(&claim.procedures)),
    column!("days_supply", Text, |claim| text(&claim.days_supply)),
    column!("drg", Text, |claim| text(&claim.drg)),
    column!("charged", Money, |claim| money(claim.amounts.charged)),
    column!("allowed", Money, |claim| money(claim.amounts.allowed)),
    column!("medicare_paid", Money, |claim| money(claim.amounts.medicare_paid)),
    column!("paid_to_provider", Money, |claim| money(claim.amounts.paid_to_provider)),
    column!("paid_to_patient", Money, |claim| money(claim.amounts.paid_to_patient)),
    column!("deductible", Money, |claim| money(claim.amounts.deductible)),
    column!("coinsurance", Money, |claim| money(claim.amounts.coinsurance)),
    column!("blood_deductible", Money, |claim| money(claim.amounts.blood_deductible)),
    column!("not_covered", Money, |claim| money(claim.amounts.not_covered)),
    column!("patient_pays", Money, |claim| money(claim.amounts.patient_pays)),
    column!("patient_paid", Money, |claim| money(claim.amounts.patient_paid)),
    column!("patient_responsibility", Money, |claim| money(claim.amounts.patient_responsibility)),
    column!("low_income_subsidy", Money, |claim| money(claim.amounts.low_income_subsidy)),
    column!("discount", Money, |claim| money(claim.amounts.discount)),
    column!("other_paid", Money, |claim| money(claim.amounts.other_paid)),
    column!("denied_lines", Count, |claim| count(claim.denied_lines().count())),
    column!("lines", Count, |claim| count(claim.lines.len())),
    column!("last_updated", Text, |claim| text(&claim.last_updated)),
    column!("is_incomplete", Count, |claim| count(usize::from(claim.is_incomplete))),
];

/// One row per line.
pub const LINES: &[Column<OfLine>] = &[
    column!("claim_id", Text, |claim, _| id(claim)),
    column!("line", Count, |_, line| {
        line.sequence.and_then(|number| i64::try_from(number).ok()).map_or(Cell::Nothing, Cell::Count)
    }),
    column!("service_start", Day, |_, line| day(&line.start)),
    column!("service_end", Day, |_, line| day(&line.end)),
    column!("code", Text, |_, line| text(&line.code)),
    column!("modifiers", List, |_, line| Cell::List(line.modifiers.iter().map(String::as_str).collect())),
    column!("revenue_center", Text, |_, line| text(&line.revenue)),
    column!("words", Text, |_, line| text(&line.words)),
    column!("place", Text, |_, line| text(&line.place)),
    column!("place_code", Text, |_, line| text(&line.place_code)),
    column!("ndc", Text, |_, line| text(&line.ndc)),
    column!("units", Text, |_, line| text(&line.units)),
    column!("charged", Money, |_, line| money(line.charged)),
    column!("allowed", Money, |_, line| money(line.allowed)),
    column!("medicare_paid", Money, |_, line| money(line.medicare_paid)),
    column!("deductible", Money, |_, line| money(line.deductible)),
    column!("coinsurance", Money, |_, line| money(line.coinsurance)),
    column!("patient_pays", Money, |_, line| money(line.patient_pays)),
    column!("patient_paid", Money, |_, line| money(line.patient_paid)),
    column!("patient_responsibility", Money, |_, line| money(line.patient_responsibility)),
    column!("not_covered", Money, |_, line| money(line.not_covered)),
    column!("processing", Text, |_, line| code(line.processing.as_ref())),
    column!("processing_words", Text, |_, line| words(line.processing.as_slice())),
    column!("denial_reason", List, |_, line| codes(&line.denial_reasons)),
    column!("denial_words", Text, |_, line| words(&line.denial_reasons)),
    column!("is_denied", Count, |_, line| count(usize::from(line.is_denied))),
    column!("is_total", Count, |_, line| count(usize::from(line.is_total))),
];

/// One row per part of Medicare and contract.
pub const COVERAGE: &[Column<OfCoverage>] = &[
    column!("coverage_id", Text, |it, _| Cell::Text(it.id.as_str().into())),
    column!("part", Text, |it, _| it.part.map_or(Cell::Nothing, |part| Cell::Text(Part::name(part).into()))),
    column!("status", Text, |it, _| text(&it.status)),
    column!("start", Day, |it, _| day(&it.start)),
    column!("end", Day, |it, _| day(&it.end)),
    column!("ended", Text, |it, _| text(&it.ended)),
    column!("contract", Text, |_, contract| contract.map_or(Cell::Nothing, |it| Cell::Text(it.number.as_str().into()))),
    column!("plan", Text, |_, contract| contract.map_or(Cell::Nothing, |it| text(&it.plan))),
    column!("first_month", Text, |_, contract| month(contract.and_then(|it| it.from))),
    column!("last_month", Text, |_, contract| month(contract.and_then(|it| it.until))),
    column!("payer", Text, |it, _| text(&it.payer)),
    column!("medicaid", Text, |it, _| text(&it.medicaid)),
];

/// A month as `2026-01`, or as `--01` if the year is unknown.
fn month(month: Option<Month>) -> Cell<'static> {
    let Some(Month { year, month }) = month else { return Cell::Nothing };
    let year = year.map_or_else(|| "-".to_owned(), |year| format!("{year:04}"));
    Cell::Text(format!("{year}-{month:02}").into())
}

/// A table for a kind of detail that a claim can have several of. Only a database has these tables. The first column
/// is the claim's id.
pub struct Detail {
    /// Its name.
    pub name: &'static str,
    /// Names and types of its columns, after `claim_id`.
    pub columns: &'static [(&'static str, Type)],
    /// The rows of a claim, without its id.
    pub rows: for<'c> fn(&'c Claim) -> Vec<Vec<Cell<'c>>>,
}

fn coded(list: &[Coded]) -> Vec<Vec<Cell<'_>>> {
    let rows = list.iter().enumerate().map(|(index, it)| {
        vec![count(index + 1), Cell::Text(it.code.as_str().into()), text(&it.system), text(&it.words)]
    });
    rows.collect()
}

const CODED: &[(&str, Type)] =
    &[("position", Type::Count), ("code", Type::Text), ("system", Type::Text), ("words", Type::Text)];

/// The tables in addition to [`CLAIMS`] and [`LINES`].
pub const DETAILS: &[Detail] = &[
    Detail { name: "diagnoses", columns: CODED, rows: |claim| coded(&claim.diagnoses) },
    Detail { name: "procedures", columns: CODED, rows: |claim| coded(&claim.procedures) },
    Detail {
        name: "care_team",
        columns: &[("role", Type::Text), ("name", Type::Text), ("npi", Type::Text)],
        rows: |claim| {
            claim
                .care_team
                .iter()
                .map(|member| vec![text(&member.role), text(&member.name), text(&member.npi)])
                .collect()
        },
    },
    Detail {
        name: "amounts",
        columns: &[("name", Type::Text), ("cents", Type::Count)],
        rows: |claim| {
            let amounts = CLAIMS.iter().filter(|column| column.kind == Type::Money);
            amounts
                .filter_map(|column| match (column.of)(claim) {
                    Cell::Money(amount) => Some(vec![Cell::Text(column.name.into()), Cell::Count(amount.0)]),
                    _ => None,
                })
                .collect()
        },
    },
];
