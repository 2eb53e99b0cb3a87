//! Tokens over time: renewed once, stored before use, ended for good, and never shown.

use std::{fs, process::Stdio, time::Duration};

use crate::support::{
    Running, Setting, Stage, assert_code, finished,
    gateway::{Gateway, Reply},
    http, text,
};
#[cfg(unix)]
use crate::support::{Signal, set_mode, signal, until};
use bluebutton_mock::Access;
use serde_json::json;

fn stage(claims: usize) -> Stage {
    Stage::logged_in(Setting { claims, ..Setting::default() })
}

/// One request at a time, because what happens to the third request has to happen to the third page.
const FETCH: [&str; 7] = ["fetch", "eob", "--out", "claims", "--json", "--jobs", "1"];

fn token_requests(asked: &[String]) -> usize {
    asked.iter().filter(|row| row.contains("/o/token/")).count()
}

#[test]
fn an_expired_access_token_is_renewed_once_and_stored_before_use() {
    let stage = stage(120);
    let before = stage.tokens();
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    stage.asked();
    assert_eq!(stage.expect_json(0, &FETCH)["resources"]["ExplanationOfBenefit"]["count"], 120);
    let asked = stage.asked();
    assert_eq!(token_requests(&asked), 1, "{asked:?}");
    let at = |words: &str| asked.iter().position(|row| row.contains(words)).unwrap();
    assert!(at("/health/bfd") < at("/o/token/"), "{asked:?}");
    let after = stage.tokens();
    assert_ne!(before["access_token"], after["access_token"]);
    assert_ne!(before["refresh_token"], after["refresh_token"]);
    assert_eq!(before["client_secret"], after["client_secret"]);
    // The profile knows about it too.
    assert_eq!(
        stage.expect_json(0, &["status", "--json"])["profiles"][0]["access_token_expires"],
        after["access_token_expires"]
    );
}

#[test]
fn a_token_that_expires_by_this_clock_is_renewed_before_it_is_used() {
    let stage = stage(3);
    let file = stage.home.path().join("tokens/default.json");
    let mut record = stage.tokens();
    record["access_token_expires"] = json!("2026-01-01T00:00:00Z");
    fs::write(&file, record.to_string()).unwrap();
    stage.asked();
    stage.expect(0, &FETCH);
    assert!(stage.asked().iter().all(|row| !row.ends_with("401")));
}

#[test]
fn renewal_in_the_middle_of_a_fetch_serves_the_pages_after_it() {
    let stage = stage(300);
    stage.faults(&["expire-token@ExplanationOfBenefit#1+1", "expire-token@ExplanationOfBenefit#1+4"]);
    stage.asked();
    assert_eq!(stage.expect_json(0, &FETCH)["resources"]["ExplanationOfBenefit"]["count"], 300);
    let asked = stage.asked();
    assert_eq!(token_requests(&asked), 2, "{asked:?}");
    assert!(asked.iter().filter(|row| row.contains("/o/token/")).all(|row| row.ends_with("200")));
}

#[test]
fn a_token_rejected_again_after_its_renewal_ends_the_pull() {
    let stage = stage(120);
    stage.faults(&["expire-token@ExplanationOfBenefit"]);
    stage.asked();
    let result = stage.expect_json(77, &FETCH);
    assert_eq!(result["error"]["kind"], "token");
    assert!(result["error"]["hint"].as_str().unwrap().contains("bbdl login --server"));
    assert_eq!(token_requests(&stage.asked()), 1);
}

#[test]
fn refusals_of_a_renewal_have_their_codes() {
    for (fault, code, kind) in [
        ("inactive@o/token", 77, "app_inactive"),
        ("grant-over@ExplanationOfBenefit#1", 77, "grant_ended"),
        ("revoke-grant@ExplanationOfBenefit#1", 77, "grant_revoked"),
        ("backend=502@health", 75, "backend"),
        ("backend=502@o/token", 75, "refresh_lost"),
        ("backend=500@o/token", 75, "refresh_lost"),
        ("backend=404@o/token", 75, "refresh_lost"),
        ("drop-refresh@o/token", 75, "refresh_lost"),
    ] {
        let stage = stage(3);
        let before = stage.tokens();
        stage.faults(&[fault, "expire-token@ExplanationOfBenefit"]);
        let result = stage.expect_json(code, &FETCH);
        assert_eq!(result["error"]["kind"], kind, "{fault}: {result}");
        assert_eq!(stage.tokens()["refresh_token"], before["refresh_token"], "{fault}");
        assert!(!stage.out().join("manifest.json").exists());
    }
    // While the back end is known to fail, the refresh token is not used. Later it works.
    let stage = stage(3);
    stage.faults(&["backend=502@health", "expire-token@ExplanationOfBenefit#1"]);
    stage.asked();
    stage.expect(75, &FETCH);
    assert_eq!(token_requests(&stage.asked()), 0);
    stage.control("DELETE", "faults", "");
    stage.expect(0, &FETCH);
    // A refresh whose answer was lost is not tried again in the same run. The next run gets the true reason.
    stage.faults(&["drop-refresh@o/token#1", "expire-token@ExplanationOfBenefit#1"]);
    stage.asked();
    stage.expect(75, &FETCH);
    assert_eq!(token_requests(&stage.asked()), 1);
    let result = stage.expect_json(77, &FETCH);
    assert_eq!(result["error"]["kind"], "lost_by_us");
}

#[test]
fn a_log_in_elsewhere_is_recognized() {
    let stage = stage(3);
    stage.log_in_elsewhere(&[]);
    let result = stage.expect_json(77, &FETCH);
    assert_eq!(result["error"]["kind"], "refresh_token");
    assert!(result["error"]["message"].as_str().unwrap().contains("newer log-in"));
}

#[test]
fn one_time_access_is_used_while_it_lives_and_never_renewed() {
    let stage = Stage::logged_in(Setting { claims: 3, access: Access::OneTime, ..Setting::default() });
    stage.expect(0, &FETCH);
    stage.control("POST", "clock", r#"{"advance_seconds": 3700}"#);
    stage.asked();
    assert_eq!(stage.expect_json(77, &FETCH)["error"]["kind"], "token");
    assert_eq!(token_requests(&stage.asked()), 0);
}

#[test]
fn processes_that_need_a_new_token_at_once_renew_it_once() {
    let stage = stage(60);
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    stage.asked();
    let start = |number: usize| {
        let mut command = stage.bbdl(&["fetch", "eob", "--out"]);
        command.arg(format!("out{number}")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(start).collect();
    for child in children {
        assert_code(&child.wait_with_output().unwrap(), 0, &[]);
    }
    assert_eq!(token_requests(&stage.asked()), 1);
}

#[cfg(unix)]
#[test]
fn an_interrupt_does_not_lose_a_renewal_that_is_under_way() {
    let stage = stage(60);
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    stage.asked();
    stage.faults(&["late=800@o/token#1"]);
    let before = stage.tokens();
    let fetch = Running::start(stage.bbdl(&["fetch", "eob", "--out", "claims"]));
    until("the refresh token is spent", || stage.requests_for("/o/token/") == 1);
    signal(fetch.id(), Signal::TERM);
    assert_code(&fetch.finish(), 130, &[]);
    assert_ne!(stage.tokens()["refresh_token"], before["refresh_token"]);
    stage.asked();
    stage.expect(0, &FETCH);
    assert_eq!(token_requests(&stage.asked()), 0);
}

#[test]
fn a_log_in_of_another_person_during_a_pull_changes_no_claims() {
    let stage = Stage::logged_in(Setting { claims: 120, latency: Duration::from_millis(600), ..Setting::default() });
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--profile", "other"]);
    stage.faults(&["expire-token@ExplanationOfBenefit#1+1"]);
    let mut command = stage.bbdl(&[&FETCH[..], &["-v"]].concat());
    command.stdin(Stdio::null());
    let mut fetch = Running::start(command);
    fetch.until("GET /v2/fhir/ExplanationOfBenefit");
    nothing_of_either_is_kept(&stage, fetch);
}

/// The profile's tokens become those of "other" during the fetch.
fn nothing_of_either_is_kept(stage: &Stage, fetch: Running) {
    let tokens = stage.home.path().join("tokens");
    fs::copy(tokens.join("other.json"), tokens.join("copy")).unwrap();
    fs::rename(tokens.join("copy"), tokens.join("default.json")).unwrap();
    let output = fetch.finish();
    assert_code(&output, 77, &[]);
    assert!(text(&output.stdout).contains("other_patient"), "{}", text(&output.stdout));
    assert!(!stage.out().join("manifest.json").exists());
}

/// If the server does not say whose a log-in is, another log-in does not count as the same person's.
#[test]
fn a_log_in_without_a_patient_during_a_pull_is_not_trusted() {
    let setting = Setting { claims: 120, latency: Duration::from_millis(600), ..Setting::default() };
    let stage = Stage::with(Setting { faults: &["no-patient@o/token"], ..setting });
    stage.log_in(&[]);
    // Another second means another consent.
    stage.control("POST", "clock", r#"{"advance_seconds": 5}"#);
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--profile", "other"]);
    stage.faults(&["expire-token@userinfo#1+1"]);
    let mut command = stage.bbdl(&["fetch", "all", "--out", "claims", "--json", "-v"]);
    command.stdin(Stdio::null());
    let mut fetch = Running::start(command);
    // The Patient id was requested; userinfo is requested once more at the end.
    fetch.until("GET /v2/connect/userinfo");
    nothing_of_either_is_kept(&stage, fetch);
}

#[cfg(unix)]
#[test]
fn no_refresh_token_is_spent_if_the_store_cannot_be_written() {
    let stage = stage(3);
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    let tokens = stage.home.path().join("tokens");
    // Root may write anywhere. But the store refuses a token directory that others may enter, even for root.
    fs::rename(&tokens, stage.home.path().join("kept")).unwrap();
    std::os::unix::fs::symlink(stage.home.path().join("kept"), &tokens).unwrap();
    set_mode(&stage.home.path().join("kept"), 0o755);
    stage.asked();
    let result = stage.expect_json(78, &FETCH);
    assert_eq!(result["error"]["kind"], "token_store");
    assert_eq!(token_requests(&stage.asked()), 0);
    set_mode(&stage.home.path().join("kept"), 0o700);
    stage.expect(0, &FETCH);
}

#[test]
fn logout_ends_the_grant_at_the_server_and_forgets() {
    let stage = stage(3);
    let access = stage.tokens()["access_token"].as_str().unwrap().to_owned();
    stage.asked();
    let result = stage.expect_json(0, &["logout", "--json"]);
    assert_eq!(result, json!({"profile": "default", "revoked": true}));
    let asked = stage.asked();
    assert_eq!(asked, ["POST /v2/o/revoke/? 200"]);
    let answer = http(
        "GET",
        &format!("{}/v2/fhir/Patient", stage.mock.url()),
        &[("Authorization", &format!("Bearer {access}"))],
        "",
    );
    assert_eq!(answer.status, 401);
    assert!(!stage.home.path().join("tokens/default.json").exists());
    assert_eq!(stage.expect_json(0, &["status", "--json"]), json!({"profiles": []}));
    stage.expect(78, &["logout"]);
    stage.expect(78, &FETCH);
}

#[test]
fn logout_keeps_the_tokens_when_the_server_cannot_be_told() {
    let stage = stage(3);
    stage.faults(&["html=503@o/revoke"]);
    stage.expect(75, &["logout"]);
    assert!(stage.home.path().join("tokens/default.json").exists());
    stage.asked();
    stage.expect(0, &["logout", "--local"]);
    assert!(stage.asked().is_empty() && !stage.home.path().join("tokens/default.json").exists());
    // If the grant is gone already, its tokens are not kept.
    stage.control("DELETE", "faults", "");
    stage.log_in(&[]);
    stage.control("POST", "grants", r#"{"revoke":true}"#);
    stage.expect(0, &["logout"]);
}

#[test]
fn logout_trusts_a_failing_server_only_about_a_dead_token() {
    let stage = stage(3);
    stage.faults(&["status=500@o/revoke"]);
    let result = stage.expect_json(75, &["logout", "--json"]);
    assert_eq!(result["error"]["kind"], "revoke");
    assert!(stage.home.path().join("tokens/default.json").exists());
    stage.faults(&["status=500@o/revoke", "html=503@fhir"]);
    stage.expect(75, &["logout", "--json"]);
    stage.faults(&["status=500@o/revoke"]);
    stage.control("POST", "grants", r#"{"revoke":true}"#);
    assert_eq!(stage.expect_json(0, &["logout", "--json"])["revoked"], true);
}

#[test]
fn logout_with_a_wrong_secret_says_what_has_probably_become_of_the_grant() {
    let stage = stage(3);
    let file = stage.home.path().join("tokens/default.json");
    let mut record = stage.tokens();
    record["client_secret"] = json!("wrong");
    fs::write(&file, record.to_string()).unwrap();
    let result = stage.expect_json(78, &["logout", "--json"]);
    assert_eq!(result["error"]["kind"], "client");
    assert!(result["error"]["hint"].as_str().unwrap().contains("bbdl logout --local"), "{result}");
    stage.expect(0, &["logout", "--local"]);
    assert!(!file.exists());
}

#[cfg(unix)]
#[test]
fn an_unreadable_record_can_be_logged_out() {
    let stage = stage(3);
    let file = stage.home.path().join("tokens/default.json");
    set_mode(&file, 0o644);
    let result = stage.expect_json(78, &["logout", "--json"]);
    assert!(result["error"]["hint"].as_str().unwrap().contains("bbdl logout --local"), "{result}");
    stage.expect(0, &["logout", "--local"]);
    assert!(!file.exists() && !stage.home.path().join("profiles/default.json").exists());
}

#[cfg(unix)]
#[test]
fn nohup_keeps_a_fetch_alive() {
    let stage = Stage::logged_in(Setting { claims: 120, latency: Duration::from_millis(300), ..Setting::default() });
    for (starter, code) in [(&crate::support::HEEDING_SIGHUP[..], 130), (&["nohup"], 0)] {
        let inner = stage.bbdl(&["fetch", "eob", "--out", "claims", "-v"]);
        let mut fetch = Running::start(crate::support::started_by(starter, &inner));
        fetch.until("GET /v2/fhir/ExplanationOfBenefit");
        signal(fetch.id(), Signal::HUP);
        assert_code(&fetch.finish(), code, starter);
    }
}

#[test]
fn status_knows_archives_and_asks_the_server_only_when_told_to() {
    let stage = stage(30);
    stage.expect(0, &FETCH);
    stage.asked();
    let profile = stage.expect_json(0, &["status", "--json"])["profiles"][0].clone();
    assert!(stage.asked().is_empty());
    assert_eq!(profile["archives"][0]["count"], 30);
    assert!(std::path::Path::new(profile["archives"][0]["out"].as_str().unwrap()).ends_with("claims"));
    let online = stage.expect_json(0, &["status", "--json", "--online"]);
    assert_eq!(online["profiles"][0]["online"]["ok"], true);
    stage.control("POST", "grants", r#"{"revoke":true}"#);
    let online = stage.expect_json(77, &["status", "--json", "--online"]);
    assert_eq!(online["profiles"][0]["online"]["ok"], false);
    assert_eq!(online["profiles"][0]["online"]["kind"], "grant_revoked");
    let words = stage.expect(0, &["status"]);
    assert!(words.contains("default:") && words.contains("30 claims"), "{words}");
}

#[test]
fn tokens_are_not_sent_to_a_server_they_do_not_belong_to() {
    let (stage, other) = (stage(3), Stage::claims(3));
    let file = stage.home.path().join("profiles/default.json");
    let profile = fs::read_to_string(&file).unwrap().replace(stage.mock.url(), other.mock.url());
    fs::write(&file, profile).unwrap();
    assert_eq!(stage.expect_json(77, &FETCH)["error"]["kind"], "origin");
    stage.expect(77, &["logout"]);
    assert!(other.asked().is_empty());
}

/// All secrets after some use.
fn secrets(stage: &Stage, seen: &mut Vec<String>) {
    let record = stage.tokens();
    for key in ["access_token", "refresh_token", "client_secret"] {
        seen.push(record[key].as_str().unwrap().to_owned());
    }
}

#[test]
fn no_secret_is_shown_at_any_verbosity_or_in_any_failure() {
    let stage = Stage::claims(60);
    let mut seen = Vec::new();
    let mut said = String::new();
    let mut note = |output: std::process::Output| said += &format!("{}{}", text(&output.stdout), text(&output.stderr));
    note(stage.log_in_with(stage.login_command(&["-vv"])));
    secrets(&stage, &mut seen);
    for faults in [
        &[][..],
        &["expire-token@ExplanationOfBenefit#1"],
        &["truncate@o/token#1", "expire-token@ExplanationOfBenefit#1"],
    ] {
        stage.faults(faults);
        for more in [&["-vv"][..], &["-vv", "--json"]] {
            note(finished({
                let mut command = stage.bbdl(&["fetch", "all", "--out", "claims"]);
                command.args(more).env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace");
                command
            }));
            secrets(&stage, &mut seen);
        }
    }
    note(stage.run(&["status", "-vv"]));
    note(stage.run(&["status", "-vv", "--json", "--online"]));
    note(stage.run(&["logout", "-vv"]));
    // A log-in that fails when its code is exchanged.
    let mut login = crate::support::Running::start(stage.login_command(&["-vv"]));
    let url = login.authorize_url();
    stage.faults(&["truncate@o/token"]);
    crate::support::follow(&url);
    note(login.finish());
    assert!(said.contains("GET /v2/fhir/ExplanationOfBenefit") && said.contains("POST /v2/o/token/"));
    seen.sort();
    seen.dedup();
    assert!(seen.len() >= 5, "{}", seen.len());
    for secret in &seen {
        assert!(!said.contains(secret.as_str()), "a secret was shown");
    }
    // A log could also keep identifiers of the person. The authorization request has none.
    let patient = bluebutton_mock::records::Records::enrollee(&bluebutton_mock::Population::new(7, 2, 60), 0).patient;
    let traced: Vec<&str> = said.lines().filter(|line| line.starts_with("GET ") || line.starts_with("POST ")).collect();
    assert!(traced.iter().all(|line| !line.contains(&patient)), "{traced:?}");
}

#[cfg(unix)]
#[test]
fn secrets_are_not_on_the_command_line_of_any_process() {
    let stage = Stage::claims(3);
    let mut login = crate::support::Running::start(stage.login_command(&[]));
    let url = login.authorize_url();
    let line = fs::read(format!("/proc/{}/cmdline", login.id())).unwrap();
    assert!(!text(&line).contains(stage.mock.client_secret()));
    crate::support::follow(&url);
    assert_code(&login.finish(), 0, &[]);
}

/// A server that quotes what it was sent, as some do in their error messages.
#[test]
fn a_log_out_shows_no_token_that_the_server_repeats() {
    let stage = Stage::claims(3);
    let gateway = Gateway::logged_in(&stage, &[]);
    let tokens = stage.tokens();
    let secrets: Vec<String> = ["access_token", "refresh_token", "client_secret"]
        .iter()
        .filter_map(|name| tokens[*name].as_str().map(str::to_owned))
        .collect();
    assert_eq!(secrets.len(), 3, "the names of the record have changed");
    let said = format!("we were sent {}", secrets.join(" and "));
    let body = serde_json::json!({"error": "invalid_request", "error_description": said, "detail": said}).to_string();
    gateway.answer("/o/revoke/", move |_| Reply::new(400, "application/json", body.clone()));
    for arguments in [&["logout", "-vv"][..], &["logout", "--json"]] {
        let output = stage.run(arguments);
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success(), "{shown}");
        assert!(shown.contains("we were sent [redacted]"), "{shown}");
        assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{arguments:?}");
    }
}
