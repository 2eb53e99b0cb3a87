//! The numbers of a run over many enrollees so far, and how it ends.

use super::{
    Outcome,
    tolerance::{self, Tolerance},
};
use crate::error::{Error, ErrorKind, Exit};

/// Numbers of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Enrollees who were due when the run began.
    pub due: u64,
    /// Enrollees who were left out because they were pulled a short time ago.
    pub fresh: u64,
    /// Enrollees whose pull succeeded.
    pub succeeded: u64,
    /// Enrollees who were removed in the meantime.
    pub removed: u64,
    /// Requests made.
    pub requests: u64,
    /// Bytes received.
    pub bytes: u64,
    /// How many failed in each way, with the first failure of that kind.
    pub(super) failures: Vec<(Error, u64)>,
}

impl Tally {
    /// The numbers of a run that begins with `due` enrollees who are due and `fresh` who are not.
    #[must_use]
    pub(crate) fn of(due: u64, fresh: u64) -> Self {
        Self { due, fresh, ..Self::default() }
    }

    /// Counts an enrollee. An interrupted pull has not failed, so its enrollee is still due.
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        self.requests += outcome.requests;
        self.bytes += outcome.bytes;
        let Some(error) = &outcome.failure else {
            self.succeeded += 1;
            return;
        };
        if error.exit() == Exit::Interrupted {
            return;
        }
        match self.failures.iter_mut().find(|(first, _)| first.kind == error.kind) {
            Some((first, number)) => {
                // The longest of the requested pauses is long enough for all.
                first.retry_after = first.retry_after.max(error.retry_after);
                *number += 1;
            }
            None => self.failures.push((error.clone(), 1)),
        }
    }

    /// How many failed in each way.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (ErrorKind, u64)> {
        self.failures.iter().map(|(error, number)| (error.kind, *number))
    }

    /// How many failed.
    #[must_use]
    pub(crate) fn failed(&self) -> u64 {
        self.failures.iter().map(|(_, number)| number).sum()
    }

    /// How many of the due enrollees have ended, in any way.
    #[must_use]
    pub(crate) fn ended(&self) -> u64 {
        self.succeeded + self.failed() + self.removed
    }

    /// How many of the due enrollees were not begun.
    #[must_use]
    pub(crate) fn left(&self) -> u64 {
        self.due.saturating_sub(self.ended())
    }

    /// The failure of the whole run; `None` if all failures are tolerated.
    #[must_use]
    pub(crate) fn failure(&self, tolerated: &[Tolerance]) -> Option<Error> {
        let by_exit: Vec<(Exit, u64)> = self.failures.iter().map(|(error, number)| (error.exit(), *number)).collect();
        let counted = tolerance::counted(&by_exit, self.due, tolerated);
        let failures = self.failures.iter().map(|(error, _)| error);
        let worst =
            failures.filter(|error| counted.contains(&error.exit())).max_by_key(|error| error.exit().gravity())?;
        let message = format!("{} of {} profiles failed; the worst: {}", self.failed(), self.due, worst.message);
        Some(Error::new(worst.kind, message).hint(worst.hint.clone()).retry_after(worst.retry_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_failure_that_is_not_tolerated_decides() {
        let mut tally = Tally { due: 4, ..Tally::default() };
        let failed = |kind| Outcome { failure: Some(Error::new(kind, kind.name())), ..Outcome::example() };
        tally.count(&Outcome::example());
        assert!(tally.failure(&[]).is_none());
        for kind in [ErrorKind::GrantRevoked, ErrorKind::Server] {
            tally.count(&failed(kind));
        }
        assert_eq!((tally.failed(), tally.ended(), tally.left()), (2, 3, 1));
        let worst = |tolerated: &[&str]| {
            let tolerated: Vec<Tolerance> = tolerated.iter().map(|text| text.parse().unwrap()).collect();
            tally.failure(&tolerated).map(|error| error.exit().code())
        };
        for (tolerated, code) in
            [(&[][..], Some(77)), (&["77"], Some(75)), (&["75"], Some(77)), (&["50%"], None), (&["49%"], Some(77))]
        {
            assert_eq!(worst(tolerated), code, "{tolerated:?}");
        }
    }
}
