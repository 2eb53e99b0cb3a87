//! Consents without a browser, for tests with many people.

use std::time::Instant;

use super::*;
use crate::Records as _;

fn many(claims: usize, enrollees: usize) -> Mock {
    start(Options { records: Box::new(Population::new(7, enrollees, claims)), ..options() })
}

/// The rows in the answer of `POST /__mock/consents`.
fn consents(mock: &Mock, query: &str) -> Vec<Value> {
    let got = send(mock, "POST", &format!("/__mock/consents{query}"), &[], "").unwrap();
    assert_eq!((got.status, got.header("content-type")), (200, Some("application/x-ndjson")), "{got:?}");
    let text = unchunked(&got.bytes);
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Joins a chunked body (RFC 9112 section 7.1).
fn unchunked(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        bytes = &bytes[end + 2..];
        if length == 0 {
            return text;
        }
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        bytes = &bytes[length + 2..];
    }
}

fn text<'v>(row: &'v Value, field: &str) -> &'v str {
    row[field].as_str().unwrap_or_else(|| panic!("{field}: {row}"))
}

#[test]
fn each_row_is_a_log_in() {
    let mock = many(10, 300);
    let rows = consents(&mock, "?first=1&count=299");
    assert_eq!(rows.len(), 299);
    let (first, last) = (&rows[0], &rows[298]);
    assert_eq!([text(first, "name"), text(last, "name")], ["BBUser00001", "BBUser00299"]);
    assert_eq!(
        [text(first, "server"), text(first, "client_id"), text(first, "client_secret"), text(first, "api")],
        [mock.url(), mock.client_id(), mock.client_secret(), "v2"]
    );
    assert_eq!((text(first, "access_category"), first["scopes"].as_array().unwrap().len()), ("thirteen-month", 9));
    let instant = |field| text(first, field).parse::<jiff::Timestamp>().unwrap();
    assert!(instant("access_token_expires") < instant("grant_expires"));
    for row in [first, last] {
        let found = request(&mock, text(row, "access_token"), "/v2/fhir/ExplanationOfBenefit").json();
        assert_eq!(found["total"], 10);
        let patient = format!("Patient/{}", text(row, "patient"));
        assert_eq!(found["entry"][0]["resource"]["patient"]["reference"], patient);
        let renewed = refresh(&mock, text(row, "refresh_token"));
        assert_eq!((renewed.status, &renewed.json()["patient"]), (200, &row["patient"]));
    }
}

#[test]
fn every_version_and_kind_of_access_has_its_own_rows() {
    let mock = many(2, 2);
    for (api, start) in [("v1", "-2014"), ("v2", "-2014"), ("v3", "-3025")] {
        let rows = consents(&mock, &format!("?api={api}"));
        assert_eq!(rows.len(), 2, "everybody, where no count says otherwise");
        assert!(text(&rows[1], "patient").starts_with(start), "{rows:?}");
        let path = format!("/{api}/fhir/Patient/{}", text(&rows[1], "patient"));
        assert_eq!(request(&mock, text(&rows[1], "access_token"), &path).status, 200, "{api}");
    }
    for (access, name) in [(Access::OneTime, "one-time"), (Access::Research, "research")] {
        let mock = super::mock(access);
        let row = &consents(&mock, "?count=1")[0];
        assert_eq!((text(row, "access_category"), row.get("grant_expires").is_some()), (name, name == "one-time"));
    }
}

#[test]
fn a_later_consent_ends_the_earlier_one() {
    let mock = many(2, 2);
    let (old, new) = (consents(&mock, ""), consents(&mock, "?count=1"));
    let status = |row: &Value| request(&mock, text(row, "access_token"), "/v2/fhir/Patient").status;
    assert_eq!([&old[0], &new[0], &old[1]].map(status), [401, 200, 200]);
    assert_eq!(refresh(&mock, text(&old[0], "refresh_token")).status, 400);
}

#[test]
fn what_cannot_be_given_is_refused() {
    let mock = many(2, 2);
    for query in
        ["?count=3", "?first=3", "?first=1&count=2", "?count=x", "?api=v4", "?people=1", "?count=99999999999999999999"]
    {
        let got = send(&mock, "POST", &format!("/__mock/consents{query}"), &[], "").unwrap();
        assert_eq!(got.status, 400, "{query}: {got:?}");
        assert!(got.json()["error"].is_string());
    }
    assert!(consents(&mock, "?count=0").is_empty());
}

#[test]
fn a_share_of_the_grants_can_be_withdrawn() {
    let mock = many(2, 200);
    let rows = consents(&mock, "");
    let body = r#"{"revoke": true, "percent": 2.5}"#;
    let got = send(&mock, "POST", "/__mock/grants", &[], body).unwrap().json();
    let gone: Vec<u64> = got["enrollees"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert_eq!(gone, [39, 79, 119, 159, 199]);
    for (enrollee, row) in (0..).zip(&rows).skip(38).take(3) {
        let refused = gone.contains(&enrollee);
        assert_eq!(
            request(&mock, text(row, "access_token"), "/v2/fhir/Patient").status,
            if refused { 401 } else { 200 }
        );
        let renewed = refresh(&mock, text(row, "refresh_token"));
        assert_eq!(renewed.status, if refused { 403 } else { 200 }, "{renewed:?}");
    }
    for body in [r#"{"revoke": true, "percent": 101}"#, r#"{"revoke": true, "percent": -1}"#, r#"{"percent": 1}"#] {
        assert_eq!(send(&mock, "POST", "/__mock/grants", &[], body).unwrap().status, 400, "{body}");
    }
    let all = send(&mock, "POST", "/__mock/grants", &[], r#"{"revoke": true, "percent": 100}"#).unwrap().json();
    assert_eq!(all["enrollees"].as_array().unwrap().len(), 195, "all that were left");
}

/// This would take more than a minute if each log-in checked every person and every token.
#[test]
fn a_log_in_costs_the_same_however_many_people_there_are() {
    use crate::{
        apps::Registration,
        records::Version,
        world::{Approval, GrantKey, World},
    };
    let started = Instant::now();
    let mut world = World::new(Registration::default().app("a".to_owned(), "b".to_owned()), 1, Vec::new());
    let approval = Approval { scopes: std::sync::Arc::default(), samhsa: None };
    for enrollee in 0..200_000 {
        let grant_key = GrantKey { app: 0, enrollee };
        let code = world.connect(grant_key, REDIRECT.to_owned(), String::new(), approval.clone());
        assert!(world.spend_code(&code).is_some());
    }
    assert_eq!(world.tokens(), (200_000, 200_000));
    let people = Population::new(1, 1_000_000, 10);
    for index in (0..1_000_000).rev().take(1_000) {
        let person = people.enrollee(index);
        assert_eq!(people.find_enrollee(&person.username), Some(index));
        for version in [Version::V1, Version::V2, Version::V3] {
            assert_eq!(people.find_patient(version, &version.patient(&person)), Some(index));
        }
    }
    for nobody in ["BBUser1000000", "BBUser1", "BBUser+0001", "bbuser00001", ""] {
        assert_eq!(people.find_enrollee(nobody), None, "{nobody}");
    }
    for nobody in ["-20140001000001", "-30250000000001", "20140000000001", "-020140000000001", ""] {
        assert_eq!(people.find_patient(Version::V2, nobody), None, "{nobody}");
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
