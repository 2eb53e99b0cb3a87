//! Why the token endpoint returned no tokens, and what that means.
//!
//! A log-in is over only if the token endpoint itself says so, in its own JSON. Any other answer (an HTML page,
//! another error, nothing at all) leaves the log-in as it was.

use std::fmt;

use serde_json::{Map, Value};

use super::log_in_end::EndedKind;
use crate::{
    api::setup_problem::SetupProblem,
    error::{Error, ErrorKind, sanitized},
};

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenFailure {
    /// Nothing reached the server, which this names, so no code or token was used up.
    #[error("{0}")]
    NotSent(String),
    /// Nothing reached the server, because something is not set up here.
    #[error("{}", .0.clone().into_error())]
    SetupProblem(SetupProblem),
    /// The request went out and no answer came. The code or token in it may be used up.
    #[error("{0}")]
    Lost(String),
    /// The server refused.
    #[error("{0}")]
    Refused(Refusal),
    /// An answer from something that is not the token endpoint.
    #[error("{0}")]
    Intercepted(String),
    /// An answer without tokens.
    #[error("the answer is not a token answer")]
    Unreadable,
}

/// A refusal, in one of the server's two forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// RFC 6749 section 5.2 error code, if it had one.
    pub error: String,
    /// The server's words, safe to show.
    pub words: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.error.as_str(), self.words.as_str()) {
            ("", "") => write!(f, "status {}", self.status),
            (error, "") => f.write_str(error),
            (_, words) => f.write_str(words),
        }
    }
}

impl Refusal {
    /// Reads a refusal from its status and body; `None` if the body is not the server's own JSON.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Option<Self> {
        let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(sanitized);
        let words = ["error_description", "message", "detail"].into_iter().find_map(text);
        Some(Self { status, error: text("error").unwrap_or_default(), words: words.unwrap_or_default() })
    }

    /// Whether this says that the log-in is over. Only the server's documented words count.
    #[must_use]
    pub fn ends(&self) -> Option<EndedKind> {
        let says = |text: &str| self.words.contains(text);
        match (self.status, self.error.as_str()) {
            (400..=499, "invalid_grant") if says("timed out") => Some(EndedKind::GrantEnded),
            (400..=499, "invalid_grant") if says("cannot be found") => Some(EndedKind::GrantRevoked),
            (400..=499, "invalid_grant") => Some(EndedKind::RefreshToken),
            (400, "invalid_request") if says("Refresh token not found") => Some(EndedKind::RefreshToken),
            _ if self.is_request_denied() => Some(EndedKind::RefreshToken),
            _ => None,
        }
    }

    /// What ended, if this answers the renewal of a log-in. `after_a_loss`: an earlier renewal was sent and its
    /// answer never came. Then we have used up the refresh token ourselves, and the consent may still be valid.
    #[must_use]
    pub(crate) fn ends_renewal(&self, after_a_loss: bool) -> Option<EndedKind> {
        match self.ends() {
            Some(EndedKind::RefreshToken) if after_a_loss => Some(EndedKind::LostByUs),
            ended => ended,
        }
    }

    /// v3 gives the same refusal for a refresh token that it does not know and for an app that may not use v3.
    #[must_use]
    pub fn is_request_denied(&self) -> bool {
        self.status == 403 && self.error.is_empty() && self.words == "Request denied"
    }
}

/// Which request was refused. The same words mean different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A code for tokens.
    Exchange,
    /// A refresh token for tokens.
    Refresh,
}

/// The error for an answer that is not the server's.
#[must_use]
pub(crate) fn intercepted(what: &str, words: &str) -> Error {
    Error::new(
        ErrorKind::Intercepted,
        format!("{what} gave an answer that Blue Button does not send ({words}): a Wi-Fi log-in page or a proxy may have answered instead"),
    )
    .hint("The log-in is kept. Open any page in a browser to see what is in the way, then run the same command again.")
}

impl TokenFailure {
    /// The error for a person or script. `login` is the command line that logs in again.
    #[must_use]
    pub fn into_error(self, asked: Asked, login: &str) -> Error {
        let again = format!("Log in again: {login}");
        let (kind, message, hint) = match self {
            Self::NotSent(words) if asked == Asked::Exchange => {
                let hint = "Check the address and the network connection, then run it again.";
                (ErrorKind::Network, words, hint.to_owned())
            }
            Self::NotSent(words) => {
                (ErrorKind::Network, words, "Check the network connection, then run it again.".to_owned())
            }
            Self::Lost(words) if asked == Asked::Refresh => (
                ErrorKind::RefreshLost,
                format!(
                    "the answer to a refresh was lost on the way ({words}); the refresh token may be used up"
                ),
                format!("Run the same command again; if it then asks for a new log-in, type: {login}"),
            ),
            Self::Lost(words) => (ErrorKind::Network, format!("the token endpoint did not answer ({words})"), again),
            Self::Unreadable => (
                ErrorKind::TokenAnswer,
                "the token endpoint's answer contains no usable tokens; bbdl does not show it, because it may contain secrets"
                    .to_owned(),
                again,
            ),
            Self::Intercepted(words) => return intercepted("the token endpoint", &words),
            Self::SetupProblem(missing) => return missing.into_error(),
            Self::Refused(refusal) => return refused(&refusal, asked, login),
        };
        Error::new(kind, message).hint(hint)
    }
}

fn refused(refusal: &Refusal, asked: Asked, login: &str) -> Error {
    let again = format!("Log in again: {login}");
    let consent = format!("The enrollee has to consent again: {login}");
    let later = "The log-in is kept. Run the same command again later.".to_owned();
    let words = refusal.to_string();
    let says = |text: &str| refusal.words.contains(text);
    let refresh = asked == Asked::Refresh;
    let ends = refusal.ends().filter(|_| refresh);
    let (kind, message, hint) = match (refusal.status, refusal.error.as_str()) {
        _ if says("temporarily inactive") => (
            ErrorKind::AppInactive,
            format!("CMS has switched this app off: {words}"),
            "The app's owner has to ask CMS to activate it (BlueButtonAPI@cms.hhs.gov).".to_owned(),
        ),
        _ if says("not allowed to refresh") => (
            ErrorKind::OneTime,
            "this app has one-time access: a log-in cannot be renewed".to_owned(),
            consent,
        ),
        _ if ends == Some(EndedKind::RefreshToken) => (
            ErrorKind::RefreshToken,
            format!(
                "the refresh token no longer works ({words}): it was used already, or a newer log-in with this app (on any machine) replaced it"
            ),
            again,
        ),
        _ if let Some(kind) = ends => (kind.error_kind(), kind.words().to_owned(), consent),
        (_, "invalid_client") => (
            ErrorKind::Client,
            format!("the server does not know this client id and secret ({words})"),
            "Check both where the app was registered (sandbox and production have different ones), then log in again with them.".to_owned(),
        ),
        (400, _) if says("different app") => (
            ErrorKind::Client,
            "the refresh token belongs to a different app from the client id".to_owned(),
            again,
        ),
        (400, _) if says("redirect URI") => (
            ErrorKind::RedirectUri,
            format!("the server refused the redirect URI ({words})"),
            "Register exactly http://127.0.0.1/callback for the app, or give the registered one with --redirect-uri.".to_owned(),
        ),
        (400, "invalid_grant") => (
            ErrorKind::Code,
            "the authorization code was not accepted: it is valid for 60 seconds and works only once".to_owned(),
            again,
        ),
        (429, _) | (_, "temporarily_unavailable" | "slow_down") => (
            ErrorKind::Server,
            format!("the token endpoint cannot answer now ({words})"),
            if refresh { later } else { again },
        ),
        (404 | 500..=599, _) if refresh => (
            ErrorKind::RefreshLost,
            format!("the server failed while renewing the log-in ({words}) and has probably used up the refresh token"),
            format!("Run the same command again later; if it then asks for a new log-in, type: {login}"),
        ),
        (500..=599, _) => {
            (ErrorKind::Server, format!("the token endpoint cannot answer now ({words})"), again)
        }
        _ if refresh => (
            ErrorKind::Server,
            format!("the token endpoint refused to renew the log-in, although it has not ended ({words})"),
            later,
        ),
        (403, _) => (ErrorKind::NotAllowed, format!("the server does not allow it ({words})"), again),
        _ => (
            ErrorKind::TokenAnswer,
            format!("the token endpoint refused in an unexpected way ({words})"),
            again,
        ),
    };
    Error::new(kind, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn exit(asked: Asked, status: u16, body: &str) -> (Exit, &'static str) {
        let refusal = Refusal::read(status, body.as_bytes()).unwrap();
        let error = TokenFailure::Refused(refusal).into_error(asked, "bbdl login");
        assert!(!error.hint.is_empty(), "{body}");
        (error.exit(), error.kind.name())
    }

    /// The server's recorded words, one row each.
    #[test]
    fn refusals_of_a_refresh() {
        use Exit::{NotSetUp, PersonMustAct, TryAgain};
        let inactive = r#"{"status_code": 403, "error": "invalid_client", "error_description": "This application, X, is temporarily inactive. If you are…"}"#;
        let one_time = r#"{"status_code": 403, "error": "invalid_client", "error_description": "Your application is not allowed to refresh tokens. To refresh Medicare data, end user must re-authenticate"}"#;
        let over = r#"{"status_code": 401, "error": "invalid_grant", "error_description": "User access has timed out. To refresh Medicare data, end user must re-authenticate"}"#;
        let gone = r#"{"status_code": 403, "error": "invalid_grant", "error_description": "User access cannot be found. To refresh Medicare data"}"#;
        let unknown =
            r#"{"status_code": 400, "error": "invalid_request", "error_description": "Refresh token not found."}"#;
        let other = r#"{"status_code": 400, "error": "invalid_request", "error_description": "different app in headers than in request data"}"#;
        for (status, body, expected) in [
            (400, r#"{"error": "invalid_grant"}"#, (PersonMustAct, "refresh_token")),
            (400, unknown, (PersonMustAct, "refresh_token")),
            (403, r#"{"status_code": 403, "message": "Request denied"}"#, (PersonMustAct, "refresh_token")),
            (401, over, (PersonMustAct, "grant_ended")),
            (403, gone, (PersonMustAct, "grant_revoked")),
            (403, one_time, (PersonMustAct, "one_time")),
            (403, inactive, (PersonMustAct, "app_inactive")),
            (401, r#"{"error": "invalid_client"}"#, (NotSetUp, "client")),
            (400, other, (NotSetUp, "client")),
            (
                502,
                r#"{"status_code": 502, "message": "Failed to retrieve data from data source."}"#,
                (TryAgain, "refresh_lost"),
            ),
            (500, r#"{"error": "Server Error (500)"}"#, (TryAgain, "refresh_lost")),
            (404, r#"{"status_code": 404, "message": "Not found."}"#, (TryAgain, "refresh_lost")),
            (400, r#"{"error": "temporarily_unavailable"}"#, (TryAgain, "server")),
            (503, r#"{"error": "temporarily_unavailable"}"#, (TryAgain, "server")),
            (400, r#"{"error": "slow_down"}"#, (TryAgain, "server")),
            (429, r#"{"detail": "Request was throttled."}"#, (TryAgain, "server")),
            (400, r#"{"error": "invalid_scope"}"#, (TryAgain, "server")),
            (403, r#"{"detail": "You do not have permission."}"#, (TryAgain, "server")),
            (401, "{}", (TryAgain, "server")),
            (503, r#"{"message": "upstream request timed out"}"#, (TryAgain, "refresh_lost")),
        ] {
            assert_eq!(exit(Asked::Refresh, status, body), expected, "{body}");
            // bbdl remembers a refusal only if the log-in is over and a person has to act.
            let ends = Refusal::read(status, body.as_bytes()).unwrap().ends().map(|kind| kind.error_kind().name());
            let over = ["refresh_token", "grant_ended", "grant_revoked"].contains(&expected.1);
            assert_eq!(ends, over.then_some(expected.1), "{body}");
        }
    }

    #[test]
    fn only_the_servers_own_json_counts_as_a_refusal() {
        for body in ["", "<html>invalid_grant</html>", "[]", "null", "\"invalid_grant\"", "{"] {
            assert_eq!(Refusal::read(400, body.as_bytes()), None, "{body}");
        }
        let odd = Refusal::read(400, br#"{"error": ["invalid_grant"], "error_description": 7}"#).unwrap();
        assert_eq!((odd.ends(), odd.to_string()), (None, "status 400".to_owned()));
    }

    #[test]
    fn refusals_of_a_code() {
        use Exit::{NotSetUp, PersonMustAct, TryAgain};
        for (status, body, expected) in [
            (400, r#"{"error": "invalid_grant"}"#, (PersonMustAct, "code")),
            (401, r#"{"error": "invalid_client"}"#, (NotSetUp, "client")),
            (
                401,
                r#"{"status_code": 401, "error": "invalid_client", "error_description": "Application does not exist"}"#,
                (NotSetUp, "client"),
            ),
            (
                400,
                r#"{"status_code": 400, "error": "invalid_client", "error_description": "Invalid client_id format"}"#,
                (NotSetUp, "client"),
            ),
            (
                400,
                r#"{"error": "invalid_request", "error_description": "Mismatching redirect URI."}"#,
                (NotSetUp, "redirect_uri"),
            ),
            (
                403,
                r#"{"status_code": 403, "error": "invalid_client", "error_description": "This application, X, is temporarily inactive."}"#,
                (PersonMustAct, "app_inactive"),
            ),
            (500, r#"{"error": "Server Error (500)"}"#, (TryAgain, "server")),
            (503, "{}", (TryAgain, "server")),
        ] {
            assert_eq!(exit(Asked::Exchange, status, body), expected, "{body}");
        }
    }
}
