//! `item` of v3.

use super::super::facts::{Facts, Item, named};
use super::super::json::Json;
use super::super::vocabulary::{Code, NDC, System};
use super::super::{Claim, Kind};
use super::amounts::LINES;
use super::parts::{absent, coded, first_code, period, quantity, status_of_benefit};

const HCPCS: &str = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets";
const CPT: &str = "http://www.ama-assn.org/go/cpt";
const PLACES: &str = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set";

pub(super) fn write(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>, item: &Item<'_>) {
    let kind = claim.kind;
    json.object(|json| {
        extensions(json, kind, item);
        json.put("sequence", item.sequence);
        if kind != Kind::Pde && !item.diagnosis_sequence.is_empty() {
            json.put_list("diagnosisSequence", |json| item.diagnosis_sequence.iter().for_each(|one| json.item(*one)));
        }
        let revenue = first_code(&item.revenue);
        if !revenue.is_empty() && !matches!(kind, Kind::Carrier | Kind::Pde) {
            json.concept(
                "revenue",
                &[
                    Code(System::Fhir("CLM-REV-CNTR-CD"), revenue, revenue_words(revenue)),
                    Code(System::Url("https://www.nubc.org/CodeSystem/RevenueCodes"), revenue, ""),
                    Code(System::Fhir("CLM-DDCTBL-COINSRNC-CD"), "0", ""),
                ],
            );
        }
        if !matches!(kind, Kind::Carrier | Kind::Pde) {
            // The prior authorisation's number, if there is nothing of its own.
            json.put_list("informationSequence", |json| match item.information_sequence.is_empty() {
                true => json.item(1),
                false => item.information_sequence.iter().for_each(|one| json.item(*one)),
            });
        }
        product(json, item, kind);
        modifiers(json, item, kind);
        served(json, claim, facts, item);
        if kind == Kind::Carrier || kind == Kind::Dme {
            let place = first_code(&item.location_codeable_concept);
            json.concept("locationCodeableConcept", &[Code(System::Url(PLACES), place, "")]);
        }
        let units = item.quantity.value;
        match units {
            Some(units) => quantity(json, "quantity", units, (kind == Kind::Pde).then_some("ML"), false),
            None => quantity(json, "quantity", 1, None, false),
        }
        json.put_list("adjudication", |json| {
            let of_kind = LINES.iter().filter(|amount| amount.kinds.include(kind));
            of_kind.for_each(|amount| amount.write(json, &|name| item.amount(name), &|_| None));
            if matches!(kind, Kind::Carrier | Kind::Dme) {
                status_of_benefit(json);
            }
        });
        detail(json, claim, item);
    });
}

/// What a revenue centre is, by the first digits of its code.
fn revenue_words(code: &str) -> &'static str {
    match code.get(..3).unwrap_or_default() {
        "000" => "Total charge",
        "010" | "011" | "012" | "020" => "ROOM & BOARD",
        "025" => "PHARMACY",
        "027" => "MEDICAL/SURGICAL SUPPLIES AND DEVICES",
        "030" => "LABORATORY",
        "032" => "RADIOLOGY - DIAGNOSTIC",
        "042" => "PHYSICAL THERAPY",
        "045" => "EMERGENCY ROOM",
        "055" => "SKILLED NURSING",
        "065" => "HOSPICE SERVICE",
        _ => "OTHER DIAGNOSTIC SERVICES",
    }
}

fn extensions(json: &mut Json<'_>, kind: Kind, item: &Item<'_>) {
    if kind == Kind::Pde {
        return;
    }
    json.put_list("extension", |json| match kind {
        Kind::Carrier | Kind::Dme => {
            coded(json, "CLM-PMT-80-100-CD", "0", "80%");
            coded(json, "CLM-SRVC-DDCTBL-SW", "0", "Service Subject to Deductible");
            let processed = named(&item.extension, "line_prcsg_ind_cd").and_then(|one| one.value_coding.as_ref());
            let words = processed.and_then(|coding| coding.display.as_deref()).unwrap_or("Allowed");
            coded(json, "CLM-PRCSG-IND-CD", processed.map_or("A", |coding| &coding.code), words);
            coded(json, "CLM-PRVDR-TYPE-CD", "3", "");
            json.object(|json| {
                json.put("url", System::FhirExtension("CLM-PRVDR-TAX-NUM"));
                json.put_object("valueIdentifier", |json| {
                    json.concept("type", &[Code(System::Terminology("v2-0203"), "TAX", "Tax ID number")]);
                    json.put("system", "urn:oid:2.16.840.1.113883.4.4");
                    json.put("value", format_args!("9{:08}", item.sequence * 7919 % 100_000_000));
                });
            });
            if kind == Kind::Dme {
                json.object(|json| {
                    json.put("url", System::FhirExtension("CLM-LINE-RX-NUM"));
                    json.put("valueString", format_args!("{:06}", item.sequence * 7919));
                });
            }
            json.object(|json| {
                json.put("url", System::FhirExtension("CLM-LINE-ANSTHSA-UNIT-CNT"));
                json.put("valueDecimal", 0);
            });
        }
        _ => {
            coded(json, "CLM-OTAF-ONE-IND-CD", "N", "");
            coded(json, "CLM-REV-CNTR-STUS-CD", "A", "");
            coded(json, "CLM-REV-DSCNT-IND-CD", "1", "");
            coded(json, "CLM-REV-PMT-MTHD-CD", "1", "");
        }
    });
}

/// What was done or given. CPT's codes are five digits, HCPCS's begin with a letter.
fn product(json: &mut Json<'_>, item: &Item<'_>, kind: Kind) {
    let code = first_code(&item.product_or_service);
    json.put_object("productOrService", |json| {
        if code.is_empty() || code == "not-applicable" {
            return absent(json);
        }
        let system = if kind == Kind::Pde {
            NDC
        } else if code.bytes().next().is_some_and(|first| first.is_ascii_digit()) {
            System::Url(CPT)
        } else {
            System::Url(HCPCS)
        };
        json.codings(&[Code(system, code, "")]);
    });
}

/// One concept with all modifiers; institutional and equipment lines have one at least.
fn modifiers(json: &mut Json<'_>, item: &Item<'_>, kind: Kind) {
    let codes: Vec<&str> = item.modifier.iter().map(first_code).filter(|code| !code.is_empty()).collect();
    if kind == Kind::Pde || (codes.is_empty() && kind == Kind::Carrier && item.sequence > 1) {
        return;
    }
    json.put_list("modifier", |json| {
        json.object(|json| {
            json.put_list("coding", |json| {
                for code in codes.iter().copied().chain(codes.is_empty().then_some("GA")) {
                    let is_cpt = code.bytes().next().is_some_and(|first| first.is_ascii_digit());
                    json.coding(Code(System::Url(if is_cpt { CPT } else { HCPCS }), code, ""));
                }
            });
        });
    });
}

fn served(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>, item: &Item<'_>) {
    let date = item.serviced_date.as_deref();
    match (claim.kind, date) {
        (Kind::Pde | Kind::Dme, Some(date)) => json.put("servicedDate", date),
        (Kind::Pde | Kind::Dme, None) => json.put("servicedDate", claim.end),
        (_, Some(date)) => json.put("servicedDate", date),
        _ if item.serviced_period.start.is_some() => period(json, "servicedPeriod", &item.serviced_period),
        _ => period(json, "servicedPeriod", &facts.billable_period),
    }
}

/// The drug: of a drug event, and of a line that was billed for one.
fn detail(json: &mut Json<'_>, claim: &Claim, item: &Item<'_>) {
    let is_drug = claim.kind == Kind::Pde;
    let billed =
        matches!(claim.kind, Kind::Dme | Kind::Hospice | Kind::Snf | Kind::Outpatient | Kind::Inpatient | Kind::Hha);
    if !(is_drug || (billed && item.sequence == 1)) {
        return;
    }
    let code = if is_drug { first_code(&item.product_or_service) } else { "00338011704" };
    json.put_list("detail", |json| {
        json.object(|json| {
            json.put("sequence", 1);
            json.concept("productOrService", &[Code(NDC, code, "")]);
            match item.quantity.value {
                Some(value) if is_drug => quantity(json, "quantity", value, Some("mL"), true),
                _ => quantity(json, "quantity", 10, Some("mL"), true),
            }
        });
    });
}
