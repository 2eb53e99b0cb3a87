//! bbdl brings a Medicare enrollee's own claims home from CMS's Blue Button API.
//!
//! The rooms, in the order in which data walks through them; no room knows of one to its left:
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`cli`] | what a person may type |
//! | [`commands`] | one file a command: the only place where rooms meet |
//! | [`config`] | flag → environment → file → default; profiles |
//! | [`auth`] | who we are: authorization request, redirect listener, tokens, token stores |
//! | [`api`] | what we ask of the server: endpoints, one client, problems |
//! | [`paging`] | a search as pages, nothing left out between two of them |
//! | [`pull`] | a search brought home whole: read until a reading counts, into an archive or a pipe |
//! | [`fhir`] | what came back: bundles cut into resources, as the server wrote them |
//! | [`archive`] | what we keep: files, manifest, and the transaction that replaces them |
//!
//! [`error`] and [`ui`] are told what happens and ask nothing; [`secret`], [`durable`] and [`notice`] are tools.
//! `bluebutton_mock` is another program and another crate: an offline Blue Button, which knows nothing of the rooms
//! above.

pub mod api;
pub mod archive;
pub mod archive_notes;
pub mod auth;
pub mod cli;
pub mod commands;
pub mod config;
pub mod durable;
pub mod duration;
pub mod error;
pub mod export;
pub mod fhir;
pub mod notice;
pub mod paging;
pub mod path_text;
pub mod private_dir;
pub mod private_file;
pub mod pull;
pub mod report;
pub mod secret;
pub mod ui;
