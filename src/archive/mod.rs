//! What we keep: layout, lock, manifest, writer, and the transaction that puts a pull in place.
//!
//! A pull writes everything below `.bbdl/` first, syncs it, notes in one small file what goes where,
//! and then renames. Killed before the note, the archive is the old one; killed after it, the next
//! `bbdl` that opens the archive finishes the renames, and it is the new one.

mod changes;
mod commit;
pub mod dedup;
mod directory;
pub(crate) mod document;
pub(crate) mod id_hash;
mod id_index;
pub mod journal;
pub(crate) mod lines;
mod lock;
pub mod manifest;
mod merge;
mod permissions;
pub mod previous_ids;
pub mod pull;
pub(crate) mod pull_history;
pub(crate) mod reader;
pub mod verify;
pub mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use pull::Pull;

use crate::{
    error::{Error, Result},
    files::durable,
};
pub(crate) use directory::around;
pub use directory::has_no_pull_yet;
use directory::{refuse_foreign, resolved};
use lock::ArchiveLock;
use manifest::{Manifest, Query, Source};

/// What no reader needs: lock, stage, marks.
const OWN: &str = ".bbdl";

/// An archive directory, held for writing.
pub struct Archive {
    dir: PathBuf,
    manifest: Option<Manifest>,
    keeps_permissions: bool,
    _lock: ArchiveLock,
}

impl Archive {
    /// Opens or creates the archive at `dir` and holds it until dropped. A commit that was cut short is
    /// finished; what else an earlier run left behind is cleared away.
    ///
    /// `dir` itself may be a symbolic link, as people make them to a larger disk: it is resolved once, and what it leads
    /// to has to be safe.
    ///
    /// # Errors
    /// [`crate::error::Exit::TryAgain`] when another `bbdl` holds it, [`crate::error::Exit::Data`] when the directory holds
    /// something else, [`crate::error::Exit::PersonMustAct`] when others may write to it, [`crate::error::Exit::Disk`].
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = &resolved(dir)?;
        refuse_foreign(dir)?;
        let keeps_permissions = permissions::check(dir)?;
        let lock = ArchiveLock::acquire(dir)?;
        let keeps_permissions = keeps_permissions && lock.keeps_permissions()?;
        commit::finish_or_clear(dir)?;
        let manifest = Manifest::load(dir)?;
        // Without it, nothing says whose the claims are: another person's could replace them.
        if manifest.is_none() && reader::lacks_its_manifest(dir) {
            return Err(Error::new(
                crate::error::ErrorKind::Manifest,
                format!("{} {}", dir.display(), reader::WITHOUT_MANIFEST),
            )
            .hint(format!("Nothing was changed. {}", reader::nearest(dir))));
        }
        Ok(Self { dir: dir.to_owned(), manifest, keeps_permissions, _lock: lock })
    }

    /// Closes to others what a pull has put here, where it was opened to them since. Says what a person should know
    /// of that, and of a file system that lacks something.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn make_private(&self) -> Result<Vec<String>> {
        let (mut said, dir) = (Vec::new(), self.dir.display());
        if !self.keeps_permissions {
            said.push(format!(
                "the file system of {dir} keeps no permissions (exFAT, SMB, …): everybody who can use that disk can read the claims"
            ));
        } else if permissions::close(&self.dir, self.manifest.as_ref())? {
            said.push(format!("files in {dir} were open to others; now only you can read them"));
        }
        Ok(said)
    }

    /// Whether the file system keeps permissions.
    #[must_use]
    pub fn keeps_permissions(&self) -> bool {
        self.keeps_permissions
    }

    fn empty(&self) -> Result<()> {
        let dir = &self.dir;
        let files = self.manifest.iter().flat_map(|manifest| manifest.resources.values()).map(|entry| &entry.file);
        // The manifest goes last: until then it is an archive, if a damaged one.
        let files = files.map(String::as_str).chain([manifest::OLDER_PULLS, manifest::FILE]);
        for path in ["changes", commit::PAGES].map(|name| dir.join(name)) {
            forgiving(fs::remove_dir_all(&path)).map_err(|cause| Error::disk("remove", &path, &cause))?;
        }
        for path in files.map(|name| dir.join(name)) {
            forgiving(fs::remove_file(&path)).map_err(|cause| Error::disk("remove", &path, &cause))?;
        }
        Ok(())
    }

    /// The manifest of what is kept, if anything is.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Refuses a pull that does not belong into this archive: of another server, version or person, or
    /// of the same resource with other filters.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`]; the archive is left alone.
    pub fn accepts(&self, source: &Source, resource: &str, query: &Query) -> Result<()> {
        let Some(manifest) = &self.manifest else { return Ok(()) };
        let refuse = |kind, why: String| {
            Err(Error::new(kind, format!("{}: {why}", self.dir.display()))
                .hint("Nothing was changed. Give another --out directory for this pull."))
        };
        let kept = &manifest.source;
        if kept.server != source.server || kept.api != source.api {
            return refuse(
                crate::error::ErrorKind::OtherSource,
                format!(
                    "the archive is from {} (API {}), not {} (API {})",
                    kept.server, kept.api, source.server, source.api
                ),
            );
        }
        if kept.patient.is_some() && source.patient.is_some() && kept.patient != source.patient {
            return Err(other_enrollee(&self.dir));
        }
        match manifest.resources.get(resource) {
            Some(entry) if &entry.query != query => refuse(
                crate::error::ErrorKind::OtherFilters,
                format!(
                    "{resource} was fetched with other filters before ({}), now {}",
                    spoken(&entry.query),
                    spoken(query)
                ),
            ),
            _ => Ok(()),
        }
    }
}

/// Filters as a person may compare them.
fn spoken(query: &Query) -> String {
    if query.is_empty() {
        return "none".to_owned();
    }
    query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn other_enrollee(dir: &Path) -> Error {
    Error::new(crate::error::ErrorKind::OtherEnrollee, format!("{}: the archive is another enrollee's", dir.display()))
        .hint("Nothing was changed. Give another --out directory for this pull.")
}

/// Refuses an archive to which another `bbdl` is writing.
///
/// # Errors
/// [`crate::error::Exit::TryAgain`].
pub fn refuse_in_use(dir: &Path) -> Result<()> {
    if !lock::path(dir).exists() {
        return Ok(());
    }
    match ArchiveLock::acquire(dir) {
        Err(error) if error.kind == crate::error::ErrorKind::Lock => Err(error),
        // Whatever else is wrong with it is for those who change it.
        _ => Ok(()),
    }
}

/// Whether a first pull into `dir` was begun and has not finished.
#[must_use]
pub fn has_unfinished_first_pull(dir: &Path) -> bool {
    lock::path(dir).exists() && has_no_pull_yet(dir)
}

/// Whether a commit was cut short in the archive at `dir`.
#[must_use]
pub fn has_unfinished_commit(dir: &Path) -> bool {
    dir.join(commit::NOTE).exists()
}

/// Moves an archive to where nothing is yet, in the same file system, unless it is not the one that is meant.
/// Says whether it is there now; an earlier move that was cut short counts.
///
/// # Errors
/// As [`Archive::open`], and [`crate::error::Exit::Disk`].
pub fn relocate(dir: &Path, to: &Path, is_ours: impl FnOnce(&Source) -> bool) -> Result<bool> {
    let is_nothing =
        |path: &Path| fs::symlink_metadata(path).is_err_and(|cause| cause.kind() == io::ErrorKind::NotFound);
    if is_nothing(dir) {
        return Ok(Manifest::load(to)?.is_some_and(|manifest| is_ours(&manifest.source)));
    }
    if !is_nothing(to) || !(is_one(dir) || has_unfinished_first_pull(dir)) {
        return Ok(false);
    }
    let archive = Archive::open(dir)?;
    if !archive.manifest.as_ref().is_none_or(|manifest| is_ours(&manifest.source)) {
        return Ok(false);
    }
    // Windows moves no directory in which a file is open, and so none that a pull is filling.
    let _held = (!cfg!(windows)).then_some(archive);
    fs::rename(dir, to).map_err(|cause| Error::disk("move", dir, &cause))?;
    // It has moved, whatever the disk says of its own directory.
    let _ = to.parent().map(durable::sync_dir);
    Ok(true)
}

/// Whether there is an archive at `dir`.
#[must_use]
pub fn is_one(dir: &Path) -> bool {
    dir.join(manifest::FILE).exists()
}

/// Empties an archive: what pulls have put there goes, and whatever else is there stays.
///
/// # Errors
/// [`crate::error::Exit::TryAgain`] when another `bbdl` holds it, [`crate::error::Exit::Disk`].
pub fn empty(dir: &Path) -> Result<()> {
    Archive::open(dir)?.empty()
}

/// What became of an archive that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, with its directory.
    Whole,
    /// It is gone, and its directory stays for what others keep there.
    FilesOfOthersStay,
    /// Nothing was touched: it is not the one that was meant.
    NotOurs,
}

/// Removes the archive at `dir` if its manifest is one that `is_ours`, or it has none.
///
/// # Errors
/// As [`empty`].
pub fn remove(dir: &Path, is_ours: impl FnOnce(&Source) -> bool) -> Result<Removal> {
    // Checked while the lock is held, so that nobody exchanges it in between.
    let archive = Archive::open(dir)?;
    if archive.manifest.as_ref().is_some_and(|manifest| !is_ours(&manifest.source)) {
        return Ok(Removal::NotOurs);
    }
    archive.empty()?;
    let own = dir.join(OWN);
    for path in [commit::STAGE, journal::PARTIAL, id_index::ID_INDEXES].map(|name| dir.join(name)) {
        forgiving(fs::remove_dir_all(&path)).map_err(|cause| Error::disk("remove", &path, &cause))?;
    }
    let lock = lock::path(dir);
    forgiving(fs::remove_file(&lock)).map_err(|cause| Error::disk("remove", &lock, &cause))?;
    drop(archive);
    // What else is in it is not ours, and keeps it where it is.
    let _ = fs::remove_dir(&own);
    match fs::remove_dir(dir) {
        Ok(()) => Ok(Removal::Whole),
        Err(cause) if cause.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(Removal::FilesOfOthersStay),
        Err(cause) => Err(Error::disk("remove", dir, &cause)),
    }
}

fn forgiving(result: std::io::Result<()>) -> std::io::Result<()> {
    result.or_else(|cause| if cause.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(cause) })
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    #[test]
    fn a_new_archive_may_be_opened_by_several_at_once() {
        const AT_ONCE: usize = 4;
        let home = tempfile::tempdir().unwrap();
        for round in 0..100 {
            let dir = home.path().join(round.to_string());
            let start = Barrier::new(AT_ONCE);
            thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| {
                        start.wait();
                        let archive = Archive::open(&dir).unwrap();
                        fs::write(dir.join("claims.ndjson"), "{}\n").unwrap();
                        drop(archive);
                    });
                }
            });
        }
    }
}
