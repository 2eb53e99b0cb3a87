//! Renewals that are killed at any moment. A refresh token works once. After the server has used it up and before the
//! new one is on our disk, there is a moment in which a kill loses the log-in. At no other moment may it be lost.

use std::{
    fs,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;

use super::kill::{Blow, Dice, Met, Moment, setting, strike, tell};
use crate::support::{Running, Setting, Stage, assert_code, finished, slim::Slim, text, until};

const WORKERS: u64 = 2;
const FETCH: [&str; 5] = ["fetch", "eob", "--out", "claims", "--json"];

fn stage() -> Stage {
    let latency = Duration::from_millis(3);
    Stage::logged_in(Setting { latency, records: Some(Slim::of(30)), ..Setting::default() })
}

/// Lets the access token expire.
fn expire(stage: &Stage) {
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    stage.asked();
}

fn refresh_token(stage: &Stage) -> String {
    stage.tokens()["refresh_token"].as_str().unwrap().to_owned()
}

/// The server's answers to renewals.
fn renewals(stage: &Stage) -> Vec<String> {
    let asked = stage.asked();
    let of_token = asked.iter().filter(|row| row.contains("/o/token/"));
    of_token.map(|row| row.rsplit(' ').next().unwrap().to_owned()).collect()
}

#[derive(Default)]
struct Tally {
    kills: AtomicU64,
    stopped: AtomicU64,
    before: AtomicU64,
    stored: AtomicU64,
    lost: AtomicU64,
}

#[test]
fn crash_a_killed_renewal_loses_only_an_answer_not_yet_stored() {
    // As many kills as for pulls, in the same proportion.
    let wanted = (setting("BBDL_CRASH_KILLS", 200) * 3 / 10).max(1);
    let seed = setting("BBDL_CRASH_SEED", 20_261_123);
    let (tally, next, started) = (Tally::default(), AtomicU64::new(0), Instant::now());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let stage = stage();
                expire(&stage);
                let began = Instant::now();
                stage.expect(0, &FETCH);
                let whole = began.elapsed();
                while tally.kills.load(Ordering::Relaxed) < wanted {
                    let point = next.fetch_add(1, Ordering::Relaxed);
                    assert!(point < 4 * wanted + 40, "most runs are over before they can be killed");
                    survive(&stage, point, whole, &mut Dice::new(seed, !point), &tally);
                }
            });
        }
    });
    let [kills, stopped, before, stored, lost] =
        [&tally.kills, &tally.stopped, &tally.before, &tally.stored, &tally.lost]
            .map(|counter| counter.load(Ordering::Relaxed));
    tell(&format!(
        "crash: {kills} kills of renewals (seed {seed}): {before} before the refresh token was spent, {stored} after the new one was stored; \
         {lost} fell between the two and cost the log-in; {stopped} were asked to stop and did; {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    assert!(kills >= wanted && before + stored + lost == kills);
    assert!(wanted < 60 || (before > 0 && stored > 0), "a lopsided draw");
}

/// Every run has one of three results, and the server's log and the store show the same one.
fn survive(stage: &Stage, point: u64, whole: Duration, dice: &mut Dice, tally: &Tally) {
    expire(stage);
    let before = refresh_token(stage);
    let blow = match dice.below(5) {
        #[cfg(unix)]
        0 => Blow::Terminate,
        _ => Blow::Kill,
    };
    let moment = Moment::After(whole / 10 + dice.within(whole * 9 / 10));
    let said = stage.home.path().join("said");
    let met = strike(&mut stage.bbdl(&FETCH), &said, &moment, blow);
    let what = format!("point {point}, {blow:?} {moment:?}");
    if let Met::Over(code) = met {
        assert_eq!(code, 0, "{what}");
        return;
    }
    let is_stored = refresh_token(stage) != before;
    let output = stage.run(&FETCH);
    let answers = renewals(stage);
    let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    count(&tally.kills);
    count(match (output.status.code(), is_stored) {
        (Some(0), true) => {
            assert_eq!(answers, ["200"], "{what}");
            &tally.stored
        }
        (Some(0), false) => {
            assert_eq!(answers, ["200"], "{what}: it was spent, and yet it was good");
            &tally.before
        }
        (Some(77), false) => {
            let result: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(result["error"]["kind"], "lost_by_us", "{what}: {result}");
            // The server accepted it from the killed run, and refused it in the next one.
            assert_eq!((answers.len(), answers[0].as_str()), (2, "200"), "{what}: {answers:?}");
            assert_ne!(met, Met::Stopped, "{what}: whoever asks it to stop does not cost the log-in");
            stage.log_in(&[]);
            &tally.lost
        }
        _ => panic!("{what}: {:?}, stored {is_stored}: {}", output.status, text(&output.stderr)),
    });
    if met == Met::Stopped {
        count(&tally.stopped);
    }
}

/// How long a kill can lose the log-in: from the time when the server uses up the token, by its own log, until the
/// new record has its name in the store. The test watches the name, because the next run opens that. The file's own
/// times are those of writing, and only as exact as the kernel's clock tick.
#[cfg(unix)]
#[test]
fn crash_the_moment_in_which_a_kill_costs_the_log_in_is_short() {
    const RENEWALS: usize = 25;
    let stage = stage();
    let file = stage.home.path().join("tokens/default.json");
    let (mut widths, mut own) = (Vec::new(), Vec::new());
    for _ in 0..RENEWALS {
        expire(&stage);
        let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&file).unwrap());
        let (over, (ready, is_watching)) = (AtomicBool::new(false), mpsc::channel());
        let stored = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let (mut known, mut changed) = (inode(), None);
                ready.send(()).unwrap();
                loop {
                    // On a busy machine, this thread may first run when everything is over. Then it looks once more.
                    let is_last_look = over.load(Ordering::Relaxed);
                    let now = inode();
                    if now != known {
                        (known, changed) = (now, Some(Timestamp::now()));
                    }
                    if is_last_look {
                        return changed.unwrap();
                    }
                    thread::yield_now();
                }
            });
            is_watching.recv().unwrap();
            let output = finished(stage.bbdl(&[&FETCH[..], &["-v"]].concat()));
            over.store(true, Ordering::Relaxed);
            assert_code(&output, 0, &FETCH);
            own.push(own_part(&text(&output.stderr)));
            watcher.join().unwrap()
        });
        let log = stage.control("GET", "requests", "");
        let spent = log.as_array().unwrap().iter().find(|row| row["path"] == "/v2/o/token/").unwrap();
        let spent: Timestamp = spent["at"].as_str().unwrap().parse().unwrap();
        widths.push(stored.duration_since(spent).as_micros());
    }
    widths.sort_unstable();
    own.sort_by(f64::total_cmp);
    let (median, longest) = (widths[RENEWALS / 2], widths[RENEWALS - 1]);
    tell(&format!(
        "crash: from a refresh token's being spent to the new one's being stored: median {median} µs, longest {longest} µs of {RENEWALS} renewals; \
         from its answer to its being durable: median {:.2} ms",
        own[RENEWALS / 2]
    ));
    assert!(widths[0] > 0, "stored before it was there");
    assert!(median < 1_000_000, "{median} µs");
}

/// Milliseconds from the answer until it is durable, as printed by bbdl.
fn own_part(said: &str) -> f64 {
    let after = said.split_once("the renewed tokens were stored ").expect("it says when").1;
    after.split_once(" ms").unwrap().0.parse().unwrap()
}

#[test]
fn crash_a_kill_before_the_answer_arrives_asks_for_a_new_log_in() {
    let stage = stage();
    stage.expect(0, &FETCH);
    stage.control("POST", "claims", r#"{"add": 3}"#);
    let files = ["manifest.json", "ExplanationOfBenefit.ndjson"].map(|name| stage.out().join(name));
    let archive = || files.each_ref().map(|path| fs::read(path).unwrap());
    let before = archive();
    expire(&stage);
    stage.faults(&["late=1500@o/token#1"]);
    let fetch = Running::start(stage.bbdl(&FETCH));
    until("the refresh token is spent", || {
        let log = stage.control("GET", "requests", "");
        log.as_array().unwrap().iter().any(|row| row["path"] == "/v2/o/token/" && row["status"] == 200)
    });
    fetch.kill();
    let result = stage.expect_json(77, &FETCH);
    assert_eq!(result["error"]["kind"], "lost_by_us", "{result}");
    let hint = result["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("bbdl login --server") && hint.contains(stage.mock.url()), "{hint}");
    assert!(archive() == before);
    stage.log_in(&[]);
    assert_eq!(stage.expect_json(0, &FETCH)["resources"]["ExplanationOfBenefit"]["added"], 3);
}
