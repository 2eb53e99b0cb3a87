//! The contents of a page of a search, before it is written.

use std::{fmt::Write, ops::Range};

use super::{instant, params::upstream, search::Search};
use crate::{http::Response, ids::uuid, records::Records as _, version::Version};

/// Bytes to allocate for each claim on a page, about the size of a claim at v3.
const CLAIM: usize = 32 << 10;
const USUAL: usize = 50;

/// A page as it will be written. Faults change it.
pub(crate) struct Bundle<'a> {
    search: &'a Search<'a>,
    /// How many results it says or shows.
    found: usize,
    pub total: Option<u64>,
    links: Vec<(&'static str, String)>,
    pub entries: Vec<Entry>,
}

/// An entry of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The `nth` result.
    Match(usize),
    /// Something other than a result.
    Other { text: &'static str, mode: Option<&'static str> },
}

impl<'a> Bundle<'a> {
    /// The page as it should be.
    pub(super) fn of(search: &'a Search<'a>) -> Self {
        let mut bundle = Self { search, found: 0, total: None, links: Vec::new(), entries: Vec::new() };
        bundle.lay_out(search.found());
        bundle
    }

    /// Changes it to the page of a search with this many results.
    pub(crate) fn lay_out(&mut self, found: usize) {
        let search = self.search;
        let (start, count) = (search.window.start, search.window.count);
        let here = search.places(found);
        let total = match search.caller.version {
            Version::V1 | Version::V2 => found,
            // The page size if there is a next page or no result at all; otherwise the number on this page.
            Version::V3 if here.is_empty() || (search.is_paged() && start + count < found) => count,
            Version::V3 if search.is_paged() => here.len(),
            Version::V3 => count,
        };
        self.found = found;
        self.total = Some(total as u64);
        self.links = search.links(found);
        self.show(here);
    }

    /// Shows the content of the first page, but keeps links and total.
    pub(crate) fn show_first_page(&mut self) {
        self.show(0..self.search.window.count.min(self.found));
    }

    /// Adds the last result of the page before, if there is one.
    pub(crate) fn repeat_previous(&mut self) {
        let before = self.start().checked_sub(1).filter(|nth| *nth < self.found && !self.entries.is_empty());
        self.entries.splice(0..0, before.map(Entry::Match));
    }

    /// Shows these results. If the search found nothing, there is nothing to show or to repeat.
    fn show(&mut self, nths: Range<usize>) {
        let has_none = self.search.found() == 0;
        self.entries = if has_none { Vec::new() } else { nths.map(Entry::Match).collect() };
    }

    pub(crate) fn is_of_claims(&self) -> bool {
        self.search.is_of_claims()
    }

    /// Where the page begins in the result. A search without pages begins with the first.
    pub(crate) fn start(&self) -> usize {
        if self.search.is_paged() { self.search.window.start } else { 0 }
    }

    /// The mock's own origin.
    pub(crate) fn url(&self) -> &str {
        self.search.shared.url()
    }

    /// The link to the page that begins at `start`.
    pub(crate) fn link(&self, start: usize) -> String {
        self.search.link(start)
    }

    /// Replaces the link with this relation, if there is one.
    pub(crate) fn bend(&mut self, relation: &str, bent: impl FnOnce(&Self, &str) -> String) {
        if let Some(at) = self.links.iter().position(|(known, _)| *known == relation) {
            self.links[at].1 = bent(self, &self.links[at].1);
        }
    }

    /// The Bundle's date: that of the last load, or of the newest claim on the page if that is later. At v3, the time
    /// of the answer if there is any result.
    fn updated(&self) -> String {
        let search = self.search;
        let loaded = search.shared.records.loaded();
        let here = search.places(self.found);
        instant(match search.caller.version {
            Version::V3 if !here.is_empty() => search.caller.now,
            Version::V3 => loaded,
            Version::V1 | Version::V2 => search.newest(here).map_or(loaded, |newest| newest.max(loaded)),
        })
    }

    pub(super) fn into_response(self) -> Response {
        let Self { search, found, .. } = self;
        let start = search.window.start;
        if search.caller.version != Version::V3 && found > 0 && start >= found {
            // This is the real server's message.
            return upstream(&format!("Value for startIndex ({start}) must be less than than result size ({found})"));
        }
        let (updated, mut text) = (self.updated(), String::new());
        text.reserve(self.entries.len().min(USUAL) * CLAIM);
        let _ = write!(
            text,
            r#"{{"resourceType":"Bundle","id":"{}","meta":{{"lastUpdated":"{updated}"}},"type":"searchset""#,
            uuid()
        );
        if let Some(total) = self.total {
            let _ = write!(text, r#","total":{total}"#);
        }
        let link = |(relation, url): &(&str, String)| {
            format!(r#"{{"relation":"{relation}","url":{}}}"#, serde_json::json!(url))
        };
        let _ = write!(text, r#","link":[{}]"#, self.links.iter().map(link).collect::<Vec<_>>().join(","));
        if !self.entries.is_empty() {
            text.push_str(r#","entry":["#);
            self.write_entries(&mut text);
            text.push(']');
        }
        text.push('}');
        Response::fhir(200, text)
    }

    /// CMS's server does not say why an entry is there. If one has to be told from the others, every entry says it.
    fn write_entries(&self, text: &mut String) {
        let tells = self.entries.iter().any(|entry| matches!(entry, Entry::Other { mode: Some(_), .. }));
        for (number, entry) in self.entries.iter().enumerate() {
            text.push_str(if number == 0 { r#"{"resource":"# } else { r#",{"resource":"# });
            let mode = match *entry {
                Entry::Match(nth) => {
                    self.search.write(nth, text);
                    Some("match").filter(|_| tells)
                }
                Entry::Other { text: other, mode } => {
                    text.push_str(other);
                    mode
                }
            };
            if let Some(mode) = mode {
                let _ = write!(text, r#","search":{{"mode":"{mode}"}}"#);
            }
            text.push('}');
        }
    }
}
