//! The versions of the Blue Button API.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The version of the Blue Button API. Tokens work across versions, ids do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    /// FHIR STU3.
    V1,
    /// FHIR R4, CARIN Blue Button.
    #[default]
    V2,
    /// FHIR R4, CARIN 2.x; a pilot.
    V3,
}

impl ApiVersion {
    /// Whether a person has the same Patient id at both. v3 has a separate database with other ids.
    #[must_use]
    pub fn shares_ids_with(self, other: Self) -> bool {
        (self == Self::V3) == (other == Self::V3)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
        })
    }
}
