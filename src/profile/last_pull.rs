//! When a profile's archives were last pulled. `--stale-after` and `status` use this.
//!
//! A pull that brings nothing new must not wait for the disk more often than its manifest needs. So this is a
//! separate file beside the profile's record, `pulls/NAME.json`, and it is never synced. A power failure may lose the
//! newest note. Then the older date in the record counts, and the enrollee's claims are requested once more. A file
//! that cannot be read is ignored.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Paths, ProfileName, archive_notes::ArchiveNote};
use crate::{
    error::{Error, Result},
    files::{durable, path_text, private_file},
    resource::Resource,
};

/// The last pulls into each archive of a profile.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LastPulls {
    archives: Vec<LastPull>,
}

/// The last pulls into one archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LastPull {
    /// The archive's directory, absolute.
    #[serde(with = "path_text::json")]
    out: PathBuf,
    /// When the last of them ended.
    at: Timestamp,
    /// Claims in the archive.
    count: u64,
    /// When each resource was last pulled.
    #[serde(default)]
    pulled: BTreeMap<Resource, Timestamp>,
    /// The same, for pulls of everything (`--full`).
    #[serde(default)]
    pulled_in_full: BTreeMap<Resource, Timestamp>,
}

/// What a pull asked for.
#[derive(Clone, Copy, Debug)]
pub struct RequestedResources<'a> {
    /// The resources.
    pub resources: &'a [Resource],
    /// Whether everything was requested again.
    pub full: bool,
}

impl LastPulls {
    fn path(paths: &Paths, name: &ProfileName) -> PathBuf {
        paths.last_pulls().join(format!("{name}.json"))
    }

    /// What is known about a profile; nothing if the file cannot be read.
    #[must_use]
    pub(crate) fn load(paths: &Paths, name: &ProfileName) -> Self {
        let text = private_file::read(&Self::path(paths, name)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Records a pull that has just ended. The caller holds the lock of the profile's record. Only what was `asked`
    /// for successfully counts as pulled.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn note(
        paths: &Paths,
        name: &ProfileName,
        note: &ArchiveNote,
        asked: Option<RequestedResources<'_>>,
    ) -> Result<()> {
        let mut all = Self::load(paths, name);
        let at = all.archives.iter().position(|it| it.out == note.out);
        let mut archive = at.map_or_else(|| LastPull::new(note), |at| all.archives.swap_remove(at));
        (archive.at, archive.count) = (note.last_pull, note.count);
        for resource in asked.iter().flat_map(|asked| asked.resources) {
            archive.pulled.insert(*resource, note.last_pull);
            if asked.is_some_and(|asked| asked.full) {
                archive.pulled_in_full.insert(*resource, note.last_pull);
            }
        }
        all.archives.push(archive);
        all.write(paths, name)
    }

    /// Records that an archive was moved. The caller holds the lock of the profile's record.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn moved(paths: &Paths, name: &ProfileName, from: &Path, to: &Path) -> Result<()> {
        let mut all = Self::load(paths, name);
        if !all.knows(from) {
            return Ok(());
        }
        all.archives.retain(|archive| archive.out != to);
        all.archives.iter_mut().filter(|it| it.out == from).for_each(|it| it.out = to.to_owned());
        all.write(paths, name)
    }

    fn write(&self, paths: &Paths, name: &ProfileName) -> Result<()> {
        let path = Self::path(paths, name);
        let text = serde_json::to_vec(self).map_err(std::io::Error::from);
        text.and_then(|text| durable::write_unsynced(&path, &text)).map_err(|cause| Error::disk("write", &path, &cause))
    }

    /// Since when the archive at `out` has had everything that is asked for; `None` if some of it was never pulled.
    #[must_use]
    pub(crate) fn when(&self, out: &Path, asked: RequestedResources<'_>) -> Option<Timestamp> {
        let archive = self.archives.iter().find(|archive| archive.out == out)?;
        let pulled = if asked.full { &archive.pulled_in_full } else { &archive.pulled };
        let one = |resource: &Resource| pulled.get(resource).max(pulled.get(&Resource::All)).copied();
        asked.resources.iter().map(one).min().flatten()
    }

    /// Whether there is a note about the archive at `out`.
    #[must_use]
    pub(crate) fn knows(&self, out: &Path) -> bool {
        self.archives.iter().any(|archive| archive.out == out)
    }

    /// Updates the notes in a profile's record.
    pub(crate) fn refresh(&self, notes: &mut [ArchiveNote]) {
        for note in notes {
            let newer = self.archives.iter().find(|archive| archive.out == note.out && archive.at > note.last_pull);
            if let Some(newer) = newer {
                (note.last_pull, note.count) = (newer.at, newer.count);
            }
        }
    }
}

impl LastPull {
    fn new(note: &ArchiveNote) -> Self {
        Self {
            out: note.out.clone(),
            at: note.last_pull,
            count: note.count,
            pulled: BTreeMap::new(),
            pulled_in_full: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_that_were_not_fetched_are_not_fresh() {
        let dir = tempfile::tempdir().unwrap();
        let (paths, name) = (Paths::find(Some(dir.path()), None).unwrap(), "mom".parse().unwrap());
        let out = Path::new("/study/mom");
        let second = |second| Timestamp::from_second(second).unwrap();
        let note = |at, resources: Option<&[Resource]>, full| {
            let note =
                ArchiveNote { out: out.to_owned(), last_pull: second(at), count: 3, filled: None, unfinished: false };
            let asked = resources.map(|resources| RequestedResources { resources, full });
            LastPulls::note(&paths, &name, &note, asked).unwrap();
        };
        let when = |resources: &[Resource], full| {
            let last = LastPulls::load(&paths, &name).when(out, RequestedResources { resources, full });
            last.map(Timestamp::as_second)
        };
        use Resource::{All, Eob, Patient};
        assert_eq!(when(&[Eob], false), None);
        note(10, Some(&[Eob]), false);
        assert_eq!(
            (when(&[Eob], false), when(&[Patient], false), when(&[Eob, Patient], false)),
            (Some(10), None, None)
        );
        note(20, Some(&[All]), false);
        assert_eq!((when(&[Eob, Patient], false), when(&[Eob], true)), (Some(20), None));
        note(30, Some(&[Eob]), true);
        assert_eq!((when(&[Eob], false), when(&[Eob], true), when(&[All], false)), (Some(30), Some(30), Some(20)));
        note(40, None, false);
        assert_eq!(when(&[Eob], false), Some(30), "a pull that failed in part");
        let mut notes =
            [ArchiveNote { out: out.to_owned(), last_pull: second(1), count: 1, filled: None, unfinished: false }];
        LastPulls::load(&paths, &name).refresh(&mut notes);
        assert_eq!((notes[0].last_pull, notes[0].count), (second(40), 3));
        std::fs::write(LastPulls::path(&paths, &name), "").unwrap();
        assert_eq!(when(&[Eob], false), None, "a power cut may leave an empty file");
    }
}
