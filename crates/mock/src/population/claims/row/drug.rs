//! Part D drug events (`pde`).

use super::super::Claim;
use super::super::parts::{Cents, Provider};
use super::super::tables::{DRUGS, Drug, PHARMACIES, PHARMACY_KINDS};
use super::super::vocabulary::{Code, System};
use super::{ClaimRow, Column, Details, Info, InfoValue, Line};
use crate::rng::Rng;

/// What only a drug event has.
pub(crate) struct DrugEvent {
    pub(crate) drug: &'static Drug,
    /// The number that the pharmacy gave to the prescription.
    pub(crate) prescription: u64,
    pub(crate) pharmacy: u64,
    pub(crate) pharmacy_kind: Code<'static>,
    pub(crate) pharmacy_name: Option<&'static str>,
    /// The number of the plan's contract, and of the plan under it.
    pub(crate) plan: (u64, u64),
    pub(crate) has_payment_date: bool,
}

/// The costs of a drug event. Patient and plan together pay the whole cost.
struct Cost {
    total: Cents,
    patient: Cents,
    subsidy: Cents,
    discount: Cents,
    plan: Cents,
    catastrophic: bool,
}

impl Cost {
    fn any(rng: &mut Rng, drug: &Drug, quantity: u64) -> Self {
        // A dispensing fee, so that even the cheapest drugs cost something.
        let total = Cents(quantity * rng.between(drug.price.0, drug.price.1) + rng.between(50, 400));
        let patient = total.percent(rng.between(0, 60));
        let subsidy = if rng.percent(20) { total.less(patient).percent(15) } else { Cents(0) };
        let discount = if drug.generic { Cents(0) } else { total.less(patient).less(subsidy).percent(10) };
        let plan = total.less(patient).less(subsidy).less(discount);
        Self { total, patient, subsidy, discount, plan, catastrophic: rng.percent(6) }
    }

    fn amounts(&self) -> Vec<(Column, Cents)> {
        let (below, above) = if self.catastrophic { (Cents(0), self.total) } else { (self.total, Cents(0)) };
        vec![
            (Column::CvrdDPlanPdAmt, self.plan),
            (Column::GdcBlwOoptAmt, below),
            (Column::GdcAbvOoptAmt, above),
            (Column::PtntPayAmt, self.patient),
            (Column::OthrTroopAmt, Cents(0)),
            (Column::LicsAmt, self.subsidy),
            (Column::PlroAmt, Cents(0)),
            (Column::TotRxCstAmt, self.total),
            (Column::RptdGapDscntNum, self.discount),
        ]
    }
}

pub(super) fn row<'c>(claim: &'c Claim, rng: &mut Rng) -> ClaimRow<'c> {
    let drug = rng.pick(DRUGS);
    let days = *rng.pick(&[30, 30, 30, 90, 28]);
    let units = days * drug.daily;
    let cost = Cost::any(rng, drug, units);
    let is_cancelled = rng.percent(3);
    let pharmacy = 9_000_000_000 + rng.below(1_000_000_000);
    let group = claim.group(rng);
    let prescription = rng.between(100_000, 99_999_999);
    let (kind, words) = *rng.pick(PHARMACY_KINDS);
    let pharmacy_kind = Code(System::Variable("phrmcy_srvc_type_cd"), kind, words);
    let pharmacy_name = *rng.pick(PHARMACIES);
    let pharmacy_name = (!rng.percent(25)).then_some(pharmacy_name);
    let performer = Provider::any(rng);
    let information = information(rng, drug, days, is_cancelled);
    let plan = (rng.below(40), rng.between(1, 20));
    let has_payment_date = rng.percent(30);
    let amounts = cost.amounts();
    let details =
        Details::Drug(DrugEvent { drug, prescription, pharmacy, pharmacy_kind, pharmacy_name, plan, has_payment_date });
    ClaimRow {
        is_cancelled,
        group,
        information,
        charge: cost.total,
        paid: cost.plan,
        lines: vec![Line { sequence: 1, code: Some(drug.ndc), modifier: None, units, is_denied: false, amounts }],
        ..ClaimRow::new(claim, performer, details)
    }
}

fn information(rng: &mut Rng, drug: &Drug, days: u64, is_cancelled: bool) -> Vec<(Info, InfoValue)> {
    use InfoValue::Count;
    let mut information = Vec::with_capacity(10);
    information.extend([
        (Info::Compound, InfoValue::Code("RXDINV", "Rx dispense invoice")),
        (Info::Refill, Count(rng.below(12))),
        (Info::DaysSupply, Count(days)),
        (Info::DrugCoverage, InfoValue::Code("C", "Covered")),
    ]);
    let (code, words) = *rng.pick(&[
        ("0", "No Product Selection Indicated (may also have missing values)"),
        ("1", "Substitution Not Allowed by Prescriber"),
    ]);
    information.push((Info::DispenseAsWritten, InfoValue::Code(code, words)));
    if is_cancelled {
        information.push((Info::AdjustmentDeletion, InfoValue::Code("D", "Deletion")));
    } else if rng.percent(6) {
        information.push((Info::AdjustmentDeletion, InfoValue::Code("A", "Adjustment")));
    }
    let (code, words) = *rng.pick(&[("1", "Written"), ("3", "Electronic"), ("3", "Electronic")]);
    let (brand, brand_words) = if drug.generic { ("G", "Generic Null/missing") } else { ("B", "Brand") };
    information.extend([
        (Info::PrescriptionOrigin, InfoValue::Code(code, words)),
        (Info::BrandGeneric, InfoValue::Code(brand, brand_words)),
        (Info::Residence, InfoValue::Code("01", "Home")),
        (Info::Clarification, InfoValue::Code("08", "Process compound for approved ingredients")),
    ]);
    information
}
