//! The cost of a page: split by bbdl, parsed into values for comparison, and made by the mock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::OnceLock,
};

use bbdl::fhir::{bundle::Bundle, resource::Header};
use divan::{Bencher, counter::BytesCount};
use serde_json::Value;
use support::{Setting, Stage, http};

fn main() {
    divan::main();
}

/// A mock that all benches share.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| Stage::with(Setting { claims: 2000, ..Setting::default() }))
}

/// The address of a page of fifty claims, and a token for it. Each call is a new log-in, which ends the one before.
fn opened(api: &str) -> (String, String) {
    let stage = stage();
    stage.log_in(&["--api", api]);
    let bearer = format!("Bearer {}", stage.tokens()["access_token"].as_str().unwrap());
    (format!("{}/{api}/fhir/ExplanationOfBenefit?_count=50", stage.mock.url()), bearer)
}

/// A page of fifty claims from the mock.
fn page(api: &str) -> String {
    let (url, bearer) = opened(api);
    let answer = http("GET", &url, &[("Authorization", &bearer)], "");
    assert_eq!(answer.status, 200);
    answer.body
}

#[divan::bench]
fn split(bencher: Bencher<'_, '_>) {
    let text = page("v2");
    bencher
        .counter(BytesCount::of_str(&text))
        .with_inputs(|| text.clone())
        .bench_values(|text| Bundle::split(text).unwrap());
}

#[divan::bench]
fn read_into_a_value(bencher: Bencher<'_, '_>) {
    let text = page("v2");
    bencher.counter(BytesCount::of_str(&text)).bench(|| serde_json::from_str::<Value>(&text).unwrap());
}

#[divan::bench]
fn read_headers_and_fingerprints(bencher: Bencher<'_, '_>) {
    let text = page("v2");
    let bundle = Bundle::split(text.clone()).unwrap();
    bencher.counter(BytesCount::of_str(&text)).bench(|| {
        bundle.resources().map(|resource| Header::read(resource).unwrap().fingerprint(resource)).collect::<Vec<_>>()
    });
}

/// Over a separate connection, not compressed.
#[divan::bench(args = ["v1", "v2", "v3"])]
fn page_of_the_mock(bencher: Bencher<'_, '_>, api: &str) {
    let (url, bearer) = opened(api);
    let whole = url.strip_prefix("http://").unwrap();
    let (host, path) = whole.split_once('/').unwrap();
    let request =
        format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n");
    let mut bytes = Vec::with_capacity(4 << 20);
    let mut ask = || {
        bytes.clear();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_end(&mut bytes).unwrap()
    };
    let size = ask();
    bencher.counter(BytesCount::new(size)).bench_local(ask);
}
