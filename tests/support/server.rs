//! A small server of a test's own, for what no mock of the real one does: it lets everybody log in, and answers
//! whatever the test says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;
use url::Url;

use super::{Running, assert_code, follow};

/// Status and body of an answer of the FHIR and userinfo endpoints.
pub type Said = (u16, String);

/// What the server says to a request.
pub type Handler = dyn Fn(&Url) -> Said + Send + Sync;

pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What is granted, unless a test says something else.
pub const SCOPE: &str =
    "patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs profile openid launch/patient";

impl Server {
    pub fn start(handler: impl Fn(&Url) -> Said + Send + Sync + 'static) -> Self {
        Self::granting(SCOPE, handler)
    }

    /// A server whose token answers name these scopes.
    pub fn granting(scope: &'static str, handler: impl Fn(&Url) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, handler): (_, Arc<Handler>) = (Arc::clone(&asked), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, handler) = (Arc::clone(&noted), Arc::clone(&handler));
                thread::spawn(move || answer(stream, &noted, scope, &*handler));
            }
        });
        Self { url, asked }
    }

    /// What was asked since the last time: path and query.
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

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>, scope: &str, handler: &Handler) {
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
    let url = Url::parse(&format!("http://here{target}")).unwrap();
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let (head, body) = if url.path().ends_with("/o/authorize/") {
        let (back, state) = (parameter("redirect_uri").unwrap(), parameter("state").unwrap());
        (format!("302 Found\r\nLocation: {back}?code=abcdefghijkl&state={state}"), String::new())
    } else if url.path().ends_with("/o/token/") {
        let token = json!({"access_token": "token", "token_type": "Bearer", "expires_in": 3600, "scope": scope,
            "refresh_token": "again"});
        ("200 OK".to_owned(), token.to_string())
    } else {
        let (status, body) = handler(&url);
        (format!("{status} Status"), body)
    };
    let kind = if url.path().contains("/fhir/") { "application/fhir+json" } else { "application/json" };
    // As gateways do that strip bodies and leave the head as it was.
    let encoding = if body.is_empty() { "Content-Encoding: gzip\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {head}\r\n{encoding}Content-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A client that has gone away is no business of this server's.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}
