//! The file that `--out` names: complete and private, or not there at all.

use std::{
    io::{self, BufWriter, Write as _},
    path::Path,
};

use crate::{
    commands::Context,
    error::{Error, Result},
    files::durable::AtomicFile,
};

/// Size of the write buffer.
const BUFFER: usize = 1 << 16;

/// The writer to the file until it is in place.
pub(super) type Writer = BufWriter<std::fs::File>;

/// Refuses a path where bbdl keeps its own files, and other names of standard output.
///
/// # Errors
/// [`crate::error::Exit::Usage`].
pub(super) fn refuse(context: &Context, place: &Path) -> Result<()> {
    context.refuse_own(place)?;
    if ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| place == Path::new(name)) {
        return Err(Error::usage(format!("{} is not a place for a file", place.display()))
            .hint("Use --out - for standard output."));
    }
    Ok(())
}

/// Puts the output of `write` at `place`, readable only by its owner. Returns the result of `write` and the file's
/// size.
///
/// # Errors
/// Errors of `write`, and [`crate::error::Exit::Disk`]. Then the old file at `place` is still there.
pub(super) fn write<T>(place: &Path, write: impl FnOnce(&mut Writer) -> Result<T>) -> Result<(T, u64)> {
    let wrong = |cause: &io::Error| cannot_write(place, cause);
    let file = AtomicFile::begin_where_told(place).map_err(|cause| wrong(&cause))?;
    let mut writer = BufWriter::with_capacity(BUFFER, file.file().map_err(|cause| wrong(&cause))?);
    let answer = write(&mut writer)?;
    writer.flush().map_err(|cause| wrong(&cause))?;
    let bytes = writer.get_ref().metadata().map_err(|cause| wrong(&cause))?.len();
    // Windows cannot rename a file that is open.
    drop(writer);
    file.keep().map_err(|cause| wrong(&cause))?;
    Ok((answer, bytes))
}

/// The error if `place` cannot be written.
pub(super) fn cannot_write(place: &Path, cause: &io::Error) -> Error {
    Error::disk("write", place, cause)
}
