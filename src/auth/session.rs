//! A profile's live token: load, renew under the lock, store, use.
//!
//! A refresh token works once, and the answer that replaces it exists once. So whoever renews holds
//! the profile's lock, reads the store again before asking (another process may have renewed), makes
//! sure that the store can be written and that the server's back end is well, and stores the new pair
//! before anything uses it. The request runs as a task of its own, so that an interrupt cannot drop
//! an answer on its way to the store.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{
    endpoint::{self, App, Asked, TokenFailure},
    store::TokenStore,
    token::{Credential, Grant},
};
use crate::{
    api::client::{AccessToken, Bearer, Client},
    durable::{FileLock, LockError},
    error::{Error, ErrorKind, Result},
    secret::Secret,
};

/// A token with less life than this is renewed before it is used.
const TOO_SHORT: Duration = Duration::from_secs(60);
/// Longer than another process can take to renew: a lock, a health check, a request, a slow keyring.
const LOCK_PATIENCE: Duration = Duration::from_secs(300);
/// Longer than an answer to a renewal can take to arrive and be stored.
const LONGEST_RENEWAL: Duration = Duration::from_secs(150);

/// Nothing that must not be dropped is under way.
const AT_REST: u8 = 0;
/// A refresh token is on its way to the server, or the answer on its way to the store.
const RENEWING: u8 = 1;
/// The process is about to end: no renewal begins any more.
const CLOSED: u8 = 2;

/// What a session needs to know of its profile.
pub struct Identity {
    /// The profile's name: the key in the token store.
    pub profile: String,
    /// The lock file of the profile.
    pub lock: PathBuf,
    /// The command line that logs this profile in again.
    pub login: String,
}

/// Told of every renewed grant after it is stored.
pub type OnRenewed = Box<dyn Fn(&Grant) + Send + Sync>;

/// A logged-in profile. Cheap to clone; clones share the token.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    client: Arc<Client>,
    store: Arc<dyn TokenStore>,
    identity: Identity,
    on_renewed: OnRenewed,
    credential: Mutex<Live>,
    state: AtomicU8,
}

/// The tokens, and why they can no longer be renewed.
struct Live {
    credential: Credential,
    /// A renewal that failed has failed for everyone who waited for it, too: its refresh token may be spent.
    failed: Option<Error>,
}

impl Session {
    /// Loads the tokens of a profile for use with `client`'s server.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] when the store has no tokens or cannot be asked; [`crate::error::Exit::PersonMustAct`] when
    /// the tokens are those of another server.
    pub fn load(
        client: Arc<Client>,
        store: Arc<dyn TokenStore>,
        identity: Identity,
        on_renewed: OnRenewed,
    ) -> Result<Self> {
        let credential = read(&*store, &identity)?;
        if &credential.origin != client.server().origin() {
            return Err(Error::new(
                ErrorKind::Origin,
                format!("the tokens of profile \"{}\" are for {}", identity.profile, credential.origin),
            )
            .hint(format!("Log in again: {}", identity.login)));
        }
        Ok(Self(Arc::new(Inner {
            client,
            store,
            identity,
            on_renewed,
            credential: Mutex::new(Live { credential, failed: None }),
            state: AtomicU8::new(AT_REST),
        })))
    }

    /// What is known of the grant at this moment.
    pub async fn grant(&self) -> Grant {
        self.0.credential.lock().await.credential.grant.clone()
    }

    /// For the moment before the process ends: waits for a renewal whose refresh token has been sent, until
    /// its answer is stored or `give_up` says that nobody wants to wait. Where none is under way this
    /// returns at once, and none begins any more.
    pub async fn settle(&self, give_up: impl Future<Output = ()>) {
        let inner = &self.0;
        if inner.state.compare_exchange(AT_REST, CLOSED, Ordering::AcqRel, Ordering::Acquire) != Err(RENEWING) {
            return;
        }
        inner.client.ui().tell(
            "The log-in is being renewed; its answer comes only once and is waited for. To give it up: interrupt again.",
        );
        tokio::select! {
            _ = inner.credential.lock() => {}
            () = tokio::time::sleep(LONGEST_RENEWAL) => {}
            () = give_up => inner.client.ui().warn("the renewal was given up: the next run may need a new log-in"),
        }
    }

    async fn renewed_from(&self, rejected: Option<&AccessToken>) -> Result<AccessToken> {
        let inner = Arc::clone(&self.0);
        let rejected = rejected.map(|token| token.secret().clone());
        // A task of its own: whoever waits for it may be dropped, the answer may not.
        let task = tokio::spawn(async move {
            let live = &mut *inner.credential.lock().await;
            let credential = &mut live.credential;
            let stale = match &rejected {
                Some(rejected) => rejected.matches(credential.access_token.expose()),
                None => is_short_lived(&credential.grant),
            };
            if stale {
                if let Some(error) = &live.failed {
                    return Err(error.clone());
                }
                let renewed = inner.renew(credential, rejected.is_some()).await;
                renewed.inspect_err(|error| live.failed = Some(error.clone()))?;
            }
            Ok(AccessToken::new(credential.origin.clone(), credential.access_token.clone()))
        });
        task.await.map_err(|_| Error::new(ErrorKind::Defect, "renewing the access token ended unexpectedly"))?
    }
}

impl Bearer for Session {
    async fn token(&self) -> Result<AccessToken> {
        let live = self.0.credential.lock().await;
        let credential = &live.credential;
        if is_short_lived(&credential.grant) && credential.grant.refreshable {
            drop(live);
            return self.renewed_from(None).await;
        }
        Ok(AccessToken::new(credential.origin.clone(), credential.access_token.clone()))
    }

    async fn renew(&self, rejected: &AccessToken) -> Result<AccessToken> {
        self.renewed_from(Some(rejected)).await
    }
}

fn is_short_lived(grant: &Grant) -> bool {
    grant.access_token_expires.is_some_and(|at| {
        at.duration_since(Timestamp::now()) <= jiff::SignedDuration::try_from(TOO_SHORT).unwrap_or_default()
    })
}

fn read(store: &dyn TokenStore, identity: &Identity) -> Result<Credential> {
    let again = format!("Log in: {}", identity.login);
    let record = store.load(&identity.profile)?.ok_or_else(|| {
        Error::new(ErrorKind::NoTokens, format!("the token store has nothing for profile \"{}\"", identity.profile))
            .hint(again.clone())
    })?;
    Credential::from_record(&record).ok_or_else(|| {
        Error::new(
            ErrorKind::TokenRecord,
            format!("what the token store has for profile \"{}\" is not a record of bbdl's", identity.profile),
        )
        .hint(again)
    })
}

impl Inner {
    async fn renew(&self, current: &mut Credential, was_rejected: bool) -> Result<()> {
        let _lock = self.lock().await?;
        let stored = read(&*self.store, &self.identity)?;
        if !stored.access_token.matches(current.access_token.expose()) {
            if stored.origin != current.origin || !stored.grant.is_of_the_same_person(&current.grant) {
                return Err(Error::new(
                    ErrorKind::OtherPatient,
                    format!(
                        "somebody else may have logged in as profile \"{}\" in the meantime",
                        self.identity.profile
                    ),
                )
                .hint("Nothing of theirs was fetched. Give each person a profile of their own: --profile NAME"));
            }
            self.client.ui().trace(1, || "another process has renewed the access token".to_owned());
            *current = stored;
            return Ok(());
        }
        let refresh_token = match &current.refresh_token {
            Some(token) if current.grant.refreshable => token.clone(),
            _ => return Err(self.cannot_be_renewed(was_rejected)),
        };
        // If the new pair could not be stored it would be lost: find out before it exists.
        self.store.save(&self.identity.profile, &current.to_record())?;
        if let Some(why) = endpoint::backend_is_failing(&self.client).await {
            return Err(Error::new(
                ErrorKind::Backend,
                format!("the server's data back end is failing ({why}): the log-in was not renewed, as that would use up its refresh token"),
            )
            .hint("Run the same command again later."));
        }
        if self.state.compare_exchange(AT_REST, RENEWING, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted before the log-in was renewed"));
        }
        let renewed = self.exchange(current, refresh_token).await;
        self.state.store(AT_REST, Ordering::Release);
        *current = renewed?;
        (self.on_renewed)(&current.grant);
        self.client.ui().trace(1, || "the access token was renewed and stored".to_owned());
        Ok(())
    }

    /// Spends the refresh token, and stores what came for it.
    async fn exchange(&self, current: &Credential, refresh_token: Secret) -> Result<Credential> {
        let app = App { client_id: current.client_id.clone(), client_secret: current.client_secret.clone() };
        let answer = endpoint::refresh(&self.client, &app, &refresh_token).await;
        let answer =
            answer.map_err(|failure: TokenFailure| failure.into_error(Asked::Refresh, &self.identity.login))?;
        let (access_token, new_refresh_token, grant) = answer.into_renewed(&current.grant, &[], Timestamp::now());
        let renewed = Credential {
            access_token,
            // RFC 6749 section 6: without a new one the old one stays good.
            refresh_token: new_refresh_token.or(Some(refresh_token)),
            grant: Grant { refreshable: true, ..grant },
            ..current.clone()
        };
        let record = renewed.to_record();
        // The old pair is dead: a store that hesitates is asked once more before giving up.
        self.store
            .save(&self.identity.profile, &record)
            .or_else(|_| self.store.save(&self.identity.profile, &record))?;
        Ok(renewed)
    }

    fn cannot_be_renewed(&self, was_rejected: bool) -> Error {
        let message = if was_rejected {
            "the server no longer accepts the access token, and this log-in cannot be renewed"
        } else {
            "the access token has expired, and this log-in cannot be renewed"
        };
        Error::new(ErrorKind::Token, message).hint(format!("Log in again: {}", self.identity.login))
    }

    async fn lock(&self) -> Result<FileLock> {
        let path = self.identity.lock.clone();
        let acquired =
            tokio::task::spawn_blocking(move || FileLock::acquire(&path, LOCK_PATIENCE, "renew the access token"))
                .await;
        match acquired {
            Ok(Ok(lock)) => Ok(lock),
            Ok(Err(LockError::Held { by })) => Err(Error::new(
                ErrorKind::Lock,
                format!("another bbdl holds the log-in of profile \"{}\" ({by})", self.identity.profile),
            )
            .hint("Run the same command again when it has finished.")),
            Ok(Err(LockError::Io(cause))) => Err(Error::disk("lock", &self.identity.lock, &cause)),
            Err(_) => Err(Error::new(ErrorKind::Defect, "waiting for the profile's lock ended unexpectedly")),
        }
    }
}
