//! What goes wrong around `bbdl`: a disk that is full or cannot be written to ([`disk`]), an archive that
//! is not what it was ([`corrupt`]), other processes at the same time ([`together`]), clocks ([`clock`]).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod clock;
mod corrupt;
mod disk;
#[path = "../support/mod.rs"]
mod support;
mod together;

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::Value;

const FETCH: [&str; 5] = ["fetch", "eob", "--out", "claims", "--json"];
const EOB: &str = "ExplanationOfBenefit";

/// Every file of an archive with its content, but those of which no reader needs to know.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(within) = todo.pop() {
        for path in fs::read_dir(&within).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                todo.extend((path.file_name().unwrap() != ".bbdl").then_some(path));
            } else {
                files.insert(path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// The claims of an archive, sorted, without what differs between two downloads.
fn claims_in(dir: &Path) -> Vec<String> {
    let lines = support::lines(&dir.join("ExplanationOfBenefit.ndjson"));
    let mut claims: Vec<String> = lines.iter().map(|line| support::slim::lasting(line)).collect();
    claims.sort();
    claims
}

fn eob(result: &Value) -> &Value {
    &result["resources"][EOB]
}

/// Prints although the test passes: the harness captures what the macros print, and not this.
fn tell(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
