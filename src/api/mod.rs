//! What we ask of the server, and what its answers mean.

mod address;
mod ahead;
pub mod client;
pub mod pace;
pub mod pages;
pub mod problem;
pub mod retry;
mod seams;
pub mod server;
