//! What to do with an answer to the request for a page: a decision without side effects. Whether a page continues where
//! the page before it ended is compared in `pager.rs`, which has both.
//!
//! What ends a search is a page without a `next` link, and nothing else: not an empty page, not a short one,
//! not the total. What the server can get wrong is in the table of tests below. Sources: API page, sections 4.8
//! to 4.10 of the reference (failures that look like success, paging at v1 and v2, paging at v3).

/// How often to ask again for a page that cannot be right.
pub(crate) const DOUBTS: u32 = 3;

/// What was known of a search before it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriorCount {
    /// An earlier pull of the same search brought this many resources; 0 where there was none.
    Resources(u64),
    /// It asks for what is new, and nothing is an answer like any other.
    MaybeNothing,
}

/// Whether a page continues the one before without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joint {
    /// Nothing to compare with, or pages follow each other end to end.
    NotCompared,
    /// The last resource of the page before is where it has to be.
    Joined,
    /// It is on the page, but in another place: something has come or gone before it.
    Displaced,
    /// Everything on the page stood on the page before, and there is more than one of them.
    NothingNew,
    /// The resource that they share may be redacted; from farther back they may share another.
    MaybeRedacted,
    /// The last resource of the page before is not on it.
    Apart,
    /// What they share is redacted, as far as can be told: nothing follows from it.
    Unknown,
}

/// What is known of an answer, and of the search so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageFacts {
    /// Whether the server's totals count the search (API v1 and v2).
    pub has_totals: bool,
    /// Whether it is the first page.
    pub is_first: bool,
    /// Whether claims were asked for. Only their searches swallow failures of the back end.
    pub of_claims: bool,
    /// What was known before.
    pub prior: PriorCount,
    /// Resources on the page.
    pub entries: usize,
    /// Whether it names a next page.
    pub has_next: bool,
    /// Its total, where it can be one.
    pub total: Option<u64>,
    /// The total of the pages before.
    pub total_before: Option<u64>,
    /// Whether it continues the page before.
    pub joint: Joint,
    /// Whether it bears another date than the first page while pages follow each other end to end.
    pub date_changed: bool,
    /// How often it was asked for again already.
    pub asked_again: u32,
}

/// What to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageVerdict {
    /// It is the page.
    Accept,
    /// Ask for the same page again: this may be a failure that looks like an answer.
    AskAgain,
    /// Ask for it from farther back, so that it overlaps with the page before.
    AskFartherBack,
    /// The set has changed since the first page; the pages do not fit together.
    Shifted,
    /// The server says that there is nothing, though there is: its data back end has failed.
    Outage,
}

/// What to do with an answer.
#[must_use]
pub(crate) fn check_page(facts: &PageFacts) -> PageVerdict {
    use PageVerdict::{Accept, AskAgain, AskFartherBack, Outage, Shifted};
    let again_or = |last: PageVerdict, times: u32| if facts.asked_again < times { AskAgain } else { last };
    let is_nothing = facts.entries == 0 && !facts.has_next && facts.total.is_none_or(|total| total == 0);
    if is_nothing && facts.is_first {
        return match facts.prior {
            _ if !facts.of_claims => Accept,
            PriorCount::MaybeNothing => Accept,
            // Nobody knows better: asked for once more, it is the answer.
            PriorCount::Resources(0) => again_or(Accept, 1),
            PriorCount::Resources(_) => again_or(Outage, DOUBTS),
        };
    }
    // A `next` link promised this page.
    if is_nothing && facts.has_totals {
        return again_or(Outage, DOUBTS);
    }
    if facts.total_before.zip(facts.total).is_some_and(|(before, now)| before != now) {
        return again_or(Shifted, DOUBTS);
    }
    match facts.joint {
        Joint::MaybeRedacted => return AskFartherBack,
        Joint::Apart => return Shifted,
        // Behind what it holds already, a server that knows where a page starts has something new.
        Joint::NothingNew => return again_or(Shifted, DOUBTS),
        _ if facts.date_changed => return AskFartherBack,
        Joint::NotCompared | Joint::Joined | Joint::Displaced | Joint::Unknown => {}
    }
    match (facts.entries, facts.has_next) {
        // Entries may be left out of a page (redaction), even all of them: its link says that it goes on.
        (0, true) => again_or(Accept, DOUBTS),
        // Counted, and all of it left out.
        (0, false) if facts.total.is_some() => again_or(Accept, DOUBTS),
        // A promise that was not kept.
        (0, false) => again_or(Shifted, DOUBTS),
        _ => Accept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PageVerdict::{Accept, AskAgain, AskFartherBack, Outage, Shifted};

    /// A second page of fifty claims at API v2.
    const PAGE: PageFacts = PageFacts {
        has_totals: true,
        is_first: false,
        of_claims: true,
        prior: PriorCount::Resources(0),
        entries: 50,
        has_next: true,
        total: Some(120),
        total_before: Some(120),
        joint: Joint::NotCompared,
        date_changed: false,
        asked_again: 0,
    };
    const FIRST: PageFacts = PageFacts { is_first: true, total_before: None, ..PAGE };
    const NOTHING: PageFacts = PageFacts { entries: 0, has_next: false, total: Some(0), ..PAGE };
    const FIRST_NOTHING: PageFacts = PageFacts { is_first: true, total_before: None, ..NOTHING };
    const V3: PageFacts = PageFacts { has_totals: false, total: None, total_before: None, ..PAGE };
    const V3_NOTHING: PageFacts = PageFacts { entries: 0, has_next: false, ..V3 };

    #[test]
    fn every_kind_of_page_has_its_verdict() {
        let again = |facts: PageFacts, asked_again| PageFacts { asked_again, ..facts };
        let joined = |joint| PageFacts { joint, ..V3 };
        for (what, facts, verdict) in [
            ("a first page", FIRST, Accept),
            ("a second page", PAGE, Accept),
            ("a last page", PageFacts { has_next: false, entries: 20, ..PAGE }, Accept),
            ("a page of v1 without a total", PageFacts { total: None, total_before: None, ..PAGE }, Accept),
            // Failures of the back end that look like success (v1, v2).
            ("no claims at all", FIRST_NOTHING, AskAgain),
            ("still no claims at all", again(FIRST_NOTHING, 1), Accept),
            ("no claims, but there were", PageFacts { prior: PriorCount::Resources(9), ..FIRST_NOTHING }, AskAgain),
            (
                "still no claims, but there were",
                again(PageFacts { prior: PriorCount::Resources(9), ..FIRST_NOTHING }, DOUBTS),
                Outage,
            ),
            ("nothing new", PageFacts { prior: PriorCount::MaybeNothing, ..FIRST_NOTHING }, Accept),
            ("no Patient", PageFacts { of_claims: false, ..FIRST_NOTHING }, Accept),
            ("nothing on a page that a link named", NOTHING, AskAgain),
            ("still nothing on a page that a link named", again(NOTHING, DOUBTS), Outage),
            // Totals.
            ("another total", PageFacts { total: Some(121), ..PAGE }, AskAgain),
            ("still another total", again(PageFacts { total: Some(121), ..PAGE }, DOUBTS), Shifted),
            ("a total and no entries", PageFacts { entries: 0, has_next: false, total: Some(7), ..FIRST }, AskAgain),
            (
                "still a total and no entries",
                again(PageFacts { entries: 0, has_next: false, total: Some(7), ..FIRST }, DOUBTS),
                Accept,
            ),
            // Empty pages.
            ("a last page of which all is left out", PageFacts { entries: 0, has_next: false, ..PAGE }, AskAgain),
            (
                "still a last page of which all is left out",
                again(PageFacts { entries: 0, has_next: false, ..PAGE }, DOUBTS),
                Accept,
            ),
            ("an empty page with a next", PageFacts { entries: 0, ..PAGE }, AskAgain),
            ("still an empty page with a next", again(PageFacts { entries: 0, ..PAGE }, DOUBTS), Accept),
            ("v3: an empty page with a next", PageFacts { entries: 0, ..V3 }, AskAgain),
            ("v3: still an empty page with a next", again(PageFacts { entries: 0, ..V3 }, DOUBTS), Accept),
            ("v3: an empty page without a next", V3_NOTHING, AskAgain),
            ("v3: still an empty page without a next", again(V3_NOTHING, DOUBTS), Shifted),
            ("v3: no claims at all", PageFacts { is_first: true, ..V3_NOTHING }, AskAgain),
            ("v3: still no claims at all", again(PageFacts { is_first: true, ..V3_NOTHING }, 1), Accept),
            // Where two pages meet.
            ("it begins with the last claim of the page before", joined(Joint::Joined), Accept),
            ("it has that claim elsewhere", joined(Joint::Displaced), Accept),
            ("it has not that claim", joined(Joint::Apart), Shifted),
            (
                "v2: it has not that claim, which may be redacted",
                PageFacts { joint: Joint::MaybeRedacted, ..PAGE },
                AskFartherBack,
            ),
            ("v2: redaction hides what they share", PageFacts { joint: Joint::Unknown, ..PAGE }, Accept),
            ("the page before once more", joined(Joint::NothingNew), AskAgain),
            ("still the page before", again(joined(Joint::NothingNew), DOUBTS), Shifted),
            ("another date", PageFacts { date_changed: true, ..PAGE }, AskFartherBack),
        ] {
            assert_eq!(check_page(&facts), verdict, "{what}");
        }
    }
}
