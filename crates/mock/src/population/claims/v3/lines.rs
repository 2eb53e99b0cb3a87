//! `item` of v3.

use super::super::Kind;
use super::super::json::{Decimal, Json};
use super::super::row::{ClaimRow, Details, Line, Professional, RevenueLine, ServiceLine};
use super::super::vocabulary::{Code, NDC, System};
use super::amounts::LINES;
use super::parts::{absent, coded, quantity, status_of_benefit};

const HCPCS: &str = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets";
const CPT: &str = "http://www.ama-assn.org/go/cpt";
const PLACES: &str = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set";

/// What only some types of claims say about a line.
#[derive(Clone, Copy)]
enum LineDetails<'r> {
    Drug,
    Service(&'r Professional, &'r ServiceLine),
    Revenue(&'r RevenueLine),
}

pub(super) fn items(json: &mut Json<'_>, row: &ClaimRow<'_>) {
    json.put_list("item", |json| match &row.details {
        Details::Drug(_) => row.lines.iter().for_each(|line| item(json, row, line, LineDetails::Drug)),
        Details::Professional(bill) => {
            row.lines
                .iter()
                .zip(&bill.lines)
                .for_each(|(line, details)| item(json, row, line, LineDetails::Service(bill, details)));
        }
        Details::Institutional(bill) => {
            row.lines
                .iter()
                .zip(&bill.lines)
                .for_each(|(line, details)| item(json, row, line, LineDetails::Revenue(details)));
        }
    });
}

fn item(json: &mut Json<'_>, row: &ClaimRow<'_>, line: &Line, details: LineDetails<'_>) {
    let (claim, kind) = (row.claim, row.claim.kind);
    json.object(|json| {
        extensions(json, kind, line, details);
        json.put("sequence", line.sequence);
        match details {
            LineDetails::Drug => {}
            LineDetails::Service(_, details) => json.put_list("diagnosisSequence", |json| json.item(details.diagnosis)),
            LineDetails::Revenue(RevenueLine { center: (code, _), .. }) => json.concept(
                "revenue",
                &[
                    Code(System::Fhir("CLM-REV-CNTR-CD"), code, revenue_words(code)),
                    Code(System::Url("https://www.nubc.org/CodeSystem/RevenueCodes"), code, ""),
                    Code(System::Fhir("CLM-DDCTBL-COINSRNC-CD"), "0", ""),
                ],
            ),
        }
        if !matches!(kind, Kind::Carrier | Kind::Pde) {
            // The number of the prior authorization, if the line has no information of its own.
            json.put_list("informationSequence", |json| json.item(if row.is_observed(line) { 2 } else { 1 }));
        }
        product(json, line, kind);
        modifiers(json, line, details, kind);
        match kind {
            Kind::Pde | Kind::Dme => json.put("servicedDate", claim.end),
            Kind::Hha | Kind::Hospice => json.put("servicedDate", claim.start),
            _ => json.period("servicedPeriod", claim.start, claim.end),
        }
        if let LineDetails::Service(bill, _) = details {
            json.concept("locationCodeableConcept", &[Code(System::Url(PLACES), bill.place.0, "")]);
        }
        match kind {
            Kind::Pde => quantity(json, "quantity", Decimal(line.units), Some("ML"), false),
            Kind::Outpatient => quantity(json, "quantity", 1, None, false),
            _ => quantity(json, "quantity", line.units, None, false),
        }
        json.put_list("adjudication", |json| {
            let of_kind = LINES.iter().filter(|amount| amount.kinds.include(kind));
            of_kind.for_each(|amount| amount.write(json, |column| line.amount(column)));
            if let LineDetails::Service(..) = details {
                status_of_benefit(json);
            }
        });
        detail(json, kind, line);
    });
}

/// The text for a revenue center, by the first digits of its code.
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

fn extensions(json: &mut Json<'_>, kind: Kind, line: &Line, details: LineDetails<'_>) {
    if kind == Kind::Pde {
        return;
    }
    json.put_list("extension", |json| {
        if let LineDetails::Revenue(_) = details {
            coded(json, "CLM-OTAF-ONE-IND-CD", "N", "");
            coded(json, "CLM-REV-CNTR-STUS-CD", "A", "");
            coded(json, "CLM-REV-DSCNT-IND-CD", "1", "");
            coded(json, "CLM-REV-PMT-MTHD-CD", "1", "");
            return;
        }
        coded(json, "CLM-PMT-80-100-CD", "0", "80%");
        coded(json, "CLM-SRVC-DDCTBL-SW", "0", "Service Subject to Deductible");
        let (code, words) = line.processing();
        coded(json, "CLM-PRCSG-IND-CD", code, words);
        coded(json, "CLM-PRVDR-TYPE-CD", "3", "");
        json.object(|json| {
            json.put("url", System::FhirExtension("CLM-PRVDR-TAX-NUM"));
            json.put_object("valueIdentifier", |json| {
                json.concept("type", &[Code(System::Terminology("v2-0203"), "TAX", "Tax ID number")]);
                json.put("system", "urn:oid:2.16.840.1.113883.4.4");
                json.put("value", format_args!("9{:08}", line.sequence * 7919 % 100_000_000));
            });
        });
        if kind == Kind::Dme {
            json.object(|json| {
                json.put("url", System::FhirExtension("CLM-LINE-RX-NUM"));
                json.put("valueString", format_args!("{:06}", line.sequence * 7919));
            });
        }
        json.object(|json| {
            json.put("url", System::FhirExtension("CLM-LINE-ANSTHSA-UNIT-CNT"));
            json.put("valueDecimal", 0);
        });
    });
}

/// CPT codes have five digits; HCPCS codes begin with a letter.
fn procedure_system(code: &str) -> System<'static> {
    System::Url(if code.starts_with(|first: char| first.is_ascii_digit()) { CPT } else { HCPCS })
}

/// What was done or given.
fn product(json: &mut Json<'_>, line: &Line, kind: Kind) {
    json.put_object("productOrService", |json| match line.code {
        None => absent(json),
        Some(code) => json.codings(&[Code(if kind == Kind::Pde { NDC } else { procedure_system(code) }, code, "")]),
    });
}

/// One concept with all modifiers. Institutional and equipment lines have at least one. On revenue lines, the unit of
/// a drug is among them.
fn modifiers(json: &mut Json<'_>, line: &Line, details: LineDetails<'_>, kind: Kind) {
    if kind == Kind::Pde || (line.modifier.is_none() && kind == Kind::Carrier && line.sequence > 1) {
        return;
    }
    let unit = matches!(details, LineDetails::Revenue(_)) && line.modifier.is_some();
    let codes = [Some(line.modifier.unwrap_or("GA")), unit.then_some("ML")];
    json.put_list("modifier", |json| {
        json.object(|json| {
            json.put_list("coding", |json| {
                codes.into_iter().flatten().for_each(|code| json.coding(Code(procedure_system(code), code, "")));
            });
        });
    });
}

/// The drug of a drug event, or of a line that was billed for one.
fn detail(json: &mut Json<'_>, kind: Kind, line: &Line) {
    let is_drug = kind == Kind::Pde;
    if !is_drug && (kind == Kind::Carrier || line.sequence > 1) {
        return;
    }
    let code = line.code.filter(|_| is_drug).unwrap_or("00338011704");
    json.put_list("detail", |json| {
        json.object(|json| {
            json.put("sequence", 1);
            json.concept("productOrService", &[Code(NDC, code, "")]);
            if is_drug {
                quantity(json, "quantity", Decimal(line.units), Some("mL"), true);
            } else {
                quantity(json, "quantity", 10, Some("mL"), true);
            }
        });
    });
}
