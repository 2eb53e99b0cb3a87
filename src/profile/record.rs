//! What is remembered of a log-in, without its secrets: one file per profile.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Paths, ProfileName,
    archive_notes::{ArchiveNote, LeftBehind},
    last_pull::{LastPulls, RequestedResources},
    name::profile_option,
};
use crate::{
    api::endpoints::Server,
    api_version::ApiVersion,
    auth::{
        log_in_end::{Ended, EndedKind},
        store::StoreKind,
        token::Grant,
    },
    error::{Error, ErrorKind, Result, wrong_json},
    files::{
        batch::{self, NewFile},
        durable, lock,
        path_text::typed,
        private_dir, private_file,
    },
    origin::{Origin, PRODUCTION, SANDBOX},
    spelling,
};

/// What is remembered of a log-in, without its secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The server.
    pub server: Origin,
    /// The API version.
    pub api: ApiVersion,
    /// The app's client id.
    pub client_id: String,
    /// Where the tokens and the client secret are.
    pub token_store: StoreKind,
    /// The redirect URI given at log-in, if any.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// What the server said about the grant.
    #[serde(flatten)]
    pub grant: Grant,
    /// Archives filled with this log-in.
    #[serde(default)]
    pub archives: Vec<ArchiveNote>,
    /// A note that the log-in is over, if that is known. Version 0.1.0 did not write this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A pull that has just ended.
#[derive(Debug)]
pub struct EndedPull<'a> {
    /// The archive.
    pub note: ArchiveNote,
    /// What was pulled completely; `None` if some of it failed.
    pub asked: Option<RequestedResources<'a>>,
}

/// A profile that replaced another.
#[derive(Debug)]
pub struct Replaced {
    /// The new one.
    pub profile: Profile,
    /// The archives of the one before that the new one does not keep.
    pub left_behind: Vec<ArchiveNote>,
    /// Whether they could be left to `purge`.
    pub noted: Result<()>,
}

/// The lock of a profile's log-in, which must be held to change its tokens.
///
/// # Errors
/// [`crate::error::Exit::TryAgain`] if another process holds it for longer than `patience`,
/// [`crate::error::Exit::Disk`].
pub fn hold(paths: &Paths, name: &ProfileName, patience: Duration, purpose: &str) -> Result<lock::FileLock> {
    let path = paths.lock(name);
    lock::FileLock::acquire(&path, patience, purpose).map_err(|cause| match cause {
        lock::LockError::Held { by } => {
            Error::new(ErrorKind::Lock, format!("another bbdl is using the log-in of profile \"{name}\" ({by})"))
                .hint("Run the same command again when it has finished.")
        }
        lock::LockError::Io(cause) => Error::disk("lock", &path, &cause),
    })
}

impl Profile {
    /// Reads a profile; `None` if there is none with this name.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`], or [`crate::error::Exit::NotSetUp`] if the file is not a profile.
    pub fn load(paths: &Paths, name: &ProfileName) -> Result<Option<Self>> {
        let path = paths.profile(name);
        let text = match private_file::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::disk("read", &path, &cause)),
        };
        if !is_spelled_so(&path) {
            return Ok(None);
        }
        serde_json::from_slice(&text).map(Some).map_err(|cause| {
            let why = wrong_json(&cause);
            Error::new(ErrorKind::Profile, format!("{} is not a bbdl profile: {why}", path.display())).hint(format!(
                "Restore it from a backup. If there is none, remove the profile with its tokens: bbdl profiles remove {name} --yes\nTo delete the file alone, and leave the tokens until the next log-in replaces them: rm {}",
                typed(&path)
            ))
        })
    }

    /// Reads the profile for a command that needs a log-in. If there is none, the hint is to log in.
    ///
    /// # Errors
    /// The errors of [`Profile::load`], and [`crate::error::Exit::NotSetUp`] if there is none with this name.
    pub fn must_load(paths: &Paths, name: &ProfileName) -> Result<Self> {
        Self::load(paths, name)?.ok_or_else(|| {
            let login = format!("bbdl login --sandbox{}  (or --production)", profile_option(name));
            let known = paths.profiles().unwrap_or_default();
            no_profile(name).hint(match most_alike(&known, name) {
                Some(near) => format!("Did you mean \"{near}\"? Or log in: {login}"),
                None => format!("Log in first: {login}"),
            })
        })
    }

    /// Reads the profile for a command that changes or ends an existing one. If there is none, its name is probably
    /// mistyped, and a hint to log in would be wrong.
    ///
    /// # Errors
    /// The errors of [`Profile::must_load`].
    pub fn must_exist(paths: &Paths, name: &ProfileName) -> Result<Self> {
        const LISTED: usize = 8;
        Self::load(paths, name)?.ok_or_else(|| {
            let known = paths.profiles().unwrap_or_default();
            no_profile(name).hint(match (most_alike(&known, name), known.len()) {
                (_, 0) => {
                    "Nobody is logged in on this machine, so there is nothing to do. To log in: bbdl login".to_owned()
                }
                (Some(near), _) => format!("Did you mean \"{near}\"? To list all profiles: bbdl profiles list"),
                (None, 1..=LISTED) => {
                    let names: Vec<&str> = known.iter().map(ProfileName::as_str).collect();
                    format!("The profiles here: {}", names.join(", "))
                }
                (None, count) => format!("To list the {count} profiles: bbdl profiles list"),
            })
        })
    }

    /// Writes the profile, durably and privately.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    fn save(&self, paths: &Paths, name: &ProfileName) -> Result<()> {
        let path = paths.profile(name);
        durable::write_private(&path, &self.text()?).map_err(|cause| Error::disk("write", &path, &cause))
    }

    fn text(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::new(ErrorKind::Defect, format!("a profile cannot be written: {cause}")))
    }

    /// The lock for reading and rewriting the file. It is never held during a wait.
    fn hold(paths: &Paths, name: &ProfileName) -> Result<lock::FileLock> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let lock = paths.profile_lock(name);
        lock::FileLock::acquire(&lock, PATIENCE, "note").map_err(|cause| match cause {
            lock::LockError::Held { .. } => Error::new(ErrorKind::Lock, format!("the profile is in use: {cause}"))
                .hint("Run the same command again."),
            lock::LockError::Io(cause) => Error::disk("lock", &lock, &cause),
        })
    }

    /// Replaces the profile that was there, one process at a time. If that was the same person's log-in at the same
    /// server, this one keeps its archives. If not, they are left behind, and `purge` still finds them.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`]; [`crate::error::Exit::TryAgain`] if another process holds the file for long.
    pub fn replace(mut self, paths: &Paths, name: &ProfileName) -> Result<Replaced> {
        let _held = Self::hold(paths, name)?;
        let mut left_behind = Vec::new();
        // A record that cannot be read is replaced.
        if let Some(before) = Self::load(paths, name).ok().flatten() {
            let is_same = before.is_log_in_of(&self);
            *(if is_same { &mut self.archives } else { &mut left_behind }) = before.archives;
        }
        // Only the old record knows these archives.
        let noted = LeftBehind::add(paths, name, &left_behind);
        self.save(paths, name)?;
        Ok(Replaced { profile: self, left_behind, noted })
    }

    /// Replaces many profiles, and syncs them together. The result has one entry per profile, in their order. The
    /// caller holds the lock of each log-in.
    pub fn replace_many(paths: &Paths, profiles: &[(&ProfileName, &Self)]) -> Vec<Result<()>> {
        // Only the holder of that lock creates a new record.
        let is_there = |name: &ProfileName| std::fs::symlink_metadata(paths.profile(name)).is_ok();
        let ready = |(name, profile): &(&ProfileName, &Self)| {
            let held = is_there(name).then(|| Self::hold(paths, name)).transpose()?;
            Ok((profile.text()?, held))
        };
        let ready: Vec<Result<(Vec<u8>, Option<lock::FileLock>)>> = profiles.iter().map(ready).collect();
        let texts = profiles.iter().zip(&ready).filter_map(|((name, _), ready)| Some((name, &ready.as_ref().ok()?.0)));
        let files: Vec<NewFile<'_>> =
            texts.map(|(name, bytes)| NewFile { place: paths.profile(name), bytes }).collect();
        let root = paths.profiles_dir();
        if let Err(cause) = private_dir::create(&root) {
            return profiles.iter().map(|_| Err(Error::disk("create", &root, &cause))).collect();
        }
        let mut written = batch::write(&root, &files, false).into_iter();
        let ends = profiles.iter().zip(ready).map(|((name, _), ready)| {
            let _held = ready?;
            let path = paths.profile(name);
            written.next().unwrap_or(Ok(())).map_err(|cause| Error::disk("write", &path, &cause))
        });
        ends.collect()
    }

    /// Gives a profile, and what else is kept under its name, another free name. Does not move tokens. The caller
    /// holds the locks of both log-ins. If it is interrupted, it can be repeated.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`]; [`crate::error::Exit::TryAgain`] if another process holds the file for long.
    pub fn rename(paths: &Paths, old: &ProfileName, new: &ProfileName) -> Result<()> {
        let _held = Self::hold(paths, old)?;
        let (from, to) = (paths.profile(old), paths.profile(new));
        // Earlier log-ins under the new name may have left archives of their own.
        LeftBehind::add(paths, new, &LeftBehind::load(paths, old)?)?;
        LeftBehind::save(paths, old, Vec::new())?;
        let pulls = [old, new].map(|name| paths.last_pulls().join(format!("{name}.json")));
        let _ = std::fs::rename(&pulls[0], &pulls[1]);
        match std::fs::rename(&from, &to).and_then(|()| durable::sync_dir(&paths.profiles_dir())) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::disk("rename", &from, &cause));
            }
            _ => {}
        }
        paths.remove_locks(old);
        Ok(())
    }

    /// Removes a profile and what else is kept under its name, except the tokens. The caller holds the lock of the
    /// log-in.
    ///
    /// # Errors
    /// The errors of [`Profile::forget`].
    pub fn remove(paths: &Paths, name: &ProfileName) -> Result<()> {
        LeftBehind::save(paths, name, Vec::new())?;
        Self::forget(paths, name)?;
        paths.remove_locks(name);
        Ok(())
    }

    /// Removes a profile, one process at a time, so that an update at the same moment does not bring it back.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`]; [`crate::error::Exit::TryAgain`] if another process holds the file for long.
    pub fn forget(paths: &Paths, name: &ProfileName) -> Result<()> {
        let _held = Self::hold(paths, name)?;
        Self::remove_files(paths, name)
    }

    /// Removes a profile like [`Profile::forget`], and leaves the notes of its archives to `purge`: their owner may
    /// want to delete them later, and nothing else says where they are.
    ///
    /// # Errors
    /// The errors of [`Profile::forget`] and [`LeftBehind::load`].
    pub fn leave(paths: &Paths, name: &ProfileName) -> Result<()> {
        let _held = Self::hold(paths, name)?;
        if let Some(now) = Self::load(paths, name)? {
            LeftBehind::add(paths, name, &now.archives)?;
        }
        Self::remove_files(paths, name)
    }

    fn remove_files(paths: &Paths, name: &ProfileName) -> Result<()> {
        for path in [paths.last_pulls().join(format!("{name}.json")), paths.profile(name)] {
            match std::fs::remove_file(&path) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::disk("remove", &path, &cause));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Records an archive of `ours` before a pull writes to it. Then `purge` finds the archive even if the pull
    /// fails.
    ///
    /// # Errors
    /// The errors of [`Profile::update`]. If the profile was removed in the meantime, nothing may be written.
    pub fn note_begin(paths: &Paths, name: &ProfileName, ours: &Self, note: ArchiveNote) -> Result<()> {
        let _held = Self::hold(paths, name)?;
        let mut profile = Self::must_load(paths, name)?;
        if !profile.is_log_in_of(ours) {
            return LeftBehind::add(paths, name, &[note]);
        }
        if note.add_begun(&mut profile.archives) {
            profile.save(paths, name)?;
        }
        Ok(())
    }

    /// Whether it is the same person's log-in at the same server.
    fn is_log_in_of(&self, ours: &Self) -> bool {
        self.server == ours.server && self.api == ours.api && self.grant.is_of_the_same_person(&ours.grant)
    }

    /// Records a pull into one of the archives of `ours`, which is the profile as it was when the pull began. Writes
    /// the record if it does not know the archive yet, and otherwise only a note beside it.
    ///
    /// # Errors
    /// The errors of [`Profile::update`].
    pub fn note_pull(paths: &Paths, name: &ProfileName, ours: &Self, pulled: EndedPull<'_>) -> Result<()> {
        let _held = Self::hold(paths, name)?;
        let mut profile = Self::must_load(paths, name)?;
        // Another person may have logged in under this name in the meantime. The archive is not theirs.
        if !profile.is_log_in_of(ours) {
            return Ok(());
        }
        let EndedPull { note, asked } = pulled;
        let is_known = |known: &ArchiveNote| known.out == note.out && known.filled == note.filled && !known.unfinished;
        if !profile.archives.iter().any(is_known) {
            profile.archives.retain(|known| known.out != note.out);
            profile.archives.push(note.clone());
            profile.save(paths, name)?;
        }
        LastPulls::note(paths, name, &note, asked)
    }

    /// Records that an archive was moved.
    ///
    /// # Errors
    /// The errors of [`Profile::update`].
    pub fn note_move(paths: &Paths, name: &ProfileName, from: &std::path::Path, to: &std::path::Path) -> Result<()> {
        let _held = Self::hold(paths, name)?;
        let mut profile = Self::must_load(paths, name)?;
        profile.archives.iter_mut().for_each(|note| note.follow(from, to));
        profile.save(paths, name)?;
        let mut left_behind = LeftBehind::load(paths, name)?;
        left_behind.iter_mut().for_each(|note| note.follow(from, to));
        LeftBehind::save(paths, name, left_behind)?;
        LastPulls::moved(paths, name, from, to)
    }

    /// Changes the record of a profile, one process at a time.
    ///
    /// # Errors
    /// The errors of [`Profile::must_load`]; [`crate::error::Exit::Disk`]; [`crate::error::Exit::TryAgain`] if
    /// another process holds the file for long.
    pub fn update(paths: &Paths, name: &ProfileName, change: impl FnOnce(&mut Self)) -> Result<()> {
        let _held = Self::hold(paths, name)?;
        let mut profile = Self::must_load(paths, name)?;
        change(&mut profile);
        profile.save(paths, name)
    }

    /// Records that the log-in of `grant` is over. Changes nothing if another log-in has replaced it in the meantime,
    /// or if an end is recorded already.
    ///
    /// # Errors
    /// The errors of [`Profile::update`].
    pub fn mark_ended(paths: &Paths, name: &ProfileName, grant: &Grant, kind: EndedKind) -> Result<()> {
        Self::update(paths, name, |profile| {
            if profile.grant.log_in == grant.log_in && profile.ended.is_none() {
                profile.ended = Some(Ended { kind, at: Timestamp::now() });
            }
        })
    }

    /// Removes the note that the log-in is over, because the server has just accepted it.
    ///
    /// # Errors
    /// The errors of [`Profile::update`].
    pub fn clear_ended(paths: &Paths, name: &ProfileName) -> Result<()> {
        Self::update(paths, name, |profile| profile.ended = None)
    }

    /// Whether another profile certainly belongs to the same person: both have the same server and the same Patient
    /// id.
    #[must_use]
    pub fn holds_the_person_of(&self, other: &Self) -> bool {
        self.server == other.server
            && self.api.shares_ids_with(other.api)
            && self.grant.patient.is_some()
            && self.grant.patient == other.grant.patient
    }

    /// All profiles that can be read, by name.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn load_all(paths: &Paths) -> Result<Vec<(ProfileName, Self)>> {
        let load = |name: ProfileName| Self::load(paths, &name).ok().flatten().map(|profile| (name, profile));
        Ok(paths.profiles()?.into_iter().filter_map(load).collect())
    }

    /// The server and API version.
    #[must_use]
    pub fn server(&self) -> Server {
        Server::new(self.server.clone(), self.api)
    }

    /// The command line that logs this profile in again.
    #[must_use]
    pub fn login_command(&self, name: &ProfileName) -> String {
        login_command(&self.server, self.api, name)
    }
}

/// Whether an existing file has exactly this name. Windows and macOS find `mom.json` under `Mom.json` too.
fn is_spelled_so(path: &std::path::Path) -> bool {
    if cfg!(not(any(windows, target_os = "macos"))) {
        return true;
    }
    std::fs::canonicalize(path).is_ok_and(|real| real.file_name() == path.file_name())
}

/// The command line that logs in at a server.
#[must_use]
pub fn login_command(server: &Origin, api: ApiVersion, name: &ProfileName) -> String {
    let server = match server.to_string() {
        text if text == SANDBOX => "--sandbox".to_owned(),
        text if text == PRODUCTION => "--production".to_owned(),
        text => format!("--server {text}"),
    };
    let api = if api == ApiVersion::default() { String::new() } else { format!(" --api {api}") };
    format!("bbdl login {server}{api}{}", profile_option(name))
}

fn no_profile(name: &ProfileName) -> Error {
    Error::new(ErrorKind::NoProfile, format!("there is no profile \"{name}\" on this machine"))
}

/// The existing name that was probably meant.
fn most_alike<'n>(known: &'n [ProfileName], name: &ProfileName) -> Option<&'n ProfileName> {
    spelling::nearest(name.as_str(), known, |known| known.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_in_is_noted_once_and_for_that_log_in_only() {
        let dir = tempfile::tempdir().unwrap();
        let (paths, name) = (Paths::find(Some(dir.path()), None).unwrap(), "mom".parse().unwrap());
        let text = include_str!("../../tests/fixtures/0.1.0/home/profiles/default.json");
        let profile: Profile = serde_json::from_str(text).unwrap();
        profile.clone().replace(&paths, &name).unwrap();
        let ended = || Profile::must_load(&paths, &name).unwrap().ended.map(|ended| ended.kind);
        assert_eq!(ended(), None);
        let other = Grant { log_in: Some(1), ..profile.grant.clone() };
        Profile::mark_ended(&paths, &name, &other, EndedKind::RefreshToken).unwrap();
        assert_eq!(ended(), None);
        Profile::mark_ended(&paths, &name, &profile.grant, EndedKind::GrantRevoked).unwrap();
        Profile::mark_ended(&paths, &name, &profile.grant, EndedKind::RefreshToken).unwrap();
        assert_eq!(ended(), Some(EndedKind::GrantRevoked));
        Profile::clear_ended(&paths, &name).unwrap();
        assert_eq!(ended(), None);
    }

    #[test]
    fn the_login_command_is_the_one_to_type() {
        let name = "mom".parse().unwrap();
        let sandbox = SANDBOX.parse().unwrap();
        assert_eq!(login_command(&sandbox, ApiVersion::V3, &name), "bbdl login --sandbox --api v3 --profile mom");
        let default = ProfileName::DEFAULT.parse().unwrap();
        let mock = "http://127.0.0.1:8099".parse().unwrap();
        assert_eq!(login_command(&mock, ApiVersion::V2, &default), "bbdl login --server http://127.0.0.1:8099");
    }
}
