//! Tests of the mock over real sockets, against recorded answers of the real server.

mod authorize;
mod consents;
mod faults;
mod fhir;
pub(crate) mod recorded;
mod token;
mod versions;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Access, Mock, Options, population::Population};

pub(super) const REDIRECT: &str = "http://127.0.0.1:51234/callback";
pub(super) const VERIFIER: &str = "0123456789012345678901234567890123456789012345678901234567890123";
pub(super) const STATE: &str = "0123456789abcdef";
pub(super) const AGAIN: &str =
    "To refresh Medicare data, end user must re-authenticate and consent to share their data.";

/// A mock under test: 25 claims each for three people, log-ins without a page.
pub(super) fn mock(access: Access) -> Mock {
    start(Options { access, ..options() })
}

pub(super) fn options() -> Options {
    Options { auto_consent: true, seed: 7, records: Box::new(Population::new(7, 3, 25)), ..Options::default() }
}

pub(super) fn start(options: Options) -> Mock {
    Mock::start(options).unwrap()
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(super) struct Got {
    pub status: u16,
    head: String,
    pub bytes: Vec<u8>,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|cause| panic!("{cause}: {self:?}"))
    }
}

/// One request on one connection. `None` if not a single byte came back.
pub(super) fn send(mock: &Mock, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Option<Got> {
    let address = mock.url().strip_prefix("http://").unwrap();
    let target = target.strip_prefix(mock.url()).unwrap_or(target);
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    socket.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // Broken connections are tested too, so what came before the break counts.
    let _ = socket.read_to_end(&mut bytes);
    if bytes.is_empty() {
        return None;
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Got { status, head, bytes: bytes[end + 4..].to_vec() })
}

pub(super) fn get(mock: &Mock, target: &str) -> Got {
    send(mock, "GET", target, &[], "").unwrap()
}

/// A GET with a bearer token.
pub(super) fn request(mock: &Mock, token: &str, target: &str) -> Got {
    send(mock, "GET", target, &[("Authorization", &format!("Bearer {token}"))], "").unwrap()
}

/// A POST of JSON to the controls, which must accept it.
pub(super) fn control(mock: &Mock, what: &str, body: &str) {
    let got = send(mock, "POST", &format!("/__mock/{what}"), &[("Content-Type", "application/json")], body).unwrap();
    assert_eq!(got.status, 200, "{got:?}");
}

pub(super) fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A POST of a form, with the app's credentials in a Basic header.
pub(super) fn post(mock: &Mock, target: &str, pairs: &[(&str, &str)]) -> Got {
    let basic = basic(mock.client_id(), mock.client_secret());
    form(mock, target, &[("Authorization", &basic)], pairs)
}

pub(super) fn form(mock: &Mock, target: &str, headers: &[(&str, &str)], pairs: &[(&str, &str)]) -> Got {
    let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    send(mock, "POST", target, &all, &encoded(pairs)).unwrap()
}

pub(super) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

/// A valid authorization request with some parameters changed (`None`: left out).
pub(super) fn authorization(mock: &Mock, changed: &[(&str, Option<&str>)]) -> String {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let good = [
        ("response_type", "code"),
        ("client_id", mock.client_id()),
        ("redirect_uri", REDIRECT),
        ("state", STATE),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let mut pairs: Vec<(&str, &str)> =
        good.into_iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name)).collect();
    pairs.extend(changed.iter().filter_map(|(name, value)| Some((*name, (*value)?))));
    format!("/v2/o/authorize/?{}", encoded(&pairs))
}

/// A parameter of the URL that an answer redirects to.
pub(super) fn sent_back(got: &Got, name: &str) -> Option<String> {
    let url = url::Url::parse(got.header("location")?).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A code from a log-in without a page.
pub(super) fn code(mock: &Mock, changed: &[(&str, Option<&str>)]) -> String {
    let got = get(mock, &authorization(mock, changed));
    assert_eq!(got.status, 302, "{got:?}");
    sent_back(&got, "code").unwrap_or_else(|| panic!("{got:?}"))
}

pub(super) fn exchange(mock: &Mock, code: &str) -> Got {
    let pairs =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
    post(mock, "/v2/o/token/", &pairs)
}

pub(super) fn refresh(mock: &Mock, token: &str) -> Got {
    post(mock, "/v2/o/token/", &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

/// An access token and a refresh token.
pub(super) fn tokens(mock: &Mock) -> (String, String) {
    pair(&exchange(mock, &code(mock, &[])))
}

pub(super) fn pair(got: &Got) -> (String, String) {
    let answer = got.json();
    let token = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{got:?}")).to_owned();
    (token("access_token"), token("refresh_token"))
}
