//! An increment joined to the file of before: changed resources in their old places, new ones at the end.
//!
//! The file of before is streamed; what is in memory is a few bytes for each resource of the increment.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    catalog::{self, Record, Subject},
    index::{Fingerprint, IdKey, for_each_line, key, not_as_it_was},
    lines::{create, hex, sync},
    manifest::Entry,
};
use crate::{
    error::{Error, Result},
    fhir::resource::Header,
};

/// A manifest may promise anything; this much room is made on its word.
const MOST_AT_ONCE: usize = 1 << 20;

/// What an increment did to a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) added: u64,
    pub(super) updated: u64,
    /// Resources, size and hash of the new file; as before where nothing was added or updated.
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Whether there is a new catalog.
    pub(super) has_catalog: bool,
}

/// A resource of the increment, and what it means for the file of before.
struct Piece {
    from: u64,
    length: usize,
    last_updated: Option<Timestamp>,
    fingerprint: Fingerprint,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not in the file of before.
    Added,
    /// In place of the line with this number (from 1).
    Replaces(u64),
    /// The line of before says the same, or something newer.
    Known,
}

impl Piece {
    fn record(&self, key: IdKey) -> Record {
        Record { key, fingerprint: self.fingerprint, last_updated: self.last_updated }
    }

    /// Whether the resource that is kept under its id says the same, or something newer: a replica of the
    /// data back end may lag behind what was served before.
    fn is_known(&self, kept: &Record) -> bool {
        self.last_updated < kept.last_updated || self.fingerprint == kept.fingerprint
    }
}

/// The files of a merge. `out` and `changes` are written where anything was added or updated, `new_catalog`
/// wherever `catalog` was of no use.
pub(super) struct Merge<'a> {
    pub(super) before: &'a Path,
    pub(super) entry: &'a Entry,
    pub(super) catalog: &'a Path,
    pub(super) increment: &'a Path,
    pub(super) out: &'a Path,
    pub(super) changes: &'a Path,
    pub(super) new_catalog: &'a Path,
}

impl Merge<'_> {
    /// Joins the two.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] where the file of before is not what the manifest says,
    /// [`crate::error::Exit::Disk`].
    pub(super) fn perform(&self) -> Result<Merged> {
        let mut pieces = self.pieces()?;
        let Entry { count, bytes, sha256, .. } = self.entry.clone();
        let as_before = Merged { count, bytes, sha256, ..Merged::default() };
        let subject = Subject { path: self.before, bytes, sha256: &as_before.sha256 };
        let is_known = |record: &Record| pieces.get(&record.key).is_some_and(|piece| piece.is_known(record));
        if catalog::count(self.catalog, &subject, is_known) == Some(pieces.len()) {
            return Ok(as_before);
        }
        let records = self.compare(&mut pieces)?;
        let mut in_order: Vec<&Piece> = pieces.values().filter(|piece| piece.fate != Fate::Known).collect();
        in_order.sort_unstable_by_key(|piece| piece.from);
        let count_of = |wanted: fn(Fate) -> bool| in_order.iter().filter(|piece| wanted(piece.fate)).count() as u64;
        let added = count_of(|fate| fate == Fate::Added);
        let updated = count_of(|fate| matches!(fate, Fate::Replaces(_)));
        if in_order.is_empty() {
            catalog::write(self.new_catalog, &subject, records.into_iter())?;
            return Ok(Merged { has_catalog: true, ..as_before });
        }
        let (bytes, sha256) = self.write(&in_order)?;
        self.write_changes(&in_order)?;
        let is_old = |record: &Record| pieces.get(&record.key).is_none_or(|piece| piece.fate == Fate::Known);
        let new = pieces.iter().filter(|(_, piece)| piece.fate != Fate::Known).map(|(key, piece)| piece.record(*key));
        let subject = Subject { path: self.out, bytes, sha256: &sha256 };
        catalog::write(self.new_catalog, &subject, records.into_iter().filter(is_old).chain(new))?;
        Ok(Merged { added, updated, count: self.entry.count + added, bytes, sha256, has_catalog: true })
    }

    /// What the increment holds, as if all of it were new.
    fn pieces(&self) -> Result<HashMap<IdKey, Piece>> {
        let mut pieces = HashMap::new();
        let mut at = 0;
        for_each_line(self.increment, |_, line| {
            let from = at;
            at += line.len() as u64 + 1;
            let Ok(header) = Header::read(line) else { return Ok(()) };
            let fingerprint = header.fingerprint(line);
            let piece =
                Piece { from, length: line.len(), last_updated: header.last_updated, fingerprint, fate: Fate::Added };
            pieces.insert(key(&header.id), piece);
            Ok(())
        })?;
        Ok(pieces)
    }

    /// Reads the file of before once: is it what it was, which of its lines come anew, and what does it hold?
    fn compare(&self, pieces: &mut HashMap<IdKey, Piece>) -> Result<Vec<Record>> {
        let mut records = Vec::with_capacity(usize::try_from(self.entry.count).unwrap_or(0).min(MOST_AT_ONCE));
        let size = fs::metadata(self.before).map_err(|_| not_as_it_was(self.before, "it is not there"))?.len();
        if size != self.entry.bytes {
            return Err(not_as_it_was(self.before, "its size is not that of the manifest"));
        }
        let mut hash = Sha256::new();
        for_each_line(self.before, |number, line| {
            hash.update(line);
            hash.update(b"\n");
            let header = Header::read(line).map_err(|_| not_as_it_was(self.before, "a line is no resource"))?;
            let fingerprint = header.fingerprint(line);
            let record = Record { key: key(&header.id), fingerprint, last_updated: header.last_updated };
            records.push(record);
            let Some(piece) = pieces.get_mut(&record.key) else { return Ok(()) };
            piece.fate = if piece.is_known(&record) { Fate::Known } else { Fate::Replaces(number) };
            Ok(())
        })?;
        if hex(hash) == self.entry.sha256 {
            return Ok(records);
        }
        Err(not_as_it_was(self.before, "its checksum is not that of the manifest"))
    }

    fn write(&self, pieces: &[&Piece]) -> Result<(u64, String)> {
        let replaced: HashMap<u64, &Piece> = pieces
            .iter()
            .filter_map(|piece| if let Fate::Replaces(number) = piece.fate { Some((number, *piece)) } else { None })
            .collect();
        let mut increment = self.open(self.increment)?;
        let mut out = Hashed { out: create(self.out)?, hash: Sha256::new(), bytes: 0 };
        let wrong = |cause: io::Error| Error::disk("write", self.out, &cause);
        let mut before = BufReader::with_capacity(1 << 18, self.open(self.before)?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = before.read_until(b'\n', &mut line).map_err(|cause| Error::disk("read", self.before, &cause))?;
            if read == 0 {
                break;
            }
            if let Some(piece) = replaced.get(&number) {
                self.copy(&mut increment, piece, &mut line)?;
            }
            out.write_all(&line).map_err(wrong)?;
        }
        for piece in pieces.iter().filter(|piece| piece.fate == Fate::Added) {
            self.copy(&mut increment, piece, &mut line)?;
            out.write_all(&line).map_err(wrong)?;
        }
        let Hashed { out, hash, bytes } = out;
        sync(out, self.out)?;
        Ok((bytes, hex(hash)))
    }

    fn write_changes(&self, pieces: &[&Piece]) -> Result<()> {
        let mut increment = self.open(self.increment)?;
        let mut out = create(self.changes)?;
        let mut line = Vec::new();
        for piece in pieces {
            self.copy(&mut increment, piece, &mut line)?;
            out.write_all(&line).map_err(|cause| Error::disk("write", self.changes, &cause))?;
        }
        sync(out, self.changes)
    }

    /// Reads a piece, with its line break.
    fn copy(&self, increment: &mut File, piece: &Piece, line: &mut Vec<u8>) -> Result<()> {
        line.resize(piece.length + 1, 0);
        increment
            .seek(SeekFrom::Start(piece.from))
            .and_then(|_| increment.read_exact(line))
            .map_err(|cause| Error::disk("read", self.increment, &cause))
    }

    fn open(&self, path: &Path) -> Result<File> {
        fs::File::open(path).map_err(|cause| Error::disk("read", path, &cause))
    }
}

struct Hashed<W> {
    out: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let written = self.out.write(part)?;
        self.hash.update(&part[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(id: &str, day: u32, value: u32) -> String {
        format!(
            r#"{{"resourceType":"ExplanationOfBenefit","id":"{id}","meta":{{"lastUpdated":"2026-01-{day:02}T00:00:00Z"}},"created":"{value}{day}","v":{value}}}"#
        )
    }

    fn text(claims: &[String]) -> String {
        claims.iter().map(|claim| format!("{claim}\n")).collect()
    }

    struct Case {
        dir: tempfile::TempDir,
    }

    impl Case {
        fn merge(before: &[String], increment: &[String]) -> (Self, Result<Merged>) {
            let dir = tempfile::tempdir().unwrap();
            let case = Self { dir };
            let before = text(before);
            fs::write(case.path("before"), &before).unwrap();
            fs::write(case.path("increment"), text(increment)).unwrap();
            let sha256 = hex(Sha256::new_with_prefix(&before));
            let result = case.perform(&sha256, before.lines().count() as u64, before.len() as u64);
            (case, result)
        }

        fn perform(&self, sha256: &str, count: u64, bytes: u64) -> Result<Merged> {
            let entry = Entry {
                file: "before".into(),
                count,
                bytes,
                sha256: sha256.into(),
                query: Vec::new(),
                cursor: None,
                server_total: None,
            };
            let [before, increment, out, changes] =
                ["before", "increment", "out", "changes"].map(|name| self.path(name));
            let (catalog, new_catalog) = (&self.path("catalog"), &self.path("new-catalog"));
            let before = &before;
            let (increment, out, changes) = (&increment, &out, &changes);
            Merge { before, entry: &entry, catalog, increment, out, changes, new_catalog }.perform()
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.dir.path().join(name)
        }

        fn read(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.path(name)).ok()
        }
    }

    #[test]
    fn what_changed_stands_where_it_stood_and_what_is_new_at_the_end() {
        let before = [claim("a", 1, 1), claim("b", 1, 1), claim("c", 1, 1)];
        let increment = [claim("x", 2, 1), claim("b", 2, 2), claim("a", 2, 1), claim("y", 2, 1)];
        let (case, merged) = Case::merge(&before, &increment);
        let expected =
            text(&[claim("a", 2, 1), claim("b", 2, 2), claim("c", 1, 1), claim("x", 2, 1), claim("y", 2, 1)]);
        assert_eq!(case.read("out").unwrap(), expected);
        assert_eq!(case.read("changes").unwrap(), text(&increment));
        let merged = merged.unwrap();
        assert_eq!((merged.added, merged.updated, merged.count, merged.bytes), (2, 2, 5, expected.len() as u64));
        assert_eq!(merged.sha256, hex(Sha256::new_with_prefix(&expected)));
    }

    #[test]
    fn what_says_the_same_or_less_changes_nothing() {
        let before = [claim("a", 5, 1), claim("b", 5, 2)];
        // Once in other words of `created` only, and once as a replica that lags behind still has it.
        let same = claim("a", 5, 1).replace(r#""created":"15""#, r#""created":"99""#);
        let (case, merged) = Case::merge(&before, &[same, claim("b", 4, 1)]);
        let merged = merged.unwrap();
        assert_eq!((merged.added, merged.updated, merged.count), (0, 0, 2));
        assert!(case.read("out").is_none() && case.read("changes").is_none());
    }

    #[test]
    fn a_file_that_is_not_what_it_was_is_not_built_upon() {
        let (case, merged) = Case::merge(&[claim("a", 1, 1)], &[claim("b", 1, 1)]);
        let merged = merged.unwrap();
        for (damage, sha256) in [
            (text(&[claim("a", 1, 2)]), hex(Sha256::new_with_prefix(text(&[claim("a", 1, 1)])))),
            ("{}\n".to_owned(), hex(Sha256::new_with_prefix("{}\n"))),
        ] {
            fs::write(case.path("before"), damage).unwrap();
            let error = case.perform(&sha256, 1, merged.bytes).unwrap_err();
            assert_eq!((error.exit, error.kind), (crate::error::Exit::Data, "archive"));
            assert!(error.hint.contains("--full"));
        }
        fs::remove_file(case.path("before")).unwrap();
        assert!(case.perform(&merged.sha256, 1, merged.bytes).is_err());
    }
}
