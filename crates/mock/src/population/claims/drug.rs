//! Part D drug events (`pde`).

use jiff::Timestamp;

use super::json::{Digits, Json};
use super::parts::{Cents, Provider};
use super::sections::{CareTeam, SupportingInfo};
use super::tables::{DRUGS, Drug, PHARMACIES, PHARMACY_KINDS};
use super::vocabulary::{
    BENEFIT, COINSURANCE, Code, DISCOUNT, DRUG_COST, NDC, PAID_BY_PATIENT, PRESCRIBING, PRIOR_PAYER, System, US_NPI,
};
use super::{Claim, types};
use crate::rng::Rng;

/// The money of a drug event. What the patient and the plan pay is the whole cost.
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
        // A dispensing fee keeps the cheapest drugs from costing nothing.
        let total = Cents(quantity * rng.between(drug.price.0, drug.price.1) + rng.between(50, 400));
        let patient = total.percent(rng.between(0, 60));
        let subsidy = if rng.percent(20) { total.less(patient).percent(15) } else { Cents(0) };
        let discount = if drug.generic { Cents(0) } else { total.less(patient).less(subsidy).percent(10) };
        let plan = total.less(patient).less(subsidy).less(discount);
        Self { total, patient, subsidy, discount, plan, catastrophic: rng.percent(6) }
    }
}

/// Writes the inside of the resource.
pub(super) fn write(json: &mut Json<'_>, claim: &Claim, created: Timestamp, rng: &mut Rng) {
    let drug = rng.pick(DRUGS);
    let days = *rng.pick(&[30, 30, 30, 90, 28]);
    let quantity = days * drug.daily;
    let cost = Cost::any(rng, drug, quantity);
    let cancelled = rng.percent(3);
    let pharmacy = 9_000_000_000 + rng.below(1_000_000_000);

    claim.head(json, "Pharmacy");
    json.put_list("identifier", |json| {
        json.claim_identifiers("pde_id", claim.number, claim.group(rng));
        json.prescription_number(rng.between(100_000, 99_999_999));
    });
    claim.status(json, cancelled);
    types(json, claim.kind, ("", ""), "PDE");
    claim.patient(json);
    json.period("billablePeriod", claim.start, claim.end);
    claim.created(json, created);
    json.put_object("provider", |json| {
        json.put_object("identifier", |json| {
            json.put("system", US_NPI);
            json.put("value", Digits(pharmacy, 10));
        });
    });
    json.put_object("facility", |json| {
        let (kind, words) = rng.pick(PHARMACY_KINDS);
        json.put_list("extension", |json| json.variable("phrmcy_srvc_type_cd", kind, words));
        json.put_object("identifier", |json| {
            json.concept("type", &[Code(System::Carin("C4BBIdentifierType"), "npi", "")]);
            json.put("value", Digits(pharmacy, 10));
        });
        let name = rng.pick(PHARMACIES);
        json.put_some("display", (!rng.percent(25)).then_some(*name));
    });
    json.put("outcome", "complete");
    let prescriber = Provider::any(rng);
    json.put_list("careTeam", |json| {
        CareTeam::new().add(json, &prescriber, PRESCRIBING);
    });
    json.put_list("supportingInfo", |json| supporting_info(json, rng, drug, days, cancelled));
    claim.insurance(json, 'd', |json| {
        json.put_list("extension", |json| {
            json.variable_identifier("plan_cntrct_rec_id", format_args!("Z{:04}", rng.below(40)));
            json.variable_identifier("plan_pbp_rec_num", Digits(rng.between(1, 20), 3));
        });
    });
    json.put_list("item", |json| json.object(|json| item(json, claim, drug, quantity, &cost)));
    json.put_list("total", |json| {
        json.object(|json| {
            json.concept("category", &[DRUG_COST]);
            json.money("amount", cost.total);
        });
    });
    if rng.percent(30) {
        json.put_object("payment", |json| json.put("date", claim.processed()));
    }
}

fn supporting_info(json: &mut Json<'_>, rng: &mut Rng, drug: &Drug, days: u64, cancelled: bool) {
    let mut info = SupportingInfo::new();
    info.add_carin(json, ("compoundcode", "Compound Code"), |json| {
        json.concept("code", &[Code(System::Terminology("v3-ActCode"), "RXDINV", "Rx dispense invoice")]);
    });
    info.add_carin(json, ("refillnum", "Refill Number"), |json| {
        json.put_object("valueQuantity", |json| json.put("value", rng.below(12)));
    });
    info.add_carin(json, ("dayssupply", "Days Supply"), |json| {
        json.put_object("valueQuantity", |json| json.put("value", days));
    });
    info.add_code(json, "drug_cvrg_stus_cd", "Drug Coverage Status Code", "C", "Covered");
    let (code, words) = *rng.pick(&[
        ("0", "No Product Selection Indicated (may also have missing values)"),
        ("1", "Substitution Not Allowed by Prescriber"),
    ]);
    info.add_code(json, "daw_prod_slctn_cd", "Dispense as Written (DAW) Product Selection Code", code, words);
    if cancelled {
        info.add_code(json, "adjstmt_dltn_cd", "Adjustment Deletion Code", "D", "Deletion");
    } else if rng.percent(6) {
        info.add_code(json, "adjstmt_dltn_cd", "Adjustment Deletion Code", "A", "Adjustment");
    }
    info.add_carin(json, ("rxorigincode", "Rx Origin Code"), |json| {
        let (code, words) = *rng.pick(&[("1", "Written"), ("3", "Electronic"), ("3", "Electronic")]);
        json.concept("code", &[Code(System::Variable("rx_orgn_cd"), code, words)]);
    });
    info.add_carin(json, ("brandgenericindicator", "Brand Generic Indicator"), |json| {
        let (code, words) = if drug.generic { ("G", "Generic Null/missing") } else { ("B", "Brand") };
        json.concept("code", &[Code(System::Variable("brnd_gnrc_cd"), code, words)]);
    });
    info.add_code(json, "ptnt_rsdnc_cd", "Patient Residence Code", "01", "Home");
    info.add_code(
        json,
        "submsn_clr_cd",
        "Submission clarification code",
        "08",
        "Process compound for approved ingredients",
    );
}

fn item(json: &mut Json<'_>, claim: &Claim, drug: &Drug, quantity: u64, cost: &Cost) {
    json.put("sequence", 1);
    json.put_list("careTeamSequence", |json| json.item(1));
    json.concept("productOrService", &[Code(NDC, drug.ndc, drug.name)]);
    json.put("servicedDate", claim.end);
    // Quantities have decimals in the database, hence always `30.0`.
    json.put_object("quantity", |json| {
        let whole_amounts = std::mem::replace(&mut json.whole_amounts, false);
        json.put("value", Cents(quantity * 100));
        json.whole_amounts = whole_amounts;
    });
    let (below, above) = if cost.catastrophic { (Cents(0), cost.total) } else { (cost.total, Cents(0)) };
    json.put_list("adjudication", |json| {
        for (category, variable, words, amount) in [
            (
                BENEFIT,
                "cvrd_d_plan_pd_amt",
                "Amount paid by Part D plan for the PDE (drug is covered by Part D)",
                cost.plan,
            ),
            (COINSURANCE, "gdc_blw_oopt_amt", "Gross Drug Cost Below Part D Out-of-Pocket Threshold (GDCB)", below),
            (COINSURANCE, "gdc_abv_oopt_amt", "Gross Drug Cost Above Part D Out-of-Pocket Threshold (GDCA)", above),
            (PAID_BY_PATIENT, "ptnt_pay_amt", "Amount Paid by Patient", cost.patient),
            (PRIOR_PAYER, "othr_troop_amt", "Other True Out-of-Pocket (TrOOP) Amount", Cents(0)),
            (DISCOUNT, "lics_amt", "Amount paid for the PDE by Part D low income subsidy", cost.subsidy),
            (
                PRIOR_PAYER,
                "plro_amt",
                "Reduction in patient liability due to payments by other payers (PLRO)",
                Cents(0),
            ),
            (DRUG_COST, "tot_rx_cst_amt", "Total drug cost (Part D)", cost.total),
            (DISCOUNT, "rptd_gap_dscnt_num", "Gap Discount Amount", cost.discount),
        ] {
            json.adjudication(category, variable, words, amount);
        }
    });
}
