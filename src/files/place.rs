//! Finds out where a path leads.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::durable;

/// The path without symbolic links. A file that does not exist yet keeps its name.
#[must_use]
pub(crate) fn followed(path: &Path) -> PathBuf {
    let in_its_directory = || Some(fs::canonicalize(durable::directory_of(path)).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(in_its_directory).unwrap_or_else(|| path.to_owned())
}

/// The absolute path without symbolic links. Parts that do not exist yet keep their names.
#[must_use]
pub(crate) fn resolved(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = whole.ancestors().find_map(|part| Some((fs::canonicalize(part).ok()?, part)));
    match there {
        Some((real, part)) => whole.strip_prefix(part).map_or_else(|_| whole.clone(), |rest| real.join(rest)),
        None => whole,
    }
}

/// A free name beside `path`: `path-2`, or another number.
#[must_use]
pub(crate) fn free_beside(path: &Path) -> PathBuf {
    // `.` and `..` get a real name only this way.
    let whole = fs::canonicalize(path).ok().filter(|_| path.file_name().is_none());
    let path = whole.as_deref().unwrap_or(path);
    let name = path.file_name().unwrap_or("claims".as_ref());
    let numbered = |number: usize| {
        let mut name = name.to_owned();
        name.push(format!("-{number}"));
        path.with_file_name(name)
    };
    (2..).map(numbered).find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| numbered(2))
}

/// Why no directory is here and none can be made, if that is so: something else is in its place or in its path.
#[must_use]
pub(crate) fn why_no_directory(path: &Path) -> Option<&'static str> {
    let is_other = |path: &Path| fs::metadata(path).ok().filter(|there| !there.is_dir());
    if let Some(there) = is_other(path) {
        return Some(if there.is_file() {
            "is a file, not a directory"
        } else {
            "is a device or a pipe, not a directory"
        });
    }
    path.ancestors().skip(1).any(|above| is_other(above).is_some()).then_some("has a file in its path")
}

/// Whether something other than a file is there: a directory, a device, a pipe, a broken link, or a name for this
/// program's own output.
#[must_use]
pub(crate) fn is_no_file(path: &Path) -> bool {
    const OUTPUT: [&str; 4] = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"];
    let is_link = || fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink());
    OUTPUT.iter().any(|output| path.starts_with(output))
        || fs::metadata(path).map_or_else(|_| is_link(), |there| !there.is_file())
}
