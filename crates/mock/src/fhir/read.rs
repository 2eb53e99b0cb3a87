//! Reads one resource by its id.

use super::{
    Caller,
    params::{refused, upstream},
};
use crate::{Shared, http::Response, records::Records as _, version::Version};

pub(super) fn respond(shared: &Shared, caller: &Caller, resource: &str, id: &str) -> Response {
    // The real routes do not match up to the end of the path, so what follows the id is ignored.
    let id = id.split('/').next().unwrap_or_default();
    if caller.version == Version::V3 {
        of_v3(shared, caller, resource, id)
    } else {
        of_v2(shared, caller, resource, id)
    }
}

/// The answer for another person's resource, and at v1 and v2 also for one that does not exist.
fn absent() -> Response {
    Response::detail(404, "Not found.")
}

fn of_v2(shared: &Shared, caller: &Caller, resource: &str, id: &str) -> Response {
    let records = &shared.records;
    match resource {
        "Patient" if id == caller.patient => Response::fhir(200, records.patient(caller.version, caller.enrollee)),
        "Patient" => absent(),
        "Coverage" => {
            let coverage = records.coverage(caller.version, caller.enrollee).into_iter().find(|(found, _)| found == id);
            coverage.map_or_else(absent, |(_, text)| Response::fhir(200, text))
        }
        _ => {
            let well_formed = id.split_once('-').is_some_and(|(kind, number)| {
                let digits = number.strip_prefix('-').unwrap_or(number);
                !kind.is_empty()
                    && kind.bytes().all(|byte| byte.is_ascii_alphabetic())
                    && !digits.is_empty()
                    && digits.bytes().all(|byte| byte.is_ascii_digit())
            });
            if !well_formed {
                return upstream(&format!(
                    "ExplanationOfBenefit ID pattern: '{id}' does not match expected pattern: {{alphaString}}-{{idNumber}}"
                ));
            }
            claim(shared, caller, id).unwrap_or_else(absent)
        }
    }
}

/// At v3, the data back end itself says what it does not know.
fn of_v3(shared: &Shared, caller: &Caller, resource: &str, id: &str) -> Response {
    let records = &shared.records;
    let unknown = || refused(Version::V3, 404, &format!("HAPI-0971: Resource {resource}/{id} is not known"));
    let is_number = id.strip_prefix('-').unwrap_or(id).bytes().all(|byte| byte.is_ascii_digit()) && !id.is_empty();
    match resource {
        "Patient" | "ExplanationOfBenefit" if !is_number && !is_uuid(id) => {
            refused(Version::V3, 400, "ID is not a valid number")
        }
        "Patient" if id == caller.patient => Response::fhir(200, records.patient(caller.version, caller.enrollee)),
        "Patient" if is_somebody(shared, id) => absent(),
        "Patient" => unknown(),
        "Coverage" => coverage_v3(shared, caller, id).unwrap_or_else(unknown),
        _ => claim(shared, caller, id).unwrap_or_else(|| {
            let is_somebodys = |index| records.find_claim(Version::V3, index, id).is_some();
            if records.owners(Version::V3, id).into_iter().any(is_somebodys) { absent() } else { unknown() }
        }),
    }
}

/// Whether it is any person's id at v3.
fn is_somebody(shared: &Shared, id: &str) -> bool {
    let records = &shared.records;
    (0..records.enrollees()).any(|index| Version::V3.patient(&records.enrollee(index)) == id)
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn claim(shared: &Shared, caller: &Caller, id: &str) -> Option<Response> {
    let place = shared.records.find_claim(caller.version, caller.enrollee, id)?;
    if caller.version == Version::V3 {
        let marks = shared.records.claim_header(caller.version, caller.enrollee, place).marks;
        // Neither the label nor the source changes what exists; the gateway just asks for less.
        if (marks.samhsa && caller.without_samhsa) || (caller.only_drugs && marks.source != "DDPS") {
            return None;
        }
    }
    let mut text = String::new();
    shared.records.write_claim(caller.version, caller.enrollee, place, caller.now, &mut text);
    Some(Response::fhir(200, text))
}

/// The ids of plans (parts C and D) have digits without a sign. Those of made-up people do not match, although a
/// search shows them. A Coverage that the person does not have has no beneficiary for the gateway to compare.
fn coverage_v3(shared: &Shared, caller: &Caller, id: &str) -> Option<Response> {
    let records = &shared.records;
    let known = ["part-a-", "part-b-", "part-c-", "part-d-", "dual-"];
    let (part, person) = known.iter().find_map(|part| Some((*part, id.strip_prefix(part)?)))?;
    if matches!(part, "part-c-" | "part-d-") && person.starts_with('-') {
        let words = "Invalid Coverage ID format. Expected pattern like 'part-c-12345-H1234-001'.";
        return Some(refused(Version::V3, 400, words));
    }
    let own = records.coverage(caller.version, caller.enrollee).into_iter().find(|(found, _)| found == id);
    if let Some((_, text)) = own {
        return Some(Response::fhir(200, text));
    }
    if person == caller.patient {
        return Some(Response::detail(403, "You do not have permission to perform this action."));
    }
    is_somebody(shared, person).then(absent)
}
