//! `purge` deletes what path, manifest and the profile's own note all identify as its own, and finds it after
//! `logout`.

use std::{fs, os::unix::fs::symlink, time::Duration};

use super::mode;
use crate::support::{Running, Setting, Signal, Stage, assert_code, gateway::Gateway, signal, text, until};
use serde_json::{Value, json};

/// Mom and dad, each with a profile and an archive with that name.
fn family() -> Stage {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    for (enrollee, profile) in ["mom", "dad"].iter().enumerate() {
        person(&stage, enrollee);
        stage.log_in(&["--profile", profile]);
        stage.expect(0, &["fetch", "eob", "--out", profile, "--profile", profile, "-q"]);
    }
    stage
}

/// The person at the browser from now on.
fn person(stage: &Stage, enrollee: usize) {
    stage.control("POST", "consent", &json!({"answer": "all", "enrollee": enrollee}).to_string());
}

fn left(result: &Value) -> Vec<Option<&str>> {
    result["archives"].as_array().unwrap().iter().map(|archive| archive["left"].as_str()).collect()
}

fn purge(stage: &Stage, profile: &str) -> Value {
    stage.expect_json(0, &["purge", "--yes", "--json", "--profile", profile])
}

fn is_whole(stage: &Stage, archive: &str) {
    assert_eq!(stage.expect_json(0, &["verify", archive, "--json"])["ok"], true, "{archive}");
}

#[test]
fn a_link_to_another_persons_archive_is_not_purged() {
    let stage = family();
    let home = stage.home.path();
    fs::remove_dir_all(home.join("mom")).unwrap();
    symlink(home.join("dad"), home.join("mom")).unwrap();
    let result = purge(&stage, "mom");
    assert!(left(&result)[0].is_some(), "{result}");
    is_whole(&stage, "dad");
    assert!(home.join("mom").exists());
    // Dad's own archives are still deleted.
    assert_eq!(left(&purge(&stage, "dad")), [None]);
    assert!(!home.join("dad").exists());
}

#[test]
fn another_persons_archive_moved_into_place_is_not_purged() {
    let stage = family();
    let home = stage.home.path();
    fs::rename(home.join("mom"), home.join("kept")).unwrap();
    fs::rename(home.join("dad"), home.join("mom")).unwrap();
    let said = stage.run(&["purge", "--yes", "--profile", "mom"]);
    assert_code(&said, 0, &["purge"]);
    assert!(text(&said.stderr).contains("somebody else's"), "{}", text(&said.stderr));
    is_whole(&stage, "mom");
    is_whole(&stage, "kept");
}

#[test]
fn purge_does_not_follow_a_parent_directory_that_became_a_link() {
    let stage = family();
    let home = stage.home.path();
    fs::create_dir(home.join("a")).unwrap();
    stage.expect(0, &["fetch", "eob", "--out", "a/claims", "--profile", "mom", "-q"]);
    // A copy of mom's own archive elsewhere: a backup on another disk.
    fs::create_dir(home.join("backup")).unwrap();
    fs::rename(home.join("a/claims"), home.join("backup/claims")).unwrap();
    fs::remove_dir(home.join("a")).unwrap();
    symlink(home.join("backup"), home.join("a")).unwrap();
    let result = purge(&stage, "mom");
    assert_eq!(left(&result).iter().filter(|left| left.is_some()).count(), 1, "{result}");
    is_whole(&stage, "backup/claims");
}

#[test]
fn purging_a_linked_archive_deletes_its_target() {
    let stage = family();
    let home = stage.home.path();
    fs::create_dir(home.join("disk")).unwrap();
    symlink(home.join("disk"), home.join("link")).unwrap();
    stage.expect(0, &["fetch", "eob", "--out", "link", "--profile", "mom", "-q"]);
    assert_eq!(left(&purge(&stage, "mom")), [None, None]);
    assert!(!home.join("disk").exists() && !home.join("mom").exists());
}

/// Records written by 0.1.0 contain only paths.
#[test]
fn notes_of_an_earlier_log_in_count_only_for_the_same_person() {
    let stage = family();
    let home = stage.home.path();
    let strip = |profile: &str| {
        let path = home.join(format!("profiles/{profile}.json"));
        let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for note in record["archives"].as_array_mut().unwrap() {
            note.as_object_mut().unwrap().remove("filled").expect("it notes more than before");
        }
        fs::write(&path, record.to_string()).unwrap();
    };
    strip("mom");
    strip("dad");
    fs::rename(home.join("mom"), home.join("kept")).unwrap();
    fs::rename(home.join("dad"), home.join("mom")).unwrap();
    assert!(left(&purge(&stage, "mom"))[0].is_some());
    is_whole(&stage, "mom");
    fs::rename(home.join("mom"), home.join("dad")).unwrap();
    assert_eq!(left(&purge(&stage, "dad")), [None]);
    assert!(!home.join("dad").exists());
}

#[test]
fn an_archive_without_an_owner_is_not_purged() {
    let stage = family();
    let manifest = stage.home.path().join("mom/manifest.json");
    let good = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, "{}").unwrap();
    let result = purge(&stage, "mom");
    assert!(left(&result)[0].unwrap().contains("cannot be read"), "{result}");
    fs::write(&manifest, good).unwrap();
    is_whole(&stage, "mom");
}

/// A manifest that names a file of the person's own is not one of bbdl's.
#[test]
fn a_manifest_cannot_make_purge_delete_other_files() {
    let stage = family();
    let mom = stage.home.path().join("mom");
    fs::write(mom.join("letter.txt"), "Dear Mom").unwrap();
    let good = fs::read_to_string(mom.join("manifest.json")).unwrap();
    fs::write(mom.join("manifest.json"), good.replace("\"ExplanationOfBenefit.ndjson\"", "\"letter.txt\"")).unwrap();
    assert!(left(&purge(&stage, "mom"))[0].is_some());
    assert_eq!(fs::read_to_string(mom.join("letter.txt")).unwrap(), "Dear Mom");
}

#[test]
fn after_logout_purge_still_finds_the_archives() {
    let stage = family();
    let home = stage.home.path();
    let logged_out = stage.run(&["logout", "--profile", "mom"]);
    assert_code(&logged_out, 0, &["logout"]);
    let said = text(&logged_out.stderr);
    assert!(said.contains(&home.join("mom").display().to_string()), "{said}");
    assert!(said.contains("bbdl purge --profile mom"), "{said}");
    let result = stage.expect_json(0, &["logout", "--profile", "dad", "--json"]);
    assert_eq!(result["archives"], json!([home.join("dad")]), "{result}");
    assert_eq!(stage.expect_json(0, &["status", "--json"])["profiles"], json!([]));

    assert_eq!(left(&purge(&stage, "mom")), [None]);
    assert!(!home.join("mom").exists());
    is_whole(&stage, "dad");
    // Only once.
    stage.expect(78, &["purge", "--yes", "--profile", "mom"]);
    let result = stage.expect_json(0, &["purge", "--yes", "--json", "--all-profiles"]);
    assert_eq!((&result["profiles"], left(&result)), (&json!(["dad"]), vec![None]), "{result}");
    assert!(!home.join("dad").exists());
}

#[test]
fn archives_of_an_earlier_person_stay() {
    let stage = family();
    let home = stage.home.path();
    stage.expect(0, &["logout", "--profile", "mom", "-q"]);
    person(&stage, 1);
    stage.log_in(&["--profile", "mom"]);
    purge(&stage, "mom");
    is_whole(&stage, "mom");
    assert!(home.join("dad").exists());
    // It is still known.
    assert_eq!(left(&purge(&stage, "mom")), [None]);
    assert!(!home.join("mom").exists());
    // It stays for the other profile that uses it.
    person(&stage, 0);
    stage.log_in(&["--profile", "mom"]);
    stage.expect(0, &["fetch", "eob", "--out", "shared", "--profile", "mom", "-q"]);
    stage.expect(0, &["logout", "--profile", "mom", "-q"]);
    stage.log_in(&["--profile", "twin"]);
    stage.expect(0, &["fetch", "eob", "--out", "shared", "--profile", "twin", "-q"]);
    assert_eq!(left(&purge(&stage, "twin")), [Some("another profile uses it too")]);
    is_whole(&stage, "shared");
}

/// Without the scope in the hint, the default profile would be deleted.
#[test]
fn the_hint_of_purge_names_what_is_to_be_deleted() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    for profile in [&[][..], &["--profile", "mom"]] {
        stage.log_in(profile);
    }
    for scope in [&["--profile", "mom"][..], &["--all-profiles"], &[]] {
        let output = stage.run(&[&["purge"], scope].concat());
        assert_code(&output, 2, scope);
        let words = [&["next: To delete without a question: bbdl purge"], scope, &["--yes"]].concat().join(" ");
        assert!(text(&output.stderr).lines().any(|line| line.trim() == words), "{}", text(&output.stderr));
    }
}

/// Only the profile knows about the archive, and a first pull may take an hour.
#[test]
fn purge_rename_and_remove_wait_for_a_first_pull_and_find_one_that_was_killed() {
    let latency = Duration::from_millis(200);
    let stage = Stage::with(Setting { claims: 100, latency, ..Setting::default() });
    let home = stage.home.path();
    stage.log_in(&["--profile", "mom"]);
    let fetch = ["fetch", "eob", "--out", "mom", "--profile", "mom", "--page-size", "10"];
    let running = Running::start(stage.bbdl(&fetch));
    let partial = home.join("mom/.bbdl/partial/ExplanationOfBenefit.ndjson");
    until("a page is there", || fs::metadata(&partial).is_ok_and(|it| it.len() > 0));
    signal(running.id(), Signal::STOP);
    assert!(!home.join("mom/manifest.json").exists());
    for command in [
        &["purge", "--yes", "--profile", "mom"][..],
        &["profiles", "rename", "mom", "mum"],
        &["profiles", "remove", "mom", "--yes"],
    ] {
        let refused = stage.run(command);
        assert_code(&refused, 75, command);
        assert!(text(&refused.stderr).contains("another bbdl is writing to"), "{}", text(&refused.stderr));
        assert!(partial.exists());
    }
    // The log-in is still there, and its archive does not count as a finished pull.
    let status = stage.expect_json(0, &["status", "--json", "--profile", "mom"]);
    assert!(!status.to_string().contains("last_pull"), "{status}");
    running.kill();
    assert_eq!(left(&purge(&stage, "mom")), [None]);
    assert!(!home.join("mom").exists());
}

/// Of another version, or of another person.
#[test]
fn archives_of_the_log_in_before_are_still_known_after_another_one() {
    for (enrollee, more) in [(0, ["--api", "v3"]), (1, ["--replace", "--no-input"])] {
        let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
        stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
        person(&stage, enrollee);
        let login = stage.log_in_with(stage.login_command(&more));
        assert_code(&login, 0, &more);
        let said = text(&login.stderr);
        assert!(said.contains("purge still knows them") && said.contains("claims"), "{said}");
        stage.expect(0, &["fetch", "eob", "--out", "newer", "-q"]);
        let result = stage.expect_json(0, &["purge", "--yes", "--json"]);
        let archives = result["archives"].as_array().unwrap();
        let why = |out: &str| {
            let is_it = |it: &&Value| it["out"].as_str().unwrap().ends_with(out);
            archives.iter().find(is_it).unwrap_or_else(|| panic!("{more:?}: {result}"))["left"].clone()
        };
        assert_eq!(why("newer"), Value::Null, "{result}");
        assert!(why("claims").as_str().unwrap().contains("earlier log-in"), "{result}");
        is_whole(&stage, "claims");
        stage.expect(0, &["purge", "--yes"]);
        assert!(!stage.out().exists(), "{more:?}");
    }
}

/// The log-out is done by then.
#[test]
fn a_damaged_note_of_archives_does_not_hide_a_log_out() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    let dir = stage.home.path().join("archives");
    fs::create_dir(&dir).unwrap();
    mode(&dir, 0o700);
    fs::write(dir.join("default.json"), "[").unwrap();
    mode(&dir.join("default.json"), 0o600);
    let output = stage.run(&["logout"]);
    assert_code(&output, 0, &["logout"]);
    let said = text(&output.stderr);
    assert!(said.contains("the server ended the consent") && said.contains("is not a bbdl record"), "{said}");
}

/// After a removal nothing else lists them, and after a log-out `purge` does.
#[test]
fn archives_of_the_log_in_before_are_named_when_a_profile_goes() {
    for command in [&["profiles", "remove", "default", "--yes"][..], &["logout"]] {
        let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
        stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
        stage.log_in(&["--api", "v3"]);
        stage.expect(0, &["fetch", "eob", "--out", "newer", "-q"]);
        let result = stage.expect_json(0, &[command, &["--json"]].concat());
        let row = if command[0] == "logout" { &result } else { &result["profiles"][0] };
        let archives = row["archives"].as_array().unwrap();
        for out in ["claims", "newer"] {
            assert!(archives.iter().any(|it| it.as_str().unwrap().ends_with(out)), "{command:?}: {result}");
        }
    }
}

/// Records an archive in the default profile, like a fetch that begins at this moment.
fn note_another(home: &std::path::Path) {
    let path = home.join("profiles/default.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let archives = record["archives"].as_array_mut().unwrap();
    let mut note = archives[0].clone();
    note["out"] = json!(home.join("noted"));
    note["filled"]["real"] = json!(home.join("noted"));
    archives.push(note);
    fs::write(&path, record.to_string()).unwrap();
}

#[test]
fn an_archive_that_is_noted_during_a_log_in_or_log_out_is_not_forgotten() {
    for (path, end) in [("/o/token/", "login"), ("/o/revoke/", "logout")] {
        let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
        let gateway = Gateway::logged_in(&stage, &[]);
        stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
        let (home, noted) = (stage.home.path().to_owned(), std::sync::Once::new());
        gateway.answer(path, move |real| {
            let reply = real();
            // The request that proves the client before a log-in is refused.
            if reply.status == 200 {
                noted.call_once(|| note_another(&home));
            }
            reply
        });
        if end == "login" {
            gateway.log_in(&stage, &[])
        } else {
            drop(stage.expect(0, &["logout"]))
        }
        let result = stage.expect_json(0, &["purge", "--yes", "--json"]);
        let mut outs: Vec<String> = Vec::new();
        for archive in result["archives"].as_array().unwrap() {
            outs.push(archive["out"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
        }
        outs.sort();
        assert_eq!(outs, ["claims", "noted"], "{end}: {result}");
    }
}
