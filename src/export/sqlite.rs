//! An SQLite database with two tables.

use std::path::Path;

use rusqlite::{Connection, ToSql, types::ToSqlOutput};

use super::{CLAIMS, Cell, Fresh, LINES, Sink, Table, Type};
use crate::error::{Error, Exit, Result};

pub(super) struct Sqlite {
    connection: Connection,
    fresh: Fresh,
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Nothing => rusqlite::types::Null.into(),
            Self::Text(text) => text.as_ref().into(),
            Self::Count(count) => (*count).into(),
            // The column's affinity makes a number of it; SQLite has no decimals.
            Self::Money(amount) => amount.to_string().into(),
        })
    }
}

impl Sqlite {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let fresh = Fresh::create(path)?;
        let connection = Connection::open(fresh.file.path()).map_err(|cause| wrong(&fresh, &cause))?;
        // Nobody sees the file before it is whole, and then it is synced.
        let settings = "pragma journal_mode = off; pragma synchronous = off; begin;";
        let tables = [
            (Table::Claims, "primary key", CLAIMS.iter().map(|column| (column.name, column.kind)).collect::<Vec<_>>()),
            (Table::Lines, "", LINES.iter().map(|column| (column.name, column.kind)).collect()),
        ];
        let tables = tables.map(|(table, id, columns)| {
            let columns = columns.iter().enumerate().map(|(at, (name, kind))| {
                let affinity = match kind {
                    Type::Text => "text",
                    Type::Count => "integer",
                    Type::Money => "numeric",
                };
                format!("\"{name}\" {affinity} {}", if at == 0 { id } else { "" })
            });
            format!("create table {} ({});", table.name(), columns.collect::<Vec<_>>().join(", "))
        });
        connection.execute_batch(&(settings.to_owned() + &tables.concat())).map_err(|cause| wrong(&fresh, &cause))?;
        Ok(Self { connection, fresh })
    }
}

impl Sink for Sqlite {
    fn row(&mut self, table: Table, cells: &[Cell<'_>]) -> Result<()> {
        let places = vec!["?"; cells.len()].join(", ");
        let insert = format!("insert into {} values ({places})", table.name());
        let mut insert = self.connection.prepare_cached(&insert).map_err(|cause| wrong(&self.fresh, &cause))?;
        insert.execute(rusqlite::params_from_iter(cells)).map(|_| ()).map_err(|cause| wrong(&self.fresh, &cause))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let end = "create index lines_of_claim on lines (claim_id); commit;";
        self.connection.execute_batch(end).map_err(|cause| wrong(&self.fresh, &cause))?;
        self.connection.close().map_err(|(_, cause)| wrong(&self.fresh, &cause))?;
        self.fresh.keep()
    }
}

fn wrong(fresh: &Fresh, cause: &rusqlite::Error) -> Error {
    Error::new(Exit::Disk, "disk", format!("cannot write {}: {cause}", fresh.to.display()))
        .hint("Check the disk, or give another --output.")
}
