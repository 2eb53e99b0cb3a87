//! What a page costs: split by us, read into values for comparison, and made by the mock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::OnceLock;

use bbdl::fhir::{bundle::Bundle, resource::Header};
use divan::{Bencher, counter::BytesCount};
use serde_json::Value;
use support::{Setting, Stage, http};

fn main() {
    divan::main();
}

/// A mock with one profile for each version, kept for all benches.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let stage = Stage::with(Setting { claims: 2000, ..Setting::default() });
        for api in ["v1", "v2", "v3"] {
            stage.log_in(&["--api", api, "--profile", api]);
        }
        stage
    })
}

/// A page of fifty claims, as the mock serves it.
fn page(api: &str) -> String {
    let stage = stage();
    let record = std::fs::read_to_string(stage.home.path().join(format!("tokens/{api}.json"))).unwrap();
    let token: Value = serde_json::from_str(&record).unwrap();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let url = format!("{}/{api}/fhir/ExplanationOfBenefit?_count=50", stage.mock.url());
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

/// Over a connection of its own, not compressed.
#[divan::bench(args = ["v1", "v2", "v3"])]
fn page_of_the_mock(bencher: Bencher<'_, '_>, api: &str) {
    bencher.counter(BytesCount::of_str(&page(api))).bench(|| page(api));
}
