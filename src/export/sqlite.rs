//! An SQLite database with two tables.

use rusqlite::{Connection, ToSql, types::ToSqlOutput};

use super::{Cell, Sink, Table, Type, keep, unwritten};
use crate::{durable::Fresh, error::Result};

pub(super) struct Sqlite {
    connection: Connection,
    /// What inserts a row, per table.
    inserts: [(Table, String); 2],
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
    pub(super) fn create(fresh: Fresh) -> Result<Self> {
        let connection = Connection::open(fresh.path()).map_err(|cause| unwritten(&fresh, &cause))?;
        // Nobody sees the file before it is whole, and then it is synced.
        let settings = "pragma journal_mode = off; pragma synchronous = off; begin;";
        let tables = [Table::Claims, Table::Lines];
        let created: String = tables.into_iter().map(create).collect();
        connection.execute_batch(&(settings.to_owned() + &created)).map_err(|cause| unwritten(&fresh, &cause))?;
        let inserts = tables.map(|table| {
            let places = vec!["?"; table.columns().len()].join(", ");
            (table, format!("insert into {} values ({places})", table.name()))
        });
        Ok(Self { connection, inserts, fresh })
    }
}

/// The statement that makes a table.
fn create(table: Table) -> String {
    let columns = table.columns().into_iter().map(|(name, kind)| {
        let affinity = match kind {
            Type::Text => "text",
            Type::Count => "integer",
            Type::Money => "numeric",
        };
        let key = if table == Table::Claims && name == "claim_id" { " primary key" } else { "" };
        format!("\"{name}\" {affinity}{key}")
    });
    format!("create table {} ({});", table.name(), columns.collect::<Vec<_>>().join(", "))
}

impl Sink for Sqlite {
    fn row(&mut self, table: Table, cells: &[Cell<'_>]) -> Result<()> {
        let wrong = |cause: rusqlite::Error| unwritten(&self.fresh, &cause);
        for (_, insert) in self.inserts.iter().filter(|(of, _)| *of == table) {
            let mut insert = self.connection.prepare_cached(insert).map_err(wrong)?;
            insert.execute(rusqlite::params_from_iter(cells)).map_err(wrong)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let end = "create index lines_of_claim on lines (claim_id); commit;";
        self.connection.execute_batch(end).map_err(|cause| unwritten(&self.fresh, &cause))?;
        self.connection.close().map_err(|(_, cause)| unwritten(&self.fresh, &cause))?;
        keep(self.fresh)
    }
}
