//! The revenue lines of an institution's claim, and what they add up to.

use super::json::Json;
use super::lines::{self, Line};
use super::parts::Cents;
use super::sections::{used_count, used_money};
use super::tables::REVENUE_CENTERS;
use super::vocabulary::{
    COINSURANCE, Code, DEDUCTIBLE, HCPCS, NDC, NONCOVERED, PAID_BY_PATIENT, PAID_TO_PATIENT, PAID_TO_PROVIDER,
    PRIOR_PAYER, SUBMITTED, System, UNITS,
};
use super::{Claim, Kind};
use crate::rng::Rng;

/// A revenue line: the row of [`REVENUE_CENTERS`] (none for the line that repeats the total) and its money.
pub(super) struct Revenue {
    center: Option<&'static (&'static str, &'static str, &'static str)>,
    line: Line,
}

/// The lines and their sum. The last line of a hospital's bill repeats the total charge.
pub(super) fn revenue(rng: &mut Rng, kind: Kind) -> (Vec<Revenue>, Line) {
    let repeats_total = matches!(kind, Kind::Outpatient | Kind::Inpatient);
    let count = lines::count(rng, kind);
    let usual = match kind {
        Kind::Inpatient | Kind::Snf => (20_000, 900_000),
        Kind::Hha | Kind::Hospice => (9_000, 300_000),
        _ => (2_000, 120_000),
    };
    let mut entries: Vec<Revenue> = (0..count - u64::from(repeats_total))
        .map(|_| Revenue { center: Some(rng.pick(REVENUE_CENTERS)), line: Line::any(rng, usual) })
        .collect();
    let total = Line::total(&entries.iter().map(|entry| entry.line).collect::<Vec<_>>());
    if repeats_total {
        entries.push(Revenue { center: None, line: total });
    }
    (entries, total)
}

/// One revenue line, by its number, the number of who performed it, and the state.
pub(super) fn item(
    json: &mut Json<'_>,
    claim: &Claim,
    rng: &mut Rng,
    (sequence, performing, state): (u64, u64, &str),
    entry: &Revenue,
) {
    let kind = claim.kind;
    // Drugs given in a nursing facility take the place of the units; the units move to an extension.
    let drug = matches!(kind, Kind::Snf | Kind::Hha | Kind::Hospice);
    let units = rng.between(1, 12);
    if !matches!(kind, Kind::Hospice | Kind::Inpatient) {
        json.put_list("extension", |json| json.variable_count("rev_cntr_unit_cnt", units));
    }
    json.put("sequence", sequence);
    json.put_list("careTeamSequence", |json| json.item(performing));
    json.put_object("revenue", |json| revenue_center(json, kind, entry));
    if let Some((_, _, hcpcs)) = entry.center {
        json.put_object("productOrService", |json| {
            if kind == Kind::Outpatient && rng.percent(5) {
                json.put_list("extension", |json| json.extension(NDC, "99999020460", "Ketorolac - KETOROLAC"));
            }
            let codes = [Code(System::Variable("hcpcs_cd"), hcpcs, ""), Code(HCPCS, hcpcs, "")];
            json.codings(if kind == Kind::Inpatient { &codes } else { &codes[1..] });
        });
        if drug {
            json.put_list("modifier", |json| {
                json.object(|json| json.codings(&[Code(HCPCS, "KX", "")]));
                json.object(|json| json.codings(&[Code(UNITS, "ML", "Milliliter")]));
            });
        }
    }
    if matches!(kind, Kind::Hha | Kind::Hospice) {
        json.put("servicedDate", claim.start);
    }
    json.put_object("locationAddress", |json| json.put("state", state));
    if drug || kind == Kind::Inpatient {
        json.put_object("quantity", |json| json.put("value", units));
    }
    json.put_list("adjudication", |json| adjudications(json, rng, kind, &entry.line));
}

fn revenue_center(json: &mut Json<'_>, kind: Kind, entry: &Revenue) {
    if matches!(kind, Kind::Outpatient | Kind::Hha) {
        json.put_list("extension", |json| {
            let words =
                "Services not paid under OPPS; uses a different fee schedule (e.g., ambulance, PT, mammography)";
            json.variable("rev_cntr_stus_ind_cd", "A", words);
        });
    }
    let (code, words) = entry.center.map_or(("0001", "Total charge"), |(code, words, _)| (code, words));
    let mut codes = vec![Code(System::Variable("rev_cntr"), code, words)];
    if !matches!(kind, Kind::Outpatient | Kind::Inpatient) {
        codes.push(Code(System::Url("https://www.nubc.org/CodeSystem/RevenueCodes"), "0", ""));
        let subject = "Charges are subject to deductible and coinsurance";
        codes.push(Code(System::Variable("rev_cntr_ddctbl_coinsrnc_cd"), "0", subject));
    }
    json.codings(&codes);
}

fn adjudications(json: &mut Json<'_>, rng: &mut Rng, kind: Kind, line: &Line) {
    if kind == Kind::Hha || line.denied() {
        json.denial(Code(System::Variable("rev_cntr_1st_ansi_cd"), if line.denied() { "CO50" } else { "CO45" }, ""));
    }
    let rate = if rng.percent(50) { Cents(0) } else { line.allowed };
    json.adjudication(SUBMITTED, "rev_cntr_rate_amt", "Revenue Center Rate Amount", rate);
    json.adjudication(SUBMITTED, "rev_cntr_tot_chrg_amt", "Revenue Center Total Charge Amount", line.charge);
    let words = "Revenue Center Non-Covered Charge Amount";
    json.adjudication(NONCOVERED, "rev_cntr_ncvrd_chrg_amt", words, line.noncovered);
    if kind == Kind::Outpatient {
        outpatient_shares(json, line);
    }
    if matches!(kind, Kind::Outpatient | Kind::Hospice) {
        let words = "Revenue Center (Medicare) Provider Payment Amount";
        json.adjudication(PAID_TO_PROVIDER, "rev_cntr_prvdr_pmt_amt", words, line.paid);
        let words = "Revenue Center Payment Amount to Beneficiary";
        json.adjudication(PAID_TO_PATIENT, "rev_cntr_bene_pmt_amt", words, Cents(0));
    }
    if kind == Kind::Outpatient {
        let words = "Revenue Center Patient Responsibility Payment Amount";
        let share = Cents(line.deductible.0 + line.coinsurance.0);
        json.adjudication(PAID_BY_PATIENT, "rev_cntr_ptnt_rspnsblty_pmt", words, share);
    }
    if matches!(kind, Kind::Outpatient | Kind::Hha | Kind::Hospice) {
        let words = "Revenue Center (Medicare) Payment Amount";
        json.adjudication(SUBMITTED, "rev_cntr_pmt_amt_amt", words, line.paid);
    }
}

fn outpatient_shares(json: &mut Json<'_>, line: &Line) {
    for (category, variable, words, amount) in [
        (DEDUCTIBLE, "rev_cntr_blood_ddctbl_amt", "Revenue Center Blood Deductible Amount", Cents(0)),
        (DEDUCTIBLE, "rev_cntr_cash_ddctbl_amt", "Revenue Center Cash Deductible Amount", line.deductible),
        (
            COINSURANCE,
            "rev_cntr_coinsrnc_wge_adjstd_c",
            "Revenue Center Coinsurance/Wage Adjusted Coinsurance Amount",
            line.coinsurance,
        ),
        (COINSURANCE, "rev_cntr_rdcd_coinsrnc_amt", "Revenue Center Reduced Coinsurance Amount", Cents(0)),
        (
            PRIOR_PAYER,
            "rev_cntr_1st_msp_pd_amt",
            "Revenue Center 1st Medicare Secondary Payer (MSP) Paid Amount",
            Cents(0),
        ),
        (
            PRIOR_PAYER,
            "rev_cntr_2nd_msp_pd_amt",
            "Revenue Center 2nd Medicare Secondary Payer (MSP) Paid Amount",
            Cents(0),
        ),
    ] {
        json.adjudication(category, variable, words, amount);
    }
}

/// `benefitBalance.financial` of the whole claim.
pub(super) fn balance(json: &mut Json<'_>, claim: &Claim, total: &Line) {
    let days = claim.end.duration_since(claim.start).as_hours().unsigned_abs() / 24;
    match claim.kind {
        Kind::Inpatient | Kind::Snf => bedded_balance(json, claim.kind, days, total),
        Kind::Outpatient => outpatient_balance(json, total),
        Kind::Hospice => used_count(json, "clm_utlztn_day_cnt", "Claim Medicare Utilization Day Count", days + 1),
        _ => {}
    }
    used_money(json, "prpayamt", "NCH Primary Payer (if not Medicare) Claim Paid Amount", Cents(0));
    if claim.kind == Kind::Inpatient {
        used_count(json, "clm_utlztn_day_cnt", "Claim Medicare Utilization Day Count", days.max(1));
        used_count(json, "clm_pps_cptl_drg_wt_num", "Claim PPS Capital DRG Weight Number", 1);
        let words = "Beneficiary Medicare Lifetime Reserve Days (LRD) Used Count";
        used_count(json, "bene_lrd_used_cnt", words, 0);
    }
}

fn bedded_balance(json: &mut Json<'_>, kind: Kind, days: u64, total: &Line) {
    if kind == Kind::Inpatient {
        used_money(json, "clm_pass_thru_per_diem_amt", "Claim Pass Thru Per Diem Amount", Cents(1_000));
        used_money(json, "nch_profnl_cmpnt_chrg_amt", "Professional Component Charge Amount", Cents(0));
        used_money(json, "clm_tot_pps_cptl_amt", "Claim Total PPS Capital Amount", total.paid.percent(8));
    } else {
        used_count(json, "clm_utlztn_day_cnt", "Claim Medicare Utilization Day Count", days);
    }
    used_count(json, "bene_tot_coinsrnc_days_cnt", "Beneficiary Total Coinsurance Days Count", days.saturating_sub(20));
    used_count(json, "clm_non_utlztn_days_cnt", "Claim Medicare Non Utilization Days Count", 0);
    for (variable, words, amount) in [
        ("nch_bene_ip_ddctbl_amt", "NCH Beneficiary Inpatient (or other Part A) Deductible Amount", total.deductible),
        ("nch_bene_pta_coinsrnc_lblty_amt", "NCH Beneficiary Part A Coinsurance Liability Amount", total.coinsurance),
        ("nch_ip_ncvrd_chrg_amt", "NCH Inpatient(or other Part A) Non-covered Charge Amount", total.noncovered),
        (
            "nch_ip_tot_ddctn_amt",
            "NCH Inpatient (or other Part A) Total Deductible/Coinsurance Amount",
            Cents(total.deductible.0 + total.coinsurance.0),
        ),
        ("clm_pps_cptl_dsprprtnt_shr_amt", "Claim PPS Capital Disproportionate Share Amount", total.paid.percent(1)),
        ("clm_pps_cptl_excptn_amt", "Claim PPS Capital Exception Amount", Cents(0)),
        ("clm_pps_cptl_fsp_amt", "Claim PPS Capital Federal Specific Portion (FSP) Amount", total.paid.percent(6)),
        ("clm_pps_cptl_ime_amt", "Claim PPS Capital Indirect Medical Education (IME) Amount", total.paid.percent(1)),
        ("clm_pps_cptl_outlier_amt", "Claim PPS Capital Outlier Amount", Cents(0)),
        ("clm_pps_old_cptl_hld_hrmls_amt", "Claim PPS Old Capital Hold Harmless Amount", Cents(0)),
    ] {
        used_money(json, variable, words, amount);
    }
    if kind == Kind::Inpatient {
        used_money(json, "nch_drg_outlier_aprvd_pmt_amt", "NCH DRG Outlier Approved Payment Amount", Cents(0));
    }
    used_money(json, "nch_bene_blood_ddctbl_lblty_am", "NCH Beneficiary Blood Deductible Liability Amount", Cents(0));
}

fn outpatient_balance(json: &mut Json<'_>, total: &Line) {
    for (variable, words, amount) in [
        ("nch_profnl_cmpnt_chrg_amt", "Professional Component Charge Amount", Cents(0)),
        ("nch_bene_ptb_ddctbl_amt", "NCH Beneficiary Part B Deductible Amount", total.deductible),
        ("nch_bene_ptb_coinsrnc_amt", "NCH Beneficiary Part B Coinsurance Amount", total.coinsurance),
        ("clm_op_prvdr_pmt_amt", "Claim Outpatient Provider Payment Amount", total.paid),
        ("clm_op_bene_pmt_amt", "Claim Outpatient Payment Amount to Beneficiary", Cents(0)),
        ("nch_bene_blood_ddctbl_lblty_am", "NCH Beneficiary Blood Deductible Liability Amount", Cents(0)),
    ] {
        used_money(json, variable, words, amount);
    }
}
