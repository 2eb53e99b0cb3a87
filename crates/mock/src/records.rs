//! What the mock serves: people and their resources.
//!
//! [`Records`] has two implementations: made-up people ([`super::population`]) and payload files ([`super::data`]).
//! The FHIR part of the mock uses only this trait. A test may use its own implementation.

use jiff::{Timestamp, civil::Date};

pub use super::version::Version;

/// A person who can log in at the mock.
#[derive(Clone, Debug)]
pub struct Enrollee {
    /// The log-in name. In the sandbox, names look like `BBUser00000`.
    pub username: String,
    /// The FHIR Patient id of API v1 and v2. It is negative, as for every synthetic person.
    pub patient: String,
    /// Full name, as in userinfo.
    pub name: String,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// E-mail address (always under `example.com`).
    pub email: String,
}

/// The log-in name of the person at `index`.
pub(super) fn username(index: usize) -> String {
    format!("BBUser{index:05}")
}

/// The index of the person with this log-in name, if there are enough people.
pub(super) fn index_of(name: &str) -> Option<usize> {
    let index = name.strip_prefix("BBUser")?.parse().ok()?;
    (username(index) == name).then_some(index)
}

/// The part of a claim that a search needs, without the claim itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimHeader {
    /// `<type>-<number>`, the number negative: `carrier--10344810963`.
    pub id: String,
    /// `carrier`, `dme`, `hha`, `hospice`, `inpatient`, `outpatient`, `pde` or `snf`.
    pub kind: &'static str,
    /// `meta.lastUpdated`: when the loader wrote the row.
    pub last_updated: Timestamp,
    /// The through date (the fill date of a drug event), which `service-date` filters by.
    pub service_end: Option<Date>,
    /// What only API v3 can filter by.
    pub marks: Marks,
}

/// Where a resource of API v3 comes from, and its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// `meta.source`: `NCH`, `DDPS`, `FISS`, `MCS`, `VMS` or `CWF`.
    pub source: &'static str,
    /// Whether it has the security label for substance use treatment (42 CFR Part 2).
    pub samhsa: bool,
    /// `meta.tag`: system and code.
    pub tags: &'static [(&'static str, &'static str)],
}

impl Marks {
    /// For a claim without any such labels.
    pub const NONE: Self = Self { source: "NCH", samhsa: false, tags: &[] };
}

/// A source of people and their resources.
///
/// A claim has a place, a number that is the same in all versions of the API. A source may make a claim from its
/// place when it is asked for, so it does not have to store any. Each version has its own order of claims.
pub trait Records: Send + Sync {
    /// Whether this version of the API has any resources. If not, its requests fail with 502 (v3: 500).
    fn serves(&self, version: Version) -> bool;
    /// How many people there are.
    fn enrollees(&self) -> usize;
    /// The person at `index` (below [`Records::enrollees`]).
    fn enrollee(&self, index: usize) -> Enrollee;
    /// The person with this log-in name.
    fn find_enrollee(&self, username: &str) -> Option<usize> {
        (0..self.enrollees()).find(|index| self.enrollee(*index).username == username)
    }
    /// The person with this Patient id. Ids of v3 differ from those of v1 and v2.
    fn find_patient(&self, version: Version, patient: &str) -> Option<usize> {
        (0..self.enrollees()).find(|index| version.patient(&self.enrollee(*index)) == patient)
    }
    /// How many claims the person has in this version, including those that only some searches show.
    fn claims(&self, version: Version, enrollee: usize) -> usize;
    /// How many of these are finished. They come first in the order of this version.
    fn finished(&self, version: Version, enrollee: usize) -> usize {
        self.claims(version, enrollee)
    }
    /// The place of the `nth` claim (from 0) in the order of this version. v1 and v2: claim number compared as text,
    /// then type; v3: claim number, then prior authorizations.
    fn place(&self, _version: Version, _enrollee: usize, nth: usize) -> usize {
        nth
    }
    /// How many more claims the source can make for that person if there are `from` already. Their places start at
    /// `from`. [`Records::claims`] does not count them.
    fn spare(&self, _enrollee: usize, _from: usize) -> usize {
        0
    }
    /// The claim at a place.
    fn claim_header(&self, version: Version, enrollee: usize, place: usize) -> ClaimHeader;
    /// The place of the claim with this id, if the person has it in this version.
    fn find_claim(&self, version: Version, enrollee: usize, id: &str) -> Option<usize>;
    /// The same, including claims that are not counted ([`Records::spare`]).
    fn find_made(&self, version: Version, enrollee: usize, id: &str) -> Option<usize> {
        self.find_claim(version, enrollee, id)
    }
    /// The people who may have the claim with this id, judging by the id alone.
    fn owners(&self, _version: Version, _id: &str) -> Vec<usize> {
        (0..self.enrollees()).collect()
    }
    /// Appends the claim as compact JSON. `created` is the time of the answer, which API v2 puts into every claim.
    fn write_claim(&self, version: Version, enrollee: usize, place: usize, created: Timestamp, out: &mut String);
    /// The Patient resource as compact JSON.
    fn patient(&self, version: Version, enrollee: usize) -> String;
    /// The digital insurance card, a Bundle as compact JSON. Only API v3 has it. Its ids differ at each `call`, which
    /// is counted from 0.
    fn insurance_card(&self, _enrollee: usize, _call: u64) -> Option<String> {
        None
    }
    /// The Coverage resources (id, compact JSON).
    fn coverage(&self, version: Version, enrollee: usize) -> Vec<(String, String)>;
    /// When the data was last loaded: a Bundle's `meta.lastUpdated`.
    fn loaded(&self) -> Timestamp;
}
