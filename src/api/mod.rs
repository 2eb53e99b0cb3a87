//! What we ask of the server, and what its answers mean.

pub mod client;
pub mod pace;
pub mod problem;
pub mod retry;
pub mod server;
