//! The system's own keyring: Secret Service on Linux and the BSDs, Keychain on macOS, Credential
//! Manager on Windows.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use keyring::v1::{Entry, Error as KeyringError};
use zeroize::Zeroizing;

use super::{
    StoreError, StoreKind, TokenStore, check_name,
    chunked_record::{self, Items},
    next_record::NextRecord,
};
use crate::{
    error::{in_words, sanitized},
    secret::Secret,
};

/// One item per profile (on Windows more, see `chunked_record.rs`) under the service name `bbdl`.
///
/// A locked Secret Service asks for its password in a window and waits forever, even if no one sees the window. A
/// dead one may not answer at all. So every call runs in its own thread and is given up after some time. The
/// abandoned thread does not keep the process from ending. The thread also keeps the blocking D-Bus client out of the
/// caller's async runtime, in which it must not run.
#[derive(Clone, Debug)]
pub struct KeyringStore {
    patience: Duration,
    home_mark: Option<String>,
}

impl KeyringStore {
    /// Gives up every call after `patience`: some seconds when unattended, a minute or more if a person may have to
    /// type the keyring's password. `home_mark` separates the items of one home directory from those of others,
    /// because a user has one keyring for all values of `BBDL_HOME`.
    #[must_use]
    pub fn new(patience: Duration, home_mark: Option<String>) -> Self {
        Self { patience, home_mark }
    }

    /// The name of a profile's item.
    fn item(&self, profile: &str) -> Result<String, StoreError> {
        check_name(profile)?;
        Ok(match &self.home_mark {
            Some(home) => format!("{profile}@{home}"),
            None => profile.to_owned(),
        })
    }

    fn within_patience<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, waiting) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("keyring".to_owned())
            // If the time is over, there is no receiver any more.
            .spawn(move || drop(answer.send(work())))
            .map_err(|error| StoreError::Unavailable { cause: in_words(&error) })?;
        match waiting.recv_timeout(self.patience) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(StoreError::TimedOut { seconds: self.patience.as_secs() }),
            Err(RecvTimeoutError::Disconnected) => {
                Err(StoreError::Unavailable { cause: "its client library failed".to_owned() })
            }
        }
    }
}

impl TokenStore for KeyringStore {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        let item = self.item(profile)?;
        self.within_patience(move || chunked_record::load(&Keyring, &item))
    }

    /// After [`StoreError::TimedOut`], the new record may still be stored, if someone unlocks the keyring before the
    /// process ends.
    fn save(&self, profile: &str, record: &Secret) -> Result<(), StoreError> {
        let (item, record) = (self.item(profile)?, record.clone());
        self.within_patience(move || chunked_record::save(&Keyring, &item, &record, ITEM_LIMIT))
    }

    /// Stores as much under another name, and not `present` once more: a call that was given up may still arrive, hours
    /// later, when another process has put newer tokens there.
    fn prepare(&self, profile: &str, present: &Secret) -> Result<Option<NextRecord>, StoreError> {
        let probe = self.item(&format!("{profile}#check"))?;
        let filler = Secret::new("-".repeat(present.expose().len()));
        self.within_patience(move || {
            chunked_record::save(&Keyring, &probe, &filler, ITEM_LIMIT)?;
            // What is left of it is removed the next time.
            let _ = chunked_record::delete(&Keyring, &probe, ITEM_LIMIT);
            Ok(None)
        })
    }

    fn delete(&self, profile: &str) -> Result<bool, StoreError> {
        let item = self.item(profile)?;
        self.within_patience(move || chunked_record::delete(&Keyring, &item, ITEM_LIMIT))
    }

    fn kind(&self) -> StoreKind {
        StoreKind::Keyring
    }
}

/// The service name of all items.
const SERVICE: &str = "bbdl";

/// How many bytes one item holds. Windows: `CRED_MAX_CREDENTIAL_BLOB_SIZE` = 5 × 512 (wincred.h), which the
/// windows-native store enforces for `set_secret`. Secret Service and Keychain document no limit, and records are far
/// smaller than what they are known to accept.
const ITEM_LIMIT: Option<usize> = if cfg!(windows) { Some(2560) } else { None };

struct Keyring;

impl Keyring {
    #[cfg(not(windows))]
    fn entry(name: &str) -> Result<Entry, StoreError> {
        Entry::new(SERVICE, name).map_err(|error| meaning(&error))
    }

    /// Kept on this machine. Otherwise the Credential Manager copies items to every machine of a domain that the
    /// person logs in to. A refresh token works once, so the machine that renews first would end the log-in of the
    /// others. An older item stays as it is until it is written the next time.
    #[cfg(windows)]
    fn entry(name: &str) -> Result<Entry, StoreError> {
        if Entry::store_status().is_err() {
            return Err(meaning(&KeyringError::NoDefaultStore));
        }
        let here_only = std::collections::HashMap::from([("persistence", "Local")]);
        let inner = keyring_core::Entry::new_with_modifiers(SERVICE, name, &here_only);
        inner.map(|inner| Entry { inner }).map_err(|error| meaning(&error))
    }
}

impl Items for Keyring {
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        match Self::entry(name)?.get_secret() {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(KeyringError::NoEntry) => Ok(None),
            Err(error) => Err(meaning(&error)),
        }
    }

    fn set(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        Self::entry(name)?.set_secret(bytes).map_err(|error| meaning(&error))
    }

    fn remove(&self, name: &str) -> Result<bool, StoreError> {
        match Self::entry(name)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(KeyringError::NoEntry) => Ok(false),
            Err(error) => Err(meaning(&error)),
        }
    }
}

/// What a keyring error means to us. `BadEncoding`, `BadDataFormat` and `Ambiguous` contain stored bytes (in their
/// `Debug`, and `Ambiguous` also prints its entries), so they are never formatted.
fn meaning(error: &KeyringError) -> StoreError {
    let unavailable = |cause: &str| StoreError::Unavailable { cause: sanitized(&in_plain_words(cause)) };
    let damaged = |what: &str| StoreError::Damaged { what: what.to_owned() };
    match error {
        KeyringError::NoDefaultStore => match Entry::store_status() {
            Err(KeyringError::NoDefaultStore) | Ok(()) => unavailable("there is none"),
            Err(why) => meaning(why),
        },
        KeyringError::NoStorageAccess(cause) => StoreError::Locked { cause: sanitized(&cause.to_string()) },
        KeyringError::PlatformFailure(cause) => {
            let cause = cause.to_string();
            // The D-Bus error of a collection that was locked between two calls (Secret Service API, "Errors").
            if cause.contains("Secret.Error.IsLocked") {
                return StoreError::Locked { cause: sanitized(&cause) };
            }
            unavailable(&cause)
        }
        KeyringError::TooLong(..) => StoreError::TooLarge,
        KeyringError::BadEncoding(_) | KeyringError::BadDataFormat(..) | KeyringError::BadStoreFormat(_) => {
            damaged("the keyring cannot read its item")
        }
        KeyringError::Ambiguous(_) => damaged("the keyring holds more than one item for it; remove all of them"),
        KeyringError::Invalid(attribute, _) => unavailable(&format!("it does not accept our \"{attribute}\"")),
        KeyringError::NotSupportedByStore(_) => unavailable("it cannot do what we ask"),
        KeyringError::NoEntry => damaged("its keyring item went away while we used it"),
        _ => unavailable("it failed for an unknown reason"),
    }
}

/// The library's message, after words that a person knows: which service did not answer.
fn in_plain_words(cause: &str) -> String {
    match cause.strip_prefix("zbus error: ") {
        // No bus: no address for it, or nothing behind the address.
        Some(rest)
            if ["unix:path=", "DBUS_SESSION_BUS_ADDRESS", "connect", "No such file"]
                .iter()
                .any(|word| rest.contains(word)) =>
        {
            "no D-Bus session is running here".to_owned()
        }
        Some(rest) => format!("bbdl cannot reach it, because D-Bus does not answer ({rest})"),
        None => cause.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn errors_never_contain_stored_bytes() {
        let hush = || b"hush".to_vec();
        let errors = [
            KeyringError::BadEncoding(hush()),
            KeyringError::BadDataFormat(hush(), "hush".into()),
            KeyringError::BadStoreFormat("hush".into()),
            KeyringError::Invalid("secret".into(), "hush".into()),
            KeyringError::NotSupportedByStore("hush".into()),
        ];
        for error in errors {
            let ours = meaning(&error);
            let text = format!("{ours} {ours:?} {}", ours.hint());
            assert!(!text.contains("hush") && !text.contains("104, 117, 115, 104"), "{text}");
        }
    }

    #[test]
    fn a_locked_keyring_is_told_from_one_that_is_not_there() {
        let locked = KeyringError::PlatformFailure("org.freedesktop.Secret.Error.IsLocked: no".into());
        assert!(matches!(meaning(&locked), StoreError::Locked { .. }));
        assert!(matches!(meaning(&KeyringError::NoStorageAccess("prompt".into())), StoreError::Locked { .. }));
        let absent = KeyringError::PlatformFailure("no bus\u{1b}[31m".into());
        assert!(matches!(meaning(&absent), StoreError::Unavailable { cause } if cause == "no bus [31m"));
        assert!(matches!(meaning(&KeyringError::TooLong("secret".into(), 2560)), StoreError::TooLarge));
    }

    #[test]
    fn errors_do_not_name_libraries() {
        let said = in_plain_words("zbus error: Failed to connect to address `unix:path=/x`: No such file");
        assert_eq!(said, "no D-Bus session is running here");
        let said = in_plain_words("zbus error: it was busy");
        assert_eq!(said, "bbdl cannot reach it, because D-Bus does not answer (it was busy)");
        assert_eq!(in_plain_words("there is none"), "there is none");
    }

    #[test]
    fn a_keyring_that_does_not_answer_times_out() {
        let (never, silence) = mpsc::channel::<()>();
        let started = Instant::now();
        let answer = KeyringStore::new(Duration::from_millis(20), None).within_patience(move || {
            let _ = silence.recv();
            Ok(())
        });
        assert!(matches!(answer, Err(StoreError::TimedOut { .. })));
        assert!(started.elapsed() < Duration::from_secs(10));
        drop(never);
    }

    #[cfg(windows)]
    #[test]
    fn items_stay_on_this_machine() {
        let name = format!("test-{}", std::process::id());
        Keyring.set(&name, b"hush").unwrap();
        let attributes = Keyring::entry(&name).unwrap().inner.get_attributes();
        assert!(Keyring.remove(&name).unwrap());
        assert_eq!(attributes.unwrap()["persistence"], "Local");
    }
}
