//! A log-in that the server has ended is remembered and shown, and nobody is asked about it again until there is a new
//! one.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Setting, Stage, assert_code,
    gateway::{Gateway, Reply},
    text,
};
use bluebutton_mock::Access;

const FETCH: [&str; 6] = ["fetch", "eob", "--out", "claims", "--json", "--retry=0"];

fn stage() -> Stage {
    Stage::logged_in(Setting { claims: 3, ..Setting::default() })
}

fn profile(stage: &Stage) -> Value {
    stage.expect_json(0, &["status", "--json"])["profiles"][0].clone()
}

fn expire(stage: &Stage) {
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
}

/// In all commands, without asking the server, until a person logs in.
fn is_remembered(stage: &Stage, kind: &str) {
    let shown = profile(stage);
    assert_eq!((&shown["ended"]["kind"], &shown["reauthorize"]), (&json!(kind), &json!(true)), "{shown}");
    assert!(shown["ended"]["at"].as_str().unwrap().ends_with('Z'), "{shown}");
    let words = stage.expect(0, &["status"]);
    assert!(words.contains("access: ended, known since 20") && !words.contains("until 20"), "{kind}: {words}");
    assert!(words.contains("a new log-in is needed: bbdl login --server"), "{kind}: {words}");
    let doctor = stage.run(&["doctor"]);
    assert_code(&doctor, 78, &["doctor"]);
    assert!(text(&doctor.stdout).contains("FAIL  consent: default: ended"), "{kind}: {}", text(&doctor.stdout));
    stage.asked();
    for fetch in [&FETCH[..], &["fetch", "all", "--out", "claims", "--json"]] {
        let result = stage.expect_json(77, fetch);
        assert_eq!(result["error"]["kind"], kind, "{result}");
        let hint = result["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("bbdl login --server") && hint.contains("bbdl status --online"), "{hint}");
    }
    let result = stage.expect_json(77, &["fetch", "eob", "--out", "study", "--all-profiles", "--json"]);
    assert_eq!(result["profiles"][0]["error"]["kind"], kind, "{result}");
    assert_eq!(stage.asked(), [""; 0], "{kind}");
    // Asked once more, the server says the same, and the first reason stays.
    let output = stage.run(&["status", "--online", "--json"]);
    assert_code(&output, 77, &["status --online --json"]);
    let online = serde_json::from_slice::<Value>(&output.stdout).unwrap()["profiles"][0].clone();
    let said = text(&output.stderr);
    assert!(said.contains("was not confirmed: ") && said.contains("next: "), "why, and what to type: {said}");
    assert_eq!((&online["online"]["ok"], &online["ended"]), (&json!(false), &shown["ended"]), "{online}");
    assert!(online["online"]["kind"].is_string() && online["online"]["message"].is_string(), "{online}");
    assert!(!stage.asked().is_empty());

    stage.log_in(&[]);
    let shown = profile(stage);
    assert_eq!((&shown["ended"], &shown["reauthorize"]), (&Value::Null, &json!(false)), "{shown}");
    stage.expect(0, &FETCH);
}

#[test]
fn a_withdrawn_consent_is_remembered() {
    let stage = stage();
    stage.control("POST", "grants", r#"{"revoke":true}"#);
    assert_eq!(stage.expect_json(77, &FETCH)["error"]["kind"], "grant_revoked");
    is_remembered(&stage, "grant_revoked");
}

#[test]
fn an_ended_consent_is_remembered_from_any_endpoint() {
    for fault in ["grant-over@fhir", "grant-over@o/token"] {
        let stage = stage();
        stage.faults(&[&format!("{fault}#1")]);
        if fault.ends_with("token") {
            expire(&stage);
        }
        assert_eq!(stage.expect_json(77, &FETCH)["error"]["kind"], "grant_ended", "{fault}");
        is_remembered(&stage, "grant_ended");
    }
}

#[test]
fn a_log_in_that_a_newer_one_replaced_is_remembered() {
    let stage = stage();
    stage.log_in_elsewhere(&[]);
    assert_eq!(stage.expect_json(77, &FETCH)["error"]["kind"], "refresh_token");
    is_remembered(&stage, "refresh_token");
}

#[test]
fn a_log_in_whose_renewal_was_lost_is_remembered() {
    let stage = stage();
    expire(&stage);
    stage.faults(&["drop-refresh@o/token#1"]);
    assert_eq!(stage.expect_json(75, &FETCH)["error"]["kind"], "refresh_lost");
    // It may have been used up, or not.
    assert_eq!(profile(&stage)["ended"], Value::Null);
    assert_eq!(stage.expect_json(77, &FETCH)["error"]["kind"], "lost_by_us");
    is_remembered(&stage, "lost_by_us");
}

#[test]
fn one_time_access_that_is_over_is_remembered() {
    let stage = Stage::logged_in(Setting { claims: 3, access: Access::OneTime, ..Setting::default() });
    stage.control("POST", "grants", r#"{"revoke":true}"#);
    assert_eq!(stage.expect_json(77, &FETCH)["error"]["kind"], "token");
    assert_eq!(profile(&stage)["ended"]["kind"], "refresh_token");
    stage.asked();
    stage.expect(77, &FETCH);
    assert_eq!(stage.asked(), [""; 0]);
}

#[test]
fn status_online_corrects_a_wrongly_remembered_end() {
    let stage = stage();
    let file = stage.home.path().join("profiles/default.json");
    let mut record: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    record["ended"] = json!({"kind": "grant_revoked", "at": "2026-11-01T00:00:00Z"});
    fs::write(&file, record.to_string()).unwrap();
    stage.expect(77, &FETCH);
    // An answer from something in between says nothing.
    stage.faults(&["html=200@fhir"]);
    stage.expect(75, &["status", "--online"]);
    stage.expect(77, &FETCH);
    stage.control("DELETE", "faults", "");
    stage.expect(0, &["status", "--online"]);
    assert_eq!(profile(&stage)["ended"], Value::Null);
    stage.expect(0, &FETCH);
}

#[test]
fn status_online_exits_with_the_code_of_the_worst_log_in() {
    let stage = stage();
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--profile", "second"]);
    stage.expect(0, &["status", "--online"]);
    stage.faults(&["status=503@Coverage"]);
    let output = stage.run(&["status", "--online"]);
    assert_code(&output, 75, &["status"]);
    assert!(text(&output.stdout).contains("second:"), "both are shown: {}", text(&output.stdout));
    let (told, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(told.matches("the server cannot answer now").count(), 2, "{told}");
    assert!(said.starts_with("error: 2 log-ins were not confirmed: default, second"), "{said}");
    assert!(!said.contains("cannot answer"), "told once, and not again on stderr: {said}");
    stage.control("DELETE", "faults", "");
    stage.log_in(&["--profile", "third"]);
    let status = stage.expect_json(77, &["status", "--online", "--json"]);
    let kinds: Vec<_> = status["profiles"].as_array().unwrap().iter().map(|it| it["online"]["kind"].clone()).collect();
    assert_eq!(kinds, [Value::Null, json!("refresh_token"), Value::Null]);
}

#[test]
fn logout_of_spent_tokens_says_where_to_end_the_grant() {
    for how in ["replaced", "lost"] {
        let stage = stage();
        if how == "replaced" {
            stage.log_in_elsewhere(&[]);
        } else {
            expire(&stage);
            stage.faults(&["drop-refresh@o/token#1"]);
            stage.expect(75, &FETCH);
        }
        let output = stage.run(&["logout"]);
        assert_code(&output, 0, &["logout"]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("may still exist") && said.contains("Medicare.gov"), "{how}: {said}");
        assert!(!said.contains("ended the consent"), "{how}: {said}");
        assert!(!stage.home.path().join("tokens/default.json").exists());
    }
    let stage = stage();
    stage.log_in(&["--profile", "zz-elsewhere"]);
    assert_eq!(stage.expect_json(0, &["logout", "--json"]), json!({"profile": "default", "revoked": false}));
    // The server itself says that this one is gone.
    stage.control("POST", "grants", r#"{"revoke":true}"#);
    let result = stage.expect_json(0, &["logout", "--json", "--profile", "zz-elsewhere"]);
    assert_eq!(result["revoked"], true);
}

#[test]
fn logout_accepts_only_the_servers_own_empty_answer() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let gateway = Gateway::logged_in(&stage, &[]);
    for reply in [
        Reply::html(200),
        Reply::new(200, "application/json", "{}"),
        Reply::new(204, "text/html", ""),
        Reply::html(302).with("Location", "http://127.0.0.1:1/"),
        Reply::html(403),
        Reply { cut: Some(0), ..Reply::html(200) },
    ] {
        let what = format!("{} {}", reply.status, reply.text());
        gateway.answer("/o/revoke/", move |_| reply.clone());
        let result = stage.expect_json(75, &["logout", "--json"]);
        assert!(["intercepted", "revoke"].contains(&result["error"]["kind"].as_str().unwrap()), "{what}: {result}");
        assert!(stage.home.path().join("tokens/default.json").exists(), "{what}");
    }
    gateway.step_aside();
    assert_eq!(stage.expect_json(0, &["logout", "--json"])["revoked"], true);
}

/// Makes the log-in like an imported one: it has to be renewed before its consent can be ended.
fn lose_access_token(stage: &Stage) {
    let mut record = stage.tokens();
    record["access_token"] = json!("");
    fs::write(stage.home.path().join("tokens/default.json"), record.to_string()).unwrap();
}

#[test]
fn logout_renews_as_carefully_as_a_fetch() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let gateway = Gateway::logged_in(&stage, &[]);
    let next = stage.home.path().join("tokens/default.next");
    lose_access_token(&stage);
    let before = stage.tokens();
    let logout = |code: i32, kind: &str| {
        gateway.asked();
        let result = stage.expect_json(code, &["logout", "--json"]);
        assert_eq!(result["error"]["kind"], kind, "{result}");
        let hint = result["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("bbdl logout --local"), "{hint}");
        assert_eq!(stage.tokens(), before, "{kind}");
        gateway.asked()
    };
    let count = |asked: &[String], path: &str| asked.iter().filter(|row| row.ends_with(path)).count();

    stage.faults(&["backend=down"]);
    assert_eq!(count(&logout(75, "backend"), "/o/token/"), 0, "the refresh token is not spent");
    stage.control("DELETE", "faults", "");

    // It may be used up, and the note about that stays for the next run.
    let failed = Reply::new(502, "application/json", r#"{"message": "Failed to retrieve data from data source."}"#);
    gateway.answer("/o/token/", move |_| failed.clone());
    assert_eq!(count(&logout(75, "refresh_lost"), "/o/token/"), 1);
    assert!(next.exists());
    gateway.step_aside();

    // Another person's consent is not ended.
    let patient = profile(&stage)["patient"].as_str().unwrap().to_owned();
    gateway.answer("/o/token/", move |real| {
        let reply = real();
        Reply { body: reply.text().replace(&patient, "-20140000099999").into_bytes(), ..reply }
    });
    assert_eq!(count(&logout(77, "other_patient"), "/o/revoke/"), 0);
}

#[cfg(unix)]
#[test]
fn an_interrupt_of_logout_loses_no_renewed_tokens() {
    use crate::support::{Running, Signal, signal, until};

    let stage = stage();
    lose_access_token(&stage);
    let before = stage.tokens();
    stage.asked();
    stage.faults(&["late=1500@o/token"]);
    let logout = Running::start(stage.bbdl(&["logout"]));
    until("the refresh token is spent", || {
        let log = stage.control("GET", "requests", "");
        log.as_array().unwrap().iter().any(|row| row["path"] == "/v2/o/token/" && row["status"] == 200)
    });
    signal(logout.id(), Signal::INT);
    assert_code(&logout.finish(), 130, &["logout"]);
    assert_ne!(stage.tokens()["refresh_token"], before["refresh_token"]);
    stage.control("DELETE", "faults", "");
    stage.expect(0, &FETCH);
    // A log-in that is renewed can be ended.
    lose_access_token(&stage);
    assert_eq!(stage.expect_json(0, &["logout", "--json"])["revoked"], true);
}
