//! The one loop: reads a search to its end, checks whether the reading counts, and reads it again if not.

use std::{collections::BTreeSet, hash::Hasher, sync::Arc};

use jiff::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use super::{
    acceptance::{Accepted, Attempt, History, Judgment, Kept, Reading, Why, judge, other_page_size},
    increment,
    outcome::{ReadingOutcome, Said, again_words, failure, settled},
    sinks::{ArchiveSink, PageSink, Part},
};
use crate::{
    api::{client::Client, endpoints::Searchable},
    api_version::ApiVersion,
    archive::manifest::{Entry, Mode, Query},
    auth::session::Session,
    error::{Error, ErrorKind, Exit, Result},
    output::Output,
    paging::{
        checkpoint::Checkpoint,
        page_check::PriorCount,
        pager::{PullError, Search, SearchRequest},
    },
};

/// How many times prior authorizations are read at most to get two readings that agree.
const MOST_READINGS: usize = 5;
/// The source of prior authorizations (API v3).
const PRIOR_AUTHORIZATIONS: &str = "CWF";

/// Who reads a search, and how.
pub(crate) struct Reader<'a> {
    /// The server.
    pub client: &'a Arc<Client>,
    /// The log-in.
    pub session: &'a Session,
    /// The command line that logs in again.
    pub login: String,
    /// Resources per page.
    pub page_size: u32,
    /// The pull fails if there are more resources than this.
    pub max_claims: u64,
}

/// How a search is read.
#[derive(Clone, Debug)]
pub(crate) struct SearchPlan {
    /// The resource type.
    pub resource: Searchable,
    /// Everything, or what is new.
    pub mode: Mode,
    /// The filters.
    pub query: Query,
    /// The lower time limit, for an increment.
    pub since: Option<Timestamp>,
    /// What is known before the first request.
    pub prior: PriorCount,
}

impl SearchPlan {
    /// Changes the plan so that it reads everything.
    fn of_everything(&mut self, kept: Option<&Entry>) {
        (self.mode, self.since) = (Mode::Full, None);
        self.prior = PriorCount::Resources(kept.map_or(0, |entry| entry.count));
    }
}

/// How a reading begins.
struct Beginning {
    /// Where an earlier run stopped, if the reading goes on from there.
    from: Option<Checkpoint>,
    page_size: u32,
}

impl Reader<'_> {
    fn api(&self) -> ApiVersion {
        self.client.server().api()
    }

    fn output(&self) -> &Output {
        self.client.output()
    }

    /// Reads a search into an archive's file, from the beginning or from where an earlier run stopped.
    ///
    /// # Errors
    /// If no reading counts, or if the server, the network or the disk fails.
    pub(crate) async fn read_to_archive(
        &self,
        mut plan: SearchPlan,
        kept: Option<&Entry>,
        sink: &mut ArchiveSink,
        from: Option<Checkpoint>,
    ) -> Result<ReadingOutcome> {
        if let Some(from) = &from {
            let (name, count) = (plan.resource.name(), sink.distinct());
            self.output().say(format!(
                "{name}: continuing where an earlier run stopped, with {count} resources from {} of its pages",
                from.pages
            ));
        }
        let settled = self.settle(&mut plan, kept, &mut *sink, from).await?;
        let cursor_is_ahead = plan.since.zip(self.client.clock()).is_some_and(|(since, clock)| since > clock);
        if !cursor_is_ahead {
            return Ok(settled);
        }
        self.output().say("the archive's cursor is ahead of the server's clock: reading everything");
        plan.of_everything(kept);
        sink.ask_for_everything();
        sink.restart().await?;
        self.settle(&mut plan, kept, sink, None).await
    }

    /// Writes a search to a stream.
    ///
    /// # Errors
    /// Like [`Reader::read_to_archive`].
    pub(crate) async fn read_to_stream(
        &self,
        mut plan: SearchPlan,
        sink: &mut impl PageSink,
    ) -> Result<ReadingOutcome> {
        self.settle(&mut plan, None, sink, None).await
    }

    /// Reads a search as often as needed.
    async fn settle<S: PageSink>(
        &self,
        plan: &mut SearchPlan,
        kept: Option<&Entry>,
        sink: &mut S,
        mut from: Option<Checkpoint>,
    ) -> Result<ReadingOutcome> {
        let before = kept.map_or_else(Kept::default, |entry| Kept {
            count: entry.count,
            missing: entry.server_total.map(|total| total.saturating_sub(entry.count)),
            cursor: entry.cursor,
        });
        let mut history = History::default();
        let mut page_size = self.page_size;
        loop {
            let resumes = from.is_some();
            let mut said = Said::default();
            let beginning = Beginning { from: from.take(), page_size };
            let read = self.read(plan, beginning, &mut *sink, &mut said).await;
            // The server has at least as much as any reading of this pull has brought.
            if let PriorCount::Resources(known) = &mut plan.prior {
                *known = (*known).max(sink.distinct());
            }
            let attempt = match read {
                Ok(reading) => Attempt::Read(reading),
                // What an earlier run left does not match what the server has now. That does not count as a failed
                // reading.
                Err(PullError::Shifted) if resumes => {
                    self.output().say("the claims have changed on the server since: reading them from the beginning");
                    sink.restart().await?;
                    continue;
                }
                // The stored link may also belong to another person's search.
                Err(PullError::Failed(error)) if resumes && is_about_what_was_left(&error) => {
                    self.output().say("the pages from an earlier run do not fit: reading from the beginning");
                    sink.restart().await?;
                    continue;
                }
                // The file and its journal stay, so that a later run can continue from what came before the failure.
                Err(PullError::Failed(error)) => return Err(error),
                Err(PullError::Shifted) => Attempt::Shifted,
            };
            let judgment = judge(&attempt, &history, &before);
            history.note(&attempt, &judgment);
            match judgment {
                Judgment::Accept(accepted) => {
                    let settled = settled(plan, &attempt, accepted, said);
                    if settled.included > 0 {
                        let name = plan.resource.name();
                        self.output().say(format!(
                            "{name}: the server also sent {} other resources, which bbdl left out",
                            settled.included
                        ));
                    }
                    return Ok(settled);
                }
                Judgment::MergeAndTryLater => {
                    let why = failure(S::AFTER_FAILURE, plan.resource, Why::Shortfall, &attempt);
                    let settled = settled(plan, &attempt, Accepted::WithShortfall, said);
                    return Ok(ReadingOutcome { cursor_stays: true, failure: Some(why), ..settled });
                }
                Judgment::ReadAgain(why) => {
                    self.output().say(again_words(plan.resource, why, &attempt));
                    if why == Why::Shortfall {
                        page_size = other_page_size(page_size);
                    }
                }
                Judgment::AskWhetherItIsThere => self.ask_whether_it_is_there(plan, before.count).await?,
                Judgment::Fail(why) => {
                    sink.abandon().await?;
                    return Err(failure(S::AFTER_FAILURE, plan.resource, why, &attempt));
                }
            }
            sink.restart().await?;
        }
    }

    /// Reads a search once, with all its parts.
    async fn read<S: PageSink>(
        &self,
        plan: &SearchPlan,
        Beginning { from, page_size }: Beginning,
        sink: &mut S,
        said: &mut Said,
    ) -> Result<Reading, PullError> {
        let resumes = from.is_some();
        let mut query = plan.query.clone();
        query.extend(plan.since.map(increment::parameter));
        let (ordered, unordered) = self.parts_of(&query);
        let mut reading = Reading {
            mode: plan.mode,
            of_claims: plan.resource == Searchable::ExplanationOfBenefit,
            has_totals: self.api() != ApiVersion::V3,
            repeats: sink.repeats(),
            ..Reading::BEGUN
        };
        if let Some(query) = ordered {
            let request = SearchRequest {
                resource: plan.resource,
                query: query.clone(),
                // With one resource per page, overlapping pages would have nothing new.
                page_size: page_size.max(2),
                prior: plan.prior,
                is_ordered: true,
            };
            let mut search = Search::new(self.client, self.session, request, self.login.clone());
            if let Some(from) = from {
                search = search.resume(from)?;
            }
            reading.late = self.read_search(&mut search, sink, said).await?;
            let end = search.checkpoint();
            (reading.total, reading.data_time) = (search.total(), end.data_time);
            (reading.distinct, reading.repeats) = (sink.distinct(), sink.repeats());
            (reading.empty_pages, reading.displaced) = (end.empty_pages, end.displaced);
            (reading.ended_early, reading.unjoined) = (search.ended_early(), end.unjoined);
            let may_have_changed = match reading.has_totals {
                true => end.moved || (resumes && end.data_time.is_none()),
                false => resumes || plan.mode == Mode::Full,
            };
            if reading.of_claims
                && may_have_changed
                && end.pages > 1
                && let Some(answered) = end.data_time.or(end.first_answer)
            {
                let late = increment::loaded_after(&query, answered, self.api());
                reading.late += self.read_late(plan.resource, late, &mut *sink, said).await?;
            }
        }
        if let Some(query) = unordered {
            let before = sink.prior_authorizations_before();
            let prior = if plan.mode == Mode::Full { PriorCount::Resources(before) } else { PriorCount::MaybeNothing };
            reading.empty_pages += self.read_prior_authorizations((query, prior), sink, said).await?;
            reading.distinct = sink.distinct();
        }
        reading.which = sink.which();
        Ok(reading)
    }

    /// Splits a search into one that the server returns in its fixed order and one for prior authorizations (API v3),
    /// which it returns in no order. They come only if the query asks for their source.
    fn parts_of(&self, query: &Query) -> (Option<Query>, Option<Query>) {
        let is_source = |(name, _): &&(String, String)| name == "_source" && self.api() == ApiVersion::V3;
        let Some((_, sources)) = query.iter().find(is_source) else { return (Some(query.clone()), None) };
        let (unordered, ordered): (Vec<&str>, Vec<&str>) =
            sources.split(',').partition(|source| *source == PRIOR_AUTHORIZATIONS);
        let with = |sources: Vec<&str>| {
            let others = query.iter().filter(|parameter| !is_source(parameter)).cloned();
            let of_sources = (!sources.is_empty()).then(|| ("_source".to_owned(), sources.join(",")));
            of_sources.map(|of_sources| others.chain([of_sources]).collect())
        };
        (with(ordered), with(unordered))
    }

    /// Reads a search to its end and hands each page to `sink`. Returns how many resources came again in a newer
    /// version.
    async fn read_search<S: PageSink>(
        &self,
        search: &mut Search<Session>,
        sink: &mut S,
        said: &mut Said,
    ) -> Result<u64, PullError> {
        let mut newer = 0;
        let mut progress = self.output().progress(spoken(search.resource()));
        let (_, bytes_before) = self.client.traffic();
        let outcome = loop {
            let page = match search.next_page().await {
                Ok(Some(page)) => page,
                Ok(None) => break Ok(newer),
                Err(cause) => break Err(cause),
            };
            said.note(&page);
            let taken = sink.take(&page, Part::Search(&search.checkpoint())).map_err(PullError::Failed);
            match taken.and_then(|news| search.brought(sink.distinct()).map(|()| news)) {
                Ok(news) => newer += news.newer,
                Err(cause) => break Err(cause),
            }
            if let Err(error) = self.is_bounded(search.resource(), sink.distinct(), search.total()) {
                break Err(PullError::Failed(error));
            }
            progress.at(sink.distinct(), search.total(), self.client.traffic().1 - bytes_before);
        };
        progress.finish();
        outcome.map_err(|cause| with_count::<S>(cause, search, sink.distinct()))
    }

    /// Reads what was loaded while the search was read. Returns how many of these resources were on no page.
    async fn read_late<S: PageSink>(
        &self,
        resource: Searchable,
        query: Query,
        sink: &mut S,
        said: &mut Said,
    ) -> Result<u64, PullError> {
        let request = SearchRequest {
            resource,
            query,
            page_size: self.page_size.max(2),
            // At API v1 and v2, an empty answer may hide a failure, so it is asked for again.
            prior: if self.api() == ApiVersion::V3 { PriorCount::MaybeNothing } else { PriorCount::Resources(0) },
            is_ordered: true,
        };
        let mut search = Search::new(self.client, self.session, request, self.login.clone());
        let mut late = 0;
        let mut looked_at = 0;
        while let Some(page) = search.next_page().await? {
            said.note(&page);
            looked_at += page.bundle.ids().filter(|id| !page.overlaps(id)).count() as u64;
            let news = sink.take(&page, Part::Addition).map_err(PullError::Failed)?;
            late += news.new + news.newer;
            search.brought(looked_at)?;
            self.is_bounded(resource, sink.distinct().max(looked_at), None).map_err(PullError::Failed)?;
        }
        Ok(late)
    }

    /// Reads prior authorizations until two readings agree. Because they have no order, one that comes twice may hide
    /// one that did not come. If two readings are exactly alike, the server really lists it twice. Returns how many
    /// empty pages named a next page.
    async fn read_prior_authorizations<S: PageSink>(
        &self,
        (query, prior): (Query, PriorCount),
        sink: &mut S,
        said: &mut Said,
    ) -> Result<u32, PullError> {
        let request = SearchRequest {
            resource: Searchable::ExplanationOfBenefit,
            query,
            page_size: self.page_size,
            prior,
            is_ordered: false,
        };
        let mut before: Option<(BTreeSet<String>, u64)> = None;
        for _ in 0..MOST_READINGS {
            let mut search = Search::new(self.client, self.session, request.clone(), self.login.clone());
            let (mut ids, mut count, mut sequence) = (BTreeSet::new(), 0, Xxh3::new());
            while let Some(page) = search.next_page().await? {
                said.note(&page);
                for id in page.bundle.ids() {
                    sequence.write(id.as_bytes());
                    sequence.write_u8(0);
                    count += 1;
                    ids.insert(id.to_owned());
                }
                sink.take(&page, Part::Addition).map_err(PullError::Failed)?;
                search.brought(ids.len() as u64)?;
                self.is_bounded(request.resource, sink.distinct(), None).map_err(PullError::Failed)?;
            }
            let is_plain = count == ids.len();
            let now = (ids, sequence.finish());
            let agrees =
                before.as_ref().is_some_and(|(ids, sequence)| *ids == now.0 && (is_plain || *sequence == now.1));
            // A single page is one snapshot, so one reading is enough.
            let end = search.checkpoint();
            if agrees || (is_plain && end.pages <= 1) {
                return Ok(end.empty_pages);
            }
            before = Some(now);
        }
        Err(PullError::Shifted)
    }

    /// Limits how many resources a search may bring, so that an endless one stops before the disk is full.
    fn is_bounded(&self, resource: Searchable, came: u64, total: Option<u64>) -> Result<()> {
        let most = self.max_claims;
        let what = match resource {
            Searchable::ExplanationOfBenefit => "claims".to_owned(),
            other => format!("{} resources", other.name()),
        };
        let (message, enough) = match total.map(|total| total.max(came)).filter(|total| *total > most) {
            Some(total) => {
                (format!("the server has {total} {what} for this person, and --max-claims allows {most}"), total)
            }
            None if came > most => {
                let message =
                    format!("the server has more {what} for this person than the {most} that --max-claims allows");
                (message, most.saturating_mul(2))
            }
            None => return Ok(()),
        };
        Err(Error::new(ErrorKind::TooMany, message).hint(format!("If that many are possible: --max-claims {enough}")))
    }

    /// Reads the first page of everything that is kept. If the server has an outage, it shows here.
    async fn ask_whether_it_is_there(&self, plan: &SearchPlan, kept: u64) -> Result<()> {
        let request = SearchRequest {
            resource: plan.resource,
            query: plan.query.clone(),
            page_size: 1,
            prior: PriorCount::Resources(kept),
            is_ordered: true,
        };
        let search = Search::new(self.client, self.session, request, self.login.clone());
        match search.without_prefetch().next_page().await {
            Ok(_) | Err(PullError::Shifted) => Ok(()),
            Err(PullError::Failed(error)) => Err(error),
        }
    }
}

/// Whether a failure may come from what an earlier run left, rather than from the server.
fn is_about_what_was_left(error: &Error) -> bool {
    error.kind == ErrorKind::NotAllowed || (error.exit() == Exit::Data && error.kind != ErrorKind::TooMany)
}

/// The everyday name of a resource type, short enough for a narrow terminal.
fn spoken(resource: Searchable) -> &'static str {
    match resource {
        Searchable::ExplanationOfBenefit => "claims",
        Searchable::Patient => "patient",
        Searchable::Coverage => "coverage",
    }
}

/// Adds to the error how much is missing when a search fails halfway.
fn with_count<S: PageSink>(cause: PullError, search: &Search<Session>, count: u64) -> PullError {
    let PullError::Failed(mut error) = cause else { return cause };
    // It says how many there are itself.
    if error.kind == ErrorKind::TooMany {
        return PullError::Failed(error);
    }
    let (name, after) = (search.resource().name(), S::AFTER_FAILURE);
    let missing = match search.total() {
        Some(total) => format!("{count} of {total} {name} had come, {} are missing", total.saturating_sub(count)),
        None if count > 0 => format!("{count} {name} had come; it is not known how many are missing"),
        None => return PullError::Failed(error),
    };
    error.message = format!("{}; {missing}; {after}", error.message);
    PullError::Failed(error)
}
