//! Logging in and staying logged in: authorization request, callback listener, token endpoint, session, token stores.

pub(crate) mod authorization;
pub(crate) mod backend_health;
pub mod callback;
pub(crate) mod callback_listener;
pub(crate) mod local_vault;
pub mod log_in_end;
pub mod pasted;
pub mod redirect;
pub(crate) mod refusal;
pub(crate) mod renewal_limit;
pub(crate) mod session;
pub mod store;
pub mod token;
pub(crate) mod token_answer;
pub mod token_endpoint;
pub mod vault;
