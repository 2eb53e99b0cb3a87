//! Claims of institutions in v2: hospital (in and out), nursing facility, home health, hospice.

use jiff::Timestamp;

use super::super::json::{Digits, Json};
use super::super::row::{ClaimRow, Institutional, Line, Organization, RevenueLine};
use super::super::vocabulary::{Code, HCPCS, NDC, SUBMITTED, System, UNITS, US_NPI};
use super::super::{Kind, near_line_record};
use super::sections::{amounts, care_team, denial, diagnoses, performing, sums, supporting_info};

/// Writes the members of the resource.
pub(super) fn write(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Institutional, created: Timestamp) {
    let claim = row.claim;
    claim.head_v2(json);
    if let Some(organization) = bill.organization {
        json.put_list("contained", |json| json.object(|json| contained(json, organization)));
    }
    json.put_list("extension", |json| extensions(json, row, bill));
    row.identity_v2(json, created);
    if bill.organization.is_some() {
        json.put_object("provider", |json| json.put("reference", "#provider-org"));
    }
    json.put_object("facility", |json| json.facility_kind(claim.kind));
    json.put("outcome", "complete");
    care_team(json, row);
    supporting_info(json, row);
    diagnoses(json, row);
    if !bill.procedures.is_empty() {
        json.put_list("procedure", |json| {
            for (sequence, (code, words)) in (1..).zip(&bill.procedures) {
                json.object(|json| {
                    json.put("sequence", sequence);
                    json.put("date", format_args!("{}T00:00:00+00:00", claim.start));
                    let systems = ["http://www.cms.gov/Medicare/Coding/ICD10", "http://hl7.org/fhir/sid/icd-10"];
                    json.concept("procedureCodeableConcept", &systems.map(|it| Code(System::Url(it), code, words)));
                });
            }
        });
    }
    claim.insurance_v2(json, |_| ());
    json.put_list("item", |json| {
        for (line, details) in row.lines.iter().zip(&bill.lines) {
            json.object(|json| item(json, row, bill, (line, details)));
        }
    });
    sums(json, row, SUBMITTED);
}

fn contained(json: &mut Json<'_>, organization: Organization) {
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
            json.put("value", Digits(organization.number, 6));
        });
        json.object(|json| {
            json.concept("type", &[Code(System::Carin("C4BBIdentifierType"), "npi", "")]);
            json.put("system", US_NPI);
            json.put("value", Digits(organization.npi, 10));
        });
    });
    json.put("active", true);
    json.put("name", organization.name);
}

fn extensions(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Institutional) {
    let claim = row.claim;
    let (code, words) = near_line_record(claim.kind);
    json.variable("nch_near_line_rec_ident_cd", code, words);
    if let Some((code, words)) = bill.action {
        json.variable("fi_clm_actn_cd", code, words);
    }
    for (column, amount) in &row.value_amounts {
        json.object(|json| {
            json.put("url", System::Variable(column.variable().0));
            json.money("valueMoney", *amount);
        });
    }
    json.control_number(bill);
    json.variable_value("fi_clm_proc_dt", "valueDate", claim.processed());
    json.payment_requested();
    json.variable("clm_srvc_clsfctn_type_cd", Institutional::service_class(claim.kind), "");
    json.variable("fi_num", bill.contractor, "");
    if let Some(periods) = bill.hospice_periods {
        json.hospice_periods(periods);
    }
}

fn item(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Institutional, (line, details): (&Line, &RevenueLine)) {
    let kind = row.claim.kind;
    if !matches!(kind, Kind::Hospice | Kind::Inpatient) {
        json.put_list("extension", |json| json.variable_count("rev_cntr_unit_cnt", line.units));
    }
    json.put("sequence", line.sequence);
    json.put_list("careTeamSequence", |json| json.item(performing(row)));
    json.put_object("revenue", |json| {
        if RevenueLine::has_fee_schedule(kind) {
            json.put_list("extension", |json| json.fee_schedule());
        }
        let nubc = Code(System::Url("https://www.nubc.org/CodeSystem/RevenueCodes"), "0", "");
        let codes = [details.center(), nubc, RevenueLine::DEDUCTIBLE];
        json.codings(if RevenueLine::has_deductible(kind) { &codes } else { &codes[..1] });
    });
    if let Some(code) = line.code {
        json.put_object("productOrService", |json| {
            if details.has_drug {
                json.put_list("extension", |json| json.extension(NDC, RevenueLine::DRUG, "Ketorolac - KETOROLAC"));
            }
            let codes = [Code(System::Variable("hcpcs_cd"), code, ""), Code(HCPCS, code, "")];
            json.codings(if kind == Kind::Inpatient { &codes } else { &codes[1..] });
        });
    }
    if let Some(modifier) = line.modifier {
        json.put_list("modifier", |json| {
            json.object(|json| json.codings(&[Code(HCPCS, modifier, "")]));
            json.object(|json| json.codings(&[Code(UNITS, "ML", "Milliliter")]));
        });
    }
    if matches!(kind, Kind::Hha | Kind::Hospice) {
        json.put("servicedDate", row.claim.start);
    }
    json.put_object("locationAddress", |json| json.put("state", bill.state));
    if Institutional::counts_drugs(kind) || kind == Kind::Inpatient {
        json.put_object("quantity", |json| json.put("value", line.units));
    }
    json.put_list("adjudication", |json| {
        if let Some(reason) = line.reduction(kind == Kind::Hha) {
            denial(json, reason);
        }
        amounts(json, line);
    });
}
