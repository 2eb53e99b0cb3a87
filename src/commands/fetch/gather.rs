//! One search into an archive: everything or what is new, from the beginning or from where an earlier run
//! stopped, as often as it takes to have a set that fits together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{
    Job, increment,
    plan::Target,
    reading::{End, Keeper, Readings, give_up},
};
use crate::{
    api::{
        pages::{Known, Page, PullError, Search},
        server::{ApiVersion, Searchable},
    },
    archive::{
        Pull,
        ledger::Expected,
        manifest::{Entry, Mode, PullRow},
        partial::{Question, Reached},
        pull::Pulled,
        writer::{Taken, Writer},
    },
    auth::token::Grant,
    cli::Format,
    commands::aside,
    error::{ErrorKind, Exit, Result},
};

/// A pull whose work on the disk is done aside: reading and merging a large archive takes its time.
pub(super) struct Held(Arc<Mutex<Pull>>);

impl Held {
    pub(super) fn new(pull: Pull) -> Self {
        Self(Arc::new(Mutex::new(pull)))
    }

    /// The Patient id of this archive, as far as it is known.
    pub(super) fn patient(&self) -> Option<String> {
        self.now().patient().map(str::to_owned)
    }

    /// What is known without the disk.
    fn now(&self) -> MutexGuard<'_, Pull> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Pull) -> T + Send + 'static,
    ) -> Result<T> {
        let pull = Arc::clone(&self.0);
        aside(move || work(&mut pull.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

/// How a search is read.
struct Course {
    resource: Searchable,
    mode: Mode,
    question: Question,
    expected: Expected,
    known: Known,
}

impl Course {
    /// The same, and all of it.
    fn whole(mut self, kept: Option<&Entry>) -> Self {
        self.question.since = None;
        self.mode = Mode::Full;
        self.known = Known::Before(kept.map_or(0, |entry| entry.count));
        self
    }
}

impl Job<'_> {
    /// Brings one resource type into the pull.
    pub(super) async fn search_to_archive(&self, pull: &Held, resource: Searchable, grant: &Grant) -> Result<PullRow> {
        let started = Timestamp::now();
        let traffic = self.client.traffic();
        let (kept, mut course) = {
            let pull = pull.now();
            (pull.kept(resource.name()).cloned(), self.course(&pull, resource, grant))
        };
        let mut readings = Readings::default();
        let mut first = self.left_over(pull, &course).await?;
        loop {
            let (mut writer, from) = match first.take() {
                Some((writer, reached)) => (writer, Some(reached)),
                None => {
                    let (expected, question) = (course.expected.clone(), course.question.clone());
                    (pull.with(move |pull| pull.writer(expected, &question, started)).await??, None)
                }
            };
            let resumed = from.is_some();
            let read = self.read_into(&mut writer, &course, from).await;
            // What any reading of this pull has brought is known to be there.
            if let Known::Before(known) = &mut course.known {
                *known = (*known).max(writer.distinct());
            }
            let end = match read {
                Ok(end) => end,
                // What was begun does not fit what the server has now; that is no failure of this reading.
                Err(PullError::Shifted) if resumed => {
                    self.ui().say("the claims have changed on the server since: reading them from the beginning");
                    continue;
                }
                // The link of before may be somebody else's, too.
                Err(PullError::Failed(error))
                    if resumed && (error.exit() == Exit::Data || error.kind == ErrorKind::NotAllowed) =>
                {
                    self.ui().say("what an earlier run has left does not fit: reading from the beginning");
                    continue;
                }
                // What came before a failure is gone on from.
                Err(cause @ PullError::Failed(_)) => return Err(give_up(cause, resource)),
                Err(PullError::Shifted) => {
                    let again = readings.shifted(resource, self.ui());
                    self.or_forget(pull, resource, again).await?;
                    continue;
                }
            };
            let clock = self.client.clock();
            if course.question.since.zip(clock).is_some_and(|(since, clock)| since > clock) {
                self.ui().say("the archive's cursor is ahead of the server's clock: reading everything");
                course = course.whole(kept.as_ref());
                continue;
            }
            let is_behind = course.mode == Mode::Full
                && kept.as_ref().and_then(|kept| kept.cursor).zip(end.cursor).is_some_and(|(kept, now)| now < kept);
            if is_behind && readings.ask_another() {
                self.ui().say("the server answers from before what is kept: reading again");
                continue;
            }
            let count = writer.distinct();
            let asked = (resource, &course.question.query, course.mode);
            let brought = (count, readings.moved(writer.repeated()));
            if !self.held_still(asked, &end, brought, |claim| writer.has(claim)).await? {
                let again = readings.shifted(resource, self.ui());
                self.or_forget(pull, resource, again).await?;
                continue;
            }
            // The shortfall of before is that of the whole set, not of what is new.
            let missing = end.missing(count);
            let as_before = |kept: &Entry| course.mode == Mode::Full && same_shortfall(kept, missing);
            let was_so_before = kept.as_ref().is_some_and(as_before);
            // Nor are claims gone that the server still counts and the archive has.
            let takes = kept.as_ref().is_some_and(|kept| {
                course.mode == Mode::Full && count < kept.count && missing > kept_shortfall(kept).unwrap_or(0)
            });
            if readings.is_whole(missing, was_so_before, end.cut_short || takes) {
                let may_be_outage =
                    course.mode == Mode::Incremental && count == 0 && self.profile.api != ApiVersion::V3;
                if may_be_outage && readings.ask_again() {
                    self.is_really_there(&course, kept.as_ref()).await?;
                    // That the data back end works now is no proof that it did a moment ago.
                    continue;
                }
                let pulled = self.pulled(&course, &end, started, traffic);
                return pull.with(move |pull| pull.add(writer, pulled).cloned()).await?;
            }
            let again = readings.fell_short(resource, &end, count, self.ui());
            self.or_forget(pull, resource, again).await?;
        }
    }

    /// Where a reading does not count and there is no other: what it has left is nothing to go on with.
    async fn or_forget(&self, pull: &Held, resource: Searchable, again: Result<()>) -> Result<()> {
        if again.is_err() {
            pull.with(move |pull| pull.forget(resource.name())).await??;
        }
        again
    }

    /// What is asked: all of it, or what is new since the last pull. A person's Patient and Coverage
    /// resources are one page, and asked for whole.
    fn course(&self, pull: &Pull, resource: Searchable, grant: &Grant) -> Course {
        let kept = pull.kept(resource.name());
        let pages_kept = self.args.format == Format::Json;
        let may_be_partial = resource == Searchable::ExplanationOfBenefit
            && !self.args.full
            && (!pages_kept || pull.has_pages(resource.name()));
        let since = kept.filter(|_| may_be_partial).and_then(|kept| increment::since(kept, self.profile.api));
        let question = Question {
            source: self.source(grant),
            query: self.filters(Target::Search(resource)),
            since,
            page_size: self.args.page_size,
            pages_kept,
        };
        let patient = grant.patient.clone().or_else(|| pull.patient().map(str::to_owned));
        let expected = Expected { kind: resource.name(), patient };
        let course = Course { resource, mode: Mode::Incremental, question, expected, known: Known::MaybeNothing };
        if since.is_some() { course } else { course.whole(kept) }
    }

    /// What an earlier run has left of the same question, said aloud.
    async fn left_over(&self, pull: &Held, course: &Course) -> Result<Option<(Writer, Reached)>> {
        let (expected, question) = (course.expected.clone(), course.question.clone());
        let left = pull.with(move |pull| pull.resume(expected, &question, Timestamp::now())).await??;
        if let Some((writer, reached)) = &left {
            let (name, count) = (course.resource.name(), writer.distinct());
            self.ui().say(format!(
                "{name}: going on where an earlier run stopped, {} pages ({count} resources) are here already",
                reached.pages
            ));
        }
        Ok(left)
    }

    fn pulled(&self, course: &Course, end: &End, started: Timestamp, before: (u64, u64)) -> Pulled {
        let (requests, bytes) = self.client.traffic();
        Pulled {
            resource: course.resource.name(),
            mode: course.mode,
            query: course.question.query.clone(),
            cursor: end.cursor,
            clock: self.client.clock(),
            server_total: end.total,
            started,
            requests: requests - before.0,
            received: bytes - before.1,
        }
    }

    /// "Nothing new" is also how API v1 and v2 answer when their data back end fails. Then the claims that
    /// are known to be there are not there either.
    async fn is_really_there(&self, course: &Course, kept: Option<&Entry>) -> Result<()> {
        let (query, known) = (&course.question.query, Known::Before(kept.map_or(0, |entry| entry.count)));
        let search = Search::new(self.client, self.session, course.resource, query, 1, known, self.login());
        let mut search = search.without_haste();
        search.next_page().await.map(|_| ()).map_err(|cause| give_up(cause, course.resource))
    }

    async fn read_into(&self, writer: &mut Writer, course: &Course, from: Option<Reached>) -> Result<End, PullError> {
        let mut query = course.question.query.clone();
        query.extend(course.question.since.map(increment::parameter));
        let count = writer.distinct();
        self.read(course.resource, query, course.known, from, count, writer).await
    }
}

impl Keeper for Writer {
    fn take(&mut self, page: &Page, reached: &Reached) -> Result<u64, PullError> {
        if self.page(page.index, &page.bundle).map_err(PullError::Failed)? == Taken::Shifted {
            return Err(PullError::Shifted);
        }
        self.reached(reached).map_err(PullError::Failed)?;
        Ok(self.distinct())
    }

    fn held(&mut self, at: u64) -> Result<()> {
        self.seams_hold(at)
    }
}

fn same_shortfall(kept: &Entry, missing: u64) -> bool {
    kept_shortfall(kept) == Some(missing)
}

/// How many fewer are kept than the server counted.
fn kept_shortfall(kept: &Entry) -> Option<u64> {
    kept.server_total.map(|total| total.saturating_sub(kept.count))
}
