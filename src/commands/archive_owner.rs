//! Finds out which profile fills an archive.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::Context;
use crate::{
    archive::manifest::Manifest,
    profile::{Profile, ProfileName, archive_notes::ArchiveNote},
};

/// The profiles of this machine, and the directories that they fill.
#[derive(Default)]
pub(super) struct Owners {
    profiles: HashMap<ProfileName, Profile>,
    dirs: HashMap<PathBuf, ProfileName>,
}

impl Owners {
    /// Reads the profiles of this machine, as far as possible: a profile that cannot be read must not block a table.
    pub(super) fn load(context: &Context) -> Self {
        let (mut profiles, mut dirs) = (HashMap::new(), HashMap::new());
        for (name, profile) in Profile::load_all(&context.paths).unwrap_or_default() {
            if name.as_str() != ProfileName::DEFAULT {
                // An archive without a finished pull is named like any directory, because it comes into no table.
                let filled = profile.archives.iter().filter(|note| !note.unfinished);
                for out in filled.filter_map(|note| note.place().ok().flatten()) {
                    dirs.entry(out).or_insert_with(|| name.clone());
                }
            }
            profiles.insert(name, profile);
        }
        Self { profiles, dirs }
    }

    /// The profile that fills `dir`, if it has a name that a person chose. If there are two, the first by name.
    pub(super) fn of(&self, dir: &Path) -> Option<&ProfileName> {
        self.dirs.get(&std::fs::canonicalize(dir).ok()?)
    }

    /// The profile with this `name`, if the archive at `dir` says that it belongs to another person.
    pub(super) fn contradicted(&self, name: &str, dir: &Path) -> Option<&ProfileName> {
        let (name, profile) = self.profiles.get_key_value(&name.parse().ok()?)?;
        is_of_somebody_else(profile, dir).then_some(name)
    }
}

/// Whether the archive at `dir` says that it belongs to another person than this profile.
fn is_of_somebody_else(profile: &Profile, dir: &Path) -> bool {
    let Ok(Some(Manifest { source, .. })) = Manifest::load(dir) else { return false };
    let is_other_patient = source.api.shares_ids_with(profile.api)
        && source.patient.is_some()
        && profile.grant.patient.is_some()
        && source.patient != profile.grant.patient;
    source.server != profile.server || is_other_patient
}

/// The profile that fills the archive at `dir`, which must contain no link. Checks the profile with the directory's
/// name first, because there may be a hundred thousand others.
pub(super) fn owner_of(context: &Context, dir: &Path) -> Option<ProfileName> {
    let fills = |profile: &Profile| {
        let may_be = |note: &&ArchiveNote| note.filled.as_ref().is_none_or(|filled| filled.real == dir);
        profile.archives.iter().filter(may_be).any(|note| note.place().is_ok_and(|place| place.as_deref() == Some(dir)))
    };
    let is_owner = |name: &ProfileName| {
        name.as_str() != ProfileName::DEFAULT
            && Profile::load(&context.paths, name)
                .ok()
                .flatten()
                .is_some_and(|it| fills(&it) && !is_of_somebody_else(&it, dir))
    };
    let of_its_name: Option<ProfileName> = dir.file_name().and_then(|name| name.to_str()?.parse().ok());
    of_its_name.filter(is_owner).or_else(|| context.paths.profiles().ok()?.into_iter().find(is_owner))
}
