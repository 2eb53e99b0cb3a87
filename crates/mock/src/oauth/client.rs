//! Client authentication (RFC 6749 section 2.3.1), and the forms in which a request is refused.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::{
    http::{Pairs, Request, Response, last},
    world::World,
};

/// `{"error": …}`: a refusal by the OAuth library.
pub(super) fn refused(status: u16, error: &str) -> Response {
    let response = Response::library(status, &[("error", json!(error))]);
    if error == "invalid_client" {
        return response.with("www-authenticate", r#"Bearer error="invalid_client""#);
    }
    response
}

/// `{"error": …, "error_description": …}`: the same with a text.
pub(super) fn described(status: u16, error: &str, description: &str) -> Response {
    Response::library(status, &[("error", json!(error)), ("error_description", json!(description))])
}

/// `{"status_code": …, "error": …, "error_description": …}`: a refusal by the web server itself.
pub(super) fn own(status: u16, error: &str, description: &str) -> Response {
    let fields = [("status_code", json!(status)), ("error", json!(error)), ("error_description", json!(description))];
    Response::spaced(status, &fields)
}

/// Why a client was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No client id anywhere.
    NoId,
    /// A client id in the body with characters other than letters and digits.
    Malformed,
    /// A client id that no app has, in the header or in the body.
    Unknown { in_header: bool },
    /// The secret is missing or wrong.
    Secret,
}

impl Refusal {
    /// The token endpoint's answer. The library refuses a refresh without a client id, because the web server then
    /// finds the app by its token.
    pub(super) fn of_token_endpoint(self, is_refresh: bool) -> Response {
        match self {
            Self::NoId if is_refresh => refused(401, "invalid_client"),
            Self::NoId => own(401, "invalid_client", "App id failed"),
            Self::Malformed => own(400, "invalid_client", "Invalid client_id format"),
            Self::Unknown { in_header: true } => own(401, "invalid_client", "Application does not exist"),
            Self::Unknown { in_header: false } => own(400, "invalid_client", "Application does not exist (client_id)"),
            Self::Secret => refused(401, "invalid_client"),
        }
    }

    /// The revocation endpoints' answer.
    pub(super) fn of_revocation(self) -> Response {
        refused(401, "invalid_client")
    }
}

/// The app that sent a request, and whether it has proved its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub app: usize,
    pub proven: bool,
}

/// The app that sent a request and has proved its secret (a public app has none).
pub(super) fn authenticate(world: &World, request: &Request, form: &Pairs) -> Result<usize, Refusal> {
    let client = identify(world, request, form)?;
    if client.proven { Ok(client.app) } else { Err(Refusal::Secret) }
}

/// The app that a request claims to come from: from a Basic header, whose two parts are form-decoded (a raw `+` is a
/// blank), or from fields of the body.
pub(super) fn identify(world: &World, request: &Request, form: &Pairs) -> Result<Client, Refusal> {
    let (id, secret, in_header) = match request.header("authorization").and_then(|value| value.strip_prefix("Basic ")) {
        Some(encoded) => {
            let decoded = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let halves = decoded.as_deref().and_then(|text| text.split_once(':'));
            let (id, secret) = halves.ok_or(Refusal::Unknown { in_header: true })?;
            (form_decoded(id), Some(form_decoded(secret)), true)
        }
        None => {
            let id = last(form, "client_id").ok_or(Refusal::NoId)?;
            (id.to_owned(), last(form, "client_secret").map(str::to_owned), false)
        }
    };
    let Some(app) = world.apps.iter().position(|app| app.id == id) else {
        let well_formed = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return Err(if in_header || well_formed { Refusal::Unknown { in_header } } else { Refusal::Malformed });
    };
    let known = world.apps[app].secret.as_deref();
    Ok(Client { app, proven: known.is_none() || known == secret.as_deref() })
}

fn form_decoded(text: &str) -> String {
    // Here, `=` and `&` stand for themselves, unlike in a form.
    let text = text.replace('=', "%3D").replace('&', "%26");
    form_urlencoded::parse(text.as_bytes()).next().map_or(String::new(), |(text, _)| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_basic_are_form_decoded() {
        for (raw, expected) in [("abc", "abc"), ("a%2Bb", "a+b"), ("a+b", "a b"), ("a=b&c", "a=b&c"), ("", "")] {
            assert_eq!(form_decoded(raw), expected);
        }
    }
}
