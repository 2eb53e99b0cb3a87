//! The rows of hundreds of nightly pulls: `manifest.json` keeps the newest, `pulls.ndjson` the others. A kill between
//! the two neither loses a row nor duplicates one.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use super::kill::{Blow, Dice, Met, Moment, strike, tell};
use crate::support::{Setting, Stage, lines};

const NIGHTS: u64 = 394;
const KEPT: usize = 100;
const FETCH: [&str; 4] = ["fetch", "all", "--out", "claims"];

fn manifest(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap()
}

/// All rows, oldest first: pull and resource.
fn rows(out: &Path) -> Vec<(String, String)> {
    let older = if out.join("pulls.ndjson").exists() { lines(&out.join("pulls.ndjson")) } else { Vec::new() };
    let older: Vec<Value> = older.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept = manifest(out)["pulls"].as_array().unwrap().clone();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    older.iter().chain(&kept).map(|row| (text(row, "id"), text(row, "resource"))).collect()
}

/// An archive as bbdl 0.1.0 left it after this many nights, with every row in the manifest.
fn archive_of_many_nights(stage: &Stage) -> Vec<(String, String)> {
    stage.expect(0, &FETCH);
    let mut long = manifest(&stage.out());
    let first = long["pulls"].as_array().unwrap().clone();
    let pulls = long["pulls"].as_array_mut().unwrap();
    for night in 2..=NIGHTS {
        pulls.extend(first.iter().map(|row| {
            let mut row = row.clone();
            row["id"] = json!(format!("{night:06}-20261123T100000Z"));
            (row["mode"], row["added"]) = (json!("incremental"), json!(0));
            row
        }));
    }
    fs::write(stage.out().join("manifest.json"), long.to_string()).unwrap();
    rows(&stage.out())
}

#[test]
fn many_pulls_keep_the_manifest_short_and_lose_no_row() {
    let stage = Stage::logged_in(Setting { claims: 60, ..Setting::default() });
    let out = stage.out();
    let mut expected = archive_of_many_nights(&stage);
    let long = fs::metadata(out.join("manifest.json")).unwrap().len();
    for night in 1..=3 {
        stage.expect(0, &FETCH);
        let now = rows(&out);
        assert_eq!(now[..expected.len()], expected, "every row of before, in order, once");
        assert!(now.len() > expected.len());
        let newest = format!("{:06}-", NIGHTS + night);
        assert!(now[expected.len()..].iter().all(|(id, _)| id.starts_with(&newest)), "{now:?}");
        assert_eq!(manifest(&out)["pulls"].as_array().unwrap().len(), KEPT);
        expected = now;
    }
    assert!(fs::metadata(out.join("manifest.json")).unwrap().len() < long / 8);
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);

    // A pull of claims only finds the last pull of claims behind rows of other resources.
    let mut manifest = manifest(&out);
    for row in manifest["pulls"].as_array_mut().unwrap() {
        row["resource"] = json!("Coverage");
    }
    fs::write(out.join("manifest.json"), manifest.to_string()).unwrap();
    stage.expect(0, &["report", "claims", "--output", "report.html"]);
    let page = fs::read_to_string(stage.home.path().join("report.html")).unwrap();
    assert!(page.contains("The last pull brought nothing new.") && !page.contains("This was the first pull"));

    // The file belongs to the archive: nothing overwrites it, damage is reported, and purge removes it too.
    stage.expect(2, &["export", "claims", "--to", "csv", "--output", "claims/pulls.ndjson"]);
    let older = fs::read_to_string(out.join("pulls.ndjson")).unwrap();
    fs::write(out.join("pulls.ndjson"), format!("{older}{{\n")).unwrap();
    let told = stage.expect_json(65, &["verify", "claims", "--json"]);
    assert!(told["problems"][0].as_str().unwrap().starts_with("pulls.ndjson: "), "{told}");
    stage.expect(0, &["purge", "--yes"]);
    assert!(!out.join("pulls.ndjson").exists());
}

#[test]
fn crash_between_the_two_files_neither_loses_nor_duplicates_rows() {
    const KILLS: u64 = 40;
    let stage = Stage::logged_in(Setting { claims: 60, ..Setting::default() });
    let out = stage.out();
    let mut expected = archive_of_many_nights(&stage);
    let (mut dice, mut killed, mut in_between) = (Dice::new(20_261_123, 11), 0, 0);
    for _ in 0..KILLS {
        let note = out.join(".bbdl/commit.json");
        let moment = Moment::OnceThere(note.clone(), dice.within(Duration::from_micros(1_500)));
        let met = strike(&mut stage.bbdl(&FETCH), &stage.home.path().join("said"), &moment, Blow::Kill);
        killed += u64::from(met == Met::Killed);
        in_between += u64::from(note.exists());
        // The next process finishes what was begun.
        assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
        let now = rows(&out);
        assert_eq!(now[..expected.len()], expected);
        let mut once = now.clone();
        once.dedup();
        assert_eq!(once, now, "no row is there twice");
        assert!(manifest(&out)["pulls"].as_array().unwrap().len() <= KEPT || now == expected);
        expected = now;
    }
    tell(&format!("pull rows: {killed} kills, {in_between} of them with the commit under way"));
    assert!(in_between > 0, "no kill met a commit");
    stage.expect(0, &FETCH);
    assert_eq!(rows(&out)[..expected.len()], expected);
    assert_eq!(manifest(&out)["pulls"].as_array().unwrap().len(), KEPT);
}
