//! `NAME.next`: the place beside a token file in which a renewal's answer is durable by one write and one
//! `fdatasync`.
//!
//! The answer to a renewal comes once, so everything else is done before it is asked for: the file is there, has the
//! size and the disk blocks it needs (blank lines for now), and its name is on the disk. Afterwards it takes the
//! place of `NAME.json` by a rename. Where that cannot be had (another program has the file open, the disk is
//! full), or the process is killed before it, the record stays here: every reader looks here first, and the next
//! renewal tries the rename again.
//!
//! Which of the two counts is decided by what is in them: a record here counts when it is of the same log-in as
//! `NAME.json` and has been renewed more often, when it names the record in `NAME.json` as the one that it replaces (a
//! new log-in whose file could not be replaced), or when `NAME.json` holds none. A clock decides nothing. Half a record
//! is none. A blank file that was left here says that a renewal was asked for and its answer never stored.

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

/// Bytes: what a record may grow by from one renewal to the next.
const SPARE: usize = 4096;

/// A place for one record.
#[derive(Debug)]
pub struct NextRecord {
    file: File,
    path: PathBuf,
    place: PathBuf,
    /// Whether an earlier renewal was asked for whose answer was never stored.
    after_a_loss: bool,
}

impl NextRecord {
    /// Makes the place for what is to replace the record at `place`, which is as long as `present`. Blanks are
    /// written, as a file that is only made longer has no blocks yet.
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
    /// What the file system says.
    pub fn store(&mut self, record: &Secret) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(record.expose().as_bytes())?;
        self.file.sync_data()
    }

    /// Brings what is stored to where the record belongs. Where it cannot, it stays, and is found.
    pub fn adopt(self) {
        let Self { mut file, path, place, .. } = self;
        // What is left of the blanks is white space behind the JSON: it may go, and need not.
        let _ = file.stream_position().and_then(|length| file.set_len(length));
        drop(file);
        // It is durable where it is.
        let _ = adopt(&path, &place);
    }

    /// Takes the place away: the server has not spent the refresh token, or what became of it is known.
    pub fn forget(self) {
        let Self { file, path, .. } = self;
        drop(file);
        let _ = fs::remove_file(path);
    }

    /// Whether an earlier renewal was asked for whose answer was never stored.
    #[must_use]
    pub fn after_a_loss(&self) -> bool {
        self.after_a_loss
    }
}

/// Keeps the record of a new log-in beside the one at `place`, which another program keeps from being replaced.
///
/// # Errors
/// What the file system says; that it is no record.
pub(super) fn keep_beside(place: &Path, present: &Secret, record: &Secret) -> io::Result<()> {
    let marked = replacing(present, record).ok_or(io::ErrorKind::InvalidData)?;
    durable::write_secret(&path_for(place), marked.expose().as_bytes())
}

/// The record, with the mark of the one that it replaces. `None` where it is no JSON object.
fn replacing(present: &Secret, record: &Secret) -> Option<Secret> {
    let fields = record.expose().strip_prefix('{')?;
    Some(Secret::new(format!("{{\"{REPLACES}\":\"{}\",{fields}", mark(present))))
}

/// What tells a record from every other one, and nothing about it.
fn mark(record: &Secret) -> String {
    hex::encode(&Sha256::digest(record.expose().trim_ascii_end())[..16])
}

/// `NAME.next` for `NAME.json`.
pub(super) fn path_for(place: &Path) -> PathBuf {
    place.with_extension("next")
}

/// Puts the record at `path` in its place. That the directory is on the disk need not be waited for: until it is, both
/// names are those of before.
pub(super) fn adopt(path: &Path, place: &Path) -> io::Result<()> {
    replace::rename(path, place)
}

/// What tells of two records which one is newer.
#[derive(Deserialize)]
struct Age {
    #[serde(default)]
    log_in: Option<u64>,
    #[serde(default)]
    renewals: u64,
    /// The [`mark`] of the record that this one replaces, where it had to be kept beside it.
    #[serde(default)]
    replaces: Option<String>,
}

/// The name of that field.
const REPLACES: &str = "replaces";

/// Whether the record beside `present` counts, and not `present`.
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
