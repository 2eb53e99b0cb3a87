//! Writes many files at once. Each is written as by [`super::durable::write_private`], but they are synced together.
//!
//! All files are written under temporary names, then synced, then renamed, and then the renames are synced. So at any
//! time each name has either its old file or its whole new one, and a file that is reported as written is on the
//! disk. Linux syncs a whole file system in one call (`syncfs(2)`, which reports errors since Linux 5.8). Elsewhere
//! each file is synced separately.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use super::{durable, replace};
use crate::runtime::in_parallel;

/// A file to be written.
pub(crate) struct NewFile<'a> {
    /// Its final path.
    pub place: PathBuf,
    /// Its content.
    pub bytes: &'a [u8],
}

/// Writes files inside `root`, on one file system. The result has one entry per file, in their order. `is_secret`
/// files are not written if the file system cannot make them private.
pub(crate) fn write(root: &Path, files: &[NewFile<'_>], is_secret: bool) -> Vec<io::Result<()>> {
    if files.is_empty() {
        return Vec::new();
    }
    let mut written: Vec<io::Result<TempPath>> = in_parallel(files.iter().collect(), |file| temporary(file, is_secret));
    if let Err(cause) = sync_contents(root, &written) {
        written.iter_mut().for_each(|file| *file = Err(again(&cause)));
    }
    let pairs = files.iter().zip(written).collect();
    let rename = |(file, temporary): (&NewFile<'_>, io::Result<TempPath>)| replace::with(temporary?, &file.place);
    let mut renamed: Vec<io::Result<()>> = in_parallel(pairs, rename);
    if let Err(cause) = sync_names(root, files) {
        renamed.iter_mut().for_each(|file| *file = Err(again(&cause)));
    }
    renamed
}

/// Closed at once, because a batch may have more files than a process may have open.
fn temporary(file: &NewFile<'_>, is_secret: bool) -> io::Result<TempPath> {
    let mut temporary = durable::temporary_for(&file.place)?;
    if is_secret {
        durable::refuse_if_not_private(temporary.as_file())?;
    }
    temporary.write_all(file.bytes)?;
    Ok(temporary.into_temp_path())
}

#[cfg(target_os = "linux")]
fn sync_contents(root: &Path, _: &[io::Result<TempPath>]) -> io::Result<()> {
    sync_file_system(root)
}

#[cfg(not(target_os = "linux"))]
fn sync_contents(_: &Path, written: &[io::Result<TempPath>]) -> io::Result<()> {
    let open = |path: &TempPath| std::fs::OpenOptions::new().write(true).open(path);
    written.iter().flatten().try_for_each(|path| open(path)?.sync_all())
}

#[cfg(target_os = "linux")]
fn sync_names(root: &Path, _: &[NewFile<'_>]) -> io::Result<()> {
    sync_file_system(root)
}

#[cfg(not(target_os = "linux"))]
fn sync_names(_: &Path, files: &[NewFile<'_>]) -> io::Result<()> {
    let dirs: std::collections::BTreeSet<&Path> = files.iter().filter_map(|file| file.place.parent()).collect();
    dirs.into_iter().try_for_each(durable::sync_dir)
}

#[cfg(target_os = "linux")]
fn sync_file_system(root: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(std::fs::File::open(root)?)?)
}

fn again(cause: &io::Error) -> io::Error {
    cause.raw_os_error().map_or_else(|| cause.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_of_a_batch_succeeds_or_fails_alone() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("old"), "old").unwrap();
        std::fs::write(at("file"), "").unwrap();
        let names = ["old", "new", "file/below", "deep/er"];
        let files: Vec<NewFile<'_>> = names.iter().map(|name| NewFile { place: at(name), bytes: b"new" }).collect();
        let written: Vec<bool> = write(dir.path(), &files, true).iter().map(Result::is_ok).collect();
        assert_eq!(written, [true, true, false, true]);
        for name in ["old", "new", "deep/er"] {
            assert_eq!(std::fs::read(at(name)).unwrap(), b"new", "{name}");
        }
        let left = std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name());
        assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with('.')), "no temporary file stays");
    }
}
