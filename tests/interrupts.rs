//! Several fetches into one archive, and fetches that are interrupted.

use std::process::Stdio;
#[cfg(target_os = "linux")]
use std::{
    fs,
    time::{Duration, Instant},
};

#[cfg(unix)]
use crate::support::{Running, Signal, assert_code, signal, until};
use crate::support::{Setting, Stage, text};

const FETCH: [&str; 7] = ["fetch", "eob", "--out", "claims", "--json", "--jobs", "1"];

#[test]
fn two_simultaneous_fetches_do_not_mix() {
    let stage = Stage::logged_in(Setting { claims: 300, ..Setting::default() });
    let children: Vec<_> = (0..3)
        .map(|_| stage.bbdl(&FETCH))
        .map(|mut command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 75)), "{}", text(&output.stderr));
    }
    assert_eq!(stage.lines("ExplanationOfBenefit.ndjson").len(), 300);
    assert_eq!(stage.expect_json(0, &FETCH)["resources"]["ExplanationOfBenefit"]["unchanged"], 300);
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_the_wait_for_another_bbdl() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    let lock = stage.out().join(".bbdl/lock");
    let _held = bbdl::files::lock::FileLock::acquire(&lock, Duration::ZERO, "the test").unwrap();
    use rustix::fs::inotify;
    // Only root can see what another process has open. But the owner of a file can see that it is opened.
    let watch = fs::File::from(inotify::init(inotify::CreateFlags::NONBLOCK).unwrap());
    inotify::add_watch(&watch, &lock, inotify::WatchFlags::OPEN).unwrap();
    let was_opened = |mut watch: &fs::File| std::io::Read::read(&mut watch, &mut [0; 4096]).is_ok();
    for (name, sent) in [("INT", Signal::INT), ("TERM", Signal::TERM)] {
        let fetch = Running::start(stage.bbdl(&["fetch", "all", "--out", "claims"]));
        until("it comes to the lock", || was_opened(&watch));
        let asked = Instant::now();
        signal(fetch.id(), sent);
        assert_code(&fetch.finish(), 130, &[name]);
        // The wait for the lock takes five seconds.
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_at_once_and_leaves_the_archive_whole() {
    let stage =
        Stage::logged_in(Setting { claims: 100, faults: &["hang@ExplanationOfBenefit+1"], ..Setting::default() });
    for (name, sent) in [("INT", Signal::INT), ("TERM", Signal::TERM)] {
        stage.asked();
        let mut command = stage.bbdl(&["fetch", "eob", "--out", "claims", "-v"]);
        let running = {
            command.env_remove("BBDL_RETRY_DELAY");
            let mut running = Running::start(command);
            if sent == Signal::INT {
                running.until("GET /v2/fhir/ExplanationOfBenefit");
            } else {
                // The second run hangs already at its first page.
                until("it asks for claims", || stage.requests_for("ExplanationOfBenefit") > 0);
            }
            running
        };
        signal(running.id(), sent);
        let output = running.finish();
        assert_code(&output, 130, &[name]);
        assert!(!stage.out().join("manifest.json").exists());
    }
}

/// Some log-ins are being renewed, and others wait for their turn. An interrupt ends that wait at once.
#[cfg(unix)]
#[test]
fn an_interrupt_of_status_loses_no_renewed_tokens() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let records: Box<dyn bluebutton_mock::records::Records> =
        Box::new(bluebutton_mock::Population::new(7, NAMES.len(), 3));
    let stage = Stage::with(Setting { records: Some(records), ..Setting::default() });
    for (enrollee, name) in NAMES.iter().enumerate() {
        stage.control("POST", "consent", &serde_json::json!({ "enrollee": enrollee }).to_string());
        stage.log_in(&["--profile", name]);
    }
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    stage.asked();
    stage.faults(&["late=1500@o/token"]);
    let status = Running::start(stage.bbdl(&["status", "--online"]));
    until("two refresh tokens are spent", || {
        let log = stage.control("GET", "requests", "");
        let is_spent = |row: &&serde_json::Value| row["path"] == "/v2/o/token/" && row["status"] == 200;
        log.as_array().unwrap().iter().filter(is_spent).count() == 2
    });
    signal(status.id(), Signal::INT);
    assert_code(&status.finish(), 130, &["status"]);
    let begun = stage.requests_for("o/token");
    assert_eq!(begun, 2, "nothing begins after the interrupt");
    stage.control("DELETE", "faults", "");
    for name in NAMES {
        stage.expect(0, &["fetch", "eob", "--out", name, "--profile", name, "-q"]);
    }
}
