//! What is left when `bbdl` is killed: at any moment of a pull ([`pulls`]), and of a renewal of its
//! tokens ([`tokens`]).
//!
//! `BBDL_CRASH_KILLS` is how many kills there are to be, `BBDL_CRASH_SEED` says which; both are printed,
//! with what came of the kills.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod kill;
mod pulls;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
