//! The requests to the token endpoint and the revocation endpoint.
//!
//! Unlike all others, these requests are never retried: a code and a refresh token work once, and the server may have
//! used them up even if no answer came.

use base64::{Engine, prelude::BASE64_STANDARD};
use oauth2::PkceCodeVerifier;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use url::Url;
use zeroize::Zeroizing;

pub use super::refusal::{Asked, Refusal, TokenFailure};
use super::token_answer::{LARGEST, TokenAnswer};
use crate::{
    api::{
        client::{BodyEnd, Client, innermost_words, network_words, read_body},
        setup_problem::SetupProblem,
    },
    secret::{self, Secret},
};

/// The app that a person logs in to: CMS calls it an application, RFC 6749 a client.
#[derive(Clone, Debug)]
pub struct App {
    /// 40 letters and digits at CMS.
    pub client_id: String,
    /// 128 letters and digits at CMS; none for a public client.
    pub client_secret: Option<Secret>,
}

/// The attempt to log in that an authorization code belongs to: what the token request proves and repeats.
pub struct Attempt {
    /// Exactly the text in the authorization request.
    pub redirect_uri: String,
    /// The verifier of the challenge in the authorization request.
    pub verifier: PkceCodeVerifier,
}

/// Exchanges an authorization code for tokens (RFC 6749 section 4.1.3).
///
/// # Errors
/// [`TokenFailure`].
pub async fn exchange(
    client: &Client,
    app: &App,
    code: &Secret,
    attempt: &Attempt,
) -> Result<TokenAnswer, TokenFailure> {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("code_verifier", attempt.verifier.secret()),
        ("redirect_uri", &attempt.redirect_uri),
    ];
    let answer = ask_for_tokens(client, app, &form).await?;
    // A log-in without its refresh token lasts only an hour, and the person is still there and can log in again.
    let is_good = answer.is_complete() || (answer.is_usable() && answer.is_whole());
    if is_good { Ok(answer) } else { Err(TokenFailure::Unreadable) }
}

/// Exchanges a refresh token for a new pair (RFC 6749 section 6). Afterwards the old pair no longer works, even if
/// the answer does not arrive. Sends no `scope`, because that would narrow the grant for good.
///
/// # Errors
/// [`TokenFailure`].
pub async fn refresh(client: &Client, app: &App, refresh_token: &Secret) -> Result<TokenAnswer, TokenFailure> {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    ask_for_tokens(client, app, &form).await
}

async fn ask_for_tokens(client: &Client, app: &App, form: &[(&str, &str)]) -> Result<TokenAnswer, TokenFailure> {
    let answer = post(client, app, client.server().token(), form).await?;
    if !(200..300).contains(&answer.status) {
        return Err(answer.refusal());
    }
    match (TokenAnswer::read(&answer.body), answer.broken_off) {
        (Some(tokens), None) => Ok(tokens),
        // What matters in it had arrived.
        (Some(tokens), Some(_)) if tokens.is_complete() => Ok(tokens),
        (_, Some(words)) => Err(TokenFailure::Lost(words)),
        (None, None) if answer.body.trim_ascii_start().starts_with(b"{") => Err(TokenFailure::Unreadable),
        (None, None) => Err(TokenFailure::Intercepted(format!("status {} without JSON", answer.status))),
    }
}

/// Ends the grant at the server with the only call that works: the access token at `/o/revoke/`. Other forms from RFC
/// 7009 answer 500, or answer 200 and revoke nothing. Only the server's own answer counts, which is 200 and empty.
///
/// # Errors
/// [`TokenFailure`].
pub async fn revoke(client: &Client, app: &App, access_token: &Secret) -> Result<(), TokenFailure> {
    let form = [("token", access_token.expose()), ("token_type_hint", "access_token")];
    let answer = post(client, app, client.server().revoke(), &form).await?;
    match (answer.status, answer.broken_off.as_deref()) {
        (200, None) if answer.body.is_empty() => Ok(()),
        (200..=299, None) => {
            let words = format!("status {} with {} bytes", answer.status, answer.body.len());
            Err(TokenFailure::Intercepted(words))
        }
        (200..=299, Some(words)) => Err(TokenFailure::Lost(words.to_owned())),
        _ => Err(answer.refusal()),
    }
}

/// Whether API v3 is closed to the app (flag `v3_early_adopter`). The token endpoint gives the same answer for that
/// and for a dead refresh token, so this asks where no token is needed. It sends a complete authorization request
/// without a redirect URI, so no one can consent to it.
///
/// # Errors
/// The text of an answer that does not say which it is.
pub async fn is_closed_to(client: &Client, app: &App) -> Result<bool, String> {
    const NOT_A_CHALLENGE: &str = "0000000000000000000000000000000000000000000";
    let mut url = client.server().authorize();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &app.client_id)
        .append_pair("scope", "openid")
        .append_pair("state", "is-this-version-open-to-the-app")
        .append_pair("code_challenge", NOT_A_CHALLENGE)
        .append_pair("code_challenge_method", "S256");
    let path = url.path().to_owned();
    let mut answer = client.http().get(url).send().await.map_err(|cause| network_words(&cause))?;
    let status = answer.status().as_u16();
    client.output().trace(1, || format!("GET {path} → {status}"));
    let mut body = Vec::new();
    match read_body(&mut answer, &mut body, LARGEST).await {
        BodyEnd::Whole => {}
        BodyEnd::TooLarge => return Err("an answer that is too large".to_owned()),
        BodyEnd::BrokenOff(why) => return Err(why),
    }
    match Refusal::read(status, &body) {
        Some(refusal) if status == 403 && refusal.words.contains("Unable to verify permission") => Ok(true),
        Some(refusal) => Err(refusal.to_string()),
        None if status >= 500 => Err(format!("status {status}")),
        // The server would continue to the log-in page.
        None => Ok(false),
    }
}

/// One answer, as far as it arrived.
struct Answer {
    status: u16,
    body: Zeroizing<Vec<u8>>,
    /// Why the rest is missing.
    broken_off: Option<String>,
}

impl Answer {
    /// What a failed status means. Redirects are not followed: a POST that turns into a GET would report a success
    /// that never happened.
    fn refusal(self) -> TokenFailure {
        match (Refusal::read(self.status, &self.body), self.status) {
            (Some(refusal), _) => TokenFailure::Refused(refusal),
            // Gateways in front of the server answer with these, in their own words.
            (None, 429 | 500..=510) => TokenFailure::Refused(Refusal { status: self.status, ..Refusal::default() }),
            (None, status) => TokenFailure::Intercepted(format!("status {status} without JSON")),
        }
    }
}

/// Sends one request and reads its answer.
async fn post(client: &Client, app: &App, url: Url, form: &[(&str, &str)]) -> Result<Answer, TokenFailure> {
    let (origin, path) = (url.origin().ascii_serialization(), url.path().to_owned());
    let mut response = request(client, app, url, form).send().await.map_err(|cause| {
        if let Some(missing) = SetupProblem::of(&cause) {
            return TokenFailure::SetupProblem(missing);
        }
        if cause.is_connect() || cause.is_builder() {
            return TokenFailure::NotSent(format!("{origin} cannot be reached ({})", innermost_words(&cause)));
        }
        TokenFailure::Lost(network_words(&cause))
    })?;
    let status = response.status().as_u16();
    // Allocated at its full size, because a growing vector would leave copies of the tokens behind.
    let mut body = Zeroizing::new(Vec::with_capacity(LARGEST));
    let broken_off = match read_body(&mut response, &mut body, LARGEST).await {
        BodyEnd::Whole | BodyEnd::TooLarge => None,
        BodyEnd::BrokenOff(why) => Some(why),
    };
    client.output().trace(1, || format!("POST {path} → {status}"));
    Ok(Answer { status, body, broken_off })
}

/// Marks the app's credentials for redaction in the form in which they are sent, because a server may repeat them in
/// an error.
fn redact_basic(app: &App) {
    let Some(secret) = &app.client_secret else { return };
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let halves = Zeroizing::new(format!("{}:{}", encode(&app.client_id), encode(secret.expose())));
    secret::remember(&encode(secret.expose()));
    secret::remember(&BASE64_STANDARD.encode(&*halves));
    secret::remember(&halves);
}

/// A form with the app's authentication.
fn request(client: &Client, app: &App, url: Url, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    redact_basic(app);
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let mut request = client.http().post(url);
    match &app.client_secret {
        // HTTP Basic with both parts form-encoded, as in RFC 6749 section 2.3.1 and as the server decodes them.
        Some(secret) => {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encode(&app.client_id), Some(encode(secret.expose())));
        }
        None => {
            body.append_pair("client_id", &app.client_id);
        }
    }
    request
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(body.finish())
}
