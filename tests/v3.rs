//! API v3, whose pages have wrong totals and name hosts that no one can reach: recorded payloads, served in v3's way
//! over real sockets.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::support::{assert_code, finished, ids, lines, server::Server, shared, text};
use serde_json::{Value, json};

/// Two claims per page, for any requested size: the recorded bundle has five.
const PAGE: usize = 2;

fn serve(payloads: PathBuf) -> Server {
    let cards = AtomicU32::new(0);
    Server::start(move |url| {
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let file = |name: &str| of_one_person(&payloads.join(name));
        let body = match url.path() {
            "/v3/fhir/ExplanationOfBenefit" => page(&file("eob-search-bundle.json"), &query),
            "/v3/fhir/Patient" => file("patient-search-bundle.json"),
            "/v3/fhir/Coverage" => file("coverage-search-bundle.json"),
            "/v3/fhir/Patient/$generate-insurance-card" => {
                // New ids at each call.
                let fresh = format!("{:08x}-0000-4000-8000-000000000000", cards.fetch_add(1, Ordering::Relaxed));
                let card: Value = serde_json::from_str(&file("insurance-card.json")).unwrap();
                let id = card["entry"][0]["fullUrl"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
                file("insurance-card.json").replace(id, &fresh)
            }
            "/v3/connect/userinfo" => file("userinfo.json"),
            _ => return (404, "{}".to_owned()),
        };
        (200, body)
    })
}

/// A recorded payload with its person's id replaced, because the recordings are from several people.
fn of_one_person(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let resource = &value["entry"][0]["resource"];
    let reference = |key: &str| resource[key]["reference"].as_str()?.strip_prefix("Patient/");
    let id = match resource["resourceType"].as_str() {
        Some("Patient") => resource["id"].as_str(),
        Some(_) => reference("patient").or_else(|| reference("beneficiary")),
        None => value["patient"].as_str(),
    };
    id.map_or(text.clone(), |id| text.replace(id, "-4711"))
}

/// A page as API v3 cuts it: `_offset`, a `next` link on an internal host, and the page size as `total`.
fn page(bundle: &str, query: &HashMap<String, String>) -> String {
    let mut bundle: Value = serde_json::from_str(bundle).unwrap();
    let offset: usize = query.get("_offset").map_or(0, |text| text.parse().unwrap());
    let mut entries = bundle["entry"].as_array().unwrap().clone();
    // In the recording, all were loaded at once. Here it is one per month, so that an increment has less than
    // everything.
    for (number, entry) in entries.iter_mut().enumerate() {
        entry["resource"]["meta"]["lastUpdated"] = json!(format!("2026-0{}-01T00:00:00.000Z", number + 1));
    }
    let since =
        query.get("_lastUpdated").map(|text| text.strip_prefix("ge").unwrap().parse::<jiff::Timestamp>().unwrap());
    entries.retain(|entry| {
        let loaded = entry["resource"]["meta"]["lastUpdated"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        since.is_none_or(|since| loaded >= since)
    });
    let shown: Vec<Value> = entries.iter().skip(offset).take(PAGE).cloned().collect();
    bundle["total"] = json!(shown.len());
    if offset + PAGE < entries.len() {
        let internal = "http://sandbox.fhirv3.bfd.cmscloud.local/v3/fhir/ExplanationOfBenefit";
        let next = format!("{internal}?_source=NCH%2CDDPS&_count={PAGE}&_offset={}", offset + PAGE);
        bundle["link"].as_array_mut().unwrap().push(json!({"relation": "next", "url": next}));
    }
    bundle["entry"] = json!(shown);
    bundle.to_string()
}

#[test]
fn everything_of_api_v3_is_downloaded() {
    let Some(payloads) = shared("data/v3") else { return };
    let server = serve(payloads.clone());
    let home = tempfile::tempdir().unwrap();
    server.log_in(home.path(), "v3");
    assert!(server.asked().concat().contains("patient%2FExplanationOfBenefit.rs"));
    let fetch = |more: &[&str]| {
        let mut command = crate::support::bbdl(home.path());
        command.args(["fetch", "all", "--out", "claims", "--json", "--jobs", "1"]).args(more);
        let output = finished(command);
        assert_code(&output, 0, more);
        serde_json::from_str::<Value>(&text(&output.stdout)).unwrap()
    };
    let result = fetch(&[]);
    let claims = &result["resources"]["ExplanationOfBenefit"];
    assert_eq!(
        (&claims["count"], &claims["requests"]),
        (&json!(5), &json!(8)),
        "{result}: pages of two that overlap by one, and what was loaded meanwhile"
    );
    // v3's total is not a total: nothing is missing, and nothing is reported.
    assert!(claims.get("server_total").is_none());
    for (resource, count) in [("Patient", 1), ("Coverage", 5), ("UserInfo", 1), ("InsuranceCard", 1)] {
        assert_eq!(result["resources"][resource]["count"], count, "{resource}");
    }
    let recorded: Value = serde_json::from_str(&of_one_person(&payloads.join("eob-search-bundle.json"))).unwrap();
    let wanted: Vec<&str> =
        recorded["entry"].as_array().unwrap().iter().map(|entry| entry["resource"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids(&lines(&home.path().join("claims/ExplanationOfBenefit.ndjson"))), wanted);
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(home.path().join("claims/manifest.json")).unwrap()).unwrap();
    // Not the Bundle's date, which at v3 is that of the answer, but the newest claim's.
    assert_eq!(manifest["resources"]["ExplanationOfBenefit"]["cursor"], "2026-05-01T00:00:00Z");
    let files = || {
        ["ExplanationOfBenefit.ndjson", "Coverage.ndjson", "InsuranceCard.json"]
            .map(|name| std::fs::read(home.path().join("claims").join(name)).unwrap())
    };
    let before = files();
    let before_it = server.asked();
    let result = fetch(&[]);
    let claims = &result["resources"]["ExplanationOfBenefit"];
    assert_eq!(
        (&claims["mode"], &claims["unchanged"], &claims["requests"]),
        (&json!("incremental"), &json!(5), &json!(1))
    );
    let asked_then = server.asked();
    assert!(asked_then.iter().any(|target| target.contains("_lastUpdated=ge2026-04-17T00%3A00%3A00.000Z")));
    // The insurance card came with other ids, but the same content.
    assert_eq!(result["resources"]["InsuranceCard"]["unchanged"], 1);
    assert!(files() == before);
    // What the server leaves out by itself is reported after a pull of everything.
    let summary = |more: &[&str]| {
        let mut command = crate::support::bbdl(home.path());
        command.args(["fetch", "eob", "--out", "claims"]).args(more);
        let output = finished(command);
        assert_code(&output, 0, more);
        text(&output.stdout)
    };
    assert!(summary(&["--full"]).contains("claims that are still being processed need --source"));
    assert!(!summary(&[]).contains("--source"));
    assert_eq!(fetch(&["--full"])["resources"]["ExplanationOfBenefit"]["unchanged"], 5);
    let asked = [before_it, asked_then, server.asked()].concat().join("\n");
    assert!(asked.contains("_count=50") && asked.contains("_offset=3"), "{asked}");
    assert!(!asked.contains("/v2/"), "{asked}");
}
