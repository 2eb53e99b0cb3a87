//! Problems around `bbdl`: a full or read-only disk ([`disk`]), a damaged archive ([`corrupt`]), profiles that cannot
//! be read ([`records`]), other processes at the same time ([`together`]), clocks ([`clock`]).

// `faketime` and disks that fail both need Linux.
#[cfg(unix)]
mod clock;
mod corrupt;
#[cfg(unix)]
mod disk;
mod records;
mod together;

use std::{io::Write, path::Path};

use crate::support::snapshot;
use serde_json::Value;

const FETCH: [&str; 5] = ["fetch", "eob", "--out", "claims", "--json"];
const EOB: &str = "ExplanationOfBenefit";

/// The claims of an archive, sorted, without what differs between two downloads.
fn claims_in(dir: &Path) -> Vec<String> {
    let lines = crate::support::lines(&dir.join("ExplanationOfBenefit.ndjson"));
    let mut claims: Vec<String> = lines.iter().map(|line| crate::support::slim::lasting(line)).collect();
    claims.sort();
    claims
}

fn eob(result: &Value) -> &Value {
    &result["resources"][EOB]
}

/// Prints even if the test passes. The harness captures the output of the macros, but not this.
fn tell(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
