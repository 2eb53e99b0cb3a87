//! A string that cannot be printed.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{LazyLock, PoisonError, RwLock},
};

use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A token, a client secret, an authorization code or a code verifier.
///
/// It has no `Display` and no `Serialize`, its `Debug` shows nothing, and its memory is overwritten when it is
/// dropped. Code that needs the text has to call [`Secret::expose`], which a reviewer can search for.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes the text. The caller must keep no copy.
    #[must_use]
    pub fn new(text: String) -> Self {
        remember(&text);
        Self(text)
    }

    /// The text itself, only for a header, a form field or a token store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in a time that does not depend on where the first difference is.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        let (a, b) = (self.0.as_bytes(), other.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Recognizes every secret of this process without holding any: keyed hashes, by length. Servers and proxies may
/// repeat in an error what they were sent.
static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);

#[derive(Default)]
struct Known {
    hasher: RandomState,
    by_length: RwLock<BTreeMap<usize, HashSet<u64>>>,
}

/// Shorter texts are words that may be in any sentence, and longer ones are whole records.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=4096;

/// From now on, redacts this text in everything that comes from outside. It is a secret, or a form in which one is
/// sent.
pub fn remember(text: &str) {
    if LENGTHS.contains(&text.len()) {
        let mut known = KNOWN.by_length.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(text.len()).or_default().insert(KNOWN.hasher.hash_one(text.as_bytes()));
    }
}

/// A text from outside, without the secrets of this process.
#[must_use]
pub fn redacted(text: &str) -> Cow<'_, str> {
    const INSTEAD: &str = "[redacted]";
    let known = KNOWN.by_length.read().unwrap_or_else(PoisonError::into_inner);
    let bytes = text.as_bytes();
    let is_known = |length: usize, at: usize, hashes: &HashSet<u64>| {
        bytes.get(at..at + length).is_some_and(|part| hashes.contains(&KNOWN.hasher.hash_one(part)))
    };
    let (mut clean, mut from, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        // The longest match first: a Basic header contains more than the secret.
        let found = known.iter().rev().find(|(length, hashes)| is_known(**length, at, hashes));
        let Some((length, _)) =
            found.filter(|(length, _)| text.is_char_boundary(at) && text.is_char_boundary(at + **length))
        else {
            at += 1;
            continue;
        };
        clean.push_str(&text[from..at]);
        clean.push_str(INSTEAD);
        at += length;
        from = at;
    }
    if from == 0 { Cow::Borrowed(text) } else { Cow::Owned(clean + &text[from..]) }
}

#[cfg(test)]
mod tests {
    use super::{Secret, redacted, remember};

    #[test]
    fn secrets_are_redacted_wherever_they_appear() {
        let token = Secret::new("Kq3xVb8sT0aYw1LmN2pQ4rS5tU6vW7".into());
        remember("aWQ6S3EzeFZiOHNUMGFZdzFM");
        let text = format!("no: Bearer {0}, {0}; Basic aWQ6S3EzeFZiOHNUMGFZdzFM…", token.expose());
        assert_eq!(redacted(&text), "no: Bearer [redacted], [redacted]; Basic [redacted]…");
        assert_eq!(redacted("nothing in it, ünïcode or not"), "nothing in it, ünïcode or not");
        let _short = Secret::new("secret".into());
        assert_eq!(redacted("client_secret"), "client_secret");
    }

    #[test]
    fn debug_shows_nothing_of_the_text() {
        assert_eq!(format!("{:?}", Secret::new("hush".into())), "Secret(…)");
    }

    #[test]
    fn comparison_is_of_the_whole_text() {
        let secret = Secret::new("abc".into());
        assert!(secret.matches("abc"));
        assert!(!secret.matches("abd"));
        assert!(!secret.matches("ab"));
    }
}
