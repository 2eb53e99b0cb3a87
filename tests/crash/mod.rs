//! What is left when `bbdl` is killed: at any moment of a pull ([`pulls`]) and of a token renewal ([`tokens`]), also
//! if the data change between a kill and the next run ([`reloads`]).
//!
//! `BBDL_CRASH_KILLS` is the number of kills, and `BBDL_CRASH_SEED` decides when they happen. Both are printed, with
//! the results of the kills.

mod kill;
mod pull_rows;
mod pulls;
mod reloads;
mod tokens;
