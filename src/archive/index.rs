//! Ids already seen, in constant room each: what keeps a claim from being written twice, and what
//! tells added from changed.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Exit, Result},
    fhir::resource::Header,
};

/// 128 bits of an id's SHA-256: a collision among a billion claims is less likely than a broken disk.
pub type IdKey = [u8; 16];

/// The key of an id.
#[must_use]
pub fn key(id: &str) -> IdKey {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(id.as_bytes())[..16]);
    key
}

/// A resource that this pull has written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// Which line of the file, from 0.
    pub line: u64,
    /// Its `meta.lastUpdated`.
    pub last_updated: Option<Timestamp>,
    /// Its content, volatile fields left out; only kept while there is something to compare with.
    pub fingerprint: [u8; 16],
}

/// The resources of an archive's file as it stood before: key and content of each.
#[derive(Debug, Default)]
pub struct Before(HashMap<IdKey, [u8; 16]>);

impl Before {
    /// Reads a file of one resource a line, one line in memory at a time. A file that is not there is
    /// an empty one.
    ///
    /// # Errors
    /// [`Exit::Data`] for a line that is no resource, [`Exit::Disk`].
    pub fn read(path: &Path) -> Result<Self> {
        let mut before = HashMap::new();
        for_each_line(path, |number, line| {
            let header = Header::read(line).map_err(|cause| damaged(path, number, &cause.to_string()))?;
            before.insert(key(&header.id), header.fingerprint(line));
            Ok(())
        })?;
        Ok(Self(before))
    }

    /// What was kept under this id.
    #[must_use]
    pub fn get(&self, key: &IdKey) -> Option<&[u8; 16]> {
        self.0.get(key)
    }

    /// Whether there was nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Runs through the lines of a file, each without its line break, numbered from 1.
///
/// # Errors
/// Those of `each`, and [`Exit::Disk`].
pub fn for_each_line(path: &Path, mut each: impl FnMut(u64, &str) -> Result<()>) -> Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(Error::disk("read", path, &cause)),
    };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|cause| Error::disk("read", path, &cause))? == 0 {
            break;
        }
        let text = std::str::from_utf8(&line).map_err(|_| damaged(path, number, "not UTF-8"))?;
        each(number, text.trim_end_matches('\n'))?;
    }
    Ok(())
}

fn damaged(path: &Path, line: u64, why: &str) -> Error {
    Error::new(Exit::Data, "archive", format!("{}, line {line}: {why}", path.display()))
        .hint("Nothing was changed. Fetch into a new directory, or restore this one from a backup.")
}
