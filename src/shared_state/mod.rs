//! What many machines share in PostgreSQL (`--state`): profiles, sealed tokens, leases, outcomes.
//!
//! | file | what it is for |
//! | --- | --- |
//! | [`address`], [`password_file`] | the database's address, its password, its certificate |
//! | [`database`] | one connection, which is opened again when it breaks |
//! | [`schema`] | the tables and their versions |
//! | [`seal`] | encryption: without a key, the database does not reveal tokens |
//! | [`enrollee`] | the rows: import, list, remove |
//! | [`worker`] | heartbeats, and one limit for all workers |
//! | [`lease`] | who pulls for whom, and what came of it |
//! | [`shared_pull`] | what one pull uses, and what it leaves for its outcome |
//! | [`vault`], [`unsaved`] | renewing tokens so that no pair is lost |
//!
//! One statement in the database makes each decision between workers, by the database's clock.

pub mod address;
mod database;
pub mod enrollee;
pub mod lease;
pub(crate) mod password_file;
pub mod schema;
pub mod seal;
pub(crate) mod shared_pull;
mod unsaved;
pub mod vault;
pub mod worker;

use std::{path::PathBuf, sync::Arc};

use address::StateAddress;
use database::Database;
use schema::{Migrate, SchemaState};
use seal::StateKeys;
pub use unsaved::Delivered;
use unsaved::UnsavedDir;

use crate::error::{Error, ErrorKind, Result};

/// The shared state. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct SharedState(Arc<Inner>);

struct Inner {
    database: Database,
    keys: Option<StateKeys>,
    unsaved: UnsavedDir,
}

impl SharedState {
    /// Connects, and makes sure that the tables are right for this bbdl. Without `keys`, no token can be read or
    /// written. `unsaved` is a directory on this machine for tokens that cannot be stored at the moment.
    ///
    /// # Errors
    /// [`crate::error::Exit::TryAgain`] if the database does not answer; [`crate::error::Exit::NotSetUp`] if it
    /// refuses access or its tables cannot be used.
    pub async fn open(
        address: StateAddress,
        keys: Option<StateKeys>,
        unsaved: PathBuf,
        migrate: Migrate,
    ) -> Result<Self> {
        let database = Database::open(address).await?;
        schema::require(&database, migrate).await?;
        Ok(Self(Arc::new(Inner { database, keys, unsaved: UnsavedDir(unsaved) })))
    }

    /// Checks the tables of a database without changing anything.
    ///
    /// # Errors
    /// The errors of [`SharedState::open`], except those about the tables.
    pub async fn look(address: StateAddress) -> Result<SchemaState> {
        schema::look(&Database::open(address).await?).await
    }

    /// How many enrollees' tokens are sealed with a key other than the current one.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn sealed_with_older_keys(&self) -> Result<i64> {
        schema::count(self.database(), "key_id <> $1", self.keys()?.current().as_str()).await
    }

    /// How many enrollees' tokens cannot be opened with any of the given keys.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn sealed_with_missing_keys(&self) -> Result<i64> {
        schema::count(self.database(), "key_id <> ALL (string_to_array($1, ' '))", &self.keys()?.ids().join(" ")).await
    }

    /// Makes sure that there is a key.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if there is none.
    pub fn require_keys(&self) -> Result<()> {
        self.keys().map(drop)
    }

    fn database(&self) -> &Database {
        &self.0.database
    }

    fn keys(&self) -> Result<&StateKeys> {
        self.0.keys.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::StateKey, "the key of the shared state is not given")
                .hint("Name its file with --state-key-file, or set BBDL_STATE_KEY or BBDL_STATE_KEY_COMMAND.")
        })
    }

    fn unsaved(&self) -> &UnsavedDir {
        &self.0.unsaved
    }
}

impl std::fmt::Debug for SharedState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedState({})", self.database().address())
    }
}
