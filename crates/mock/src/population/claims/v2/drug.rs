//! Part D drug events (`pde`) in v2.

use jiff::Timestamp;

use super::super::json::{Decimal, Digits, Json};
use super::super::row::{ClaimRow, DrugEvent};
use super::super::vocabulary::{Code, DRUG_COST, NDC, System, US_NPI};
use super::sections::{amounts, biller, care_team, supporting_info};

/// Writes the members of the resource.
pub(super) fn write(json: &mut Json<'_>, row: &ClaimRow<'_>, event: &DrugEvent, created: Timestamp) {
    let claim = row.claim;
    claim.head_v2(json);
    row.identity_v2(json, created);
    json.put_object("provider", |json| biller(json, US_NPI, event.pharmacy));
    json.put_object("facility", |json| {
        json.put_list("extension", |json| json.pharmacy_kind(event));
        json.put_object("identifier", |json| {
            json.concept("type", &[Code(System::Carin("C4BBIdentifierType"), "npi", "")]);
            json.put("value", Digits(event.pharmacy, 10));
        });
        json.put_some("display", event.pharmacy_name);
    });
    json.put("outcome", "complete");
    care_team(json, row);
    supporting_info(json, row);
    claim.insurance_v2(json, |json| json.plan(event));
    json.put_list("item", |json| {
        for line in &row.lines {
            json.object(|json| {
                json.put("sequence", line.sequence);
                json.put_list("careTeamSequence", |json| json.item(1));
                json.concept("productOrService", &[Code(NDC, event.drug.ndc, event.drug.name)]);
                json.put("servicedDate", claim.end);
                json.put_object("quantity", |json| json.put("value", Decimal(line.units)));
                json.put_list("adjudication", |json| amounts(json, line));
            });
        }
    });
    json.put_list("total", |json| {
        json.object(|json| {
            json.concept("category", &[DRUG_COST]);
            json.money("amount", row.charge);
        });
    });
    if event.has_payment_date {
        json.put_object("payment", |json| json.put("date", claim.processed()));
    }
}
