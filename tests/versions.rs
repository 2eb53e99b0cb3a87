//! The client at the versions of the API that the mock has data for, beside v2 that all other tests use.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Setting, Stage, ids, lines};

fn claims(dir: &Path) -> Vec<Value> {
    lines(&dir.join("ExplanationOfBenefit.ndjson")).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn api_v1_shows_the_claims_of_v2_in_its_own_shapes() {
    let stage = Stage::with(Setting { claims: 120, ..Setting::default() });
    stage.log_in(&["--api", "v1", "--profile", "one"]);
    let fetch = ["fetch", "all", "--out", "claims", "--profile", "one", "--json"];
    let result = stage.expect_json(0, &fetch);
    assert_eq!(result["resources"]["ExplanationOfBenefit"]["count"], 120);
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
    // STU3: the profiles that v2's claims name are not known yet.
    let one = claims(&stage.out());
    assert!(
        one.iter()
            .all(|claim| claim["meta"].get("profile").is_none() && claim["resourceType"] == "ExplanationOfBenefit")
    );

    // New claims come as an increment; a changed one in its place.
    stage.control("POST", "claims", r#"{"add": 2, "update": 1}"#);
    let row = stage.expect_json(0, &fetch)["resources"]["ExplanationOfBenefit"].clone();
    assert_eq!((&row["mode"], &row["added"], &row["updated"]), (&json!("incremental"), &json!(2), &json!(1)));

    // The same ids, dates and person at v2; another archive, since a log-in of v2 is another source.
    stage.log_in(&["--profile", "two"]);
    let other = stage.run(&["fetch", "eob", "--out", "claims", "--profile", "two"]);
    assert_eq!(other.status.code(), Some(65));
    stage.expect(0, &["fetch", "eob", "--out", "second", "--profile", "two"]);
    let second = stage.home.path().join("second");
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    let file = "ExplanationOfBenefit.ndjson";
    assert_eq!(sorted(ids(&lines(&stage.out().join(file)))), sorted(ids(&lines(&second.join(file)))));
    for claim in claims(&second) {
        let same = claims(&stage.out()).into_iter().find(|other| other["id"] == claim["id"]).unwrap();
        assert_eq!(same["billablePeriod"]["end"], claim["billablePeriod"]["end"], "{}", claim["id"]);
        assert_eq!(same["patient"]["reference"], claim["patient"]["reference"]);
    }
}

/// What the server gets wrong at v1 it gets wrong as at v2.
#[test]
fn faults_at_v1_lose_nothing() {
    let stage = Stage::with(Setting { claims: 200, ..Setting::default() });
    stage.log_in(&["--api", "v1"]);
    let fetch = |code, out: &str| {
        stage.expect_json(code, &["fetch", "eob", "--out", out, "--json", "--retry", "2", "--jobs", "1"])
    };
    for (number, (fault, code)) in [
        ("status=503@ExplanationOfBenefit#1+1", 0),
        ("close@ExplanationOfBenefit#1+2", 0),
        ("duplicate@ExplanationOfBenefit#1+1", 0),
        ("empty@ExplanationOfBenefit#1+1", 0),
        ("expire-token@ExplanationOfBenefit#1+1", 0),
        ("empty@ExplanationOfBenefit+1", 75),
        ("status=403@ExplanationOfBenefit+1", 77),
        ("next-loop@ExplanationOfBenefit", 65),
    ]
    .into_iter()
    .enumerate()
    {
        stage.faults(&[fault]);
        let out = format!("out{number}");
        let result = fetch(code, &out);
        if code == 0 {
            assert_eq!(result["resources"]["ExplanationOfBenefit"]["count"], 200, "{fault}: {result}");
        } else {
            assert!(!stage.home.path().join(out).join("manifest.json").exists(), "{fault}");
        }
    }
}
