//! What an institution tells of a stay, in `supportingInfo`.

use super::datetime::days_after;
use super::json::Json;
use super::sections::SupportingInfo;
use super::vocabulary::{Code, INFO, System, UNITS};
use super::{Claim, Kind};
use crate::rng::Rng;

/// `supportingInfo`: admission, discharge, bill, and what only one kind of institution tells.
pub(super) fn supporting_info(json: &mut Json<'_>, claim: &Claim, rng: &mut Rng) {
    let kind = claim.kind;
    let bedded = matches!(kind, Kind::Inpatient | Kind::Snf);
    let mut info = SupportingInfo::new();
    info.add_received(json, claim.processed());
    if bedded || kind == Kind::Hospice {
        let (code, words) = if kind == Kind::Hospice { ("C", "Still a patient") } else { ("A", "Discharged") };
        info.add_code(json, "nch_ptnt_stus_ind_cd", "NCH Patient Status Indicator Code", code, words);
    }
    if kind != Kind::Outpatient {
        info.add_carin(json, ("admissionperiod", "Admission Period"), |json| {
            json.period("timingPeriod", claim.start, claim.end);
        });
    }
    if bedded {
        admission(json, &mut info, rng);
    }
    if kind == Kind::Snf {
        nursing(json, &mut info, claim);
    }
    if bedded || kind == Kind::Outpatient {
        let words = "No managed care organization (MCO) payment";
        info.add_code(json, "clm_mco_pd_sw", "Claim MCO Paid Switch", "0", words);
    }
    info.add_carin(json, ("typeofbill", "Type of Bill"), |json| {
        json.concept("code", &[Code(System::Variable("clm_freq_cd"), "1", "Admit thru discharge claim")]);
    });
    info.add_carin(json, ("discharge-status", "Discharge Status"), |json| {
        let (code, words) = match kind {
            Kind::Hha | Kind::Hospice => ("30", "Still patient."),
            _ => ("01", "Discharged to home/self-care (routine charge)."),
        };
        json.concept("code", &[Code(System::Variable("ptnt_dschrg_stus_cd"), code, words)]);
    });
    if rng.percent(15) {
        let words = "NCH Primary Payer Code (if not Medicare)";
        let value = "Employer group health plan (EGHP) insurance for an aged beneficiary";
        info.add_code(json, "nch_prmry_pyr_cd", words, "A", value);
    }
    if kind == Kind::Hha {
        home_health(json, &mut info, rng);
    }
}

fn admission(json: &mut Json<'_>, info: &mut SupportingInfo, rng: &mut Rng) {
    let admitted = Code(System::Carin("C4BBSupportingInfoType"), "admtype", "Information");
    info.add(json, admitted, ("clm_ip_admsn_type_cd", "Claim Inpatient Admission Type Code"), |json| {
        let system = System::Url("https://www.nubc.org/CodeSystem/PriorityTypeOfAdmitOrVisit");
        let (code, words) = *rng.pick(&[("1", "Emergency"), ("2", "Urgent"), ("3", "Elective")]);
        json.concept("code", &[Code(system, code, words)]);
    });
    info.add_code(json, "clm_src_ip_admsn_cd", "Claim Source Inpatient Admission Code", "1", "");
    info.add(json, INFO, ("clm_drg_cd", "Claim Diagnosis Related Group Code (or MS-DRG Code)"), |json| {
        let code = *rng.pick(&["470", "291", "871", "194", "690", "392"]);
        json.concept("code", &[Code(System::Variable("clm_drg_cd"), code, "")]);
    });
    info.add(json, INFO, ("nch_blood_pnts_frnshd_qty", "NCH Blood Pints Furnished Quantity"), |json| {
        json.put_object("valueQuantity", |json| {
            json.put("value", rng.below(3));
            json.put("unit", "pint");
            json.put("system", UNITS);
            json.put("code", "[pt_us]");
        });
    });
}

fn nursing(json: &mut Json<'_>, info: &mut SupportingInfo, claim: &Claim) {
    let stay = ("nch_qlfyd_stay_from_dt", "NCH Qualified Stay From Date");
    info.add(json, INFO, stay, |json| json.period("timingPeriod", claim.start, days_after(claim.start, 3)));
    let exhausted = ("nch_bene_mdcr_bnfts_exhtd_dt_i", "NCH Beneficiary Medicare Benefits Exhausted Date");
    info.add(json, INFO, exhausted, |json| json.put("timingDate", claim.end));
    let words = "PPS bill; claim contains PPS indicator";
    info.add_code(json, "clm_pps_ind_cd", "Claim PPS Indicator Code", "2", words);
}

fn home_health(json: &mut Json<'_>, info: &mut SupportingInfo, rng: &mut Rng) {
    let words = "PPS bill; claim contains PPS indicator";
    info.add_code(json, "clm_pps_ind_cd", "Claim PPS Indicator Code", "2", words);
    let variable = "Claim HHA Low Utilization Payment Adjustment (LUPA) Indicator Code";
    info.add_code(json, "clm_hha_lupa_ind_cd", variable, "L", "Low utilization payment adjustment (LUPA) claim");
    info.add_code(json, "clm_hha_rfrl_cd", "Claim HHA Referral Code", "1", "Physician referral");
    info.add(json, INFO, ("clm_hha_tot_visit_cnt", "Claim HHA Total Visit Count"), |json| {
        json.put_object("valueQuantity", |json| json.put("value", rng.between(2, 40)));
    });
}
