//! bbdl
pub mod api;
pub mod auth;
pub mod durable;
pub mod error;
pub mod fhir;
pub mod mock;
pub mod secret;
pub mod ui;
