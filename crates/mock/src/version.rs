//! The three versions of the API, which share people, apps and tokens.

use super::records::Enrollee;

/// A version of the API. Almost every path begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// FHIR STU3.
    V1,
    /// FHIR R4.
    V2,
    /// FHIR R4 from another data back end, with other ids.
    V3,
}

impl Version {
    /// The version at the beginning of a path, and the rest of the path.
    pub(super) fn of(path: &str) -> Option<(Self, &str)> {
        let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
        Some((Self::named(first)?, rest))
    }

    /// The version with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::V1, Self::V2, Self::V3].into_iter().find(|version| version.name() == name)
    }

    /// Its name in a path.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }

    /// The version of the endpoints in this version's discovery documents: v1's name those of v2.
    pub(super) fn published(self) -> &'static str {
        if self == Self::V3 { "v3" } else { "v2" }
    }

    /// The Patient id that a person has at this version. Synthetic ids begin with -2014 at v1 and v2, and
    /// with -3025 at v3.
    pub(super) fn patient(self, person: &Enrollee) -> String {
        match (self, person.patient.strip_prefix("-2014")) {
            (Self::V3, Some(rest)) => format!("-3025{rest}"),
            _ => person.patient.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_read_off_paths() {
        assert_eq!(Version::of("/v3/o/token/"), Some((Version::V3, "o/token/")));
        for other in ["/v4/o/token/", "/v2", "v2/o/token", "/health/bfd"] {
            assert_eq!(Version::of(other), None, "{other}");
        }
    }
}
