//! A profile whose record cannot be read: its name is shown, it hides no other profile, and it can be removed with
//! its tokens.

use std::fs;

use crate::support::{Setting, Stage, assert_code, finished, text};

fn with_a_damaged_record() -> Stage {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.log_in(&["--profile", "mom", "--replace"]);
    fs::write(stage.home.path().join("profiles/mom.json"), "{").unwrap();
    stage
}

#[test]
fn a_damaged_record_is_named_and_the_other_profiles_are_shown() {
    let stage = with_a_damaged_record();
    for command in [&["status"][..], &["profiles", "list"]] {
        let output = stage.run(command);
        assert_code(&output, 78, command);
        let said = text(&output.stderr);
        assert!(text(&output.stdout).starts_with("default: "), "{}", text(&output.stdout));
        assert!(said.contains("profile mom cannot be read: ") && !said.contains("No log-ins"), "{said}");
        assert!(said.contains("mom.json is not a bbdl profile: it ends too early"), "{said}");
        let told = stage.expect_json(78, &[command, &["--json"]].concat());
        assert_eq!(told["profiles"].as_array().unwrap().len(), 1, "{told}");
        assert_eq!(told["profiles"][0]["name"], "default", "{told}");
        assert_eq!(told["unreadable"][0]["name"], "mom", "{told}");
        assert_eq!(told["unreadable"][0]["error"]["kind"], "profile", "{told}");
    }
    let told = stage.expect_json(0, &["status", "--json", "--profile", "default"]);
    assert!(told.get("unreadable").is_none(), "{told}");
    // The only profile.
    stage.expect(0, &["profiles", "remove", "default", "--yes"]);
    let output = stage.run(&["status"]);
    assert_code(&output, 78, &["status"]);
    assert!(!text(&output.stderr).contains("No log-ins"), "{}", text(&output.stderr));
}

#[test]
fn a_damaged_record_is_removed_with_its_tokens() {
    for names_the_store in [true, false] {
        let stage = with_a_damaged_record();
        let tokens = stage.home.path().join("tokens/mom.json");
        assert!(tokens.exists());
        let hint = stage.expect_json(78, &["fetch", "eob", "--out", "x", "--profile", "mom", "--json"]);
        let hint = hint["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("bbdl profiles remove mom --yes\n") && hint.contains("them: rm "), "{hint}");
        let mut remove = stage.bbdl(&["profiles", "remove", "mom", "mom", "--yes"]);
        if !names_the_store {
            // On Linux there is no keyring here either. The file is deleted anyway.
            remove.env_remove("BBDL_TOKEN_STORE");
        }
        let output = finished(remove);
        assert_code(&output, 0, &["profiles", "remove"]);
        let said = text(&output.stderr);
        if cfg!(target_os = "linux") {
            let warns = said.contains("warning: mom: if its tokens are in the keyring store");
            assert_eq!(warns, !names_the_store, "{said}");
        }
        assert!(!tokens.exists() && !stage.home.path().join("profiles/mom.json").exists());
        assert_eq!(stage.expect_json(0, &["status", "--json"])["profiles"].as_array().unwrap().len(), 1);
    }
}
