//! Access to a resource in which any part may be missing or of the wrong type.

use std::borrow::Cow;

use jiff::civil::Date;
use serde_json::Value;

use super::Cents;

/// The elements of a list; none if it is not a list.
pub(in crate::claim) fn each<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}

/// A text, if it is not empty.
pub(in crate::claim) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value[name].as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// A text for people. No field of a claim should have control characters, and they could end a row or confuse the
/// program that reads it. Each becomes U+FFFD, so that it shows that something was there.
pub(in crate::claim) fn said(value: &Value, name: &str) -> Option<String> {
    text(value, name).map(|text| clean(text).into_owned())
}

/// A text without control characters, as `said` returns it.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) { text.replace(char::is_control, "\u{fffd}").into() } else { text.into() }
}

/// A number as it was sent: a JSON number, or a text with a plain decimal.
pub(super) fn number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Cents::read(text.trim()).map(|_| text.trim().to_owned()),
        _ => None,
    }
}

/// The day of a date or a time; `None` if it is incomplete or not a day.
#[must_use]
pub fn day(text: &str) -> Option<Date> {
    // Accept only FHIR's date, or the date of its dateTime, because the parser accepts other forms too.
    let (day, rest) = text.split_at_checked(10)?;
    let is_written_out =
        day.bytes().enumerate().all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    (is_written_out && (rest.is_empty() || rest.starts_with('T'))).then(|| day.parse().ok()).flatten()
}

/// The last part of a URL. At v1 and v2, it is the name of a CMS variable.
pub(super) fn tail(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// The coding of a concept that has a code and whose system ends with one of these names.
pub(super) fn coding<'v>(concept: &'v Value, systems: &[&str]) -> Option<&'v Value> {
    each(concept, "coding").find(|coding| {
        text(coding, "code").is_some()
            && text(coding, "system").is_some_and(|system| systems.contains(&tail(system.trim_end())))
    })
}

/// Whether a concept has this code: at v1 and v2 the URL of a CMS variable, at v3 a bare word.
pub(super) fn is(concept: &Value, code: &str) -> bool {
    each(concept, "coding").any(|coding| coding["code"].as_str().is_some_and(|found| tail(found) == code))
}

/// The extension whose URL ends with this name.
pub(in crate::claim) fn extension<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    each(value, "extension").find(|extension| extension["url"].as_str().is_some_and(|url| tail(url) == name))
}

/// The supporting information with this category; v1 calls it `information`.
pub(super) fn information<'v>(claim: &'v Value, category: &str) -> Option<&'v Value> {
    ["supportingInfo", "information"]
        .into_iter()
        .flat_map(|name| each(claim, name))
        .find(|info| is(&info["category"], category))
}

/// The coding for this variable of a claim: as supporting information, or as an extension.
pub(in crate::claim) fn coding_of<'v>(holder: &'v Value, variable: &str) -> Option<&'v Value> {
    let has_code = |coding: &&Value| text(coding, "code").is_some();
    let informed = || each(&information(holder, variable)?["code"], "coding").find(has_code);
    informed().or_else(|| extension(holder, variable).map(|it| &it["valueCoding"]).filter(has_code))
}

/// The code of that coding.
pub(super) fn code_of<'v>(holder: &'v Value, variable: &str) -> Option<&'v str> {
    text(coding_of(holder, variable)?, "code")
}

/// A display text. If it contains a comma, it arrives in quotation marks.
pub(in crate::claim) fn display(coding: &Value) -> Option<String> {
    text(coding, "display").map(|words| clean(words.trim_matches('"')).into_owned())
}

/// The server's words for a concept: its text, or the first display.
pub(super) fn words(concept: &Value) -> Option<String> {
    said(concept, "text").or_else(|| each(concept, "coding").find_map(display))
}
