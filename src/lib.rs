//! bbdl downloads Medicare claims from CMS's Blue Button API and keeps them up to date.
//!
//! This library is the program, cut so that tests can reach its parts. It is not a public API: anything may change
//! in any version. To build on Blue Button, read an archive (its format is documented), or use the mock server
//! `bluebutton_mock` in your tests.
//!
//! `docs/architecture.md` says how data moves and where to add something. The rooms, each above those that it may use:
//!
//! | room | its job |
//! | --- | --- |
//! | [`commands`] | one file per command; puts the other rooms to work together |
//! | [`cli`] | what a person may type |
//! | [`report`] | one HTML page for people, from an archive |
//! | [`export`] | tables and a FHIR Bundle, from an archive |
//! | [`fleet`] | many enrollees in one run: who is due, several at once, what became of each |
//! | [`pull`] | a search brought home whole: what to pull, when to read again, when the result counts |
//! | [`paging`] | one search as a sequence of pages, with nothing lost between two pages |
//! | [`shared_state`] | what many machines share in PostgreSQL: profiles, sealed tokens, leases, outcomes |
//! | [`profile`] | what is remembered on this machine: paths, one record per profile, `config.toml` |
//! | [`auth`] | who we are: authorization request, callback listener, token endpoint, session, token stores |
//! | [`api`] | the server: endpoints, one HTTP client, what its errors mean, retries, how many requests at once |
//! | [`claim`] | a claim as people speak of it, read from API v1, v2 or v3 |
//! | [`archive`] | the files on disk: manifest, lock, and the transaction that replaces them |
//! | [`fhir`] | bundles cut into resources, byte for byte as the server wrote them |
//!
//! The ground is below all of them:
//!
//! | ground | its job |
//! | --- | --- |
//! | [`origin`] | scheme, host and port: where a token may be sent |
//! | [`api_version`] | v1, v2 and v3 |
//! | [`resource`] | what a person may ask for |
//! | [`error`] | errors with a kind, a hint and an exit code |
//! | [`output`] | what a person or a script sees |
//! | [`secret`] | text that is never printed or logged |
//! | [`files`] | files that are private and survive a crash |
//! | [`runtime`] | how work is started, waited for and stopped |
//! | [`spelling`] | the name that was probably meant |
//! | [`duration`] | durations as people type them |
//! | [`cms_notice`] | the notice that CMS requires |

pub mod api;
pub mod api_version;
pub mod archive;
pub mod auth;
pub mod claim;
pub mod cli;
mod cms_notice;
pub mod commands;
mod duration;
pub mod error;
pub mod export;
pub mod fhir;
pub mod files;
mod fleet;
pub mod origin;
mod output;
pub mod paging;
pub mod profile;
mod pull;
mod report;
mod resource;
mod runtime;
pub mod secret;
#[cfg(feature = "postgres")]
pub mod shared_state;
mod spelling;
