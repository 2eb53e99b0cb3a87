//! Wrong clocks: ours by years and over the change to and from summer time, the server's behind ours. Requests depend
//! on what the server said, and on no clock of this machine.

use std::{collections::BTreeSet, process::Command};

use bbdl::archive::manifest::{Manifest, Mode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{EOB, FETCH, claims_in, eob};
use crate::support::{Setting, Stage, assert_code, finished, has_programs, slim::Slim, text};

/// The load date in the mock's records at the beginning.
const LOADED: &str = "2026-11-16T09:00:00Z";

fn stage() -> Stage {
    Stage::logged_in(Setting { records: Some(Slim::of(120)), ..Setting::default() })
}

/// The real binary on a machine whose clock starts at `time`.
fn at(stage: &Stage, time: Timestamp, zone: &str, arguments: &[&str]) -> Command {
    let inner = stage.bbdl(arguments);
    let mut command = Command::new("faketime");
    let seconds = time.duration_since(Timestamp::now()).as_secs();
    // `-m` is for programs with several threads.
    command.args(["-m", "-f", &format!("{seconds:+}")]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.env("TZ", zone).current_dir(stage.home.path());
    command
}

fn manifest(stage: &Stage) -> Manifest {
    Manifest::load(&stage.out()).unwrap().unwrap()
}

fn load(stage: &Stage, order: &Value) {
    stage.control("POST", "claims", &order.to_string());
}

fn searches(stage: &Stage) -> Vec<String> {
    stage.asked().into_iter().filter(|row| row.contains(EOB)).collect()
}

fn is_all_there(stage: &Stage) {
    stage.expect(0, &["fetch", "eob", "--out", "whole", "--full"]);
    assert!(claims_in(&stage.out()) == claims_in(&stage.home.path().join("whole")));
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
}

fn pulls_are_in_order(manifest: &Manifest) {
    let ids: BTreeSet<&str> = manifest.pulls.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), manifest.pulls.len());
    assert!(manifest.pulls.is_sorted_by(|a, b| a.id < b.id));
}

/// One pull after another, each at its own time on this machine's clock, with a load before each.
fn pulls_at(times: &[&str], zone: &str) {
    if !has_programs(&["faketime"]) {
        return;
    }
    let stage = stage();
    let mut loaded: Timestamp = LOADED.parse().unwrap();
    let mut count = 120;
    for (number, text_of_time) in times.iter().enumerate() {
        let time: Timestamp = text_of_time.parse().unwrap();
        stage.asked();
        let output = finished(at(&stage, time, zone, &FETCH));
        assert_code(&output, 0, &[text_of_time]);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (news, mode) = if number == 0 { ((120, 0), "full") } else { ((7, 3), "incremental") };
        let row = eob(&result);
        assert_eq!((&row["added"], &row["updated"]), (&json!(news.0), &json!(news.1)), "{text_of_time}: {result}");
        assert_eq!((&row["count"], &row["mode"]), (&json!(count), &json!(mode)), "{text_of_time}");
        let manifest_now = manifest(&stage);
        assert_eq!(manifest_now.resources[EOB].cursor, Some(loaded), "{text_of_time}: the cursor is the server's");
        // Checks that the clock was as intended.
        let started = manifest_now.pulls.last().unwrap().started;
        assert!(started.duration_since(time).abs().as_secs() < 120, "{text_of_time}: {started}");
        let asked = searches(&stage);
        assert_eq!(asked.len(), if number == 0 { 3 } else { 1 }, "{text_of_time}: {asked:?}");
        // Again, with nothing new.
        let output = finished(at(&stage, time, zone, &FETCH));
        assert_code(&output, 0, &[text_of_time]);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let row = eob(&result);
        assert_eq!((&row["added"], &row["updated"]), (&json!(0), &json!(0)), "{text_of_time}: {result}");
        loaded = loaded.checked_add(jiff::SignedDuration::from_hours(2 * 24)).unwrap();
        load(&stage, &json!({"add": 7, "update": 3, "at": loaded}));
        count += 7;
    }
    stage.expect(0, &FETCH);
    let manifest = manifest(&stage);
    assert_eq!(manifest.resources[EOB].cursor, Some(loaded));
    pulls_are_in_order(&manifest);
    assert!(manifest.pulls[1..].iter().all(|row| row.mode == Mode::Incremental));
    is_all_there(&stage);
}

#[test]
fn a_clock_that_is_years_off_loses_nothing() {
    pulls_at(&["2026-11-24T12:00:00Z", "2024-11-24T12:00:00Z", "2028-11-24T12:00:00Z", "2026-11-24T11:00:00Z"], "UTC");
}

#[test]
fn daylight_saving_changes_lose_no_claims() {
    pulls_at(
        // In New York: 1:30 in summer time, 1:15 in winter time; 1:59 in winter time, 3:00 in summer time.
        &["2026-11-01T05:30:00Z", "2026-11-01T06:15:00Z", "2027-03-14T06:59:30Z", "2027-03-14T07:00:30Z"],
        "America/New_York",
    );
}

#[test]
fn a_changed_clock_restarts_an_interrupted_pull() {
    if !has_programs(&["faketime"]) {
        return;
    }
    for time in ["2024-11-24T12:00:00Z", "2028-11-24T12:00:00Z"] {
        let stage = stage();
        stage.faults(&["status=502@ExplanationOfBenefit+1"]);
        stage.expect(75, &["fetch", "eob", "--out", "claims", "--json", "--retry", "0"]);
        stage.faults(&[]);
        let output = finished(at(&stage, time.parse().unwrap(), "UTC", &FETCH));
        assert_code(&output, 0, &[time]);
        assert!(!text(&output.stderr).contains("continuing where"), "{time}");
        assert_eq!(manifest(&stage).resources[EOB].count, 120);
        is_all_there(&stage);
    }
}

#[test]
fn a_server_clock_behind_ours_loses_no_claims() {
    let stage = stage();
    stage.control("POST", "clock", r#"{"advance_seconds": -7200}"#);
    stage.expect(0, &FETCH);
    // By the server's own clock, two hours behind ours.
    for round in 1..=3 {
        load(&stage, &json!({"add": 5, "update": 2}));
        let result = stage.expect_json(0, &FETCH);
        assert_eq!((&eob(&result)["added"], &eob(&result)["updated"]), (&json!(5), &json!(2)), "round {round}");
        let cursor = manifest(&stage).resources[EOB].cursor.unwrap();
        let behind = Timestamp::now().duration_since(cursor).as_secs();
        assert!((7100..7400).contains(&behind), "round {round}: {behind} s");
    }
    is_all_there(&stage);
}

/// The dates of the server's loads are not in the order in which the loads become visible.
#[test]
fn a_load_that_is_dated_before_the_cursor_is_not_missed() {
    let stage = stage();
    stage.expect(0, &FETCH);
    load(&stage, &json!({"add": 5, "at": "2026-11-23T12:00:00Z"}));
    stage.expect(0, &FETCH);
    let cursor = manifest(&stage).resources[EOB].cursor.unwrap();
    assert_eq!(cursor, "2026-11-23T12:00:00Z".parse().unwrap());
    for dated in ["2026-11-23T11:59:59.999Z", "2026-11-23T12:00:00Z", "2026-11-22T12:00:00Z", "2026-11-20T12:00:00Z"] {
        load(&stage, &json!({"add": 3, "at": dated}));
        let result = stage.expect_json(0, &FETCH);
        assert_eq!((&eob(&result)["added"], &eob(&result)["updated"]), (&json!(3), &json!(0)), "{dated}: {result}");
        assert_eq!(eob(&result)["mode"], "incremental");
        // The cursor does not go back with them.
        assert_eq!(manifest(&stage).resources[EOB].cursor, Some(cursor), "{dated}");
    }
    pulls_are_in_order(&manifest(&stage));
    is_all_there(&stage);
}
