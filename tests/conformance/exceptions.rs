//! The exchanges that are not replayed, and those that may differ, each with the reason.

use super::recorded::Exchange;

/// Why this exchange cannot be repeated at the mock.
pub fn not_replayed(exchange: &Exchange) -> Option<&'static str> {
    if exchange.target.starts_with("/__rig/") {
        return Some("a control of the recording's own stand-in for the data back end");
    }
    None
}

/// Exchanges that may differ: file, words of the title, why.
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

/// Why this exchange may differ.
pub fn may_differ(exchange: &Exchange) -> Option<&'static str> {
    // With `=`, it is the whole title.
    let is_it = |theme: &str, words: &str| match words.strip_prefix('=') {
        Some(title) => exchange.theme.starts_with(theme) && exchange.title == title,
        None => exchange.is(theme, words),
    };
    DIFFERENT.iter().find(|(theme, words, _)| is_it(theme, words)).map(|(_, _, why)| *why)
}
