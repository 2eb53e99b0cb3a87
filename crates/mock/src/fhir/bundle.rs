//! A page of a search: what stands in it, before it is written.

use std::fmt::Write;

use super::{instant, params::upstream, search::Search};
use crate::{http::Response, ids::uuid, records::Records as _, version::Version};

/// Space made at once for a page: this many bytes for each of so many claims, about what they take at v3.
const CLAIM: usize = 32 << 10;
const USUAL: usize = 50;

/// A page as it will be written. Faults change it.
pub(crate) struct Bundle<'a> {
    search: &'a Search<'a>,
    /// How many resources it says or shows that there are.
    found: usize,
    pub total: Option<u64>,
    links: Vec<(&'static str, String)>,
    pub entries: Vec<Entry>,
}

/// An entry of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// What was found as the `nth`.
    Match(usize),
    /// Something beside what was found.
    Other { text: &'static str, mode: Option<&'static str> },
}

impl<'a> Bundle<'a> {
    /// The page as it should be.
    pub(super) fn of(search: &'a Search<'a>) -> Self {
        let mut bundle = Self { search, found: 0, total: None, links: Vec::new(), entries: Vec::new() };
        bundle.lay_out(search.found());
        bundle
    }

    /// Makes it the page of a search that found so many.
    pub(crate) fn lay_out(&mut self, found: usize) {
        let search = self.search;
        let (start, count) = (search.window.start, search.window.count);
        let here = search.places(found);
        let total = match search.caller.version {
            Version::V1 | Version::V2 => found,
            // Filled in with the page size where there is a next page or nothing at all; else this page's own.
            Version::V3 if here.is_empty() || (search.is_paged() && start + count < found) => count,
            Version::V3 if search.is_paged() => here.len(),
            Version::V3 => count,
        };
        self.found = found;
        self.total = Some(total as u64);
        self.links = search.links(found);
        // Where there is nothing to repeat, nothing comes again.
        let has_none = search.found() == 0;
        self.entries = if has_none { Vec::new() } else { here.map(Entry::Match).collect() };
    }

    /// Shows what the first page shows, its links and its total as they were.
    pub(crate) fn show_first_page(&mut self) {
        let first = 0..self.search.window.count.min(self.found);
        self.entries = first.map(Entry::Match).collect();
    }

    pub(crate) fn is_of_claims(&self) -> bool {
        self.search.is_of_claims()
    }

    /// Where the page begins.
    pub(crate) fn start(&self) -> usize {
        self.search.window.start
    }

    /// The mock's own origin.
    pub(crate) fn url(&self) -> &str {
        self.search.shared.url()
    }

    /// The link to the page that begins there.
    pub(crate) fn link(&self, start: usize) -> String {
        self.search.link(start)
    }

    /// Makes another link of the one with this relation, if there is one.
    pub(crate) fn bend(&mut self, relation: &str, bent: impl FnOnce(&Self, &str) -> String) {
        if let Some(at) = self.links.iter().position(|(known, _)| *known == relation) {
            self.links[at].1 = bent(self, &self.links[at].1);
        }
    }

    /// The Bundle's date: that of the last load, or of the newest claim on the page if that is later; at v3 the moment
    /// of the answer wherever there is something.
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
            // The words are the real server's.
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

    /// CMS's server says of no entry why it is there; where one has to be told from the others, each does.
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
