//! Fetching: everything that the server can do wrong, and what is left on the disk.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::Ordering,
};

use crate::support::{
    Setting, Stage, assert_code, finished, has_programs, ids, lines, listener::counting, set_mode, shared, snapshot,
    text,
};
use serde_json::{Value, json};

fn stage(claims: usize) -> Stage {
    Stage::logged_in(Setting { claims, ..Setting::default() })
}

/// Everything again, even if there is an archive.
const FULL: [&str; 6] = ["fetch", "eob", "--out", "claims", "--json", "--full"];

/// One request at a time, because what happens to the third request has to happen to the third page.
const FETCH: [&str; 7] = ["fetch", "eob", "--out", "claims", "--json", "--jobs", "1"];

fn eob(result: &Value) -> &Value {
    &result["resources"]["ExplanationOfBenefit"]
}

#[test]
fn everything_granted_is_downloaded() {
    let stage = stage(120);
    let result = stage.expect_json(0, &["fetch", "all", "--out", "claims", "--json"]);
    assert_eq!(
        eob(&result),
        &json!({"count": 120, "added": 120, "updated": 0, "unchanged": 0, "removed": 0, "requests": 3, "bytes": eob(&result)["bytes"], "mode": "full"})
    );
    assert_eq!(result["resources"]["Coverage"]["count"], 4);
    assert_eq!(result["withheld"], json!([]));
    let claims = ids(&stage.lines("ExplanationOfBenefit.ndjson"));
    let mut distinct = claims.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((claims.len(), distinct.len()), (120, 120));
    assert_eq!(stage.lines("Patient.ndjson").len(), 1);
    assert!(fs::read_to_string(stage.out().join("UserInfo.json")).unwrap().contains("\"sub\""));

    let manifest: Value = serde_json::from_slice(&fs::read(stage.out().join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["format"], "bbdl-archive");
    assert_eq!(manifest["version"], 1);
    assert_eq!(manifest["source"]["server"], stage.mock.url());
    let entry = &manifest["resources"]["ExplanationOfBenefit"];
    let bytes = fs::read(stage.out().join("ExplanationOfBenefit.ndjson")).unwrap();
    assert_eq!(entry["bytes"], bytes.len());
    assert_eq!(entry["sha256"], crate::support::sha256(&bytes));
    assert_eq!(entry["cursor"], "2026-11-16T09:00:00Z");
}

#[cfg(unix)]
#[test]
fn the_archive_is_private_whatever_the_umask() {
    let stage = stage(5);
    let mut command = std::process::Command::new("sh");
    let bbdl = stage.bbdl(&[]);
    for (key, value) in bbdl.get_envs() {
        command.env(key, value.unwrap_or_default());
    }
    command.current_dir(stage.home.path()).args([
        "-c",
        "umask 000; exec \"$0\" fetch all --format json --out claims",
        env!("CARGO_BIN_EXE_bbdl"),
    ]);
    assert_code(&finished(command), 0, &[]);
    fn check(path: &Path) {
        crate::support::assert_mode(path, if path.is_dir() { 0o700 } else { 0o600 });
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| check(&entry.unwrap().path()));
        }
    }
    check(&stage.out());
}

#[test]
fn pages_are_kept_as_served_with_format_json() {
    let stage = stage(120);
    stage.expect(0, &["fetch", "eob", "--out", "claims", "--format", "json"]);
    let pages = stage.out().join("pages/ExplanationOfBenefit");
    let mut names: Vec<_> =
        fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["0001.json", "0002.json", "0003.json"]);
    let bundle = fs::read_to_string(pages.join("0001.json")).unwrap();
    assert!(bundle.starts_with("{\"resourceType\":\"Bundle\""));
    for line in stage.lines("ExplanationOfBenefit.ndjson").iter().take(50) {
        assert!(bundle.contains(line.as_str()));
    }
    // Old Bundles would not match a later pull that brings something and does not keep Bundles.
    let file = stage.out().join("ExplanationOfBenefit.ndjson");
    fs::write(&file, fs::read_to_string(&file).unwrap().replacen("\"status\":\"", "\"status\":\"x", 1)).unwrap();
    stage.expect(0, &["fetch", "eob", "--out", "claims", "--full"]);
    assert!(!pages.exists());
    // A later, shorter pull leaves no page of the longer one.
    stage.expect(0, &["fetch", "eob", "--out", "short", "--format", "json", "--page-size", "40"]);
    assert_eq!(fs::read_dir(stage.home.path().join("short/pages/ExplanationOfBenefit")).unwrap().count(), 3);
}

#[test]
fn standard_output_gets_lines_and_nothing_else() {
    let stage = stage(120);
    let output = stage.run(&["fetch", "eob", "--type", "pde,carrier", "--out", "-"]);
    assert_code(&output, 0, &[]);
    let found = ids(&text(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>());
    assert!(!found.is_empty() && found.iter().all(|id| id.starts_with("pde-") || id.starts_with("carrier-")));
    assert!(found.len() < 120);
    assert!(!stage.home.path().join("-").exists());
    assert_code(&stage.run(&["fetch", "eob", "--out", "-", "--json"]), 2, &[]);
    let dated = text(
        &stage
            .run(&["fetch", "eob", "--service-date", "ge2020-01-01", "--service-date", "lt2024-01-01", "--out", "-"])
            .stdout,
    );
    assert!((1..120).contains(&dated.lines().count()));
}

#[test]
fn a_reader_that_leaves_early_is_a_failure() {
    let stage = stage(400);
    let mut command = stage.bbdl(&["fetch", "eob", "--out", "-"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0u8; 100];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    assert_code(&child.wait_with_output().unwrap(), 74, &[]);
}

#[test]
fn the_command_line_is_checked_before_anything_is_asked() {
    let stage = stage(1);
    stage.asked();
    for bad in [
        &["fetch", "eob"][..],
        &["fetch", "--out", "x"],
        &["fetch", "nonsense", "--out", "x"],
        &["fetch", "eob", "--out", "x", "--type", "nonsense"],
        &["fetch", "eob", "--out", "x", "--service-date", "2020-01-01"],
        &["fetch", "eob", "--out", "x", "--service-date", "ge2020-01-01", "--service-date", "gt2021-01-01"],
        &["fetch", "eob", "--out", "x", "--page-size", "51"],
        &["fetch", "eob", "--out", "x", "--page-size", "0"],
        &["fetch", "patient", "--out", "x", "--type", "pde"],
        &["fetch", "eob", "--out", "x", "--source", "nch"],
    ] {
        assert_code(&stage.run(bad), 2, bad);
    }
    assert_code(&stage.run(&["fetch", "insurance-card", "--out", "x"]), 78, &[]);
    assert_code(&stage.run(&["fetch", "eob", "--out", "x", "--profile", "nobody"]), 78, &[]);
    assert!(stage.asked().is_empty());
    assert!(!stage.home.path().join("x").exists());
}

/// Temporary failures: in the end, every claim is there exactly once.
/// On a first pull, only its own pages say what to expect.
#[test]
fn an_outage_in_the_middle_of_a_first_pull_is_not_its_end() {
    for faults in [
        &["empty@ExplanationOfBenefit+1"][..],
        &["empty@ExplanationOfBenefit+2"],
        &["no-total@ExplanationOfBenefit#1", "empty@ExplanationOfBenefit+1"],
    ] {
        let stage = stage(200);
        stage.faults(faults);
        let result =
            stage.expect_json(75, &["fetch", "eob", "--out", "claims", "--json", "--retry", "2", "--jobs", "1"]);
        assert_eq!(result["error"]["kind"], "outage", "{faults:?}: {result}");
        assert!(!stage.out().join("manifest.json").exists());
        stage.faults(faults);
        let piped = stage.run(&["fetch", "eob", "--out", "-", "-q", "--retry", "2", "--jobs", "1"]);
        assert_code(&piped, 75, faults);
        assert!(text(&piped.stderr).contains("nothing, but there was before"), "{}", text(&piped.stderr));
    }
}

#[test]
fn an_outage_that_passes_in_the_middle_of_a_pull_shrinks_nothing() {
    let stage = stage(200);
    stage.expect(0, &FETCH);
    for faults in [
        &["no-total@ExplanationOfBenefit#1", "empty@ExplanationOfBenefit#1+1"][..],
        &["no-total@ExplanationOfBenefit", "empty@ExplanationOfBenefit#1+3"],
        &["total=0@ExplanationOfBenefit#1", "empty@ExplanationOfBenefit#1+1"],
    ] {
        stage.faults(faults);
        let result = stage.expect_json(0, &FULL);
        assert_eq!((&eob(&result)["count"], &eob(&result)["removed"]), (&json!(200), &json!(0)), "{faults:?}");
    }
}

/// The token answer may have no `patient`. Then the claims themselves say whose they are.
#[test]
fn an_archive_holds_one_enrollee_even_without_a_patient_id() {
    let stage = Stage::with(Setting { claims: 20, faults: &["no-patient@o/token"], ..Setting::default() });
    stage.log_in(&[]);
    stage.expect(0, &FETCH);
    let before = snapshot(&stage.out());
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&[]);
    assert_eq!(stage.expect_json(65, &FETCH)["error"]["kind"], "other_enrollee");
    assert_eq!(snapshot(&stage.out()), before);
}

/// An insurance card does not say whose it is, but userinfo does.
#[test]
fn a_resource_of_somebody_else_is_never_stored() {
    let stage = Stage::with(Setting { claims: 20, faults: &["no-patient@o/token"], ..Setting::default() });
    let scopes = ["openid", "patient/Patient.rs", "patient/Coverage.rs", "patient/ExplanationOfBenefit.rs"];
    let log_in = |more: &[&str]| {
        let asked = scopes.iter().chain(more).flat_map(|scope| ["--scope", *scope]);
        stage.log_in(&["--api", "v3"].into_iter().chain(asked).collect::<Vec<_>>());
    };
    log_in(&[]);
    stage.expect(0, &["fetch", "insurance-card", "eob", "--out", "claims", "--json"]);
    let before = snapshot(&stage.out());
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    log_in(&[]);
    let card = ["fetch", "insurance-card", "--out", "claims", "--json"];
    assert_eq!(stage.expect_json(65, &card)["error"]["kind"], "other_enrollee");
    log_in(&["profile"]);
    let userinfo = ["fetch", "userinfo", "--out", "claims", "--json"];
    assert_eq!(stage.expect_json(65, &userinfo)["error"]["kind"], "other_enrollee");
    assert_eq!(snapshot(&stage.out()), before);
}

#[test]
fn an_empty_first_pull_is_accepted_after_asking_twice() {
    let stage = stage(0);
    stage.asked();
    let result = stage.expect_json(0, &FETCH);
    assert_eq!(eob(&result)["count"], 0);
    assert_eq!(stage.asked().len(), 2);
    assert_eq!(stage.lines("ExplanationOfBenefit.ndjson").len(), 0);
}

#[test]
fn an_empty_page_with_a_next_link_is_not_the_end() {
    let stage = stage(200);
    stage.faults(&["empty-next@startIndex=never", "empty-next@ExplanationOfBenefit#1+1"]);
    // The second page of the first reading is empty; the second reading is complete.
    let result = stage.expect_json(0, &FETCH);
    assert_eq!(eob(&result)["count"], 200);
    assert!(eob(&result).get("server_total").is_none());

    // A total that is never reached: the search is read again, and then it is reported.
    let stage = stage_with_total();
    let output = stage.run(&FETCH);
    assert_code(&output, 0, &[]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&eob(&result)["count"], &eob(&result)["server_total"]), (&json!(120), &json!(122)));
    assert!(text(&output.stderr).contains("counted 122, but sent 120"));
    let manifest: Value = serde_json::from_slice(&fs::read(stage.out().join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["resources"]["ExplanationOfBenefit"]["server_total"], 122);
    // The next pull knows about it and does not read twice.
    stage.asked();
    stage.expect(0, &FULL);
    assert_eq!(stage.asked().iter().filter(|row| row.contains("ExplanationOfBenefit")).count(), 3);
}

/// The server names a next page whenever there is more. So if links end before the total, redaction is not the
/// reason.
#[test]
fn links_that_end_before_the_total_are_a_failure() {
    let stage = stage(200);
    stage.expect(0, &FETCH);
    let before = snapshot(&stage.out());
    stage.faults(&["total=260@ExplanationOfBenefit"]);
    let result = stage.expect_json(75, &FULL);
    assert_eq!(result["error"]["kind"], "shortfall", "{result}");
    assert!(result["error"]["message"].as_str().unwrap().contains("60 are missing"));
    assert_eq!(snapshot(&stage.out()), before);
    assert_code(&stage.run(&["fetch", "eob", "--out", "-", "-q"]), 75, &[]);
    // What redaction could explain is reported even with -q.
    let told = stage_with_total().run(&["fetch", "eob", "--out", "-", "-q"]);
    assert_code(&told, 0, &[]);
    assert!(text(&told.stderr).contains("counted 122, but sent 120"), "{}", text(&told.stderr));
}

#[test]
fn changes_include_what_came_after_an_empty_pull() {
    let stage = stage(30);
    stage.faults(&["empty@ExplanationOfBenefit#2"]);
    assert_eq!(eob(&stage.expect_json(0, &FETCH))["count"], 0);
    assert_eq!(eob(&stage.expect_json(0, &FETCH))["added"], 30);
    let changes = fs::read_dir(stage.out().join("changes")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(lines(&changes).len(), 30);
}

fn stage_with_total() -> Stage {
    let stage = stage(120);
    stage.faults(&["total=122@ExplanationOfBenefit"]);
    stage
}

#[test]
fn no_request_or_token_goes_to_another_host() {
    let (url, visits) = counting();
    let stage = stage(120);
    stage.faults(&[&format!("next-host={url}@ExplanationOfBenefit")]);
    let result = stage.expect_json(0, &FETCH);
    assert_eq!(eob(&result)["count"], 120);
    stage.faults(&[&format!("redirect={url}/v2/fhir/ExplanationOfBenefit@ExplanationOfBenefit")]);
    stage.expect(65, &["fetch", "eob", "--out", "other", "--retry", "0"]);
    stage.faults(&[&format!("redirect={url}/token@o/token"), "expire-token@ExplanationOfBenefit"]);
    stage.expect(75, &["fetch", "eob", "--out", "other", "--retry", "0"]);
    // A proxy in the environment sees no requests to a server on this machine.
    stage.control("DELETE", "faults", "");
    stage.log_in(&[]);
    let mut command = stage.bbdl(&["fetch", "eob", "--out", "proxied"]);
    command.env("HTTP_PROXY", &url).env("http_proxy", &url).env("ALL_PROXY", &url);
    assert_code(&finished(command), 0, &[]);
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[test]
fn a_full_pull_replaces_the_archive_and_counts_what_changed() {
    let stage = stage(120);
    stage.expect(0, &FETCH);
    let before = snapshot(&stage.out());
    let result = stage.expect_json(0, &FULL);
    assert_eq!((&eob(&result)["added"], &eob(&result)["unchanged"]), (&json!(0), &json!(120)));
    let after = snapshot(&stage.out());
    let changed: Vec<&PathBuf> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| &a.0).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert!(changed[0].ends_with("manifest.json"));

    // The old archive had one claim less, one that differs, and one that the server does not have.
    let file = stage.out().join("ExplanationOfBenefit.ndjson");
    let mut kept = lines(&file);
    kept.remove(10);
    kept[20] = kept[20].replacen("\"status\":\"", "\"status\":\"x", 1);
    kept.push(r#"{"resourceType":"ExplanationOfBenefit","id":"carrier--1"}"#.to_owned());
    fs::write(&file, kept.join("\n") + "\n").unwrap();
    let result = stage.expect_json(0, &FULL);
    let row = eob(&result);
    assert_eq!(
        (&row["added"], &row["updated"], &row["unchanged"], &row["removed"]),
        (&json!(1), &json!(1), &json!(118), &json!(1))
    );
    let changes =
        fs::read_dir(stage.out().join("changes")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let count = |suffix: &str| {
        changes
            .iter()
            .filter(|path| path.to_str().unwrap().ends_with(suffix))
            .map(|path| lines(path).len())
            .sum::<usize>()
    };
    assert_eq!((changes.len(), count("Benefit.ndjson"), count("removed.ndjson")), (2, 2, 1));
    assert_eq!(stage.lines("ExplanationOfBenefit.ndjson").len(), 120);
}

#[test]
fn verify_finds_what_is_wrong_with_an_archive() {
    let stage = stage(60);
    stage.expect(0, &["fetch", "all", "--out", "claims", "--format", "json"]);
    let report = stage.expect_json(0, &["verify", "claims", "--json"]);
    let whole = json!({"count": 60, "sha256_ok": true, "duplicates": 0, "bad_lines": 0});
    assert_eq!((&report["ok"], &report["resources"]["ExplanationOfBenefit"]), (&json!(true), &whole));
    assert_eq!(report["resources"]["UserInfo"]["count"], 1);
    let file = stage.out().join("ExplanationOfBenefit.ndjson");
    let good = fs::read_to_string(&file).unwrap();
    let (first, rest) = good.split_once('\n').unwrap();
    for (damaged, problem) in [
        (good.replacen("\"id\"", "\"ix\"", 1), "not a valid ExplanationOfBenefit"),
        (good.replacen("ExplanationOfBenefit", "Patient", 1), "not a valid ExplanationOfBenefit"),
        (good[..good.len() - 10].to_owned(), "checksum"),
        (format!("{good}{first}\n"), "ids that occur twice"),
        (rest.to_owned(), "59 resources, but the manifest says 60"),
    ] {
        fs::write(&file, damaged).unwrap();
        let report = stage.expect_json(65, &["verify", "claims", "--json"]);
        assert_eq!(report["ok"], false);
        assert!(report["problems"].to_string().contains(problem), "{report}");
    }
    fs::write(&file, good).unwrap();
    #[cfg(unix)]
    {
        set_mode(&file, 0o644);
        assert!(stage.expect_json(77, &["verify", "claims", "--json"])["problems"].to_string().contains("mode 644"));
    }
    fs::remove_file(&file).unwrap();
    assert!(stage.expect_json(65, &["verify", "claims", "--json"])["problems"].to_string().contains("missing"));
    assert_eq!(stage.expect_json(65, &["verify", "nowhere", "--json"])["error"]["kind"], "not_an_archive");
}

#[test]
fn a_directory_made_by_others_keeps_its_mode_and_files() {
    let stage = stage(3);
    fs::create_dir(stage.out()).unwrap();
    set_mode(&stage.out(), 0o755);
    stage.expect(0, &["fetch", "eob", "--out", "claims"]);
    fs::write(stage.out().join("README"), "a person's own").unwrap();
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
}

#[test]
fn early_failures_are_json_objects_too() {
    let stage = Stage::claims(1);
    for (arguments, environment) in [(&["fetch", "--json"][..], ""), (&["fetch", "nonsense"][..], "1")] {
        let mut command = stage.bbdl(arguments);
        command.env("BBDL_JSON", environment);
        let output = finished(command);
        assert_code(&output, 2, arguments);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&result["error"]["kind"], &result["error"]["exit_code"]), (&json!("usage"), &json!(2)));
    }
    assert!(stage.expect(0, &["--version", "--json"]).starts_with("bbdl "));
    assert!(stage.run(&["fetch"]).stdout.is_empty());
}

#[test]
fn filters_in_another_order_are_the_same_filters() {
    let stage = stage(60);
    let fetch = |types: &str, bounds: [&str; 2]| {
        let [one, other] = bounds;
        let dates = ["--service-date", one, "--service-date", other];
        stage.expect_json(0, &[&["fetch", "eob", "--out", "claims", "--json", "--type", types][..], &dates].concat())
    };
    let first = fetch("pde,carrier", ["ge2010-01-01", "lt2030-01-01"]);
    let second = fetch("carrier,pde,carrier", ["lt2030-01-01", "ge2010-01-01"]);
    assert_eq!(eob(&first)["count"], eob(&second)["count"]);
}

#[test]
fn a_directory_with_other_content_is_refused_and_untouched() {
    let stage = stage(60);
    stage.expect(0, &FETCH);
    let before = snapshot(&stage.out());
    let refused = |arguments: &[&str], kind: &str| {
        let result = stage.expect_json(65, arguments);
        assert_eq!(result["error"]["kind"], kind, "{result}");
        assert_eq!(snapshot(&stage.out()), before);
    };
    refused(&["fetch", "eob", "--out", "claims", "--type", "pde", "--json"], "other_filters");
    let other = Stage::claims(5);
    let output = stage.log_in_with({
        let mut command = stage.bbdl(&[
            "login",
            "--profile",
            "other",
            "--server",
            other.mock.url(),
            "--client-id",
            other.mock.client_id(),
            "--no-browser",
        ]);
        command.arg("--client-secret-file").arg(other.secret_file());
        command
    });
    assert_code(&output, 0, &[]);
    refused(&["fetch", "eob", "--out", "claims", "--profile", "other", "--json"], "other_source");
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--profile", "second"]);
    refused(&["fetch", "eob", "--out", "claims", "--profile", "second", "--json"], "other_enrollee");

    let foreign = stage.home.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "Dear Mum").unwrap();
    let result = stage.expect_json(65, &["fetch", "eob", "--out", "foreign", "--json"]);
    assert_eq!(result["error"]["kind"], "not_an_archive");
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn an_invalid_manifest_or_directory_is_refused() {
    let stage = stage(60);
    fs::write(stage.home.path().join("file"), "").unwrap();
    stage.expect(74, &["fetch", "eob", "--out", "file/claims"]);
    stage.expect(0, &FETCH);
    fs::write(stage.out().join("manifest.json"), "{").unwrap();
    stage.expect(65, &FETCH);
    fs::write(stage.out().join("manifest.json"), "{\"format\":\"bbdl-archive\",\"version\":2}").unwrap();
    stage.expect(65, &FETCH);
}

#[test]
fn progress_stays_out_of_the_way() {
    let stage = stage(60);
    for (arguments, silent) in [
        (&["fetch", "eob", "--out", "a", "-q"][..], true),
        (&["fetch", "eob", "--out", "b", "--no-progress"][..], false),
    ] {
        let output = stage.run(arguments);
        assert_code(&output, 0, arguments);
        // One line says what was done. Nothing else is printed.
        let said = text(&output.stdout);
        assert_eq!(said.lines().count(), usize::from(!silent), "{said}");
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    }
}

#[test]
fn recorded_pages_are_stored_unchanged() {
    let Some(payloads) = shared("data/v2") else { return };
    let dir = tempfile::tempdir().unwrap();
    for number in 0..6 {
        let name = format!("eob-search-page-{number}.json");
        fs::copy(payloads.join(&name), dir.path().join(&name)).unwrap();
    }
    let records = bluebutton_mock::data::load(dir.path()).unwrap();
    let stage = Stage::logged_in(Setting { records: Some(Box::new(records)), ..Setting::default() });
    let result = stage.expect_json(0, &["fetch", "eob", "--out", "claims", "--page-size", "10", "--json"]);
    assert_eq!((&eob(&result)["count"], &eob(&result)["requests"]), (&json!(52), &json!(6)));
    let wanted: Vec<Value> = (0..6)
        .flat_map(|number| {
            let text = fs::read_to_string(payloads.join(format!("eob-search-page-{number}.json"))).unwrap();
            let bundle: Value = serde_json::from_str(&text).unwrap();
            bundle["entry"].as_array().unwrap().iter().map(|entry| entry["resource"].clone()).collect::<Vec<_>>()
        })
        .collect();
    let found: Vec<Value> =
        stage.lines("ExplanationOfBenefit.ndjson").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), 52);
    for claim in &wanted {
        assert!(found.contains(claim), "{}", claim["id"]);
    }
}

#[test]
fn the_binarys_own_mock_serves_a_directory() {
    let Some(payloads) = shared("data/v2") else { return };
    if !has_programs(&["curl"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for number in 0..6 {
        let name = format!("eob-search-page-{number}.json");
        fs::copy(payloads.join(&name), dir.path().join(&name)).unwrap();
    }
    let home = tempfile::tempdir().unwrap();
    let mut command = crate::support::bbdl(home.path());
    command.args(["mock", "--auto-consent", "--data"]).arg(dir.path());
    let mut mock = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(mock.stdout.take().unwrap()), &mut line).unwrap();
    let announced: Value = serde_json::from_str(&line).unwrap();
    let word = |key: &str| announced[key].as_str().unwrap().to_owned();
    assert_eq!(announced["enrollees"][0]["claims"], 52);
    let mut command = crate::support::bbdl(home.path());
    command
        .args(["login", "--server", &word("url"), "--client-id", &word("client_id")])
        .env("BBDL_CLIENT_SECRET", word("client_secret"))
        .env("BROWSER", "curl -sSLo /dev/null");
    assert_code(&finished(command), 0, &["login"]);
    let mut command = crate::support::bbdl(home.path());
    command.args(["fetch", "eob", "--out", "-"]);
    let output = finished(command);
    mock.kill().unwrap();
    mock.wait().unwrap();
    assert_eq!(text(&output.stdout).lines().count(), 52);
}
