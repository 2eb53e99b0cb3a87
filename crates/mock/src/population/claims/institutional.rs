//! Claims of institutions: hospital (in and out), nursing facility, home health, hospice.

use jiff::Timestamp;

use super::json::{Digits, Json};
use super::parts::{Cents, Provider};
use super::revenue::{balance, item, revenue};
use super::sections::{CareTeam, benefit_balance};
use super::stay::supporting_info;
use super::tables::{ORGANIZATIONS, PROCEDURES, STATES, diagnosis};
use super::vocabulary::{ATTENDING, Code, OPERATING, OTHER_OPERATING, PERFORMING, SUBMITTED, System, US_NPI};
use super::{Claim, Kind, near_line_record, types};
use crate::rng::Rng;

/// Writes the inside of the resource.
pub(super) fn write(json: &mut Json<'_>, claim: &Claim, created: Timestamp, rng: &mut Rng) {
    let (mut revenue, total) = revenue(rng, claim.kind);
    let cancelled = rng.percent(3);
    let named = !rng.percent(4);

    claim.head(json, profile(claim.kind));
    if named {
        json.put_list("contained", |json| json.object(|json| organization(json, rng)));
    }
    json.put_list("extension", |json| extensions(json, claim, rng, cancelled));
    json.put_list("identifier", |json| json.claim_identifiers("clm_id", claim.number, claim.group(rng)));
    claim.status(json, cancelled);
    let (cms, blue) = claim_type(claim.kind);
    types(json, claim.kind, cms, blue);
    if claim.kind != Kind::Outpatient || rng.percent(30) {
        sub_type(json, claim.kind);
    }
    claim.patient(json);
    json.put_object("billablePeriod", |json| {
        json.put_list("extension", |json| json.variable("claim_query_cd", "3", "Final bill"));
        json.put("start", claim.start);
        json.put("end", claim.end);
    });
    claim.created(json, created);
    if named {
        json.put_object("provider", |json| json.put("reference", "#provider-org"));
    }
    json.put_object("facility", |json| {
        let (code, words) = facility(claim.kind);
        json.put_list("extension", |json| json.variable("clm_fac_type_cd", code, words));
    });
    json.put("outcome", "complete");
    let mut performing = 0;
    json.put_list("careTeam", |json| performing = care_team(json, rng, claim.kind));
    json.put_list("supportingInfo", |json| supporting_info(json, claim, rng));
    json.put_list("diagnosis", |json| diagnoses(json, rng, claim.kind));
    procedures(json, claim, rng);
    let part = if matches!(claim.kind, Kind::Outpatient | Kind::Hha) { 'b' } else { 'a' };
    claim.insurance(json, part, |_| ());
    let state = rng.pick(STATES).postal;
    json.put_list("item", |json| {
        for (sequence, entry) in (1..).zip(revenue.drain(..)) {
            json.object(|json| item(json, claim, rng, (sequence, performing, state), &entry));
        }
    });
    json.put_list("total", |json| {
        json.adjudication(SUBMITTED, "clm_tot_chrg_amt", "Claim Total Charge Amount", total.charge);
    });
    json.put_object("payment", |json| json.money("amount", total.paid));
    benefit_balance(json, |json| balance(json, claim, &total));
}

fn profile(kind: Kind) -> &'static str {
    match kind {
        Kind::Outpatient => "Outpatient-Institutional",
        // The server's own mistake: home health claims name the professional profile.
        Kind::Hha => "Professional-NonClinician",
        _ => "Inpatient-Institutional",
    }
}

fn claim_type(kind: Kind) -> ((&'static str, &'static str), &'static str) {
    match kind {
        Kind::Hha => (("10", "Home Health Agency (HHA) claim"), "HHA"),
        Kind::Hospice => (("50", "Hospice claim"), "HOSPICE"),
        Kind::Inpatient => (("60", "Inpatient claim"), "INPATIENT"),
        Kind::Snf => (("20", "Non swing bed Skilled Nursing Facility (SNF) claim"), "SNF"),
        _ => (("40", "Hospital Outpatient claim"), "OUTPATIENT"),
    }
}

fn facility(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Hha => ("3", "Home Health Agency (HHA)"),
        Kind::Hospice => ("8", "Ambulatory Surgery Center (ASC) or other special facility (e.g. hospice)"),
        Kind::Snf => ("2", "Skilled Nursing Facility (SNF)"),
        _ => ("1", "Hospital"),
    }
}

fn sub_type(json: &mut Json<'_>, kind: Kind) {
    let (code, words) =
        if kind == Kind::Outpatient { ("outpatient", "Outpatient") } else { ("inpatient", "Inpatient") };
    json.put_object("subType", |json| {
        json.codings(&[Code(System::Carin("C4BBInstitutionalClaimSubType"), code, "")]);
        json.put("text", words);
    });
}

fn organization(json: &mut Json<'_>, rng: &mut Rng) {
    json.put("resourceType", "Organization");
    json.put("id", "provider-org");
    json.put_object("meta", |json| {
        json.put_list("profile", |json| {
            json.item("http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-Organization");
        });
    });
    json.put_list("identifier", |json| {
        json.object(|json| {
            json.concept("type", &[Code(System::Terminology("v2-0203"), "PRN", "")]);
            json.put("value", Digits(rng.between(10_000, 999_999), 6));
        });
        json.object(|json| {
            json.concept("type", &[Code(System::Carin("C4BBIdentifierType"), "npi", "")]);
            json.put("system", US_NPI);
            json.put("value", Digits(9_000_000_000 + rng.below(1_000_000_000), 10));
        });
    });
    json.put("active", true);
    let name = rng.pick(ORGANIZATIONS);
    json.put("name", *name);
}

fn extensions(json: &mut Json<'_>, claim: &Claim, rng: &mut Rng, cancelled: bool) {
    let (code, words) = near_line_record(claim.kind);
    json.variable("nch_near_line_rec_ident_cd", code, words);
    if matches!(claim.kind, Kind::Inpatient | Kind::Snf) {
        let (code, words) = match (cancelled, rng.below(100)) {
            (true, _) => ("2", "Cancel by credit adjustment (used only in credit/debit pairs)"),
            (false, 0..=4) => ("3", "Secondary debit adjustment (used only in credit/debit pairs)"),
            _ => ("1", "Original debit action (always a 1 for all regular bills)"),
        };
        json.variable("fi_clm_actn_cd", code, words);
    }
    if claim.kind == Kind::Inpatient {
        for variable in ["ime_op_clm_val_amt", "clm_uncompd_care_pmt_amt", "dsh_op_clm_val_amt"] {
            json.object(|json| {
                json.put("url", System::Variable(variable));
                json.money("valueMoney", Cents(rng.between(1_000, 90_000)));
            });
        }
    }
    json.variable_identifier("fi_doc_clm_cntl_num", Digits(rng.below(100_000_000_000_000), 14));
    json.variable_value("fi_clm_proc_dt", "valueDate", claim.processed());
    json.variable("clm_mdcr_non_pmt_rsn_cd", "P", "Payment requested");
    let class = match claim.kind {
        Kind::Hha => "2",
        Kind::Outpatient => "3",
        _ => "1",
    };
    json.variable("clm_srvc_clsfctn_type_cd", class, "");
    let contractor = *rng.pick(&["99011", "99022", "99033"]);
    json.variable("fi_num", contractor, "");
    if claim.kind == Kind::Hospice {
        json.variable_count("bene_hospc_prd_cnt", rng.between(1, 4));
    }
}

/// Writes the team; returns the number of the member that lines refer to.
fn care_team(json: &mut Json<'_>, rng: &mut Rng, kind: Kind) -> u64 {
    let mut team = CareTeam::new();
    team.add(json, &Provider::any(rng), ATTENDING);
    if matches!(kind, Kind::Inpatient | Kind::Snf) || (kind == Kind::Outpatient && rng.percent(60)) {
        team.add(json, &Provider::any(rng), OPERATING);
        team.add(json, &Provider::any(rng), OTHER_OPERATING);
    }
    team.add(json, &Provider::any(rng), PERFORMING)
}

fn diagnoses(json: &mut Json<'_>, rng: &mut Rng, kind: Kind) {
    const KINDS: System<'static> = System::Terminology("ex-diagnosistype");
    const CARIN: System<'static> = System::Carin("C4BBClaimDiagnosisType");
    let inpatient = kind == Kind::Inpatient;
    let count = if inpatient { rng.between(5, 8) } else { rng.between(2, 5) };
    let start = rng.next();
    for sequence in 1..=count {
        let role = match (inpatient, sequence) {
            (true, 1) => Code(KINDS, "admitting", "Admitting Diagnosis"),
            (true, 2) | (false, 1) => Code(KINDS, "principal", "Principal Diagnosis"),
            _ => Code(CARIN, "other", "Other"),
        };
        let (code, words) = diagnosis(start, sequence);
        json.object(|json| {
            if inpatient && sequence > 1 {
                json.put_list("extension", |json| {
                    let variable = ["clm_poa_ind_sw1", "clm_poa_ind_sw2", "clm_poa_ind_sw3", "clm_poa_ind_sw4"];
                    let variable = variable[(sequence as usize - 2).min(3)];
                    json.variable(variable, "Y", "Diagnosis was present at the time of admission (POA)");
                });
            }
            json.diagnosis(sequence, code, words, role);
        });
    }
}

fn procedures(json: &mut Json<'_>, claim: &Claim, rng: &mut Rng) {
    let count = match claim.kind {
        Kind::Inpatient => rng.below(4),
        Kind::Snf => 1,
        _ => 0,
    };
    if count == 0 {
        return;
    }
    json.put_list("procedure", |json| {
        for sequence in 1..=count {
            let (code, words) = rng.pick(PROCEDURES);
            json.object(|json| {
                json.put("sequence", sequence);
                json.put("date", format_args!("{}T00:00:00+00:00", claim.start));
                json.concept(
                    "procedureCodeableConcept",
                    &[
                        Code(System::Url("http://www.cms.gov/Medicare/Coding/ICD10"), code, words),
                        Code(System::Url("http://hl7.org/fhir/sid/icd-10"), code, words),
                    ],
                );
            });
        }
    });
}
