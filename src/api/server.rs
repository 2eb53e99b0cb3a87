//! An environment: origin, API version, endpoints; the one place where a link becomes a URL.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

/// CMS's sandbox: synthetic people.
pub const SANDBOX: &str = "https://sandbox.bluebutton.cms.gov";
/// CMS's production environment: real people.
pub const PRODUCTION: &str = "https://api.bluebutton.cms.gov";

/// Scheme, host and port: the realm a token belongs to (RFC 6454 section 4).
///
/// Always `https`, or `http` on a loopback host: a token never travels in the clear over a network.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(Url);

/// Why a text is no origin to send tokens to.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("not a URL: write it like https://sandbox.bluebutton.cms.gov")]
    NotAUrl,
    /// Plain http to somewhere else than this machine, or another scheme.
    #[error("only https is allowed (plain http just for this machine: 127.0.0.1, [::1] or localhost)")]
    NotSecure,
    /// A path, query, user name or fragment.
    #[error("give only scheme, host and port: no path, query or user name")]
    NotBare,
}

impl Origin {
    /// Whether this is the machine we run on: then no proxy may come between.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// The host, without brackets or port.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.0.host_str()
    }

    /// Whether a URL lies within this origin.
    #[must_use]
    pub fn covers(&self, url: &Url) -> bool {
        self.0.scheme() == url.scheme()
            && self.0.host() == url.host()
            && self.0.port_or_known_default() == url.port_or_known_default()
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text.trim()).map_err(|_| OriginError::NotAUrl)?;
        match url.scheme() {
            "https" if url.has_host() => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(OriginError::NotSecure),
        }
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if bare { Ok(Self(url)) } else { Err(OriginError::NotBare) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The version of the Blue Button API. Tokens work across versions, ids do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    /// FHIR STU3.
    V1,
    /// FHIR R4, CARIN Blue Button.
    #[default]
    V2,
    /// FHIR R4, CARIN 2.x; a pilot.
    V3,
}

impl ApiVersion {
    /// Whether a person has the same Patient id at both. v3 has a database of its own, and other ids.
    #[must_use]
    pub fn shares_ids_with(self, other: Self) -> bool {
        (self == Self::V3) == (other == Self::V3)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
        })
    }
}

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
    /// It wants a credential in the query (RFC 6750 section 2.3 warns of it).
    #[error("the server's next link carries a credential")]
    Credential,
}

/// Where requests go: an origin and a version, and from these every endpoint.
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

    /// The authorization endpoint. With the slash: without it the server redirects first.
    #[must_use]
    pub fn authorize(&self) -> Url {
        self.at("o/authorize/")
    }

    /// The token endpoint.
    #[must_use]
    pub fn token(&self) -> Url {
        self.at("o/token/")
    }

    /// The revocation endpoint that ends the grant. Discovery names another one, without the slash,
    /// which answers 301 and revokes nothing.
    #[must_use]
    pub fn revoke(&self) -> Url {
        self.at("o/revoke/")
    }

    /// Who logged in.
    #[must_use]
    pub fn userinfo(&self) -> Url {
        self.at("connect/userinfo")
    }

    /// Whether this version's data back end lives: the cheap question to ask before a refresh token is spent. Each of
    /// the server's health pages looks at one back end, and v3 has none: its metadata needs no token and fails with it.
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

    /// Turns a page's `next` link into a URL to ask for: path and query of the link, on our origin.
    ///
    /// Real links name internal hosts, so the host is not looked at, let alone asked; a link that
    /// leaves the path of its search is refused. A raw `+` can only be the sign of a time zone there
    /// and would be read as a blank by the server: it is encoded.
    ///
    /// # Errors
    /// [`LinkError`] where following would be wrong.
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

/// A URL as it may be shown: path, and of the query only what says where in a search we are.
#[must_use]
pub fn shown(url: &Url) -> String {
    const HARMLESS: [&str; 6] = ["startIndex", "_offset", "_count", "type", "_source", "_lastUpdated"];
    let query: Vec<String> = url
        .query_pairs()
        .filter(|(key, _)| HARMLESS.contains(&key.as_ref()))
        .map(|(key, value)| format!("{key}={}", crate::error::shown(&value)))
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", url.path(), query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server::new(SANDBOX.parse().unwrap(), ApiVersion::V2)
    }

    #[test]
    fn origins_are_https_or_this_machine() {
        for good in
            [SANDBOX, "http://127.0.0.1:8099", "http://[::1]:1", "http://localhost:8000/", "https://x.example:8443"]
        {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("sandbox.bluebutton.cms.gov", OriginError::NotAUrl),
            ("http://sandbox.bluebutton.cms.gov", OriginError::NotSecure),
            ("http://127.0.0.1.example.com", OriginError::NotSecure),
            ("http://localhost.example.com", OriginError::NotSecure),
            ("ftp://127.0.0.1", OriginError::NotSecure),
            ("https://user@x.example", OriginError::NotBare),
            ("https://x.example/v2", OriginError::NotBare),
            ("https://x.example/?a=b", OriginError::NotBare),
        ] {
            assert_eq!(bad.parse::<Origin>().unwrap_err(), why, "{bad}");
        }
    }

    #[test]
    fn an_origin_covers_itself_and_nothing_that_looks_like_it() {
        let origin: Origin = "https://api.example".parse().unwrap();
        assert!(origin.covers(&Url::parse("https://api.example:443/x").unwrap()));
        for other in ["http://api.example/", "https://api.example.evil/", "https://api.example:444/", "https://evil/"] {
            assert!(!origin.covers(&Url::parse(other).unwrap()), "{other}");
        }
    }

    #[test]
    fn links_are_moved_to_our_origin() {
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
    fn shown_urls_name_nobody() {
        let url =
            Url::parse("https://x.example/v2/fhir/ExplanationOfBenefit?patient=-20140000008325&startIndex=50").unwrap();
        assert_eq!(shown(&url), "/v2/fhir/ExplanationOfBenefit?startIndex=50");
    }
}
