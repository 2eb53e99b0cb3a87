//! Leases: which worker pulls for an enrollee now, and what came of the pull.
//!
//! A lease ends after a time, so that a dead worker does not block an enrollee for long. Every lease has a fence, a
//! number that grows. An outcome counts only with the newest fence, so a worker that was away for too long changes
//! nothing. All times are those of the database. No worker's clock matters.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::{Row, types::Type};

use super::{
    SharedState,
    enrollee::{Enrollee, StoredTokens},
    worker::WorkerId,
};
use crate::{
    auth::log_in_end::EndedKind,
    error::Result,
    profile::{ProfileName, archive_notes::ArchiveNote},
};

/// How many enrollees a worker leases at a time.
pub const LEASES_AT_ONCE: i64 = 16;

/// An enrollee that this worker may pull for.
#[derive(Debug)]
pub struct Lease {
    /// The enrollee's name.
    pub name: ProfileName,
    /// The enrollee, or what is wrong with the row.
    pub enrollee: Result<Enrollee>,
    fence: i64,
}

/// Identifies the lease of an outcome.
#[derive(Clone, Debug)]
pub struct LeaseTicket {
    /// The enrollee's name.
    pub name: ProfileName,
    fence: i64,
}

impl Lease {
    /// What to keep in order to report the outcome later.
    #[must_use]
    pub fn ticket(&self) -> LeaseTicket {
        LeaseTicket { name: self.name.clone(), fence: self.fence }
    }
}

/// Whether an enrollee could be leased.
#[derive(Debug)]
pub enum Taken {
    /// It could, and no other worker pulls for the enrollee now.
    Yes(Box<Lease>),
    /// Another worker has the lease.
    Busy,
    /// There is no enrollee with this name.
    Nobody,
}

/// Which enrollees to lease.
#[derive(Clone, Debug)]
pub struct DueCriteria {
    /// What is pulled. An enrollee whose last pull was for something else is due.
    pub asked: String,
    /// An enrollee is due if its last good pull was at least this old when the worker began.
    pub stale_after: Duration,
    /// Only names whose shard number modulo the second number is the first.
    pub shard: Option<(u32, u32)>,
}

/// How many enrollees there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DueCounts {
    /// Enrollees who are due and not leased.
    pub free: u64,
    /// Enrollees who are due and leased by some worker.
    pub leased: u64,
    /// Enrollees whose last good pull is not old enough.
    pub fresh: u64,
    /// Enrollees whose pull failed in an earlier run and who wait for the end of a pause that the server asked for.
    pub paused: u64,
}

/// How a pull ended.
#[derive(Clone, Debug)]
pub enum PullEnd {
    /// It was complete.
    Done {
        /// The archive that was filled.
        archive: Option<ArchiveNote>,
    },
    /// It failed.
    Failed {
        /// How long the server asks clients to wait. Without it, a later run may try at once.
        retry_after: Option<Duration>,
    },
    /// The log-in of this generation of tokens is over.
    LogInOver {
        /// Why.
        kind: EndedKind,
        /// The tokens that the server rejected. This says nothing about newer ones.
        generation: i64,
    },
    /// It was stopped before it had a result. The enrollee is still due.
    GivenBack,
}

/// Whether an outcome was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was written.
    Yes,
    /// Another worker has the lease now, and its outcome counts.
    LeaseLost,
    /// The enrollee was removed in the meantime.
    Removed,
}

/// The condition for a due enrollee: `$1` is the worker, `$2` the seconds after which a good pull is old, `$3` of
/// `$4` the shard, `$5` what is pulled. An enrollee who was pulled or failed after the worker began is not due again
/// for that worker, so every run ends. An enrollee whose log-in has ended is also due: every run reports it until
/// there is a new log-in.
const IS_DUE: &str = "
    ($4::bigint = 1 OR mod(e.shard_hash, $4::bigint) = $3::bigint)
    AND CASE WHEN NOT e.ok THEN e.due_at <= w.started
        WHEN e.asked = $5::text THEN e.pulled_at <= w.started - make_interval(secs => $2)
        ELSE e.pulled_at <= w.started END";

const FINISH: &str = "
    UPDATE bbdl.enrollee SET leased_by = NULL, leased_until = NULL, tried_at = now(), ok = $3, outcome = $4::text::jsonb,
        pulled_at = CASE WHEN $3 THEN now() ELSE pulled_at END, asked = $9,
        due_at = now() + make_interval(secs => $5),
        archives = CASE WHEN $6::text IS NULL THEN archives ELSE (
            SELECT coalesce(jsonb_agg(old), '[]') FROM jsonb_array_elements(archives) AS old
            WHERE old->'out' <> $6::text::jsonb->'out') || $6::text::jsonb END,
        ended_kind = CASE WHEN generation = $8 THEN $7 ELSE ended_kind END,
        ended_at = CASE WHEN generation = $8 THEN now() ELSE ended_at END
    WHERE name = $1 AND fence = $2 RETURNING name";

/// Long enough to end a log-in at a slow server. A worker that already has the lease keeps it, because the answer to
/// its first request may have been lost.
const TAKE: &str = "
    UPDATE bbdl.enrollee e
    SET fence = fence + 1, leased_by = $1, leased_until = clock_timestamp() + interval '5 minutes'
    WHERE name = $2 AND (leased_until IS NULL OR leased_until < now() OR leased_by = $1)";

const GIVE_BACK: &str = "
    UPDATE bbdl.enrollee e SET leased_by = NULL, leased_until = NULL
    FROM unnest($1, $2) AS given (name, fence) WHERE e.name = given.name AND e.fence = given.fence RETURNING e.name";

impl SharedState {
    /// Leases up to [`LEASES_AT_ONCE`] due enrollees, starting with those who have waited longest. If there are none,
    /// others may have leased all due enrollees. If the answer is lost and the statement runs again, the enrollees of
    /// the first time wait until their leases end.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn lease(&self, worker: WorkerId, wanted: &DueCriteria) -> Result<Vec<Lease>> {
        let sql = format!(
            "WITH due AS (
                SELECT e.name FROM bbdl.enrollee e, bbdl.worker w
                WHERE w.id = $1 AND (e.leased_until IS NULL OR e.leased_until < now()) AND {IS_DUE}
                ORDER BY e.due_at, e.name LIMIT $6 FOR UPDATE OF e SKIP LOCKED),
             leased AS (UPDATE bbdl.enrollee e
                SET fence = e.fence + 1, leased_by = $1, leased_until = clock_timestamp() + s.lease
                FROM due, bbdl.setting s WHERE e.name = due.name RETURNING e.*)
             SELECT {columns}, e.fence FROM leased e ORDER BY e.due_at, e.name",
            columns = Enrollee::COLUMNS
        );
        let (seconds, number, of) = wanted.values();
        let values = [
            (&worker.0 as _, Type::INT8),
            (&seconds as _, Type::FLOAT8),
            (&number as _, Type::INT8),
            (&of as _, Type::INT8),
            (&wanted.asked as _, Type::TEXT),
            (&LEASES_AT_ONCE as _, Type::INT8),
        ];
        let rows = self.database().query(&sql, &values).await?;
        rows.iter().map(lease_of).collect()
    }

    /// Leases this enrollee, due or not, if no other worker has a lease.
    ///
    /// # Errors
    /// The errors of [`SharedState::lease`].
    pub async fn take(&self, worker: WorkerId, name: &ProfileName) -> Result<Taken> {
        let text = name.as_str();
        let values = [(&worker.0 as _, Type::INT8), (&text as _, Type::TEXT)];
        let look = format!(
            "SELECT {columns}, e.fence, coalesce(e.leased_by = $1, false) FROM bbdl.enrollee e WHERE e.name = $2",
            columns = Enrollee::COLUMNS
        );
        let answers = self.database().transaction(&[(TAKE, &values), (&look, &values)]).await?;
        let Some(row) = answers.last().and_then(|rows| rows.first()) else { return Ok(Taken::Nobody) };
        let is_ours: bool = row.get(Enrollee::WIDTH + StoredTokens::WIDTH + 1);
        Ok(if is_ours { Taken::Yes(Box::new(lease_of(row)?)) } else { Taken::Busy })
    }

    /// Counts the enrollees who are due for a worker.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn due(&self, worker: WorkerId, wanted: &DueCriteria) -> Result<DueCounts> {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE is_due AND NOT leased), count(*) FILTER (WHERE is_due AND leased),
                count(*) FILTER (WHERE NOT is_due AND ok), count(*) FILTER (WHERE NOT is_due AND NOT ok AND waits)
             FROM (SELECT {IS_DUE} AS is_due, coalesce(e.leased_until >= now(), false) AS leased, e.ok,
                       coalesce(e.tried_at <= w.started, true) AS waits
                   FROM bbdl.enrollee e, bbdl.worker w
                   WHERE w.id = $1 AND ($4::bigint = 1 OR mod(e.shard_hash, $4::bigint) = $3::bigint)) AS counted"
        );
        let (seconds, number, of) = wanted.values();
        let values = [
            (&worker.0 as _, Type::INT8),
            (&seconds as _, Type::FLOAT8),
            (&number as _, Type::INT8),
            (&of as _, Type::INT8),
            (&wanted.asked as _, Type::TEXT),
        ];
        let rows = self.database().query(&sql, &values).await?;
        let number = |row: &Row, at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or_default();
        let due = |row: &Row| DueCounts {
            free: number(row, 0),
            leased: number(row, 1),
            fresh: number(row, 2),
            paused: number(row, 3),
        };
        Ok(rows.first().map(due).unwrap_or_default())
    }

    /// Writes the outcome of a pull and when the enrollee is due next, and gives the lease back. `wanted` belongs to
    /// the run; `outcome` is the text for reports.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn finish(
        &self,
        ticket: &LeaseTicket,
        end: &PullEnd,
        wanted: &DueCriteria,
        outcome: &Value,
    ) -> Result<Written> {
        let name = ticket.name.as_str();
        let (mut archives, mut kind, mut generation, mut due) = (None, None, None, Duration::ZERO);
        match end {
            PullEnd::GivenBack => {
                let given = self.give_back(std::slice::from_ref(ticket)).await?;
                return if given == 0 { self.why_not(ticket).await } else { Ok(Written::Yes) };
            }
            PullEnd::Done { archive } => {
                due = wanted.stale_after;
                archives = archive.as_ref().map(|note| serde_json::json!(note).to_string());
            }
            PullEnd::Failed { retry_after } => due = wanted.stale_after.min(retry_after.unwrap_or_default()),
            PullEnd::LogInOver { kind: why, generation: of } => (kind, generation) = (Some(why.name()), Some(*of)),
        }
        let (is_good, due, outcome) = (matches!(end, PullEnd::Done { .. }), due.as_secs_f64(), outcome.to_string());
        let values = [
            (&name as _, Type::TEXT),
            (&ticket.fence as _, Type::INT8),
            (&is_good as _, Type::BOOL),
            (&outcome as _, Type::TEXT),
            (&due as _, Type::FLOAT8),
            (&archives as _, Type::TEXT),
            (&kind as _, Type::TEXT),
            (&generation as _, Type::INT8),
            (&wanted.asked as _, Type::TEXT),
        ];
        if self.database().query(FINISH, &values).await?.is_empty() {
            self.why_not(ticket).await
        } else {
            Ok(Written::Yes)
        }
    }

    /// Gives back leases whose pull was not begun. Returns how many.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn give_back(&self, tickets: &[LeaseTicket]) -> Result<usize> {
        let names: Vec<&str> = tickets.iter().map(|ticket| ticket.name.as_str()).collect();
        let fences: Vec<i64> = tickets.iter().map(|ticket| ticket.fence).collect();
        let values = [(&names as _, Type::TEXT_ARRAY), (&fences as _, Type::INT8_ARRAY)];
        Ok(self.database().query(GIVE_BACK, &values).await?.len())
    }

    async fn why_not(&self, ticket: &LeaseTicket) -> Result<Written> {
        let name = ticket.name.as_str();
        let rows = self.database().query("SELECT 1 FROM bbdl.enrollee WHERE name = $1", &[(&name, Type::TEXT)]).await?;
        Ok(if rows.is_empty() { Written::Removed } else { Written::LeaseLost })
    }
}

impl DueCriteria {
    fn values(&self) -> (f64, i64, i64) {
        let (number, of) = self.shard.map_or((0, 1), |(number, of)| (i64::from(number), i64::from(of)));
        (self.stale_after.as_secs_f64(), number, of)
    }
}

fn lease_of(row: &Row) -> Result<Lease> {
    let (name, enrollee) = Enrollee::of(row)?;
    Ok(Lease { name, enrollee, fence: row.get(Enrollee::WIDTH + StoredTokens::WIDTH) })
}
