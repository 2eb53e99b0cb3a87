//! A map that removes its oldest entries when they expire or there are too many, so that a mock can run for days.

use std::collections::{BTreeMap, HashMap};

/// This many entries are kept even if they have expired, because the mock's clock can be turned back.
const FEW: usize = 1_000;
/// The maximum number of entries.
const MOST: usize = 10_000;
/// The maximum size of texts from outside, in bytes.
const HEAVIEST: usize = 16 << 20;

/// Values by name, which also remembers the order in which they were added.
#[derive(Debug)]
pub(super) struct ExpiringMap<V> {
    things: HashMap<String, Thing<V>>,
    order: BTreeMap<u64, String>,
    /// The number of the next entry.
    next: u64,
    weight: usize,
}

#[derive(Debug)]
struct Thing<V> {
    number: u64,
    weight: usize,
    value: V,
}

impl<V> Default for ExpiringMap<V> {
    fn default() -> Self {
        Self { things: HashMap::new(), order: BTreeMap::new(), next: 0, weight: 0 }
    }
}

impl<V> ExpiringMap<V> {
    /// Adds a value with `weight` bytes of text from outside. Then removes the oldest: expired ones (`over`) while
    /// there are more than a thousand, and any while there are more than ten thousand or 16 MB.
    pub(super) fn put(&mut self, name: String, value: V, weight: usize, over: impl Fn(&V) -> bool) {
        self.take(&name);
        self.weight += weight;
        self.order.insert(self.next, name.clone());
        self.things.insert(name, Thing { number: self.next, weight, value });
        self.next += 1;
        while let Some(oldest) = self.order.first_key_value().and_then(|(_, name)| self.things.get(name)) {
            let is_too_much = self.things.len() > MOST || (self.weight > HEAVIEST && self.things.len() > 1);
            if !is_too_much && (self.things.len() <= FEW || !over(&oldest.value)) {
                break;
            }
            let Some((_, name)) = self.order.pop_first() else { break };
            self.weight -= self.things.remove(&name).map_or(0, |thing| thing.weight);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.things.get(name).map(|thing| &thing.value)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.things.get_mut(name).map(|thing| &mut thing.value)
    }

    /// The name of an entry whose value matches.
    pub(super) fn find(&self, is_it: impl Fn(&V) -> bool) -> Option<&str> {
        self.things.iter().find(|(_, thing)| is_it(&thing.value)).map(|(name, _)| name.as_str())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<V> {
        let thing = self.things.remove(name)?;
        self.order.remove(&thing.number);
        self.weight -= thing.weight;
        Some(thing.value)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.things.len(), self.order.len());
        self.things.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_they_are_over_or_too_many() {
        let mut kept = ExpiringMap::default();
        for number in 0..FEW + 10 {
            kept.put(number.to_string(), number, 0, |number| *number < 5);
        }
        assert_eq!(kept.len(), FEW + 5, "those that are over and no others");
        assert!(kept.get("4").is_none() && kept.get("5") == Some(&5));
        assert_eq!(kept.take("6"), Some(6));
        for number in FEW + 10..MOST + 50 {
            kept.put(number.to_string(), number, 0, |_| false);
        }
        assert_eq!(kept.len(), MOST);
        assert!(kept.get(&(MOST + 49).to_string()).is_some() && kept.get("49").is_none());
    }

    #[test]
    fn what_is_long_is_not_kept_in_numbers() {
        let mut kept = ExpiringMap::default();
        for number in 0..10 {
            kept.put(number.to_string(), number, HEAVIEST / 4, |_| false);
        }
        assert_eq!(kept.len(), 4);
        kept.put("large".into(), 0, HEAVIEST * 2, |_| false);
        assert_eq!(kept.len(), 1, "the last is there in any case");
        assert!(kept.take("large").is_some() && kept.weight == 0);
    }
}
