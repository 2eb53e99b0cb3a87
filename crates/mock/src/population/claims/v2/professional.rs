//! Claims of doctors (`carrier`) and of equipment suppliers (`dme`) in v2.

use jiff::Timestamp;

use super::super::json::Json;
use super::super::row::{ClaimRow, Line, Professional, Role, ServiceLine, Source};
use super::super::vocabulary::{Code, HCPCS, PRIOR_PAYER, System, US_NPI};
use super::super::{Kind, near_line_record};
use super::sections::{amounts, biller, denial, diagnoses, member, named, performing, role, sums, supporting_info};

/// Writes the members of the resource.
pub(super) fn write(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Professional, created: Timestamp) {
    let claim = row.claim;
    let is_carrier = claim.kind == Kind::Carrier;
    claim.head_v2(json);
    if let Some(hemoglobin) = bill.hemoglobin {
        json.put_list("contained", |json| json.observation("line-observation-1", hemoglobin));
    }
    json.put_list("extension", |json| {
        let (code, words) = near_line_record(claim.kind);
        json.variable("nch_near_line_rec_ident_cd", code, words);
        json.carrier(bill);
        json.variable("carr_clm_entry_cd", bill.entry.0, bill.entry.1);
    });
    row.identity_v2(json, created);
    if bill.has_biller {
        json.put_object("provider", |json| {
            if is_carrier {
                biller(json, System::Variable("carr_clm_blg_npi_num"), row.performer.npi);
            } else {
                json.put("type", "Practitioner");
                biller(json, US_NPI, row.performer.npi);
                json.provider_name(&row.performer);
            }
        });
    }
    if bill.has_referral {
        json.put_object("referral", |json| named(json, &bill.referring));
    }
    json.put("outcome", "complete");
    json.put("disposition", row.disposition());
    json.put_list("careTeam", |json| care_team(json, row, bill));
    supporting_info(json, row);
    diagnoses(json, row);
    claim.insurance_v2(json, |_| ());
    json.put_list("item", |json| {
        for lines in row.lines.iter().zip(&bill.lines) {
            json.object(|json| item(json, row, bill, lines));
        }
    });
    sums(json, row, PRIOR_PAYER);
}

/// The person who performed the service is responsible for the lines and has CMS's own specialty in addition to the
/// taxonomy. The last member is the group that they bill for.
fn care_team(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Professional) {
    member(json, 1, (Role::Referring, &bill.referring));
    json.object(|json| {
        json.put_list("extension", |json| json.participation(row.claim.kind));
        json.put("sequence", performing(row));
        json.put_object("provider", |json| named(json, &row.performer));
        json.put("responsible", true);
        json.concept("role", &[role(Role::Performing)]);
        let specialty = row.performer.specialty;
        json.concept("qualification", &[specialty.taxonomy(), specialty.of_cms()]);
    });
    if let Some((npi, name)) = bill.organization {
        json.object(|json| {
            json.put("sequence", performing(row) + 1);
            json.put_object("provider", |json| {
                json.npi(npi);
                json.put("display", name);
            });
            let primary = Code(System::Terminology("claimcareteamrole"), "primary", "Primary provider");
            json.concept("role", &[primary]);
        });
    }
}

fn item(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Professional, (line, details): (&Line, &ServiceLine)) {
    let claim = row.claim;
    let is_carrier = claim.kind == Kind::Carrier;
    json.put_list("extension", |json| {
        match details.source {
            Source::Zip(..) => {
                json.services(line);
                json.variable("carr_line_mtus_cnt", "3", "");
                json.services_coded();
            }
            Source::Supplier(supplier) => {
                json.equipment(line, supplier);
                json.equipment_pricing(bill);
            }
        }
        json.betos(details);
        let (code, words) = line.processing();
        json.variable("line_prcsg_ind_cd", code, words);
        json.deductible_applies();
    });
    json.put("sequence", line.sequence);
    json.put_list("careTeamSequence", |json| json.item(performing(row)));
    json.put_list("diagnosisSequence", |json| json.item(details.diagnosis));
    if row.is_observed(line) {
        // The laboratory value is the second entry of the supporting information.
        json.put_list("informationSequence", |json| json.item(2));
    }
    json.concept("category", &[details.service.code()]);
    json.put_object("productOrService", |json| {
        if !is_carrier {
            json.put_list("extension", |json| json.testing_strips());
        }
        json.codings(&[Code(HCPCS, details.service.hcpcs, "")]);
    });
    if let Some(modifier) = line.modifier {
        json.put_list("modifier", |json| json.object(|json| json.hcpcs_version_3(modifier)));
    }
    json.period("servicedPeriod", claim.start, claim.end);
    json.put_object("locationCodeableConcept", |json| {
        json.put_list("extension", |json| json.location(bill, details));
        json.codings(&[bill.place()]);
    });
    json.put_object("quantity", |json| json.put("value", line.units));
    json.put_list("adjudication", |json| {
        if is_carrier {
            denial(json, Professional::NOT_REDUCED);
        }
        amounts(json, line);
    });
}
