//! Files that only their owner can read and that survive a crash. A file is replaced as a whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::NamedTempFile;

use super::{private_dir, replace};

/// Replaces the file at `path` with `bytes`, or leaves it as it was. At no time can a reader find half of it, not
/// even after a crash or a power failure.
///
/// Missing parent directories are created as by [`super::private_dir::create`]. The file has mode 0600 from its first
/// byte on, with any umask. After `Ok`, file and directory entry are on the disk. A symbolic link at `path` is
/// replaced, not followed.
///
/// # Errors
/// Errors of the file system. The temporary file is removed.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    AtomicFile::begin(path)?.write_and_keep(bytes)
}

/// Like [`write_private`], but fails if the file system cannot make the file private.
///
/// # Errors
/// Errors of the file system; `PermissionDenied` if it keeps no permissions (exFAT, SMB).
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = AtomicFile::begin(path)?;
    refuse_if_not_private(file.temporary.as_file())?;
    file.write_and_keep(bytes)
}

/// Like [`write_private`], but does not wait for the disk. After a power failure, there may be the old file, the new
/// one or an empty one. For files that may get lost.
///
/// # Errors
/// The errors of [`write_private`].
pub(crate) fn write_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut fresh = AtomicFile::begin(path)?;
    fresh.temporary.write_all(bytes)?;
    replace::with(fresh.temporary.into_temp_path(), path)
}

/// Like [`write_private`], for a path that a person named and a file that everyone may read, because it has no data
/// about people. A reader finds the old file or the new one. Everyone may enter the directories that are created for
/// it.
///
/// # Errors
/// The errors of [`AtomicFile::begin_where_told`].
pub(crate) fn write_public(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A directory that only we may enter would hide the file.
    private_dir::create_public(directory_of(path))?;
    let fresh = AtomicFile::begin_where_told(path)?;
    set_mode(fresh.temporary.as_file(), 0o644)?;
    fresh.write_and_keep(bytes)
}

/// Refuses a file for a secret if the file system cannot make it private.
///
/// # Errors
/// Errors of the file system; `PermissionDenied` if it keeps no permissions (exFAT, SMB).
pub(crate) fn refuse_if_not_private(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    if !crate::files::private_dir::can_be_made_private(file)? {
        let why = "this file system keeps no permissions (exFAT, SMB), so bbdl keeps no secrets there";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// A file that is moved to its place when it is complete, as by [`write_private`]. If it is dropped before that, it
/// is removed.
pub(crate) struct AtomicFile {
    temporary: NamedTempFile,
    place: PathBuf,
}

impl AtomicFile {
    /// Like [`AtomicFile::begin`], for a path that a person named.
    ///
    /// # Errors
    /// Errors of the file system. Also an error if there is something other than a file, because a rename would
    /// replace a device or a pipe with a file.
    pub(crate) fn begin_where_told(place: &Path) -> io::Result<Self> {
        match fs::metadata(place) {
            Ok(there) if there.is_dir() => {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory, not a file"));
            }
            Ok(there) if !there.is_file() => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe or a device, not a file"));
            }
            _ => {}
        }
        clear_temporaries(directory_of(place), ABANDONED);
        Self::begin(place)
    }

    /// Begins a file that will be at `place`. Does not look for leftovers of killed processes, because a directory
    /// may have a hundred thousand files: `Paths::sweep` removes them for the profiles, and opening an archive
    /// removes them there.
    ///
    /// # Errors
    /// Errors of the file system.
    pub(crate) fn begin(place: &Path) -> io::Result<Self> {
        Ok(Self { temporary: temporary_for(place)?, place: place.to_owned() })
    }

    fn write_and_keep(mut self, bytes: &[u8]) -> io::Result<()> {
        self.temporary.write_all(bytes)?;
        self.keep()
    }

    /// Its final path.
    #[must_use]
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Its temporary path.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Opens the file for writing again.
    ///
    /// # Errors
    /// Errors of the file system.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.temporary.reopen()
    }

    /// Puts the file in place. It is on the disk when this returns.
    ///
    /// # Errors
    /// Errors of the file system. The temporary file is removed.
    pub(crate) fn keep(self) -> io::Result<()> {
        Self::keep_all([self])
    }

    /// Puts files that belong together in place, as close together in time as a file system can. All of them are on
    /// the disk before the first is renamed, and the renames follow each other. A process that reads or dies between
    /// two renames finds the first file new and the next one old.
    ///
    /// # Errors
    /// Errors of the file system. Temporary files that are not in place are removed.
    pub(crate) fn keep_all<const N: usize>(files: [Self; N]) -> io::Result<()> {
        for file in &files {
            file.temporary.as_file().sync_all()?;
        }
        let mut places = Vec::with_capacity(N);
        for Self { temporary, place } in files {
            replace::with(temporary.into_temp_path(), &place)?;
            places.push(place);
        }
        places.iter().try_for_each(|place| sync_dir(directory_of(place)))
    }
}

/// A private file beside `place`, with a unique name.
pub(super) fn temporary_for(place: &Path) -> io::Result<NamedTempFile> {
    let dir = directory_of(place);
    private_dir::create(dir)?;
    // The form of a path that Windows accepts at any length. tempfile does not make it itself.
    let dir = if cfg!(windows) { &fs::canonicalize(dir)? } else { dir };
    let temporary = tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(dir)?;
    // tempfile asks for 0600, but a umask such as 0277 would still remove our own right to write.
    set_mode(temporary.as_file(), 0o600)?;
    Ok(temporary)
}

/// Prefix of temporary file names.
const PREFIX: &str = ".bbdl-";
const SUFFIX: &str = ".tmp";
/// No write takes this long. A process that left such a file was killed.
pub(crate) const ABANDONED: Duration = Duration::from_secs(3600);

/// Removes what a killed [`write_private`] left in `dir`: temporary files that were last written at least `age` ago.
/// They may contain a secret or a health record. With an age of zero, the caller must know that no other process
/// writes there. What cannot be removed now stays until the next time.
pub(crate) fn clear_temporaries(dir: &Path, age: Duration) {
    let is_old = |metadata: &fs::Metadata| {
        age.is_zero() || metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|since| since > age))
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_ours && entry.metadata().is_ok_and(|metadata| metadata.is_file() && is_old(&metadata)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Syncs a directory's entries to the disk, so that a renamed or created file is still there after a power failure.
/// Windows has no such call and does not need one here (NTFS journals its metadata). A file system that cannot do it
/// is accepted; [`can_sync_dir`] tells.
///
/// # Errors
/// Errors of the file system.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    can_sync_dir(path).map(drop)
}

/// Like [`sync_dir`]. Returns whether the file system can do it. Some FUSE and SMB file systems cannot (EINVAL).
///
/// # Errors
/// Errors of the file system.
pub(crate) fn can_sync_dir(path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match File::open(path)?.sync_all() {
            Ok(()) => Ok(true),
            Err(cause) if matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(false),
            Err(cause) => Err(cause),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(true)
    }
}

pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Gives a file these permissions, with any umask.
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    if mode_of(&file.metadata()?) != mode {
        return refusable(file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode)));
    }
    let _ = (file, mode);
    Ok(())
}

#[cfg(unix)]
fn mode_of(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777
}

/// A file system that keeps no permissions refuses to set them (EPERM). Callers that must not use it have checked
/// before.
#[cfg(unix)]
pub(super) fn refusable(set: io::Result<()>) -> io::Result<()> {
    set.or_else(|cause| if cause.kind() == io::ErrorKind::PermissionDenied { Ok(()) } else { Err(cause) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_of_dead_writers_are_removed_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let [old, fresh, other] = [".bbdl-old.tmp", ".bbdl-fresh.tmp", "other.tmp"].map(|name| dir.path().join(name));
        let long_ago = std::time::SystemTime::now() - 2 * ABANDONED;
        for path in [&old, &fresh, &other] {
            fs::write(path, "x").unwrap();
        }
        for path in [&old, &other] {
            File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        }
        clear_temporaries(dir.path(), ABANDONED);
        assert_eq!([old.exists(), fresh.exists(), other.exists()], [false, true, true]);
        clear_temporaries(dir.path(), Duration::ZERO);
        assert_eq!([fresh.exists(), other.exists()], [false, true]);
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_temporary_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/token.json");
        write_private(&path, b"first").unwrap();
        write_private(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_file_and_no_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("occupied");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"kept").unwrap();
        write_private(&path, b"new").unwrap_err();
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    mod modes {
        use std::{os::unix::fs::PermissionsExt, process::Command};

        use super::*;
        use crate::files::lock::FileLock;

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o7777
        }

        const UNDER_UMASK: &str = "BBDL_TEST_UMASK_DIR";

        /// The umask belongs to the whole process, so this runs itself again in a shell that sets one: once one that
        /// would leave everything open, and once one that would remove our own rights.
        #[test]
        fn modes_do_not_depend_on_the_umask() {
            if let Some(dir) = std::env::var_os(UNDER_UMASK) {
                write_private(&Path::new(&dir).join("a/b/file"), b"x").unwrap();
                write_public(&Path::new(&dir).join("d/e/file"), b"x").unwrap();
                drop(FileLock::acquire(&Path::new(&dir).join("c/lock"), Duration::ZERO, "test").unwrap());
                return;
            }
            for umask in ["000", "077", "277"] {
                let dir = tempfile::tempdir().unwrap();
                fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
                let done = Command::new("sh")
                    .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
                    .arg(std::env::current_exe().unwrap())
                    .args(["--exact", "files::durable::tests::modes::modes_do_not_depend_on_the_umask", "--nocapture"])
                    .env(UNDER_UMASK, dir.path())
                    .output()
                    .unwrap();
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
                assert_eq!(mode(&dir.path().join("a")), 0o700, "umask {umask}");
                assert_eq!(mode(&dir.path().join("a/b")), 0o700, "umask {umask}");
                assert_eq!(mode(&dir.path().join("a/b/file")), 0o600, "umask {umask}");
                assert_eq!(mode(dir.path()), 0o711, "it was there before");
                assert_eq!(mode(&dir.path().join("d")), 0o755, "umask {umask}");
                assert_eq!(mode(&dir.path().join("d/e")), 0o755, "umask {umask}");
                assert_eq!(mode(&dir.path().join("d/e/file")), 0o644, "umask {umask}");
                assert_eq!(mode(&dir.path().join("c/lock")) & 0o177, 0, "umask {umask}");
            }
        }
    }
}
