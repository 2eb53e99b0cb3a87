//! The log of requests that `GET /__mock/requests` lists. It contains no secrets, and drops the oldest requests, so
//! that a mock can run for days.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use super::http::Request;

/// The maximum number of requests that are kept.
const MOST: usize = 100_000;
/// The maximum size of kept paths and queries, in bytes, as they are listed.
const HEAVIEST: usize = 16 << 20;
/// The maximum size of one path or query, in bytes. The rest is cut off.
const LONGEST: usize = 2_000;
/// At least this many letters and digits in a row are a token, a code or a verifier. No name in this API is as long.
const TOKEN: usize = 30;
/// More digits in a row than this are the number that the log-in server hands back. No id is as long.
const NUMBER: usize = 20;

/// Parameters whose values are shown, unless they look like a secret. All others may be secrets, or contain one.
const SHOWN: [&str; 19] = [
    "_count",
    "count",
    "startIndex",
    "_offset",
    "_lastUpdated",
    "service-date",
    "type",
    "_source",
    "_tag",
    "_security:not",
    "patient",
    "beneficiary",
    "_id",
    "_format",
    "response_type",
    "scope",
    "lang",
    "code_challenge_method",
    "page",
];

/// Parameters whose names are shown, but not their values.
const NAMED: [&str; 16] = [
    "client_id",
    "redirect_uri",
    "code",
    "state",
    "nonce",
    "code_challenge",
    "code_verifier",
    "client_secret",
    "access_token",
    "refresh_token",
    "token",
    "req_token",
    "relay",
    "next",
    "identifier",
    "login_hint",
];

/// One request as the log shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LoggedRequest {
    method: String,
    path: String,
    query: String,
    status: u16,
    authorization: bool,
    /// When it was answered, by the real clock. Moving the mock's clock does not change it.
    at: Timestamp,
}

impl LoggedRequest {
    /// The length of its texts in JSON.
    fn weight(&self) -> usize {
        let escaped = |text: &str| text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        escaped(&self.path) + escaped(&self.query)
    }
}

/// All requests, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Log {
    requests: VecDeque<LoggedRequest>,
    weight: usize,
}

impl Log {
    pub(super) fn note(&mut self, request: &Request, status: u16) {
        let query = request.query.iter().map(|(key, value)| shown(key, value));
        let requests = LoggedRequest {
            // A client can send any word as a method.
            method: if request.method.as_str().len() > 20 { "…".to_owned() } else { request.method.to_string() },
            path: cut(without_secrets(&request.path)),
            query: cut(query.collect::<Vec<_>>().join("&")),
            status,
            authorization: request.headers.contains_key("authorization"),
            at: Timestamp::now(),
        };
        self.weight += requests.weight();
        self.requests.push_back(requests);
        while self.requests.len() > MOST || self.weight > HEAVIEST {
            let Some(oldest) = self.requests.pop_front() else { break };
            self.weight -= oldest.weight();
        }
    }

    /// The whole log as JSON.
    pub(super) fn listed(&self) -> Vec<u8> {
        serde_json::to_vec(&self.requests).unwrap_or_default()
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// A parameter as the log shows it. An unknown name may itself be a token.
fn shown(key: &str, value: &str) -> String {
    const ID: usize = 40;
    let is_id = || value.len() == ID && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match key {
        "client_id" if is_id() || !is_secret(value) => format!("{key}={value}"),
        "redirect_uri" => format!("{key}={}", address(value)),
        _ if SHOWN.contains(&key) && !is_secret(value) => format!("{key}={value}"),
        _ if SHOWN.contains(&key) || NAMED.contains(&key) => format!("{key}=…"),
        _ => "…=…".to_owned(),
    }
}

/// An address without its parameters, however they are written.
fn address(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_[]".contains(c);
    let (plain, rest) = value.split_at(value.find(|c| !is_plain(c)).unwrap_or(value.len()));
    // Before an @ there may be a name and a password.
    if value.contains('@') || plain.split('/').any(is_secret) {
        return "…".to_owned();
    }
    format!("{plain}{}", if rest.is_empty() { "" } else { "…" })
}

/// Whether a text may be a secret or contain one: it has a name and a value, or looks like no name in this API.
fn is_secret(text: &str) -> bool {
    let is_long = text.split(|c: char| !c.is_alphanumeric() && !"-._~".contains(c)).any(|run| run.len() >= TOKEN);
    let has_number = text.split(|c: char| !c.is_numeric()).any(|digits| digits.len() > NUMBER);
    is_long || has_number || text.contains(['=', '?', '&', ';', '%']) || text.contains(char::is_control)
}

/// A path without the names of consent pages, each of which is as good as the log-in that led to it, and without
/// anything that looks like a token. A path without such parts stays unchanged.
fn without_secrets(path: &str) -> String {
    let path_as_meant = decoded(path);
    let mut before = [String::new(), String::new()];
    let (mut is_page, mut is_whole) = (false, true);
    let mut part = |part: &str| {
        let name = part.trim().to_ascii_lowercase();
        if matches!(name.as_str(), "" | "." | "…") {
            return part.to_owned();
        }
        let is_person = || part.strip_prefix('-').unwrap_or(part).bytes().all(|byte| byte.is_ascii_digit());
        is_page = is_page || before == ["o", "authorize"];
        let is_hidden = is_page
            || (before[1] == "expire_authenticated_user" && !is_person())
            // The ids of prior authorizations are not secret.
            || (is_secret(part) && !(before == ["fhir", "explanationofbenefit"] && is_uuid(part)));
        before = [std::mem::take(&mut before[1]), name];
        is_whole &= !is_hidden;
        if is_hidden { "…".to_owned() } else { part.to_owned() }
    };
    let shown: Vec<String> = path_as_meant.split(['/', '\\']).map(&mut part).collect();
    if is_whole { path.to_owned() } else { shown.join("/") }
}

/// The path with all percent-encoding removed, even if it was encoded several times.
fn decoded(path: &str) -> String {
    const OFTEN: usize = 8;
    let mut text = path.to_owned();
    for _ in 0..OFTEN {
        let bytes = text.as_bytes();
        let mut plain = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            let code = (byte == b'%').then(|| Some(digit(at + 1)? * 16 + digit(at + 2)?)).flatten();
            let code = code.and_then(|code| u8::try_from(code).ok());
            plain.push(code.unwrap_or(byte));
            at += if code.is_some() { 3 } else { 1 };
        }
        if plain.len() == bytes.len() {
            break;
        }
        text = String::from_utf8_lossy(&plain).into_owned();
    }
    text
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// At most [`LONGEST`] bytes of a text, with a mark if there were more.
fn cut(text: String) -> String {
    // Each control character would take six bytes in JSON.
    let mut text = text.replace(char::is_control, "\u{fffd}");
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text.shrink_to_fit();
    text
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Method};

    use super::*;

    fn get(path: &str, query: &[(&str, &str)]) -> Request {
        Request {
            method: Method::GET,
            path: path.to_owned(),
            raw_query: String::new(),
            query: query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            arrived: std::time::Instant::now(),
        }
    }

    fn path(path: &str) -> String {
        let mut log = Log::default();
        log.note(&get(path, &[]), 200);
        log.requests[0].path.clone()
    }

    fn query(text: &str) -> String {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut log = Log::default();
        log.note(&get("/", &pairs), 200);
        log.requests[0].query.clone()
    }

    const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
    const SECRET: &str = "Zx9Qw8Er7Ty6Ui5Op4As3Df2Gh1Jk0";

    #[test]
    fn consent_pages_and_states_are_hidden() {
        for (given, expected) in [
            ("/v2/o/authorize/8d7a-11/", "/v2/o/authorize/…/"),
            ("/v3/o/authorize/8d7a-11", "/v3/o/authorize/…"),
            ("/v2/o/authorize/", "/v2/o/authorize/"),
        ] {
            assert_eq!(path(given), expected);
        }
        assert_eq!(query("State=s3cret&scope=openid&state=x"), "…=…&scope=openid&state=…");
    }

    #[test]
    fn no_spelling_of_a_path_shows_a_secret() {
        let paths = [
            "/v2/o/authorize%2FUUID/",
            "/v2/o/authorize%252FUUID/",
            "/v2/o/%61uthorize/UUID/",
            "/v2/o/%2561uthorize/UUID/",
            "/v2/O/AUTHORIZE/UUID/",
            "/v2//o//authorize//UUID/",
            "/v2/o/./authorize/UUID/",
            "/v2/o/authorize/./UUID/x",
            "/v2/o/x/../authorize/UUID/",
            "/v2/o/authorize%20/UUID/",
            "/v2\\o\\authorize\\UUID",
            "/v2/fhir/Patient/UUID",
            "/v2/fhir/Patient/SECRET",
            "/v3/fhir/ExplanationOfBenefit/SECRET",
            "/callback/code=s3cret",
            "/callback/code%3Ds3cret",
            "/callback/12345678901234567890123456",
            "/v2/o/authorize%3Fcode=s3cret",
            "/v2/o/expire_authenticated_user/SECRET/",
            "/v2/o/expire_authenticated_user/s3cret/",
        ];
        for given in paths {
            let shown = path(&given.replace("UUID", UUID).replace("SECRET", SECRET));
            assert!(shown.contains('…'), "{given}: {shown}");
            assert!(
                ["s3cret", UUID, SECRET, "12345678901234567890123456"].iter().all(|secret| !shown.contains(secret))
            );
        }
        for shown in [
            "/v2/fhir/ExplanationOfBenefit/outpatient--10344810963",
            "/v3/fhir/ExplanationOfBenefit/-5010000000001",
            "/v3/fhir/ExplanationOfBenefit/0f8fad5b-d9cb-469f-a165-70867728950e",
            "/v2/fhir/Patient/-20140000000001/",
            "/v3/fhir/Coverage/part-a--30250000000001",
            "/v3/fhir/Patient/%24generate-insurance-card",
            "/v2/o/expire_authenticated_user/-20140000000001/",
            "//v2/o/revoke_token",
            "/.well-known/openid-configuration-v3",
        ] {
            assert_eq!(path(shown), shown, "as it came");
        }
    }

    #[test]
    fn no_spelling_of_a_parameter_shows_a_secret() {
        let queries = [
            "code%5B%5D=s3cret",
            "code%20=s3cret",
            "+code=s3cret",
            "a=1&amp;code=s3cret",
            "a=1;code=s3cret",
            "_count=1;code=s3cret",
            "_count=1%26code%3Ds3cret",
            "client-secret=s3cret",
            "clientSecret=s3cret",
            "csrf_token=s3cret",
            "bearer=s3cret",
            "Authorization=s3cret",
            "id_token_hint=s3cret",
            "uuid=s3cret",
            "s3cret",
            "s3cret=1",
            "client_id=SECRET",
            "patient=SECRET",
            "redirect_uri=http://127.0.0.1:5/callback%3Fcode%3Ds3cret",
            "redirect_uri=http://127.0.0.1:5/callback%253Fcode%253Ds3cret",
            "redirect_uri=http://127.0.0.1:5/callback%23s3cret",
            "redirect_uri=http://me:s3cret@127.0.0.1/callback",
            "redirect_uri=http://127.0.0.1:5/SECRET",
        ];
        for given in queries {
            let shown = query(&given.replace("SECRET", SECRET));
            assert!(shown.contains('…') && !shown.contains("s3cret") && !shown.contains(SECRET), "{given}: {shown}");
        }
        let id = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123";
        for shown in [
            "_count=50&startIndex=100&type=carrier,pde&_lastUpdated=gt2026-11-20T00:00:00.000-05:00",
            "_offset=50&_source=NCH,DDPS&_security:not=42CFRPart2&patient=-30250000000001",
            "_tag=https://bluebutton.cms.gov/fhir/CodeSystem/System-Type|NationalClaimsHistory",
            "type=https://bluebutton.cms.gov/resources/codesystem/eob-type|pde",
            "scope=openid patient/ExplanationOfBenefit.read launch/patient",
            &format!("client_id={id}&redirect_uri=http://127.0.0.1:51234/callback"),
            "redirect_uri=http://localhost:3001/api/bluebutton/callback/",
        ] {
            assert_eq!(query(shown), shown, "as it was asked");
        }
    }

    #[test]
    fn the_log_stays_small() {
        let mut log = Log::default();
        let long = "ü,\"\u{1}".repeat(30_000);
        log.note(&get(&format!("/{}", "ü".repeat(30_000)), &[("type", &long), (&long, "")]), 404);
        let many = "\",\u{fffd},".repeat(500);
        log.note(&get(&"/a\\\"".repeat(30_000), &[("type", &many)]), 404);
        for requests in &log.requests {
            assert!(
                requests.path.len() <= LONGEST + 3
                    && requests.query.len() <= LONGEST + 3
                    && requests.query.ends_with('…')
            );
        }
        for number in 0..MOST + 10 {
            log.note(&get(&format!("/{number}"), &[]), 404);
        }
        assert_eq!((log.requests.len(), log.requests[0].path.as_str()), (MOST, "/10"));
        log.forget();
        let before = get("/x\u{1}", &[("type", &many)]);
        log.note(&before, 404);
        let entry = log.listed().len() - log.weight;
        assert!(entry < 200, "what is counted is what is listed: {entry} bytes more");
        for _ in 0..HEAVIEST / LONGEST + 10 {
            log.note(&before, 404);
        }
        assert!(log.weight <= HEAVIEST && log.weight > HEAVIEST - 3 * LONGEST, "{}", log.weight);
        assert!(log.listed().len() < HEAVIEST + log.requests.len() * 200);
        log.forget();
        assert_eq!((log.requests.len(), log.weight), (0, 0));
    }
}
