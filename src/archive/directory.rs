//! Which directories may become an archive.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{OWN, manifest};
use crate::error::{Error, ErrorKind, Result};

/// Whether this `.bbdl` is a `BBDL_HOME`, with someone's profiles and tokens, and so not part of an archive.
fn is_home(own: &Path) -> bool {
    ["profiles", "tokens", "locks", "config.toml"].iter().any(|name| own.join(name).exists())
}

/// Files that file systems, desktops and programs that copy or index files leave in directories. A directory with
/// nothing else counts as empty. `*` at the end matches any rest of the name.
const LEFTOVERS: [&str; 32] = [
    // ext4, Windows
    "lost+found",
    "System Volume Information",
    "$RECYCLE.BIN",
    "RECYCLER",
    "desktop.ini",
    "Thumbs.db",
    "Thumbs.db:encryptable",
    "ehthumbs.db",
    // macOS
    ".DS_Store",
    ".localized",
    ".fseventsd",
    ".Spotlight-V100",
    ".TemporaryItems",
    ".Trashes",
    ".DocumentRevisions-V100",
    ".VolumeIcon.icns",
    ".com.apple.timemachine.donotpresent",
    ".apdisk",
    "Icon\r",
    "._*",
    // desktops on Linux, Android, NFS, network storage
    ".directory",
    ".Trash",
    ".Trash-*",
    ".nomedia",
    ".nfs*",
    "@eaDir",
    "#recycle",
    // Syncthing, Dropbox, OneDrive
    ".stfolder",
    ".stignore",
    ".stversions",
    ".dropbox*",
    ".849C9593-D756-4E56-8D6E-42412F2A707B",
];

/// Compares as a file system that ignores case does.
fn is_leftover(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_lowercase();
    LEFTOVERS.iter().any(|leftover| {
        let leftover = leftover.to_lowercase();
        leftover.strip_suffix('*').map_or(name == leftover, |start| name.starts_with(start))
    })
}

/// The real path of the directory, if it is a link.
pub(super) fn resolved(dir: &Path) -> Result<PathBuf> {
    match fs::symlink_metadata(dir) {
        Ok(metadata) if metadata.is_symlink() => {
            fs::canonicalize(dir).map_err(|cause| Error::disk("follow the symbolic link", dir, &cause))
        }
        _ => Ok(dir.to_owned()),
    }
}

/// Whether this directory is empty, or an archive whose first pull has not finished: nothing is in it yet.
#[must_use]
pub fn has_no_pull_yet(dir: &Path) -> bool {
    let is_nothing = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name() == OWN || is_leftover(&entry.file_name()))
    };
    !super::has_unfinished_commit(dir)
        && !is_home(&dir.join(OWN))
        && fs::read_dir(dir).is_ok_and(|mut entries| entries.all(is_nothing))
}

/// The archive that `place` is or is inside of, even if its first pull has not finished. `place` must contain no
/// link.
#[must_use]
pub(crate) fn around(place: &Path) -> Option<&Path> {
    let is_one = |dir: &&Path| {
        let has_lock = || super::lock::path(dir).exists() && !is_home(&dir.join(OWN));
        matches!(manifest::Manifest::load(dir), Ok(Some(_))) || has_lock()
    };
    place.ancestors().find(is_one)
}

/// Refuses a directory that is neither an archive nor empty.
pub(crate) fn refuse_foreign(dir: &Path) -> Result<()> {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => {
            return Err(Error::no_directory(dir)
                .unwrap_or_else(|| Error::disk("read", dir, &cause))
                .hint("Nothing was changed. Give a directory with --out."));
        }
        Err(cause) => return Err(Error::disk("read", dir, &cause)),
    };
    // List the directory first, then ask. If another `bbdl` has put files here since, it made `.bbdl` before them.
    let is_ours = || [OWN, manifest::FILE].iter().any(|name| dir.join(name).exists());
    let other = entries.find(|entry| entry.as_ref().map_or(true, |entry| !is_leftover(&entry.file_name())));
    let other = other.transpose().map_err(|cause| Error::disk("read", dir, &cause))?;
    if other.is_none() || (is_ours() && !is_home(&dir.join(OWN))) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotAnArchive, format!("{} is not empty and not a bbdl archive", dir.display()))
        .hint("Nothing was changed. Give an empty or new directory with --out."))
}
