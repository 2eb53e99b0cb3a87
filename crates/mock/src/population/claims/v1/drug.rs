//! Part D drug events (`pde`) in v1.

use super::super::json::{Decimal, Digits, Json};
use super::super::row::{ClaimRow, DrugEvent, Info, Line};
use super::super::vocabulary::{Code, NDC, System, US_NPI};
use super::parts::{FIRST_MEMBER, amounts};
use super::sections::{PRIMARY, information, member};

/// Writes the members of the resource.
pub(super) fn write(json: &mut Json<'_>, row: &ClaimRow<'_>, event: &DrugEvent) {
    let claim = row.claim;
    claim.head_v1(json);
    row.identity_v1(json);
    json.period("billablePeriod", claim.start, claim.end);
    json.put_object("organization", |json| pharmacy(json, event));
    json.put_object("facility", |json| {
        json.put_list("extension", |json| json.pharmacy_kind(event));
        pharmacy(json, event);
    });
    information(json, row, Some(event.pharmacy_kind));
    json.put_list("careTeam", |json| member(json, FIRST_MEMBER, &row.performer, PRIMARY));
    claim.insurance_v1(json, |json| json.plan(event));
    json.put_list("item", |json| {
        row.lines.iter().for_each(|line| json.object(|json| item(json, row, event, line)));
    });
    if event.has_payment_date {
        json.put_object("payment", |json| json.put("date", claim.processed()));
    }
}

fn pharmacy(json: &mut Json<'_>, event: &DrugEvent) {
    json.put_object("identifier", |json| {
        json.concept("type", &[Code(US_NPI, "NPI", "National Provider Identifier")]);
        json.put("system", US_NPI);
        json.put("value", Digits(event.pharmacy, 10));
    });
    json.put_some("display", event.pharmacy_name);
}

fn item(json: &mut Json<'_>, row: &ClaimRow<'_>, event: &DrugEvent, line: &Line) {
    json.put("sequence", line.sequence);
    json.put_list("careTeamLinkId", |json| json.item(FIRST_MEMBER));
    json.concept("service", &[Code(NDC, event.drug.ndc, event.drug.name)]);
    json.put("servicedDate", row.claim.end);
    json.put_object("quantity", |json| {
        json.put_list("extension", |json| {
            for info in [Info::Refill, Info::DaysSupply] {
                json.object(|json| {
                    json.put("url", System::Variable(info.variable().0));
                    json.put_object("valueQuantity", |json| json.put_some("value", row.count(info)));
                });
            }
        });
        json.put("value", Decimal(line.units));
    });
    json.put_list("adjudication", |json| amounts(json, line));
    json.put_list("detail", |json| {
        let invoice = Code(System::Url("http://hl7.org/fhir/v3/ActCode"), "RXDINV", "Rx dispense invoice");
        json.object(|json| json.concept("type", &[invoice]));
    });
}
