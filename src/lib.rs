//! bbdl brings a Medicare enrollee's own claims home from CMS's Blue Button API.
//!
//! The rooms, in the order in which data walks through them; no room knows of one to its left:
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`cli`] | what a person may type |
//! | [`commands`] | one file a command: the only place where rooms meet |
//! | [`profile`] | what is remembered here: places, one record a profile, `config.toml` |
//! | [`auth`] | who we are: authorization request, redirect listener, tokens, token stores |
//! | [`api`] | what we ask of the server: endpoints, one client, problems |
//! | [`paging`] | a search as pages, nothing left out between two of them |
//! | [`pull`] | a search brought home whole: read until a reading counts, into an archive or a pipe |
//! | [`fhir`] | what came back: bundles cut into resources, as the server wrote them |
//! | [`claim`] | a claim as people speak of it, from API v1, v2 or v3 |
//! | [`archive`] | what we keep: files, manifest, and the transaction that replaces them |
//!
//! [`error`] and [`output`] are told what happens and ask nothing; [`origin`], [`api_version`], [`secret`], [`files`], [`duration`] and [`cms_notice`] are tools.
//! `bluebutton_mock` is another program and another crate: an offline Blue Button, which knows nothing of the rooms
//! above.

pub mod api;
pub mod api_version;
pub mod archive;
pub mod auth;
pub mod claim;
pub mod cli;
pub mod cms_notice;
pub mod commands;
pub mod duration;
pub mod error;
pub mod export;
pub mod fhir;
pub mod files;
pub mod origin;
pub mod output;
pub mod paging;
pub mod profile;
pub mod pull;
pub mod report;
pub mod runtime;
pub mod secret;
#[cfg(feature = "postgres")]
pub mod shared_state;
