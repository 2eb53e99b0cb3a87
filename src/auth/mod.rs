//! Who we are: authorization request, callback listener, token endpoint, session, and where tokens are kept.

pub mod authorization;
pub mod backend_health;
pub mod callback;
pub mod callback_listener;
pub mod local_vault;
pub mod log_in_end;
pub mod pasted;
pub mod redirect;
pub mod refusal;
pub mod renewals;
pub mod session;
pub mod store;
pub mod token;
pub mod token_answer;
pub mod token_endpoint;
pub mod vault;
