//! A search read once, from its beginning or from where an earlier run stopped, and what is made of it.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{Job, increment};
use crate::{
    api::{
        pages::{Known, Page, PullError, Search, SoFar},
        server::{ApiVersion, Searchable},
    },
    archive::{
        ledger::Repeated,
        manifest::{Mode, Query},
        partial::Reached,
    },
    auth::session::Session,
    error::{Error, ErrorKind, Result},
    fhir::seam::is_number,
    ui::Ui,
};

/// How often a pull begins anew because the set changed while it was read.
const FRESH_STARTS: u32 = 2;

/// What is known when a search has been read to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    pub(super) cursor: Option<Timestamp>,
    pub(super) total: Option<u64>,
    /// When the server answered with the first page of this run, by its own clock (v3).
    answered: Option<Timestamp>,
    pages: usize,
    /// The link from which resources stand in no fixed order, where that is more than a page.
    unordered: Option<String>,
    /// Whether an earlier run had begun it.
    resumed: bool,
    /// Whether the links ended although the pages read cannot have held the total.
    pub(super) cut_short: bool,
}

impl End {
    /// How many fewer there are than the server's total.
    pub(super) fn missing(&self, count: u64) -> u64 {
        self.total.map_or(0, |total| total.saturating_sub(count))
    }
}

/// The readings of one search: how often it has begun anew, and what earlier ones came to.
#[derive(Default)]
pub(super) struct Readings {
    starts: u32,
    shortfall: Option<u64>,
    repeated: Option<Repeated>,
    /// Whether an answer that says "nothing new" was asked for again.
    asked_again: bool,
    /// Whether an answer of a server that is behind what is kept was asked for again.
    was_behind: bool,
}

impl Readings {
    /// The set changed while it was read: is it read again?
    pub(super) fn shifted(&mut self, resource: Searchable, ui: &Ui) -> Result<()> {
        if self.starts == FRESH_STARTS {
            return Err(give_up(PullError::Shifted, resource));
        }
        ui.say("the claims changed on the server while they were being read: reading them again");
        self.starts += 1;
        Ok(())
    }

    /// A reading came to fewer resources than the server's total.
    pub(super) fn fell_short(&mut self, resource: Searchable, end: &End, count: u64, ui: &Ui) -> Result<()> {
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
    pub(super) fn is_whole(&self, missing: u64, was_so_before: bool, never: bool) -> bool {
        missing == 0 || ((self.shortfall == Some(missing) || was_so_before) && !never)
    }

    /// Whether what came twice in a reading has changed places. A server that lists a claim twice does so at every
    /// reading; prior authorisations have no places, and each that comes twice may stand for one that has not come.
    pub(super) fn moved(&mut self, repeated: Repeated) -> bool {
        let as_ever = self.repeated.replace(repeated) == Some(repeated) && !repeated.is_unordered;
        repeated.number > 0 && !as_ever
    }

    /// Whether this is the first time that nothing new came.
    pub(super) fn ask_again(&mut self) -> bool {
        !std::mem::replace(&mut self.asked_again, true)
    }

    /// Whether this is the first time that the answer is older than what is kept.
    pub(super) fn ask_another(&mut self) -> bool {
        !std::mem::replace(&mut self.was_behind, true)
    }
}

/// Whoever keeps what is read.
pub(super) trait Keeper {
    /// Takes a page, and how far the search was read by then; says how many resources there are.
    fn take(&mut self, page: &Page, reached: &Reached) -> Result<u64, PullError>;
    /// All pages are there, and up to this place nothing lies between them.
    fn held(&mut self, at: u64) -> Result<()>;
}

impl Job<'_> {
    /// Reads a search to its end, handing each page to `keeper`. `distinct` is how many resources there are before.
    pub(super) async fn read(
        &self,
        resource: Searchable,
        query: Query,
        known: Known,
        from: Option<Reached>,
        mut distinct: u64,
        keeper: &mut impl Keeper,
    ) -> Result<End, PullError> {
        let count = self.args.page_size;
        let mut search = Search::new(self.client, self.session, resource, &query, count, known, self.login());
        let mut end = End { resumed: from.is_some(), ..End::default() };
        if let Some(Reached { pages, next: Some(next), total, cursor, seams, last, moved, unordered }) = from {
            search = search.resume(SoFar { pages, next, total, dated: cursor, seams, last, moved, unordered })?;
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
                        moved: search.moved(),
                        unordered: search.unordered().cloned(),
                    };
                    match keeper.take(&page, &reached) {
                        Ok(now) => distinct = now,
                        Err(cause) => break Err(cause),
                    }
                    if let Err(cause) = search.brought(distinct) {
                        break Err(cause);
                    }
                    progress.at(distinct, search.total(), self.client.traffic().1 - bytes_before);
                }
                Ok(None) => {
                    break match search.fits_together(|at| keeper.held(at)).await {
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
        let unordered = search.unordered().filter(|(page, _)| page + 1 < search.pages());
        end.unordered = unordered.map(|(_, link)| link.clone());
        end.cut_short = end.total.is_some_and(|total| search.room() < total);
        outcome.map(|()| end).map_err(|cause| incomplete(cause, resource, distinct, search.total()))
    }

    /// Whether the set of API v3, whose totals do not tell, stayed as it was. A claim that comes twice has
    /// been moved to a later page, unless it does so at every reading. A claim that has been superseded is
    /// gone, and whatever supersedes it was loaded meanwhile, and is looked for: `has` says whether a
    /// resource has been read.
    pub(super) async fn held_still(
        &self,
        (resource, query, mode): (Searchable, &Query, Mode),
        end: &End,
        (distinct, moved): (u64, bool),
        has: impl Fn(&str) -> bool,
    ) -> Result<bool> {
        let is_long = self.profile.api == ApiVersion::V3 && end.pages > 1;
        if !is_long {
            return Ok(true);
        }
        if moved {
            return Ok(false);
        }
        let (count, login) = (self.args.page_size, self.login());
        // No more of them can be here than there are.
        let most = distinct + u64::from(count);
        if let Some(next) = end.unordered.clone() {
            // In no order, one that goes away may take any other with it: all of them are looked for once more.
            let known = Known::MaybeNothing;
            let search = Search::new(self.client, self.session, resource, query, count, known, login.clone());
            let so_far = SoFar { pages: 1, next, ..SoFar::default() };
            let still = match search.without_haste().resume(so_far) {
                Ok(search) => self.has_all_of(search, resource, most, &has, true).await?,
                Err(cause) => return Err(give_up(cause, resource)),
            };
            if !still {
                return Ok(false);
            }
        }
        let Some(since) = end
            .answered
            .filter(|_| mode == Mode::Full || end.resumed)
            .and_then(|at| increment::before(query, at, self.profile.api))
        else {
            return Ok(true);
        };
        let mut query = query.clone();
        query.push(increment::parameter(since));
        let search = Search::new(self.client, self.session, resource, &query, count, Known::MaybeNothing, login);
        self.has_all_of(search.without_haste(), resource, most, &has, false).await
    }

    /// Whether all resources of a search, `most` of them at most, have been read. Of those that stand in no order,
    /// one that comes twice may stand for one that has not come.
    async fn has_all_of(
        &self,
        mut search: Search<Session>,
        resource: Searchable,
        most: u64,
        has: impl Fn(&str) -> bool,
        unordered: bool,
    ) -> Result<bool> {
        let (mut looked_at, mut seen) = (0, HashSet::new());
        loop {
            match search.next_page().await {
                Ok(Some(page)) if looked_at <= most && page.bundle.resources().all(&has) => {
                    looked_at += page.bundle.len() as u64;
                    let headers = page.bundle.entries().filter_map(|(_, header)| header.as_ref().ok());
                    let mut ids = headers.map(|header| &header.id).filter(|id| unordered && !is_number(id));
                    if !ids.all(|id| seen.insert(id.clone())) {
                        return Ok(false);
                    }
                }
                Ok(Some(_)) | Err(PullError::Shifted) => return Ok(false),
                Ok(None) => return Ok(true),
                Err(cause) => return Err(give_up(cause, resource)),
            }
        }
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
        ErrorKind::Shortfall,
        format!("{name}: {count} of {total} had come, {missing} are missing, and reading again did not settle it; nothing was replaced"),
    )
    .hint("Run the same command again later. If it stays because less is shared now than before, fetch into a new directory; else report it to the server's operators.")
}

pub(super) fn give_up(cause: PullError, resource: Searchable) -> Error {
    match cause {
        PullError::Failed(error) => error,
        PullError::Shifted => Error::new(
            ErrorKind::Shifted,
            format!(
                "{}: the set on the server kept changing while it was being read; nothing was replaced",
                resource.name()
            ),
        )
        .hint("Run the same command again later."),
    }
}
