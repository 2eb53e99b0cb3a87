//! Codes, tokens, grants, and how they end.

use super::*;

const CANNOT_BE_FOUND: &str = "User access cannot be found.";

fn error(status: u16, error: &str) -> (u16, String) {
    (status, format!(r#"{{"error": "{error}"}}"#))
}

fn described(status: u16, error: &str, words: &str) -> (u16, String) {
    (status, format!(r#"{{"error": "{error}", "error_description": "{words}"}}"#))
}

fn own(status: u16, error: &str, words: &str) -> (u16, String) {
    (status, format!(r#"{{"status_code": {status}, "error": "{error}", "error_description": "{words}"}}"#))
}

fn said(got: &Got) -> (u16, String) {
    (got.status, got.text().to_owned())
}

#[test]
fn a_code_is_exchanged_once() {
    let mock = mock(Access::ThirteenMonth);
    let code = code(&mock, &[]);
    let got = exchange(&mock, &code);
    assert_eq!(
        (got.status, got.header("cache-control"), got.header("pragma")),
        (200, Some("no-store"), Some("no-cache"))
    );
    assert_eq!(got.header("x-ratelimit-limit"), Some("None"));
    let names: Vec<&str> = got.text().split('"').skip(1).step_by(2).filter(|word| word.contains('_')).collect();
    let order = ["access_token", "expires_in", "token_type", "refresh_token", "access_grant_expiration"];
    let places: Vec<_> = order.iter().map(|name| names.iter().position(|other| other == name).unwrap()).collect();
    assert!(places.is_sorted(), "{names:?}");
    let answer = got.json();
    assert_eq!(answer["expires_in"], 3600);
    assert!(answer["patient"].as_str().unwrap().starts_with('-'));
    let expiration = answer["access_grant_expiration"].as_str().unwrap();
    assert!(expiration.len() == 20 && expiration.ends_with('Z'), "{expiration}");
    assert_eq!(answer["scope"].as_str().unwrap().split(' ').count(), 9);
    assert_eq!(said(&exchange(&mock, &code)), error(400, "invalid_grant"), "a used code");
}

#[test]
fn access_categories_differ_in_their_end() {
    for (access, expected) in [(Access::OneTime, "20"), (Access::Research, "")] {
        let mock = mock(access);
        let answer = exchange(&mock, &code(&mock, &[])).json();
        let end = answer["access_grant_expiration"].as_str().unwrap();
        assert!(end.starts_with(expected) && end.is_empty() == expected.is_empty(), "{access:?} {end}");
    }
}

#[test]
fn a_mismatch_with_the_code_is_refused_and_does_not_use_it_up() {
    let mock = mock(Access::ThirteenMonth);
    let code = code(&mock, &[]);
    let good = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    for (name, value, expected) in [
        ("code", Some("abc"), error(400, "invalid_grant")),
        ("code", None, described(400, "invalid_request", "Missing code parameter.")),
        ("code_verifier", None, described(400, "invalid_request", "Code verifier required.")),
        ("code_verifier", Some(&VERIFIER[1..]), error(400, "invalid_grant")),
        ("code_verifier", Some("bbbb"), error(400, "invalid_grant")),
        ("redirect_uri", None, described(400, "invalid_request", "Missing redirect URI.")),
        (
            "redirect_uri",
            Some("http://127.0.0.1:3000/callback"),
            described(400, "invalid_request", "Mismatching redirect URI."),
        ),
        ("grant_type", None, error(400, "unsupported_grant_type")),
        ("grant_type", Some("password"), described(400, "invalid_request", "Request is missing username parameter.")),
    ] {
        let pairs: Vec<(&str, &str)> = good
            .into_iter()
            .filter_map(|(key, kept)| if key == name { Some((key, value?)) } else { Some((key, kept)) })
            .collect();
        assert_eq!(said(&post(&mock, "/v2/o/token/", &pairs)), expected, "{name} {value:?}");
    }
    assert_eq!(exchange(&mock, &code).status, 200);
}

#[test]
fn a_code_expires_after_a_minute() {
    let mock = mock(Access::ThirteenMonth);
    let code = code(&mock, &[]);
    control(&mock, "clock", r#"{"advance_seconds": 61}"#);
    assert_eq!(said(&exchange(&mock, &code)), error(400, "invalid_grant"));
}

#[test]
fn a_refused_client_gets_the_reason() {
    let mock = mock(Access::ThirteenMonth);
    let (_, token) = tokens(&mock);
    let unknown = "x".repeat(40);
    let ask_with = |headers: &[(&str, &str)], fields: &[(&str, &str)]| {
        let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", &*token)];
        pairs.extend_from_slice(fields);
        form(&mock, "/v2/o/token/", headers, &pairs)
    };
    let (right, secret) = (mock.client_id(), mock.client_secret());
    let wrong = basic(right, "wrong");
    let got = ask_with(&[("Authorization", &wrong)], &[]);
    assert_eq!(said(&got), error(401, "invalid_client"));
    assert_eq!(got.header("www-authenticate"), Some(r#"Bearer error="invalid_client""#));
    let invalid = "invalid_client";
    for (headers, fields, expected) in [
        (vec![], vec![], error(401, invalid)),
        (vec![], vec![("client_id", right)], error(401, invalid)),
        (vec![("Authorization", basic(&unknown, "y"))], vec![], own(401, invalid, "Application does not exist")),
        (vec![("Authorization", "Basic !!!".to_owned())], vec![], own(401, invalid, "Application does not exist")),
        (
            vec![],
            vec![("client_id", &*unknown), ("client_secret", "y")],
            own(400, invalid, "Application does not exist (client_id)"),
        ),
        (vec![], vec![("client_id", "a-b")], own(400, invalid, "Invalid client_id format")),
        (vec![("Authorization", "Bearer x".to_owned())], vec![], error(500, "Server Error (500)")),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(said(&ask_with(&headers, &fields)), expected, "{headers:?} {fields:?}");
    }
    assert_eq!(
        said(&form(&mock, "/v2/o/token/", &[], &[])),
        own(401, invalid, "App id failed"),
        "an empty form without credentials"
    );
    assert_eq!(get(&mock, "/v2/o/token/").status, 405);
    let got = post(&mock, "/v2/o/token/?grant_type=refresh_token", &[]);
    assert_eq!(said(&got), described(400, "invalid_request", "URL query parameters are not allowed"));
    let got = ask_with(&[], &[("client_id", right), ("client_secret", secret)]);
    assert_eq!(got.status, 200, "credentials in the body; the token was not spent by any of the above");
}

#[test]
fn a_refresh_rotates_and_reusing_the_old_token_ends_nothing() {
    let mock = mock(Access::ThirteenMonth);
    let (old_access, old_refresh) = tokens(&mock);
    let got = refresh(&mock, &old_refresh);
    let (access, token) = pair(&got);
    assert_eq!(request(&mock, &old_access, "/v2/fhir/Patient").status, 401);
    assert_eq!(request(&mock, &access, "/v2/fhir/Patient").status, 200);
    assert_eq!(said(&refresh(&mock, &old_refresh)), error(400, "invalid_grant"));
    assert_eq!(request(&mock, &access, "/v2/fhir/Patient").status, 200);
    assert_eq!(refresh(&mock, &token).status, 200);
}

#[test]
fn a_refresh_narrows_scopes_for_good_and_never_widens_them() {
    let mock = mock(Access::ThirteenMonth);
    let (_, token) = tokens(&mock);
    let narrow = |token: &str, scope: &str| {
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        post(&mock, "/v2/o/token/", &pairs)
    };
    let got = narrow(&token, "patient/ExplanationOfBenefit.read");
    let (_, token) = pair(&got);
    assert_eq!(got.json()["scope"], "patient/ExplanationOfBenefit.read");
    assert_eq!(said(&narrow(&token, "profile")), error(400, "invalid_scope"));
    assert_eq!(refresh(&mock, &token).json()["scope"], "patient/ExplanationOfBenefit.read");
}

#[test]
fn refreshes_that_cannot_be_say_why() {
    let mock = mock(Access::ThirteenMonth);
    let (_, first) = tokens(&mock);
    let (access, second) = tokens(&mock);
    let not_found = own(400, "invalid_request", "Refresh token not found.");
    assert_eq!(said(&refresh(&mock, &first)), not_found, "deleted by the newer consent");
    assert_eq!(said(&refresh(&mock, "abc")), not_found);
    let got = post(&mock, "/v2/o/token/", &[("grant_type", "refresh_token")]);
    assert_eq!(said(&got), own(400, "invalid_request", "Missing refresh token parameter"));
    control(&mock, "faults", r#"["inactive#2"]"#);
    let got = refresh(&mock, &second);
    assert_eq!(got.status, 403);
    assert!(got.text().starts_with(
        r#"{"status_code": 403, "error": "invalid_client", "error_description": "This application, Mock App, is temporarily inactive."#
    ));
    let got = request(&mock, &access, "/v2/fhir/Patient");
    assert_eq!((got.status, got.header("www-authenticate")), (401, Some(r#"Bearer realm="api""#)));
    assert!(got.text().starts_with(r#"{"detail":"This application, Mock App, is"#));
    control(&mock, "grants", r#"{"revoke": true}"#);
    assert_eq!(said(&refresh(&mock, &second)), own(403, "invalid_grant", &format!("{CANNOT_BE_FOUND} {AGAIN}")));
}

#[test]
fn a_one_time_app_may_not_refresh_but_keeps_its_access() {
    let mock = mock(Access::OneTime);
    let (access, token) = tokens(&mock);
    let words = format!(
        "Your application is not allowed to refresh tokens. {AGAIN} If your application needs to refresh tokens, contact us at BlueButtonAPI@cms.hhs.gov."
    );
    assert_eq!(said(&refresh(&mock, &token)), own(403, "invalid_client", &words));
    assert_eq!(request(&mock, &access, "/v2/fhir/Patient").status, 200);
}

#[test]
fn after_thirteen_months_everything_is_refused() {
    let mock = mock(Access::ThirteenMonth);
    let (_, token) = tokens(&mock);
    control(&mock, "clock", r#"{"advance_seconds": 33000000}"#);
    assert_eq!(refresh(&mock, &token).status, 200, "382 days");
    let (access, token) = tokens(&mock);
    control(&mock, "faults", r#"["grant-over@userinfo#1"]"#);
    let words = format!("User access has timed out. {AGAIN}");
    for target in ["/v2/connect/userinfo", "/v2/fhir/ExplanationOfBenefit"] {
        let got = request(&mock, &access, target);
        assert_eq!(said(&got), (401, format!(r#"{{"detail":"{words}"}}"#)), "{target}");
        assert_eq!(got.header("www-authenticate"), Some(r#"Bearer realm="api""#));
    }
    assert_eq!(said(&refresh(&mock, &token)), own(401, "invalid_grant", &words));
}

#[test]
fn a_failing_back_end_uses_up_the_refresh_token() {
    for (fault, expected) in [
        ("backend=502", (502, r#"{"status_code": 502, "message": "Failed to retrieve data from data source."}"#)),
        ("backend=500", (502, r#"{"status_code": 502, "message": "Failed to retrieve data from data source."}"#)),
        ("backend=504", (502, r#"{"status_code": 502, "message": "Failed to retrieve data from data source."}"#)),
        ("backend=down:v2", (500, r#"{"error": "Server Error (500)"}"#)),
        ("backend=404", (404, r#"{"status_code": 404, "message": "Not found."}"#)),
    ] {
        let mock = mock(Access::ThirteenMonth);
        let (access, token) = tokens(&mock);
        control(&mock, "faults", &format!(r#"["{fault}"]"#));
        assert_eq!(get(&mock, "/health/bfd_v2").status, 503);
        assert_eq!(get(&mock, "/health").status, 200);
        let got = refresh(&mock, &token);
        assert_eq!((got.status, got.text()), expected);
        send(&mock, "DELETE", "/__mock/faults", &[], "").unwrap();
        assert_eq!(get(&mock, "/health/bfd_v2").text(), r#"{"message":"all's well"}"#);
        assert_eq!(said(&refresh(&mock, &token)), error(400, "invalid_grant"));
        assert_eq!(request(&mock, &access, "/v2/fhir/Patient").status, 401);
    }
}

#[test]
fn refreshes_that_race_share_a_pair_or_do_not() {
    for (shared, winners) in [(false, 1), (true, 4)] {
        // All four arrive before the first one is answered.
        let mock = start(Options { latency: Duration::from_millis(300), ..options() });
        let (_, token) = tokens(&mock);
        control(&mock, "switches", &format!(r#"{{"racing_refreshes_share": {shared}}}"#));
        let answers: Vec<Got> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..4).map(|_| scope.spawn(|| refresh(&mock, &token))).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let (won, lost): (Vec<&Got>, Vec<&Got>) = answers.iter().partition(|got| got.status == 200);
        assert_eq!(won.len(), winners, "{answers:?}");
        let first = pair(won[0]);
        assert!(won.iter().all(|got| pair(got) == first), "one and the same pair");
        assert!(lost.iter().all(|got| said(got) == error(400, "invalid_grant")));
        // A later request is refused in either case, and the pair is valid.
        assert_eq!(said(&refresh(&mock, &token)), error(400, "invalid_grant"));
        assert_eq!(request(&mock, &first.0, "/v2/fhir/Patient").status, 200);
        assert_eq!(refresh(&mock, &first.1).status, 200);
    }
}

#[test]
fn revocation_has_the_quirks_of_the_real_server() {
    let mock = mock(Access::ThirteenMonth);
    let revoke = |path: &str, pairs: &[(&str, &str)]| post(&mock, path, pairs);
    let patient = |token: &str| request(&mock, token, "/v2/fhir/Patient").status;
    let hint = ("token_type_hint", "refresh_token");

    let (access, token) = tokens(&mock);
    let got = revoke("/v2/o/revoke_token", &[("token", &access)]);
    assert_eq!((got.status, got.header("location")), (301, Some("/v2/o/revoke_token/")));
    assert_eq!(patient(&access), 200, "the published address revokes nothing");
    assert_eq!(said(&revoke("/v2/o/revoke_token/", &[("token", &token)])), (200, String::new()));
    assert_eq!(patient(&access), 200, "no hint, nothing revoked");
    assert_eq!(revoke("/v2/o/revoke_token/", &[("token", &access)]).status, 200);
    assert_eq!(patient(&access), 401);
    assert_eq!(said(&refresh(&mock, &token)), error(400, "invalid_grant"));

    let (access, token) = tokens(&mock);
    assert_eq!(revoke("/v2/o/revoke_token/", &[("token", &token), hint]).status, 200);
    assert_eq!((patient(&access), refresh(&mock, &token).status), (401, 400));
    assert_eq!(revoke("/v2/o/revoke_token/", &[("token", "made-up")]).status, 200);
    let missing = described(400, "invalid_request", "Missing token parameter.");
    assert_eq!(said(&revoke("/v2/o/revoke_token/", &[])), missing);
    assert_eq!(said(&form(&mock, "/v2/o/revoke_token/", &[], &[("token", "x")])), error(401, "invalid_client"));

    let (access, token) = tokens(&mock);
    assert_eq!(said(&revoke("/v2/o/revoke/", &[("token", &token)])), error(500, "Server Error (500)"));
    assert_eq!(said(&revoke("/v2/o/revoke/", &[("token", "made-up")])), error(500, "Server Error (500)"));
    assert_eq!(said(&revoke("/v2/o/revoke/", &[])), missing);
    assert_eq!(revoke("/v2/o/revoke/", &[("token", &access)]).status, 200);
    assert_eq!(patient(&access), 401);
    assert_eq!(said(&refresh(&mock, &token)), own(403, "invalid_grant", &format!("{CANNOT_BE_FOUND} {AGAIN}")));

    let (access, token) = tokens(&mock);
    assert_eq!(revoke("/v2/o/revoke/", &[("token", &token), hint]).status, 200);
    assert_eq!(said(&refresh(&mock, &token)), error(400, "invalid_grant"), "the grant is still there");
    assert_eq!(patient(&access), 401);

    let (access, _) = tokens(&mock);
    let wrong = basic(mock.client_id(), "wrong");
    let got = form(&mock, "/v2/o/revoke/", &[("Authorization", &wrong)], &[("token", &access)]);
    assert_eq!(said(&got), error(401, "invalid_client"));
    assert_eq!(patient(&access), 401, "gone all the same");
}

#[test]
fn introspection_and_expiry() {
    let mock = mock(Access::ThirteenMonth);
    let got = exchange(&mock, &code(&mock, &[]));
    let patient = got.json()["patient"].as_str().unwrap().to_owned();
    let (access, token) = pair(&got);
    let told = post(&mock, "/v2/o/introspect/", &[("token", &access)]);
    assert!(told.text().starts_with(r#"{"active": true, "scope": ""#), "{told:?}");
    assert_eq!(post(&mock, "/v2/o/introspect/", &[("token", "x")]).text(), r#"{"active": false}"#);
    let expire = |patient: &str| said(&post(&mock, &format!("/v2/o/expire_authenticated_user/{patient}/"), &[]));
    assert_eq!(expire(&patient), (200, "success".to_owned()));
    assert_eq!(expire(&patient), (404, "Data Access Grant was Not Found.".to_owned()));
    assert_eq!(expire("-1"), (404, "Patient was Not Found. Please check the id number and try again.".to_owned()));
    assert_eq!(request(&mock, &access, "/v2/fhir/Patient").status, 401);
    assert_eq!(refresh(&mock, &token).status, 403);
}

#[test]
fn an_empty_scope_narrows_nothing() {
    let mock = mock(Access::ThirteenMonth);
    let (_, first) = tokens(&mock);
    let with = |token: &str, scope: &str| {
        post(&mock, "/v2/o/token/", &[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)])
    };
    let got = with(&first, " ");
    assert_eq!((got.status, got.text()), (400, r#"{"error": "invalid_scope"}"#), "a word of no letters");
    let got = with(&first, "");
    assert_eq!(got.json()["scope"].as_str().unwrap().split(' ').count(), 9, "{got:?}");
    let (token, _) = pair(&got);
    assert_eq!(request(&mock, &token, "/v2/fhir/Patient").status, 200);
}

/// There are many more than can be kept. Requests with the latest are answered as always, and the oldest are unknown.
#[test]
fn used_refresh_tokens_are_forgotten_in_the_end() {
    use crate::{
        apps::Registration,
        world::{Approval, GrantKey, World},
    };
    let app = Registration::default().app("a".to_owned(), "b".to_owned());
    let mut world = World::new(app, 1, Vec::new());
    let grant_key = GrantKey { app: 0, enrollee: 0 };
    let scopes = std::sync::Arc::new(std::collections::BTreeSet::from(["openid".to_owned()]));
    let approval = Approval { scopes: scopes.clone(), samhsa: None };
    let code = world.connect(grant_key, REDIRECT.to_owned(), String::new(), approval);
    let mut pair = world.spend_code(&code).unwrap();
    let mut spent = Vec::new();
    for _ in 0..10_100 {
        spent.push(pair.refresh.clone());
        pair = world.rotate(&pair.refresh, scopes.clone()).unwrap();
    }
    assert!(spent[..100].iter().all(|token| world.refresh(token).is_none()));
    assert!(spent[100..].iter().all(|token| world.refresh(token).is_some_and(|token| token.spent)));
    assert!(world.rotate(&spent[10_000], scopes.clone()).is_none() && world.token(&pair.access).is_some());
    assert!(world.refresh(&pair.refresh).is_some_and(|token| !token.spent), "the living one is not among them");
    assert_eq!(world.tokens(), (1, 1));
}
