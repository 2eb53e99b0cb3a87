//! A pull as a transaction: opened, written to, committed or dropped.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    Archive,
    commit::{Commit, PAGES, STAGE},
    index::Before,
    manifest::{self, Entry, Manifest, Mode, PullRow, Query, Source},
    writer::{Expected, Writer, hex},
};
use crate::{
    durable,
    error::{Error, Result},
};

/// What the caller knows of a resource type that it has pulled.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The resource type.
    pub resource: &'static str,
    /// The filters.
    pub query: Query,
    /// Up to which instant of the server's everything is here.
    pub cursor: Option<Timestamp>,
    /// What the server said the number is.
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
}

impl Pull {
    /// Begins a pull into `archive`.
    #[must_use]
    pub fn begin(archive: Archive, source: Source, now: Timestamp) -> Self {
        let id = Manifest::next_pull_id(archive.manifest(), now);
        let mut manifest = archive.manifest().cloned().unwrap_or_else(|| Manifest::new(source.clone()));
        manifest.source.patient = manifest.source.patient.or(source.patient);
        Self { archive, id, manifest, commit: Commit::default(), rows: 0 }
    }

    /// What is kept of a resource type before this pull.
    #[must_use]
    pub fn kept(&self, resource: &str) -> Option<&Entry> {
        self.archive.manifest().and_then(|manifest| manifest.resources.get(resource))
    }

    /// The Patient id that this archive is of, as far as it is known by now.
    #[must_use]
    pub fn patient(&self) -> Option<&str> {
        self.manifest.source.patient.as_deref()
    }

    fn staged(&self, name: &str) -> PathBuf {
        self.archive.dir().join(STAGE).join(name)
    }

    fn file(resource: &str) -> String {
        format!("{resource}.ndjson")
    }

    /// Starts the file of a resource type; started again, it is begun anew.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`], or [`crate::error::Exit::Data`] when the file of before is damaged.
    pub fn writer(&self, expected: Expected, keep_pages: bool) -> Result<Writer> {
        let resource = expected.kind;
        let before = match self.kept(resource) {
            Some(entry) => Before::read(&self.archive.dir().join(&entry.file))?,
            None => Before::nothing(),
        };
        let pages = keep_pages.then(|| self.staged(PAGES).join(resource));
        if let Some(pages) = pages.as_ref().filter(|pages| pages.exists()) {
            fs::remove_dir_all(pages).map_err(|cause| Error::disk("clear", pages, &cause))?;
        }
        let changes = self.staged(&format!("changes.{resource}"));
        if changes.exists() {
            fs::remove_file(&changes).map_err(|cause| Error::disk("clear", &changes, &cause))?;
        }
        Writer::create(self.staged(&Self::file(resource)), changes, expected, before, pages)
    }

    /// Adds a finished resource file to what the commit will put in place. Where nothing changed, the
    /// file of before stays.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn add(&mut self, writer: Writer, pulled: Pulled) -> Result<&PullRow> {
        let resource = pulled.resource;
        let file = Self::file(resource);
        let previous = self.archive.dir().join(&file);
        let finished = writer.finish(&previous, &self.staged(&format!("removed.{resource}")))?;
        self.manifest.source.patient = self.manifest.source.patient.take().or(finished.patient);
        let tally = &finished.tally;
        let same = self.kept(resource).filter(|_| tally.added + tally.updated + finished.removed == 0).cloned();
        let changes = finished.has_changes.then(|| format!("changes/{}.{resource}.ndjson", self.id));
        if same.is_none() {
            self.move_staged(&file, &file);
        }
        if let Some(changes) = &changes {
            self.move_staged(&format!("changes.{resource}"), changes);
        }
        if finished.removed > 0 {
            self.move_staged(&format!("removed.{resource}"), &format!("changes/{}.{resource}.removed.ndjson", self.id));
        }
        let pages = format!("{PAGES}/{resource}");
        if self.staged(&pages).exists() {
            self.move_staged(&pages, &pages);
        } else if same.is_none() {
            // Bundles of an earlier pull would no longer be those of what is kept.
            self.commit.remove(PathBuf::from(pages));
        }
        let fresh = Entry {
            file,
            count: tally.count,
            bytes: finished.bytes,
            sha256: finished.sha256.clone(),
            query: pulled.query.clone(),
            cursor: pulled.cursor.or(tally.newest),
            server_total: pulled.server_total.filter(|total| *total != tally.count),
        };
        let entry = match same {
            Some(kept) => Entry { cursor: fresh.cursor, server_total: fresh.server_total, ..kept },
            None => fresh,
        };
        let row = self.row(&pulled, [tally.added, tally.updated, tally.unchanged, finished.removed], changes);
        Ok(self.enter(resource, entry, row))
    }

    /// Adds a single document (userinfo, insurance card).
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn add_document(&mut self, text: &str, pulled: Pulled) -> Result<&PullRow> {
        let resource = pulled.resource;
        let file = format!("{resource}.json");
        let sha256 = hex(Sha256::new_with_prefix(text));
        let counts = match self.kept(resource) {
            None => [1, 0, 0, 0],
            Some(kept) if kept.sha256 == sha256 => [0, 0, 1, 0],
            Some(_) => [0, 1, 0, 0],
        };
        if counts[2] == 0 {
            let staged = self.staged(&file);
            durable::write_private(&staged, text.as_bytes()).map_err(|cause| Error::disk("write", &staged, &cause))?;
            self.move_staged(&file, &file);
        }
        let entry = Entry {
            file,
            count: 1,
            bytes: text.len() as u64,
            sha256,
            query: pulled.query.clone(),
            cursor: None,
            server_total: None,
        };
        let row = self.row(&pulled, counts, None);
        Ok(self.enter(resource, entry, row))
    }

    fn move_staged(&mut self, from: &str, to: &str) {
        self.commit.add(Path::new(STAGE).join(from), PathBuf::from(to));
    }

    fn row(&self, pulled: &Pulled, [added, updated, unchanged, removed]: [u64; 4], changes: Option<String>) -> PullRow {
        PullRow {
            id: self.id.clone(),
            resource: pulled.resource.to_owned(),
            mode: Mode::Full,
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

    /// Puts everything in place, the manifest last.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`]. Whatever the error, the archive is the old or the new one.
    pub fn commit(mut self) -> Result<Manifest> {
        if self.rows == 0 {
            return Ok(self.manifest);
        }
        let staged = self.staged(manifest::FILE);
        durable::write_private(&staged, self.manifest.to_text().as_bytes())
            .map_err(|cause| Error::disk("write", &staged, &cause))?;
        self.move_staged(manifest::FILE, manifest::FILE);
        let stage = self.archive.dir().join(STAGE);
        durable::sync_dir(&stage).map_err(|cause| Error::disk("sync", &stage, &cause))?;
        self.commit.perform(self.archive.dir())?;
        Ok(self.manifest)
    }
}
