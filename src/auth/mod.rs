//! Who we are: the authorization request, the redirect listener, tokens and where they are kept.

mod answer;
pub mod authorization;
pub mod callback;
pub mod ended;
pub mod endpoint;
pub mod health;
pub mod loopback;
pub mod page;
pub mod pasted;
pub mod redirect;
pub mod refusal;
pub mod session;
pub mod store;
pub mod token;
pub mod token_answer;
