//! The redirect URI: the exact text that the server compares, and what it means for this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;
use url::Url;

/// Why a text cannot be used as a redirect URI.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RedirectError {
    /// Not an absolute URI (RFC 6749 section 3.1.2).
    #[error("this is not a URI. Write it exactly as registered, such as http://127.0.0.1/callback")]
    NotAUri,
    /// `urn:…`, or `localhost:8080/callback`, whose scheme is `localhost`.
    #[error(
        "no browser can be sent to this URI: it has no \"/\" after the first colon. Write it exactly as registered, such as http://127.0.0.1/callback"
    )]
    NotHierarchical,
    /// RFC 6749 section 3.1.2 forbids it.
    #[error("a redirect URI cannot have a fragment (\"#\" and what follows). Write it exactly as registered")]
    Fragment,
    /// A user name or password in it. No browser is sent back to such an address.
    #[error("a redirect URI cannot have a user name or a password before \"@\". Write it exactly as registered")]
    Credentials,
    /// A port that no browser would send back in this form, or not a port at all.
    #[error("the port in this URI has to be a number from 1 to 65535, without zeros before it")]
    Port,
    /// Nothing on this machine can listen there.
    #[error(
        "bbdl can only listen on http://127.0.0.1, http://[::1] or http://localhost. For any other redirect URI, add --manual and paste the address that your browser shows at the end"
    )]
    NotLoopback,
    /// The server compares the port of `localhost` too.
    #[error("a localhost redirect URI needs the port it was registered with, like http://localhost:8080/callback")]
    NeedsPort,
}

/// A redirect URI as registered, with its port, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    path: String,
    host: Option<Host>,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Ipv4,
    Ipv6,
    Localhost,
}

/// What bbdl asks its users to register. Without a port, any port matches (RFC 8252 section 7.3).
pub const DEFAULT: &str = "http://127.0.0.1/callback";

impl RedirectUri {
    /// Accepts a redirect URI on which this machine can listen.
    ///
    /// # Errors
    /// [`RedirectError`].
    pub fn loopback(text: &str) -> Result<Self, RedirectError> {
        let redirect = Self::manual(text)?;
        match (redirect.host, redirect.port) {
            (None, _) => Err(RedirectError::NotLoopback),
            (Some(Host::Localhost), None) => Err(RedirectError::NeedsPort),
            _ => Ok(redirect),
        }
    }

    /// Accepts any redirect URI: a person pastes the address that the browser ended up at.
    ///
    /// # Errors
    /// [`RedirectError`], except those that only [`RedirectUri::loopback`] returns.
    pub fn manual(text: &str) -> Result<Self, RedirectError> {
        let url = Url::parse(text).map_err(|cause| match cause {
            url::ParseError::InvalidPort => RedirectError::Port,
            _ => RedirectError::NotAUri,
        })?;
        if text.chars().any(char::is_whitespace) {
            return Err(RedirectError::NotAUri);
        }
        let credentials = !url.username().is_empty() || url.password().is_some();
        // `localhost:8080/callback` parses as a URI of the scheme `localhost`. A private-use scheme may have a single
        // slash (RFC 8252 section 7.1).
        let hierarchical = text.split_once(':').is_some_and(|(_, rest)| rest.starts_with('/'));
        if !hierarchical {
            return Err(RedirectError::NotHierarchical);
        }
        if credentials {
            return Err(RedirectError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(RedirectError::Fragment);
        }
        // The server compares the exact text, so the host is taken from the text too, without changing its case.
        let rest = text.strip_prefix("http://").unwrap_or_default();
        let hosts = [("127.0.0.1", Host::Ipv4), ("[::1]", Host::Ipv6), ("localhost", Host::Localhost)];
        let host = hosts.iter().find(|(name, _)| {
            rest.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?']))
        });
        // Also taken from the text, because `Url` drops the default port 80. A port that is written but that a
        // browser would write differently (`:`, `:0`, `:080`) is a mistake.
        let written = host.and_then(|(name, _)| rest[name.len()..].strip_prefix(':'));
        let written = written.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
        let port = match written {
            None => url.port(),
            Some(digits) => match digits.parse() {
                Ok(port) if port != 0 && u16::to_string(&port) == digits => Some(port),
                _ => return Err(RedirectError::Port),
            },
        };
        Ok(Self {
            text: text.to_owned(),
            path: if url.path().is_empty() { "/".to_owned() } else { url.path().to_owned() },
            host: host.map(|(_, host)| *host),
            port,
        })
    }

    /// The text for the authorization request and the token request.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path of the callback.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The `Host` field of a request for us. It has the port only if that is not the scheme's default (RFC 9110
    /// section 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.host.map_or("", Host::name);
        self.port.filter(|port| *port != 80).map_or(host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Where to listen. The first address must work; the others may fail.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let port = self.port.unwrap_or(0);
        let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
        match self.host {
            Some(Host::Ipv4) => vec![v4],
            Some(Host::Ipv6) => vec![v6],
            Some(Host::Localhost) => vec![v4, v6],
            None => Vec::new(),
        }
    }

    /// The same URI with the port that was free, if it has no port itself.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        let Some(host) = self.host.filter(|_| self.port.is_none()) else { return self };
        let before = "http://".len() + host.name().len();
        let text = format!("{}:{port}{}", &self.text[..before], &self.text[before..]);
        Self { text, port: Some(port), ..self }
    }
}

impl Host {
    fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "127.0.0.1",
            Self::Ipv6 => "[::1]",
            Self::Localhost => "localhost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_port_is_inserted_into_the_redirect_uri() {
        for (given, sent, authority) in [
            (DEFAULT, "http://127.0.0.1:5123/callback", "127.0.0.1:5123"),
            ("http://[::1]/cb?x=1", "http://[::1]:5123/cb?x=1", "[::1]:5123"),
            ("http://127.0.0.1:8080/callback", "http://127.0.0.1:8080/callback", "127.0.0.1:8080"),
            ("http://localhost:8080/x", "http://localhost:8080/x", "localhost:8080"),
            ("http://127.0.0.1", "http://127.0.0.1:5123", "127.0.0.1:5123"),
            ("http://127.0.0.1?x=1", "http://127.0.0.1:5123?x=1", "127.0.0.1:5123"),
            ("http://127.0.0.1:80/callback", "http://127.0.0.1:80/callback", "127.0.0.1"),
            ("http://localhost:80", "http://localhost:80", "localhost"),
        ] {
            let redirect = RedirectUri::loopback(given).unwrap().with_port(5123);
            assert_eq!((redirect.as_str(), redirect.authority().as_str()), (sent, authority));
        }
        assert_eq!(RedirectUri::loopback("http://127.0.0.1").unwrap().path(), "/");
    }

    #[test]
    fn redirect_uris_that_cannot_be_listened_on_say_what_to_do() {
        for (bad, why) in [
            ("callback", RedirectError::NotAUri),
            ("http://127.0.0.1/callback#x", RedirectError::Fragment),
            ("http://u:p@127.0.0.1/callback", RedirectError::Credentials),
            ("urn:ietf:wg:oauth:2.0:oob", RedirectError::NotHierarchical),
            ("localhost:8080/callback", RedirectError::NotHierarchical),
            ("http://127.0.0.1:70000/callback", RedirectError::Port),
            ("http://127.0.0.1/call back", RedirectError::NotAUri),
            ("http://127.0.0.1:/callback", RedirectError::Port),
            ("http://127.0.0.1:0/callback", RedirectError::Port),
            ("http://[::1]:080/callback", RedirectError::Port),
            ("https://127.0.0.1/callback", RedirectError::NotLoopback),
            ("http://127.0.0.1.example.com/callback", RedirectError::NotLoopback),
            ("http://127.0.0.2/callback", RedirectError::NotLoopback),
            ("http://LOCALHOST:8080/callback", RedirectError::NotLoopback),
            ("https://app.example/callback", RedirectError::NotLoopback),
            ("http://localhost/callback", RedirectError::NeedsPort),
        ] {
            assert_eq!(RedirectUri::loopback(bad).unwrap_err(), why, "{bad}");
        }
        assert!(RedirectUri::manual("https://app.example/callback").is_ok());
        assert!(RedirectUri::manual("bbdl://callback").is_ok());
        assert!(RedirectUri::manual("org.example.bbdl:/callback").is_ok());
        assert!(RedirectUri::manual("localhost:8080/callback").is_err());
    }
}
