//! Where things live on this machine.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ProfileName;
use crate::{
    error::{Error, ErrorKind, Result},
    files::private_dir,
};

/// Where things live on this machine.
#[derive(Clone, Debug)]
pub struct Paths {
    pub(super) config_file: PathBuf,
    state: PathBuf,
    home_mark: Option<String>,
}

impl Paths {
    /// With `home` (`BBDL_HOME`) everything is below it; else the places the system has for
    /// configuration and state. `config` is a configuration file named by the person.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] when the system names no home directory.
    pub fn find(home: Option<&Path>, config: Option<&Path>) -> Result<Self> {
        let (config_dir, state) = match home {
            Some(home) => (home.to_owned(), home.to_owned()),
            None => {
                let dirs = directories::ProjectDirs::from("", "", "bbdl").ok_or_else(|| {
                    Error::new(ErrorKind::Home, "this system names no home directory for its user")
                        .hint("Set BBDL_HOME to a directory for bbdl's configuration and state.")
                })?;
                let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned();
                (dirs.config_dir().to_owned(), state)
            }
        };
        let config_file = config.map_or_else(|| config_dir.join("config.toml"), Path::to_owned);
        let home_mark = home.map(home_mark);
        Ok(Self { config_file, state, home_mark })
    }

    /// The record of a profile: no secrets in it.
    #[must_use]
    pub fn profile(&self, name: &ProfileName) -> PathBuf {
        self.state.join("profiles").join(format!("{name}.json"))
    }

    /// The lock of a profile's log-in.
    #[must_use]
    pub fn lock(&self, name: &ProfileName) -> PathBuf {
        self.state.join("locks").join(format!("{name}.lock"))
    }

    /// The lock that a log-in holds from before the browser opens until its tokens are stored.
    #[must_use]
    pub fn log_in_lock(&self, name: &ProfileName) -> PathBuf {
        self.state.join("locks").join(format!("{name}.log-in-lock"))
    }

    /// The lock of a profile's record. Its name ends otherwise than that of any profile's other lock.
    pub(super) fn profile_lock(&self, name: &ProfileName) -> PathBuf {
        self.state.join("locks").join(format!("{name}.profile-lock"))
    }

    /// The directory with the state of this home: records, locks and token files.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What keeps keyring items of this home apart from those of others; nothing for the system's own places.
    #[must_use]
    pub fn home_mark(&self) -> Option<&str> {
        self.home_mark.as_deref()
    }

    /// The directories in which secrets and records are, those that are not there included.
    #[must_use]
    pub fn private_dirs(&self) -> [PathBuf; 5] {
        ["", "profiles", "tokens", "locks", "archives"].map(|name| self.state.join(name))
    }

    /// The names of all profiles, sorted.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn profiles(&self) -> Result<Vec<ProfileName>> {
        names_in(&self.state.join("profiles"))
    }

    /// Where it is noted which archives a log-in that has ended has filled.
    #[must_use]
    pub fn left_behind(&self) -> PathBuf {
        self.state.join("archives")
    }

    /// Refuses a state directory in which others could put a profile, a lock or a token file of theirs.
    ///
    /// # Errors
    /// [`crate::error::Exit::PersonMustAct`] with what to type, [`crate::error::Exit::Disk`].
    pub fn check(&self) -> Result<()> {
        self.private_dirs().iter().try_for_each(|dir| {
            // Any of them may be kept elsewhere by a link; what it leads to has to be safe.
            let real = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
            private_dir::check(&real, false).map(drop)
        })
    }
}

/// The profile names of the records in a directory, sorted.
///
/// # Errors
/// [`crate::error::Exit::Disk`].
pub(crate) fn names_in(dir: &Path) -> Result<Vec<ProfileName>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::disk("read", dir, &cause)),
    };
    let mut names: Vec<ProfileName> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse().ok()).collect();
    names.sort();
    Ok(names)
}

/// `BBDL_HOME`, where it is set.
#[must_use]
pub fn home() -> Option<PathBuf> {
    std::env::var_os("BBDL_HOME").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The names of all profiles, or none where they cannot be had: for a shell that completes one.
#[must_use]
pub fn profile_names() -> Vec<ProfileName> {
    Paths::find(home().as_deref(), None).and_then(|paths| paths.profiles()).unwrap_or_default()
}

/// A short name for a home directory: profiles of the same name below two homes are not the same.
fn home_mark(home: &Path) -> String {
    let whole = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
    // The same name before and after it is made, and by way of whatever link.
    let there = whole.ancestors().find_map(|part| Some((std::fs::canonicalize(part).ok()?, part)));
    let whole = match &there {
        Some((real, part)) => whole.strip_prefix(part).map_or_else(|_| whole.clone(), |rest| real.join(rest)),
        None => whole,
    };
    // Part by part: the same, whether or not it was typed with a slash at its end.
    let whole: PathBuf = whole.components().collect();
    hex::encode(&Sha256::digest(whole.as_os_str().as_encoded_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_one_mark_before_and_after_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("a/b");
        let before = home_mark(&home);
        std::fs::create_dir_all(&home).unwrap();
        assert_eq!(home_mark(&home), before);
        assert_eq!(home_mark(&home.join("")), before);
        assert_ne!(home_mark(dir.path()), before);
    }
}
