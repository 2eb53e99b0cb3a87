//! What an id and a content are known by, in constant room each.

use sha2::{Digest, Sha256};

/// 128 bits of an id's SHA-256: a collision among a billion claims is less likely than a broken disk.
pub type IdKey = [u8; 16];
/// XXH3-128 of what a resource says, see [`crate::fhir::resource::Header::fingerprint`]: no server gains anything by a collision.
pub type Fingerprint = [u8; 16];

/// The key of an id.
#[must_use]
pub fn key(id: &str) -> IdKey {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(id.as_bytes())[..16]);
    key
}
