//! The catalog of a file of the archive: forty bytes for each resource, with key, content hash and date. With it, a
//! pull that brings nothing new does not have to read the file.
//!
//! A catalog only saves time. If it is missing or damaged, or belongs to another file than the one that is there (by
//! size, checksum and time of the last change), bbdl ignores it and reads the file.

use std::{
    fs,
    io::{self, BufReader, Read, Write},
    path::Path,
    time::UNIX_EPOCH,
};

use jiff::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use super::{
    id_hash::{Fingerprint, IdHash},
    lines::{create, flush},
};
use crate::{
    error::{Error, Result},
    files::private_file,
};

/// The directory of the catalogs, inside the archive.
pub(super) const ID_INDEXES: &str = ".bbdl/catalog";

/// The version of the catalog layout.
const LAYOUT: &[u8; 8] = b"bbdlcat1";
pub(super) const ROW_BYTES: usize = 40;

/// One resource of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexRow {
    pub(super) id: IdHash,
    pub(super) fingerprint: Fingerprint,
    pub(super) last_updated: Option<Timestamp>,
}

impl IndexRow {
    pub(super) fn to_bytes(self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..32].copy_from_slice(&self.fingerprint);
        let at = self.last_updated.map_or(i64::MIN, Timestamp::as_microsecond);
        bytes[32..].copy_from_slice(&at.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; ROW_BYTES]) -> Self {
        let (mut id, mut fingerprint, mut at) = ([0; 16], [0; 16], [0; 8]);
        id.copy_from_slice(&bytes[..16]);
        fingerprint.copy_from_slice(&bytes[16..32]);
        at.copy_from_slice(&bytes[32..]);
        Self { id, fingerprint, last_updated: Timestamp::from_microsecond(i64::from_le_bytes(at)).ok() }
    }
}

/// The file that a catalog describes.
pub(super) struct IndexedFile<'a> {
    pub(super) path: &'a Path,
    pub(super) bytes: u64,
    pub(super) sha256: &'a str,
}

impl IndexedFile<'_> {
    /// The start of its catalog: the layout, and which file it describes.
    fn head(&self) -> io::Result<Vec<u8>> {
        let changed = fs::metadata(self.path)?.modified()?;
        let changed = changed.duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_nanos();
        let mut head = LAYOUT.to_vec();
        head.extend(self.bytes.to_le_bytes());
        head.extend(changed.to_le_bytes());
        head.extend(self.sha256.as_bytes());
        Ok(head)
    }
}

/// Writes the catalog of a file that is finished and synced.
///
/// # Errors
/// [`crate::error::Exit::Disk`].
pub(super) fn write(path: &Path, of: &IndexedFile<'_>, records: impl Iterator<Item = IndexRow>) -> Result<()> {
    let wrong = |cause: io::Error| Error::disk("write", path, &cause);
    let mut out = create(path)?;
    let mut sum = Xxh3::new();
    let mut put = |bytes: &[u8]| {
        sum.update(bytes);
        out.write_all(bytes)
    };
    put(&of.head().map_err(|cause| Error::disk("read", of.path, &cause))?).map_err(wrong)?;
    for record in records {
        put(&record.to_bytes()).map_err(wrong)?;
    }
    let sum = sum.digest128().to_le_bytes();
    out.write_all(&sum).map_err(wrong)?;
    // A power failure may damage it. Then it is ignored.
    flush(out, path)
}

/// Counts the records in the catalog at `path` for which `each` returns true. `None` if it is not a whole catalog of
/// this file as it is now.
pub(super) fn count(path: &Path, of: &IndexedFile<'_>, mut each: impl FnMut(&IndexRow) -> bool) -> Option<usize> {
    const SUM: u64 = 16;
    let file = private_file::open(path).ok()?;
    let head = of.head().ok()?;
    let length = file.metadata().ok()?.len().checked_sub(head.len() as u64 + SUM)?;
    if fs::metadata(of.path).ok()?.len() != of.bytes || length % ROW_BYTES as u64 != 0 {
        return None;
    }
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut found = vec![0; head.len()];
    reader.read_exact(&mut found).ok()?;
    if found != head {
        return None;
    }
    let mut sum = Xxh3::new();
    sum.update(&found);
    let (mut yes, mut bytes) = (0, [0; ROW_BYTES]);
    for _ in 0..length / ROW_BYTES as u64 {
        reader.read_exact(&mut bytes).ok()?;
        sum.update(&bytes);
        yes += usize::from(each(&IndexRow::from_bytes(bytes)));
    }
    let mut expected = [0; SUM as usize];
    reader.read_exact(&mut expected).ok()?;
    (sum.digest128().to_le_bytes() == expected).then_some(yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u8) -> IndexRow {
        let last_updated = (number > 0).then(|| Timestamp::from_second(i64::from(number)).unwrap());
        IndexRow { id: [number; 16], fingerprint: [number + 1; 16], last_updated }
    }

    #[test]
    fn an_id_index_is_used_only_for_the_file_it_was_made_of() {
        let dir = tempfile::tempdir().unwrap();
        let (file, path) = (dir.path().join("claims.ndjson"), dir.path().join("catalog"));
        fs::write(&file, "claims").unwrap();
        let of = IndexedFile { path: &file, bytes: 6, sha256: "abc" };
        write(&path, &of, (0..100).map(record)).unwrap();
        let mut found = Vec::new();
        let all = |record: &IndexRow| {
            found.push(*record);
            true
        };
        assert_eq!(count(&path, &of, all), Some(100));
        assert_eq!(found, (0..100).map(record).collect::<Vec<_>>());

        let nobody = |_: &IndexRow| false;
        assert_eq!(count(&path, &IndexedFile { sha256: "abd", ..of }, nobody), None);
        assert_eq!(count(&path, &IndexedFile { path: &file, bytes: 7, sha256: "abc" }, nobody), None);
        let whole = fs::read(&path).unwrap();
        for at in [0, 9, 40, whole.len() / 2, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(count(&path, &of, nobody), None, "byte {at}");
        }
        for length in [0, 5, whole.len() - 1, whole.len() - ROW_BYTES] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(count(&path, &of, nobody), None, "{length} bytes");
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(count(&path, &of, nobody), Some(0));
        // The file is written again, even with the same bytes.
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
        assert_eq!(count(&path, &of, nobody), None);
    }
}
