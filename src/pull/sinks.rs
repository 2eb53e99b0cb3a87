//! Where pages go: into an archive, or to standard output. Both get the same pages and the same guarantees.

use std::{
    collections::HashSet,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    archive::{
        Pull,
        dedup::{Dedup, Expected, News, Repeats, sum_of_ids},
        id_hash::{IdHash, id_hash},
        journal::{Progress, SearchKey},
        previous_ids::PreviousIds,
        writer::{KeepBundle, Writer},
    },
    error::{Error, ErrorKind, Result, in_words, is_of_a_closed_pipe},
    fhir::resource::line,
    paging::{checkpoint::Checkpoint, pager::Page},
};

/// What a page is part of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    /// The search itself, read so far with this page. A later run can continue from there.
    Search(&'a Checkpoint),
    /// A separate search that belongs to it: what was loaded in the meantime, or prior authorizations. A run that
    /// continues reads it again. Its resources may have come before.
    Addition,
}

/// Takes the pages of a reading.
pub(crate) trait PageSink {
    /// What a failure means for the data that were there before, as part of a sentence.
    const AFTER_FAILURE: &'static str;

    /// Takes a page. Returns what it brought.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] for a resource that does not belong here, [`crate::error::Exit::Disk`].
    fn take(&mut self, page: &Page, part: Part<'_>) -> Result<News>;

    /// The number of distinct resources in this reading.
    fn distinct(&self) -> u64;

    /// Sum of the hashes of their ids.
    fn which(&self) -> u64;

    /// What came twice in this reading, on pages that do not overlap.
    fn repeats(&self) -> Repeats;

    /// How many prior authorizations an earlier pull has kept (API v3).
    fn prior_authorizations_before(&self) -> u64;

    /// Starts over: the whole set now comes again from its beginning.
    ///
    /// # Errors
    /// Errors of the disk.
    fn restart(&mut self) -> impl Future<Output = Result<()>>;

    /// Gives up, because no reading counted. No later run may continue from what was read.
    ///
    /// # Errors
    /// Errors of the disk.
    fn abandon(&mut self) -> impl Future<Output = Result<()>>;
}

impl Progress for Checkpoint {
    fn pages(&self) -> usize {
        self.pages
    }

    fn has_next(&self) -> bool {
        self.next.is_some()
    }
}

/// A pull that does its disk work on other threads, because reading and merging a large archive takes time.
#[derive(Clone)]
pub(crate) struct PullHandle(Arc<Mutex<Pull>>);

impl PullHandle {
    /// Shares a pull.
    #[must_use]
    pub(crate) fn new(pull: Pull) -> Self {
        Self(Arc::new(Mutex::new(pull)))
    }

    /// The Patient id of this archive, as far as it is known.
    #[must_use]
    pub(crate) fn patient(&self) -> Option<String> {
        self.now().patient().map(str::to_owned)
    }

    /// Access to what is known without the disk.
    pub(crate) fn now(&self) -> MutexGuard<'_, Pull> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` with the pull on a thread that may block.
    ///
    /// # Errors
    /// [`crate::error::Exit::Defect`] if the work panicked.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Pull) -> T + Send + 'static,
    ) -> Result<T> {
        let pull = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&mut pull.lock().unwrap_or_else(PoisonError::into_inner)))
            .await
            .map_err(|_| Error::new(ErrorKind::Defect, "work on the disk ended unexpectedly"))
    }
}

/// The file of one resource type in an archive.
pub(crate) struct ArchiveSink {
    pull: PullHandle,
    expected: Expected,
    key: SearchKey,
    writer: Writer,
}

impl ArchiveSink {
    /// A sink that continues what an earlier run of the same search has left, or starts from the beginning. Also
    /// returns how far that run got.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`], or [`crate::error::Exit::Data`] if the old file is damaged.
    pub(crate) async fn open(
        pull: &PullHandle,
        expected: Expected,
        key: SearchKey,
    ) -> Result<(Self, Option<Checkpoint>)> {
        let (for_writer, asked) = (expected.clone(), key.clone());
        let opened = pull.with(move |pull| -> Result<_> {
            let Some(left) = pull.resume::<Checkpoint>(for_writer.clone(), &asked)? else {
                return Ok((pull.writer(for_writer, &asked)?, None));
            };
            // Version 0.1.0 did not note when the first answer came.
            let first_answer = left.checkpoint.first_answer.or(Some(left.started));
            Ok((left.writer, Some(Checkpoint { first_answer, ..left.checkpoint })))
        });
        let (writer, checkpoint) = opened.await??;
        Ok((Self { pull: pull.clone(), expected, key, writer }, checkpoint))
    }

    /// From now on everything is requested, so all that comes is compared with what is kept.
    pub(super) fn ask_for_everything(&mut self) {
        self.key.since = None;
    }

    /// The file with everything that came.
    #[must_use]
    pub(crate) fn into_writer(self) -> Writer {
        self.writer
    }
}

impl PageSink for ArchiveSink {
    const AFTER_FAILURE: &'static str = "nothing was replaced";

    fn take(&mut self, page: &Page, part: Part<'_>) -> Result<News> {
        let is_addition = matches!(part, Part::Addition);
        let keep = if is_addition { KeepBundle::IfNew } else { KeepBundle::Always };
        let news = self.writer.page(&page.bundle, keep, |id| is_addition || page.overlaps(id))?;
        if let Part::Search(checkpoint) = part {
            self.writer.reached(checkpoint)?;
        }
        Ok(news)
    }

    fn distinct(&self) -> u64 {
        self.writer.dedup().tally().count
    }

    fn which(&self) -> u64 {
        self.writer.dedup().which()
    }

    fn prior_authorizations_before(&self) -> u64 {
        self.writer.dedup().prior_authorizations_before()
    }

    fn repeats(&self) -> Repeats {
        self.writer.dedup().repeats()
    }

    async fn restart(&mut self) -> Result<()> {
        let (expected, key) = (self.expected.clone(), self.key.clone());
        self.writer = self.pull.with(move |pull| pull.writer(expected, &key)).await??;
        Ok(())
    }

    async fn abandon(&mut self) -> Result<()> {
        let resource = self.expected.kind;
        self.pull.with(move |pull| pull.forget(resource)).await?
    }
}

/// Standard output: writes each resource once and keeps only ids. A resource that comes again in a newer version is
/// written again, after the older one.
pub(crate) struct StreamSink<W> {
    out: W,
    dedup: Dedup,
    written: u64,
    /// What this reading has brought, if it is not the first.
    again: Option<ThisReading>,
}

#[derive(Default)]
struct ThisReading {
    ids: HashSet<IdHash>,
    repeats: Repeats,
}

impl<W: Write> StreamSink<W> {
    /// Writes to `out`.
    pub(crate) fn new(out: W, expected: Expected) -> Self {
        Self { out, dedup: Dedup::new(expected, PreviousIds::nothing()), written: 0, again: None }
    }

    /// Lines written.
    #[must_use]
    pub(crate) fn written(&self) -> u64 {
        self.written
    }
}

impl<W: Write> PageSink for StreamSink<W> {
    const AFTER_FAILURE: &'static str = "the output is incomplete";

    fn take(&mut self, page: &Page, part: Part<'_>) -> Result<News> {
        let mut news = News::default();
        for (text, header) in page.bundle.entries() {
            let id = header.as_ref().map(|header| header.id.as_str()).unwrap_or_default();
            let may_repeat = matches!(part, Part::Addition) || page.overlaps(id);
            if let Some(again) = &mut self.again {
                let hash = id_hash(id);
                if !again.ids.insert(hash) && !may_repeat {
                    again.repeats.count(&hash);
                }
            }
            if self.dedup.enter_news((header, text), may_repeat || self.again.is_some(), &mut news)? {
                let line = line(text);
                let written = self.out.write_all(line.as_bytes()).and_then(|()| self.out.write_all(b"\n"));
                written.map_err(|cause| unwritten(&cause))?;
                self.written += 1;
            }
        }
        self.out.flush().map_err(|cause| unwritten(&cause))?;
        Ok(news)
    }

    fn distinct(&self) -> u64 {
        self.again.as_ref().map_or(self.dedup.tally().count, |again| again.ids.len() as u64)
    }

    fn which(&self) -> u64 {
        self.again.as_ref().map_or_else(|| self.dedup.which(), |again| sum_of_ids(&again.ids))
    }

    fn prior_authorizations_before(&self) -> u64 {
        0
    }

    fn repeats(&self) -> Repeats {
        self.again.as_ref().map_or_else(|| self.dedup.repeats(), |again| again.repeats)
    }

    async fn restart(&mut self) -> Result<()> {
        self.again = Some(ThisReading::default());
        Ok(())
    }

    async fn abandon(&mut self) -> Result<()> {
        Ok(())
    }
}

fn unwritten(cause: &io::Error) -> Error {
    match is_of_a_closed_pipe(cause) {
        true => Error::new(ErrorKind::Stdout, "the reader of standard output left before everything was written")
            .hint("If it needs all claims, run the same command again with a reader that stays to the end."),
        false => Error::new(ErrorKind::Stdout, format!("cannot write to standard output: {}", in_words(cause)))
            .hint("Free some space, or send it somewhere else, and run it again."),
    }
}
