//! bbdl downloads Medicare claims from CMS's Blue Button API and keeps them up to date.
//!
//! The whole program is in this library, so that tests can reach its parts. It is not a public API: anything may change
//! in any version. To build on Blue Button, read an archive (its format is documented), or use the mock server
//! `bluebutton_mock` in your tests.
//!
//! `docs/architecture.md` says how data moves and where to add something. Each module has one job. We call it a *room*.
//! A room may use rooms below it in this table, and never one above it.
//!
//! | room | its job |
//! | --- | --- |
//! | [`commands`] | One file per command. It makes the other rooms work together. |
//! | [`cli`] | What a person may type: flags and help texts. |
//! | [`report`] | One HTML page for people, from an archive. |
//! | [`export`] | Tables and a FHIR Bundle, from an archive. |
//! | [`fleet`] | Many enrollees in one run: who is due, several at once, what became of each. |
//! | [`pull`] | One complete search: what to pull, when to read again, when the result counts. |
//! | [`paging`] | One search as a sequence of pages, with nothing lost between two pages. |
//! | [`shared_state`] | What many machines share in PostgreSQL: profiles, sealed tokens, leases, outcomes. |
//! | [`profile`] | What is remembered on this machine: paths, one record per profile, `config.toml`. |
//! | [`auth`] | Logging in and staying logged in: callback listener, token endpoint, session, token stores. |
//! | [`api`] | The server: endpoints, one HTTP client, what its errors mean, retries, how many requests at once. |
//! | [`claim`] | One claim in the same terms for every version, read from API v1, v2 or v3. |
//! | [`archive`] | The files on disk: manifest, lock, and the transaction that replaces them. |
//! | [`fhir`] | Cuts Bundles into resources, byte for byte as the server wrote them. |
//!
//! Below all rooms is the *ground*. Every room may use it, and it uses no room.
//!
//! | ground | its job |
//! | --- | --- |
//! | [`origin`] | Scheme, host and port: where a token may be sent. |
//! | [`api_version`] | v1, v2 and v3. |
//! | [`resource`] | What a person may ask for. |
//! | [`error`] | Errors with a kind, a hint and an exit code. |
//! | [`output`] | What a person or a script sees: messages, progress, JSON. |
//! | [`secret`] | Text that is never printed or logged. |
//! | [`files`] | Files that are private and survive a crash; locks; paths as text. |
//! | [`runtime`] | How work is started, waited for and stopped. |
//! | [`spelling`] | The name that was probably meant. |
//! | [`duration`] | Durations as people type them. |
//! | [`cms_notice`] | The notice that CMS requires. |

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
