//! The files below `changes/`: what a pull added or changed, and the ids of what is gone.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{
    dedup::Seen,
    id_hash::id_hash,
    lines::{create, drop_lines, each_line, sync},
};
use crate::{
    error::{Error, Result},
    fhir::resource::Header,
};

/// Resources that were added or changed, for readers that want only those. Not written on the first pull, because it
/// would repeat the whole file. The writer of a full pull and the merge of an increment fill it.
pub(super) struct Changes {
    path: PathBuf,
    wanted: bool,
    out: Option<BufWriter<File>>,
    /// Lines that a newer version on a later page has replaced.
    pub(super) superseded: HashSet<u64>,
}

impl Changes {
    pub(super) fn new(path: PathBuf, wanted: bool) -> Self {
        Self { path, wanted, out: None, superseded: HashSet::new() }
    }

    /// Finishes the file. Returns whether there is one.
    pub(super) fn finish(&mut self) -> Result<bool> {
        let Some(out) = self.out.take() else { return Ok(false) };
        sync(out, &self.path)?;
        if self.superseded.is_empty() {
            return Ok(true);
        }
        let (bytes, _) = drop_lines(&self.path, &self.superseded)?;
        if bytes == 0 {
            fs::remove_file(&self.path).map_err(|cause| Error::disk("remove", &self.path, &cause))?;
        }
        Ok(bytes > 0)
    }

    /// Adds a resource, given without a line break.
    pub(super) fn push(&mut self, line: &[u8]) -> Result<()> {
        if !self.wanted {
            return Ok(());
        }
        let out = match &mut self.out {
            Some(out) => out,
            None => self.out.insert(create(&self.path)?),
        };
        out.write_all(line)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|cause| Error::disk("write", &self.path, &cause))
    }
}

/// Writes a `{"resourceType","id"}` line for each id in the file at `previous` that is not in `seen`.
pub(super) fn write_removed(previous: &Path, seen: &Seen, removed: &Path) -> Result<u64> {
    let mut count = 0;
    let mut out = None;
    // A full pull also repairs a damaged file. A line that cannot be read does not mean that the server removed
    // something.
    each_line(previous, |_, text| {
        let Some(Ok(header)) = text.map(Header::read) else { return Ok(()) };
        if seen.contains_key(&id_hash(&header.id)) {
            return Ok(());
        }
        count += 1;
        let out = match &mut out {
            Some(out) => out,
            None => out.insert(create(removed)?),
        };
        let line = serde_json::json!({"resourceType": header.kind, "id": header.id});
        writeln!(out, "{line}").map_err(|cause| Error::disk("write", removed, &cause))
    })?;
    out.map_or(Ok(()), |out| sync(out, removed))?;
    Ok(count)
}
