//! What bbdl keeps: layout, lock, manifest, writer, and the transaction that puts a pull in place.
//!
//! A pull writes everything below `.bbdl/` first and syncs it. Then it writes one small note that says what goes
//! where, and then it renames. If bbdl is killed before the note, the archive is the old one. If it is killed after
//! the note, the next `bbdl` that opens the archive finishes the renames, and the archive is the new one.

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
pub(crate) use directory::refuse_foreign;
use directory::resolved;
use lock::ArchiveLock;
use manifest::{Manifest, Query, Source};

/// The directory for what no reader needs: lock, stage, marks.
const OWN: &str = ".bbdl";

/// An archive directory, held for writing.
pub struct Archive {
    dir: PathBuf,
    manifest: Option<Manifest>,
    keeps_permissions: bool,
    _lock: ArchiveLock,
}

impl Archive {
    /// Opens or creates the archive at `dir`, and holds it until dropped. Finishes an interrupted commit, and removes
    /// what else an earlier run has left.
    ///
    /// `dir` itself may be a symbolic link: people make them to a larger disk. It is resolved once, and the directory
    /// that it leads to has to be safe.
    ///
    /// # Errors
    /// [`crate::error::Exit::TryAgain`] when another `bbdl` holds it, [`crate::error::Exit::Data`] when the directory
    /// holds something else, [`crate::error::Exit::PersonMustAct`] when others may write to it,
    /// [`crate::error::Exit::Disk`].
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = &resolved(dir)?;
        refuse_foreign(dir)?;
        let keeps_permissions = permissions::check(dir)?;
        let lock = ArchiveLock::acquire(dir)?;
        let keeps_permissions = keeps_permissions && lock.keeps_permissions()?;
        commit::finish_or_clear(dir)?;
        let manifest = Manifest::load(dir)?;
        // Without a manifest, nothing says whose claims these are. Another person's claims could replace them.
        if manifest.is_none() && reader::lacks_its_manifest(dir) {
            return Err(Error::new(
                crate::error::ErrorKind::Manifest,
                format!("{} {}", dir.display(), reader::WITHOUT_MANIFEST),
            )
            .hint(format!("Nothing was changed. {}", reader::nearest(dir))));
        }
        Ok(Self { dir: dir.to_owned(), manifest, keeps_permissions, _lock: lock })
    }

    /// Makes the files of a pull private again if others can use them now. Returns what a person should know about
    /// that, and about limits of the file system.
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
        // The manifest comes last. Until then the directory is an archive, even if a damaged one.
        let files = files.map(String::as_str).chain([manifest::OLDER_PULLS, manifest::FILE]);
        for path in ["changes", commit::PAGES].map(|name| dir.join(name)) {
            forgiving(fs::remove_dir_all(&path)).map_err(|cause| Error::disk("remove", &path, &cause))?;
        }
        for path in files.map(|name| dir.join(name)) {
            forgiving(fs::remove_file(&path)).map_err(|cause| Error::disk("remove", &path, &cause))?;
        }
        Ok(())
    }

    /// The manifest, if there is one.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// The directory of the archive.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Refuses a pull that does not belong in this archive: from another server, API version or person, or of the
    /// same resource with other filters.
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

/// Filters as text that a person can compare.
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
        // Commands that change the archive report other problems.
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

/// Moves an archive to a free place in the same file system, but only if `is_ours` says that it is the right one.
/// Returns whether it is there now; an interrupted earlier move counts.
///
/// # Errors
/// The errors of [`Archive::open`], and [`crate::error::Exit::Disk`].
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
    // Windows cannot move a directory in which a file is open, and so not one that a pull is filling.
    let _held = (!cfg!(windows)).then_some(archive);
    fs::rename(dir, to).map_err(|cause| Error::disk("move", dir, &cause))?;
    // The move is done, even if the disk cannot sync the directory.
    let _ = to.parent().map(durable::sync_dir);
    Ok(true)
}

/// Whether there is an archive at `dir`.
#[must_use]
pub fn is_one(dir: &Path) -> bool {
    dir.join(manifest::FILE).exists()
}

/// Empties an archive: removes what pulls have put there, and leaves everything else.
///
/// # Errors
/// [`crate::error::Exit::TryAgain`] when another `bbdl` holds it, [`crate::error::Exit::Disk`].
pub fn empty(dir: &Path) -> Result<()> {
    Archive::open(dir)?.empty()
}

/// What happened to an archive that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, and so is its directory.
    Whole,
    /// It is gone. Its directory stays, because other files are in it.
    FilesOfOthersStay,
    /// Nothing was changed, because it is not the right archive.
    NotOurs,
}

/// Removes the archive at `dir` if `is_ours` accepts the source in its manifest, or if it has no manifest.
///
/// # Errors
/// The errors of [`empty`].
pub fn remove(dir: &Path, is_ours: impl FnOnce(&Source) -> bool) -> Result<Removal> {
    // Checked while we hold the lock, so that no other process can swap the archive in between.
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
    // Other files in it are not ours. They keep the directory in place.
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
