//! Searches, reads, discovery, and access checks.

use super::{recorded::recorded, *};

const REFUSED: &str = r#"{"detail":"You do not have permission to perform this action."}"#;
const NOT_FOUND: &str = r#"{"detail":"Not found."}"#;
const NO_CREDENTIALS: &str = r#"{"detail":"Authentication credentials were not provided."}"#;

fn upstream(words: &str) -> String {
    serde_json::json!({"detail": format!("An error occurred contacting the upstream server:{words}")}).to_string()
}

fn relations(bundle: &Value) -> Vec<&str> {
    bundle["link"].as_array().unwrap().iter().map(|link| link["relation"].as_str().unwrap()).collect()
}

fn link<'b>(bundle: &'b Value, relation: &str) -> Option<&'b str> {
    bundle["link"].as_array()?.iter().find(|link| link["relation"] == relation)?["url"].as_str()
}

fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn pages_are_linked_in_the_servers_order() {
    let mock = mock(Access::ThirteenMonth);
    let (token, _) = tokens(&mock);
    let got = request(&mock, &token, "/v2/fhir/ExplanationOfBenefit");
    assert_eq!(got.header("content-type"), Some("application/fhir+json"));
    assert_eq!(got.header("x-ratelimit-limit"), Some("100000"));
    assert_eq!(got.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(got.header("etag"), None);
    let first = got.json();
    assert!(got.text().starts_with(r#"{"resourceType":"Bundle","id":""#));
    assert_eq!(first["total"], 25);
    assert_eq!(relations(&first), ["first", "next", "last", "self"]);
    let patient = exchange(&mock, &code(&mock, &[])).json()["patient"].as_str().unwrap().to_owned();
    let base = format!("{}/v2/fhir/ExplanationOfBenefit", mock.url());
    let page =
        |start| format!("{base}?_format=application%2Ffhir%2Bjson&startIndex={start}&_count=10&patient={patient}");
    assert_eq!(link(&first, "first"), Some(&*page(0)));
    assert_eq!(link(&first, "next"), Some(&*page(10)));
    assert_eq!(link(&first, "last"), Some(&*page(20)));
    let itself = format!("{base}/?_count=10&_format=application%2Ffhir%2Bjson&patient={patient}");
    assert_eq!(link(&first, "self"), Some(&*itself));

    let (token, _) = tokens(&mock);
    let mut seen = ids(&first);
    let second = request(&mock, &token, link(&first, "next").unwrap()).json();
    assert_eq!(relations(&second), ["first", "next", "previous", "last", "self"]);
    seen.extend(ids(&second));
    let third = request(&mock, &token, link(&second, "next").unwrap()).json();
    assert_eq!(relations(&third), ["first", "previous", "last", "self"]);
    seen.extend(ids(&third));
    assert_eq!(seen.len(), 25);
    let number = |id: &String| id.split_once('-').map(|(kind, number)| (number.to_owned(), kind.to_owned()));
    assert!(seen.is_sorted_by_key(number), "{seen:?}");
    let distinct: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), 25);
}

#[test]
fn search_parameters_are_read_refused_or_dropped() {
    let mock = mock(Access::ThirteenMonth);
    let got = exchange(&mock, &code(&mock, &[]));
    let patient = got.json()["patient"].as_str().unwrap().to_owned();
    let (token, _) = pair(&got);
    let detail = |words: &str| format!(r#"{{"detail":"{words}"}}"#);
    for (query, status, expected) in [
        ("_count=51".to_owned(), 400, detail("value must be at most 50")),
        ("_count=-1".to_owned(), 400, detail("value must be at least 0")),
        ("_count=abc".to_owned(), 400, detail("expected int")),
        ("_count=0".to_owned(), 400, upstream("Invalid pageSize '0'")),
        ("startIndex=abc".to_owned(), 400, detail("expected int")),
        ("startIndex=-1".to_owned(), 400, upstream("Value for startIndex cannot be negative: -1")),
        (
            "startIndex=25".to_owned(),
            400,
            upstream("Value for startIndex (25) must be less than than result size (25)"),
        ),
        ("type=bogus".to_owned(), 400, detail("the type parameter value is not valid")),
        ("type=".to_owned(), 400, detail("the type parameter value is not valid")),
        ("type=carrier,bogus".to_owned(), 400, detail("the type parameter value is not valid")),
        ("_lastUpdated=2024-01-01".to_owned(), 400, detail("the _lastUpdated operator is not valid")),
        ("_lastUpdated=eq2024-01-01".to_owned(), 400, detail("the _lastUpdated operator is not valid")),
        ("_lastUpdated=".to_owned(), 400, detail("the _lastUpdated operator is not valid")),
        ("_lastUpdated=gegarbage".to_owned(), 400, upstream("HAPI-1882: Invalid date/time format: \"garbage\"")),
        (
            "_lastUpdated=gt2024-01-01T00:00:00+00:00".to_owned(),
            400,
            upstream("HAPI-1882: Invalid date/time format: \"2024-01-01T00:00:00 00:00\""),
        ),
        (
            "_lastUpdated=ge2024-01-01&_lastUpdated=lt2024-07-01&_lastUpdated=lt2024-08-01".to_owned(),
            400,
            upstream(
                "HAPI-1885: Can not have multiple date range parameters for the same param that specify an upper bound",
            ),
        ),
        ("service-date=2020-01-01".to_owned(), 400, detail("the service-date operator is not valid")),
        (format!("patient=Patient/{patient}"), 403, REFUSED.to_owned()),
        ("patient=-1".to_owned(), 403, REFUSED.to_owned()),
        (
            "access_token=x".to_owned(),
            400,
            detail(
                "Using the access token in the query parameters is not supported. Use the Authorization header instead",
            ),
        ),
    ] {
        let got = request(&mock, &token, &format!("/v2/fhir/ExplanationOfBenefit?{query}"));
        assert_eq!((got.status, got.text()), (status, expected.as_str()), "{query}");
    }
    let total = |query: &str| {
        let got = request(&mock, &token, &format!("/v2/fhir/ExplanationOfBenefit?{query}"));
        assert_eq!(got.status, 200, "{query} {got:?}");
        got.json()["total"].as_u64().unwrap()
    };
    for dropped in ["foo=bar", "_format=xml", "_summary=count", "_id=carrier--1", "_offset=10", "_sort=x"] {
        assert_eq!(total(dropped), 25, "{dropped}");
    }
    assert_eq!(total(&format!("patient={patient}")), 25);
    assert_eq!(total("type=https%3A%2F%2Fbluebutton.cms.gov%2Fresources%2Fcodesystem%2Feob-type%7C"), 25);
    assert_eq!(total("type=carrier%20pde"), 0);
    assert_eq!(total("_lastUpdated=ge2030-01-01"), 0);
    assert_eq!(total("_lastUpdated=ge2024-07-01&_lastUpdated=lt2024-01-01"), 0, "reversed");
    let (carrier, drugs) = (total("type=CARRIER"), total("type=pde"));
    assert!(carrier > 0);
    assert_eq!(total("type=carrier,pde"), carrier + drugs);
    let early = total("service-date=lt2023-01-01");
    assert_eq!(early + total("service-date=ge2023-01-01"), 25);
    let both = request(&mock, &token, "/v2/fhir/ExplanationOfBenefit?count=7&_count=50").json();
    assert_eq!(ids(&both).len(), 7, "count wins");
    let empty = request(&mock, &token, "/v2/fhir/ExplanationOfBenefit?_lastUpdated=ge2030-01-01").json();
    assert_eq!((relations(&empty), empty.get("entry")), (vec!["first", "last", "self"], None));
}

#[test]
fn patient_and_coverage_are_the_persons_own() {
    let mock = mock(Access::ThirteenMonth);
    let got = exchange(&mock, &code(&mock, &[]));
    let patient = got.json()["patient"].as_str().unwrap().to_owned();
    let (token, _) = pair(&got);
    let status = |target: &str| request(&mock, &token, target).status;
    for (target, expected) in [
        (format!("/v2/fhir/Patient?_id={patient}"), 200),
        ("/v2/fhir/Patient?_id=-1".to_owned(), 404),
        ("/v2/fhir/Patient?identifier=http%3A%2F%2Fhl7.org%2Ffhir%2Fsid%2Fus-mbi%7C1S00E00AA00".to_owned(), 400),
        (format!("/v2/fhir/Coverage?beneficiary=Patient/{patient}"), 200),
        ("/v2/fhir/Coverage?beneficiary=Patient/-1".to_owned(), 403),
        ("/v2/fhir/Coverage?_count=0".to_owned(), 400),
    ] {
        assert_eq!(status(&target), expected, "{target}");
    }
    let coverage = request(&mock, &token, "/v2/fhir/Coverage").json();
    assert!(!ids(&coverage).is_empty());
    let none = request(&mock, &token, "/v2/fhir/Coverage?_lastUpdated=ge2030-01-01").json();
    assert_eq!((&none["total"], ids(&none).len()), (&Value::from(0), 0));
    let got = request(&mock, &token, "/v2/connect/userinfo/");
    assert!(got.text().starts_with(&format!(r#"{{"sub": "{patient}", "name": ""#)), "{got:?}");
    assert!(got.text().ends_with(&format!(r#""patient": "{patient}"}}"#)), "{got:?}");
    assert_eq!((got.header("content-type"), got.header("allow")), (Some("application/json"), Some("OPTIONS, GET")));
}

#[test]
fn reads_give_what_searches_give() {
    let mock = mock(Access::ThirteenMonth);
    let got = exchange(&mock, &code(&mock, &[]));
    let patient = got.json()["patient"].as_str().unwrap().to_owned();
    let (token, _) = pair(&got);
    let claim = ids(&request(&mock, &token, "/v2/fhir/ExplanationOfBenefit?_count=1").json()).remove(0);
    for target in [
        format!("ExplanationOfBenefit/{claim}"),
        format!("ExplanationOfBenefit/{claim}/"),
        format!("ExplanationOfBenefit/{claim}/foo/bar"),
    ] {
        assert_eq!(request(&mock, &token, &format!("/v2/fhir/{target}")).json()["id"], *claim, "{target}");
    }
    assert_eq!(request(&mock, &token, &format!("/v2/fhir/Patient/{patient}")).json()["id"], *patient);
    let encoded = claim.replace('-', "%2D");
    assert_eq!(request(&mock, &token, &format!("/v2/fhir/ExplanationOfBenefit/{encoded}")).json()["id"], *claim);
    assert_eq!(request(&mock, &token, "/v3/fhir/Patient/%24generate-insurance-card").status, 200);
    let pattern = "ExplanationOfBenefit ID pattern: 'zzz' does not match expected pattern: {alphaString}-{idNumber}";
    for (target, status, expected) in [
        ("ExplanationOfBenefit/carrier--99", 404, NOT_FOUND.to_owned()),
        ("ExplanationOfBenefit/zzz", 400, upstream(pattern)),
        ("Patient/-1", 404, NOT_FOUND.to_owned()),
        ("Patient/$generate-insurance-card", 404, NOT_FOUND.to_owned()),
        ("Coverage/part-z-1", 404, NOT_FOUND.to_owned()),
    ] {
        let got = request(&mock, &token, &format!("/v2/fhir/{target}"));
        assert_eq!((got.status, got.text()), (status, expected.as_str()), "{target}");
    }
}

#[test]
fn tokens_are_refused_with_the_reason_in_the_header() {
    let mock = mock(Access::ThirteenMonth);
    let (token, _) = tokens(&mock);
    let realm = r#"Bearer realm="api""#;
    let invalid = |words: &str| format!(r#"{realm},error="invalid_token",error_description="{words}""#);
    for (header, expected) in [
        ("Bearer", realm.to_owned()),
        ("Bearer ", realm.to_owned()),
        ("Basic abc", realm.to_owned()),
        ("Token abc", realm.to_owned()),
        ("Bearer garbage", invalid("The access token is invalid.")),
    ] {
        let got = send(&mock, "GET", "/v2/fhir/Patient", &[("Authorization", header)], "").unwrap();
        assert_eq!((got.status, got.text()), (401, NO_CREDENTIALS), "{header}");
        assert_eq!(got.header("www-authenticate"), Some(&*expected), "{header}");
        assert_eq!(got.header("x-ratelimit-limit"), Some("None"));
    }
    assert_eq!(get(&mock, "/v2/connect/userinfo").header("content-type"), Some("application/json"));
    let lower = format!("bearer {token}");
    assert_eq!(send(&mock, "GET", "/v2/fhir/Patient", &[("Authorization", &lower)], "").unwrap().status, 200);
    control(&mock, "clock", r#"{"advance_seconds": 3601}"#);
    let got = request(&mock, &token, "/v2/fhir/Patient");
    assert_eq!(got.header("www-authenticate"), Some(&*invalid("The access token has expired.")));
}

#[test]
fn methods_and_media_types_have_their_limits() {
    let mock = mock(Access::ThirteenMonth);
    let (token, _) = tokens(&mock);
    let bearer = format!("Bearer {token}");
    let with = |method: &str, target: &str, more: &[(&str, &str)], body: &str| {
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend_from_slice(more);
        send(&mock, method, target, &headers, body).unwrap()
    };
    let search = "/v2/fhir/ExplanationOfBenefit?_count=1";
    for method in ["HEAD", "OPTIONS", "POST", "DELETE"] {
        assert_eq!(with(method, search, &[], "").status, 403, "{method}");
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let got = with("POST", "/v2/fhir/ExplanationOfBenefit/_search", &form, "_count=5");
    let words = r#"{"detail":"Unsupported media type \"application/x-www-form-urlencoded\" in request."}"#;
    assert_eq!((got.status, got.text()), (415, words));
    for (accept, expected) in [
        ("*/*", Some("application/fhir+json")),
        ("application/fhir+json", Some("application/fhir+json")),
        ("application/json", Some("application/json")),
        ("application/fhir+xml", None),
        ("text/html", None),
        ("application/json+fhir", None),
    ] {
        let got = with("GET", search, &[("Accept", accept)], "");
        let expected = expected.map_or((406, "application/fhir+json"), |kind| (200, kind));
        assert_eq!((got.status, got.header("content-type").unwrap()), expected, "{accept}");
    }
    let compact = with("GET", "/v3/fhir/Patient", &[("Accept", "application/json")], "");
    let pretty = with("GET", "/v3/fhir/Patient", &[("Accept", "application/json; indent=2")], "");
    assert_eq!(pretty.header("content-type"), Some("application/json"));
    assert!(pretty.text().starts_with("{\n  \"resourceType\": \"Bundle\",\n  \"id\": "), "{pretty:?}");
    let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
    let after_date = |got: &Got| without_blanks(got.text().split_once("\"type\"").unwrap().1);
    assert_eq!(after_date(&pretty), after_date(&compact), "nothing but blanks differs");
    let small = with("GET", "/v2/fhir/Patient/-1", &[("Accept", "application/json;indent=99")], "");
    assert_eq!(small.text(), "{\n        \"detail\": \"Not found.\"\n}", "no deeper than eight");
    for plain in ["application/json; indent=0", "application/json; indent=x", "application/json; indent=-1"] {
        let got = with("GET", "/v2/fhir/Patient/-1", &[("Accept", plain)], "");
        assert_eq!(got.text(), NOT_FOUND, "{plain}");
    }
    let got = with("GET", search, &[("Accept-Encoding", "gzip")], "");
    assert_eq!(got.header("content-encoding"), Some("gzip"));
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&*got.bytes).read_to_string(&mut plain).unwrap();
    assert!(plain.starts_with(r#"{"resourceType":"Bundle""#));
    let small = with("GET", "/v2/fhir/Patient/-1", &[("Accept-Encoding", "gzip")], "");
    assert_eq!(small.header("content-encoding"), None, "under 200 bytes");
}

#[test]
fn discovery_is_spaced_ordered_and_quirky() {
    let mock = mock(Access::ThirteenMonth);
    let url = mock.url();
    for target in [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration-v2",
        "/v2/connect/.well-known/openid-configuration",
    ] {
        let got = get(&mock, target);
        let expected = format!(
            r#"{{"issuer": "{url}", "authorization_endpoint": "{url}/v2/o/authorize", "revocation_endpoint": "{url}/v2/o/revoke_token", "token_endpoint": "{url}/v2/o/token", "#
        );
        assert!(got.text().starts_with(&expected), "{target} {got:?}");
        assert_eq!(got.header("content-type"), Some("application/json"));
        assert_eq!(send(&mock, "HEAD", target, &[], "").unwrap().status, 405);
        assert_eq!(get(&mock, &format!("{target}/")).status, 404);
    }
    let smart = get(&mock, "/v2/fhir/.well-known/smart-configuration").json();
    assert_eq!(smart["grant_types_supported"], serde_json::json!(["authorization_code"]));
    let metadata = get(&mock, "/v2/fhir/metadata");
    assert!(metadata.text().starts_with(r#"{"resourceType": "CapabilityStatement", "#), "{metadata:?}");
    for target in [
        "/.well-known/smart-configuration",
        "/.well-known/jwks.json",
        "/v2/fhir/metadata/",
        "/v2/fhir/Observation",
        "/v4/fhir/Patient",
        "/",
    ] {
        let got = get(&mock, target);
        assert_eq!((got.status, got.header("content-type")), (404, Some("text/html; charset=utf-8")), "{target}");
    }
}

#[test]
fn recorded_pages_are_served_as_they_are() {
    let Some(shared) = recorded("v2") else { return };
    let dir = tempfile::tempdir().unwrap();
    for page in 0..6 {
        let name = format!("eob-search-page-{page}.json");
        std::fs::copy(shared.join(&name), dir.path().join(&name)).unwrap();
    }
    let records = crate::data::load(dir.path()).unwrap();
    let mock = start(Options { records: Box::new(records), ..options() });
    let (token, _) = tokens(&mock);
    let mut target = "/v2/fhir/ExplanationOfBenefit?_count=20".to_owned();
    let mut found = Vec::new();
    loop {
        let page = request(&mock, &token, &target).json();
        assert_eq!(page["total"], 52);
        found.extend(ids(&page));
        let Some(next) = link(&page, "next") else { break };
        next.clone_into(&mut target);
    }
    let recorded: Vec<String> = (0..6)
        .flat_map(|page| {
            let text = std::fs::read_to_string(dir.path().join(format!("eob-search-page-{page}.json"))).unwrap();
            ids(&serde_json::from_str(&text).unwrap())
        })
        .collect();
    assert_eq!(found, recorded, "52 claims in the recorded order");
    assert_eq!(request(&mock, &token, "/v2/fhir/Patient").json()["total"], 1);
    assert_eq!(request(&mock, &token, "/v2/fhir/Coverage").json()["total"], 1);
}

#[test]
fn routes_are_not_anchored_and_scopes_are() {
    let mock = mock(Access::ThirteenMonth);
    let (token, _) = tokens(&mock);
    let forbidden = r#"{"detail":"You do not have permission to perform this action."}"#;
    for path in ["/v2/fhir/foo/Patient/", "/v1/fhir/foo/Patient/-1", "/v3/fhir/ExplanationOfBenefits"] {
        let got = request(&mock, &token, path);
        assert_eq!((got.status, got.text()), (403, forbidden), "{path}");
        assert_eq!(get(&mock, path).status, 401, "{path} without a token");
    }
    for path in ["/v2/fhir/Claim", "/v2/fhir/foo/", "/v3/fhir/AuditEvent", "/v2/fhir/metadata/"] {
        let got = request(&mock, &token, path);
        assert!(got.status == 404 && got.text().contains("<html"), "{path} {got:?}");
    }
}

#[test]
fn audit_events_are_behind_a_switch_and_in_nobodys_scopes() {
    let mock = mock(Access::ThirteenMonth);
    let (token, _) = tokens(&mock);
    let named = |version: &str| get(&mock, &format!("/{version}/fhir/metadata")).text().contains("AuditEvent");
    assert!(!named("v3"));
    control(&mock, "switches", r#"{"enable_auditevents": true}"#);
    for path in ["/v3/fhir/AuditEvent", "/v3/fhir/AuditEvent/", "/v3/fhir/AuditEvent/1"] {
        assert_eq!((request(&mock, &token, path).status, get(&mock, path).status), (403, 401), "{path}");
    }
    assert_eq!(request(&mock, &token, "/v2/fhir/AuditEvent").status, 404);
    assert!(named("v3") && !named("v2"));
}

#[test]
fn people_are_found_at_v3_by_medicare_number_alone() {
    let mock = mock(Access::ThirteenMonth);
    let (token, _) = tokens(&mock);
    let with = |identifier: &str| {
        request(&mock, &token, &format!("/v3/fhir/Patient?{}", encoded(&[("identifier", identifier)])))
    };
    for (identifier, words) in [
        ("", "Value is missing"),
        ("http://hl7.org/fhir/sid/us-mbi|", "Value is missing"),
        ("1S00E00AA00", "Invalid or missing system"),
        ("http://example.com|1S00E00AA00", "Invalid or missing system"),
    ] {
        let got = with(identifier);
        let answer = got.json();
        assert_eq!((got.status, answer["resourceType"].as_str()), (400, Some("OperationOutcome")), "{identifier}");
        assert_eq!(answer["issue"][0]["diagnostics"], words, "{identifier}");
    }
    assert_eq!(with("http://hl7.org/fhir/sid/us-mbi|1S00E00AA00").status, 200, "as recorded");
}
