//! New tokens that could not be stored in the database yet: sealed, on this machine's disk, until it answers again.
//!
//! The answer to a renewal exists only once. If the database cannot be reached then, the enrollee's consent must not
//! be lost.

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
    files::{durable, private_dir, private_file},
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

    /// Removes the file, because the tokens are in the database.
    pub(super) fn forget(&self, unsaved: &Unsaved) {
        // A file that cannot be removed is stored once more later, which changes nothing.
        let _ = std::fs::remove_file(self.place(unsaved));
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|it| it == "json"))
            .collect()
    }
}

impl SharedState {
    /// Stores the tokens that this machine kept while the database could not be reached. Returns how many.
    ///
    /// # Errors
    /// Errors of the database; [`crate::error::Exit::Disk`].
    pub async fn deliver_unsaved(&self) -> Result<usize> {
        let files = self.unsaved().files();
        for path in &files {
            let Some(unsaved) = read(path)? else { continue };
            self.store(&unsaved, Effort::Patient).await?;
            self.unsaved().forget(&unsaved);
        }
        Ok(files.len())
    }

    /// Replaces old tokens with new ones. If there are newer ones already, or the enrollee is gone, these are not
    /// needed any more.
    pub(super) async fn store(&self, unsaved: &Unsaved, effort: Effort) -> Result<()> {
        let (name, key) = (unsaved.name.as_str(), unsaved.sealed.key.as_str());
        let values = [
            (&name as _, Type::TEXT),
            (&unsaved.generation as _, Type::INT8),
            (&unsaved.sealed.bytes as _, Type::BYTEA),
            (&key as _, Type::TEXT),
            (&unsaved.profile as _, Type::TEXT),
            (&unsaved.lifetime as _, Type::FLOAT8),
        ];
        self.database().with_effort(effort, &[(STORE, &values)]).await.map(drop)
    }
}

fn read(path: &Path) -> Result<Option<Unsaved>> {
    let bytes = match private_file::read(path) {
        Ok(bytes) => bytes,
        // Another worker on this machine was faster.
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::disk("read", path, &cause)),
    };
    let parsed = || {
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        let sealed = Sealed { key: KeyId::from_column(record.key), bytes: BASE64_STANDARD.decode(record.sealed).ok()? };
        let (name, generation) = (record.name.parse().ok()?, record.generation);
        Some(Unsaved { name, generation, sealed, profile: record.profile, lifetime: record.lifetime })
    };
    Ok(parsed())
}
