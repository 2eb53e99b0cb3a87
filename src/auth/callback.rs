//! Reads and checks a callback (RFC 6749 section 4.1.2), without sockets.

use std::collections::HashMap;

use thiserror::Error;

use crate::{error::sanitized, origin::Origin, secret::Secret};

/// What a callback of this log-in must contain.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The `state` that was sent.
    pub state: Secret,
    /// The server of the authorization request. CMS's issuer identifier is its origin (see its discovery document).
    pub issuer: Origin,
}

/// A callback that belongs to this log-in.
#[derive(Clone, Debug)]
pub enum Callback {
    /// The enrollee agreed.
    Code(Secret),
    /// The enrollee refused.
    Denied,
    /// The server refused the request.
    Refused {
        /// The error code of RFC 6749 section 4.1.2.1, safe to show.
        error: String,
        /// Its description, safe to show.
        description: String,
    },
}

/// Why something is not a callback of this log-in. The wait continues.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CallbackError {
    /// `state` is missing or wrong: the tab of another log-in, or an attacker who guesses.
    #[error("it does not belong to this log-in; use the newest window or address")]
    WrongState,
    /// CMS's "not found" page sends this in the background, without `state`. Any page could send it.
    #[error("CMS may have found no records for the person who logged in")]
    NotFound,
    /// It says that it comes from another server (RFC 9207 section 2.4), so its code is not for ours.
    #[error("it comes from a different server from the one that bbdl asked")]
    WrongIssuer,
    /// It has a parameter twice, both a code and an error, or far too much.
    #[error("it contradicts itself")]
    Malformed,
    /// Neither a code nor an error.
    #[error("it contains neither a code nor an error; copy the whole address")]
    Nothing,
}

/// Longer queries are not read.
const LONGEST: usize = 8 * 1024;

/// Reads the query of a callback. `state` must be there and is compared in constant time. CMS sends one callback
/// without it: that one is reported, but never ends the wait by itself.
///
/// # Errors
/// [`CallbackError`].
pub fn read(query: &str, expected: &Expected) -> Result<Callback, CallbackError> {
    if query.len() > LONGEST {
        return Err(CallbackError::Malformed);
    }
    let mut fields: HashMap<String, String> = HashMap::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let counts = matches!(&*key, "code" | "state" | "error" | "error_description" | "iss");
        if counts && fields.insert(key.into_owned(), value.into_owned()).is_some() {
            return Err(CallbackError::Malformed);
        }
    }
    match fields.get("state") {
        Some(given) if expected.state.matches(given) => {}
        Some(_) => return Err(CallbackError::WrongState),
        // If the redirect URI has a query, CMS's script adds a second question mark.
        None if query.split(['?', '&']).any(|part| part == "error=not_found") => return Err(CallbackError::NotFound),
        None if fields.is_empty() => return Err(CallbackError::Nothing),
        None => return Err(CallbackError::WrongState),
    }
    // CMS does not send `iss` today. If it comes, it says which server the answer is from.
    if fields.get("iss").is_some_and(|iss| iss.trim_end_matches('/') != expected.issuer.to_string()) {
        return Err(CallbackError::WrongIssuer);
    }
    match (fields.remove("code"), fields.remove("error")) {
        (Some(code), None) if !code.is_empty() => Ok(Callback::Code(Secret::new(code))),
        (None, Some(error)) if error == "access_denied" => Ok(Callback::Denied),
        (None, Some(error)) => Ok(Callback::Refused {
            error: sanitized(&error),
            description: sanitized(&fields.remove("error_description").unwrap_or_default()),
        }),
        (Some(_), Some(_)) => Err(CallbackError::Malformed),
        _ => Err(CallbackError::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "0123456789abcdef0123456789abcdef";

    fn judged(query: &str) -> Result<String, CallbackError> {
        let expected = Expected { state: Secret::new(STATE.into()), issuer: "https://api.example".parse().unwrap() };
        read(query, &expected).map(|callback| match callback {
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
            (format!("code=abc&state={STATE}&iss=https%3A%2F%2Fapi.example"), "code abc"),
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
    fn requests_that_are_not_callbacks_of_this_log_in() {
        for (query, why) in [
            ("code=abc".to_owned(), CallbackError::WrongState),
            (format!("code=abc&state={}", STATE.to_uppercase()), CallbackError::WrongState),
            (format!("code=abc&state={STATE}&state={STATE}"), CallbackError::Malformed),
            (format!("code=abc&code=def&state={STATE}"), CallbackError::Malformed),
            (format!("code=abc&error=access_denied&state={STATE}"), CallbackError::Malformed),
            (format!("code=abc&state={STATE}&iss=https%3A%2F%2Fother.example"), CallbackError::WrongIssuer),
            (format!("code=abc&state={STATE}&iss="), CallbackError::WrongIssuer),
            (
                format!("error=access_denied&state={STATE}&iss=https%3A%2F%2Fapi.example.evil"),
                CallbackError::WrongIssuer,
            ),
            (format!("code=abc&state={STATE}&iss=https://api.example&iss=x"), CallbackError::Malformed),
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
}
