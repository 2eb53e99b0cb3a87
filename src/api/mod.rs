//! The server: endpoints, one HTTP client, what its errors mean, retries, how many requests at once.

pub(crate) mod client;
pub(crate) mod concurrency;
pub mod endpoints;
pub(crate) mod http_date;
pub mod problem;
pub(crate) mod proxy;
pub(crate) mod retry;
pub(crate) mod setup_problem;
