//! Pulls after the first: they bring only what is new, merged as if everything had been read again. Also, pulls that
//! continue where an earlier one stopped.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::support::{
    Setting, Stage, assert_code, finished, has_programs, ids, lines,
    needs::{is_root, root_to},
    started_by, text,
};
use serde_json::{Value, json};

/// One request at a time, because what happens to the third request has to happen to the third page.
const FETCH: [&str; 7] = ["fetch", "eob", "--out", "claims", "--json", "--jobs", "1"];
const FULL: [&str; 6] = ["fetch", "eob", "--out", "claims", "--json", "--full"];

fn stage(claims: usize) -> Stage {
    Stage::logged_in(Setting { claims, ..Setting::default() })
}

fn eob(result: &Value) -> &Value {
    &result["resources"]["ExplanationOfBenefit"]
}

/// `added`, `updated`, `unchanged`, `removed` and the mode.
fn counts(result: &Value) -> (u64, u64, u64, u64, &str) {
    let number = |name: &str| eob(result)[name].as_u64().unwrap();
    (number("added"), number("updated"), number("unchanged"), number("removed"), eob(result)["mode"].as_str().unwrap())
}

fn load(stage: &Stage, body: &Value) -> Value {
    stage.control("POST", "claims", &body.to_string())
}

/// The searches among the mock's requests since the last call.
fn searches(stage: &Stage) -> Vec<String> {
    stage.asked().into_iter().filter(|row| row.contains("/fhir/")).collect()
}

fn manifest(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap()
}

fn changes(stage: &Stage) -> Vec<PathBuf> {
    let entries = fs::read_dir(stage.out().join("changes")).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The lines of a file without what differs in every answer.
fn settled(path: &Path) -> Vec<String> {
    let without_created = |line: &String| {
        let mut claim: Value = serde_json::from_str(line).unwrap();
        claim.as_object_mut().unwrap().remove("created").unwrap();
        claim.to_string()
    };
    lines(path).iter().map(without_created).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Checks that the archive is sound, and has what a full pull into another directory brings.
fn is_all_there(stage: &Stage) {
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
    let fresh = stage.home.path().join("fresh");
    let _ = fs::remove_dir_all(&fresh);
    stage.expect(0, &["fetch", "eob", "--out", "fresh", "-q"]);
    let file = "ExplanationOfBenefit.ndjson";
    assert_eq!(sorted(settled(&stage.out().join(file))), sorted(settled(&fresh.join(file))));
}

#[test]
fn a_pull_without_news_sends_one_small_request_and_changes_no_data() {
    let stage = stage(2000);
    assert_eq!(counts(&stage.expect_json(0, &FETCH)), (2000, 0, 0, 0, "full"));
    let before = fs::metadata(stage.out().join("ExplanationOfBenefit.ndjson")).unwrap();
    stage.asked();
    let result = stage.expect_json(0, &FETCH);
    assert_eq!(counts(&result), (0, 0, 2000, 0, "incremental"));
    let asked = searches(&stage);
    assert!(asked.len() <= 2, "{asked:?}");
    assert!(asked[0].contains("_lastUpdated=ge2026-11-13T09:00:00.000Z"), "{asked:?}");
    let after = fs::metadata(stage.out().join("ExplanationOfBenefit.ndjson")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&before), std::os::unix::fs::MetadataExt::ino(&after));
    assert!(changes(&stage).is_empty());
    assert_eq!(manifest(&stage.out())["pulls"].as_array().unwrap().len(), 2);
}

#[test]
fn an_increment_downloads_only_new_and_changed_claims() {
    let stage = stage(400);
    stage.expect(0, &FETCH);
    let file = stage.out().join("ExplanationOfBenefit.ndjson");
    let before = lines(&file);
    let done = load(&stage, &json!({"add": 3, "update": 1}));
    stage.asked();
    let result = stage.expect_json(0, &FETCH);
    assert_eq!(counts(&result), (3, 1, 399, 0, "incremental"));
    assert_eq!(eob(&result)["count"], 403);
    assert_eq!(searches(&stage).len(), 1);
    // The changed claim is in its old place, the new ones are at the end, and everything else is the same byte for
    // byte.
    let after = lines(&file);
    let changed = done["updated"][0].as_str().unwrap();
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old != new, new.contains(changed));
    }
    let added: Vec<String> = ids(&after[400..]);
    let wanted: Vec<&str> = done["added"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(sorted(added), sorted(wanted.into_iter().map(str::to_owned).collect()));
    // `changes/` has these four, and the manifest says so.
    let files = changes(&stage);
    assert_eq!(files.len(), 1);
    assert_eq!(lines(&files[0]).len(), 4);
    let row = &manifest(&stage.out())["pulls"][1];
    assert!(files[0].ends_with(row["changes"].as_str().unwrap()));
    is_all_there(&stage);
    // Again: nothing new.
    assert_eq!(counts(&stage.expect_json(0, &FETCH)), (0, 0, 403, 0, "incremental"));
}

/// Otherwise, a power failure could bring the note of the commit back, and it would move what the next pull has begun
/// to write.
#[test]
fn the_note_of_a_commit_is_off_the_disk_when_a_pull_ends() {
    if !has_programs(&["strace"]) {
        return;
    }
    // bbdl does not let anyone else read its memory, where the names are.
    if !is_root() {
        return root_to("read the arguments of bbdl's system calls");
    }
    let stage = stage(3);
    stage.expect(0, &FETCH);
    stage.control("POST", "claims", r#"{"add":1}"#);
    let traced = ["strace", "-f", "-y", "-e", "trace=unlink,unlinkat,fsync", "-o", "trace"];
    assert_code(&finished(started_by(&traced, &stage.bbdl(&FETCH))), 0, &FETCH);
    let trace = fs::read_to_string(stage.home.path().join("trace")).unwrap();
    let mut after = trace.lines().skip_while(|line| !(line.contains("unlink") && line.contains("commit.json")));
    assert!(after.next().is_some(), "{trace}");
    assert!(after.any(|line| line.contains("fsync(") && line.contains("/.bbdl>")), "{trace}");
}

#[test]
fn the_cursor_is_the_servers_and_only_moves_forward() {
    let stage = stage(100);
    let cursor = || manifest(&stage.out())["resources"]["ExplanationOfBenefit"]["cursor"].as_str().unwrap().to_owned();
    stage.expect(0, &FETCH);
    assert_eq!(cursor(), "2026-11-16T09:00:00Z");
    // A load that the server dates, independent of this machine's clock.
    load(&stage, &json!({"add": 1, "at": "2026-11-20T07:08:09.010Z"}));
    stage.expect(0, &FETCH);
    assert_eq!(cursor(), "2026-11-20T07:08:09.01Z");
    // A claim that became visible late, with a date from before the cursor but within the overlap.
    load(&stage, &json!({"add": 1, "at": "2026-11-18T00:00:00Z"}));
    assert_eq!(counts(&stage.expect_json(0, &FETCH)), (1, 0, 101, 0, "incremental"));
    assert_eq!(cursor(), "2026-11-20T07:08:09.01Z");
    is_all_there(&stage);
}

/// No load is later than the server's own clock. A cursor that is later would make every increment blind.
#[test]
fn a_claim_dated_in_the_future_does_not_hide_what_comes_after_it() {
    for api in ["v2", "v3"] {
        let stage = Stage::with(Setting { claims: 30, ..Setting::default() });
        stage.log_in(&["--api", api]);
        load(&stage, &json!({"add": 1, "at": "2062-01-01T00:00:00Z"}));
        stage.expect(0, &FETCH);
        let hours_ago = |hours: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours)).to_string();
        load(&stage, &json!({"add": 2, "at": hours_ago(2)}));
        assert_eq!(eob(&stage.expect_json(0, &FETCH))["added"], 2, "{api}");
        // An archive with such a cursor, from a bbdl that believed the date.
        let path = stage.out().join("manifest.json");
        let mut kept = manifest(&stage.out());
        kept["resources"]["ExplanationOfBenefit"]["cursor"] = json!("2062-01-01T00:00:00Z");
        fs::write(&path, kept.to_string()).unwrap();
        load(&stage, &json!({"add": 1, "at": hours_ago(1)}));
        let result = stage.expect_json(0, &FETCH);
        assert_eq!((&eob(&result)["added"], &eob(&result)["mode"]), (&json!(1), &json!("full")), "{api}");
        assert_eq!(eob(&stage.expect_json(0, &FETCH))["mode"], "incremental", "{api}");
        is_all_there(&stage);
    }
}

/// API v1 and v2 also give an empty answer when they fail. It must not be believed and must not move the cursor.
#[test]
fn an_outage_is_not_taken_for_nothing_new() {
    let stage = stage(100);
    stage.expect(0, &FETCH);
    load(&stage, &json!({"add": 2}));
    let before = fs::read(stage.out().join("manifest.json")).unwrap();
    stage.faults(&["empty@ExplanationOfBenefit"]);
    let result = stage.expect_json(75, &[&FETCH[..], &["--retry", "2"]].concat());
    assert_eq!(result["error"]["kind"], "outage");
    assert_eq!(fs::read(stage.out().join("manifest.json")).unwrap(), before);
    // A failure that ends between two requests costs one more request.
    stage.faults(&["empty@ExplanationOfBenefit#1"]);
    assert_eq!(counts(&stage.expect_json(0, &FETCH)), (2, 0, 100, 0, "incremental"));
    is_all_there(&stage);
}

#[test]
fn a_full_pull_finds_what_the_server_no_longer_has() {
    let stage = stage(120);
    stage.expect(0, &FETCH);
    let done = load(&stage, &json!({"remove": 2, "update": 1}));
    assert_eq!(counts(&stage.expect_json(0, &FETCH)), (0, 1, 119, 0, "incremental"));
    assert_eq!(counts(&stage.expect_json(0, &FULL)), (0, 0, 118, 2, "full"));
    let removed = changes(&stage).into_iter().find(|path| path.to_str().unwrap().contains("removed")).unwrap();
    let gone: Vec<String> = done["removed"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().into()).collect();
    assert_eq!(sorted(ids(&lines(&removed))), sorted(gone));
    is_all_there(&stage);
    assert_eq!(counts(&stage.expect_json(0, &FETCH)), (0, 0, 118, 0, "incremental"));
}

#[test]
fn filters_work_with_increments_and_a_given_bound_makes_a_pull_full() {
    let stage = stage(200);
    let pde = ["fetch", "eob", "--out", "claims", "--json", "--type", "pde"];
    let first = stage.expect_json(0, &pde);
    load(&stage, &json!({"add": 20}));
    stage.asked();
    let second = stage.expect_json(0, &pde);
    let asked = searches(&stage);
    assert!(asked.iter().all(|row| row.contains("type=pde") && row.contains("_lastUpdated=ge")), "{asked:?}");
    assert_eq!(counts(&second).4, "incremental");
    assert!(eob(&second)["added"].as_u64().unwrap() > 0);
    assert!(ids(&stage.lines("ExplanationOfBenefit.ndjson")).iter().all(|id| id.starts_with("pde-")));
    assert!(eob(&first)["count"].as_u64().unwrap() < eob(&second)["count"].as_u64().unwrap());

    let bounded = ["fetch", "eob", "--out", "bounded", "--json", "--last-updated", "ge2024-01-01"];
    stage.expect_json(0, &bounded);
    assert_eq!(counts(&stage.expect_json(0, &bounded)).4, "full");
}

#[test]
fn a_new_log_in_of_the_same_person_keeps_archive_and_cursor() {
    let stage = stage(100);
    stage.expect(0, &FETCH);
    stage.log_in(&[]);
    load(&stage, &json!({"add": 1}));
    assert_eq!(counts(&stage.expect_json(0, &FETCH)), (1, 0, 100, 0, "incremental"));
    let profile = &stage.expect_json(0, &["status", "--json"])["profiles"][0];
    assert_eq!(profile["archives"][0]["count"], 101);
    // Another person's claims are noticed before anything is written, or even requested.
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--replace"]);
    let before = fs::read(stage.out().join("manifest.json")).unwrap();
    stage.asked();
    assert_eq!(stage.expect_json(65, &FETCH)["error"]["kind"], "other_enrollee");
    assert!(searches(&stage).is_empty());
    assert_eq!(fs::read(stage.out().join("manifest.json")).unwrap(), before);
}

#[test]
fn pages_of_an_increment_are_numbered_after_the_others() {
    let stage = stage(120);
    let fetch = ["fetch", "eob", "--out", "claims", "--json", "--format", "json"];
    stage.expect(0, &fetch);
    let pages = || {
        let entries = fs::read_dir(stage.out().join("pages/ExplanationOfBenefit")).into_iter().flatten();
        sorted(entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
    };
    assert_eq!(pages().len(), 3);
    stage.expect(0, &fetch);
    assert_eq!(pages().len(), 3, "nothing new");
    load(&stage, &json!({"add": 2}));
    assert_eq!(counts(&stage.expect_json(0, &fetch)).4, "incremental");
    assert_eq!(pages(), ["0001.json", "0002.json", "0003.json", "0004.json"]);
    // A pull that keeps no Bundles removes the old ones, and the next pull with Bundles starts again.
    load(&stage, &json!({"add": 2}));
    stage.expect(0, &FETCH);
    assert!(pages().is_empty());
    assert_eq!(counts(&stage.expect_json(0, &fetch)).4, "full");
    assert_eq!(pages().len(), 3);
}

/// A pull that ends at its third page. The next one asks for what is missing.
fn cut_short(stage: &Stage, more: &[&str]) {
    stage.faults(&["status=503@ExplanationOfBenefit+2"]);
    let result = stage.expect_json(75, &[&FETCH[..], &["--retry", "0"], more].concat());
    assert!(result["error"]["message"].as_str().unwrap().contains("100 of"), "{result}");
    stage.faults(&[]);
    stage.asked();
}

#[test]
fn a_pull_goes_on_where_the_last_one_stopped() {
    for more in [&[][..], &["--format", "json"]] {
        let stage = stage(300);
        cut_short(&stage, more);
        let output = stage.run(&[&FETCH[..], more].concat());
        assert_code(&output, 0, &[]);
        let said = text(&output.stderr);
        assert!(
            said.contains("continuing where an earlier run stopped, with 100 resources from 2 of its pages"),
            "{said}"
        );
        let asked = searches(&stage);
        assert_eq!(asked.len(), 4, "{asked:?}");
        assert!(asked[0].contains("startIndex=100"), "{asked:?}");
        is_all_there(&stage);
        let mut expected = settled(&stage.home.path().join("fresh/ExplanationOfBenefit.ndjson"));
        assert_eq!(settled(&stage.out().join("ExplanationOfBenefit.ndjson")), expected, "in the server's order");
        if !more.is_empty() {
            let pages = fs::read_dir(stage.out().join("pages/ExplanationOfBenefit")).unwrap().count();
            assert_eq!(pages, 6);
        }
        // The next one is an increment from the time of the first page, so nothing is lost in between.
        load(&stage, &json!({"add": 1}));
        assert_eq!(counts(&stage.expect_json(0, &FETCH)), (1, 0, 300, 0, "incremental"));
        expected.clear();
    }
}

#[test]
fn a_partial_pull_that_no_longer_fits_starts_again() {
    // The set has grown in the meantime, so the pages that are here may not fit those that follow.
    let stage = stage(300);
    cut_short(&stage, &[]);
    load(&stage, &json!({"add": 2}));
    let output = stage.run(&FETCH);
    assert_code(&output, 0, &[]);
    assert!(text(&output.stderr).contains("changed on the server since"), "{}", text(&output.stderr));
    is_all_there(&stage);
    // A different question is a different pull.
    for other in [&["--page-size", "40"][..], &["--type", "carrier"], &["--format", "json"]] {
        let stage = self::stage(300);
        cut_short(&stage, &[]);
        let output = stage.run(&[&FETCH[..], other].concat());
        assert_code(&output, 0, other);
        assert!(!text(&output.stderr).contains("continuing where"), "{other:?}");
    }
    // Another person's unfinished pull is not continued.
    let stage = self::stage(300);
    cut_short(&stage, &[]);
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--replace"]);
    let output = stage.run(&FETCH);
    assert_code(&output, 0, &[]);
    assert!(!text(&output.stderr).contains("continuing where"));
    is_all_there(&stage);
}

#[test]
fn a_partial_pull_of_another_person_is_recognized_by_its_claims() {
    let stage = Stage::with(Setting { claims: 300, faults: &["no-patient@o/token"], ..Setting::default() });
    stage.log_in(&["--scope", "patient/ExplanationOfBenefit.read"]);
    cut_short(&stage, &[]);
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.faults(&["no-patient@o/token"]);
    stage.log_in(&["--scope", "patient/ExplanationOfBenefit.read"]);
    let output = stage.run(&FETCH);
    assert_code(&output, 0, &[]);
    assert!(text(&output.stderr).contains("do not fit"), "{}", text(&output.stderr));
    is_all_there(&stage);
}

#[test]
fn an_interrupted_increment_continues() {
    let stage = stage(100);
    stage.expect(0, &FETCH);
    load(&stage, &json!({"add": 180, "update": 20}));
    cut_short(&stage, &[]);
    let result = stage.expect_json(0, &FETCH);
    assert_eq!(counts(&result), (180, 20, 80, 0, "incremental"));
    let asked = searches(&stage);
    assert!(
        asked[0].contains("startIndex=100") && asked.iter().all(|row| row.contains("_lastUpdated=ge")),
        "{asked:?}"
    );
    is_all_there(&stage);
}

#[test]
fn claims_that_move_between_pages_are_there_once_and_in_their_newest_form() {
    let stage = Stage::logged_in(Setting { claims: 300, latency: Duration::from_millis(20), ..Setting::default() });
    stage.expect(0, &FETCH);
    std::thread::scope(|scope| {
        // Loads happen while pulls run.
        let loading = scope.spawn(|| {
            for _ in 0..8 {
                load(&stage, &json!({"add": 40, "update": 5}));
                std::thread::yield_now();
            }
        });
        while !loading.is_finished() {
            let output = stage.run(&FETCH);
            assert!(matches!(output.status.code(), Some(0 | 75)), "{}", text(&output.stderr));
        }
    });
    stage.expect(0, &FETCH);
    is_all_there(&stage);
}

/// What a server may do between two pulls.
#[derive(Clone, Debug)]
enum Step {
    Load { add: usize, update: usize },
    Remove(usize),
    Pull,
    Full,
    CutShort,
}

#[test]
fn any_series_of_pulls_ends_like_one_full_pull() {
    use proptest::{
        prelude::*,
        test_runner::{Config, TestRunner},
    };
    let step = prop_oneof![
        4 => (0usize..60, 0usize..10).prop_map(|(add, update)| Step::Load { add, update }),
        1 => (1usize..5).prop_map(Step::Remove),
        4 => Just(Step::Pull),
        1 => Just(Step::Full),
        2 => Just(Step::CutShort),
    ];
    let config = Config { cases: 12, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    let history = proptest::collection::vec(step, 1..9);
    TestRunner::new(config)
        .run(&history, |history| {
            let stage = stage(60);
            let mut removed = false;
            for step in &history {
                match step {
                    Step::Load { add, update } => {
                        load(&stage, &json!({"add": add, "update": update}));
                    }
                    Step::Remove(number) => {
                        removed = true;
                        load(&stage, &json!({"remove": number}));
                    }
                    Step::Pull => {
                        stage.expect(0, &FETCH);
                    }
                    Step::Full => {
                        stage.expect(0, &FULL);
                        removed = false;
                    }
                    Step::CutShort => {
                        stage.faults(&["status=503@ExplanationOfBenefit#1+1"]);
                        let code = stage.run(&[&FETCH[..], &["--retry", "0"]].concat()).status.code();
                        prop_assert!(matches!(code, Some(0 | 75)));
                        stage.faults(&[]);
                    }
                }
            }
            // Only a full pull can know what is gone.
            stage.expect(0, if removed { &FULL[..] } else { &FETCH });
            is_all_there(&stage);
            Ok(())
        })
        .unwrap();
}

/// What comes again is compared with the catalog beside the file. If the file was written to since, it is read.
#[test]
fn a_pull_without_news_reads_the_file_only_if_it_was_changed() {
    let stage = Stage::logged_in(Setting { claims: 60, ..Setting::default() });
    let fetch = ["fetch", "eob", "--out", "claims", "--json"];
    // Loaded so recently that it comes again with every pull.
    load(&stage, &json!({"update": 1}));
    stage.expect(0, &fetch);
    let file = stage.out().join("ExplanationOfBenefit.ndjson");
    let (bytes, changed) = (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().modified().unwrap());
    let write = |bytes: &[u8], at| {
        fs::write(&file, bytes).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(at).unwrap();
    };
    let later = changed + Duration::from_secs(1);

    // Damage that does not show is not looked for; `verify` does that.
    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    write(&damaged, changed);
    let row = stage.expect_json(0, &fetch)["resources"]["ExplanationOfBenefit"].clone();
    assert_eq!((&row["mode"], &row["unchanged"]), (&json!("incremental"), &json!(60)));
    assert!(stage.asked().iter().any(|row| row.contains("_lastUpdated")), "it asked for what is new");
    assert_eq!(stage.expect_json(65, &["verify", "claims", "--json"])["ok"], false);
    write(&damaged, later);
    stage.expect(65, &fetch);

    // A file that was restored from a backup is read once, and then has a catalog again.
    write(&bytes, later);
    let catalog = stage.out().join(".bbdl/catalog/ExplanationOfBenefit");
    let before = fs::read(&catalog).unwrap();
    stage.expect(0, &fetch);
    assert_ne!(fs::read(&catalog).unwrap(), before);
    write(&damaged, later);
    stage.expect(0, &fetch);
    // New claims are never merged into a damaged file.
    load(&stage, &json!({"add": 1}));
    stage.expect(65, &fetch);
    write(&bytes, later);
    assert_eq!(stage.expect_json(0, &fetch)["resources"]["ExplanationOfBenefit"]["added"], 1);
    write(&fs::read(&file).unwrap(), later);
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
}
