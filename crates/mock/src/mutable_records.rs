//! Records that change while the mock runs: claims are added, updated, superseded and removed.
//!
//! Takes no memory for people whose claims have not changed, and a few bytes per claim for the others.

use std::{
    collections::{HashMap, HashSet},
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

use super::{
    fenwick::FenwickTree,
    records::{ClaimHeader, Enrollee, Records, Version},
};

/// Changes to a person's claims that happen together: one load of the data back end.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Load {
    /// The index of the enrollee whose claims change.
    pub enrollee: usize,
    /// How many new claims there are. They are placed between the existing ones.
    pub add: usize,
    /// How many claims are loaded again with another payment.
    pub update: usize,
    /// How many claims disappear. No real load removes a claim from API v2, but tests of a full pull need it.
    pub remove: usize,
    /// How many claims are replaced with a new one. v1 and v2 keep the old one as cancelled; v3 no longer shows it.
    pub supersede: usize,
    /// The `meta.lastUpdated` of new and changed claims. The default is now, or just after every other load.
    pub at: Option<Timestamp>,
}

impl Load {
    /// The maximum number of claims that one load may change.
    pub(super) const MOST: usize = 100_000;
}

/// The ids of the claims that a load changed.
#[derive(Debug, Default, serde::Serialize)]
pub(super) struct Loaded {
    added: Vec<String>,
    updated: Vec<String>,
    removed: Vec<String>,
    superseded: Vec<String>,
}

/// Records, and the changes that loads have made.
pub(super) struct MutableRecords {
    base: Box<dyn Records>,
    changed: RwLock<Changed>,
}

#[derive(Default)]
struct Changed {
    people: HashMap<usize, Claims>,
    /// How many claims each of them has ever had. This is the place of the next new one.
    ever: HashMap<usize, usize>,
    loaded: Option<Timestamp>,
    loads: usize,
}

/// The claims of an enrollee whose claims have changed.
#[derive(Default)]
struct Claims {
    /// In the order of v1 and v2.
    places: Vec<Place>,
    /// Which of them are superseded, in ascending order. v3 does not show these.
    hidden: Vec<usize>,
}

impl Claims {
    /// Must be called when places have changed.
    fn index(&mut self) {
        let hidden = self.places.iter().enumerate().filter(|(_, place)| place.is_superseded);
        self.hidden = hidden.map(|(at, _)| at).collect();
    }

    /// How many claims v3 shows.
    fn shown(&self) -> usize {
        self.places.len() - self.hidden.len()
    }

    /// The place of the `nth` claim that v3 shows. v3's order is the reverse.
    fn shown_at(&self, nth: usize) -> Option<usize> {
        let from_the_start = self.shown().checked_sub(nth + 1)?;
        // Before hidden place number i, there are `hidden[i] - i` shown places.
        let (mut low, mut high) = (0, self.hidden.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.hidden[middle] - middle <= from_the_start {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(from_the_start + low)
    }
}

/// The current state of a claim: which one it is, and whether it was loaded again.
#[derive(Clone, Copy)]
struct Place {
    position: usize,
    version: u32,
    loaded: Option<Timestamp>,
    is_superseded: bool,
}

impl Place {
    fn of(position: usize, loaded: Option<Timestamp>) -> Self {
        Self { position, version: 0, loaded, is_superseded: false }
    }
}

impl MutableRecords {
    pub(super) fn new(base: Box<dyn Records>) -> Self {
        Self { base, changed: RwLock::default() }
    }

    fn changed(&self) -> RwLockReadGuard<'_, Changed> {
        self.changed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The claim that is at this place now. Claims that the base shows in addition do not change.
    fn standing(&self, enrollee: usize, place: usize) -> Place {
        let changed = self.changed();
        let known = changed.people.get(&enrollee).and_then(|claims| claims.places.get(place)).copied();
        known.unwrap_or(Place::of(place, None))
    }

    /// How many more claims v3 has than the other versions.
    fn beyond(&self, enrollee: usize) -> usize {
        self.base.claims(Version::V3, enrollee) - self.base.finished(Version::V3, enrollee)
    }

    /// Applies a load at `now`.
    pub(super) fn load(&self, load: &Load, now: Timestamp) -> Result<Loaded, String> {
        if load.enrollee >= self.base.enrollees() {
            return Err(format!("there is no enrollee {}", load.enrollee));
        }
        let all = [load.add, load.update, load.remove, load.supersede].into_iter().try_fold(0, usize::checked_add);
        if all.is_none_or(|all| all > Load::MOST) {
            return Err(format!("a load has {} claims at most", Load::MOST));
        }
        let before = self.base.claims(Version::V2, load.enrollee);
        // Files may have different claims for each version; made-up claims are the same in all.
        let differ = |version| self.base.serves(version) && self.base.finished(version, load.enrollee) != before;
        if !self.base.serves(Version::V2) || differ(Version::V1) || differ(Version::V3) {
            return Err("a load needs the same claims in every version, or v2 alone".to_owned());
        }
        let at = load.at.unwrap_or_else(|| {
            let after = self.loaded().checked_add(1.millisecond()).unwrap_or(now);
            now.max(after)
        });
        let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
        let changed = &mut *self.changed.write().unwrap_or_else(PoisonError::into_inner);
        // A refused load must change nothing.
        let ever = changed.ever.get(&load.enrollee).copied().unwrap_or(before);
        let there = changed.people.get(&load.enrollee).map_or(before, |claims| claims.places.len());
        let come = load.add + load.supersede;
        if come > self.base.spare(load.enrollee, ever) {
            return Err("these records have no further claims".to_owned());
        }
        let leave = load.remove + load.supersede;
        if leave + load.update > there {
            return Err(format!("there are only {there} claims"));
        }
        let claims = changed.people.entry(load.enrollee).or_insert_with(|| Claims {
            places: (0..before).map(|position| Place::of(position, None)).collect(),
            hidden: Vec::new(),
        });
        let places = &mut claims.places;
        // A claim that this load changes is not also removed, and no claim is superseded twice.
        let free = places.iter().filter(|place| place.loaded != Some(at) && !place.is_superseded).count();
        if leave > 0 && leave > free.saturating_sub(load.update) {
            return Err(format!("only {free} claims have not changed at that instant"));
        }
        let id = |place: Place| self.base.claim_header(Version::V2, load.enrollee, place.position).id;
        let mut done = Loaded::default();
        // Spread evenly over the claims, and in different places the next time.
        let spot = |number: usize, of: usize, length: usize| (number * length / of.max(1) + changed.loads) % length;
        let mut touched = HashSet::new();
        for number in 0..load.update {
            let mut at_place = spot(number, load.update, places.len());
            while touched.contains(&at_place) {
                at_place = (at_place + 1) % places.len();
            }
            touched.insert(at_place);
            let place = &mut places[at_place];
            (place.version, place.loaded) = (place.version + 1, Some(at));
            done.updated.push(id(*place));
        }
        let mut there = FenwickTree::new(places.len());
        let mut is_gone = vec![false; places.len()];
        for number in 0..load.remove {
            let length = places.len() - number;
            let mut nth = spot(number, load.remove, length);
            // Do not use a claim that this load has changed.
            while places[there.nth(nth)].loaded == Some(at) {
                nth = (nth + 1) % length;
            }
            let at_place = there.nth(nth);
            there.take(at_place);
            is_gone[at_place] = true;
            done.removed.push(id(places[at_place]));
        }
        let mut is_gone = is_gone.into_iter();
        places.retain(|_| is_gone.next() != Some(true));
        for number in 0..load.supersede {
            let mut at_place = spot(number, load.supersede, places.len());
            while places[at_place].loaded == Some(at) || places[at_place].is_superseded {
                at_place = (at_place + 1) % places.len();
            }
            let place = &mut places[at_place];
            (place.loaded, place.is_superseded) = (Some(at), true);
            done.superseded.push(id(*place));
        }
        // Each claim gets a place among those that exist when it is added. Going backwards from the last one, the
        // final place of each is known.
        let length = places.len();
        let mut free = FenwickTree::new(length + come);
        let mut whole = vec![None; length + come];
        for number in (0..come).rev() {
            let slot = free.nth(spot(number, come, length + number + 1));
            free.take(slot);
            whole[slot] = Some(Place::of(ever + number, Some(at)));
        }
        done.added = (0..come).map(|number| id(Place::of(ever + number, Some(at)))).collect();
        changed.ever.insert(load.enrollee, ever + come);
        let mut old = std::mem::take(places).into_iter();
        *places = whole.into_iter().filter_map(|new| new.or_else(|| old.next())).collect();
        claims.index();
        changed.loads += 1;
        changed.loaded = changed.loaded.max(Some(at));
        Ok(done)
    }
}

/// The claim after it is loaded again, with another load date and another payment.
fn revised(text: &str, place: Place, loaded: Timestamp) -> String {
    let version = place.version;
    const UPDATED: &str = r#""lastUpdated":""#;
    const PAID: &str = r#""payment":{"amount":{"value":"#;
    let written = loaded.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string();
    let mut text = replaced(text, UPDATED, &['"'], &written);
    if place.is_superseded {
        text = replaced(&text, r#""status":""#, &['"'], "cancelled");
    }
    if version == 0 {
        return text;
    }
    replaced(&text, PAID, &[',', '}'], &format!("{version}.{:02}", version % 100))
}

/// Replaces the text between the first `start` and the next of these ends. An end after a backslash does not count.
fn replaced(text: &str, start: &str, ends: &[char], by: &str) -> String {
    let Some(from) = text.find(start).map(|at| at + start.len()) else { return text.to_owned() };
    let mut is_escaped = false;
    let is_end = |c: char| {
        let is_end = !is_escaped && ends.contains(&c);
        is_escaped = !is_escaped && c == '\\';
        is_end
    };
    let length = text[from..].find(is_end).unwrap_or(0);
    format!("{}{by}{}", &text[..from], &text[from + length..])
}

impl Records for MutableRecords {
    fn serves(&self, version: Version) -> bool {
        self.base.serves(version)
    }

    fn enrollees(&self) -> usize {
        self.base.enrollees()
    }

    fn enrollee(&self, index: usize) -> Enrollee {
        self.base.enrollee(index)
    }

    fn find_enrollee(&self, username: &str) -> Option<usize> {
        self.base.find_enrollee(username)
    }

    fn find_patient(&self, version: Version, patient: &str) -> Option<usize> {
        self.base.find_patient(version, patient)
    }

    fn claims(&self, version: Version, enrollee: usize) -> usize {
        let changed = self.changed();
        let Some(claims) = changed.people.get(&enrollee) else { return self.base.claims(version, enrollee) };
        match version {
            Version::V1 | Version::V2 => claims.places.len(),
            Version::V3 => claims.shown() + self.beyond(enrollee),
        }
    }

    fn finished(&self, version: Version, enrollee: usize) -> usize {
        let beyond = if version == Version::V3 { self.beyond(enrollee) } else { 0 };
        self.claims(version, enrollee) - beyond
    }

    fn place(&self, version: Version, enrollee: usize, nth: usize) -> usize {
        let changed = self.changed();
        let Some(claims) = changed.people.get(&enrollee) else { return self.base.place(version, enrollee, nth) };
        if version != Version::V3 {
            return nth;
        }
        claims.shown_at(nth).unwrap_or_else(|| {
            let own = self.base.claims(Version::V2, enrollee);
            self.base.place(version, enrollee, own + (nth - claims.shown()))
        })
    }

    fn spare(&self, enrollee: usize, from: usize) -> usize {
        self.base.spare(enrollee, from)
    }

    fn claim_header(&self, version: Version, enrollee: usize, place: usize) -> ClaimHeader {
        let place = self.standing(enrollee, place);
        let header = self.base.claim_header(version, enrollee, place.position);
        ClaimHeader { last_updated: place.loaded.unwrap_or(header.last_updated), ..header }
    }

    fn find_claim(&self, version: Version, enrollee: usize, id: &str) -> Option<usize> {
        let changed = self.changed();
        let Some(claims) = changed.people.get(&enrollee) else { return self.base.find_claim(version, enrollee, id) };
        // The base also finds claims that were added later, which it can make but does not count.
        let found = self.base.find_made(version, enrollee, id);
        if let Some(at) = found.and_then(|found| claims.places.iter().position(|place| place.position == found)) {
            let is_shown = version != Version::V3 || !claims.places[at].is_superseded;
            return is_shown.then_some(at);
        }
        let own = self.base.claims(Version::V2, enrollee);
        self.base.find_claim(version, enrollee, id).filter(|position| *position >= own)
    }

    fn find_made(&self, version: Version, enrollee: usize, id: &str) -> Option<usize> {
        self.base.find_made(version, enrollee, id)
    }

    fn owners(&self, version: Version, id: &str) -> Vec<usize> {
        self.base.owners(version, id)
    }

    fn write_claim(&self, version: Version, enrollee: usize, place: usize, created: Timestamp, out: &mut String) {
        let place = self.standing(enrollee, place);
        let Some(loaded) = place.loaded else {
            return self.base.write_claim(version, enrollee, place.position, created, out);
        };
        let mut text = String::new();
        self.base.write_claim(version, enrollee, place.position, created, &mut text);
        out.push_str(&revised(&text, place, loaded));
    }

    fn patient(&self, version: Version, enrollee: usize) -> String {
        self.base.patient(version, enrollee)
    }

    fn insurance_card(&self, enrollee: usize, call: u64) -> Option<String> {
        self.base.insurance_card(enrollee, call)
    }

    fn coverage(&self, version: Version, enrollee: usize) -> Vec<(String, String)> {
        self.base.coverage(version, enrollee)
    }

    fn loaded(&self) -> Timestamp {
        self.changed().loaded.unwrap_or(Timestamp::MIN).max(self.base.loaded())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::population::Population;

    fn ids(records: &MutableRecords) -> BTreeSet<String> {
        (0..records.claims(Version::V2, 0)).map(|place| records.claim_header(Version::V2, 0, place).id).collect()
    }

    #[test]
    fn claims_come_change_and_go() {
        let records = MutableRecords::new(Box::new(Population::new(1, 2, 100)));
        let (before, loaded) = (ids(&records), records.loaded());
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let done = records.load(&Load { add: 3, update: 2, remove: 4, ..Load::default() }, now).unwrap();
        assert_eq!((done.added.len(), done.updated.len(), done.removed.len()), (3, 2, 4));
        let after = ids(&records);
        assert_eq!(after.len(), 99);
        assert!(done.removed.iter().all(|id| before.contains(id) && !after.contains(id)));
        assert!(done.added.iter().all(|id| !before.contains(id) && after.contains(id)));
        assert!(records.loaded() > loaded && records.claims(Version::V2, 1) == 100);
        for id in done.added.iter().chain(&done.updated) {
            let position = records.find_claim(Version::V2, 0, id).unwrap();
            assert_eq!(records.claim_header(Version::V2, 0, position).last_updated, now);
            let mut text = String::new();
            records.write_claim(Version::V2, 0, position, now, &mut text);
            assert!(text.contains(r#""lastUpdated":"2027-01-01T00:00:00.000+00:00""#), "{id}");
            assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["id"] == id.as_str());
        }
        // Another load at the same moment counts as a later one.
        records.load(&Load { update: 1, ..Load::default() }, now).unwrap();
        assert!(records.loaded() > now);
    }

    /// v3's order by its definition: from the last place to the first, without superseded claims.
    #[test]
    fn v3_shows_the_same_after_many_loads_and_finds_it_again() {
        let records = MutableRecords::new(Box::new(Population::new(3, 1, 60)));
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let mut superseded = BTreeSet::new();
        for number in 0..12 {
            let load =
                Load { add: number % 3, update: 2, remove: number % 2, supersede: number % 4, ..Load::default() };
            superseded.extend(records.load(&load, now).unwrap().superseded);
        }
        let id = |version, place| records.claim_header(version, 0, place).id;
        let old: Vec<usize> = (0..records.claims(Version::V2, 0)).collect();
        let shown: Vec<usize> =
            old.into_iter().rev().filter(|at| !superseded.contains(&id(Version::V2, *at))).collect();
        let finished: Vec<usize> =
            (0..records.finished(Version::V3, 0)).map(|nth| records.place(Version::V3, 0, nth)).collect();
        assert!(superseded.len() > 10 && finished == shown, "{finished:?} {shown:?}");
        for nth in 0..records.claims(Version::V3, 0) {
            let place = records.place(Version::V3, 0, nth);
            assert_eq!(records.find_claim(Version::V3, 0, &id(Version::V3, place)), Some(place), "{nth}");
        }
        for place in 0..records.claims(Version::V2, 0) {
            assert_eq!(records.find_claim(Version::V2, 0, &id(Version::V2, place)), Some(place));
            if superseded.contains(&id(Version::V2, place)) {
                assert_eq!(records.find_claim(Version::V3, 0, &id(Version::V3, place)), None, "superseded");
            }
        }
    }

    #[test]
    fn a_revised_text_stays_json_whatever_stood_there() {
        let text = r#"{"status":"a\"b\\","meta":{"lastUpdated":"x\",y"},"payment":{"amount":{"value":3}}}"#;
        let place = Place { version: 3, is_superseded: true, ..Place::of(0, None) };
        let revised = revised(text, place, Timestamp::UNIX_EPOCH);
        let value: serde_json::Value =
            serde_json::from_str(&revised).unwrap_or_else(|cause| panic!("{cause} {revised}"));
        assert_eq!((&value["status"], &value["payment"]["amount"]["value"]), (&"cancelled".into(), &3.03.into()));
    }

    /// The places of claims by their definition: one claim after another.
    #[test]
    fn claims_come_and_go_as_if_one_after_another() {
        let records = MutableRecords::new(Box::new(Population::new(1, 1, 60)));
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let mut expected: Vec<usize> = (0..60).collect();
        let mut ever = 60;
        for (loads, (add, remove)) in [(140, 0), (0, 4), (3, 5), (1, 1), (70, 90), (2, 0)].into_iter().enumerate() {
            records.load(&Load { add, remove, ..Load::default() }, now).unwrap();
            for number in 0..remove {
                let length = expected.len();
                expected.remove((number * length / remove + loads) % length);
            }
            for number in 0..add {
                let length = expected.len() + 1;
                expected.insert((number * length / add + loads) % length, ever);
                ever += 1;
            }
            let positions: Vec<usize> =
                records.changed().people[&0].places.iter().map(|place| place.position).collect();
            assert_eq!(positions, expected, "{loads}");
        }
    }

    /// This would take hundreds of seconds if each claim made room for itself.
    #[test]
    fn a_large_load_is_one_step() {
        let records = MutableRecords::new(Box::new(Population::new(1, 1, 600_000)));
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let started = std::time::Instant::now();
        let third = Load::MOST / 3;
        let load = Load { add: third, remove: third, update: third, ..Load::default() };
        let done = records.load(&load, now).unwrap();
        records.load(&Load { add: Load::MOST, ..Load::default() }, now).unwrap();
        assert_eq!(records.claims(Version::V2, 0), 600_000 + Load::MOST);
        let removed: BTreeSet<_> = done.removed.iter().collect();
        assert_eq!((removed.len(), removed.contains(&done.updated[0])), (third, false));
        assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
        let shown = &records.changed().people[&0];
        let positions: BTreeSet<usize> = shown.places.iter().map(|place| place.position).collect();
        assert_eq!(positions.len(), shown.places.len(), "each once");
        let new = shown.places[..10_000].iter().filter(|place| place.position >= 600_000).count();
        assert!((1_000..4_000).contains(&new), "spread over what is there: {new}");
    }

    #[test]
    fn impossible_loads_are_refused() {
        let records = MutableRecords::new(Box::new(Population::new(1, 1, 3)));
        for load in [
            Load { enrollee: 1, ..Load::default() },
            Load { update: 4, ..Load::default() },
            Load { update: 2, remove: 2, ..Load::default() },
            Load { add: Load::MOST + 1, ..Load::default() },
            Load { add: Load::MOST, supersede: 1, ..Load::default() },
            Load { add: usize::MAX, update: usize::MAX, ..Load::default() },
        ] {
            assert!(records.load(&load, Timestamp::UNIX_EPOCH).is_err(), "{load:?}");
        }
        assert!(records.changed().people.is_empty(), "nothing is kept of people to whom nothing happened");
    }
}
