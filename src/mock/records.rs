//! What the mock has to serve: people and their resources, whoever wrote them.
//!
//! Two sources stand behind the one trait: made-up people ([`super::people`]) and payload files
//! given with `--data` ([`super::data`]). The FHIR side of the mock knows only this page.

use jiff::{Timestamp, civil::Date};

pub use super::version::Version;

/// A person who can log in at the mock.
#[derive(Clone, Debug)]
pub struct Enrollee {
    /// The log-in name, in the sandbox's manner (`BBUser00000`).
    pub username: String,
    /// The FHIR Patient id of API v1 and v2; negative, as every synthetic person's is.
    pub patient: String,
    /// Full name as userinfo gives it.
    pub name: String,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// E-mail address (always under `example.com`).
    pub email: String,
}

/// The part of a claim that a search needs, without making the claim itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimHeader {
    /// `<type>-<number>`, the number negative: `carrier--10344810963`.
    pub id: String,
    /// `carrier`, `dme`, `hha`, `hospice`, `inpatient`, `outpatient`, `pde` or `snf`.
    pub kind: &'static str,
    /// `meta.lastUpdated`: when the loader wrote the row.
    pub last_updated: Timestamp,
    /// The through date (fill date of a drug event), which `service-date` filters on.
    pub service_end: Option<Date>,
}

/// A source of people and their resources. Everything is addressed by position, so that a source
/// may make what it serves on the spot: nothing here needs more memory than one resource.
pub trait Records: Send + Sync {
    /// Whether there are resources as this version of the API shows them.
    fn serves(&self, version: Version) -> bool;
    /// How many people there are.
    fn enrollees(&self) -> usize;
    /// The person at `index` (below [`Records::enrollees`]).
    fn enrollee(&self, index: usize) -> Enrollee;
    /// How many claims that person has.
    fn claims(&self, enrollee: usize) -> usize;
    /// How many further claims can be made of that person, were there `from` already. They stand at the
    /// positions from there on, although [`Records::claims`] does not count them.
    fn spare(&self, _enrollee: usize, _from: usize) -> usize {
        0
    }
    /// The claim at `position`, in the server's order: claim number compared as text, then type.
    fn claim_header(&self, enrollee: usize, position: usize) -> ClaimHeader;
    /// The position of the claim with this id, if the person has it.
    fn find_claim(&self, enrollee: usize, id: &str) -> Option<usize>;
    /// Appends the claim as compact JSON. `created` is the moment of the answer, which API v2 puts
    /// into every claim.
    fn write_claim(&self, version: Version, enrollee: usize, position: usize, created: Timestamp, out: &mut String);
    /// The Patient resource as compact JSON.
    fn patient(&self, version: Version, enrollee: usize) -> String;
    /// The Coverage resources (id, compact JSON).
    fn coverage(&self, version: Version, enrollee: usize) -> Vec<(String, String)>;
    /// When the data was last loaded: a Bundle's `meta.lastUpdated`.
    fn loaded(&self) -> Timestamp;
}
