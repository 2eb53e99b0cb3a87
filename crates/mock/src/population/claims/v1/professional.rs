//! Claims of doctors (`carrier`) and of equipment suppliers (`dme`) in v1.

use super::super::Kind;
use super::super::json::{Digits, Json};
use super::super::parts::Cents;
use super::super::row::{ClaimRow, Column, Figure, Line, Professional, ServiceLine, Source};
use super::super::vocabulary::{Code, System, US_NPI};
use super::parts::{FIRST_MEMBER, amounts, dollars, money_extension, provider, reasoned, role};
use super::sections::{PRIMARY, diagnoses, information};

/// Writes the members of the resource.
pub(super) fn write(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Professional) {
    let claim = row.claim;
    claim.head_v1(json);
    json.put_list("contained", |json| contained(json, row, bill));
    json.put_list("extension", |json| extensions(json, row, bill));
    row.identity_v1(json);
    json.period("billablePeriod", claim.start, claim.end);
    json.put_object("referral", |json| json.put("reference", "#1"));
    json.put("disposition", row.disposition());
    information(json, row, None);
    json.put_list("careTeam", |json| json.object(|json| performer(json, row, bill)));
    diagnoses(json, row);
    claim.insurance_v1(json, |_| ());
    json.put_list("item", |json| {
        for (line, details) in row.lines.iter().zip(&bill.lines) {
            json.object(|json| item(json, row, bill, (line, details)));
        }
    });
    json.put_object("payment", |json| dollars(json, "amount", row.paid));
}

/// The referral (`#1`), and the laboratory value (`#2`) if the claim has one.
fn contained(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Professional) {
    json.object(|json| {
        json.put("resourceType", "ReferralRequest");
        json.put("id", "1");
        json.put("status", "completed");
        json.put_object("subject", |json| json.put("reference", format_args!("Patient/-{}", row.claim.patient)));
        json.put_object("requester", |json| json.put_object("agent", |json| provider(json, &bill.referring)));
        json.put_list("recipient", |json| json.object(|json| provider(json, &bill.referring)));
    });
    if let Some(hemoglobin) = bill.hemoglobin {
        json.observation("2", hemoglobin);
    }
}

/// What v2 has in extensions, and the sums that v2 has in `benefitBalance`.
fn extensions(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Professional) {
    money_extension(json, Column::Prpayamt, Cents(0));
    json.carrier(bill);
    for (column, figure) in &row.figures {
        if let Figure::Money(amount) = figure {
            money_extension(json, *column, *amount);
        }
    }
}

/// The only member of the care team, who is responsible for all lines. The group that they bill for is an extension.
fn performer(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Professional) {
    json.put_list("extension", |json| {
        json.participation(row.claim.kind);
        if let Some((npi, name)) = bill.organization {
            json.object(|json| {
                json.put("url", US_NPI);
                json.put_object("valueCoding", |json| {
                    json.put("system", US_NPI);
                    json.put("code", Digits(npi, 10));
                    json.put("display", name);
                });
            });
        }
    });
    json.put("sequence", FIRST_MEMBER);
    json.put_object("provider", |json| provider(json, &row.performer));
    json.put("responsible", true);
    role(json, PRIMARY);
    json.concept("qualification", &[row.performer.specialty.of_cms()]);
}

fn item(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Professional, (line, details): (&Line, &ServiceLine)) {
    let claim = row.claim;
    let is_carrier = claim.kind == Kind::Carrier;
    json.put_list("extension", |json| {
        match details.source {
            Source::Zip(..) => {
                json.services_coded();
                json.services(line);
            }
            Source::Supplier(supplier) => json.equipment(line, supplier),
        }
        json.betos(details);
        json.deductible_applies();
        if row.is_observed(line) {
            json.object(|json| {
                json.put("url", System::Variable("line_hct_hgb_rslt_num"));
                json.put_object("valueReference", |json| json.put("reference", "#2"));
            });
        }
        if !is_carrier {
            json.testing_strips();
        }
    });
    json.put("sequence", line.sequence);
    json.put_list("careTeamLinkId", |json| json.item(FIRST_MEMBER));
    json.put_list("diagnosisLinkId", |json| json.item(details.diagnosis));
    json.concept("category", &[details.service.code()]);
    json.put_object("service", |json| json.hcpcs_version_3(details.service.hcpcs));
    if let Some(modifier) = line.modifier {
        json.put_list("modifier", |json| json.object(|json| json.hcpcs_version_3(modifier)));
    }
    json.period("servicedPeriod", claim.start, claim.end);
    json.put_object("locationCodeableConcept", |json| {
        json.put_list("extension", |json| {
            json.location(bill, details);
            if !is_carrier {
                json.equipment_pricing(bill);
            }
        });
        json.codings(&[bill.place()]);
    });
    json.put_object("quantity", |json| json.put("value", line.units));
    json.put_list("adjudication", |json| {
        if is_carrier {
            reasoned(json, "Carrier Line Reduced Payment Physician Assistant Code", Professional::NOT_REDUCED);
        }
        amounts(json, line);
        let (code, words) = line.processing();
        let processed = Code(System::Variable("line_prcsg_ind_cd"), code, words);
        reasoned(json, "Line Processing Indicator Code", processed);
    });
}
