//! The resources of a file as it stood before, in constant room each: what tells added from changed.

use std::{
    io::{BufRead, BufReader},
    path::Path,
};

use super::{
    key::{Fingerprint, IdKey, key},
    table::Table,
};
use crate::{
    error::{Error, ErrorKind, Result},
    fhir::resource::Header,
    private_file,
};

/// The resources of an archive's file as it stood before: key and content of each.
#[derive(Default)]
pub struct Before {
    kept: Option<Table<ROW>>,
    patient: Option<String>,
}

/// Key and content of a resource.
const ROW: usize = 16 + 16;

impl Before {
    /// Nothing was there before: what comes now is the first of its kind.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Reads a file of one resource a line, one line in memory at a time; what of many has to be remembered
    /// is on the disk that `scratch` is on.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] for a line that is no resource, [`crate::error::Exit::Disk`].
    pub fn read(path: &Path, scratch: &Path) -> Result<Self> {
        let mut before = Self { kept: Some(Table::on_disk(scratch)), patient: None };
        for_each_line(path, |number, line| {
            let header = Header::read(line).map_err(|cause| damaged(path, number, &cause.to_string()))?;
            before.enter(header, line)
        })?;
        Ok(before)
    }

    /// Reads what can be read of a file that may be damaged, for a pull that replaces it.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn salvage(path: &Path, scratch: &Path) -> Result<Self> {
        let mut before = Self { kept: Some(Table::on_disk(scratch)), patient: None };
        each_line(path, |_, line| match line.and_then(|line| Some((line, Header::read(line).ok()?))) {
            Some((line, header)) => before.enter(header, line),
            None => Ok(()),
        })?;
        Ok(before)
    }

    fn enter(&mut self, header: Header, line: &str) -> Result<()> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        let (mut row, key) = ([0; ROW], key(&header.id));
        row[..16].copy_from_slice(&key);
        row[16..].copy_from_slice(&header.fingerprint(line));
        let earlier = kept.find(&key)?.map(|(number, _)| number);
        kept.put(&key, &row, earlier)?;
        self.patient = self.patient.take().or(header.patient);
        Ok(())
    }

    /// What was kept under this id.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn get(&self, key: &IdKey) -> Result<Option<Fingerprint>> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let found = kept.find(key)?;
        Ok(found.map(|(_, row)| {
            let mut fingerprint = [0; 16];
            fingerprint.copy_from_slice(&row[16..]);
            fingerprint
        }))
    }

    /// How many ids were kept; `None` where there was no earlier pull.
    pub(super) fn number(&self) -> Option<u64> {
        self.kept.as_ref().map(|kept| kept.len() as u64)
    }

    /// Whether there was no earlier pull.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.kept.is_none()
    }

    /// The Patient id that what was kept speaks of.
    #[must_use]
    pub fn patient(&self) -> Option<&str> {
        self.patient.as_deref()
    }
}

/// Runs through the lines of a file, each without its line break, numbered from 1.
///
/// # Errors
/// Those of `each`; [`crate::error::Exit::Data`] for a line that is no text, [`crate::error::Exit::Disk`].
pub fn for_each_line(path: &Path, mut each: impl FnMut(u64, &str) -> Result<()>) -> Result<()> {
    each_line(path, |number, line| match line {
        Some(line) => each(number, line),
        None => Err(damaged(path, number, "not UTF-8")),
    })
}

/// As [`for_each_line`], with nothing in place of a line that is no text.
///
/// # Errors
/// Those of `each`, and [`crate::error::Exit::Disk`].
pub fn each_line(path: &Path, each: impl FnMut(u64, Option<&str>) -> Result<()>) -> Result<()> {
    let file = match private_file::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(Error::disk("read", path, &cause)),
    };
    each_line_of(BufReader::with_capacity(1 << 18, file), path, each)
}

/// As [`each_line`], of the file at `path` as far as `reader` goes.
pub(super) fn each_line_of(
    mut reader: impl BufRead,
    path: &Path,
    mut each: impl FnMut(u64, Option<&str>) -> Result<()>,
) -> Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|cause| Error::disk("read", path, &cause))? == 0 {
            break;
        }
        each(number, std::str::from_utf8(&line).ok().map(|text| text.trim_end_matches('\n')))?;
    }
    Ok(())
}

pub(super) fn damaged(path: &Path, line: u64, why: &str) -> Error {
    not_as_it_was(path, &format!("line {line}: {why}"))
}

/// A file of the archive is not what a pull has put there.
#[must_use]
pub fn not_as_it_was(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Archive, format!("{} is damaged: {why}", path.display()))
        .hint("Nothing was changed. Add --full to fetch everything anew, or restore the file from a backup.")
}
