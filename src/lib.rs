//! bbdl
pub mod mock;
pub mod secret;
