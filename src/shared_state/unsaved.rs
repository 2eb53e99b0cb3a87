//! New tokens that could not be stored in the database yet: sealed, on this machine's disk, until it answers again.
//!
//! The answer to a renewal exists only once. If the database cannot be reached then, the enrollee's consent must not
//! be lost.
//!
//! A file does not say which database it belongs to. The name and the generation show it: an import starts with a random
//! generation of 62 bits, and each renewal adds one. So a row with the same name and generation holds the same log-in, in
//! the same database or in a copy of it. A file is removed only if that row has its tokens or newer ones. It stays if the
//! database never had this log-in, or is an older copy.

use std::path::{Path, PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use super::{
    SharedState,
    database::Effort,
    seal::{KeyId, Sealed},
    vault::STORE,
};
use crate::{
    error::{Error, Result},
    files::{durable, listing, private_dir, private_file},
    profile::ProfileName,
};

/// Tokens that replace those of a generation.
pub(super) struct Unsaved {
    pub(super) name: ProfileName,
    /// The generation of the tokens that they replace.
    pub(super) generation: i64,
    pub(super) sealed: Sealed,
    pub(super) profile: String,
    pub(super) lifetime: Option<f64>,
}

/// The same, as a file.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    generation: i64,
    key: String,
    sealed: String,
    profile: String,
    lifetime: Option<f64>,
}

/// Where new tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the database.
    Stored,
    /// The database has newer ones of the same log-in.
    Outdated,
    /// Only in the file. The database does not have this log-in, or has an older generation of it.
    FileOnly,
}

/// No log-in is renewed more often than this.
const MOST_RENEWALS: i64 = 1 << 32;

/// What became of the files.
#[derive(Debug, Default)]
pub struct Delivered {
    /// How many log-ins were stored in the database.
    pub stored: usize,
    /// Files with log-ins that this database does not have, or has an older generation of.
    pub of_others: Vec<PathBuf>,
    /// Files that cannot be read as such.
    pub unreadable: Vec<PathBuf>,
}

/// The directory of such files.
#[derive(Clone, Debug)]
pub(super) struct UnsavedDir(pub(super) PathBuf);

impl UnsavedDir {
    fn place(&self, unsaved: &Unsaved) -> PathBuf {
        self.0.join(format!("{}.{}.json", unsaved.name, unsaved.generation))
    }

    /// Puts tokens on the disk.
    pub(super) fn keep(&self, unsaved: &Unsaved) -> Result<()> {
        let record = Record {
            name: unsaved.name.to_string(),
            generation: unsaved.generation,
            key: unsaved.sealed.key.to_string(),
            sealed: BASE64_STANDARD.encode(&unsaved.sealed.bytes),
            profile: unsaved.profile.clone(),
            lifetime: unsaved.lifetime,
        };
        let place = self.place(unsaved);
        private_dir::create(&self.0)
            .and_then(|()| durable::write_private(&place, &serde_json::to_vec(&record)?))
            .map_err(|cause| Error::disk("write", &place, &cause))
    }

    /// Removes the file, because its tokens or newer ones are in the database.
    pub(super) fn forget(&self, unsaved: &Unsaved) {
        // A file that cannot be removed is stored once more later, which changes nothing.
        let _ = std::fs::remove_file(self.place(unsaved));
    }

    /// The files, sorted by name.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = listing::entries(&self.0)?.iter().map(std::fs::DirEntry::path).collect();
        files.retain(|path| path.extension().is_some_and(|it| it == "json"));
        files.sort();
        Ok(files)
    }
}

impl SharedState {
    /// Stores the tokens that this machine kept while their database could not be reached.
    ///
    /// # Errors
    /// Errors of the database; [`crate::error::Exit::Disk`].
    pub async fn deliver_unsaved(&self) -> Result<Delivered> {
        let mut delivered = Delivered::default();
        for path in self.unsaved().files()? {
            match read(&path) {
                // Another worker on this machine was faster.
                Found::Nothing => {}
                Found::Unreadable => delivered.unreadable.push(path),
                Found::Tokens(unsaved) => match self.store(&unsaved, Effort::Patient).await? {
                    Place::FileOnly => delivered.of_others.push(path),
                    place => {
                        self.unsaved().forget(&unsaved);
                        delivered.stored += usize::from(place == Place::Stored);
                    }
                },
            }
        }
        Ok(delivered)
    }

    /// How many files in `dir` wait for their database.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn count_unsaved(dir: PathBuf) -> Result<usize> {
        UnsavedDir(dir).files().map(|files| files.len())
    }

    /// Replaces old tokens with new ones.
    pub(super) async fn store(&self, unsaved: &Unsaved, effort: Effort) -> Result<Place> {
        let (name, key) = (unsaved.name.as_str(), unsaved.sealed.key.as_str());
        let values = [
            (&name as _, Type::TEXT),
            (&unsaved.generation as _, Type::INT8),
            (&unsaved.sealed.bytes as _, Type::BYTEA),
            (&key as _, Type::TEXT),
            (&unsaved.profile as _, Type::TEXT),
            (&unsaved.lifetime as _, Type::FLOAT8),
        ];
        let stored = self.database().with_effort(effort, &[(STORE, &values)]).await?;
        if stored.iter().any(|rows| !rows.is_empty()) {
            return Ok(Place::Stored);
        }
        let look = "SELECT generation FROM bbdl.enrollee WHERE name = $1";
        let there = self.database().with_effort(effort, &[(look, &values[..1])]).await?;
        let ahead = there.iter().flatten().find_map(|row| row.get::<_, i64>(0).checked_sub(unsaved.generation));
        let is_newer = ahead.is_some_and(|ahead| (1..MOST_RENEWALS).contains(&ahead));
        Ok(if is_newer { Place::Outdated } else { Place::FileOnly })
    }
}

/// The content of a file.
enum Found {
    Tokens(Unsaved),
    /// It is gone.
    Nothing,
    Unreadable,
}

fn read(path: &Path) -> Found {
    let bytes = match private_file::read(path) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Found::Nothing,
        // It stays, and keeps no other command from working.
        Err(_) => return Found::Unreadable,
    };
    let parsed = || {
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        let sealed = Sealed { key: KeyId::from_column(record.key), bytes: BASE64_STANDARD.decode(record.sealed).ok()? };
        let (name, generation) = (record.name.parse().ok()?, record.generation);
        Some(Unsaved { name, generation, sealed, profile: record.profile, lifetime: record.lifetime })
    };
    parsed().map_or(Found::Unreadable, Found::Tokens)
}
