//! Reads the pages of a search one after the other, by following its links.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use url::Url;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{
    address::Address,
    checkpoint::Checkpoint,
    page_check::{Joint, PageFacts, PageVerdict, PriorCount, check_page},
    prefetch::{Asker, Prefetch},
};
use crate::{
    api::{
        client::{Bearer, Client, Failure, Wanted},
        endpoints::{Searchable, loggable},
        problem::Problem,
        retry::chance,
    },
    api_version::ApiVersion,
    error::{Error, ErrorKind, ISSUES},
    fhir::bundle::Bundle,
};

/// Limit of pages in a row that bring nothing new and still name a next page.
const LONGEST_STALL: u32 = 20;
/// How often pages may grow back after one was too large for the server.
const RECOVERIES: u32 = 2;

/// What is searched for.
#[derive(Clone, Debug)]
pub(crate) struct SearchRequest {
    /// The resource type.
    pub resource: Searchable,
    /// The parameters, except the page size.
    pub query: Vec<(String, String)>,
    /// Resources per page, from 1 to 50.
    pub page_size: u32,
    /// What is known before the first request.
    pub prior: PriorCount,
    /// Whether the server returns the results in a fixed order. It does not for prior authorizations (API v3).
    pub is_ordered: bool,
}

/// One page of a search.
#[derive(Debug)]
pub(crate) struct Page {
    /// What it holds.
    pub bundle: Bundle,
    /// Hashes of the ids on the page before, which this page may overlap.
    before: HashSet<u64>,
}

impl Page {
    /// Whether the page before had this resource as well: pages overlap.
    #[must_use]
    pub(crate) fn overlaps(&self, id: &str) -> bool {
        self.before.contains(&id_hash(id))
    }
}

/// Why a search did not reach its end.
#[derive(Debug)]
pub(crate) enum PullError {
    /// The set changed between two pages. Reading it again from the start can help.
    Shifted,
    /// The search cannot continue.
    Failed(Error),
}

/// A search being read.
pub(crate) struct Search<B> {
    asker: Asker<B>,
    request: SearchRequest,
    base: Url,
    /// The link to follow, as the server named it.
    next: Option<Url>,
    prefetch: Prefetch,
    index: usize,
    /// Links without a place in the search, sixteen bytes each.
    followed: HashSet<u128>,
    /// Whether pages overlap by one resource.
    overlap: bool,
    last: LastPage,
    /// The start of the page that was requested from farther back. This is done once per page.
    asked_back: Option<u64>,
    first: Option<FirstPage>,
    moved: bool,
    displaced: u32,
    unjoined: bool,
    /// How far the pages read so far reach in the search.
    reach: u64,
    total: Option<u64>,
    empty_pages: u32,
    stalled_pages: u32,
    distinct: u64,
    reduced: Option<Reduced>,
    recoveries: u32,
    login: String,
}

/// What the next page is compared with.
#[derive(Default)]
struct LastPage {
    /// Hashes of the ids on the newest page that had any.
    ids: HashSet<u64>,
    /// The id of the last of them.
    last: Option<String>,
    /// Whether that page, or an empty one after it, had fewer entries than it was asked for.
    is_short: bool,
}

/// What is kept from the first page.
#[derive(Clone, Copy)]
struct FirstPage {
    date: Option<Timestamp>,
    answered: Option<Timestamp>,
}

/// A part of a search that is read in smaller pages.
#[derive(Clone, Copy, Debug)]
struct Reduced {
    /// Where it ends.
    end: u64,
    /// The page size after it.
    count: u64,
}

impl<B: Bearer> Search<B> {
    /// Starts a search from its beginning. `login` is the command line that logs in again.
    pub(crate) fn new(client: &Arc<Client>, bearer: &B, request: SearchRequest, login: String) -> Self {
        let base = client.server().search(request.resource);
        let mut first = base.clone();
        first.query_pairs_mut().extend_pairs(&request.query).append_pair("_count", &request.page_size.to_string());
        let api = client.server().api();
        let may_lose = request.query.iter().any(|(name, value)| may_lose(name, value));
        Self {
            asker: Asker { client: Arc::clone(client), bearer: bearer.clone() },
            base,
            followed: HashSet::new(),
            overlap: request.is_ordered && (api == ApiVersion::V3 || may_lose),
            prefetch: Prefetch::begin(&first, api, u64::from(request.page_size)),
            next: Some(first),
            index: 0,
            last: LastPage::default(),
            asked_back: None,
            first: None,
            moved: false,
            displaced: 0,
            unjoined: false,
            reach: 0,
            total: None,
            empty_pages: 0,
            stalled_pages: 0,
            distinct: 0,
            reduced: None,
            recoveries: 0,
            login,
            request,
        }
    }

    /// Continues after the pages that an earlier run has read.
    ///
    /// # Errors
    /// [`PullError::Failed`] if the link does not belong to this search.
    pub(crate) fn resume(mut self, from: Checkpoint) -> Result<Self, PullError> {
        let Some(next) = &from.next else { return Ok(self) };
        let next = self.follow(next, None)?;
        self.reach = match Address::of(&next) {
            Some(address) => address.start,
            None => u64::from(self.request.page_size) * from.pages as u64,
        };
        (self.index, self.total, self.next) = (from.pages, from.total, Some(next));
        (self.moved, self.displaced, self.unjoined) = (from.moved, from.displaced, from.unjoined);
        self.empty_pages = from.empty_pages;
        self.first = Some(FirstPage { date: from.data_time, answered: from.first_answer });
        self.overlap |= self.request.is_ordered && from.moved;
        self.last =
            LastPage { ids: from.last.iter().map(|id| id_hash(id)).collect(), last: from.last, is_short: false };
        Ok(self)
    }

    /// Turns off prefetch, for a caller that needs only the first page.
    #[must_use]
    pub(crate) fn without_prefetch(mut self) -> Self {
        self.prefetch.stop_for_good();
        self
    }

    /// What is searched for.
    #[must_use]
    pub(crate) fn resource(&self) -> Searchable {
        self.request.resource
    }

    /// How far it was read.
    #[must_use]
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            pages: self.index,
            next: self.next.as_ref().map(|url| url[url::Position::BeforePath..].to_owned()),
            total: self.total,
            data_time: self.first.and_then(|first| first.date).filter(|_| self.has_totals()),
            first_answer: self.first.and_then(|first| first.answered),
            last: self.last.last.clone(),
            moved: self.moved,
            displaced: self.displaced,
            unjoined: self.unjoined,
            empty_pages: self.empty_pages,
        }
    }

    /// How many resources the server counts; `None` if it does not say, and at API v3, whose `total` is the page
    /// size.
    #[must_use]
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether the links ended before the number of resources in the server's total.
    #[must_use]
    pub(crate) fn ended_early(&self) -> bool {
        self.next.is_none() && self.total.is_some_and(|total| self.reach < total)
    }

    /// Tells the search how many distinct resources there are after the newest page. A search that brings nothing new
    /// must not run forever. (Before the total is reached, pages may bring nothing, because all of it may be
    /// redacted.)
    ///
    /// # Errors
    /// [`PullError::Failed`] if the search brings nothing new for too long.
    pub(crate) fn brought(&mut self, distinct: u64) -> Result<(), PullError> {
        let is_before_the_total = self.total.is_some_and(|total| self.reach < total);
        let is_stalled = distinct == self.distinct && !is_before_the_total;
        self.stalled_pages = if is_stalled { self.stalled_pages + 1 } else { 0 };
        self.distinct = distinct;
        if self.next.is_none() {
            return Ok(());
        }
        let most = self.total.map(|total| total.saturating_add(u64::from(self.request.page_size)));
        if most.is_some_and(|most| distinct > most) {
            return Err(self.refuse("the server sent more than it counted, and still links to a next page".to_owned()));
        }
        if self.stalled_pages > LONGEST_STALL {
            return Err(
                self.refuse(format!("{LONGEST_STALL} pages in a row brought nothing new, but linked to a next page"))
            );
        }
        Ok(())
    }

    /// The next page, or `None` after the last.
    ///
    /// # Errors
    /// [`PullError`]. The search is over then.
    pub(crate) async fn next_page(&mut self) -> Result<Option<Page>, PullError> {
        let Some(link) = self.next.take() else { return Ok(None) };
        let (url, bundle) = self.credible(self.overlapping(link)).await?;
        let address = self.prefetch.address(&url);
        let count = address.as_ref().map_or(u64::from(self.request.page_size), |address| address.count);
        self.reach = address.as_ref().map_or(self.reach + count, |address| self.reach.max(address.start + count));
        self.total = self.total.or(self.trusted_total(&bundle));
        if self.total.is_none() && self.request.is_ordered && !self.overlap {
            // There is no count to check against. From here on, each page has to continue the one before.
            self.overlap = true;
            self.prefetch.clear();
        }
        let date = bundle.last_updated;
        let answered = self.asker.client.clock().or(date);
        let first = *self.first.get_or_insert(FirstPage { date, answered });
        self.moved |= self.has_totals() && first.date != date;
        self.empty_pages += u32::from(bundle.is_empty() && bundle.next.is_some());
        let is_placed = address.as_ref().is_some_and(|address| address.count > 1);
        self.unjoined |= self.index > 0 && !is_placed && (self.overlap || self.moved);
        let before = self.remember(&bundle, count, is_placed);
        self.next = bundle.next.as_deref().map(|link| self.follow(link, address.as_ref())).transpose()?;
        if self.next.is_none() {
            self.prefetch.clear();
        }
        self.index += 1;
        Ok(Some(Page { bundle, before }))
    }

    fn has_totals(&self) -> bool {
        self.asker.client.server().api() != ApiVersion::V3
    }

    /// The page that a link names, started one resource earlier if pages overlap.
    fn overlapping(&self, link: Url) -> Url {
        match Address::of(&link).filter(|address| self.overlap && address.start > 0 && address.count > 1) {
            Some(address) => address.at(address.start - 1, address.count).url().clone(),
            None => link,
        }
    }

    /// A page that agrees with what is known, and its URL. Asks again as often as the checks allow.
    async fn credible(&mut self, mut url: Url) -> Result<(Url, Bundle), PullError> {
        let mut asked_again = 0;
        self.prefetch.aim(&url);
        self.ask_ahead();
        let mut answer = self.prefetch.take(&self.asker, &url).await;
        loop {
            let too_much = matches!(answer, Err(Failure::Answer(Problem::TooMuch { .. })));
            if let Some(smaller) = too_much.then(|| self.smaller(&url)).flatten() {
                url = smaller;
                self.prefetch.aim(&url);
                self.ask_ahead();
                answer = self.prefetch.take(&self.asker, &url).await;
                continue;
            }
            let bundle = answer.map_err(|failure| self.failed(failure))?;
            let may_be_nothing = self.index == 0 && bundle.is_empty() && self.request.prior == PriorCount::Resources(0);
            if may_be_nothing && asked_again == 0 && self.prefetch.shows_more().await {
                self.request.prior = PriorCount::Resources(1);
            }
            let facts = self.facts(&url, &bundle, asked_again);
            let verdict = check_page(&facts);
            self.asker.client.output().trace(2, || format!("{}: {verdict:?}", loggable(&url)));
            match verdict {
                PageVerdict::Accept => {
                    self.displaced += u32::from(facts.joint == Joint::Displaced);
                    return Ok((url, bundle));
                }
                PageVerdict::Shifted => return Err(PullError::Shifted),
                PageVerdict::Outage => return Err(self.outage()),
                PageVerdict::AskAgain => {
                    self.asker
                        .client
                        .output()
                        .trace(1, || format!("{}: this cannot be right; asking again", loggable(&url)));
                    self.pause(asked_again).await;
                    asked_again += 1;
                }
                PageVerdict::AskFartherBack => return self.farther_back(url, bundle).await,
            }
            answer = self.asker.fetch(&url, Wanted::Fhir).await;
        }
    }

    fn facts(&self, url: &Url, bundle: &Bundle, asked_again: u32) -> PageFacts {
        let address = self.prefetch.address(url).filter(|address| address.count > 1);
        let date = self.first.map_or(bundle.last_updated, |first| first.date);
        let ends_meet = self.request.is_ordered && !self.overlap && self.index > 0 && address.is_some();
        PageFacts {
            has_totals: self.has_totals(),
            is_first: self.index == 0,
            of_claims: self.request.resource == Searchable::ExplanationOfBenefit,
            prior: self.request.prior,
            entries: bundle.len(),
            has_next: bundle.next.is_some(),
            total: self.trusted_total(bundle),
            total_before: self.total,
            joint: address.map_or(Joint::NotCompared, |address| self.joint(&address, bundle)),
            date_changed: ends_meet && !bundle.is_empty() && bundle.last_updated != date,
            asked_again,
        }
    }

    /// Whether a page continues the one before.
    fn joint(&self, address: &Address, bundle: &Bundle) -> Joint {
        let Some(last) = &self.last.last else { return Joint::NotCompared };
        if !self.overlap || self.index == 0 || bundle.is_empty() {
            return Joint::NotCompared;
        }
        // When asked from farther back, the last resource of the page before comes before the original start.
        let asked_back = self.asked_back.filter(|start| *start > address.start);
        let place = asked_back.map_or(0, |start| usize::try_from(start - address.start).unwrap_or(usize::MAX));
        let may_be_redacted = self.has_totals() && (self.last.is_short || bundle.len() < address.count as usize);
        let is_known = |id: &str| self.last.ids.contains(&id_hash(id));
        match bundle.ids().position(|id| id == last) {
            Some(_) if asked_back.is_none() && bundle.len() > 1 && bundle.ids().all(is_known) => {
                return Joint::NothingNew;
            }
            Some(found) if found == place || may_be_redacted => return Joint::Joined,
            Some(_) => return Joint::Displaced,
            None => {}
        }
        match asked_back {
            _ if !may_be_redacted => Joint::Apart,
            // Other resources of the page before are here, but its last one is not: it was removed.
            Some(_) if bundle.ids().any(is_known) => Joint::Apart,
            Some(_) => Joint::Unknown,
            None if self.asked_back == Some(address.start) => Joint::Unknown,
            None => Joint::MaybeRedacted,
        }
    }

    /// Asks for the page that ends with the first resource of this one. Returns that page if it shows that it
    /// continues the page before. If nothing can be concluded from it, returns this one.
    async fn farther_back(&mut self, url: Url, bundle: Bundle) -> Result<(Url, Bundle), PullError> {
        let address = self.prefetch.address(&url).filter(|address| address.start > 0).ok_or(PullError::Shifted)?;
        // While pages do not overlap, the page before ends just before this one.
        let last = if self.overlap { address.start } else { address.start - 1 };
        (self.asked_back, self.overlap) = (Some(last), true);
        let start = (last + 1).saturating_sub(address.count - 1);
        self.asker
            .client
            .output()
            .trace(1, || format!("{}: does not continue the page before; asking again from {start}", loggable(&url)));
        let back = address.at(start, address.count);
        self.prefetch.clear();
        let answer = self.asker.fetch(back.url(), Wanted::Fhir).await;
        let wider = answer.map_err(|failure| self.failed(failure))?;
        let (url, bundle) = match self.joint(&back, &wider) {
            Joint::Joined => (back.url().clone(), wider),
            Joint::Unknown => (url, bundle),
            // All of it is redacted. A hidden failure would have no next page.
            Joint::NotCompared if wider.next.is_some() => (url, bundle),
            _ => return Err(PullError::Shifted),
        };
        self.prefetch.aim(&url);
        Ok((url, bundle))
    }

    /// Records what the next page is compared with. Returns what this one was compared with.
    fn remember(&mut self, bundle: &Bundle, count: u64, is_placed: bool) -> HashSet<u64> {
        let is_short = bundle.len() < usize::try_from(count).unwrap_or(usize::MAX);
        if bundle.is_empty() {
            self.last.is_short = true;
            if !self.has_totals() {
                // Without totals, a page that follows an empty one cannot be compared with anything before it.
                self.last = LastPage::default();
            }
            return HashSet::new();
        }
        let ids = bundle.ids().map(id_hash).collect();
        let last = LastPage { ids, last: bundle.ids().last().map(str::to_owned), is_short };
        let before = std::mem::replace(&mut self.last, last);
        if self.overlap && is_placed { before.ids } else { HashSet::new() }
    }

    /// Prefetches the pages that are expected next.
    fn ask_ahead(&mut self) {
        let count = self.prefetch.count();
        let end = match (self.total, self.request.prior) {
            (Some(total), _) => Some(total),
            // This is the second page of what is probably a long list. At worst it is one request too many.
            (None, PriorCount::Resources(0))
                if self.index == 0 && self.request.resource == Searchable::ExplanationOfBenefit =>
            {
                Some(count + 1)
            }
            (None, PriorCount::Resources(before)) if self.index == 0 => Some(before),
            (None, PriorCount::MaybeNothing) if self.index == 0 => Some(0),
            // Only the links show how far the search goes.
            (None, _) => None,
        };
        let end = match (end, self.reduced) {
            (end, Some(reduced)) => Some(end.map_or(reduced.end, |end| end.min(reduced.end))),
            (end, None) => end,
        };
        let overlap = u64::from(self.overlap && count > 1);
        self.prefetch.fill(&self.asker, end, self.index, overlap);
    }

    /// Waits as long as before the retry of a failed request.
    async fn pause(&self, asked_again: u32) {
        let policy = self.asker.client.retry();
        let problem = Problem::network("an answer that cannot be believed".to_owned());
        let pause = policy.pause(&problem, asked_again.min(policy.retries.saturating_sub(1)), chance());
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }

    /// Where to continue with smaller pages instead of this one, if it can be halved.
    fn smaller(&mut self, url: &Url) -> Option<Url> {
        let address = self.prefetch.address(url)?;
        let count = address.half()?;
        let end = address.start + address.count;
        self.reduced = self.reduced.or(Some(Reduced { end, count: address.count }));
        self.asker.client.output().trace(1, || format!("{}: too large; asking for {count} at a time", loggable(url)));
        Some(address.at(address.start, count).url().clone())
    }

    /// The total of a page, if it makes sense: not at API v3, and not 0 on a page with entries.
    fn trusted_total(&self, bundle: &Bundle) -> Option<u64> {
        let total = bundle.total.filter(|_| self.has_totals());
        total.filter(|total| *total > 0 || bundle.is_empty())
    }

    fn outage(&self) -> PullError {
        let what = self.request.resource.name();
        PullError::Failed(
            Error::new(
                ErrorKind::Outage,
                format!("{what}: the server says that there is nothing, but there was before; its database has probably failed"),
            )
            .hint("Nothing was replaced. Run the same command again later; if the claims are really gone, fetch into a new directory."),
        )
    }

    fn failed(&self, failure: Failure) -> PullError {
        match failure {
            Failure::Answer(problem) if self.index > 0 && problem.past_the_end() => PullError::Shifted,
            Failure::Answer(problem) => {
                let what = format!("{}, page {}", self.request.resource.name(), self.index + 1);
                PullError::Failed(problem.into_error(&what, &self.login))
            }
            Failure::Other(error) => PullError::Failed(error),
        }
    }

    fn refuse(&self, why: String) -> PullError {
        PullError::Failed(Error::new(ErrorKind::Paging, format!("{}: {why}", self.request.resource.name())).hint(
            format!("Nothing was replaced. Run the same command again. If it happens again, report it: {ISSUES}"),
        ))
    }

    /// The link to the page after the one at `current`. It must lead forward: to a later place, or, if it names no
    /// place, to a link that was not followed before.
    fn follow(&mut self, link: &str, current: Option<&Address>) -> Result<Url, PullError> {
        let url =
            self.asker.client.server().follow(&self.base, link).map_err(|cause| self.refuse(cause.to_string()))?;
        let leads_forward = match (Address::of(&url), current) {
            (Some(next), Some(current)) => next.start > current.start,
            _ => self.followed.insert(xxh3_128(url.as_str().as_bytes())),
        };
        if !leads_forward {
            return Err(self.refuse(format!("page {} leads back to a page already read", self.index + 1)));
        }
        Ok(self.grown(url))
    }

    /// The page that a link names, at its old size again once the part with smaller pages has been read.
    fn grown(&mut self, url: Url) -> Url {
        let Some(reduced) = self.reduced else { return url };
        let Some(address) = Address::of(&url).filter(|address| address.start >= reduced.end) else { return url };
        self.reduced = None;
        self.recoveries += 1;
        if self.recoveries > RECOVERIES {
            return url;
        }
        address.at(address.start, reduced.count).url().clone()
    }
}

fn id_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// Whether a resource that is loaded again may no longer match this parameter.
fn may_lose(name: &str, value: &str) -> bool {
    name == "service-date" || (name == "_lastUpdated" && value.starts_with('l'))
}
