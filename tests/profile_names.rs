//! Names that a new profile cannot have on any system, and old profiles that have them.

use std::fs;

use crate::support::{Stage, assert_code, text};

#[test]
fn a_new_profile_gets_a_name_that_every_system_can_keep() {
    let stage = Stage::new();
    stage.log_in(&["--profile", "mom"]);
    stage.asked();
    for (name, why) in [
        ("con", "Windows keeps that name for a device"),
        ("COM1", "Windows keeps that name for a device"),
        ("nul.2024", "Windows keeps that name for a device"),
        ("dad.", "drops a dot at the end"),
        ("Mom", "beside \"mom\""),
    ] {
        let output = stage.run(&["login", "--server", stage.mock.url(), "--profile", name, "--no-browser"]);
        assert_code(&output, 2, &[name]);
        assert!(text(&output.stderr).contains(why), "{name}: {}", text(&output.stderr));
    }
    assert!(!stage.asked().iter().any(|row| row.contains("authorize")), "refused before anybody is asked");
    let profiles = stage.expect_json(0, &["status", "--json"]);
    assert_eq!(profiles["profiles"].as_array().unwrap().len(), 1);
}

/// Windows never had such profiles.
#[cfg(not(any(windows, target_os = "macos")))]
#[test]
fn existing_profiles_keep_their_names() {
    let stage = Stage::new();
    let mut newest = "mom";
    stage.log_in(&["--profile", newest]);
    for name in ["con", "Mom", "mom."] {
        for dir in ["profiles", "tokens"] {
            let file = |name: &str| stage.home.path().join(dir).join(format!("{name}.json"));
            fs::copy(file(newest), file(name)).unwrap();
        }
        stage.expect(0, &["status", "--online", "--profile", name]);
        stage.log_in(&["--profile", name]);
        stage.expect(0, &["fetch", "patient", "--out", &format!("of-{name}"), "--profile", name]);
        newest = name;
    }
}
