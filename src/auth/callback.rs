//! What a callback says (RFC 6749 section 4.1.2): read and judged, without sockets.

use std::collections::HashMap;

use thiserror::Error;
use url::Url;

use super::redirect::RedirectUri;
use crate::{error::shown, secret::Secret};

/// A callback that belongs to this log-in.
#[derive(Clone, Debug)]
pub enum Callback {
    /// The enrollee agreed.
    Code(Secret),
    /// The enrollee pressed the other button.
    Denied,
    /// The server refused the request.
    Refused {
        /// The error code of RFC 6749 section 4.1.2.1, fit to be shown.
        error: String,
        /// Its description, fit to be shown.
        description: String,
    },
}

/// Why something is no callback of this log-in. The wait goes on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CallbackError {
    /// `state` is missing or another's: another log-in's tab, or somebody who guesses.
    #[error("it does not belong to this log-in; use the newest window or address")]
    WrongState,
    /// CMS's "not found" page says so in the background, without `state`. Anybody could say it.
    #[error("CMS may have found no records for the person who logged in")]
    NotFound,
    /// A parameter twice, a code and an error at once, or far too much.
    #[error("it says contradictory things")]
    Malformed,
    /// Neither a code nor an error.
    #[error("it holds neither a code nor an error; copy the whole address")]
    Nothing,
}

/// Longer queries are not read.
const LONGEST: usize = 8 * 1024;

/// Reads the query of a callback. `state` is compared in constant time and must be there: the one
/// callback that CMS sends without it is reported as what it is, and is never believed by itself.
///
/// # Errors
/// [`CallbackError`].
pub fn read(query: &str, state: &Secret) -> Result<Callback, CallbackError> {
    if query.len() > LONGEST {
        return Err(CallbackError::Malformed);
    }
    let mut fields: HashMap<String, String> = HashMap::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let counts = matches!(&*key, "code" | "state" | "error" | "error_description");
        if counts && fields.insert(key.into_owned(), value.into_owned()).is_some() {
            return Err(CallbackError::Malformed);
        }
    }
    match fields.get("state") {
        Some(given) if state.matches(given) => {}
        Some(_) => return Err(CallbackError::WrongState),
        // Where the redirect URI has a query, CMS's script puts a second question mark.
        None if query.split(['?', '&']).any(|part| part == "error=not_found") => return Err(CallbackError::NotFound),
        None if fields.is_empty() => return Err(CallbackError::Nothing),
        None => return Err(CallbackError::WrongState),
    }
    match (fields.remove("code"), fields.remove("error")) {
        (Some(code), None) if !code.is_empty() => Ok(Callback::Code(Secret::new(code))),
        (None, Some(error)) if error == "access_denied" => Ok(Callback::Denied),
        (None, Some(error)) => Ok(Callback::Refused {
            error: shown(&error),
            description: shown(&fields.remove("error_description").unwrap_or_default()),
        }),
        (Some(_), Some(_)) => Err(CallbackError::Malformed),
        _ => Err(CallbackError::Nothing),
    }
}

/// Reads what a person pasted: the address the browser ended up at, or the code alone.
///
/// A bare code has no `state` to check; the code verifier, which only this process knows, binds it to
/// this log-in all the same (RFC 7636 section 1).
///
/// # Errors
/// [`CallbackError`].
pub fn read_pasted(text: &str, redirect: &RedirectUri, state: &Secret) -> Result<Callback, CallbackError> {
    let text = text.trim().trim_matches(['"', '\'', '<', '>']).trim();
    let is_code = text.len() >= 10 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._~-".contains(c));
    if is_code {
        return Ok(Callback::Code(Secret::new(text.to_owned())));
    }
    let base = Url::parse(redirect.as_str()).map_err(|_| CallbackError::Nothing)?;
    let url = base.join(text).map_err(|_| CallbackError::Nothing)?;
    read(url.query().unwrap_or_default(), state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "0123456789abcdef0123456789abcdef";

    fn judged(query: &str) -> Result<String, CallbackError> {
        read(query, &Secret::new(STATE.into())).map(|callback| match callback {
            Callback::Code(code) => format!("code {}", code.expose()),
            Callback::Denied => "denied".into(),
            Callback::Refused { error, description } => format!("refused {error}: {description}"),
        })
    }

    #[test]
    fn callbacks_of_this_log_in() {
        for (query, expected) in [
            (format!("code=abc&state={STATE}"), "code abc"),
            (format!("x=1&state={STATE}&code=abc&code_=2"), "code abc"),
            (format!("error=access_denied&state={STATE}"), "denied"),
            (
                format!("error=invalid_request&error_description=Missing+x.%1b[1m&state={STATE}"),
                "refused invalid_request: Missing x. [1m",
            ),
        ] {
            assert_eq!(judged(&query).unwrap(), expected);
        }
    }

    #[test]
    fn everything_else_is_not() {
        for (query, why) in [
            ("code=abc".to_owned(), CallbackError::WrongState),
            (format!("code=abc&state={}", STATE.to_uppercase()), CallbackError::WrongState),
            (format!("code=abc&state={STATE}&state={STATE}"), CallbackError::Malformed),
            (format!("code=abc&code=def&state={STATE}"), CallbackError::Malformed),
            (format!("code=abc&error=access_denied&state={STATE}"), CallbackError::Malformed),
            (format!("state={STATE}"), CallbackError::Nothing),
            (format!("code=&state={STATE}"), CallbackError::Nothing),
            (String::new(), CallbackError::Nothing),
            ("error=not_found".to_owned(), CallbackError::NotFound),
            ("x=1?error=not_found".to_owned(), CallbackError::NotFound),
            ("error=not_found&state=guess".to_owned(), CallbackError::WrongState),
            ("error=access_denied".to_owned(), CallbackError::WrongState),
            (format!("code=abc&state={STATE}&x={}", "y".repeat(LONGEST)), CallbackError::Malformed),
        ] {
            assert_eq!(judged(&query).unwrap_err(), why, "{query:.60}");
        }
    }

    #[test]
    fn what_a_person_pastes() {
        let redirect = RedirectUri::loopback("http://127.0.0.1:5/callback").unwrap();
        let state = Secret::new(STATE.into());
        let code = |text: &str| match read_pasted(text, &redirect, &state) {
            Ok(Callback::Code(code)) => Ok(code.expose().to_owned()),
            Ok(other) => panic!("{other:?}"),
            Err(why) => Err(why),
        };
        let address = format!("http://127.0.0.1:5/callback?code=abc&state={STATE}");
        for text in [
            address.clone(),
            format!("  \"{address}\"\n"),
            format!("<{address}>"),
            format!("/callback?code=abc&state={STATE}"),
            format!("?code=abc&state={STATE}"),
        ] {
            assert_eq!(code(&text).unwrap(), "abc", "{text}");
        }
        assert_eq!(code("Kq3xVb8sT0aYw1LmN2pQ4rS5tU6vW7").unwrap(), "Kq3xVb8sT0aYw1LmN2pQ4rS5tU6vW7");
        assert_eq!(code("http://127.0.0.1:5/callback?code=abc&state=x").unwrap_err(), CallbackError::WrongState);
        assert_eq!(code("what?").unwrap_err(), CallbackError::Nothing);
    }
}
