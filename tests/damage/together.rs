//! Several `bbdl` at the same time: on one archive, on one log-in, and one that only reads.

use std::{
    process::{Child, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{FETCH, claims_in, eob, tell};
use crate::support::{Running, Setting, Stage, assert_code, finished, follow, slim::Slim, text, until};

fn stage(claims: usize) -> Stage {
    let latency = Duration::from_millis(3);
    Stage::logged_in(Setting { latency, records: Some(Slim::of(claims)), ..Setting::default() })
}

fn start(stage: &Stage, arguments: &[&str]) -> Child {
    stage.bbdl(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Each one got the lock or said that another one has it.
fn is_done_or_later(output: &Output) -> bool {
    if output.status.success() {
        return true;
    }
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(output.status.code(), Some(75), "{result} {}", text(&output.stderr));
    assert_eq!(result["error"]["kind"], "lock", "{result}");
    false
}

#[test]
fn simultaneous_fetches_take_turns() {
    let stage = stage(200);
    let (mut count, mut added) = (200, 0);
    for round in 0..6 {
        let children: Vec<Child> = (0..3).map(|_| start(&stage, &FETCH)).collect();
        let outputs: Vec<Output> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let done: Vec<&Output> = outputs.iter().filter(|output| is_done_or_later(output)).collect();
        assert!(!done.is_empty(), "round {round}: nobody did it");
        let news = |output: &&Output| eob(&serde_json::from_slice(&output.stdout).unwrap())["added"].as_u64().unwrap();
        added += done.iter().map(news).sum::<u64>();
        // New claims came once, whichever process brought them.
        assert_eq!(added, count, "round {round}");
        assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true, "round {round}");
        stage.control("POST", "claims", r#"{"add": 60, "update": 20}"#);
        count += 60;
    }
    stage.expect(0, &FETCH);
    stage.expect(0, &["fetch", "eob", "--out", "whole"]);
    assert!(claims_in(&stage.out()) == claims_in(&stage.home.path().join("whole")));
}

#[test]
fn readers_see_a_complete_archive_during_a_fetch() {
    let stage = stage(300);
    stage.expect(0, &FETCH);
    let (over, mut later) = (AtomicBool::new(false), 0);
    let looked = thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let mut codes = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let output = stage.run(&["verify", "claims", "--json"]);
                assert!(
                    matches!(output.status.code(), Some(0 | 75)),
                    "{} {}",
                    text(&output.stdout),
                    text(&output.stderr)
                );
                codes.push(output.status.success());
            }
            codes
        });
        // The other process has to end, whatever happens here.
        let outputs: Vec<Output> = (0..12)
            .map(|round| {
                stage.control("POST", "claims", r#"{"add": 40, "update": 40}"#);
                let more = if round % 3 == 2 { &["--full"][..] } else { &[] };
                stage.run(&[&FETCH[..], more].concat())
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        for output in outputs {
            later += usize::from(!is_done_or_later(&output));
        }
        looker.join().unwrap()
    });
    assert!(looked.len() > 5 && looked.contains(&true), "{looked:?}");
    assert_eq!(later, 0, "looking kept a fetch from its work");
    let eventually = stage.expect_json(0, &["verify", "claims", "--json"]);
    assert_eq!(eventually["resources"]["ExplanationOfBenefit"]["count"], 300 + 12 * 40);
    let busy = looked.iter().filter(|whole| !**whole).count();
    tell(&format!("verify beside twelve fetches: {} times whole, {busy} times too busy to say", looked.len() - busy));
}

/// A new log-in ends the tokens of the earlier one. Whatever a fetch does then, the tokens that are kept in the end
/// are valid, and the archive has nothing incomplete.
#[test]
fn a_log_in_during_a_fetch_leaves_good_tokens() {
    let stage = stage(300);
    for round in 0..8_u64 {
        stage.control("POST", "claims", r#"{"add": 20}"#);
        if round % 2 == 0 {
            // Then the fetch renews at the same time.
            stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
        }
        let mut login = Running::start(stage.login_command(&[]));
        let url = login.authorize_url();
        stage.asked();
        let mut fetch = start(&stage, &["fetch", "eob", "--out", "claims", "--json", "--full"]);
        // At a different moment of the fetch each time. The fetch may end earlier.
        until("the fetch has come so far", || {
            stage.requests_for("ExplanationOfBenefit") as u64 >= round || fetch.try_wait().unwrap().is_some()
        });
        follow(&url);
        assert_code(&login.finish(), 0, &["login"]);
        let output = fetch.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 75 | 77)), "round {round}: {}", text(&output.stderr));
        let result = stage.expect_json(0, &FETCH);
        assert_eq!(eob(&result)["count"], 300 + 20 * (round + 1), "round {round}");
        // The refresh token is as valid as the access token.
        stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
        assert_code(&finished(stage.bbdl(&FETCH)), 0, &["round", &round.to_string()]);
        assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true, "round {round}");
    }
}
