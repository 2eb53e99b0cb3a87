//! Files that survive: written whole or not at all, private from their first byte, locked by the
//! operating system.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use tempfile::NamedTempFile;

/// Creates a directory and what is missing above it, each readable by its owner only, whatever the
/// umask. What exists already is left as it is.
///
/// # Errors
/// Those of the file system.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a file that only its owner may read: beside its place, synced, then renamed into it, and the
/// directory synced, so that after any crash the old or the new content is there.
///
/// # Errors
/// Those of the file system; the old content is there then.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_private_dir(dir)?;
    // NamedTempFile is created with mode 0600.
    let mut file = NamedTempFile::with_prefix_in(".new-", dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|cause| cause.error)?;
    sync_dir(dir)
}

/// Makes renames and new names in a directory survive a loss of power.
///
/// # Errors
/// Those of the file system.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    // Windows has no way to open a directory for this, and does not need it.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("held by {by}")]
    Held {
        /// What the holder wrote of itself.
        by: String,
    },
    /// The file could not be opened or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An exclusive lock on a file, released by the operating system when the process ends, however it
/// ends. The file stays: removing it would let two processes lock two different files.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock, waiting up to `wait` for another holder; writes process id and `purpose` into the
    /// file for the one who waits.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn acquire(path: &Path, wait: Duration, purpose: &str) -> Result<Self, LockError> {
        const LONGEST_PAUSE: Duration = Duration::from_millis(100);
        if let Some(dir) = path.parent() {
            create_private_dir(dir)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let deadline = Instant::now() + wait;
        let mut pause = Duration::from_millis(5);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(cause)) => return Err(cause.into()),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(LockError::Held { by: holder(&mut file) });
                }
                // The operating system has no lock with a time limit.
                Err(TryLockError::WouldBlock) => {
                    thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        // Only for people to read: a full disk must not stop the one who has the lock.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "process {} ({purpose})", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(200).read_to_string(&mut text));
    let text = crate::error::shown(&text);
    if text.is_empty() { "another process".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_replaces_the_whole_file_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/file");
        write_private(&path, b"a longer first text").unwrap();
        write_private(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_made_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/file");
        write_private(&path, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&dir.path().join("a")), mode(&dir.path().join("a/b"))), (0o600, 0o700, 0o700));
    }

    #[test]
    fn a_lock_is_exclusive_and_names_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = FileLock::acquire(&path, Duration::ZERO, "fetch").unwrap();
        let Err(LockError::Held { by }) = FileLock::acquire(&path, Duration::from_millis(20), "other") else {
            panic!("two holders");
        };
        assert!(by.contains("fetch"), "{by}");
        drop(first);
        FileLock::acquire(&path, Duration::ZERO, "other").unwrap();
    }

    #[test]
    fn waiting_ends_when_the_holder_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = FileLock::acquire(&path, Duration::ZERO, "first").unwrap();
        let waiting = {
            let path = path.clone();
            thread::spawn(move || FileLock::acquire(&path, Duration::from_secs(20), "second").is_ok())
        };
        drop(first);
        assert!(waiting.join().unwrap());
    }
}
