//! The tokens of one enrollee in the shared state, and their renewal by many machines.
//!
//! This order protects the only valid pair:
//!
//! 1. `renewing_since` is committed. While it is younger than the longest renewal, no other worker renews.
//! 2. The server is asked. No transaction is open during that time.
//! 3. The new pair is stored if the generation is still the one that was renewed, and the generation grows.
//! 4. Only then is the new pair used.
//!
//! The generation guards the tokens; the lease never does. A worker that lost its lease still holds the only valid
//! pair and has to store it. A worker that died between 2 and 3 leaves `renewing_since` behind. After the longest
//! renewal time, another worker tries once. If the server then rejects the refresh token, we have lost the pair, and
//! no one has withdrawn the consent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_postgres::types::Type;

use super::{
    SharedState,
    database::Effort,
    enrollee::{Enrollee, StoredTokens, lifetime, profile_text},
    unsaved::{Place, Unsaved},
    worker::{WorkerId, random_number},
};
use crate::{
    auth::{
        token::Credential,
        vault::{Answer, Begun, Renewal, Vault},
    },
    error::{Error, ErrorKind, Exit, Result},
    profile::{Profile, ProfileName, archive_notes::ArchiveNote},
};

/// How long to wait for renewals by others.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often to check whether they have ended.
const LOOK: Duration = Duration::from_millis(200);
/// The lock for claims. They are made one after the other, so that all workers together count renewals right. The
/// number is one that no other program locks.
const CLAIMS: i64 = 0x6262_6472;

const LOCK_CLAIMS: &str = "SELECT pg_advisory_xact_lock($1)";

/// At most `$5` renewals run at the same time. Those of dead workers do not count, because no process runs them any
/// more. The settings table has one row, but PostgreSQL does not know that. It would expect a large one and compile
/// the statement (JIT) each time, which takes many times as long as running it.
const CLAIM: &str = "
    UPDATE bbdl.enrollee e SET renewing_since = clock_timestamp(), renewing_id = $3, renewing_worker = $4,
        unanswered = CASE WHEN e.renewing_id = $3 THEN e.unanswered
            ELSE e.unanswered + CASE WHEN e.renewing_since IS NULL THEN 0 ELSE 1 END END
    FROM (SELECT * FROM bbdl.setting LIMIT 1) s
    WHERE e.name = $1 AND e.generation = $2
        AND (e.renewing_since IS NULL OR e.renewing_id = $3 OR e.renewing_since < now() - s.longest_renewal)
        AND $5 > (
            SELECT count(*) FROM bbdl.enrollee r JOIN bbdl.worker w ON w.id = r.renewing_worker
            WHERE r.renewing_since >= now() - s.longest_renewal AND w.seen > now() - s.worker_is_dead
                AND r.renewing_id <> $3)
    RETURNING e.unanswered";

/// Stores tokens. It does not check the lease.
pub(super) const STORE: &str = "
    UPDATE bbdl.enrollee SET generation = $2 + 1, sealed = $3, key_id = $4, profile = $5::text::jsonb,
        access_expires = now() + make_interval(secs => $6),
        renewing_since = NULL, renewing_id = NULL, renewing_worker = NULL, unanswered = 0,
        ended_kind = NULL, ended_at = NULL
    WHERE name = $1 AND generation = $2 RETURNING name";

const NOTE_BEGUN: &str = "
    UPDATE bbdl.enrollee SET archives = CASE
        WHEN EXISTS (
            SELECT FROM jsonb_array_elements(archives) AS known WHERE known->'out' = $2::text::jsonb->'out'
                AND (known->'filled' IS NULL OR known->'filled'->'real' = $2::text::jsonb->'filled'->'real'))
        THEN archives ELSE (
            SELECT coalesce(jsonb_agg(old), '[]') FROM jsonb_array_elements(archives) AS old
            WHERE old->'out' <> $2::text::jsonb->'out') || $2::text::jsonb END
    WHERE name = $1 RETURNING name";

const FORGET: &str = "
    UPDATE bbdl.enrollee SET renewing_since = NULL, renewing_id = NULL, renewing_worker = NULL
    WHERE name = $1 AND renewing_id = $2";

/// The vault of one enrollee. Clones share what they know.
#[derive(Clone)]
pub struct SharedVault(Arc<Inner>);

struct Inner {
    state: SharedState,
    worker: WorkerId,
    name: ProfileName,
    profile: Profile,
    /// How many renewals all workers run at the same time.
    renewals: i64,
    /// The generation of the tokens that were loaded last.
    generation: AtomicI64,
}

impl SharedVault {
    /// The vault of an enrollee that this worker pulls for. All workers together run at most `renewals` at the same
    /// time, but at least one. [`crate::auth::renewal_limit`] lets at most that many tasks of one worker ask for a
    /// turn.
    #[must_use]
    pub fn new(state: SharedState, worker: WorkerId, enrollee: &Enrollee, renewals: u8) -> Self {
        Self(Arc::new(Inner {
            state,
            worker,
            name: enrollee.name.clone(),
            profile: enrollee.profile.clone(),
            renewals: renewals.max(1).into(),
            generation: AtomicI64::new(enrollee.tokens.generation),
        }))
    }

    /// The generation of the tokens that were loaded or stored last.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Records an archive that a first pull begins to fill, so that `purge` finds what is left if the pull is
    /// interrupted.
    ///
    /// # Errors
    /// [`ErrorKind::NoProfile`] if the enrollee was removed in the meantime, because then nothing may be written.
    /// Otherwise errors of the database.
    pub async fn note_begun(&self, note: &ArchiveNote) -> Result<()> {
        let Inner { state, name, profile, .. } = &*self.0;
        if profile.archives.iter().any(|known| known.leads_where(note)) {
            return Ok(());
        }
        let (text, begun) = (name.as_str(), serde_json::json!(note).to_string());
        let values = [(&text as _, Type::TEXT), (&begun as _, Type::TEXT)];
        let noted = state.database().query(NOTE_BEGUN, &values).await?;
        if noted.is_empty() { Err(removed(name)) } else { Ok(()) }
    }

    async fn load_tokens(&self) -> Result<Credential> {
        let Inner { state, name, generation, .. } = &*self.0;
        let text = name.as_str();
        let sql = format!("SELECT {} FROM bbdl.enrollee e WHERE e.name = $1", StoredTokens::COLUMNS);
        let rows = state.database().query(&sql, &[(&text, Type::TEXT)]).await?;
        let tokens = rows.first().map(|row| StoredTokens::of(row, 0)).ok_or_else(|| removed(name))?;
        generation.store(tokens.generation, Ordering::Release);
        state.open_tokens(name, &tokens)
    }

    /// Claims the renewal of this generation as soon as there is a turn.
    async fn claim(&self) -> Result<Begun> {
        let (generation, id, began) = (self.generation(), random_number()?, Instant::now());
        let Inner { state, name, worker, renewals, .. } = &*self.0;
        let text = name.as_str();
        let values = [
            (&text as _, Type::TEXT),
            (&generation as _, Type::INT8),
            (&id as _, Type::INT8),
            (&worker.0 as _, Type::INT8),
            (renewals as _, Type::INT8),
        ];
        let look = "SELECT generation FROM bbdl.enrollee WHERE name = $1";
        loop {
            let answers = state
                .database()
                .transaction(&[(LOCK_CLAIMS, &[(&CLAIMS, Type::INT8)]), (CLAIM, &values), (look, &values[..1])])
                .await?;
            let [_, claimed, now] = answers.as_slice() else { return Err(removed(name)) };
            if let Some(row) = claimed.first() {
                let renewal = SharedRenewal { vault: self.clone(), generation, id, unanswered: row.get(0) };
                return Ok(Begun::Yes(Box::new(renewal)));
            }
            match now.first().map(|row| row.get::<_, i64>(0)) {
                None => return Err(removed(name)),
                Some(now) if now != generation => return Ok(Begun::Elsewhere),
                Some(_) if began.elapsed() > PATIENCE => return Err(busy(name)),
                Some(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

impl Vault for SharedVault {
    /// No lock is needed: the claim in [`Vault::begin_renewal`] keeps all other workers away, also on this machine.
    fn lock(&self) -> Answer<'_, Result<Box<dyn Send>>> {
        Box::pin(async { Ok(Box::new(()) as Box<dyn Send>) })
    }

    fn load(&self) -> Answer<'_, Result<Credential>> {
        Box::pin(self.load_tokens())
    }

    fn begin_renewal<'a>(&'a self, _present: &'a Credential) -> Answer<'a, Result<Begun>> {
        Box::pin(self.claim())
    }

    /// Nothing to wait for: log-ins are imported, and the next load sees an import.
    fn wait_for_log_in<'a>(&'a self, _waiting: &'a (dyn Fn() + Sync)) -> Answer<'a, ()> {
        Box::pin(async {})
    }
}

/// A renewal that was claimed.
struct SharedRenewal {
    vault: SharedVault,
    generation: i64,
    id: i64,
    unanswered: i32,
}

impl SharedRenewal {
    /// Stores the tokens in the database. If that does not answer at once, keeps them sealed on this machine's disk
    /// until it does.
    async fn store_tokens(&self, renewed: &Credential) -> Result<()> {
        let Inner { state, name, profile, generation, .. } = &*self.vault.0;
        let profile = Profile { grant: renewed.grant.clone(), ..profile.clone() };
        let unsaved = Unsaved {
            name: name.clone(),
            generation: self.generation,
            sealed: state.keys()?.seal(name.as_str(), self.generation + 1, &renewed.to_record())?,
            profile: profile_text(&profile)?,
            lifetime: lifetime(&renewed.grant),
        };
        // Also if the enrollee was removed or imported again in the meantime, or this is an older copy of the database: the
        // server sends these tokens only once.
        if !matches!(state.store(&unsaved, Effort::Once).await, Ok(Place::Stored | Place::Outdated)) {
            let on_disk = state.unsaved().keep(&unsaved);
            match state.store(&unsaved, Effort::Patient).await {
                Ok(Place::Stored | Place::Outdated) => state.unsaved().forget(&unsaved),
                Ok(Place::FileOnly) => on_disk?,
                // The next run on this machine stores them in the database.
                Err(error) if error.exit() == Exit::TryAgain && on_disk.is_ok() => {}
                Err(error) => return Err(on_disk.err().unwrap_or(error)),
            }
        }
        generation.store(self.generation + 1, Ordering::Release);
        Ok(())
    }
}

impl Renewal for SharedRenewal {
    fn after_a_loss(&self) -> bool {
        self.unanswered > 0
    }

    fn store<'a>(&'a mut self, renewed: &'a Credential) -> Answer<'a, Result<()>> {
        Box::pin(self.store_tokens(renewed))
    }

    fn forget(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move {
            let (state, name) = (&self.vault.0.state, self.vault.0.name.as_str());
            let values = [(&name as _, Type::TEXT), (&self.id as _, Type::INT8)];
            // If this fails, others wait longer than necessary, but nothing worse happens.
            let _ = state.database().query(FORGET, &values).await;
        })
    }
}

fn removed(name: &ProfileName) -> Error {
    Error::new(ErrorKind::NoProfile, format!("\"{name}\" was removed from the shared state in the meantime"))
        .hint("Run the same command again.")
}

fn busy(name: &ProfileName) -> Error {
    Error::new(ErrorKind::Lock, format!("another worker has been renewing the log-in of \"{name}\" for too long"))
        .hint("Run the same command again later.")
}

impl std::fmt::Debug for SharedVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedVault").field("name", &self.0.name).finish_non_exhaustive()
    }
}
