//! Prefetched pages: a queue of requests under way, in the order of the search.
//!
//! The server's links show the form of an address ([`Address`]), and so the addresses of the pages to come. A
//! prefetched page is used only when its turn comes. A page that does not fit is dropped.

use std::{collections::VecDeque, sync::Arc};

use tokio::task::JoinHandle;
use url::Url;

use super::address::Address;
use crate::{
    api::client::{Bearer, Client, Failure, Wanted},
    api_version::ApiVersion,
    error::{Error, ErrorKind},
    fhir::bundle::Bundle,
};

/// Prefetch stops after this many wrong guesses.
const MISPREDICTIONS: u32 = 2;
/// If nothing says how far a search goes, requests past its end are wasted. So this many pages are requested
/// together, and the next ones when all of them have come. Once more pages are read, it is one for each
/// `READ_PER_BLIND`.
const BLIND: usize = 4;
const READ_PER_BLIND: usize = 8;

/// Who asks for pages, and with which token. Clones share the connections.
#[derive(Clone)]
pub(super) struct Asker<B> {
    pub(super) client: Arc<Client>,
    pub(super) bearer: B,
}

/// The pages under way.
pub(super) struct Prefetch {
    search: Url,
    start_name: &'static str,
    asked: VecDeque<PageRequest>,
    /// The address of the current page, if it has one.
    current: Option<Address>,
    count: u64,
    mispredictions: u32,
}

/// A requested page.
struct PageRequest {
    address: Address,
    task: Task,
}

/// A task that is aborted when it is dropped.
struct Task(JoinHandle<Result<Bundle, Failure>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Prefetch {
    /// Starts the queue of a search whose first page is `first`, with `count` resources.
    pub(super) fn begin(first: &Url, api: ApiVersion, count: u64) -> Self {
        let start_name = match api {
            ApiVersion::V1 | ApiVersion::V2 => "startIndex",
            ApiVersion::V3 => "_offset",
        };
        Self { search: first.clone(), start_name, asked: VecDeque::new(), current: None, count, mispredictions: 0 }
    }

    /// How many resources the current page asks for.
    pub(super) fn count(&self) -> u64 {
        self.current.as_ref().map_or(self.count, |current| current.count)
    }

    /// The address of a link. The first page names no start and begins at 0.
    pub(super) fn address(&self, url: &Url) -> Option<Address> {
        if *url == self.search { Address::guess(url, self.start_name, 0, self.count) } else { Address::of(url) }
    }

    /// Moves to the page at `url`. Drops prefetched pages that do not begin there.
    pub(super) fn aim(&mut self, url: &Url) {
        self.current = self.address(url);
        let (Some(current), Some(front)) = (&self.current, self.asked.front()) else {
            self.asked.clear();
            return;
        };
        if !front.address.is_same_page(current) {
            // A page that had to be made smaller was not a wrong guess.
            self.mispredictions += u32::from(front.address.count == current.count);
            self.asked.clear();
        }
    }

    /// Requests this page and those after it, as many as the request limit allows. They begin before `end`, if it is
    /// known. Otherwise, `read` (the number of pages read) decides how many are requested blindly. Each page begins
    /// `overlap` resources before the end of the one before.
    pub(super) fn fill<B: Bearer>(&mut self, asker: &Asker<B>, end: Option<u64>, read: usize, overlap: u64) {
        let Some(current) = &self.current else { return };
        if self.mispredictions >= MISPREDICTIONS {
            return;
        }
        let most = match end {
            Some(_) => asker.client.at_once(),
            None if read < BLIND * READ_PER_BLIND && !self.asked.is_empty() => return,
            None => asker.client.at_once().min(BLIND.max(read / READ_PER_BLIND)),
        };
        // Follow the form of the newest link.
        let mut address = match self.asked.back() {
            Some(last) => current.at(last.address.start, last.address.count).next(overlap),
            None => current.clone(),
        };
        let reaches = |address: &Address| end.is_none_or(|end| address.start + overlap < end);
        while self.asked.len() < most && (reaches(&address) || self.asked.is_empty()) {
            let is_first = address.start == 0 && address.count == self.count;
            let url = if is_first { self.search.clone() } else { address.url().clone() };
            let (asker, wanted) = (asker.clone(), wanted(Some(&address)));
            let task = tokio::spawn(async move { asker.fetch(&url, wanted).await });
            self.asked.push_back(PageRequest { address: address.clone(), task: Task(task) });
            address = address.next(overlap);
        }
    }

    /// The answer for the current page, at `url`.
    pub(super) async fn take<B: Bearer>(&mut self, asker: &Asker<B>, url: &Url) -> Result<Bundle, Failure> {
        let Some(mut asked) = self.asked.pop_front() else {
            return asker.fetch(url, wanted(self.current.as_ref())).await;
        };
        (&mut asked.task.0)
            .await
            .unwrap_or_else(|_| Err(Failure::Other(Error::new(ErrorKind::Defect, "reading a page ended unexpectedly"))))
    }

    /// Whether the page after this one shows that there is something: it has entries, or the server refuses it
    /// because it is past the end.
    pub(super) async fn shows_more(&mut self) -> bool {
        let Some(mut asked) = self.asked.pop_front() else { return false };
        match (&mut asked.task.0).await {
            Ok(Ok(bundle)) => !bundle.is_empty(),
            Ok(Err(Failure::Answer(problem))) => problem.past_the_end(),
            _ => false,
        }
    }

    /// Turns prefetch off for the rest of this search.
    pub(super) fn stop_for_good(&mut self) {
        self.mispredictions = MISPREDICTIONS;
    }

    /// Drops all requests under way.
    pub(super) fn clear(&mut self) {
        self.asked.clear();
    }
}

fn wanted(address: Option<&Address>) -> Wanted {
    if address.and_then(Address::half).is_some() { Wanted::Divisible } else { Wanted::Fhir }
}

impl<B: Bearer> Asker<B> {
    /// Asks for one page.
    pub(super) async fn fetch(&self, url: &Url, wanted: Wanted) -> Result<Bundle, Failure> {
        let read = |text| Bundle::split(text).map_err(|cause| cause.to_string());
        self.client.get(&self.bearer, url, wanted, read).await
    }
}
