//! Part D drug events (`pde`) in v1.

use super::super::Claim;
use super::super::facts::{Facts, Item, Quantity, Reference, named};
use super::super::json::Json;
use super::super::vocabulary::{Code, System, US_NPI};
use super::parts::{FIRST_MEMBER, extension, is_about, one_coding, priced};
use super::sections::{PRIMARY, information, member};

/// Writes the inside of the resource.
pub(super) fn write(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>) {
    claim.head_v1(json);
    claim.identity_v1(json, facts);
    json.period("billablePeriod", claim.start, claim.end);
    json.put_object("organization", |json| pharmacy(json, &facts.facility));
    json.put_object("facility", |json| {
        json.put_list("extension", |json| facts.facility.extension.iter().for_each(|one| extension(json, one)));
        pharmacy(json, &facts.facility);
    });
    let kind = named(&facts.facility.extension, "phrmcy_srvc_type_cd");
    information(json, facts, kind.and_then(|kind| kind.value_coding.as_ref()));
    json.put_list("careTeam", |json| {
        if let Some(prescriber) = facts.member("prescribing") {
            member(json, FIRST_MEMBER, prescriber, PRIMARY);
        }
    });
    claim.insurance_v1(json, facts);
    json.put_list("item", |json| {
        facts.item.iter().for_each(|line| json.object(|json| item(json, claim, facts, line)));
    });
    if let Some(date) = &facts.payment.date {
        json.put_object("payment", |json| json.put("date", date.as_str()));
    }
}

fn pharmacy(json: &mut Json<'_>, pharmacy: &Reference<'_>) {
    if let Some(npi) = &pharmacy.identifier {
        json.put_object("identifier", |json| {
            json.concept("type", &[Code(US_NPI, "NPI", "National Provider Identifier")]);
            json.put("system", US_NPI);
            json.put("value", npi.value.as_str());
        });
    }
    json.put_some("display", pharmacy.display.as_deref());
}

fn item(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>, line: &Item<'_>) {
    json.put("sequence", line.sequence);
    json.put_list("careTeamLinkId", |json| json.item(FIRST_MEMBER));
    if let Some(drug) = line.product_or_service.coding.first() {
        json.put_object("service", |json| one_coding(json, drug));
    }
    json.put("servicedDate", claim.end);
    json.put_object("quantity", |json| {
        json.put_list("extension", |json| {
            for (variable, category) in [("fill_num", "refillnum"), ("days_suply_num", "dayssupply")] {
                let count = facts.information(category).and_then(|info| info.value_quantity.as_ref());
                json.object(|json| {
                    json.put("url", System::Variable(variable));
                    json.put_object("valueQuantity", |json| value(json, count));
                });
            }
        });
        value(json, Some(&line.quantity));
    });
    let covered = Code(System::Variable("drug_cvrg_stus_cd"), "C", "Covered");
    json.put_list("adjudication", |json| {
        for one in &line.adjudication {
            priced(json, one, is_about(one, "cvrd_d_plan_pd_amt").then_some(covered));
        }
    });
    json.put_list("detail", |json| {
        let invoice = Code(System::Url("http://hl7.org/fhir/v3/ActCode"), "RXDINV", "Rx dispense invoice");
        json.object(|json| json.concept("type", &[invoice]));
    });
}

fn value(json: &mut Json<'_>, quantity: Option<&Quantity<'_>>) {
    json.put_some("value", quantity.and_then(|quantity| quantity.value));
}
