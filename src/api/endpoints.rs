//! The endpoints of a server, and the one place where a link becomes a URL.

use thiserror::Error;
use url::Url;

use crate::{api_version::ApiVersion, origin::Origin};

/// The resources of the search endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searchable {
    /// Claims.
    ExplanationOfBenefit,
    /// The person.
    Patient,
    /// The person's parts of Medicare.
    Coverage,
}

impl Searchable {
    /// The FHIR name, as in the URL and in `resourceType`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ExplanationOfBenefit => "ExplanationOfBenefit",
            Self::Patient => "Patient",
            Self::Coverage => "Coverage",
        }
    }
}

/// Why a `next` link is not followed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LinkError {
    /// Not a URL, or absurdly long.
    #[error("the server's next link is not a URL")]
    Unreadable,
    /// Its path is not that of the search it came from.
    #[error("the server's next link leaves the search it belongs to")]
    Elsewhere,
    /// It has a credential in the query (RFC 6750 section 2.3 warns against that).
    #[error("the server's next link carries a credential")]
    Credential,
}

/// Where requests go: an origin and a version. All endpoints follow from these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    origin: Origin,
    api: ApiVersion,
}

impl Server {
    /// The endpoints of this version at this origin.
    #[must_use]
    pub fn new(origin: Origin, api: ApiVersion) -> Self {
        Self { origin, api }
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The API version.
    #[must_use]
    pub fn api(&self) -> ApiVersion {
        self.api
    }

    fn at(&self, path: &str) -> Url {
        self.origin.at(&format!("/{}/{path}", self.api))
    }

    /// The authorization endpoint, with the final slash. Without it, the server redirects first.
    #[must_use]
    pub fn authorize(&self) -> Url {
        self.at("o/authorize/")
    }

    /// The token endpoint.
    #[must_use]
    pub fn token(&self) -> Url {
        self.at("o/token/")
    }

    /// The revocation endpoint that ends the grant. Discovery names another one, without the final slash, which
    /// answers 301 and revokes nothing.
    #[must_use]
    pub fn revoke(&self) -> Url {
        self.at("o/revoke/")
    }

    /// Userinfo: who logged in.
    #[must_use]
    pub fn userinfo(&self) -> Url {
        self.at("connect/userinfo")
    }

    /// A cheap request that shows whether this version's data back end works, before a refresh token is used up. Each
    /// of the server's health pages checks one back end, and v3 has no such page. But v3's metadata needs no token
    /// and fails when the back end fails.
    #[must_use]
    pub fn backend_health(&self) -> Url {
        match self.api {
            ApiVersion::V1 => self.origin.at("/health/bfd"),
            ApiVersion::V2 => self.origin.at("/health/bfd_v2"),
            ApiVersion::V3 => self.at("fhir/metadata"),
        }
    }

    /// A search endpoint, without parameters.
    #[must_use]
    pub fn search(&self, resource: Searchable) -> Url {
        self.at(&format!("fhir/{}", resource.name()))
    }

    /// The digital insurance card; API v3 only.
    #[must_use]
    pub fn insurance_card(&self) -> Url {
        self.at("fhir/Patient/$generate-insurance-card")
    }

    /// Turns a page's `next` link into a URL: path and query of the link, on our origin.
    ///
    /// Real links name internal hosts, so the host is ignored and never asked. A link that leaves the path of its
    /// search is refused. A raw `+` can only be the sign of a time zone here, and the server would read it as a
    /// blank, so it is encoded.
    ///
    /// # Errors
    /// [`LinkError`] if the link must not be followed.
    pub fn follow(&self, search: &Url, link: &str) -> Result<Url, LinkError> {
        const LONGEST: usize = 8 * 1024;
        if link.len() > LONGEST {
            return Err(LinkError::Unreadable);
        }
        let link = search.join(link).map_err(|_| LinkError::Unreadable)?;
        if link.path().trim_end_matches('/') != search.path().trim_end_matches('/') {
            return Err(LinkError::Elsewhere);
        }
        let query = link.query().unwrap_or_default().replace('+', "%2B");
        if form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == "access_token") {
            return Err(LinkError::Credential);
        }
        let mut url = self.origin.at(search.path());
        url.set_query((!query.is_empty()).then_some(&query));
        Ok(url)
    }
}

/// A URL in a form that may be shown: the path, and only the part of the query that says which page it is.
#[must_use]
pub fn loggable(url: &Url) -> String {
    const HARMLESS: [&str; 6] = ["startIndex", "_offset", "_count", "type", "_source", "_lastUpdated"];
    let query: Vec<String> = url
        .query_pairs()
        .filter(|(key, _)| HARMLESS.contains(&key.as_ref()))
        .map(|(key, value)| format!("{key}={}", crate::error::sanitized(&value)))
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", url.path(), query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::SANDBOX;

    fn server() -> Server {
        Server::new(SANDBOX.parse().unwrap(), ApiVersion::V2)
    }

    #[test]
    fn links_are_rewritten_to_our_origin() {
        let search = server().search(Searchable::ExplanationOfBenefit);
        for link in [
            "http://sandbox.fhirv3.bfd.cmscloud.local/v2/fhir/ExplanationOfBenefit?startIndex=10&_count=10",
            "https://evil.example:8443/v2/fhir/ExplanationOfBenefit/?startIndex=10&_count=10#x",
            "/v2/fhir/ExplanationOfBenefit?startIndex=10&_count=10",
            "?startIndex=10&_count=10",
        ] {
            assert_eq!(
                server().follow(&search, link).unwrap().as_str(),
                "https://sandbox.bluebutton.cms.gov/v2/fhir/ExplanationOfBenefit?startIndex=10&_count=10",
                "{link}"
            );
        }
    }

    #[test]
    fn links_out_of_the_search_are_refused() {
        let search = server().search(Searchable::ExplanationOfBenefit);
        for (link, why) in [
            ("https://sandbox.bluebutton.cms.gov/v2/fhir/Patient?startIndex=10", LinkError::Elsewhere),
            (
                "https://sandbox.bluebutton.cms.gov/v2/fhir/ExplanationOfBenefit/../../o/revoke/?x=1",
                LinkError::Elsewhere,
            ),
            ("https://sandbox.bluebutton.cms.gov/v1/fhir/ExplanationOfBenefit?startIndex=10", LinkError::Elsewhere),
            ("/v2/fhir/ExplanationOfBenefit?access_token=abc", LinkError::Credential),
            ("http://[", LinkError::Unreadable),
        ] {
            assert_eq!(server().follow(&search, link).unwrap_err(), why, "{link}");
        }
    }

    #[test]
    fn a_time_zone_plus_in_a_link_is_encoded() {
        let search = server().search(Searchable::ExplanationOfBenefit);
        let url = server().follow(&search, "?_lastUpdated=ge2026-01-01T00:00:00+00:00").unwrap();
        assert_eq!(url.query(), Some("_lastUpdated=ge2026-01-01T00:00:00%2B00:00"));
    }

    #[test]
    fn shown_urls_contain_no_identifiers() {
        let url =
            Url::parse("https://x.example/v2/fhir/ExplanationOfBenefit?patient=-20140000008325&startIndex=50").unwrap();
        assert_eq!(loggable(&url), "/v2/fhir/ExplanationOfBenefit?startIndex=50");
    }
}
