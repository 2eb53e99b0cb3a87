//! The client at v1 and v3, in addition to v2, which all other tests use.

use std::{path::Path, time::Duration};

use crate::support::{Running, Setting, Stage, ids, lines};
use serde_json::{Value, json};

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
    // STU3: it does not know the profiles in v2's claims yet.
    let one = claims(&stage.out());
    assert!(
        one.iter()
            .all(|claim| claim["meta"].get("profile").is_none() && claim["resourceType"] == "ExplanationOfBenefit")
    );

    // New claims come as an increment, and a changed one replaces its old version.
    stage.control("POST", "claims", r#"{"add": 2, "update": 1}"#);
    let row = stage.expect_json(0, &fetch)["resources"]["ExplanationOfBenefit"].clone();
    assert_eq!((&row["mode"], &row["added"], &row["updated"]), (&json!("incremental"), &json!(2), &json!(1)));

    // The ids, dates and person are the same at v2, but the archive is another one, because a log-in at v2 is another
    // source.
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

#[test]
fn api_v3_is_downloaded_and_a_full_pull_removes_superseded_claims() {
    let stage = Stage::with(Setting { claims: 230, ..Setting::default() });
    stage.log_in(&["--api", "v3"]);
    let fetch = |more: &[&str]| stage.expect_json(0, &[&["fetch", "all", "--out", "claims", "--json"], more].concat());
    let result = fetch(&[]);
    let resources = &result["resources"];
    assert_eq!(resources["ExplanationOfBenefit"]["count"], 230, "{result}");
    for (resource, count) in [("Patient", 1), ("UserInfo", 1), ("InsuranceCard", 1)] {
        assert_eq!(resources[resource]["count"], count, "{resource}");
    }
    assert!(resources["Coverage"]["count"].as_u64() >= Some(3));
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
    let numbers: Vec<i64> =
        ids(&stage.lines("ExplanationOfBenefit.ndjson")).iter().map(|id| id.parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers[0] < 0, "v3 orders its claims by number");
    assert!(claims(&stage.out()).iter().all(|claim| claim["outcome"] == "complete"));

    // A claim is superseded: the increment brings the new one, but cannot know that the old one is gone.
    let load = stage.control("POST", "claims", r#"{"supersede": 2, "update": 1}"#);
    assert_eq!(load["superseded"].as_array().unwrap().len(), 2);
    let row = fetch(&[])["resources"]["ExplanationOfBenefit"].clone();
    assert_eq!((&row["mode"], &row["added"], &row["count"]), (&json!("incremental"), &json!(2), &json!(232)));
    let row = fetch(&["--full"])["resources"]["ExplanationOfBenefit"].clone();
    assert_eq!((&row["removed"], &row["count"]), (&json!(2), &json!(230)));

    // Claims that are still being processed, and prior authorizations, have to be requested explicitly.
    let partial = ["fetch", "eob", "--out", "partial", "--json", "--source"];
    let result = stage.expect_json(0, &[&partial[..], &["FISS,MCS,VMS"]].concat());
    let partial = claims(&stage.home.path().join("partial"));
    assert_eq!(result["resources"]["ExplanationOfBenefit"]["count"], partial.len());
    assert!(!partial.is_empty() && partial.iter().all(|claim| claim["outcome"] == "partial"));
    let prior = stage.expect_json(0, &["fetch", "eob", "--out", "prior", "--json", "--source", "CWF"]);
    assert!(prior["resources"]["ExplanationOfBenefit"]["count"].as_u64() > Some(0));
    let prior = claims(&stage.home.path().join("prior"));
    assert!(prior.iter().all(|claim| claim["use"] == "preauthorization"));

    // Without the checkbox on the consent page, claims with the label are not there.
    stage.control("POST", "consent", r#"{"samhsa": false}"#);
    stage.log_in(&["--api", "v3", "--profile", "private"]);
    stage.expect(0, &["fetch", "eob", "--out", "private", "-q", "--profile", "private"]);
    let private = claims(&stage.home.path().join("private"));
    let labelled = claims(&stage.out()).iter().filter(|claim| claim["meta"].get("security").is_some()).count();
    assert_eq!(private.len(), 230 - labelled);
    assert!(labelled > 0 && private.iter().all(|claim| claim["meta"].get("security").is_none()));
}

#[test]
fn a_claim_superseded_between_two_pages_of_v3_hides_no_other() {
    for jobs in ["1", "4"] {
        let latency = Duration::from_millis(100);
        let stage = Stage::with(Setting { claims: 400, latency, ..Setting::default() });
        stage.log_in(&["--api", "v3"]);
        let mut fetch = Running::start(stage.bbdl(&["fetch", "eob", "--out", "claims", "-v", "--jobs", jobs]));
        fetch.until("_offset=98");
        // One more is removed than is added before it, so what follows moves up.
        stage.control("POST", "claims", r#"{"supersede": 6}"#);
        crate::support::assert_code(&fetch.finish(), 0, &[jobs]);
        stage.expect(0, &["fetch", "eob", "--out", "again", "-q"]);
        let file = "ExplanationOfBenefit.ndjson";
        let (kept, there) = (ids(&stage.lines(file)), ids(&lines(&stage.home.path().join("again").join(file))));
        assert_eq!((kept.len(), &kept), (400, &there), "{jobs}");
    }
}
