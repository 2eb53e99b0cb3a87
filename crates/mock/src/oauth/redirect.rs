//! Which redirect URIs match a registered one: django-oauth-toolkit's rule.

/// The redirect URIs that the mock's app has registered. The others in the list mean the same address.
pub(crate) const REGISTERED: [&str; 5] = [
    "http://127.0.0.1/callback",
    "http://[::1]/callback",
    "http://localhost:8080/callback",
    "http://localhost:8765/callback",
    "http://localhost:3001/api/bluebutton/callback/",
];

/// Whether `asked` is one of an app's registered URIs: scheme, host and path must be equal as text, any port matches
/// if a loopback address was registered without one, and all registered query parameters must be there.
pub(super) fn is_registered(registered: &[String], asked: &str) -> bool {
    registered.iter().any(|registered| matches(registered, asked))
}

/// Whether any request could match this URI if it were registered.
pub(crate) fn is_redirect_uri(uri: &str) -> bool {
    Parts::of(uri).is_some_and(|parts| !parts.scheme.is_empty() && !parts.authority.is_empty())
}

/// A URI cut into its parts. The parts are not decoded, so two spellings of one address are two addresses.
struct Parts<'u> {
    scheme: &'u str,
    authority: &'u str,
    path: &'u str,
    query: &'u str,
}

impl<'u> Parts<'u> {
    /// `None` if it has a character that no URI may have (RFC 3986), or a fragment, which no redirect URI may have.
    fn of(uri: &'u str) -> Option<Self> {
        if uri.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '\\' | '#')) {
            return None;
        }
        let (scheme, rest) = uri.split_once("://")?;
        let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = before_query.split_at(before_query.find('/').unwrap_or(before_query.len()));
        Some(Self { scheme, authority, path, query })
    }

    /// Whether it is a loopback address without a port. Then any port matches.
    fn has_free_port(&self) -> bool {
        self.scheme == "http" && matches!(self.authority, "127.0.0.1" | "[::1]")
    }
}

fn matches(registered: &str, asked: &str) -> bool {
    let (Some(ours), Some(theirs)) = (Parts::of(registered), Parts::of(asked)) else { return false };
    let is_port = |rest: &str| {
        let port = rest.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        rest.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_ok())
    };
    let is_there = ours.authority == theirs.authority
        || (ours.has_free_port() && theirs.authority.strip_prefix(ours.authority).is_some_and(is_port));
    let pairs = |query: &str| form_urlencoded::parse(query.as_bytes()).into_owned().collect::<Vec<_>>();
    let given = pairs(theirs.query);
    ours.scheme.eq_ignore_ascii_case(theirs.scheme)
        && is_there
        && ours.path == theirs.path
        && pairs(ours.query).iter().all(|pair| given.contains(pair))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn ports_are_free_on_loopback_addresses_registered_without_one() {
        for (registered, asked, expected) in [
            ("http://127.0.0.1/callback", "http://127.0.0.1:51234/callback", true),
            ("http://127.0.0.1/callback", "http://127.0.0.1/callback", true),
            ("http://[::1]/callback", "http://[::1]:51234/callback", true),
            ("http://127.0.0.1:8765/callback", "http://127.0.0.1:8766/callback", false),
            ("http://localhost/callback", "http://localhost:51234/callback", false),
            ("http://localhost:8765/callback", "http://localhost:8765/callback", true),
            ("http://localhost:8765/callback", "http://127.0.0.1:8765/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:5/callback/", false),
            ("http://127.0.0.1/callback", "https://127.0.0.1:5/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.2:5/callback", false),
            ("http://localhost:8765/callback", "http://LOCALHOST:8765/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:5/callback?x=1", true),
            ("http://127.0.0.1/callback?a=1", "http://127.0.0.1:5/callback", false),
            ("http://127.0.0.1/callback?a=1", "http://127.0.0.1:5/callback?b=2&a=1", true),
            ("bbdl://callback", "bbdl://callback", true),
            ("bbdl://callback", "bbdl://callback/", false),
        ] {
            assert_eq!(matches(registered, asked), expected, "{registered} {asked}");
        }
    }

    #[test]
    fn another_spelling_is_another_address() {
        for asked in [
            "http://127.1:5/callback",
            "http://0x7f000001/callback",
            "http://2130706433/callback",
            "http:127.0.0.1:5/callback",
            "http:/127.0.0.1:5/callback",
            "http:///127.0.0.1:5/callback",
            "http://127.0.0.1:5/./callback",
            "http://127.0.0.1:5/x/../callback",
            "http://127.0.0.1:5//callback",
            "http://127.0.0.1:5/%63allback",
            "http://127.0.0.1:5\\callback",
            "http:\\\\127.0.0.1:5/callback",
            "http://127.0.0.1:5/call\tback",
            "http://127.0.0.1:5/callback ",
            " http://127.0.0.1:5/callback",
            "http://127.0.0.1:5/callback\n",
            "http://127.0.0.1:5/callback\u{a0}",
            "http://127.0.0.1:5/callback#",
            "http://127.0.0.1:5/callback?a=b c",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:+5/callback",
            "http://127.0.0.1:5@example.com/callback",
            "http://127.0.0.1.example.com/callback",
            "http://me@127.0.0.1:5/callback",
            "http://127.0.0.1",
            "",
        ] {
            assert!(!matches("http://127.0.0.1/callback", asked), "{asked:?}");
        }
        for asked in ["http://[0:0:0:0:0:0:0:1]:5/callback", "http://[::01]/callback", "http://[::1]5/callback"] {
            assert!(!matches("http://[::1]/callback", asked), "{asked:?}");
        }
    }
}
