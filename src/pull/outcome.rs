//! The outcome of a reading: what counts, what a person should know about it, and the text of a failure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    acceptance::{Accepted, Attempt, Why},
    search_loop::SearchPlan,
};
use crate::{
    api::endpoints::Searchable,
    archive::manifest::Mode,
    error::{Error, ErrorKind},
    paging::pager::Page,
};

/// The outcome of a search that has a reading that counts.
#[derive(Debug)]
pub(crate) struct ReadingOutcome {
    /// How it was read in the end: everything, or what is new.
    pub mode: Mode,
    /// What the server counted.
    pub total: Option<u64>,
    /// The transaction time of the data (API v1 and v2).
    pub data_time: Option<Timestamp>,
    /// Whether the next pull has to ask for the same again.
    pub cursor_stays: bool,
    /// Other resources that the server sent along. They were left out.
    pub included: u64,
    /// What a person should know about it.
    pub warnings: Vec<Warning>,
    /// The error that the run ends with once what came is in place.
    pub failure: Option<Error>,
}

impl ReadingOutcome {
    /// The warnings of a reading whose cursor stays because the server gives no count; `then` says what that means.
    #[must_use]
    pub(crate) fn warnings_with(self, then: &str) -> Vec<Warning> {
        let may_be_short = self.cursor_stays && self.failure.is_none();
        let told = |warning: Warning| match warning.kind {
            WarningKind::EmptyPage | WarningKind::Shortfall if may_be_short => {
                Warning { message: format!("{}; {then}", warning.message), ..warning }
            }
            _ => warning,
        };
        self.warnings.into_iter().map(told).collect()
    }
}

/// Something that is not a failure, but that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// One sentence that says it.
    pub message: String,
}

/// What a warning is about: the `kind` of the contract's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WarningKind {
    /// Fewer came than the server counted.
    Shortfall,
    /// Nothing came. The same happens when the server fails.
    MaybeOutage,
    /// The server sent a message along with the claims.
    Outcome,
    /// An empty page named a next page.
    EmptyPage,
    /// A Medicare Advantage plan has the medical claims of some months.
    MedicareAdvantage,
}

impl WarningKind {
    /// The stable word for scripts.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shortfall => "shortfall",
            Self::MaybeOutage => "maybe_outage",
            Self::Outcome => "outcome",
            Self::EmptyPage => "empty_page",
            Self::MedicareAdvantage => "medicare_advantage",
        }
    }
}

/// What the parts of a search show while they are read.
#[derive(Default)]
pub(super) struct Said {
    outcomes: BTreeSet<String>,
    included: u64,
}

impl Said {
    /// Records what a page shows.
    pub(super) fn note(&mut self, page: &Page) {
        const MOST: usize = 5;
        for outcome in page.bundle.outcomes() {
            if self.outcomes.len() < MOST {
                self.outcomes.insert(outcome.to_owned());
            }
        }
        self.included += page.bundle.included();
    }
}

/// The outcome of a reading that counts.
pub(super) fn settled(plan: &SearchPlan, attempt: &Attempt, accepted: Accepted, said: Said) -> ReadingOutcome {
    let (name, mut warnings) = (plan.resource.name(), Vec::new());
    let mut warn = |kind, message: String| warnings.push(Warning { kind, message });
    let (total, data_time) = match attempt {
        Attempt::Read(reading) => {
            match accepted {
                Accepted::Whole => {}
                Accepted::WithShortfall => warn(
                    WarningKind::Shortfall,
                    format!(
                        "{name}: the server counted {}, but sent {}",
                        reading.total.unwrap_or_default(),
                        reading.distinct
                    ),
                ),
                Accepted::WithEmptyPages => warn(
                    WarningKind::EmptyPage,
                    format!("{name}: {} pages were empty but linked to a next page", reading.empty_pages),
                ),
                Accepted::WithRepeats => warn(
                    WarningKind::Shortfall,
                    format!("{name}: {} came twice, so others may be missing", reading.repeats.number),
                ),
                Accepted::Nothing => warn(
                    WarningKind::MaybeOutage,
                    format!(
                        "{name}: the server says that there is nothing. It says the same when its database fails: run this again later"
                    ),
                ),
            }
            (reading.total, reading.data_time)
        }
        Attempt::Shifted => (None, None),
    };
    for outcome in said.outcomes {
        warn(WarningKind::Outcome, format!("{name}: the server says: {outcome}"));
    }
    let cursor_stays = matches!(accepted, Accepted::WithEmptyPages | Accepted::WithRepeats);
    ReadingOutcome { mode: plan.mode, total, data_time, cursor_stays, included: said.included, warnings, failure: None }
}

/// Why a search is read again, as text.
pub(super) fn again_words(resource: Searchable, why: Why, attempt: &Attempt) -> String {
    let missing = match attempt {
        Attempt::Read(reading) => reading.missing(),
        Attempt::Shifted => 0,
    };
    match why {
        Why::Changed => "the claims changed on the server while they were being read: reading them again".to_owned(),
        Why::Shortfall => {
            format!("{missing} fewer {} than the server counted: reading them again", resource.name())
        }
        Why::EmptyPages => {
            "pages were empty, and fewer claims came than the archive has: reading them again".to_owned()
        }
        Why::Behind => "the server's data are older than the archive: reading again".to_owned(),
    }
}

/// The error of a pull in which no reading counts. `after` says what that means for the data that were there before.
pub(super) fn failure(after: &str, resource: Searchable, why: Why, attempt: &Attempt) -> Error {
    let name = resource.name();
    match (why, attempt) {
        (Why::Shortfall, Attempt::Read(reading)) => {
            let (missing, came, total) = (reading.missing(), reading.distinct, reading.total.unwrap_or_default());
            let after = match reading.mode {
                Mode::Full => after,
                Mode::Incremental => "what came was added, and the next pull asks for the same again",
            };
            Error::new(
                ErrorKind::Shortfall,
                format!("{name}: {came} of {total} came, {missing} are missing, and reading again did not help; {after}"),
            )
            .hint("Run the same command again later. If the enrollee now shares less than before, fetch into a new directory; otherwise tell the operators of the server.")
        }
        (Why::EmptyPages, Attempt::Read(reading)) => Error::new(
            ErrorKind::Shortfall,
            format!("{name}: {} pages stayed empty, and fewer came than the archive has; {after}", reading.empty_pages),
        )
        .hint("Run the same command again later. If the claims are really gone, fetch into a new directory."),
        _ => Error::new(
            ErrorKind::Shifted,
            format!("{name}: the data on the server kept changing while bbdl read them; {after}"),
        )
        .hint("Run the same command again later."),
    }
}
