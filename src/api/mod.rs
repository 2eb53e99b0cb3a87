//! What we ask of the server, and what its answers mean.

pub mod client;
pub mod pace;
pub mod problem;
pub mod proxy;
pub mod retry;
pub mod server;
pub mod set_up;
