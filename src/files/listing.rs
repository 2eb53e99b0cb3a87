//! Lists a directory: everything in it, or an error. A network file system may fail in the middle of a listing, and
//! half of a directory looks like a whole one.

use std::{
    fs::{self, DirEntry},
    io,
    path::Path,
};

use crate::error::{Error, Result};

/// The contents of a directory; `None` if it does not exist.
///
/// # Errors
/// [`crate::error::Exit::Disk`].
pub(crate) fn entries(dir: &Path) -> Result<Vec<DirEntry>> {
    let listed = match fs::read_dir(dir) {
        Ok(entries) => whole(entries),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(cause),
    };
    listed.map_err(|cause| Error::disk("read", dir, &cause))
}

fn whole(entries: impl Iterator<Item = io::Result<DirEntry>>) -> io::Result<Vec<DirEntry>> {
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails like a network file system when its server goes away.
    #[test]
    fn half_of_a_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let half = fs::read_dir(dir.path()).unwrap().chain([Err(io::Error::other("gone"))]);
        assert!(whole(half).is_err());
    }

    #[test]
    fn a_directory_that_is_not_there_has_nothing_in_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(entries(&dir.path().join("none")).unwrap().is_empty());
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(entries(dir.path()).unwrap().len(), 1);
        assert!(entries(&dir.path().join("file")).is_err());
    }
}
