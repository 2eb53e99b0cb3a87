//! One connection to PostgreSQL, which is opened again when it breaks.
//!
//! This works through PgBouncer's transaction pooling: prepared statements have no names, there are no session
//! settings, and no transaction stays open while bbdl waits for anything but the database. Every statement may be
//! sent twice, because its answer may be lost. So each one is written so that nothing is lost if it runs again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio_postgres::{
    Client, NoTls, Row,
    error::SqlState,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{StateAddress, Tls};
use crate::error::{Error, ErrorKind, Result, in_words, sanitized};

/// A statement that takes longer is given up, together with its connection.
const STATEMENT_PATIENCE: Duration = Duration::from_secs(20);
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// How often a statement is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Once.
    Once,
    /// Until the database has been unreachable for long.
    Patient,
}

/// A value for a statement and its type. With types, a statement needs only one round trip.
pub(super) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// A statement and its values.
pub(super) type Statement<'a> = (&'a str, &'a [Value<'a>]);

/// The database, connected or not.
pub(super) struct Database {
    address: StateAddress,
    tls: Option<MakeRustlsConnect>,
    client: Mutex<Option<Client>>,
}

impl Database {
    /// Connects.
    ///
    /// # Errors
    /// [`crate::error::Exit::TryAgain`] if the database does not answer, [`crate::error::Exit::NotSetUp`] if it
    /// refuses access.
    pub(super) async fn open(address: StateAddress) -> Result<Self> {
        let tls = match &address.tls {
            Tls::Off => None,
            Tls::Verified { extra_roots } => Some(verified(extra_roots.as_deref())?),
        };
        let database = Self { address, tls, client: Mutex::default() };
        database.connected().await.map(drop).map_err(|cause| database.failed(&cause))?;
        Ok(database)
    }

    /// The address, without its password.
    pub(super) fn address(&self) -> &StateAddress {
        &self.address
    }

    /// Runs one statement, and repeats it while the database cannot be reached.
    pub(super) async fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let mut answers = self.transaction(&[(sql, values)]).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Like [`Database::query`], for statements in which the later ones must see what others committed while the
    /// earlier ones waited. Either all of them take effect or none.
    pub(super) async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        self.with_effort(Effort::Patient, statements).await
    }

    /// Like [`Database::transaction`].
    pub(super) async fn with_effort(&self, effort: Effort, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let cause = match self.once(statements).await {
                Ok(rows) => return Ok(rows),
                Err(cause) => cause,
            };
            if effort == Effort::Once || !cause.passes() || began.elapsed() + pause > self.address.patience {
                return Err(self.failed(&cause));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Runs our own SQL text, which may contain several statements, without retries. This is for migrations.
    pub(super) async fn batch(&self, sql: &str) -> Result<()> {
        let sent = async {
            let client = self.connected().await?;
            client.batch_execute(sql).await.map_err(Cause::from)
        };
        let done = tokio::time::timeout(STATEMENT_PATIENCE, sent).await.unwrap_or(Err(Cause::Slow));
        if done.is_err() {
            self.client.lock().await.take();
        }
        done.map_err(|cause| self.failed(&cause))
    }

    async fn once(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>, Cause> {
        let answer = async {
            let mut client = self.connected().await?;
            match statements {
                [(sql, values)] => Ok(vec![client.query_typed(sql, values).await?]),
                _ => {
                    let transaction = client.transaction().await?;
                    let mut answers = Vec::with_capacity(statements.len());
                    for (sql, values) in statements {
                        answers.push(transaction.query_typed(sql, values).await?);
                    }
                    transaction.commit().await?;
                    Ok(answers)
                }
            }
        };
        let answer = tokio::time::timeout(STATEMENT_PATIENCE, answer).await.unwrap_or(Err(Cause::Slow));
        if answer.as_ref().is_err_and(Cause::passes) {
            // The connection may still be in the middle of an answer, so it is dropped.
            self.client.lock().await.take();
        }
        answer
    }

    async fn connected(&self) -> Result<MappedMutexGuard<'_, Client>, Cause> {
        let mut client = self.client.lock().await;
        if client.as_ref().is_none_or(Client::is_closed) {
            let connecting = tokio::time::timeout(CONNECT_PATIENCE, self.connect()).await;
            *client = Some(connecting.unwrap_or(Err(Cause::Slow))?);
        }
        MutexGuard::try_map(client, Option::as_mut).map_err(|_| Cause::Slow)
    }

    async fn connect(&self) -> Result<Client, Cause> {
        let config = &self.address.config;
        Ok(match &self.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                // The task ends with its client, and the user of the client sees the error.
                tokio::spawn(async move { connection.await.unwrap_or_default() });
                client
            }
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                tokio::spawn(async move { connection.await.unwrap_or_default() });
                client
            }
        })
    }

    /// The error for a person.
    fn failed(&self, cause: &Cause) -> Error {
        let (address, words) = (&self.address, cause.words());
        match cause {
            Cause::Slow => Error::new(ErrorKind::State, format!("the shared state at {address} does not answer"))
                .hint("Run the same command again later."),
            Cause::Postgres(_) if cause.passes() => {
                Error::new(ErrorKind::State, format!("the shared state at {address} cannot be reached ({words})"))
                    .hint("Check the address and the network connection, or run the same command again later.")
            }
            Cause::Postgres(error) if lacks_tls(error) => {
                Error::new(ErrorKind::StateSetup, format!("the database at {address} does not offer TLS"))
                    .hint("Turn TLS on in PostgreSQL. Or, if nobody else can listen on the way to it, add this to the address: sslmode=disable")
            }
            Cause::Postgres(_) => {
                Error::new(ErrorKind::StateSetup, format!("the shared state at {address} cannot be used ({words})"))
                    .hint(
                        "Check the address, the password and the rights of the user; then run: bbdl doctor --state URL",
                    )
            }
        }
    }
}

/// Why a statement has no answer.
enum Cause {
    /// Nothing came in time.
    Slow,
    /// An error from the database or the connection.
    Postgres(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for Cause {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

/// Whether the server said that it does not support TLS. The library reports this only as text.
fn lacks_tls(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("does not support TLS"))
}

impl Cause {
    /// Whether a later retry may help.
    fn passes(&self) -> bool {
        let Self::Postgres(error) = self else { return true };
        match error.code() {
            Some(code) => passes(code),
            // A certificate that is not trusted will not become trusted.
            None => {
                !has_source::<rustls::Error>(error)
                    && !error.to_string().contains("invalid configuration")
                    && !lacks_tls(error)
            }
        }
    }

    fn words(&self) -> String {
        let Self::Postgres(error) = self else { return "no answer".to_owned() };
        if let Some(said) = error.as_db_error() {
            return sanitized(said.message());
        }
        let mut words = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            // It says all that there is to say.
            if let Some(cause) = cause.downcast_ref() {
                return sanitized(&in_words(cause));
            }
            words = format!("{words}: {cause}");
            source = cause.source();
        }
        sanitized(&words)
    }
}

/// PostgreSQL error codes that go away by themselves: a broken connection (class 08), overload (53), an operator's
/// intervention such as a restart (57), conflicting transactions (40).
fn passes(code: &SqlState) -> bool {
    ["08", "40", "53", "57"].iter().any(|class| code.code().starts_with(class))
}

fn has_source<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if cause.is::<E>() || inner.is_some_and(|inner| inner.is::<E>()) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// TLS that trusts the system's certificates and those in the file.
fn verified(extra_roots: Option<&std::path::Path>) -> Result<MakeRustlsConnect> {
    let unusable = |why: String| Error::new(ErrorKind::StateSetup, why).hint("Check sslrootcert in the address.");
    let roots: Vec<CertificateDer<'static>> = match extra_roots {
        None => Vec::new(),
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|cause| unusable(format!("{}: no certificates can be read from it ({cause})", file.display())))?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
        .map_err(|cause| unusable(format!("the system's certificates cannot be used ({cause})")))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| unusable(format!("TLS cannot be set up ({cause})")))?
        // The method is called that because it allows any verifier. This one is the system's.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_temporary_and_a_wrong_password_is_not() {
        let passing = [
            SqlState::CONNECTION_FAILURE,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::T_R_DEADLOCK_DETECTED,
        ];
        assert!(passing.iter().all(passes));
        let staying = [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_CATALOG_NAME,
            SqlState::UNDEFINED_TABLE,
            SqlState::INSUFFICIENT_PRIVILEGE,
        ];
        assert!(!staying.iter().any(passes));
    }
}
