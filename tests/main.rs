//! The integration tests: the real binary with the mock, over real sockets and files. They are one program, so that
//! everything is linked only once, with a harness that ignores what cannot run here ([`support::harness`]).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, unused_imports, reason = "some serve tests that are for Linux only")
)]

// Its `#[test]` replaces the compiler's.
#[macro_use]
extern crate test_attribute;

// These are only for Unix: a Chromium and a PostgreSQL that are started as on Debian (`browser`, `shared_state`),
// helpers and nightly runs in shell scripts (`command_store`, `cron`), modes, links and limits (`files`), the Secret
// Service (`keyring`, `keyring_store`), and exact output, including paths and the program's name (`snapshots`).
// Windows has its own tests in `windows`.

mod acceptance;
mod architecture;
#[cfg(unix)]
mod browser;
mod client_secret;
#[cfg(unix)]
mod command_store;
mod conformance;
mod coverage;
mod crash;
#[cfg(unix)]
mod cron;
mod damage;
mod dead_log_ins;
mod demo;
mod docs;
mod docs_picture;
mod export;
mod faults;
mod fetch;
#[cfg(unix)]
mod files;
mod golden;
mod help;
mod hints;
mod incremental;
mod interrupts;
mod keyboard;
#[cfg(unix)]
mod keyring;
#[cfg(unix)]
mod keyring_store;
mod login;
mod machine;
mod many_profiles;
mod many_tables;
mod mock_command;
mod money;
mod night;
mod odd_claims;
mod packaging;
mod page;
mod page_boundaries;
mod parallel;
mod profile_names;
mod renewal;
mod right_person;
mod set_up;
#[cfg(all(unix, feature = "postgres"))]
mod shared_state;
#[cfg(unix)]
mod snapshots;
mod splitter;
mod support;
mod tokens;
mod transcripts;
mod upgrade;
mod v3;
mod validation;
mod versions;
#[cfg(windows)]
mod windows;

/// The compiler drops a function that is marked with another `#[test]`, because its harness does not run here.
#[test]
fn every_test_is_known_to_the_harness() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut todo = vec![tests];
    while let Some(dir) = todo.pop() {
        for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let is_foreign = |line: &str| line.trim_start().starts_with("#[") && line.contains("::test");
                let foreign: Vec<&str> = text.lines().filter(|line| is_foreign(line)).collect();
                assert!(foreign.is_empty(), "{}: write #[test] instead of {foreign:?}", path.display());
            }
        }
    }
}

fn main() -> std::process::ExitCode {
    support::harness::main()
}
