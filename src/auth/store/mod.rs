//! Where a profile's client secret and tokens are kept between runs: the system's keyring, or a file or a program if
//! a person chose one. bbdl never switches from one to another by itself.

mod chunked_record;
pub mod command;
pub(crate) mod file;
pub mod keyring;
pub(crate) mod next_record;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use command::CommandStore;
use file::FileStore;
use keyring::KeyringStore;
use next_record::NextRecord;
use serde::{Deserialize, Serialize};

use crate::{
    error::{DOCS, Error, ErrorKind, in_words, sanitized},
    files::path_text::typed,
    secret::Secret,
};

/// Keeps one opaque record (JSON text holding client secret and tokens) per profile name.
///
/// Calls block. A refresh token works once, so a caller that renews must hold the profile's lock from `load` to
/// `save`. The store itself does not lock.
pub trait TokenStore: Send + Sync {
    /// The record of `profile`; `None` if there is none.
    ///
    /// # Errors
    /// If the store cannot say whether there is one, or if what is there cannot be the record.
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError>;

    /// Replaces the record of `profile`. After `Ok`, the new record survives a power failure as far as the store can
    /// promise that. After an error, or if the process dies in this call, either the old record or the new one can be
    /// loaded.
    ///
    /// # Errors
    /// If the record was not kept.
    fn save(&self, profile: &str, record: &Secret) -> Result<(), StoreError>;

    /// Like [`TokenStore::save`], for many profiles. The result has one entry per record, in their order.
    fn save_many(&self, records: &[(&str, &Secret)]) -> Vec<Result<(), StoreError>> {
        records.iter().map(|(profile, record)| self.save(profile, record)).collect()
    }

    /// Announces that about this many records will be kept.
    fn make_room(&self, records: usize) {
        let _ = records;
    }

    /// Prepares for the record that is about to replace `present`, so that storing it is as fast as possible, and so
    /// that a failure shows before that record exists. A store without such a place stores `present` once more, which
    /// shows the same. The keyring, whose calls may still run after they were given up, does not do that.
    ///
    /// # Errors
    /// If the record could not be stored.
    fn prepare(&self, profile: &str, present: &Secret) -> Result<Option<NextRecord>, StoreError> {
        self.save(profile, present)?;
        Ok(None)
    }

    /// Removes the record of `profile`. Returns whether there was one.
    ///
    /// # Errors
    /// If the record may still be there.
    fn delete(&self, profile: &str) -> Result<bool, StoreError>;

    /// Which store this is, for `--token-store` and `status`.
    fn kind(&self) -> StoreKind;
}

/// What a store needs to know about this machine and this run.
#[derive(Clone, Copy, Debug)]
pub struct StoreSettings<'a> {
    /// The directory with the state of this home.
    pub state: &'a Path,
    /// A name that separates keyring items of this home from those of others; none for the system's default
    /// directories.
    pub home_mark: Option<&'a str>,
    /// The program of the `command` store.
    pub command: Option<&'a str>,
    /// Whether a person is there and can be asked to unlock something.
    pub attended: bool,
}

/// Opens the store of a kind. A new store needs a file beside this one, a [`StoreKind`] and a line here.
#[must_use]
pub fn open(kind: StoreKind, settings: StoreSettings<'_>) -> Box<dyn TokenStore> {
    // How long a keyring or a program may take to answer.
    let patience = Duration::from_secs(if settings.attended { 60 } else { 10 });
    match kind {
        StoreKind::Keyring => Box::new(KeyringStore::new(patience, settings.home_mark.map(str::to_owned))),
        StoreKind::File => Box::new(FileStore::new(settings.state.join("tokens"))),
        StoreKind::Command => {
            Box::new(CommandStore::new(settings.command, settings.state, patience).attended(settings.attended))
        }
    }
}

/// Removes what killed processes have left in the stores below `state`.
pub fn sweep(state: &Path) {
    FileStore::new(state.join("tokens")).sweep();
}

/// The stores a person can choose from (`--token-store`, `BBDL_TOKEN_STORE`, `token_store` in the
/// configuration file).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The system's keyring: Secret Service, macOS Keychain or Windows Credential Manager
    #[default]
    Keyring,
    /// Files that only you can read
    File,
    /// A program of yours, named by token_store_command in config.toml or by BBDL_TOKEN_STORE_COMMAND
    Command,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyring => "keyring",
            Self::File => "file",
            Self::Command => "command",
        })
    }
}

/// Why a record could not be loaded, kept or removed. Never contains any part of the record.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no keyring on this machine.
    #[error("the system's keyring is not available: {cause}")]
    Unavailable {
        /// What the system said, safe to show.
        cause: String,
    },
    /// The keyring is there but did not let us in.
    #[error("the system's keyring is locked: {cause}")]
    Locked {
        /// What the system said, safe to show.
        cause: String,
    },
    /// The keyring did not answer in time. Usually it is locked and asks for its password in a window that no one
    /// sees.
    #[error(
        "the system's keyring did not answer within {seconds} seconds; it may be locked and waiting for its password"
    )]
    TimedOut {
        /// How long bbdl waited, in seconds, rounded down.
        seconds: u64,
    },
    /// The keyring cannot hold a record of this size.
    #[error("the record of this profile is larger than the system's keyring can hold")]
    TooLarge,
    /// The `command` store was chosen, but no command is configured.
    #[error("no token store command is configured")]
    NoCommand,
    /// The program of the `command` store could not be run, failed, or gave a wrong answer. Its command line is not
    /// shown, because it may contain a password.
    #[error("the token store command (action {action}) {what}")]
    Command {
        /// What it was asked to do.
        action: &'static str,
        /// What happened to it, without its output.
        what: String,
    },
    /// The program of the `command` store did not end in time, so bbdl ended it.
    #[error("the token store command (action {action}) did not end within {seconds} seconds")]
    CommandTimedOut {
        /// What it was asked to do.
        action: &'static str,
        /// How long bbdl waited, in seconds, rounded down.
        seconds: u64,
    },
    /// There is something, but it is not a record that bbdl wrote.
    #[error("what is stored for this profile is damaged: {what}")]
    Damaged {
        /// What is wrong with it, without its content.
        what: String,
    },
    /// An error of the disk.
    #[error("cannot use the token file {}: {}", path.display(), in_words(source))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The token file or its directory is open to others, who may know the tokens.
    #[error("others can read {} (mode {mode:04o}); bbdl keeps no tokens there", path.display())]
    Permissions {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The token file and its directory have different owners, so another user has put the file there.
    #[error("{} belongs to a different user (number {owner}) from its directory, so bbdl does not use it", path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// The user number it belongs to.
        owner: u32,
    },
    /// Not every store can use the name for a record.
    #[error("\"{}\" cannot be the name of a profile", sanitized(name))]
    ProfileName {
        /// The name as it was given.
        name: String,
    },
}

impl StoreError {
    /// The next thing to do or type.
    #[must_use]
    pub fn hint(&self) -> String {
        const OTHERS: &str = "use --token-store file, which keeps tokens in a file that only you can read, \
                              or --token-store command, which lets a program of yours keep them";
        match self {
            Self::Unavailable { .. } | Self::TooLarge => format!("Where there is no usable keyring, {OTHERS}."),
            Self::Locked { .. } | Self::TimedOut { .. } => {
                format!(
                    "Unlock the keyring (log in to the desktop) and run the same command again. For unattended runs, {OTHERS}."
                )
            }
            Self::NoCommand => {
                format!("Set token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND: {DOCS}/token-store-command.md")
            }
            Self::Command { .. } => format!(
                "Its own message is above. Check token_store_command in config.toml, or BBDL_TOKEN_STORE_COMMAND: \
                 {DOCS}/token-store-command.md"
            ),
            Self::CommandTimedOut { .. } => {
                "It may be waiting for a password: unlock the place where it keeps tokens, and run the same command again.".to_owned()
            }
            Self::Damaged { .. } => "Run `bbdl login` to store it again.".to_owned(),
            Self::Io { .. } => "Check the disk and who owns the directory, then run the same command again.".to_owned(),
            Self::Permissions { path, .. } => format!(
                "If others may have used it, run `bbdl logout` and `bbdl login`. If not, run: chmod {} {}",
                if path.is_dir() { "700" } else { "600" },
                typed(path)
            ),
            Self::ForeignOwner { path, .. } => format!(
                "Find out who put it there, and run `bbdl login` after you have removed it: rm {}",
                typed(path)
            ),
            Self::ProfileName { .. } => {
                "Use up to 64 letters, digits, '.', '_' and '-', not beginning with a dot.".to_owned()
            }
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Io { path, source } => Self::disk("use the token file", path, source),
            StoreError::ProfileName { .. } => Self::usage(error.to_string()).hint(error.hint()),
            // Not "try again later": a locked keyring may open, but a person must unlock it first.
            _ => Self::new(ErrorKind::TokenStore, error.to_string()).hint(error.hint()),
        }
    }
}

/// Refuses a name that a store would read as something else: a path (`/`, `\`, a leading dot), a stream or drive
/// (`:`, on Windows), a part of another record (`#` and a digit), a second line on a terminal. Other names with `#`
/// are bbdl's own records beside a profile's; a profile's name cannot contain `#`.
fn check_name(profile: &str) -> Result<(), StoreError> {
    const LONGEST: usize = 100;
    let part = profile.match_indices('#').any(|(at, _)| profile[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    let fits = !profile.is_empty()
        && profile.len() <= LONGEST
        && !profile.starts_with('.')
        && !part
        && !profile.contains(|c: char| matches!(c, '/' | '\\' | ':') || c.is_control());
    if fits { Ok(()) } else { Err(StoreError::ProfileName { name: profile.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn record_names_that_mislead_a_store_are_refused() {
        for name in ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "c:", "mom#0.1", "a\nb", &"x".repeat(101)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["default", "mom", "mom.sandbox", "Großmutter", "a b", "mom#check"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn keyring_errors_exit_with_78_and_say_what_to_type() {
        let cause = || "no bus".to_owned();
        let troubles = [
            StoreError::Unavailable { cause: cause() },
            StoreError::Locked { cause: cause() },
            StoreError::TimedOut { seconds: 5 },
            StoreError::TooLarge,
        ];
        for trouble in troubles {
            let error = Error::from(trouble);
            assert_eq!(error.exit(), Exit::NotSetUp);
            // Both other stores, as the contract requires.
            for store in ["--token-store file", "--token-store command"] {
                assert!(error.hint.contains(store), "{}", error.hint);
            }
        }
        assert!(Error::from(StoreError::Unavailable { cause: cause() }).message.contains("no bus"));
    }

    #[test]
    fn the_chmod_to_type_survives_a_shell() {
        let hint = StoreError::Permissions { path: "/home/o'neil/x.json".into(), mode: 0o644 }.hint();
        assert!(hint.contains(r"chmod 600 '/home/o'\''neil/x.json'"), "{hint}");
    }

    #[test]
    fn kinds_are_spelled_alike_on_the_command_line_and_in_the_configuration() {
        for kind in StoreKind::value_variants() {
            let typed = kind.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), kind.to_string());
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", typed.get_name()));
        }
    }
}
