//! What is not replayed, and what is and differs: each with its reason.

use crate::recorded::Row;

/// Why this row cannot be made again at the mock.
pub fn not_replayed(row: &Row) -> Option<&'static str> {
    if row.target.starts_with("/__rig/") {
        return Some("a control of the recording's own stand-in for the data back end");
    }
    let fhir = |version: &str| row.target.starts_with(&format!("/{version}/fhir/"));
    let of_other_version = fhir("v3");
    // The gateway answers these before it looks for data.
    let by_gateway = matches!(row.status, 401 | 406 | 415 | 429)
        || row.body.starts_with('<')
        || row.target.contains("/fhir/.well-known/")
        || row.target.ends_with("/fhir/metadata")
        || row.body.contains("Using the access token in the query")
        || (row.status == 403 && !row.target.contains("patient=") && !row.target.contains("beneficiary="));
    (of_other_version && !by_gateway).then_some("the mock has no FHIR data of API v3 yet")
}

/// Rows that are replayed and not alike: file, words of the title, why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("11", "v2 read one EOB", CLAIM),
    ("11", "v2 the same again", CLAIM),
    ("11", "v2 read with trailing slash", CLAIM),
    ("11", "v2 read + junk after the id", CLAIM),
];

const CLAIM: &str =
    "replayed, but the recorded claim happens to hold a blood test in `contained`, which the mock's do not";

/// Why this row may differ.
pub fn may_differ(row: &Row) -> Option<&'static str> {
    DIFFERENT.iter().find(|(theme, words, _)| row.is(theme, words)).map(|(_, _, why)| *why)
}
