//! The file that `--out` names: whole and private, or not there.

use std::{
    io::{self, BufWriter, Write as _},
    path::Path,
};

use crate::{
    commands::Context,
    error::{Error, Result},
    files::durable::AtomicFile,
};

/// What is gathered before it is written.
const BUFFER: usize = 1 << 16;

/// What is written to, until it is in place.
pub(super) type Writer = BufWriter<std::fs::File>;

/// Refuses a place where bbdl keeps something of its own, and one of standard output's other names.
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

/// Puts what `write` writes at `place`, for its owner alone to read. The answer is its own, and the file's bytes.
///
/// # Errors
/// Those of `write`, and [`crate::error::Exit::Disk`]; what was at `place` is still there then.
pub(super) fn write<T>(place: &Path, write: impl FnOnce(&mut Writer) -> Result<T>) -> Result<(T, u64)> {
    let wrong = |cause: &io::Error| cannot_write(place, cause);
    let file = AtomicFile::begin_where_told(place).map_err(|cause| wrong(&cause))?;
    let mut writer = BufWriter::with_capacity(BUFFER, file.file().map_err(|cause| wrong(&cause))?);
    let answer = write(&mut writer)?;
    writer.flush().map_err(|cause| wrong(&cause))?;
    let bytes = writer.get_ref().metadata().map_err(|cause| wrong(&cause))?.len();
    // Windows puts no file in place that is open.
    drop(writer);
    file.keep().map_err(|cause| wrong(&cause))?;
    Ok((answer, bytes))
}

/// A failure to write to `place`.
pub(super) fn cannot_write(place: &Path, cause: &io::Error) -> Error {
    Error::disk("write", place, cause)
}
