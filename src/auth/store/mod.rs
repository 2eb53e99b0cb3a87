//! Where tokens are kept: one opaque record a profile, behind one trait.

pub mod file;
pub mod keyring;
pub mod parts;

use std::{fmt, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Exit},
    secret::Secret,
};

/// The kinds of token store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The operating system's: Secret Service, macOS Keychain, Windows Credential Manager.
    #[default]
    Keyring,
    /// Files that only their owner may read: for servers and containers, and only when asked for.
    File,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyring => "keyring",
            Self::File => "file",
        })
    }
}

/// Keeps one opaque record (the text of a [`super::token::Credential`]) per profile name.
pub trait TokenStore: Send + Sync {
    /// The record of a profile, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError>;

    /// Keeps a record in place of the one before. It is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; the record of before is there then.
    fn save(&self, profile: &str, record: &Secret) -> Result<(), StoreError>;

    /// Forgets the record of a profile; says whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn delete(&self, profile: &str) -> Result<bool, StoreError>;

    /// What kind of store this is.
    fn kind(&self) -> StoreKind;
}

/// Why a token store did not do what it was asked. None of these holds anything of a record.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no keyring on this machine or in this session.
    #[error("the system's keyring is not available: {cause}")]
    Unavailable {
        /// What the system said.
        cause: String,
    },
    /// The keyring is locked and cannot be unlocked from here.
    #[error("the system's keyring is locked: {cause}")]
    Locked {
        /// What the system said.
        cause: String,
    },
    /// The keyring did not answer, most likely because it waits for a person to unlock it.
    #[error(
        "the system's keyring did not answer within {seconds} seconds; it may be locked and waiting for its password"
    )]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// The keyring failed.
    #[error("the system's keyring failed: {cause}")]
    Failed {
        /// What the system said.
        cause: String,
    },
    /// What is kept is incomplete or not text.
    #[error("the record of this profile is damaged: {what}")]
    Damaged {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file others may read is no place for tokens.
    #[error("{} may be read by others (mode {mode:o})", path.display())]
    Permissions {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The disk.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unavailable { .. } | Self::Failed { .. } => {
                "Start a Secret Service (gnome-keyring, KWallet) in this session, or keep the tokens in private files: --token-store file".into()
            }
            Self::Locked { .. } | Self::TimedOut { .. } => {
                "Unlock the keyring (log in to the desktop), or, for a server or cron, log in with --token-store file".into()
            }
            Self::Damaged { .. } => "Log in again.".into(),
            Self::Permissions { path, .. } => {
                let mode = if path.is_dir() { "700" } else { "600" };
                format!("If nobody else has read it: chmod {mode} {}", path.display())
            }
            Self::Io { .. } => "Check the disk and who owns this path.".into(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(cause: StoreError) -> Self {
        let exit = if matches!(cause, StoreError::Io { .. }) { Exit::Disk } else { Exit::NotSetUp };
        Self::new(exit, "token_store", cause.to_string()).hint(cause.hint())
    }
}
