//! What recorded claims say about money, who treated, and what was denied. Each of these was once read wrongly.

use std::fs;

use crate::support::shared;
use bbdl::claim::{Cents, Claim, Line};
use serde_json::{Value, json};

/// A recorded claim, or the one with this id on a recorded page.
fn payload(file: &str, id: Option<&str>) -> Option<Value> {
    let text = fs::read_to_string(shared("data")?.join(file)).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    let Some(id) = id else { return Some(whole) };
    let entries = whole["entry"].as_array().unwrap();
    Some(entries.iter().map(|entry| &entry["resource"]).find(|claim| claim["id"] == id).unwrap().clone())
}

fn read(claim: &Value) -> Claim {
    Claim::read(&claim.to_string()).unwrap()
}

fn recorded(file: &str) -> Option<Claim> {
    payload(file, None).map(|claim| read(&claim))
}

fn cents(amount: Option<Cents>) -> Option<i64> {
    amount.map(|amount| amount.0)
}

/// An amount with one of CMS's names, in the form of v3.
fn entry(name: &str, value: f64) -> Value {
    json!({"category": {"coding": [{"system": "https://bluebutton.cms.gov/fhir/CodeSystem/Adjudication", "code": name}]},
        "amount": {"value": value, "currency": "USD"}})
}

#[test]
fn amounts_owed_are_not_called_paid() {
    for (file, whole, line) in [
        ("v1/eob-outpatient.json", 50_000, 50_000),
        ("v2/eob-outpatient.json", 50_000, 50_000),
        ("v3/eob-hha.json", 189, 189),
    ] {
        let Some(claim) = recorded(file) else { return };
        assert_eq!(cents(claim.amounts.patient_responsibility), Some(whole), "{file}");
        assert_eq!(cents(claim.lines[0].patient_responsibility), Some(line), "{file}");
        assert_eq!((claim.amounts.patient_paid, claim.lines[0].patient_paid), (None, None), "{file}");
    }
    let drug = recorded("v2/eob-pde.json").unwrap();
    assert_eq!(cents(drug.amounts.patient_paid), Some(23_585));
    assert_eq!(cents(drug.lines[0].patient_paid), Some(23_585));
    assert_eq!(drug.amounts.patient_responsibility, None);
}

#[test]
fn a_paid_claim_can_hold_denied_lines() {
    let Some(claim) = payload("v1/eob-search-page-1.json", Some("carrier-22289703264")) else { return };
    let claim = read(&claim);
    assert_eq!((claim.payer_decision, claim.lines.len(), claim.denied_lines().count()), (None, 5, 4));
    for line in claim.denied_lines() {
        let processing = line.processing.as_ref().unwrap();
        assert_eq!(processing.code, "M");
        assert_eq!(processing.words.as_deref(), Some("Multiple submittal--duplicate line item"));
        assert_eq!((line.denial_reasons[0].code.as_str(), line.patient_pays), ("M", None));
        assert_eq!(line.why_denied().as_deref(), Some("this service was billed more than once"));
    }
    let paid = &claim.lines[0];
    assert_eq!((paid.is_denied, paid.processing.as_ref().unwrap().code.as_str()), (false, "A"));
    assert!(paid.why_denied().is_none() && paid.patient_pays.is_some() && paid.denial_reasons.is_empty());
}

#[test]
fn lines_of_a_denied_claim_are_denied() {
    let Some(claim) = payload("v1/eob-search-page-1.json", Some("carrier-21957368585")) else { return };
    let claim = read(&claim);
    let reason = claim.denial_reason.as_ref().unwrap();
    assert_eq!((reason.code.as_str(), reason.words.as_deref()), ("0", Some("Denied")));
    assert_eq!(claim.denied_lines().count(), 11);
    // Code Z (part of another test) together with a payment of 2.68.
    let paid = recorded("v3/eob-carrier.json").unwrap();
    assert_eq!(paid.lines[0].processing.as_ref().unwrap().code, "Z");
    assert_eq!((paid.denied_lines().count(), cents(paid.lines[0].medicare_paid)), (0, Some(268)));
}

#[test]
fn denial_reasons_of_hospital_lines_are_read() {
    for version in ["v1", "v2"] {
        let Some(claim) = recorded(&format!("{version}/eob-outpatient.json")) else { return };
        let codes = |line: &Line| line.denial_reasons.iter().map(|it| it.code.clone()).collect::<Vec<_>>();
        assert_eq!(codes(&claim.lines[0]), ["CO120", "CR121"], "{version}");
        assert!(!claim.lines[0].is_denied && claim.lines[0].not_covered.is_some(), "{version}: 5000 was paid for it");
    }
    let mut claim = payload("v2/eob-outpatient.json", None).unwrap();
    for entry in claim["item"][0]["adjudication"].as_array_mut().unwrap() {
        let name = entry["category"].to_string();
        if name.contains("rev_cntr_ncvrd_chrg_amt") {
            entry["amount"]["value"] = json!(999.85);
        } else if name.contains("rev_cntr_pmt_amt_amt") {
            entry["amount"]["value"] = json!(0);
        }
    }
    let line = &read(&claim).lines[0];
    assert!(line.is_denied && line.patient_pays.is_none(), "nothing of it is covered, and nothing was paid");
    assert!(line.why_denied().unwrap().contains("CO120"));
}

#[test]
fn the_only_line_of_a_claim_says_what_is_not_covered() {
    let Some(mut claim) = payload("v2/eob-outpatient.json", None) else { return };
    let line = claim["item"][0].clone();
    let amount = read(&claim).amounts.not_covered;
    assert!(amount > Some(Cents(0)));
    claim["item"][0]["revenue"] =
        json!({"coding": [{"system": "https://bluebutton.cms.gov/resources/variables/rev_cntr", "code": "0001"}]});
    assert_eq!(read(&claim).amounts.not_covered, amount, "a claim with nothing but its totals");
    let total = claim["item"][0].clone();
    claim["item"] = json!([line, total]);
    assert_eq!(read(&claim).amounts.not_covered, amount, "a line and the totals");
}

#[test]
fn payments_to_the_patient_come_from_the_header() {
    for (file, of_lines, header) in [
        ("v3/eob-carrier.json", Some(406), 13.22),
        ("v3/eob-dme.json", None, 44.44),
        ("v3/eob-outpatient.json", None, 44.44),
    ] {
        let Some(mut claim) = payload(file, None) else { return };
        let before = cents(read(&claim).amounts.paid_to_patient);
        assert!(of_lines.is_none() || before == of_lines, "{file}: {before:?}");
        claim["total"].as_array_mut().unwrap().push(entry("CLM_BENE_PD_AMT", header));
        assert_eq!(cents(read(&claim).amounts.paid_to_patient), Some((header * 100.0).round() as i64), "{file}");
    }
}

#[test]
fn drug_amounts_are_read_by_who_paid() {
    let Some(mut claim) = payload("v3/eob-pde.json", None) else { return };
    let drug = read(&claim);
    assert_eq!(cents(drug.amounts.charged), Some(187_534_698));
    assert_eq!(cents(drug.amounts.low_income_subsidy), Some(1_701_883));
    assert_eq!(cents(drug.amounts.discount), Some(28_437_662));
    // 107.38, and 418955.81 by which other payers reduced what the patient owes.
    assert_eq!(cents(drug.amounts.other_paid), Some(41_906_319));
    assert_eq!(drug.amounts.medicare_paid, None);
    let adjudication = claim["item"][0]["adjudication"].as_array_mut().unwrap();
    adjudication.retain(|entry| !entry["category"].to_string().contains("TOT_RX_CST_AMT"));
    adjudication.extend([entry("CLM_LINE_CVRD_PD_AMT", 10.5), entry("CLM_LINE_NCVRD_PD_AMT", 2.25)]);
    let total = claim["total"].as_array_mut().unwrap();
    total.retain(|entry| !entry["category"].to_string().contains("TOT_RX_CST_AMT"));
    total.push(entry("CLM_SBMT_CHRG_AMT", 799_061.375));
    let drug = read(&claim);
    assert_eq!(cents(drug.amounts.charged), Some(79_906_138));
    assert_eq!((cents(drug.amounts.medicare_paid), cents(drug.lines[0].medicare_paid)), (Some(1275), Some(1275)));
    for version in ["v1", "v2"] {
        let drug = recorded(&format!("{version}/eob-pde.json")).unwrap();
        let amounts = [drug.amounts.low_income_subsidy, drug.amounts.discount, drug.amounts.other_paid];
        assert_eq!(amounts.map(cents), [Some(12_223), Some(31_722), Some(5972)], "{version}");
    }
}

#[test]
fn doctors_and_suppliers_claims_have_no_deductible_for_blood() {
    for file in ["v3/eob-dme.json", "v3/eob-dme-partial.json", "v3/eob-hha.json", "v3/eob-hospice.json"] {
        let Some(claim) = recorded(file) else { return };
        assert_eq!(claim.amounts.blood_deductible, None, "{file}");
    }
    let stay = recorded("v3/eob-snf.json").unwrap();
    assert_eq!(cents(stay.amounts.blood_deductible), Some(315));
}

#[test]
fn the_provider_is_the_same_at_both_versions() {
    for kind in ["carrier", "dme", "hha", "hospice", "inpatient", "outpatient", "pde", "snf"] {
        let [Some(one), Some(two)] = ["v1", "v2"].map(|version| recorded(&format!("{version}/eob-{kind}.json"))) else {
            return;
        };
        assert_eq!(
            (one.practitioner, one.practitioner_npi.clone()),
            (two.practitioner, two.practitioner_npi),
            "{kind}"
        );
        assert!(one.practitioner_npi.is_some(), "{kind}");
    }
}

#[test]
fn amounts_in_other_currencies_are_refused_and_reported() {
    for (file, currency) in
        [("v1/eob-carrier.json", "code"), ("v2/eob-carrier.json", "currency"), ("v3/eob-carrier.json", "currency")]
    {
        let Some(mut claim) = payload(file, None) else { return };
        assert!(!read(&claim).is_incomplete, "{file}");
        claim["payment"]["amount"][currency] = "EUR".into();
        let claim = read(&claim);
        assert_eq!((claim.amounts.medicare_paid, claim.is_incomplete), (None, true), "{file}");
    }
}

#[test]
fn a_diagnosis_with_and_without_its_dot_is_the_same() {
    let Some(mut claim) = payload("v3/eob-carrier.json", None) else { return };
    let codes = |claim: &Value| read(claim).diagnoses.into_iter().map(|it| it.code).collect::<Vec<_>>();
    let before = codes(&claim);
    assert!(before.contains(&"R465".to_owned()));
    let mut dotted = claim["diagnosis"][1].clone();
    dotted["diagnosisCodeableConcept"]["coding"][0]["code"] = "R46.5".into();
    claim["diagnosis"].as_array_mut().unwrap().push(dotted);
    assert_eq!(codes(&claim), before);
}

#[test]
fn a_claim_of_unknown_form_is_marked_incomplete() {
    let Some(mut claim) = payload("v1/eob-carrier.json", None) else { return };
    let text = claim["type"]
        .to_string()
        .replace("https://bluebutton.cms.gov/resources", "https://www.ccwdata.org/cs/groups/public");
    claim["type"] = serde_json::from_str(&text.replace("eob-type", "clm_type.txt")).unwrap();
    assert_eq!((read(&claim).kind, read(&claim).is_incomplete), (None, true));
}
