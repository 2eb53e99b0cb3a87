//! A pull that was cut short: what of it is on the disk, and where it goes on.
//!
//! While a search is read, its lines are in `.bbdl/partial/<Resource>.ndjson`, and after each page a line
//! in the journal beside it says how long that file is, what its SHA-256 is up to there, and which link
//! the server named next; when all have come, up to where nothing lies between them. Nothing here is synced: the journal may promise what a power cut has taken,
//! and so nothing in it is believed before the hash agrees.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    ledger::Repeated,
    lines::hex,
    manifest::{Query, Source},
};
use crate::{
    error::{Error, Result},
    fhir::seam::Seam,
    private_file,
};

/// Where pulls under way are, below the archive.
pub(super) const PARTIAL: &str = ".bbdl/partial";

/// What a pull asked. What was begun goes on only where all of it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
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

/// How far a search was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Pages read.
    pub pages: usize,
    /// The link of the page that follows, as the server wrote it or as it was followed; none at the end.
    pub next: Option<String>,
    /// The server's total, where it names a true one.
    pub total: Option<u64>,
    /// The transaction time of the first page.
    pub cursor: Option<Timestamp>,
    /// Where pages meet: the newest page and the one before it; of a pull that goes on, all that have not been
    /// seen to hold.
    #[serde(default)]
    pub seams: Vec<Seam>,
    /// The id of the last resource of the newest page.
    #[serde(default)]
    pub last: Option<String>,
    /// Whether a page bore another date than the first one.
    #[serde(default)]
    pub moved: bool,
    /// The first page with resources that stand in no fixed order: which it is, and its link.
    #[serde(default)]
    pub unordered: Option<(usize, String)>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    question: Question,
    started: Timestamp,
}

#[derive(Clone, Serialize, Deserialize)]
struct Mark {
    bytes: u64,
    sha256: String,
    /// What had come more than once: the lines do not tell.
    #[serde(default)]
    repeated: Repeated,
    #[serde(flatten)]
    reached: Reached,
}

/// Between the pages before this place in the search nothing lies.
#[derive(Serialize, Deserialize)]
struct Held {
    held: u64,
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

    /// Where they are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
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

    /// Forgets the pull, the journal first: without it nothing is believed.
    pub(super) fn clear(&self) -> Result<()> {
        // The last is what lines are dropped into, before it takes the place of the others.
        for path in [self.journal(), self.lines(), self.changes(), self.lines().with_extension("kept")] {
            forgiving(fs::remove_file(&path), &path)?;
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
    cut: Option<Cut>,
}

/// What becomes of a journal with which a pull goes on, once there is something new to note: until then it stays as
/// it is, since a server may have nothing to say this time, and the next.
struct Cut {
    /// How much of it stays true.
    end: u64,
    /// Up to where of that the pages were seen to meet.
    held: Option<u64>,
}

impl Journal {
    /// Begins a journal; `files` are empty by now.
    pub(super) fn begin(files: &Files, question: &Question, now: Timestamp) -> Result<Self> {
        let path = files.journal();
        let head = Head { question: question.clone(), started: now };
        let mut journal = Self { out: open(&path, true)?, path, cut: None };
        journal.write(&head)?;
        Ok(journal)
    }

    /// Goes on with a journal.
    fn resume(files: &Files, cut: Cut) -> Result<Self> {
        let path = files.journal();
        Ok(Self { out: open(&path, false)?, path, cut: Some(cut) })
    }

    /// Notes a page that is wholly in the file.
    pub(super) fn mark(&mut self, bytes: u64, hash: &Sha256, repeated: Repeated, reached: &Reached) -> Result<()> {
        self.write(&Mark { bytes, sha256: hex(hash.clone()), repeated, reached: reached.clone() })
    }

    /// Notes up to which place nothing lies between the pages.
    pub(super) fn held(&mut self, held: u64) -> Result<()> {
        self.write(&Held { held })
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        if let Some(Cut { end, held }) = self.cut.take() {
            self.out.set_len(end).map_err(|cause| Error::disk("write", &self.path, &cause))?;
            if let Some(held) = held {
                self.held(held)?;
            }
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
pub(super) struct Left {
    /// How far it goes on from.
    pub(super) reached: Reached,
    /// How long the file of lines is at that point.
    pub(super) bytes: u64,
    /// What had come more than once by then.
    pub(super) repeated: Repeated,
    /// Where the file of lines ends that the page after that point had brought, if that page is there.
    pub(super) beyond: Option<u64>,
    /// The journal, cut to that point as soon as it goes on.
    pub(super) journal: Journal,
}

/// A search goes on for a day; what is older may be far behind the server.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

impl Left {
    /// What is left of the pull that asked `question`; `None` where there is nothing to go on with.
    ///
    /// The server's total tells whether the set is still the same. Where it names none, the last page
    /// that came has to be read again and compared, and it goes on from before that page.
    pub(super) fn find(files: &Files, question: &Question, now: Timestamp) -> Result<Option<Self>> {
        let path = files.journal();
        let journal = match private_file::open(&path) {
            Ok(file) => BufReader::new(file),
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::disk("read", &path, &cause)),
        };
        let mut lines = whole_lines(journal);
        let Some(first) = lines.next() else { return Ok(None) };
        let Ok(head) = serde_json::from_slice::<Head>(&first) else { return Ok(None) };
        let age = now.duration_since(head.started);
        if head.question != *question || age.is_negative() || age > LONGEST {
            return Ok(None);
        }
        let mut end = first.len() as u64;
        // No more than the last two are needed, and of the others where pages meet; of a long pull there are thousands.
        let (mut marks, mut seams) = (VecDeque::<(Mark, u64)>::new(), Vec::new());
        let path = files.lines();
        let mut kept = Kept::open(&path)?;
        let mut held = None;
        for line in lines {
            if let Ok(Held { held: at }) = serde_json::from_slice(&line) {
                held = held.max(Some(at));
                end += line.len() as u64;
                continue;
            }
            let Ok(mark) = serde_json::from_slice::<Mark>(&line) else { break };
            if !kept.as_mut().map_or(Ok(false), |kept| kept.agrees_with(&mark))? {
                break;
            }
            end += line.len() as u64;
            marks.push_back((mark, end));
            if marks.len() > 2 {
                seams.extend(marks.pop_front().into_iter().flat_map(|(mark, _)| mark.reached.seams));
            }
        }
        // An end that was reached is asked for again: what was true then may not be now.
        let ended = marks.back().is_some_and(|(mark, _)| mark.reached.next.is_none());
        let last = if ended { marks.pop_back().map(|(mark, _)| mark) } else { None };
        let beyond = match (marks.back(), last) {
            (Some((mark, _)), None) if mark.reached.total.is_none() => marks.pop_back().map(|(mark, _)| mark.bytes),
            (Some((mark, _)), Some(last)) if mark.reached.total.is_none() => Some(last.bytes),
            _ => None,
        };
        let Some((mark, end)) = marks.pop_back() else { return Ok(None) };
        seams.extend(marks.into_iter().flat_map(|(mark, _)| mark.reached.seams).chain(mark.reached.seams));
        // What was seen of pages that are read again counts for them no more.
        let held = seams.iter().map(|seam: &Seam| seam.at).filter(|at| Some(*at) <= held).max();
        seams.retain(|seam| Some(seam.at) > held);
        let reached = Reached { seams, ..mark.reached };
        let journal = Journal::resume(files, Cut { end, held })?;
        Ok(Some(Self { reached, bytes: mark.bytes, repeated: mark.repeated, beyond, journal }))
    }
}

/// Lines with their line breaks; one that was cut short has none, and is none.
fn whole_lines(mut journal: impl BufRead) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        journal.read_until(b'\n', &mut line).ok()?;
        line.ends_with(b"\n").then_some(line)
    })
}

/// The file of lines, read as far as marks agree with it.
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

    /// Whether the file agrees with the next mark.
    fn agrees_with(&mut self, mark: &Mark) -> Result<bool> {
        let Some(length) = mark.bytes.checked_sub(self.at) else { return Ok(false) };
        let copied = digest(&mut (&mut self.file).take(length), &mut self.hash)
            .map_err(|cause| Error::disk("read", self.path, &cause))?;
        self.at += copied;
        Ok(copied == length && hex(self.hash.clone()) == mark.sha256)
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
    use crate::durable;

    fn question() -> Question {
        Question {
            source: Source {
                server: "https://x.example".parse().unwrap(),
                api: crate::api::server::ApiVersion::V2,
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
    fn begun(dir: &Path, total: Option<u64>, ended: bool) -> Files {
        let files = Files::of(dir, "ExplanationOfBenefit");
        files.clear().unwrap();
        durable::create_private_dir(&dir.join(PARTIAL)).unwrap();
        let mut journal = Journal::begin(&files, &question(), now()).unwrap();
        let (mut text, mut hash) = (String::new(), Sha256::new());
        for page in 1..=3 {
            let line = format!("page {page}\n");
            hash.update(&line);
            text += &line;
            let next = (page < 3 || !ended).then(|| format!("/next?page={}", page + 1));
            let (before, after) = (format!("-{page}"), format!("-{}", page + 1));
            let seam = Seam::between(&before, Some(&after), 50 * page as u64, 50);
            let (seams, last) = (vec![seam], Some(format!("-{page}")));
            let reached =
                Reached { pages: page, next, total, cursor: None, seams, last, moved: false, unordered: None };
            journal.mark(text.len() as u64, &hash, Repeated::default(), &reached).unwrap();
        }
        fs::write(files.lines(), text).unwrap();
        files
    }

    fn pages(files: &Files, asked: &Question, at: Timestamp) -> Option<(usize, u64, Option<u64>)> {
        Left::find(files, asked, at).unwrap().map(|left| (left.reached.pages, left.bytes, left.beyond))
    }

    #[test]
    fn a_pull_goes_on_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let files = begun(dir.path(), Some(200), false);
        assert_eq!(pages(&files, &question(), now()), Some((3, 21, None)));
        // Where no total tells whether the set is the same, the last page is read again; so is an end.
        assert_eq!(pages(&begun(dir.path(), None, false), &question(), now()), Some((2, 14, Some(21))));
        assert_eq!(pages(&begun(dir.path(), Some(150), true), &question(), now()), Some((2, 14, None)));
        assert_eq!(pages(&begun(dir.path(), None, true), &question(), now()), Some((2, 14, Some(21))));
        // Claims that a kill left while lines were dropped go as well.
        let half = files.lines().with_extension("kept");
        fs::write(&half, "claims").unwrap();
        files.clear().unwrap();
        assert_eq!(pages(&files, &question(), now()), None);
        assert!(!half.exists());
    }

    #[test]
    fn where_pages_were_seen_to_meet_nobody_looks_again() {
        let dir = tempfile::tempdir().unwrap();
        let files = begun(dir.path(), Some(200), true);
        let places = |files: &Files| {
            let left = Left::find(files, &question(), now()).unwrap().unwrap();
            left.reached.seams.iter().map(|seam| seam.at).collect::<Vec<_>>()
        };
        assert_eq!(places(&files), [50, 100]);
        let files = begun(dir.path(), Some(200), true);
        let path = files.journal();
        Journal { out: open(&path, false).unwrap(), path, cut: None }.held(150).unwrap();
        // Of two pages the third is read again: where it meets the others has not been looked at then.
        assert!(places(&files).is_empty());
        // As long as nothing comes, nothing is noted.
        assert!(places(&files).is_empty());
        let Left { mut journal, .. } = Left::find(&files, &question(), now()).unwrap().unwrap();
        let (text, mut hash) = (fs::read_to_string(files.lines()).unwrap(), Sha256::new());
        hash.update(&text);
        let seams = vec![Seam::between("-2", Some("-4"), 150, 50)];
        let (next, last) = (Some("/next?page=4".to_owned()), Some("-4".to_owned()));
        let reached =
            Reached { pages: 3, next, total: Some(200), cursor: None, seams, last, moved: true, unordered: None };
        let repeated = Repeated { number: 2, which: u64::MAX, is_unordered: true };
        journal.mark(text.len() as u64, &hash, repeated, &reached).unwrap();
        assert_eq!(places(&files), [150]);
        let left = Left::find(&files, &question(), now()).unwrap().unwrap();
        assert!(left.reached.moved && left.repeated == repeated);
    }

    #[test]
    fn another_question_another_day_and_another_file_are_a_new_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let files = begun(dir.path(), Some(200), false);
        let other = Question { page_size: 25, ..question() };
        assert_eq!(pages(&files, &other, now()), None);
        assert_eq!(pages(&files, &question(), "2026-11-24T10:00:01Z".parse().unwrap()), None);
        assert_eq!(pages(&files, &question(), "2026-11-23T09:59:59Z".parse().unwrap()), None, "a clock set back");
        // What a power cut has taken, or changed, is not there, and neither is what follows it.
        fs::write(files.lines(), "page 1\npage 2\npage").unwrap();
        assert_eq!(pages(&files, &question(), now()), Some((2, 14, None)));
        fs::write(files.lines(), "page 1\npage X\npage 3\n").unwrap();
        assert_eq!(pages(&files, &question(), now()), Some((1, 7, None)));
        fs::write(files.journal(), "garbage").unwrap();
        assert_eq!(pages(&files, &question(), now()), None);
    }

    #[test]
    fn a_mark_cut_in_half_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = begun(dir.path(), Some(200), false);
        let text = fs::read(files.journal()).unwrap();
        fs::write(files.journal(), &text[..text.len() - 9]).unwrap();
        let left = Left::find(&files, &question(), now()).unwrap().unwrap();
        assert_eq!(left.reached.pages, 2);
        // And the journal goes on after the last whole one.
        drop(left);
        assert_eq!(pages(&files, &question(), now()), Some((2, 14, None)));
    }
}
