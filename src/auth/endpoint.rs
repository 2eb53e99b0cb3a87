//! The token and revocation endpoints: what is asked there, and what a refusal means.
//!
//! Unlike everything else, these requests are not repeated by the client: a code and a refresh token
//! work once, and the server may have spent them although no answer came.

use std::{fmt, pin::Pin};

use jiff::Timestamp;
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, StandardRevocableToken, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse},
};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::token::TokenAnswer;
use crate::{
    api::{
        client::{Client, network_words},
        server::Server,
    },
    error::{Error, ErrorKind, shown},
    secret::Secret,
};

/// The app a person logs in to: what CMS calls an application and RFC 6749 a client.
#[derive(Clone, Debug)]
pub struct App {
    /// 40 letters and digits at CMS.
    pub client_id: String,
    /// 128 letters and digits at CMS; none for a public client.
    pub client_secret: Option<Secret>,
}

/// Why the token endpoint gave no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenFailure {
    /// Nothing reached the server: nothing is spent.
    #[error("{0}")]
    NotSent(String),
    /// The request went out and no answer came: what it carried may be spent.
    #[error("{0}")]
    Lost(String),
    /// The server said no.
    #[error("{0}")]
    Refused(Refusal),
    /// An answer that holds no tokens.
    #[error("the answer is not a token answer")]
    Unreadable,
}

/// A refusal, in whichever of the server's two shapes it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// RFC 6749 section 5.2 error code, if it had one.
    pub error: String,
    /// The server's words, fit to be shown.
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct RefusalBody {
    error: Option<String>,
    error_description: Option<String>,
    message: Option<String>,
}

impl Refusal {
    /// Reads a refusal from its status and body.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Self {
        let body: RefusalBody = serde_json::from_slice(body).unwrap_or_default();
        Self {
            status,
            error: shown(&body.error.unwrap_or_default()),
            words: shown(&body.error_description.or(body.message).unwrap_or_default()),
        }
    }
}

type OAuth = oauth2::Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

fn oauth(app: &App, server: &Server) -> OAuth {
    let client =
        oauth2::Client::new(ClientId::new(app.client_id.clone())).set_token_uri(TokenUrl::from_url(server.token()));
    match &app.client_secret {
        // HTTP Basic with both halves form-encoded, as RFC 6749 section 2.3.1 says and the server decodes.
        Some(secret) => {
            client.set_client_secret(ClientSecret::new(secret.expose().to_owned())).set_auth_type(AuthType::BasicAuth)
        }
        None => client.set_auth_type(AuthType::RequestBody),
    }
}

/// Exchanges an authorization code for tokens (RFC 6749 section 4.1.3). `redirect_uri` must be the
/// very text of the authorization request.
///
/// # Errors
/// [`TokenFailure`].
pub async fn exchange(
    client: &Client,
    app: &App,
    code: &Secret,
    verifier: PkceCodeVerifier,
    redirect_uri: &str,
) -> Result<TokenAnswer, TokenFailure> {
    let redirect = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| TokenFailure::Unreadable)?;
    oauth(app, client.server())
        .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
        .set_pkce_verifier(verifier)
        .set_redirect_uri(std::borrow::Cow::Owned(redirect))
        .request_async(&Wire(client))
        .await
        .map_err(failure)
}

/// Exchanges a refresh token for a new pair (RFC 6749 section 6). The old pair is dead afterwards,
/// whether or not the answer arrives. No `scope` is sent: it would narrow the grant for good.
///
/// # Errors
/// [`TokenFailure`].
pub async fn refresh(client: &Client, app: &App, refresh_token: &Secret) -> Result<TokenAnswer, TokenFailure> {
    let token = RefreshToken::new(refresh_token.expose().to_owned());
    oauth(app, client.server()).exchange_refresh_token(&token).request_async(&Wire(client)).await.map_err(failure)
}

/// Ends the grant at the server, by the one call that does: the access token at `/o/revoke/`.
/// RFC 7009's other forms answer 500, or 200 and revoke nothing.
///
/// # Errors
/// [`TokenFailure`].
pub async fn revoke(client: &Client, app: &App, access_token: &Secret) -> Result<(), TokenFailure> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", access_token.expose()).append_pair("token_type_hint", "access_token");
    let mut request = client.http().post(client.server().revoke());
    match &app.client_secret {
        Some(secret) => {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encode(&app.client_id), Some(encode(secret.expose())));
        }
        None => {
            form.append_pair("client_id", &app.client_id);
        }
    }
    let request = request
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.finish())
        .build()
        .map_err(|cause| TokenFailure::NotSent(network_words(&cause)))?;
    perform(client, request).await.map(|_| ())
}

/// Our client as the OAuth library's.
struct Wire<'a>(&'a Client);

impl<'c> AsyncHttpClient<'c> for Wire<'_> {
    type Error = TokenFailure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, TokenFailure>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut request =
                reqwest::Request::try_from(request).map_err(|cause| TokenFailure::NotSent(network_words(&cause)))?;
            if let Some(value) = request.headers_mut().get_mut(AUTHORIZATION) {
                HeaderValue::set_sensitive(value, true);
            }
            perform(self.0, request).await
        })
    }
}

/// One request, one answer; everything but 200 is a refusal. No redirect is followed: a POST turned
/// into a GET would report a success that never was.
async fn perform(client: &Client, request: reqwest::Request) -> Result<HttpResponse, TokenFailure> {
    const LARGEST: usize = 1 << 20;
    let path = request.url().path().to_owned();
    let mut response = client.http().execute(request).await.map_err(|cause| {
        let words = network_words(&cause);
        if cause.is_connect() || cause.is_builder() { TokenFailure::NotSent(words) } else { TokenFailure::Lost(words) }
    })?;
    let status = response.status();
    client.ui().trace(1, || format!("POST {path} → {}", status.as_u16()));
    let content_type = response.headers().get(CONTENT_TYPE).cloned();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|cause| TokenFailure::Lost(network_words(&cause)))? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(TokenFailure::Unreadable);
        }
    }
    if status.as_u16() != 200 {
        return Err(TokenFailure::Refused(Refusal::read(status.as_u16(), &body)));
    }
    let mut answer = HttpResponse::new(body);
    if let Some(value) = content_type {
        answer.headers_mut().insert(CONTENT_TYPE, value);
    }
    Ok(answer)
}

fn failure(cause: RequestTokenError<TokenFailure, BasicErrorResponse>) -> TokenFailure {
    match cause {
        RequestTokenError::Request(failure) => failure,
        // The library's own errors may quote the body, and the body of a 200 holds tokens.
        _ => TokenFailure::Unreadable,
    }
}

/// Which request a refusal answers: the same words mean other things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A code for tokens.
    Exchange,
    /// A refresh token for tokens.
    Refresh,
}

impl TokenFailure {
    /// What a person or script is told. `login` is the command line that logs in again.
    #[must_use]
    pub fn into_error(self, asked: Asked, login: &str) -> Error {
        let again = format!("Log in again: {login}");
        let later = "Run the same command again later.".to_owned();
        let (kind, message, hint) = match self {
            Self::NotSent(words) => {
                (ErrorKind::Network, format!("the token endpoint cannot be reached ({words})"), later)
            }
            Self::Lost(words) if asked == Asked::Refresh => (
                ErrorKind::RefreshLost,
                format!(
                    "the answer to a refresh was lost on the way ({words}); the server may have spent the refresh token"
                ),
                format!("Run the same command again; if it then asks for a new log-in, type: {login}"),
            ),
            Self::Lost(words) => (ErrorKind::Network, format!("the token endpoint did not answer ({words})"), again),
            Self::Unreadable => (
                ErrorKind::TokenAnswer,
                "the token endpoint's answer holds no tokens; it is not shown, as it may hold secrets".to_owned(),
                again,
            ),
            Self::Refused(refusal) => return refused(&refusal, asked, login),
        };
        Error::new(kind, message).hint(hint)
    }
}

fn refused(refusal: &Refusal, asked: Asked, login: &str) -> Error {
    let again = format!("Log in again: {login}");
    let consent = format!("The enrollee has to consent again: {login}");
    let words = refusal.to_string();
    let says = |text: &str| refusal.words.contains(text);
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
        _ if says("timed out") => (
            ErrorKind::GrantEnded,
            "the 13 months for which the enrollee gave access are over".to_owned(),
            consent,
        ),
        _ if says("cannot be found") => (
            ErrorKind::GrantRevoked,
            "the enrollee's consent is gone: withdrawn at Medicare.gov, or by a log-out".to_owned(),
            consent,
        ),
        (401, _) | (400, "invalid_client") => (
            ErrorKind::Client,
            format!("the server does not know this client id and secret ({words})"),
            "Check both where the app was registered (sandbox and production have different ones), then log in again with them.".to_owned(),
        ),
        (400, _) if says("different app") => (
            ErrorKind::Client,
            "the refresh token belongs to another app than the client id".to_owned(),
            again,
        ),
        (400, _) if says("redirect URI") => (
            ErrorKind::RedirectUri,
            format!("the server refused the redirect URI ({words})"),
            "Register exactly http://127.0.0.1/callback for the app, or give the registered one with --redirect-uri.".to_owned(),
        ),
        (400, "invalid_grant") if asked == Asked::Exchange => (
            ErrorKind::Code,
            "the authorization code was not accepted: it lives 60 seconds and works once".to_owned(),
            again,
        ),
        (400 | 403, _) if asked == Asked::Refresh => (
            ErrorKind::RefreshToken,
            format!(
                "the refresh token no longer works ({words}): it was used already, or a newer log-in with this app (on any machine) replaced it"
            ),
            again,
        ),
        (403, _) => (ErrorKind::NotAllowed, format!("the server does not allow it ({words})"), again),
        (404 | 500..=599, _) if asked == Asked::Refresh => (
            ErrorKind::RefreshLost,
            format!("the server failed while renewing the log-in ({words}) and has probably spent the refresh token"),
            format!("Run the same command again later; if it then asks for a new log-in, type: {login}"),
        ),
        (429 | 500..=599, _) => (
            ErrorKind::Server,
            format!("the token endpoint cannot answer now ({words})"),
            again,
        ),
        _ => (
            ErrorKind::TokenAnswer,
            format!("the token endpoint refused in a way that it should not ({words})"),
            again,
        ),
    };
    Error::new(kind, message).hint(hint)
}

/// Whether the server's data back end is known to be failing: then a refresh would spend the refresh
/// token and deliver nothing, because the server rotates first and looks the person up afterwards.
pub async fn backend_is_failing(client: &Client) -> Option<String> {
    // The server's own limit for this check is 5 s.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
    let asked = Timestamp::now();
    let answer = client.http().get(client.server().backend_health()).timeout(PATIENCE).send().await;
    let verdict = match answer {
        Ok(response) if response.status().is_server_error() => Some(format!("status {}", response.status().as_u16())),
        Ok(_) => None,
        Err(cause) => Some(network_words(&cause)),
    };
    client.ui().trace(1, || {
        let seconds = Timestamp::now().duration_since(asked).as_secs_f64();
        format!("GET /health/bfd → {} in {seconds:.2} s", verdict.as_deref().unwrap_or("well"))
    });
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn exit(asked: Asked, status: u16, body: &str) -> (Exit, &'static str) {
        let error = TokenFailure::Refused(Refusal::read(status, body.as_bytes())).into_error(asked, "bbdl login");
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
        ] {
            assert_eq!(exit(Asked::Refresh, status, body), expected, "{body}");
        }
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
            (503, "<html>", (TryAgain, "server")),
        ] {
            assert_eq!(exit(Asked::Exchange, status, body), expected, "{body}");
        }
    }
}
