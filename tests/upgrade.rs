//! What 0.1.0 left on a disk still works.

use std::{fs, path::Path};

use crate::support::{Setting, Stage};
use serde_json::Value;

/// A file of 0.1.0 with the values of this stage's mock. It has 0.1.0's keys; later ones are not added.
fn as_of_old(file: &str, now: &Value) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/0.1.0/home").join(file);
    let mut old: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    for (key, value) in old.as_object_mut().unwrap() {
        if let (false, Some(now)) = (key == "archives", now.get(key)) {
            *value = now.clone();
        }
    }
    old
}

/// A stage with a home of 0.1.0.
fn stage() -> Stage {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    for file in ["profiles/default.json", "tokens/default.json"] {
        let path = stage.home.path().join(file);
        let now: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        fs::write(&path, as_of_old(file, &now).to_string()).unwrap();
    }
    stage
}

#[test]
fn a_log_in_of_0_1_0_is_used_and_renewed() {
    let stage = stage();
    let profile = stage.expect_json(0, &["status", "--json"])["profiles"][0].clone();
    assert_eq!(profile["reauthorize"], false);
    assert_eq!(profile["archives"][0]["out"], "/srv/claims");
    stage.expect(0, &["fetch", "eob", "--out", "claims"]);
    let before = stage.tokens()["refresh_token"].clone();
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    stage.expect(0, &["fetch", "eob", "--out", "claims"]);
    assert_ne!(stage.tokens()["refresh_token"], before);
    stage.expect(0, &["logout"]);
}
