//! The roster of a database that machines share: leases instead of a list, and a heartbeat while they are held.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinHandle;

use super::{
    Outcome,
    roster::{Counts, Due, Next, Selection},
};
use crate::{
    error::{Error, Exit, Result},
    origin::Origin,
    profile::ProfileName,
    shared_state::{
        SharedState,
        lease::{DueCriteria, Lease, LeaseTicket, PullEnd, Written},
        shared_pull::SharedPull,
        vault::SharedVault,
        worker::{Hold, PULSE, ServerLimit, WorkerId},
    },
};

/// The default of `--stale-after`. Enrollees who were pulled within this time are left out, so that a worker that
/// joins late does not ask again for those whom others have pulled.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(12 * 3600);
/// How long an idle worker waits before it checks whether others have left an enrollee behind. Each check reads every
/// row, so the wait doubles each time, up to [`LONGEST_PAUSE`].
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// How often the due enrollees are counted. Counting reads every row.
const COUNT_AGAIN: Duration = Duration::from_secs(30);

/// Applies the limits that all workers share, and tells how long servers asked this worker to wait.
pub(crate) trait Pacer: Send + Sync {
    /// Applies limits.
    fn limit(&self, limits: &[ServerLimit]);
    /// The waits that servers asked for.
    fn holds(&self) -> Vec<Hold>;
}

/// An enrollee that this worker holds.
#[derive(Debug)]
struct Held {
    ticket: LeaseTicket,
    /// Missing if the row cannot be read. Then nothing is pulled.
    pull: Option<SharedPull>,
}

/// State shared with the heartbeat task.
#[derive(Debug, Default)]
struct Signs {
    held: Mutex<HashMap<ProfileName, Held>>,
    /// Whether this worker may send requests to any server.
    may_ask: Mutex<bool>,
}

/// Enrollees of a shared state.
pub(crate) struct SharedRoster {
    state: SharedState,
    worker: WorkerId,
    wanted: DueCriteria,
    renewals: u8,
    queue: VecDeque<Lease>,
    signs: Arc<Signs>,
    pulse: JoinHandle<()>,
    /// Servers for which the workers share a limit.
    servers: Vec<Origin>,
    /// How many enrollees this worker has taken.
    taken: u64,
    free: u64,
    fresh: u64,
    /// How many wait for the end of a pause that the server asked for.
    paused: u64,
    /// How many enrollees other workers still hold when this one ends.
    elsewhere: u64,
    removed: u64,
    nobody: bool,
    counted: Instant,
    /// How long to wait before the next check.
    pause: Duration,
}

impl SharedRoster {
    /// Joins the work on a shared state.
    ///
    /// # Errors
    /// Errors of the database.
    pub(crate) async fn join(
        state: SharedState,
        selection: &Selection,
        renewals: u8,
        pacer: Box<dyn Pacer>,
    ) -> Result<Self> {
        let worker = state.register().await?;
        let wanted = DueCriteria {
            asked: json!({ "resources": selection.resources, "full": selection.full }).to_string(),
            stale_after: selection.stale_after.unwrap_or(STALE_AFTER),
            shard: selection.shard.map(super::shard::Shard::parts),
        };
        let due = state.due(worker, &wanted).await?;
        let signs = Arc::new(Signs { may_ask: Mutex::new(true), ..Signs::default() });
        let pulse = tokio::spawn(give_signs(state.clone(), worker, Arc::clone(&signs), pacer));
        Ok(Self {
            state,
            worker,
            wanted,
            renewals,
            queue: VecDeque::new(),
            signs,
            pulse,
            servers: Vec::new(),
            taken: 0,
            free: due.free,
            fresh: due.fresh,
            paused: due.paused,
            elsewhere: 0,
            removed: 0,
            nobody: due.free + due.leased + due.fresh + due.paused == 0,
            counted: Instant::now(),
            pause: LOOK_AGAIN,
        })
    }

    /// How many enrollees this worker has taken, and how many none has taken yet. At the end, also those that other
    /// workers still hold, because such a worker may be dead.
    pub(super) fn due(&self) -> u64 {
        self.taken + self.free + self.paused + self.elsewhere
    }

    /// Whether there are no enrollees at all, due or not.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.nobody
    }

    pub(super) fn fresh(&self) -> u64 {
        self.fresh
    }

    pub(super) fn removed(&self) -> u64 {
        self.removed
    }

    pub(super) async fn next(&mut self) -> Result<Next> {
        if self.queue.is_empty() {
            if !*lock(&self.signs.may_ask) {
                // There are more workers than allowed requests.
                return Ok(Next::Later(LOOK_AGAIN));
            }
            let is_idle = self.pause > LOOK_AGAIN;
            // One check of all rows is enough to see that still no one is due.
            if is_idle && self.is_over().await? {
                return Ok(Next::Nobody);
            }
            let leases = match is_idle && self.free == 0 {
                true => Vec::new(),
                false => self.state.lease(self.worker, &self.wanted).await?,
            };
            if leases.is_empty() {
                if !is_idle && self.is_over().await? {
                    return Ok(Next::Nobody);
                }
                let pause = self.pause;
                self.pause = (pause * 2).min(LONGEST_PAUSE);
                return Ok(Next::Later(pause));
            }
            self.pause = LOOK_AGAIN;
            self.hold(leases).await?;
        }
        if self.counted.elapsed() > COUNT_AGAIN {
            self.count().await?;
        }
        let Some(lease) = self.queue.pop_front() else { return Ok(Next::Later(LOOK_AGAIN)) };
        let shared = lock(&self.signs.held).get(&lease.name).and_then(|held| held.pull.clone());
        let profile = lease.enrollee.map(|enrollee| enrollee.profile);
        Ok(Next::Due(Box::new(Due { name: lease.name, profile, shared })))
    }

    /// Adds new leases to those that the heartbeat keeps alive.
    async fn hold(&mut self, leases: Vec<Lease>) -> Result<()> {
        for lease in &leases {
            let mut pull = None;
            if let Ok(enrollee) = &lease.enrollee {
                let server = &enrollee.profile.server;
                if !self.servers.contains(server) {
                    self.state.know_server(server).await?;
                    self.servers.push(server.clone());
                }
                let vault = SharedVault::new(self.state.clone(), self.worker, enrollee, self.renewals);
                pull = Some(SharedPull::new(vault));
            }
            lock(&self.signs.held).insert(lease.name.clone(), Held { ticket: lease.ticket(), pull });
        }
        self.taken += leases.len() as u64;
        self.free = self.free.saturating_sub(leases.len() as u64);
        self.queue.extend(leases);
        Ok(())
    }

    /// Whether no enrollee is due any more on any worker.
    async fn is_over(&mut self) -> Result<bool> {
        Ok(self.count().await? + self.free == 0)
    }

    /// Counts the due enrollees. Returns how many of them other workers hold.
    async fn count(&mut self) -> Result<u64> {
        let due = self.state.due(self.worker, &self.wanted).await?;
        (self.free, self.paused, self.counted) = (due.free, due.paused, Instant::now());
        let mine = lock(&self.signs.held).len() as u64;
        Ok(due.leased.saturating_sub(mine))
    }

    pub(super) async fn ended(&mut self, outcome: &Outcome) -> Result<Counts> {
        let Some(Held { ticket, pull }) = lock(&self.signs.held).remove(&outcome.name) else {
            return Ok(Counts::TakenOver);
        };
        let end = end_of(outcome, pull.as_ref());
        let written = self.state.finish(&ticket, &end, &self.wanted, &told(outcome)).await?;
        if written == Written::LeaseLost || (written == Written::Yes && matches!(end, PullEnd::GivenBack)) {
            // An enrollee that was given back is due again.
            self.taken -= 1;
        }
        match (written, &outcome.failure) {
            (Written::Removed, _) => {
                self.removed += 1;
                Ok(Counts::Removed)
            }
            // All other enrollees would fail here too. They are left to workers that can pull for them.
            (_, Some(error)) if error.is_of_this_machine() => Err(error.clone()),
            (Written::LeaseLost, _) => Ok(Counts::TakenOver),
            (Written::Yes, _) => Ok(Counts::Yes),
        }
    }

    pub(super) async fn close(&mut self) -> Result<()> {
        self.pulse.abort();
        self.queue.clear();
        // Enrollees that were not begun, or whose outcome could not be written to the results.
        let waiting: Vec<LeaseTicket> = lock(&self.signs.held).drain().map(|(_, held)| held.ticket).collect();
        self.taken -= waiting.len() as u64;
        self.state.give_back(&waiting).await?;
        self.elsewhere = self.count().await?;
        self.state.sign_off(self.worker).await
    }
}

impl std::fmt::Debug for SharedRoster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedRoster").field("state", &self.state).finish_non_exhaustive()
    }
}

/// What an outcome means for the lease.
fn end_of(outcome: &Outcome, pull: Option<&SharedPull>) -> PullEnd {
    match (&outcome.failure, pull) {
        (None, Some(pull)) => pull.done(),
        (None, None) => PullEnd::Done { archive: None },
        (Some(error), _) if error.exit() == Exit::Interrupted || error.is_of_this_machine() => PullEnd::GivenBack,
        (Some(error), Some(pull)) => pull.failed(error),
        (Some(error), None) => PullEnd::Failed { retry_after: error.retry_after },
    }
}

/// What the database keeps about an outcome. It has no message, because that could say more than an administrator of
/// the database should read.
fn told(outcome: &Outcome) -> serde_json::Value {
    json!({
        "started": outcome.started, "finished": outcome.finished, "ok": outcome.failure.is_none(),
        "kind": outcome.failure.as_ref().map(|error| error.kind.name()),
        "exit_code": outcome.failure.as_ref().map_or(Exit::Done, Error::exit).code(),
        "requests": outcome.requests, "bytes": outcome.bytes,
    })
}

/// Sends a heartbeat once a second. While the database cannot be reached, it does nothing.
async fn give_signs(state: SharedState, worker: WorkerId, signs: Arc<Signs>, pacer: Box<dyn Pacer>) {
    loop {
        let held: Vec<ProfileName> = lock(&signs.held).keys().cloned().collect();
        if let Ok(limits) = state.pulse(worker, &held, &pacer.holds()).await {
            *lock(&signs.may_ask) = limits.is_empty() || limits.iter().any(|limit| limit.share > 0);
            pacer.limit(&limits);
        }
        tokio::time::sleep(PULSE).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
