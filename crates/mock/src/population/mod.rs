//! Made-up people with made-up claims, all derived from a seed.
//!
//! Nothing is stored. A claim is computed from the seed, the person and its position, so a million claims take no
//! more memory than one.

mod claims;

use jiff::Timestamp;

use super::rng::Rng;
use crate::ids::{lasting_number, lasting_uuid, uuid_number};
use crate::records::{ClaimHeader, Enrollee, Records, Version, index_of, username};
use claims::person::{PARTS, Person};
use claims::tables::{FAMILY_NAMES, GIVEN_NAMES};
use claims::v3::Stage;
use claims::{Claim, Kind, LOADED};

/// The number of the first person. CMS's own synthetic people are numbered from the same start.
const FIRST_PATIENT: u64 = 20_140_000_000_001;
/// The same person at v3.
const FIRST_PATIENT_V3: u64 = 30_250_000_000_001;
/// Claim numbers of neighbors are about this far apart, so that they do not look consecutive.
const STEP: u64 = 97;
/// The smallest range of claim numbers that a person gets: enough for a million claims.
const ID_RANGE: u64 = 100_000_000;
/// The smallest claim number: eleven digits, as in the sandbox.
const FIRST_NUMBER: u64 = 10_000_000_000;

/// What v3 adds to a number of this series to get its own number: for finished claims, and for those still being
/// processed. v3 sorts by number, and all are negative, so the finished ones come first.
const FINISHED_V3: u64 = 5_000_000_000_000;
const PARTIAL_V3: u64 = 1_000_000_000_000;
/// The first place of claims that only v3 shows: claims that are still being processed (four per hundred), then prior
/// authorizations (one per hundred).
const FIRST_V3_PLACE: usize = usize::MAX / 2;
/// Each of them is chosen from this many claims.
const CANDIDATES: usize = 8;

/// A number of people, each with the same number of claims.
///
/// Claims are sorted by number, compared as text, as on the server. So all numbers have the same number of digits,
/// and each position has its own range. A claim keeps its id for any number of claims and people, up to a million
/// claims and 900 people. Beyond that, the numbers get longer.
#[derive(Clone, Debug)]
pub struct Population {
    seed: u64,
    enrollees: usize,
    claims: usize,
    /// The lowest number of all. It decides how many digits each number has.
    first: u64,
    /// How many numbers each person has.
    id_range: u64,
}

impl Population {
    /// `enrollees` people with `claims` claims each. The same three numbers give the same bytes; another seed gives
    /// others. Ids are unique up to 10^16 claims in total.
    pub fn new(seed: u64, enrollees: usize, claims: usize) -> Self {
        let mut id_range = ID_RANGE;
        while id_range / STEP < claims as u64 && id_range < u64::MAX / 100 {
            id_range *= 10;
        }
        let mut first = FIRST_NUMBER;
        while first.saturating_mul(9) < id_range.saturating_mul(enrollees as u64) && first < u64::MAX / 100 {
            first *= 10;
        }
        Self { seed, enrollees, claims, first, id_range }
    }

    fn number(&self, enrollee: usize, position: usize) -> u64 {
        let jitter = Rng::at(&[self.seed, enrollee as u64, position as u64, 0x6e75_6d62]).below(STEP);
        let base = self.first.saturating_add((enrollee as u64).saturating_mul(self.id_range));
        base.saturating_add((position as u64).saturating_mul(STEP)).saturating_add(jitter)
    }

    fn claim(&self, enrollee: usize, position: usize) -> Claim {
        let number = self.number(enrollee, position);
        Claim::at(self.seed, enrollee as u64, position as u64, number, patient(enrollee))
    }

    /// The position that a claim with this number would have.
    fn position(&self, enrollee: usize, number: u64) -> Option<usize> {
        let base = self.first.saturating_add((enrollee as u64).saturating_mul(self.id_range));
        let position = usize::try_from(number.checked_sub(base)? / STEP).ok()?;
        (position <= self.last()).then_some(position)
    }

    /// The last position in a person's range of numbers.
    fn last(&self) -> usize {
        usize::try_from(self.id_range / STEP).unwrap_or(usize::MAX).saturating_sub(1)
    }

    /// Finds a claim that is still being processed by its number, which is counted back from the end of the range as
    /// in [`Self::v3_only_claim`]. Only the number at the very end may belong to several places.
    fn find_partial(&self, enrollee: usize, number: u64, is_it: impl Fn(&usize) -> bool) -> Option<usize> {
        let (position, last, partial) = (self.position(enrollee, number)?, self.last(), self.v3_only_claims().0);
        let nth = last.checked_sub(position)? / CANDIDATES;
        let all = if position == last { 0..partial } else { nth..partial.min(nth + 1) };
        all.map(|nth| FIRST_V3_PLACE + nth).find(is_it)
    }

    /// Finds a prior authorization. Its id does not show its place.
    fn find_authorization(&self, enrollee: usize, id: &str) -> Option<usize> {
        let number = uuid_number(id)?;
        let (partial, prior) = self.v3_only_claims();
        let mut places = FIRST_V3_PLACE + partial..FIRST_V3_PLACE + partial + prior;
        places.find(|place| lasting_number(&[self.seed, enrollee as u64, *place as u64]) == number)
    }

    /// How many claims are still being processed, and how many prior authorizations there are.
    fn v3_only_claims(&self) -> (usize, usize) {
        if self.claims == 0 { (0, 0) } else { (self.claims.div_ceil(25), self.claims.div_ceil(100)) }
    }

    /// The claim at a place from [`FIRST_V3_PLACE`] on. Its number is at the end of the person's range, where no
    /// other claim has one. It is never a drug event.
    fn v3_only_claim(&self, enrollee: usize, place: usize) -> (Stage, Claim) {
        let nth = place - FIRST_V3_PLACE;
        let stage = if nth < self.v3_only_claims().0 { Stage::Partial } else { Stage::PriorAuthorization };
        let last = self.last();
        let candidates = (0..CANDIDATES).map(|one| self.claim(enrollee, last.saturating_sub(nth * CANDIDATES + one)));
        let claim = candidates.into_iter().find(|claim| claim.kind != Kind::Pde);
        (stage, claim.unwrap_or_else(|| self.claim(enrollee, last)))
    }

    /// The claim at a place, its stage at v3, and its id there.
    fn claim_v3(&self, enrollee: usize, place: usize) -> (Stage, Claim, String) {
        if place < FIRST_V3_PLACE {
            let claim = self.claim(enrollee, place);
            let id = format!("-{}", FINISHED_V3.saturating_add(claim.number));
            return (Stage::Adjudicated, claim, id);
        }
        let (stage, claim) = self.v3_only_claim(enrollee, place);
        let id = match stage {
            Stage::PriorAuthorization => lasting_uuid(&[self.seed, enrollee as u64, place as u64]),
            _ => format!("-{}", PARTIAL_V3.saturating_add(claim.number)),
        };
        (stage, claim, id)
    }

    fn header_v3(&self, enrollee: usize, place: usize) -> ClaimHeader {
        let (stage, claim, id) = self.claim_v3(enrollee, place);
        ClaimHeader {
            id,
            kind: claim.kind.name(),
            last_updated: claim.last_updated,
            service_end: Some(claim.end),
            marks: claim.marks_v3(stage),
        }
    }

    fn patient_of(&self, version: Version, enrollee: usize) -> String {
        version.patient(&self.enrollee(enrollee))
    }

    fn person(&self, index: usize) -> Person<'static> {
        let mut rng = Rng::at(&[self.seed, index as u64, 0x7065_7273]);
        // The first people use the names in order, so that even a few people have letters that are not ASCII.
        let (given, family) = if index < GIVEN_NAMES.len() {
            (GIVEN_NAMES[index], FAMILY_NAMES[index % FAMILY_NAMES.len()])
        } else {
            (*rng.pick(GIVEN_NAMES), *rng.pick(FAMILY_NAMES))
        };
        let weeks = i64::try_from(rng.below(150)).unwrap_or(0);
        let seconds = weeks * 7 * 86_400 + i64::try_from(rng.below(80_000)).unwrap_or(0);
        let last_updated = LOADED - jiff::SignedDuration::from_secs(seconds);
        Person { patient: patient(index), given, family, last_updated, rng }
    }
}

/// The number after the minus sign of a claim's id at v3.
fn number_v3(id: &str) -> Option<u64> {
    id.strip_prefix('-')?.parse().ok()
}

fn patient(enrollee: usize) -> u64 {
    FIRST_PATIENT.saturating_add(enrollee as u64)
}

impl Records for Population {
    fn serves(&self, _: Version) -> bool {
        true
    }

    fn enrollees(&self) -> usize {
        self.enrollees
    }

    fn enrollee(&self, index: usize) -> Enrollee {
        let person = self.person(index);
        Enrollee {
            username: username(index),
            patient: format!("-{}", person.patient),
            name: format!("{} {}", person.given, person.family),
            given_name: person.given.to_owned(),
            family_name: person.family.to_owned(),
            email: format!("bbuser{index:05}@example.com"),
        }
    }

    fn find_enrollee(&self, username: &str) -> Option<usize> {
        index_of(username).filter(|index| *index < self.enrollees)
    }

    fn find_patient(&self, version: Version, patient: &str) -> Option<usize> {
        let nth = |first: u64| patient.strip_prefix('-')?.parse::<u64>().ok()?.checked_sub(first);
        let index = match version {
            Version::V1 | Version::V2 => nth(FIRST_PATIENT),
            Version::V3 => nth(FIRST_PATIENT_V3),
        };
        let index = usize::try_from(index?).ok().filter(|index| *index < self.enrollees)?;
        (self.patient_of(version, index) == patient).then_some(index)
    }

    fn claims(&self, version: Version, _enrollee: usize) -> usize {
        let (partial, prior) = if version == Version::V3 { self.v3_only_claims() } else { (0, 0) };
        self.claims + partial + prior
    }

    fn finished(&self, _: Version, _enrollee: usize) -> usize {
        self.claims
    }

    fn place(&self, version: Version, _enrollee: usize, nth: usize) -> usize {
        match version {
            Version::V1 | Version::V2 => nth,
            // The larger a number is, the smaller is its negative.
            Version::V3 if nth < self.claims => self.claims - 1 - nth,
            Version::V3 => FIRST_V3_PLACE + (nth - self.claims),
        }
    }

    fn spare(&self, _enrollee: usize, from: usize) -> usize {
        usize::try_from(self.id_range / STEP).unwrap_or(usize::MAX).saturating_sub(from)
    }

    fn claim_header(&self, version: Version, enrollee: usize, place: usize) -> ClaimHeader {
        if version == Version::V3 {
            return self.header_v3(enrollee, place);
        }
        let claim = self.claim(enrollee, place);
        let kind = claim.kind.name();
        ClaimHeader {
            id: format!("{kind}--{}", claim.number),
            kind,
            last_updated: claim.last_updated,
            service_end: Some(claim.end),
            marks: claim.marks_v3(Stage::Adjudicated),
        }
    }

    fn find_claim(&self, version: Version, enrollee: usize, id: &str) -> Option<usize> {
        self.find_made(version, enrollee, id).filter(|place| *place < self.claims || *place >= FIRST_V3_PLACE)
    }

    fn find_made(&self, version: Version, enrollee: usize, id: &str) -> Option<usize> {
        if enrollee >= self.enrollees {
            return None;
        }
        let is_it = |place: &usize| self.claim_header(version, enrollee, *place).id == id;
        if version != Version::V3 {
            let number = id.split_once("--")?.1.parse().ok()?;
            return self.position(enrollee, number).filter(is_it);
        }
        let Some(number) = number_v3(id) else { return self.find_authorization(enrollee, id) };
        let finished = number.checked_sub(FINISHED_V3).and_then(|number| self.position(enrollee, number));
        let partial = || self.find_partial(enrollee, number.checked_sub(PARTIAL_V3)?, is_it);
        finished.filter(is_it).or_else(partial)
    }

    fn owners(&self, version: Version, id: &str) -> Vec<usize> {
        let number = match version {
            Version::V1 | Version::V2 => id.split_once("--").and_then(|(_, number)| number.parse::<u64>().ok()),
            Version::V3 => number_v3(id),
        };
        let Some(number) = number else {
            // The id of a prior authorization does not show whose it is.
            let anybody = if version == Version::V3 && uuid_number(id).is_some() { self.enrollees } else { 0 };
            return (0..anybody).collect();
        };
        let series: &[u64] = if version == Version::V3 { &[FINISHED_V3, PARTIAL_V3] } else { &[0] };
        let owner = |added: &u64| usize::try_from(number.checked_sub(added + self.first)? / self.id_range).ok();
        series.iter().filter_map(owner).filter(|owner| *owner < self.enrollees).collect()
    }

    fn write_claim(&self, version: Version, enrollee: usize, place: usize, created: Timestamp, out: &mut String) {
        match version {
            Version::V1 => self.claim(enrollee, place).write_v1(out),
            Version::V2 => self.claim(enrollee, place).write_v2(created, out),
            Version::V3 => {
                let (stage, claim, id) = self.claim_v3(enrollee, place);
                claim.write_v3(stage, &id, &self.patient_of(version, enrollee), out);
            }
        }
    }

    fn patient(&self, version: Version, enrollee: usize) -> String {
        let person = self.person(enrollee);
        match version {
            Version::V1 => person.patient_v1(),
            Version::V2 => person.patient_v2(),
            Version::V3 => person.patient_v3(&self.patient_of(version, enrollee)),
        }
    }

    fn coverage(&self, version: Version, enrollee: usize) -> Vec<(String, String)> {
        let person = self.person(enrollee);
        match version {
            Version::V1 => PARTS.iter().map(|&part| person.coverage_v1(part)).collect(),
            Version::V2 => PARTS.iter().map(|&part| person.coverage_v2(part)).collect(),
            Version::V3 => person.coverage_v3(&self.patient_of(version, enrollee)),
        }
    }

    fn insurance_card(&self, enrollee: usize, call: u64) -> Option<String> {
        let mut nth = 0;
        let id = || {
            nth += 1;
            lasting_uuid(&[self.seed, enrollee as u64, call, nth, 0x6361_7264])
        };
        Some(self.person(enrollee).insurance_card(id))
    }

    fn loaded(&self) -> Timestamp {
        LOADED
    }
}

#[cfg(test)]
mod tests;
