//! Claims as tables: one row per claim and one row per line, with the same columns in every format. With many
//! archives, the first column says whose row it is.

mod columns;
mod csv;
mod fhir_bundle;
mod many;
mod parquet;
mod parts;
mod sqlite;

use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
};

pub use columns::{CLAIMS, COVERAGE, Cell, Column, DETAILS, Detail, LINES, OfClaim, OfCoverage, OfLine, Type};
pub use many::{Archives, Enrollee};
pub use parts::PART;

use jiff::civil::Date;

use crate::{
    api_version::ApiVersion,
    archive::{manifest::Source, reader::refuse_own},
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
    /// `claims.csv`, `lines.csv` and `coverage.csv` in a directory; with several archives, one directory for each table.
    Csv,
    /// `claims.parquet`, `lines.parquet` and `coverage.parquet` in a directory; with several archives, one directory for each table.
    Parquet,
    /// One file with these tables, and one more table for each kind of detail that can occur several times in a claim.
    Sqlite,
    /// One FHIR R4 Bundle with the patient, coverage and claims as the server sent them, for a doctor or a portal (API v2, v3).
    FhirBundle,
}

/// How rows are divided into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Partition {
    /// By the year of a claim's first service (`year=2026`).
    Year,
}

/// What to write, where and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is written.
    pub format: Format,
    /// A directory for CSV and Parquet, a file for the others.
    pub output: PathBuf,
    /// How rows are divided into files, if at all.
    pub partition: Option<Partition>,
    /// The approximate size of a file if a table has several: [`PART`].
    pub part: u64,
}

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Table {
    Claims,
    Lines,
    Coverage,
}

/// How tables are laid out.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Whether the first column is [`ENROLLEE`].
    of_many: bool,
    /// Whether there are files for each year.
    by_year: bool,
    /// The approximate limit of a file's size, in bytes.
    part: u64,
}

/// The first column if there are several archives.
const ENROLLEE: (&str, Type) = ("enrollee", Type::Text);

impl Layout {
    /// Names and types of the columns of a table, in order.
    fn columns(self, table: Table) -> Columns {
        let columns = self.of_many.then_some(ENROLLEE).into_iter().chain(table.columns());
        Columns { table: table.name(), columns: columns.collect() }
    }
}

/// The columns of a table.
struct Columns {
    table: &'static str,
    columns: Vec<(&'static str, Type)>,
}

/// A row, and the year of its claim.
struct Row<'r> {
    table: Table,
    year: Option<i16>,
    cells: Vec<Cell<'r>>,
}

impl Table {
    const ALL: [Self; 3] = [Self::Claims, Self::Lines, Self::Coverage];

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

/// Receives rows. If it is dropped without [`Sink::finish`], nothing is left behind.
trait Sink {
    fn row(&mut self, row: &Row<'_>) -> Result<()>;

    /// The rows of the claim's details, if the format has tables for them.
    fn details(&mut self, _: Option<&Enrollee>, _: &Claim) -> Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()>;
}

/// One file with one of the tables.
trait Rows: Sized {
    /// The ending of the file's name.
    const EXTENSION: &'static str;

    fn begin(file: AtomicFile, columns: &Columns) -> Result<Self>;
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()>;
    /// About how many bytes are in the file.
    fn bytes(&self) -> u64;
    /// Writes the rest. The file is then complete, but not yet in its final place.
    fn finish(self) -> Result<AtomicFile>;
}

/// A directory with a file for each table.
struct Files<R> {
    claims: R,
    lines: R,
    coverage: R,
}

impl<R: Rows> Files<R> {
    fn create(dir: &Path, layout: Layout) -> Result<Self> {
        let file = |table: Table| {
            let place = dir.join(format!("{}.{}", table.name(), R::EXTENSION));
            R::begin(begin(&place)?, &layout.columns(table))
        };
        Ok(Self { claims: file(Table::Claims)?, lines: file(Table::Lines)?, coverage: file(Table::Coverage)? })
    }
}

impl<R: Rows> Sink for Files<R> {
    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        match row.table {
            Table::Claims => self.claims.row(&row.cells),
            Table::Lines => self.lines.row(&row.cells),
            Table::Coverage => self.coverage.row(&row.cells),
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

/// The error if the library that writes the file fails.
fn unwritten(file: &AtomicFile, cause: &(dyn std::error::Error + 'static)) -> Error {
    let mut all = std::iter::successors(Some(cause), |cause| cause.source());
    if let Some(of_system) = all.find_map(|cause| cause.downcast_ref()) {
        return Error::disk("write", file.place(), of_system);
    }
    Error::new(ErrorKind::Disk, format!("cannot write {}: {cause}", file.place().display()))
        .hint("Check the disk, or give another --out.")
}

/// How much was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows of the table of claims.
    pub claims: u64,
    /// Rows of the table of lines.
    pub lines: u64,
    /// How many claims could not be read completely ([`Claim::is_incomplete`]).
    pub incomplete: u64,
    /// The same for coverage ([`crate::claim::coverage::Coverage::is_incomplete`]).
    pub incomplete_coverage: u64,
    /// If there are several archives, those that are left out because they have no claims.
    pub without_claims: Vec<PathBuf>,
    /// Pairs of archives of the same person. The claims of both are in the tables.
    pub twice: Vec<(PathBuf, PathBuf)>,
}

/// Writes the claims of archives as `plan` says. Existing output under the same names is replaced only when all is
/// written and each archive has proved to be what its manifest says. One archive is open at a time.
///
/// # Errors
/// The errors of [`Claims::each`]. [`crate::error::Exit::Usage`] if the output is one of an archive's own files, or
/// in another archive, or if the format cannot do it: a bundle of several archives, a database or a bundle by year.
pub fn export(archives: &Archives, plan: &Plan) -> Result<Written> {
    let (output, by_year) = (plan.output.as_path(), plan.partition == Some(Partition::Year));
    let layout = Layout { of_many: archives.is_many(), by_year, part: plan.part };
    if by_year && matches!(plan.format, Format::Sqlite | Format::FhirBundle) {
        return Err(Error::usage("--partition-by works only with csv and parquet")
            .hint("Write them with --to parquet or --to csv, or leave --partition-by out."));
    }
    let in_parts = layout.of_many || by_year;
    archives.refuse_output_in_an_archive(output)?;
    // Reports an archive that cannot be read before anything is written.
    let mut first = Some(archives.open(archives.first())?);
    let mut sink: Box<dyn Sink> = match plan.format {
        Format::FhirBundle => return fhir_bundle::write(archives.only()?, output),
        Format::Csv if in_parts => Box::new(parts::Parts::<csv::Csv>::create(output, layout)?),
        Format::Parquet if in_parts => Box::new(parts::Parts::<parquet::Parquet>::create(output, layout)?),
        Format::Csv => Box::new(Files::<csv::Csv>::create(output, layout)?),
        Format::Parquet => Box::new(Files::<parquet::Parquet>::create(output, layout)?),
        Format::Sqlite => Box::new(sqlite::Sqlite::create(begin(output)?, layout)?),
    };
    let (mut written, mut none, mut people) = (Written::default(), None, HashMap::<_, &Path>::new());
    for (enrollee, dir) in archives.each() {
        let claims = match first.take().map_or_else(|| archives.open(dir), Ok)? {
            Ok(claims) => claims,
            Err(error) => {
                written.without_claims.push(dir.to_owned());
                none = Some(error);
                continue;
            }
        };
        let Source { server, api, patient } = &claims.manifest().source;
        if let Some(patient) = patient {
            // v1 and v2 have the same ids and the same claims.
            let is_v3 = api.shares_ids_with(ApiVersion::V3);
            match people.entry((server.clone(), is_v3, patient.clone())) {
                Entry::Occupied(before) => written.twice.push((before.get().to_path_buf(), dir.to_owned())),
                Entry::Vacant(first) => drop(first.insert(dir)),
            }
        }
        let one = Exported { enrollee, sink: sink.as_mut() }.all(dir, claims)?;
        written.claims += one.claims;
        written.lines += one.lines;
        written.incomplete += one.incomplete;
        written.incomplete_coverage += one.incomplete_coverage;
    }
    // If no archive has claims, report the first error.
    if let Some(error) = none.filter(|_| written.without_claims.len() == archives.each().count()) {
        return Err(error);
    }
    sink.finish()?;
    Ok(written)
}

/// An archive that is being exported.
struct Exported<'e> {
    enrollee: Option<&'e Enrollee>,
    sink: &'e mut dyn Sink,
}

impl Exported<'_> {
    fn all(mut self, dir: &Path, mut archive: Claims) -> Result<Written> {
        let mut written = Written::default();
        archive.each(|claim| {
            let year = claim.first_day().map(Date::year);
            self.row(Table::Claims, year, CLAIMS.iter().map(|column| (column.of)(&claim)))?;
            self.sink.details(self.enrollee, &claim)?;
            written.claims += 1;
            written.incomplete += u64::from(claim.is_incomplete);
            for line in &claim.lines {
                self.row(Table::Lines, year, LINES.iter().map(|column| (column.of)(&claim, line)))?;
                written.lines += 1;
            }
            Ok(())
        })?;
        for coverage in coverages(dir)? {
            written.incomplete_coverage += u64::from(coverage.is_incomplete);
            // One row per contract. A part without a contract has one row.
            let contracts: Vec<Option<&Contract>> = match coverage.contracts.as_slice() {
                [] => vec![None],
                contracts => contracts.iter().map(Some).collect(),
            };
            for contract in contracts {
                self.row(Table::Coverage, None, COVERAGE.iter().map(|column| (column.of)(&coverage, contract)))?;
            }
        }
        Ok(written)
    }

    fn row<'c>(&mut self, table: Table, year: Option<i16>, cells: impl Iterator<Item = Cell<'c>>) -> Result<()> {
        let enrollee = self.enrollee.map(|it| Cell::Text(it.as_str().to_owned().into()));
        let cells = enrollee.into_iter().chain(cells).collect();
        self.sink.row(&Row { table, year, cells })
    }
}
