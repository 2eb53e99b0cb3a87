//! Whose an archive is: the profile that fills it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::Context;
use crate::profile::{Profile, ProfileName, archive_notes::ArchiveNote};

/// The directories that profiles fill, where a profile has a name that somebody chose; of two profiles the first by name.
pub(super) fn owners(context: &Context) -> HashMap<PathBuf, ProfileName> {
    let mut owners = HashMap::new();
    // Whose an archive is is told where it can be: a profile that cannot be read keeps nobody from a table.
    for (name, profile) in Profile::load_all(&context.paths).unwrap_or_default() {
        if name.as_str() != ProfileName::DEFAULT {
            for out in profile.archives.iter().filter_map(|note| note.place().ok().flatten()) {
                owners.entry(out).or_insert_with(|| name.clone());
            }
        }
    }
    owners
}

/// The profile that fills the archive at `dir`, which has no link in it. The profile of the directory's name is asked
/// first, since the others may be a hundred thousand.
pub(super) fn owner_of(context: &Context, dir: &Path) -> Option<ProfileName> {
    let fills = |profile: &Profile| {
        let may_be = |note: &&ArchiveNote| note.filled.as_ref().is_none_or(|filled| filled.real == dir);
        profile.archives.iter().filter(may_be).any(|note| note.place().is_ok_and(|place| place.as_deref() == Some(dir)))
    };
    let is_owner = |name: &ProfileName| {
        name.as_str() != ProfileName::DEFAULT
            && Profile::load(&context.paths, name).ok().flatten().is_some_and(|it| fills(&it))
    };
    let of_its_name: Option<ProfileName> = dir.file_name().and_then(|name| name.to_str()?.parse().ok());
    of_its_name.filter(is_owner).or_else(|| context.paths.profiles().ok()?.into_iter().find(is_owner))
}
