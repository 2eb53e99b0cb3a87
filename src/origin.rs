//! Scheme, host and port: where a token may be sent.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::error::{Error, Result};

/// CMS's sandbox: synthetic people.
pub const SANDBOX: &str = "https://sandbox.bluebutton.cms.gov";
/// CMS's production environment: real people.
pub const PRODUCTION: &str = "https://api.bluebutton.cms.gov";

/// Scheme, host and port: the realm a token belongs to (RFC 6454 section 4).
///
/// Always `https`, or `http` on a loopback host. A token never crosses a network unencrypted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(Url);

/// Why tokens cannot be sent to this origin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("not a URL: write it like https://sandbox.bluebutton.cms.gov")]
    NotAUrl,
    /// Plain http to another machine, or another scheme.
    #[error("only https is allowed (plain http is allowed only for this machine: 127.0.0.1, [::1] or localhost)")]
    NotSecure,
    /// A path, query, user name or fragment.
    #[error("give only scheme, host and port: no path, query or user name")]
    NotBare,
}

impl Origin {
    /// Whether this is our own machine. Then no proxy may be used.
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

    /// The URL of a path at this origin.
    #[must_use]
    pub(crate) fn at(&self, path: &str) -> Url {
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

/// `sandbox`, `production` or a URL, as an origin.
///
/// # Errors
/// [`crate::error::Exit::Usage`], with the reason.
pub fn server_named(text: &str) -> Result<Origin> {
    let url = match text {
        "sandbox" => SANDBOX,
        "production" => PRODUCTION,
        url => url,
    };
    url.parse().map_err(|cause| {
        // There may be a password before the host.
        let shown = crate::error::sanitized(text.rsplit_once('@').map_or(text, |(_, host)| host));
        Error::usage(match cause {
            OriginError::NotAUrl => format!("server \"{shown}\": write sandbox, production or a URL such as {SANDBOX}"),
            _ => format!("server \"{shown}\": {cause}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        for text in ["https://u:hush@example.org", "https://hush@example.org/x", "u:hush@example.org"] {
            let error = server_named(text).unwrap_err();
            assert!(!error.message.contains("hush") && error.message.contains("example.org"), "{}", error.message);
        }
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
    fn an_origin_matches_only_itself() {
        let origin: Origin = "https://api.example".parse().unwrap();
        assert!(origin.covers(&Url::parse("https://api.example:443/x").unwrap()));
        for other in ["http://api.example/", "https://api.example.evil/", "https://api.example:444/", "https://evil/"] {
            assert!(!origin.covers(&Url::parse(other).unwrap()), "{other}");
        }
    }
}
