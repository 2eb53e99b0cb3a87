//! Tokens are encrypted ("sealed") in the database: a person with a dump but without the key cannot read them.
//!
//! The cipher is AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits. The associated data are the profile's
//! name and the generation of its tokens, so a sealed record is valid only in its own row and for its own generation.
//! One key may seal 2³² records, which a million enrollees with daily renewals reach after eleven years. Keys can be
//! changed at any time.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
};
use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Result},
    secret::Secret,
};

/// The version of the layout of a sealed record: this byte, the nonce, the sealed text with its tag.
const LAYOUT: u8 = 1;
const KEY_LEN: usize = 32;

/// The name of a key: the start of its hash, which does not reveal the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    /// The name of a key from a database column.
    #[must_use]
    pub fn from_column(text: String) -> Self {
        Self(text)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(key: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"bbdl state key id\0");
        context.update(key);
        Self(hex::encode(&context.finish().as_ref()[..4]))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sealed record, and the key that opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Which key.
    pub key: KeyId,
    /// The sealed bytes.
    pub bytes: Vec<u8>,
}

/// The keys of a shared state. The first one seals, and all of them open.
pub struct StateKeys {
    first: (KeyId, LessSafeKey),
    older: Vec<(KeyId, LessSafeKey)>,
}

impl StateKeys {
    /// Reads keys: 32 random bytes each, in base64, with white space between keys.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if one of them is not a key.
    pub fn parse(text: &str, source: &str) -> Result<Self> {
        let mut keys = text.split_ascii_whitespace().map(key);
        let no_key = || {
            Error::new(ErrorKind::StateKey, format!("{source} holds no key of the shared state"))
                .hint("A key is 32 random bytes in base64. To make one: openssl rand -base64 32")
        };
        let first = keys.next().flatten().ok_or_else(no_key)?;
        let older = keys.collect::<Option<Vec<_>>>().ok_or_else(no_key)?;
        Ok(Self { first, older })
    }

    /// The key that seals.
    #[must_use]
    pub fn current(&self) -> &KeyId {
        &self.first.0
    }

    /// The names of all of them.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        std::iter::once(&self.first).chain(&self.older).map(|(id, _)| id.as_str()).collect()
    }

    /// Seals a record for one row and one generation.
    ///
    /// # Errors
    /// [`crate::error::Exit::Defect`] if the system provides no random numbers.
    pub fn seal(&self, name: &str, generation: i64, record: &Secret) -> Result<Sealed> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)
            .map_err(|cause| Error::new(ErrorKind::Random, format!("the system gives no random numbers: {cause}")))?;
        let (id, key) = &self.first;
        let mut bytes = Vec::with_capacity(1 + NONCE_LEN + record.expose().len() + key.algorithm().tag_len());
        bytes.push(LAYOUT);
        bytes.extend_from_slice(&nonce);
        let mut text = Zeroizing::new(record.expose().as_bytes().to_vec());
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), associated(name, generation), &mut text)
            .map_err(|_| Error::new(ErrorKind::Defect, "a record is too large to be sealed"))?;
        bytes.extend_from_slice(&text);
        bytes.extend_from_slice(tag.as_ref());
        Ok(Sealed { key: id.clone(), bytes })
    }

    /// Opens what was sealed for this row and this generation.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if no key opens it.
    pub fn open(&self, name: &str, generation: i64, sealed: &Sealed) -> Result<Secret> {
        let mut known = std::iter::once(&self.first).chain(&self.older);
        let Some((_, key)) = known.find(|(id, _)| *id == sealed.key) else {
            let ids = self.ids();
            return Err(Error::new(
                ErrorKind::StateKey,
                format!(
                    "the tokens of \"{name}\" are sealed with key {}; the keys given are {}",
                    sealed.key,
                    ids.join(", ")
                ),
            )
            .hint("Check that this is the key of this shared state. After a change of keys, add the older key to the key file, on a line after the current one."));
        };
        let opened = || {
            let (nonce, text) = sealed.bytes.strip_prefix(&[LAYOUT])?.split_first_chunk::<NONCE_LEN>()?;
            let mut text = Zeroizing::new(text.to_vec());
            let plain = key
                .open_in_place(Nonce::assume_unique_for_key(*nonce), associated(name, generation), &mut text)
                .ok()?;
            std::str::from_utf8(plain).ok().map(|plain| Secret::new(plain.to_owned()))
        };
        opened().ok_or_else(|| {
            Error::new(
                ErrorKind::TokenRecord,
                format!("the tokens of \"{name}\" in the shared state are damaged, or were moved from another row"),
            )
            .hint("Import this enrollee again: bbdl profiles import FILE --replace")
        })
    }
}

impl fmt::Debug for StateKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKeys(…)")
    }
}

fn key(text: &str) -> Option<(KeyId, LessSafeKey)> {
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(text).ok()?);
    if bytes.len() != KEY_LEN {
        return None;
    }
    Some((KeyId::of(&bytes), LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?)))
}

/// No name contains a zero byte, so two rows never have the same text.
fn associated(name: &str, generation: i64) -> Aad<Vec<u8>> {
    Aad::from([b"bbdl tokens\0", name.as_bytes(), b"\0", &generation.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    const OLD: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NEW: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn keys(text: &str) -> StateKeys {
        StateKeys::parse(text, "the test").unwrap()
    }

    #[test]
    fn a_record_opens_in_its_own_row_and_generation_only() {
        let (keys, record) = (keys(OLD), Secret::new("hush".into()));
        let sealed = keys.seal("mum", 7, &record).unwrap();
        assert!(keys.open("mum", 7, &sealed).unwrap().matches("hush"));
        for (name, generation) in [("dad", 7), ("mum", 6), ("mum", 8), ("mum\0", 7)] {
            let error = keys.open(name, generation, &sealed).unwrap_err();
            assert_eq!(error.exit(), Exit::NotSetUp);
            assert!(!format!("{error:?}").contains("hush"));
        }
        let again = keys.seal("mum", 7, &record).unwrap();
        assert_ne!(again.bytes, sealed.bytes, "no nonce is used twice");
        assert!(!sealed.bytes.windows(4).any(|part| part == b"hush"));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let keys = keys(OLD);
        let sealed = keys.seal("mum", 1, &Secret::new("hush".into())).unwrap();
        for place in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[place] ^= 1;
            assert!(keys.open("mum", 1, &Sealed { bytes, ..sealed.clone() }).is_err(), "byte {place}");
        }
        for end in 0..sealed.bytes.len() {
            let bytes = sealed.bytes[..end].to_vec();
            assert!(keys.open("mum", 1, &Sealed { bytes, ..sealed.clone() }).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn an_older_key_opens_and_the_first_one_seals() {
        let record = Secret::new("hush".into());
        let before = keys(OLD).seal("mum", 1, &record).unwrap();
        let both = keys(&format!("{NEW}\n{OLD}\n"));
        assert!(both.open("mum", 1, &before).unwrap().matches("hush"));
        let after = both.seal("mum", 2, &record).unwrap();
        assert_eq!(&after.key, both.current());
        assert!(keys(NEW).open("mum", 2, &after).unwrap().matches("hush"));
        let error = keys(NEW).open("mum", 1, &before).unwrap_err();
        assert!(error.message.contains(before.key.as_str()), "{}", error.message);
    }

    #[test]
    fn an_invalid_key_is_refused_and_not_quoted() {
        let short = BASE64_STANDARD.encode([7; 16]);
        for text in ["", "  \n", "hush-hush", &short, &format!("{OLD} hush-hush")] {
            let error = StateKeys::parse(text, "the test").unwrap_err();
            assert_eq!(error.exit(), Exit::NotSetUp);
            assert!(!format!("{error:?}").contains("hush") && !format!("{error:?}").contains(&short));
        }
        assert_eq!(format!("{:?}", keys(OLD)), "StateKeys(…)");
    }
}
