//! Merges an increment into the old file: changed resources in their old places, new ones at the end.
//!
//! Both files are streamed. Memory holds only hashes, dates and positions: less than 100 bytes for each resource.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use indexmap::IndexMap;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    changes::Changes,
    id_hash::{IdHash, id_hash},
    id_index::{self, IndexRow, IndexedFile},
    lines::{Lines, create, damaged, for_each_line, hex_digest, not_as_it_was, sync},
    manifest::Entry,
};
use crate::{
    error::{Error, Result},
    fhir::resource::Header,
};

/// What an increment did to a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) added: u64,
    pub(super) updated: u64,
    /// Resources, size and hash of the new file, or of the old file if nothing was added or updated.
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Whether there is a new catalog.
    pub(super) has_catalog: bool,
}

/// A resource of the increment.
struct Piece {
    record: IndexRow,
    fate: Fate,
    /// To the nanosecond, unlike the date in `record`.
    last_updated: Option<Timestamp>,
    /// Where its line starts; `length` leaves out the line break.
    from: u64,
    length: u64,
}

impl Piece {
    /// Whether the archive already has the same content under this id, or newer content. A replica of the server's
    /// data may lag behind what was served before.
    fn is_known(&self, kept: &IndexRow) -> bool {
        self.last_updated < kept.last_updated || self.record.fingerprint == kept.fingerprint
    }
}

/// What a resource of the increment changes in the old file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is not in the old file.
    Added,
    /// It replaces a line.
    Replaces,
    /// The old line has the same content, or newer content.
    Known,
}

/// The resources of the increment, and what each one changes.
#[derive(Default)]
struct Pieces {
    by_id: IndexMap<IdHash, Piece>,
    /// Line number in the old file (from 1) and index of the piece that replaces it, in the order of the lines.
    replaced: Vec<(u64, usize)>,
}

impl Pieces {
    fn number(&self, fate: Fate) -> u64 {
        self.by_id.values().filter(|piece| piece.fate == fate).count() as u64
    }

    /// Whether a record of the old file stays, because the increment does not replace it.
    fn leaves(&self, record: &IndexRow) -> bool {
        self.by_id.get(&record.id).is_none_or(|piece| piece.fate == Fate::Known)
    }

    /// The pieces with one of these fates, in order.
    fn with(&self, fates: &'static [Fate]) -> impl Iterator<Item = &Piece> {
        self.by_id.values().filter(|piece| fates.contains(&piece.fate))
    }
}

/// The files of a merge. `out` and `changes` are written if anything was added or updated; `new_catalog` is written
/// if `catalog` could not be used.
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
    /// Merges the two files.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] if the old file is not what the manifest says; [`crate::error::Exit::Disk`].
    pub(super) fn perform(&self) -> Result<Merged> {
        let mut pieces = self.pieces()?;
        let Entry { count, bytes, sha256, .. } = self.entry.clone();
        let as_before = Merged { count, bytes, sha256, ..Merged::default() };
        let subject = IndexedFile { path: self.before, bytes, sha256: &as_before.sha256 };
        let is_known = |record: &IndexRow| pieces.by_id.get(&record.id).is_some_and(|piece| piece.is_known(record));
        if id_index::count(self.catalog, &subject, is_known) == Some(pieces.by_id.len()) {
            return Ok(as_before);
        }
        let records = self.compare(&mut pieces)?;
        let (added, updated) = (pieces.number(Fate::Added), pieces.number(Fate::Replaces));
        if added + updated == 0 {
            id_index::write(self.new_catalog, &subject, records.into_iter())?;
            return Ok(Merged { has_catalog: true, ..as_before });
        }
        let (bytes, sha256) = self.write(&pieces)?;
        self.write_changes(&pieces)?;
        let old = records.into_iter().filter(|record| pieces.leaves(record));
        let new = pieces.with(&NEWS).map(|piece| piece.record);
        let subject = IndexedFile { path: self.out, bytes, sha256: &sha256 };
        id_index::write(self.new_catalog, &subject, old.chain(new))?;
        Ok(Merged { added, updated, count: self.entry.count + added, bytes, sha256, has_catalog: true })
    }

    /// The resources of the increment, each as if it were new.
    fn pieces(&self) -> Result<Pieces> {
        let (mut pieces, mut at) = (Pieces::default(), 0);
        for_each_line(self.increment, |line_number, line| {
            let (from, length) = (at, line.len() as u64);
            at += length + 1;
            let header =
                Header::read(line).map_err(|_| damaged(self.increment, line_number, "it is not a resource"))?;
            let (id, fingerprint, last_updated) = (id_hash(&header.id), header.fingerprint(line), header.last_updated);
            let record = IndexRow { id, fingerprint, last_updated };
            pieces.by_id.insert(id, Piece { record, fate: Fate::Added, last_updated, from, length });
            Ok(())
        })?;
        Ok(pieces)
    }

    /// Reads the old file once. Checks that it is unchanged, finds the lines to replace, and returns its records.
    fn compare(&self, pieces: &mut Pieces) -> Result<Vec<IndexRow>> {
        let mut records = Vec::new();
        let size = fs::metadata(self.before).map_err(|_| not_as_it_was(self.before, "it is not there"))?.len();
        if size != self.entry.bytes {
            return Err(not_as_it_was(self.before, "its size differs from the manifest"));
        }
        let mut hash = Sha256::new();
        for_each_line(self.before, |line_number, line| {
            hash.update(line);
            hash.update(b"\n");
            let header = Header::read(line).map_err(|_| not_as_it_was(self.before, "a line is not a resource"))?;
            let fingerprint = header.fingerprint(line);
            let record = IndexRow { id: id_hash(&header.id), fingerprint, last_updated: header.last_updated };
            records.push(record);
            if let Some((number, _, piece)) = pieces.by_id.get_full_mut(&record.id) {
                piece.fate = if piece.is_known(&record) { Fate::Known } else { Fate::Replaces };
                if piece.fate == Fate::Replaces {
                    pieces.replaced.push((line_number, number));
                }
            }
            Ok(())
        })?;
        if hex_digest(hash) != self.entry.sha256 {
            return Err(not_as_it_was(self.before, "its checksum differs from the manifest"));
        }
        if records.len() as u64 != self.entry.count {
            return Err(not_as_it_was(self.before, "it has another number of resources than the manifest says"));
        }
        Ok(records)
    }

    fn write(&self, pieces: &Pieces) -> Result<(u64, String)> {
        let mut replaced = pieces.replaced.iter().peekable();
        let mut increment = self.open(self.increment)?;
        let mut out = Hashed { out: create(self.out)?, hash: Sha256::new(), bytes: 0 };
        let wrong = |cause: io::Error| Error::disk("write", self.out, &cause);
        let mut before = Lines::of(self.open(self.before)?, self.before);
        while let Some((number, line)) = before.next()? {
            if let Some((_, piece)) = replaced.next_if(|(at, _)| *at == number)
                && let Some((_, piece)) = pieces.by_id.get_index(*piece)
            {
                self.copy(&mut increment, piece, line)?;
            }
            out.write_all(line).map_err(wrong)?;
        }
        let mut line = Vec::new();
        for piece in pieces.with(&[Fate::Added]) {
            self.copy(&mut increment, piece, &mut line)?;
            out.write_all(&line).map_err(wrong)?;
        }
        let Hashed { out, hash, bytes } = out;
        sync(out, self.out)?;
        Ok((bytes, hex_digest(hash)))
    }

    fn write_changes(&self, pieces: &Pieces) -> Result<()> {
        let mut increment = self.open(self.increment)?;
        let mut changes = Changes::new(self.changes.to_owned(), true);
        let mut line = Vec::new();
        for piece in pieces.with(&NEWS) {
            self.copy(&mut increment, piece, &mut line)?;
            changes.push(line.strip_suffix(b"\n").unwrap_or(&line))?;
        }
        changes.finish().map(drop)
    }

    /// Reads a piece, with its line break.
    fn copy(&self, increment: &mut File, piece: &Piece, line: &mut Vec<u8>) -> Result<()> {
        line.resize(usize::try_from(piece.length).unwrap_or(usize::MAX).saturating_add(1), 0);
        increment
            .seek(SeekFrom::Start(piece.from))
            .and_then(|_| increment.read_exact(line))
            .map_err(|cause| Error::disk("read", self.increment, &cause))
    }

    fn open(&self, path: &Path) -> Result<File> {
        crate::files::private_file::open(path).map_err(|cause| Error::disk("read", path, &cause))
    }
}

/// The fates that change the old file.
static NEWS: [Fate; 2] = [Fate::Added, Fate::Replaces];

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
            let sha256 = hex_digest(Sha256::new_with_prefix(&before));
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
    fn changed_claims_keep_their_line_and_new_ones_are_appended() {
        let before = [claim("a", 1, 1), claim("b", 1, 1), claim("c", 1, 1)];
        let increment = [claim("x", 2, 1), claim("b", 2, 2), claim("a", 2, 1), claim("y", 2, 1)];
        let (case, merged) = Case::merge(&before, &increment);
        let expected =
            text(&[claim("a", 2, 1), claim("b", 2, 2), claim("c", 1, 1), claim("x", 2, 1), claim("y", 2, 1)]);
        assert_eq!(case.read("out").unwrap(), expected);
        assert_eq!(case.read("changes").unwrap(), text(&increment));
        let merged = merged.unwrap();
        assert_eq!((merged.added, merged.updated, merged.count, merged.bytes), (2, 2, 5, expected.len() as u64));
        assert_eq!(merged.sha256, hex_digest(Sha256::new_with_prefix(&expected)));
    }

    /// Far more than stay in memory: every thousandth claim has changed, every seventh comes again, ten are new.
    #[test]
    fn large_merges_equal_small_ones() {
        let name = |number: usize| format!("claim-{number}");
        let before: Vec<String> = (0..3000).map(|number| claim(&name(number), 1, 1)).collect();
        let changed = |number: usize| number % 1000 == 500;
        let increment: Vec<String> = (0..3010)
            .filter(|number| number % 7 == 0 || changed(*number) || *number >= 3000)
            .map(|number| claim(&name(number), 1 + u32::from(changed(number)), 1 + u32::from(changed(number))))
            .collect();
        let (case, merged) = Case::merge(&before, &increment);
        let merged = merged.unwrap();
        assert_eq!((merged.added, merged.updated, merged.count), (10, 3, 3010));
        let expected: Vec<String> = (0..3010)
            .map(|number| claim(&name(number), 1 + u32::from(changed(number)), 1 + u32::from(changed(number))))
            .collect();
        assert_eq!(case.read("out").unwrap(), text(&expected));
        // The new catalog describes the new file, so the same increment brings nothing, and the file is not read.
        fs::rename(case.path("out"), case.path("before")).unwrap();
        fs::rename(case.path("new-catalog"), case.path("catalog")).unwrap();
        let again = case.perform(&merged.sha256, merged.count, merged.bytes).unwrap();
        assert_eq!((again.added, again.updated, again.has_catalog), (0, 0, false));
    }

    #[test]
    fn equal_or_older_versions_change_nothing() {
        let before = [claim("a", 5, 1), claim("b", 5, 2)];
        // Once with only `created` changed, and once as a replica that lags behind still has it.
        let same = claim("a", 5, 1).replace(r#""created":"15""#, r#""created":"99""#);
        let (case, merged) = Case::merge(&before, &[same, claim("b", 4, 1)]);
        let merged = merged.unwrap();
        assert_eq!((merged.added, merged.updated, merged.count), (0, 0, 2));
        assert!(case.read("out").is_none() && case.read("changes").is_none());
    }

    #[test]
    fn a_file_changed_by_others_is_not_merged_into() {
        let (case, merged) = Case::merge(&[claim("a", 1, 1)], &[claim("b", 1, 1)]);
        let merged = merged.unwrap();
        for (damage, sha256) in [
            (text(&[claim("a", 1, 2)]), hex_digest(Sha256::new_with_prefix(text(&[claim("a", 1, 1)])))),
            ("{}\n".to_owned(), hex_digest(Sha256::new_with_prefix("{}\n"))),
        ] {
            fs::write(case.path("before"), damage).unwrap();
            let error = case.perform(&sha256, 1, merged.bytes).unwrap_err();
            assert_eq!((error.exit(), error.kind), (crate::error::Exit::Data, crate::error::ErrorKind::Archive));
            assert!(error.hint.contains("--full"));
        }
        fs::remove_file(case.path("before")).unwrap();
        assert!(case.perform(&merged.sha256, 1, merged.bytes).is_err());
    }

    #[test]
    fn a_manifest_with_another_number_of_claims_is_not_believed() {
        let (case, merged) = Case::merge(&[claim("a", 1, 1)], &[claim("b", 1, 1)]);
        drop(merged.unwrap());
        let before = fs::read(case.path("before")).unwrap();
        let sha256 = hex_digest(Sha256::new_with_prefix(&before));
        for count in [0, 2, u64::MAX] {
            let error = case.perform(&sha256, count, before.len() as u64).unwrap_err();
            assert_eq!(error.kind, crate::error::ErrorKind::Archive, "{count}");
        }
    }

    /// A claim that came is in the archive afterwards, or the pull fails.
    #[test]
    fn a_damaged_increment_is_refused() {
        let (case, merged) = Case::merge(&[claim("a", 1, 1)], &[claim("b", 1, 1), "{\"id\":".to_owned()]);
        assert_eq!(merged.unwrap_err().kind, crate::error::ErrorKind::Archive);
        assert_eq!(case.read("out"), None);
    }
}
