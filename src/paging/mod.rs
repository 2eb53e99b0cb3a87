//! A search as a stream of pages: in order, each exactly once, with nothing left out between two of them.
//!
//! | file | what it is for |
//! | --- | --- |
//! | [`pager`] | follows the links of a search and hands out its pages |
//! | [`page_check`] | decides what to do with an answer: a pure function |
//! | `prefetch` | asks for pages before their turn |
//! | `address` | start and size of a page, read from a link |
//! | [`checkpoint`] | how far a search was read, for a later run that continues it |
//!
//! # Why pages overlap
//!
//! A page is one snapshot of the search: all resources from one place to another, in the server's fixed order (API v1
//! and v2: the claim id as text; v3: as a number). Two pages are two snapshots, and the set can change between them.
//! If a resource goes away (v3: a claim that is superseded; v1 and v2: one that leaves a filter), all that follow
//! move up by one place. Then neither page has the resource that would have been first on the next page.
//!
//! So the next page starts one place before the end of the page before, and has to contain the last resource of that
//! page. Call that resource `y`. Everything that was there throughout and comes before `y` is on the earlier page, or
//! on one before it. Everything that comes after `y` is on the later page, up to its own end. So nothing is lost
//! between them. It does not matter which of the two was requested first, so pages can still be prefetched.
//!
//! If a page does not have `y`, the set has shifted, and the search is read again from its beginning. If `y` is not
//! its first resource, nothing is lost, but something was added or removed: the pull reads the search again, to get
//! its current state. A resource that was added before the place that was reached is on no page. Its load date is
//! later than the first answer, and the pull asks for such resources separately at the end (`pull`).
//!
//! API v1 and v2 leave out resources that may not be shared, after they have cut the page (redaction). The page is
//! shorter then, and `y` may be one of those left out. Only in that case, the later page is requested from farther
//! back, so that it shares another resource with the page before.
//!
//! At API v1 and v2, a search without filters loses no resources, and the server counts them. There the pages do not
//! overlap as long as all of them bear the same date. From the first page with another date, they overlap there too.

mod address;
pub mod checkpoint;
pub(crate) mod page_check;
pub(crate) mod pager;
mod prefetch;
