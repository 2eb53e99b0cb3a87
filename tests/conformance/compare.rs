//! How a recorded and a live answer differ where they must not.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{recorded::Exchange, replay_server::ReplayServer};
use crate::support::Answer;

/// Values that depend on server and time. Only their types are compared.
const OTHER_VALUES: &[&str] = &[
    "id",
    "meta",
    "access_token",
    "refresh_token",
    "iat",
    "exp",
    "name",
    "given_name",
    "family_name",
    "email",
    "date",
    "publisher",
    "software",
    "implementation",
    "rest",
    "text",
    "entry",
    "next",
    "previous",
    "count",
    "results",
    "username",
    "access_grant_expiration",
];

/// The differences as text; none if the answers are alike.
pub fn differences(server: &ReplayServer, exchange: &Exchange, answer: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if exchange.status != answer.status {
        found.push(format!("status {}, not {}: {}", answer.status, exchange.status, shortened(&answer.body)));
        return found;
    }
    for name in ["www-authenticate", "retry-after", "content-type", "location", "allow"] {
        let recorded = exchange.header(name).map(|value| header(name, &Origin::Recorded(server).normal(value)));
        let live = answer.header(name).map(|value| header(name, &Origin::Live(server).normal(value)));
        if recorded != live {
            found.push(format!("{name}: {live:?}, not {recorded:?}"));
        }
    }
    // The log-in server in the recordings is another one, which has no limits. And how many of a hundred thousand
    // calls are left in this second changes all the time.
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining"] {
        let of_chance = name == "x-ratelimit-remaining" && exchange.header("x-ratelimit-limit") == Some("100000");
        if !of_chance && exchange.header(name).is_some() && exchange.header(name) != answer.header(name) {
            found.push(format!("{name}: {:?}, not {:?}", answer.header(name), exchange.header(name)));
        }
    }
    found.extend(body(server, exchange, answer));
    found
}

fn shortened(text: &str) -> String {
    text.chars().take(160).collect()
}

/// A header in a form in which equal meanings are equal texts.
fn header(name: &str, value: &str) -> String {
    if name == "allow" {
        return value.split(", ").collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ");
    }
    value.to_owned()
}

/// Where a text comes from.
enum Origin<'a> {
    Recorded(&'a ReplayServer),
    Live(&'a ReplayServer),
}

impl Origin<'_> {
    /// The text without the parts that may differ.
    fn normal(&self, text: &str) -> String {
        let text = match self {
            Self::Recorded(server) => {
                let text = server.translated(text);
                let hosts = ["http://localhost:8010", "http://localhost:8011", "http%3A//localhost%3A8010"];
                hosts.iter().fold(text, |text, host| text.replace(host, "HOST"))
            }
            Self::Live(server) => {
                let url = server.mock.url();
                text.replace(url, "HOST").replace(&url.replace(':', "%3A"), "HOST")
            }
        };
        let text = masked(&text, "code=", char::is_alphanumeric);
        let text = masked(&text, "relay=", |c| c.is_ascii_digit());
        let text = masked(&text, "req_token=", |c| c != '&');
        let text = masked(&text, "This application, ", |c| c != ',');
        masked(&text, "/o/authorize/", |c| c.is_ascii_hexdigit() || c == '-')
    }
}

/// The text with `…` instead of what comes after each `marker`, as long as its characters are of one kind.
fn masked(text: &str, marker: &str, kind: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(marker);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(&kind);
        out.push_str(marker);
        out.push_str(if rest.len() < part.len() { "…" } else { "" });
        out.push_str(rest);
    }
    out
}

fn body(server: &ReplayServer, exchange: &Exchange, answer: &Answer) -> Vec<String> {
    let is_json =
        exchange.header("content-type").is_some_and(|kind| kind.contains("json")) || exchange.body.starts_with('{');
    if is_json && !exchange.body.is_empty() {
        return json(server, exchange, answer);
    }
    if exchange.body.starts_with('<') {
        // No one sees the body of a redirect.
        if exchange.header("location").is_some() {
            return Vec::new();
        }
        return page(server, exchange, answer);
    }
    let lines = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (recorded, live) = (lines(&exchange.body), lines(&answer.body));
    if recorded == live { Vec::new() } else { vec![format!("body {:?}, not {recorded:?}", shortened(&live))] }
}

/// Each server has its own pages, but their error messages must be the same.
fn page(server: &ReplayServer, exchange: &Exchange, answer: &Answer) -> Vec<String> {
    if !answer.body.trim_start().to_ascii_lowercase().starts_with("<!doctype html>") {
        return vec![format!("no page: {}", shortened(&answer.body))];
    }
    let live = words(&Origin::Live(server).normal(&answer.body));
    let sentences = exchange.body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text.trim());
    let telling = sentences.filter(|text| text.starts_with("invalid_client : ") || text.contains("find the page"));
    telling
        .map(|text| words(&Origin::Recorded(server).normal(text)))
        .filter(|text| !live.contains(text.as_str()))
        .map(|text| format!("the page does not say {text:?}"))
        .collect()
}

fn words(text: &str) -> String {
    let text = text.replace("&#x27;", "'").replace("&#39;", "'").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn json(server: &ReplayServer, exchange: &Exchange, answer: &Answer) -> Vec<String> {
    let recorded = Origin::Recorded(server).normal(&exchange.body);
    // This JSON has no fields: it is a text, for example.
    if recorded == answer.body {
        return Vec::new();
    }
    let Some(recorded) = object(&recorded, exchange.is_cut) else { return vec!["the recording is no JSON".to_owned()] };
    let Ok(Value::Object(live)) = serde_json::from_str(&Origin::Live(server).normal(&answer.body)) else {
        return vec![format!("no JSON: {}", shortened(&answer.body))];
    };
    // The number of claims that a filter finds, and so the number of pages, depends on the data.
    let filtered =
        ["type=", "_lastUpdated=g", "service-date=", "_tag="].iter().any(|name| exchange.target.contains(name))
            && !exchange.theme.starts_with("18");
    let mut found = keys(&recorded, &live, exchange.is_cut);
    // The recorded stand-in does not have the step in which v3's data back end fills in a total.
    let no_total = exchange.target.starts_with("/v3/fhir/");
    found.retain(|difference| {
        !((filtered && difference.contains("entry")) || (no_total && difference.contains("total")))
    });
    if recorded
        .get("resourceType")
        .is_some_and(|kind| kind != "Bundle" && kind != "CapabilityStatement" && kind != "OperationOutcome")
    {
        // A person's or a claim's own resource: its content differs.
        if recorded.get("resourceType") != live.get("resourceType") {
            found.push("another resource type".to_owned());
        }
        return found;
    }
    for (key, value) in &recorded {
        let Some(other) = live.get(key) else { continue };
        let alike = match key.as_str() {
            "total" if no_total => true,
            "total" | "link" if filtered => kind(value) == kind(other),
            "link" => links(value) == links(other),
            "scope" => set(value) == set(other),
            "access_grant_expiration" => shape(value) == shape(other),
            key if OTHER_VALUES.contains(&key) => kind(value) == kind(other),
            _ => value == other,
        };
        if !alike {
            found.push(format!("{key}: {}, not {}", shortened(&other.to_string()), shortened(&value.to_string())));
        }
    }
    found
}

/// Missing and extra keys. In a recording that was cut, only the first keys are known.
fn keys(recorded: &Map<String, Value>, live: &Map<String, Value>, is_cut: bool) -> Vec<String> {
    let missing = recorded.keys().filter(|key| !live.contains_key(*key)).map(|key| format!("no {key}"));
    let more = live.keys().filter(|key| !is_cut && !recorded.contains_key(*key)).map(|key| format!("{key} is new"));
    missing.chain(more).collect()
}

/// The object in a text. In a text that was cut, its first complete fields.
fn object(text: &str, is_cut: bool) -> Option<Map<String, Value>> {
    if let Ok(Value::Object(object)) = serde_json::from_str(text) {
        return Some(object);
    }
    let (mut depth, mut quoted, mut escaped, mut last) = (0, false, false, None);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            b',' if !quoted && depth == 1 => last = Some(at),
            _ => {}
        }
    }
    let whole = format!("{}}}", &text[..last.filter(|_| is_cut)?]);
    serde_json::from_str(&whole).ok()
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// A date without its numbers.
fn shape(value: &Value) -> String {
    value.to_string().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

/// The scopes, which come in any order.
fn set(value: &Value) -> BTreeSet<String> {
    value.as_str().unwrap_or_default().split(' ').map(str::to_owned).collect()
}

/// Relation, address, and parameters in a fixed order, because the recorded server's order is random.
fn links(value: &Value) -> Vec<(String, String, BTreeSet<String>)> {
    let link = |link: &Value| {
        let text = |name: &str| link[name].as_str().unwrap_or_default().to_owned();
        let url = text("url");
        let (address, query) = url.split_once('?').unwrap_or((&url, ""));
        (text("relation"), address.to_owned(), query.split('&').map(str::to_owned).collect())
    };
    value.as_array().map(|links| links.iter().map(link).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::recorded::nobody;

    const JSON: &str = "application/json";
    const HTML: &str = "text/html; charset=utf-8";

    fn exchange(kind: &str, body: &str, is_cut: bool) -> Exchange {
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        Exchange { status: 400, headers, body: body.to_owned(), is_cut, ..nobody() }
    }

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Answer { status, headers, body: body.to_owned() }
    }

    #[test]
    fn differences_are_found() {
        let server = ReplayServer::start();
        let said = r#"{"error": "invalid_grant", "id": "1"}"#;
        let page = "<!DOCTYPE html> <p>invalid_client : App id failed</p>";
        let cut = r#"{"resourceType":"Bundle","total":3,"entry":[{"resource":"#;
        let json = [("content-type", JSON)];
        for (exchange, live, number) in [
            (exchange(JSON, said, false), answer(400, &json, r#"{"error":"invalid_grant","id":"2"}"#), 0),
            (exchange(JSON, said, false), answer(401, &json, said), 1),
            (exchange(JSON, said, false), answer(400, &[("content-type", HTML)], said), 1),
            (exchange(JSON, said, false), answer(400, &[("content-type", JSON), ("location", "/")], said), 1),
            (exchange(JSON, said, false), answer(400, &[("content-type", JSON), ("retry-after", "1")], said), 1),
            (exchange(JSON, said, false), answer(400, &json, r#"{"error":"invalid_client","id":"1"}"#), 1),
            (exchange(JSON, said, false), answer(400, &json, r#"{"error":"invalid_grant"}"#), 1),
            (exchange(JSON, said, false), answer(400, &json, r#"{"error":"invalid_grant","id":1}"#), 1),
            (exchange(JSON, said, false), answer(400, &json, r#"{"error":"invalid_grant","id":"1","more":1}"#), 1),
            (exchange(JSON, said, false), answer(400, &json, ""), 1),
            (exchange(JSON, cut, true), answer(400, &json, r#"{"resourceType":"Bundle","total":3,"entry":[]}"#), 0),
            (exchange(JSON, cut, true), answer(400, &json, r#"{"resourceType":"Bundle","total":4,"entry":[]}"#), 1),
            (exchange(HTML, page, false), answer(400, &[("content-type", HTML)], &page.replace("<p>", "<p><b>")), 0),
            (exchange(HTML, page, false), answer(400, &[("content-type", HTML)], "<!doctype html><p>No.</p>"), 1),
            (exchange(HTML, "success", false), answer(400, &[("content-type", HTML)], "success "), 0),
            (exchange(HTML, "success", false), answer(400, &[("content-type", HTML)], "failure"), 1),
        ] {
            let found = differences(&server, &exchange, &live);
            assert_eq!(found.len(), number, "{} / {}: {found:?}", exchange.body, live.body);
        }
    }
}
