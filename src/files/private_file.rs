//! The one place where bbdl's own files are opened or created.
//!
//! Another user may have put something at a path: a symbolic or hard link to the token file, a pipe that no one ever
//! writes to, a device. So bbdl's files are regular files with one name. They are opened without following a link and
//! without waiting, and are checked before anything is read, written or truncated. A new file is created only if
//! there is none (`O_EXCL`).

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::replace;

/// What is there instead of a file of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intruder {
    /// A symbolic link, wherever it leads.
    SymbolicLink,
    /// A file that also has another name.
    HardLink,
    /// A directory.
    Directory,
    /// A pipe, a socket or a device.
    Special,
    /// A file of another user, who may have it open.
    Foreign,
}

impl fmt::Display for Intruder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SymbolicLink => "it is a symbolic link, and bbdl follows none here",
            Self::HardLink => "it is a hard link: the same file has another name as well",
            Self::Directory => "it is a directory, not a file",
            Self::Special => "it is a pipe, a socket or a device, not a file",
            Self::Foreign => "it belongs to another user, who could read what is written to it",
        })
    }
}

impl std::error::Error for Intruder {}

impl Intruder {
    /// The intruder in this error, if there is one.
    #[must_use]
    pub fn of(cause: &io::Error) -> Option<Self> {
        cause.get_ref()?.downcast_ref().copied()
    }
}

impl From<Intruder> for io::Error {
    fn from(intruder: Intruder) -> Self {
        Self::new(io::ErrorKind::InvalidInput, intruder)
    }
}

/// Opens one of bbdl's files for reading.
///
/// # Errors
/// Errors of the file system; an [`Intruder`]; `WouldBlock` while another program keeps the file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens one of bbdl's existing files to append to it.
///
/// # Errors
/// The errors of [`open`].
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().append(true)).and_then(ours)
}

/// Opens one of bbdl's files for reading and writing, and creates it if there is none. Does not truncate it.
///
/// # Errors
/// The errors of [`open`].
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    loop {
        match open_with(path, OpenOptions::new().read(true).write(true)) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.and_then(ours),
        }
        match create_new(path, OpenOptions::new().read(true).write(true)) {
            // Another process was faster, so the file is there now.
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created,
        }
    }
}

/// Creates one of bbdl's files from scratch. Removes what has its name: a link itself, not its target. A directory
/// stays.
///
/// # Errors
/// Errors of the file system.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    /// How often another process may create the file in between.
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        match replace::remove(path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
                return Err(if is_directory { Intruder::Directory.into() } else { cause });
            }
            _ => {}
        }
        match create_new(path, OpenOptions::new().write(true)) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Reads all of one of bbdl's files.
///
/// # Errors
/// The errors of [`open`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Refuses a directory if a person has to name a file. Unix would open it and fail at the first read, and Windows
/// would say that access is denied.
///
/// # Errors
/// `IsADirectory`.
pub(crate) fn refuse_directory(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, Intruder::Directory.to_string()));
    }
    Ok(())
}

/// Reads all of a file that a person wrote and may keep elsewhere behind a symbolic link: `config.toml`. Does not
/// wait for it, and refuses devices, except the null device.
///
/// # Errors
/// Errors of the file system; [`Intruder`].
pub(crate) fn read_following_links(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags(rustix::fs::OFlags::NONBLOCK));
    let mut file = options.open(path).or_else(|cause| refuse_directory(path).and(Err(cause)))?;
    if path != Path::new("/dev/null") {
        refuse_what_is_no_file(&file.metadata()?)?;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    not_following(options);
    let file = match without_a_lease(|| options.open(path)) {
        Ok(file) => file,
        // Each system has its own error for "that is a link" or "no one reads this pipe" (ELOOP, EMLINK, ENXIO). So
        // check what is there instead.
        Err(cause) => {
            let metadata = fs::symlink_metadata(path).map_err(|_| cause_again(&cause))?;
            refuse_what_is_no_file(&metadata)?;
            return Err(cause);
        }
    };
    let metadata = file.metadata()?;
    refuse_what_is_no_file(&metadata)?;
    // The count is 0 if the file was replaced between opening and checking.
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&metadata) > 1 {
        return Err(Intruder::HardLink.into());
    }
    Ok(file)
}

/// Root may read another user's file, for example to check an archive. But bbdl never writes to one.
fn ours(file: File) -> io::Result<File> {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::uid(&file.metadata()?) != rustix::process::geteuid().as_raw() {
        return Err(Intruder::Foreign.into());
    }
    Ok(file)
}

fn cause_again(cause: &io::Error) -> io::Error {
    cause.raw_os_error().map_or_else(|| cause.kind().into(), io::Error::from_raw_os_error)
}

fn refuse_what_is_no_file(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let intruder = match metadata.file_type() {
        kind if kind.is_symlink() => Intruder::SymbolicLink,
        kind if kind.is_dir() => Intruder::Directory,
        _ => Intruder::Special,
    };
    Err(intruder.into())
}

fn not_following(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        // Opening a terminal does not make it the process's own.
        let wanted = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags(wanted));
    }
    #[cfg(windows)]
    {
        // FILE_FLAG_OPEN_REPARSE_POINT opens the link itself, which is then refused.
        const REPARSE_POINT: u32 = 0x0020_0000;
        std::os::windows::fs::OpenOptionsExt::custom_flags(options, REPARSE_POINT);
    }
}

#[cfg(unix)]
#[expect(clippy::cast_possible_wrap, reason = "the same bits, as the standard library wants them")]
fn flags(flags: rustix::fs::OFlags) -> i32 {
    flags.bits() as i32
}

/// Samba and other servers hold leases on files that their clients have open, and release them when another process
/// opens the file (`F_SETLEASE` in fcntl(2)). That first attempt fails at once, and a later one works.
fn without_a_lease(open: impl Fn() -> io::Result<File>) -> io::Result<File> {
    const PATIENCE: Duration = Duration::from_secs(3);
    const PAUSE: Duration = Duration::from_millis(20);
    let begun = Instant::now();
    loop {
        match open() {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock && begun.elapsed() < PATIENCE => {
                thread::sleep(PAUSE);
            }
            opened => return opened,
        }
    }
}

/// Only the owner can use the file, and the owner may write to it, with any umask.
fn create_new(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata()?.permissions().mode() & 0o777 != 0o600 {
            // A file system without permissions may refuse or ignore this. Callers that store secrets check it.
            let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(open_to_append(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(open_or_create(&path).unwrap());
        fs::write(&path, "kept").unwrap();
        drop(open_or_create(&path).unwrap());
        assert_eq!(read(&path).unwrap(), b"kept");
        drop(create(&path).unwrap());
        assert_eq!(read(&path).unwrap(), b"");
    }

    #[cfg(unix)]
    mod planted {
        use std::{
            os::unix::{
                fs::{PermissionsExt, symlink},
                net::UnixListener,
            },
            path::PathBuf,
            process::Command,
            sync::mpsc,
        };

        use super::*;

        type Opening = (&'static str, fn(&Path) -> io::Result<()>);

        const OPENINGS: [Opening; 4] = [
            ("open", |path| open(path).map(drop)),
            ("open_to_append", |path| open_to_append(path).map(drop)),
            ("open_or_create", |path| open_or_create(path).map(drop)),
            ("read", |path| read(path).map(drop)),
        ];

        /// In a thread: if it waits forever, it must fail the test and not hang it.
        fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
            let (done, waiting) = mpsc::channel();
            thread::spawn(move || done.send(work()));
            waiting.recv_timeout(Duration::from_secs(10)).expect("it hangs")
        }

        fn each_intruder(dir: &Path) -> Vec<(PathBuf, Intruder)> {
            let at = |name: &str| dir.join(name);
            fs::write(at("secret"), "hush").unwrap();
            symlink(at("secret"), at("link")).unwrap();
            symlink("nowhere", at("dangling")).unwrap();
            fs::hard_link(at("secret"), at("twin")).unwrap();
            fs::create_dir(at("directory")).unwrap();
            symlink(at("directory"), at("link to a directory")).unwrap();
            assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
            drop(UnixListener::bind(at("socket")).unwrap());
            vec![
                (at("link"), Intruder::SymbolicLink),
                (at("dangling"), Intruder::SymbolicLink),
                (at("link to a directory"), Intruder::SymbolicLink),
                (at("twin"), Intruder::HardLink),
                (at("directory"), Intruder::Directory),
                (at("pipe"), Intruder::Special),
                (at("socket"), Intruder::Special),
                ("/dev/null".into(), Intruder::Special),
                ("/dev/tty".into(), Intruder::Special),
            ]
        }

        #[test]
        fn only_plain_files_are_opened() {
            let dir = tempfile::tempdir().unwrap();
            for (path, intruder) in each_intruder(dir.path()) {
                for (name, opening) in OPENINGS {
                    let at = path.clone();
                    let refused = soon(move || opening(&at).unwrap_err());
                    assert_eq!(Intruder::of(&refused), Some(intruder), "{name} {}: {refused}", path.display());
                }
            }
            assert_eq!(fs::read(dir.path().join("secret")).unwrap(), b"hush");
            assert!(!dir.path().join("nowhere").exists());
        }

        #[test]
        fn an_obstacle_is_replaced_and_the_target_of_a_link_stays() {
            let dir = tempfile::tempdir().unwrap();
            for (path, intruder) in each_intruder(dir.path()) {
                if path.starts_with("/dev") {
                    continue;
                }
                let at = path.clone();
                let created = soon(move || create(&at).map(drop));
                if intruder == Intruder::Directory {
                    assert_eq!(Intruder::of(&created.unwrap_err()), Some(intruder));
                } else {
                    created.unwrap();
                    assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{}", path.display());
                }
            }
            assert_eq!(fs::read(dir.path().join("secret")).unwrap(), b"hush");
            assert!(!dir.path().join("nowhere").exists() && dir.path().join("directory").is_dir());
        }

        /// The user who put it there may have it open and read what is written later.
        #[test]
        fn another_users_file_is_not_written_to() {
            if !rustix::process::geteuid().is_root() {
                // Only root can give files away. The integration tests say where that was skipped.
                return;
            }
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("theirs");
            fs::write(&path, "").unwrap();
            std::os::unix::fs::chown(&path, Some(54_321), None).unwrap();
            for opening in [open_to_append, open_or_create] {
                assert_eq!(Intruder::of(&opening(&path).unwrap_err()), Some(Intruder::Foreign));
            }
            open(&path).unwrap();
        }

        #[test]
        fn a_named_file_may_be_a_link_but_does_not_block() {
            let dir = tempfile::tempdir().unwrap();
            let paths = each_intruder(dir.path());
            assert_eq!(read_following_links(&dir.path().join("link")).unwrap(), b"hush");
            assert_eq!(read_following_links(Path::new("/dev/null")).unwrap(), b"");
            for name in ["pipe", "directory", "link to a directory", "socket", "dangling"] {
                let at = dir.path().join(name);
                soon(move || read_following_links(&at)).unwrap_err();
            }
            drop(paths);
        }

        #[test]
        fn a_new_file_is_its_owners_only() {
            let dir = tempfile::tempdir().unwrap();
            for made in [create, open_or_create] {
                let path = dir.path().join("new");
                let mode = made(&path).unwrap().metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o7777, 0o600);
                fs::remove_file(path).unwrap();
            }
        }
    }
}
