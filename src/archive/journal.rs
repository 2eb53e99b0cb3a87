//! A pull that was cut short: what of it is on the disk, and where it goes on.
//!
//! While a search is read, its lines are in `.bbdl/partial/<Resource>.ndjson`, and after each page an entry in the
//! journal beside it says how long that file is, what its SHA-256 is up to there, and how far the search was
//! read. The caller decides how to write that: a checkpoint is stored as it is. Nothing here is synced: after a
//! power failure, the journal may name data that are lost. So it counts only if the hash matches.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{
    dedup::Repeats,
    lines::{Lines, hex_digest},
    manifest::{Query, Source},
};
use crate::{
    error::{Error, Result},
    files::{private_file, replace},
};

/// Where pulls under way are, below the archive.
pub(super) const PARTIAL: &str = ".bbdl/partial";

/// What a pull asked. What was begun goes on only where all of it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchKey {
    /// Whose and where from.
    pub source: Source,
    /// The filters.
    pub query: Query,
    /// From when on, for an incremental pull.
    pub since: Option<Timestamp>,
    /// Resources a page.
    pub page_size: u32,
    /// Whether Bundles are kept.
    pub pages_kept: bool,
}

/// The names in the file are those of version 0.1.0, whose interrupted pulls go on.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(rename = "question")]
    key: SearchKey,
    started: Timestamp,
}

/// A page that is wholly in the file of lines.
#[derive(Clone, Serialize, Deserialize)]
struct JournalEntry<C> {
    bytes: u64,
    sha256: String,
    /// What had come more than once: the lines do not tell.
    #[serde(rename = "repeated", default)]
    repeats: Repeats,
    #[serde(flatten)]
    checkpoint: C,
}

/// What a journal stores of how far a search was read.
pub trait Progress: Clone + Serialize + DeserializeOwned {
    /// How many pages were read.
    fn pages(&self) -> usize;
    /// Whether the search goes on.
    fn has_next(&self) -> bool;
}

/// The files of one resource type's pull under way.
pub(super) struct Files {
    dir: PathBuf,
    resource: &'static str,
}

impl Files {
    pub(super) fn of(archive: &Path, resource: &'static str) -> Self {
        Self { dir: archive.join(PARTIAL), resource }
    }

    /// The lines.
    pub(super) fn lines(&self) -> PathBuf {
        self.dir.join(format!("{}.ndjson", self.resource))
    }

    /// The lines added or changed.
    pub(super) fn changes(&self) -> PathBuf {
        self.dir.join(format!("{}.changes", self.resource))
    }

    /// The Bundles.
    pub(super) fn pages(&self) -> PathBuf {
        self.dir.join(format!("{}.pages", self.resource))
    }

    fn journal(&self) -> PathBuf {
        self.dir.join(format!("{}.journal", self.resource))
    }

    /// Forgets what an earlier run has left.
    pub(super) fn clear(&self) -> Result<()> {
        // The last is what lines are dropped into, before it takes the place of the others.
        for path in [self.journal(), self.lines(), self.changes(), self.lines().with_extension("kept")] {
            forgiving(replace::remove(&path), &path)?;
        }
        let pages = self.pages();
        forgiving(fs::remove_dir_all(&pages), &pages)
    }
}

fn forgiving(result: std::io::Result<()>, path: &Path) -> Result<()> {
    match result {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::disk("clear", path, &cause)),
        _ => Ok(()),
    }
}

/// A journal being written.
pub(super) struct Journal {
    path: PathBuf,
    out: File,
    /// How much of a journal stays true with which a pull goes on. It is cut once there is something new to note:
    /// a server may have nothing to say this time, and the next.
    cut: Option<u64>,
}

impl Journal {
    /// Begins a journal; `files` are empty by now.
    pub(super) fn begin(files: &Files, key: &SearchKey, now: Timestamp) -> Result<Self> {
        let path = files.journal();
        let mut journal = Self { out: open(&path, true)?, path, cut: None };
        journal.write(&Head { key: key.clone(), started: now })?;
        Ok(journal)
    }

    /// Notes a page that is wholly in the file.
    pub(super) fn note(
        &mut self,
        (bytes, hash): (u64, &Sha256),
        repeats: Repeats,
        checkpoint: &impl Progress,
    ) -> Result<()> {
        self.write(&JournalEntry { bytes, sha256: hex_digest(hash.clone()), repeats, checkpoint: checkpoint.clone() })
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        if let Some(end) = self.cut.take() {
            self.out.set_len(end).map_err(|cause| Error::disk("write", &self.path, &cause))?;
        }
        let mut text = serde_json::to_string(line).unwrap_or_default();
        text.push('\n');
        self.out.write_all(text.as_bytes()).map_err(|cause| Error::disk("write", &self.path, &cause))
    }
}

fn open(path: &Path, anew: bool) -> Result<File> {
    let opened = if anew { private_file::create(path) } else { private_file::open_to_append(path) };
    opened.map_err(|cause| Error::disk("open", path, &cause))
}

/// What is left of a pull that was cut short.
pub(super) struct Resume<C> {
    /// How far it goes on from.
    pub(super) checkpoint: C,
    /// When it was begun.
    pub(super) started: Timestamp,
    /// How long the file of lines is at that point.
    pub(super) bytes: u64,
    /// What had come more than once by then.
    pub(super) repeats: Repeats,
    /// The journal, cut to that point as soon as it goes on.
    pub(super) journal: Journal,
}

/// A search goes on for so long; what is older may be far behind the server. The next night may come two hours late.
const LONGEST: SignedDuration = SignedDuration::from_hours(48);

impl<C: Progress> Resume<C> {
    /// What is left of the pull that asked `key`; `None` where there is nothing to go on with.
    ///
    /// It goes on from the newest page that is wholly there and names a next one: an end that was reached is asked
    /// for again, since what was true then may not be now.
    pub(super) fn find(files: &Files, key: &SearchKey, now: Timestamp) -> Result<Option<Self>> {
        let path = files.journal();
        let journal = match private_file::open(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::disk("read", &path, &cause)),
        };
        let mut lines = Lines::of(journal, &path);
        let Some(first) = next_whole(&mut lines) else { return Ok(None) };
        let Ok(head) = serde_json::from_slice::<Head>(first) else { return Ok(None) };
        let age = now.duration_since(head.started);
        if head.key != *key || age.is_negative() || age > LONGEST {
            return Ok(None);
        }
        let mut end = first.len() as u64;
        // No more than the last two are needed; of a long pull there are thousands.
        let mut newest = VecDeque::<(JournalEntry<C>, u64)>::new();
        let kept = files.lines();
        let Some(mut kept) = Kept::open(&kept)? else { return Ok(None) };
        while let Some(line) = next_whole(&mut lines) {
            end += line.len() as u64;
            let Ok(entry) = serde_json::from_slice::<JournalEntry<C>>(line) else {
                // Version 0.1.0 noted more than pages.
                if serde_json::from_slice::<serde_json::Value>(line).is_ok() { continue } else { break }
            };
            if !kept.agrees_with(entry.bytes, &entry.sha256)? {
                break;
            }
            newest.push_back((entry, end));
            if newest.len() > 2 {
                newest.pop_front();
            }
        }
        // A journal that was damaged may have such an end before its own.
        while newest.back().is_some_and(|(entry, _)| !entry.checkpoint.has_next()) {
            newest.pop_back();
        }
        let Some((entry, end)) = newest.pop_back() else { return Ok(None) };
        let journal = Journal { out: open(&path, false)?, path, cut: Some(end) };
        let JournalEntry { bytes, repeats, checkpoint, .. } = entry;
        Ok(Some(Self { checkpoint, started: head.started, bytes, repeats, journal }))
    }
}

/// The next line, with its line break. A last line without one was cut short and does not count, and neither does
/// what cannot be read: the search then starts again from an earlier page.
fn next_whole<'a>(lines: &'a mut Lines<'_, File>) -> Option<&'a [u8]> {
    let (_, line) = lines.next().ok()??;
    line.ends_with(b"\n").then_some(line)
}

/// The file of lines, read as far as the journal agrees with it.
struct Kept<'a> {
    path: &'a Path,
    file: BufReader<File>,
    hash: Sha256,
    at: u64,
}

impl<'a> Kept<'a> {
    fn open(path: &'a Path) -> Result<Option<Self>> {
        match private_file::open(path) {
            Ok(file) => {
                Ok(Some(Self { path, file: BufReader::with_capacity(1 << 18, file), hash: Sha256::new(), at: 0 }))
            }
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::disk("read", path, &cause)),
        }
    }

    /// Whether the file is this long at least, and has this hash up to there.
    fn agrees_with(&mut self, bytes: u64, sha256: &str) -> Result<bool> {
        let Some(length) = bytes.checked_sub(self.at) else { return Ok(false) };
        let copied = digest(&mut (&mut self.file).take(length), &mut self.hash)
            .map_err(|cause| Error::disk("read", self.path, &cause))?;
        self.at += copied;
        Ok(copied == length && hex_digest(self.hash.clone()) == sha256)
    }
}

/// Hashes what is left of a file; says how much it was.
pub(super) fn digest(file: &mut impl BufRead, hash: &mut Sha256) -> std::io::Result<u64> {
    let mut bytes = 0;
    loop {
        let part = file.fill_buf()?;
        if part.is_empty() {
            return Ok(bytes);
        }
        hash.update(part);
        let length = part.len();
        file.consume(length);
        bytes += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::private_dir;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Read {
        pages: usize,
        next: Option<String>,
    }

    impl Progress for Read {
        fn pages(&self) -> usize {
            self.pages
        }

        fn has_next(&self) -> bool {
            self.next.is_some()
        }
    }

    fn key() -> SearchKey {
        SearchKey {
            source: Source {
                server: "https://x.example".parse().unwrap(),
                api: crate::api_version::ApiVersion::V2,
                patient: Some("-1".into()),
            },
            query: Vec::new(),
            since: None,
            page_size: 50,
            pages_kept: false,
        }
    }

    const NOW: &str = "2026-11-23T10:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    /// A pull of three pages, the file of which says what its pages bring.
    fn begun(dir: &Path, ended: bool) -> Files {
        let files = Files::of(dir, "ExplanationOfBenefit");
        files.clear().unwrap();
        private_dir::create(&dir.join(PARTIAL)).unwrap();
        let mut journal = Journal::begin(&files, &key(), now()).unwrap();
        let (mut text, mut hash) = (String::new(), Sha256::new());
        for pages in 1..=3 {
            let line = format!("page {pages}\n");
            hash.update(&line);
            text += &line;
            let next = (pages < 3 || !ended).then(|| format!("/next?page={}", pages + 1));
            let repeats = Repeats { number: pages as u64, which: 7 };
            journal.note((text.len() as u64, &hash), repeats, &Read { pages, next }).unwrap();
        }
        fs::write(files.lines(), text).unwrap();
        files
    }

    fn pages(files: &Files, asked: &SearchKey, at: Timestamp) -> Option<(usize, u64)> {
        Resume::<Read>::find(files, asked, at).unwrap().map(|left| (left.checkpoint.pages, left.bytes))
    }

    #[test]
    fn a_journal_continues_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let files = begun(dir.path(), false);
        assert_eq!(pages(&files, &key(), now()), Some((3, 21)));
        assert_eq!(Resume::<Read>::find(&files, &key(), now()).unwrap().unwrap().repeats.number, 3);
        // An end that was reached is asked for again.
        let files = begun(dir.path(), true);
        assert_eq!(pages(&files, &key(), now()), Some((2, 14)));
        // And so is one that stands where none can be.
        let text = fs::read_to_string(files.journal()).unwrap();
        fs::write(files.journal(), text.replace("\"/next?page=3\"", "null")).unwrap();
        assert_eq!(pages(&files, &key(), now()), None);
        // Claims that a kill left while lines were dropped go as well.
        let half = files.lines().with_extension("kept");
        fs::write(&half, "claims").unwrap();
        files.clear().unwrap();
        assert_eq!(pages(&files, &key(), now()), None);
        assert!(!half.exists());
    }

    #[test]
    fn a_journal_is_cut_only_when_there_is_something_new_to_note() {
        let dir = tempfile::tempdir().unwrap();
        let files = begun(dir.path(), true);
        let before = fs::read(files.journal()).unwrap();
        let mut left = Resume::<Read>::find(&files, &key(), now()).unwrap().unwrap();
        assert_eq!(fs::read(files.journal()).unwrap(), before);
        let (text, mut hash) = (fs::read_to_string(files.lines()).unwrap(), Sha256::new());
        hash.update(&text);
        let next = Some("/next?page=4".to_owned());
        left.journal.note((text.len() as u64, &hash), Repeats::default(), &Read { pages: 3, next }).unwrap();
        assert_eq!(pages(&files, &key(), now()), Some((3, 21)));
    }

    #[test]
    fn a_journal_of_another_search_or_file_starts_again() {
        let dir = tempfile::tempdir().unwrap();
        let files = begun(dir.path(), false);
        let other = SearchKey { page_size: 25, ..key() };
        assert_eq!(pages(&files, &other, now()), None);
        let next_night = "2026-11-24T12:00:00Z".parse().unwrap();
        assert_eq!(pages(&files, &key(), next_night), pages(&files, &key(), now()), "a timer that is two hours late");
        assert_eq!(pages(&files, &key(), "2026-11-25T10:00:01Z".parse().unwrap()), None);
        assert_eq!(pages(&files, &key(), "2026-11-23T09:59:59Z".parse().unwrap()), None, "a clock set back");
        // What a power cut has taken, or changed, is not there, and neither is what follows it.
        fs::write(files.lines(), "page 1\npage 2\npage").unwrap();
        assert_eq!(pages(&files, &key(), now()), Some((2, 14)));
        fs::write(files.lines(), "page 1\npage X\npage 3\n").unwrap();
        assert_eq!(pages(&files, &key(), now()), Some((1, 7)));
        fs::write(files.journal(), "garbage").unwrap();
        assert_eq!(pages(&files, &key(), now()), None);
    }

    #[test]
    fn a_truncated_entry_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let files = begun(dir.path(), false);
        let text = fs::read(files.journal()).unwrap();
        fs::write(files.journal(), &text[..text.len() - 9]).unwrap();
        assert_eq!(pages(&files, &key(), now()), Some((2, 14)));
        // And the journal goes on after the last whole one.
        assert_eq!(pages(&files, &key(), now()), Some((2, 14)));
    }
}
