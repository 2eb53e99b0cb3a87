//! The file of what a pull added or changed.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufWriter, Write},
    path::PathBuf,
};

use super::lines::{create, drop_lines, sync};
use crate::error::{Error, Result};

/// Resources that were added or changed, for readers that want only those. Not written on the first pull, because it
/// would repeat the whole file.
pub(super) struct Changes {
    path: PathBuf,
    wanted: bool,
    out: Option<BufWriter<File>>,
    /// Lines of versions that a later page has replaced.
    pub(super) superseded: HashSet<u64>,
}

impl Changes {
    pub(super) fn new(path: PathBuf, wanted: bool) -> Self {
        Self { path, wanted, out: None, superseded: HashSet::new() }
    }

    /// Ends the file; says whether there is one.
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

    pub(super) fn push(&mut self, line: &str) -> Result<()> {
        if !self.wanted {
            return Ok(());
        }
        let out = match &mut self.out {
            Some(out) => out,
            None => self.out.insert(create(&self.path)?),
        };
        out.write_all(line.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|cause| Error::disk("write", &self.path, &cause))
    }
}
