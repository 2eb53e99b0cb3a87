//! Where pages meet, with a server of the tests' own that does what no mock of the real one can do: claims that move
//! between any two requests, claims that may not be shared, pages that are too large.

use std::{
    collections::{BTreeSet, HashMap},
    process::Output,
    sync::{Arc, Mutex},
};

use crate::support::{
    assert_code, finished, ids, lines,
    server::{Server, claim, number, page, start_name},
    text,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

/// The server's data and behavior.
#[derive(Clone, Default)]
struct Shelf {
    api: &'static str,
    /// Claims and prior authorizations, in the server's order.
    items: Vec<String>,
    /// Those that it counts but does not send.
    redacted: BTreeSet<String>,
    /// The status for more than this many at once, if there is a limit.
    most: Option<(usize, u16)>,
    /// A change before the request for claims with this number (from 1).
    before: HashMap<usize, Change>,
    /// A change before each request with these words in its query.
    whenever: Option<(&'static str, Change)>,
    dates: HashMap<String, String>,
    searches: usize,
    /// How many more searches are answered, if that is limited.
    answers: Option<usize>,
    /// Which requests get 503, by path and query.
    refuses: Option<fn(&str) -> bool>,
}

type Change = Arc<dyn Fn(&mut Vec<String>) + Send + Sync>;

fn remove(id: u32) -> Change {
    Arc::new(move |items| items.retain(|item| *item != id.to_string()))
}

impl Shelf {
    fn of(api: &'static str, claims: std::ops::Range<u32>) -> Self {
        Self { api, items: claims.map(|id| id.to_string()).collect(), ..Self::default() }
    }

    fn with_authorizations(mut self, number: u32) -> Self {
        self.items.extend((0..number).map(authorization));
        self
    }

    fn redact(mut self, claims: std::ops::Range<u32>) -> Self {
        self.redacted.extend(claims.map(|id| id.to_string()));
        self
    }

    fn change(mut self, at: usize, change: Change) -> Self {
        self.before.insert(at, change);
        self
    }

    fn id(&self, item: &str) -> String {
        if self.api == "v3" { item.to_owned() } else { format!("carrier-{item}") }
    }

    fn answer(&mut self, url: &Url) -> (u16, String) {
        if url.path().ends_with("/userinfo") {
            return (200, json!({"sub": "-1", "patient": "-1"}).to_string());
        }
        if !url.path().ends_with("/fhir/ExplanationOfBenefit") {
            return (404, "{}".to_owned());
        }
        if self.refuses.is_some_and(|refuses| refuses(url.as_str())) {
            return (503, "{}".to_owned());
        }
        if let Some(answers) = &mut self.answers {
            let Some(fewer) = answers.checked_sub(1) else { return (503, "{}".to_owned()) };
            *answers = fewer;
        }
        self.searches += 1;
        if let Some(change) = self.before.get(&self.searches) {
            change(&mut self.items);
        }
        if let Some((words, change)) = &self.whenever
            && url.as_str().contains(words)
        {
            change(&mut self.items);
        }
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let (start, count) = (number(url, start_name(self.api)).unwrap_or(0), number(url, "_count").unwrap_or(10));
        if let Some((_, status)) = self.most.filter(|(most, _)| count > *most) {
            return (status, json!({"detail": "value must be less"}).to_string());
        }
        let since = query.get("_lastUpdated").map(|text| text.trim_start_matches("ge").to_owned());
        let date = |item: &String| self.dates.get(item).map_or("2026-01-01T00:00:00.000Z", String::as_str);
        let sources = query.get("_source").map_or("NCH,DDPS", String::as_str);
        let is_asked_for = |item: &String| {
            let is_authorization = item.contains('-');
            let of_source = sources.split(',').any(|source| (source == "CWF") == is_authorization);
            (self.api != "v3" || of_source) && since.as_ref().is_none_or(|since| date(item) >= since.as_str())
        };
        let found: Vec<&String> = self.items.iter().filter(|item| is_asked_for(item)).collect();
        let total = found.len();
        if self.api != "v3" && start > 0 && start >= total {
            let words = format!(
                "An error occurred contacting the upstream server:Value for startIndex ({start}) must be less than than result size ({total})"
            );
            return (400, json!({"detail": words}).to_string());
        }
        let sent = found.iter().skip(start).take(count).filter(|item| !self.redacted.contains(**item));
        let entries = sent.map(|item| claim(&self.id(item), date(item))).collect();
        let bundle = page(self.api, url, total, entries);
        (200, bundle.to_string())
    }
}

fn authorization(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

/// A server with this data, and a home that is logged in there.
struct Scene {
    shelf: Arc<Mutex<Shelf>>,
    home: TempDir,
    server: Server,
}

impl Scene {
    fn of(shelf: Shelf) -> Self {
        let (api, shelf) = (shelf.api, Arc::new(Mutex::new(shelf)));
        let shared = Arc::clone(&shelf);
        let server = Server::start(move |url| shared.lock().unwrap().answer(url));
        let home = tempfile::tempdir().unwrap();
        server.log_in(home.path(), api);
        Self { shelf, home, server }
    }

    fn fetch(&self, more: &[&str]) -> Output {
        let mut command = crate::support::bbdl(self.home.path());
        command.args(["fetch", "eob", "--out", "claims", "--retry", "1", "--json"]).args(more);
        finished(command)
    }

    /// Fetches, and expects everything that the server sends by now.
    fn brings_all(&self, what: &str, more: &[&str]) -> Value {
        let output = self.fetch(more);
        assert_code(&output, 0, &[what]);
        self.has_all(what);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn has_all(&self, what: &str) {
        let kept: BTreeSet<String> =
            ids(&lines(&self.home.path().join("claims/ExplanationOfBenefit.ndjson"))).into_iter().collect();
        let shelf = self.shelf.lock().unwrap();
        let wanted = shelf.items.iter().filter(|item| !shelf.redacted.contains(*item)).map(|item| shelf.id(item));
        let missing: Vec<String> = wanted.filter(|id| !kept.contains(id)).collect();
        assert!(missing.is_empty(), "{what}: {missing:?} are missing");
    }

    fn fails(&self, code: i32, kind: &str, more: &[&str]) {
        let output = self.fetch(more);
        assert_code(&output, code, &[kind]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["error"]["kind"], kind, "{}", text(&output.stderr));
    }
}

/// A filter that claims can drop out of, so that v2's page boundaries are checked.
const FILTER: [&str; 2] = ["--service-date", "ge2014-01-01"];

#[test]
fn a_claim_that_goes_away_on_the_first_page_hides_none_of_the_second() {
    let shelf = Shelf::of("v3", 1000..1051).with_authorizations(10).change(2, remove(1003));
    Scene::of(shelf).brings_all("1050 moves to the first page", &["--source", "cwf,nch"]);
}

#[test]
fn a_pull_interrupted_in_every_run_still_finishes() {
    // Thirteen pages and one more request, of which each run gets four.
    let scene = Scene::of(Shelf::of("v3", 1000..1600));
    let arguments = ["--jobs", "1"];
    for run in 1..=3 {
        scene.shelf.lock().unwrap().answers = Some(4);
        scene.fails(75, "server", &arguments);
        assert!(!scene.home.path().join("claims/ExplanationOfBenefit.ndjson").exists(), "run {run}");
    }
    scene.shelf.lock().unwrap().answers = Some(4);
    scene.brings_all("the fourth run", &arguments);
}

#[test]
fn a_claim_superseded_between_two_runs_hides_no_other() {
    let scene = Scene::of(Shelf::of("v3", 1000..1600));
    let arguments = ["--jobs", "1"];
    scene.shelf.lock().unwrap().answers = Some(8);
    scene.fails(75, "server", &arguments);
    {
        let mut shelf = scene.shelf.lock().unwrap();
        (shelf.answers, shelf.dates) =
            (None, HashMap::from([("1700".to_owned(), "2026-11-20T00:00:00.000Z".to_owned())]));
        shelf.items.retain(|item| item != "1003");
        shelf.items.push("1700".to_owned());
    }
    scene.brings_all("superseded between two runs", &arguments);
    let kept = ids(&lines(&scene.home.path().join("claims/ExplanationOfBenefit.ndjson")));
    assert!(!kept.contains(&"1003".to_owned()), "a superseded claim stays");
}

#[test]
fn a_failing_server_costs_no_pages_already_read() {
    let scene = Scene::of(Shelf::of("v3", 1000..1500));
    scene.shelf.lock().unwrap().answers = Some(9);
    scene.fails(75, "server", &["--jobs", "1"]);
    let journal = scene.home.path().join("claims/.bbdl/partial/ExplanationOfBenefit.journal");
    let before = std::fs::read(&journal).unwrap();
    for _ in 0..3 {
        scene.shelf.lock().unwrap().answers = Some(0);
        scene.fails(75, "server", &[]);
        assert_eq!(std::fs::read(&journal).unwrap(), before);
    }
    scene.shelf.lock().unwrap().answers = None;
    let searches = scene.shelf.lock().unwrap().searches;
    scene.brings_all("at last", &["--jobs", "1"]);
    // The last two pages, and what was loaded recently.
    assert_eq!(scene.shelf.lock().unwrap().searches - searches, 3);
}

#[test]
fn duplicates_before_an_interruption_still_count() {
    let swap: Change = Arc::new(|items| items.swap(25, 70));
    let shelf = Shelf::of("v3", 1000..1020).with_authorizations(100).change(3, swap);
    let scene = Scene::of(shelf);
    let arguments = ["--source", "cwf,nch", "--page-size", "20", "--jobs", "1"];
    scene.shelf.lock().unwrap().refuses = Some(|url| url.contains("_offset=80"));
    scene.fails(75, "server", &arguments);
    scene.shelf.lock().unwrap().refuses = None;
    scene.brings_all("going on after a swap", &arguments);
}

#[test]
fn a_prior_authorization_that_goes_away_takes_no_other_with_it() {
    let first_goes: Change = Arc::new(|items| items.retain(|item| *item != authorization(0)));
    let shelf = Shelf::of("v3", 1000..1010).with_authorizations(120).change(3, first_goes);
    Scene::of(shelf).brings_all("all but the first", &["--source", "cwf,nch", "--jobs", "1"]);
}

#[test]
fn the_first_authorization_of_a_page_is_not_lost() {
    // The claims end on their second page. One of them is removed before the third is read.
    for (authorizations, jobs) in [(60, "1"), (10, "1"), (10, "4")] {
        let shelf = Shelf::of("v3", 1000..1100).with_authorizations(authorizations);
        let scene = Scene::of(shelf);
        let arguments = ["--source", "cwf,nch", "--jobs", jobs, "--full"];
        scene.brings_all("at rest", &arguments);
        let third = scene.shelf.lock().unwrap().searches + 3;
        scene.shelf.lock().unwrap().before.insert(third, remove(1003));
        scene.brings_all(&format!("{authorizations} authorizations, {jobs} at once"), &arguments);
    }
}

#[test]
fn endless_empty_pages_end_the_pull() {
    let home = tempfile::tempdir().unwrap();
    let claim = json!({"resource": {"resourceType": "ExplanationOfBenefit", "id": "carrier-1",
        "patient": {"reference": "Patient/-1"}}});
    // A total that is too large to be real, and pages without entries.
    let server = Server::start(move |url| {
        if url.path().ends_with("/userinfo") {
            return (200, json!({"sub": "-1", "patient": "-1"}).to_string());
        }
        let start: u64 =
            url.query_pairs().find(|(name, _)| name == "startIndex").map_or(0, |(_, value)| value.parse().unwrap());
        let mut next = url.clone();
        next.query_pairs_mut().clear().append_pair("startIndex", &(start + 5000).to_string());
        next.query_pairs_mut().append_pair("_count", "5000");
        let entries = if start == 0 { vec![claim.clone()] } else { Vec::new() };
        let bundle = json!({"resourceType": "Bundle", "total": u32::MAX, "entry": entries,
            "link": [{"relation": "next", "url": next.as_str()}]});
        (200, bundle.to_string())
    });
    server.log_in(home.path(), "v2");
    let mut command = crate::support::bbdl(home.path());
    command.args(["fetch", "eob", "--out", "claims", "--json"]);
    let output = finished(command);
    assert_code(&output, 65, &[]);
    assert!(text(&output.stdout).contains("too_many"), "{}", text(&output.stdout));
    assert!(server.asked().len() < 60);
}

#[test]
fn reordered_authorizations_are_read_again() {
    let swap: Change = Arc::new(|items| items.swap(25, 70));
    let mut shelf = Shelf::of("v3", 1000..1020).with_authorizations(60);
    // Each reading has two pages, and the second one is different each time.
    shelf.whenever = Some(("_offset=50", Arc::clone(&swap)));
    let scene = Scene::of(shelf);
    scene.fails(75, "shifted", &["--source", "cwf,nch"]);
    // A refused reading is not continued.
    scene.shelf.lock().unwrap().whenever = None;
    scene.brings_all("after three readings that were refused", &["--source", "cwf,nch"]);
    // If they stop changing in the end, all of them come.
    let shelf = Shelf::of("v3", 1000..1020).with_authorizations(60).change(2, Arc::clone(&swap));
    Scene::of(shelf).brings_all("they hold still", &["--source", "cwf,nch"]);
}

#[test]
fn redacted_claims_neither_hide_nor_imitate_a_lost_claim() {
    // One at a boundary, many around one, a whole page of them. The total counts them all.
    for (redacted, size) in
        [(1019..1020, "20"), (1024..1050, "50"), (1010..1020, "10"), (1049..1051, "50"), (1000..1060, "50")]
    {
        let what = format!("{redacted:?} in pages of {size}");
        let scene = Scene::of(Shelf::of("v2", 1000..1100).redact(redacted.clone()));
        let arguments = [&FILTER[..], &["--page-size", size]].concat();
        scene.brings_all(&what, &arguments);
        scene.brings_all(&what, &[&arguments[..], &["--full"]].concat());
    }
    // A claim that moves across a fully redacted page is found.
    let scene = Scene::of(Shelf::of("v2", 1000..1040).redact(1010..1020));
    let arguments = [&FILTER[..], &["--page-size", "10", "--full"]].concat();
    scene.brings_all("at rest", &arguments);
    let slip: Change = Arc::new(|items| {
        items.retain(|item| item != "1003");
        items.push("2000".to_owned());
    });
    {
        let mut shelf = scene.shelf.lock().unwrap();
        let third = shelf.searches + 3;
        shelf.before.insert(third, slip);
    }
    scene.brings_all("1020 slips over the redacted page", &arguments);
}

#[test]
fn page_boundaries_are_checked_at_the_servers_page_size() {
    // More than twenty-five at once is too much, and one claim beside a boundary may not be shared.
    let shelf = Shelf { most: Some((25, 504)), ..Shelf::of("v2", 1000..1060).redact(1024..1025) };
    Scene::of(shelf).brings_all("halved", &FILTER);
    // More than twenty is refused, and a claim moves.
    let shelf = Shelf { most: Some((20, 400)), ..Shelf::of("v3", 1000..1060).change(2, remove(1003)) };
    Scene::of(shelf).brings_all("at most twenty", &["--page-size", "20"]);
}

#[test]
fn many_fully_redacted_pages_are_not_an_endless_search() {
    Scene::of(Shelf::of("v2", 1000..1060).redact(1010..1035)).brings_all("one at a time", &["--page-size", "1"]);
}

#[test]
fn the_shortfall_stays_the_same_through_increments() {
    let scene = Scene::of(Shelf::of("v2", 1000..1040).redact(1010..1012));
    scene.brings_all("first", &FILTER);
    {
        let mut shelf = scene.shelf.lock().unwrap();
        shelf.items.push("2000".to_owned());
        shelf.dates.insert("2000".to_owned(), "2026-11-20T00:00:00.000Z".to_owned());
    }
    let result = scene.brings_all("increment", &FILTER);
    assert_eq!(result["resources"]["ExplanationOfBenefit"]["server_total"], 41, "{result}");
    // Its date was corrected, so it no longer matches the filter.
    scene.shelf.lock().unwrap().items.retain(|item| item != "1003");
    let result = scene.brings_all("full", &[&FILTER[..], &["--full"]].concat());
    assert_eq!(result["resources"]["ExplanationOfBenefit"]["removed"], 1, "{result}");
}

#[test]
fn lists_without_end_are_refused() {
    // At v2, more than the total.
    let scene = Scene::of(Shelf::of("v2", 1000..1060));
    {
        let mut shelf = scene.shelf.lock().unwrap();
        for at in 1..200 {
            let change: Change = Arc::new(move |items| {
                let next = 1060 + 50 * at as u32;
                items.extend((next..next + 50).map(|id| id.to_string()));
            });
            shelf.before.insert(at, change);
        }
    }
    scene.fails(75, "shifted", &[]);
    // v3's search for recently loaded claims, with an endless next page.
    let home = tempfile::tempdir().unwrap();
    let shelf = Mutex::new(Shelf::of("v3", 1000..1120));
    let server = Server::start(move |url| {
        let mut shelf = shelf.lock().unwrap();
        if !url.query().unwrap_or_default().contains("_lastUpdated") {
            return shelf.answer(url);
        }
        let offset: u64 =
            url.query_pairs().find(|(name, _)| name == "_offset").map_or(0, |(_, value)| value.parse().unwrap());
        let plain = Url::parse("http://here/v3/fhir/ExplanationOfBenefit?_count=50").unwrap();
        let mut bundle: Value = serde_json::from_str(&shelf.answer(&plain).1).unwrap();
        let next = format!("{url}&x=1").replace(&format!("_offset={offset}&"), "");
        let next = next.replace("_count", &format!("_offset={}&_count", offset + 50));
        bundle["link"] = json!([{"relation": "next", "url": next}]);
        (200, bundle.to_string())
    });
    server.log_in(home.path(), "v3");
    let mut command = crate::support::bbdl(home.path());
    command.args(["fetch", "eob", "--out", "claims", "--json"]);
    let output = finished(command);
    assert!([65, 75].contains(&output.status.code().unwrap()), "{}", text(&output.stderr));
    assert!(server.asked().len() < 60);
}

#[test]
fn a_claim_of_somebody_else_is_recognized_in_every_reference_form() {
    for reference in ["https://x.example/v2/fhir/Patient/-777", "Patient/-777/_history/2"] {
        let scene = Scene::of(Shelf::of("v2", 1000..1003));
        let reference = reference.to_owned();
        let shelf = Arc::clone(&scene.shelf);
        let server = Server::start(move |url| {
            let (status, body) = shelf.lock().unwrap().answer(url);
            (status, body.replacen("Patient/-1", &reference, 1))
        });
        server.log_in(scene.home.path(), "v2");
        scene.fails(65, "other_enrollee", &[]);
        drop(scene.server);
    }
}

#[test]
fn a_refusal_without_its_body_is_a_refusal() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|url| {
        let is_userinfo = url.path().ends_with("/userinfo");
        if is_userinfo { (200, json!({"sub": "-1", "patient": "-1"}).to_string()) } else { (403, String::new()) }
    });
    server.log_in(home.path(), "v2");
    let mut command = crate::support::bbdl(home.path());
    command.args(["fetch", "eob", "--out", "claims", "--json"]);
    assert_code(&finished(command), 77, &["refused"]);
}

/// A server that does not say whose a log-in is. `whose` decides whose it is.
fn discreet(scope: &'static str, whose: Arc<Mutex<&'static str>>) -> Server {
    Server::granting(scope, move |url| {
        let path = url.path().rsplit('/').next().unwrap();
        let of_one = |resource: Value| json!({"resourceType": "Bundle", "entry": [{"resource": resource}]});
        let body = match path {
            "userinfo" if whose.lock().unwrap().is_empty() => json!({"sub": "somebody", "name": "Somebody Else"}),
            "userinfo" => json!({"sub": *whose.lock().unwrap(), "patient": *whose.lock().unwrap()}),
            "ExplanationOfBenefit" => of_one(json!({"resourceType": "ExplanationOfBenefit", "id": "1",
                "patient": {"reference": "Patient/-1"}})),
            "Coverage" => of_one(json!({"resourceType": "Coverage", "id": "part-a",
                "beneficiary": {"reference": "Patient/-1"}})),
            "Patient" => of_one(json!({"resourceType": "Patient", "id": "-1"})),
            _ => json!({"resourceType": "Bundle", "type": "collection"}),
        };
        (200, body.to_string())
    })
}

fn fetched(home: &TempDir, what: &[&str]) -> Output {
    let mut command = crate::support::bbdl(home.path());
    command.arg("fetch").args(what).args(["--out", "claims", "--retry", "0", "--json"]);
    finished(command)
}

#[test]
fn a_resource_without_an_owner_never_replaces_an_owned_one() {
    let (whose, home) = (Arc::new(Mutex::new("-1")), tempfile::tempdir().unwrap());
    let server = discreet("patient/ExplanationOfBenefit.rs profile", Arc::clone(&whose));
    server.log_in(home.path(), "v2");
    assert_code(&fetched(&home, &["eob", "userinfo"]), 0, &[]);
    let kept = std::fs::read(home.path().join("claims/UserInfo.json")).unwrap();
    *whose.lock().unwrap() = "";
    let output = fetched(&home, &["userinfo"]);
    assert_code(&output, 65, &[]);
    assert!(text(&output.stdout).contains("other_enrollee"), "{}", text(&output.stdout));
    // An archive of an unknown person does not become another person's either.
    let nobodys = tempfile::tempdir().unwrap();
    server.log_in(nobodys.path(), "v2");
    assert_code(&fetched(&nobodys, &["userinfo"]), 0, &[]);
    assert_code(&fetched(&nobodys, &["eob"]), 65, &[]);
    // If it was not named explicitly, the claims still come.
    assert_code(&fetched(&home, &["all"]), 0, &[]);
    assert_eq!(std::fs::read(home.path().join("claims/UserInfo.json")).unwrap(), kept);
}

#[test]
fn the_insurance_card_names_the_person_if_nothing_else_does() {
    let (whose, home) = (Arc::new(Mutex::new("")), tempfile::tempdir().unwrap());
    let server = discreet(crate::support::server::SCOPE, whose);
    server.log_in(home.path(), "v3");
    assert_code(&fetched(&home, &["insurance-card"]), 0, &[]);
    let manifest = std::fs::read_to_string(home.path().join("claims/manifest.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&manifest).unwrap()["source"]["patient"], "-1");
    assert_code(&fetched(&home, &["all"]), 0, &[]);
    // The log-in is valid, whoever it belongs to.
    let mut status = crate::support::bbdl(home.path());
    status.args(["status", "--json"]);
    let status = finished(status);
    assert!(text(&status.stdout).contains("\"archives\":[{"), "{}", text(&status.stdout));
}

#[test]
fn pages_of_one_claim_are_joined_too() {
    for (api, more) in [("v3", &[][..]), ("v2", &FILTER)] {
        let replace: Change = Arc::new(|items| {
            items.retain(|item| item != "1003");
            items.push("2000".to_owned());
        });
        let scene = Scene::of(Shelf::of(api, 1000..1030).change(12, replace));
        scene.brings_all(api, &[more, &["--page-size", "1", "--jobs", "1"]].concat());
    }
}

#[test]
fn a_claim_that_leaves_a_filter_beside_a_redacted_one_hides_no_other() {
    let leave: Change = Arc::new(|items| items.retain(|item| item != "1049" && item != "1020"));
    let mut shelf = Shelf::of("v2", 1000..1120).redact(1010..1011).change(2, leave);
    shelf.before.insert(3, Arc::new(|items| items.extend(["2000".to_owned(), "2001".to_owned()])));
    Scene::of(shelf).brings_all("two leave, two come", &[&FILTER[..], &["--jobs", "1"]].concat());
}

#[test]
fn prior_authorizations_that_were_kept_do_not_vanish_in_an_outage() {
    let scene = Scene::of(Shelf::of("v3", 1000..1030).with_authorizations(30));
    let arguments = ["--source", "nch,cwf"];
    scene.brings_all("at first", &arguments);
    let saved = scene.shelf.lock().unwrap().items.clone();
    scene.shelf.lock().unwrap().items.retain(|item| !item.contains('-'));
    let output = scene.fetch(&[&arguments[..], &["--full"]].concat());
    assert_code(&output, 75, &["an outage of one source"]);
    scene.shelf.lock().unwrap().items = saved;
    scene.brings_all("afterwards", &arguments);
}

#[test]
fn a_fully_redacted_increment_is_not_retried_forever() {
    let scene = Scene::of(Shelf::of("v2", 1000..1040).redact(1010..1011));
    scene.brings_all("first", &[]);
    scene.shelf.lock().unwrap().dates.insert("1010".to_owned(), "2026-11-20T00:00:00.000Z".to_owned());
    scene.brings_all("every night", &[]);
}

#[test]
fn small_pages_and_an_update_are_not_an_endless_list() {
    let update: Change = Arc::new(|_| {});
    let mut shelf = Shelf::of("v3", 1000..1040).change(1, update);
    shelf.dates = (1000..1040).map(|id| (id.to_string(), "2026-11-19T00:00:00.000Z".to_owned())).collect();
    Scene::of(shelf).brings_all("all loaded lately", &["--page-size", "2", "--jobs", "1"]);
}
