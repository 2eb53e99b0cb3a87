//! The OAuth part: log-in and consent pages, tokens, revocation, discovery.

pub(super) mod authorize;
mod client;
pub(super) mod discovery;
mod redirect;
pub(super) mod revoke;
pub(super) mod token;

pub(super) use redirect::{REGISTERED, is_redirect_uri};

use std::collections::BTreeSet;

/// The name of the mock's app, as in the server's messages.
pub(super) const APP: &str = "Mock App";

/// The end of messages about an app.
pub(super) const CONTACT: &str = "If you are the app maintainer, please contact the Blue Button API team. If you are a Medicare Beneficiary and \
     need assistance, please contact the support team for the application you are trying to access.";

/// All scopes that an app with demographic data may ask for.
pub(super) const SCOPES: [&str; 9] = [
    "patient/Patient.read",
    "patient/Coverage.read",
    "patient/ExplanationOfBenefit.read",
    "patient/Patient.rs",
    "patient/Coverage.rs",
    "patient/ExplanationOfBenefit.rs",
    "openid",
    "profile",
    "launch/patient",
];

/// Whether an app may ask for this scope: one of [`SCOPES`], or its read-only or search-only part.
pub(super) fn is_known(scope: &str) -> bool {
    let whole = scope.strip_suffix(".r").or(scope.strip_suffix(".s")).map(|resource| format!("{resource}.rs"));
    SCOPES.contains(&whole.as_deref().unwrap_or(scope))
}

/// If reading and searching were requested separately, they come back as one scope.
pub(super) fn condensed(mut scopes: BTreeSet<String>) -> BTreeSet<String> {
    for resource in ["patient/Patient", "patient/Coverage", "patient/ExplanationOfBenefit"] {
        let (read, search) = (format!("{resource}.r"), format!("{resource}.s"));
        if scopes.contains(&read) && scopes.contains(&search) {
            scopes.remove(&read);
            scopes.remove(&search);
            scopes.insert(format!("{resource}.rs"));
        }
    }
    scopes
}

/// Whether a scope is about name, address, birth date, race or sex.
pub(super) fn is_personal(scope: &str) -> bool {
    scope == "profile" || scope.starts_with("patient/Patient.")
}
