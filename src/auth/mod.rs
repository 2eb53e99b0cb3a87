//! Who we are: the authorization request, the redirect listener, tokens and where they are kept.

pub mod authorization;
pub mod endpoint;
pub mod session;
pub mod store;
pub mod token;
