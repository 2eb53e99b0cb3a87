//! Where things live on this machine.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ProfileName;
use crate::{
    auth::store,
    error::{Error, ErrorKind, NAME_ANOTHER, Result},
    files::{durable, place, private_dir, private_file},
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

    /// The directory of the token store `file`.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.state.join("tokens")
    }

    /// What keeps keyring items of this home apart from those of others; nothing for the system's own places.
    #[must_use]
    pub fn home_mark(&self) -> Option<&str> {
        self.home_mark.as_deref()
    }

    /// The directories in which secrets and records are, those that are not there included.
    #[must_use]
    pub fn private_dirs(&self) -> [PathBuf; 7] {
        let below = |name: &str| self.state.join(name);
        let [profiles, tokens, locks] = ["profiles", "tokens", "locks"].map(below);
        let [archives, pulls, unsaved] = ["archives", "pulls", "unsaved"].map(below);
        [self.state.clone(), profiles, tokens, locks, archives, pulls, unsaved]
    }

    /// Refuses a place for an output where bbdl keeps log-ins and what it remembers of them, or its configuration. Beside
    /// them, in the state directory itself, is its owner's affair.
    ///
    /// # Errors
    /// [`crate::error::Exit::Usage`].
    pub fn refuse_own(&self, output: &Path) -> Result<()> {
        let place = place::resolved(output);
        let [_, own @ ..] = self.private_dirs();
        let is_own = own.iter().any(|dir| place.starts_with(place::resolved(dir)));
        if is_own || place == place::resolved(&self.config_file) {
            let what = format!("{} is where bbdl keeps its own files", output.display());
            return Err(Error::usage(what).hint(NAME_ANOTHER));
        }
        Ok(())
    }

    /// Where the records of profiles are.
    pub(super) fn profiles_dir(&self) -> PathBuf {
        self.state.join("profiles")
    }

    /// Removes the lock files of a name. Whoever holds one of them goes on to hold nothing that anybody waits for.
    pub(super) fn remove_locks(&self, name: &ProfileName) {
        for lock in [self.lock(name), self.log_in_lock(name), self.profile_lock(name)] {
            let _ = std::fs::remove_file(lock);
        }
    }

    /// The names of all profiles, sorted.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn profiles(&self) -> Result<Vec<ProfileName>> {
        names_in(&self.profiles_dir())
    }

    /// The configuration file, whether or not it is there.
    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// Where renewed tokens wait, sealed, while the database of a shared state is away.
    #[must_use]
    pub fn unsaved(&self) -> PathBuf {
        self.state.join("unsaved")
    }

    /// Where it is noted which archives a log-in that has ended has filled.
    #[must_use]
    pub fn left_behind(&self) -> PathBuf {
        self.state.join("archives")
    }

    /// Where it is noted when each profile was pulled last.
    #[must_use]
    pub fn last_pulls(&self) -> PathBuf {
        self.state.join("pulls")
    }

    /// Removes what killed writers have left beside profiles and tokens: once an hour at most, whoever comes first, since
    /// the directories may have a hundred thousand files. What cannot be removed now is left for the next time.
    pub fn sweep(&self) {
        let stamp = self.state.join("locks").join("swept");
        let swept = std::fs::metadata(&stamp).and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
        // Nothing to sweep where there is no home yet; a stamp from the future says nothing.
        let is_due = !matches!(swept, Ok(Ok(age)) if age < durable::ABANDONED);
        if !is_due || !self.state.join("locks").is_dir() || private_file::create(&stamp).is_err() {
            return;
        }
        for name in ["profiles", "archives", "pulls"] {
            durable::clear_temporaries(&self.state.join(name), durable::ABANDONED);
        }
        store::sweep(&self.state);
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
pub(crate) fn home() -> Option<PathBuf> {
    std::env::var_os("BBDL_HOME").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The names of all profiles, or none where they cannot be had: for a shell that completes one.
#[must_use]
pub(crate) fn profile_names() -> Vec<ProfileName> {
    Paths::find(home().as_deref(), None).and_then(|paths| paths.profiles()).unwrap_or_default()
}

/// A short name for a home directory: profiles of the same name below two homes are not the same.
fn home_mark(home: &Path) -> String {
    // The same name before and after it is made, by way of whatever link, and with or without a slash at its end.
    let whole: PathBuf = place::resolved(home).components().collect();
    hex::encode(&Sha256::digest(whole.as_os_str().as_encoded_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A write lists nothing, so this is what removes secrets that a killed writer has left.
    #[test]
    fn leftovers_of_killed_writers_are_searched_once_an_hour() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::find(Some(dir.path()), None).unwrap();
        let long_ago = std::time::SystemTime::now() - 2 * durable::ABANDONED;
        let make_old = |path: &Path| {
            durable::write_private(path, b"x").unwrap();
            std::fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        };
        let left = ["profiles/.bbdl-1.tmp", "tokens/.bbdl-1.tmp", "tokens/by-name/07/.bbdl-1.tmp", "pulls/.bbdl-1.tmp"];
        let left = left.map(|name| dir.path().join(name));
        left.iter().for_each(|path| make_old(path));
        paths.sweep();
        assert!(left.iter().all(|path| path.exists()), "a home that was never used");
        std::fs::create_dir(dir.path().join("locks")).unwrap();
        paths.sweep();
        assert!(!left.iter().any(|path| path.exists()));
        make_old(&left[0]);
        paths.sweep();
        assert!(left[0].exists(), "not twice an hour");
        make_old(&dir.path().join("locks/swept"));
        paths.sweep();
        assert!(!left[0].exists());
    }

    #[test]
    fn no_output_takes_the_place_of_a_log_in_or_of_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("mine.toml");
        let paths = Paths::find(Some(&dir.path().join("home")), Some(&config)).unwrap();
        std::fs::create_dir_all(paths.tokens()).unwrap();
        std::fs::write(&config, "").unwrap();
        std::fs::write(paths.tokens().join("mom.json"), "").unwrap();
        let home = dir.path().join("home");
        for own in ["tokens", "tokens/x.json", "tokens/../tokens/a/b", "profiles/mom.json", "pulls/x", "locks/x"] {
            assert!(paths.refuse_own(&home.join(own)).is_err(), "{own}");
        }
        assert!(paths.refuse_own(&config).is_err());
        #[cfg(unix)]
        for (link, to) in [("file", paths.tokens().join("mom.json")), ("directory", paths.tokens()), ("config", config)]
        {
            let link = dir.path().join(link);
            std::os::unix::fs::symlink(to, &link).unwrap();
            let output = if link.is_dir() { link.join("x.json") } else { link };
            assert!(paths.refuse_own(&output).is_err(), "{}", output.display());
        }
        for free in ["home/results.ndjson", "home/claims/x", "x"] {
            paths.refuse_own(&dir.path().join(free)).unwrap();
        }
    }

    #[test]
    fn a_home_has_the_same_mark_before_and_after_its_creation() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("a/b");
        let before = home_mark(&home);
        std::fs::create_dir_all(&home).unwrap();
        assert_eq!(home_mark(&home), before);
        assert_eq!(home_mark(&home.join("")), before);
        assert_ne!(home_mark(dir.path()), before);
    }
}
