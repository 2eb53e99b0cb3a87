//! A search as a stream of pages, in order, each exactly once.
//!
//! What ends a search is a page without a `next` link, and nothing else: not an empty page, not a
//! short one, not the `total`. What the server can get wrong on the way is noticed here:
//!
//! * API v1 and v2 answer 200 with an empty bundle and `total` 0 when their data back end failed. Where
//!   claims were known before, and on every page but the first (which a `next` link promised), such a
//!   page is asked for again and then is a temporary failure.
//! * A `total` that changes between two pages means that the set changed while it was being read, and
//!   that the pages no longer fit together: the caller starts again ([`PullError::Shifted`]).
//! * Where no total tells how many there are (API v3), an empty page that names a next one, or that the page
//!   before it named, is asked for again; one that stays empty does not fit those before it.
//! * Links that lead back, or on for ever without bringing anything, are refused.
//! * A resource that went away while the pages were read moves all those behind it, and may have moved one of
//!   them out of both pages. Where that can have happened ([`Search::fits_together`]), it is looked at each
//!   place where two pages meet whether anything lies between them.
//!
//! Pages are asked for ahead of their turn (`ahead`), as many at once as the pace allows. That
//! changes when a page is asked for, and nothing else: a page counts only when the page before it names it
//! as the next. A page that is too much for the server is asked for again in smaller ones.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use url::Url;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    address::Address,
    ahead::{Ahead, fetch},
    client::{Bearer, Client, Failure, Wanted},
    problem::Problem,
    retry::chance,
    seams::Seams,
    server::{ApiVersion, Searchable, shown},
};
use crate::{
    error::{Error, ErrorKind, Result as Outcome},
    fhir::{bundle::Bundle, seam::Seam},
};

/// How often a page is asked for again that looks like a swallowed failure of the back end.
const DOUBTS: u32 = 3;
/// Pages in a row that bring nothing new and still name a next one.
const LONGEST_DROUGHT: u32 = 20;
/// Resources before the total that do not come, since they may not be shared.
const LONGEST_REDACTION: u64 = 100_000;
/// How often the pages grow again after one had to be asked for in parts.
const RECOVERIES: u32 = 2;

/// One page of a search.
#[derive(Debug)]
pub struct Page {
    /// Its number in the order of the links, from 0.
    pub index: usize,
    /// What it holds.
    pub bundle: Bundle,
}

/// Why a search did not come to its end.
#[derive(Debug)]
pub enum PullError {
    /// The set changed between two pages; reading it again from the start can help.
    Shifted,
    /// It failed for good.
    Failed(Error),
}

/// A search being read.
pub struct Search<B> {
    client: Arc<Client>,
    bearer: B,
    resource: Searchable,
    base: Url,
    next: Option<Url>,
    ahead: Ahead,
    index: usize,
    room: u64,
    /// Addresses of pages that were read or are to be read, in sixteen bytes each.
    seen: HashSet<u128>,
    seams: Seams,
    /// The date of the first page, and whether a later one bore another.
    dated: Option<Option<Timestamp>>,
    moved: bool,
    /// Whether the filters let a resource leave the set that is loaded again.
    may_lose: bool,
    drought: u32,
    redacted: u64,
    unordered: Option<(usize, String)>,
    distinct: u64,
    total: Option<u64>,
    known: Known,
    parts: Option<Parts>,
    recoveries: u32,
    login: String,
}

/// How far a search was read that goes on.
#[derive(Debug, Default)]
pub struct SoFar {
    /// Pages read.
    pub pages: usize,
    /// The link of the page that follows them.
    pub next: String,
    /// The total that was named.
    pub total: Option<u64>,
    /// The date of the first page, where it matters.
    pub dated: Option<Timestamp>,
    /// Where these pages meet.
    pub seams: Vec<Seam>,
    /// The id of the last resource of the last of them.
    pub last: Option<String>,
    /// Whether one of them bore another date than the first.
    pub moved: bool,
    /// The first of them with resources that stand in no fixed order: which it is, and its link.
    pub unordered: Option<(usize, String)>,
}

/// A stretch of a search that is being read in smaller pages.
#[derive(Clone, Copy, Debug)]
struct Parts {
    /// Where it ends.
    end: u64,
    /// The size of the pages after it.
    count: u64,
}

/// What is known of a search before it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// An earlier pull of the same search brought this many resources; 0 where there was none.
    Before(u64),
    /// It asks for what is new, and nothing is an answer like any other.
    MaybeNothing,
}

impl<B: Bearer> Search<B> {
    /// A search with these parameters in pages of `count`; `login` is the command line that logs in again.
    pub fn new(
        client: &Arc<Client>,
        bearer: &B,
        resource: Searchable,
        query: &[(String, String)],
        count: u32,
        known: Known,
        login: String,
    ) -> Self {
        let base = client.server().search(resource);
        let mut first = base.clone();
        first.query_pairs_mut().extend_pairs(query).append_pair("_count", &count.to_string());
        Self {
            client: Arc::clone(client),
            bearer: bearer.clone(),
            resource,
            base,
            seen: HashSet::from([xxh3_128(first.as_str().as_bytes())]),
            seams: Seams::of(client.server().api()),
            dated: None,
            moved: false,
            unordered: None,
            may_lose: query.iter().any(|(name, value)| may_lose(name, value)),
            ahead: Ahead::begin(&first, client.server().api(), u64::from(count)),
            next: Some(first),
            index: 0,
            room: 0,
            drought: 0,
            redacted: 0,
            distinct: 0,
            total: None,
            known,
            parts: None,
            recoveries: 0,
            login,
        }
    }

    /// Goes on after the first pages, from where `so_far` says.
    ///
    /// # Errors
    /// [`PullError::Failed`] for a link that does not belong to this search.
    pub fn resume(mut self, so_far: SoFar) -> Result<Self, PullError> {
        self.index = so_far.pages;
        self.room = self.ahead.count() * so_far.pages as u64;
        self.total = so_far.total;
        (self.dated, self.moved, self.unordered) = (so_far.dated.map(Some), so_far.moved, so_far.unordered);
        self.seams.go_on(so_far.seams, so_far.last);
        self.next = Some(self.follow(&so_far.next)?);
        Ok(self)
    }

    /// Asks for nothing ahead of its turn: the first page is all that is wanted.
    #[must_use]
    pub fn without_haste(mut self) -> Self {
        self.ahead.expect_nothing();
        self
    }

    /// The address of the page that follows those read, path and query; `None` at the end.
    #[must_use]
    pub fn next_link(&self) -> Option<&str> {
        self.next.as_ref().map(|url| &url[url::Position::BeforePath..])
    }

    /// The number of resources the server says there are; `None` where it does not say, and at API v3,
    /// whose `total` is the page size.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether a page bore another date than the first one.
    #[must_use]
    pub fn moved(&self) -> bool {
        self.moved
    }

    /// The first page with resources that stand in no fixed order (prior authorisations of API v3): which it is,
    /// and its link.
    #[must_use]
    pub fn unordered(&self) -> Option<&(usize, String)> {
        self.unordered.as_ref()
    }

    /// How many pages were read.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.index
    }

    /// How many resources the pages read can have held.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.room
    }

    /// Where the newest page and the one before it meet.
    #[must_use]
    pub fn newest_seam(&self) -> Option<&Seam> {
        self.seams.newest(self.ahead.start())
    }

    /// The id of the last resource of the newest page.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.seams.last()
    }

    /// Whether the pages that were read, to the last, have everything that was there all the while.
    ///
    /// API v1 and v2 take nothing away, and their totals tell what comes. Only where there are no totals, where
    /// the data were loaded while the pages were read (their dates differ), or where the filters let go what
    /// is loaded again, can one have moved out of its page unnoticed. At v3 claims vanish and nothing tells of
    /// it.
    ///
    /// `held` is told up to which place it has been looked: what was seen there need not be looked at again.
    ///
    /// # Errors
    /// [`PullError::Failed`] where that cannot be found out.
    pub async fn fits_together(&self, held: impl FnMut(u64) -> Outcome<()>) -> Result<bool, PullError> {
        let has_totals = self.client.server().api() != ApiVersion::V3 && self.total.is_some();
        if has_totals && !self.moved && !self.may_lose {
            return Ok(true);
        }
        self.seams.hold(&self.client, &self.bearer, held).await.map_err(|failure| self.failed(failure))
    }

    /// Tells how many distinct resources there are after the last page; pages that bring nothing new
    /// must not go on for ever, and neither must pages beyond the total. (Of pages before it all may be
    /// nothing that may be shared.)
    ///
    /// # Errors
    /// [`PullError::Failed`] when they do.
    pub fn brought(&mut self, distinct: u64) -> Result<(), PullError> {
        let before_the_total = self.total.is_some_and(|total| self.room < total);
        (self.drought, self.redacted) = match before_the_total {
            _ if distinct > self.distinct => (0, 0),
            true => (0, self.redacted + self.ahead.count()),
            false => (self.drought + 1, 0),
        };
        self.distinct = distinct;
        let most = self.total.map(|total| total.saturating_add(self.ahead.count()));
        if self.next.is_some() && most.is_some_and(|most| distinct > most) {
            return Err(self.refuse("there is more than the server's total, and no end of it".to_owned()));
        }
        if self.redacted > LONGEST_REDACTION && self.next.is_some() {
            return Err(self.refuse(format!("nothing came of more than {LONGEST_REDACTION} resources in a row")));
        }
        if self.drought > LONGEST_DROUGHT && self.next.is_some() {
            return Err(
                self.refuse(format!("{LONGEST_DROUGHT} pages in a row brought nothing new and named a next one"))
            );
        }
        Ok(())
    }

    /// The next page, or `None` after the last.
    ///
    /// # Errors
    /// [`PullError`]; the search is over then.
    pub async fn next_page(&mut self) -> Result<Option<Page>, PullError> {
        let Some(mut url) = self.next.take() else { return Ok(None) };
        let bundle = loop {
            self.ahead.aim(&url);
            self.ask_ahead();
            let answer = self.ahead.take(&self.client, &self.bearer, &url).await;
            match self.credible(&url, answer).await? {
                Read::Whole(bundle) => break bundle,
                Read::TooMuch(smaller) => url = smaller,
            }
        };
        self.room += self.ahead.count();
        self.seams.page(self.ahead.page(), &bundle);
        if self.unordered.is_none() && self.seams.is_unordered(&bundle) {
            self.unordered = Some(self.unordered_from(&url, &bundle));
        }
        self.moved |= *self.dated.get_or_insert(bundle.last_updated) != bundle.last_updated;
        self.next = match &bundle.next {
            Some(link) => Some(self.follow(link)?),
            None => None,
        };
        if self.next.is_none() {
            self.ahead.stop();
        }
        let index = self.index;
        self.index += 1;
        Ok(Some(Page { index, bundle }))
    }

    /// From which page on, and which link, resources stand in no order, of which the page at `url` has the first. Where
    /// it begins with one, the page before it counts as well: the first of them may have moved there by now.
    fn unordered_from(&self, url: &Url, bundle: &Bundle) -> (usize, String) {
        let link = |url: &Url| url[url::Position::BeforePath..].to_owned();
        match self.ahead.page() {
            Some(page) if self.index > 0 && self.seams.begins_unordered(bundle) => {
                let before = page.at(page.start.saturating_sub(page.count), page.count);
                (self.index - 1, link(before.url()))
            }
            Some(page) => (self.index, link(page.url())),
            None => (self.index, link(url)),
        }
    }

    /// Asks for the pages that come next if all goes as it should.
    fn ask_ahead(&mut self) {
        let count = self.ahead.count();
        let end = match (self.total, self.known) {
            (Some(total), _) => total,
            // The second page of what is probably a long list: at worst it is one question too many.
            (None, Known::Before(0)) if self.index == 0 && self.resource == Searchable::ExplanationOfBenefit => {
                2 * count
            }
            (None, Known::Before(before)) if self.index == 0 => before,
            (None, Known::MaybeNothing) if self.index == 0 => 0,
            // Only the links say how far it goes.
            (None, _) => u64::MAX,
        };
        let end = self.parts.map_or(end, |parts| end.min(parts.end));
        self.ahead.fill(&self.client, &self.bearer, end);
    }

    /// A page that agrees with what is known, after asking again as often as doubts allow.
    async fn credible(&mut self, url: &Url, answer: Result<Bundle, Failure>) -> Result<Read, PullError> {
        let mut answer = answer;
        let mut doubts = 0;
        loop {
            let too_much = matches!(answer, Err(Failure::Answer(Problem::TooMuch { .. })));
            if let Some(smaller) = too_much.then(|| self.smaller(url)).flatten() {
                return Ok(Read::TooMuch(smaller));
            }
            let bundle = answer.map_err(|failure| self.failed(failure))?;
            let Some(doubt) = self.doubt(&bundle) else {
                self.total = self.total.or(self.trusted_total(&bundle));
                return Ok(Read::Whole(bundle));
            };
            if doubt == Doubt::Nothing && self.known == Known::Before(0) && self.ahead.shows_more().await {
                self.known = Known::Before(1);
            }
            // Only a first page may be empty because there is nothing; a later one was promised by a link.
            let unknown_but_empty = self.index == 0 && doubt == Doubt::Nothing && self.known == Known::Before(0);
            if doubts >= if unknown_but_empty { 1 } else { DOUBTS } {
                return match doubt {
                    Doubt::Nothing if unknown_but_empty => Ok(Read::Whole(bundle)),
                    Doubt::Nothing => Err(self.outage()),
                    Doubt::Changed => Err(PullError::Shifted),
                    // Read from the beginning, no link names a page on which nothing is.
                    Doubt::Hollow => Err(PullError::Shifted),
                };
            }
            let policy = self.client.retry();
            let problem = Problem::network("an empty answer where there were claims".to_owned());
            let pause = policy.pause(&problem, doubts.min(policy.retries.saturating_sub(1)), chance());
            doubts += 1;
            self.client.ui().trace(1, || format!("{}: {doubt:?}; asking again", shown(url)));
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            answer = fetch(&self.client, &self.bearer, url, Wanted::Fhir).await;
        }
    }

    /// Where to begin with smaller pages in place of this one, if they can be smaller.
    fn smaller(&mut self, url: &Url) -> Option<Url> {
        let address = self.ahead.address(url)?;
        let count = address.half()?;
        let end = address.start + address.count;
        self.parts = self.parts.or(Some(Parts { end, count: address.count }));
        self.client.ui().trace(1, || format!("{}: too much; asking for {count} at a time", shown(url)));
        Some(address.at(address.start, count).url().clone())
    }

    /// The total that a page gives, where it can be one: not at API v3, and not 0 beside entries.
    fn trusted_total(&self, bundle: &Bundle) -> Option<u64> {
        let total = (self.client.server().api() != ApiVersion::V3).then_some(bundle.total).flatten();
        total.filter(|total| *total > 0 || bundle.is_empty())
    }

    fn doubt(&self, bundle: &Bundle) -> Option<Doubt> {
        let total = self.trusted_total(bundle);
        let nothing = bundle.is_empty() && bundle.next.is_none() && total.is_none_or(|total| total == 0);
        let swallowed = match self.client.server().api() {
            ApiVersion::V1 | ApiVersion::V2 => self.index > 0 || self.resource == Searchable::ExplanationOfBenefit,
            // Past its end v3 answers with an empty page, and its failures are no 200.
            ApiVersion::V3 => self.index == 0 && self.resource == Searchable::ExplanationOfBenefit,
        };
        if nothing && self.index == 0 && self.known == Known::MaybeNothing {
            return None;
        }
        if nothing && swallowed {
            return Some(Doubt::Nothing);
        }
        if nothing && self.index == 0 {
            return None;
        }
        if bundle.is_empty() && total.or(self.total).is_none() {
            return Some(Doubt::Hollow);
        }
        let before = self.total?;
        total.filter(|now| *now != before).map(|_| Doubt::Changed)
    }

    fn outage(&self) -> PullError {
        let what = self.resource.name();
        PullError::Failed(
            Error::new(
                ErrorKind::Outage,
                format!("{what}: the server answers that there is nothing, though there was before; its data back end has probably failed"),
            )
            .hint("Nothing was replaced. Run the same command again later; if the claims are really gone, fetch into a new directory."),
        )
    }

    fn failed(&self, failure: Failure) -> PullError {
        match failure {
            Failure::Answer(problem) if self.index > 0 && problem.past_the_end() => PullError::Shifted,
            Failure::Answer(problem) => {
                let what = format!("{}, page {}", self.resource.name(), self.index + 1);
                PullError::Failed(problem.into_error(&what, &self.login))
            }
            Failure::Other(error) => PullError::Failed(error),
        }
    }

    fn refuse(&self, why: String) -> PullError {
        PullError::Failed(
            Error::new(ErrorKind::Paging, format!("{}: {why}", self.resource.name()))
                .hint("Nothing was replaced. Run the same command again; if it stays, report it."),
        )
    }

    fn follow(&mut self, link: &str) -> Result<Url, PullError> {
        let url = self.client.server().follow(&self.base, link).map_err(|cause| self.refuse(cause.to_string()))?;
        if !self.seen.insert(xxh3_128(url.as_str().as_bytes())) {
            return Err(self.refuse(format!("page {} leads back to a page already read", self.index + 1)));
        }
        Ok(self.grown(url))
    }

    /// The page that a link names, in its old size again when what had to be read in parts has been read.
    fn grown(&mut self, url: Url) -> Url {
        let Some(parts) = self.parts else { return url };
        let Some(address) = Address::of(&url) else { return url };
        if address.start < parts.end {
            return url;
        }
        self.parts = None;
        self.recoveries += 1;
        if self.recoveries > RECOVERIES {
            return url;
        }
        address.at(address.start, parts.count).url().clone()
    }
}

/// Whether a resource that is loaded again can drop out of what this parameter selects.
fn may_lose(name: &str, value: &str) -> bool {
    name == "service-date" || (name == "_lastUpdated" && value.starts_with('l'))
}

/// What came of asking for a page.
enum Read {
    Whole(Bundle),
    /// The server cannot give so much at once: from here on in smaller pages.
    TooMuch(Url),
}

/// What is not believed of a page at first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// It says that there is nothing.
    Nothing,
    /// Its total is not that of the pages before it.
    Changed,
    /// It is empty, though the page before it promised something, or it promises more itself.
    Hollow,
}
