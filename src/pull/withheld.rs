//! When a resource is withheld, and what bbdl says about it. Either the enrollee did not share it, or the app may not
//! have it.
//!
//! The server does not say which of the two it was.

use super::plan::{Resource, Target};
use crate::{
    auth::token::Grant,
    error::{Error, ErrorKind},
};

/// Whether a refusal (403) only says that a resource is withheld. That is so if the server never named the granted
/// scopes and the user did not ask for this resource by name.
pub(super) fn is_withheld(refusal: &Error, grant: &Grant, asked: &[Resource]) -> bool {
    refusal.kind == ErrorKind::NotAllowed && grant.scopes.is_empty() && asked.contains(&Resource::All)
}

/// The message if other resources were pulled.
pub(super) fn not_granted(what: &str) -> String {
    format!("not granted (withheld, not asked for, or not for this app): {what}")
}

/// The error if the user asked for a resource by name. `login` is the command line that logs in again.
pub(super) fn refused(target: Target, login: &str) -> Error {
    let what = target.name();
    Error::new(
        ErrorKind::Withheld,
        format!("{what}: the enrollee did not share it with this app, or the app may not ask for it"),
    )
    .hint(format!("The enrollee can share it in a new log-in: {login}"))
}
