//! Files of one resource a line: made, synced, thinned out, compared.

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

/// What is gathered before it goes to a file.
pub(super) const BUFFER: usize = 1 << 18;

/// A new private file, whose directory is made where needed.
pub(super) fn create(path: &Path) -> Result<BufWriter<File>> {
    if let Some(parent) = path.parent() {
        // The commit brings the directory to the disk, with what is in it.
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

/// Hands everything to the system, and does not wait for the disk.
pub(super) fn flush(out: BufWriter<File>, path: &Path) -> Result<()> {
    out.into_inner().map(drop).map_err(|cause| Error::disk("write", path, &cause.into_error()))
}

/// Brings a file that is closed to the disk.
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

    /// The next line with its number, from 1, and its line break. Only the last line may lack one.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &mut Vec<u8>)>> {
        self.line.clear();
        self.number += 1;
        let read = self.reader.read_until(b'\n', &mut self.line);
        let read = read.map_err(|cause| Error::disk("read", self.path, &cause))?;
        Ok((read > 0).then_some((self.number, &mut self.line)))
    }
}

/// Takes lines out of a file (a resource came again in a newer version on a later page). Rare: the
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
    // Not every file system of Windows replaces a file that is open, were it only by us.
    drop(lines);
    replace::rename(&kept, path).map_err(|cause| Error::disk("write", path, &cause))?;
    Ok((bytes, hash))
}

/// A finished hash as hexadecimal digits.
#[must_use]
pub(super) fn hex_digest(hash: Sha256) -> String {
    hex::encode(hash.finalize())
}

/// Runs through the lines of a file, each without its line break, numbered from 1.
///
/// # Errors
/// Those of `each`; [`crate::error::Exit::Data`] for a line that is no text, [`crate::error::Exit::Disk`].
pub(crate) fn for_each_line(path: &Path, mut each: impl FnMut(u64, &str) -> Result<()>) -> Result<()> {
    each_line(path, |number, line| match line {
        Some(line) => each(number, line),
        None => Err(damaged(path, number, "not UTF-8")),
    })
}

/// As [`for_each_line`], with nothing in place of a line that is no text.
///
/// # Errors
/// Those of `each`, and [`crate::error::Exit::Disk`].
pub(crate) fn each_line(path: &Path, each: impl FnMut(u64, Option<&str>) -> Result<()>) -> Result<()> {
    let file = match private_file::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(Error::disk("read", path, &cause)),
    };
    each_line_of(Lines::of(file, path), each)
}

/// As [`each_line`], of lines that are open.
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

/// A file of the archive is not what a pull has put there.
#[must_use]
pub(crate) fn not_as_it_was(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Archive, format!("{} is damaged: {why}", path.display()))
        .hint("Nothing was changed. Add --full to download everything again, or restore the file from a backup.")
}
