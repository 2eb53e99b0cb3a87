//! Pulls that are killed at any moment: the archive is either the old one or the new one, the next run continues
//! where the killed one stopped, and in the end it has the same content as after a pull without a kill.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use bbdl::archive::{self, Archive, manifest::Manifest, verify::verify};
use serde_json::Value;

use super::kill::{Blow, Dice, Met, Moment, setting, strike, tell};
use crate::support::{
    Setting, Stage, assert_code, finished, lines, set_mode,
    slim::{Slim, lasting},
    text,
};

const CLAIMS: usize = 300;
const PAGE: usize = 50;
/// Each has its own mock and home.
const WORKERS: u64 = 3;
const EOB: &str = "ExplanationOfBenefit";

/// A way to pull, and its result without a kill.
struct Course {
    /// The archive at the beginning.
    before: Option<PathBuf>,
    json: bool,
    whole: Duration,
    kept: Kept,
    rows_before: usize,
}

/// The content of an archive, without what differs between two downloads of the same data.
#[derive(PartialEq)]
struct Kept {
    lines: Vec<String>,
    changes: Vec<Vec<String>>,
    pages: Vec<Vec<String>>,
    cursor: Option<jiff::Timestamp>,
    /// Added, updated, removed by all pulls together.
    counts: [u64; 3],
}

#[derive(Default)]
struct Tally {
    kills: AtomicU64,
    over: AtomicU64,
    stopped: AtomicU64,
    full: AtomicU64,
    incremental: AtomicU64,
    json: AtomicU64,
    in_commit: AtomicU64,
    new: AtomicU64,
    went_on: AtomicU64,
    pages_spared: AtomicU64,
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

#[test]
fn crash_a_killed_pull_leaves_the_old_archive_or_the_new_one() {
    let wanted = setting("BBDL_CRASH_KILLS", 200);
    let seed = setting("BBDL_CRASH_SEED", 20_261_123);
    let (tally, started) = (Tally::default(), Instant::now());
    let (tally_ref, next) = (&tally, AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let bench = Bench::new();
                while tally_ref.kills.load(Ordering::Relaxed) < wanted {
                    let point = next.fetch_add(1, Ordering::Relaxed);
                    assert!(point < 4 * wanted + 40, "most runs are over before they can be killed");
                    bench.survive(point, &mut Dice::new(seed, point), tally_ref);
                }
            });
        }
    });
    let [kills, over, stopped, full, incremental, json, in_commit, new, went_on, spared] = [
        &tally.kills,
        &tally.over,
        &tally.stopped,
        &tally.full,
        &tally.incremental,
        &tally.json,
        &tally.in_commit,
        &tally.new,
        &tally.went_on,
        &tally.pages_spared,
    ]
    .map(|counter| counter.load(Ordering::Relaxed));
    tell(&format!(
        "crash: {kills} kills of pulls survived (seed {seed}): {full} full, {incremental} incremental, {json} of them with Bundles; \
         {stopped} were asked to stop and did; {in_commit} fell into the commit, {new} found the new archive in place; \
         {went_on} runs went on where a killed one had stopped, {spared} pages were not fetched again; {over} runs were over before the kill; {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    assert!(kills >= wanted);
    // A few kills may all come at the same stage; many may not.
    if wanted >= 200 {
        assert!(
            full > wanted / 4 && incremental > wanted / 4 && json > 0 && (stopped > 0 || cfg!(windows)),
            "a lopsided draw"
        );
        assert!(in_commit > 0 && went_on > 0 && spared > went_on, "nothing of what matters was hit");
    }
}

struct Bench {
    stage: Stage,
    courses: Vec<Course>,
}

impl Bench {
    fn new() -> Self {
        let latency = Duration::from_millis(3);
        let stage = Stage::logged_in(Setting { latency, records: Some(Slim::of(CLAIMS)), ..Setting::default() });
        let bases = [false, true].map(|json| {
            let out = stage.home.path().join(format!("base-{json}"));
            assert_code(&finished(fetch(&stage, &out, json, 1)), 0, &["the first pull"]);
            out
        });
        stage.control("POST", "claims", r#"{"add": 120, "update": 60}"#);
        let mut courses = Vec::new();
        for before in [false, true] {
            for json in [false, true] {
                let before = before.then(|| bases[usize::from(json)].clone());
                let out = stage.home.path().join("reference");
                before.iter().for_each(|before| copy(before, &out));
                let rows_before = before.as_ref().map_or(0, |before| rows(before));
                let began = Instant::now();
                assert_code(&finished(fetch(&stage, &out, json, 1)), 0, &["the pull that is not killed"]);
                let whole = began.elapsed();
                let kept = Kept::read(&out);
                assert_eq!(kept.lines.len(), CLAIMS + 120);
                fs::remove_dir_all(&out).unwrap();
                courses.push(Course { before, json, whole, kept, rows_before });
            }
        }
        Self { stage, courses }
    }

    /// One archive: killed one to three times on its way, and checked each time.
    fn survive(&self, point: u64, dice: &mut Dice, tally: &Tally) {
        let course = &self.courses[usize::try_from(dice.below(4)).unwrap()];
        // If several pages were requested at the same time, no one outside knows which ones had come.
        let jobs = if point.is_multiple_of(2) { 1 } else { 4 };
        let stage = &self.stage;
        let out = stage.home.path().join(format!("out-{point}"));
        let said = stage.home.path().join(format!("said-{point}"));
        course.before.iter().for_each(|before| copy(before, &out));
        // Pages that are there by now and do not have to come again.
        let mut there = BTreeSet::new();
        let mut is_new = false;
        let mut whole = course.whole * 9 / 10;
        for _ in 0..=dice.below(3) {
            let (moment, blow) = (moment(dice, whole, &out), blow(dice));
            let what = format!("point {point}, {blow:?} {moment:?}");
            // The mock may log the last request of the killed run only now.
            stage.asked();
            let met = strike(&mut fetch(stage, &out, course.json, jobs), &said, &moment, blow);
            let asked = pages(&stage.asked());
            match met {
                Met::Over(code) => {
                    assert_eq!(code, 0, "{what}: {}", fs::read_to_string(&said).unwrap());
                    count(&tally.over, 1);
                    is_new = true;
                    break;
                }
                Met::Killed => {
                    // A signal to stop kills the process only before there is anything to stop.
                    assert!(blow == Blow::Kill || asked.is_empty(), "{what}: it did not listen");
                }
                Met::Stopped => count(&tally.stopped, 1),
            }
            // The next run has less to do.
            whole = whole * 3 / 4;
            count(&tally.kills, 1);
            count(if course.before.is_some() { &tally.incremental } else { &tally.full }, 1);
            count(&tally.json, usize::from(course.json));
            assert!(is_new || asked.is_disjoint(&there), "{what}: pages came twice: {asked:?}, {there:?}");
            is_new |= self.check(&out, course, dice.below(4) == 0, &what, tally);
            // A page that was requested before the next one had come.
            if jobs == 1 {
                there.extend(asked.iter().take(asked.len().saturating_sub(1)));
            }
        }
        stage.asked();
        let output = finished(fetch(stage, &out, course.json, jobs));
        let words = text(&output.stderr);
        assert_code(&output, 0, &[&format!("point {point}: the run after the kill")]);
        let asked = pages(&stage.asked());
        if !is_new {
            assert!(asked.is_disjoint(&there), "point {point}: pages came twice: {asked:?}, {there:?}");
            assert!(there.is_empty() || words.contains("continuing where an earlier run stopped"), "{point}: {words}");
            count(&tally.went_on, usize::from(!there.is_empty()));
            count(&tally.pages_spared, there.len());
        }
        let kept = Kept::read(&out);
        kept.must_be(&course.kept, &format!("point {point}, in the end"));
        assert!(verify(&out).unwrap().ok, "point {point}");
        nothing_is_left_over(&out, point);
        fs::remove_dir_all(&out).unwrap();
        fs::remove_file(&said).unwrap();
    }

    /// Checks that the archive is whole. Returns whether it is the new one.
    fn check(&self, out: &Path, course: &Course, with_the_binary: bool, what: &str, tally: &Tally) -> bool {
        if archive::has_unfinished_commit(out) {
            count(&tally.in_commit, 1);
        } else if !archive::is_one(out) {
            assert!(course.before.is_none(), "{what}: the archive is gone");
            return false;
        }
        if with_the_binary {
            let report = self.stage.expect_json(0, &["verify", &out.display().to_string(), "--json"]);
            assert_eq!(report["ok"], true, "{what}: {report}");
        } else if archive::has_unfinished_commit(out) {
            drop(Archive::open(out).unwrap());
        }
        let report = verify(out).unwrap();
        assert!(report.ok, "{what}: {:?}", report.problems);
        if rows(out) > course.rows_before {
            count(&tally.new, 1);
            Kept::read(out).must_be(&course.kept, what);
            return true;
        }
        let before = course.before.as_ref().unwrap();
        for file in ["ExplanationOfBenefit.ndjson", "manifest.json"] {
            assert!(fs::read(out.join(file)).unwrap() == fs::read(before.join(file)).unwrap(), "{what}: {file}");
        }
        false
    }
}

fn fetch(stage: &Stage, out: &Path, json: bool, jobs: u8) -> Command {
    let mut command = stage.bbdl(&["fetch", "eob", "--jobs", &jobs.to_string(), "--out"]);
    command.arg(out).args(if json { &["--format", "json"][..] } else { &[] });
    command
}

/// Any moment of a run, more often near its end, where the archive is replaced, and most often exactly then.
fn moment(dice: &mut Dice, whole: Duration, out: &Path) -> Moment {
    match dice.below(12) {
        0..=6 => Moment::After(dice.within(whole)),
        7 | 8 => Moment::After(whole * 6 / 10 + dice.within(whole * 4 / 10)),
        9 | 10 => Moment::OnceThere(out.join(".bbdl/stage/manifest.json"), dice.within(Duration::from_millis(8))),
        _ => Moment::OnceThere(out.join(".bbdl/commit.json"), dice.within(Duration::from_millis(1))),
    }
}

fn blow(dice: &mut Dice) -> Blow {
    match dice.below(8) {
        #[cfg(unix)]
        0 => Blow::Terminate,
        #[cfg(unix)]
        1 => Blow::Interrupt,
        _ => Blow::Kill,
    }
}

/// The numbers of the pages that were requested.
fn pages(asked: &[String]) -> BTreeSet<usize> {
    let number = |row: &String| {
        let (_, query) = row.split_once('?')?;
        let start = query.split(['&', ' ']).find_map(|pair| pair.strip_prefix("startIndex="));
        // A request for a single claim is not a page.
        (!query.contains("_count=1&") && !query.contains("_count=1 "))
            .then(|| start.map_or(0, |start| start.parse::<usize>().unwrap() / PAGE))
    };
    asked.iter().filter(|row| row.contains(EOB)).filter_map(number).collect()
}

fn rows(dir: &Path) -> usize {
    Manifest::load(dir).unwrap().map_or(0, |manifest| manifest.pulls.len())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    set_mode(to, 0o700);
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Lock and catalogs stay. All other temporary files are in place or gone.
fn nothing_is_left_over(out: &Path, point: u64) {
    let mut todo = vec![out.to_owned()];
    while let Some(dir) = todo.pop() {
        for path in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(out).unwrap().display().to_string().replace('\\', "/");
            assert!(!name.ends_with(".tmp"), "point {point}: {name}");
            let stays = name == ".bbdl/lock" || name.starts_with(".bbdl/catalog/");
            assert!(!path.is_file() || !name.starts_with(".bbdl/") || stays, "point {point}: {name}");
            if path.is_dir() {
                todo.push(path);
            }
        }
    }
}

impl Kept {
    fn read(dir: &Path) -> Self {
        let manifest = Manifest::load(dir).unwrap().unwrap();
        let ids: BTreeSet<&str> = manifest.pulls.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids.len(), manifest.pulls.len(), "two pulls have one id");
        assert!(manifest.pulls.is_sorted_by(|a, b| a.id < b.id), "pulls are out of order");
        let sum = |of: fn(&archive::manifest::PullRow) -> u64| manifest.pulls.iter().map(of).sum();
        let files = |name: &str| {
            let entries = fs::read_dir(dir.join(name)).into_iter().flatten();
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files
        };
        let bundle = |path: &PathBuf| {
            let bundle: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            let claim = |entry: &Value| lasting(&entry["resource"].to_string());
            bundle["entry"].as_array().unwrap().iter().map(claim).collect()
        };
        let claims = |path: &Path| lines(path).iter().map(|line| lasting(line)).collect();
        Self {
            lines: claims(&dir.join("ExplanationOfBenefit.ndjson")),
            changes: files("changes").iter().map(|path| claims(path)).collect(),
            pages: files("pages/ExplanationOfBenefit").iter().map(bundle).collect(),
            cursor: manifest.resources[EOB].cursor,
            counts: [sum(|row| row.added), sum(|row| row.updated), sum(|row| row.removed)],
        }
    }

    /// Names what differs. The content would fill the screen.
    fn must_be(&self, other: &Self, what: &str) {
        let sizes = |parts: &[Vec<String>]| parts.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(self.lines.len(), other.lines.len(), "{what}: claims");
        assert_eq!(sizes(&self.changes), sizes(&other.changes), "{what}: changes");
        assert_eq!(sizes(&self.pages), sizes(&other.pages), "{what}: pages");
        assert_eq!((self.cursor, self.counts), (other.cursor, other.counts), "{what}");
        assert!(self == other, "{what}: the same numbers and other content");
    }
}
