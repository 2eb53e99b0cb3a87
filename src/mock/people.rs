//! Made-up people with made-up claims, all derived from a seed.
//!
//! Nothing is stored: a claim is a function of the seed, the person and its position, so that a
//! million claims take no more memory than one.

use jiff::Timestamp;

use super::claims::dice::Dice;
use super::claims::person::{PARTS, Person};
use super::claims::tables::{FAMILY_NAMES, GIVEN_NAMES};
use super::claims::{Claim, LOADED};
use super::records::{ClaimHeader, Enrollee, Records};

/// The number of the first person. CMS's own synthetic people count on from the same place.
const FIRST_PATIENT: u64 = 20_140_000_000_001;
/// Claim numbers of neighbours are about this far apart, so that they do not look counted.
const STEP: u64 = 97;
/// The room that a person's claim numbers take at least: a million claims.
const ROOM: u64 = 100_000_000;
/// The smallest claim number: eleven digits, as in the sandbox.
const FIRST_NUMBER: u64 = 10_000_000_000;

/// A number of people, each with the same number of claims.
///
/// Claim numbers compare as text, as the server's order has it, in the order of their positions:
/// all have the same number of digits, and each position has a range of its own. The ids of a
/// person's first claims stay the same however many claims or people there are, up to a million
/// claims and 900 people; beyond that the numbers get longer.
#[derive(Clone, Debug)]
pub struct Population {
    seed: u64,
    enrollees: usize,
    claims: usize,
    /// The lowest number of all, which decides how many digits each has.
    first: u64,
    /// How many numbers each person has.
    room: u64,
}

impl Population {
    /// `enrollees` people with `claims` claims each. The same three numbers make the same bytes,
    /// and another seed makes other ones. Sizes are honest up to 10^16 claims altogether.
    pub fn new(seed: u64, enrollees: usize, claims: usize) -> Self {
        let mut room = ROOM;
        while room / STEP < claims as u64 && room < u64::MAX / 100 {
            room *= 10;
        }
        let mut first = FIRST_NUMBER;
        while first.saturating_mul(9) < room.saturating_mul(enrollees as u64) && first < u64::MAX / 100 {
            first *= 10;
        }
        Self { seed, enrollees, claims, first, room }
    }

    fn number(&self, enrollee: usize, position: usize) -> u64 {
        let jitter = Dice::at(&[self.seed, enrollee as u64, position as u64, 0x6e75_6d62]).below(STEP);
        let base = self.first.saturating_add((enrollee as u64).saturating_mul(self.room));
        base.saturating_add((position as u64).saturating_mul(STEP)).saturating_add(jitter)
    }

    fn claim(&self, enrollee: usize, position: usize) -> Claim {
        let number = self.number(enrollee, position);
        Claim::at(self.seed, enrollee as u64, position as u64, number, patient(enrollee))
    }

    fn person(&self, index: usize) -> Person<'static> {
        let mut dice = Dice::at(&[self.seed, index as u64, 0x7065_7273]);
        // The first people go through the names in order, so that a few of them already hold
        // letters that are not ASCII.
        let (given, family) = if index < GIVEN_NAMES.len() {
            (GIVEN_NAMES[index], FAMILY_NAMES[index % FAMILY_NAMES.len()])
        } else {
            (*dice.pick(GIVEN_NAMES), *dice.pick(FAMILY_NAMES))
        };
        let weeks = i64::try_from(dice.below(150)).unwrap_or(0);
        let seconds = weeks * 7 * 86_400 + i64::try_from(dice.below(80_000)).unwrap_or(0);
        let last_updated = LOADED - jiff::SignedDuration::from_secs(seconds);
        Person { patient: patient(index), given, family, last_updated, dice }
    }
}

fn patient(enrollee: usize) -> u64 {
    FIRST_PATIENT.saturating_add(enrollee as u64)
}

impl Records for Population {
    fn enrollees(&self) -> usize {
        self.enrollees
    }

    fn enrollee(&self, index: usize) -> Enrollee {
        let person = self.person(index);
        Enrollee {
            username: format!("BBUser{index:05}"),
            patient: format!("-{}", person.patient),
            name: format!("{} {}", person.given, person.family),
            given_name: person.given.to_owned(),
            family_name: person.family.to_owned(),
            email: format!("bbuser{index:05}@example.com"),
        }
    }

    fn claims(&self, _enrollee: usize) -> usize {
        self.claims
    }

    fn claim_header(&self, enrollee: usize, position: usize) -> ClaimHeader {
        let claim = self.claim(enrollee, position);
        let kind = claim.kind.name();
        ClaimHeader {
            id: format!("{kind}--{}", claim.number),
            kind,
            last_updated: claim.last_updated,
            service_end: Some(claim.end),
        }
    }

    fn find_claim(&self, enrollee: usize, id: &str) -> Option<usize> {
        let (_, number) = id.split_once("--")?;
        let base = self.first.saturating_add((enrollee as u64).saturating_mul(self.room));
        let position = number.parse::<u64>().ok()?.checked_sub(base)? / STEP;
        let position = usize::try_from(position).ok().filter(|&position| position < self.claims)?;
        let claim = self.claim(enrollee, position);
        (enrollee < self.enrollees && id == format!("{}--{}", claim.kind.name(), claim.number)).then_some(position)
    }

    fn write_claim(&self, enrollee: usize, position: usize, created: Timestamp, out: &mut String) {
        self.claim(enrollee, position).write(created, out);
    }

    fn patient(&self, enrollee: usize) -> String {
        self.person(enrollee).patient()
    }

    fn coverage(&self, enrollee: usize) -> Vec<(String, String)> {
        let person = self.person(enrollee);
        PARTS.iter().map(|&part| person.coverage(part)).collect()
    }

    fn loaded(&self) -> Timestamp {
        LOADED
    }
}
