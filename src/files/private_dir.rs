//! Directories that only this user may use: creates them and checks them.
//!
//! Anyone who may write to a directory can replace a file of ours with a link or with another file, and so read or
//! choose what we write. So our directories must belong to us, and only we may write to them. Whether others may list
//! them is up to the owner.

use std::{fmt, fs, io, path::Path};

use crate::{
    error::{Error, ErrorKind, Result},
    files::{
        durable::{directory_of, sync_dir},
        path_text::typed,
    },
};

/// Why a directory must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Others may write to it. The number has its permission bits.
    Writable(u32),
    /// It belongs to another user. The number is that user's id.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix tells whose a directory is"))]
    Foreign(u32),
    /// It is a symbolic link, which could lead anywhere the next time.
    Link,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writable(mode) => write!(f, "others can write to it (mode {mode:o})"),
            Self::Foreign(owner) => write!(f, "it belongs to another user (number {owner})"),
            Self::Link => f.write_str("it is a symbolic link, and bbdl follows none here"),
        }
    }
}

impl Exposure {
    /// The error for this, with what to type.
    #[must_use]
    pub(crate) fn into_error(self, dir: &Path) -> Error {
        let word = typed(dir);
        let hint = match self {
            Self::Writable(_) => format!("If nobody else has put anything there, run: chmod go-w {word}"),
            Self::Foreign(_) => {
                format!(
                    "Run bbdl as that user, use a directory of your own, or make it yours: sudo chown -R $(id -u) {word}"
                )
            }
            Self::Link => format!("Find out who put it there, and remove it: rm {word}"),
        };
        Error::new(ErrorKind::Exposed, format!("{} is not safe to use: {self}", dir.display())).hint(hint)
    }
}

/// Checks a directory; `None` if it is ours alone, or not there yet.
///
/// # Errors
/// Errors of the file system, including `NotADirectory`.
pub(crate) fn exposure(dir: &Path) -> io::Result<Option<Exposure>> {
    let metadata = match fs::symlink_metadata(dir) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    };
    if metadata.is_symlink() {
        return Ok(Some(Exposure::Link));
    }
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(exposure_of(&metadata))
}

/// Whether others could change the file or directory with these metadata, or put it there. Windows has access lists
/// instead, and a directory in a user's profile inherits a private one.
#[must_use]
pub(crate) fn exposure_of(metadata: &fs::Metadata) -> Option<Exposure> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Some(Exposure::Foreign(metadata.uid()));
        }
    }
    writable_by_others(metadata).map(Exposure::Writable)
}

/// The permission bits, if others than the owner may write.
#[must_use]
pub(crate) fn writable_by_others(metadata: &fs::Metadata) -> Option<u32> {
    Some(mode(metadata)).filter(|mode| mode & 0o022 != 0)
}

/// The permission bits of a file that anyone may write to, or of a directory in which anyone may replace files. With
/// the sticky bit, as in `/tmp`, only the owner of a file may replace it.
#[must_use]
pub(crate) fn replaceable_by_anybody(metadata: &fs::Metadata) -> Option<u32> {
    let is_sticky = |mode: u32| metadata.is_dir() && mode & 0o1000 != 0;
    Some(mode(metadata)).filter(|mode| mode & 0o002 != 0 && !is_sticky(*mode))
}

/// The permission bits, if others than the owner may do anything.
#[must_use]
pub(crate) fn usable_by_others(metadata: &fs::Metadata) -> Option<u32> {
    Some(mode(metadata)).filter(|mode| mode & 0o077 != 0)
}

/// Creates `path` and any missing directories above it. Only the owner can use the new directories (0700, with any
/// umask). Existing directories are not changed.
///
/// # Errors
/// Errors of the file system; `NotADirectory` if a file is in the way.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    create_all(path, PRIVATE, true)
}

/// Like [`create`], but every user may enter and list the new directories (0755, with any umask).
///
/// # Errors
/// The errors of [`create`].
pub(crate) fn create_public(path: &Path) -> io::Result<()> {
    create_all(path, 0o755, true)
}

/// Like [`create`], without waiting for the disk. If the directory must survive a power failure, call [`sync_dir`]
/// for its parent.
///
/// # Errors
/// The errors of [`create`].
pub(crate) fn create_unsynced(path: &Path) -> io::Result<()> {
    create_all(path, PRIVATE, false)
}

/// The permission bits of a directory that only its owner may use.
const PRIVATE: u32 = 0o700;

fn create_all(path: &Path, bits: u32, syncs: bool) -> io::Result<()> {
    // `Path::parent` gives `""` for a bare file name. It means the current directory.
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_all(parent, bits, syncs)?;
    }
    match builder(bits).create(path) {
        Ok(()) => {
            // Checked by name, because with a umask such as 0777 the new directory cannot be opened.
            #[cfg(unix)]
            if mode(&fs::symlink_metadata(path)?) != bits {
                super::durable::refusable(fs::set_permissions(
                    path,
                    std::os::unix::fs::PermissionsExt::from_mode(bits),
                ))?;
            }
            if syncs { sync_dir(directory_of(path)) } else { Ok(()) }
        }
        // Another process created it first.
        Err(_) if path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn builder(bits: u32) -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, bits);
    builder
}

/// Windows has no modes; a new directory gets the access list of its parent.
#[cfg(not(unix))]
fn builder(_: u32) -> fs::DirBuilder {
    fs::DirBuilder::new()
}

/// Removes the permissions of others from a file or directory with these permission bits.
///
/// # Errors
/// Errors of the file system.
pub(crate) fn leave_to_owner(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode & 0o700))?;
    let _ = (path, mode);
    Ok(())
}

/// Windows has access lists instead, so there are no bits.
fn mode(metadata: &fs::Metadata) -> u32 {
    #[cfg(unix)]
    {
        std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        0
    }
}

/// Refuses a directory that is not ours alone. With `may_lack_permissions`, accepts our own directory on a file
/// system that keeps no permissions. Returns whether permissions are kept.
///
/// # Errors
/// [`crate::error::Exit::PersonMustAct`] with the `chmod` to type, [`crate::error::Exit::Disk`].
pub(crate) fn check(dir: &Path, may_lack_permissions: bool) -> Result<bool> {
    let wrong = |cause: io::Error| Error::disk("use", dir, &cause);
    let Some(found) = exposure(dir).map_err(wrong)? else { return Ok(true) };
    if !matches!(found, Exposure::Writable(_)) || keeps_permissions(dir).map_err(wrong)? {
        return Err(found.into_error(dir));
    }
    if may_lack_permissions {
        return Ok(false);
    }
    Err(Error::new(
        ErrorKind::Exposed,
        format!("{} is not safe to use: {found}, and its file system keeps no permissions (exFAT, SMB, …)", dir.display()),
    )
    .hint("Log-ins are never kept there. Set BBDL_HOME to a directory on another file system, and run: chmod 700 \"$BBDL_HOME\""))
}

/// Tests whether the file system keeps permissions, with a file that is created and removed again. exFAT and FAT
/// refuse to change permissions; SMB and WSL's Windows drives only pretend to.
///
/// # Errors
/// Errors of the file system.
pub(crate) fn keeps_permissions(dir: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        let probe = tempfile::Builder::new().prefix(".bbdl-").suffix(".tmp").tempfile_in(dir)?;
        can_be_made_private(probe.as_file())
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        Ok(true)
    }
}

/// Makes an open file readable only by its owner. Returns whether that worked.
///
/// # Errors
/// Errors of the file system, except a refusal to keep permissions.
#[cfg(unix)]
pub(crate) fn can_be_made_private(file: &fs::File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    match file.set_permissions(fs::Permissions::from_mode(0o600)) {
        Ok(()) => Ok(file.metadata()?.permissions().mode() & 0o077 == 0),
        Err(cause) if is_refusal_of_permissions(&cause) => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// EPERM for our own file, or an error that means "not supported here" (EOPNOTSUPP, ENOSYS).
#[cfg(unix)]
fn is_refusal_of_permissions(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_directory_that_others_may_change_is_refused_with_what_to_type() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("o'neil");
        assert!(check(&dir, false).unwrap(), "what is not there yet is no danger");
        fs::create_dir(&dir).unwrap();
        for safe in [0o700, 0o755, 0o711] {
            fs::set_permissions(&dir, fs::Permissions::from_mode(safe)).unwrap();
            assert!(check(&dir, true).unwrap());
        }
        for open in [0o770, 0o702, 0o1777] {
            fs::set_permissions(&dir, fs::Permissions::from_mode(open)).unwrap();
            let error = check(&dir, true).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Exposed);
            assert!(error.hint.ends_with(r"o'\''neil'") && error.hint.contains("chmod go-w '"), "{}", error.hint);
            assert!(fs::read_dir(&dir).unwrap().next().is_none(), "the probe is gone");
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&dir, home.path().join("link")).unwrap();
        assert!(check(&home.path().join("link"), true).unwrap_err().message.contains("symbolic link"));
        fs::write(home.path().join("file"), "").unwrap();
        assert_eq!(check(&home.path().join("file"), true).unwrap_err().kind, ErrorKind::Disk);
    }

    #[test]
    fn a_file_in_the_way_of_a_directory_is_named_as_such() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), b"").unwrap();
        let error = create(&dir.path().join("file")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn a_directory_that_was_there_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        create(dir.path()).unwrap();
        assert_eq!(mode(&fs::metadata(dir.path()).unwrap()), 0o755);
    }

    /// Without root, `/` belongs to another user. With root, a directory that was given away does.
    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let is_root = rustix::process::geteuid().is_root();
        let dir = if is_root { home.path() } else { Path::new("/") };
        if is_root {
            chown(dir, Some(65_534), None).unwrap();
        }
        let error = check(dir, true).unwrap_err();
        assert!(error.message.contains("another user") && error.hint.contains("chown"), "{error:?}");
    }
}
