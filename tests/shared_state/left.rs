//! An enrollee who was not pulled is never called fresh, and a fault of one machine does not affect the others.

use std::process::Command;

use serde_json::Value;

use super::nights::Fleet;
use crate::support::{
    Running, Setting, assert_code, finished,
    needs::{is_root, system_to},
    postgres::database,
    set_mode, text, until,
};

const UNTOUCHED: &str = "SELECT count(*) FROM bbdl.enrollee WHERE tried_at IS NULL AND leased_by IS NULL";

/// The numbers of a run that ends with this code.
fn run_of(command: Command, code: i32, what: &str) -> Value {
    let output = finished(command);
    assert_code(&output, code, &[what]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    told["run"].clone()
}

#[test]
fn a_failed_night_that_is_run_again_pulls_who_is_missing() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 6, Setting::default());
    fleet.stage.faults(&["status=503@ExplanationOfBenefit#3"]);
    let first = run_of(fleet.worker("m0", &["--json", "--retry", "0"]), 75, "a server that fails");
    let (good, failed) = (first["succeeded"].as_u64().unwrap(), first["failed"].as_u64().unwrap());
    assert!(failed > 0 && good + failed == 6, "{first}");
    let second = run_of(fleet.worker("m0", &["--json"]), 0, "the same again");
    assert_eq!((&second["succeeded"], &second["fresh"]), (&failed.into(), &good.into()), "{second}");
    assert_eq!(fleet.ok(), 6);
}

#[test]
fn whom_the_server_wants_to_be_left_alone_is_left() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 3, Setting::default());
    fleet
        .database
        .sql("UPDATE bbdl.enrollee SET tried_at = now(), due_at = now() + interval '1 hour' WHERE name = 'p0000'");
    let run = run_of(fleet.worker("m0", &["--json"]), 75, "a pause");
    assert_eq!((&run["succeeded"], &run["fresh"], &run["left"]), (&2.into(), &0.into(), &1.into()), "{run}");
}

#[test]
fn who_is_leased_to_a_dead_worker_when_the_time_is_over_is_left() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 3, Setting::default());
    fleet
        .database
        .sql("UPDATE bbdl.enrollee SET leased_by = 7, leased_until = now() + interval '1 hour' WHERE name = 'p0000'");
    let run = run_of(fleet.worker("m0", &["--json", "--for", "3s"]), 75, "--for");
    assert_eq!((&run["succeeded"], &run["left"]), (&2.into(), &1.into()), "{run}");
}

#[test]
fn a_worker_with_the_wrong_key_leaves_everybody_to_the_others() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 24, Setting::default());
    let mut wrong = fleet.worker("m0", &["--json"]);
    wrong.env("BBDL_STATE_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let run = run_of(wrong, 78, "another key");
    assert!(run["failed"].as_u64().unwrap() < 24 && run["left"].as_u64().unwrap() > 0, "{run}");
    assert_eq!(fleet.database.number(UNTOUCHED), 24);
    assert_eq!(run_of(fleet.worker("m1", &["--json"]), 0, "the right key")["succeeded"], 24);
}

#[test]
fn a_worker_whose_disk_is_full_leaves_everybody_to_the_others() {
    /// The exit code of the shell if this user may not mount a file system.
    const NO_MOUNT: i32 = 200;
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 24, Setting::default());
    let archives = fleet.path("archives");
    std::fs::create_dir(&archives).unwrap();
    // Only the processes of this shell see the full disk.
    let full = "mount -t tmpfs -o mode=700,size=64k none \"$ROOM\" || exit 200
        head -c 1000000 /dev/zero >\"$ROOM/filler\" 2>/dev/null
        exec \"$0\" \"$@\"";
    let inner = fleet.worker("m0", &["--json"]);
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c", full]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?)))).env("ROOM", &archives);
    let output = finished(command);
    if output.status.code() == Some(NO_MOUNT) {
        return system_to("mount a file system");
    }
    assert_code(&output, 74, &["a full disk"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["run"]["failed"].as_u64().unwrap() < 24 && told["run"]["left"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(fleet.database.number(UNTOUCHED), 24);
    assert_eq!(run_of(fleet.worker("m1", &["--json"]), 0, "a disk with room")["succeeded"], 24);
}

#[test]
fn tokens_that_are_damaged_stop_nobody_else() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 24, Setting::default());
    fleet.database.sql("UPDATE bbdl.enrollee SET generation = generation + 1 WHERE name = 'p0000'");
    let run = run_of(fleet.worker("m0", &["--json"]), 78, "damaged");
    assert_eq!((&run["succeeded"], &run["failed"], &run["left"]), (&23.into(), &1.into(), &0.into()), "{run}");
}

/// The enrollee who is due first has a profile that a newer bbdl may have written.
#[test]
fn a_row_that_cannot_be_understood_stops_nobody_else() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 24, Setting::default());
    fleet.database.sql("UPDATE bbdl.enrollee SET profile = jsonb_set(profile, '{api}', '\"v9\"') WHERE name = 'p0000'");
    let run = run_of(fleet.worker("m0", &["--json"]), 78, "a profile of a newer bbdl");
    assert_eq!((&run["succeeded"], &run["failed"], &run["left"]), (&23.into(), &1.into(), &0.into()), "{run}");
    let run = run_of(fleet.worker("m1", &["--json"]), 78, "the next run");
    assert_eq!((&run["failed"], &run["fresh"]), (&1.into(), &23.into()), "{run}");
    for command in [["status", "--json"], ["profiles", "list"]] {
        let output = finished(fleet.bbdl("m0", &command));
        assert_code(&output, 78, &command);
        assert!(text(&output.stdout).contains("p0023"), "{}", text(&output.stdout));
        assert!((text(&output.stdout) + &text(&output.stderr)).contains("p0000"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_renewed_log_in_that_does_not_belong_here_is_told_and_kept() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 1, Setting::default());
    let dir = fleet.path("m0/unsaved");
    std::fs::create_dir_all(&dir).unwrap();
    set_mode(&dir, 0o700);
    let file = |name: &str, content: &str| {
        std::fs::write(dir.join(name), content).unwrap();
        set_mode(&dir.join(name), 0o600);
    };
    let record = r#"{"name":"p0000","generation":5,"key":"k","sealed":"AAAA","profile":"{}","lifetime":null}"#;
    file("p0000.5.json", record);
    file("p0000.6.json", "{}");
    let output = finished(fleet.worker("m0", &[]));
    assert_code(&output, 0, &["fetch"]);
    let said = text(&output.stderr);
    assert!(said.contains("p0000.5.json: this shared state does not have the log-in that it renews"), "{said}");
    assert!(said.contains("p0000.6.json: bbdl cannot understand this file"), "{said}");
    assert_eq!(std::fs::read_to_string(dir.join("p0000.5.json")).unwrap(), record);
    let doctor = text(&finished(fleet.bbdl("m0", &["doctor"])).stdout);
    assert!(doctor.contains("2 renewed log-ins wait in"), "{doctor}");
}

/// Whoever exports, ends or removes a log-in needs its newest tokens.
#[test]
fn every_command_that_needs_tokens_stores_those_that_wait_first() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 3, Setting::default());
    let dir = fleet.path("m0/unsaved");
    std::fs::create_dir_all(&dir).unwrap();
    set_mode(&dir, 0o700);
    for (name, command) in [
        ("p0000", &["profiles", "export", "p0000"][..]),
        ("p0001", &["logout", "--local", "--profile", "p0001"]),
        ("p0002", &["profiles", "remove", "p0002", "--yes"]),
    ] {
        let record = fleet.database.sql(&format!(
            "SELECT json_build_object('name', name, 'generation', generation, 'key', key_id, 'profile', profile::text,
            'sealed', translate(encode(sealed, 'base64'), E'\\n', ''), 'lifetime', null) FROM bbdl.enrollee WHERE name = '{name}'"
        ));
        let generation = serde_json::from_str::<Value>(&record).unwrap()["generation"].clone();
        let file = dir.join(format!("{name}.{generation}.json"));
        std::fs::write(&file, record).unwrap();
        set_mode(&file, 0o600);
        let output = finished(fleet.bbdl("m0", command));
        assert_code(&output, 0, command);
        assert!(text(&output.stderr).contains("1 renewed log-in"), "{}", text(&output.stderr));
        assert!(!file.exists(), "{name}");
    }
}

/// What a killed first pull has left is a person's data, and is removed when the person withdraws.
#[test]
fn the_archive_of_a_killed_first_pull_is_found_by_purge() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 1, Setting::default());
    fleet.stage.faults(&["hang@ExplanationOfBenefit"]);
    let running = Running::start(fleet.worker("m0", &[]));
    let begun = "SELECT count(*) FROM bbdl.enrollee WHERE archives->0->>'unfinished' = 'true'";
    until("the archive is noted", || fleet.database.number(begun) == 1);
    until("the archive is begun", || fleet.path("archives/p0000/.bbdl").exists());
    // By then the renewal is over, for which others would wait.
    until("the search hangs", || fleet.stage.requests_for("/v2/fhir/ExplanationOfBenefit") > 0);
    running.kill();
    fleet.stage.faults(&[]);
    let run = |arguments: &[&str]| {
        let output = finished(fleet.bbdl("m0", arguments));
        assert_code(&output, 0, arguments);
        text(&output.stdout)
    };
    assert!(!run(&["status", "--json"]).contains("last_pull"), "no pull has ended");
    fleet.database.sql("UPDATE bbdl.enrollee SET leased_by = NULL, leased_until = NULL");
    let purged: Value = serde_json::from_str(&run(&["purge", "--profile", "p0000", "--yes", "--json"])).unwrap();
    assert_eq!(purged["archives"][0]["left"], Value::Null, "{purged}");
    assert!(!fleet.path("archives/p0000").exists());
}
