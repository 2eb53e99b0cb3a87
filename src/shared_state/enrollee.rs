//! The rows: an enrollee's profile, and the sealed tokens.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::{Row, types::Type};

use super::{
    SharedState,
    seal::{KeyId, Sealed},
    worker::{WorkerId, random_number},
};
use crate::{
    auth::{
        log_in_end::{Ended, EndedKind},
        token::{Credential, Grant},
    },
    error::{Error, ErrorKind, Result, wrong_json},
    profile::{Profile, ProfileName, archive_notes::ArchiveNote},
};

/// How many rows one statement writes.
const BATCH: usize = 500;

/// An enrollee in the shared state.
#[derive(Debug)]
pub struct Enrollee {
    /// The profile's name.
    pub name: ProfileName,
    /// The profile.
    pub profile: Profile,
    /// The tokens, sealed.
    pub tokens: StoredTokens,
}

/// The tokens of one generation.
#[derive(Clone, Debug)]
pub struct StoredTokens {
    /// The generation.
    pub generation: i64,
    sealed: Sealed,
    /// How many seconds the access token has left, by the database's clock.
    left: Option<f64>,
}

/// An enrollee to add.
#[derive(Debug)]
pub struct NewEnrollee {
    /// The profile's name.
    pub name: ProfileName,
    /// The profile.
    pub profile: Profile,
    /// The tokens.
    pub credential: Credential,
    /// The number that decides the shard of the name.
    pub shard_number: u64,
}

/// The result for a row of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was added.
    Yes,
    /// An enrollee with that name exists already.
    Exists,
}

const INSERT: &str = "
    INSERT INTO bbdl.enrollee (name, server, client_id, profile, shard_hash, generation, sealed, key_id, access_expires)
    SELECT name, server, client_id, profile::jsonb, shard_hash::numeric, generation, sealed, $8,
        now() + make_interval(secs => lifetime)
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $9)
        AS new (name, server, client_id, profile, shard_hash, generation, sealed, lifetime)
    ORDER BY name
    ON CONFLICT (name) DO UPDATE SET server = excluded.server, client_id = excluded.client_id,
        profile = excluded.profile, generation = excluded.generation, sealed = excluded.sealed,
        key_id = excluded.key_id, access_expires = excluded.access_expires,
        renewing_since = NULL, renewing_id = NULL, renewing_worker = NULL, unanswered = 0,
        ended_kind = NULL, ended_at = NULL, ok = false, due_at = '-infinity'
    WHERE $10";

impl Enrollee {
    /// The columns that are read from the table `e`. The tokens come last.
    pub(super) const COLUMNS: &str = "e.name, e.profile::text, e.archives::text, e.ended_kind, \
        extract(epoch FROM e.ended_at)::float8, e.generation, e.key_id, e.sealed, \
        extract(epoch FROM e.access_expires - clock_timestamp())::float8";
    /// How many of them do not belong to the tokens.
    pub(super) const WIDTH: usize = 5;

    /// The name in a row, and the enrollee, or what is wrong with the row. One bad row must not stop the pulls for others.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if the name is invalid.
    pub(super) fn of(row: &Row) -> Result<(ProfileName, Result<Self>)> {
        let text: &str = row.get(0);
        let odd = |why: String| {
            Error::new(ErrorKind::Profile, format!("the shared state's row of \"{text}\" cannot be understood: {why}"))
                .hint("If a newer bbdl wrote it, use that one. Or import this enrollee again: bbdl profiles import FILE --replace")
        };
        let name: ProfileName = text.parse().map_err(odd)?;
        let read = || {
            let mut profile: Profile = serde_json::from_str(row.get(1)).map_err(|cause| odd(wrong_json(&cause)))?;
            profile.archives = serde_json::from_str(row.get(2)).map_err(|cause| odd(wrong_json(&cause)))?;
            let kind: Option<&str> = row.get(3);
            let at: Option<f64> = row.get(4);
            profile.ended =
                kind.and_then(EndedKind::named).map(|kind| Ended { kind, at: instant(at.unwrap_or_default()) });
            Ok(Self { name: name.clone(), profile, tokens: StoredTokens::of(row, Self::WIDTH) })
        };
        let enrollee = read();
        Ok((name, enrollee))
    }
}

impl StoredTokens {
    pub(super) const COLUMNS: &str =
        "e.generation, e.key_id, e.sealed, extract(epoch FROM e.access_expires - clock_timestamp())::float8";
    pub(super) const WIDTH: usize = 4;

    pub(super) fn of(row: &Row, from: usize) -> Self {
        let sealed = Sealed { key: KeyId::from_column(row.get(from + 1)), bytes: row.get(from + 2) };
        Self { generation: row.get(from), sealed, left: row.get(from + 3) }
    }
}

impl SharedState {
    /// Opens the tokens of an enrollee. The time when the access token expires is converted to this machine's clock.
    /// That clock may be wrong, because only the time left counts.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if no key opens them.
    pub fn open_tokens(&self, name: &ProfileName, tokens: &StoredTokens) -> Result<Credential> {
        let record = self.keys()?.open(name.as_str(), tokens.generation, &tokens.sealed)?;
        let mut credential = Credential::from_record(&record).ok_or_else(|| {
            Error::new(ErrorKind::TokenRecord, format!("the sealed tokens of \"{name}\" are not a record of bbdl's"))
                .hint("Import this enrollee again: bbdl profiles import FILE --replace")
        })?;
        if let Some(left) = tokens.left {
            let left = SignedDuration::try_from_secs_f64(left).unwrap_or_default();
            credential.grant.access_token_expires = Timestamp::now().checked_add(left).ok();
        }
        Ok(credential)
    }

    /// Adds enrollees. The results are in the order of the rows. No name may occur twice.
    ///
    /// # Errors
    /// Errors of the database. Earlier rows may have been added.
    pub async fn import(&self, rows: &[NewEnrollee], replace: bool) -> Result<Vec<Imported>> {
        let mut imported = Vec::with_capacity(rows.len());
        for batch in rows.chunks(BATCH) {
            imported.extend(self.import_batch(batch, replace).await?);
        }
        Ok(imported)
    }

    async fn import_batch(&self, rows: &[NewEnrollee], replace: bool) -> Result<Vec<Imported>> {
        let key = self.keys()?.current().as_str();
        let mut columns = Columns::default();
        for row in rows {
            columns.push(row, self)?;
        }
        let values = [
            (&columns.names as _, Type::TEXT_ARRAY),
            (&columns.servers as _, Type::TEXT_ARRAY),
            (&columns.clients as _, Type::TEXT_ARRAY),
            (&columns.profiles as _, Type::TEXT_ARRAY),
            (&columns.hashes as _, Type::TEXT_ARRAY),
            (&columns.generations as _, Type::INT8_ARRAY),
            (&columns.sealed as _, Type::BYTEA_ARRAY),
            (&key as _, Type::TEXT),
            (&columns.lifetimes as _, Type::FLOAT8_ARRAY),
            (&replace as _, Type::BOOL),
        ];
        let look = "SELECT name, generation FROM bbdl.enrollee WHERE name = ANY($1)";
        let answers = self.database().transaction(&[(INSERT, &values), (look, &values[..1])]).await?;
        let there: std::collections::HashMap<&str, i64> =
            answers.last().into_iter().flatten().map(|row| (row.get(0), row.get(1))).collect();
        // A generation begins with a random number. If it is ours, the row is ours, even if the statement was sent
        // twice.
        let is_ours = |(name, generation): (&String, &i64)| there.get(name.as_str()) == Some(generation);
        let pairs = columns.names.iter().zip(&columns.generations);
        Ok(pairs.map(|pair| if is_ours(pair) { Imported::Yes } else { Imported::Exists }).collect())
    }

    /// All enrollees by name, or only those with these names.
    ///
    /// # Errors
    /// Errors of the database. If a row cannot be read, the error takes its place.
    pub async fn enrollees(&self, names: Option<&[ProfileName]>) -> Result<Vec<(ProfileName, Result<Enrollee>)>> {
        let names: Option<Vec<&str>> = names.map(|names| names.iter().map(ProfileName::as_str).collect());
        let sql = format!(
            "SELECT {} FROM bbdl.enrollee e WHERE $1::text[] IS NULL OR e.name = ANY($1) ORDER BY e.name",
            Enrollee::COLUMNS
        );
        self.database().query(&sql, &[(&names, Type::TEXT_ARRAY)]).await?.iter().map(Enrollee::of).collect()
    }

    /// The known people: name, server, client id and patient id.
    ///
    /// # Errors
    /// Errors of the database; [`crate::error::Exit::NotSetUp`] if a row cannot be read.
    pub async fn people(&self) -> Result<Vec<(ProfileName, [String; 3])>> {
        let sql = "SELECT name, server, client_id, profile->>'patient' FROM bbdl.enrollee
            WHERE profile->>'patient' IS NOT NULL";
        let rows = self.database().query(sql, &[]).await?;
        let person = |row: &Row| {
            let name: &str = row.get(0);
            let name = name.parse().map_err(|why| Error::new(ErrorKind::Profile, why))?;
            Ok((name, [row.get(1), row.get(2), row.get(3)]))
        };
        rows.iter().map(person).collect()
    }

    /// Removes an enrollee, unless a worker other than `worker` is pulling for it. Returns the enrollee's archives,
    /// or `None` if there is no such enrollee.
    ///
    /// # Errors
    /// [`crate::error::Exit::TryAgain`] while a worker holds the enrollee; errors of the database.
    pub async fn remove(&self, name: &ProfileName, worker: Option<WorkerId>) -> Result<Option<Vec<ArchiveNote>>> {
        let name = name.as_str();
        let (value, worker) = ((&name as _, Type::TEXT), worker.map(|worker| worker.0));
        // Read this first. If the answer to the removal is lost, the second try finds no row.
        let look = "SELECT archives::text FROM bbdl.enrollee WHERE name = $1";
        let there = self.database().query(look, std::slice::from_ref(&value)).await?;
        let Some(before) = there.first() else { return Ok(None) };
        let sql = "DELETE FROM bbdl.enrollee
            WHERE name = $1 AND (leased_until IS NULL OR leased_until < now() OR leased_by = $2)
            RETURNING archives::text";
        let gone = self.database().query(sql, &[value.clone(), (&worker as _, Type::INT8)]).await?;
        if gone.is_empty() && !self.database().query(look, &[value]).await?.is_empty() {
            return Err(Error::new(ErrorKind::Lock, format!("a worker is pulling for \"{name}\""))
                .hint("Run the same command again when it has finished."));
        }
        let archives = gone.first().unwrap_or(before);
        // Notes that cannot be read name no archive.
        Ok(Some(serde_json::from_str(archives.get(0)).unwrap_or_default()))
    }
}

#[derive(Default)]
struct Columns {
    names: Vec<String>,
    servers: Vec<String>,
    clients: Vec<String>,
    profiles: Vec<String>,
    hashes: Vec<String>,
    generations: Vec<i64>,
    sealed: Vec<Vec<u8>>,
    lifetimes: Vec<Option<f64>>,
}

impl Columns {
    fn push(&mut self, row: &NewEnrollee, state: &SharedState) -> Result<()> {
        let (name, generation) = (row.name.to_string(), random_number()?);
        let sealed = state.keys()?.seal(&name, generation, &row.credential.to_record())?;
        self.sealed.push(sealed.bytes);
        self.hashes.push(row.shard_number.to_string());
        self.names.push(name);
        self.servers.push(row.profile.server.to_string());
        self.clients.push(row.profile.client_id.clone());
        self.profiles.push(profile_text(&row.profile)?);
        self.generations.push(generation);
        self.lifetimes.push(lifetime(&row.credential.grant));
        Ok(())
    }
}

/// A profile as in its column. Archives and the end of the log-in have separate columns.
pub(super) fn profile_text(profile: &Profile) -> Result<String> {
    let bare = Profile { archives: Vec::new(), ended: None, ..profile.clone() };
    serde_json::to_string(&bare)
        .map_err(|cause| Error::new(ErrorKind::Defect, format!("a profile cannot be written: {cause}")))
}

/// How many seconds an access token has left from now.
pub(super) fn lifetime(grant: &Grant) -> Option<f64> {
    grant.access_token_expires.map(|at| at.duration_since(Timestamp::now()).as_secs_f64())
}

fn instant(seconds: f64) -> Timestamp {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Timestamp::UNIX_EPOCH.checked_add(since).unwrap_or(Timestamp::UNIX_EPOCH)
}
