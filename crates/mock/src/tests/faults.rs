//! Faults on purpose, and the controls.

use super::*;

const CLAIMS: &str = "/v2/fhir/ExplanationOfBenefit";

/// A mock with these faults, and a token.
fn with(faults: &str) -> (Mock, String, String) {
    let mock = mock(Access::ThirteenMonth);
    let (access, refresh) = tokens(&mock);
    control(&mock, "faults", faults);
    (mock, access, refresh)
}

fn ids(bundle: &Value) -> Vec<&str> {
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().map(|entry| entry["resource"]["id"].as_str().unwrap()).collect()
}

fn link<'b>(bundle: &'b Value, relation: &str) -> Option<&'b str> {
    bundle["link"].as_array()?.iter().find(|link| link["relation"] == relation)?["url"].as_str()
}

#[test]
fn faults_strike_where_when_and_as_often_as_said() {
    let (mock, token, _) = with(r#"["status=503@ExplanationOfBenefit#2+1"]"#);
    assert_eq!(request(&mock, &token, "/v2/fhir/Patient").status, 200);
    let statuses: Vec<u16> = (0..4).map(|_| request(&mock, &token, CLAIMS).status).collect();
    assert_eq!(statuses, [200, 503, 503, 200]);
    control(&mock, "faults", r#"["status=500"]"#);
    assert_eq!(send(&mock, "DELETE", "/__mock/faults", &[], "").unwrap().status, 200);
    assert_eq!(request(&mock, &token, CLAIMS).status, 200);
    let got = send(&mock, "POST", "/__mock/faults", &[], r#"["nonsense"]"#).unwrap();
    assert!(got.status == 400 && got.text().contains("nonsense"), "{got:?}");
}

#[test]
fn faults_replace_the_response() {
    let (mock, token, _) = with(r#"["throttle=7#1"]"#);
    let got = request(&mock, &token, CLAIMS);
    assert_eq!((got.status, got.header("retry-after")), (429, Some("7")));
    assert_eq!(got.text(), r#"{"detail":"Request was throttled. Expected available in 7 seconds."}"#);
    assert_eq!(got.header("x-ratelimit-remaining"), Some("0"));
    control(&mock, "faults", r#"["html=502#1"]"#);
    let got = request(&mock, &token, CLAIMS);
    assert_eq!((got.status, got.header("content-type")), (502, Some("text/html; charset=utf-8")));
    control(&mock, "faults", r#"["redirect=http://example.com/x#1"]"#);
    let got = request(&mock, &token, CLAIMS);
    assert_eq!((got.status, got.header("location")), (302, Some("http://example.com/x")));
    control(&mock, "faults", r#"["backend=502#1"]"#);
    let got = request(&mock, &token, CLAIMS);
    assert_eq!((got.status, got.text()), (502, r#"{"detail":"A failure occurred contacting the upstream server"}"#));
}

#[test]
fn faults_break_the_bytes() {
    let (mock, token, _) = with(r#"["truncate#1"]"#);
    let got = request(&mock, &token, CLAIMS);
    assert_eq!(got.header("content-length"), Some(&*got.bytes.len().to_string()), "valid HTTP");
    assert!(serde_json::from_slice::<Value>(&got.bytes).is_err());
    control(&mock, "faults", r#"["close#1"]"#);
    let got = request(&mock, &token, CLAIMS);
    let announced: usize = got.header("content-length").unwrap().parse().unwrap();
    assert!(!got.bytes.is_empty() && got.bytes.len() < announced, "{} of {announced}", got.bytes.len());
}

#[test]
fn a_huge_resource_is_huge_however_it_is_written() {
    let (mock, token, _) = with("[]");
    for (accept, target) in [
        ("application/json", CLAIMS),
        ("application/json; indent=3", CLAIMS),
        ("application/json", "/v2/fhir/Patient/-20140000000001"),
    ] {
        let headers = [("Authorization", &*format!("Bearer {token}")), ("Accept", accept)];
        let page = || send(&mock, "GET", target, &headers, "").unwrap();
        let before = page().bytes.len();
        control(&mock, "faults", r#"["huge=2#1"]"#);
        let got = page();
        assert!((before + 2_000_000..before + 2_000_100).contains(&got.bytes.len()), "{accept}: {}", got.bytes.len());
        let json = got.json();
        let resource = if target == CLAIMS { &json["entry"][0]["resource"] } else { &json };
        assert_eq!(resource["padding"].as_str().unwrap().len(), 2_000_000);
    }
}

#[test]
fn faults_change_a_bundle() {
    let (mock, token, _) = with(r#"["empty@ExplanationOfBenefit+1#1"]"#);
    let page = |target: &str| request(&mock, &token, target).json();
    let first = page(CLAIMS);
    let next = link(&first, "next").unwrap().to_owned();
    let swallowed = page(&next);
    let relations: Vec<_> = ["first", "last", "self"].map(|relation| link(&swallowed, relation).is_some()).into();
    assert_eq!((relations, link(&swallowed, "next")), (vec![true; 3], None));
    assert_eq!((&swallowed["total"], swallowed.get("entry")), (&Value::from(0), None));

    control(&mock, "faults", r#"["total=99#1", "no-total+1#1"]"#);
    assert_eq!(page(CLAIMS)["total"], 99);
    assert_eq!(page(CLAIMS).get("total"), None);

    control(&mock, "faults", r#"["duplicate#1"]"#);
    let second = page(&next);
    assert_eq!(ids(&second).len(), 11);
    assert_eq!(ids(&second).first(), ids(&first).last());

    control(&mock, "faults", r#"["empty-next#1"]"#);
    let empty = page(CLAIMS);
    assert_eq!((ids(&empty).len(), &empty["total"], link(&empty, "next")), (0, &Value::from(25), Some(&*next)));
}

#[test]
fn faults_add_and_repeat_entries() {
    let (mock, _, _) = with("[]");
    let (token, _) = tokens_of_v3(&mock);
    for (claims, second) in [
        ("/v1/fhir/ExplanationOfBenefit?_count=10", "&startIndex=10"),
        ("/v2/fhir/ExplanationOfBenefit?_count=10", "&startIndex=10"),
        ("/v3/fhir/ExplanationOfBenefit?_count=10", "&_offset=10"),
    ] {
        let page = |fault: &str, more: &str| {
            control(&mock, "faults", fault);
            request(&mock, &token, &format!("{claims}{more}")).json()
        };
        let (first, whole) = (page("[]", ""), page("[]", second));
        assert_eq!((first["entry"][0].get("search"), ids(&first).len()), (None, 10));

        let got = page(r#"["outcome-entry#1"]"#, second);
        let entries = got["entry"].as_array().unwrap();
        assert_eq!(entries[0]["resource"]["resourceType"], "OperationOutcome");
        assert_eq!(entries[0]["search"]["mode"], "outcome");
        assert!(entries[1..].iter().all(|entry| entry["search"]["mode"] == "match"), "{claims}");
        assert_eq!((&ids(&got)[1..], &got["total"]), (&ids(&whole)[..], &whole["total"]));

        let got = page(r#"["bare-outcome-entry#1"]"#, "");
        let last = got["entry"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["resource"]["resourceType"], last.get("search")), (&"OperationOutcome".into(), None));
        let got = page(r#"["include-entry#1"]"#, "");
        let last = got["entry"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["resource"]["resourceType"], &last["search"]["mode"]),
            (&"Organization".into(), &"include".into())
        );

        let got = page(r#"["repeat-first#1"]"#, second);
        assert_eq!((ids(&got), &got["total"]), (ids(&first), &whole["total"]));
        assert_eq!(link(&got, "next"), link(&whole, "next"));

        let got = page(r#"["total=7#1", "empty#1"]"#, "");
        assert_eq!((&got["total"], got.get("entry"), link(&got, "next")), (&7.into(), None, None), "{claims}");
    }
}

#[test]
fn an_endless_search_always_brings_something_new() {
    let (mock, _, _) = with(r#"["endless"]"#);
    let (token, _) = tokens_of_v3(&mock);
    for version in ["v1", "v2", "v3"] {
        let mut seen = std::collections::BTreeSet::new();
        let mut next = format!("/{version}/fhir/ExplanationOfBenefit?_count=20");
        let mut totals = std::collections::BTreeSet::new();
        for _ in 0..6 {
            let page = request(&mock, &token, &next).json();
            assert_eq!(ids(&page).len(), 20);
            totals.insert(page["total"].as_u64().unwrap());
            for id in ids(&page) {
                assert!(seen.insert(id.to_owned()), "{version}: {id} came before");
            }
            link(&page, "next").unwrap().clone_into(&mut next);
        }
        assert_eq!(totals.len(), 1);
        let far = if version == "v3" { "_offset" } else { "startIndex" };
        let page = request(&mock, &token, &format!("/{version}/fhir/ExplanationOfBenefit?_count=1&{far}=20000000"));
        assert!(link(&page.json(), "next").is_some(), "{page:?}");
        assert!(seen.insert(ids(&page.json())[0].to_owned()));
        let patient = request(&mock, &token, &format!("/{version}/fhir/Patient")).json();
        assert_eq!(ids(&patient).len(), 1, "no claims");
    }
}

/// A search without pages ignores where a page would begin, and one without results has nothing to repeat.
#[test]
fn faults_find_nothing_to_repeat_where_there_is_nothing() {
    let (mock, _, _) = with("[]");
    let (token, _) = tokens_of_v3(&mock);
    let page = |faults: &str, target: &str| {
        control(&mock, "faults", faults);
        let got = request(&mock, &token, target);
        assert_eq!(got.status, 200, "{faults} {target}: {got:?}");
        got.json()
    };
    for target in ["/v3/fhir/Coverage", "/v3/fhir/Patient"] {
        let whole = page("[]", target);
        for start in ["?_offset=90", "?_offset=1"] {
            let got = page(r#"["duplicate#1"]"#, &format!("{target}{start}"));
            assert_eq!(ids(&got), ids(&whole), "{target}{start}");
        }
    }
    for version in ["v1", "v2", "v3"] {
        let none = format!("/{version}/fhir/ExplanationOfBenefit?_count=10&service-date=gt2200-01-01");
        for faults in [r#"["endless#1", "repeat-first#1"]"#, r#"["endless#1", "repeat-first#1", "duplicate#1"]"#] {
            assert_eq!(ids(&page(faults, &none)), [""; 0], "{version} {faults}");
        }
    }
}

#[test]
fn an_endless_search_of_files_renames_ids_of_any_form() {
    let dir = tempfile::tempdir().unwrap();
    let claims = ["carrier--1", "-77", "letters", "a-b", "carrier\u{e9}"].map(|id| {
        serde_json::json!({"resourceType": "ExplanationOfBenefit", "id": id, "use": "claim", "insurance": [],
            "meta": {"profile": ["x|2"]}, "patient": {"reference": "Patient/-1"}, "letters": "letters"})
    });
    for (nth, claim) in claims.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{nth}.json")), claim.to_string()).unwrap();
    }
    let mock = start(Options { records: Box::new(crate::data::load(dir.path()).unwrap()), ..options() });
    let (token, _) = tokens_of_v3(&mock);
    control(&mock, "faults", r#"["endless"]"#);
    let page = request(&mock, &token, "/v3/fhir/ExplanationOfBenefit?_count=15").json();
    let mut found = ids(&page);
    assert_eq!(found.len(), 15);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 15, "{found:?}");
    assert!(page["entry"].as_array().unwrap().iter().all(|entry| entry["resource"]["letters"] == "letters"));
}

#[test]
fn faults_change_the_links_of_a_bundle() {
    let (mock, token, _) = with(r#"["next-host=http://127.0.0.1:9#1"]"#);
    let next = || link(&request(&mock, &token, CLAIMS).json(), "next").unwrap().to_owned();
    assert!(next().starts_with("http://127.0.0.1:9/v2/fhir/ExplanationOfBenefit?"));
    control(&mock, "faults", r#"["next-path=/v2/elsewhere#1"]"#);
    assert!(next().starts_with(&format!("{}/v2/elsewhere?", mock.url())));
    control(&mock, "faults", r#"["next-loop#1"]"#);
    assert!(next().contains("startIndex=0&"));
}

#[test]
fn faults_end_tokens_and_grants() {
    for (fault, status, header, refreshed) in [
        ("expire-token", 401, "The access token has expired.", 200),
        ("revoke-token", 401, "The access token is invalid.", 400),
        ("revoke-grant", 401, "The access token is invalid.", 403),
        ("grant-over", 401, r#"Bearer realm="api""#, 401),
    ] {
        let (mock, access, token) = with(&format!(r#"["{fault}@fhir#1"]"#));
        let got = request(&mock, &access, CLAIMS);
        assert_eq!(got.status, status, "{fault}");
        assert!(got.header("www-authenticate").unwrap().contains(header), "{fault} {got:?}");
        assert_eq!(refresh(&mock, &token).status, refreshed, "{fault}");
    }
    let (mock, _, token) = with(r#"["revoke-grant@token#1"]"#);
    assert_eq!(refresh(&mock, &token).status, 403, "the grant ends as the refresh arrives");
}

#[test]
fn a_dropped_refresh_answers_nothing_and_has_rotated() {
    let (mock, _, _) = with(r#"["drop-refresh"]"#);
    let (access, token) = tokens(&mock); // The exchange of a code is no refresh.
    let basic = basic(mock.client_id(), mock.client_secret());
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let body = encoded(&[("grant_type", "refresh_token"), ("refresh_token", &token)]);
    let got = send(&mock, "POST", "/v2/o/token/", &headers, &body);
    assert!(got.is_none(), "not a byte: {got:?}");
    assert_eq!(request(&mock, &access, CLAIMS).status, 401);
    control(&mock, "faults", "[]");
    assert_eq!(refresh(&mock, &token).text(), r#"{"error": "invalid_grant"}"#);
}

#[test]
fn faults_change_token_responses() {
    let (mock, _, token) = with(r#"["token-extra#1"]"#);
    let got = refresh(&mock, &token);
    let answer = got.json();
    assert_eq!(answer["expires_in"], 3599.5);
    assert!(answer["patient"].is_i64() && answer["access_grant_expiration"].as_str().unwrap().contains(' '));
    control(&mock, "faults", r#"["no-patient#1", "no-expiration#1"]"#);
    let answer = refresh(&mock, &pair(&got).1).json();
    assert_eq!((answer.get("patient"), answer.get("access_grant_expiration")), (None, None));
}

#[test]
fn a_hanging_request_blocks_no_other_and_the_log_shows_no_secret() {
    let (mock, token, _) = with(r#"["hang@Coverage#1"]"#);
    let address = mock.url().strip_prefix("http://").unwrap().to_owned();
    let mut socket = TcpStream::connect(address).unwrap();
    let raw = format!("GET /v2/fhir/Coverage?x=1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    socket.write_all(raw.as_bytes()).unwrap();
    let hung = |log: &Value| {
        log.as_array().unwrap().iter().any(|row| row["path"] == "/v2/fhir/Coverage" && row["status"] == 0)
    };
    let started = std::time::Instant::now();
    while !hung(&get(&mock, "/__mock/requests").json()) {
        assert!(started.elapsed() < Duration::from_secs(10), "the request never arrived");
    }
    assert_eq!(request(&mock, &token, CLAIMS).status, 200);
    let log = get(&mock, "/__mock/requests");
    assert!(!log.text().contains(&token) && !log.text().contains(STATE), "{log:?}");
    let rows = log.json();
    let mut last = rows.as_array().unwrap().last().unwrap().clone();
    let at = last.as_object_mut().unwrap().remove("at").unwrap();
    assert!(at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap() <= jiff::Timestamp::now());
    assert_eq!(
        last,
        serde_json::json!({"method": "GET", "path": CLAIMS, "query": "", "status": 200, "authorization": true})
    );
    send(&mock, "DELETE", "/__mock/requests", &[], "").unwrap();
    assert_eq!(get(&mock, "/__mock/requests").text(), "[]\n");
}

#[test]
fn latency_is_waited_for_side_by_side() {
    let mock = start(Options { latency: Duration::from_millis(300), ..options() });
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(get(&mock, "/health").status, 200));
        }
    });
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(2000), "{took:?}");
}

#[test]
fn a_mock_is_made_by_its_seed_and_stops_when_dropped() {
    let (one, two) = (mock(Access::Research), mock(Access::Research));
    assert_eq!((one.client_id(), one.client_secret()), (two.client_id(), two.client_secret()));
    assert_eq!((one.client_id().len(), one.client_secret().len()), (40, 128));
    let other = start(Options { seed: 8, ..options() });
    assert_ne!(one.client_id(), other.client_id());
    let announced: Value = serde_json::from_str(&one.announcement()).unwrap();
    assert_eq!(announced["url"], one.url());
    assert_eq!(announced["enrollees"].as_array().unwrap().len(), 3);
    assert_eq!(announced["enrollees"][0]["claims"], 25);
    let address = one.url().strip_prefix("http://").unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"));
    drop(one);
    assert!(TcpStream::connect(address).is_err());
}

/// A control request that may be refused.
fn ordered(mock: &Mock, what: &str, body: &str) -> u16 {
    send(mock, "POST", &format!("/__mock/{what}"), &[("Content-Type", "application/json")], body).unwrap().status
}

#[test]
fn orders_that_cannot_be_obeyed_are_refused_and_the_mock_goes_on() {
    let mock = mock(Access::ThirteenMonth);
    let all = get(&mock, "/health").status;
    assert_eq!(all, 200);
    let count = mock_claims(&mock);
    let update = format!(r#"{{"update":{count},"at":"2026-11-20T00:00:00Z"}}"#);
    assert_eq!(ordered(&mock, "claims", &update), 200);
    assert_eq!(ordered(&mock, "claims", r#"{"remove":1,"at":"2026-11-20T00:00:00Z"}"#), 400);
    assert_eq!(ordered(&mock, "claims", &format!(r#"{{"supersede":{count}}}"#)), 200);
    assert_eq!(ordered(&mock, "claims", &format!(r#"{{"update":2,"supersede":{count}}}"#)), 400);
    assert_eq!(ordered(&mock, "claims", r#"{"add":18446744073709551615,"supersede":1}"#), 400);
    assert_eq!(ordered(&mock, "clock", r#"{"advance_seconds":1000000000000000000}"#), 400);
    assert_eq!(ordered(&mock, "clock", r#"{"advance_seconds":9223372036854775807}"#), 400);
    for seconds in ["9223372036854775807", "-1", "0", "1000000001"] {
        assert_eq!(ordered(&mock, "rate", &format!(r#"{{"calls":1,"seconds":{seconds}}}"#)), 400, "{seconds}");
    }
    assert_eq!(ordered(&mock, "claims", r#"{"add":1000000}"#), 400);
    assert_eq!(ordered(&mock, "faults", r#"["huge=18446744073709"]"#), 400);
    assert_eq!(ordered(&mock, "grants", r#"{"revok":true}"#), 400);
    assert_eq!(ordered(&mock, "consent", r#"{"anser":"deny"}"#), 400);
    assert_eq!(ordered(&mock, "people", r#"{"enrollee":99999999,"standing":"unknown"}"#), 400);
    control(&mock, "faults", r#"["late-load=9223372036854775807#1"]"#);
    let (token, _) = tokens(&mock);
    let _ = request(&mock, &token, CLAIMS);
    assert_eq!(get(&mock, "/health").status, 200);
}

/// How many claims the first enrollee has.
fn mock_claims(mock: &Mock) -> u64 {
    let (token, _) = tokens(mock);
    request(mock, &token, CLAIMS).json()["total"].as_u64().unwrap()
}

#[test]
fn a_failing_back_end_is_shown_as_the_real_gateway_shows_it() {
    const DETAIL: &str = r#"{"detail":"#;
    const OUTCOME: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing","diagnostics":"simulated"}]}"#;
    const UNCAUGHT: &str = r#"{"error": "Server Error (500)"}"#;
    let (mock, _, _) = with("[]");
    let (token, _) = tokens_of_v3(&mock);
    for (fault, version, status, body) in [
        ("500", "v2", 502, DETAIL),
        ("503", "v1", 502, DETAIL),
        ("504", "v2", 502, DETAIL),
        ("404", "v2", 404, DETAIL),
        ("429", "v1", 400, DETAIL),
        ("403", "v2", 400, DETAIL),
        ("403-json", "v2", 502, DETAIL),
        ("404-html", "v2", 404, DETAIL),
        ("302", "v2", 500, UNCAUGHT),
        ("down", "v1", 500, UNCAUGHT),
        ("foreign-entry", "v1", 404, DETAIL),
        ("401", "v3", 401, OUTCOME),
        ("403", "v3", 403, OUTCOME),
        ("404", "v3", 404, OUTCOME),
        ("429", "v3", 429, OUTCOME),
        ("500", "v3", 500, OUTCOME),
        ("504", "v3", 504, OUTCOME),
        ("500-json", "v3", 502, DETAIL),
        ("502-html", "v3", 500, UNCAUGHT),
        ("down", "v3", 500, UNCAUGHT),
        ("foreign-entry", "v3", 404, DETAIL),
    ] {
        control(&mock, "faults", &format!(r#"["backend={fault}@ExplanationOfBenefit#1"]"#));
        let got = request(&mock, &token, &format!("/{version}/fhir/ExplanationOfBenefit"));
        assert_eq!((got.status, got.text().starts_with(body)), (status, true), "{fault} at {version}: {got:?}");
        let (kind, allow) = if body == UNCAUGHT {
            ("application/json", None)
        } else {
            ("application/fhir+json", Some("GET, HEAD, OPTIONS"))
        };
        assert_eq!((got.header("content-type"), got.header("allow")), (Some(kind), allow), "{fault} at {version}");
    }
    control(&mock, "faults", r#"["backend=500@v3/fhir/ExplanationOfBenefit/#1"]"#);
    assert_eq!(request(&mock, &token, "/v3/fhir/ExplanationOfBenefit/-1").text(), OUTCOME, "a read is no other");
    assert_eq!(get(&mock, "/health/nonsense").status, 404);
}

/// Tokens that may see everything at every version.
fn tokens_of_v3(mock: &Mock) -> (String, String) {
    let scope = "profile patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs";
    let at_v3 = authorization(mock, &[("scope", Some(scope))]).replacen("/v2/", "/v3/", 1);
    pair(&exchange(mock, &sent_back(&get(mock, &at_v3), "code").unwrap()))
}

#[test]
fn the_back_end_of_one_version_fails_alone_and_what_looks_at_it_says_so() {
    let (mock, _, _) = with("[]");
    let (token, _) = tokens_of_v3(&mock);
    const CHECKS: [(&str, &str); 5] = [
        ("/health/bfd", "v1"),
        ("/health/external", "v1"),
        ("/health/bfd_v2", "v2"),
        ("/health/bfd_v2/", "v2"),
        ("/health/external_v2", "v2"),
    ];
    for (fault, failing) in [
        ("backend=503:v1", &["v1"][..]),
        ("backend=down:v2", &["v2"]),
        ("backend=down:v3", &["v3"]),
        ("backend=500", &["v1", "v2", "v3"]),
    ] {
        control(&mock, "faults", &format!(r#"["{fault}"]"#));
        for (path, version) in CHECKS {
            let expected = if failing.contains(&version) { 503 } else { 200 };
            assert_eq!(get(&mock, path).status, expected, "{fault} {path}");
        }
        for version in ["v1", "v2", "v3"] {
            let got = get(&mock, &format!("/{version}/fhir/metadata"));
            let expected = match (failing.contains(&version), fault.contains("down")) {
                (false, _) => 200,
                (true, true) => 504,
                (true, false) => 500,
            };
            assert_eq!(got.status, expected, "{fault} {version} {got:?}");
            let is_well = request(&mock, &token, &format!("/{version}/fhir/Patient")).status == 200;
            assert_eq!(is_well, !failing.contains(&version), "{fault} {version}");
        }
        for path in ["/health", "/health/sls", "/health/db", "/v2/connect/userinfo"] {
            assert_eq!(request(&mock, &token, path).status, 200, "{path} asks no back end");
        }
        send(&mock, "DELETE", "/__mock/faults", &[], "").unwrap();
    }
    // Requests to other back ends do not use it up.
    control(&mock, "faults", r#"["backend=503:v3#1"]"#);
    let statuses = ["v1", "v2", "v3", "v3"].map(|version| get(&mock, &format!("/{version}/fhir/metadata")).status);
    assert_eq!(statuses, [200, 200, 500, 200]);
}

#[test]
fn nobody_logs_in_while_the_back_end_fails() {
    for (fault, version, status, body) in [
        ("backend=500", "v2", 502, r#"{"error": "Failed to retrieve data from data source."}"#),
        ("backend=down", "v3", 500, r#"{"error": "Server Error (500)"}"#),
        ("backend=404:v2", "v2", 404, "<!doctype html>"),
        ("backend=503:v1", "v2", 302, ""),
    ] {
        let mock = mock(Access::ThirteenMonth);
        control(&mock, "faults", &format!(r#"["{fault}"]"#));
        let authorize = authorization(&mock, &[("scope", Some("patient/Patient.rs"))]);
        let got = get(&mock, &authorize.replacen("/v2/", &format!("/{version}/"), 1));
        assert_eq!((got.status, got.text().starts_with(body)), (status, true), "{fault}: {got:?}");
    }
}

#[test]
fn one_page_is_one_page_at_v3_as_well() {
    let (mock, token, _) = with(r#"["status=503@_offset=5&"]"#);
    let page =
        |from: u32| request(&mock, &token, &format!("/v3/fhir/ExplanationOfBenefit?_count=5&_offset={from}")).status;
    assert_eq!((page(0), page(5), page(50)), (200, 503, 200));
}

#[test]
fn the_log_hides_secrets_wherever_they_stand() {
    let mock = mock(Access::ThirteenMonth);
    let _ = get(&mock, "/mymedicare/login?next=/v2/o/authorize/?state=secret-state%26code_challenge=secret-challenge");
    let _ = get(&mock, "/login/?relay=secret-relay&Code=secret-code");
    let told = get(&mock, "/__mock/requests");
    assert!(told.text().contains("next=") && !told.text().contains("secret-"), "{}", told.text());
}

#[test]
fn requests_from_foreign_origins_are_refused() {
    let mock = mock(Access::ThirteenMonth);
    let status = |headers: &[(&str, &str)], target: &str| send(&mock, "GET", target, headers, "").unwrap().status;
    assert_eq!(status(&[("Origin", "https://evil.example")], "/__mock/requests"), 400);
    assert_eq!(status(&[("Origin", "http://localhost:3000")], "/__mock/requests"), 200);
    let mut socket = TcpStream::connect(mock.url().strip_prefix("http://").unwrap()).unwrap();
    socket.write_all(b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}
