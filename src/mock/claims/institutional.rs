//! Claims of institutions: hospital (in and out), nursing facility, home health, hospice.

use jiff::Timestamp;

use super::dice::Dice;
use super::json::{Digits, Json};
use super::lines::{self, Line};
use super::moment::days_after;
use super::parts::{
    ATTENDING, COINSURANCE, CareTeam, Cents, Code, DEDUCTIBLE, HCPCS, INFO, NDC, NONCOVERED, OPERATING,
    OTHER_OPERATING, PAID_BY_PATIENT, PAID_TO_PATIENT, PAID_TO_PROVIDER, PERFORMING, PRIOR_PAYER, Provider, SUBMITTED,
    SupportingInfo, System, UNITS, US_NPI, benefit_balance, used_count, used_money,
};
use super::tables::{DIAGNOSES, ORGANIZATIONS, PROCEDURES, REVENUE_CENTERS, STATES};
use super::{Claim, Kind, near_line_record, types};

/// A revenue line: the row of [`REVENUE_CENTERS`] (none for the line that repeats the total) and its money.
struct Revenue {
    center: Option<&'static (&'static str, &'static str, &'static str)>,
    line: Line,
}

/// Writes the inside of the resource.
pub(super) fn write(json: &mut Json<'_>, claim: &Claim, created: Timestamp, dice: &mut Dice) {
    let (mut revenue, total) = revenue(dice, claim.kind);
    let cancelled = dice.percent(3);
    let named = !dice.percent(4);

    claim.head(json, profile(claim.kind));
    if named {
        json.put_list("contained", |json| json.object(|json| organization(json, dice)));
    }
    json.put_list("extension", |json| extensions(json, claim, dice, cancelled));
    json.put_list("identifier", |json| json.claim_identifiers("clm_id", claim.number, claim.group(dice)));
    claim.status(json, cancelled);
    let (cms, blue) = claim_type(claim.kind);
    types(json, claim.kind, cms, blue);
    if claim.kind != Kind::Outpatient || dice.percent(30) {
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
    json.put_list("careTeam", |json| performing = care_team(json, dice, claim.kind));
    json.put_list("supportingInfo", |json| supporting_info(json, claim, dice));
    json.put_list("diagnosis", |json| diagnoses(json, dice, claim.kind));
    procedures(json, claim, dice);
    let part = if matches!(claim.kind, Kind::Outpatient | Kind::Hha) { 'b' } else { 'a' };
    claim.insurance(json, part, |_| ());
    let state = dice.pick(STATES).postal;
    json.put_list("item", |json| {
        for (sequence, entry) in (1..).zip(revenue.drain(..)) {
            json.object(|json| item(json, claim, dice, (sequence, performing, state), &entry));
        }
    });
    json.put_list("total", |json| {
        json.adjudication(SUBMITTED, "clm_tot_chrg_amt", "Claim Total Charge Amount", total.charge);
    });
    json.put_object("payment", |json| json.money("amount", total.paid));
    benefit_balance(json, |json| balance(json, claim, &total));
}

/// The lines and their sum. The last line of a hospital's bill repeats the total charge.
fn revenue(dice: &mut Dice, kind: Kind) -> (Vec<Revenue>, Line) {
    let repeats_total = matches!(kind, Kind::Outpatient | Kind::Inpatient);
    let count = lines::count(dice, kind);
    let usual = match kind {
        Kind::Inpatient | Kind::Snf => (20_000, 900_000),
        Kind::Hha | Kind::Hospice => (9_000, 300_000),
        _ => (2_000, 120_000),
    };
    let mut entries: Vec<Revenue> = (0..count - u64::from(repeats_total))
        .map(|_| Revenue { center: Some(dice.pick(REVENUE_CENTERS)), line: Line::any(dice, usual) })
        .collect();
    let total = Line::total(&entries.iter().map(|entry| entry.line).collect::<Vec<_>>());
    if repeats_total {
        entries.push(Revenue { center: None, line: total });
    }
    (entries, total)
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

fn organization(json: &mut Json<'_>, dice: &mut Dice) {
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
            json.put("value", Digits(dice.between(10_000, 999_999), 6));
        });
        json.object(|json| {
            json.concept("type", &[Code(System::Carin("C4BBIdentifierType"), "npi", "")]);
            json.put("system", US_NPI);
            json.put("value", Digits(9_000_000_000 + dice.below(1_000_000_000), 10));
        });
    });
    json.put("active", true);
    let name = dice.pick(ORGANIZATIONS);
    json.put("name", *name);
}

fn extensions(json: &mut Json<'_>, claim: &Claim, dice: &mut Dice, cancelled: bool) {
    let (code, words) = near_line_record(claim.kind);
    json.variable("nch_near_line_rec_ident_cd", code, words);
    if matches!(claim.kind, Kind::Inpatient | Kind::Snf) {
        let (code, words) = match (cancelled, dice.below(100)) {
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
                json.money("valueMoney", Cents(dice.between(1_000, 90_000)));
            });
        }
    }
    json.variable_identifier("fi_doc_clm_cntl_num", Digits(dice.below(100_000_000_000_000), 14));
    json.variable_value("fi_clm_proc_dt", "valueDate", claim.processed());
    json.variable("clm_mdcr_non_pmt_rsn_cd", "P", "Payment requested");
    let class = match claim.kind {
        Kind::Hha => "2",
        Kind::Outpatient => "3",
        _ => "1",
    };
    json.variable("clm_srvc_clsfctn_type_cd", class, "");
    let contractor = *dice.pick(&["99011", "99022", "99033"]);
    json.variable("fi_num", contractor, "");
    if claim.kind == Kind::Hospice {
        json.variable_count("bene_hospc_prd_cnt", dice.between(1, 4));
    }
}

/// Writes the team; returns the number of the member that lines refer to.
fn care_team(json: &mut Json<'_>, dice: &mut Dice, kind: Kind) -> u64 {
    let mut team = CareTeam::new();
    team.add(json, &Provider::any(dice), ATTENDING);
    if matches!(kind, Kind::Inpatient | Kind::Snf) || (kind == Kind::Outpatient && dice.percent(60)) {
        team.add(json, &Provider::any(dice), OPERATING);
        team.add(json, &Provider::any(dice), OTHER_OPERATING);
    }
    team.add(json, &Provider::any(dice), PERFORMING)
}

fn supporting_info(json: &mut Json<'_>, claim: &Claim, dice: &mut Dice) {
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
        admission(json, &mut info, dice);
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
    if dice.percent(15) {
        let words = "NCH Primary Payer Code (if not Medicare)";
        let value = "Employer group health plan (EGHP) insurance for an aged beneficiary";
        info.add_code(json, "nch_prmry_pyr_cd", words, "A", value);
    }
    if kind == Kind::Hha {
        home_health(json, &mut info, dice);
    }
}

fn admission(json: &mut Json<'_>, info: &mut SupportingInfo, dice: &mut Dice) {
    let admitted = Code(System::Carin("C4BBSupportingInfoType"), "admtype", "Information");
    info.add(json, admitted, ("clm_ip_admsn_type_cd", "Claim Inpatient Admission Type Code"), |json| {
        let system = System::Url("https://www.nubc.org/CodeSystem/PriorityTypeOfAdmitOrVisit");
        let (code, words) = *dice.pick(&[("1", "Emergency"), ("2", "Urgent"), ("3", "Elective")]);
        json.concept("code", &[Code(system, code, words)]);
    });
    info.add_code(json, "clm_src_ip_admsn_cd", "Claim Source Inpatient Admission Code", "1", "");
    info.add(json, INFO, ("clm_drg_cd", "Claim Diagnosis Related Group Code (or MS-DRG Code)"), |json| {
        let code = *dice.pick(&["470", "291", "871", "194", "690", "392"]);
        json.concept("code", &[Code(System::Variable("clm_drg_cd"), code, "")]);
    });
    info.add(json, INFO, ("nch_blood_pnts_frnshd_qty", "NCH Blood Pints Furnished Quantity"), |json| {
        json.put_object("valueQuantity", |json| {
            json.put("value", dice.below(3));
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

fn home_health(json: &mut Json<'_>, info: &mut SupportingInfo, dice: &mut Dice) {
    let words = "PPS bill; claim contains PPS indicator";
    info.add_code(json, "clm_pps_ind_cd", "Claim PPS Indicator Code", "2", words);
    let variable = "Claim HHA Low Utilization Payment Adjustment (LUPA) Indicator Code";
    info.add_code(json, "clm_hha_lupa_ind_cd", variable, "L", "Low utilization payment adjustment (LUPA) claim");
    info.add_code(json, "clm_hha_rfrl_cd", "Claim HHA Referral Code", "1", "Physician referral");
    info.add(json, INFO, ("clm_hha_tot_visit_cnt", "Claim HHA Total Visit Count"), |json| {
        json.put_object("valueQuantity", |json| json.put("value", dice.between(2, 40)));
    });
}

fn diagnoses(json: &mut Json<'_>, dice: &mut Dice, kind: Kind) {
    const KINDS: System<'static> = System::Terminology("ex-diagnosistype");
    const CARIN: System<'static> = System::Carin("C4BBClaimDiagnosisType");
    let inpatient = kind == Kind::Inpatient;
    let count = if inpatient { dice.between(4, 9) } else { dice.between(2, 5) };
    for sequence in 1..=count {
        let role = match (inpatient, sequence) {
            (true, 1) => Code(KINDS, "admitting", "Admitting Diagnosis"),
            (true, 2) | (false, 1) => Code(KINDS, "principal", "Principal Diagnosis"),
            _ => Code(CARIN, "other", "Other"),
        };
        let (code, words) = dice.pick(DIAGNOSES);
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

fn procedures(json: &mut Json<'_>, claim: &Claim, dice: &mut Dice) {
    let count = match claim.kind {
        Kind::Inpatient => dice.below(4),
        Kind::Snf => 1,
        _ => 0,
    };
    if count == 0 {
        return;
    }
    json.put_list("procedure", |json| {
        for sequence in 1..=count {
            let (code, words) = dice.pick(PROCEDURES);
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

fn item(
    json: &mut Json<'_>,
    claim: &Claim,
    dice: &mut Dice,
    (sequence, performing, state): (u64, u64, &str),
    entry: &Revenue,
) {
    let kind = claim.kind;
    // Drugs given in a nursing facility take the place of the units; the units move to an extension.
    let drug = matches!(kind, Kind::Snf | Kind::Hha | Kind::Hospice);
    let units = dice.between(1, 12);
    if !matches!(kind, Kind::Hospice | Kind::Inpatient) {
        json.put_list("extension", |json| json.variable_count("rev_cntr_unit_cnt", units));
    }
    json.put("sequence", sequence);
    json.put_list("careTeamSequence", |json| json.item(performing));
    json.put_object("revenue", |json| revenue_center(json, kind, entry));
    if let Some((_, _, hcpcs)) = entry.center {
        json.put_object("productOrService", |json| {
            if kind == Kind::Outpatient && dice.percent(5) {
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
    json.put_list("adjudication", |json| adjudications(json, dice, kind, &entry.line));
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

fn adjudications(json: &mut Json<'_>, dice: &mut Dice, kind: Kind, line: &Line) {
    if kind == Kind::Hha || line.denied {
        json.denial(Code(System::Variable("rev_cntr_1st_ansi_cd"), if line.denied { "CO50" } else { "CO45" }, ""));
    }
    let rate = if dice.percent(50) { Cents(0) } else { line.allowed };
    json.adjudication(SUBMITTED, "rev_cntr_rate_amt", "Revenue Center Rate Amount", rate);
    json.adjudication(SUBMITTED, "rev_cntr_tot_chrg_amt", "Revenue Center Total Charge Amount", line.charge);
    let words = "Revenue Center Non-Covered Charge Amount";
    json.adjudication(NONCOVERED, "rev_cntr_ncvrd_chrg_amt", words, line.noncovered());
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

fn balance(json: &mut Json<'_>, claim: &Claim, total: &Line) {
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
        (
            "nch_ip_ncvrd_chrg_amt",
            "NCH Inpatient(or other Part A) Non-covered Charge Amount",
            total.charge.less(total.allowed),
        ),
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
