//! Prior authorizations: what a provider has asked Medicare for, and the answer.

use super::super::datetime::FhirInstant;
use super::super::json::Json;
use super::super::row::{ClaimRow, Role};
use super::super::vocabulary::{Code, System};
use super::super::{Claim, days_after};
use super::parts::{self, Information};
use super::{Stage, biller, biller_name};

const ASKED: &[(&str, &str)] = &[("G0299", "Non-affirmed"), ("G0162", "Pending"), ("G0151", "Affirmed")];

pub(super) fn write(json: &mut Json<'_>, row: &ClaimRow<'_>, id: &str, patient: &str) {
    let claim = row.claim;
    let marks = claim.marks_v3(Stage::PriorAuthorization);
    json.put("resourceType", "ExplanationOfBenefit");
    json.put("id", id);
    json.put_object("meta", |json| {
        json.put("lastUpdated", FhirInstant { at: claim.last_updated, eastern: false, milliseconds: true });
        json.put("source", marks.source);
        json.put_list("profile", |json| {
            json.item("http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/pdex-priorauthorization");
        });
        json.put_list("tag", |json| {
            marks.tags.iter().for_each(|&(system, code)| json.coding(Code(System::Url(system), code, "")));
        });
    });
    let npi = biller(row);
    json.put_list("contained", |json| {
        parts::organization(json, npi, biller_name(row).as_str());
        parts::insurer(json);
    });
    json.put_list("identifier", |json| {
        json.object(|json| {
            json.put("system", "https://bluebutton.cms.gov/identifiers/Unique-Tracking-Number");
            json.put("value", format_args!("-{:013}", claim.number));
        });
    });
    json.put("status", "active");
    json.put_object("type", |json| {
        json.codings(&[
            Code(System::Terminology("claim-type"), "institutional", "institutional"),
            Code(System::Fhir("CLM-TYPE"), "H", "Home Health"),
        ]);
    });
    json.put("use", "preauthorization");
    json.put_object("patient", |json| json.put("reference", format_args!("Patient/{patient}")));
    json.put("created", FhirInstant { at: claim.effective(), eastern: false, milliseconds: false });
    json.put_object("insurer", |json| json.put("reference", "#insurer-org"));
    json.put_object("provider", |json| json.put("reference", format_args!("#{npi}")));
    json.put("outcome", "partial");
    json.put_list("preAuthRefPeriod", |json| {
        json.object(|json| {
            json.put("start", claim.processed());
            json.put("end", days_after(claim.processed(), 365));
        });
    });
    json.put_list("careTeam", |json| {
        for (sequence, role) in (1..).zip([Role::Referring, Role::Performing, Role::Attending]) {
            json.object(|json| {
                json.put("sequence", sequence);
                json.put_object("provider", |json| {
                    json.put("type", "Practitioner");
                    json.put_object("identifier", |json| parts::npi(json, npi));
                });
                parts::role(json, role);
            });
        }
    });
    json.put_list("supportingInfo", |json| {
        let mut info = Information { json, sequence: 0 };
        info.of("CLM_CNTRCTR_NUM", "Claim Contractor Number", |json| {
            parts::code(json, "CLM-CNTRCTR-NUM", "01911", "NORIDIAN ADMINISTRATIVE SERVICES")
        });
        info.carin("typeofbill", |json| {
            json.concept("code", &[Code(System::Url("https://www.nubc.org/CodeSystem/TypeOfBill"), "32X", "")]);
        });
    });
    json.put_list("insurance", |json| {
        json.object(|json| {
            json.put("focal", true);
            json.put_object("coverage", |json| json.put("display", "Part A"));
        });
    });
    json.put_list("item", |json| {
        let number = 1 + claim.number % 3;
        for (&(code, decision), sequence) in ASKED.iter().zip(1..=number) {
            json.object(|json| item(json, claim, code, decision, sequence));
        }
    });
}

fn item(json: &mut Json<'_>, claim: &Claim, code: &str, decision: &str, sequence: u64) {
    let asked = claim.processed();
    json.put_list("extension", |json| {
        parts::coded(json, "PA-DECISION", &decision[..1], decision);
        for (name, after) in [
            ("PA-DT-ADDED", 0),
            ("PA-DT-UPDATED", 0),
            ("PA-REQ-SUB-DT", 0),
            ("PA-REQ-REC-DT", 0),
            ("PA-DECISION-DT", 1),
            ("PA-DECISION-EXP-DT", 366),
        ] {
            json.object(|json| {
                json.put("url", System::FhirExtension(name));
                json.put("valueDate", days_after(asked, after));
            });
        }
        for (name, count) in [("SERVICE-CNTS", 4 + sequence), ("MR-COUNT-IND", 51)] {
            json.object(|json| {
                json.put("url", System::FhirExtension(name));
                json.put("valueUnsignedInt", count);
            });
        }
    });
    json.put("sequence", sequence);
    json.concept(
        "productOrService",
        &[Code(System::Url("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"), code, "")],
    );
}
