//! The integration tests: the real binary against the mock, over real sockets and files. One program, so
//! that everything is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod acceptance;
mod architecture;
mod browser;
mod client_secret;
mod command_store;
mod conformance;
mod coverage;
mod crash;
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
mod hints;
mod incremental;
mod keyboard;
mod keyring;
mod keyring_store;
mod login;
mod machine;
mod many_profiles;
mod many_tables;
mod mock_command;
mod money;
mod night;
mod odd_claims;
mod page;
mod page_boundaries;
mod parallel;
mod profile_names;
mod renewal;
mod right_person;
mod set_up;
#[cfg(feature = "postgres")]
mod shared_state;
mod snapshots;
mod splitter;
mod support;
mod tokens;
mod transcripts;
mod upgrade;
mod v3;
mod validation;
mod versions;
