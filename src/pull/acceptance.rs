//! Decides whether a reading counts, without side effects, from what is known about it.
//!
//! A reading is a search read from its first page to its last. The rules, each with a row in the table of tests:
//!
//! * If something changed while the search was read, it is read again.
//! * API v1 and v2 count what they find, and then leave out what may not be shared (redaction). So fewer resources
//!   may come than were counted. But then the same number is missing from every reading, whatever the page size, and
//!   nothing comes twice. Any other shortfall is a loss.
//! * An increment that falls short is merged, because what came is right. But its cursor stays, so that the next pull
//!   asks for the same again. A full pull that falls short replaces nothing.
//! * API v3 counts nothing. A resource that comes twice, on two pages that do not overlap, has changed places, unless
//!   the same happens in every reading.

use jiff::Timestamp;

use crate::archive::{dedup::Repeats, manifest::Mode};

/// How often a search is read again because it changed or fell short.
const READ_AGAIN: u32 = 2;

/// A search that was read from its first page to its last.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Everything, or what is new.
    pub mode: Mode,
    /// Whether claims were asked for.
    pub of_claims: bool,
    /// Whether the server's totals count the search (API v1 and v2).
    pub has_totals: bool,
    /// What the server counted.
    pub total: Option<u64>,
    /// Distinct resources that came.
    pub distinct: u64,
    /// Sum of the hashes of their ids. Equal sums mean the same resources.
    pub which: u64,
    /// What came twice, on pages that do not overlap.
    pub repeats: Repeats,
    /// Pages without entries that still named a next page.
    pub empty_pages: u32,
    /// Whether the links ended before the number of resources in the total.
    pub ended_early: bool,
    /// Pages on which the last resource of the page before was not in its expected place.
    pub displaced: u32,
    /// Whether a page was reached by a link without a place, although pages had to overlap. Then nothing shows that
    /// it continues the page before.
    pub unjoined: bool,
    /// Resources that were loaded or changed after their page had been read.
    pub late: u64,
    /// The transaction time of the data (API v1 and v2).
    pub data_time: Option<Timestamp>,
}

impl Reading {
    /// A full reading of claims before its first page.
    pub(crate) const BEGUN: Self = Self {
        mode: Mode::Full,
        of_claims: true,
        has_totals: true,
        total: None,
        distinct: 0,
        which: 0,
        repeats: Repeats { number: 0, which: 0 },
        empty_pages: 0,
        ended_early: false,
        displaced: 0,
        unjoined: false,
        late: 0,
        data_time: None,
    };

    /// How many fewer came than the server counted.
    #[must_use]
    pub(crate) fn missing(&self) -> u64 {
        self.total.map_or(0, |total| total.saturating_sub(self.distinct))
    }
}

/// The result of an attempt to read a search.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    /// It was read to its end.
    Read(Reading),
    /// The set changed between two pages.
    Shifted,
}

/// What earlier attempts of the same pull have shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    read_again: u32,
    missing: Option<u64>,
    repeats: Option<Repeats>,
    displaced: Option<u32>,
    came: Option<(u64, u64)>,
    was_behind: bool,
    found_nothing: bool,
}

impl History {
    /// Records an attempt and the decision about it.
    pub(crate) fn note(&mut self, attempt: &Attempt, judgment: &Judgment) {
        match judgment {
            Judgment::ReadAgain(Why::Behind) => self.was_behind = true,
            Judgment::ReadAgain(_) => self.read_again += 1,
            Judgment::AskWhetherItIsThere => self.found_nothing = true,
            _ => {}
        }
        if let Attempt::Read(reading) = attempt {
            (self.missing, self.repeats) = (Some(reading.missing()), Some(reading.repeats));
            (self.displaced, self.came) = (Some(reading.displaced), Some((reading.distinct, reading.which)));
        }
    }
}

/// What an earlier pull of the same search has left in the archive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    /// Resources kept.
    pub count: u64,
    /// How many more the server counted.
    pub missing: Option<u64>,
    /// The transaction time of the data that are kept.
    pub cursor: Option<Timestamp>,
}

/// Why a reading does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The set changed while it was read.
    Changed,
    /// Fewer came than the server counted, and redaction does not explain it.
    Shortfall,
    /// Pages were empty, and fewer came than are kept.
    EmptyPages,
    /// The server's data are older than those that are kept: it is a replica that lags.
    Behind,
}

/// What to say about a reading that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Nothing.
    Whole,
    /// Fewer came than the server counted, and redaction explains it.
    WithShortfall,
    /// Empty pages named a next page, and the server gives no count: the cursor stays.
    WithEmptyPages,
    /// The same resources came twice in every reading, and the server gives no count: the cursor stays.
    WithRepeats,
    /// Nothing came. The same happens when the back end fails.
    Nothing,
}

/// Whether a reading counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgment {
    /// It counts.
    Accept(Accepted),
    /// It is merged, but the cursor stays and the run ends with "try again later".
    MergeAndTryLater,
    /// Read it again from the beginning.
    ReadAgain(Why),
    /// "Nothing new" is also the answer of API v1 and v2 when their back end fails. Ask whether what is kept is still
    /// there, and read again.
    AskWhetherItIsThere,
    /// It does not count, and neither did the earlier readings.
    Fail(Why),
}

/// Whether an attempt counts, given the earlier ones in `history` and what the archive has (`kept`).
#[must_use]
pub(crate) fn judge(attempt: &Attempt, history: &History, kept: &Kept) -> Judgment {
    let again_or = |last: Judgment, why: Why| {
        if history.read_again < READ_AGAIN { Judgment::ReadAgain(why) } else { last }
    };
    let Attempt::Read(reading) = attempt else { return again_or(Judgment::Fail(Why::Changed), Why::Changed) };
    let is_full = reading.mode == Mode::Full;
    let is_behind = is_full && kept.cursor.zip(reading.data_time).is_some_and(|(kept, now)| now < kept);
    if is_behind && !history.was_behind {
        return Judgment::ReadAgain(Why::Behind);
    }
    if reading.total.is_none() {
        let changed_places = reading.repeats.number > 0 && history.repeats != Some(reading.repeats);
        if changed_places {
            return again_or(Judgment::Fail(Why::Changed), Why::Changed);
        }
        // If a page could not be shown to continue the one before, two readings have to bring the same resources.
        if reading.unjoined && history.came != Some((reading.distinct, reading.which)) {
            return again_or(Judgment::Fail(Why::Changed), Why::Changed);
        }
        if reading.empty_pages > 0 && is_full && reading.distinct < kept.count {
            return again_or(Judgment::Fail(Why::EmptyPages), Why::EmptyPages);
        }
    }
    // What came while the search was read is here in any case. But it may replace something that was read before.
    let is_displaced = reading.displaced > 0 && history.displaced != Some(reading.displaced);
    if (reading.late > 0 || is_displaced) && history.read_again < READ_AGAIN {
        return Judgment::ReadAgain(Why::Changed);
    }
    if reading.missing() > 0 && !is_explained(reading, history, kept) {
        let last = if is_full { Judgment::Fail(Why::Shortfall) } else { Judgment::MergeAndTryLater };
        return again_or(last, Why::Shortfall);
    }
    Judgment::Accept(match reading {
        _ if reading.missing() > 0 => Accepted::WithShortfall,
        _ if reading.empty_pages > 0 && reading.total.is_none() => Accepted::WithEmptyPages,
        _ if reading.repeats.number > 0 && reading.total.is_none() => Accepted::WithRepeats,
        _ if reading.distinct > 0 || !reading.has_totals || !reading.of_claims => Accepted::Whole,
        _ if is_full => Accepted::Nothing,
        _ if !history.found_nothing => return Judgment::AskWhetherItIsThere,
        _ => Accepted::Whole,
    })
}

/// Whether redaction explains that fewer came than were counted.
fn is_explained(reading: &Reading, history: &History, kept: &Kept) -> bool {
    let missing = reading.missing();
    let is_full = reading.mode == Mode::Full;
    let was_so = history.missing == Some(missing) || (is_full && kept.missing == Some(missing));
    // Claims in the archive do not become redacted suddenly while the server still counts them.
    let loses_kept = is_full && reading.distinct < kept.count && missing > kept.missing.unwrap_or(0);
    // All of an increment may be redacted, but then it has no empty page that names a next one.
    let is_plausible = if is_full { reading.distinct > 0 } else { reading.empty_pages == 0 };
    was_so && is_plausible && reading.repeats.number == 0 && !reading.ended_early && !loses_kept
}

/// Another page size for a reading after a shortfall, so that a page that the server fails to fill starts elsewhere.
#[must_use]
pub(crate) fn other_page_size(size: u32) -> u32 {
    if size > 3 { size - 1 } else { size + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Judgment::{Accept, AskWhetherItIsThere, Fail, MergeAndTryLater, ReadAgain};

    const WHOLE: Reading = Reading { total: Some(120), distinct: 120, ..Reading::BEGUN };
    const SHORT: Reading = Reading { distinct: 117, ..WHOLE };
    const TWICE: Repeats = Repeats { number: 70, which: 9 };
    const V3: Reading = Reading { has_totals: false, total: None, ..WHOLE };

    fn first() -> History {
        History::default()
    }

    fn again(read_again: u32) -> History {
        History { read_again, ..first() }
    }

    fn missed(missing: u64) -> History {
        History { missing: Some(missing), ..again(1) }
    }

    #[test]
    fn every_kind_of_reading_has_its_verdict() {
        let increment = |reading: Reading| Reading { mode: Mode::Incremental, ..reading };
        let kept = Kept { count: 117, missing: Some(3), cursor: None };
        let none = Kept::default();
        for (what, reading, history, kept, judgment) in [
            ("all that was counted", WHOLE, first(), none, Accept(Accepted::Whole)),
            ("more than was counted", Reading { total: Some(12), ..WHOLE }, first(), none, Accept(Accepted::Whole)),
            // Shortfalls.
            ("three are missing", SHORT, first(), none, ReadAgain(Why::Shortfall)),
            ("the same three", SHORT, missed(3), none, Accept(Accepted::WithShortfall)),
            ("three, and then four", Reading { distinct: 116, ..SHORT }, missed(3), none, ReadAgain(Why::Shortfall)),
            ("never the same", SHORT, History { missing: Some(4), ..again(2) }, none, Fail(Why::Shortfall)),
            ("as many as ever", SHORT, first(), kept, Accept(Accepted::WithShortfall)),
            (
                "claims of the archive among them",
                Reading { distinct: 110, ..SHORT },
                missed(10),
                kept,
                ReadAgain(Why::Shortfall),
            ),
            (
                "one page over and over",
                Reading { distinct: 50, repeats: TWICE, ..WHOLE },
                missed(70),
                none,
                ReadAgain(Why::Shortfall),
            ),
            (
                "one page over and over, always",
                Reading { distinct: 50, repeats: TWICE, ..WHOLE },
                History { missing: Some(70), repeats: Some(TWICE), ..again(2) },
                none,
                Fail(Why::Shortfall),
            ),
            ("a total and nothing", Reading { distinct: 0, ..WHOLE }, first(), none, ReadAgain(Why::Shortfall)),
            (
                "always a total and nothing",
                Reading { distinct: 0, ..WHOLE },
                History { missing: Some(120), ..again(2) },
                none,
                Fail(Why::Shortfall),
            ),
            (
                "links that end early",
                Reading { ended_early: true, ..SHORT },
                missed(3),
                none,
                ReadAgain(Why::Shortfall),
            ),
            ("an increment that is short", increment(SHORT), first(), kept, ReadAgain(Why::Shortfall)),
            ("an increment that stays as short", increment(SHORT), missed(3), none, Accept(Accepted::WithShortfall)),
            (
                "an increment that is short otherwise each time",
                increment(SHORT),
                History { missing: Some(9), ..again(2) },
                none,
                MergeAndTryLater,
            ),
            // Empty pages.
            ("redacted pages", Reading { empty_pages: 2, ..SHORT }, missed(3), none, Accept(Accepted::WithShortfall)),
            (
                "v3: an empty page on the way",
                Reading { empty_pages: 1, ..V3 },
                first(),
                none,
                Accept(Accepted::WithEmptyPages),
            ),
            (
                "v2 without a total: an empty page",
                Reading { empty_pages: 1, total: None, ..WHOLE },
                first(),
                none,
                Accept(Accepted::WithEmptyPages),
            ),
            (
                "v3: an empty page, and fewer than are kept",
                Reading { empty_pages: 1, distinct: 110, ..V3 },
                first(),
                kept,
                ReadAgain(Why::EmptyPages),
            ),
            (
                "an increment with an empty page, short by as many each time",
                increment(Reading { empty_pages: 1, ..SHORT }),
                missed(3),
                none,
                ReadAgain(Why::Shortfall),
            ),
            (
                "an increment of which all is redacted",
                increment(Reading { total: Some(1), distinct: 0, ..WHOLE }),
                missed(1),
                none,
                Accept(Accepted::WithShortfall),
            ),
            ("v3: links that name no place", Reading { unjoined: true, ..V3 }, first(), none, ReadAgain(Why::Changed)),
            (
                "v3: links that name no place, and as many others",
                Reading { unjoined: true, which: 7, ..V3 },
                History { came: Some((120, 0)), ..again(1) },
                none,
                ReadAgain(Why::Changed),
            ),
            (
                "v3: links that name no place, and the same again",
                Reading { unjoined: true, ..V3 },
                History { came: Some((120, 0)), ..again(1) },
                none,
                Accept(Accepted::Whole),
            ),
            (
                "v2 without a total: claims that came twice",
                Reading { repeats: TWICE, total: None, ..WHOLE },
                first(),
                none,
                ReadAgain(Why::Changed),
            ),
            // Nothing.
            (
                "nothing at all",
                Reading { total: Some(0), distinct: 0, ..WHOLE },
                first(),
                none,
                Accept(Accepted::Nothing),
            ),
            (
                "nothing new",
                increment(Reading { total: Some(0), distinct: 0, ..WHOLE }),
                first(),
                none,
                AskWhetherItIsThere,
            ),
            (
                "still nothing new",
                increment(Reading { total: Some(0), distinct: 0, ..WHOLE }),
                History { found_nothing: true, ..first() },
                none,
                Accept(Accepted::Whole),
            ),
            ("v3: nothing", Reading { distinct: 0, ..V3 }, first(), none, Accept(Accepted::Whole)),
            // Changes.
            ("v3: claims that came twice", Reading { repeats: TWICE, ..V3 }, first(), none, ReadAgain(Why::Changed)),
            (
                "v3: the same claims came twice again",
                Reading { repeats: TWICE, ..V3 },
                History { repeats: Some(TWICE), ..again(1) },
                none,
                Accept(Accepted::WithRepeats),
            ),
            ("v3: something was loaded meanwhile", Reading { late: 1, ..V3 }, first(), none, ReadAgain(Why::Changed)),
            (
                "v3: something is loaded all the time",
                Reading { late: 1, ..V3 },
                again(2),
                none,
                Accept(Accepted::Whole),
            ),
            ("v3: pages have moved", Reading { displaced: 1, ..V3 }, first(), none, ReadAgain(Why::Changed)),
            (
                "v3: pages begin one claim too early, always",
                Reading { displaced: 1, ..V3 },
                History { displaced: Some(1), ..again(1) },
                none,
                Accept(Accepted::Whole),
            ),
            (
                "v2: something was loaded meanwhile",
                Reading { late: 1, ..WHOLE },
                first(),
                none,
                ReadAgain(Why::Changed),
            ),
        ] {
            assert_eq!(judge(&Attempt::Read(reading), &history, &kept), judgment, "{what}");
        }
        assert_eq!(judge(&Attempt::Shifted, &first(), &none), ReadAgain(Why::Changed));
        assert_eq!(judge(&Attempt::Shifted, &again(2), &none), Fail(Why::Changed));
    }

    #[test]
    fn a_lagging_server_is_asked_once_more() {
        let at = |text: &str| text.parse::<Timestamp>().ok();
        let kept = Kept { cursor: at("2026-11-20T00:00:00Z"), ..Kept::default() };
        let attempt = Attempt::Read(Reading { data_time: at("2026-11-13T00:00:00Z"), ..WHOLE });
        let mut history = first();
        let judgment = judge(&attempt, &history, &kept);
        assert_eq!(judgment, ReadAgain(Why::Behind));
        history.note(&attempt, &judgment);
        assert_eq!(judge(&attempt, &history, &kept), Accept(Accepted::Whole));
    }
}
