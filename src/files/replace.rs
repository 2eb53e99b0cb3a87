//! Replaces one file with another, even if other programs read it: spreadsheets, backups, virus scanners.
//!
//! This is hard only on Windows. The standard library renames like POSIX if Windows can do that (10 and later, NTFS).
//! Then a reader keeps the old file, if it has opened the file in a way that allows deletion. Otherwise, the rename
//! is refused while the reader has the file open. Most readers have it open only for a moment, so the rename is tried
//! again for some seconds. After that, the error is "another program has it open". That is not the same as "you may
//! not write here", although Windows says "access denied" in both cases.

use std::{fs, io, path::Path};

#[cfg(windows)]
use std::{
    thread,
    time::{Duration, Instant},
};

use tempfile::TempPath;

/// Moves the file at `from` to `to` and replaces what is there.
///
/// # Errors
/// Errors of the file system. On Windows, [`is_held`] tells whether another program has either file open.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(windows)]
    {
        while_held(|| fs::rename(from, to)).map_err(|cause| if has_open(to) || has_open(from) { held() } else { cause })
    }
    #[cfg(not(windows))]
    fs::rename(from, to)
}

/// Puts a temporary file in place. If that fails, removes it.
///
/// # Errors
/// The errors of [`rename`].
pub(crate) fn with(temporary: TempPath, place: &Path) -> io::Result<()> {
    #[cfg(windows)]
    {
        // `persist` renames in a way that fails if any program has the file open.
        let path = temporary.keep().map_err(|failed| failed.error)?;
        rename(&path, place).inspect_err(|_| drop(fs::remove_file(&path)))
    }
    #[cfg(not(windows))]
    temporary.persist(place).map_err(|failed| failed.error)
}

/// Removes a file so that its name is free at once, even if another program has the file open and shares it.
///
/// On file systems other than its own (exFAT, shares), Windows keeps the name until the file is closed. So the file
/// is renamed first.
///
/// # Errors
/// Errors of the file system. A directory is not removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    #[cfg(windows)]
    if let (Some(dir), Ok(metadata)) = (path.parent(), fs::symlink_metadata(path))
        && !metadata.is_dir()
    {
        let names =
            tempfile::Builder::new().prefix(".bbdl-").suffix(".tmp").make_in(dir, |aside| fs::rename(path, aside));
        if let Ok(aside) = names {
            return aside.close();
        }
    }
    fs::remove_file(path)
}

/// Waits some seconds for other programs that have one of these files open and block its replacement.
///
/// # Errors
/// The path of a file that is still open, and the error.
pub(crate) fn wait_for<'a>(places: impl IntoIterator<Item = &'a Path>) -> Result<(), (&'a Path, io::Error)> {
    #[cfg(windows)]
    for place in places {
        use std::os::windows::fs::OpenOptionsExt;
        const DELETE: u32 = 0x0001_0000;
        let replaceable = || match fs::OpenOptions::new().access_mode(DELETE).open(place) {
            Err(cause) if is_held(&cause) => Err(cause),
            // The rename reports any other problem.
            _ => Ok(()),
        };
        while_held(replaceable).map_err(|cause| (place, cause))?;
    }
    #[cfg(not(windows))]
    drop(places);
    Ok(())
}

/// Whether an error means that another program has the file open and does not share it: `ERROR_SHARING_VIOLATION` and
/// `ERROR_LOCK_VIOLATION`.
#[must_use]
pub(crate) fn is_held(cause: &io::Error) -> bool {
    cfg!(windows) && matches!(cause.raw_os_error(), Some(32 | 33))
}

#[cfg(windows)]
fn held() -> io::Error {
    io::Error::from_raw_os_error(32)
}

/// Tries again after an error that goes away when another program closes the file. A rename over an open file gives
/// `ERROR_ACCESS_DENIED`.
#[cfg(windows)]
fn while_held<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(50);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(cause) if (is_held(&cause) || cause.raw_os_error() == Some(5)) && Instant::now() < deadline => {
                // Windows does not report when a file is closed, so this polls.
                thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// Whether any other program has the file open: then it cannot be opened without sharing.
#[cfg(windows)]
fn has_open(path: &Path) -> bool {
    use std::os::windows::fs::OpenOptionsExt;
    fs::OpenOptions::new().read(true).share_mode(0).open(path).is_err_and(|cause| is_held(&cause))
}

#[cfg(all(test, windows))]
mod tests {
    use std::os::windows::fs::OpenOptionsExt;

    use super::*;

    /// Opens a file as spreadsheets do: others may only read it.
    fn hold(path: &Path) -> fs::File {
        const READ: u32 = 1;
        fs::OpenOptions::new().read(true).share_mode(READ).open(path).unwrap()
    }

    #[test]
    fn the_name_of_a_removed_file_is_free_although_the_file_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("place");
        fs::write(&place, "old").unwrap();
        let reader = fs::File::open(&place).unwrap();
        remove(&place).unwrap();
        fs::OpenOptions::new().write(true).create_new(true).open(&place).unwrap();
        drop(reader);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(remove(dir.path()).is_err() && dir.path().exists(), "a directory stays");
        assert_eq!(remove(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_replaced_when_the_other_program_has_closed_it() {
        let dir = tempfile::tempdir().unwrap();
        let [new, place] = ["new", "place"].map(|name| dir.path().join(name));
        fs::write(&new, "new").unwrap();
        fs::write(&place, "old").unwrap();
        let reader = hold(&place);
        thread::scope(|scope| {
            let renaming = scope.spawn(|| rename(&new, &place));
            thread::sleep(Duration::from_millis(300));
            assert!(!renaming.is_finished(), "it waits");
            drop(reader);
            renaming.join().unwrap().unwrap();
        });
        assert_eq!(fs::read_to_string(&place).unwrap(), "new");
    }

    #[test]
    fn a_file_that_stays_open_is_told_from_one_that_may_not_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("place");
        fs::write(&place, "old").unwrap();
        let reader = hold(&place);
        let (_, cause) = wait_for([&*place]).unwrap_err();
        assert!(is_held(&cause), "{cause}");
        let temporary = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
        let cause = with(temporary.into_temp_path(), &place).unwrap_err();
        assert!(is_held(&cause), "{cause}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
        drop(reader);
        wait_for([&*place]).unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "old");
    }
}
