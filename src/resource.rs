//! What a person may ask for.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Claims (ExplanationOfBenefit)
    Eob,
    /// The person (Patient)
    Patient,
    /// The parts of Medicare the person has (Coverage)
    Coverage,
    /// Who logged in
    Userinfo,
    /// The digital insurance card (API v3)
    InsuranceCard,
    /// Everything that the enrollee shared
    All,
}
