//! What is left when `bbdl` is killed: at any moment of a pull ([`pulls`]), and of a renewal of its
//! tokens ([`tokens`]), also where the data change between a kill and the next run ([`reloads`]).
//!
//! `BBDL_CRASH_KILLS` is how many kills there are to be, `BBDL_CRASH_SEED` says which; both are printed,
//! with what came of the kills.

mod kill;
mod pull_rows;
mod pulls;
mod reloads;
mod tokens;
