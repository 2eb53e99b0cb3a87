//! A search as a stream of pages: in order, each exactly once, nothing left out between two of them.
//!
//! | file | what it is for |
//! | --- | --- |
//! | [`pager`] | follows the links of a search and hands out its pages |
//! | [`page_check`] | the decision what to do with an answer: a pure function |
//! | `prefetch` | asks for pages before their turn |
//! | `address` | start and size of a page, read from a link |
//! | [`checkpoint`] | how far a search was read, for a later run that goes on |
//!
//! # Why pages overlap
//!
//! A page is one snapshot of the search: all resources from one place to another, in the server's fixed order
//! (API v1 and v2: the claim id as text; v3: as a number). Two pages are two snapshots, and the set can change
//! between them. Where a resource goes away (v3: a claim that is superseded; v1 and v2: one that leaves a
//! filter), all that follow move up by one place, and the resource that stood first on the next page is then on
//! neither.
//!
//! So the next page starts one place before the end of the page before, and has to have the resource that
//! the page before ends with. Call that `y`. Whatever was there throughout and comes before `y` is on the
//! earlier page, or on one before it. Whatever comes after `y` is on the later page, up to its own end.
//! Nothing lies between them. It does not matter which of the two was asked for first, so pages can still
//! be asked for ahead of their turn.
//!
//! Where a page does not have `y`, the reading has shifted, and the search is read again from its beginning.
//! Where `y` is not its first resource, nothing is lost, but something has come or gone: the pull reads the
//! search again, to have it as it stands. What comes into the set before the place that was reached is on no page: its load
//! date is later than the first answer, and the pull asks for that separately at the end (`pull`).
//!
//! API v1 and v2 leave out resources that may not be shared, after they have cut the page (redaction). The page
//! is shorter then, and `y` may be one of those. In that case only, the later page is asked for from farther
//! back, to share another resource with the page before.
//!
//! API v1 and v2 take nothing out of a search without filters, and count it: there pages follow each
//! other end to end, as long as all of them bear the same date. From the first one with another date, pages
//! overlap there as well.

mod address;
pub mod checkpoint;
pub(crate) mod page_check;
pub(crate) mod pager;
mod prefetch;
