//! An SQLite database: the two tables, one for each thing that a claim has several of, and views of what people ask.

use rusqlite::{Connection, ToSql, types::ToSqlOutput};

use super::{Cell, DETAILS, Sink, Table, Type, keep, unwritten};
use crate::{
    claim::{Claim, clean},
    error::{Error, ErrorKind, Result},
    files::durable::AtomicFile,
};

/// What people ask, of the claims that stand.
const VIEWS: &str = include_str!("views.sql");

pub(super) struct Sqlite {
    connection: Connection,
    /// What inserts a row, per table.
    inserts: [(Table, String); 3],
    /// What inserts a row into each of [`DETAILS`].
    details: Vec<String>,
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
            // The column's affinity makes a number of it; SQLite has no decimals.
            Self::Money(amount) => amount.to_string().into(),
        })
    }
}

impl Sqlite {
    pub(super) fn create(file: AtomicFile) -> Result<Self> {
        let connection = Connection::open(file.path()).map_err(|cause| unwritten(&file, &cause))?;
        // Nobody sees the file before it is whole, and then it is synced.
        let settings = "pragma journal_mode = off; pragma synchronous = off; begin;";
        let tables = [Table::Claims, Table::Lines, Table::Coverage];
        let mut created: String = tables.map(|table| create(table.name(), &table.columns())).concat();
        for detail in DETAILS {
            let columns = [&[("claim_id", Type::Text)], detail.columns].concat();
            created += &create(detail.name, &columns);
        }
        connection.execute_batch(&(settings.to_owned() + &created)).map_err(|cause| unwritten(&file, &cause))?;
        let insert =
            |name: &str, columns: usize| format!("insert into {name} values ({})", vec!["?"; columns].join(", "));
        let inserts = tables.map(|table| (table, insert(table.name(), table.columns().len())));
        let details = DETAILS.iter().map(|detail| insert(detail.name, 1 + detail.columns.len())).collect();
        Ok(Self { connection, inserts, details, file })
    }
}

/// The statement that makes a table.
fn create(table: &str, columns: &[(&str, Type)]) -> String {
    let columns = columns.iter().map(|(name, kind)| {
        let affinity = match kind {
            // A day as SQLite's own functions read it.
            Type::Text | Type::Day | Type::List => "text",
            Type::Count => "integer",
            Type::Money => "numeric",
        };
        let key = if table == Table::Claims.name() && *name == "claim_id" { " primary key" } else { "" };
        format!("\"{name}\" {affinity}{key}")
    });
    format!("create table {table} ({});", columns.collect::<Vec<_>>().join(", "))
}

impl Sink for Sqlite {
    fn row(&mut self, table: Table, cells: &[Cell<'_>]) -> Result<()> {
        let wrong = |cause: rusqlite::Error| match cause.sqlite_error_code() {
            // Known before the whole file is read.
            Some(rusqlite::ErrorCode::ConstraintViolation) => Error::new(
                ErrorKind::Archive,
                "the archive is damaged: ids that occur twice",
            )
            .hint(
                "Nothing was written. See `bbdl verify`; to download everything again: bbdl fetch all --full --out DIR",
            ),
            _ => unwritten(&self.file, &cause),
        };
        for (_, insert) in self.inserts.iter().filter(|(of, _)| *of == table) {
            let mut insert = self.connection.prepare_cached(insert).map_err(wrong)?;
            insert.execute(rusqlite::params_from_iter(cells)).map_err(wrong)?;
        }
        Ok(())
    }

    fn details(&mut self, claim: &Claim) -> Result<()> {
        let wrong = |cause: rusqlite::Error| unwritten(&self.file, &cause);
        for (detail, insert) in DETAILS.iter().zip(&self.details) {
            let rows = (detail.rows)(claim);
            let mut insert = self.connection.prepare_cached(insert).map_err(wrong)?;
            for mut row in rows {
                row.insert(0, Cell::Text(clean(&claim.id)));
                insert.execute(rusqlite::params_from_iter(row)).map_err(wrong)?;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let end = format!("{VIEWS} commit;");
        self.connection.execute_batch(&end).map_err(|cause| unwritten(&self.file, &cause))?;
        self.connection.close().map_err(|(_, cause)| unwritten(&self.file, &cause))?;
        keep(self.file)
    }
}
