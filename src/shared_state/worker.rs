//! A process that takes part in the work: its heartbeat, its share of the common limit, and pauses that a server
//! asked for.

use std::time::Duration;

use tokio_postgres::{Row, types::Type};

use super::SharedState;
use crate::{
    error::{Error, ErrorKind, Result},
    origin::Origin,
    profile::ProfileName,
};

/// How often a worker sends a heartbeat. All time limits for silent workers are many times as long.
pub const PULSE: Duration = Duration::from_secs(1);

/// The id of a worker in the shared state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerId(pub(super) i64);

/// What this worker may ask of a server now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimit {
    /// The server.
    pub origin: Origin,
    /// This worker's share of the allowed requests. It is 0 if there are more workers than requests.
    pub share: usize,
    /// How long no worker may send it requests.
    pub hold: Option<Duration>,
}

/// How long a server asked this worker to wait.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The server.
    pub origin: Origin,
    /// The time that is left, counted from now.
    pub left: Duration,
}

impl WorkerId {
    /// Creates a new one.
    ///
    /// # Errors
    /// [`crate::error::Exit::Defect`] if the system provides no random numbers.
    pub(super) fn random() -> Result<Self> {
        random_number().map(Self)
    }
}

/// A positive random number that no one else has.
pub(super) fn random_number() -> Result<i64> {
    let random = getrandom::u64()
        .map_err(|cause| Error::new(ErrorKind::Random, format!("the system gives no random numbers: {cause}")))?;
    // Leaves room above for everything that is ever counted up from here.
    Ok(i64::try_from(random >> 2).unwrap_or_default())
}

/// Deletes dead workers after a day. Only their leases and renewals mattered.
const FORGET: &str = "DELETE FROM bbdl.worker WHERE seen < now() - interval '1 day'";

const REGISTER: &str = "
    INSERT INTO bbdl.worker (id, host, pid) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET seen = now()";

const SEEN: &str = "UPDATE bbdl.worker SET seen = now() WHERE id = $1";

/// Renews only leases that have used up a good part of their time, so that a row is not written every second.
const KEEP_LEASES: &str = "
    UPDATE bbdl.enrollee e SET leased_until = now() + s.lease FROM bbdl.setting s
    WHERE e.leased_by = $1 AND e.name = ANY($2) AND e.leased_until < now() + s.lease * 0.7";

const HOLD: &str = "
    INSERT INTO bbdl.server (origin, hold_until)
    SELECT origin, now() + make_interval(secs => seconds)
    FROM unnest($1, $2) AS held (origin, seconds) ORDER BY origin
    ON CONFLICT (origin) DO UPDATE SET hold_until = greatest(bbdl.server.hold_until, excluded.hold_until)
    WHERE bbdl.server.hold_until < excluded.hold_until";

/// Workers are counted from the oldest, so that a new one never takes the last request from one that is working.
const LIMITS: &str = "
    WITH alive AS (
        SELECT w.id, row_number() OVER (ORDER BY w.started, w.id) - 1 AS place, count(*) OVER () AS workers
        FROM bbdl.worker w, bbdl.setting s WHERE w.seen > now() - s.worker_is_dead)
    SELECT v.origin, extract(epoch FROM greatest(v.hold_until, now()) - now())::float8,
        (v.max_in_flight / a.workers + CASE WHEN a.place < v.max_in_flight % a.workers THEN 1 ELSE 0 END)::bigint
    FROM bbdl.server v, alive a WHERE a.id = $1";

impl SharedState {
    /// Joins the work from now on.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn register(&self) -> Result<WorkerId> {
        let worker = WorkerId::random()?;
        let host = host_name();
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let values = [(&worker.0 as _, Type::INT8), (&host as _, Type::TEXT), (&pid as _, Type::INT4)];
        self.database().transaction(&[(FORGET, &[]), (REGISTER, &values)]).await?;
        Ok(worker)
    }

    /// Sends a heartbeat, keeps the leases of `held`, tells the others which pauses servers asked for, and learns
    /// what may be asked of each server.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn pulse(&self, worker: WorkerId, held: &[ProfileName], holds: &[Hold]) -> Result<Vec<ServerLimit>> {
        let names: Vec<&str> = held.iter().map(ProfileName::as_str).collect();
        let origins: Vec<String> = holds.iter().map(|hold| hold.origin.to_string()).collect();
        let seconds: Vec<f64> = holds.iter().map(|hold| hold.left.as_secs_f64()).collect();
        let me = [(&worker.0 as _, Type::INT8)];
        let leases = [(&worker.0 as _, Type::INT8), (&names as _, Type::TEXT_ARRAY)];
        let hold = [(&origins as _, Type::TEXT_ARRAY), (&seconds as _, Type::FLOAT8_ARRAY)];
        let answers =
            self.database().transaction(&[(SEEN, &me), (KEEP_LEASES, &leases), (HOLD, &hold), (LIMITS, &me)]).await?;
        Ok(answers.last().into_iter().flatten().filter_map(limit_of).collect())
    }

    /// Makes the workers share one limit for a server, if there is none yet.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn know_server(&self, origin: &Origin) -> Result<()> {
        let origin = origin.to_string();
        self.database()
            .query("INSERT INTO bbdl.server (origin) VALUES ($1) ON CONFLICT DO NOTHING", &[(&origin, Type::TEXT)])
            .await
            .map(drop)
    }

    /// Leaves the work. Leases stay until their time is over or until they are given back.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn sign_off(&self, worker: WorkerId) -> Result<()> {
        self.database().query("DELETE FROM bbdl.worker WHERE id = $1", &[(&worker.0, Type::INT8)]).await.map(drop)
    }
}

fn limit_of(row: &Row) -> Option<ServerLimit> {
    let (origin, hold, share): (&str, f64, i64) = (row.get(0), row.get(1), row.get(2));
    let hold = Duration::try_from_secs_f64(hold).ok().filter(|hold| !hold.is_zero());
    Some(ServerLimit { origin: origin.parse().ok()?, share: usize::try_from(share).unwrap_or_default(), hold })
}

/// The name of the machine that the heartbeat comes from, for people who look into the tables.
fn host_name() -> String {
    #[cfg(unix)]
    {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
    #[cfg(not(unix))]
    {
        std::env::var("COMPUTERNAME").unwrap_or_default()
    }
}
