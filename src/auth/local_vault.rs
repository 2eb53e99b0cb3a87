//! The tokens of a profile on this machine: a token store, and a lock file for renewals.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    store::{TokenStore, next_record::NextRecord},
    token::Credential,
    vault::{Answer, Begun, Renewal, Vault},
};
use crate::{
    error::{Error, ErrorKind, Result},
    files::lock::{FileLock, LockError},
    runtime::run_blocking,
};

/// Longer than a renewal by another process can take: a lock, a health check, a request, a slow keyring.
const LOCK_PATIENCE: Duration = Duration::from_secs(300);
/// If a consent in another process has just ended our log-in, that process has its own tokens within this time: a
/// code lives 60 s, and the person may have to type the store's password.
const LOG_IN_PATIENCE: Duration = Duration::from_secs(120);
/// Pauses between attempts to store an answer that exists nowhere else.
const STORE_PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// A token store of this machine and the locks of one profile.
#[derive(Clone)]
pub(crate) struct LocalVault {
    /// Where the tokens are.
    pub store: Arc<dyn TokenStore>,
    /// The profile's name: the key in the token store.
    pub profile: String,
    /// The lock file of the profile.
    pub lock: PathBuf,
    /// The lock file that a log-in of the profile holds while it is running.
    pub log_in_lock: PathBuf,
    /// The command line that logs this profile in again.
    pub login: String,
}

impl LocalVault {
    /// The tokens as they are stored now.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if the store has none or cannot be asked.
    pub(crate) fn read(&self) -> Result<Credential> {
        let again = format!("Log in: {}", self.login);
        let record = self.store.load(&self.profile)?.ok_or_else(|| {
            Error::new(ErrorKind::NoTokens, format!("the token store has no tokens for profile \"{}\"", self.profile))
                .hint(again.clone())
        })?;
        Credential::from_record(&record).ok_or_else(|| {
            Error::new(
                ErrorKind::TokenRecord,
                format!("the record that the token store has for profile \"{}\" is not bbdl's", self.profile),
            )
            .hint(again)
        })
    }

    async fn lock_file(&self) -> Result<FileLock> {
        let path = self.lock.clone();
        let acquired =
            tokio::task::spawn_blocking(move || FileLock::acquire(&path, LOCK_PATIENCE, "renew the access token"))
                .await;
        match acquired {
            Ok(Ok(lock)) => Ok(lock),
            Ok(Err(LockError::Held { by })) => Err(Error::new(
                ErrorKind::Lock,
                format!("another bbdl is using the log-in of profile \"{}\" ({by})", self.profile),
            )
            .hint("Run the same command again when it has finished.")),
            Ok(Err(LockError::Io(cause))) => Err(Error::disk("lock", &self.lock, &cause)),
            Err(_) => Err(Error::new(ErrorKind::Defect, "waiting for the profile's lock ended unexpectedly")),
        }
    }
}

impl Vault for LocalVault {
    fn lock(&self) -> Answer<'_, Result<Box<dyn Send>>> {
        Box::pin(async { Ok(Box::new(self.lock_file().await?) as Box<dyn Send>) })
    }

    fn load(&self) -> Answer<'_, Result<Credential>> {
        let vault = self.clone();
        Box::pin(async { run_blocking(move || vault.read()).await? })
    }

    /// If the new pair could not be stored, it would be lost. This finds out before the pair exists.
    fn begin_renewal<'a>(&'a self, present: &'a Credential) -> Answer<'a, Result<Begun>> {
        let (store, profile, record) = (Arc::clone(&self.store), self.profile.clone(), present.to_record());
        Box::pin(async {
            let begun = run_blocking(move || {
                let next = store.prepare(&profile, &record)?;
                Ok(Begun::Yes(Box::new(LocalRenewal { store, profile, next })))
            });
            begun.await?
        })
    }

    /// The log-in releases its lock when its tokens are stored.
    fn wait_for_log_in<'a>(&'a self, waiting: &'a (dyn Fn() + Sync)) -> Answer<'a, ()> {
        const PURPOSE: &str = "wait for a log-in";
        Box::pin(async move {
            let path = self.log_in_lock.clone();
            if let Err(LockError::Held { .. }) = FileLock::acquire(&path, Duration::ZERO, PURPOSE) {
                waiting();
                let _ = tokio::task::spawn_blocking(move || FileLock::acquire(&path, LOG_IN_PATIENCE, PURPOSE)).await;
            }
        })
    }
}

/// A renewal while the profile's lock is held.
struct LocalRenewal {
    store: Arc<dyn TokenStore>,
    profile: String,
    /// The place that is ready for the answer.
    next: Option<NextRecord>,
}

impl LocalRenewal {
    /// One write, if a place is ready. If a store fails at this moment, it is tried again.
    async fn store_record(&mut self, renewed: &Credential) -> Result<()> {
        let mut last = Ok(());
        for pause in STORE_PAUSES {
            tokio::time::sleep(pause).await;
            let (store, profile, next) = (Arc::clone(&self.store), self.profile.clone(), self.next.take());
            let record = renewed.to_record();
            let stored = run_blocking(move || {
                if let Some(mut next) = next
                    && next.store(&record).is_ok()
                {
                    next.adopt();
                    return Ok(());
                }
                store.save(&profile, &record).map_err(Error::from)
            });
            last = stored.await.flatten();
            if last.is_ok() {
                break;
            }
        }
        last
    }
}

impl Renewal for LocalRenewal {
    fn after_a_loss(&self) -> bool {
        self.next.as_ref().is_some_and(NextRecord::after_a_loss)
    }

    fn store<'a>(&'a mut self, renewed: &'a Credential) -> Answer<'a, Result<()>> {
        Box::pin(self.store_record(renewed))
    }

    fn forget(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move { self.next.into_iter().for_each(NextRecord::forget) })
    }
}
