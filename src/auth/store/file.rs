//! Tokens in files that only their owner may read.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{StoreError, StoreKind, TokenStore};
use crate::{durable, secret::Secret};

/// One file a profile in one directory: `DIR/<profile>.json`, mode 0600, in a directory of mode 0700.
#[derive(Debug)]
pub struct FileStore {
    dir: PathBuf,
}

impl FileStore {
    /// A store in this directory, which is made when first needed.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Profile names are checked where they are typed; one that could leave the directory is refused
    /// here all the same.
    fn path(&self, profile: &str) -> Result<PathBuf, StoreError> {
        let name = Path::new(profile).file_name().and_then(|name| name.to_str());
        if name == Some(profile) && !profile.starts_with('.') && !profile.contains('\\') {
            Ok(self.dir.join(format!("{profile}.json")))
        } else {
            Err(StoreError::Io { path: self.dir.clone(), source: io::ErrorKind::InvalidFilename.into() })
        }
    }
}

impl TokenStore for FileStore {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        let path = self.path(profile)?;
        let io = |source| StoreError::Io { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(io(cause)),
        };
        check_private(&path, &file.metadata().map_err(io)?)?;
        let mut text = String::new();
        match file.read_to_string(&mut text) {
            Ok(_) => Ok(Some(Secret::new(text))),
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => Err(StoreError::Damaged { what: "not text" }),
            Err(cause) => Err(io(cause)),
        }
    }

    fn save(&self, profile: &str, record: &Secret) -> Result<(), StoreError> {
        let path = self.path(profile)?;
        if let Ok(metadata) = fs::metadata(&self.dir) {
            check_private(&self.dir, &metadata)?;
        }
        durable::write_private(&path, record.expose().as_bytes()).map_err(|source| StoreError::Io { path, source })
    }

    fn delete(&self, profile: &str) -> Result<bool, StoreError> {
        let path = self.path(profile)?;
        match fs::remove_file(&path) {
            Ok(()) => {
                durable::sync_dir(&self.dir).map_err(|source| StoreError::Io { path: self.dir.clone(), source })?;
                Ok(true)
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    fn kind(&self) -> StoreKind {
        StoreKind::File
    }
}

#[cfg(unix)]
fn check_private(path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(StoreError::Permissions { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_private(_: &Path, _: &fs::Metadata) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, FileStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("tokens"));
        (dir, store)
    }

    #[test]
    fn records_are_kept_replaced_and_forgotten() {
        let (_dir, store) = store();
        assert!(store.load("a").unwrap().is_none());
        store.save("a", &Secret::new("one".into())).unwrap();
        store.save("b", &Secret::new("other".into())).unwrap();
        store.save("a", &Secret::new("two".into())).unwrap();
        assert!(store.load("a").unwrap().unwrap().matches("two"));
        assert!(store.delete("a").unwrap() && !store.delete("a").unwrap());
        assert!(store.load("b").unwrap().unwrap().matches("other"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_others_may_read_is_refused_with_the_cure() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, store) = store();
        store.save("a", &Secret::new("hush".into())).unwrap();
        let path = store.path("a").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&store.dir)), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = store.load("a").unwrap_err();
        assert!(matches!(error, StoreError::Permissions { mode: 0o644, .. }));
        assert!(error.hint().contains("chmod 600"));
        assert!(!format!("{error:?} {error}").contains("hush"));
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let (_dir, store) = store();
        for name in ["../x", "a/b", ".x", "", "a\\b"] {
            assert!(store.save(name, &Secret::new("x".into())).is_err(), "{name}");
        }
    }
}
