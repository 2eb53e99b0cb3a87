//! A renewal is requested only if it can succeed, and we never lose its answer. The server, what is in between, and
//! the disk do everything that was observed or reported.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::support::{
    Running, Setting, Stage, assert_code, assert_mode, callback_of, follow,
    gateway::{Gateway, Reply},
    http, private, text,
};
#[cfg(unix)]
use crate::support::{Signal, signal};

const FETCH: [&str; 6] = ["fetch", "eob", "--out", "claims", "--json", "--retry=0"];

fn stage() -> Stage {
    Stage::with(Setting { claims: 3, ..Setting::default() })
}

/// Lets the access token expire.
fn expire(stage: &Stage) {
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
}

fn profile(stage: &Stage) -> Value {
    stage.expect_json(0, &["status", "--json"])["profiles"][0].clone()
}

fn token_requests(gateway: &Gateway) -> usize {
    gateway.asked().iter().filter(|row| row.ends_with("/o/token/")).count()
}

/// A fetch whose renewal must not be sent.
fn nothing_is_sent(stage: &Stage, gateway: &Gateway, kind: &str, what: &str) {
    let before = stage.tokens();
    gateway.asked();
    let result = stage.expect_json(75, &FETCH);
    assert_eq!(result["error"]["kind"], kind, "{what}: {result}");
    assert_eq!(token_requests(gateway), 0, "{what}");
    assert_eq!(stage.tokens(), before, "{what}");
    assert_eq!(profile(stage)["ended"], Value::Null, "{what}");
}

#[test]
fn the_back_end_of_the_profiles_own_version_is_asked_about() {
    for api in ["v1", "v2", "v3"] {
        let stage = stage();
        let gateway = Gateway::logged_in(&stage, &["--api", api]);
        for fault in ["backend=down", "backend=502", "backend=500"] {
            expire(&stage);
            stage.faults(&[&format!("{fault}:{api}")]);
            nothing_is_sent(&stage, &gateway, "backend", &format!("{fault}:{api}"));
            stage.control("DELETE", "faults", "");
            stage.expect(0, &FETCH);
        }
        // Another version's back end is no reason to wait.
        expire(&stage);
        let others: Vec<String> =
            ["v1", "v2", "v3"].iter().filter(|it| **it != api).map(|it| format!("backend=down:{it}")).collect();
        stage.faults(&others.iter().map(String::as_str).collect::<Vec<_>>());
        stage.expect(0, &FETCH);
    }
}

#[test]
fn only_the_documented_health_answer_lets_a_renewal_go_out() {
    for (api, path) in [("v2", "/health/bfd_v2"), ("v3", "/v3/fhir/metadata")] {
        let stage = stage();
        let gateway = Gateway::logged_in(&stage, &["--api", api]);
        expire(&stage);
        for reply in [
            Reply::html(200),
            Reply::html(403),
            Reply::html(511),
            Reply::html(302).with("Location", "http://127.0.0.1:1/portal"),
            Reply::new(200, "application/json", r#"{"message":"please log in"}"#),
            Reply::new(200, "application/json", ""),
            Reply::new(204, "application/json", ""),
        ] {
            let what = format!("{api}: {} {}", reply.status, reply.text());
            gateway.answer(path, move |_| reply.clone());
            nothing_is_sent(&stage, &gateway, "intercepted", &what);
            let doctor = stage.expect_json(78, &["doctor", "--json"]);
            let mut findings = doctor["findings"].as_array().unwrap().iter();
            let server = findings.find(|finding| finding["check"] == "server").unwrap();
            assert_eq!(server["state"], "fail", "{what}");
            assert!(server["found"].as_str().unwrap().contains("answers instead of"), "{what}: {server}");
        }
        gateway
            .answer(path, |_| Reply::new(503, "application/json", r#"{"detail":"Service temporarily unavailable"}"#));
        nothing_is_sent(&stage, &gateway, "backend", api);
        gateway.step_aside();
        stage.expect(0, &FETCH);
    }
}

/// The page of a captive portal is not a Bundle.
#[test]
fn status_online_is_not_fooled_by_a_captive_portal() {
    let stage = stage();
    let gateway = Gateway::logged_in(&stage, &[]);
    for reply in [Reply::html(200), Reply::html(403), Reply::new(200, "application/json", r#"{"login":"please"}"#)] {
        let what = reply.text();
        gateway.answer("/v2/fhir/Coverage", move |_| reply.clone());
        let status = stage.expect_json(75, &["status", "--online", "--json"]);
        let online = &status["profiles"][0]["online"];
        assert_eq!((&online["ok"], &online["kind"]), (&json!(false), &json!("intercepted")), "{what}: {online}");
        assert_eq!(status["profiles"][0]["ended"], Value::Null, "{what}");
    }
    gateway.step_aside();
    assert_eq!(stage.expect_json(0, &["status", "--online", "--json"])["profiles"][0]["online"]["ok"], true);
}

#[test]
fn a_refusal_by_a_proxy_does_not_end_the_log_in() {
    let stage = stage();
    let gateway = Gateway::logged_in(&stage, &[]);
    let json = |status, body: &str| Reply::new(status, "application/json", body);
    for (reply, kind) in [
        (Reply::html(200), "intercepted"),
        (Reply::html(302).with("Location", "http://127.0.0.1:1/"), "intercepted"),
        (Reply::html(400), "intercepted"),
        (Reply::html(401), "intercepted"),
        (Reply::html(403), "intercepted"),
        (Reply::html(404), "intercepted"),
        (Reply::html(511), "intercepted"),
        (Reply::new(400, "text/html", "<p>invalid_grant: Refresh token not found.</p>"), "intercepted"),
        (json(400, r#"{"error": "temporarily_unavailable"}"#), "server"),
        (json(503, r#"{"error": "temporarily_unavailable"}"#), "server"),
        (json(400, r#"{"error": "slow_down"}"#), "server"),
        (json(429, r#"{"detail": "Request was throttled. Expected available in 60 seconds."}"#), "server"),
        (json(403, r#"{"message": "Forbidden"}"#), "server"),
        (json(401, r#"{"message": "Unauthorized"}"#), "server"),
        (json(400, r#"{"error": ["invalid_grant"]}"#), "server"),
        (json(503, r#"{"error": "invalid_grant"}"#), "refresh_lost"),
    ] {
        let what = format!("{} {}", reply.status, reply.text());
        expire(&stage);
        let before = stage.tokens();
        gateway.answer("/o/token/", move |_| reply.clone());
        let result = stage.expect_json(75, &FETCH);
        assert_eq!(result["error"]["kind"], kind, "{what}: {result}");
        assert_eq!(stage.tokens(), before, "{what}");
        assert_eq!(profile(&stage)["reauthorize"], false, "{what}");
        gateway.step_aside();
        stage.expect(0, &FETCH);
    }
}

#[test]
fn v3_closed_to_the_app_is_told_from_a_log_in_that_is_over() {
    let stage = stage();
    let _gateway = Gateway::logged_in(&stage, &["--api", "v3"]);
    expire(&stage);
    let before = stage.tokens();
    stage.faults(&["v3-closed@o/"]);
    let result = stage.expect_json(77, &FETCH);
    assert_eq!(result["error"]["kind"], "not_allowed", "{result}");
    assert_eq!((stage.tokens(), profile(&stage)["ended"].clone()), (before, Value::Null));
    stage.control("DELETE", "faults", "");
    stage.expect(0, &FETCH);
    // The same answer, and v3 is open.
    stage.log_in(&["--api", "v3", "--profile", "newer"]);
    let result = stage.expect_json(77, &FETCH);
    assert_eq!(result["error"]["kind"], "refresh_token", "{result}");
    assert_eq!(profile(&stage)["ended"]["kind"], "refresh_token");
}

#[test]
fn an_endless_answer_to_the_question_whether_v3_is_open_is_not_read() {
    let stage = stage();
    let gateway = Gateway::logged_in(&stage, &["--api", "v3"]);
    expire(&stage);
    let before = stage.tokens();
    stage.faults(&["v3-closed@o/"]);
    gateway.answer("/o/authorize/", |_| Reply::new(200, "text/html", " ".repeat(2 << 20)));
    let result = stage.expect_json(75, &FETCH);
    assert!(result["error"]["message"].as_str().unwrap().contains("too large"), "{result}");
    assert_eq!((stage.tokens(), profile(&stage)["ended"].clone()), (before, Value::Null));
}

type Change = fn(Reply) -> Reply;

fn replaced(reply: Reply, from: &str, to: &str) -> Reply {
    let body = reply.text();
    assert!(body.contains(from), "{from} is not in {body}");
    Reply { body: body.replacen(from, to, 1).into_bytes(), ..reply }
}

fn packed(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Unusual forms of an answer whose tokens are valid.
const ODD: [(&str, Change); 18] = [
    ("token type", |it| replaced(it, r#""Bearer""#, r#""urn:token""#)),
    ("token type is a number", |it| replaced(it, r#""Bearer""#, "7")),
    ("endless life", |it| replaced(it, "3600", "1e400")),
    ("life in words", |it| replaced(it, "3600", r#""an hour""#)),
    ("array of scopes", |it| replaced(it, r#""scope": ""#, r#""scope": ["openid"], "was": ""#)),
    ("empty patient and scope", |it| {
        let mut body: Value = serde_json::from_str(&it.text()).unwrap();
        (body["patient"], body["scope"]) = (json!(""), json!(""));
        Reply { body: body.to_string().into_bytes(), ..it }
    }),
    ("byte order mark", |it| Reply { body: [b"\xef\xbb\xbf", &it.body[..]].concat(), ..it }),
    ("two keys", |it| replaced(it, "{", r#"{"access_token": "old", "refresh_token": "old", "#)),
    ("two keys, the second empty", |it| replaced(it, "}", r#", "access_token": "", "refresh_token": null}"#)),
    ("HTML by its head", |it| it.with("Content-Type", "text/html")),
    ("no content type", |mut it| {
        it.headers.clear();
        it
    }),
    ("201", |it| Reply { status: 201, ..it }),
    ("202", |it| Reply { status: 202, ..it }),
    ("206", |it| Reply { status: 206, ..it }),
    ("gzip", |it| Reply { body: packed(&it.body), ..it }.with("Content-Encoding", "gzip")),
    ("gzip that nobody speaks of", |it| Reply { body: packed(&it.body), ..it }),
    ("not UTF-8 in what does not matter", |it| {
        let end = it.body.len() - 1;
        Reply { body: [&it.body[..end], b", \"name\": \"\xff\"}"].concat(), ..it }
    }),
    ("cut off behind the tokens", |it| {
        let long = format!(", \"more\": \"{}\"}}", "x".repeat(5000));
        let it = replaced(it, "}", &long);
        Reply { cut: Some(it.body.len() - 3000), ..it }
    }),
];

#[test]
fn an_answer_with_usable_tokens_is_stored_despite_other_errors() {
    let stage = stage();
    let gateway = Gateway::logged_in(&stage, &[]);
    for (what, change) in ODD {
        expire(&stage);
        let delivered = Arc::new(Mutex::new(String::new()));
        let noted = Arc::clone(&delivered);
        gateway.answer("/o/token/", move |real| {
            let reply = real();
            *noted.lock().unwrap() = reply.text();
            change(reply)
        });
        let output = stage.run(&FETCH);
        assert_code(&output, 0, &[what]);
        let delivered: Value = serde_json::from_str(&delivered.lock().unwrap()).unwrap();
        let stored = stage.tokens();
        assert_eq!(stored["access_token"], delivered["access_token"], "{what}");
        assert_eq!(stored["refresh_token"], delivered["refresh_token"], "{what}");
        // The new token works the next time too.
        gateway.step_aside();
        expire(&stage);
        stage.expect(0, &FETCH);
    }
}

#[test]
fn an_access_token_that_cannot_be_a_header_is_refused() {
    let stage = stage();
    let gateway = Gateway::logged_in(&stage, &[]);
    for token in ["", "a b", "a\\n", "\\u0007", "ä"] {
        expire(&stage);
        let before = stage.tokens();
        gateway.asked();
        gateway.answer("/o/token/", move |real| {
            let reply = real();
            let body: Value = serde_json::from_str(&reply.text()).unwrap();
            replaced(reply, body["access_token"].as_str().unwrap(), token)
        });
        let result = stage.expect_json(65, &FETCH);
        assert_eq!(result["error"]["kind"], "token_answer", "{token:?}: {result}");
        let asked = gateway.asked();
        assert!(asked.last().unwrap().ends_with("/o/token/"), "{token:?}: {asked:?}");
        assert_ne!(stage.tokens()["refresh_token"], before["refresh_token"], "{token:?}");
        gateway.step_aside();
        stage.expect(0, &FETCH);
    }
    // At a log-in, there is nothing to keep. By the time that the address is shown, the client is proven.
    let mut login = Running::start(gateway.login_command(&stage, &["--profile", "other"]));
    let url = login.authorize_url();
    gateway.answer("/o/token/", |real| {
        let reply = real();
        let body: Value = serde_json::from_str(&reply.text()).unwrap();
        replaced(reply, body["access_token"].as_str().unwrap(), "")
    });
    follow(&url);
    assert_code(&login.finish(), 65, &["login"]);
    assert!(!stage.home.path().join("tokens/other.json").exists());
}

#[test]
fn an_answer_for_another_person_is_never_stored_as_this_profiles() {
    let stage = stage();
    let gateway = Gateway::logged_in(&stage, &[]);
    expire(&stage);
    let (tokens, before) = (stage.tokens(), profile(&stage));
    let patient = before["patient"].as_str().unwrap().to_owned();
    gateway.answer("/o/token/", move |real| replaced(real(), &patient, "-20140000099999"));
    let result = stage.expect_json(77, &FETCH);
    assert_eq!(result["error"]["kind"], "other_patient", "{result}");
    assert_eq!(stage.tokens(), tokens);
    let after = profile(&stage);
    assert_eq!(after["patient"], before["patient"]);
    assert_eq!((&after["ended"]["kind"], &after["reauthorize"]), (&json!("other_patient"), &json!(true)));
    assert!(!stage.out().join("ExplanationOfBenefit.ndjson").exists());
}

/// A rename cannot put a file where a directory is. That is as if another program had the file open (Windows).
#[test]
fn tokens_go_to_a_second_file_if_theirs_cannot_be_replaced() {
    let stage = stage();
    let gateway = Gateway::logged_in(&stage, &[]);
    expire(&stage);
    let tokens = stage.home.path().join("tokens");
    let (file, aside, next) = (tokens.join("default.json"), tokens.join("aside"), tokens.join("default.next"));
    let (blocked, kept) = (file.clone(), aside.clone());
    gateway.answer("/o/token/", move |real| {
        fs::rename(&blocked, &kept).unwrap();
        fs::create_dir(&blocked).unwrap();
        fs::write(blocked.join("in the way"), "").unwrap();
        real()
    });
    stage.expect(0, &FETCH);
    gateway.step_aside();
    let beside: Value = serde_json::from_str(&fs::read_to_string(&next).unwrap()).unwrap();
    // Every reader finds it.
    gateway.asked();
    stage.expect(0, &FETCH);
    stage.expect(0, &["status", "--online"]);
    assert_eq!(token_requests(&gateway), 0);
    fs::remove_dir_all(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    assert_ne!(stage.tokens()["refresh_token"], beside["refresh_token"]);
    stage.expect(0, &FETCH);
    assert_eq!(token_requests(&gateway), 0);
    // The next renewal moves it to its place and continues from there.
    expire(&stage);
    stage.expect(0, &FETCH);
    assert!(!next.exists());
    assert_ne!(stage.tokens()["refresh_token"], beside["refresh_token"]);
    expire(&stage);
    stage.expect(0, &FETCH);
}

#[test]
fn logout_and_purge_delete_the_second_file_too() {
    for end in [&["logout"][..], &["logout", "--local"], &["purge", "--yes"]] {
        let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
        let tokens = stage.home.path().join("tokens");
        let mut record = stage.tokens();
        record["renewals"] = json!(1);
        fs::write(tokens.join("default.next"), record.to_string()).unwrap();
        private(&tokens.join("default.next"));
        stage.expect(0, end);
        assert_eq!(fs::read_dir(&tokens).unwrap().count(), 0, "{end:?}");
    }
}

#[test]
fn a_renewal_leaves_one_private_file() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    expire(&stage);
    stage.expect(0, &FETCH);
    let files: Vec<_> = fs::read_dir(stage.home.path().join("tokens")).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_mode(&files[0].path(), 0o600);
    let written = fs::read_to_string(files[0].path()).unwrap();
    assert_eq!(written.trim_end(), written);
}

#[test]
fn a_fetch_waits_for_the_log_in_that_has_ended_its_own() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    let mut login = Running::start(stage.login_command(&[]));
    // The person has pressed Connect, and the browser is not back yet. The old tokens have ended by now.
    let back = callback_of(&login.authorize_url());
    let mut fetch = Running::start(stage.bbdl(&FETCH));
    fetch.until("Somebody is logging in under this profile");
    http("GET", &back, &[], "");
    assert_code(&login.finish(), 0, &["login"]);
    let output = fetch.finish();
    assert_code(&output, 0, &FETCH);
    assert!(text(&output.stdout).contains("\"count\":3"), "{}", text(&output.stdout));
    assert_eq!(profile(&stage)["ended"], Value::Null);
}

#[cfg(unix)]
#[test]
fn a_failed_log_in_is_no_longer_waited_for() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    let mut login = Running::start(stage.login_command(&[]));
    callback_of(&login.authorize_url());
    let mut fetch = Running::start(stage.bbdl(&FETCH));
    fetch.until("Somebody is logging in under this profile");
    signal(login.id(), Signal::TERM);
    assert_code(&login.finish(), 130, &["login"]);
    let output = fetch.finish();
    assert_code(&output, 77, &FETCH);
    assert!(text(&output.stdout).contains("refresh_token"), "{}", text(&output.stdout));
    assert_eq!(profile(&stage)["ended"]["kind"], "refresh_token");
}
