//! One `bbdl` at a time writes to an archive.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::OWN;
use crate::{
    error::{Error, ErrorKind, Result},
    files::{
        lock::{FileLock, LockError},
        private_dir,
    },
};

/// How long to wait for another `bbdl` that holds the archive.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the lock file of the archive at `dir` is.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(OWN).join("lock")
}

/// The right to write to an archive, until dropped.
pub(super) struct ArchiveLock {
    lock: FileLock,
    path: PathBuf,
}

impl ArchiveLock {
    /// Waits until no other process writes to the archive at `dir`.
    ///
    /// # Errors
    /// [`crate::error::Exit::TryAgain`] if another `bbdl` holds it all this time, [`crate::error::Exit::Disk`].
    pub(super) fn acquire(dir: &Path) -> Result<Self> {
        let own = dir.join(OWN);
        private_dir::create(&own).map_err(|cause| Error::disk("create", &own, &cause))?;
        let path = path(dir);
        match FileLock::acquire(&path, PATIENCE, "fetch") {
            Ok(lock) => Ok(Self { lock, path }),
            Err(LockError::Held { by }) => {
                Err(Error::new(ErrorKind::Lock, format!("another bbdl is writing to {} ({by})", dir.display()))
                    .hint("Run the same command again when it has finished."))
            }
            Err(LockError::Io(cause)) => Err(Error::disk("lock", &path, &cause)),
        }
    }

    /// Whether the file system keeps permissions, that is, whether the lock file is private or can be made so.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn keeps_permissions(&self) -> Result<bool> {
        #[cfg(unix)]
        {
            private_dir::can_be_made_private(self.lock.file())
                .map_err(|cause| Error::disk("change the permissions of", &self.path, &cause))
        }
        #[cfg(not(unix))]
        {
            let _ = (&self.lock, &self.path);
            Ok(true)
        }
    }
}
