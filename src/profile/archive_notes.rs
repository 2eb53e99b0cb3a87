//! Records which archives a profile has filled, and which of them it may delete.
//!
//! A path alone proves nothing: someone may have put a link there, or moved another person's archive there. What
//! counts is where the path led when the archive was filled, and which person's archive it says it is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    archive::manifest::Source,
    error::{Error, ErrorKind, Result, wrong_json},
    files::{durable, path_text, private_file},
    output::counted,
    profile::{Paths, Profile, ProfileName},
};

/// An archive that a profile has filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveNote {
    /// Its directory, as an absolute path, with links as they were given.
    #[serde(with = "path_text::json")]
    pub out: PathBuf,
    /// When the last pull into it ended.
    pub last_pull: Timestamp,
    /// Claims in it.
    pub count: u64,
    /// What it was at that time. Version 0.1.0 did not write this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled: Option<Filled>,
    /// No pull into it has ended yet. Then `last_pull` is when the first one began, and `count` is 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
}

/// An archive as it was when it was filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// The real path, without any links.
    #[serde(with = "path_text::json")]
    pub real: PathBuf,
    /// The server, API version and person of its data.
    pub source: Source,
}

impl ArchiveNote {
    /// A note of an archive that was just filled.
    #[must_use]
    pub fn of(out: &Path, source: &Source, count: u64) -> Self {
        let filled = fs::canonicalize(out).ok().map(|real| Filled { real, source: source.clone() });
        Self { out: out.to_owned(), last_pull: Timestamp::now(), count, filled, unfinished: false }
    }

    /// A note of an archive into which a first pull begins.
    #[must_use]
    pub fn begun(out: &Path, source: &Source) -> Self {
        Self { unfinished: true, ..Self::of(out, source, 0) }
    }

    /// How much is in it, as text for people.
    #[must_use]
    pub(crate) fn size(&self) -> String {
        if self.unfinished { "its first pull has not finished".to_owned() } else { counted(self.count, "claim") }
    }

    /// Whether the other note has the same path, and the path still leads to the same place.
    pub(crate) fn leads_where(&self, other: &Self) -> bool {
        let real = |note: &Self| note.filled.as_ref().map(|filled| filled.real.clone());
        self.out == other.out && (self.filled.is_none() || real(self) == real(other))
    }

    /// Adds a note of an archive that a pull begins to fill, unless it is already known.
    pub(super) fn add_begun(self, known: &mut Vec<Self>) -> bool {
        if known.iter().any(|known| known.leads_where(&self)) {
            return false;
        }
        known.retain(|known| known.out != self.out);
        known.push(self);
        true
    }

    /// Follows an archive that was moved.
    pub fn follow(&mut self, from: &Path, to: &Path) {
        if self.out != from {
            return;
        }
        self.out = to.to_owned();
        if let (Some(filled), Ok(real)) = (&mut self.filled, fs::canonicalize(to)) {
            filled.real = real;
        }
    }

    /// The note for `status --json`, in the form that scripts know.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({"out": path_text::to_text(&self.out), "last_pull": self.last_pull, "count": self.count})
    }

    /// Where the archive is now, if its path still leads to the same place; `None` if nothing is there.
    ///
    /// # Errors
    /// The reason why what is there is not the archive.
    pub fn place(&self) -> Result<Option<PathBuf>, &'static str> {
        let Ok(real) = fs::canonicalize(&self.out) else { return Ok(None) };
        let is_link = || fs::symlink_metadata(&self.out).is_ok_and(|there| there.is_symlink());
        match &self.filled {
            Some(filled) if filled.real != real => Err("its path leads to another directory now"),
            None if is_link() => Err("a symbolic link is in its place"),
            _ => Ok(Some(real)),
        }
    }

    /// Whether an archive from `source` is the one that this profile has filled.
    #[must_use]
    pub fn is_of(&self, source: &Source, profile: Option<&Profile>) -> bool {
        let ours = profile.map(source_of);
        match &self.filled {
            // The patient id was unknown then, but a later pull may have found it.
            Some(Filled { source: then, .. }) if then.patient.is_none() && source.patient.is_some() => {
                ours.as_ref() == Some(source)
            }
            Some(Filled { source: then, .. }) => then == source,
            None => ours.as_ref() == Some(source),
        }
    }
}

fn source_of(profile: &Profile) -> Source {
    Source { server: profile.server.clone(), api: profile.api, patient: profile.grant.patient.clone() }
}

/// Archives of log-ins that have ended: `logout` leaves them for their owner, and `purge` can still find them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct LeftBehind {
    archives: Vec<ArchiveNote>,
}

impl LeftBehind {
    fn path(paths: &Paths, name: &ProfileName) -> PathBuf {
        paths.left_behind().join(format!("{name}.json"))
    }

    /// The profile names that have left archives behind, sorted.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(crate) fn names(paths: &Paths) -> Result<Vec<ProfileName>> {
        crate::profile::paths::names_in(&paths.left_behind())
    }

    /// The archives that profiles of this name have left behind.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`], [`crate::error::Exit::NotSetUp`] if the record cannot be read.
    pub(crate) fn load(paths: &Paths, name: &ProfileName) -> Result<Vec<ArchiveNote>> {
        let path = Self::path(paths, name);
        let text = match private_file::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(Error::disk("read", &path, &cause)),
        };
        let left: Self = serde_json::from_slice(&text).map_err(|cause| {
            Error::new(ErrorKind::Profile, format!("{} is not a bbdl record: {}", path.display(), wrong_json(&cause)))
                .hint(format!(
                    "Archives that were filled before the last log-out have to be deleted by hand. To delete the record of them: rm {}",
                    path_text::typed(&path)
                ))
        })?;
        Ok(left.archives)
    }

    /// Adds archives to those left behind under this name.
    ///
    /// # Errors
    /// The errors of [`LeftBehind::load`].
    pub(crate) fn add(paths: &Paths, name: &ProfileName, more: &[ArchiveNote]) -> Result<()> {
        if more.is_empty() {
            return Ok(());
        }
        let mut archives = Self::load(paths, name)?;
        archives.retain(|note| more.iter().all(|newer| newer.out != note.out));
        archives.extend_from_slice(more);
        Self::save(paths, name, archives)
    }

    /// Keeps only these archives. If there are none, the record is removed.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(crate) fn save(paths: &Paths, name: &ProfileName, archives: Vec<ArchiveNote>) -> Result<()> {
        let path = Self::path(paths, name);
        if archives.is_empty() {
            return match fs::remove_file(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::disk("remove", &path, &cause)),
                _ => Ok(()),
            };
        }
        let text = serde_json::to_vec_pretty(&Self { archives })
            .map_err(|cause| Error::new(ErrorKind::Defect, format!("a record cannot be written: {cause}")))?;
        durable::write_private(&path, &text).map_err(|cause| Error::disk("write", &path, &cause))
    }
}
