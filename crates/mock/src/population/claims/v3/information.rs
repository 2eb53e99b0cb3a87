//! `supportingInfo` of v3.

use super::super::json::{Digits, Json};
use super::super::row::{ClaimRow, Details, DrugEvent, Info, Institutional, Professional};
use super::super::vocabulary::{Code, System};
use super::super::{Claim, Kind, near_line_record};
use super::Stage;
use super::parts::{Information, code, quantity};

const NUBC: &str = "https://www.nubc.org/CodeSystem/";
const DRGS: &str = "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software";

pub(super) fn write(json: &mut Json<'_>, row: &ClaimRow<'_>, stage: Stage) {
    let claim = row.claim;
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
    match &row.details {
        Details::Drug(event) => drug(&mut info, row, event),
        Details::Professional(bill) => professional(&mut info, claim, bill),
        Details::Institutional(bill) => institutional(&mut info, row, bill),
    }
    if stage == Stage::Partial {
        info.of("CLM_PD_STUS_CD", "Claim Paid Status Code", |json| code(json, "CLM-PD-STUS-CD", "I", ""));
    }
}

/// The dates on which the claim was received and processed.
fn dates(info: &mut Information<'_, '_>, claim: &Claim) {
    info.carin("clmrecvddate", |json| json.put("timingDate", claim.end));
    info.of("CLM_CMS_PROC_DT", "FI Claim Process Date", |json| json.put("timingDate", claim.processed()));
}

/// The number of the prior authorization for a line.
fn tracking(info: &mut Information<'_, '_>, claim: &Claim) {
    info.of("CLM_LINE_PMD_UNIQ_TRKNG_NUM", "Prior Authorization Unique Tracking Number", |json| {
        json.put("valueString", format_args!("-{:013}", claim.number));
    });
}

fn contractor(info: &mut Information<'_, '_>, claim: &Claim) {
    let number = ["01011", "04011", "01211", "06004", "14112"][claim.place(5)];
    info.of("CLM_CNTRCTR_NUM", "Claim Contractor Number", |json| code(json, "CLM-CNTRCTR-NUM", number, ""));
}

fn professional(info: &mut Information<'_, '_>, claim: &Claim, bill: &Professional) {
    info.carin("clmrecvddate", |json| json.put("timingDate", claim.end));
    contractor(info, claim);
    if claim.kind == Kind::Carrier {
        info.of("CLM_CLNCL_TRIL_NUM", "Clinical Trial Number", |json| json.put("valueString", "0"));
    }
    info.of("CLM_QUERY_CD", "Claim Query Code", |json| code(json, "CLM-QUERY-CD", "3", "FINAL BILL"));
    info.of("CLM_NCH_WKLY_PROC_DT", "Weekly Process Date", |json| json.put("timingDate", claim.processed()));
    let (paid, words) = Professional::PAYMENT;
    info.of("CLM_CARR_PMT_DNL_CD", "Claim Payment Denial Code", |json| code(json, "CLM-CARR-PMT-DNL-CD", paid, words));
    let record = near_line_record(claim.kind);
    info.of("CLM_NRLN_RIC_CD", "Near Line Record Identification Code", |json| {
        code(json, "CLM-NRLN-RIC-CD", record.0, record.1);
    });
    if claim.kind == Kind::Dme {
        tracking(info, claim);
    }
    if bill.hemoglobin.is_some() {
        info.of("CLM_LINE_HCT_HGB_RSLT_NUM", "Hematocrit/Hemoglobin Test Results", |json| {
            json.put_object("valueReference", |json| json.put("reference", "#line-observation-1"));
        });
    }
}

fn institutional(info: &mut Information<'_, '_>, row: &ClaimRow<'_>, bill: &Institutional) {
    let claim = row.claim;
    let frequency = row.code(Info::BillFrequency).unwrap_or("1");
    let (facility, class) = (Institutional::facility(claim.kind).0, Institutional::service_class(claim.kind));
    info.carin("typeofbill", |json| {
        json.put_object("code", |json| {
            json.put_list("coding", |json| {
                let whole = format!("0{facility}{class}{frequency}");
                json.coding(Code(System::Url("https://www.nubc.org/CodeSystem/TypeOfBill"), &whole, ""));
                json.coding(Code(System::Fhir("CLM-BILL-FAC-TYPE-CD"), facility, ""));
                json.coding(Code(System::Fhir("CLM-BILL-CLSFCTN-CD"), class, ""));
                json.coding(Code(System::Fhir("CLM-BILL-FREQ-CD"), frequency, ""));
            });
        });
    });
    contractor(info, claim);
    info.of("CLM_DISP_CD", "Claim Disposition Code", |json| code(json, "CLM-DISP-CD", "01", "DEBIT ACCEPTED"));
    if claim.kind != Kind::Outpatient {
        info.carin("admissionperiod", |json| json.period("timingPeriod", claim.start, claim.end));
    }
    dates(info, claim);
    let record = near_line_record(claim.kind);
    info.of("CLM_NRLN_RIC_CD", "Near Line Record Identification Code", |json| {
        code(json, "CLM-NRLN-RIC-CD", record.0, record.1);
    });
    for (entry, word, nubc, variable, fallback) in [
        (Info::AdmissionSource, "pointoforigin", "PointOfOrigin", "CLM-ADMSN-SRC-CD", "1"),
        (Info::DischargeStatus, "discharge-status", "PatDischargeStatus", "BENE-PTNT-STUS-CD", "01"),
        (Info::AdmissionType, "admtype", "PriorityTypeOfAdmitOrVisit", "CLM-ADMSN-TYPE-CD", "3"),
    ] {
        let value = row.code(entry).unwrap_or(fallback);
        info.carin(word, |json| {
            let system = format!("{NUBC}{nubc}");
            json.concept("code", &[Code(System::Url(&system), value, ""), Code(System::Fhir(variable), value, "")]);
        });
    }
    let paid = row.code(Info::ManagedCarePaid).unwrap_or("0");
    info.of("CLM_MDCR_INSTNL_MCO_PD_SW", "MCO Paid Switch", |json| {
        code(json, "CLM-MDCR-INSTNL-MCO-PD-SW", paid, "No managed care organization (MCO) payment");
    });
    if let Some(payer) = row.code(Info::PrimaryPayer) {
        info.of("CLM_NCH_PRMRY_PYR_CD", "NCH Primary Payer Code", |json| code(json, "CLM-NCH-PRMRY-PYR-CD", payer, ""));
    }
    if let Some((action, _)) = bill.action {
        info.of("CLM_FI_ACTN_CD", "Claim Fiscal Intermediary Action Code", |json| {
            code(json, "CLM-FI-ACTN-CD", action, "");
        });
    }
    let pints = row.count(Info::BloodPints).unwrap_or(0);
    info.of("CLM_BLOOD_PT_FRNSH_QTY", "Blood Pints Furnished Quantity", |json| json.pints(pints));
    tracking(info, claim);
    if let Some(group) = row.code(Info::RelatedGroup) {
        info.carin("drg", |json| json.concept("code", &[Code(System::Url(DRGS), group, "")]));
    }
}

fn drug(info: &mut Information<'_, '_>, row: &ClaimRow<'_>, event: &DrugEvent) {
    let claim = row.claim;
    let coded = |info: Info| row.code(info).unwrap_or("0");
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
    for (entry, word, system, variable, words) in [
        (Info::PrescriptionOrigin, "rxorigincode", "NCPDPPrescriptionOriginCode", "CLM-LINE-RX-ORGN-CD", ""),
        (Info::BrandGeneric, "brandgenericindicator", "NCPDPBrandGenericIndicator", "CLM-BRND-GNRC-CD", ""),
        (Info::Compound, "compoundcode", "NCPDPCompoundCode", "CLM-CMPND-CD", "Not a compound"),
    ] {
        let value = coded(entry);
        info.carin(word, |json| {
            json.concept(
                "code",
                &[Code(System::Terminology(system), value, words), Code(System::Fhir(variable), value, words)],
            );
        });
    }
    let home = coded(Info::Residence);
    info.of("CLM_PTNT_RSDNC_CD", "Patient Residence Code", |json| code(json, "CLM-PTNT-RSDNC-CD", home, "Home"));
    let clarified = coded(Info::Clarification);
    info.of("CLM_LTC_DSPNSNG_MTHD_CD", "Submission Clarification Code", |json| {
        code(json, "CLM-LTC-DSPNSNG-MTHD-CD", clarified, "");
    });
    if let Some(days) = row.count(Info::DaysSupply) {
        info.carin("dayssupply", |json| quantity(json, "valueQuantity", days, Some("days"), false));
    }
    if let Some(fill) = row.count(Info::Refill) {
        info.carin("refillnum", |json| quantity(json, "valueQuantity", fill, Some("fill"), false));
    }
    let written = coded(Info::DispenseAsWritten);
    info.carin("dawcode", |json| {
        let system = System::Terminology("NCPDPDispensedAsWrittenOrProductSelectionCode");
        json.concept("code", &[Code(system, written, "")]);
    });
    let covered = coded(Info::DrugCoverage);
    info.of("CLM_DRUG_CVRG_STUS_CD", "Drug Coverage Status Code", |json| {
        code(json, "CLM-DRUG-CVRG-STUS-CD", covered, "Covered");
    });
    info.of("CLM_CTSTRPHC_CVRG_IND_CD", "Catastrophic Coverage Code", |json| {
        code(json, "CLM-CTSTRPHC-CVRG-IND-CD", "A", "Attachment point met on this event");
    });
    info.of("CLM_LINE_RX_NUM", "Claim Line Prescription Service Reference Number", |json| {
        json.put("valueString", Digits(event.prescription, 1));
    });
}
