//! Decides what to do with a page that the server sent, without side effects. `pager.rs` has both pages, so it checks
//! whether a page continues the one before.
//!
//! Only a page without a `next` link ends a search: not an empty page, not a short page, not the total. The table of
//! tests below lists what the server can get wrong. Sources: API page, sections 4.8 to 4.10 of the reference
//! (failures that look like success, paging at v1 and v2, paging at v3).

/// How often to ask again for a page that cannot be right.
pub(crate) const DOUBTS: u32 = 3;

/// What is known about a search before the first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriorCount {
    /// An earlier pull of the same search brought this many resources; 0 where there was none.
    Resources(u64),
    /// It asks only for what is new, so an empty answer is normal.
    MaybeNothing,
}

/// Whether a page continues the one before without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joint {
    /// There is nothing to compare with, or the pages do not overlap.
    NotCompared,
    /// The last resource of the page before is in its expected place.
    Joined,
    /// It is on the page, but in another place: something before it was added or removed.
    Displaced,
    /// Everything on the page was also on the page before, and the page has more than one resource.
    NothingNew,
    /// The shared resource may be redacted. From farther back, the pages may share another one.
    MaybeRedacted,
    /// The last resource of the page before is not on it.
    Apart,
    /// The shared resource seems to be redacted, so nothing can be concluded.
    Unknown,
}

/// The facts about an answer, and about the search so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageFacts {
    /// Whether the server's totals count the search (API v1 and v2).
    pub has_totals: bool,
    /// Whether it is the first page.
    pub is_first: bool,
    /// Whether claims were requested. Only claim searches can hide failures of the back end.
    pub of_claims: bool,
    /// What was known before.
    pub prior: PriorCount,
    /// Resources on the page.
    pub entries: usize,
    /// Whether it names a next page.
    pub has_next: bool,
    /// Its total, if the value makes sense.
    pub total: Option<u64>,
    /// The total of the pages before.
    pub total_before: Option<u64>,
    /// Whether it continues the page before.
    pub joint: Joint,
    /// Whether it has another date than the first page, while pages do not overlap.
    pub date_changed: bool,
    /// How often it was requested again already.
    pub asked_again: u32,
}

/// What to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageVerdict {
    /// Use it as the page.
    Accept,
    /// Ask for the same page again: this may be a failure that looks like an answer.
    AskAgain,
    /// Ask for it from farther back, so that it overlaps with the page before.
    AskFartherBack,
    /// The set has changed since the first page; the pages do not fit together.
    Shifted,
    /// The server says that there is nothing, but there is something: its data back end has failed.
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
            // No earlier count says otherwise. If the answer is the same once more, accept it.
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
        // A server that knows where a page starts has something new after what it sent already.
        Joint::NothingNew => return again_or(Shifted, DOUBTS),
        _ if facts.date_changed => return AskFartherBack,
        Joint::NotCompared | Joint::Joined | Joint::Displaced | Joint::Unknown => {}
    }
    match (facts.entries, facts.has_next) {
        // Redaction may leave out entries of a page, or all of them. Its link says that the search continues.
        (0, true) => again_or(Accept, DOUBTS),
        // The server counted them, and left all of them out.
        (0, false) if facts.total.is_some() => again_or(Accept, DOUBTS),
        // A `next` link promised this page, but nothing came.
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
