//! What many machines share in PostgreSQL (`--state`): profiles, sealed tokens, leases, outcomes.
//!
//! | file | what it is for |
//! | --- | --- |
//! | [`address`], [`password_file`] | the database's address, its password, its certificate |
//! | [`database`] | one connection, opened again when it breaks |
//! | [`schema`] | the tables and their versions |
//! | [`seal`] | encryption: the database alone does not reveal tokens |
//! | [`enrollee`] | the rows: import, list, remove |
//! | [`worker`] | signs of life, and one limit for all workers |
//! | [`lease`] | who pulls for whom, and what came of it |
//! | [`shared_pull`] | what one pull uses, and what it leaves for its outcome |
//! | [`vault`], [`unsaved`] | renewing tokens so that no pair is lost |
//!
//! Every decision between workers is made by one statement in the database, with the database's clock.

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
    /// Connects, and makes sure that the tables are those of this bbdl. Without `keys` no token can be read or written.
    /// `unsaved` is a directory of this machine for tokens that cannot be stored at the moment.
    ///
    /// # Errors
    /// [`crate::error::Exit::TryAgain`] when the database does not answer; [`crate::error::Exit::NotSetUp`] when it does not
    /// let us in, or its tables cannot be used.
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

    /// Looks at the tables of a database without changing anything.
    ///
    /// # Errors
    /// As [`SharedState::open`], whatever the tables are.
    pub async fn look(address: StateAddress) -> Result<SchemaState> {
        schema::look(&Database::open(address).await?).await
    }

    /// How many enrollees' tokens are sealed with another key than the current one.
    ///
    /// # Errors
    /// As every call of the database.
    pub async fn sealed_with_older_keys(&self) -> Result<i64> {
        schema::count(self.database(), "key_id <> $1", self.keys()?.current().as_str()).await
    }

    /// How many enrollees' tokens no key that is given opens.
    ///
    /// # Errors
    /// As every call of the database.
    pub async fn sealed_with_missing_keys(&self) -> Result<i64> {
        schema::count(self.database(), "key_id <> ALL (string_to_array($1, ' '))", &self.keys()?.ids().join(" ")).await
    }

    /// Makes sure that there is a key.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] where there is none.
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
