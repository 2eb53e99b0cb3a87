//! An SQLite database: the main tables, a table for each kind of detail that a claim can have several of, and views
//! for common questions.

use rusqlite::{Connection, ToSql, types::ToSqlOutput};

use super::{Cell, Columns, DETAILS, ENROLLEE, Enrollee, Layout, Row, Sink, Table, Type, keep, unwritten};
use crate::{
    claim::{Claim, clean},
    error::{Error, ErrorKind, Result},
    files::durable::AtomicFile,
};

/// Views for common questions. They contain only claims that count.
const VIEWS: &str = include_str!("views.sql");

pub(super) struct Sqlite {
    connection: Connection,
    /// The statement that inserts a row, for each table.
    inserts: [(Table, String); 3],
    /// The statement that inserts a row, for each of [`DETAILS`].
    details: Vec<String>,
    layout: Layout,
    file: AtomicFile,
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Nothing => rusqlite::types::Null.into(),
            Self::Text(text) => text.as_ref().into(),
            Self::Day(day) => day.to_string().into(),
            Self::List(codes) => codes.join(" ").into(),
            Self::Count(count) => (*count).into(),
            // The column's affinity turns the text into a number, because SQLite has no decimal type.
            Self::Money(amount) => amount.to_string().into(),
        })
    }
}

impl Sqlite {
    pub(super) fn create(file: AtomicFile, layout: Layout) -> Result<Self> {
        let connection = Connection::open(file.path()).map_err(|cause| unwritten(&file, &cause))?;
        // No one sees the file before it is complete, and then it is synced. So it needs no journal.
        let settings = "pragma journal_mode = off; pragma synchronous = off; begin;";
        let tables = Table::ALL.map(|table| layout.columns(table));
        let mut created: String = tables.iter().map(create).collect();
        let of_claim = || layout.of_many.then_some(ENROLLEE).into_iter().chain([("claim_id", Type::Text)]);
        let details = DETAILS.iter().map(|detail| Columns {
            table: detail.name,
            columns: of_claim().chain(detail.columns.iter().copied()).collect(),
        });
        let details: Vec<Columns> = details.collect();
        created.extend(details.iter().map(create));
        connection.execute_batch(&(settings.to_owned() + &created)).map_err(|cause| unwritten(&file, &cause))?;
        let insert = |head: &Columns| {
            format!("insert into {} values ({})", head.table, vec!["?"; head.columns.len()].join(", "))
        };
        let inserts = Table::ALL.map(|table| (table, insert(&layout.columns(table))));
        let details = details.iter().map(insert).collect();
        Ok(Self { connection, inserts, details, layout, file })
    }
}

/// The statement that creates a table.
fn create(head: &Columns) -> String {
    let is_claims = head.table == Table::Claims.name();
    let of_many = head.columns.first() == Some(&ENROLLEE);
    let columns = head.columns.iter().map(|(name, kind)| {
        let affinity = match kind {
            // A day in the form that SQLite's own functions read.
            Type::Text | Type::Day | Type::List => "text",
            Type::Count => "integer",
            Type::Money => "numeric",
        };
        let key = if is_claims && !of_many && *name == "claim_id" { " primary key" } else { "" };
        format!("\"{name}\" {affinity}{key}")
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    // Two people can have claims with the same id.
    let key = if is_claims && of_many { ", primary key (enrollee, claim_id)" } else { "" };
    format!("create table {} ({columns}{key});", head.table)
}

/// The views. With several archives, each one is also by enrollee.
fn views(of_many: bool) -> String {
    let (enrollee, [one, two]) = if of_many { ("enrollee, ", ["1, 2", "1, 2, 3"]) } else { ("", ["1", "1, 2"]) };
    VIEWS.replace("{enrollee}", enrollee).replace("{first}", one).replace("{first two}", two)
}

impl Sink for Sqlite {
    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        let wrong = |cause: rusqlite::Error| match cause.sqlite_error_code() {
            // This can be known before the whole file is read.
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                Error::new(ErrorKind::Archive, "the archive is damaged: ids that occur twice")
                    .hint("Nothing was written. To see which file, and what to type: bbdl verify DIR")
            }
            _ => unwritten(&self.file, &cause),
        };
        for (_, insert) in self.inserts.iter().filter(|(of, _)| *of == row.table) {
            let mut insert = self.connection.prepare_cached(insert).map_err(wrong)?;
            insert.execute(rusqlite::params_from_iter(&row.cells)).map_err(wrong)?;
        }
        Ok(())
    }

    fn details(&mut self, enrollee: Option<&Enrollee>, claim: &Claim) -> Result<()> {
        let wrong = |cause: rusqlite::Error| unwritten(&self.file, &cause);
        for (detail, insert) in DETAILS.iter().zip(&self.details) {
            let rows = (detail.rows)(claim);
            let mut insert = self.connection.prepare_cached(insert).map_err(wrong)?;
            for mut row in rows {
                row.insert(0, Cell::Text(clean(&claim.id)));
                if let Some(enrollee) = enrollee {
                    row.insert(0, Cell::Text(enrollee.as_str().into()));
                }
                insert.execute(rusqlite::params_from_iter(row)).map_err(wrong)?;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let end = format!("{} commit;", views(self.layout.of_many));
        self.connection.execute_batch(&end).map_err(|cause| unwritten(&self.file, &cause))?;
        self.connection.close().map_err(|(_, cause)| unwritten(&self.file, &cause))?;
        keep(self.file)
    }
}
