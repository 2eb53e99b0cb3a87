//! The proxy that the environment names. For `doctor`, also the one in the system settings, which the HTTP library
//! uses if the environment names none. A proxy that cannot be used is an error: the HTTP library would connect
//! directly, past a proxy that someone has set up on purpose.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{NoProxy, Proxy};
use url::Url;

use crate::{
    error::{Error, ErrorKind, Result},
    origin::Origin,
};

/// The variables for an https proxy, in this order (as in curl and other programs).
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A proxy, and the hosts that are asked directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The variable that names it.
    pub variable: &'static str,
    /// Its address, which may contain a password.
    address: String,
    /// The variable that excludes hosts, and its list.
    pub exceptions: Option<(&'static str, String)>,
}

/// Why bbdl cannot use an address as a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is not a URL with a host.
    NotAnAddress,
    /// SOCKS, or any other scheme except http and https.
    Scheme,
}

impl Named {
    /// The proxy in this process's environment. An empty variable counts as unset.
    #[must_use]
    pub(crate) fn here() -> Option<Self> {
        Self::of(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| Some((*name, variable(name).filter(|value| !value.trim().is_empty())?)))
        };
        let (name, address) = first(&VARIABLES)?;
        Some(Self { variable: name, address: address.trim().to_owned(), exceptions: first(&EXCEPTIONS) })
    }

    /// Whether this host is asked directly anyway.
    #[must_use]
    pub(crate) fn leaves_out(&self, host: &str) -> bool {
        self.exceptions.as_ref().is_some_and(|(_, list)| leaves_out(list, host))
    }

    /// Its address as a URL. The scheme is `http` if none is written.
    ///
    /// # Errors
    /// [`Unusable`].
    pub(crate) fn url(&self) -> std::result::Result<Url, Unusable> {
        let written =
            if self.address.contains("://") { self.address.clone() } else { format!("http://{}", self.address) };
        let url = Url::parse(&written).map_err(|_| Unusable::NotAnAddress)?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(url),
            "http" | "https" => Err(Unusable::NotAnAddress),
            _ => Err(Unusable::Scheme),
        }
    }

    /// The error for a person. The address is not shown.
    #[must_use]
    pub(crate) fn refused(&self, why: Unusable) -> Error {
        let variable = self.variable;
        let message = match why {
            Unusable::NotAnAddress => format!("{variable} is not the address of a proxy"),
            Unusable::Scheme => format!("{variable} names a proxy of a kind that bbdl cannot use (SOCKS, for example)"),
        };
        Error::new(ErrorKind::Proxy, message).hint(format!(
            "Set {variable} to the address of an http or https proxy, like http://proxy.example.org:3128, or unset it. \
             Hosts in NO_PROXY are asked directly."
        ))
    }
}

/// The proxy in the settings of Windows or macOS for an address, which the HTTP library uses if the environment names
/// none. Returns only host and port.
#[must_use]
pub(crate) fn named_by_the_system(address: &str) -> Option<String> {
    let proxy = Matcher::from_system().intercept(&address.parse().ok()?)?;
    proxy.uri().authority().map(|it| it.as_str().rsplit('@').next().unwrap_or_default().to_owned())
}

/// The proxy for a server; none if the environment names none or excludes the server.
///
/// # Errors
/// [`crate::error::Exit::NotSetUp`] if it cannot be used.
pub(crate) fn for_server(origin: &Origin) -> Result<Option<Proxy>> {
    let Some(named) = Named::here() else { return Ok(None) };
    if origin.host().is_some_and(|host| named.leaves_out(host)) {
        return Ok(None);
    }
    let url = named.url().map_err(|why| named.refused(why))?;
    let proxy = Proxy::https(url).map_err(|_| named.refused(Unusable::NotAnAddress))?;
    let list = named.exceptions.as_ref().and_then(|(_, list)| NoProxy::from_string(list));
    Ok(Some(proxy.no_proxy(list)))
}

/// Whether a list such as `NO_PROXY` contains a host, a domain above it, or everything.
fn leaves_out(list: &str, host: &str) -> bool {
    list.split(',').map(|name| name.trim().trim_start_matches('.')).any(|name| {
        name == "*"
            || (!name.is_empty() && host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(variables: &[(&str, &str)]) -> Option<Named> {
        Named::of(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn empty_variables_are_none() {
        assert_eq!(named(&[("HTTPS_PROXY", ""), ("ALL_PROXY", " ")]), None);
        let found = named(&[("HTTPS_PROXY", ""), ("https_proxy", "proxy:3128"), ("NO_PROXY", "")]).unwrap();
        assert_eq!((found.variable, found.exceptions.as_ref()), ("https_proxy", None));
        assert_eq!(found.url().unwrap().as_str(), "http://proxy:3128/");
    }

    #[test]
    fn valid_and_invalid_proxy_addresses() {
        for (address, expected) in [
            ("http://127.0.0.1:9", None),
            ("https://proxy", None),
            ("proxy:3128", None),
            ("http://u:p@proxy:1080", None),
            ("socks5h://proxy:1080", Some(Unusable::Scheme)),
            ("ftp://proxy", Some(Unusable::Scheme)),
            ("http://", Some(Unusable::NotAnAddress)),
            ("http://pro xy", Some(Unusable::NotAnAddress)),
        ] {
            assert_eq!(named(&[("ALL_PROXY", address)]).unwrap().url().err(), expected, "{address}");
        }
    }

    #[test]
    fn no_proxy_excludes_hosts() {
        for list in ["*", "cms.gov", ".cms.gov", "localhost, api.bluebutton.cms.gov"] {
            assert!(leaves_out(list, "api.bluebutton.cms.gov"), "{list}");
        }
        for list in ["", ",", "xcms.gov", "s.gov", "sandbox.bluebutton.cms.gov"] {
            assert!(!leaves_out(list, "api.bluebutton.cms.gov"), "{list}");
        }
    }
}
