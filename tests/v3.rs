//! API v3, whose pages lie about their totals and name hosts that nobody can reach: recorded payloads,
//! served in v3's manner over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};
use support::{Running, assert_code, finished, follow, ids, lines, shared, text};

/// Two claims a page, whatever is asked for: the recorded bundle has five.
const PAGE: usize = 2;

struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(payloads: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (payloads, noted) = (payloads.clone(), Arc::clone(&noted));
                thread::spawn(move || answer(stream, &payloads, &noted));
            }
        });
        Self { url, asked }
    }
}

fn answer(mut stream: TcpStream, payloads: &Path, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let Some(target) = line.split(' ').nth(1).map(str::to_owned) else { return };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    asked.lock().unwrap().push(target.clone());
    let url = url::Url::parse(&format!("http://here{target}")).unwrap();
    let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
    let file = |name: &str| of_one_person(&payloads.join(name));
    let (head, body) = match url.path() {
        "/v3/o/authorize/" => {
            assert!(query["scope"].contains("patient/ExplanationOfBenefit.rs"));
            (
                format!("302 Found\r\nLocation: {}?code=abcdefghijkl&state={}", query["redirect_uri"], query["state"]),
                String::new(),
            )
        }
        "/v3/o/token/" => {
            let scope =
                "patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs profile openid launch/patient";
            let token = json!({"access_token": "token", "token_type": "Bearer", "expires_in": 3600, "scope": scope, "refresh_token": "again"});
            ("200 OK".to_owned(), token.to_string())
        }
        "/v3/fhir/ExplanationOfBenefit" => ("200 OK".to_owned(), page(&file("eob-search-bundle.json"), &query)),
        "/v3/fhir/Patient" => ("200 OK".to_owned(), file("patient-search-bundle.json")),
        "/v3/fhir/Coverage" => ("200 OK".to_owned(), file("coverage-search-bundle.json")),
        "/v3/fhir/Patient/$generate-insurance-card" => {
            // Fresh ids at each call.
            let fresh = format!("{:08x}-0000-4000-8000-000000000000", asked.lock().unwrap().len());
            let card: Value = serde_json::from_str(&file("insurance-card.json")).unwrap();
            let id = card["entry"][0]["fullUrl"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
            ("200 OK".to_owned(), file("insurance-card.json").replace(id, &fresh))
        }
        "/v3/connect/userinfo" => ("200 OK".to_owned(), file("userinfo.json")),
        _ => ("404 Not Found".to_owned(), "{}".to_owned()),
    };
    let kind = if url.path().starts_with("/v3/fhir/") { "application/fhir+json" } else { "application/json" };
    let head = format!(
        "HTTP/1.1 {head}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A client that has gone away is no business of this server's.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

/// A recorded payload with its person's id replaced: the recordings are of several people.
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

/// A page as API v3 cuts it: `_offset`, a `next` link on an internal host, and as `total` the size of the page.
fn page(bundle: &str, query: &HashMap<String, String>) -> String {
    let mut bundle: Value = serde_json::from_str(bundle).unwrap();
    let offset: usize = query.get("_offset").map_or(0, |text| text.parse().unwrap());
    let mut entries = bundle["entry"].as_array().unwrap().clone();
    // As recorded, all were loaded at once: here one a month, so that an increment has less than everything.
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
fn everything_of_api_v3_comes_home() {
    let Some(payloads) = shared("data/v3") else { return };
    let server = Server::start(payloads.clone());
    let home = tempfile::tempdir().unwrap();
    let mut command = support::bbdl(home.path());
    command.env("BBDL_CLIENT_SECRET", "secret").args([
        "login",
        "--api",
        "v3",
        "--server",
        &server.url,
        "--client-id",
        "id",
        "--no-browser",
    ]);
    let mut login = Running::start(command);
    follow(&login.authorize_url());
    assert_code(&login.finish(), 0, &[]);
    let fetch = |more: &[&str]| {
        let mut command = support::bbdl(home.path());
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
        "{result}: three pages, what lies between them, and what was loaded meanwhile"
    );
    // The total of v3 is no total: nothing is missing, and nothing is said of it.
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
    // Not the Bundle's date, which at v3 is that of the answer: the newest claim's.
    assert_eq!(manifest["resources"]["ExplanationOfBenefit"]["cursor"], "2026-05-01T00:00:00Z");
    let files = || {
        ["ExplanationOfBenefit.ndjson", "Coverage.ndjson", "InsuranceCard.json"]
            .map(|name| std::fs::read(home.path().join("claims").join(name)).unwrap())
    };
    let before = files();
    server.asked.lock().unwrap().clear();
    let result = fetch(&[]);
    let claims = &result["resources"]["ExplanationOfBenefit"];
    assert_eq!(
        (&claims["mode"], &claims["unchanged"], &claims["requests"]),
        (&json!("incremental"), &json!(5), &json!(1))
    );
    assert!(
        server
            .asked
            .lock()
            .unwrap()
            .iter()
            .any(|target| target.contains("_lastUpdated=ge2026-04-17T00%3A00%3A00.000Z"))
    );
    // The insurance card came with other ids, and says what it said.
    assert_eq!(result["resources"]["InsuranceCard"]["unchanged"], 1);
    assert!(files() == before);
    // What the server leaves out by itself is said where everything was read.
    let summary = |more: &[&str]| {
        let mut command = support::bbdl(home.path());
        command.args(["fetch", "eob", "--out", "claims"]).args(more);
        let output = finished(command);
        assert_code(&output, 0, more);
        text(&output.stdout)
    };
    assert!(summary(&["--full"]).contains("without partially adjudicated claims: --source"));
    assert!(!summary(&[]).contains("--source"));
    assert_eq!(fetch(&["--full"])["resources"]["ExplanationOfBenefit"]["unchanged"], 5);
    let asked = server.asked.lock().unwrap().join("\n");
    assert!(asked.contains("_count=50") && asked.contains("_offset=4"), "{asked}");
    assert!(!asked.contains("/v2/"), "{asked}");
}
