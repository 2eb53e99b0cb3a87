//! bbdl
pub mod api;
pub mod archive;
pub mod auth;
pub mod config;
pub mod durable;
pub mod error;
pub mod fhir;
pub mod mock;
pub mod secret;
pub mod ui;
