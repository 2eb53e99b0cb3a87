//! A profile's live token: loads it, renews it under the lock, stores it, and lends it to requests.
//!
//! A refresh token works once, and the server sends its replacement once. So a process that renews holds the
//! profile's lock, reads the store again before it asks (another process may have renewed), and makes sure that the
//! server's back end works and that a place for the answer is ready. It stores the new pair before anything checks or
//! uses it. The request runs in a separate task, so that an interrupt cannot drop an answer on its way to the store.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{
    log_in_end::EndedKind,
    renewal_limit::RenewalLimit,
    token::{AccessCategory, Credential, Grant},
    token_endpoint::{self, App, Asked, TokenFailure},
    vault::{Begun, Renewal, Vault},
};
use crate::{
    api::client::{AccessToken, Bearer, Client},
    error::{Error, ErrorKind, Result, sanitized},
    secret::Secret,
};

/// A token that expires sooner than this is renewed before it is used.
const TOO_SHORT: Duration = Duration::from_secs(60);
/// Longer than an answer to a renewal can take to arrive and be stored.
const LONGEST_RENEWAL: Duration = Duration::from_secs(150);
/// Longer than a vault takes to remove the note of a renewal that does not start.
const LONGEST_TAKING_BACK: Duration = Duration::from_secs(5);

/// How far a renewal has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing that must be finished is running.
    AtRest,
    /// A renewal is being noted in the vault, so that no other process begins one. Nothing was sent yet.
    Claiming,
    /// A refresh token is on its way to the server, or the answer on its way to the store.
    Renewing,
}

struct State {
    step: Step,
    /// The process is about to end, and no renewal may begin.
    is_closed: bool,
}

/// What a session needs to know of its profile.
pub struct Identity {
    /// The profile's name.
    pub profile: String,
    /// The command line that logs this profile in again.
    pub login: String,
    /// The limit that it shares with the sessions of other profiles.
    pub renewals: RenewalLimit,
}

/// Is told what happens to a log-in.
pub trait Observer: Send + Sync {
    /// The grant was renewed and stored.
    fn renewed(&self, grant: &Grant);
    /// The log-in of `grant` is over.
    fn ended(&self, grant: &Grant, kind: EndedKind);
}

/// A logged-in profile. Cheap to clone; clones share the token.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    client: Arc<Client>,
    vault: Arc<dyn Vault>,
    identity: Identity,
    observer: Box<dyn Observer>,
    /// The number of the log-in that the vault had when this session was opened.
    log_in: Option<u64>,
    credential: Mutex<Live>,
    state: std::sync::Mutex<State>,
}

/// The tokens, and the reason if they can no longer be renewed.
struct Live {
    credential: Credential,
    /// The error of a failed renewal. Everyone who waited for it gets it too, because the refresh token may be used
    /// up.
    failed: Option<Error>,
}

impl Session {
    /// A session with the tokens that `vault` has now, for `client`'s server.
    ///
    /// # Errors
    /// [`crate::error::Exit::PersonMustAct`] if the tokens belong to another server.
    pub fn new(
        client: Arc<Client>,
        (vault, credential): (Arc<dyn Vault>, Credential),
        identity: Identity,
        observer: Box<dyn Observer>,
    ) -> Result<Self> {
        if &credential.origin != client.server().origin() {
            return Err(Error::new(
                ErrorKind::Origin,
                format!("the tokens of profile \"{}\" are for {}", identity.profile, credential.origin),
            )
            .hint(format!("Log in again: {}", identity.login)));
        }
        Ok(Self(Arc::new(Inner {
            client,
            vault,
            identity,
            observer,
            log_in: credential.grant.log_in,
            credential: Mutex::new(Live { credential, failed: None }),
            state: std::sync::Mutex::new(State { step: Step::AtRest, is_closed: false }),
        })))
    }

    /// What is known about the grant now.
    pub async fn grant(&self) -> Grant {
        self.0.credential.lock().await.credential.grant.clone()
    }

    /// The number of the log-in that was loaded.
    #[must_use]
    pub fn log_in(&self) -> Option<u64> {
        self.0.log_in
    }

    /// Records that the server said in another answer that the log-in is over.
    pub async fn note_ended(&self, kind: EndedKind) {
        self.0.observer.ended(&self.grant().await, kind);
    }

    /// Call this before the process ends. If the refresh token of a renewal has been sent, waits until the answer is
    /// stored or `give_up` ends. If no renewal is running, returns at once. No renewal begins after this.
    pub async fn settle(&self, give_up: impl Future<Output = ()>) {
        let inner = &self.0;
        match inner.close() {
            Step::AtRest => {}
            // The renewal sees that the session is closed, and removes its note. That takes no request.
            Step::Claiming => tokio::select! {
                _ = inner.credential.lock() => {}
                () = tokio::time::sleep(LONGEST_TAKING_BACK) => {}
                () = give_up => {}
            },
            Step::Renewing => {
                let output = inner.client.output();
                output.tell("bbdl is waiting for new tokens, which the server sends only once. To stop anyway, interrupt again.");
                tokio::select! {
                    _ = inner.credential.lock() => {}
                    () = tokio::time::sleep(LONGEST_RENEWAL) => {}
                    () = give_up => output.warn("you stopped the renewal: the next run may need a new log-in"),
                }
            }
        }
    }

    /// Renews the log-in for a caller that holds the vault's lock. Like every renewal, it runs in a separate task: if
    /// the caller is interrupted, [`Session::settle`] waits for the answer.
    pub(crate) async fn renew_held(&self) -> Result<AccessToken, NotRenewed> {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let credential = &mut inner.credential.lock().await.credential;
            inner.renew_under_lock(credential, true).await?;
            Ok(access_token(credential))
        });
        task.await.map_err(|_| ended_unexpectedly())?
    }

    async fn renewed_from(&self, rejected: Option<&AccessToken>) -> Result<AccessToken> {
        let inner = Arc::clone(&self.0);
        let rejected = rejected.map(|token| token.secret().clone());
        // A separate task: the future that waits for it may be dropped, but the answer must not be.
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
            Ok(access_token(credential))
        });
        task.await.map_err(|_| ended_unexpectedly())?
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
        Ok(access_token(credential))
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

fn access_token(credential: &Credential) -> AccessToken {
    AccessToken::new(credential.origin.clone(), credential.access_token.clone())
}

fn ended_unexpectedly() -> Error {
    Error::new(ErrorKind::Defect, "renewing the access token ended unexpectedly")
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "interrupted before the log-in was renewed")
}

/// Why a renewal brought no tokens.
pub(crate) enum NotRenewed {
    /// The log-in is over, as far as is known.
    Ended(EndedKind, Error),
    /// Anything else.
    Failed(Error),
}

impl From<Error> for NotRenewed {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Inner {
    async fn renew(&self, current: &mut Credential, was_rejected: bool) -> Result<()> {
        // Before the lock: while this process waits for its turn, no other process has to wait for the lock.
        let turn = self.identity.renewals.turn().await;
        let lock = self.vault.lock().await?;
        let (kind, error) = match self.renew_under_lock(current, was_rejected).await {
            Ok(()) => return Ok(()),
            Err(NotRenewed::Failed(error)) => return Err(error),
            Err(NotRenewed::Ended(kind, error)) => (kind, error),
        };
        drop((lock, turn));
        // This log-in may have ended because of a new consent, whose tokens this machine is about to store.
        let waiting = || {
            let words =
                "Somebody is logging in under this profile, which ended the old log-in; waiting for the new one.";
            self.client.output().tell(words);
        };
        self.vault.wait_for_log_in(&waiting).await;
        let _lock = self.vault.lock().await?;
        if self.adopt_what_others_stored(current).await? {
            return Ok(());
        }
        self.observer.ended(&current.grant, kind);
        Err(error)
    }

    async fn renew_under_lock(&self, current: &mut Credential, was_rejected: bool) -> Result<(), NotRenewed> {
        let (refresh_token, renewal) = loop {
            if self.adopt_what_others_stored(current).await? {
                return Ok(());
            }
            let refresh_token = match &current.refresh_token {
                Some(token) if current.grant.refreshable => token.clone(),
                _ => return Err(self.cannot_be_renewed(&current.grant, was_rejected)),
            };
            self.identity.renewals.must_be_well(&self.client).await?;
            if !self.goes_from(Step::AtRest, Step::Claiming) {
                return Err(interrupted().into());
            }
            let begun = self.vault.begin_renewal(current).await;
            if let Ok(Begun::Yes(renewal)) = begun {
                break (refresh_token, renewal);
            }
            self.rest();
            // If another process renewed, its tokens can be adopted.
            begun?;
        };
        if !self.goes_from(Step::Claiming, Step::Renewing) {
            self.rest();
            renewal.forget().await;
            return Err(interrupted().into());
        }
        let renewed = self.exchange(current, refresh_token, renewal).await;
        self.rest();
        if renewed.is_err() {
            self.identity.renewals.doubt();
        }
        *current = renewed?;
        self.observer.renewed(&current.grant);
        Ok(())
    }

    /// Takes a step, unless the session is closed or at another step.
    fn goes_from(&self, from: Step, to: Step) -> bool {
        let mut state = self.state();
        let goes = !state.is_closed && state.step == from;
        if goes {
            state.step = to;
        }
        goes
    }

    fn rest(&self) {
        self.state().step = Step::AtRest;
    }

    /// Keeps any renewal from beginning, and says how far one has come that is running.
    fn close(&self) -> Step {
        let mut state = self.state();
        state.is_closed = true;
        state.step
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adopts what another process has stored in the meantime. Returns whether there was anything.
    async fn adopt_what_others_stored(&self, current: &mut Credential) -> Result<bool> {
        let stored = self.vault.load().await?;
        if stored.access_token.matches(current.access_token.expose()) {
            // The stored refresh token may be newer: it may come from an answer without a usable access token.
            *current = stored;
            return Ok(false);
        }
        if stored.origin != current.origin || !stored.grant.is_of_the_same_person(&current.grant) {
            return Err(Error::new(
                ErrorKind::OtherPatient,
                format!("somebody else may have logged in as profile \"{}\" in the meantime", self.identity.profile),
            )
            .hint("bbdl fetched nothing for that person. Give each person a profile of their own: --profile NAME"));
        }
        self.client.output().trace(1, || "another process has renewed the access token".to_owned());
        *current = stored;
        Ok(true)
    }

    /// Uses the refresh token, and stores the answer.
    async fn exchange(
        &self,
        current: &Credential,
        refresh_token: Secret,
        mut renewal: Box<dyn Renewal>,
    ) -> Result<Credential, NotRenewed> {
        let app = App { client_id: current.client_id.clone(), client_secret: current.client_secret.clone() };
        let answer = match token_endpoint::refresh(&self.client, &app, &refresh_token).await {
            Ok(answer) => answer,
            Err(failure) => return Err(self.not_renewed(&app, failure, renewal).await),
        };
        let came = Instant::now();
        let another = |said: &str| current.grant.patient.as_deref().is_some_and(|known| known != said);
        if answer.patient().is_some_and(another) {
            renewal.forget().await;
            return Err(self.of_another_patient());
        }
        let (is_usable, odd_type) = (answer.is_usable(), answer.odd_token_type().map(sanitized));
        let renewed = current.renewed(&refresh_token, answer);
        renewal.store(&renewed).await.map_err(|error| self.lost(&error))?;
        let took = came.elapsed().as_secs_f64() * 1000.0;
        self.client.output().trace(1, || format!("the renewed tokens were stored {took:.2} ms after they came"));
        if let Some(name) = odd_type {
            self.client
                .output()
                .warn(format!("the server calls its access token \"{name}\"; it is used as a bearer token"));
        }
        if is_usable {
            return Ok(renewed);
        }
        let failure = TokenFailure::Unreadable.into_error(Asked::Refresh, &self.identity.login);
        Err(failure.hint("bbdl stored the usable part. Run the same command again.").into())
    }

    /// The old pair no longer works, and the new one exists only in this process.
    fn lost(&self, cause: &Error) -> NotRenewed {
        let message = format!("the renewed tokens could not be stored: {}", cause.message);
        let hint = format!("{} Then log in again: {}", cause.hint, self.identity.login);
        NotRenewed::Ended(EndedKind::LostByUs, Error::new(ErrorKind::LostByUs, message).hint(hint))
    }

    /// Decides what a failed refresh means, and what happens to the place that was ready for the answer. The place
    /// stays, as a note for the next run, only if the answer may have been lost.
    async fn not_renewed(&self, app: &App, failure: TokenFailure, renewal: Box<dyn Renewal>) -> NotRenewed {
        let denied = matches!(&failure, TokenFailure::Refused(refusal) if refusal.is_request_denied());
        let ends = match &failure {
            TokenFailure::Refused(refusal) => refusal.ends_renewal(renewal.after_a_loss()),
            _ => None,
        };
        let error = failure.into_error(Asked::Refresh, &self.identity.login);
        if !matches!(error.kind, ErrorKind::RefreshLost | ErrorKind::TokenAnswer) {
            renewal.forget().await;
        }
        if denied {
            match token_endpoint::is_closed_to(&self.client, app).await {
                Ok(false) => {}
                Ok(true) => return closed().into(),
                Err(words) => return unknown(&words).into(),
            }
        }
        match ends {
            Some(EndedKind::LostByUs) => {
                let message = format!("{} ({})", EndedKind::LostByUs.words(), error.message);
                NotRenewed::Ended(EndedKind::LostByUs, Error::new(ErrorKind::LostByUs, message).hint(error.hint))
            }
            Some(kind) => NotRenewed::Ended(kind, error),
            None => error.into(),
        }
    }

    fn of_another_patient(&self) -> NotRenewed {
        let error = Error::new(
            ErrorKind::OtherPatient,
            "the server sent another person's tokens when bbdl renewed this log-in; bbdl did not keep them",
        )
        .hint(format!("Log in again: {}", self.identity.login));
        NotRenewed::Ended(EndedKind::OtherPatient, error)
    }

    fn cannot_be_renewed(&self, grant: &Grant, was_rejected: bool) -> NotRenewed {
        let message = if was_rejected {
            "the server no longer accepts the access token, and this log-in cannot be renewed"
        } else {
            "the access token has expired, and this log-in cannot be renewed"
        };
        let error = Error::new(ErrorKind::Token, message).hint(format!("Log in again: {}", self.identity.login));
        // One-time access lasts as long as its access token.
        let is_over = grant.access_category == AccessCategory::OneTime && is_short_lived(grant);
        NotRenewed::Ended(if is_over { EndedKind::GrantEnded } else { EndedKind::RefreshToken }, error)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::NotAllowed, "this app has no access to API v3, so the server does not renew its log-in")
        .hint("The log-in is kept. The app's owner has to ask the Blue Button API team (BlueButtonAPI@cms.hhs.gov).")
}

fn unknown(words: &str) -> Error {
    Error::new(
        ErrorKind::Server,
        format!("the server refused to renew the log-in, and bbdl cannot tell whether the app has access to API v3 ({words})"),
    )
    .hint("The log-in is kept. Run the same command again later.")
}
