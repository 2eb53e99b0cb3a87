//! `--data`: payload files served as they are, page by page.

mod read;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use thiserror::Error;

use super::{
    json::quoted,
    records::{ClaimHeader, Enrollee, Records, Version, index_of, username},
};
use read::{Card, Found};

const LOADED: &str = "2026-11-16T09:00:00Z";
/// The Patient id of the only enrollee, if the files name no one.
const NOBODY: &str = "-20140000000001";
const FINISHED: [&str; 2] = ["NCH", "DDPS"];
const WORKED_ON: [&str; 4] = ["FISS", "MCS", "VMS", "CWF"];

/// People and resources found in files.
#[derive(Debug, Default)]
pub struct Files {
    people: Vec<Person>,
}

#[derive(Debug, Default)]
struct Person {
    id: String,
    v1: Held,
    v2: Held,
    v3: Held,
    /// The insurance card of v3.
    card: Option<String>,
}

impl Person {
    fn of(&self, version: Version) -> &Held {
        match version {
            Version::V1 => &self.v1,
            Version::V2 => &self.v2,
            Version::V3 => &self.v3,
        }
    }

    fn of_mut(&mut self, version: Version) -> &mut Held {
        match version {
            Version::V1 => &mut self.v1,
            Version::V2 => &mut self.v2,
            Version::V3 => &mut self.v3,
        }
    }

    fn claims(&self) -> usize {
        VERSIONS.iter().map(|version| self.of(*version).claims.len()).sum()
    }
}

/// One person's resources in one version.
#[derive(Debug, Default)]
struct Held {
    patient: Option<String>,
    coverage: BTreeMap<String, String>,
    /// In the server's order: by number as text, then by type. At v3, the finished ones come first, by number.
    claims: Vec<(ClaimHeader, String)>,
    /// The ids of the claims.
    ids: HashSet<String>,
}

impl Held {
    fn has_other_than_claims(&self) -> bool {
        self.patient.is_some() || !self.coverage.is_empty()
    }
}

const VERSIONS: [Version; 3] = [Version::V1, Version::V2, Version::V3];

/// Why files cannot be served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or directory cannot be read, or is not text.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is not JSON.
    #[error("{} is not JSON: look at line {line}", path.display())]
    Json {
        /// The path.
        path: PathBuf,
        /// The line where it stops being JSON, counted from 1.
        line: usize,
    },
    /// No file contains a resource that the mock serves.
    #[error("{} holds no Bundle, ExplanationOfBenefit, Patient or Coverage", .0.display())]
    Nothing(PathBuf),
}

/// Reads every `.json` and `.ndjson` file below `dir`, also with gzip (`.gz`): Bundles, single Bundle entries, claims,
/// Patients, Coverages and insurance cards. It skips other resources, and directories whose names begin with a dot. If
/// two resources have the same id, the first counts, in the order of file names.
///
/// Each resource is served by the API version that writes such resources. Everyone named in a claim or Coverage is an
/// enrollee, and those with the most claims come first. An enrollee without a Patient or Coverage gets a minimal one.
/// A card belongs to the enrollee whose Patient shares an identifier with it, or else to the first enrollee.
///
/// # Errors
/// See [`DataError`].
pub fn load(dir: &Path) -> Result<Files, DataError> {
    let mut found = Found::default();
    for path in read::files(dir)? {
        found.read(&path)?;
    }
    let Found { mut people, cards, is_something } = found;
    if people.is_empty() && is_something {
        people.insert(String::new(), Person { id: NOBODY.to_owned(), ..Person::default() });
    }
    let mut people: Vec<Person> = people.into_values().collect();
    for person in &mut people {
        for version in VERSIONS {
            let is_v3 = version == Version::V3;
            let place = |claim: &ClaimHeader| is_v3 && !FINISHED.contains(&claim.marks.source);
            person
                .of_mut(version)
                .claims
                .sort_by(|(a, _), (b, _)| (place(a), order(is_v3, &a.id)).cmp(&(place(b), order(is_v3, &b.id))));
        }
    }
    people.sort_by_key(|person| std::cmp::Reverse(person.claims()));
    for Card { identifiers, text } in cards {
        let is_theirs = |person: &Person| {
            let patients = VERSIONS.iter().filter_map(|version| person.of(*version).patient.as_deref());
            patients.flat_map(read::identifiers).any(|number| identifiers.contains(&number))
        };
        let owner = people.iter().position(is_theirs).unwrap_or(0);
        if let Some(person) = people.get_mut(owner) {
            person.card.get_or_insert(text);
        }
    }
    if people.is_empty() { Err(DataError::Nothing(dir.to_owned())) } else { Ok(Files { people }) }
}

/// Claims sort by the number as text, then by the type. At v3, they sort by their id as a number, and prior
/// authorizations, whose ids are no numbers, come last.
fn order(is_v3: bool, id: &str) -> (i64, &str, &str) {
    if is_v3 {
        return (id.parse().unwrap_or(i64::MAX), id, "");
    }
    let (kind, number) = id.split_once('-').unwrap_or(("", id));
    (0, number, kind)
}

impl Records for Files {
    /// Whether there are resources of this version. If there are claims of v1 or v2, other resources of these
    /// versions do not count: those of v2 may have no profile, and then look like v1's.
    fn serves(&self, version: Version) -> bool {
        let has_claims = |version| self.people.iter().any(|person| !person.of(version).claims.is_empty());
        let has_others = |version| self.people.iter().any(|person| person.of(version).has_other_than_claims());
        let has_card = self.people.iter().any(|person| person.card.is_some());
        let has_old_claims = has_claims(Version::V1) || has_claims(Version::V2);
        let has_old = has_old_claims || has_others(Version::V1) || has_others(Version::V2);
        let has_new = has_claims(Version::V3) || has_others(Version::V3) || has_card;
        match version {
            Version::V3 => has_new || !has_old,
            Version::V1 | Version::V2 if has_old_claims => has_claims(version),
            Version::V1 => has_others(Version::V1) || !(has_old || has_new),
            Version::V2 => has_old || !has_new,
        }
    }

    fn enrollees(&self) -> usize {
        self.people.len()
    }

    fn enrollee(&self, index: usize) -> Enrollee {
        Enrollee {
            username: username(index),
            patient: self.people[index].id.clone(),
            name: format!("Enrollee {index}"),
            given_name: "Enrollee".into(),
            family_name: index.to_string(),
            email: format!("enrollee{index}@example.com"),
        }
    }

    fn find_enrollee(&self, username: &str) -> Option<usize> {
        index_of(username).filter(|index| *index < self.people.len())
    }

    fn claims(&self, version: Version, enrollee: usize) -> usize {
        self.people[enrollee].of(version).claims.len()
    }

    fn finished(&self, version: Version, enrollee: usize) -> usize {
        let claims = &self.people[enrollee].of(version).claims;
        claims.iter().filter(|(claim, _)| FINISHED.contains(&claim.marks.source)).count()
    }

    fn claim_header(&self, version: Version, enrollee: usize, position: usize) -> ClaimHeader {
        self.people[enrollee].of(version).claims[position].0.clone()
    }

    fn find_claim(&self, version: Version, enrollee: usize, id: &str) -> Option<usize> {
        self.people[enrollee].of(version).claims.iter().position(|(header, _)| header.id == id)
    }

    fn write_claim(&self, version: Version, enrollee: usize, position: usize, _: Timestamp, out: &mut String) {
        out.push_str(&self.people[enrollee].of(version).claims[position].1);
    }

    fn patient(&self, version: Version, enrollee: usize) -> String {
        let person = &self.people[enrollee];
        // Resources of v2 may have no profile, and then look like v1's.
        let beside = || person.v1.patient.clone().filter(|_| version == Version::V2);
        person
            .of(version)
            .patient
            .clone()
            .or_else(beside)
            .unwrap_or_else(|| format!(r#"{{"resourceType":"Patient","id":{}}}"#, quoted(&person.id)))
    }

    fn coverage(&self, version: Version, enrollee: usize) -> Vec<(String, String)> {
        let person = &self.people[enrollee];
        let mut coverage = &person.of(version).coverage;
        if coverage.is_empty() && version == Version::V2 {
            coverage = &person.v1.coverage;
        }
        if coverage.is_empty() {
            let id = format!("part-a-{}", person.id);
            let text = format!(
                r#"{{"resourceType":"Coverage","id":{},"meta":{{"lastUpdated":"{LOADED}"}},"status":"active","beneficiary":{{"reference":{}}}}}"#,
                quoted(&id),
                quoted(&format!("Patient/{}", person.id))
            );
            return vec![(id, text)];
        }
        coverage.iter().map(|(id, text)| (id.clone(), text.clone())).collect()
    }

    /// The card in the files, the same at each call. If there is none, one made of the Patient and the Coverages.
    fn insurance_card(&self, enrollee: usize, _: u64) -> Option<String> {
        if let Some(card) = &self.people[enrollee].card {
            return Some(card.clone());
        }
        let coverage = self.coverage(Version::V3, enrollee).into_iter().map(|(_, text)| text);
        let resources = std::iter::once(self.patient(Version::V3, enrollee)).chain(coverage);
        let entries: Vec<String> = resources.map(|text| format!(r#"{{"resource":{text}}}"#)).collect();
        Some(format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, entries.join(",")))
    }

    fn loaded(&self) -> Timestamp {
        LOADED.parse().unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
