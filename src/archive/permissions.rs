//! Who may use the files and directories that a pull has put into an archive, and what is below them. Other files in
//! the archive's directory are the owner's own business.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    OWN, commit,
    manifest::{self, Manifest},
};
use crate::{
    error::{Error, Result},
    files::{listing, private_dir},
};

/// Directories that only bbdl writes to.
const DIRECTORIES: [&str; 3] = [OWN, "changes", commit::PAGES];

/// Refuses an archive if others could write to its directories, or have put a link there. Returns whether the file
/// system keeps permissions.
///
/// # Errors
/// [`crate::error::Exit::PersonMustAct`] with what to type, [`crate::error::Exit::Disk`].
pub(super) fn check(dir: &Path) -> Result<bool> {
    let mut keeps_permissions = private_dir::check(dir, true)?;
    let mut todo: Vec<PathBuf> = DIRECTORIES.iter().map(|name| dir.join(name)).collect();
    while let Some(path) = todo.pop() {
        keeps_permissions &= private_dir::check(&path, true)?;
        // A missing directory has nothing in it. A file in its place is refused when it is opened.
        let there = if path.is_dir() { listing::entries(&path)? } else { Vec::new() };
        for entry in there {
            // A link to a directory is checked too, and refused.
            if entry.file_type().is_ok_and(|kind| kind.is_dir() || (kind.is_symlink() && entry.path().is_dir())) {
                todo.push(entry.path());
            }
        }
    }
    Ok(keeps_permissions)
}

/// The files and directories of the archive that others may use, relative to it, with their permission bits.
pub(super) fn open_to_others(dir: &Path, manifest: Option<&Manifest>) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let files = manifest.iter().flat_map(|manifest| manifest.resources.values()).map(|entry| entry.file.as_str());
    let own = [manifest::FILE, manifest::OLDER_PULLS];
    let mut todo: Vec<PathBuf> = files.chain(own).chain(DIRECTORIES).map(PathBuf::from).collect();
    while let Some(name) = todo.pop() {
        let path = dir.join(&name);
        // A pull makes no links, so this one is not ours.
        let Some(metadata) = fs::symlink_metadata(&path).ok().filter(|metadata| !metadata.is_symlink()) else {
            continue;
        };
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            todo.extend(entries.map(|entry| name.join(entry.file_name())));
        }
        found.extend(private_dir::usable_by_others(&metadata).map(|mode| (name, mode)));
    }
    found
}

/// Makes private what [`open_to_others`] finds. Returns whether there was anything.
///
/// # Errors
/// [`crate::error::Exit::Disk`].
pub(super) fn close(dir: &Path, manifest: Option<&Manifest>) -> Result<bool> {
    let found = open_to_others(dir, manifest);
    for (path, mode) in &found {
        let path = dir.join(path);
        // Using the name is safe here: no one else may write to the directories, and links were left out.
        private_dir::leave_to_owner(&path, *mode)
            .map_err(|cause| Error::disk("change the permissions of", &path, &cause))?;
    }
    Ok(!found.is_empty())
}
