//! Rows of one size, of which there may be millions: on the disk, in a file without a name, but for the newest.
//!
//! The file goes with the process, however that ends. Few rows never reach the disk.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use crate::{
    durable,
    error::{Error, ErrorKind, Result},
};

/// Rows that are written and read at once: a few kilobytes.
const PART: usize = 128;

/// Rows of `SIZE` bytes, numbered from 0 in the order in which they came.
pub(super) struct Rows<const SIZE: usize> {
    parts: Parts,
    /// The rows that do not fill a part yet.
    last: Vec<u8>,
    number: usize,
}

/// The parts that are full.
enum Parts {
    Memory(Vec<Box<[u8]>>),
    Disk { dir: PathBuf, spool: Mutex<Option<Spool>> },
}

struct Spool {
    file: File,
    /// What was read last, and which part that is.
    part: Vec<u8>,
    read: Option<usize>,
}

impl<const SIZE: usize> Rows<SIZE> {
    const BYTES: usize = PART * SIZE;

    fn new(parts: Parts) -> Self {
        Self { parts, last: Vec::new(), number: 0 }
    }

    /// Rows that stay in memory.
    pub(super) fn in_memory() -> Self {
        Self::new(Parts::Memory(Vec::new()))
    }

    /// Rows on the disk that `dir` is on.
    pub(super) fn on_disk(dir: impl Into<PathBuf>) -> Self {
        Self::new(Parts::Disk { dir: dir.into(), spool: Mutex::new(None) })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.number
    }

    /// Puts a row behind those that are there.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn push(&mut self, row: &[u8; SIZE]) -> Result<()> {
        self.last.extend_from_slice(row);
        self.number += 1;
        if self.last.len() < Self::BYTES {
            return Ok(());
        }
        match &mut self.parts {
            Parts::Memory(parts) => parts.push(std::mem::take(&mut self.last).into()),
            Parts::Disk { dir, spool } => {
                let spool = spool.get_mut().unwrap_or_else(PoisonError::into_inner);
                write(dir, spool, &self.last).map_err(|cause| Error::disk("write below", dir, &cause))?;
                self.last.clear();
            }
        }
        Ok(())
    }

    /// The row with this number.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn get(&self, number: usize) -> Result<[u8; SIZE]> {
        let (index, at) = (number / PART, number % PART * SIZE);
        let row = |part: &[u8]| part.get(at..at + SIZE).and_then(|row| row.try_into().ok());
        let row = match &self.parts {
            _ if index == self.number / PART => row(&self.last),
            Parts::Memory(parts) => parts.get(index).and_then(|part| row(part)),
            Parts::Disk { dir, spool } => {
                let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
                let part = spool.as_mut().map(|spool| spool.part(index, Self::BYTES)).transpose();
                part.map_err(|cause| Error::disk("read below", dir, &cause))?.and_then(row)
            }
        };
        row.ok_or_else(|| Error::new(ErrorKind::Defect, "a row that is not there"))
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Result<[u8; SIZE]>> {
        (0..self.number).map(|number| self.get(number))
    }
}

fn write(dir: &PathBuf, spool: &mut Option<Spool>, part: &[u8]) -> io::Result<()> {
    let spool = match spool {
        Some(spool) => spool,
        None => {
            durable::create_private_dir(dir)?;
            spool.insert(Spool { file: tempfile::tempfile_in(dir)?, part: Vec::new(), read: None })
        }
    };
    spool.file.seek(SeekFrom::End(0))?;
    spool.file.write_all(part)
}

impl Spool {
    fn part(&mut self, index: usize, bytes: usize) -> io::Result<&[u8]> {
        if self.read != Some(index) {
            self.read = None;
            self.part.resize(bytes, 0);
            self.file.seek(SeekFrom::Start((index * bytes) as u64))?;
            self.file.read_exact(&mut self.part)?;
            self.read = Some(index);
        }
        Ok(&self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_any_order_while_more_are_written() {
        let dir = tempfile::tempdir().unwrap();
        for mut rows in [Rows::<8>::in_memory(), Rows::on_disk(dir.path().join("new"))] {
            let row = |number: usize| (number as u64).to_le_bytes();
            for number in 0..3 * PART + 5 {
                assert!(rows.get(number).is_err());
                rows.push(&row(number)).unwrap();
                for earlier in [number, number / 2, 0] {
                    assert_eq!(rows.get(earlier).unwrap(), row(earlier), "{earlier} of {number}");
                }
            }
            assert_eq!(rows.len(), 3 * PART + 5);
            let all: Vec<_> = rows.iter().collect::<Result<_>>().unwrap();
            assert_eq!(all, (0..3 * PART + 5).map(row).collect::<Vec<_>>());
        }
        // Nothing of it can be seen, or left behind.
        assert_eq!(std::fs::read_dir(dir.path().join("new")).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let mut rows = Rows::<8>::on_disk(dir.path().join("file"));
        let all = (0..PART).try_for_each(|_| rows.push(&[0; 8]));
        assert_eq!(all.unwrap_err().exit(), crate::error::Exit::Disk);
    }
}
