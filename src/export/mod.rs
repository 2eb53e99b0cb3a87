//! Claims as tables: one row a claim, one row a line, the same columns whatever they are written to.

mod columns;
mod csv;
mod parquet;
mod sqlite;

use std::path::{Path, PathBuf};

pub use columns::{CLAIMS, Cell, Column, DETAILS, Detail, LINES, OfClaim, OfLine, Type};

use crate::{
    archive::{index::for_each_line, manifest::Manifest},
    durable::Fresh,
    error::{Error, Exit, Result},
    fhir::claim::Claim,
};

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `claims.csv` and `lines.csv` in a directory.
    Csv,
    /// `claims.parquet` and `lines.parquet` in a directory.
    Parquet,
    /// One file with the tables `claims` and `lines`, and one for each thing that a claim has several of.
    Sqlite,
}

/// Which of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Claims,
    Lines,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Lines => "lines",
        }
    }

    /// Names and types of its columns, in order.
    fn columns(self) -> Vec<(&'static str, Type)> {
        match self {
            Self::Claims => CLAIMS.iter().map(|column| (column.name, column.kind)).collect(),
            Self::Lines => LINES.iter().map(|column| (column.name, column.kind)).collect(),
        }
    }
}

/// Somewhere rows go; dropped without [`Sink::finish`], nothing is left in place.
trait Sink {
    fn row(&mut self, table: Table, cells: &[Cell<'_>]) -> Result<()>;

    /// What the claim has several of, where there are tables for it.
    fn details(&mut self, _: &Claim) -> Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()>;
}

/// One file with one of the tables.
trait Rows: Sized {
    /// Its file's name ends like this.
    const EXTENSION: &'static str;

    fn begin(fresh: Fresh, table: Table) -> Result<Self>;
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()>;
    fn finish(self) -> Result<()>;
}

/// A directory with a file for each table.
struct Pair<R> {
    claims: R,
    lines: R,
}

impl<R: Rows> Pair<R> {
    fn create(dir: &Path) -> Result<Self> {
        let file = |table: Table| R::begin(begin(&dir.join(format!("{}.{}", table.name(), R::EXTENSION)))?, table);
        Ok(Self { claims: file(Table::Claims)?, lines: file(Table::Lines)? })
    }
}

impl<R: Rows> Sink for Pair<R> {
    fn row(&mut self, table: Table, cells: &[Cell<'_>]) -> Result<()> {
        match table {
            Table::Claims => self.claims.row(cells),
            Table::Lines => self.lines.row(cells),
        }
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.claims.finish()?;
        self.lines.finish()
    }
}

fn begin(place: &Path) -> Result<Fresh> {
    Fresh::begin_where_told(place).map_err(|cause| Error::disk("create", place, &cause))
}

fn keep(fresh: Fresh) -> Result<()> {
    let place = fresh.place().to_owned();
    fresh.keep().map_err(|cause| Error::disk("write", &place, &cause))
}

/// A library that writes a file says why it cannot.
fn unwritten(fresh: &Fresh, cause: &dyn std::fmt::Display) -> Error {
    Error::new(Exit::Disk, "disk", format!("cannot write {}: {cause}", fresh.place().display()))
        .hint("Check the disk, or give another --output.")
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows of the table of claims.
    pub claims: u64,
    /// Rows of the table of lines.
    pub lines: u64,
    /// Of the claims, those of which something could not be read ([`Claim::is_incomplete`]).
    pub incomplete: u64,
}

/// Runs through the claims of an archive, one in memory at a time.
///
/// # Errors
/// Those of `each`; [`Exit::Data`] where there is no archive of claims, or one that cannot be read; [`Exit::Disk`].
pub fn each_claim(dir: &Path, each: impl FnMut(Claim) -> Result<()>) -> Result<()> {
    each_claim_of(&file_of(dir)?, each)
}

/// Where the claims of an archive are.
fn file_of(dir: &Path) -> Result<PathBuf> {
    let none = || {
        Error::new(Exit::Data, "no_claims", format!("{} has no claims", dir.display()))
            .hint("Fetch them first: bbdl fetch eob --out DIR.")
    };
    let manifest = Manifest::load(dir)?.ok_or_else(none)?;
    let entry = manifest.resources.get("ExplanationOfBenefit").ok_or_else(none)?;
    let path = dir.join(&entry.file);
    if path.exists() { Ok(path) } else { Err(none()) }
}

fn each_claim_of(path: &Path, mut each: impl FnMut(Claim) -> Result<()>) -> Result<()> {
    for_each_line(path, |number, line| {
        let claim = Claim::read(line).map_err(|_| {
            Error::new(Exit::Data, "archive", format!("{}, line {number}: not JSON", path.display()))
                .hint("Run bbdl verify, then fetch with --full.")
        })?;
        each(claim)
    })
}

/// Writes the claims of the archive at `dir` to `output`. What is there under the same names is replaced when all is
/// written.
///
/// # Errors
/// As [`each_claim`].
pub fn export(dir: &Path, format: Format, output: &Path) -> Result<Written> {
    let file = file_of(dir)?;
    let mut sink: Box<dyn Sink> = match format {
        Format::Csv => Box::new(Pair::<csv::Csv>::create(output)?),
        Format::Parquet => Box::new(Pair::<parquet::Parquet>::create(output)?),
        Format::Sqlite => Box::new(sqlite::Sqlite::create(begin(output)?)?),
    };
    let mut written = Written::default();
    each_claim_of(&file, |claim| {
        let cells: Vec<Cell<'_>> = CLAIMS.iter().map(|column| (column.of)(&claim)).collect();
        sink.row(Table::Claims, &cells)?;
        sink.details(&claim)?;
        written.claims += 1;
        written.incomplete += u64::from(claim.is_incomplete);
        for line in &claim.lines {
            let cells: Vec<Cell<'_>> = LINES.iter().map(|column| (column.of)(&claim, line)).collect();
            sink.row(Table::Lines, &cells)?;
            written.lines += 1;
        }
        Ok(())
    })?;
    sink.finish()?;
    Ok(written)
}
