//! A nightly run over many enrollees: who is due, in what order, until when, and what is reported.

use std::{fs, path::Path, time::Duration};

use bluebutton_mock::population::Population;
use serde_json::{Value, json};

use crate::support::{Running, Setting, Stage, assert_code, has_programs, lines, started_by, text};

const NIGHT: [&str; 6] = ["fetch", "eob", "--all-profiles", "--out", "study", "--json"];

/// Logs this many people in: p0, p1, …
fn study(people: usize, setting: Setting) -> Stage {
    let records = Some(Box::new(Population::new(7, people, 5)) as Box<_>);
    let stage = Stage::with(Setting { records, ..setting });
    for person in 0..people {
        stage.control("POST", "consent", &json!({ "enrollee": person }).to_string());
        stage.log_in(&["--profile", &format!("p{person}")]);
    }
    stage
}

/// Ends the person's consent for this machine, because another machine has a newer one.
fn end_log_in(stage: &Stage, person: usize) {
    stage.control("POST", "consent", &json!({ "enrollee": person }).to_string());
    stage.log_in_elsewhere(&[]);
}

fn night(stage: &Stage, code: i32, more: &[&str]) -> Value {
    stage.expect_json(code, &[&NIGHT[..], more].concat())["run"].clone()
}

/// The profiles in a file of results, in their order.
fn told(stage: &Stage, file: &str) -> Vec<String> {
    rows(&stage.home.path().join(file)).iter().map(|row| row["profile"].as_str().unwrap().to_owned()).collect()
}

fn rows(file: &Path) -> Vec<Value> {
    lines(file).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn recently_pulled_profiles_are_skipped_and_the_oldest_come_first() {
    let stage = study(3, Setting::default());
    for name in ["p2", "p0"] {
        stage.expect(0, &["fetch", "eob", "--profile", name, "--out", &format!("study/{name}")]);
    }
    let run = night(&stage, 0, &["--results", "first", "--stale-after", "1h"]);
    assert_eq!((&run["due"], &run["fresh"]), (&json!(1), &json!(2)));
    assert_eq!(told(&stage, "first"), ["p1"]);
    night(&stage, 0, &["--results", "second", "--stale-after", "0s"]);
    assert_eq!(told(&stage, "second"), ["p2", "p0", "p1"]);
    // No one is due, and that is not a failure.
    stage.asked();
    let run = night(&stage, 0, &["--stale-after", "7d", "--for", "0"]);
    assert_eq!((&run["due"], &run["left"], stage.asked().len()), (&json!(0), &json!(0), 0));
    // A resource that was not asked for is not fresh. Neither is an increment if everything is wanted.
    assert_eq!(night(&stage, 0, &["--stale-after", "7d", "--full"])["due"], 3);
    let patients = ["fetch", "patient", "--all-profiles", "--out", "study", "--json", "--stale-after", "7d"];
    assert_eq!(stage.expect_json(0, &patients)["run"]["due"], 3);
    // A home without notes of last pulls: the record says when, as in 0.1.0.
    fs::remove_dir_all(stage.home.path().join("pulls")).unwrap();
    assert_eq!(night(&stage, 0, &["--stale-after", "7d"])["due"], 0);
    let status = stage.expect_json(0, &["status", "--json"]);
    assert!(status["profiles"][0]["archives"][0]["last_pull"].is_string(), "{status}");
}

#[test]
fn no_profile_is_started_after_the_time_is_up() {
    let stage = study(2, Setting::default());
    let output = stage.run(&[&NIGHT[..5], &["--for", "0s"]].concat());
    assert_code(&output, 75, &["--for"]);
    assert!(text(&output.stderr).contains("2 left"), "{}", text(&output.stderr));
    assert!(!stage.home.path().join("study").exists());
    assert_eq!(night(&stage, 0, &["--for", "1h"])["succeeded"], 2);
    stage.expect(2, &["fetch", "eob", "--out", "x", "--for", "1h"]);
}

#[test]
fn shards_share_the_profiles() {
    let stage = study(4, Setting::default());
    for shard in ["0/2", "1/2"] {
        night(&stage, 0, &["--shard", shard, "--results", "results"]);
    }
    let mut told = told(&stage, "results");
    assert!(rows(&stage.home.path().join("results")).iter().all(|row| row["shard"].is_string()));
    told.sort();
    assert_eq!(told, ["p0", "p1", "p2", "p3"]);
    for bad in ["2/2", "1", "-1/2"] {
        stage.expect(2, &[&NIGHT[..], &[&format!("--shard={bad}")]].concat());
    }
}

#[test]
fn each_enrollee_has_a_row_and_the_run_has_metrics() {
    let stage = study(3, Setting::default());
    end_log_in(&stage, 1);
    fs::write(stage.home.path().join("results"), "{\"cut\":").unwrap();
    let run = night(&stage, 77, &["--results", "results", "--metrics", "bbdl.prom", "--jobs", "2"]);
    let rows = lines(&stage.home.path().join("results"));
    assert_eq!((rows.len(), rows[0].as_str()), (4, "{\"cut\":"));
    let rows: Vec<Value> = rows[1..].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = |name: &str| rows.iter().find(|row| row["profile"] == name).unwrap();
    assert_eq!(row("p0")["resources"]["ExplanationOfBenefit"]["count"], 5);
    assert!(row("p0")["requests"].as_u64() > Some(0) && row("p0")["bytes"].as_u64() > Some(0), "{}", row("p0"));
    let failed = row("p1");
    assert_eq!((&failed["ok"], &failed["exit_code"], &failed["resources"]), (&json!(false), &json!(77), &json!({})));
    assert_eq!(failed["kind"], "refresh_token", "{failed}");
    assert!(row("p2").get("kind").is_none() && row("p2")["started"].as_str() < row("p2")["finished"].as_str());
    let sum: u64 = rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum();
    assert_eq!(run["requests"], sum);
    let metrics = fs::read_to_string(stage.home.path().join("bbdl.prom")).unwrap();
    for line in [
        "bbdl_run_enrollees{state=\"succeeded\"} 2",
        "bbdl_run_failures{kind=\"refresh_token\",exit_code=\"77\"} 1",
        &format!("bbdl_run_requests {sum}"),
        "bbdl_run_exit_code 77",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
    // The collector runs as another user.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        night(&stage, 77, &["--metrics", "node/exporter/bbdl.prom"]);
        let mode = |path: &str| fs::metadata(stage.home.path().join(path)).unwrap().permissions().mode();
        assert_eq!(mode("node") & 0o777, 0o755);
        assert_eq!(mode("node/exporter") & 0o777, 0o755);
        assert_eq!(mode("node/exporter/bbdl.prom") & 0o777, 0o644);
    }
    // A file that cannot be written is reported before any request.
    stage.asked();
    stage.expect(2, &[&NIGHT[..], &["--results", "."]].concat());
    stage.expect(74, &[&NIGHT[..], &["--metrics", "no/such/../."]].concat());
    assert_eq!(stage.asked(), [""; 0]);
}

#[test]
fn tolerated_failures_do_not_fail_the_run() {
    let stage = study(2, Setting::default());
    end_log_in(&stage, 0);
    for (tolerate, code) in [(&[][..], 77), (&["77"], 0), (&["75"], 77), (&["50%"], 0), (&["49%"], 77)] {
        let options: Vec<&str> = tolerate.iter().flat_map(|it| ["--tolerate", it]).collect();
        assert_eq!(night(&stage, code, &options)["failed"], 1, "{tolerate:?}");
    }
    // Tolerating a withdrawn consent does not hide an outage.
    stage.faults(&["status=503@ExplanationOfBenefit"]);
    assert_eq!(night(&stage, 75, &["--tolerate", "77", "--retry", "0"])["failed"], 2);
    stage.expect(2, &[&NIGHT[..], &["--tolerate", "130"]].concat());
}

/// Waits until a file has this many lines.
fn until_lines(file: &Path, number: usize) {
    let what = format!("{} has {number} lines", file.display());
    crate::support::until(&what, || fs::read_to_string(file).unwrap_or_default().lines().count() >= number);
}

#[test]
fn a_killed_run_continues_and_fetches_nobody_twice() {
    let stage = study(4, Setting { latency: Duration::from_millis(100), ..Setting::default() });
    let results = stage.home.path().join("results");
    let night_of =
        |more: &[&str]| stage.bbdl(&[&NIGHT[..], &["--stale-after", "1h", "--results", "results"], more].concat());
    let killed = Running::start(night_of(&["--jobs", "1"]));
    until_lines(&results, 2);
    killed.kill();
    let before = told(&stage, "results");
    let output = crate::support::finished(night_of(&[]));
    assert_code(&output, 0, &["the second night"]);
    let mut all = told(&stage, "results");
    // The last one may have been killed between its row and its note. Then it has two rows.
    let (last, noted) = before.split_last().unwrap();
    assert!(all[before.len()..].iter().all(|name| !noted.contains(name)), "{all:?}");
    assert!(all[before.len()..].iter().filter(|name| *name == last).count() <= 1, "{all:?}");
    all.sort();
    all.dedup();
    assert_eq!(all, ["p0", "p1", "p2", "p3"]);
}

/// Makes every access token expire, in this machine's records.
fn expire_tokens(stage: &Stage, people: usize) {
    for person in 0..people {
        expire_token(&stage.home.path().join(format!("tokens/p{person}.json")));
    }
}

fn expire_token(file: &Path) {
    let mut record: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    record["access_token_expires"] = json!("2020-01-01T00:00:00Z");
    fs::write(file, record.to_string()).unwrap();
}

#[test]
fn one_good_health_answer_serves_the_renewals_of_all() {
    let stage = study(4, Setting::default());
    expire_tokens(&stage, 4);
    stage.asked();
    assert_eq!(night(&stage, 0, &["--renewals", "1", "--jobs", "4"])["succeeded"], 4);
    let asked = stage.asked();
    let number = |what: &str| asked.iter().filter(|row| row.contains(what)).count();
    assert_eq!((number("/health/"), number("/o/token/")), (1, 4), "{asked:?}");
    // A renewal that fails casts doubt on the back end, so the next one asks again.
    expire_tokens(&stage, 4);
    stage.faults(&["status=503@/o/token/#1"]);
    let failed = night(&stage, 75, &["--renewals", "1", "--jobs", "4", "--retry", "0"])["failed"].clone();
    let asked = stage.asked();
    assert_eq!((failed, asked.iter().filter(|row| row.contains("/health/")).count()), (json!(1), 2), "{asked:?}");
    stage.expect(2, &[&NIGHT[..], &["--renewals", "0"]].concat());
}

/// A study of imported people whose log-ins all have to be renewed first: `p0000`, `p0001`, …
fn imported(people: usize, setting: Setting) -> Stage {
    let records = Some(Box::new(Population::new(7, people, 2)) as Box<_>);
    let stage = Stage::with(Setting { records, ..setting });
    let consents = crate::support::http("POST", &format!("{}/__mock/consents", stage.mock.url()), &[], "");
    let rows = consents.body.lines().enumerate().map(|(number, row)| {
        let mut row: Value = serde_json::from_str(row).unwrap();
        row["name"] = format!("p{number:04}").into();
        let fields = row.as_object_mut().unwrap();
        fields.remove("access_token");
        fields.remove("access_token_expires");
        row.to_string() + "\n"
    });
    let file = stage.home.path().join("rows");
    fs::write(&file, rows.collect::<String>()).unwrap();
    crate::support::private(&file);
    stage.expect(0, &["profiles", "import", "rows"]);
    stage
}

/// How many renewals are running: each one has a place for its answer.
fn renewals_under_way(stage: &Stage) -> usize {
    let names = fs::read_dir(stage.home.path().join("tokens")).unwrap().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".next")).count()
}

/// The server has replaced the tokens long before its answer comes.
const LATE: &str = "late=400@/o/token/";
const SIXTEEN: [&str; 4] = ["--renewals", "16", "--jobs", "16"];

/// A run with 16 renewals at once, which gets this signal when at least half of them are running.
#[cfg(unix)]
fn stopped_while_renewing(stage: &Stage, with: crate::support::Signal) -> (Option<i32>, usize) {
    let running = Running::start(stage.bbdl(&[&NIGHT[..], &SIXTEEN].concat()));
    crate::support::until("eight renewals are under way", || renewals_under_way(stage) >= 8);
    crate::support::signal(running.id(), with);
    let code = running.finish().status.code();
    (code, renewals_under_way(stage))
}

#[cfg(unix)]
#[test]
fn a_night_that_is_asked_to_stop_stores_all_renewals_under_way() {
    let stage = imported(60, Setting::default());
    stage.faults(&[LATE]);
    let (code, under_way) = stopped_while_renewing(&stage, crate::support::Signal::TERM);
    assert_eq!((code, under_way), (Some(130), 0));
    assert_eq!(night(&stage, 0, &SIXTEEN)["succeeded"], 60);
}

#[cfg(unix)]
#[test]
fn nights_that_are_killed_lose_no_more_consents_than_renewals_under_way() {
    const PEOPLE: usize = 60;
    let stage = imported(PEOPLE, Setting::default());
    stage.faults(&[LATE]);
    let (mut lost, mut in_flight) = (0, 0);
    for _ in 0..3 {
        let (code, under_way) = stopped_while_renewing(&stage, crate::support::Signal::KILL);
        assert!(code.is_none() && under_way >= 8, "{under_way}");
        in_flight += under_way as u64;
        let output = stage.run(&[&NIGHT[..], &SIXTEEN].concat());
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let kinds = told["profiles"].as_array().unwrap().iter().filter_map(|row| row["error"]["kind"].as_str());
        assert!(kinds.into_iter().all(|kind| kind == "lost_by_us"), "nobody withdrew: {told}");
        lost = told["run"]["failed"].as_u64().unwrap();
        assert_eq!(told["run"]["succeeded"], PEOPLE as u64 - lost, "{told}");
        stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
        for entry in fs::read_dir(stage.home.path().join("tokens")).unwrap().flatten() {
            expire_token(&entry.path());
        }
    }
    crate::support::tell(&format!("files: 3 nights killed, {in_flight} renewals in flight, {lost} consents lost"));
    assert!(lost <= in_flight, "{lost} lost, {in_flight} in flight");
}

/// A pull that brings nothing new waits only for the manifest: its content and its name.
#[test]
fn a_pull_without_news_syncs_twice() {
    if !has_programs(&["strace"]) {
        return;
    }
    let stage = study(1, Setting::default());
    night(&stage, 0, &[]);
    let counted = |more: &[&str]| {
        let inner = stage.bbdl(&[&NIGHT[..], more].concat());
        let traced = ["strace", "-f", "-e", "trace=fsync,fdatasync,syncfs,sync", "-o", "trace"];
        assert_code(&crate::support::finished(started_by(&traced, &inner)), 0, more);
        let trace = fs::read_to_string(stage.home.path().join("trace")).unwrap();
        trace.lines().filter(|line| line.contains("sync(")).count()
    };
    assert_eq!(counted(&[]), 2);
    // A renewal syncs the place for the answer and its name, the answer, and the profile's record and its name.
    expire_tokens(&stage, 1);
    assert_eq!(counted(&[]), 2 + 5);
}

#[test]
fn a_profile_that_is_removed_meanwhile_is_skipped() {
    let stage = study(2, Setting::default());
    stage.asked();
    // The first enrollee's search is repeated after five seconds. Until then, the second enrollee is not begun.
    stage.faults(&["hang@ExplanationOfBenefit#1"]);
    let options = ["--jobs", "1", "--timeout", "5s", "--results", "results"];
    let running = Running::start(stage.bbdl(&[&NIGHT[..], &options].concat()));
    let searches = || stage.requests_for("/v2/fhir/ExplanationOfBenefit");
    crate::support::until("the first search hangs", || searches() > 0);
    stage.expect(0, &["profiles", "remove", "p1", "--yes"]);
    let output = running.finish();
    assert_code(&output, 0, &["night"]);
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&run["run"]["succeeded"], &run["run"]["removed"], &run["run"]["left"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(told(&stage, "results"), ["p0"]);
}

#[test]
fn output_files_that_would_be_lost_are_refused_first() {
    let stage = study(1, Setting::default());
    let home = stage.home.path();
    stage.asked();
    let refused = |more: &[&str], words: &str| {
        let output = stage.run(&[&NIGHT[..], more].concat());
        assert_code(&output, 2, more);
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{error}");
    };
    refused(&["--results", "same", "--metrics", "./same"], "the same file");
    assert!(!home.join("same").exists());
    fs::write(home.join("rows"), "{}\n").unwrap();
    refused(&["--results", "-"], "--results");
    refused(&["--metrics", "-"], "--metrics");
    refused(&["--metrics", "."], "--metrics");
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("rows", home.join("link")).unwrap();
        refused(&["--results", "rows", "--metrics", "link"], "the same file");
        assert_eq!(fs::read_to_string(home.join("rows")).unwrap(), "{}\n");
        symlink("nowhere", home.join("dangling")).unwrap();
        symlink("/dev/null", home.join("device")).unwrap();
        for metrics in ["dangling", "device", "/dev/stdout"] {
            refused(&["--metrics", metrics], "--metrics");
        }
    }
    assert_eq!(stage.asked(), [""; 0]);
    assert!(!home.join("-").exists() && !home.join("study").exists());
}

#[test]
fn no_output_takes_the_place_of_a_file_of_bbdl() {
    let stage = study(1, Setting::default());
    night(&stage, 0, &[]);
    let home = stage.home.path();
    let before = crate::support::snapshot(home);
    stage.asked();
    let config = home.join("config.toml");
    let (results, metrics) = (["--results"], ["--metrics"]);
    let report = ["report", "study/p0", "--out"];
    let csv = ["export", "study/p0", "--to", "csv", "--out"];
    let sqlite = ["export", "study/p0", "--to", "sqlite", "--out"];
    for own in ["tokens/p0.json", "profiles/x", "study/p0/manifest.json", config.to_str().unwrap()] {
        for command in [&[&NIGHT[..], &results].concat()[..], &[&NIGHT[..], &metrics].concat(), &report, &sqlite] {
            let command = [command, &[own]].concat();
            let output = stage.run(&command);
            assert_code(&output, 2, &command);
            assert!(crate::support::snapshot(home) == before, "{command:?}");
        }
    }
    stage.expect(2, &[&csv[..], &["tokens"]].concat());
    stage.expect(2, &[&csv[..], &["study/p0/changes"]].concat());
    assert!(crate::support::snapshot(home) == before);
    assert_eq!(stage.asked(), [""; 0]);
}

#[test]
fn the_directory_of_results_is_made_for_its_owner_only() {
    let stage = study(1, Setting::default());
    night(&stage, 0, &["--results", "new/rows/r.ndjson"]);
    assert_eq!(rows(&stage.home.path().join("new/rows/r.ndjson")).len(), 1);
    crate::support::assert_mode(&stage.home.path().join("new/rows"), 0o700);
    crate::support::assert_mode(&stage.home.path().join("new"), 0o700);
}

#[cfg(unix)]
#[test]
fn a_link_to_the_file_of_metrics_stays_a_link() {
    let stage = study(1, Setting::default());
    let home = stage.home.path();
    fs::create_dir(home.join("collector")).unwrap();
    fs::write(home.join("collector/bbdl.prom"), "").unwrap();
    std::os::unix::fs::symlink("collector/bbdl.prom", home.join("link")).unwrap();
    night(&stage, 0, &["--metrics", "link"]);
    assert!(home.join("link").is_symlink());
    assert!(fs::read_to_string(home.join("collector/bbdl.prom")).unwrap().contains("bbdl_run_exit_code 0"));
}

#[test]
fn metrics_of_a_continued_run_show_the_last_end() {
    let stage = study(1, Setting { latency: Duration::from_millis(300), ..Setting::default() });
    let file = stage.home.path().join("bbdl.prom");
    let before = "bbdl_run_finish_time_seconds 1700000000";
    fs::write(&file, format!("bbdl_run_finish_time_seconds{{shard=\"0/2\"}} 5\n{before}\n")).unwrap();
    let mut running = Running::start(stage.bbdl(&[&NIGHT[..], &["-v", "--metrics", "bbdl.prom"]].concat()));
    running.until("GET /v2/");
    let metrics = fs::read_to_string(&file).unwrap();
    assert!(metrics.contains("bbdl_run_start_time_seconds") && !metrics.contains("bbdl_run_exit_code "), "{metrics}");
    assert!(metrics.lines().any(|line| line == before), "{metrics}");
    assert_code(&running.finish(), 0, &["night"]);
    let metrics = fs::read_to_string(&file).unwrap();
    let ends = metrics.lines().filter(|line| line.starts_with("bbdl_run_finish_time_seconds")).count();
    assert!(ends == 1 && !metrics.contains(before), "{metrics}");
}

#[test]
fn options_for_all_profiles_are_refused_for_one() {
    let stage = study(1, Setting::default());
    for option in [
        ["--results", "r"],
        ["--metrics", "m"],
        ["--tolerate", "77"],
        ["--for", "1h"],
        ["--stale-after", "1h"],
        ["--shard", "0/2"],
    ] {
        let one = [&["fetch", "eob", "--out", "one"], &option[..]].concat();
        stage.expect(2, &[&one[..], &["--profile", "p0"]].concat());
        let mut by_variable = stage.bbdl(&one);
        by_variable.env("BBDL_PROFILE", "p0");
        let output = crate::support::finished(by_variable);
        assert_code(&output, 2, &option);
        let expected = format!("{} works only with --all-profiles", option[0]);
        assert!(text(&output.stderr).contains(&expected), "{}", text(&output.stderr));
    }
    let mut all = stage.bbdl(&NIGHT);
    all.env("BBDL_PROFILE", "p0");
    assert_code(&crate::support::finished(all), 0, &NIGHT);
    let typed = stage.run(&[&NIGHT[..], &["--profile", "p0"]].concat());
    assert!(text(&typed.stderr).contains("--profile") && !text(&typed.stderr).contains("BBDL_PROFILE"));
    assert!(!stage.home.path().join("one").exists());
}
