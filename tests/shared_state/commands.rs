//! Commands other than `fetch` on a shared state: what they show, change and refuse.

use std::path::Path;

use serde_json::Value;

use super::{KEY, nights::Fleet};
use crate::support::{Setting, assert_code, finished, postgres::database, text};

#[test]
fn commands_work_on_the_shared_state_and_say_what_is_wrong_with_it() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 3, Setting::default());
    let run = |arguments: &[&str]| finished(fleet.bbdl("m0", arguments));
    let said = |arguments: &[&str], code: i32| {
        let output = run(arguments);
        assert_code(&output, code, arguments);
        text(&output.stdout) + &text(&output.stderr)
    };
    assert!(said(&["profiles", "list"], 0).contains("p0001"));
    assert!(said(&["doctor"], 0).contains("its tables are up to date"));
    let status = said(&["status", "--profile", "p0002"], 0);
    assert!(status.contains("p0002") && status.contains("tokens in the shared state"), "{status}");
    said(&["status", "--profile", "nobody"], 78);
    assert!(said(&["profiles", "rename", "p0001", "p1"], 2).contains("shared state"));
    assert!(said(&["status", "--online"], 2).contains("BBDL_STATE"));
    let exported = said(&["profiles", "export"], 0);
    assert!(exported.lines().count() == 3 && exported.contains("p0001") && !exported.contains("refresh_token"));
    said(&["profiles", "export", "nobody"], 78);
    let tokens = run(&["profiles", "export", "p0002", "p0000", "--with-tokens"]);
    let tokens: Vec<Value> = text(&tokens.stdout).lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!((&tokens[0]["name"], &tokens[1]["name"]), (&"p0002".into(), &"p0000".into()));
    let imported = std::fs::read_to_string(fleet.path("rows")).unwrap();
    assert!(tokens.iter().all(|row| imported.contains(row["refresh_token"].as_str().unwrap())));
    // Existing rows are refused one by one.
    let rows = fleet.path("rows");
    let import = |more: &[&str]| {
        let mut command = fleet.bbdl("m0", &["profiles", "import", "--json"]);
        command.arg(&rows).args(more);
        finished(command)
    };
    let refused = import(&[]);
    assert_eq!(text(&refused.stdout).lines().filter(|line| line.contains("\"ok\":false")).count(), 3);
    assert_code(&import(&["--replace"]), 0, &["--replace"]);
    // The same people under other names would end each other's log-ins.
    std::fs::write(fleet.path("others"), imported.replace("\"p0", "\"q0")).unwrap();
    let mut others = fleet.bbdl("m0", &["profiles", "import", "--json"]);
    others.arg(fleet.path("others"));
    let refused = finished(others);
    assert_code(&refused, 65, &["the same people"]);
    let told = text(&refused.stdout);
    assert_eq!(told.matches("is this person with this app already").count(), 3, "{told}");
    assert!(said(&["profiles", "remove", "p0001", "--yes"], 0).contains("removed from the shared state"));
    let one = said(&["fetch", "eob", "--profile", "p0000", "--out", "one"], 78);
    assert!(one.contains("add --all-profiles"), "{one}");
    said(&["profiles", "remove", "p0001", "--yes"], 78);

    let with = |key: Option<&str>, arguments: &[&str]| {
        let mut command = fleet.bbdl("m0", arguments);
        command.env_remove("BBDL_STATE_KEY").envs(key.map(|key| ("BBDL_STATE_KEY", key)));
        finished(command)
    };
    let fetch = ["fetch", "eob", "--all-profiles", "--out", "out"];
    let output = with(None, &fetch);
    assert_code(&output, 78, &["no key"]);
    assert!(text(&output.stderr).contains("--state-key-file"), "{}", text(&output.stderr));
    assert_code(&with(None, &["doctor"]), 78, &["no key"]);
    const OTHER: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    assert_code(&with(Some(OTHER), &fetch), 78, &["another key"]);
    let output = with(Some(OTHER), &["doctor"]);
    assert_code(&output, 78, &["another key"]);
    assert!(text(&output.stdout).contains("does not open 2 log-ins"), "{}", text(&output.stdout));
    // A new key together with the older one opens what the older one sealed.
    let output = with(Some(&format!("{OTHER} {KEY}")), &["doctor"]);
    assert!(text(&output.stdout).contains("2 log-ins are sealed with an older key"), "{}", text(&output.stdout));

    key_files(&fleet, &fetch);
    // Everyone on the machine can see a password on the command line.
    let mut command = fleet.bbdl("m0", &["status", "--state", "postgres://bbdl:hush-hush@localhost/x"]);
    command.env_remove("BBDL_STATE");
    let output = finished(command);
    assert_code(&output, 2, &["a password"]);
    assert!(!text(&output.stderr).contains("hush"), "{}", text(&output.stderr));
    let config = fleet.path("m0").join("config.toml");
    let mut command = fleet.bbdl("m0", &["status"]);
    command.env_remove("BBDL_STATE");
    write(&config, &format!("state = \"{}\"\n", fleet.database.url().replace("bbdl@", "bbdl:hush-hush@")), 0o644);
    let output = finished(command);
    assert_code(&output, 78, &["a password in a file that others may read"]);
    assert!(text(&output.stderr).contains("chmod 600"), "{}", text(&output.stderr));
    write(&config, &std::fs::read_to_string(&config).unwrap(), 0o600);
    let mut command = fleet.bbdl("m0", &["status", "--json"]);
    command.env_remove("BBDL_STATE");
    assert!(text(&finished(command).stdout).contains("p0002"));

    // Typed again without it, the command would delete what is on this machine.
    let again = said(&["purge", "--all-profiles", "--state", &fleet.database.url()], 2);
    assert!(again.contains("bbdl purge --all-profiles --state URL --yes"), "{again}");
    let again = said(&["profiles", "remove", "p0002", "--state", &fleet.database.url()], 2);
    assert!(again.contains("bbdl profiles remove p0002 --state URL --yes"), "{again}");

    said(&["fetch", "eob", "--all-profiles", "--out", "out"], 0);
    // Not while a worker writes to the archive.
    let lease = |until: &str| fleet.database.sql(&format!("UPDATE bbdl.enrollee SET leased_until = {until}"));
    lease("now() + interval '1 hour'");
    assert!(said(&["profiles", "remove", "p0002", "--yes"], 75).contains("a worker is pulling"));
    lease("NULL");
    let removed = said(&["profiles", "remove", "p0002", "--yes"], 0);
    assert!(removed.contains("its archive stays: ") && removed.contains("out/p0002 (2 claims)"), "{removed}");
}

/// A person who withdraws from a study is removed from the shared state, the server and the disk.
#[test]
fn a_withdrawal_ends_a_log_in_of_the_shared_state() {
    let Some(database) = database() else { return };
    let fleet = Fleet::of(database, 5, Setting::default());
    let run = |arguments: &[&str]| finished(fleet.bbdl("m0", arguments));
    let json = |arguments: &[&str], code: i32| -> Value {
        let output = run(&[arguments, &["--json"]].concat());
        assert_code(&output, code, arguments);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let there = || fleet.database.sql("SELECT name FROM bbdl.enrollee ORDER BY name").replace('\n', " ");
    // A profile with the same name on this machine is not meant.
    let here = fleet.path("m0").join("profiles/p0001.json");
    std::fs::create_dir_all(here.parent().unwrap()).unwrap();
    std::fs::write(&here, include_str!("../fixtures/0.1.0/home/profiles/default.json")).unwrap();

    // Before the first pull there is no access token. The refresh token is used, and the consent ends.
    assert_eq!(json(&["logout", "--profile", "p0000"], 0)["revoked"], true);
    assert_eq!(there(), "p0001 p0002 p0003 p0004");
    assert_eq!(json(&["logout", "--profile", "p0000"], 78)["error"]["kind"], "no_profile");

    assert_code(&finished(fleet.worker("m0", &[])), 0, &["night"]);
    let shown = json(&["purge", "--profile", "p0001", "--dry-run"], 0);
    assert_eq!(shown["archives"][0]["count"], 2, "{shown}");
    // While a worker pulls for the enrollee, the command waits, and then it is refused.
    fleet
        .database
        .sql("UPDATE bbdl.enrollee SET leased_by = 7, leased_until = now() + interval '1 hour' WHERE name = 'p0001'");
    let refused = json(&["purge", "--profile", "p0001", "--yes"], 75);
    assert!(refused["error"]["message"].as_str().unwrap().contains("a worker is pulling"), "{refused}");
    fleet.database.sql("UPDATE bbdl.enrollee SET leased_by = NULL, leased_until = NULL");
    assert!(fleet.path("archives/p0001/manifest.json").exists());

    fleet.stage.asked();
    let purged = json(&["purge", "--profile", "p0001", "--yes"], 0);
    assert_eq!((&purged["profiles"][0], &purged["archives"][0]["left"]), (&"p0001".into(), &Value::Null), "{purged}");
    assert!(fleet.stage.asked().iter().any(|row| row.contains("revoke")));
    assert!(!fleet.path("archives/p0001").exists() && fleet.path("archives/p0002/manifest.json").exists());
    assert_eq!(there(), "p0002 p0003 p0004");
    assert!(here.exists(), "the profile of this machine stays");

    // Without the key, the server cannot be told, but what is here can be removed.
    let mut command = fleet.bbdl("m0", &["logout", "--profile", "p0002", "--json"]);
    command.env_remove("BBDL_STATE_KEY");
    let output = finished(command);
    assert_code(&output, 78, &["no key"]);
    assert!(text(&output.stdout).contains("logout --local --profile p0002"), "{}", text(&output.stdout));
    let mut command = fleet.bbdl("m0", &["logout", "--local", "--profile", "p0002"]);
    command.env_remove("BBDL_STATE_KEY");
    assert_code(&finished(command), 0, &["--local"]);
    assert!(fleet.path("archives/p0002/manifest.json").exists());
    json(&["purge", "--all-profiles", "--yes"], 0);
    assert_eq!(there(), "");
    assert!(here.exists() && !fleet.path("archives/p0003").exists());
    assert_eq!(fleet.database.number("SELECT count(*) FROM bbdl.worker"), 0, "all have signed off");
}

fn write(path: &Path, content: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A key comes from a file that not everyone may read, or from a program.
fn key_files(fleet: &Fleet, fetch: &[&str]) {
    let file = fleet.path("key");
    for (mode, code) in [(0o644, 78), (0o600, 0)] {
        write(&file, &format!("{KEY}\n"), mode);
        let mut command = fleet.bbdl("m0", fetch);
        command.env_remove("BBDL_STATE_KEY").arg("--state-key-file").arg(&file);
        let output = finished(command);
        assert_code(&output, code, &["--state-key-file"]);
        assert!(!text(&output.stderr).contains(KEY));
    }
    for (program, code) in [(format!("echo {KEY}"), 0), ("echo hush-hush".to_owned(), 78), ("exit 3".to_owned(), 78)] {
        let mut command = fleet.bbdl("m0", fetch);
        command.env_remove("BBDL_STATE_KEY").env("BBDL_STATE_KEY_COMMAND", program);
        let output = finished(command);
        assert_code(&output, code, &["BBDL_STATE_KEY_COMMAND"]);
        assert!(!text(&output.stderr).contains("hush"), "{}", text(&output.stderr));
    }
}
