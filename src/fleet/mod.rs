//! Many enrollees in one run: who is due, several at once, what became of each, and how the run ends.
//!
//! | file | what it is for |
//! | --- | --- |
//! | [`roster`] | where due enrollees come from, and where outcomes go |
//! | `shared_roster` | the same with a database that machines share |
//! | [`shard`] | which of several workers pulls for an enrollee |
//! | [`tally`] | the numbers of a run, and how it ends |
//! | [`tolerance`] | which failures do not fail the whole run |
//! | [`progress`] | what a person sees of a run |
//! | [`results`], [`metrics`] | what other programs read about a run |
//!
//! This module does not know what a pull is. The caller passes one in.

pub(crate) mod metrics;
pub(crate) mod progress;
pub(crate) mod results;
pub(crate) mod roster;
pub(crate) mod shard;
#[cfg(feature = "postgres")]
pub(crate) mod shared_roster;
pub(crate) mod tally;
pub(crate) mod tolerance;

use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    error::{Error, ErrorKind, Exit, Result},
    profile::ProfileName,
};
use metrics::Metrics;
use results::Results;
use roster::{Counts, Due, Next, Roster};
use tally::Tally;

/// The result of the pull for one enrollee.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The enrollee.
    pub name: ProfileName,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// What came, if the pull succeeded.
    pub report: Option<Report>,
    /// Requests made.
    pub requests: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Why it failed, if it did.
    pub failure: Option<Error>,
    /// Records the pull on this machine, if that is still to be done.
    pub note: Option<Note>,
}

/// Records a pull, so that a later run does not ask again. It waits for the disk.
pub(crate) struct Note(pub Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Note")
    }
}

/// What came in a pull.
#[derive(Debug)]
pub(crate) struct Report {
    /// For people: one line.
    pub line: String,
    /// The object of `fetch --json`.
    pub json: Value,
}

/// Is told about each enrollee.
pub(crate) trait Listener {
    /// An enrollee's pull has ended. The tally counts it already.
    fn ended(&mut self, outcome: Outcome, tally: &Tally);
}

/// A run over the enrollees in a roster.
pub(crate) struct Run {
    /// Where enrollees come from.
    pub roster: Roster,
    /// How many pulls run at the same time.
    pub at_once: usize,
    /// No pull begins after this time.
    pub until: Option<Instant>,
    /// `--results`
    pub results: Option<Results>,
    /// `--metrics`
    pub metrics: Option<Metrics>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct End {
    /// Its numbers.
    pub tally: Tally,
    /// What ended it before every due enrollee had a turn.
    pub stopped: Option<Error>,
}

impl Run {
    /// Works through the roster. Each enrollee has a separate task, so a slow one does not delay the others. No new
    /// pull begins once `stop` says so, the time is over, or results can no longer be kept. Waits for the pulls that
    /// have begun.
    ///
    /// # Errors
    /// Never an error of one enrollee. [`Exit::Disk`] if the metrics cannot be written at the beginning.
    pub(crate) async fn work<Task>(
        &mut self,
        pull: impl Fn(Due) -> Task,
        stop: impl Future<Output = ()>,
        listener: &mut impl Listener,
    ) -> Result<End>
    where
        Task: Future<Output = Outcome> + Send + 'static,
    {
        let mut stop = std::pin::pin!(stop);
        let (mut running, mut noting) = (JoinSet::new(), JoinSet::new());
        let mut tally = Tally::of(self.roster.due(), self.roster.fresh());
        let mut stopped = None;
        let mut is_empty = false;
        let mut not_before = Instant::now();
        self.report(&tally)?;
        loop {
            while stopped.is_none() && !is_empty && running.len() < self.at_once && Instant::now() >= not_before {
                if self.until.is_some_and(|until| Instant::now() >= until) {
                    // The roster has already said that an enrollee is due.
                    stopped = Some(time_is_up());
                    break;
                }
                let next = tokio::select! {
                    biased;
                    () = &mut stop => Err(interrupted()),
                    next = self.roster.next() => next,
                };
                match next {
                    Ok(Next::Due(due)) => drop(running.spawn(pull(*due))),
                    Ok(Next::Later(wait)) => not_before = Instant::now() + wait,
                    Ok(Next::Nobody) => is_empty = true,
                    Err(error) => stopped = Some(error),
                }
                (tally.due, tally.removed) = (self.roster.due(), self.roster.removed());
            }
            let is_over = stopped.is_some() || is_empty;
            if running.is_empty() && is_over {
                break;
            }
            let ended = tokio::select! {
                biased;
                () = &mut stop, if !is_interrupt(stopped.as_ref()) => {
                    stopped = Some(interrupted());
                    continue;
                }
                Some(ended) = running.join_next() => ended,
                () = tokio::time::sleep_until(not_before.into()), if !is_over && running.len() < self.at_once => continue,
            };
            let Ok(mut outcome) = ended else {
                // Waits for the others, because one of them may be about to store new tokens.
                stopped.get_or_insert(Error::new(ErrorKind::Defect, "fetching for a profile ended unexpectedly"));
                continue;
            };
            let note = outcome.note.take();
            let kept = self.keep(&outcome, &mut tally).await;
            // A pull without a row in the results is not recorded either. So the next run asks again, and no row is
            // missing.
            if let Some(Note(note)) = note.filter(|_| kept.is_ok()) {
                if noting.len() >= self.at_once {
                    noting.join_next().await;
                }
                noting.spawn_blocking(note);
            }
            if is_interrupt(outcome.failure.as_ref()) {
                stopped = outcome.failure.clone();
            }
            if let Err(error) = kept
                && stopped.is_none()
            {
                stopped = Some(error);
            }
            listener.ended(outcome, &tally);
        }
        while noting.join_next().await.is_some() {}
        let closed = self.roster.close().await;
        tally.due = self.roster.due();
        let stopped = stopped.or(closed.err());
        // If every enrollee had a turn, it does not matter that the time is over.
        let stopped = stopped.filter(|error| error.kind != ErrorKind::TimeUp || tally.left() > 0);
        let stopped = stopped.or_else(|| (tally.left() > 0).then(|| server_wants_a_pause(tally.left())));
        Ok(End { tally, stopped })
    }

    /// Writes the metrics for the last time.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub(crate) fn finish(self, tally: &Tally, exit: Exit) -> Result<()> {
        self.metrics.map_or(Ok(()), |metrics| metrics.finish(tally, exit))
    }

    /// Writes an outcome to all its places. The row in the results comes first. If the process is killed before the
    /// pull is recorded, the enrollee is pulled again and has two rows, but never none.
    async fn keep(&mut self, outcome: &Outcome, tally: &mut Tally) -> Result<()> {
        let was_removed = self.roster.was_removed(outcome);
        if let Some(results) = self.results.as_mut().filter(|_| !was_removed) {
            results.append(outcome)?;
        }
        let counts = self.roster.ended(outcome, was_removed).await;
        tally.removed = self.roster.removed();
        if matches!(counts, Ok(Counts::Removed | Counts::TakenOver)) {
            return Ok(());
        }
        tally.count(outcome);
        self.report(tally)?;
        counts.map(drop)
    }

    fn report(&mut self, tally: &Tally) -> Result<()> {
        self.metrics.as_mut().map_or(Ok(()), |metrics| metrics.progress(tally))
    }
}

fn is_interrupt(error: Option<&Error>) -> bool {
    error.is_some_and(|error| error.exit() == Exit::Interrupted)
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "interrupted").hint("What was complete is kept. Run the same command again.")
}

fn time_is_up() -> Error {
    Error::new(ErrorKind::TimeUp, "the time given with --for was over before everybody who was due was pulled")
        .hint("Run the same command again: it goes on with those who are left.")
}

/// If every enrollee had a turn, there is no one left.
fn server_wants_a_pause(left: u64) -> Error {
    let message = format!("{left} profiles are left: the server asked for a pause before it is asked for them again");
    Error::new(ErrorKind::Server, message).hint("Run the same command again later.")
}

#[cfg(test)]
impl Outcome {
    /// A success.
    pub(crate) fn example() -> Self {
        let (started, finished) = (Timestamp::now(), Timestamp::now());
        let name = ProfileName::DEFAULT.parse().unwrap_or_else(|why| unreachable!("{why}"));
        Self { name, started, finished, report: None, requests: 1, bytes: 10, failure: None, note: None }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{profile::Paths, resource::Resource, runtime::block_on};

    #[derive(Default)]
    struct Heard(Vec<ProfileName>);

    impl Listener for Heard {
        fn ended(&mut self, outcome: Outcome, _: &Tally) {
            self.0.push(outcome.name);
        }
    }

    /// Any of the other pulls may be renewing a log-in.
    #[test]
    fn a_pull_that_panics_ends_the_run_only_when_the_others_have_ended() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("profiles")).unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(dir.path().join(format!("profiles/{name}.json")), "{}").unwrap();
        }
        let selection = roster::Selection {
            out: dir.path().to_owned(),
            resources: vec![Resource::Eob],
            full: false,
            stale_after: None,
            shard: None,
        };
        let roster = Roster::local(&Paths::find(Some(dir.path()), None).unwrap(), &selection).unwrap();
        let mut run = Run { roster, at_once: 2, until: None, results: None, metrics: None };
        let (first, first_is_gone) = tokio::sync::watch::channel(());
        let first = Mutex::new(Some(first));
        let pull = |due: Due| {
            let (first, mut first_is_gone) = (first.lock().unwrap().take(), first_is_gone.clone());
            async move {
                if let Some(_dropped_on_the_way) = first {
                    panic!("a defect");
                }
                assert!(first_is_gone.changed().await.is_err());
                Outcome { name: due.name, ..Outcome::example() }
            }
        };
        let mut heard = Heard::default();
        let end = block_on(run.work(pull, std::future::pending(), &mut heard)).unwrap();
        assert_eq!(end.stopped.unwrap().kind, ErrorKind::Defect);
        assert_eq!(heard.0.iter().map(ProfileName::as_str).collect::<Vec<_>>(), ["b"], "nobody else is begun");
    }
}
