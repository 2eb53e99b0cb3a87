//! A record that is larger than what one item of a keyring holds.
//!
//! The Windows Credential Manager takes 2,560 bytes an item (`CRED_MAX_CREDENTIAL_BLOB_SIZE`). A record
//! that fits is kept as it is in the item named after the profile. A larger one is cut into parts under
//! names of their own, and the profile's item becomes a head that says which parts make the record. The
//! head is written last and the parts of before are deleted after it, so that a crash at any point
//! leaves the old or the new record whole.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::StoreError;

/// A keyring, seen as named items of limited size.
pub trait Items {
    /// The item's bytes, if there is such an item.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;
    /// Writes an item in place of the one before.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;
    /// Deletes an item; says whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove(&self, name: &str) -> Result<bool, StoreError>;
    /// The most bytes an item holds.
    fn limit(&self) -> usize;
}

/// Which parts make a record: `bbdl-parts:<generation>:<count>:<sha256 of the record>`.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    generation: u64,
    count: usize,
    sha256: String,
}

const MARK: &str = "bbdl-parts";

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut fields = text.split(':');
        (fields.next()? == MARK).then_some(())?;
        let head = Self {
            generation: fields.next()?.parse().ok()?,
            count: fields.next()?.parse().ok()?,
            sha256: fields.next()?.to_owned(),
        };
        fields.next().is_none().then_some(head)
    }

    fn text(&self) -> String {
        format!("{MARK}:{}:{}:{}", self.generation, self.count, self.sha256)
    }

    fn part(&self, name: &str, number: usize) -> String {
        format!("{name}#{}.{number}", self.generation)
    }

    fn remove_parts(&self, items: &impl Items, name: &str) -> Result<(), StoreError> {
        (0..self.count).try_for_each(|number| items.remove(&self.part(name, number)).map(|_| ()))
    }
}

fn digest(record: &[u8]) -> String {
    Sha256::digest(record).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a record, put together from its parts where there are any.
///
/// # Errors
/// [`StoreError::Damaged`] when parts are missing or do not fit.
pub fn load(items: &impl Items, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let Some(first) = items.get(name)? else { return Ok(None) };
    let Some(head) = Head::read(&first) else { return Ok(Some(first)) };
    let mut record = Zeroizing::new(Vec::new());
    for number in 0..head.count {
        let part = items.get(&head.part(name, number))?.ok_or(StoreError::Damaged { what: "a part is missing" })?;
        record.extend_from_slice(&part);
    }
    if digest(&record) == head.sha256 {
        Ok(Some(record))
    } else {
        Err(StoreError::Damaged { what: "its parts do not belong together" })
    }
}

/// Keeps a record, in parts where it is too large for one item.
///
/// # Errors
/// [`StoreError`]; the record of before is whole then.
pub fn save(items: &impl Items, name: &str, record: &[u8]) -> Result<(), StoreError> {
    let before = items.get(name)?.and_then(|bytes| Head::read(&bytes));
    if record.len() <= items.limit() {
        items.set(name, record)?;
    } else {
        let generation = before.as_ref().map_or(1, |head| head.generation.wrapping_add(1));
        let count = record.len().div_ceil(items.limit());
        let head = Head { generation, count, sha256: digest(record) };
        for (number, part) in record.chunks(items.limit()).enumerate() {
            items.set(&head.part(name, number), part)?;
        }
        items.set(name, head.text().as_bytes())?;
    }
    before.map_or(Ok(()), |head| head.remove_parts(items, name))
}

/// Forgets a record and its parts; says whether there was one.
///
/// # Errors
/// [`StoreError`].
pub fn remove(items: &impl Items, name: &str) -> Result<bool, StoreError> {
    let before = items.get(name)?.and_then(|bytes| Head::read(&bytes));
    let existed = items.remove(name)?;
    before.map_or(Ok(()), |head| head.remove_parts(items, name))?;
    Ok(existed)
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeMap};

    use proptest::prelude::*;

    use super::*;

    /// Items in memory that fail after a number of writes.
    #[derive(Default)]
    struct Map {
        items: RefCell<BTreeMap<String, Vec<u8>>>,
        writes_left: RefCell<Option<usize>>,
    }

    impl Map {
        fn write(&self) -> Result<(), StoreError> {
            match &mut *self.writes_left.borrow_mut() {
                Some(0) => Err(StoreError::Failed { cause: "power".into() }),
                Some(left) => {
                    *left -= 1;
                    Ok(())
                }
                None => Ok(()),
            }
        }
    }

    const LIMIT: usize = 100;

    impl Items for Map {
        fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
            Ok(self.items.borrow().get(name).cloned().map(Zeroizing::new))
        }
        fn set(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
            assert!(bytes.len() <= LIMIT);
            self.write()?;
            self.items.borrow_mut().insert(name.into(), bytes.into());
            Ok(())
        }
        fn remove(&self, name: &str) -> Result<bool, StoreError> {
            self.write()?;
            Ok(self.items.borrow_mut().remove(name).is_some())
        }
        fn limit(&self) -> usize {
            LIMIT
        }
    }

    fn loaded(map: &Map) -> Option<Vec<u8>> {
        load(map, "p").unwrap().map(|record| record.to_vec())
    }

    proptest! {
        #[test]
        fn a_crash_at_any_write_leaves_the_old_or_the_new_record(
            old in prop::collection::vec(any::<u8>(), 1..450), new in prop::collection::vec(any::<u8>(), 1..450), crash in 0usize..12,
        ) {
            let map = Map::default();
            save(&map, "p", &old).unwrap();
            *map.writes_left.borrow_mut() = Some(crash);
            let saved = save(&map, "p", &new);
            let found = loaded(&map).unwrap();
            prop_assert!(found == old || found == new);
            prop_assert!(saved.is_err() || found == new);
            *map.writes_left.borrow_mut() = None;
            save(&map, "p", &new).unwrap();
            prop_assert_eq!(loaded(&map).unwrap(), new);
            prop_assert!(remove(&map, "p").unwrap());
            prop_assert!(loaded(&map).is_none());
        }
    }

    #[test]
    fn small_records_are_one_item_and_nothing_is_left_of_large_ones() {
        let map = Map::default();
        save(&map, "p", &[7; 350]).unwrap();
        assert_eq!(map.items.borrow().len(), 5);
        save(&map, "p", &[8; 250]).unwrap();
        assert_eq!(map.items.borrow().len(), 4);
        save(&map, "p", b"small").unwrap();
        assert_eq!(map.items.borrow().len(), 1);
        assert!(remove(&map, "p").unwrap() && map.items.borrow().is_empty());
    }

    #[test]
    fn a_missing_or_foreign_part_is_noticed() {
        let map = Map::default();
        save(&map, "p", &[7; 350]).unwrap();
        map.items.borrow_mut().insert("p#1.1".into(), vec![0; 100]);
        assert!(matches!(load(&map, "p"), Err(StoreError::Damaged { .. })));
        map.items.borrow_mut().remove("p#1.1");
        assert!(matches!(load(&map, "p"), Err(StoreError::Damaged { .. })));
    }
}
