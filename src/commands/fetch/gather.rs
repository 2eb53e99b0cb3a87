//! One search into an archive: everything or what is new, from the beginning or from where an earlier run
//! stopped, as often as it takes to have a set that fits together.

use std::{
    io::stdout,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::{Job, increment, plan::Target};
use crate::{
    api::{
        pages::{Known, Page, PullError, Search, SoFar},
        server::{ApiVersion, Searchable},
    },
    archive::{
        Pull,
        ledger::Expected,
        manifest::{Entry, Mode, PullRow, Query},
        partial::{Question, Reached},
        pipe::Pipe,
        pull::Pulled,
        writer::{Taken, Writer},
    },
    auth::token::Grant,
    cli::Format,
    commands::aside,
    error::{Error, Exit, Result},
    ui::Ui,
};

/// How often a pull begins anew because the set changed while it was read.
const FRESH_STARTS: u32 = 2;

/// What is known when a search has been read to its end.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    cursor: Option<Timestamp>,
    total: Option<u64>,
    /// When the server answered with the first page of this run, by its own clock (v3).
    answered: Option<Timestamp>,
    pages: usize,
    /// Whether the links ended although the pages read cannot have held the total.
    cut_short: bool,
}

impl End {
    /// How many fewer there are than the server's total.
    fn missing(&self, count: u64) -> u64 {
        self.total.map_or(0, |total| total.saturating_sub(count))
    }
}

/// The readings of one search: how often it has begun anew, and what earlier ones came to.
#[derive(Default)]
struct Readings {
    starts: u32,
    shortfall: Option<u64>,
    repeated: Option<u64>,
}

/// How often resources came in a reading that had come in it before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// Never, or as often as in the reading before.
    None,
    /// Another number than in the reading before.
    Others,
}

impl Readings {
    /// The set changed while it was read, or the reading failed.
    fn shifted(&mut self, cause: PullError, resource: Searchable, ui: &Ui) -> Result<()> {
        if !matches!(cause, PullError::Shifted) || self.starts == FRESH_STARTS {
            return Err(give_up(cause, resource));
        }
        ui.say("the claims changed on the server while they were being read: reading them again");
        self.starts += 1;
        Ok(())
    }

    /// A reading came to fewer resources than the server's total.
    fn fell_short(&mut self, resource: Searchable, end: &End, count: u64, ui: &Ui) -> Result<()> {
        if self.starts == FRESH_STARTS {
            return Err(fell_short(resource, end, count));
        }
        let missing = end.missing(count);
        ui.say(format!("{missing} fewer {} than the server's total: reading them again", resource.name()));
        self.shortfall = Some(missing);
        self.starts += 1;
        Ok(())
    }

    /// Whether a reading from which so many are missing is all there is. API v1 and v2 count before they
    /// redact: a shortfall that stays the same is the answer, or one that `was_so_before`. Links that end
    /// before the total are no such shortfall (`never`): the server names a next page whenever there is more.
    fn is_whole(&self, missing: u64, was_so_before: bool, never: bool) -> bool {
        missing == 0 || ((self.shortfall == Some(missing) || was_so_before) && !never)
    }

    fn repeats(&mut self, repeated: u64) -> Repeats {
        let before = self.repeated.replace(repeated);
        if repeated > 0 && before != self.repeated { Repeats::Others } else { Repeats::None }
    }
}

/// A pull whose work on the disk is done aside: reading and merging a large archive takes its time.
pub(super) struct Held(Arc<Mutex<Pull>>);

impl Held {
    pub(super) fn new(pull: Pull) -> Self {
        Self(Arc::new(Mutex::new(pull)))
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
                    if resumed && (error.exit == Exit::Data || error.kind == "not_allowed") =>
                {
                    self.ui().say("what an earlier run has left does not fit: reading from the beginning");
                    continue;
                }
                Err(cause) => {
                    readings.shifted(cause, resource, self.ui())?;
                    continue;
                }
            };
            let (count, repeated) = (writer.distinct(), writer.repeated());
            let asked = (resource, &course.question.query, course.mode);
            if !self.held_still(asked, &end, readings.repeats(repeated), |claim| writer.has(claim)).await? {
                readings.shifted(PullError::Shifted, resource, self.ui())?;
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
                if course.mode == Mode::Incremental && count == 0 {
                    self.is_really_there(&course, kept.as_ref()).await?;
                }
                let pulled = self.pulled(&course, &end, started, traffic);
                return pull.with(move |pull| pull.add(writer, pulled).cloned()).await?;
            }
            readings.fell_short(resource, &end, count, self.ui())?;
        }
    }

    /// Writes one resource type to stdout: what every reading brings and an earlier one has not.
    pub(super) async fn search_to_stdout(&self, resource: Searchable, grant: &Grant) -> Result<u64> {
        let expected = Expected { kind: resource.name(), patient: grant.patient.clone() };
        let mut pipe = Pipe::new(stdout().lock(), expected);
        let query = self.filters(Target::Search(resource));
        let (mut readings, mut known) = (Readings::default(), 0);
        loop {
            let read = self.read(resource, query.clone(), Known::Before(known), None, 0, |page, _| {
                pipe.page(&page.bundle).map_err(PullError::Failed)?;
                Ok(pipe.distinct())
            });
            let read = read.await;
            let count = pipe.distinct();
            known = known.max(count);
            match read {
                Err(cause) => readings.shifted(cause, resource, self.ui())?,
                Ok(end) => {
                    let asked = (resource, &query, Mode::Full);
                    let repeats = readings.repeats(pipe.repeated());
                    let missing = end.missing(count);
                    if !self.held_still(asked, &end, repeats, |claim| pipe.has(claim)).await? {
                        readings.shifted(PullError::Shifted, resource, self.ui())?;
                    } else if readings.is_whole(missing, false, end.cut_short) {
                        if let Some(total) = end.total.filter(|total| *total != count) {
                            self.ui().warn(format!(
                                "{}: the server's total is {total}, and it sent {count}",
                                resource.name()
                            ));
                        }
                        return Ok(pipe.written());
                    } else {
                        readings.fell_short(resource, &end, count, self.ui())?;
                    }
                }
            }
            pipe.begin_anew();
        }
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
        let (mode, known) = match since {
            Some(_) => (Mode::Incremental, Known::MaybeNothing),
            None => (Mode::Full, Known::Before(kept.map_or(0, |entry| entry.count))),
        };
        Course { resource, mode, question, expected: Expected { kind: resource.name(), patient }, known }
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
            server_total: end.total,
            started,
            requests: requests - before.0,
            received: bytes - before.1,
        }
    }

    /// Whether the set of API v3, whose totals do not tell, stayed as it was. A claim that comes twice has
    /// been moved to a later page, unless it does so at every reading. A claim that has been superseded is
    /// gone, and whatever supersedes it was loaded meanwhile, and is looked for: `has` says whether a
    /// resource has been read.
    async fn held_still(
        &self,
        (resource, query, mode): (Searchable, &Query, Mode),
        end: &End,
        repeats: Repeats,
        has: impl Fn(&str) -> bool,
    ) -> Result<bool> {
        let is_long = self.profile.api == ApiVersion::V3 && end.pages > 1;
        if !is_long {
            return Ok(true);
        }
        if repeats == Repeats::Others {
            return Ok(false);
        }
        let Some(since) =
            end.answered.filter(|_| mode == Mode::Full).and_then(|at| increment::before(query, at, self.profile.api))
        else {
            return Ok(true);
        };
        let mut query = query.clone();
        query.push(increment::parameter(since));
        let (count, login) = (self.args.page_size, self.login());
        let search = Search::new(self.client, self.session, resource, &query, count, Known::MaybeNothing, login);
        let mut search = search.without_haste();
        loop {
            match search.next_page().await {
                Ok(Some(page)) if page.bundle.resources().all(&has) => {}
                Ok(Some(_)) => return Ok(false),
                Ok(None) => return Ok(true),
                Err(cause) => return Err(give_up(cause, resource)),
            }
        }
    }

    /// "Nothing new" is also how API v1 and v2 answer when their data back end fails. Then the claims that
    /// are known to be there are not there either.
    async fn is_really_there(&self, course: &Course, kept: Option<&Entry>) -> Result<()> {
        if self.profile.api == ApiVersion::V3 {
            return Ok(());
        }
        let (query, known) = (&course.question.query, Known::Before(kept.map_or(0, |entry| entry.count)));
        let search = Search::new(self.client, self.session, course.resource, query, 1, known, self.login());
        let mut search = search.without_haste();
        search.next_page().await.map(|_| ()).map_err(|cause| give_up(cause, course.resource))
    }

    async fn read_into(&self, writer: &mut Writer, course: &Course, from: Option<Reached>) -> Result<End, PullError> {
        let mut query = course.question.query.clone();
        query.extend(course.question.since.map(increment::parameter));
        let count = writer.distinct();
        self.read(course.resource, query, course.known, from, count, |page, reached| {
            let taken = writer.page(page.index, &page.bundle).map_err(PullError::Failed)?;
            if taken == Taken::Shifted {
                return Err(PullError::Shifted);
            }
            writer.reached(reached).map_err(PullError::Failed)?;
            Ok(writer.distinct())
        })
        .await
    }

    /// Reads a search to its end, handing each page to `keep` with how far it was read by then; `keep` says
    /// how many resources there are. `distinct` is how many there are before.
    async fn read(
        &self,
        resource: Searchable,
        query: Query,
        known: Known,
        from: Option<Reached>,
        mut distinct: u64,
        mut keep: impl FnMut(&Page, &Reached) -> Result<u64, PullError>,
    ) -> Result<End, PullError> {
        let count = self.args.page_size;
        let mut search = Search::new(self.client, self.session, resource, &query, count, known, self.login());
        let mut end = End::default();
        if let Some(Reached { pages, next: Some(next), total, cursor, seams, last }) = from {
            search = search.resume(SoFar { pages, next, total, dated: cursor, seams, last })?;
            end.cursor = cursor;
        }
        let mut progress = self.ui().progress(spoken(resource));
        let (_, bytes_before) = self.client.traffic();
        let outcome = loop {
            match search.next_page().await {
                Ok(Some(page)) => {
                    // Of a run that goes on, too: what came before was shown to be the same.
                    end.answered = end.answered.or(page.bundle.last_updated);
                    if page.index == 0 && self.profile.api != ApiVersion::V3 {
                        end.cursor = page.bundle.last_updated;
                    }
                    let reached = Reached {
                        pages: search.pages(),
                        next: search.next_link().map(str::to_owned),
                        total: search.total(),
                        cursor: end.cursor,
                        seams: search.newest_seam().cloned().into_iter().collect(),
                        last: search.last_id().map(str::to_owned),
                    };
                    match keep(&page, &reached) {
                        Ok(now) => distinct = now,
                        Err(cause) => break Err(cause),
                    }
                    if let Err(cause) = search.brought(distinct) {
                        break Err(cause);
                    }
                    progress.at(distinct, search.total(), self.client.traffic().1 - bytes_before);
                }
                Ok(None) => {
                    break match search.fits_together().await {
                        Ok(true) => Ok(()),
                        Ok(false) => Err(PullError::Shifted),
                        Err(cause) => Err(cause),
                    };
                }
                Err(cause) => break Err(cause),
            }
        };
        progress.finish();
        (end.total, end.pages) = (search.total(), search.pages());
        end.cut_short = end.total.is_some_and(|total| search.room() < total);
        outcome.map(|()| end).map_err(|cause| incomplete(cause, resource, distinct, search.total()))
    }
}

/// A resource type as people call it, short enough for a narrow terminal.
fn spoken(resource: Searchable) -> &'static str {
    match resource {
        Searchable::ExplanationOfBenefit => "claims",
        Searchable::Patient => "patient",
        Searchable::Coverage => "coverage",
    }
}

fn same_shortfall(kept: &Entry, missing: u64) -> bool {
    kept_shortfall(kept) == Some(missing)
}

/// How many fewer are kept than the server counted.
fn kept_shortfall(kept: &Entry) -> Option<u64> {
    kept.server_total.map(|total| total.saturating_sub(kept.count))
}

/// Says how much is missing when a search fails half-way.
fn incomplete(cause: PullError, resource: Searchable, count: u64, total: Option<u64>) -> PullError {
    let PullError::Failed(mut error) = cause else { return PullError::Shifted };
    if count > 0 || total.is_some() {
        let name = resource.name();
        let missing = match total {
            Some(total) => format!("{count} of {total} {name} had come, {} are missing", total.saturating_sub(count)),
            None => format!("{count} {name} had come, how many are missing is not known"),
        };
        error.message = format!("{}; {missing}; nothing was replaced", error.message);
    }
    PullError::Failed(error)
}

fn fell_short(resource: Searchable, end: &End, count: u64) -> Error {
    let (name, missing, total) = (resource.name(), end.missing(count), end.total.unwrap_or_default());
    Error::new(
        Exit::TryAgain,
        "shortfall",
        format!("{name}: {count} of {total} had come, {missing} are missing, and reading again did not settle it; nothing was replaced"),
    )
    .hint("Run the same command again later. If it stays because less is shared now than before, fetch into a new directory; else report it to the server's operators.")
}

fn give_up(cause: PullError, resource: Searchable) -> Error {
    match cause {
        PullError::Failed(error) => error,
        PullError::Shifted => Error::new(
            Exit::TryAgain,
            "shifted",
            format!(
                "{}: the set on the server kept changing while it was being read; nothing was replaced",
                resource.name()
            ),
        )
        .hint("Run the same command again later."),
    }
}
