//! The revenue lines of an institution's claim in v1.

use super::super::facts::{Coding, Item, named};
use super::super::json::Json;
use super::super::vocabulary::{Code, System, UNITS};
use super::super::{Claim, Kind};
use super::institutional::hcpcs;
use super::parts::{extension, one_coding, priced, quantity, reasoned};
use crate::rng::Rng;

/// One revenue line; `performing` is the number of who answers for it. `rng` decides what only v1 tells.
pub(super) fn item(json: &mut Json<'_>, claim: &Claim, rng: &mut Rng, performing: u64, line: &Item<'_>) {
    let drug = named(&line.product_or_service.extension, "ndc").and_then(|one| one.value_coding.as_ref());
    drug_quantity(json, claim, drug, line);
    json.put("sequence", line.sequence);
    json.put_list("careTeamLinkId", |json| json.item(performing));
    json.put_object("revenue", |json| revenue_center(json, line));
    let code = line.product_or_service.of("hcpcs");
    if let Some(code) = code {
        json.put_object("service", |json| {
            if let Some(drug) = drug {
                json.put_list("extension", |json| json.variable("rev_cntr_ide_ndc_upc_num", &drug.code, ""));
            }
            hcpcs(json, &code.code);
        });
    }
    modifiers(json, claim, rng, line);
    if code.is_some() && matches!(claim.kind, Kind::Outpatient | Kind::Hha | Kind::Hospice) {
        json.put("servicedDate", claim.start);
    }
    json.put_object("locationAddress", |json| json.put("state", line.location_address.state.as_str()));
    // v2 tells the units of a drug as the quantity, and those of the service in an extension.
    let units = named(&line.extension, "rev_cntr_unit_cnt").and_then(|one| one.value_quantity.as_ref());
    quantity(json, "quantity", units.unwrap_or(&line.quantity));
    json.put_list("adjudication", |json| adjudications(json, claim, line));
}

/// The extension with how much of a drug was given, where the line has one.
fn drug_quantity(json: &mut Json<'_>, claim: &Claim, drug: Option<&Coding<'_>>, line: &Item<'_>) {
    if drug.is_none() && !matches!(claim.kind, Kind::Snf | Kind::Hha | Kind::Hospice) {
        return;
    }
    json.put_list("extension", |json| {
        json.object(|json| {
            json.put("url", System::Variable("rev_cntr_ndc_qty"));
            json.put_object("valueQuantity", |json| {
                match line.quantity.value {
                    Some(value) => json.put("value", value),
                    None => json.put("value", 1),
                }
                json.put("unit", "Milliliter");
                json.put("system", UNITS);
                json.put("code", "ML");
            });
        });
    });
}

fn revenue_center(json: &mut Json<'_>, line: &Item<'_>) {
    let deductible = line.revenue.of("rev_cntr_ddctbl_coinsrnc_cd");
    if deductible.is_some() || !line.revenue.extension.is_empty() {
        json.put_list("extension", |json| {
            line.revenue.extension.iter().for_each(|one| extension(json, one));
            if let Some(Coding { code, display, .. }) = deductible {
                json.variable("rev_cntr_ddctbl_coinsrnc_cd", code, display.as_deref().unwrap_or_default());
            }
        });
    }
    if let Some(center) = line.revenue.of("rev_cntr") {
        one_coding(json, center);
    }
}

/// v2's modifiers without the unit of the drug, which stands among them there.
fn modifiers(json: &mut Json<'_>, claim: &Claim, rng: &mut Rng, line: &Item<'_>) {
    let theirs = line.modifier.iter().filter_map(|modifier| modifier.of("hcpcs"));
    let mut codes: Vec<&str> = theirs.map(|coding| coding.code.as_str()).collect();
    if claim.kind == Kind::Outpatient && rng.percent(10) {
        codes.push("59");
    }
    if !codes.is_empty() {
        json.put_list("modifier", |json| codes.iter().for_each(|code| json.object(|json| hcpcs(json, code))));
    }
}

fn adjudications(json: &mut Json<'_>, claim: &Claim, line: &Item<'_>) {
    let variable = "rev_cntr_1st_ansi_cd";
    let words = "Revenue Center 1st ANSI Code";
    match line.adjudication.iter().find_map(|one| one.reason.as_ref()?.coding.first()) {
        Some(reason) => reasoned(json, variable, words, reason),
        // Outpatient lines always say why less was allowed than charged: the fee schedule.
        None if claim.kind == Kind::Outpatient => json.object(|json| {
            json.put_object("category", |json| {
                json.put_list("coding", |json| json.variable_code("adjudication", variable, words));
            });
            json.concept("reason", &[Code(System::Variable(variable), "CO45", "")]);
        }),
        None => {}
    }
    line.adjudication.iter().for_each(|one| priced(json, one, None));
}
