//! `NAME.next`: a place beside a token file where one write and one `fdatasync` make a renewal's answer durable.
//!
//! The answer to a renewal comes once, so everything else is done before the request: the file exists, has the size
//! and the disk blocks that it needs (blank lines for now), and its name is on the disk. Afterwards it is renamed to
//! `NAME.json`. If that fails (another program has the file open, the disk is full), or if the process is killed
//! before, the record stays here. Every reader looks here first, and the next renewal tries the rename again.
//!
//! The contents decide which of the two counts. A record here counts if it belongs to the same log-in as `NAME.json`
//! and has been renewed more often, if it names the record in `NAME.json` as the one that it replaces (a new log-in
//! whose file could not be replaced), or if `NAME.json` has no record. Clocks are not used. Half a record is no
//! record. A blank file here means that a renewal was requested and its answer never stored.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::StoreError;
use crate::{
    files::{durable, private_file, replace},
    secret::Secret,
};

/// How many bytes a record may grow from one renewal to the next.
const SPARE: usize = 4096;

/// A place for one record.
#[derive(Debug)]
pub struct NextRecord {
    file: File,
    path: PathBuf,
    place: PathBuf,
    /// Whether an earlier renewal was requested whose answer was never stored.
    after_a_loss: bool,
}

impl NextRecord {
    /// Creates the place for the record that will replace the one at `place`, which has the length of `present`.
    /// Writes blanks, because a file that is only extended has no blocks yet.
    pub(super) fn prepare(place: &Path, present: &Secret) -> Result<Self, StoreError> {
        let path = path_for(place);
        let io = |source| StoreError::Io { path: path.clone(), source };
        let after_a_loss = match fs::symlink_metadata(&path) {
            Ok(_) => true,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => false,
            Err(cause) => return Err(io(cause)),
        };
        let blanks = vec![b'\n'; present.expose().len() + SPARE];
        let mut file = private_file::create(&path).map_err(io)?;
        durable::refuse_if_not_private(&file)
            .and_then(|()| file.write_all(&blanks))
            .and_then(|()| file.sync_all())
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| durable::sync_dir(place.parent().unwrap_or(Path::new("."))))
            .map_err(|source| {
                let _ = fs::remove_file(&path);
                io(source)
            })?;
        Ok(Self { file, path, place: place.to_owned(), after_a_loss })
    }

    /// Stores the record: it is durable when this returns `Ok`.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn store(&mut self, record: &Secret) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(record.expose().as_bytes())?;
        self.file.sync_data()
    }

    /// Moves the stored record to its final place. If that fails, the record stays here, where readers find it.
    pub fn adopt(self) {
        let Self { mut file, path, place, .. } = self;
        // The remaining blanks are white space after the JSON. It does not matter if they cannot be removed.
        let _ = file.stream_position().and_then(|length| file.set_len(length));
        drop(file);
        // If the rename fails, the record is already durable where it is.
        let _ = adopt(&path, &place);
    }

    /// Removes the place: the server has not used up the refresh token, or the outcome is known.
    pub fn forget(self) {
        let Self { file, path, .. } = self;
        drop(file);
        let _ = fs::remove_file(path);
    }

    /// Whether an earlier renewal was requested whose answer was never stored.
    #[must_use]
    pub fn after_a_loss(&self) -> bool {
        self.after_a_loss
    }
}

/// Keeps the record of a new log-in beside the one at `place`, because another program blocks its replacement.
///
/// # Errors
/// Errors of the file system; an error if it is not a record.
pub(super) fn keep_beside(place: &Path, present: &Secret, record: &Secret) -> io::Result<()> {
    let marked = replacing(present, record).ok_or(io::ErrorKind::InvalidData)?;
    durable::write_secret(&path_for(place), marked.expose().as_bytes())
}

/// The record, with the mark of the one that it replaces. `None` if it is not a JSON object.
fn replacing(present: &Secret, record: &Secret) -> Option<Secret> {
    let fields = record.expose().strip_prefix('{')?;
    Some(Secret::new(format!("{{\"{REPLACES}\":\"{}\",{fields}", mark(present))))
}

/// A mark that identifies a record without revealing anything about it.
fn mark(record: &Secret) -> String {
    hex::encode(&Sha256::digest(record.expose().trim_ascii_end())[..16])
}

/// `NAME.next` for `NAME.json`.
pub(super) fn path_for(place: &Path) -> PathBuf {
    place.with_extension("next")
}

/// Renames the record at `path` to its final place. There is no need to wait until the directory is on the disk:
/// until then, both files have their old names.
pub(super) fn adopt(path: &Path, place: &Path) -> io::Result<()> {
    replace::rename(path, place)
}

/// What shows which of two records is newer.
#[derive(Deserialize)]
struct Age {
    #[serde(default)]
    log_in: Option<u64>,
    #[serde(default)]
    renewals: u64,
    /// The [`mark`] of the record that this one replaces, if it had to be kept beside it.
    #[serde(default)]
    replaces: Option<String>,
}

/// The name of that field.
const REPLACES: &str = "replaces";

/// Whether the record beside `present` counts instead of `present`.
pub(super) fn is_newer(next: &Secret, present: &Secret) -> bool {
    let age = |record: &Secret| serde_json::from_str::<Age>(record.expose()).ok();
    match (age(next), age(present)) {
        (Some(Age { replaces: Some(replaced), .. }), Some(_)) => replaced == mark(present),
        (Some(next), Some(present)) => next.log_in == present.log_in && next.renewals > present.renewals,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(log_in: u64, renewals: u64) -> Secret {
        Secret::new(format!("{{\"version\":1,\"log_in\":{log_in},\"renewals\":{renewals}}}"))
    }

    #[test]
    fn the_pending_record_counts_only_if_it_renews_the_stored_one() {
        assert!(is_newer(&record(1, 2), &record(1, 1)));
        assert!(is_newer(&record(1, 1), &Secret::new("{\"version\":1,\"log_in\":1}".into())), "of 0.1.0");
        assert!(is_newer(&record(1, 1), &Secret::new("damaged".into())));
        for (next, present) in
            [(record(1, 1), record(1, 1)), (record(1, 1), record(1, 2)), (record(1, 9), record(2, 0))]
        {
            assert!(!is_newer(&next, &present));
        }
        let new_log_in = replacing(&record(1, 3), &record(9, 0)).unwrap();
        assert!(is_newer(&new_log_in, &record(1, 3)));
        assert!(!is_newer(&new_log_in, &record(1, 4)) && !is_newer(&new_log_in, &record(9, 0)));
        let whole = record(1, 2).expose().to_owned();
        for half in ["\n\n\n".to_owned(), format!("{}\n\n", &whole[..whole.len() - 1]), "{\n".to_owned()] {
            assert!(!is_newer(&Secret::new(half), &record(1, 1)));
        }
        assert!(is_newer(&Secret::new(format!("{whole}\n\n\n")), &record(1, 1)));
    }
}
