//! Checks whether the server's data back end works. While it fails, a refresh would use up the refresh token and
//! bring no new one, because the server first replaces the token and then looks the person up.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::refusal::intercepted;
use crate::{
    api::{
        client::{BodyEnd, Client, network_words, read_body},
        setup_problem::SetupProblem,
    },
    api_version::ApiVersion,
    error::{Error, ErrorKind},
};

/// What the answer to a health check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// The documented answer: the back end works.
    Well,
    /// The server says that its back end fails, or does not answer.
    Failing(String),
    /// It was not asked, because something is not set up here.
    NotSetUp(SetupProblem),
    /// This is not an answer of the server. Something in between may have answered.
    NotTheServer(String),
}

/// Limit of an answer, in bytes. The answer of v3 is a whole document.
pub(crate) const LARGEST: usize = 8 << 20;

impl Health {
    /// Reads an answer of the endpoint that [`Server::backend_health`] names. Only the documented body counts,
    /// because a gateway or a captive portal can answer 200 too.
    ///
    /// [`Server::backend_health`]: crate::api::endpoints::Server::backend_health
    #[must_use]
    pub(crate) fn read(api: ApiVersion, status: u16, body: &[u8]) -> Self {
        let body: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
        let (key, value) = match api {
            ApiVersion::V1 | ApiVersion::V2 => ("message", "all's well"),
            ApiVersion::V3 => ("resourceType", "CapabilityStatement"),
        };
        let is_documented = body.is_some_and(|body| body.get(key).and_then(Value::as_str) == Some(value));
        match status {
            200 if is_documented => Self::Well,
            // Captive portals answer 511 (RFC 6585 section 6).
            429 | 500..=510 => Self::Failing(format!("status {status}")),
            _ => Self::NotTheServer(format!("status {status}, but not the documented answer")),
        }
    }

    /// Checks the server of a client.
    pub(crate) async fn of(client: &Client) -> Self {
        // The server's own limit for this check is 5 s.
        const PATIENCE: Duration = Duration::from_secs(10);
        let (url, api) = (client.server().backend_health(), client.server().api());
        let (path, asked) = (url.path().to_owned(), Instant::now());
        let health = match client.http().get(url).timeout(PATIENCE).send().await {
            Ok(response) => Self::of_response(api, response).await,
            Err(cause) => SetupProblem::of(&cause).map_or_else(|| Self::Failing(network_words(&cause)), Self::NotSetUp),
        };
        client.output().trace(1, || {
            let said = match &health {
                Self::Well => "well",
                Self::NotSetUp(_) => "not asked",
                Self::Failing(why) | Self::NotTheServer(why) => why,
            };
            format!("GET {path} → {said} in {:.2} s", asked.elapsed().as_secs_f64())
        });
        health
    }

    /// Reads a response to its end.
    pub(crate) async fn of_response(api: ApiVersion, mut response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        match read_body(&mut response, &mut body, LARGEST).await {
            BodyEnd::Whole => Self::read(api, status, &body),
            BodyEnd::TooLarge => Self::NotTheServer("an answer that is too large".to_owned()),
            BodyEnd::BrokenOff(why) => Self::Failing(why),
        }
    }

    /// Refuses to renew now if the back end does not work.
    ///
    /// # Errors
    /// If the back end does not work.
    pub(crate) fn must_be_well(self) -> Result<(), Error> {
        match self {
            Self::Well => Ok(()),
            Self::Failing(why) => Err(Error::new(
                ErrorKind::Backend,
                format!("the server's database is failing ({why}), so bbdl did not renew the log-in: that would use up the refresh token"),
            )
            .hint("Run the same command again later.")),
            Self::NotSetUp(missing) => Err(missing.into_error()),
            Self::NotTheServer(why) => Err(intercepted("the server's health page", &why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_health_answer_counts_as_healthy() {
        use ApiVersion::{V1, V2, V3};
        let well = br#"{"message":"all's well"}"#;
        let document = br#"{"resourceType": "CapabilityStatement", "rest": []}"#;
        assert_eq!(Health::read(V1, 200, well), Health::Well);
        assert_eq!(Health::read(V2, 200, well), Health::Well);
        assert_eq!(Health::read(V3, 200, document), Health::Well);
        for (api, status, body) in [
            (V2, 200, &b"<html>all's well</html>"[..]),
            (V2, 200, br#"{"message":"log in first"}"#),
            (V2, 200, document),
            (V2, 200, b""),
            (V2, 204, b""),
            (V2, 302, well),
            (V2, 403, b"<html>"),
            (V2, 511, well),
            (V3, 200, well),
            (V3, 404, b"<html>"),
        ] {
            let health = Health::read(api, status, body);
            assert_ne!(health, Health::Well, "{status} {body:?}");
            assert!(matches!(health, Health::NotTheServer(_)), "{status} {body:?}");
        }
        assert!(matches!(Health::read(V2, 503, b"{}"), Health::Failing(_)));
    }
}
