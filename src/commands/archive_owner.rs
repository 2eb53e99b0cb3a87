//! Whose an archive is: the profile that fills it.

use std::{collections::HashMap, path::PathBuf};

use super::Context;
use crate::profile::{Profile, ProfileName};

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
