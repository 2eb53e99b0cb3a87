//! The lists that several types of claims share: `information`, `diagnosis`, `careTeam` members.

use super::super::facts::{Coding, Diagnosis, Extension, Facts, Information, Member, ends_in};
use super::super::json::Json;
use super::super::vocabulary::{Code, System};
use super::parts::{coding, extension, one_coding, period, provider, quantity, role};

/// The variables that v1 tells in `information`, with their words. Beside each stands the category that
/// v2 files it under, where that is a word of CARIN's.
const INFORMATION: [(&str, &str, &str); 20] = [
    ("nch_wkly_proc_dt", "", "NCH Weekly Claim Processing Date"),
    ("nch_ptnt_stus_ind_cd", "", "NCH Patient Status Indicator Code"),
    ("clm_ip_admsn_type_cd", "", "Claim Inpatient Admission Type Code"),
    ("clm_src_ip_admsn_cd", "", "Claim Source Inpatient Admission Code"),
    ("nch_bene_mdcr_bnfts_exhtd_dt_i", "", "NCH Beneficiary Medicare Benefits Exhausted Date"),
    ("nch_blood_pnts_frnshd_qty", "", "NCH Blood Pints Furnished Quantity"),
    ("nch_qlfyd_stay_from_dt", "", "NCH Qualified Stay From Date"),
    ("clm_mco_pd_sw", "", "Claim MCO Paid Switch"),
    ("clm_freq_cd", "typeofbill", "Claim Frequency Code"),
    ("ptnt_dschrg_stus_cd", "discharge-status", "Patient Discharge Status Code"),
    ("nch_prmry_pyr_cd", "", "NCH Primary Payer Code (if not Medicare)"),
    ("clm_hha_lupa_ind_cd", "", "Claim HHA Low Utilization Payment Adjustment (LUPA) Indicator Code"),
    ("clm_hha_rfrl_cd", "", "Claim HHA Referral Code"),
    ("daw_prod_slctn_cd", "", "Dispense as Written (DAW) Product Selection Code"),
    ("drug_cvrg_stus_cd", "", "Drug Coverage Status Code"),
    ("adjstmt_dltn_cd", "", "Adjustment Deletion Code"),
    ("rx_orgn_cd", "rxorigincode", "Prescription Origination Code"),
    ("brnd_gnrc_cd", "brandgenericindicator", "Brand-Generic Code Reported by Submitting Plan"),
    ("ptnt_rsdnc_cd", "", "Patient Residence Code"),
    ("submsn_clr_cd", "", "Submission clarification code"),
];

/// The list `information`. `pharmacy` is the kind of pharmacy, which v1 tells here a second time.
pub(super) fn information(json: &mut Json<'_>, facts: &Facts<'_>, pharmacy: Option<&Coding<'_>>) {
    let mut sequence = 0;
    json.put_list("information", |json| {
        for (variable, carin, words) in INFORMATION {
            if let Some(info) = facts.information(if carin.is_empty() { variable } else { carin }) {
                sequence += 1;
                json.object(|json| one_information(json, (sequence, variable, words), info));
            }
        }
        if let Some(pharmacy) = pharmacy {
            json.object(|json| {
                json.put("sequence", sequence + 1);
                information_category(json, "phrmcy_srvc_type_cd", "Pharmacy service type code");
                json.put_object("code", |json| one_coding(json, pharmacy));
            });
        }
    });
}

fn one_information(json: &mut Json<'_>, (sequence, variable, words): (u64, &str, &str), info: &Information<'_>) {
    json.put("sequence", sequence);
    information_category(json, variable, words);
    if let Some(code) = &info.code {
        json.put_object("code", |json| {
            json.put_list("coding", |json| code.coding.iter().for_each(|one| coding(json, one)));
        });
    }
    json.put_some("timingDate", info.timing_date.as_deref());
    if let Some(value) = &info.timing_period {
        period(json, "timingPeriod", value);
    }
    if let Some(value) = &info.value_quantity {
        quantity(json, "valueQuantity", value);
    }
}

fn information_category(json: &mut Json<'_>, variable: &str, words: &str) {
    json.put_object("category", |json| {
        json.put_list("coding", |json| json.variable_code("information", variable, words));
    });
}

/// The list `diagnosis`. v1 tells the diagnosis related group of a stay here, before all others, and
/// names no kind for those that merely accompany.
pub(super) fn diagnoses(json: &mut Json<'_>, facts: &Facts<'_>) {
    let group = facts.information("clm_drg_cd").and_then(|info| info.code.as_ref()?.coding.first());
    json.put_list("diagnosis", |json| {
        if let Some(group) = group {
            json.object(|json| {
                json.put("sequence", 1);
                json.put_object("packageCode", |json| one_coding(json, group));
            });
        }
        let first = 1 + u64::from(group.is_some());
        for (sequence, diagnosis) in (first..).zip(&facts.diagnosis) {
            json.object(|json| one_diagnosis(json, sequence, diagnosis));
        }
    });
}

fn one_diagnosis(json: &mut Json<'_>, sequence: u64, diagnosis: &Diagnosis<'_>) {
    if !diagnosis.extension.is_empty() {
        json.put_list("extension", |json| diagnosis.extension.iter().for_each(|one| extension(json, one)));
    }
    json.put("sequence", sequence);
    if let Some(code) = diagnosis.diagnosis_codeable_concept.of("icd-10") {
        json.put_object("diagnosisCodeableConcept", |json| one_coding(json, code));
    }
    let kinds = [("principal", "Principal Diagnosis"), ("admitting", "Admitting Diagnosis")];
    for (code, words) in kinds.into_iter().filter(|(code, _)| diagnosis.kind.iter().any(|kind| kind.has(code))) {
        json.put_list("type", |json| {
            json.object(|json| json.codings(&[Code(System::Bluebutton("diagnosis-type"), code, words)]));
        });
    }
}

/// A member of the care team with nothing but a number and a role.
pub(super) fn member(json: &mut Json<'_>, sequence: u64, member: &Member<'_>, (code, words): (&str, &str)) {
    json.object(|json| {
        json.put("sequence", sequence);
        json.put_object("provider", |json| provider(json, &member.provider));
        role(json, code, words);
    });
}

/// The role of whoever answers for the claim or a line of it.
pub(super) const PRIMARY: (&str, &str) = ("primary", "Primary provider");

/// A drug that stands beside a service: v1 makes it an extension of the line.
pub(super) fn drug_beside(json: &mut Json<'_>, extensions: &[Extension<'_>]) {
    extensions.iter().filter(|one| ends_in(&one.url, "ndc")).for_each(|one| extension(json, one));
}
