//! The tables in the database, their version, and the migrations between versions.

use tokio_postgres::types::Type;

use super::database::Database;
use crate::error::{Error, ErrorKind, Result};

/// The migrations from each version to the next. The first makes version 1. Released ones are never changed.
const MIGRATIONS: [&str; 3] = [
    include_str!("migrations/0001_enrollees.sql"),
    include_str!("migrations/0002_one_limit.sql"),
    include_str!("migrations/0003_ended_are_due.sql"),
];

/// A number that no other program locks.
const LOCK: i64 = 0x6262_646c;

/// The tables as bbdl found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// There are none.
    Missing,
    /// They are those of an older bbdl.
    Older(usize),
    /// They are those of this bbdl.
    Current,
    /// They are those of a newer bbdl.
    Newer(usize),
}

/// What may be done to tables of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// Nothing.
    Nothing,
    /// Bring older ones up to date.
    Existing,
    /// Create missing ones, too.
    Create,
}

/// Checks the tables.
pub(super) async fn look(database: &Database) -> Result<SchemaState> {
    let there = database.query("SELECT to_regclass('bbdl.schema_version') IS NOT NULL", &[]).await?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(SchemaState::Missing);
    }
    let rows = database.query("SELECT max(version) FROM bbdl.schema_version", &[]).await?;
    let version: Option<i32> = rows.first().and_then(|row| row.get(0));
    Ok(match usize::try_from(version.unwrap_or_default()).unwrap_or_default() {
        version if version < MIGRATIONS.len() => SchemaState::Older(version),
        version if version > MIGRATIONS.len() => SchemaState::Newer(version),
        _ => SchemaState::Current,
    })
}

/// Makes sure that the tables are right for this bbdl.
///
/// # Errors
/// [`crate::error::Exit::NotSetUp`] if they are not, and may not be changed.
pub(super) async fn require(database: &Database, migrate: Migrate) -> Result<()> {
    let state = look(database).await?;
    match (state, migrate) {
        (SchemaState::Current, _) => Ok(()),
        (SchemaState::Older(_), Migrate::Existing)
        | (SchemaState::Older(_) | SchemaState::Missing, Migrate::Create) => {
            bring_up_to_date(database, MIGRATIONS.len()).await
        }
        _ => Err(state.unusable(database)),
    }
}

impl SchemaState {
    fn unusable(self, database: &Database) -> Error {
        let address = database.address();
        match self {
            Self::Newer(version) => Error::new(
                ErrorKind::StateSetup,
                format!(
                    "the shared state at {address} has version {version}, and this bbdl knows versions up to {}",
                    MIGRATIONS.len()
                ),
            )
            .hint("Use the newest bbdl on all machines."),
            _ => Error::new(ErrorKind::StateSetup, format!("there is no shared state of bbdl's at {address}"))
                .hint("Make it with the first import: bbdl profiles import FILE --state URL"),
        }
    }
}

/// Applies the missing migrations up to `version`, one process at a time. Either all take effect or none.
async fn bring_up_to_date(database: &Database, version: usize) -> Result<()> {
    let steps: String = MIGRATIONS.iter().take(version).enumerate().map(|(at, sql)| step(at + 1, sql)).collect();
    database
        .batch(&format!(
            "BEGIN;
             SELECT pg_advisory_xact_lock({LOCK});
             {make}
             DO $bbdl$ DECLARE present integer; BEGIN
                 SELECT coalesce(max(version), 0) INTO present FROM bbdl.schema_version;
                 {steps}
             END $bbdl$;
             COMMIT;",
            make = "DO $bbdl$ BEGIN
                 -- Whoever may not make schemas uses the one that an administrator made.
                 IF to_regnamespace('bbdl') IS NULL THEN CREATE SCHEMA bbdl; END IF;
             END $bbdl$;
             CREATE TABLE IF NOT EXISTS bbdl.schema_version (
                 version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());",
        ))
        .await
}

/// Statements that run a migration only if it has not been applied yet.
fn step(version: usize, sql: &str) -> String {
    format!(
        "IF present < {version} THEN
             {sql}
             INSERT INTO bbdl.schema_version (version) VALUES ({version});
         END IF;\n"
    )
}

/// How many rows a table has, for tests and `doctor`.
pub(super) async fn count(database: &Database, condition: &str, value: &str) -> Result<i64> {
    let rows = database
        .query(&format!("SELECT count(*) FROM bbdl.enrollee WHERE {condition}"), &[(&value, Type::TEXT)])
        .await?;
    Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
}
