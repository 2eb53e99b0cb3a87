//! What we ask of the server, and what its answers mean.

pub mod client;
pub mod concurrency;
pub mod endpoints;
pub mod http_date;
pub mod problem;
pub mod proxy;
pub mod retry;
pub mod setup_problem;
