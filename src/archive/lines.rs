//! Files with one resource per line: create, sync, drop lines, hash, read.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::{
    error::{Error, ErrorKind, Result},
    files::{private_dir, private_file, replace},
};

/// Size of the write buffer.
pub(super) const BUFFER: usize = 1 << 18;

/// Creates a private file, and its directory if needed.
pub(super) fn create(path: &Path) -> Result<BufWriter<File>> {
    if let Some(parent) = path.parent() {
        // The commit syncs the directory and its content later.
        private_dir::create_unsynced(parent).map_err(|cause| Error::disk("create", parent, &cause))?;
    }
    let file = private_file::create(path).map_err(|cause| Error::disk("create", path, &cause))?;
    Ok(BufWriter::with_capacity(BUFFER, file))
}

pub(super) fn sync(out: BufWriter<File>, path: &Path) -> Result<()> {
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .map_err(|cause| Error::disk("write", path, &cause))
}

/// Hands everything to the operating system, without waiting for the disk.
pub(super) fn flush(out: BufWriter<File>, path: &Path) -> Result<()> {
    out.into_inner().map(drop).map_err(|cause| Error::disk("write", path, &cause.into_error()))
}

/// Syncs a closed file to the disk.
pub(super) fn sync_file(path: &Path) -> Result<()> {
    let file = private_file::open_to_append(path).and_then(|file| file.sync_all());
    file.map_err(|cause| Error::disk("write", path, &cause))
}

/// The lines of a file, one in memory at a time.
pub(super) struct Lines<'a, F> {
    reader: BufReader<F>,
    path: &'a Path,
    line: Vec<u8>,
    number: u64,
}

impl<'a, F: Read> Lines<'a, F> {
    /// The lines of an open file, which is at `path`.
    pub(super) fn of(file: F, path: &'a Path) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER, file), path, line: Vec::new(), number: 0 }
    }

    /// The next line with its number, from 1, and with its line break. Only the last line may have none.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &mut Vec<u8>)>> {
        self.line.clear();
        self.number += 1;
        let read = self.reader.read_until(b'\n', &mut self.line);
        let read = read.map_err(|cause| Error::disk("read", self.path, &cause))?;
        Ok((read > 0).then_some((self.number, &mut self.line)))
    }
}

/// Removes lines from a file, because a newer version of their resource came on a later page. This is rare, so the
/// whole file is copied.
pub(super) fn drop_lines(path: &Path, superseded: &HashSet<u64>) -> Result<(u64, Sha256)> {
    let kept = path.with_extension("kept");
    let mut out = create(&kept)?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let file = private_file::open(path).map_err(|cause| Error::disk("read", path, &cause))?;
    let mut lines = Lines::of(file, path);
    while let Some((number, line)) = lines.next()? {
        if !superseded.contains(&(number - 1)) {
            hash.update(&*line);
            bytes += line.len() as u64;
            out.write_all(line).map_err(|cause| Error::disk("write", &kept, &cause))?;
        }
    }
    sync(out, &kept)?;
    // Some Windows file systems do not replace a file that is open, even if only we have it open.
    drop(lines);
    replace::rename(&kept, path).map_err(|cause| Error::disk("write", path, &cause))?;
    Ok((bytes, hash))
}

/// A finished hash as hexadecimal digits.
#[must_use]
pub(super) fn hex_digest(hash: Sha256) -> String {
    hex::encode(hash.finalize())
}

/// Calls `each` for the lines of a file, without their line breaks, numbered from 1.
///
/// # Errors
/// Errors of `each`; [`crate::error::Exit::Data`] for a line that is not text; [`crate::error::Exit::Disk`].
pub(crate) fn for_each_line(path: &Path, mut each: impl FnMut(u64, &str) -> Result<()>) -> Result<()> {
    each_line(path, |number, line| match line {
        Some(line) => each(number, line),
        None => Err(damaged(path, number, "not UTF-8")),
    })
}

/// Like [`for_each_line`], but gives `None` for a line that is not text.
///
/// # Errors
/// Errors of `each`, and [`crate::error::Exit::Disk`].
pub(crate) fn each_line(path: &Path, each: impl FnMut(u64, Option<&str>) -> Result<()>) -> Result<()> {
    let file = match private_file::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(Error::disk("read", path, &cause)),
    };
    each_line_of(Lines::of(file, path), each)
}

/// Like [`each_line`], for lines that are open already.
pub(super) fn each_line_of<F: Read>(
    mut lines: Lines<'_, F>,
    mut each: impl FnMut(u64, Option<&str>) -> Result<()>,
) -> Result<()> {
    while let Some((number, line)) = lines.next()? {
        each(number, std::str::from_utf8(line).ok().map(|text| text.trim_end_matches('\n')))?;
    }
    Ok(())
}

pub(super) fn damaged(path: &Path, line: u64, why: &str) -> Error {
    not_as_it_was(path, &format!("line {line}: {why}"))
}

/// The error for a file of the archive that is not as a pull wrote it.
#[must_use]
pub(crate) fn not_as_it_was(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Archive, format!("{} is damaged: {why}", path.display()))
        .hint("Nothing was changed. Add --full to download everything again, or restore the file from a backup.")
}
