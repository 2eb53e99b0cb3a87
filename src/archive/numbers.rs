//! A set of millions of numbers, nearly all of it on the disk.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    durable,
    error::{Error, Result},
};

/// A set of numbers that are spread evenly (hashes): in order, in a row of short lists.
///
/// On the disk, a list has a page, and in memory there are only those that came to it last: a byte or two for
/// each number of the set, at a read of a few kilobytes for each question. All in memory, the set takes hardly
/// more room than its numbers: no list is long enough for its growing to matter.
pub(super) struct Numbers {
    /// The numbers below 1/n, below 2/n, … of all there can be.
    lists: Vec<List>,
    count: usize,
    shelf: Option<Mutex<Shelf>>,
}

/// Numbers in order.
#[derive(Default)]
struct List {
    newest: Vec<u64>,
    /// How many more are on the disk.
    shelved: usize,
}

/// How long a list is on average before there are twice as many lists.
const LONG: usize = 512;
/// How many lists there are at first: a small set never reaches the disk.
const LISTS: usize = 64;
/// How many numbers go to the disk together.
const NEWEST: usize = 32;
/// How many numbers of a list have room on the disk. Of numbers that are not spread evenly, what is more stays
/// in memory.
const ROOM: usize = 2 * LONG;

impl Numbers {
    /// A set all in memory.
    pub(super) fn in_memory() -> Self {
        Self { lists: Vec::new(), count: 0, shelf: None }
    }

    /// A set on the disk that `dir` is on, in a file without a name: it goes with the process.
    pub(super) fn on_disk(dir: impl Into<PathBuf>) -> Self {
        let shelf = Shelf { dir: dir.into(), file: None, page: Vec::new() };
        Self { shelf: Some(Mutex::new(shelf)), ..Self::in_memory() }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a number; says whether it is new.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn insert(&mut self, number: u64) -> Result<bool> {
        let is_new = self.between(number, number)?.is_empty();
        if is_new {
            self.add(number)?;
        }
        Ok(is_new)
    }

    /// Adds a number that is not here.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn add(&mut self, number: u64) -> Result<()> {
        if self.count >= self.lists.len() * LONG {
            self.make_room()?;
        }
        let at = list_of(number, self.lists.len());
        let list = &mut self.lists[at];
        if list.newest.len() == list.newest.capacity() {
            list.newest.reserve_exact(list.newest.len() / 8 + 4);
        }
        let place = list.newest.partition_point(|other| *other < number);
        list.newest.insert(place, number);
        self.count += 1;
        match &mut self.shelf {
            Some(shelf) if list.newest.len() >= NEWEST && list.shelved + list.newest.len() <= ROOM => {
                let shelf = shelf.get_mut().unwrap_or_else(PoisonError::into_inner);
                shelf.put_by(at, list)
            }
            _ => Ok(()),
        }
    }

    /// Takes a number out, if it is here.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn remove(&mut self, number: u64) -> Result<()> {
        if self.lists.is_empty() {
            return Ok(());
        }
        let at = list_of(number, self.lists.len());
        let list = &mut self.lists[at];
        if let Ok(place) = list.newest.binary_search(&number) {
            list.newest.remove(place);
            self.count -= 1;
        } else if let Some(shelf) = &mut self.shelf {
            let shelf = shelf.get_mut().unwrap_or_else(PoisonError::into_inner);
            let mut numbers = shelf.numbers(at, list.shelved)?;
            if let Ok(place) = numbers.binary_search(&number) {
                numbers.remove(place);
                shelf.write(at, &numbers)?;
                list.shelved = numbers.len();
                self.count -= 1;
            }
        }
        Ok(())
    }

    /// The numbers from `first` to `last`, which are so close to each other that they are in one list.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn between(&self, first: u64, last: u64) -> Result<Vec<u64>> {
        if self.lists.is_empty() {
            return Ok(Vec::new());
        }
        let at = list_of(first, self.lists.len());
        let list = &self.lists[at];
        let from = list.newest.partition_point(|number| *number < first);
        let mut found: Vec<u64> = list.newest[from..].iter().copied().take_while(|number| *number <= last).collect();
        if let Some(shelf) = self.shelf.as_ref().filter(|_| list.shelved > 0) {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let page = shelf.page(at, list.shelved)?;
            let from = page.partition_point(|number| u64::from_le_bytes(*number) < first);
            let numbers = page[from..].iter().map(|number| u64::from_le_bytes(*number));
            found.extend(numbers.take_while(|number| *number <= last));
        }
        Ok(found)
    }

    /// Makes twice as many lists of them. The last comes first: then no page is written that is still to be read.
    fn make_room(&mut self) -> Result<()> {
        let lists = std::mem::take(&mut self.lists);
        let number = (lists.len() * 2).max(LISTS);
        self.lists.resize_with(number, List::default);
        for (at, list) in lists.into_iter().enumerate().rev() {
            let (low, high) = (2 * at, 2 * at + 1);
            let split = |numbers: &[u64]| numbers.partition_point(|other| list_of(*other, number) == low);
            if let Some(shelf) = self.shelf.as_mut().filter(|_| list.shelved > 0) {
                let shelf = shelf.get_mut().unwrap_or_else(PoisonError::into_inner);
                let numbers = shelf.numbers(at, list.shelved)?;
                let (left, right) = numbers.split_at(split(&numbers));
                shelf.write(high, right)?;
                shelf.write(low, left)?;
                (self.lists[low].shelved, self.lists[high].shelved) = (left.len(), right.len());
            }
            let mut newest = list.newest;
            self.lists[high].newest = newest.split_off(split(&newest));
            newest.shrink_to_fit();
            self.lists[low].newest = newest;
        }
        Ok(())
    }
}

/// Which of `lists` lists a number belongs into.
fn list_of(number: u64, lists: usize) -> usize {
    ((u128::from(number) * lists as u128) >> 64) as usize
}

/// The pages of the lists, in a file: numbers in order, eight bytes each.
struct Shelf {
    dir: PathBuf,
    file: Option<File>,
    /// The page that was read last.
    page: Vec<[u8; 8]>,
}

impl Shelf {
    /// Puts what came last to a list with the others of it.
    fn put_by(&mut self, at: usize, list: &mut List) -> Result<()> {
        let mut numbers = self.numbers(at, list.shelved)?;
        numbers.append(&mut list.newest);
        // Two runs in order, which this merges.
        numbers.sort();
        self.write(at, &numbers)?;
        list.shelved = numbers.len();
        Ok(())
    }

    fn numbers(&mut self, at: usize, count: usize) -> Result<Vec<u64>> {
        Ok(self.page(at, count)?.iter().map(|number| u64::from_le_bytes(*number)).collect())
    }

    fn page(&mut self, at: usize, count: usize) -> Result<&[[u8; 8]]> {
        self.page.resize(count, [0; 8]);
        match &mut self.file {
            Some(file) => read(file, at, self.page.as_flattened_mut())
                .map_err(|cause| Error::disk("read below", &self.dir, &cause))?,
            None => self.page.clear(),
        }
        Ok(&self.page)
    }

    fn write(&mut self, at: usize, numbers: &[u64]) -> Result<()> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        write(&self.dir, &mut self.file, at, &bytes).map_err(|cause| Error::disk("write below", &self.dir, &cause))
    }
}

fn place(at: usize) -> SeekFrom {
    SeekFrom::Start(at as u64 * (ROOM * size_of::<u64>()) as u64)
}

fn read(file: &mut File, at: usize, page: &mut [u8]) -> io::Result<()> {
    file.seek(place(at))?;
    file.read_exact(page)
}

fn write(dir: &Path, file: &mut Option<File>, at: usize, page: &[u8]) -> io::Result<()> {
    let file = match file {
        Some(file) => file,
        None => {
            durable::create_private_dir(dir)?;
            file.insert(tempfile::tempfile_in(dir)?)
        }
    };
    file.seek(place(at))?;
    file.write_all(page)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Spread evenly (a full period of Knuth's generator).
    fn spread(count: usize) -> impl Iterator<Item = u64> {
        let next =
            |number: &u64| Some(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        std::iter::successors(Some(1), next).take(count)
    }

    fn behaves(mut numbers: Numbers, count: usize) -> Numbers {
        let mut set = BTreeSet::new();
        // Each of them twice.
        for number in spread(count).chain(spread(count)) {
            assert_eq!(numbers.insert(number).unwrap(), set.insert(number));
        }
        for number in spread(count).step_by(3).chain([0, 17]) {
            numbers.remove(number).unwrap();
            set.remove(&number);
        }
        for number in [u64::MAX, 0] {
            assert!(numbers.insert(number).unwrap());
            set.insert(number);
        }
        assert_eq!(numbers.len(), set.len());
        for first in spread(count).chain([u64::MAX, 0]) {
            let first = first & !u64::from(u32::MAX);
            let last = first | u64::from(u32::MAX);
            let mut found = numbers.between(first, last).unwrap();
            found.sort_unstable();
            assert_eq!(found, set.range(first..=last).copied().collect::<Vec<_>>());
        }
        numbers
    }

    fn in_memory(numbers: &Numbers) -> usize {
        numbers.lists.iter().map(|list| list.newest.capacity() * 8 + size_of::<List>()).sum()
    }

    #[test]
    fn numbers_are_a_set_in_little_more_room_than_they_take() {
        let numbers = behaves(Numbers::in_memory(), 50_000);
        assert!(in_memory(&numbers) < 50_000 * 11, "{} bytes", in_memory(&numbers));
    }

    #[test]
    fn on_the_disk_they_are_the_same_set_in_hardly_any_memory() {
        let dir = tempfile::tempdir().unwrap();
        behaves(Numbers::on_disk(dir.path()), 1000);
        let numbers = behaves(Numbers::on_disk(dir.path()), 100_000);
        assert!(in_memory(&numbers) < 100_000 * 2, "{} bytes", in_memory(&numbers));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "a file with a name");
    }

    #[test]
    fn numbers_that_are_all_alike_are_found_as_well() {
        let dir = tempfile::tempdir().unwrap();
        for mut numbers in [Numbers::in_memory(), Numbers::on_disk(dir.path())] {
            for number in (0..5000).rev() {
                numbers.add(number).unwrap();
            }
            assert_eq!(numbers.len(), 5000);
            let mut found = numbers.between(10, 4000).unwrap();
            found.sort_unstable();
            assert_eq!(found, (10..=4000).collect::<Vec<_>>());
        }
    }
}
