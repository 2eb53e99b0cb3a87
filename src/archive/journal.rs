//! What an interrupted pull has left on the disk, and where the next run can continue.
//!
//! While a search is read, its lines go to `.bbdl/partial/<Resource>.ndjson`. After each page, an entry in the
//! journal beside it says how long that file is, its SHA-256 so far, and how far the search was read. The caller
//! decides the form of that checkpoint: it is stored as it is. Nothing here is synced, so after a power failure the
//! journal may name data that are lost. An entry counts only if the hash matches.

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

/// The directory of unfinished pulls, inside the archive.
pub(super) const PARTIAL: &str = ".bbdl/partial";

/// What a pull asked for. An interrupted pull continues only if all of it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchKey {
    /// The server, the API version and the patient.
    pub source: Source,
    /// The filters.
    pub query: Query,
    /// The lower time limit of an incremental pull.
    pub since: Option<Timestamp>,
    /// Resources per page.
    pub page_size: u32,
    /// Whether Bundles are kept.
    pub pages_kept: bool,
}

/// The field names in the file are those of version 0.1.0, so that its interrupted pulls can continue.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(rename = "question")]
    key: SearchKey,
    started: Timestamp,
}

/// A page that is completely in the file of lines.
#[derive(Clone, Serialize, Deserialize)]
struct JournalEntry<C> {
    bytes: u64,
    sha256: String,
    /// What came more than once. The file of lines does not show it.
    #[serde(rename = "repeated", default)]
    repeats: Repeats,
    #[serde(flatten)]
    checkpoint: C,
}

/// How far a search was read, as a journal stores it.
pub trait Progress: Clone + Serialize + DeserializeOwned {
    /// How many pages were read.
    fn pages(&self) -> usize;
    /// Whether there are more pages to read.
    fn has_next(&self) -> bool;
}

/// The files of an unfinished pull of one resource type.
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

    /// Removes what an earlier run has left.
    pub(super) fn clear(&self) -> Result<()> {
        // The last one is a temporary file for dropping lines. It then replaces the file of lines.
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
    /// How much of the journal is still valid when a pull continues. The rest is cut off only when there is a new
    /// entry: if the server fails now, the next run can still continue from here.
    cut: Option<u64>,
}

impl Journal {
    /// Starts a journal. `files` must be empty by now.
    pub(super) fn begin(files: &Files, key: &SearchKey, now: Timestamp) -> Result<Self> {
        let path = files.journal();
        let mut journal = Self { out: open(&path, true)?, path, cut: None };
        journal.write(&Head { key: key.clone(), started: now })?;
        Ok(journal)
    }

    /// Adds an entry for a page that is completely in the file.
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
        let written = serde_json::to_string(line).map_err(std::io::Error::from).and_then(|mut text| {
            text.push('\n');
            self.out.write_all(text.as_bytes())
        });
        written.map_err(|cause| Error::disk("write", &self.path, &cause))
    }
}

fn open(path: &Path, anew: bool) -> Result<File> {
    let opened = if anew { private_file::create(path) } else { private_file::open_to_append(path) };
    opened.map_err(|cause| Error::disk("open", path, &cause))
}

/// What an interrupted pull has left.
pub(super) struct Resume<C> {
    /// Where to continue.
    pub(super) checkpoint: C,
    /// When the pull began.
    pub(super) started: Timestamp,
    /// How long the file of lines is at that point.
    pub(super) bytes: u64,
    /// What had come more than once at that point.
    pub(super) repeats: Repeats,
    /// The journal. It is cut to that point when the next entry is written.
    pub(super) journal: Journal,
}

/// A search can be continued for this long. An older one may be far behind the server. 48 hours allows for a nightly
/// run that starts two hours late.
const LONGEST: SignedDuration = SignedDuration::from_hours(48);

impl<C: Progress> Resume<C> {
    /// What is left of the pull that asked for `key`; `None` if no page can be used.
    ///
    /// The pull continues from the newest page that is complete and names a next page. If the search had reached its
    /// end, its last page is read again, because the set may have grown since.
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
        // Only the last two are needed; a long pull has thousands.
        let mut newest = VecDeque::<(JournalEntry<C>, u64)>::new();
        let kept = files.lines();
        let Some(mut kept) = Kept::open(&kept)? else { return Ok(None) };
        while let Some(line) = next_whole(&mut lines) {
            end += line.len() as u64;
            let Ok(entry) = serde_json::from_slice::<JournalEntry<C>>(line) else {
                // Version 0.1.0 also wrote other entries than pages.
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
        // A damaged journal may contain such an end before its last entry.
        while newest.back().is_some_and(|(entry, _)| !entry.checkpoint.has_next()) {
            newest.pop_back();
        }
        let Some((entry, end)) = newest.pop_back() else { return Ok(None) };
        let journal = Journal { out: open(&path, false)?, path, cut: Some(end) };
        let JournalEntry { bytes, repeats, checkpoint, .. } = entry;
        Ok(Some(Self { checkpoint, started: head.started, bytes, repeats, journal }))
    }
}

/// The next line, with its line break. A last line without one was cut short and does not count. Nor does a line that
/// cannot be read. The search then continues from an earlier page.
fn next_whole<'a>(lines: &'a mut Lines<'_, File>) -> Option<&'a [u8]> {
    let (_, line) = lines.next().ok()??;
    line.ends_with(b"\n").then_some(line)
}

/// The file of lines, read as far as it matches the journal.
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

    /// Whether the file has at least this length, and this hash up to there.
    fn agrees_with(&mut self, bytes: u64, sha256: &str) -> Result<bool> {
        let Some(length) = bytes.checked_sub(self.at) else { return Ok(false) };
        let copied = digest(&mut (&mut self.file).take(length), &mut self.hash)
            .map_err(|cause| Error::disk("read", self.path, &cause))?;
        self.at += copied;
        Ok(copied == length && hex_digest(self.hash.clone()) == sha256)
    }
}

/// Hashes the rest of a file. Returns its length.
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

    /// A pull of three pages. Its file says which page each line is from.
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
        // If the end was reached, the last page is read again.
        let files = begun(dir.path(), true);
        assert_eq!(pages(&files, &key(), now()), Some((2, 14)));
        // The same if the journal has an end where none can be.
        let text = fs::read_to_string(files.journal()).unwrap();
        fs::write(files.journal(), text.replace("\"/next?page=3\"", "null")).unwrap();
        assert_eq!(pages(&files, &key(), now()), None);
        // If the process was killed while it dropped lines, the temporary file is removed too.
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
        // Data that a power failure lost or changed do not count, and neither does what follows them.
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
        // The journal continues after the last whole entry.
        assert_eq!(pages(&files, &key(), now()), Some((2, 14)));
    }
}
