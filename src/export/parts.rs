//! Tables as directories of files of about 128 MB, optionally by year: the output for many archives.
//!
//! The form is `OUTPUT/claims/part-00000.parquet`, or `OUTPUT/claims/year=2026/part-00000.parquet`. Spark, DuckDB and
//! pandas read such a table of several files.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use super::{Layout, Row, Rows, Sink, Table, begin};
use crate::{
    error::{Error, Result},
    files::{durable::sync_dir, private_dir},
};

/// The approximate size of a file: large enough for parallel readers, small enough to send.
pub const PART: u64 = 128 << 20;

/// The most files that are open at once. If years in the data are wrong, one file for each year could exceed the
/// system's limit.
const MOST_OPEN: usize = 48;

/// The directory inside the output in which files stay until all of them are complete.
const STAGE: &str = ".bbdl-export-";
/// No export takes this long, so an older directory of this kind is from an export that was killed.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Hive's name for an unknown year. Spark, DuckDB and pyarrow read it as null.
const NO_YEAR: &str = "__HIVE_DEFAULT_PARTITION__";

/// What a file contains.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    table: Table,
    /// The year of service, if there are files for each year.
    year: Option<Option<i16>>,
}

impl Place {
    fn dir(self) -> PathBuf {
        let table = PathBuf::from(self.table.name());
        match self.year {
            None => table,
            Some(None) => table.join(format!("year={NO_YEAR}")),
            Some(Some(year)) => table.join(format!("year={year:04}")),
        }
    }
}

/// A file that is being written.
struct Part<R> {
    rows: R,
    /// When this file was last written to, counted in rows of all files.
    last: u64,
}

pub(super) struct Parts<R> {
    output: PathBuf,
    layout: Layout,
    open: HashMap<Place, Part<R>>,
    /// Removed with its content when it is dropped. It comes after the open files above, because Windows cannot
    /// remove a directory in which a file is open.
    stage: TempDir,
    /// How many files were started.
    begun: HashMap<Place, u32>,
    rows: u64,
}

impl<R: Rows> Parts<R> {
    pub(super) fn create(output: &Path, layout: Layout) -> Result<Self> {
        for table in Table::ALL {
            refuse_others(&output.join(table.name()), R::EXTENSION)?;
        }
        let wrong = |cause: std::io::Error| Error::disk("create a directory in", output, &cause);
        private_dir::create(output).map_err(wrong)?;
        clear_abandoned(output);
        let stage = tempfile::Builder::new().prefix(STAGE).tempdir_in(output).map_err(wrong)?;
        Ok(Self { output: output.to_owned(), layout, open: HashMap::new(), stage, begun: HashMap::new(), rows: 0 })
    }

    /// The file that is being written there, started if needed.
    fn part(&mut self, place: Place) -> Result<&mut Part<R>> {
        if !self.open.contains_key(&place) && self.open.len() == MOST_OPEN {
            let oldest = self.open.iter().min_by_key(|(_, part)| part.last).map(|(place, _)| *place);
            oldest.map_or(Ok(()), |oldest| self.end(oldest))?;
        }
        match self.open.entry(place) {
            Entry::Occupied(part) => Ok(part.into_mut()),
            Entry::Vacant(empty) => {
                let number = self.begun.entry(place).or_default();
                let name = format!("part-{number:05}.{}", R::EXTENSION);
                *number += 1;
                let file = begin(&self.stage.path().join(place.dir()).join(name))?;
                let rows = R::begin(file, &self.layout.columns(place.table))?;
                Ok(empty.insert(Part { rows, last: self.rows }))
            }
        }
    }

    /// Finishes a file: it is on the disk, and its handle is closed.
    fn end(&mut self, place: Place) -> Result<()> {
        let Some(part) = self.open.remove(&place) else { return Ok(()) };
        super::keep(part.rows.finish()?)
    }
}

impl<R: Rows> Sink for Parts<R> {
    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        let by_year = self.layout.by_year && row.table != Table::Coverage;
        let place = Place { table: row.table, year: by_year.then_some(row.year) };
        self.rows += 1;
        let (count, most) = (self.rows, self.layout.part);
        let part = self.part(place)?;
        part.rows.row(&row.cells)?;
        part.last = count;
        if part.rows.bytes() >= most { self.end(place) } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        for place in self.open.keys().copied().collect::<Vec<_>>() {
            self.end(place)?;
        }
        // A table without rows still has its columns.
        for table in Table::ALL
            .into_iter()
            .filter(|table| self.begun.keys().all(|place| place.table != *table))
            .collect::<Vec<_>>()
        {
            let place = Place { table, year: None };
            self.part(place)?;
            self.end(place)?;
        }
        let (output, stage) = (&self.output, self.stage.path());
        for table in Table::ALL {
            let (place, new) = (output.join(table.name()), stage.join(table.name()));
            let old = stage.join(format!("old-{}", table.name()));
            let wrong = |cause: std::io::Error| Error::disk("write", &place, &cause);
            let is_there = place.exists();
            if is_there {
                fs::rename(&place, &old).map_err(wrong)?;
            }
            if let Err(cause) = fs::rename(&new, &place) {
                if is_there {
                    let _ = fs::rename(&old, &place);
                }
                return Err(wrong(cause));
            }
        }
        sync_dir(output).map_err(|cause| Error::disk("write", output, &cause))
    }
}

/// Refuses an output directory with anything that this module did not write, because it would be removed.
fn refuse_others(place: &Path, extension: &str) -> Result<()> {
    super::refuse_own(place)?;
    let Ok(metadata) = fs::symlink_metadata(place) else { return Ok(()) };
    if metadata.is_dir() && has_parts_only(place, extension, true) {
        return Ok(());
    }
    Err(Error::usage(format!("{} has something else than tables of bbdl's in .{extension} files", place.display()))
        .hint("Nothing was changed. Give another --out."))
}

fn has_parts_only(dir: &Path, extension: &str, may_have_years: bool) -> bool {
    fs::read_dir(dir).is_ok_and(|entries| {
        entries.into_iter().all(|entry| {
            let Ok(entry) = entry else { return false };
            let name = entry.file_name();
            let Some(name) = name.to_str() else { return false };
            match entry.file_type() {
                Ok(kind) if kind.is_file() => {
                    name.starts_with("part-") && Path::new(name).extension().is_some_and(|it| it == extension)
                }
                Ok(kind) if kind.is_dir() => {
                    may_have_years && name.starts_with("year=") && has_parts_only(&entry.path(), extension, false)
                }
                _ => false,
            }
        })
    })
}

/// Removes what a killed export left behind, because it is health data.
fn clear_abandoned(output: &Path) {
    let is_old = |metadata: &fs::Metadata| {
        metadata.modified().is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|since| since > ABANDONED))
    };
    for entry in fs::read_dir(output).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(STAGE));
        if is_ours && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && is_old(&metadata)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
