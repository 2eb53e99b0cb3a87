//! Claims as tables: one row a claim, one row a line, the same columns whatever they are written to.

mod columns;
mod csv;
mod fhir_bundle;
mod parquet;
mod sqlite;

use std::path::Path;

pub use columns::{CLAIMS, COVERAGE, Cell, Column, DETAILS, Detail, LINES, OfClaim, OfCoverage, OfLine, Type};

use crate::{
    archive::reader::refuse_own,
    claim::{
        Claim,
        archived::{Claims, coverages},
        coverage::Contract,
    },
    error::{Error, ErrorKind, Result},
    files::durable::AtomicFile,
};

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `claims.csv`, `lines.csv` and `coverage.csv` in a directory.
    Csv,
    /// `claims.parquet`, `lines.parquet` and `coverage.parquet` in a directory.
    Parquet,
    /// One file with these tables, and one for each thing that a claim has several of.
    Sqlite,
    /// One FHIR R4 Bundle of patient, coverage and claims as served, for a doctor or a portal (API v2, v3).
    FhirBundle,
}

/// Which of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Claims,
    Lines,
    Coverage,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Lines => "lines",
            Self::Coverage => "coverage",
        }
    }

    /// Names and types of its columns, in order.
    fn columns(self) -> Vec<(&'static str, Type)> {
        match self {
            Self::Claims => CLAIMS.iter().map(|column| (column.name, column.kind)).collect(),
            Self::Lines => LINES.iter().map(|column| (column.name, column.kind)).collect(),
            Self::Coverage => COVERAGE.iter().map(|column| (column.name, column.kind)).collect(),
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

    fn begin(file: AtomicFile, table: Table) -> Result<Self>;
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()>;
    /// Everything is in the file, which is not yet in its place.
    fn finish(self) -> Result<AtomicFile>;
}

/// A directory with a file for each table.
struct Files<R> {
    claims: R,
    lines: R,
    coverage: R,
}

impl<R: Rows> Files<R> {
    fn create(dir: &Path) -> Result<Self> {
        let file = |table: Table| R::begin(begin(&dir.join(format!("{}.{}", table.name(), R::EXTENSION)))?, table);
        Ok(Self { claims: file(Table::Claims)?, lines: file(Table::Lines)?, coverage: file(Table::Coverage)? })
    }
}

impl<R: Rows> Sink for Files<R> {
    fn row(&mut self, table: Table, cells: &[Cell<'_>]) -> Result<()> {
        match table {
            Table::Claims => self.claims.row(cells),
            Table::Lines => self.lines.row(cells),
            Table::Coverage => self.coverage.row(cells),
        }
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let files = [self.claims.finish()?, self.lines.finish()?, self.coverage.finish()?];
        let place = files[0].place().to_owned();
        AtomicFile::keep_all(files).map_err(|cause| Error::disk("write", &place, &cause))
    }
}

fn begin(place: &Path) -> Result<AtomicFile> {
    refuse_own(place)?;
    AtomicFile::begin_where_told(place).map_err(|cause| Error::disk("create", place, &cause))
}

fn keep(file: AtomicFile) -> Result<()> {
    let place = file.place().to_owned();
    file.keep().map_err(|cause| Error::disk("write", &place, &cause))
}

/// A library that writes a file says why it cannot.
fn unwritten(file: &AtomicFile, cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Disk, format!("cannot write {}: {cause}", file.place().display()))
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

/// Writes the claims of the archive at `dir` to `output`. What is there under the same names is replaced when all is
/// written and the archive was found to be what its manifest says.
///
/// # Errors
/// As [`Claims::each`]; [`crate::error::Exit::Usage`] where `output` is one of an archive's own files.
pub fn export(dir: &Path, format: Format, output: &Path) -> Result<Written> {
    let mut archive = Claims::open(dir)?;
    let mut sink: Box<dyn Sink> = match format {
        Format::FhirBundle => return fhir_bundle::write(dir, output),
        Format::Csv => Box::new(Files::<csv::Csv>::create(output)?),
        Format::Parquet => Box::new(Files::<parquet::Parquet>::create(output)?),
        Format::Sqlite => Box::new(sqlite::Sqlite::create(begin(output)?)?),
    };
    let mut written = Written::default();
    archive.each(|claim| {
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
    for coverage in coverages(dir)? {
        // One row a contract; a part without any has one row.
        let contracts: Vec<Option<&Contract>> = match coverage.contracts.as_slice() {
            [] => vec![None],
            contracts => contracts.iter().map(Some).collect(),
        };
        for contract in contracts {
            let cells: Vec<Cell<'_>> = COVERAGE.iter().map(|column| (column.of)(&coverage, contract)).collect();
            sink.row(Table::Coverage, &cells)?;
        }
    }
    sink.finish()?;
    Ok(written)
}
