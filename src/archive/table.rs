//! Rows found by the key they begin with: eight bytes a row in memory, and the rows themselves on the disk.

use std::{
    hash::{BuildHasher, RandomState},
    path::PathBuf,
};

use super::{index::IdKey, rows::Rows};
use crate::error::{Error, Exit, Result};

/// Rows of `SIZE` bytes that begin with a key, each key once.
///
/// In memory there are 32 bits of a hash of each key, with the number of its row. Keys whose hashes are alike are
/// told apart by their rows. The hash is seeded, so that no choice of ids makes many alike.
pub(super) struct Table<const SIZE: usize, S = RandomState> {
    seed: S,
    places: Numbers,
    rows: Rows<SIZE>,
}

impl<const SIZE: usize> Table<SIZE> {
    /// A table all in memory.
    pub(super) fn in_memory() -> Self {
        Self::new(Rows::in_memory(), RandomState::new())
    }

    /// A table whose rows are on the disk that `dir` is on.
    pub(super) fn on_disk(dir: impl Into<PathBuf>) -> Self {
        Self::new(Rows::on_disk(dir), RandomState::new())
    }
}

impl<const SIZE: usize, S: BuildHasher> Table<SIZE, S> {
    fn new(rows: Rows<SIZE>, seed: S) -> Self {
        Self { seed, places: Numbers::default(), rows }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// All rows, in the order in which they came, with those that were replaced.
    pub(super) fn rows(&self) -> &Rows<SIZE> {
        &self.rows
    }

    /// The row of this key, and its number.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub(super) fn find(&self, key: &IdKey) -> Result<Option<(usize, [u8; SIZE])>> {
        let hash = self.hash(key);
        for place in self.places.between(hash, hash | u64::from(u32::MAX)) {
            let number = (place - hash) as usize;
            let row = self.rows.get(number)?;
            if row.starts_with(key) {
                return Ok(Some((number, row)));
            }
        }
        Ok(None)
    }

    /// Adds a row whose key is not here, or takes it in place of the row of its key, whose number is `replaced`.
    ///
    /// # Errors
    /// [`Exit::Disk`]; [`Exit::Data`] for more rows than have a number.
    pub(super) fn put(&mut self, key: &IdKey, row: &[u8; SIZE], replaced: Option<usize>) -> Result<()> {
        let number = u32::try_from(self.rows.len()).map_err(|_| too_many())?;
        self.rows.push(row)?;
        let hash = self.hash(key);
        if let Some(replaced) = replaced {
            self.places.remove(hash | replaced as u64);
        }
        self.places.insert(hash | u64::from(number));
        Ok(())
    }

    /// A hash in the upper half.
    fn hash(&self, key: &IdKey) -> u64 {
        self.seed.hash_one(key) & !u64::from(u32::MAX)
    }
}

fn too_many() -> Error {
    Error::new(Exit::Data, "too_many", "the server sent more than four thousand million resources of one type")
        .hint("Nothing was replaced. Ask for less at once, by --type or by --last-updated.")
}

/// A set of numbers that are spread evenly, in hardly more room than they take: in order, in a row of short lists.
/// No list is long enough for its growing to matter, and there is no moment at which all of them are there twice.
#[derive(Default)]
pub(super) struct Numbers {
    /// The numbers below 1/n, below 2/n, … of all there can be.
    lists: Vec<Vec<u64>>,
    count: usize,
}

/// How long a list is on average before there are twice as many lists.
const LONG: usize = 512;

impl Numbers {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a number; says whether it is new.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        if self.count >= self.lists.len() * LONG {
            self.make_room();
        }
        let at = list_of(number, self.lists.len());
        let list = &mut self.lists[at];
        let Err(at) = list.binary_search(&number) else { return false };
        if list.len() == list.capacity() {
            list.reserve_exact(list.len() / 8 + 4);
        }
        list.insert(at, number);
        self.count += 1;
        true
    }

    fn remove(&mut self, number: u64) {
        if self.count == 0 {
            return;
        }
        let at = list_of(number, self.lists.len());
        let list = &mut self.lists[at];
        if let Ok(at) = list.binary_search(&number) {
            list.remove(at);
            self.count -= 1;
        }
    }

    /// The numbers from `first` to `last`, which are so close to each other that they are in one list.
    fn between(&self, first: u64, last: u64) -> impl Iterator<Item = u64> {
        let list = if self.count == 0 { &[] } else { &self.lists[list_of(first, self.lists.len())][..] };
        let at = list.partition_point(|number| *number < first);
        list[at..].iter().copied().take_while(move |number| *number <= last)
    }

    fn make_room(&mut self) {
        let lists = std::mem::take(&mut self.lists);
        let twice = (lists.len() * 2).max(1);
        self.lists.reserve_exact(twice);
        for (at, mut low) in lists.into_iter().enumerate() {
            let high = low.split_off(low.partition_point(|number| list_of(*number, twice) == 2 * at));
            low.shrink_to_fit();
            self.lists.extend([low, high]);
        }
        self.lists.resize_with(twice, Vec::new);
    }
}

/// Which of `lists` lists a number belongs into.
fn list_of(number: u64, lists: usize) -> usize {
    ((u128::from(number) * lists as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeSet, HashMap},
        hash::{BuildHasherDefault, Hasher},
    };

    use super::*;
    use crate::archive::index::key;

    /// Hashes of which hardly any two are different.
    #[derive(Default)]
    struct Weak(u64);

    impl Hasher for Weak {
        fn finish(&self) -> u64 {
            self.0 << 62
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0 += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
    }

    /// As a map does it, with every third key replaced once.
    fn behaves<S: BuildHasher>(mut table: Table<24, S>, number: u64) {
        let mut map = HashMap::new();
        let row = |key: &IdKey, value: u64| [&key[..], &value.to_le_bytes()].concat().try_into().unwrap();
        for value in 0..number {
            let key = key(&(value % (number * 3 / 4)).to_string());
            let found = table.find(&key).unwrap();
            assert_eq!(found.map(|(_, row)| row), map.get(&key).copied(), "{value}");
            let row: [u8; 24] = row(&key, value);
            table.put(&key, &row, found.map(|(number, _)| number)).unwrap();
            map.insert(key, row);
        }
        assert_eq!((table.len(), table.rows().len() as u64), (map.len(), number));
        for (key, row) in map {
            assert_eq!(table.find(&key).unwrap().map(|(_, row)| row), Some(row));
        }
        assert!(table.find(&key("nobody's")).unwrap().is_none());
    }

    #[test]
    fn keys_are_found_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        behaves(Table::in_memory(), 20_000);
        behaves(Table::on_disk(dir.path()), 20_000);
    }

    #[test]
    fn keys_whose_hashes_are_alike_are_different_keys() {
        let dir = tempfile::tempdir().unwrap();
        behaves(Table::new(Rows::on_disk(dir.path()), BuildHasherDefault::<Weak>::default()), 600);
    }

    #[test]
    fn numbers_are_a_set_in_little_more_room_than_they_take() {
        let (mut numbers, mut set) = (Numbers::default(), BTreeSet::new());
        // Spread evenly (a full period of Knuth's generator), each twice.
        let mut number = 1_u64;
        for _ in 0..50_000 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            assert_eq!(numbers.insert(number), set.insert(number));
            assert!(!numbers.insert(number));
        }
        assert!(numbers.insert(0) && numbers.insert(u64::MAX));
        numbers.remove(0);
        numbers.remove(17);
        set.insert(u64::MAX);
        assert_eq!(numbers.lists.concat(), set.iter().copied().collect::<Vec<_>>());
        assert_eq!(numbers.len(), set.len());
        let room: usize = numbers.lists.iter().map(|list| list.capacity() * 8 + size_of::<Vec<u64>>()).sum();
        assert!(room < 9 * set.len() + 1000, "{room} bytes for {}", set.len());
    }
}
