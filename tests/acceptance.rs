//! Ways in which a server can lose claims silently, and the results: either the claims come, or the exit code says
//! that they did not and the next pull asks for them.

use std::{collections::BTreeSet, sync::Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::support::{
    Setting, Stage, assert_code, finished, ids, lines, private,
    server::{self, Server, claim, number, start_name},
    set_mode, text,
};

const FETCH: [&str; 5] = ["fetch", "eob", "--out", "claims", "--json"];
const EOB: &str = "ExplanationOfBenefit";

fn kept(stage: &Stage) -> BTreeSet<String> {
    ids(&stage.lines("ExplanationOfBenefit.ndjson")).into_iter().collect()
}

fn cursor(stage: &Stage) -> Value {
    let manifest = std::fs::read_to_string(stage.out().join("manifest.json")).unwrap();
    serde_json::from_str::<Value>(&manifest).unwrap()["resources"][EOB]["cursor"].clone()
}

fn warnings(result: &Value) -> Vec<&str> {
    let rows = result["resources"][EOB]["warnings"].as_array();
    rows.into_iter().flatten().map(|row| row["kind"].as_str().unwrap()).collect()
}

/// Twenty claims that were pulled, and 111 that came later.
fn with_an_increment(api: &str) -> Stage {
    let stage = Stage::with(Setting { claims: 20, ..Setting::default() });
    stage.log_in(&["--api", api]);
    stage.expect(0, &FETCH);
    stage.control("POST", "claims", &json!({"add": 110, "at": "2026-11-20T00:00:00Z"}).to_string());
    stage.control("POST", "claims", &json!({"add": 1, "at": "2026-11-28T00:00:00Z"}).to_string());
    stage
}

#[test]
fn an_empty_page_in_an_increment_hides_no_claim() {
    for api in ["v1", "v2"] {
        let stage = with_an_increment(api);
        stage.faults(&["empty-next@startIndex=50&#2"]);
        stage.expect(0, &FETCH);
        assert_eq!(kept(&stage).len(), 131, "{api}");
    }
}

#[test]
fn an_incomplete_increment_is_merged_and_requested_again() {
    for api in ["v1", "v2"] {
        let stage = with_an_increment(api);
        let before = cursor(&stage);
        stage.faults(&["empty-next@startIndex="]);
        let result = stage.expect_json(75, &FETCH);
        assert_eq!(result["error"]["kind"], "shortfall", "{api}: {result}");
        let message = result["error"]["message"].as_str().unwrap();
        assert!(message.contains("the next pull asks for the same again"), "{message}");
        let brought = kept(&stage).len();
        assert!((21..131).contains(&brought), "{api}: {brought}");
        assert_eq!(cursor(&stage), before, "{api}: the cursor has moved past what is missing");
        assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
        stage.faults(&[]);
        stage.expect(0, &FETCH);
        assert_eq!(kept(&stage).len(), 131, "{api}");
        assert_ne!(cursor(&stage), before, "{api}");
    }
}

/// A server with a list of claims, and the changes that it makes to each page.
struct Scene {
    home: TempDir,
    server: Server,
}

impl Scene {
    fn of(api: &'static str, claims: usize, change: impl Fn(&Url, &mut Value) + Send + Sync + 'static) -> Self {
        let server = Server::start(move |url| {
            if url.path().ends_with("/userinfo") {
                return (200, json!({"sub": "-1", "patient": "-1"}).to_string());
            }
            let mut bundle = page(api, claims, url);
            change(url, &mut bundle);
            (200, bundle.to_string())
        });
        let home = tempfile::tempdir().unwrap();
        server.log_in(home.path(), api);
        Self { home, server }
    }

    fn fetch(&self, more: &[&str]) -> (Option<i32>, Value) {
        let mut command = crate::support::bbdl(self.home.path());
        command.args(["fetch", "eob", "--out", "claims", "--json", "--retry", "1", "--retry-delay", "1"]).args(more);
        let output = finished(command);
        let result = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        (output.status.code(), result)
    }

    /// Fetches, expects this exit code and kind, and expects that nothing is kept.
    fn fails(&self, code: i32, kind: &str, more: &[&str]) -> Value {
        let (found, result) = self.fetch(more);
        assert_eq!((found, result["error"]["kind"].as_str()), (Some(code), Some(kind)), "{result}");
        assert!(!self.home.path().join("claims/ExplanationOfBenefit.ndjson").exists());
        result
    }

    fn brings(&self, count: usize, more: &[&str]) -> Value {
        let (code, result) = self.fetch(more);
        assert_eq!(code, Some(0), "{result}");
        let kept = lines(&self.home.path().join("claims/ExplanationOfBenefit.ndjson"));
        assert_eq!(ids(&kept).into_iter().collect::<BTreeSet<_>>().len(), count, "{result}");
        result
    }
}

fn page(api: &str, claims: usize, url: &Url) -> Value {
    let (start, count) = (number(url, start_name(api)).unwrap_or(0), number(url, "_count").unwrap_or(10));
    let entry = |place: usize| {
        let id = if api == "v3" { format!("{}", 1000 + place) } else { format!("carrier-{}", 1000 + place) };
        claim(&id, "2026-01-01T00:00:00Z")
    };
    let is_late = url.query().unwrap_or_default().contains("_lastUpdated");
    let claims = if is_late { 0 } else { claims };
    server::page(api, url, claims, (start..claims.min(start + count)).map(entry).collect())
}

#[test]
fn the_same_page_repeated_is_an_error() {
    for api in ["v1", "v2", "v3"] {
        let scene = Scene::of(api, 120, move |url, bundle| {
            let mut first = url.clone();
            let count = number(url, "_count").unwrap().to_string();
            first.query_pairs_mut().clear().append_pair("_count", &count);
            bundle["entry"] = page(api, 120, &first)["entry"].clone();
        });
        scene.fails(75, if api == "v3" { "shifted" } else { "shortfall" }, &[]);
        let mut stream = crate::support::bbdl(scene.home.path());
        stream.args(["fetch", "eob", "--out", "-", "-q", "--retry-delay", "1"]);
        assert_code(&finished(stream), 75, &[api, "as a stream"]);
    }
}

#[test]
fn a_total_without_a_single_claim_is_a_failure() {
    for api in ["v1", "v2"] {
        let scene = Scene::of(api, 7, |_, bundle| bundle["entry"] = json!([]));
        scene.fails(75, "shortfall", &[]);
    }
}

#[test]
fn a_page_that_stays_empty_is_skipped_with_a_warning() {
    for api in ["v2", "v3"] {
        let is_second = move |url: &Url| number(url, start_name(api)).is_some_and(|start| (49..98).contains(&start));
        let scene = Scene::of(api, 170, move |url, bundle| {
            if api == "v2" {
                bundle.as_object_mut().unwrap().remove("total");
            }
            if is_second(url) {
                bundle["entry"] = json!([]);
            }
        });
        let result = scene.brings(122, &[]);
        assert_eq!(warnings(&result), ["empty_page"], "{api}: {result}");
        // A stream has no next pull that would ask again.
        let mut command = crate::support::bbdl(scene.home.path());
        command.args(["fetch", "eob", "--out", "-"]);
        let output = finished(command);
        assert_eq!(output.status.code(), Some(0), "{api}");
        let said = text(&output.stderr);
        assert!(said.contains("the output may be incomplete") && !said.contains("next pull"), "{api}: {said}");
        // Nothing says what is missing, so the next pull asks for everything.
        let (code, result) = scene.fetch(&[]);
        assert_eq!((code, result["resources"][EOB]["mode"].as_str()), (Some(0), Some("full")), "{api}: {result}");
    }
}

#[test]
fn an_operation_outcome_among_claims_is_reported_and_left_out() {
    for api in ["v1", "v2", "v3"] {
        let scene = Scene::of(api, 70, |_, bundle| {
            let entries = bundle["entry"].as_array_mut().unwrap();
            entries.insert(entries.len().min(1), json!({"resource": {"resourceType": "OperationOutcome",
                "issue": [{"severity": "warning", "code": "informational", "diagnostics": "Part of the index is being rebuilt"}]},
                "search": {"mode": "outcome"}}));
            entries.push(
                json!({"resource": {"resourceType": "Practitioner", "id": "p-1"}, "search": {"mode": "include"}}),
            );
        });
        let result = scene.brings(70, &[]);
        assert_eq!(warnings(&result), ["outcome"], "{api}: {result}");
        assert!(result.to_string().contains("Part of the index is being rebuilt"));
    }
}

#[test]
fn an_endless_search_is_bounded_and_the_limit_can_be_raised() {
    for api in ["v1", "v2", "v3"] {
        let scene = Scene::of(api, 1_000_000, move |_, bundle| {
            if api != "v3" {
                bundle.as_object_mut().unwrap().remove("total");
            }
        });
        let result = scene.fails(65, "too_many", &["--max-claims", "300", "--jobs", "1"]);
        assert!(result["error"]["hint"].as_str().unwrap().contains("--max-claims 600"), "{result}");
        assert!(scene.server.asked().len() < 20, "{api}");
    }
    let scene = Scene::of("v2", 120, |_, _| {});
    let result = scene.fails(65, "too_many", &["--max-claims", "7"]);
    assert_eq!(result["error"]["message"], "the server has 120 claims for this person, and --max-claims allows 7");
    assert_eq!(result["error"]["hint"], "If that many are possible: --max-claims 120");
    scene.fails(65, "too_many", &["--max-claims", "119"]);
    scene.brings(120, &["--max-claims", "120"]);
}

#[test]
fn an_empty_first_pull_warns_of_a_possible_outage() {
    for api in ["v1", "v2"] {
        let stage = Stage::with(Setting { claims: 30, ..Setting::default() });
        stage.log_in(&["--api", api]);
        stage.faults(&["empty@ExplanationOfBenefit"]);
        let output = stage.run(&FETCH);
        assert_code(&output, 0, &[api]);
        assert_eq!(warnings(&serde_json::from_slice(&output.stdout).unwrap()), ["maybe_outage"], "{api}");
        assert!(text(&output.stderr).contains("when its database fails"), "{}", text(&output.stderr));
        stage.faults(&[]);
        stage.expect(0, &FETCH);
        assert_eq!(kept(&stage).len(), 30, "{api}");
    }
}

#[test]
fn a_continued_pull_includes_claims_that_changed_meanwhile() {
    for (api, change) in [
        ("v1", json!({"update": 47})),
        ("v2", json!({"update": 47})),
        ("v3", json!({"update": 47})),
        ("v3", json!({"supersede": 9})),
        ("v3", json!({"add": 3, "remove": 3})),
    ] {
        let stage = Stage::with(Setting { claims: 140, ..Setting::default() });
        stage.log_in(&["--api", api]);
        stage.faults(&["status=503@ExplanationOfBenefit+1"]);
        stage.expect(75, &[&FETCH[..], &["--retry", "0", "--jobs", "1"]].concat());
        stage.faults(&[]);
        stage.control("POST", "claims", &change.to_string());
        let output = stage.run(&FETCH);
        assert_code(&output, 0, &[api]);
        assert!(text(&output.stderr).contains("continuing where an earlier run stopped"), "{api}: {change}");
        stage.expect(0, &["fetch", "eob", "--out", "fresh", "-q"]);
        let claims = |out: &str| {
            let read = lines(&stage.home.path().join(out).join("ExplanationOfBenefit.ndjson"));
            read.iter().map(|line| without_created(line)).collect::<BTreeSet<_>>()
        };
        assert!(claims("claims") == claims("fresh"), "{api}: {change}: other claims than the server has");
    }
}

/// A claim without `created`, which is the time of the download.
fn without_created(line: &str) -> String {
    let mut claim: Value = serde_json::from_str(line).unwrap();
    claim.as_object_mut().unwrap().remove("created");
    claim.to_string()
}

/// Total and date have not changed, so nothing from the server shows it. Reading everything does.
#[test]
fn a_claim_swapped_for_another_is_found_by_a_full_pull() {
    let swapped = std::sync::Arc::new(Mutex::new(false));
    let (now, claim) = (std::sync::Arc::clone(&swapped), "\"id\":\"carrier-1003\"");
    let server = Server::start(move |url| {
        if url.path().ends_with("/userinfo") {
            return (200, json!({"sub": "-1", "patient": "-1"}).to_string());
        }
        let bundle = page("v2", 60, url).to_string();
        let is_swapped = *now.lock().unwrap();
        (200, if is_swapped { bundle.replace(claim, "\"id\":\"carrier-1999\"") } else { bundle })
    });
    let home = tempfile::tempdir().unwrap();
    server.log_in(home.path(), "v2");
    let scene = Scene { home, server };
    scene.brings(60, &[]);
    *swapped.lock().unwrap() = true;
    let result = scene.brings(60, &["--full"]);
    let row = &result["resources"][EOB];
    assert_eq!((&row["added"], &row["removed"]), (&json!(1), &json!(1)), "{result}");
}

#[test]
fn a_thousand_claims_of_v3_cost_few_requests() {
    let stage = Stage::with(Setting { claims: 1000, ..Setting::default() });
    stage.log_in(&["--api", "v3"]);
    stage.asked();
    let result = stage.expect_json(0, &[&FETCH[..], &["--jobs", "4"]].concat());
    assert_eq!(result["resources"][EOB]["count"], 1000);
    let asked = stage.asked();
    assert!(asked.len() <= 24, "{} requests: {asked:#?}", asked.len());
}

/// Pulls that 0.1.0 began and did not finish. They have two pages of forty.
#[test]
fn a_pull_interrupted_under_0_1_0_continues() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/0.1.0/interrupted");
    for api in ["v1", "v3"] {
        let scene = Scene::of(api, 120, |_, _| {});
        let partial = scene.home.path().join("claims/.bbdl/partial");
        std::fs::create_dir_all(&partial).unwrap();
        for directory in partial.ancestors().take(3) {
            set_mode(directory, 0o700);
        }
        let write = |name: &str, text: &str| {
            let path = partial.join(name);
            std::fs::write(&path, text).unwrap();
            private(&path);
        };
        let read = |name: &str| std::fs::read_to_string(fixtures.join(api).join(name)).unwrap();
        write("ExplanationOfBenefit.ndjson", &read("ExplanationOfBenefit.ndjson"));
        let journal = read("ExplanationOfBenefit.journal");
        let (head, entries) = journal.split_once('\n').unwrap();
        let mut head: Value = serde_json::from_str(head).unwrap();
        head["question"]["source"]["server"] = scene.server.url.as_str().into();
        head["started"] = jiff::Timestamp::now().to_string().into();
        write("ExplanationOfBenefit.journal", &format!("{head}\n{entries}"));
        scene.server.asked();
        scene.brings(120, &["--page-size", "40", "--jobs", "1"]);
        let asked = scene.server.asked();
        let searches: Vec<&String> = asked.iter().filter(|target| target.contains(EOB)).collect();
        assert!(searches[0].contains(if api == "v3" { "_offset=79" } else { "startIndex=80" }), "{api}: {searches:?}");
    }
}

#[test]
fn an_empty_page_removes_nothing_from_an_archive() {
    let failing = std::sync::Arc::new(Mutex::new(false));
    let now = std::sync::Arc::clone(&failing);
    let scene = Scene::of("v3", 150, move |url, bundle| {
        if *now.lock().unwrap() && number(url, "_offset").is_some_and(|start| (49..98).contains(&start)) {
            bundle["entry"] = json!([]);
        }
    });
    scene.brings(150, &[]);
    *failing.lock().unwrap() = true;
    let (code, result) = scene.fetch(&["--full"]);
    assert_eq!((code, result["error"]["kind"].as_str()), (Some(75), Some("shortfall")), "{result}");
    *failing.lock().unwrap() = false;
    scene.brings(150, &[]);
}
