//! Reading one resource by its id.

use super::{Caller, params::upstream};
use crate::mock::{Shared, http::Answer, records::Records as _};

pub(super) fn answer(shared: &Shared, caller: &Caller, resource: &str, id: &str) -> Answer {
    let absent = || Answer::detail(404, "Not found.");
    let records = &shared.records;
    // The real routes are not anchored at their end: what follows the id is not looked at.
    let id = id.split('/').next().unwrap_or_default();
    match resource {
        "Patient" if id == caller.patient => Answer::fhir(200, records.patient(caller.version, caller.enrollee)),
        "Patient" => absent(),
        "Coverage" => {
            let coverage = records.coverage(caller.version, caller.enrollee).into_iter().find(|(found, _)| found == id);
            coverage.map_or_else(absent, |(_, text)| Answer::fhir(200, text))
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
            let Some(position) = records.find_claim(caller.enrollee, id) else { return absent() };
            let mut text = String::new();
            records.write_claim(caller.version, caller.enrollee, position, caller.now, &mut text);
            Answer::fhir(200, text)
        }
    }
}
