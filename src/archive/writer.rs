//! A pull's resources coming to rest: one a line, each once, counted and hashed as they go, with a journal
//! from which a later run can go on.

use std::{
    borrow::Cow,
    collections::HashSet,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    catalog::Record,
    changes::Changes,
    index::{Before, damaged, each_line_of},
    key::{Fingerprint, IdKey, key},
    ledger::{Entered, Expected, Known, Ledger, Repeated, Tally, Verdict, Written},
    lines::{BUFFER, create, drop_lines, hex, sync},
    partial::{Files, Journal, Left, Question, Reached},
};
use crate::{
    durable,
    error::{Error, Result},
    fhir::{
        bundle::Bundle,
        resource::{Header, ResourceError, line},
    },
    private_file,
};

/// A resource file being written.
pub struct Writer {
    files: Files,
    journal: Journal,
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    ledger: Ledger,
    superseded: HashSet<u64>,
    changes: Changes,
    pages_kept: bool,
    /// Of a pull that goes on, how much of the file of lines stays, and how many Bundles, as soon as a page comes.
    cut: Option<(u64, usize)>,
    again: Option<Again>,
}

/// A page that came before the pull was cut short, and comes again to show that the set is the same.
struct Again {
    index: usize,
    brought: Vec<(IdKey, Fingerprint)>,
}

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the file.
    Kept,
    /// It came before, in other words: the pages of before do not fit what the server has now.
    Shifted,
}

/// A finished resource file: synced, not yet in place.
pub struct Finished {
    /// What it holds.
    pub tally: Tally,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Whether a file of changed and added resources was written.
    pub has_changes: bool,
    /// The Patient id they are all of, where any of them said so.
    pub patient: Option<String>,
    /// Every resource it holds, and those that a later page has replaced.
    pub(super) written: Written,
    superseded: HashSet<u64>,
    /// Whether all that was kept before has come again.
    pub(super) has_all_of_before: bool,
}

impl Finished {
    /// What it holds, for a catalog.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<Record>> {
        let rows = self.written.rows().iter().zip(0..).filter(|(_, line)| !self.superseded.contains(line));
        rows.map(|(row, _)| {
            let Known { key, fingerprint, last_updated, .. } = Known::from_row(&row?);
            Ok(Record { key, fingerprint, last_updated })
        })
    }
}

impl Writer {
    /// Begins the file of the resource type that `expected` names, as an answer to `question`. What was
    /// under way of it is forgotten.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn begin(
        files: Files,
        question: &Question,
        expected: Expected,
        before: Before,
        now: Timestamp,
    ) -> Result<Self> {
        files.clear()?;
        let out = create(&files.lines())?;
        if question.pages_kept {
            let pages = files.pages();
            durable::create_private_dir(&pages).map_err(|cause| Error::disk("create", &pages, &cause))?;
        }
        let journal = Journal::begin(&files, question, now)?;
        Ok(Self::new(files, journal, out, expected, before, question.pages_kept))
    }

    fn new(
        files: Files,
        journal: Journal,
        out: BufWriter<File>,
        expected: Expected,
        before: Before,
        pages_kept: bool,
    ) -> Self {
        let changes = Changes::new(files.changes(), !before.is_first());
        let ledger = Ledger::on_disk(expected, before, files.dir());
        Self {
            files,
            journal,
            out,
            hash: Sha256::new(),
            bytes: 0,
            ledger,
            superseded: HashSet::new(),
            changes,
            pages_kept,
            cut: None,
            again: None,
        }
    }

    /// Goes on with what an earlier run has left of the same question; `None` where there is nothing, and then
    /// `before` is not asked for, which may have gigabytes to read.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`], and [`crate::error::Exit::Data`] for lines that do not belong here.
    pub(super) fn resume(
        files: Files,
        question: &Question,
        expected: Expected,
        before: impl FnOnce() -> Result<Before>,
        now: Timestamp,
    ) -> Result<Option<(Self, Reached)>> {
        let Some(Left { reached, bytes, repeated, beyond, journal }) = Left::find(&files, question, now)? else {
            return Ok(None);
        };
        if question.pages_kept && !have_pages(&files.pages(), reached.pages) {
            return Ok(None);
        }
        let path = files.lines();
        let wrong = |cause: io::Error| Error::disk("open", &path, &cause);
        let again = match beyond {
            Some(beyond) => Some(Again { index: reached.pages, brought: brought(&path, bytes, beyond)? }),
            None => None,
        };
        let file = private_file::open_to_append(&path).map_err(wrong)?;
        let out = BufWriter::with_capacity(BUFFER, file);
        let mut writer = Self::new(files, journal, out, expected, before()?, question.pages_kept);
        let kept = BufReader::with_capacity(BUFFER, private_file::open(&path).map_err(wrong)?.take(bytes));
        each_line_of(kept, &path, |number, line| {
            let line = line.ok_or_else(|| damaged(&path, number, "not UTF-8"))?;
            let Some(entered) = writer.ledger.enter(line)? else { return Ok(()) };
            writer.count(line, &entered)
        })?;
        // Of what came again there is no line, and of what was replaced the older one is counted once more.
        writer.ledger.repeated = repeated;
        (writer.cut, writer.again) = (Some((bytes, reached.pages)), again);
        Ok(Some((writer, reached)))
    }

    /// Takes in a page: its resources, and the Bundle itself where pages are kept.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] for a resource that does not belong here, [`crate::error::Exit::Disk`].
    pub fn page(&mut self, index: usize, bundle: &Bundle) -> Result<Taken> {
        self.go_on()?;
        let again = self.again.take().filter(|again| again.index == index);
        let mut brought = Vec::new();
        for (text, header) in bundle.entries() {
            let entered = self.resource(text, header)?;
            brought.extend(entered.filter(|_| again.is_some()).map(|entered| (entered.key, entered.fingerprint)));
        }
        if again.is_some_and(|again| again.brought != brought) {
            return Ok(Taken::Shifted);
        }
        if self.pages_kept {
            let path = self.files.pages().join(page_name(index));
            let mut out = create(&path)?;
            out.write_all(bundle.text().as_bytes()).map_err(|cause| Error::disk("write", &path, &cause))?;
            sync(out, &path)?;
        }
        Ok(Taken::Kept)
    }

    /// Leaves out what is beyond the place from which the pull goes on. Not before a page has come: from a server
    /// that has nothing to say, a pull would lose a page at each try.
    fn go_on(&mut self) -> Result<()> {
        let Some((bytes, pages)) = self.cut.take() else { return Ok(()) };
        let path = self.files.lines();
        self.out.get_ref().set_len(bytes).map_err(|cause| Error::disk("write", &path, &cause))?;
        if self.pages_kept {
            let dir = self.files.pages();
            let beyond = (pages..).map(|index| dir.join(page_name(index))).take_while(|path| path.exists());
            for path in beyond {
                fs::remove_file(&path).map_err(|cause| Error::disk("clear", &path, &cause))?;
            }
        }
        Ok(())
    }

    /// Notes that everything up to here is in the file, and where the search goes on.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn reached(&mut self, reached: &Reached) -> Result<()> {
        self.out.flush().map_err(|cause| Error::disk("write", &self.files.lines(), &cause))?;
        self.journal.mark(self.bytes, &self.hash, self.ledger.repeated, reached)
    }

    /// Notes that up to this place in the search nothing lies between the pages.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn seams_hold(&mut self, at: u64) -> Result<()> {
        self.journal.held(at)
    }

    fn resource(&mut self, text: &str, header: &std::result::Result<Header, ResourceError>) -> Result<Option<Entered>> {
        let line = line(text);
        let entered = match &line {
            Cow::Borrowed(line) => self.ledger.enter_with(header, line)?,
            // What is compared is the line, since the line is what was kept before.
            Cow::Owned(line) => self.ledger.enter(line)?,
        };
        let Some(entered) = entered else { return Ok(None) };
        self.out
            .write_all(line.as_bytes())
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(|cause| Error::disk("write", &self.files.lines(), &cause))?;
        self.count(&line, &entered)?;
        Ok(Some(entered))
    }

    /// Reckons with a line that is in the file.
    fn count(&mut self, line: &str, entered: &Entered) -> Result<()> {
        if let Some(earlier) = entered.replaces {
            self.superseded.insert(earlier.line);
            self.changes.superseded.extend(earlier.change);
        }
        for part in [line.as_bytes(), b"\n"] {
            self.hash.update(part);
            self.bytes += part.len() as u64;
        }
        if entered.verdict == Verdict::Unchanged { Ok(()) } else { self.changes.push(line) }
    }

    /// Resources kept so far.
    #[must_use]
    pub fn distinct(&self) -> u64 {
        self.ledger.tally.count
    }

    /// The resources that came again.
    #[must_use]
    pub fn repeated(&self) -> Repeated {
        self.ledger.repeated
    }

    /// Whether a resource is here, in this version or a newer one.
    #[must_use]
    pub fn has(&self, resource: &str) -> bool {
        self.ledger.has(resource)
    }

    /// Ends the file: everything is on the disk when this returns.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn finish(mut self) -> Result<Finished> {
        self.go_on()?;
        let path = self.files.lines();
        sync(self.out, &path)?;
        if !self.superseded.is_empty() {
            (self.bytes, self.hash) = drop_lines(&path, &self.superseded)?;
        }
        let has_changes = self.changes.finish()?;
        if self.pages_kept {
            let pages = self.files.pages();
            durable::sync_dir(&pages).map_err(|cause| Error::disk("sync", &pages, &cause))?;
        }
        Ok(Finished {
            has_all_of_before: self.ledger.has_all_of_before(),
            superseded: self.superseded,
            patient: self.ledger.expected.patient,
            tally: self.ledger.tally,
            bytes: self.bytes,
            sha256: hex(self.hash),
            has_changes,
            written: self.ledger.written,
        })
    }
}

/// The name of the file that keeps the Bundle of a page, `index` from 0.
pub(super) fn page_name(index: usize) -> String {
    format!("{:04}.json", index + 1)
}

/// Whether the Bundles of the first `number` pages are there.
fn have_pages(dir: &Path, number: usize) -> bool {
    (0..number).all(|index| dir.join(page_name(index)).exists())
}

/// What the lines between two places of a file are.
fn brought(path: &Path, from: u64, to: u64) -> Result<Vec<(IdKey, Fingerprint)>> {
    let wrong = |cause: io::Error| Error::disk("read", path, &cause);
    let mut file = private_file::open(path).map_err(wrong)?;
    file.seek(SeekFrom::Start(from)).map_err(wrong)?;
    let mut text = String::new();
    file.take(to.saturating_sub(from)).read_to_string(&mut text).map_err(wrong)?;
    let headers = text.lines().filter_map(|line| Some((line, Header::read(line).ok()?)));
    Ok(headers.map(|(line, header)| (key(&header.id), header.fingerprint(line))).collect())
}

#[cfg(test)]
mod tests;
