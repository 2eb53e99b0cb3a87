//! A process that takes part in the work: its heartbeat, its share of the common limit, and pauses that a server asked for.

use std::time::Duration;

use tokio_postgres::{Row, types::Type};

use super::SharedState;
use crate::{
    error::{Error, ErrorKind, Result},
    origin::Origin,
    profile::ProfileName,
};

/// How often a worker gives a sign of life. All limits for silence are many times as long.
pub const PULSE: Duration = Duration::from_secs(1);

/// A worker, as the shared state knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerId(pub(super) i64);

/// What a server may be asked for by this worker now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimit {
    /// The server.
    pub origin: Origin,
    /// This worker's share of the requests that may be under way. It is 0 where there are more workers than requests.
    pub share: usize,
    /// How long nobody may ask it anything.
    pub hold: Option<Duration>,
}

/// How long a server asked this worker to wait.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The server.
    pub origin: Origin,
    /// From now on.
    pub left: Duration,
}

impl WorkerId {
    /// Makes a new one.
    ///
    /// # Errors
    /// [`crate::error::Exit::Defect`] when the system gives no random numbers.
    pub(super) fn random() -> Result<Self> {
        random_number().map(Self)
    }
}

/// A positive number that nobody else has.
pub(super) fn random_number() -> Result<i64> {
    let random = getrandom::u64()
        .map_err(|cause| Error::new(ErrorKind::Random, format!("the system gives no random numbers: {cause}")))?;
    // Room is left above for all that is ever counted from here.
    Ok(i64::try_from(random >> 2).unwrap_or_default())
}

/// Dead workers are forgotten after a day; only their leases and renewals mattered.
const FORGET: &str = "DELETE FROM bbdl.worker WHERE seen < now() - interval '1 day'";

const REGISTER: &str = "
    INSERT INTO bbdl.worker (id, host, pid) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET seen = now()";

const SEEN: &str = "UPDATE bbdl.worker SET seen = now() WHERE id = $1";

/// Only leases of which a good part is over: a row is not written every second.
const KEEP_LEASES: &str = "
    UPDATE bbdl.enrollee e SET leased_until = now() + s.lease FROM bbdl.setting s
    WHERE e.leased_by = $1 AND e.name = ANY($2) AND e.leased_until < now() + s.lease * 0.7";

const HOLD: &str = "
    INSERT INTO bbdl.server (origin, hold_until)
    SELECT origin, now() + make_interval(secs => seconds)
    FROM unnest($1, $2) AS held (origin, seconds) ORDER BY origin
    ON CONFLICT (origin) DO UPDATE SET hold_until = greatest(bbdl.server.hold_until, excluded.hold_until)
    WHERE bbdl.server.hold_until < excluded.hold_until";

/// The workers are counted from the oldest: a new one never takes the last place of one that is at work.
const LIMITS: &str = "
    WITH alive AS (
        SELECT w.id, row_number() OVER (ORDER BY w.started, w.id) - 1 AS place, count(*) OVER () AS workers
        FROM bbdl.worker w, bbdl.setting s WHERE w.seen > now() - s.worker_is_dead)
    SELECT v.origin, extract(epoch FROM greatest(v.hold_until, now()) - now())::float8,
        (v.max_in_flight / a.workers + CASE WHEN a.place < v.max_in_flight % a.workers THEN 1 ELSE 0 END)::bigint
    FROM bbdl.server v, alive a WHERE a.id = $1";

impl SharedState {
    /// Takes part in the work from now on.
    ///
    /// # Errors
    /// As every call of the database.
    pub async fn register(&self) -> Result<WorkerId> {
        let worker = WorkerId::random()?;
        let host = host_name();
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let values = [(&worker.0 as _, Type::INT8), (&host as _, Type::TEXT), (&pid as _, Type::INT4)];
        self.database().transaction(&[(FORGET, &[]), (REGISTER, &values)]).await?;
        Ok(worker)
    }

    /// Gives a sign of life, keeps the leases of `held`, tells the others what a server asked for, and learns what
    /// may be asked of each.
    ///
    /// # Errors
    /// As every call of the database.
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

    /// Has the workers share one limit for a server, where none is known yet.
    ///
    /// # Errors
    /// As every call of the database.
    pub async fn know_server(&self, origin: &Origin) -> Result<()> {
        let origin = origin.to_string();
        self.database()
            .query("INSERT INTO bbdl.server (origin) VALUES ($1) ON CONFLICT DO NOTHING", &[(&origin, Type::TEXT)])
            .await
            .map(drop)
    }

    /// Takes part no longer. What is leased stays so until its time is over, or until it is given back.
    ///
    /// # Errors
    /// As every call of the database.
    pub async fn sign_off(&self, worker: WorkerId) -> Result<()> {
        self.database().query("DELETE FROM bbdl.worker WHERE id = $1", &[(&worker.0, Type::INT8)]).await.map(drop)
    }
}

fn limit_of(row: &Row) -> Option<ServerLimit> {
    let (origin, hold, share): (&str, f64, i64) = (row.get(0), row.get(1), row.get(2));
    let hold = Duration::try_from_secs_f64(hold).ok().filter(|hold| !hold.is_zero());
    Some(ServerLimit { origin: origin.parse().ok()?, share: usize::try_from(share).unwrap_or_default(), hold })
}

/// Whose sign of life it is, for people who look into the tables.
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
