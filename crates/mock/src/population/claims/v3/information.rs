//! `supportingInfo` of v3.

use super::super::facts::Facts;
use super::super::json::Json;
use super::super::vocabulary::{Code, System, UNITS};
use super::super::{Claim, Kind, near_line_record};
use super::Stage;
use super::parts::{Information, code, first_code, period, quantity};

const NUBC: &str = "https://www.nubc.org/CodeSystem/";
const DRGS: &str = "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software";

pub(super) fn write(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>, stage: Stage) {
    let mut info = Information { json, sequence: 0 };
    let processed = claim.processed();
    let adjustment = match (claim.kind, claim.is_deleted()) {
        (Kind::Pde, true) => ("1", "CANCEL"),
        _ => ("0", "ORIGINAL"),
    };
    if stage == Stage::Adjudicated && claim.kind != Kind::Carrier && claim.kind != Kind::Dme {
        info.of("CLM_ADJSTMT_TYPE_CD", "Claim Adjustment Type Code", |json| {
            code(json, "CLM-ADJSTMT-TYPE-CD", adjustment.0, adjustment.1);
        });
    }
    info.of("CLM_IDR_LD_DT", "Claim IDR Load Date", |json| json.put("timingDate", processed));
    match claim.kind {
        Kind::Pde => drug(&mut info, claim, facts),
        Kind::Carrier | Kind::Dme => professional(&mut info, claim, facts),
        _ => institutional(&mut info, claim, facts),
    }
    if stage == Stage::Partial {
        info.of("CLM_PD_STUS_CD", "Claim Paid Status Code", |json| code(json, "CLM-PD-STUS-CD", "I", ""));
    }
}

/// The date on which the claim was received, and that of its processing.
fn dates(info: &mut Information<'_, '_>, claim: &Claim) {
    info.carin("clmrecvddate", |json| json.put("timingDate", claim.end));
    info.of("CLM_CMS_PROC_DT", "FI Claim Process Date", |json| json.put("timingDate", claim.processed()));
}

/// The number of the prior authorisation that a line was billed under.
fn tracking(info: &mut Information<'_, '_>, claim: &Claim) {
    info.of("CLM_LINE_PMD_UNIQ_TRKNG_NUM", "Prior Authorization Unique Tracking Number", |json| {
        json.put("valueString", format_args!("-{:013}", claim.number));
    });
}

fn contractor(info: &mut Information<'_, '_>, claim: &Claim) {
    let number = ["01011", "04011", "01211", "06004", "14112"][claim.place(5)];
    info.of("CLM_CNTRCTR_NUM", "Claim Contractor Number", |json| code(json, "CLM-CNTRCTR-NUM", number, ""));
}

fn professional(info: &mut Information<'_, '_>, claim: &Claim, facts: &Facts<'_>) {
    info.carin("clmrecvddate", |json| json.put("timingDate", claim.end));
    contractor(info, claim);
    if claim.kind == Kind::Carrier {
        info.of("CLM_CLNCL_TRIL_NUM", "Clinical Trial Number", |json| json.put("valueString", "0"));
    }
    info.of("CLM_QUERY_CD", "Claim Query Code", |json| code(json, "CLM-QUERY-CD", "3", "FINAL BILL"));
    info.of("CLM_NCH_WKLY_PROC_DT", "Weekly Process Date", |json| json.put("timingDate", claim.processed()));
    let denial = facts.variable("carr_clm_pmt_dnl_cd").and_then(|it| it.value_coding.as_ref());
    if let Some(denial) = denial {
        info.of("CLM_CARR_PMT_DNL_CD", "Claim Payment Denial Code", |json| {
            code(json, "CLM-CARR-PMT-DNL-CD", &denial.code, denial.display.as_deref().unwrap_or_default());
        });
    }
    let record = near_line_record(claim.kind);
    info.of("CLM_NRLN_RIC_CD", "Near Line Record Identification Code", |json| {
        code(json, "CLM-NRLN-RIC-CD", record.0, record.1);
    });
    if claim.kind == Kind::Dme {
        tracking(info, claim);
    }
    let observed = facts.contained.iter().filter(|one| one.resource_type == "Observation").count();
    for place in 1..=observed {
        info.of("CLM_LINE_HCT_HGB_RSLT_NUM", "Hematocrit/Hemoglobin Test Results", |json| {
            json.put_object("valueReference", |json| json.put("reference", format_args!("#line-observation-{place}")));
        });
    }
}

fn institutional(info: &mut Information<'_, '_>, claim: &Claim, facts: &Facts<'_>) {
    let coded = |name: &str| facts.information(name).and_then(|it| it.code.as_ref()).map(first_code);
    let bill = coded("typeofbill").unwrap_or("1");
    let class = facts.variable("clm_srvc_clsfctn_type_cd").and_then(|it| it.value_coding.as_ref());
    let (facility, class) =
        (facts.facility.extension.iter().find_map(|it| it.value_coding.as_ref()), class.map_or("1", |it| &it.code));
    let facility = facility.map_or("1", |it| &it.code);
    info.carin("typeofbill", |json| {
        json.put_object("code", |json| {
            json.put_list("coding", |json| {
                let whole = format!("0{facility}{class}{bill}");
                json.coding(Code(System::Url("https://www.nubc.org/CodeSystem/TypeOfBill"), &whole, ""));
                json.coding(Code(System::Fhir("CLM-BILL-FAC-TYPE-CD"), facility, ""));
                json.coding(Code(System::Fhir("CLM-BILL-CLSFCTN-CD"), class, ""));
                json.coding(Code(System::Fhir("CLM-BILL-FREQ-CD"), bill, ""));
            });
        });
    });
    contractor(info, claim);
    info.of("CLM_DISP_CD", "Claim Disposition Code", |json| code(json, "CLM-DISP-CD", "01", "DEBIT ACCEPTED"));
    if let Some(stay) = facts.information("admissionperiod").and_then(|it| it.timing_period.as_ref()) {
        info.carin("admissionperiod", |json| period(json, "timingPeriod", stay));
    }
    dates(info, claim);
    let record = near_line_record(claim.kind);
    info.of("CLM_NRLN_RIC_CD", "Near Line Record Identification Code", |json| {
        code(json, "CLM-NRLN-RIC-CD", record.0, record.1);
    });
    for (of_v2, word, nubc, variable, fallback) in [
        ("clm_src_ip_admsn_cd", "pointoforigin", "PointOfOrigin", "CLM-ADMSN-SRC-CD", "1"),
        ("discharge-status", "discharge-status", "PatDischargeStatus", "BENE-PTNT-STUS-CD", "01"),
        ("admtype", "admtype", "PriorityTypeOfAdmitOrVisit", "CLM-ADMSN-TYPE-CD", "3"),
    ] {
        let value = coded(of_v2).unwrap_or(fallback);
        info.carin(word, |json| {
            let system = format!("{NUBC}{nubc}");
            json.concept("code", &[Code(System::Url(&system), value, ""), Code(System::Fhir(variable), value, "")]);
        });
    }
    let paid = coded("clm_mco_pd_sw").unwrap_or("0");
    info.of("CLM_MDCR_INSTNL_MCO_PD_SW", "MCO Paid Switch", |json| {
        code(json, "CLM-MDCR-INSTNL-MCO-PD-SW", paid, "No managed care organization (MCO) payment");
    });
    if let Some(payer) = coded("nch_prmry_pyr_cd") {
        info.of("CLM_NCH_PRMRY_PYR_CD", "NCH Primary Payer Code", |json| code(json, "CLM-NCH-PRMRY-PYR-CD", payer, ""));
    }
    if let Some(action) = facts.variable("fi_clm_actn_cd").and_then(|it| it.value_coding.as_ref()) {
        info.of("CLM_FI_ACTN_CD", "Claim Fiscal Intermediary Action Code", |json| {
            code(json, "CLM-FI-ACTN-CD", &action.code, "");
        });
    }
    let pints = facts.information("nch_blood_pnts_frnshd_qty").and_then(|it| it.value_quantity.as_ref()?.value);
    info.of("CLM_BLOOD_PT_FRNSH_QTY", "Blood Pints Furnished Quantity", |json| {
        json.put_object("valueQuantity", |json| {
            match pints {
                Some(pints) => json.put("value", pints),
                None => json.put("value", 0),
            }
            json.put("unit", "pint");
            json.put("system", UNITS);
            json.put("code", "[pt_us]");
        });
    });
    tracking(info, claim);
    if let Some(group) = coded("clm_drg_cd") {
        info.carin("drg", |json| json.concept("code", &[Code(System::Url(DRGS), group, "")]));
    }
}

fn drug(info: &mut Information<'_, '_>, claim: &Claim, facts: &Facts<'_>) {
    let coded = |name: &str| facts.information(name).and_then(|it| it.code.as_ref()).map_or("0", first_code);
    let counted = |name: &str| facts.information(name).and_then(|it| it.value_quantity.as_ref()?.value);
    info.of("CLM_SBMT_FRMT_CD", "Claim Submission Format Code", |json| {
        code(json, "CLM-SBMT-FRMT-CD", "N", "NCPDP ELECTRONIC SUBMISSION");
    });
    let plan = claim.place(40);
    info.of("CLM_SBMTR_CNTRCT_NUM", "Submitter Contract Number", |json| {
        json.put("valueString", format_args!("Z{plan:04}"));
    });
    info.of("CLM_SBMTR_CNTRCT_PBP_NUM", "Submitter Contract PBP Number", |json| json.put("valueString", "001"));
    dates(info, claim);
    info.of("CLM_PHRMCY_SRVC_TYPE_CD", "Pharmacy Service Type Code", |json| {
        code(json, "CLM-PHRMCY-SRVC-TYPE-CD", "01", "Community/retail pharmacy");
    });
    for (of_v2, system, variable) in [
        ("rxorigincode", "NCPDPPrescriptionOriginCode", "CLM-LINE-RX-ORGN-CD"),
        ("brandgenericindicator", "NCPDPBrandGenericIndicator", "CLM-BRND-GNRC-CD"),
        ("compoundcode", "NCPDPCompoundCode", "CLM-CMPND-CD"),
    ] {
        let (value, words) = (coded(of_v2), if of_v2 == "compoundcode" { "Not a compound" } else { "" });
        info.carin(of_v2, |json| {
            json.concept(
                "code",
                &[Code(System::Terminology(system), value, words), Code(System::Fhir(variable), value, words)],
            );
        });
    }
    let home = coded("ptnt_rsdnc_cd");
    info.of("CLM_PTNT_RSDNC_CD", "Patient Residence Code", |json| code(json, "CLM-PTNT-RSDNC-CD", home, "Home"));
    let clarified = coded("submsn_clr_cd");
    info.of("CLM_LTC_DSPNSNG_MTHD_CD", "Submission Clarification Code", |json| {
        code(json, "CLM-LTC-DSPNSNG-MTHD-CD", clarified, "");
    });
    if let Some(days) = counted("dayssupply") {
        info.carin("dayssupply", |json| quantity(json, "valueQuantity", days, Some("days"), false));
    }
    if let Some(fill) = counted("refillnum") {
        info.carin("refillnum", |json| quantity(json, "valueQuantity", fill, Some("fill"), false));
    }
    let written = coded("daw_prod_slctn_cd");
    info.carin("dawcode", |json| {
        let system = System::Terminology("NCPDPDispensedAsWrittenOrProductSelectionCode");
        json.concept("code", &[Code(system, written, "")]);
    });
    let covered = coded("drug_cvrg_stus_cd");
    info.of("CLM_DRUG_CVRG_STUS_CD", "Drug Coverage Status Code", |json| {
        code(json, "CLM-DRUG-CVRG-STUS-CD", covered, "Covered");
    });
    info.of("CLM_CTSTRPHC_CVRG_IND_CD", "Catastrophic Coverage Code", |json| {
        code(json, "CLM-CTSTRPHC-CVRG-IND-CD", "A", "Attachment point met on this event");
    });
    let prescription = facts.identifier.iter().find(|one| one.system.ends_with("rx_srvc_rfrnc_num"));
    if let Some(number) = prescription {
        info.of("CLM_LINE_RX_NUM", "Claim Line Prescription Service Reference Number", |json| {
            json.put("valueString", number.value.as_str());
        });
    }
}
