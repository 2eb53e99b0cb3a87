//! A pull as a transaction: it is begun, written to, and then committed or dropped.

use std::{
    io::{BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    Archive,
    changes::write_removed,
    commit::{Commit, PAGES, STAGE},
    dedup::Expected,
    id_index::{self, ID_INDEXES, IndexedFile},
    journal::{Files, Progress, SearchKey, digest},
    lines::{create, hex_digest, not_as_it_was, sync, sync_file},
    manifest::{self, Entry, Manifest, Mode, PullRow, Query, Source},
    merge::{Merge, Merged},
    previous_ids::PreviousIds,
    pull_history,
    writer::{Finished, Resumed, Writer, page_name},
};
use crate::{
    archive::document::says_the_same,
    error::{Error, Result},
    files::{durable, private_file},
};

/// What the caller knows about a resource type that it has pulled.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The resource type.
    pub resource: &'static str,
    /// How it was pulled.
    pub mode: Mode,
    /// The filters.
    pub query: Query,
    /// The archive has all that the server had loaded by this time.
    pub cursor: Option<Timestamp>,
    /// Whether the next pull has to ask for the same again, because this one may not have everything.
    pub cursor_stays: bool,
    /// The server's clock when it answered, if it said so. Nothing can have been loaded later than that, whatever
    /// date a resource bears.
    pub clock: Option<Timestamp>,
    /// How many resources the server counted.
    pub server_total: Option<u64>,
    /// When it began.
    pub started: Timestamp,
    /// Requests made.
    pub requests: u64,
    /// Bytes received.
    pub received: u64,
}

/// A pull being written. Dropped without [`Pull::commit`], it leaves the archive as it was.
pub struct Pull {
    archive: Archive,
    id: String,
    manifest: Manifest,
    commit: Commit,
    rows: usize,
    searched: Vec<&'static str>,
    repairs: bool,
    /// Whether the commit could sync directories to the disk.
    syncs: bool,
}

impl Pulled {
    /// The load date, limited to the time of the server's clock.
    fn believed(&self, loaded: Option<Timestamp>) -> Option<Timestamp> {
        loaded.map(|loaded| self.clock.map_or(loaded, |clock| loaded.min(clock)))
    }
}

impl Pull {
    /// Begins a pull into `archive`. With `repairs`, it does not trust what the archive has.
    #[must_use]
    pub fn begin(archive: Archive, source: Source, repairs: bool, now: Timestamp) -> Self {
        let id = Manifest::next_pull_id(archive.manifest(), now);
        let mut manifest = archive.manifest().cloned().unwrap_or_else(|| Manifest::new(source.clone()));
        manifest.source.patient = manifest.source.patient.or(source.patient);
        Self { archive, id, manifest, commit: Commit::default(), rows: 0, searched: Vec::new(), repairs, syncs: true }
    }

    /// What the archive has of a resource type before this pull.
    #[must_use]
    pub fn kept(&self, resource: &str) -> Option<&Entry> {
        self.archive.manifest().and_then(|manifest| manifest.resources.get(resource))
    }

    /// The Patient id of this archive, as far as it is known by now.
    #[must_use]
    pub fn patient(&self) -> Option<&str> {
        self.manifest.source.patient.as_deref()
    }

    /// Records the Patient id of the log-in. The server may say it only when it renews the token, in the middle of a
    /// pull.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] if the archive belongs to another person. Then nothing of this pull may be
    /// committed.
    pub fn belongs_to(&mut self, patient: Option<String>) -> Result<()> {
        match (&self.manifest.source.patient, patient) {
            (Some(kept), Some(said)) if *kept != said => Err(super::other_enrollee(self.archive.dir())),
            (None, Some(said)) => {
                self.manifest.source.patient = Some(said);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether the archive also has the Bundles of this resource type.
    #[must_use]
    pub fn has_pages(&self, resource: &str) -> bool {
        self.pages_of(resource).join(page_name(0)).exists()
    }

    fn pages_of(&self, resource: &str) -> PathBuf {
        self.archive.dir().join(PAGES).join(resource)
    }

    fn staged(&self, name: &str) -> PathBuf {
        self.archive.dir().join(STAGE).join(name)
    }

    fn file(resource: &str) -> String {
        format!("{resource}.ndjson")
    }

    fn catalog(resource: &str) -> PathBuf {
        Path::new(ID_INDEXES).join(resource)
    }

    fn files(&self, resource: &'static str) -> Files {
        Files::of(self.archive.dir(), resource)
    }

    /// The old resources that the answer to `key` is compared with. It is empty for an increment, which is
    /// compared when it is merged.
    fn before(&self, resource: &str, key: &SearchKey) -> Result<PreviousIds> {
        let dir = self.archive.dir();
        match self.kept(resource) {
            Some(entry) if key.since.is_none() && !self.repairs => PreviousIds::read(&dir.join(&entry.file)),
            Some(entry) if key.since.is_none() => PreviousIds::salvage(&dir.join(&entry.file)),
            _ => Ok(PreviousIds::nothing()),
        }
    }

    /// Starts the file of a resource type, or starts it again from the beginning.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`], or [`crate::error::Exit::Data`] if the old file is damaged.
    pub fn writer(&self, expected: Expected, key: &SearchKey) -> Result<Writer> {
        let before = self.before(expected.kind, key)?;
        Writer::begin(self.files(expected.kind), key, expected, before)
    }

    /// Discards what was read of a resource type, because its pages do not fit together.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn forget(&self, resource: &'static str) -> Result<()> {
        self.files(resource).clear()
    }

    /// Continues the file of a resource type that an earlier run began, if that run asked for the same not long ago.
    /// Returns how far it got.
    ///
    /// # Errors
    /// The errors of [`Pull::writer`].
    pub fn resume<C: Progress>(&self, expected: Expected, key: &SearchKey) -> Result<Option<Resumed<C>>> {
        let kind = expected.kind;
        Writer::resume(self.files(kind), key, expected, || self.before(kind, key))
    }

    /// Adds a finished resource file to what the commit will put in place. The file of a full pull is used as it is;
    /// that of an incremental pull is merged into the old file. If nothing changed, the old file stays.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`], or [`crate::error::Exit::Data`] if the old file is damaged.
    pub fn add(&mut self, writer: Writer, pulled: Pulled) -> Result<&PullRow> {
        let finished = writer.finish()?;
        self.searched.push(pulled.resource);
        self.manifest.source.patient = self.manifest.source.patient.take().or(finished.patient.clone());
        match self.kept(pulled.resource).cloned() {
            Some(kept) if pulled.mode == Mode::Incremental => self.add_increment(&finished, &kept, &pulled),
            _ => self.add_whole(&finished, &pulled),
        }
    }

    fn add_whole(&mut self, finished: &Finished, pulled: &Pulled) -> Result<&PullRow> {
        let resource = pulled.resource;
        let (file, files) = (Self::file(resource), self.files(resource));
        let removed = self.staged(&format!("removed.{resource}"));
        let gone = match self.kept(resource) {
            Some(kept) if !finished.has_all_of_before => {
                write_removed(&self.archive.dir().join(&kept.file), &finished.seen, &removed)?
            }
            _ => 0,
        };
        let tally = &finished.tally;
        let nothing_new = tally.added + tally.updated + gone == 0;
        let kept = self.kept(resource).filter(|kept| nothing_new && kept.count == tally.count).cloned();
        let same = match kept {
            // A damaged file is replaced even if its ids are the same.
            Some(kept) if !is_intact(&self.archive.dir().join(&kept.file), &kept)? => None,
            kept => kept,
        };
        let changes = finished.has_changes.then(|| self.changes_of(resource));
        let (lines, kept_at) = (files.lines(), self.archive.dir().join(&file));
        let of = match &same {
            Some(kept) => IndexedFile { path: &kept_at, bytes: kept.bytes, sha256: &kept.sha256 },
            None => IndexedFile { path: &lines, bytes: finished.bytes, sha256: &finished.sha256 },
        };
        let catalog = self.staged(&format!("catalog.{resource}"));
        id_index::write(&catalog, &of, finished.records())?;
        self.move_in(&catalog, Self::catalog(resource));
        if same.is_none() {
            sync_file(&lines)?;
            self.move_in(&lines, &file);
        }
        if let Some(changes) = &changes {
            self.move_in(&files.changes(), changes);
        }
        if gone > 0 {
            self.move_in(&removed, format!("changes/{}.{resource}.removed.ndjson", self.id));
        }
        let pages = Path::new(PAGES).join(resource);
        if files.pages().exists() {
            self.move_in(&files.pages(), &pages);
        } else if same.is_none() {
            // The Bundles of an earlier pull no longer match the file.
            self.commit.remove(pages);
        }
        let fresh = Entry {
            file,
            count: tally.count,
            bytes: finished.bytes,
            sha256: finished.sha256.clone(),
            query: pulled.query.clone(),
            // An empty answer may hide an outage, so the next pull asks for everything again. The same if this full
            // pull may lack something: only another full pull finds out what.
            cursor: match pulled.cursor_stays {
                true => None,
                false => pulled.believed(pulled.cursor.or(tally.newest)).filter(|_| tally.count > 0),
            },
            server_total: pulled.server_total.filter(|total| *total != tally.count),
        };
        let entry = match same {
            Some(kept) => Entry { cursor: fresh.cursor, server_total: fresh.server_total, ..kept },
            None => fresh,
        };
        let row = self.row(pulled, [tally.added, tally.updated, tally.unchanged, gone], changes);
        Ok(self.enter(resource, entry, row))
    }

    fn add_increment(&mut self, finished: &Finished, kept: &Entry, pulled: &Pulled) -> Result<&PullRow> {
        let resource = pulled.resource;
        let (file, files) = (Self::file(resource), self.files(resource));
        let (out, changed) = (self.staged(&file), self.staged(&format!("changes.{resource}")));
        let new_catalog = self.staged(&format!("catalog.{resource}"));
        let merged = if finished.tally.count == 0 {
            is_there(&self.archive.dir().join(&kept.file), kept)?;
            let Entry { count, bytes, sha256, .. } = kept.clone();
            Merged { count, bytes, sha256, ..Merged::default() }
        } else {
            let before = self.archive.dir().join(&kept.file);
            let (increment, catalog) = (files.lines(), self.archive.dir().join(Self::catalog(resource)));
            Merge {
                before: &before,
                entry: kept,
                catalog: &catalog,
                increment: &increment,
                out: &out,
                changes: &changed,
                new_catalog: &new_catalog,
            }
            .perform()?
        };
        if merged.has_catalog {
            self.move_in(&new_catalog, Self::catalog(resource));
        }
        let is_news = merged.added + merged.updated > 0;
        let changes = is_news.then(|| self.changes_of(resource));
        if let Some(changes) = &changes {
            self.move_in(&out, &file);
            self.move_in(&changed, changes);
            self.add_pages(&files, resource)?;
        }
        // An empty answer may hide an outage, so it proves nothing about what was loaded.
        let reached = pulled.believed(pulled.cursor.or(finished.tally.newest)).filter(|_| finished.tally.count > 0);
        let entry = Entry {
            count: merged.count,
            bytes: merged.bytes,
            sha256: merged.sha256,
            // The cursor never moves back: a replica of the server may lag, but what it lacks was served before.
            cursor: if pulled.cursor_stays { kept.cursor } else { pulled.believed(kept.cursor).max(reached) },
            // If the server counted more than it sent, keep the old number of missing resources, or else take the new
            // one.
            server_total: match pulled.server_total.map_or(0, |total| total.saturating_sub(finished.tally.count)) {
                missing if missing > 0 && !pulled.cursor_stays => {
                    kept.server_total.or(Some(kept.count.saturating_add(missing)))
                }
                _ => kept.server_total,
            }
            .map(|total| total + merged.added),
            ..kept.clone()
        };
        let row = self.row(pulled, [merged.added, merged.updated, kept.count - merged.updated, 0], changes);
        Ok(self.enter(resource, entry, row))
    }

    /// Adds the Bundles of an increment after those that are there. If the increment has none, the old ones are
    /// removed, because they would no longer match the file.
    fn add_pages(&mut self, files: &Files, resource: &str) -> Result<()> {
        if !files.pages().exists() {
            self.commit.remove(Path::new(PAGES).join(resource));
            return Ok(());
        }
        let there = self.pages_of(resource);
        let first = (0..).find(|index| !there.join(page_name(*index)).exists()).unwrap_or_default();
        let new = (0..).map(page_name).map(|name| files.pages().join(name)).take_while(|path| path.exists());
        for (index, path) in new.enumerate() {
            self.move_in(&path, Path::new(PAGES).join(resource).join(page_name(first + index)));
        }
        Ok(())
    }

    fn changes_of(&self, resource: &str) -> String {
        format!("changes/{}.{resource}.ndjson", self.id)
    }

    /// Adds a single document (userinfo, insurance card) of `patient`, if it has a patient id. If it equals the one in
    /// the archive, nothing changes.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn add_document(&mut self, text: &str, patient: Option<String>, pulled: Pulled) -> Result<&PullRow> {
        self.manifest.source.patient = self.manifest.source.patient.take().or(patient);
        let resource = pulled.resource;
        let file = format!("{resource}.json");
        let is_kept = |entry: &&Entry| {
            let before = private_file::read(&self.archive.dir().join(&entry.file)).unwrap_or_default();
            let before = String::from_utf8(before).unwrap_or_default();
            hex_digest(Sha256::new_with_prefix(&before)) == entry.sha256 && says_the_same(&before, text)
        };
        let before = self.kept(resource);
        if let Some(kept) = before.filter(is_kept).cloned() {
            let row = self.row(&pulled, [0, 0, 1, 0], None);
            return Ok(self.enter(resource, kept, row));
        }
        let counts = if before.is_some() { [0, 1, 0, 0] } else { [1, 0, 0, 0] };
        let staged = self.staged(&file);
        durable::write_private(&staged, text.as_bytes()).map_err(|cause| Error::disk("write", &staged, &cause))?;
        self.move_in(&staged, &file);
        let entry = Entry {
            file,
            count: 1,
            bytes: text.len() as u64,
            sha256: hex_digest(Sha256::new_with_prefix(text)),
            query: pulled.query.clone(),
            cursor: None,
            server_total: None,
        };
        let row = self.row(&pulled, counts, None);
        Ok(self.enter(resource, entry, row))
    }

    /// Adds a move. `from` is a path below the archive.
    fn move_in(&mut self, from: &Path, to: impl AsRef<Path>) {
        let from = from.strip_prefix(self.archive.dir()).unwrap_or(from);
        self.commit.add(from.to_owned(), to.as_ref().to_owned());
    }

    fn row(&self, pulled: &Pulled, [added, updated, unchanged, removed]: [u64; 4], changes: Option<String>) -> PullRow {
        PullRow {
            id: self.id.clone(),
            resource: pulled.resource.to_owned(),
            mode: pulled.mode,
            started: pulled.started,
            finished: Timestamp::now(),
            added,
            updated,
            unchanged,
            removed,
            requests: pulled.requests,
            bytes: pulled.received,
            changes,
        }
    }

    fn enter(&mut self, resource: &str, entry: Entry, row: PullRow) -> &PullRow {
        self.manifest.resources.insert(resource.to_owned(), entry);
        self.manifest.pulls.push(row);
        self.rows += 1;
        let newest = self.manifest.pulls.len() - 1;
        &self.manifest.pulls[newest]
    }

    /// What a person should know about the file system, once the pull is committed.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let dir = self.archive.dir().display();
        (!self.syncs).then(|| {
            format!("the file system of {dir} cannot sync directories to disk: after a power failure, run bbdl verify")
        })
    }

    /// Puts everything in place, the manifest last.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`]. After any error, the archive is either the old one or the new one.
    pub fn commit(&mut self) -> Result<&Manifest> {
        if self.rows == 0 {
            return Ok(&self.manifest);
        }
        let older = self.staged(manifest::OLDER_PULLS);
        if pull_history::shorten(&mut self.manifest, self.archive.dir(), &older)? {
            self.move_in(&older, manifest::OLDER_PULLS);
        }
        let staged = self.staged(manifest::FILE);
        let mut out = create(&staged)?;
        let text = self.manifest.to_text().map_err(std::io::Error::from);
        text.and_then(|text| out.write_all(text.as_bytes())).map_err(|cause| Error::disk("write", &staged, &cause))?;
        sync(out, &staged)?;
        self.move_in(&staged, manifest::FILE);
        self.syncs = self.commit.perform(self.archive.dir())?;
        for resource in self.searched.drain(..) {
            Files::of(self.archive.dir(), resource).clear()?;
        }
        Ok(&self.manifest)
    }
}

/// Checks that the file is there with the size that the manifest says. An increment that brings nothing does not read
/// it.
fn is_there(path: &Path, entry: &Entry) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.len() == entry.bytes => Ok(()),
        Ok(_) => Err(not_as_it_was(path, "its size differs from the manifest")),
        Err(_) => Err(not_as_it_was(path, "it is not there")),
    }
}

/// Whether a file is what the manifest says.
fn is_intact(path: &Path, entry: &Entry) -> Result<bool> {
    let wrong = |cause: std::io::Error| Error::disk("read", path, &cause);
    let file = match private_file::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(wrong(cause)),
    };
    let mut hash = Sha256::new();
    let bytes = digest(&mut BufReader::with_capacity(1 << 18, file), &mut hash).map_err(wrong)?;
    Ok(bytes == entry.bytes && hex_digest(hash) == entry.sha256)
}
