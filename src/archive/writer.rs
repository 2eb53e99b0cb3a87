//! Writes the resources of a pull to their file: one per line, each once, counted and hashed on the way, with a
//! journal from which a later run can continue.

use std::{
    borrow::Cow,
    collections::HashSet,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    changes::Changes,
    dedup::{Dedup, Entered, Expected, News, Seen, SeenResource, Tally, Verdict},
    id_index::IndexRow,
    journal::{Files, Journal, Progress, Resume, SearchKey},
    lines::{BUFFER, Lines, create, damaged, drop_lines, each_line_of, flush, hex_digest, sync},
    previous_ids::PreviousIds,
};
use crate::{
    error::{Error, Result},
    fhir::{
        bundle::Bundle,
        resource::{Header, ResourceError, line},
    },
    files::{durable, private_dir, private_file},
};

/// A resource file being written.
pub struct Writer {
    files: Files,
    journal: Journal,
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    dedup: Dedup,
    superseded: HashSet<u64>,
    changes: Changes,
    pages_kept: bool,
    /// Bundles kept so far.
    pages: usize,
    /// When an interrupted pull continues: how much of the file of lines stays, and how many Bundles. Cut when a page
    /// comes.
    cut: Option<(u64, usize)>,
}

/// What a pull writes down of one resource type.
struct Notebook {
    files: Files,
    journal: Journal,
    /// The file of lines.
    out: BufWriter<File>,
}

/// What an earlier run has left, and how far it got.
pub struct Resumed<C> {
    /// The writer that continues the file.
    pub writer: Writer,
    /// How far the search was read.
    pub checkpoint: C,
    /// When the pull began.
    pub started: Timestamp,
}

/// Whether to keep the Bundle of a page, if the pull keeps Bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepBundle {
    /// It is a page of the search itself.
    Always,
    /// It was an extra request. Keep it only if it has something new.
    IfNew,
}

/// A finished resource file, not yet synced or put in place.
pub struct Finished {
    /// What it holds.
    pub tally: Tally,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Whether a file of changed and added resources was written.
    pub has_changes: bool,
    /// The Patient id of all its resources, if any of them has one.
    pub patient: Option<String>,
    /// Every resource it holds.
    pub(super) seen: Seen,
    /// Whether all that was kept before has come again.
    pub(super) has_all_of_before: bool,
}

impl Finished {
    /// Its records for a catalog.
    pub(super) fn records(&self) -> impl Iterator<Item = IndexRow> {
        let record = |(id, seen): (&_, &SeenResource)| IndexRow {
            id: *id,
            fingerprint: seen.fingerprint,
            last_updated: seen.last_updated,
        };
        self.seen.iter().map(record)
    }
}

impl Writer {
    /// Starts the file of the resource type that `expected` names, as an answer to `key`. Discards an unfinished file
    /// of it.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn begin(files: Files, key: &SearchKey, expected: Expected, before: PreviousIds) -> Result<Self> {
        files.clear()?;
        let out = create(&files.lines())?;
        if key.pages_kept {
            let pages = files.pages();
            private_dir::create(&pages).map_err(|cause| Error::disk("create", &pages, &cause))?;
        }
        let journal = Journal::begin(&files, key, Timestamp::now())?;
        Ok(Self::new(Notebook { files, journal, out }, expected, before, key.pages_kept))
    }

    fn new(notebook: Notebook, expected: Expected, before: PreviousIds, pages_kept: bool) -> Self {
        let Notebook { files, journal, out } = notebook;
        let changes = Changes::new(files.changes(), !before.is_first());
        Self {
            files,
            journal,
            out,
            hash: Sha256::new(),
            bytes: 0,
            dedup: Dedup::new(expected, before),
            superseded: HashSet::new(),
            changes,
            pages_kept,
            pages: 0,
            cut: None,
        }
    }

    /// Continues what an earlier run has left of the same search. Returns `None` if there is nothing; then `before`
    /// is not called, because it may have to read gigabytes.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`], and [`crate::error::Exit::Data`] for lines that do not belong here.
    pub(super) fn resume<C: Progress>(
        files: Files,
        key: &SearchKey,
        expected: Expected,
        before: impl FnOnce() -> Result<PreviousIds>,
    ) -> Result<Option<Resumed<C>>> {
        let Some(left) = Resume::<C>::find(&files, key, Timestamp::now())? else { return Ok(None) };
        let Resume { checkpoint, started, bytes, repeats, journal } = left;
        if key.pages_kept && !have_pages(&files.pages(), checkpoint.pages()) {
            return Ok(None);
        }
        let path = files.lines();
        let wrong = |cause: io::Error| Error::disk("open", &path, &cause);
        let file = private_file::open_to_append(&path).map_err(wrong)?;
        let out = BufWriter::with_capacity(BUFFER, file);
        let mut writer = Self::new(Notebook { files, journal, out }, expected, before()?, key.pages_kept);
        let kept = Lines::of(private_file::open(&path).map_err(wrong)?.take(bytes), &path);
        each_line_of(kept, |number, line| {
            let line = line.ok_or_else(|| damaged(&path, number, "not UTF-8"))?;
            let Some(entered) = writer.dedup.enter(&Header::read(line), line, true)? else { return Ok(()) };
            writer.count(line, &entered)
        })?;
        // The file has no lines for repeats, so they come from the journal.
        writer.dedup.repeats = repeats;
        writer.pages = checkpoint.pages();
        writer.cut = Some((bytes, checkpoint.pages()));
        Ok(Some(Resumed { writer, checkpoint, started }))
    }

    /// Takes in a page: its resources, and the Bundle itself if the pull keeps Bundles. `may_repeat` says for which
    /// ids a repeat is normal.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] for a resource that does not belong here, [`crate::error::Exit::Disk`].
    pub fn page(&mut self, bundle: &Bundle, keep: KeepBundle, may_repeat: impl Fn(&str) -> bool) -> Result<News> {
        self.go_on()?;
        let mut news = News::default();
        for (text, header) in bundle.entries() {
            let may_repeat = header.as_ref().is_ok_and(|header| may_repeat(&header.id));
            if let Some(entered) = self.resource(text, header, may_repeat)? {
                news.count(entered.replaces.is_some());
            }
        }
        if self.pages_kept && (keep == KeepBundle::Always || news != News::default()) {
            let path = self.files.pages().join(page_name(self.pages));
            self.pages += 1;
            let mut out = create(&path)?;
            out.write_all(bundle.text().as_bytes()).map_err(|cause| Error::disk("write", &path, &cause))?;
            sync(out, &path)?;
        }
        Ok(news)
    }

    /// Cuts off what is after the point where the pull continues. Waits for the first new page: otherwise a pull
    /// would lose one more page at each run while the server fails.
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

    /// Notes that everything so far is in the file, and how far the search was read.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn reached(&mut self, checkpoint: &impl Progress) -> Result<()> {
        self.out.flush().map_err(|cause| Error::disk("write", &self.files.lines(), &cause))?;
        self.journal.note((self.bytes, &self.hash), self.dedup.repeats, checkpoint)
    }

    fn resource(
        &mut self,
        text: &str,
        header: &std::result::Result<Header, ResourceError>,
        may_repeat: bool,
    ) -> Result<Option<Entered>> {
        let line = line(text);
        let entered = match &line {
            Cow::Borrowed(line) => self.dedup.enter(header, line, may_repeat)?,
            // Compares the rewritten line, because that is what an earlier pull kept.
            Cow::Owned(line) => self.dedup.enter(&Header::read(line), line, may_repeat)?,
        };
        let Some(entered) = entered else { return Ok(None) };
        self.out
            .write_all(line.as_bytes())
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(|cause| Error::disk("write", &self.files.lines(), &cause))?;
        self.count(&line, &entered)?;
        Ok(Some(entered))
    }

    /// Adds a line that is in the file to size, hash and counts.
    fn count(&mut self, line: &str, entered: &Entered) -> Result<()> {
        if let Some(earlier) = entered.replaces {
            self.superseded.insert(earlier.line);
            self.changes.superseded.extend(earlier.change);
        }
        for part in [line.as_bytes(), b"\n"] {
            self.hash.update(part);
            self.bytes += part.len() as u64;
        }
        if entered.verdict == Verdict::Unchanged { Ok(()) } else { self.changes.push(line.as_bytes()) }
    }

    /// What has come so far.
    #[must_use]
    pub fn dedup(&self) -> &Dedup {
        &self.dedup
    }

    /// Finishes the file. The caller has to sync it before it puts it in place.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub(super) fn finish(mut self) -> Result<Finished> {
        self.go_on()?;
        let path = self.files.lines();
        // The caller syncs it, if it is to stay.
        flush(self.out, &path)?;
        if !self.superseded.is_empty() {
            (self.bytes, self.hash) = drop_lines(&path, &self.superseded)?;
        }
        let has_changes = self.changes.finish()?;
        if self.pages_kept {
            let pages = self.files.pages();
            durable::sync_dir(&pages).map_err(|cause| Error::disk("sync", &pages, &cause))?;
        }
        Ok(Finished {
            has_all_of_before: self.dedup.has_all_of_before(),
            patient: self.dedup.expected.patient,
            tally: self.dedup.tally,
            bytes: self.bytes,
            sha256: hex_digest(self.hash),
            has_changes,
            seen: self.dedup.seen,
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

#[cfg(test)]
mod tests;
