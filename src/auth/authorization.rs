//! The authorization request: URL, code verifier, state, scopes (RFC 6749 section 4.1.1, RFC 7636).

use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use url::Url;

use super::token_endpoint::Attempt;
use crate::{
    api::endpoints::Server,
    api_version::ApiVersion,
    error::{Error, ErrorKind, Result},
    secret::Secret,
};

/// One attempt to get an authorization code. `state` and code verifier are made for it and used once.
pub(crate) struct Authorization {
    url: Url,
    state: Secret,
    attempt: Attempt,
}

/// What the server's consent page is asked to show.
pub(crate) struct ConsentPage<'a> {
    /// The scopes to ask for; none is everything that the app is registered for.
    pub(crate) scopes: &'a [String],
    /// `en` or `es`.
    pub(crate) lang: Option<&'a str>,
}

/// The scopes that bbdl can use. API v3 requires a `scope`, so bbdl asks for all of these.
const V3_SCOPES: [&str; 6] = [
    "patient/ExplanationOfBenefit.rs",
    "patient/Coverage.rs",
    "patient/Patient.rs",
    "profile",
    "openid",
    "launch/patient",
];

/// The scopes to ask for. None at v1 and v2: then the server offers the enrollee everything that the app is
/// registered for. A scope that the app does not have (as an app without demographic data) leads to an error page
/// after the log-in.
#[must_use]
pub(crate) fn default_scopes(api: ApiVersion) -> Vec<String> {
    match api {
        ApiVersion::V1 | ApiVersion::V2 => Vec::new(),
        ApiVersion::V3 => V3_SCOPES.map(str::to_owned).to_vec(),
    }
}

impl Authorization {
    /// Prepares an authorization request.
    ///
    /// `state` has 256 random bits (RFC 6749 section 10.12), and so has the verifier (RFC 7636 section 7.1). The
    /// challenge method is S256, the only one the server accepts.
    ///
    /// # Errors
    /// If the operating system cannot provide random bytes.
    pub(crate) fn new(
        server: &Server,
        client_id: &str,
        redirect_uri: String,
        ConsentPage { scopes, lang }: ConsentPage<'_>,
    ) -> Result<Self> {
        let state = random_word()?;
        let verifier = PkceCodeVerifier::new(random_word()?.expose().to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let mut url = server.authorize();
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", client_id)
                .append_pair("redirect_uri", &redirect_uri)
                .append_pair("state", state.expose())
                .append_pair("code_challenge", challenge.as_str())
                .append_pair("code_challenge_method", challenge.method().as_str());
            if !scopes.is_empty() {
                query.append_pair("scope", &scopes.join(" "));
            }
            if let Some(lang) = lang {
                query.append_pair("lang", lang);
            }
        }
        Ok(Self { url, state, attempt: Attempt { redirect_uri, verifier } })
    }

    /// The URL for the browser. It contains the state and the challenge, but no secret of the client.
    #[must_use]
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The `state` that the callback must bring back.
    #[must_use]
    pub(crate) fn state(&self) -> &Secret {
        &self.state
    }

    /// What the token request needs. This ends the attempt.
    #[must_use]
    pub(crate) fn into_attempt(self) -> Attempt {
        self.attempt
    }
}

/// 256 random bits as 64 hexadecimal digits: unreserved characters, and within RFC 7636's 43 to 128.
///
/// # Errors
/// If the operating system cannot provide random bytes.
pub(crate) fn random_word() -> Result<Secret> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(ErrorKind::Random, format!("the system gives no random numbers: {cause}")))?;
    let word = hex::encode(bytes);
    zeroize::Zeroize::zeroize(&mut bytes);
    Ok(Secret::new(word))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn request(api: ApiVersion) -> (Authorization, HashMap<String, String>) {
        let server = Server::new("https://sandbox.bluebutton.cms.gov".parse().unwrap(), api);
        let (redirect_uri, scopes) = ("http://127.0.0.1:5/callback".to_owned(), default_scopes(api));
        let page = ConsentPage { scopes: &scopes, lang: Some("es") };
        let request = Authorization::new(&server, "id", redirect_uri, page).unwrap();
        let query = request.url().query_pairs().into_owned().collect();
        (request, query)
    }

    #[test]
    fn the_url_has_what_the_server_demands() {
        let (request, query) = request(ApiVersion::V2);
        assert!(request.url().as_str().starts_with("https://sandbox.bluebutton.cms.gov/v2/o/authorize/?"));
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["redirect_uri"], "http://127.0.0.1:5/callback");
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["code_challenge"].len(), 43);
        assert_eq!(query["state"].len(), 64);
        assert_eq!(query["lang"], "es");
        assert!(!query.contains_key("scope") && !query.contains_key("client_secret"));
        assert!(!request.url().as_str().contains(request.attempt.verifier.secret()));
    }

    #[test]
    fn v3_is_asked_with_scopes() {
        let (_, query) = request(ApiVersion::V3);
        assert!(query["scope"].contains("patient/ExplanationOfBenefit.rs"));
    }

    #[test]
    fn nothing_is_used_twice() {
        let (first, _) = request(ApiVersion::V2);
        let (second, _) = request(ApiVersion::V2);
        assert!(!first.state().matches(second.state().expose()));
        assert_ne!(first.attempt.verifier.secret(), second.attempt.verifier.secret());
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = PkceCodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        assert_eq!(challenge.as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
