//! A log-in by code and PKCE, then claims, with only sockets. Copy it, or use your own HTTP client.

use std::{
    error::Error,
    io::{Read, Write},
    net::TcpStream,
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bluebutton_mock::{Mock, Options, Population};
use serde_json::Value;
use sha2::{Digest, Sha256};

const REDIRECT_URI: &str = "http://localhost:3000/callback";

/// One request on one connection. Returns the head of the answer and its body.
fn send(mock: &Mock, request: &str, headers: &str, body: &str) -> Result<(String, String), Box<dyn Error>> {
    let address = mock.url().trim_start_matches("http://");
    let mut socket = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        socket,
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    Ok((head.to_owned(), body.to_owned()))
}

#[test]
fn an_app_logs_in_and_fetches_claims() -> Result<(), Box<dyn Error>> {
    // Two made-up people with ten claims each. There are no pages: a plain GET of the authorization URL gives
    // consent.
    let mock = Mock::start(Options {
        auto_consent: true,
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        records: Box::new(Population::new(1, 2, 10)),
        ..Options::default()
    })?;

    // The browser's part. A real app uses a new verifier and state each time.
    let (verifier, state) = ("a-verifier-has-43-characters-at-least-0123456", "a-state-of-16-characters");
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", mock.client_id())
        .append_pair("redirect_uri", REDIRECT_URI)
        .append_pair("state", state)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let (head, _) = send(&mock, &format!("GET /v2/o/authorize/?{query}"), "", "")?;
    let location = head.lines().find_map(|line| line.strip_prefix("location: ")).ok_or("no redirect")?;
    let (back, query) = location.split_once('?').ok_or("no parameters")?;
    assert_eq!(back, REDIRECT_URI);
    let parameter = |wanted: &str| {
        let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned()).ok_or(format!("no {wanted}"))
    };
    assert_eq!(parameter("state")?, state);

    // Exchanges the code for tokens, with the app's credentials.
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", &parameter("code")?)
        .append_pair("redirect_uri", REDIRECT_URI)
        .append_pair("code_verifier", verifier)
        .finish();
    let credentials = BASE64_STANDARD.encode(format!("{}:{}", mock.client_id(), mock.client_secret()));
    let headers = format!("Authorization: Basic {credentials}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let (head, body) = send(&mock, "POST /v2/o/token/", &headers, &form)?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let tokens: Value = serde_json::from_str(&body)?;
    let access = tokens["access_token"].as_str().ok_or("no access token")?;

    // Claims of the person who consented.
    let bearer = format!("Authorization: Bearer {access}\r\n");
    let (head, body) = send(&mock, "GET /v2/fhir/ExplanationOfBenefit?_count=50", &bearer, "")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let bundle: Value = serde_json::from_str(&body)?;
    assert_eq!((bundle["total"].as_u64(), bundle["entry"].as_array().map(Vec::len)), (Some(10), Some(10)));
    let patient = format!("Patient/{}", tokens["patient"].as_str().ok_or("no patient")?);
    assert_eq!(bundle["entry"][0]["resource"]["patient"]["reference"], patient);
    Ok(())
}

#[test]
fn what_cannot_start_says_why() {
    let refused = |options| Mock::start(options).err().map(|why| why.to_string()).unwrap_or_default();
    let redirect_uris = vec!["localhost:3000/callback".to_owned()];
    let why = refused(Options { redirect_uris, ..Options::default() });
    assert_eq!(why, "\"localhost:3000/callback\" is not a redirect URI; write it as http://localhost:3000/callback");
    let taken = Mock::start(Options::default()).unwrap();
    let port = taken.url().rsplit(':').next().unwrap().parse().unwrap();
    let why = refused(Options { port, ..Options::default() });
    assert!(why.starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{why}");
}

#[test]
fn an_async_test_can_start_a_mock_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mock = Mock::start(Options::default()).unwrap();
        let (head, _) = send(&mock, "GET /.well-known/openid-configuration", "", "").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    });
}
