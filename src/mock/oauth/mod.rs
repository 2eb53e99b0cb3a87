//! The OAuth side: log-in and consent pages, tokens, revocation, discovery.

pub(super) mod authorize;
pub(super) mod discovery;
pub(super) mod redirect;
pub(super) mod token;

/// The name of the mock's app, as in the server's messages.
pub(super) const APP: &str = "Mock App";

/// What the server says of an app that was switched off.
pub(super) fn inactive() -> String {
    format!(
        "This application, {APP}, is temporarily inactive. If you are the app maintainer, please contact the Blue \
         Button API team. If you are a Medicare Beneficiary and need assistance, please contact the support team for \
         the application you are trying to access."
    )
}

/// All that an app with demographic data may ask for.
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

/// Whether a scope is about name, address, birth date, race or sex.
pub(super) fn is_personal(scope: &str) -> bool {
    scope == "profile" || scope.starts_with("patient/Patient.")
}
