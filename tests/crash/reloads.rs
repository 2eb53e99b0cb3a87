//! Pulls that are killed and continue after the server's data have changed: in the end, the archive has, byte for
//! byte, what the server serves.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bbdl::fhir::bundle::Bundle;
use serde_json::{Value, json};

use super::kill::{Blow, Dice, Met, Moment, setting, strike, tell};
use crate::support::{Setting, Stage, assert_code, finished, http, lines, text};

const CLAIMS: usize = 120;
const FETCH: [&str; 8] = ["fetch", "eob", "--out", "claims", "--json", "--page-size", "10", "-q"];
const EOB: &str = "ExplanationOfBenefit";

#[test]
fn crash_a_pull_continued_after_a_reload_matches_the_server() {
    let rounds = setting("BBDL_CRASH_RELOADS", 8);
    let seed = setting("BBDL_CRASH_SEED", 20_261_123);
    let (mut kills, mut went_on, started) = (0, 0, Instant::now());
    for (number, api) in ["v1", "v2", "v3"].into_iter().enumerate() {
        let stage = Stage::with(Setting { claims: CLAIMS, latency: Duration::from_millis(4), ..Setting::default() });
        stage.log_in(&["--api", api]);
        let begun = Instant::now();
        stage.expect(0, &[&FETCH[..2], &["--out", "first"], &FETCH[4..]].concat());
        let whole = begun.elapsed();
        for round in 0..rounds {
            let dice = &mut Dice::new(seed, 1000 * number as u64 + round);
            let mut last = None;
            for _ in 0..=dice.below(3) {
                let moment = Moment::After(whole / 8 + dice.within(whole * 3 / 4));
                let said = stage.home.path().join("said");
                match strike(&mut stage.bbdl(&FETCH), &said, &moment, Blow::Kill) {
                    Met::Killed => kills += 1,
                    met => last = Some(met),
                }
                let number = |dice: &mut Dice| dice.below(9);
                let change = match dice.below(4) {
                    0 => json!({"update": number(dice)}),
                    1 => json!({"supersede": number(dice)}),
                    2 => json!({"add": number(dice), "update": number(dice)}),
                    _ => json!({"add": number(dice), "supersede": number(dice)}),
                };
                stage.control("POST", "claims", &change.to_string());
            }
            let output = finished(stage.bbdl(&[&FETCH[..7], &["-v"]].concat()));
            assert_code(&output, 0, &[api, "the run after the kill"]);
            went_on += usize::from(text(&output.stderr).contains("continuing where an earlier run stopped"));
            let result: Value = serde_json::from_slice(&output.stdout).unwrap();
            let is_full = result["resources"][EOB]["mode"] == "full";
            let kept: BTreeSet<String> =
                lines(&stage.out().join("ExplanationOfBenefit.ndjson")).iter().map(|line| lasting(line)).collect();
            let served = served(&stage, api);
            let what = format!("{api}, round {round} of seed {seed}, {last:?}");
            let missing = served.difference(&kept).count();
            assert_eq!(missing, 0, "{what}: claims are missing or out of date");
            // At v3, an increment keeps superseded claims.
            assert!(!is_full || kept == served, "{what}: {} claims too many", kept.difference(&served).count());
            assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true, "{what}");
            std::fs::remove_dir_all(stage.out()).unwrap();
        }
    }
    tell(&format!(
        "crash: {kills} kills of pulls survived (seed {seed}) with other data at the server afterwards; {went_on} runs \
         went on; {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    assert!(kills >= rounds && went_on > 0, "{kills} kills, {went_on} runs went on");
}

/// All claims as the mock serves them now.
fn served(stage: &Stage, api: &str) -> BTreeSet<String> {
    let token = stage.tokens()["access_token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let mut claims = BTreeSet::new();
    let start_name = if api == "v3" { "_offset" } else { "startIndex" };
    for start in (0..).step_by(50) {
        let url = format!("{}/{api}/fhir/{EOB}?_count=50&{start_name}={start}", stage.mock.url());
        let answer = http("GET", &url, &[("Authorization", &bearer)], "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let bundle = Bundle::split(answer.body).unwrap();
        claims.extend(bundle.resources().map(lasting));
        if bundle.next.is_none() {
            return claims;
        }
    }
    claims
}

/// A claim without `created`, which at v2 is the time of the download.
fn lasting(line: &str) -> String {
    const CREATED: &str = r#""created":""#;
    let Some(from) = line.find(CREATED).map(|at| at + CREATED.len()) else { return line.to_owned() };
    let to = from + line[from..].find('"').unwrap();
    format!("{}{}", &line[..from], &line[to..])
}
