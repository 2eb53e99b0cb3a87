//! Which redirect URIs match a registered one: django-oauth-toolkit's rule.

use url::Url;

/// What the mock's app has registered, and others that name nothing else.
pub(in crate::mock) const REGISTERED: [&str; 5] = [
    "http://127.0.0.1/callback",
    "http://[::1]/callback",
    "http://localhost:8080/callback",
    "http://localhost:8765/callback",
    "http://localhost:3001/api/bluebutton/callback/",
];

/// Whether `asked` is one of an app's registered URIs: scheme, host and path alike, the port free where a
/// loopback address was registered without one, registered query parameters all there.
pub(super) fn is_registered(registered: &[String], asked: &str) -> bool {
    registered.iter().any(|registered| matches(registered, asked))
}

fn matches(registered: &str, asked: &str) -> bool {
    let (Ok(ours), Ok(theirs)) = (Url::parse(registered), Url::parse(asked)) else { return false };
    let authority = asked.split_once("://").map_or("", |(_, rest)| rest);
    if authority.split(['/', '?']).next().is_some_and(|host| host.chars().any(|c| c.is_ascii_uppercase())) {
        return false;
    }
    let loopback = matches!(ours.host_str(), Some("127.0.0.1" | "[::1]"));
    let port_is_free = loopback && ours.port().is_none();
    let query_is_there = ours.query_pairs().all(|pair| theirs.query_pairs().any(|other| other == pair));
    ours.scheme() == theirs.scheme()
        && ours.host_str() == theirs.host_str()
        && (port_is_free || ours.port() == theirs.port())
        && ours.path() == theirs.path()
        && theirs.fragment().is_none()
        && query_is_there
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
        ] {
            assert_eq!(matches(registered, asked), expected, "{registered} {asked}");
        }
    }
}
