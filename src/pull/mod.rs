//! Pulls one search completely: reads it as often as needed to get a set that fits together.
//!
//! | file | what it is for |
//! | --- | --- |
//! | [`one_profile`] | one profile's pull, from the plan to the commit |
//! | [`plan`] | what to pull: resources named, scopes granted |
//! | `searches`, `documents` | what is pulled: searches; userinfo and insurance card |
//! | [`search_loop`] | the one loop: reads a search, checks whether the reading counts, reads again if not |
//! | [`acceptance`] | whether a reading counts: a pure function |
//! | [`outcome`] | the result of a reading, and what a person is told |
//! | [`increment`] | the lower time limit of an incremental pull |
//! | [`sinks`] | where pages go: an archive, or standard output |
//!
//! A reading has up to three parts. Each one is a separate search:
//!
//! 1. The search itself, page by page (`paging` explains why nothing is lost between two pages).
//! 2. Prior authorizations (API v3, `_source=CWF`). The server lists them in no fixed order, so they are read until
//!    two readings agree.
//! 3. What was loaded since the first page was answered, if something may have been: at API v3 always, at v1 and v2
//!    if the date of the data changed, and whenever an earlier run had begun the reading. So the finished pull has
//!    what changed while it was read.

pub(crate) mod acceptance;
mod documents;
pub(crate) mod increment;
pub(crate) mod one_profile;
pub(crate) mod outcome;
pub(crate) mod plan;
pub(crate) mod search_loop;
mod searches;
pub(crate) mod sinks;
mod withheld;
