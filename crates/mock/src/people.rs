//! Made-up people with made-up claims, all derived from a seed.
//!
//! Nothing is stored: a claim is a function of the seed, the person and its position, so that a
//! million claims take no more memory than one.

use jiff::Timestamp;

use super::claims::dice::Dice;
use super::claims::person::{PARTS, Person};
use super::claims::tables::{FAMILY_NAMES, GIVEN_NAMES};
use super::claims::v3::Stage;
use super::claims::{Claim, Kind, LOADED};
use super::records::{ClaimHeader, Enrollee, Records, Version};
use super::world::{lasting_number, lasting_uuid, uuid_number};

/// The number of the first person. CMS's own synthetic people count on from the same place.
const FIRST_PATIENT: u64 = 20_140_000_000_001;
/// Claim numbers of neighbours are about this far apart, so that they do not look counted.
const STEP: u64 = 97;
/// The room that a person's claim numbers take at least: a million claims.
const ROOM: u64 = 100_000_000;
/// The smallest claim number: eleven digits, as in the sandbox.
const FIRST_NUMBER: u64 = 10_000_000_000;

/// What v3 adds to a number of this series to have one of its own: finished claims, and those still worked on.
/// Its order is by number, and all are negative: the finished ones come first.
const FINISHED_V3: u64 = 5_000_000_000_000;
const PARTIAL_V3: u64 = 1_000_000_000_000;
/// From here on the places are those of what v3 alone shows: first claims that are still worked on, four for
/// every hundred, then prior authorisations, one for every hundred.
const BEYOND: usize = usize::MAX / 2;
/// So many claims each of them is chosen from.
const TRIES: usize = 8;

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

    /// The position that a claim with this number would have.
    fn position(&self, enrollee: usize, number: u64) -> Option<usize> {
        let base = self.first.saturating_add((enrollee as u64).saturating_mul(self.room));
        let position = usize::try_from(number.checked_sub(base)? / STEP).ok()?;
        (position <= self.last()).then_some(position)
    }

    /// The last position of anybody's room.
    fn last(&self) -> usize {
        usize::try_from(self.room / STEP).unwrap_or(usize::MAX).saturating_sub(1)
    }

    /// The place of a claim still worked on by its number, counted back from the end of the room as
    /// [`Self::claim_beyond`] does. Only that at the very end may stand for several places.
    fn find_partial(&self, enrollee: usize, number: u64, is_it: impl Fn(&usize) -> bool) -> Option<usize> {
        let (position, last, partial) = (self.position(enrollee, number)?, self.last(), self.beyond().0);
        let nth = last.checked_sub(position)? / TRIES;
        let all = if position == last { 0..partial } else { nth..partial.min(nth + 1) };
        all.map(|nth| BEYOND + nth).find(is_it)
    }

    /// The place of a prior authorization: its id says nothing of it.
    fn find_authorization(&self, enrollee: usize, id: &str) -> Option<usize> {
        let number = uuid_number(id)?;
        let (partial, prior) = self.beyond();
        let mut places = BEYOND + partial..BEYOND + partial + prior;
        places.find(|place| lasting_number(&[self.seed, enrollee as u64, *place as u64]) == number)
    }

    /// How many claims are still worked on, and how many prior authorisations there are.
    fn beyond(&self) -> (usize, usize) {
        if self.claims == 0 { (0, 0) } else { (self.claims.div_ceil(25), self.claims.div_ceil(100)) }
    }

    /// What stands at a place from [`BEYOND`] on. Such claims are made from the end of the person's room,
    /// where no other claim comes from; none of them is a drug event.
    fn claim_beyond(&self, enrollee: usize, place: usize) -> (Stage, Claim) {
        let nth = place - BEYOND;
        let stage = if nth < self.beyond().0 { Stage::Partial } else { Stage::PriorAuthorization };
        let last = self.last();
        let tries = (0..TRIES).map(|one| self.claim(enrollee, last.saturating_sub(nth * TRIES + one)));
        let claim = tries.into_iter().find(|claim| claim.kind != Kind::Pde);
        (stage, claim.unwrap_or_else(|| self.claim(enrollee, last)))
    }

    /// The claim at a place, how v3 shows it, and its id there.
    fn claim_v3(&self, enrollee: usize, place: usize) -> (Stage, Claim, String) {
        if place < BEYOND {
            let claim = self.claim(enrollee, place);
            let id = format!("-{}", FINISHED_V3.saturating_add(claim.number));
            return (Stage::Adjudicated, claim, id);
        }
        let (stage, claim) = self.claim_beyond(enrollee, place);
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

/// What stands behind the minus of a claim's id at v3.
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
            username: format!("BBUser{index:05}"),
            patient: format!("-{}", person.patient),
            name: format!("{} {}", person.given, person.family),
            given_name: person.given.to_owned(),
            family_name: person.family.to_owned(),
            email: format!("bbuser{index:05}@example.com"),
        }
    }

    fn claims(&self, version: Version, _enrollee: usize) -> usize {
        let (partial, prior) = if version == Version::V3 { self.beyond() } else { (0, 0) };
        self.claims + partial + prior
    }

    fn finished(&self, _: Version, _enrollee: usize) -> usize {
        self.claims
    }

    fn place(&self, version: Version, _enrollee: usize, nth: usize) -> usize {
        match version {
            Version::V1 | Version::V2 => nth,
            // The larger the number, the smaller its negative.
            Version::V3 if nth < self.claims => self.claims - 1 - nth,
            Version::V3 => BEYOND + (nth - self.claims),
        }
    }

    fn spare(&self, _enrollee: usize, from: usize) -> usize {
        usize::try_from(self.room / STEP).unwrap_or(usize::MAX).saturating_sub(from)
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
        self.find_made(version, enrollee, id).filter(|place| *place < self.claims || *place >= BEYOND)
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
            // Nothing in the id of a prior authorization says whose it is.
            let anybody = if version == Version::V3 && uuid_number(id).is_some() { self.enrollees } else { 0 };
            return (0..anybody).collect();
        };
        let series: &[u64] = if version == Version::V3 { &[FINISHED_V3, PARTIAL_V3] } else { &[0] };
        let owner = |added: &u64| usize::try_from(number.checked_sub(added + self.first)? / self.room).ok();
        series.iter().filter_map(owner).filter(|owner| *owner < self.enrollees).collect()
    }

    fn write_claim(&self, version: Version, enrollee: usize, place: usize, created: Timestamp, out: &mut String) {
        match version {
            Version::V1 => self.claim(enrollee, place).write_v1(out),
            Version::V2 => self.claim(enrollee, place).write(created, out),
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
            Version::V2 => person.patient(),
            Version::V3 => person.patient_v3(&self.patient_of(version, enrollee)),
        }
    }

    fn coverage(&self, version: Version, enrollee: usize) -> Vec<(String, String)> {
        let person = self.person(enrollee);
        match version {
            Version::V1 => PARTS.iter().map(|&part| person.coverage_v1(part)).collect(),
            Version::V2 => PARTS.iter().map(|&part| person.coverage(part)).collect(),
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
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::civil::date;
    use serde_json::Value;

    use super::*;

    fn claim(population: &Population, enrollee: usize, position: usize) -> String {
        let mut out = String::new();
        let created = "2026-11-20T08:09:10.5Z".parse().unwrap();
        population.write_claim(Version::V2, enrollee, position, created, &mut out);
        out
    }

    fn parsed(population: &Population, enrollee: usize, position: usize) -> Value {
        serde_json::from_str(&claim(population, enrollee, position)).unwrap()
    }

    /// The server's order: the number as text, its sign included, then the type.
    fn order(id: &str) -> (&str, &str) {
        let (kind, _) = id.split_once('-').unwrap();
        (&id[kind.len() + 1..], kind)
    }

    #[test]
    fn the_same_seed_makes_the_same_bytes() {
        let (one, same, other) = (Population::new(7, 3, 40), Population::new(7, 3, 40), Population::new(8, 3, 40));
        let larger = Population::new(7, 20, 5000);
        let mut differing = 0;
        for position in 0..40 {
            assert_eq!(claim(&one, 2, position), claim(&same, 2, position));
            assert_eq!(claim(&one, 2, position), claim(&larger, 2, position), "size does not change a claim");
            differing += usize::from(claim(&one, 2, position) != claim(&other, 2, position));
        }
        assert_eq!(differing, 40);
        assert_eq!(one.patient(Version::V2, 1), same.patient(Version::V2, 1));
        assert_eq!(one.coverage(Version::V2, 1), same.coverage(Version::V2, 1));
        assert_ne!(one.patient(Version::V2, 1), one.patient(Version::V2, 2));
    }

    #[test]
    fn positions_are_in_text_order_of_the_claim_numbers() {
        for size in [1, 10, 11, 5000] {
            let population = Population::new(42, 3, size);
            for enrollee in 0..3 {
                let ids: Vec<String> =
                    (0..size).map(|position| population.claim_header(Version::V2, enrollee, position).id).collect();
                assert!(ids.windows(2).all(|pair| order(&pair[0]) < order(&pair[1])), "{size}");
            }
        }
        for (people, size) in [(1, 1_000_000), (5000, 1_000_000), (3, 40_000_000)] {
            let population = Population::new(42, people, size);
            let spots = (0..size).step_by(9973).chain([size - 2, size - 1]);
            let ids: Vec<String> =
                spots.map(|spot| population.claim_header(Version::V2, people - 1, spot).id).collect();
            let ids: BTreeSet<(&str, &str)> = ids.iter().map(|id| order(id)).collect();
            let lengths: BTreeSet<usize> = ids.iter().map(|(number, _)| number.len()).collect();
            assert_eq!(lengths.len(), 1, "as many digits everywhere");
            for position in (0..size - 1).step_by(size / 50).chain([size - 2]) {
                let pair = [position, position + 1].map(|at| population.claim_header(Version::V2, people - 1, at).id);
                assert!(order(&pair[0]) < order(&pair[1]), "{pair:?}");
            }
            // What one person's range ends with lies before what the next one's begins with.
            if people > 1 {
                let last = population.claim_header(Version::V2, people - 2, size - 1).id;
                assert!(order(&last).0 < order(&population.claim_header(Version::V2, people - 1, 0).id).0);
            }
        }
    }

    #[test]
    fn ids_are_negative_and_belong_to_one_person() {
        let population = Population::new(1, 12, 700);
        let mut seen = BTreeSet::new();
        for enrollee in 0..12 {
            assert!(population.enrollee(enrollee).patient.starts_with("-2014000000"));
            for position in 0..700 {
                let id = population.claim_header(Version::V2, enrollee, position).id;
                assert!(order(&id).0.starts_with('-'), "{id}");
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn a_claim_is_found_by_its_own_id_only() {
        let population = Population::new(5, 3, 3000);
        for position in (0..3000).step_by(7).chain([2999]) {
            let id = population.claim_header(Version::V2, 1, position).id;
            assert_eq!(population.find_claim(Version::V2, 1, &id), Some(position));
            assert_eq!(population.find_claim(Version::V2, 0, &id), None);
            assert_eq!(population.find_claim(Version::V2, 2, &id), None);
            let other_kind = if id.starts_with("pde") {
                id.replace("pde", "snf")
            } else {
                format!("pde{}", &id[id.find('-').unwrap()..])
            };
            assert_eq!(population.find_claim(Version::V2, 1, &other_kind), None);
            assert_eq!(population.find_claim(Version::V2, 1, &format!("{id}0")), None);
        }
        let beyond = Population::new(5, 3, 3001).claim_header(Version::V2, 1, 3000).id;
        for id in ["", "carrier", "carrier-1", "carrier--", "carrier--x", "carrier--99999999999999999999", &beyond] {
            assert_eq!(population.find_claim(Version::V2, 1, id), None, "{id}");
        }
        let of_nobody = Population::new(5, 4, 3000).claim_header(Version::V2, 3, 0).id;
        assert_eq!(population.find_claim(Version::V2, 3, &of_nobody), None);
    }

    #[test]
    fn claims_of_v3_are_found_by_their_ids_and_whose_they_are_by_the_number() {
        let population = Population::new(5, 4, 3000);
        let id = |enrollee, place| population.claim_header(Version::V3, enrollee, place).id;
        let first: Vec<String> =
            (0..population.claims(Version::V3, 1)).map(|nth| id(1, population.place(Version::V3, 1, nth))).collect();
        assert_eq!(first.len(), 3000 + 120 + 30);
        for (nth, of_one) in first.iter().enumerate().skip(2900) {
            let place = population.place(Version::V3, 1, nth);
            let found = population.find_claim(Version::V3, 1, of_one).unwrap();
            assert_eq!((found, id(1, found)), (place, of_one.clone()));
            assert_eq!(population.find_claim(Version::V3, 2, of_one), None);
            let owners = population.owners(Version::V3, of_one);
            assert!(if nth < 3120 { owners == [1] } else { owners == [0, 1, 2, 3] }, "{of_one} {owners:?}");
        }
        let spare = id(1, 3000);
        assert_eq!(population.find_claim(Version::V3, 1, &spare), None);
        assert_eq!(population.find_made(Version::V3, 1, &spare), Some(3000));
        let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        for nothing in ["123", "-123", "-99999999999999999999", "-", "", uuid, "-5000000000000", "-1000000000000"] {
            assert_eq!(population.find_claim(Version::V3, 1, nothing), None, "{nothing}");
        }
        let upper = first.last().unwrap().to_ascii_uppercase();
        assert_eq!(population.find_claim(Version::V3, 1, &upper), None, "ids are texts");
    }

    /// Ten seconds and more where every claim beyond was made to look at its id.
    #[test]
    fn an_id_that_nobody_has_is_not_looked_for_among_all_claims() {
        let population = Population::new(5, 1000, 1_000_000);
        let started = std::time::Instant::now();
        for id in ["123", "-123", "-1100000000123", "-5100000000123"] {
            let owners = population.owners(Version::V3, id);
            assert!(owners.len() <= 1, "{owners:?}");
            assert!(owners.into_iter().all(|owner| population.find_claim(Version::V3, owner, id).is_none()), "{id}");
        }
        assert!(started.elapsed().as_millis() < 500, "{:?}", started.elapsed());
        let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert!(
            population
                .owners(Version::V3, uuid)
                .into_iter()
                .take(20)
                .all(|owner| { population.find_claim(Version::V3, owner, uuid).is_none() })
        );
        assert!(started.elapsed().as_millis() < 1_000, "{:?}", started.elapsed());
    }

    #[test]
    fn headers_say_what_the_claims_do() {
        let population = Population::new(11, 2, 800);
        let created = "2026-11-20T08:09:10Z".parse::<Timestamp>().unwrap();
        let (mut offsets, mut weekdays, mut years) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        let mut dated = 0;
        for position in 0..800 {
            let (header, claim) = (population.claim_header(Version::V2, 1, position), parsed(&population, 1, position));
            assert_eq!(claim["id"], header.id.as_str());
            assert!(header.id.starts_with(header.kind));
            assert_eq!(claim["patient"]["reference"], "Patient/-20140000000002");
            let updated = claim["meta"]["lastUpdated"].as_str().unwrap();
            assert_eq!(updated.parse::<Timestamp>().unwrap(), header.last_updated);
            assert!(header.last_updated <= population.loaded());
            offsets.insert(updated[updated.len() - 6..].to_owned());
            *weekdays.entry(header.last_updated.strftime("%A").to_string()).or_insert(0) += 1;
            let end = header.service_end.unwrap();
            assert_eq!(claim["billablePeriod"]["end"], end.to_string());
            assert!((date(2015, 1, 1)..=date(2026, 11, 14)).contains(&end));
            let start: jiff::civil::Date = claim["billablePeriod"]["start"].as_str().unwrap().parse().unwrap();
            assert!(start >= date(2015, 1, 1) && start <= end);
            let info = claim["supportingInfo"].as_array().unwrap().iter().filter(|info| {
                info["category"]["coding"].as_array().unwrap().iter().any(|code| code["code"] == "clmrecvddate")
            });
            let received = info.filter_map(|info| info["timingDate"].as_str());
            for processed in received.chain(claim["payment"]["date"].as_str()) {
                assert!(processed <= &updated[..10], "{}: processed {processed}, loaded {updated}", header.id);
                dated += 1;
            }
            years.insert(end.year());
            assert_eq!(claim["created"], "2026-11-20T08:09:10+00:00");
            assert_eq!(claim["created"].as_str().unwrap().parse::<Timestamp>().unwrap(), created);
        }
        assert_eq!(offsets, ["+00:00", "-04:00", "-05:00"].map(String::from).into());
        assert_eq!(years.len(), 12);
        assert!(dated > 600, "{dated}");
        assert!(weekdays["Tuesday"] > 750, "loads run on Tuesdays, but for the last one: {weekdays:?}");
        assert!(weekdays.keys().all(|day| ["Monday", "Tuesday"].contains(&day.as_str())), "{weekdays:?}");
    }

    #[test]
    fn the_mix_of_types_is_medicares() {
        let population = Population::new(3, 2, 10_000);
        let mut counts = BTreeMap::new();
        for position in 0..10_000 {
            *counts.entry(population.claim_header(Version::V2, 0, position).kind).or_insert(0) += 1;
        }
        let expected = [
            ("carrier", 5500),
            ("pde", 2000),
            ("outpatient", 1300),
            ("dme", 400),
            ("inpatient", 300),
            ("hha", 200),
            ("snf", 200),
            ("hospice", 100),
        ];
        assert_eq!(counts, expected.into());
        for enrollee in 0..2 {
            let first: BTreeSet<_> =
                (0..40).map(|position| population.claim_header(Version::V2, enrollee, position).kind).collect();
            assert_eq!(first.len(), 8, "a small mock has every type");
        }
    }

    fn amount(claim: &Value, variable: &str) -> Option<u64> {
        let url = format!("https://bluebutton.cms.gov/resources/variables/{variable}");
        let entries = claim["benefitBalance"][0]["financial"].as_array().into_iter().flatten();
        let entries = entries.chain(claim["total"].as_array().into_iter().flatten());
        for entry in entries {
            let codes = if entry["type"].is_object() { &entry["type"] } else { &entry["category"] };
            if codes["coding"].as_array().is_some_and(|codes| codes.iter().any(|code| code["code"] == url.as_str())) {
                let money = if entry["usedMoney"].is_object() { &entry["usedMoney"] } else { &entry["amount"] };
                return money["value"].as_f64().map(|value| (value * 100.0).round() as u64);
            }
        }
        None
    }

    #[test]
    fn claims_have_the_irregularities_of_real_ones_and_their_sums() {
        let population = Population::new(9, 1, 1500);
        let (mut cancelled, mut without_provider, mut foreign, mut whole, mut longest) = (0, 0, 0, 0, 0);
        for position in 0..1500 {
            let text = claim(&population, 0, position);
            let claim: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(claim.to_string().len(), text.len(), "compact, and escaped no more than needed");
            cancelled += usize::from(claim["status"] == "cancelled");
            without_provider += usize::from(claim["provider"].is_null());
            foreign += usize::from(!text.is_ascii());
            whole += usize::from(text.contains("\"value\":0,\"currency\""));
            longest = longest.max(claim["item"].as_array().unwrap().len());
            assert!(claim["item"].as_array().unwrap().iter().zip(1..).all(|(item, number)| item["sequence"] == number));
            let diagnoses = claim["diagnosis"].as_array().into_iter().flatten();
            let codes: Vec<_> = diagnoses.map(|one| &one["diagnosisCodeableConcept"]["coding"][0]["code"]).collect();
            assert_eq!(codes.len(), codes.iter().map(|code| code.as_str()).collect::<BTreeSet<_>>().len(), "{codes:?}");
            let id = claim["id"].as_str().unwrap();
            let paid = claim["payment"]["amount"]["value"].as_f64().map(|value| (value * 100.0).round() as u64);
            if id.starts_with("carrier") || id.starts_with("dme") {
                let charge = amount(&claim, "nch_carr_clm_sbmtd_chrg_amt").unwrap();
                let allowed = amount(&claim, "nch_carr_clm_alowd_amt").unwrap();
                assert!(charge >= allowed && allowed >= paid.unwrap(), "{id}");
            } else if !id.starts_with("pde") {
                assert!(amount(&claim, "clm_tot_chrg_amt").unwrap() >= paid.unwrap(), "{id}");
            }
        }
        assert!((15..150).contains(&cancelled), "{cancelled}");
        assert!((300..700).contains(&without_provider), "{without_provider}");
        assert!(foreign > 400, "{foreign}");
        assert!((90..300).contains(&whole), "{whole}");
        assert!(longest >= 45, "{longest}");
    }

    #[test]
    fn keys_stand_in_the_servers_order() {
        let population = Population::new(2, 1, 40);
        for position in 0..40 {
            let text = claim(&population, 0, position);
            let order = [
                "{\"resourceType\":\"ExplanationOfBenefit\",\"id\":",
                "\"meta\":{\"lastUpdated\"",
                "\"identifier\":[{\"type\"",
                "\"status\":\"a",
                "\"use\":\"claim\"",
                "\"billablePeriod\":",
                "\"created\":",
                "\"insurer\":",
                "\"outcome\":",
                "\"careTeam\":[",
                "\"supportingInfo\":[",
                "\"insurance\":[",
                "\"item\":[",
                "\"total\":[",
            ];
            let places: Vec<_> = order.iter().map(|key| text.rfind(key)).collect();
            if text.contains("\"status\":\"cancelled\"") {
                continue;
            }
            assert!(places.iter().all(Option::is_some), "{places:?}");
            assert!(places[2..].is_sorted(), "{places:?} {text}");
        }
    }

    #[test]
    fn a_person_has_a_patient_and_four_coverages_that_agree() {
        let population = Population::new(6, 30, 1);
        let (mut foreign, mut periods) = (0, 0);
        for index in 0..30 {
            let enrollee = population.enrollee(index);
            let patient: Value = serde_json::from_str(&population.patient(Version::V2, index)).unwrap();
            assert_eq!(patient["id"], enrollee.patient.as_str());
            assert_eq!(enrollee.patient.len(), 15, "a sign and fourteen digits");
            assert_eq!(patient["name"][0]["family"], enrollee.family_name.as_str());
            assert_eq!(patient["name"][0]["given"][0], enrollee.given_name.as_str());
            assert!(patient["address"][0]["line"].is_null());
            assert!(enrollee.email.ends_with("@example.com") && enrollee.email.is_ascii());
            foreign += usize::from(!enrollee.name.is_ascii());
            let mbi = patient["identifier"][1]["value"].as_str().unwrap().to_owned();
            assert!(mbi.len() == 11 && mbi.as_bytes()[1] == b'S', "{mbi}");
            let coverage = population.coverage(Version::V2, index);
            let ids: Vec<_> = coverage.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!(ids, ["a", "b", "c", "d"].map(|part| format!("part-{part}-{}", enrollee.patient)));
            for (id, text) in &coverage {
                let coverage: Value = serde_json::from_str(text).unwrap();
                assert_eq!(coverage["id"], id.as_str());
                assert_eq!(coverage["subscriberId"], mbi.as_str());
                assert_eq!(coverage["beneficiary"]["reference"], format!("Patient/{}", enrollee.patient));
                let updated = coverage["meta"]["lastUpdated"].as_str().unwrap().parse::<Timestamp>().unwrap();
                assert!(updated <= population.loaded());
                if let Some(start) = coverage["period"]["start"].as_str() {
                    assert!(start < "2015", "{id} begins on {start}, after the first claims");
                    periods += 1;
                }
            }
        }
        assert!(foreign > 10, "{foreign}");
        assert_eq!(periods, 60, "parts A and B say when they began");
    }
}
