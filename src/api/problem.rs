//! Error answers of the FHIR and userinfo endpoints, and what they mean.
//!
//! The server has five forms of error body, and one status can have several meanings (an inactive app is 401, a
//! back-end rate limit is 400). So status, `WWW-Authenticate`, content type and words are read together, in one pure
//! function. A table of recorded answers tests it.
//!
//! The same status means one thing from CMS's gateway, which knows the token and the grant, and another from the data
//! back end or a proxy, which know neither. The body shows who wrote it: [`Speaker`].

use std::time::Duration;

use serde::Deserialize;

use super::setup_problem::SetupProblem;
use crate::error::{Error, ErrorKind, sanitized};

/// What an error answer means for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It may work later: 5xx, 429, network, time-out.
    Temporary {
        /// What the server said, safe to show.
        said: String,
        /// How long the server asks clients to wait.
        retry_after: Option<Duration>,
    },
    /// The server cannot be reached, or stopped answering.
    Unreachable {
        /// What went wrong.
        said: String,
    },
    /// The server, or a gateway before it, could not finish in time. A smaller request may work.
    TooMuch {
        /// What the server said.
        said: String,
    },
    /// A 400 in which API v1 and v2 hide a time-out or rate limit of their back end. One retry may help.
    MaybeTemporary {
        /// What the server said.
        said: String,
    },
    /// The access token is expired, rotated or revoked. This is the only problem that a refresh can fix.
    TokenRejected,
    /// The 13 months are over.
    GrantEnded,
    /// CMS has switched the app off.
    AppInactive {
        /// What the server said.
        said: String,
    },
    /// The scope was withheld, or the app may not do this.
    NotAllowed {
        /// What the server said.
        said: String,
    },
    /// No such resource.
    NotFound,
    /// The request was not understood or not accepted.
    Invalid {
        /// What the server said.
        said: String,
    },
    /// Nothing was sent, because something is not set up here. A retry does not help.
    SetupProblem(SetupProblem),
    /// A refusal by something between here and the server: a captive portal, a proxy, a block page.
    Intercepted {
        /// What came.
        said: String,
    },
    /// Not an answer of this API: a redirect, an HTML page instead of claims, something cut short.
    Unreadable {
        /// What is wrong with it.
        said: String,
    },
}

/// The web server gives up on its data back end after 30 s and answers 500, as for any failure. The gateways before
/// it give up after 60 or 120 s.
const TOO_LONG: Duration = Duration::from_secs(25);

/// Status and headers of an error answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if there was one.
    pub content_type: Option<&'a str>,
    /// `WWW-Authenticate`, if there was one (RFC 6750 section 3).
    pub authenticate: Option<&'a str>,
    /// The time in `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Whether it answers a search. CMS's gateway answers 404 for a whole page if one entry on it is not this
    /// person's (web server, `apps/authorization/permissions.py`). That is a failure; it does not mean that there are
    /// no claims.
    pub is_search: bool,
}

impl Head<'_> {
    fn is_json(&self) -> bool {
        self.content_type.is_some_and(|kind| kind.contains("json"))
    }

    fn rejects_token(&self) -> bool {
        self.authenticate.is_some_and(|text| text.contains("invalid_token"))
    }
}

/// Who wrote an error answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    /// CMS's gateway, in its own JSON (`{"detail": …}`, on some statuses `{"error": …}`).
    Gateway,
    /// The data back end, with an OperationOutcome that API v3 passes on with its status.
    BackEnd,
    /// Neither of them: the body is not JSON, or not JSON that they write.
    Between,
}

impl Speaker {
    /// The status and headers show what a refusal means, even if its body is lost.
    fn of(head: Head<'_>, bytes: &[u8], body: Option<&Body>) -> Self {
        match body {
            Some(body) if body.resource_type.as_deref() == Some("OperationOutcome") => Self::BackEnd,
            // The gateway always explains a refusal in `detail`.
            Some(body) if matches!(head.status, 401 | 403 | 404) && body.detail.is_none() => Self::Between,
            Some(_) => Self::Gateway,
            None if bytes.is_empty() && (head.is_json() || head.rejects_token()) => Self::Gateway,
            None => Self::Between,
        }
    }
}

/// All five forms of error body in one struct.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "resourceType")]
    resource_type: Option<String>,
    detail: Option<String>,
    message: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    issue: Vec<Issue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Issue {
    diagnostics: Option<String>,
}

impl Problem {
    /// Reads an answer whose status is not 200.
    #[must_use]
    pub fn read(head: Head<'_>, body: &[u8]) -> Self {
        let bytes = body;
        let body: Option<Body> = head.is_json().then(|| serde_json::from_slice(bytes).ok()).flatten();
        let speaker = Speaker::of(head, bytes, body.as_ref());
        let said = words(head.status, body);
        let temporary = |said| Self::Temporary { said, retry_after: head.retry_after };
        match (speaker, head.status) {
            (_, 300..=399) => {
                Self::Unreadable { said: "it answered with a redirect, which bbdl does not follow".to_owned() }
            }
            (_, 504) => Self::TooMuch { said },
            (_, 408 | 425 | 429 | 500..=599) => temporary(said),
            // The gateway has accepted the user's request. The back end refused the gateway's own request.
            (Speaker::BackEnd, 400) => Self::MaybeTemporary { said },
            (Speaker::BackEnd, 401..=499) => temporary(format!("status {} of its database: {said}", head.status)),
            (Speaker::Between, 400..=499) => {
                Self::Intercepted { said: format!("status {}, not in the server's own format", head.status) }
            }
            (_, 400) if said.contains("upstream server:") && !is_past_the_end(&said) => Self::MaybeTemporary { said },
            (_, 401) => Self::unauthorized(head, said),
            (_, 403) => Self::NotAllowed { said },
            (_, 404) if head.is_search => temporary("status 404 for a page of search results".to_owned()),
            (_, 404) => Self::NotFound,
            (_, 400..=499) => Self::Invalid { said },
            _ => Self::Unreadable { said: format!("it answered with status {}", head.status) },
        }
    }

    fn unauthorized(head: Head<'_>, said: String) -> Self {
        if head.rejects_token() {
            Self::TokenRejected
        } else if said.contains("timed out") {
            Self::GrantEnded
        } else if said.contains("inactive") {
            Self::AppInactive { said }
        } else {
            Self::NotAllowed { said }
        }
    }

    /// A failure below HTTP.
    #[must_use]
    pub fn network(said: String) -> Self {
        Self::Unreachable { said }
    }

    /// The same answer, but after such a long wait that the wait was the reason.
    #[must_use]
    pub fn after(self, took: Duration) -> Self {
        match self {
            Self::Temporary { said, retry_after: None } | Self::Unreachable { said } if took >= TOO_LONG => {
                Self::TooMuch { said }
            }
            other => other,
        }
    }

    /// Whether the server said that a page starts at or after the end of the result: the result became shorter
    /// between two pages.
    #[must_use]
    pub fn past_the_end(&self) -> bool {
        matches!(self, Self::Invalid { said } if is_past_the_end(said))
    }

    /// The error for a person or script, for a request for `what`. `login` is the command line that logs in again.
    #[must_use]
    pub fn into_error(self, what: &str, login: &str) -> Error {
        match self {
            Self::TooMuch { said } => Self::Temporary { said, retry_after: None }.into_error(what, login),
            Self::Temporary { said, retry_after } => {
                Error::new(ErrorKind::Server, format!("{what}: the server cannot answer now ({said})"))
                    .hint("Run the same command again later.")
                    .retry_after(retry_after)
            }
            Self::Unreachable { said } => {
                Error::new(ErrorKind::Network, format!("{what}: the server cannot be reached, or stopped answering ({said})"))
                    .hint("Check the network connection, then run the same command again.")
            }
            Self::SetupProblem(missing) => missing.into_error(),
            Self::MaybeTemporary { said } => {
                Error::new(ErrorKind::Server, format!("{what}: the server's database refused ({said})"))
                    .hint("Run the same command again later. If it fails again, the request itself may be the reason.")
            }
            Self::TokenRejected => {
                Error::new(ErrorKind::Token, format!("{what}: the server no longer accepts this log-in's access token"))
                    .hint(format!("Log in again: {login}"))
            }
            Self::GrantEnded => {
                Error::new(ErrorKind::GrantEnded, format!("{what}: the consent has ended"))
                    .hint(format!("The enrollee has to consent again: {login}"))
            }
            Self::AppInactive { said } => Error::new(ErrorKind::AppInactive, format!("{what}: {said}"))
                .hint("The owner of the app has to ask CMS (BlueButtonAPI@cms.hhs.gov) to activate it."),
            Self::NotAllowed { said } => {
                Error::new(ErrorKind::NotAllowed, format!("{what}: the server does not allow it ({said})"))
                    .hint(format!("If the enrollee did not share this, log in again and share it: {login}"))
            }
            Self::NotFound => Error::new(ErrorKind::NoResource, format!("{what}: the server says that it does not exist"))
                .hint("Nothing was replaced. If it happens again, tell the operators of the server."),
            Self::Invalid { said } => {
                Error::new(ErrorKind::BadRequest, format!("{what}: the server did not accept the request ({said})"))
                    .hint(match largest_page(&said) {
                        Some(most) => format!("Nothing was replaced. This server takes smaller pages: add --page-size {most}."),
                        None => "Nothing was replaced. Check the filters given on the command line.".to_owned(),
                    })
            }
            Self::Intercepted { said } => {
                Error::new(ErrorKind::Intercepted, format!("{what}: something else answered instead of the server ({said})"))
                    .hint("Nothing was replaced. A Wi-Fi log-in page or a proxy may be in between: open the server's address in a browser, then run the same command again. If this happens only with API v3, CMS may have switched off API v3.")
            }
            Self::Unreadable { said } => {
                Error::new(ErrorKind::Answer, format!("{what}: this is not an answer from Blue Button: {said}"))
                    .hint("Nothing was replaced. Check the server's address, and whether a proxy answers instead.")
            }
        }
    }
}

/// The largest page that the server accepts, if it says that a page was too large.
fn largest_page(said: &str) -> Option<u32> {
    let digits: String = said.split_once("must be at most ")?.1.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|most| (1..=50).contains(most))
}

fn is_past_the_end(said: &str) -> bool {
    said.contains("startIndex") && said.contains("must be less than")
}

/// The words of a body, safe to show, or the status if there are none.
fn words(status: u16, body: Option<Body>) -> String {
    let body = body.unwrap_or_default();
    let diagnostics = body.issue.into_iter().find_map(|issue| issue.diagnostics);
    let text =
        body.detail.or(body.message).or(body.error_description).or(diagnostics).or(body.error).unwrap_or_default();
    let text = sanitized(&text);
    if text.is_empty() { format!("status {status}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    const FHIR: &str = "application/json";

    /// Reads the answer to a search.
    fn read(status: u16, authenticate: Option<&str>, body: &str) -> Problem {
        let head = Head { status, content_type: Some(FHIR), authenticate, retry_after: None, is_search: true };
        Problem::read(head, body.as_bytes())
    }

    fn name(problem: &Problem) -> String {
        format!("{problem:?}").split([' ', '{']).next().unwrap().to_owned()
    }

    #[test]
    fn a_page_size_error_is_not_blamed_on_filters() {
        let hint = |said: &str| Problem::Invalid { said: said.to_owned() }.into_error("claims", "bbdl login").hint;
        assert_eq!(
            hint("value must be at most 20"),
            "Nothing was replaced. This server takes smaller pages: add --page-size 20."
        );
        for said in ["value must be at most 2000", "value must be at most", "type is unknown"] {
            assert!(hint(said).contains("filters"), "{said}");
        }
    }

    #[test]
    fn only_the_two_invalid_token_answers_ask_for_a_refresh() {
        let body = r#"{"detail":"Authentication credentials were not provided."}"#;
        let expired = r#"Bearer realm="api",error="invalid_token",error_description="The access token has expired.""#;
        assert_eq!(read(401, Some(expired), body), Problem::TokenRejected);
        assert!(matches!(read(401, Some(r#"Bearer realm="api""#), body), Problem::NotAllowed { .. }));
        let over = r#"{"detail":"User access has timed out. To refresh Medicare data, end user must re-authenticate and consent to share their data."}"#;
        assert_eq!(read(401, Some(r#"Bearer realm="api""#), over), Problem::GrantEnded);
        let inactive = r#"{"detail":"This application, X, is temporarily inactive. If you are the app maintainer, …"}"#;
        assert!(matches!(read(401, None, inactive), Problem::AppInactive { .. }));
    }

    #[test]
    fn statuses_of_temporary_problems() {
        for status in [429, 500, 502, 503] {
            let problem = read(status, None, "{}");
            assert!(matches!(problem, Problem::Temporary { .. }), "{status}");
            assert!(matches!(problem.after(Duration::from_secs(30)), Problem::TooMuch { .. }), "{status}");
        }
        assert!(matches!(read(504, None, "{}"), Problem::TooMuch { .. }));
        let hidden = r#"{"detail":"An error occurred contacting the upstream server:Too many requests"}"#;
        assert!(matches!(read(400, None, hidden), Problem::MaybeTemporary { .. }));
    }

    #[test]
    fn statuses_of_permanent_problems() {
        assert!(matches!(read(400, None, r#"{"detail":"expected int"}"#), Problem::Invalid { .. }));
        assert!(matches!(read(403, None, r#"{"detail":"No."}"#), Problem::NotAllowed { .. }));
        assert!(matches!(read(301, None, ""), Problem::Unreadable { .. }));
        assert!(matches!(read(204, None, ""), Problem::Unreadable { .. }));
    }

    #[test]
    fn a_result_that_shrank_is_recognized() {
        let body = r#"{"detail":"An error occurred contacting the upstream server:Value for startIndex (60) must be less than than result size (52)"}"#;
        assert!(read(400, None, body).past_the_end());
    }

    #[test]
    fn html_is_not_quoted() {
        let head = Head { status: 502, content_type: Some("text/html"), ..Head::default() };
        let problem = Problem::read(head, b"<h1>Bad gateway</h1>");
        assert_eq!(problem, Problem::Temporary { said: "status 502".into(), retry_after: None });
    }

    #[test]
    fn a_status_is_read_by_whether_the_gateway_or_the_api_sent_it() {
        const GATEWAY: &str = r#"{"detail":"Not found."}"#;
        const BACK_END: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing","diagnostics":"simulated"}]}"#;
        const HTML: &str = "<!DOCTYPE html><h1>Log in to the wireless network</h1>";
        const OTHER_JSON: &str = r#"{"message":"Forbidden"}"#;
        // Columns: status; then the meaning from the gateway, the data back end, HTML, another program's JSON.
        for (status, meanings) in [
            (400, ["Invalid", "MaybeTemporary", "Intercepted", "Invalid"]),
            (401, ["NotAllowed", "Temporary", "Intercepted", "Intercepted"]),
            (403, ["NotAllowed", "Temporary", "Intercepted", "Intercepted"]),
            (404, ["Temporary", "Temporary", "Intercepted", "Intercepted"]),
            (405, ["Invalid", "Temporary", "Intercepted", "Invalid"]),
            (408, ["Temporary", "Temporary", "Temporary", "Temporary"]),
            (413, ["Invalid", "Temporary", "Intercepted", "Invalid"]),
            (429, ["Temporary", "Temporary", "Temporary", "Temporary"]),
            (500, ["Temporary", "Temporary", "Temporary", "Temporary"]),
            (502, ["Temporary", "Temporary", "Temporary", "Temporary"]),
            (504, ["TooMuch", "TooMuch", "TooMuch", "TooMuch"]),
            (511, ["Temporary", "Temporary", "Temporary", "Temporary"]),
        ] {
            for (body, meaning) in [GATEWAY, BACK_END, HTML, OTHER_JSON].into_iter().zip(meanings) {
                assert_eq!(name(&read(status, None, body)), meaning, "{status} {body}");
                // The content type alone does not decide what is JSON.
                let head = Head { status, content_type: Some("text/html"), is_search: true, ..Head::default() };
                if body == HTML {
                    assert_eq!(name(&Problem::read(head, HTML.as_bytes())), meaning, "{status}");
                }
            }
        }
        let challenge = Some(r#"Bearer realm="api",error="invalid_token""#);
        for (body, meaning) in
            [(GATEWAY, "TokenRejected"), (BACK_END, "Temporary"), (HTML, "Intercepted"), ("", "TokenRejected")]
        {
            assert_eq!(name(&read(401, challenge, body)), meaning, "{body}");
        }
        let document = Head { status: 404, content_type: Some(FHIR), ..Head::default() };
        assert_eq!(Problem::read(document, GATEWAY.as_bytes()), Problem::NotFound);
        let Problem::Temporary { said, .. } = read(403, None, BACK_END) else { panic!() };
        assert_eq!(said, "status 403 of its database: simulated");
    }

    #[test]
    fn only_a_gateway_answer_asks_for_a_new_log_in() {
        let back_end = r#"{"resourceType":"OperationOutcome","issue":[]}"#;
        for status in (400..=599).chain([200, 204, 301, 302]) {
            for body in [back_end, "<html>", "{", "[]", "null", r#"{"message":"Forbidden"}"#] {
                let error = read(status, None, body).into_error("x", "bbdl login");
                assert_ne!(error.exit(), Exit::PersonMustAct, "{status} {body}");
            }
        }
    }
}
