//! Rows found by the key they begin with, on the disk where there are many.

use std::{
    hash::{BuildHasher, RandomState},
    path::PathBuf,
};

use super::{key::IdKey, numbers::Numbers, rows::Rows};
use crate::error::{Error, ErrorKind, Result};

/// Rows of `SIZE` bytes that begin with a key, each key once.
///
/// They are found by 32 bits of a hash of each key, with the number of its row. Keys whose hashes are alike are
/// told apart by their rows. The hash is seeded, so that no choice of ids makes many alike.
pub(super) struct Table<const SIZE: usize, S = RandomState> {
    seed: S,
    places: Numbers,
    rows: Rows<SIZE>,
}

impl<const SIZE: usize> Table<SIZE> {
    /// A table all in memory.
    pub(super) fn in_memory() -> Self {
        Self::new(Numbers::in_memory(), Rows::in_memory(), RandomState::new())
    }

    /// A table whose rows are on the disk that `dir` is on.
    pub(super) fn on_disk(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self::new(Numbers::on_disk(&dir), Rows::on_disk(dir), RandomState::new())
    }
}

impl<const SIZE: usize, S: BuildHasher> Table<SIZE, S> {
    fn new(places: Numbers, rows: Rows<SIZE>, seed: S) -> Self {
        Self { seed, places, rows }
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
    /// [`crate::error::Exit::Disk`].
    pub(super) fn find(&self, key: &IdKey) -> Result<Option<(usize, [u8; SIZE])>> {
        let hash = self.hash(key);
        for place in self.places.between(hash, hash | u64::from(u32::MAX))? {
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
    /// [`crate::error::Exit::Disk`]; [`crate::error::Exit::Data`] for more rows than have a number.
    pub(super) fn put(&mut self, key: &IdKey, row: &[u8; SIZE], replaced: Option<usize>) -> Result<()> {
        let number = u32::try_from(self.rows.len()).map_err(|_| too_many())?;
        self.rows.push(row)?;
        let hash = self.hash(key);
        if let Some(replaced) = replaced {
            self.places.remove(hash | replaced as u64)?;
        }
        self.places.add(hash | u64::from(number))
    }

    /// A hash in the upper half.
    fn hash(&self, key: &IdKey) -> u64 {
        self.seed.hash_one(key) & !u64::from(u32::MAX)
    }
}

fn too_many() -> Error {
    Error::new(ErrorKind::TooMany, "the server sent more than four thousand million resources of one type")
        .hint("Nothing was replaced. Ask for less at once, by --type or by --last-updated.")
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        hash::{BuildHasherDefault, Hasher},
    };

    use super::*;
    use crate::archive::key::key;

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
        let (places, rows) = (Numbers::on_disk(dir.path()), Rows::on_disk(dir.path()));
        behaves(Table::new(places, rows, BuildHasherDefault::<Weak>::default()), 600);
    }
}
