//! Splits one record over several keyring items, if one item is too small for it.
//!
//! An item of Windows' Credential Manager holds 2,560 bytes (`CRED_MAX_CREDENTIAL_BLOB_SIZE`), but a client secret
//! with two tokens can be longer. The head item `PROFILE` says where the record is:
//!
//! ```text
//! bbdl1 SLOT COUNT LENGTH SHA256\n   and, when COUNT is 0, the record itself
//! ```
//!
//! Otherwise the record is in the items `PROFILE#SLOT.0` … `PROFILE#SLOT.(COUNT-1)`. A new record goes to
//! the slot (0 or 1) that the head does not name. The head is replaced last, in one step, and then the old slot is
//! emptied. So whenever the process dies, the head names a complete record.
//! Slots are filled from 0 upwards and emptied downwards. So what a crash left in a slot starts at 0, and the next
//! `save` or `delete` finds and removes it.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::StoreError;
use crate::secret::Secret;

/// Named items of bytes, as in a keyring. Each is replaced at once or not at all.
pub(super) trait Items {
    /// The item's bytes; `None` if there is no such item.
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;
    /// Creates or replaces the item.
    fn set(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;
    /// Removes the item. Returns whether there was one.
    fn remove(&self, name: &str) -> Result<bool, StoreError>;
}

/// A record with more parts than this is not ours.
const MOST_PARTS: usize = 64;

/// Loads the record of `profile`.
///
/// Readers hold no lock, and another process may empty the slot that we have just read from the head. So if a record
/// looks damaged and the head has changed, it is read again.
pub(super) fn load(items: &impl Items, profile: &str) -> Result<Option<Secret>, StoreError> {
    /// No one saves this often. Only a keyring with random answers gets here.
    const MOST_LOOKS: usize = 5;
    let mut looks = 0;
    let mut head = items.get(profile)?;
    while let Some(item) = head {
        let record = assembled(items, profile, &item);
        if !matches!(record, Err(StoreError::Damaged { .. })) {
            return record.map(Some);
        }
        looks += 1;
        head = items.get(profile)?;
        if looks == MOST_LOOKS || head.as_deref() == Some(&*item) {
            return record.map(Some);
        }
    }
    Ok(None)
}

/// The record that a head item names.
fn assembled(items: &impl Items, profile: &str, item: &[u8]) -> Result<Secret, StoreError> {
    let (head, inline) = Head::read(item).ok_or_else(|| damaged("the keyring item is not one of bbdl's"))?;
    let mut record = Zeroizing::new(Vec::with_capacity(head.length));
    record.extend_from_slice(inline);
    for number in 0..head.count {
        let part = items.get(&part_name(profile, head.slot, number))?;
        record.extend_from_slice(&part.ok_or_else(|| damaged("a part of it is missing in the keyring"))?);
    }
    if record.len() != head.length || checksum(&record) != head.checksum {
        return Err(damaged("its parts in the keyring do not belong together"));
    }
    match std::str::from_utf8(&record) {
        Ok(text) => Ok(Secret::new(text.to_owned())),
        Err(_) => Err(damaged("the keyring item is not text")),
    }
}

/// Replaces the record of `profile`. `limit` is how many bytes one item holds; `None` means no limit.
pub(super) fn save(items: &impl Items, profile: &str, record: &Secret, limit: Option<usize>) -> Result<(), StoreError> {
    let record = record.expose().as_bytes();
    let mut head = Head { slot: 0, count: 0, length: record.len(), checksum: checksum(record) };
    let whole = Zeroizing::new([head.line().as_bytes(), record].concat());
    let Some(limit) = limit else { return items.set(profile, &whole) };

    let slot_in_use = match items.get(profile) {
        Ok(item) => item.and_then(|item| Head::read(&item).map(|(head, _)| head.slot)).unwrap_or(1),
        // A record that cannot be read is about to be replaced.
        Err(StoreError::Damaged { .. }) => 1,
        Err(error) => return Err(error),
    };
    head.slot = 1 - slot_in_use;
    if whole.len() <= limit {
        let whole = Zeroizing::new([head.line().as_bytes(), record].concat());
        empty(items, profile, head.slot, 0)?;
        items.set(profile, &whole)?;
    } else {
        head.count = record.len().div_ceil(limit);
        if head.count > MOST_PARTS || head.line().len() > limit {
            return Err(StoreError::TooLarge);
        }
        for (number, part) in record.chunks(limit).enumerate() {
            items.set(&part_name(profile, head.slot, number), part)?;
        }
        empty(items, profile, head.slot, head.count)?;
        items.set(profile, head.line().as_bytes())?;
    }
    // The new record is kept even if the old parts cannot be removed. The next save removes them too.
    let _ = empty(items, profile, slot_in_use, 0);
    Ok(())
}

/// Removes the record of `profile` and everything that a crash may have left of it.
pub(super) fn delete(items: &impl Items, profile: &str, limit: Option<usize>) -> Result<bool, StoreError> {
    // The head first: a head without parts would be a damaged record, but parts without a head are nothing.
    let was_there = items.remove(profile)?;
    if limit.is_some() {
        empty(items, profile, 0, 0)?;
        empty(items, profile, 1, 0)?;
    }
    Ok(was_there)
}

/// Removes the parts of a slot from number `from` on, the last one first.
fn empty(items: &impl Items, profile: &str, slot: u8, from: usize) -> Result<(), StoreError> {
    let mut end = from;
    while items.get(&part_name(profile, slot, end))?.is_some() {
        end += 1;
    }
    for number in (from..end).rev() {
        items.remove(&part_name(profile, slot, number))?;
    }
    Ok(())
}

fn part_name(profile: &str, slot: u8, number: usize) -> String {
    format!("{profile}#{slot}.{number}")
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged { what: what.to_owned() }
}

fn checksum(record: &[u8]) -> String {
    hex::encode(Sha256::digest(record))
}

/// The first line of the head item.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    slot: u8,
    count: usize,
    length: usize,
    checksum: String,
}

impl Head {
    const MARK: &str = "bbdl1";

    fn line(&self) -> String {
        format!("{} {} {} {} {}\n", Self::MARK, self.slot, self.count, self.length, self.checksum)
    }

    /// The head and what follows it; `None` if the head is not ours.
    fn read(item: &[u8]) -> Option<(Self, &[u8])> {
        let end = item.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (std::str::from_utf8(&item[..end]).ok()?, &item[end + 1..]);
        let mut words = line.split(' ');
        if words.next()? != Self::MARK {
            return None;
        }
        let head = Self {
            slot: words.next()?.parse().ok().filter(|slot| *slot < 2)?,
            count: words.next()?.parse().ok().filter(|count| *count <= MOST_PARTS)?,
            length: words.next()?.parse().ok().filter(|length| *length <= 1 << 20)?,
            checksum: words.next()?.to_owned(),
        };
        words.next().is_none().then_some((head, rest))
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeMap};

    use proptest::prelude::*;

    use super::*;

    /// A keyring in memory that fails after a number of changes.
    #[derive(Default)]
    struct Memory {
        items: RefCell<BTreeMap<String, Vec<u8>>>,
        changes_left: RefCell<Option<usize>>,
        /// What another process saves right after we read the head the next time.
        saved_meanwhile: RefCell<Vec<String>>,
        limit: Option<usize>,
    }

    impl Memory {
        fn dies_after(&self, changes: Option<usize>) {
            *self.changes_left.borrow_mut() = changes;
        }

        fn change(&self) -> Result<(), StoreError> {
            match &mut *self.changes_left.borrow_mut() {
                Some(0) => Err(StoreError::Unavailable { cause: "died".into() }),
                Some(left) => {
                    *left -= 1;
                    Ok(())
                }
                None => Ok(()),
            }
        }

        fn names(&self) -> Vec<String> {
            self.items.borrow().keys().cloned().collect()
        }

        fn loaded(&self) -> Option<String> {
            load(self, "mom").unwrap().map(|record| record.expose().to_owned())
        }

        fn save(&self, text: &str) -> Result<(), StoreError> {
            save(self, "mom", &Secret::new(text.to_owned()), self.limit)
        }
    }

    impl Items for Memory {
        fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
            let found = self.items.borrow().get(name).cloned().map(Zeroizing::new);
            let saved = (name == "mom").then(|| self.saved_meanwhile.borrow_mut().pop()).flatten();
            if let Some(text) = saved {
                // `save` also reads the head. That read must not take the next entry.
                let later = self.saved_meanwhile.take();
                self.save(&text)?;
                *self.saved_meanwhile.borrow_mut() = later;
            }
            Ok(found)
        }

        fn set(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
            assert!(self.limit.is_none_or(|limit| bytes.len() <= limit), "{} bytes in one item", bytes.len());
            self.change()?;
            self.items.borrow_mut().insert(name.to_owned(), bytes.to_vec());
            Ok(())
        }

        fn remove(&self, name: &str) -> Result<bool, StoreError> {
            self.change()?;
            Ok(self.items.borrow_mut().remove(name).is_some())
        }
    }

    fn memory(limit: usize) -> Memory {
        Memory { limit: Some(limit), ..Memory::default() }
    }

    #[test]
    fn a_record_is_one_item_where_items_hold_enough() {
        let keyring = Memory::default();
        keyring.save(&"x".repeat(10_000)).unwrap();
        assert_eq!(keyring.names(), ["mom"]);
        assert_eq!(keyring.loaded().unwrap().len(), 10_000);
    }

    #[test]
    fn a_record_is_split_for_small_items_without_touching_other_profiles() {
        let keyring = memory(2560);
        keyring.save(&"x".repeat(6000)).unwrap();
        assert_eq!(keyring.names(), ["mom", "mom#0.0", "mom#0.1", "mom#0.2"]);
        assert!(load(&keyring, "dad").unwrap().is_none());
        keyring.save("short").unwrap();
        assert_eq!(keyring.names(), ["mom"]);
        assert_eq!(keyring.loaded().as_deref(), Some("short"));
    }

    #[test]
    fn a_save_killed_at_any_point_leaves_the_old_or_the_new_record() {
        let lengths = [0, 50, 119, 120, 121, 241, 700];
        for (old, new) in lengths.iter().flat_map(|old| lengths.map(|new| ("o".repeat(*old), "n".repeat(new)))) {
            for changes in 0..40 {
                let keyring = memory(120);
                keyring.save(&old).unwrap();
                keyring.dies_after(Some(changes));
                let saved = keyring.save(&new);
                let found = keyring.loaded().unwrap();
                assert!(found == new || (found == old && saved.is_err()), "dead after {changes} changes");
                keyring.dies_after(None);
                keyring.save("next").unwrap();
                assert_eq!(keyring.names(), ["mom"], "dead after {changes} changes");
            }
        }
    }

    #[test]
    fn an_interrupted_deletion_is_completed_by_the_next_one() {
        for changes in 0..10 {
            let keyring = memory(120);
            keyring.save(&"x".repeat(500)).unwrap();
            keyring.dies_after(Some(changes));
            let _ = delete(&keyring, "mom", keyring.limit);
            assert!(keyring.loaded().is_none_or(|text| text.len() == 500));
            keyring.dies_after(None);
            delete(&keyring, "mom", keyring.limit).unwrap();
            assert_eq!(keyring.names(), [""; 0]);
        }
    }

    #[test]
    fn a_missing_changed_or_foreign_item_is_damage_and_can_be_replaced() {
        type Harm = fn(&mut BTreeMap<String, Vec<u8>>);
        let harms: [Harm; 4] = [
            |items| drop(items.remove("mom#0.1")),
            |items| items.get_mut("mom#0.0").unwrap()[0] ^= 1,
            |items| drop(items.insert("mom".into(), b"{\"hush\":1}".to_vec())),
            |items| items.get_mut("mom").unwrap().truncate(8),
        ];
        for harm in harms {
            let keyring = memory(120);
            keyring.save(&"x".repeat(300)).unwrap();
            harm(&mut keyring.items.borrow_mut());
            let error = load(&keyring, "mom").unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }));
            assert!(!format!("{error:?}").contains("hush"));
            keyring.save("new").unwrap();
            assert_eq!(keyring.loaded().as_deref(), Some("new"));
        }
    }

    #[test]
    fn a_record_replaced_while_it_is_read_is_not_damage() {
        for meanwhile in [vec!["b"], vec!["b", "c"]] {
            for length in [1, 300] {
                let keyring = memory(120);
                keyring.save(&"a".repeat(300)).unwrap();
                *keyring.saved_meanwhile.borrow_mut() =
                    meanwhile.iter().rev().map(|text| text.repeat(length)).collect();
                let found = keyring.loaded().unwrap();
                assert!(meanwhile.iter().any(|text| found == text.repeat(length)), "{} bytes", found.len());
            }
        }
    }

    #[test]
    fn a_record_that_is_too_large_is_refused() {
        assert!(matches!(memory(120).save(&"x".repeat(120 * 65)), Err(StoreError::TooLarge)));
    }

    proptest! {
        #[test]
        fn interrupted_saves_keep_a_record_and_deletions_are_complete(
            steps in prop::collection::vec((0_usize..900, prop::option::of(0_usize..14)), 1..12),
            limit in 100_usize..300,
        ) {
            let keyring = memory(limit);
            let mut current: Option<String> = None;
            for (number, (length, death)) in steps.into_iter().enumerate() {
                let text = format!("{number} {}", "ü".repeat(length));
                keyring.dies_after(death);
                let saved = keyring.save(&text);
                keyring.dies_after(None);
                let found = keyring.loaded();
                prop_assert!(found.as_ref() == Some(&text) || (saved.is_err() && found == current));
                current = found;
            }
            prop_assert_eq!(delete(&keyring, "mom", keyring.limit).unwrap(), current.is_some());
            prop_assert_eq!(keyring.names(), Vec::<String>::new());
        }
    }
}
