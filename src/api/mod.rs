//! What we ask of the server, and what its answers mean.

pub(crate) mod client;
pub(crate) mod concurrency;
pub mod endpoints;
pub(crate) mod http_date;
pub mod problem;
pub(crate) mod proxy;
pub(crate) mod retry;
pub(crate) mod setup_problem;
