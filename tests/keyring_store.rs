//! The keyring store itself (not the program) with a real Secret Service, with none, and with a silent one.
//!
//! A process has one D-Bus session for life, so each test runs itself again inside its own session.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::print_stdout, reason = "how the inner run reports")]

use std::{
    os::unix::net::UnixListener,
    process::{Command, Output},
    time::{Duration, Instant},
};

use crate::support::{
    finished,
    secret_service::{self, Keyring},
};
use bbdl::{
    auth::store::{StoreError, TokenStore, keyring::KeyringStore},
    error::{Error, Exit},
    secret::Secret,
};

const INSIDE: &str = "BBDL_TEST_INSIDE_SESSION";
/// Printed inside, so that a run that tested nothing (a misspelled test name) does not count as a success.
const WORKED: &str = "worked inside the session";
const LIMIT: Duration = Duration::from_secs(2);
const PLENTY: Duration = Duration::from_secs(30);

/// Whether this is the inner run.
fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn report_success() {
    println!("\n{WORKED}");
}

fn assert_worked(output: &Output) {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(WORKED), "{}\n{said}\n{complained}", output.status);
}

/// Runs a test of this file again, inside a session; `script` runs it through `$ITSELF`.
fn again_in_session(keyring: Keyring, script: &str) -> Option<Output> {
    if !secret_service::is_available() {
        return None;
    }
    let home = tempfile::tempdir().unwrap();
    let itself = std::env::current_exe().unwrap();
    let environment = [(INSIDE, "1"), ("ITSELF", itself.to_str().unwrap())];
    let output = secret_service::run(keyring, home.path(), script, &environment);
    assert_worked(&output);
    Some(output)
}

fn again(keyring: Keyring, test: &str) {
    again_in_session(keyring, &format!("\"$ITSELF\" --exact keyring_store::{test} --nocapture"));
}

fn again_with_bus(address: &str, test: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("keyring_store::{test}"), "--nocapture"])
        .env(INSIDE, "1")
        .env("DBUS_SESSION_BUS_ADDRESS", address);
    assert_worked(&finished(command));
}

fn record(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn loaded(store: &KeyringStore, profile: &str) -> Option<String> {
    store.load(profile).unwrap().map(|record| record.expose().to_owned())
}

fn a_records_life() {
    let store = KeyringStore::new(PLENTY, None);
    let long = format!("{{\"refresh_token\":\"{}\"}}", "ü".repeat(1_490));
    assert!(long.len() >= 3_000);
    assert_eq!(loaded(&store, "mom"), None);
    assert!(!store.delete("mom").unwrap());
    store.save("mom", &record(&long)).unwrap();
    store.save("dad", &record("dad's")).unwrap();
    assert_eq!(loaded(&store, "mom"), Some(long));
    store.save("mom", &record("second")).unwrap();
    assert_eq!(loaded(&store, "mom").as_deref(), Some("second"));
    assert!(store.delete("mom").unwrap());
    assert_eq!(loaded(&store, "mom"), None);
    assert_eq!(loaded(&store, "dad").as_deref(), Some("dad's"));
}

#[test]
fn a_record_is_kept_replaced_and_removed_apart_from_other_profiles() {
    if inside() {
        a_records_life();
        return report_success();
    }
    again(Keyring::Unlocked, "a_record_is_kept_replaced_and_removed_apart_from_other_profiles");
}

/// A call that was given up may still take effect later, when another process has stored newer tokens.
#[test]
fn making_ready_for_a_renewal_does_not_write_the_present_record_again() {
    if inside() {
        let store = KeyringStore::new(PLENTY, None);
        store.save("mom", &record("newest")).unwrap();
        assert!(store.prepare("mom", &record("spent")).unwrap().is_none());
        assert_eq!(loaded(&store, "mom").as_deref(), Some("newest"));
        assert_eq!(loaded(&store, "mom#check"), None, "nothing is left of the try");
        return report_success();
    }
    again(Keyring::Unlocked, "making_ready_for_a_renewal_does_not_write_the_present_record_again");
}

#[test]
fn the_keyring_can_be_used_from_an_async_runtime() {
    if inside() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            a_records_life();
        });
        return report_success();
    }
    again(Keyring::Unlocked, "the_keyring_can_be_used_from_an_async_runtime");
}

#[test]
fn a_record_outlives_the_process_that_saved_it() {
    const STEP: &str = "BBDL_TEST_STEP";
    if inside() {
        let store = KeyringStore::new(PLENTY, None);
        match std::env::var(STEP).unwrap().as_str() {
            "save" => store.save("mom", &record("kept")).unwrap(),
            _ => assert_eq!(loaded(&store, "mom").as_deref(), Some("kept")),
        }
        return report_success();
    }
    let run = "\"$ITSELF\" --exact keyring_store::a_record_outlives_the_process_that_saved_it --nocapture";
    let script = format!("{STEP}=save {run} && {STEP}=load {run}");
    if let Some(output) = again_in_session(Keyring::Unlocked, &script) {
        assert_eq!(String::from_utf8_lossy(&output.stdout).matches(WORKED).count(), 2);
    }
}

/// The whole test process has to end too. The outer run waits for that.
#[test]
fn a_locked_keyring_times_out_if_nobody_can_unlock_it() {
    if inside() {
        let store = KeyringStore::new(LIMIT, None);
        let started = Instant::now();
        let error = store.save("mom", &record("hush")).unwrap_err();
        assert!(started.elapsed() < LIMIT + Duration::from_secs(2), "{:?}", started.elapsed());
        assert!(matches!(error, StoreError::Locked { .. } | StoreError::TimedOut { .. }), "{error:?}");
        assert_not_set_up(error);
        return report_success();
    }
    again(Keyring::Locked, "a_locked_keyring_times_out_if_nobody_can_unlock_it");
}

#[test]
fn without_a_bus_the_keyring_is_unavailable_at_once() {
    if inside() {
        let started = Instant::now();
        let error = KeyringStore::new(PLENTY, None).load("mom").unwrap_err();
        assert!(started.elapsed() < PLENTY / 3, "{:?}", started.elapsed());
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert_not_set_up(error);
        return report_success();
    }
    again_with_bus("unix:path=/nonexistent/bus", "without_a_bus_the_keyring_is_unavailable_at_once");
}

#[test]
fn a_bus_that_does_not_answer_times_out() {
    if inside() {
        let patience = Duration::from_millis(200);
        let error = KeyringStore::new(patience, None).load("mom").unwrap_err();
        assert!(matches!(error, StoreError::TimedOut { .. }), "{error:?}");
        assert_not_set_up(error);
        return report_success();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    // Connections arrive in its queue and stay there.
    let _silent = UnixListener::bind(&path).unwrap();
    again_with_bus(&format!("unix:path={}", path.display()), "a_bus_that_does_not_answer_times_out");
}

fn assert_not_set_up(error: StoreError) {
    let error = Error::from(error);
    assert_eq!(error.exit(), Exit::NotSetUp);
    assert!(error.hint.contains("--token-store file"), "{}", error.hint);
    assert!(!error.message.contains("hush"));
}
