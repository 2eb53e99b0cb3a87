//! Hashes of fixed size that stand for an id or for a content.

use sha2::{Digest, Sha256};

/// 128 bits of an id's SHA-256: a collision among a billion claims is less likely than a broken disk.
pub(crate) type IdHash = [u8; 16];
/// XXH3-128 of what a resource says, see [`crate::fhir::resource::Header::fingerprint`]. A weaker hash is enough: a
/// server gains nothing by a collision.
pub(crate) type Fingerprint = [u8; 16];

/// The hash of an id.
#[must_use]
pub(crate) fn id_hash(id: &str) -> IdHash {
    let mut hash = [0; 16];
    hash.copy_from_slice(&Sha256::digest(id.as_bytes())[..16]);
    hash
}
