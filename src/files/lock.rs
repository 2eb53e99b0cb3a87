//! The lock between two processes. The system releases it when its holder dies.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{durable::directory_of, private_dir, private_file};
use crate::error::sanitized;

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it and did not release it within the allowed time.
    #[error("{by} holds the lock")]
    Held {
        /// What that process is doing and its process id, as it wrote them into the lock file.
        by: String,
    },
    /// The lock file cannot be created, opened or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An exclusive lock between processes. It is the operating system's lock on an open file, so it ends with the
/// process, however that ends. The file itself stays: if it were removed, two processes could hold locks on two files
/// with the same name.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    const FIRST_PAUSE: Duration = Duration::from_millis(5);
    const LONGEST_PAUSE: Duration = Duration::from_millis(100);

    /// Locks the file at `path` (created with its private directory if missing). While another process holds it,
    /// tries again for as long as `wait`. `purpose` ("pull", "token refresh") is what that other process can read
    /// about us.
    ///
    /// Blocks its thread: in async code, call it through `spawn_blocking`.
    ///
    /// # Errors
    /// [`LockError::Held`] when `wait` is over, [`LockError::Io`] if the file cannot be used at all.
    pub fn acquire(path: &Path, wait: Duration, purpose: &str) -> Result<Self, LockError> {
        let deadline = Instant::now().checked_add(wait);
        private_dir::create(directory_of(path))?;
        let mut file = private_file::open_or_create(path)?;
        let mut pause = Self::FIRST_PAUSE;
        loop {
            match file.try_lock() {
                Ok(()) if is_at(&file, path) => break,
                // The previous holder has removed the file (`bbdl purge`), so the next lock is on a new file.
                Ok(()) => {
                    file = private_file::open_or_create(path)?;
                    continue;
                }
                Err(TryLockError::Error(source)) => return Err(source.into()),
                Err(TryLockError::WouldBlock) => {}
            }
            let left = deadline.map_or(pause, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(LockError::Held { by: holder(&mut file) });
            }
            // The system has no lock with a time limit, so this polls the lock itself.
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(Self::LONGEST_PAUSE);
        }
        let mut lock = Self { file };
        lock.note(&format!("{}\n{}", std::process::id(), purpose.replace('\n', " ")));
        Ok(lock)
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes who we are over the old note in the file. Only such a note or an empty file is overwritten: nothing is
    /// cut off, and not a byte of any other text is changed. The note is only for people to read, so a full disk must
    /// not stop the holder of the lock.
    fn note(&mut self, text: &str) {
        let mut before = String::new();
        let _ = self.file.seek(SeekFrom::Start(0));
        let read = (&mut self.file).take(LONGEST_NOTE as u64 + 1).read_to_string(&mut before);
        if read.is_err() || !is_note(&before) {
            return;
        }
        let text: String = text.chars().filter(char::is_ascii).take(LONGEST_NOTE / 2).collect();
        let line = format!("{text:<width$}\n", width = LONGEST_NOTE / 2);
        let _ = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(line.as_bytes()));
    }
}

/// The largest size of a lock file, in bytes.
const LONGEST_NOTE: usize = 256;

/// Nothing, blanks, or a process id in the first line.
fn is_note(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default().trim();
    text.len() <= LONGEST_NOTE && (text.trim().is_empty() || first.parse::<u32>().is_ok())
}

/// Whether this file still has this name.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let same =
            |ours: std::fs::Metadata, there: std::fs::Metadata| ours.dev() == there.dev() && ours.ino() == there.ino();
        file.metadata().is_ok_and(|ours| std::fs::symlink_metadata(path).is_ok_and(|there| same(ours, there)))
    }
    #[cfg(windows)]
    {
        let ours = file.try_clone().and_then(same_file::Handle::from_file);
        ours.is_ok_and(|ours| same_file::Handle::from_path(path).is_ok_and(|there| ours == there))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Clears the note, so that no one is told that we hold the lock before the next holder writes its own name.
        // If this fails, only that message is less exact; the lock ends with the file either way.
        self.note("");
        let _ = self.file.unlock();
    }
}

/// The name of the holder in the lock file. It is not certain: the file is empty for a moment after locking, and
/// Windows does not let anyone read a locked file.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(LONGEST_NOTE as u64).read_to_string(&mut text);
    let mut lines = text.lines().map(str::trim);
    match (read, lines.next().and_then(|pid| pid.parse::<u32>().ok()), lines.next()) {
        (Ok(_), Some(pid), Some(purpose)) => format!("process {pid}: {}", sanitized(purpose)),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use super::*;

    const ZERO: Duration = Duration::ZERO;

    #[test]
    fn a_lock_is_held_once_and_names_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks/lock");
        let lock = FileLock::acquire(&path, ZERO, "pull\n\u{1b}[31m").unwrap();
        let error = FileLock::acquire(&path, Duration::from_millis(20), "refresh").unwrap_err();
        let text = error.to_string();
        assert!(!text.contains('\u{1b}'), "{text:?}");
        if cfg!(unix) {
            assert!(text.contains("pull") && text.contains(&std::process::id().to_string()), "{text}");
        }
        drop(lock);
        FileLock::acquire(&path, ZERO, "refresh").unwrap();
    }

    #[test]
    fn locking_changes_only_files_with_a_lock_note() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        for content in ["{\"refresh_token\": 1}", &"x".repeat(5000), "12 monkeys", "12\nmonkeys\n"] {
            fs::write(&path, content).unwrap();
            drop(FileLock::acquire(&path, ZERO, "pull").unwrap());
            let after = fs::read_to_string(&path).unwrap();
            assert!(after.len() >= content.len(), "{content}: {after}");
            assert!(after == content || is_note(content), "{content}: {after}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_removed_lock_file_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = FileLock::acquire(&path, ZERO, "purge").unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| FileLock::acquire(&path, Duration::from_secs(30), "fetch").unwrap());
            fs::remove_file(&path).unwrap();
            drop(first);
            let held = second.join().unwrap();
            assert!(is_at(&held.file, &path));
            assert!(matches!(FileLock::acquire(&path, ZERO, "third"), Err(LockError::Held { .. })));
        });
    }

    #[test]
    fn a_waiting_process_gets_the_released_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = FileLock::acquire(&path, ZERO, "first").unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| FileLock::acquire(&path, Duration::from_secs(30), "second").is_ok());
            drop(lock);
            assert!(waiting.join().unwrap());
        });
    }

    const HELD_BY_CHILD: &str = "BBDL_TEST_LOCK_PATH";

    /// Runs itself a second time as the other process, which is then killed and cannot clean up.
    #[test]
    #[allow(clippy::print_stdout, reason = "how the other process reports")]
    fn a_lock_ends_with_its_process() {
        if let Some(path) = std::env::var_os(HELD_BY_CHILD) {
            let _lock = FileLock::acquire(Path::new(&path), ZERO, "the other process").unwrap();
            println!("\nlocked");
            // Until it is killed, or until the parent dies and its end of the pipe closes.
            io::stdin().read_line(&mut String::new()).unwrap();
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "files::lock::tests::a_lock_ends_with_its_process", "--nocapture"])
            .env(HELD_BY_CHILD, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let locked = said.by_ref().map_while(Result::ok).any(|line| line == "locked");
        let refused = FileLock::acquire(&path, ZERO, "ours");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(locked, "the other process did not get the lock");
        let by = refused.unwrap_err().to_string();
        if cfg!(unix) {
            assert!(by.contains(&child.id().to_string()) && by.contains("the other process"), "{by}");
        }
        FileLock::acquire(&path, ZERO, "ours").unwrap();
    }
}
