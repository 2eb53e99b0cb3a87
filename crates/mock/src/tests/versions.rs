//! What is the same in all three versions of the API, what differs, and which app may use which.

use super::*;

const V3_SCOPES: &str =
    "openid profile launch/patient patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs";

fn v3_tokens(mock: &Mock) -> (String, String) {
    let asked = authorization(mock, &[("scope", Some(V3_SCOPES))]).replacen("/v2/", "/v3/", 1);
    let code = sent_back(&get(mock, &asked), "code").unwrap();
    pair(&exchange(mock, &code))
}

#[test]
fn a_token_is_good_at_every_version_and_the_person_has_another_id_at_v3() {
    let mock = mock(Access::ThirteenMonth);
    let (token, refresh) = tokens(&mock);
    let ids = ["v1", "v2", "v3"].map(|version| {
        let answer = request(&mock, &token, &format!("/{version}/connect/userinfo")).json();
        assert_eq!(answer["sub"], answer["patient"]);
        answer["patient"].as_str().unwrap().to_owned()
    });
    assert!(ids[0] == ids[1] && ids[1].starts_with("-2014") && ids[2].starts_with("-3025"), "{ids:?}");
    let got = post(&mock, "/v3/o/token/", &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]);
    assert_eq!(got.json()["patient"], ids[2].as_str());
}

#[test]
fn v3_wants_a_scope_and_names_no_reason_for_a_refused_refresh() {
    let mock = mock(Access::ThirteenMonth);
    let got = get(&mock, &authorization(&mock, &[]).replacen("/v2/", "/v3/", 1));
    assert_eq!(got.text(), r#"{"status_code": 400, "message": "Missing Required Parameter(s): scope"}"#);
    let (_, refresh) = v3_tokens(&mock);
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nrefresh_token\r\n\
         --x\r\nContent-Disposition: form-data; name=\"refresh_token\"\r\n\r\n{refresh}\r\n--x--\r\n"
    );
    let basic = basic(mock.client_id(), mock.client_secret());
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "multipart/form-data; boundary=x")];
    let multipart = |target: &str| send(&mock, "POST", target, &headers, &body).unwrap();
    let got = multipart("/v3/o/token/");
    assert_eq!((got.status, got.text()), (403, r#"{"status_code": 403, "message": "Request denied"}"#));
    assert_eq!(multipart("/v2/o/token/").status, 200, "it was not spent");
}

#[test]
fn who_withholds_treatment_data_at_v3_shows_no_claims_at_v1_and_v2() {
    let mock = mock(Access::ThirteenMonth);
    let status = |token: &str| {
        [
            "v1/fhir/ExplanationOfBenefit",
            "v2/fhir/ExplanationOfBenefit",
            "v2/fhir/Coverage",
            "v3/fhir/ExplanationOfBenefit",
        ]
        .map(|path| request(&mock, token, &format!("/{path}")).status)
    };
    control(&mock, "consent", r#"{"samhsa": false}"#);
    assert_eq!(status(&v3_tokens(&mock).0), [403, 403, 200, 200]);
    control(&mock, "consent", r#"{"samhsa": true}"#);
    let (token, refreshed) = v3_tokens(&mock);
    assert_eq!(status(&token), [200; 4]);
    assert_eq!(status(&pair(&refresh(&mock, &refreshed)).0), [200; 4], "a refresh keeps it");
}

#[test]
fn an_app_held_to_part_d_sees_drug_claims_at_v3_and_none_elsewhere() {
    let mock = mock(Access::ThirteenMonth);
    let made = send(&mock, "POST", "/__mock/apps", &[], r#"{"part_d": true}"#).unwrap().json();
    let word = |name: &str| made[name].as_str().unwrap().to_owned();
    let (id, theirs) = (word("client_id"), basic(&word("client_id"), &word("client_secret")));
    let code = code(&mock, &[("client_id", Some(&id))]);
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let (token, _) = pair(&form(&mock, "/v2/o/token/", &[("Authorization", &theirs)], &pairs));
    for version in ["v1", "v2"] {
        let got = request(&mock, &token, &format!("/{version}/fhir/ExplanationOfBenefit"));
        assert!(got.status == 403 && got.text().contains("permission"), "{version} {got:?}");
        assert_eq!(request(&mock, &token, &format!("/{version}/fhir/ExplanationOfBenefit/carrier--1")).status, 403);
        assert_eq!(request(&mock, &token, &format!("/{version}/fhir/Coverage")).status, 200, "{version}");
    }
    let claims = request(&mock, &token, "/v3/fhir/ExplanationOfBenefit?_source=NCH&_count=50").json();
    let claims = claims["entry"].as_array().unwrap();
    assert!(!claims.is_empty() && claims.iter().all(|entry| entry["resource"]["meta"]["source"] == "DDPS"));
}

#[test]
fn v3_can_be_off_or_for_others() {
    let mock = mock(Access::ThirteenMonth);
    let (token, refresh) = tokens(&mock);
    control(&mock, "faults", r#"["v3-closed"]"#);
    let got = request(&mock, &token, "/v3/fhir/Patient");
    assert!(got.status == 403 && got.text().contains("Mock App, does not yet have access"), "{got:?}");
    assert_eq!(request(&mock, &token, "/v2/fhir/Patient").status, 200);
    let refused = post(&mock, "/v3/o/token/", &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]);
    assert_eq!(refused.status, 403);
    assert_eq!(get(&mock, "/v3/fhir/metadata").status, 200);
    control(&mock, "faults", r#"["v3-off"]"#);
    assert_eq!(get(&mock, "/v3/fhir/metadata").status, 404);
    assert_eq!(super::refresh(&mock, &refresh).status, 200, "it was not spent");
}

#[test]
fn an_app_cannot_use_the_tokens_of_another() {
    let mock = mock(Access::ThirteenMonth);
    let made = send(&mock, "POST", "/__mock/apps", &[], r#"{"name": "Second", "demographics": false}"#).unwrap().json();
    let word = |name: &str| made[name].as_str().unwrap().to_owned();
    let (id, theirs) = (word("client_id"), basic(&word("client_id"), &word("client_secret")));
    let (token, refresh) = tokens(&mock);
    let at = |target: &str, pairs: &[(&str, &str)]| form(&mock, target, &[("Authorization", &theirs)], pairs);
    let got = at("/v2/o/revoke_token/", &[("token", &token)]);
    assert!(got.status == 403 && got.text().contains("did not have access"), "{got:?}");
    assert_eq!(at("/v2/o/revoke/", &[("token", &token)]).status, 500);
    let got = at("/v2/o/token/", &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]);
    assert!(got.status == 400 && got.text().contains("different app"), "{got:?}");
    let code = code(&mock, &[("client_id", Some(&id))]);
    assert_eq!(exchange(&mock, &code).json()["error"], "invalid_grant", "a code of another app");
    assert_eq!(request(&mock, &token, "/v2/fhir/Patient").status, 200, "its consent ends nothing of this app");
    let asked = get(&mock, &authorization(&mock, &[("client_id", Some(&id)), ("scope", Some("profile"))]));
    assert_eq!(asked.text(), r#"{"status_code": 400, "message": "Invalid scopes."}"#);
}

#[test]
fn calls_are_throttled_by_token_whatever_the_version() {
    let mock = mock(Access::ThirteenMonth);
    let (token, _) = tokens(&mock);
    control(&mock, "rate", r#"{"calls": 2, "seconds": 60}"#);
    let statuses = ["v2", "v2", "v2", "v3"].map(|version| request(&mock, &token, &format!("/{version}/fhir/Coverage")));
    assert_eq!(statuses.each_ref().map(|got| got.status), [200, 200, 429, 429]);
    assert_eq!(statuses[2].header("retry-after"), Some("60"));
    assert_eq!(statuses[1].header("x-ratelimit-remaining"), Some("0"));
    control(&mock, "clock", r#"{"advance_seconds": 60}"#);
    assert_eq!(request(&mock, &token, "/v2/fhir/Coverage").status, 200);
    control(&mock, "rate", "null");
}

#[test]
fn not_everybody_is_known_at_every_version() {
    let mock = mock(Access::ThirteenMonth);
    control(&mock, "people", r#"{"enrollee": 0, "standing": "only-v2"}"#);
    let (token, _) = tokens(&mock);
    assert_eq!(request(&mock, &token, "/v3/fhir/Coverage").status, 403);
    let answer = request(&mock, &token, "/v3/connect/userinfo").json();
    assert!(answer["sub"] == "BBUser00000" && answer.get("patient").is_none(), "{answer}");
    let asked = authorization(&mock, &[("scope", Some(V3_SCOPES))]).replacen("/v2/", "/v3/", 1);
    assert_eq!(get(&mock, &asked).status, 404);
    for (standing, status) in [("unknown", 404), ("no-number", 404), ("duplicate", 502), ("known", 302)] {
        control(&mock, "people", &format!(r#"{{"enrollee": 0, "standing": "{standing}"}}"#));
        assert_eq!(get(&mock, &authorization(&mock, &[])).status, status, "{standing}");
    }
}

#[test]
fn pages_are_in_the_language_asked_for() {
    let mock = start(Options { auto_consent: false, ..options() });
    let page = |request: &str| get(&mock, &super::authorize::log_in(&mock, request));
    for (lang, words) in [("es", "durante 13 meses"), ("en", "for 13 months"), ("fr", "for 13 months")] {
        let got = page(&authorization(&mock, &[("lang", Some(lang))]));
        assert!(got.text().contains(words), "{lang} {got:?}");
    }
    let got = send(&mock, "GET", "/sso/authorize?relay=1", &[("Accept-Language", "es-PR,en;q=0.5")], "").unwrap();
    assert!(got.header("content-language") == Some("es") && got.text().contains("Iniciar"), "{got:?}");
}
