//! Which names a new profile may have.
//!
//! A profile's name becomes the name of files on any of the three systems, and people move homes between systems.
//! Windows keeps some names for devices (a file `con.json` cannot be created there, and opening `COM1.json` may never
//! end), drops a dot at the end of a name, and keeps `Mom` and `mom` in one file, as macOS does. So a new profile
//! cannot have such a name on any system. An existing profile with such a name keeps working.

use std::collections::{HashMap, HashSet};

use super::ProfileName;
use crate::error::Error;

/// The name of a new profile, which every system keeps in a separate file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProfileName(ProfileName);

impl NewProfileName {
    /// The name.
    #[must_use]
    pub fn into_name(self) -> ProfileName {
        self.0
    }
}

/// The names of existing profiles.
#[derive(Clone, Debug, Default)]
pub struct TakenNames {
    exact: HashSet<ProfileName>,
    folded: HashMap<String, ProfileName>,
}

impl TakenNames {
    /// Whether there is a profile of exactly this name.
    #[must_use]
    pub fn has(&self, name: &ProfileName) -> bool {
        self.exact.contains(name)
    }

    /// Takes a name for a new profile. No later profile can have it.
    ///
    /// # Errors
    /// Why no new profile can have this name.
    pub fn take(&mut self, name: ProfileName) -> Result<NewProfileName, NameRefused> {
        if self.exact.contains(&name) {
            return Err(NameRefused::Taken { name });
        }
        if name.is_a_device() {
            return Err(NameRefused::Device { name });
        }
        if name.as_str().ends_with('.') {
            return Err(NameRefused::DotAtTheEnd { name });
        }
        if let Some(taken) = self.folded.get(&name.folded()) {
            return Err(NameRefused::DiffersInCaseOnly { name, taken: taken.clone() });
        }
        self.extend([name.clone()]);
        Ok(NewProfileName(name))
    }

    /// Makes a name free again, because its profile is gone.
    pub fn release(&mut self, name: &ProfileName) {
        self.exact.remove(name);
        let folded = name.folded();
        // Older homes can have two names that differ only in case.
        match self.exact.iter().find(|other| other.folded() == folded) {
            Some(other) => self.folded.insert(folded, other.clone()),
            None => self.folded.remove(&folded),
        };
    }
}

impl Extend<ProfileName> for TakenNames {
    fn extend<T: IntoIterator<Item = ProfileName>>(&mut self, names: T) {
        for name in names {
            self.folded.insert(name.folded(), name.clone());
            self.exact.insert(name);
        }
    }
}

impl FromIterator<ProfileName> for TakenNames {
    fn from_iter<T: IntoIterator<Item = ProfileName>>(names: T) -> Self {
        let mut taken = Self::default();
        taken.extend(names);
        taken
    }
}

/// Why a new profile cannot have a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// There is a profile of this name.
    #[error("there is a profile \"{name}\" already")]
    Taken {
        /// The name.
        name: ProfileName,
    },
    /// Windows reserves it for a device.
    #[error("a profile cannot be named \"{name}\": Windows keeps that name for a device")]
    Device {
        /// The name.
        name: ProfileName,
    },
    /// Windows drops the dot at the end.
    #[error("a profile cannot be named \"{name}\": Windows drops a dot at the end of a name")]
    DotAtTheEnd {
        /// The name.
        name: ProfileName,
    },
    /// Windows and macOS keep both names in one file.
    #[error(
        "a profile cannot be named \"{name}\" beside \"{taken}\": Windows and macOS do not tell upper from lower case in file names"
    )]
    DiffersInCaseOnly {
        /// The name that was asked for.
        name: ProfileName,
        /// The name that is taken.
        taken: ProfileName,
    },
}

impl NameRefused {
    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::DiffersInCaseOnly { taken, .. } => {
                format!("For the profile that is there: --profile {taken}. For a new one, choose another name.")
            }
            Self::Taken { .. } | Self::Device { .. } | Self::DotAtTheEnd { .. } => "Choose another name.".to_owned(),
        }
    }
}

impl From<NameRefused> for Error {
    fn from(refused: NameRefused) -> Self {
        Self::usage(refused.to_string()).hint(refused.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that an older version may have created, on a system that allows it.
    fn name(text: &str) -> ProfileName {
        ProfileName::unchecked(text)
    }

    #[test]
    fn a_new_profile_gets_no_name_that_windows_keeps_for_a_device() {
        for device in ["con", "NUL", "aux", "Prn", "COM1", "com0", "lpt9", "con.2024", "nul."] {
            let refused = TakenNames::default().take(name(device)).unwrap_err();
            assert!(matches!(refused, NameRefused::Device { .. }), "{device}: {refused}");
            // If such a profile is possible, there may be one.
            assert_eq!(device.parse::<ProfileName>().is_err(), cfg!(windows), "{device}");
        }
        let refused = TakenNames::default().take(name("mom.")).unwrap_err();
        assert_eq!(refused, NameRefused::DotAtTheEnd { name: name("mom.") });
    }

    #[test]
    fn two_new_profiles_do_not_share_a_file_on_any_system() {
        let mut taken: TakenNames = [name("mom")].into_iter().collect();
        let refused = taken.take(name("Mom")).unwrap_err();
        assert!(refused.hint().contains("--profile mom"), "{}", refused.hint());
        assert_eq!(refused, NameRefused::DiffersInCaseOnly { name: name("Mom"), taken: name("mom") });
        assert_eq!(taken.take(name("mom")).unwrap_err(), NameRefused::Taken { name: name("mom") });
        assert_eq!(taken.take(name("dad")).unwrap().into_name(), name("dad"));
        assert!(taken.has(&name("dad")) && taken.take(name("DAD")).is_err());
        taken.release(&name("dad"));
        assert!(taken.take(name("DAD")).is_ok());
    }

    #[test]
    fn names_made_by_an_older_version_remain() {
        let mut taken: TakenNames = ["Mom", "mom", "con"].map(name).into_iter().collect();
        assert!(["Mom", "mom", "con"].iter().all(|it| taken.has(&name(it))));
        taken.release(&name("mom"));
        assert!(taken.has(&name("Mom")) && taken.take(name("MOM")).is_err(), "one of the two is left");
    }
}
