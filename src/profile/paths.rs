//! Where bbdl's files are on this machine.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ProfileName;
use crate::{
    auth::store,
    error::{Error, ErrorKind, NAME_ANOTHER, Result},
    files::{durable, listing, place, private_dir, private_file},
};

/// Where bbdl's files are on this machine.
#[derive(Clone, Debug)]
pub struct Paths {
    pub(super) config_file: PathBuf,
    state: PathBuf,
    home_mark: Option<String>,
}

const SET_HOME: &str = "Set BBDL_HOME to a directory for bbdl's configuration and state.";

impl Paths {
    /// With `home` (`BBDL_HOME`), everything is inside it. Otherwise, uses the system's directories for configuration
    /// and state. `config` is a configuration file that the person named.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if the system has no home directory for the user.
    pub fn find(home: Option<&Path>, config: Option<&Path>) -> Result<Self> {
        let (config_dir, state) = match home {
            Some(home) if home.exists() && !home.is_dir() => {
                let what = if home.is_file() { "a file, not a directory" } else { "not a directory" };
                return Err(
                    Error::new(ErrorKind::Config, format!("BBDL_HOME is {what}: {}", home.display())).hint(SET_HOME)
                );
            }
            Some(home) => (home.to_owned(), home.to_owned()),
            None => {
                let dirs = directories::ProjectDirs::from("", "", "bbdl").ok_or_else(|| {
                    Error::new(ErrorKind::Home, "this system names no home directory for its user").hint(SET_HOME)
                })?;
                let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned();
                (dirs.config_dir().to_owned(), state)
            }
        };
        let config_file = config.map_or_else(|| config_dir.join("config.toml"), Path::to_owned);
        let home_mark = home.map(home_mark);
        Ok(Self { config_file, state, home_mark })
    }

    /// The record of a profile. It contains no secrets.
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

    /// The lock of a profile's record. Its name has another ending than the profile's other locks.
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

    /// A name that separates keyring items of this home from those of others; none for the system's default
    /// directories.
    #[must_use]
    pub fn home_mark(&self) -> Option<&str> {
        self.home_mark.as_deref()
    }

    /// The directories with secrets and records, whether or not they exist.
    #[must_use]
    pub fn private_dirs(&self) -> [PathBuf; 7] {
        let below = |name: &str| self.state.join(name);
        let [profiles, tokens, locks] = ["profiles", "tokens", "locks"].map(below);
        let [archives, pulls, unsaved] = ["archives", "pulls", "unsaved"].map(below);
        [self.state.clone(), profiles, tokens, locks, archives, pulls, unsaved]
    }

    /// Refuses an output path inside the directories where bbdl keeps log-ins and records, or at its configuration.
    /// Other paths in the state directory are fine.
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

    /// The directory of the profiles' records.
    pub(super) fn profiles_dir(&self) -> PathBuf {
        self.state.join("profiles")
    }

    /// Removes the lock files of a name. A process that holds one of them keeps a lock that no other process can wait
    /// for.
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

    /// The path of the configuration file, whether or not it exists.
    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// Where renewed tokens wait, sealed, while the database of a shared state cannot be reached.
    #[must_use]
    pub fn unsaved(&self) -> PathBuf {
        self.state.join("unsaved")
    }

    /// The directory of the notes about archives of ended log-ins.
    #[must_use]
    pub fn left_behind(&self) -> PathBuf {
        self.state.join("archives")
    }

    /// The directory of the notes about each profile's last pull.
    #[must_use]
    pub fn last_pulls(&self) -> PathBuf {
        self.state.join("pulls")
    }

    /// Removes what killed processes have left beside profiles and tokens. At most once an hour, because the
    /// directories may have a hundred thousand files. What cannot be removed now is left for the next time.
    pub fn sweep(&self) {
        let stamp = self.state.join("locks").join("swept");
        let swept = std::fs::metadata(&stamp).and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
        // There is nothing to remove if there is no home yet. A stamp from the future is ignored.
        let is_due = !matches!(swept, Ok(Ok(age)) if age < durable::ABANDONED);
        if !is_due || !self.state.join("locks").is_dir() || private_file::create(&stamp).is_err() {
            return;
        }
        for name in ["profiles", "archives", "pulls"] {
            durable::clear_temporaries(&self.state.join(name), durable::ABANDONED);
        }
        store::sweep(&self.state);
    }

    /// Refuses a state directory in which others could put a profile, a lock or a token file.
    ///
    /// # Errors
    /// [`crate::error::Exit::PersonMustAct`] with what to type, [`crate::error::Exit::Disk`].
    pub fn check(&self) -> Result<()> {
        self.private_dirs().iter().try_for_each(|dir| {
            // Any of them may be a link to another directory, which has to be safe too.
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
    let entries = listing::entries(dir)?;
    let mut names: Vec<ProfileName> =
        entries.iter().filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok()).collect();
    names.sort();
    Ok(names)
}

/// `BBDL_HOME`, if it is set.
#[must_use]
pub(crate) fn home() -> Option<PathBuf> {
    std::env::var_os("BBDL_HOME").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The names of all profiles, for completion in a shell; none if they cannot be listed.
#[must_use]
pub(crate) fn profile_names() -> Vec<ProfileName> {
    Paths::find(home().as_deref(), None).and_then(|paths| paths.profiles()).unwrap_or_default()
}

/// A short name for a home directory. Profiles with the same name in two homes are not the same.
fn home_mark(home: &Path) -> String {
    // The result must be the same before and after the directory is created, through any link, and with or without a
    // slash at the end.
    let whole: PathBuf = place::resolved(home).components().collect();
    hex::encode(&Sha256::digest(whole.as_os_str().as_encoded_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writing does not look for leftovers, so only this removes secrets that a killed process has left.
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
