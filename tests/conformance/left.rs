//! What is not replayed, and what is and differs: each with its reason.

use super::recorded::Row;

/// Why this row cannot be made again at the mock.
pub fn not_replayed(row: &Row) -> Option<&'static str> {
    if row.target.starts_with("/__rig/") {
        return Some("a control of the recording's own stand-in for the data back end");
    }
    None
}

/// Rows that are replayed and not alike: file, words of the title, why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("09-eob-paging-v3", "startIndex=-1", FAILURE),
    ("10", "v3 type with system only", FAILURE),
    (
        "12",
        "=v3 insurance card",
        "the recording's stand-in gives the card an id; the data back end itself gives it none",
    ),
];

const FAILURE: &str = "the recording's stand-in fails in JSON (502); the data back end itself fails in plain text, which the gateway answers with 500";

/// Why this row may differ.
pub fn may_differ(row: &Row) -> Option<&'static str> {
    // With `=` it is the whole title.
    let is_it = |theme: &str, words: &str| match words.strip_prefix('=') {
        Some(title) => row.theme.starts_with(theme) && row.title == title,
        None => row.is(theme, words),
    };
    DIFFERENT.iter().find(|(theme, words, _)| is_it(theme, words)).map(|(_, _, why)| *why)
}
