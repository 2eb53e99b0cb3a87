//! Several pages at once: every claim exactly once and in the server's order, whatever comes first, fails, or changes
//! in between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here fails the test")]

use std::{collections::BTreeSet, fs, time::Duration};

use crate::support::{Running, Setting, Stage, assert_code, ids, lines, text};
use serde_json::{Value, json};

const FETCH: [&str; 7] = ["fetch", "eob", "--out", "claims", "--json", "--jobs", "4"];

fn stage(claims: usize) -> Stage {
    Stage::logged_in(Setting { claims, ..Setting::default() })
}

fn eob(result: &Value) -> &Value {
    &result["resources"]["ExplanationOfBenefit"]
}

fn searches(stage: &Stage) -> Vec<String> {
    stage.asked().into_iter().filter(|row| row.contains("/fhir/Expl")).collect()
}

/// What one request at a time brings, as ids in their order.
fn in_order(stage: &Stage) -> Vec<String> {
    stage.expect(0, &["fetch", "eob", "--out", "one-by-one", "-q", "--jobs", "1"]);
    ids(&lines(&stage.home.path().join("one-by-one/ExplanationOfBenefit.ndjson")))
}

fn kept(stage: &Stage) -> Vec<String> {
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
    ids(&stage.lines("ExplanationOfBenefit.ndjson"))
}

#[test]
fn pages_read_in_parallel_keep_the_servers_order() {
    let stage = stage(420);
    let expected = in_order(&stage);
    for format in ["ndjson", "json"] {
        // The second page comes long after those that follow it.
        stage.faults(&["late=1500@startIndex=50#1"]);
        stage.asked();
        let result = stage.expect_json(0, &[&FETCH[..], &["--full", "--format", format]].concat());
        assert_eq!(eob(&result)["count"], 420);
        let asked = searches(&stage);
        assert_eq!(asked.len(), 9, "each page once: {asked:?}");
        assert_eq!(kept(&stage), expected);
    }
    let pages = stage.out().join("pages/ExplanationOfBenefit");
    assert_eq!(fs::read_dir(&pages).unwrap().count(), 9);
    let second: Value = serde_json::from_slice(&fs::read(pages.join("0002.json")).unwrap()).unwrap();
    assert_eq!(second["entry"][0]["resource"]["id"], expected[50].as_str());
}

#[cfg(unix)]
#[test]
fn a_hanging_page_does_not_keep_the_others_from_being_asked_for() {
    let stage = stage(250);
    stage.faults(&["hang@startIndex=50"]);
    stage.asked();
    let mut fetch = Running::start(stage.bbdl(&["fetch", "eob", "--out", "claims", "-v", "--jobs", "4"]));
    for _ in [100, 150, 200] {
        fetch.until("startIndex=");
    }
    crate::support::signal(fetch.id(), crate::support::Signal::INT);
    assert_code(&fetch.finish(), 130, &[]);
    // What came after the hanging page cannot be kept; what came before it is kept.
    stage.faults(&[]);
    let output = stage.run(&["fetch", "eob", "--out", "claims"]);
    assert_code(&output, 0, &[]);
    assert!(text(&output.stderr).contains("50 resources from 1 of its pages"), "{}", text(&output.stderr));
    assert_eq!(kept(&stage).len(), 250);
}

#[test]
fn a_short_list_costs_at_most_one_extra_request() {
    let stage = stage(30);
    stage.asked();
    stage.expect(0, &FETCH);
    assert!(searches(&stage).len() <= 2);
    stage.expect(0, &[&FETCH[..], &["--full"]].concat());
    assert_eq!(searches(&stage).len(), 1, "it is known that there is one page");
    stage.expect(0, &FETCH);
    assert_eq!(searches(&stage).len(), 3, "nothing new, the proof that the server can answer, and nothing new again");
}

#[test]
fn pages_too_large_for_the_server_are_requested_smaller() {
    let stage = stage(230);
    let expected = in_order(&stage);
    for (faults, smallest, format) in [
        // One page is never answered as a whole; the others are.
        (&["status=504@startIndex=100&_count=50"][..], 25, "ndjson"),
        (&["status=504@startIndex=100&_count=50", "status=504@startIndex=100&_count=25"], 12, "json"),
        (&["status=504@startIndex=100&_count=50", "status=504@startIndex=125&_count=25"], 12, "ndjson"),
        // Only the very first request, and then all of them.
        (&["status=504@Benefit?_count=50#1"], 25, "json"),
        (&["status=504@_count=50"], 25, "ndjson"),
        (&["status=504@_count=50", "status=504@_count=25"], 12, "json"),
    ] {
        stage.faults(faults);
        stage.asked();
        let _ = fs::remove_dir_all(stage.out());
        let result = stage.expect_json(0, &[&FETCH[..], &["--format", format]].concat());
        assert_eq!(eob(&result)["count"], 230, "{faults:?}");
        let asked = searches(&stage);
        assert!(asked.iter().any(|row| row.contains(&format!("_count={smallest}"))), "{faults:?}: {asked:?}");
        assert!(!asked.iter().any(|row| row.contains("_count=6")), "{faults:?}: {asked:?}");
        assert_eq!(kept(&stage), expected, "{faults:?}");
    }
    // Nothing is small enough: it is retried like other failures, and then reported.
    let _ = fs::remove_dir_all(stage.out());
    stage.faults(&["status=504@ExplanationOfBenefit"]);
    let result = stage.expect_json(75, &[&FETCH[..], &["--retry", "1", "--retry-delay", "1"]].concat());
    assert_eq!(result["error"]["kind"], "server");
    assert!(!stage.out().join("manifest.json").exists());
}

#[test]
fn an_overloaded_server_is_left_alone_as_long_as_it_asks() {
    let stage = stage(500);
    stage.faults(&["throttle=1@ExplanationOfBenefit#3+2", "status=503@ExplanationOfBenefit#2+6"]);
    let result = stage.expect_json(0, &[&FETCH[..], &["--retry-delay", "1"]].concat());
    assert_eq!(eob(&result)["count"], 500);
    assert_eq!(kept(&stage), in_order(&stage));
    // A rate that does not allow four at once. The requests that it allows are enough.
    stage.control("POST", "rate", r#"{"calls": 3, "seconds": 1}"#);
    let _ = fs::remove_dir_all(stage.out());
    let result = stage.expect_json(0, &FETCH);
    assert_eq!(eob(&result)["count"], 500);
}

#[test]
fn an_outage_on_page_one_is_not_believed_if_page_two_has_claims() {
    let stage = stage(200);
    stage.faults(&["empty@Benefit?_count=50"]);
    let result = stage.expect_json(75, &[&FETCH[..], &["--retry", "2", "--retry-delay", "1"]].concat());
    assert_eq!(result["error"]["kind"], "outage", "{result}");
    // Alone, it would have to be read again.
    let alone = ["fetch", "eob", "--out", "alone", "--json", "--jobs", "1", "--retry-delay", "1"];
    assert_eq!(eob(&stage.expect_json(0, &alone))["count"], 0);
    // If there is nothing, both pages say so.
    let stage = self::stage(0);
    assert_eq!(eob(&stage.expect_json(0, &FETCH))["count"], 0);
}

#[test]
fn links_of_another_form_are_followed_as_they_are() {
    let stage = stage(230);
    let expected = in_order(&stage);
    // The links name another host, and then another page than expected.
    for fault in ["next-host=https://internal.example", "duplicate@startIndex=100#1"] {
        stage.faults(&[fault]);
        let result = stage.expect_json(0, &[&FETCH[..], &["--full"]].concat());
        assert_eq!(eob(&result)["count"], 230, "{fault}");
        assert_eq!(kept(&stage), expected, "{fault}");
    }
    // A page size that the server chooses, and one that does not divide the number.
    for size in ["7", "10", "33", "49"] {
        let result = stage.expect_json(0, &[&FETCH[..], &["--full", "--page-size", size]].concat());
        assert_eq!(eob(&result)["count"], 230, "{size}");
        assert_eq!(kept(&stage), expected, "{size}");
    }
}

#[test]
fn claims_that_come_or_go_during_a_parallel_read_count_once() {
    for change in [json!({"add": 7}), json!({"remove": 5}), json!({"add": 30, "update": 20, "remove": 3})] {
        let stage = Stage::logged_in(Setting { claims: 600, latency: Duration::from_millis(60), ..Setting::default() });
        let mut fetch = Running::start(stage.bbdl(&["fetch", "eob", "--out", "claims", "-v", "--jobs", "4"]));
        fetch.until("startIndex=150");
        stage.control("POST", "claims", &change.to_string());
        assert_code(&fetch.finish(), 0, &[&change.to_string()]);
        let (kept, expected) = (kept(&stage), in_order(&stage));
        assert_eq!(kept.len(), kept.iter().collect::<BTreeSet<_>>().len());
        assert_eq!(kept, expected, "{change}");
    }
}

/// Lets the claims change while the second page is on its way, and waits for the end.
fn change_while_fetching(stage: &Stage, out: &str, loads: &[Value]) -> std::process::Output {
    let mut fetch = Running::start(stage.bbdl(&["fetch", "eob", "--out", out, "-v"]));
    fetch.until("200, ");
    for load in loads {
        stage.control("POST", "claims", &load.to_string());
    }
    fetch.finish()
}

/// Three claims are added, one in each third of the list, and three of the first page are removed. The total stays
/// the same, and the second page has moved up.
fn as_many_come_as_go() -> [Value; 4] {
    [json!({"add": 3}), json!({"remove": 1}), json!({"remove": 1}), json!({"remove": 1})]
}

#[test]
fn a_claim_that_moves_to_a_page_already_read_is_not_lost() {
    // A claim of the first page is removed, so that the first one of the second page moves to the first.
    let at_v3 = [vec![json!({"remove": 3})], vec![json!({"add": 3, "remove": 3})], vec![json!({"supersede": 3})]];
    for (api, changes) in
        [("v1", &[as_many_come_as_go().to_vec()][..]), ("v2", &[as_many_come_as_go().to_vec()]), ("v3", &at_v3)]
    {
        for loads in changes {
            let stage = Stage::with(Setting { claims: 130, latency: Duration::from_millis(200), ..Setting::default() });
            stage.log_in(&["--api", api]);
            let output = change_while_fetching(&stage, "claims", loads);
            assert_code(&output, 0, &[api]);
            assert!(text(&output.stderr).contains("reading them again"), "{api}: {loads:?}: {}", text(&output.stderr));
            assert_eq!(kept(&stage), in_order(&stage), "{api}: {loads:?}");
        }
    }
}

#[test]
fn an_increment_of_several_pages_is_complete() {
    let stage = Stage::with(Setting { claims: 60, latency: Duration::from_millis(200), ..Setting::default() });
    stage.log_in(&["--api", "v3"]);
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.control("POST", "claims", r#"{"add":140}"#);
    let output = change_while_fetching(&stage, "claims", &[json!({"remove": 4})]);
    assert_code(&output, 0, &[]);
    assert!(text(&output.stderr).contains("reading them again"), "{}", text(&output.stderr));
    let kept: BTreeSet<String> = kept(&stage).into_iter().collect();
    let missing: Vec<String> = in_order(&stage).into_iter().filter(|id| !kept.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_pipe_gets_every_claim_or_the_exit_code_says_otherwise() {
    for (api, loads) in [("v2", as_many_come_as_go().to_vec()), ("v3", vec![json!({"remove": 3})])] {
        let stage = Stage::with(Setting { claims: 130, latency: Duration::from_millis(200), ..Setting::default() });
        stage.log_in(&["--api", api]);
        let output = change_while_fetching(&stage, "-", &loads);
        assert_code(&output, 0, &[api]);
        let written = ids(&text(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>());
        let distinct: BTreeSet<&String> = written.iter().collect();
        assert_eq!(written.len(), distinct.len(), "{api}: each once");
        let missing: Vec<String> = in_order(&stage).into_iter().filter(|id| !distinct.contains(id)).collect();
        assert!(missing.is_empty(), "{api}: {missing:?}");
        // Links that end before the total do not end the search.
        if api == "v2" {
            stage.faults(&["total=260@ExplanationOfBenefit"]);
            let output = stage.run(&["fetch", "eob", "--out", "-"]);
            assert_code(&output, 75, &[]);
            let said = text(&output.stderr);
            assert!(said.contains("the output is incomplete"), "{said}");
        }
    }
}

#[test]
fn an_expired_token_is_renewed_once_for_all_pages_under_way() {
    let stage = stage(400);
    stage.faults(&["expire-token@startIndex=100&#1"]);
    stage.asked();
    assert_eq!(eob(&stage.expect_json(0, &FETCH))["count"], 400);
    let renewals = stage.asked().iter().filter(|row| row.contains("/o/token")).count();
    assert_eq!(renewals, 1);
    assert_eq!(kept(&stage), in_order(&stage));
}

#[test]
fn one_slow_enrollee_delays_nobody_else() {
    let stage = stage(260);
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    for name in ["x", "y"] {
        stage.log_in(&["--profile", name]);
    }
    // The default profile is enrollee 0; x was replaced by y. All pages of the default profile except the first are
    // slow.
    let slow = stage.expect_json(0, &["status", "--json"])["profiles"][0]["patient"].as_str().unwrap().to_owned();
    stage.faults(&[&format!("late=1500@patient={slow}")]);
    let fetch = stage.bbdl(&["fetch", "eob", "--out", "study", "--all-profiles", "--jobs", "2", "-v"]);
    let output = crate::support::finished(fetch);
    assert_code(&output, 77, &[]);
    for name in ["default", "y"] {
        assert_eq!(lines(&stage.home.path().join(format!("study/{name}/ExplanationOfBenefit.ndjson"))).len(), 260);
    }
    // Each line says which profile it is about. The last page of one came before the first slow page of the other.
    let said = text(&output.stderr);
    let rows: Vec<&str> = said.lines().collect();
    let last_quick = rows.iter().rposition(|row| row.starts_with("y: GET /v2/fhir/")).unwrap();
    let is_slow = |row: &&str| row.starts_with("default: GET ") && row.contains("startIndex");
    let first_slow = rows.iter().position(is_slow).unwrap();
    assert!(last_quick < first_slow, "{said}");
}
