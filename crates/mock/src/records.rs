//! What the mock has to serve: people and their resources, whoever wrote them.
//!
//! Two sources stand behind the one trait: made-up people ([`super::population`]) and payload files
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

/// The log-in name of the person at `index`.
pub(super) fn username(index: usize) -> String {
    format!("BBUser{index:05}")
}

/// The index of the person with this log-in name, were there enough people.
pub(super) fn index_of(name: &str) -> Option<usize> {
    let index = name.strip_prefix("BBUser")?.parse().ok()?;
    (username(index) == name).then_some(index)
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
    /// What API v3 filters on besides.
    pub marks: Marks,
}

/// Where a resource of API v3 comes from, and what it is labelled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// `meta.source`: `NCH`, `DDPS`, `FISS`, `MCS`, `VMS` or `CWF`.
    pub source: &'static str,
    /// Whether it bears the security label of treatment for substance use (42 CFR Part 2).
    pub samhsa: bool,
    /// `meta.tag`: system and code.
    pub tags: &'static [(&'static str, &'static str)],
}

impl Marks {
    /// Of a claim that nobody has said anything about.
    pub const NONE: Self = Self { source: "NCH", samhsa: false, tags: &[] };
}

/// A source of people and their resources. A claim is addressed by its place, which is the same in all
/// versions, so that a source may make what it serves on the spot: nothing here needs more memory than one
/// resource. Each version has an order of its own.
pub trait Records: Send + Sync {
    /// Whether there are resources as this version of the API shows them.
    fn serves(&self, version: Version) -> bool;
    /// How many people there are.
    fn enrollees(&self) -> usize;
    /// The person at `index` (below [`Records::enrollees`]).
    fn enrollee(&self, index: usize) -> Enrollee;
    /// The person with this log-in name.
    fn find_enrollee(&self, username: &str) -> Option<usize> {
        (0..self.enrollees()).find(|index| self.enrollee(*index).username == username)
    }
    /// The person with this Patient id, which v3 has other ones of.
    fn find_patient(&self, version: Version, patient: &str) -> Option<usize> {
        (0..self.enrollees()).find(|index| version.patient(&self.enrollee(*index)) == patient)
    }
    /// How many claims this version has of that person, those included that only some searches show.
    fn claims(&self, version: Version, enrollee: usize) -> usize;
    /// How many of them are finished: the first in the order of this version.
    fn finished(&self, version: Version, enrollee: usize) -> usize {
        self.claims(version, enrollee)
    }
    /// The place of the claim that is the `nth` (from 0) in the order of this version. v1 and v2: claim
    /// number compared as text, then type; v3: claim number, then prior authorisations.
    fn place(&self, _version: Version, _enrollee: usize, nth: usize) -> usize {
        nth
    }
    /// How many further claims can be made of that person, were there `from` already. They stand at the
    /// places from there on, although [`Records::claims`] does not count them.
    fn spare(&self, _enrollee: usize, _from: usize) -> usize {
        0
    }
    /// The claim at a place.
    fn claim_header(&self, version: Version, enrollee: usize, place: usize) -> ClaimHeader;
    /// The place of the claim with this id, if the person has it in this version.
    fn find_claim(&self, version: Version, enrollee: usize, id: &str) -> Option<usize>;
    /// The same, among those too that are made and not counted ([`Records::spare`]).
    fn find_made(&self, version: Version, enrollee: usize, id: &str) -> Option<usize> {
        self.find_claim(version, enrollee, id)
    }
    /// The people of whom one may have the claim with this id, as far as the id says it.
    fn owners(&self, _version: Version, _id: &str) -> Vec<usize> {
        (0..self.enrollees()).collect()
    }
    /// Appends the claim as compact JSON. `created` is the moment of the answer, which API v2 puts
    /// into every claim.
    fn write_claim(&self, version: Version, enrollee: usize, place: usize, created: Timestamp, out: &mut String);
    /// The Patient resource as compact JSON.
    fn patient(&self, version: Version, enrollee: usize) -> String;
    /// The digital insurance card, a Bundle as compact JSON, which API v3 alone has. Its ids are others at each
    /// `call`, the number of those before it.
    fn insurance_card(&self, _enrollee: usize, _call: u64) -> Option<String> {
        None
    }
    /// The Coverage resources (id, compact JSON).
    fn coverage(&self, version: Version, enrollee: usize) -> Vec<(String, String)>;
    /// When the data was last loaded: a Bundle's `meta.lastUpdated`.
    fn loaded(&self) -> Timestamp;
}
