//! Tokens in the operating system's keyring.
//!
//! A keyring that is locked asks a person for its password, in a window that a cron job will never see.
//! So each call runs on a thread of its own and is given a limited time; a thread that is still waiting
//! then is left behind and ends with the process.

use std::{sync::mpsc, thread, time::Duration};

use keyring::v1::Entry;
use zeroize::Zeroizing;

use super::{
    StoreError, StoreKind, TokenStore,
    parts::{self, Items},
};
use crate::{error::shown, secret::Secret};

/// The name under which all items of bbdl's stand.
const SERVICE: &str = "bbdl";

/// Windows: `CRED_MAX_CREDENTIAL_BLOB_SIZE` is 5 × 512 bytes; bytes are stored as they are
/// (`set_secret`), while a password would be stored as UTF-16 and take twice the room.
#[cfg(windows)]
const LIMIT: usize = 2560;
/// Secret Service and Keychain have no limit that a record could reach; this keeps one in bounds.
#[cfg(not(windows))]
const LIMIT: usize = 64 * 1024;

/// The keyring of the person who runs this.
#[derive(Debug)]
pub struct KeyringStore {
    patience: Duration,
}

impl KeyringStore {
    /// A keyring whose calls may take this long, each.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { patience }
    }

    fn within_limit<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("keyring".into())
            .spawn(move || sender.send(call()))
            .map_err(|cause| StoreError::Failed { cause: cause.to_string() })?;
        receiver.recv_timeout(self.patience).unwrap_or_else(|cause| {
            Err(match cause {
                mpsc::RecvTimeoutError::Timeout => StoreError::TimedOut { seconds: self.patience.as_secs() },
                mpsc::RecvTimeoutError::Disconnected => StoreError::Failed { cause: "it ended unexpectedly".into() },
            })
        })
    }
}

impl TokenStore for KeyringStore {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        let profile = profile.to_owned();
        self.within_limit(move || {
            let Some(mut bytes) = parts::load(&Native, &profile)? else { return Ok(None) };
            String::from_utf8(std::mem::take(&mut *bytes))
                .map(|text| Some(Secret::new(text)))
                .map_err(|_| StoreError::Damaged { what: "not text" })
        })
    }

    fn save(&self, profile: &str, record: &Secret) -> Result<(), StoreError> {
        let (profile, record) = (profile.to_owned(), record.clone());
        self.within_limit(move || parts::save(&Native, &profile, record.expose().as_bytes()))
    }

    fn delete(&self, profile: &str) -> Result<bool, StoreError> {
        let profile = profile.to_owned();
        self.within_limit(move || parts::remove(&Native, &profile))
    }

    fn kind(&self) -> StoreKind {
        StoreKind::Keyring
    }
}

/// The items of the platform's keyring.
struct Native;

impl Native {
    fn entry(name: &str) -> Result<Entry, StoreError> {
        if let Err(cause) = Entry::store_status() {
            return Err(StoreError::Unavailable { cause: words(cause) });
        }
        Entry::new(SERVICE, name).map_err(|cause| refused(&cause))
    }
}

impl Items for Native {
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        match Self::entry(name)?.get_secret() {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(keyring::v1::Error::NoEntry) => Ok(None),
            Err(cause) => Err(refused(&cause)),
        }
    }

    fn set(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        Self::entry(name)?.set_secret(bytes).map_err(|cause| refused(&cause))
    }

    fn remove(&self, name: &str) -> Result<bool, StoreError> {
        match Self::entry(name)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(keyring::v1::Error::NoEntry) => Ok(false),
            Err(cause) => Err(refused(&cause)),
        }
    }

    fn limit(&self) -> usize {
        LIMIT
    }
}

fn refused(cause: &keyring::v1::Error) -> StoreError {
    use keyring::v1::Error as E;
    match cause {
        E::NoStorageAccess(_) => StoreError::Locked { cause: words(cause) },
        E::NoDefaultStore => StoreError::Unavailable { cause: words(cause) },
        E::Ambiguous(_) => StoreError::Damaged { what: "the keyring has several under one name" },
        E::BadEncoding(_) | E::BadDataFormat(..) => StoreError::Damaged { what: "not as bbdl wrote it" },
        _ => StoreError::Failed { cause: words(cause) },
    }
}

/// What the keyring said. Errors that carry what they read are not asked.
fn words(cause: &keyring::v1::Error) -> String {
    use keyring::v1::Error as E;
    match cause {
        E::BadEncoding(_) | E::BadDataFormat(..) | E::Ambiguous(_) => "its answer makes no sense".to_owned(),
        other => shown(&other.to_string()),
    }
}
