//! CMS's types of claims, and the versions of the API that a claim can be of.

use serde_json::Value;

use super::json_access::{coding, each, text};

/// CMS's own types of claims. The FHIR type and the profile group them in ways that are often wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Kind {
    /// Doctors and other professionals
    Carrier,
    /// Durable medical equipment
    Dme,
    /// Home health
    Hha,
    /// Hospice
    Hospice,
    /// Hospital stays
    Inpatient,
    /// Hospital outpatient
    Outpatient,
    /// Prescription drugs (Part D events)
    Pde,
    /// Skilled nursing facilities
    Snf,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Carrier, Self::Dme, Self::Hha, Self::Hospice, Self::Inpatient, Self::Outpatient, Self::Pde, Self::Snf];

    /// CMS's short name, as in `--type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::Dme => "dme",
            Self::Hha => "hha",
            Self::Hospice => "hospice",
            Self::Inpatient => "inpatient",
            Self::Outpatient => "outpatient",
            Self::Pde => "pde",
            Self::Snf => "snf",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Carrier => "Doctor or supplier",
            Self::Dme => "Medical equipment",
            Self::Hha => "Home health",
            Self::Hospice => "Hospice",
            Self::Inpatient => "Hospital stay",
            Self::Outpatient => "Outpatient hospital",
            Self::Pde => "Prescription drug",
            Self::Snf => "Nursing facility",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// The type for the number that v3 has for it, including numbers of claims that are still being processed.
    fn numbered(code: &str) -> Option<Self> {
        Some(match code {
            "71" | "72" | "1700" | "2700" => Self::Carrier,
            "81" | "82" | "1800" | "2800" => Self::Dme,
            "50" | "1081" | "1082" | "1091" | "1098" | "1900" | "2081" | "2082" | "2091" | "2098" | "2900" => {
                Self::Hospice
            }
            "10" | "1032" | "1033" | "1039" | "1042" | "1066" | "1092" | "2032" | "2033" | "2039" | "2042" | "2066"
            | "2092" => Self::Hha,
            "60" | "61" | "62" | "63" | "64" | "1011" | "1041" | "1069" | "2011" | "2041" | "2069" => Self::Inpatient,
            "20" | "30" | "1018" | "1021" | "2018" | "2021" => Self::Snf,
            "1" | "2" | "3" | "4" => Self::Pde,
            "40" => Self::Outpatient,
            other if other.len() == 4 && (other.starts_with("10") || other.starts_with("20")) => Self::Outpatient,
            _ => return None,
        })
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::Carrier | Self::Dme => Family::Professional,
            Self::Pde => Family::Drug,
            _ => Family::Institutional,
        }
    }
}

/// Types that have their amounts under the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Professional,
    Institutional,
    Drug,
}

/// CMS's type of the claim. Before 2026-08, v3 has only the number.
pub(super) fn kind(claim: &Value) -> Option<Kind> {
    let named = coding(&claim["type"], &["eob-type", "EOB-TYPE"]).and_then(|coding| text(coding, "code"));
    let numbered = || coding(&claim["type"], &["CLM-TYPE-CD"]).and_then(|coding| text(coding, "code"));
    named.and_then(Kind::named).or_else(|| numbered().and_then(Kind::numbered))
}

/// The API version of a claim. The resource itself does not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// FHIR STU3.
    V1,
    /// FHIR R4, with the names of variables as URLs.
    V2,
    /// FHIR R4, with the names of variables as bare words.
    V3,
}

impl Version {
    /// STU3 has no `use`, which R4 demands; v3's code systems live below `/fhir/`.
    pub(super) fn of(claim: &Value) -> Self {
        let of_v3 = |coding: &Value| text(coding, "system").is_some_and(|it| it.contains("bluebutton.cms.gov/fhir/"));
        let is_prior_authorization = text(claim, "use") == Some("preauthorization");
        if is_prior_authorization || each(&claim["type"], "coding").any(of_v3) {
            Self::V3
        } else if text(claim, "use").is_some() {
            Self::V2
        } else {
            Self::V1
        }
    }
}
