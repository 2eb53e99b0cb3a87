//! What is special about Windows: files that other programs have open, its keyring, its browser and proxy settings,
//! its names and its long paths. These tests run only on Windows.

use std::{
    fs::{self, File},
    os::windows::fs::OpenOptionsExt,
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::support::{Setting, Stage, assert_code, finished, text};

const FETCH: [&str; 5] = ["fetch", "eob", "--out", "claims", "--json"];

/// How another program opens a file: what others may do with it in the meantime.
#[derive(Clone, Copy, Debug)]
enum Share {
    /// Only read it: spreadsheets.
    Read,
    /// Everything: backups, virus scanners.
    All,
}

fn open_elsewhere(path: &Path, share: Share) -> File {
    let mode = match share {
        Share::Read => 1,
        Share::All => 7,
    };
    fs::OpenOptions::new().read(true).share_mode(mode).open(path).unwrap()
}

fn stage() -> Stage {
    Stage::with(Setting { claims: 30, ..Setting::default() })
}

fn expire_the_access_token(stage: &Stage) {
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
}

fn finding(doctor: &Value, check: &str) -> Value {
    doctor["findings"].as_array().unwrap().iter().find(|it| it["check"] == check).unwrap().clone()
}

#[test]
fn a_renewal_survives_a_token_file_that_is_open_elsewhere() {
    for share in [Share::Read, Share::All] {
        let stage = stage();
        stage.log_in(&[]);
        let place = stage.home.path().join("tokens/default.json");
        let before = stage.tokens();
        let reader = open_elsewhere(&place, share);
        expire_the_access_token(&stage);
        stage.expect(0, &FETCH);
        // The next run finds the new pair, wherever it is.
        stage.expect(0, &["status", "--online"]);
        stage.expect(0, &FETCH);
        drop(reader);
        expire_the_access_token(&stage);
        stage.expect(0, &FETCH);
        assert_ne!(stage.tokens()["refresh_token"], before["refresh_token"], "{share:?}");
        assert!(!place.with_extension("next").exists(), "{share:?}");
        stage.expect(0, &["status", "--online"]);
    }
}

#[test]
fn a_new_log_in_survives_a_token_file_that_is_open_elsewhere() {
    let stage = stage();
    stage.log_in(&[]);
    let reader = open_elsewhere(&stage.home.path().join("tokens/default.json"), Share::Read);
    stage.log_in(&[]);
    stage.expect(0, &["status", "--online"]);
    drop(reader);
    expire_the_access_token(&stage);
    stage.expect(0, &FETCH);
    stage.expect(0, &["status", "--online"]);
}

#[test]
fn an_archive_file_that_is_open_elsewhere_is_told_and_then_replaced() {
    let stage = stage();
    stage.log_in(&[]);
    stage.expect(0, &FETCH);
    let file = stage.out().join("ExplanationOfBenefit.ndjson");
    // As if ten claims were new.
    stage.keep_instead(&stage.lines("ExplanationOfBenefit.ndjson")[..20].join("\n"));
    let before = fs::read(&file).unwrap();
    let reader = open_elsewhere(&file, Share::Read);
    let refused = stage.expect_json(75, &["fetch", "eob", "--out", "claims", "--json", "--full"]);
    assert_eq!(refused["error"]["kind"], "in_use", "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("ExplanationOfBenefit.ndjson: another program has it open"), "{message}");
    assert!(refused["error"]["hint"].as_str().unwrap().starts_with("Close that program"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), before, "the old archive, as a whole");
    drop(reader);
    stage.expect(0, &FETCH);
    assert_eq!(stage.lines("ExplanationOfBenefit.ndjson").len(), 30);
    stage.expect(0, &["verify", "claims"]);
}

#[test]
fn a_log_in_is_kept_in_the_credential_manager_and_doctor_is_content() {
    let stage = stage();
    let with_keyring = |arguments: &[&str]| {
        let mut command = stage.bbdl(arguments);
        command.env_remove("BBDL_TOKEN_STORE");
        command
    };
    let run = |code: i32, arguments: &[&str]| {
        let output = finished(with_keyring(arguments));
        assert_code(&output, code, arguments);
        text(&output.stdout)
    };
    let mut login = stage.login_command(&[]);
    login.env_remove("BBDL_TOKEN_STORE");
    assert_code(&stage.log_in_with(login), 0, &["login"]);
    assert!(!stage.home.path().join("tokens").exists());
    run(0, &FETCH);
    expire_the_access_token(&stage);
    run(0, &FETCH);
    let doctor: Value = serde_json::from_str(&run(0, &["doctor", "--json"])).unwrap();
    assert_eq!(doctor["ok"], true, "{doctor}");
    assert!(finding(&doctor, "tokens")["found"].as_str().unwrap().ends_with("there"), "{doctor}");
    let permissions = finding(&doctor, "permissions")["found"].as_str().unwrap().to_owned();
    assert!(permissions.contains("cannot tell") && permissions.contains("icacls"), "{permissions}");
    run(0, &["logout"]);
    run(78, &FETCH);
}

#[test]
fn doctor_names_the_proxy_of_the_settings() {
    let settings = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings";
    let value = |name: &str| {
        let output = Command::new("reg").args(["query", settings, "/v", name]).output().unwrap();
        text(&output.stdout).split_whitespace().last().unwrap_or_default().to_owned()
    };
    let stage = stage();
    let doctor: Value = serde_json::from_slice(&stage.run(&["doctor", "--json"]).stdout).unwrap();
    let found = finding(&doctor, "proxy")["found"].as_str().unwrap().to_owned();
    if value("ProxyEnable") == "0x1" {
        assert!(found.contains(&value("ProxyServer")) && found.contains("settings"), "{found}");
    } else {
        assert_eq!(found, "none: bbdl connects to the server directly");
    }
}

#[test]
fn names_of_devices_are_refused_at_once_by_every_command() {
    let stage = stage();
    for name in ["con", "NUL", "aux", "COM1", "lpt9.x"] {
        for typed in [&["login", "--sandbox", "--no-browser"][..], &FETCH[..], &["status"], &["logout"]] {
            let arguments = [typed, &["--profile", name]].concat();
            let output = stage.run(&arguments);
            assert_code(&output, 2, &arguments);
            assert!(text(&output.stderr).contains("keeps that name for a device"), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn a_profile_is_found_under_its_own_name_only() {
    let stage = stage();
    stage.log_in(&["--profile", "mum"]);
    let output = stage.run(&["fetch", "eob", "--out", "claims", "--profile", "Mum"]);
    assert_code(&output, 78, &[]);
    assert!(text(&output.stderr).contains("Did you mean \"mum\"?"), "{}", text(&output.stderr));
}

#[test]
fn the_browser_variable_comes_before_the_default_browser() {
    // Wine starts a program of the surrounding system.
    let curl = if Path::new("/usr/bin/curl").exists() { "/usr/bin/curl" } else { "curl" };
    let stage = stage();
    let mut command = stage.bbdl(&["login", "--server", stage.mock.url(), "--client-id", stage.mock.client_id()]);
    command.arg("--client-secret-file").arg(stage.secret_file());
    command.env("BROWSER", format!("no-such-browser;{curl} -sSLo {} %s", stage.home.path().join("page").display()));
    assert_code(&finished(command), 0, &[]);
}

#[test]
fn an_archive_lies_deeper_than_260_characters() {
    let stage = stage();
    stage.log_in(&[]);
    let deep = stage
        .home
        .path()
        .join(["d".repeat(100), "e".repeat(100), "f".repeat(100)].iter().collect::<std::path::PathBuf>());
    let deep = deep.to_str().unwrap();
    assert!(deep.len() > 260);
    for full in [&[][..], &["--full"]] {
        stage.expect(0, &[&["fetch", "all", "--out", deep], full].concat());
    }
    stage.expect(0, &["verify", deep]);
    stage.expect(0, &["report", deep, "--output", &format!(r"{deep}\report.html")]);
    for (format, name) in [("csv", "tables"), ("parquet", "parquet"), ("sqlite", "claims.db")] {
        stage.expect(0, &["export", deep, "--to", format, "--output", &format!(r"{deep}\{name}")]);
    }
}
