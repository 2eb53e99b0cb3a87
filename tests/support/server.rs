//! A small server for a test, which does what no mock of the real one does: it lets everyone log in, and answers
//! whatever the test wants.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use url::Url;

use super::{
    Running, assert_code, follow,
    listener::{Reply, serve},
};

/// Status and body of an answer of the FHIR and userinfo endpoints.
pub type Said = (u16, String);

pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// The granted scopes, unless a test sets others.
pub const SCOPE: &str =
    "patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs profile openid launch/patient";

impl Server {
    pub fn start(handler: impl Fn(&Url) -> Said + Send + Sync + 'static) -> Self {
        Self::granting(SCOPE, handler)
    }

    /// A server whose token answers name these scopes.
    pub fn granting(scope: &'static str, handler: impl Fn(&Url) -> Said + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let url = serve(move |request| {
            noted.lock().unwrap().push(request.target.clone());
            answer(&request.target, scope, &handler)
        });
        Self { url, asked }
    }

    /// The requests since the last call: path and query.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// Logs the default profile of this home in.
    pub fn log_in(&self, home: &Path, api: &str) {
        let mut command = super::bbdl(home);
        command.env("BBDL_CLIENT_SECRET", "secret").args(["login", "--api", api, "--server", &self.url]);
        command.args(["--client-id", "id", "--no-browser"]);
        let mut login = Running::start(command);
        let _ = follow(&login.authorize_url());
        assert_code(&login.finish(), 0, &[api]);
    }
}

fn answer(target: &str, scope: &str, handler: &dyn Fn(&Url) -> Said) -> Reply {
    let url = Url::parse(&format!("http://here{target}")).unwrap();
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    if url.path().ends_with("/o/authorize/") {
        let (back, state) = (parameter("redirect_uri").unwrap(), parameter("state").unwrap());
        let location = format!("{back}?code=abcdefghijkl&state={state}");
        return Reply::new(302, "application/json", "").with("Location", &location);
    }
    if url.path().ends_with("/o/token/") {
        let token = json!({"access_token": "token", "token_type": "Bearer", "expires_in": 3600, "scope": scope,
            "refresh_token": "again"});
        return Reply::new(200, "application/json", token.to_string());
    }
    let kind = if url.path().contains("/fhir/") { "application/fhir+json" } else { "application/json" };
    let (status, body) = handler(&url);
    let is_empty = body.is_empty();
    let reply = Reply::new(status, kind, body);
    // Like gateways that strip bodies and do not change the headers.
    if is_empty { reply.with("Content-Encoding", "gzip") } else { reply }
}

/// The parameter of this version for the first claim of a page.
pub fn start_name(api: &str) -> &'static str {
    if api == "v3" { "_offset" } else { "startIndex" }
}

/// A number in the parameters of an address.
pub fn number(url: &Url, name: &str) -> Option<usize> {
    url.query_pairs().find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok())
}

/// The address of the page that starts at `start`, in the same search.
pub fn link_to(api: &str, url: &Url, start: usize) -> String {
    let mut next = url.clone();
    let others: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| name != start_name(api)).collect();
    next.query_pairs_mut().clear().extend_pairs(others).append_pair(start_name(api), &start.to_string());
    next.to_string()
}

/// The entry of a claim with few fields.
pub fn claim(id: &str, last_updated: &str) -> Value {
    json!({"resource": {"resourceType": "ExplanationOfBenefit", "id": id, "meta": {"lastUpdated": last_updated},
        "patient": {"reference": "Patient/-1"}}})
}

/// A page of a search that found `found` claims, with these entries.
pub fn page(api: &str, url: &Url, found: usize, entries: Vec<Value>) -> Value {
    let (start, count) = (number(url, start_name(api)).unwrap_or(0), number(url, "_count").unwrap_or(10));
    let mut links = vec![json!({"relation": "self", "url": url.as_str()})];
    if start + count < found {
        links.push(json!({"relation": "next", "url": link_to(api, url, start + count)}));
    }
    json!({"resourceType": "Bundle", "type": "searchset", "total": if api == "v3" { count } else { found },
        "meta": {"lastUpdated": "2026-11-20T00:00:00Z"}, "link": links, "entry": entries})
}
