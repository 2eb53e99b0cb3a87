//! `fetch --all-profiles`: every log-in of this machine, each into its own directory.

use std::{
    path::Path,
    sync::{Arc, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use serde_json::json;

use super::{Ended, Home, Job, NoteLater, note_pull, one, report::Done, to_archive};
use crate::{
    cli::Fetch,
    commands::{Context, shared_state},
    error::{Error, ErrorKind, Exit, Result},
    files::{place, private_dir},
    fleet::{
        End, Listener, Note, Outcome, Run,
        metrics::Metrics,
        progress::Progress,
        results::Results,
        roster::{Due, Roster, Selection},
        tally::Tally,
    },
    runtime::{asked_to_stop, block_on_with_workers},
};

/// How many profiles are pulled at the same time for each allowed request. A profile that waits for the server to
/// recover, or for its lock, leaves its turn to others. With one request at a time, profiles also run one after the
/// other.
const PROFILES_A_REQUEST: usize = 4;

/// Runs the command. Continues after a profile has failed, and returns the worst error in the end.
///
/// # Errors
/// The worst error of a profile that is not tolerated. An interrupt comes before all others.
pub(super) fn run(context: &Context, args: &Fetch) -> Result<()> {
    if args.out == Path::new("-") {
        return Err(Error::usage("--all-profiles needs a directory with --out"));
    }
    let metrics = args.many.metrics.as_deref().map(|path| Metrics::new(path, args.many.shard)).transpose()?;
    if let Some(results) = &args.many.results {
        refuse_results(results, metrics.as_ref())?;
    }
    for output in args.many.results.as_deref().into_iter().chain(metrics.as_ref().map(Metrics::place)) {
        context.refuse_own(output)?;
    }
    // Anyone who may write to it could replace a profile's directory with another one.
    let out = std::fs::canonicalize(&args.out).unwrap_or_else(|_| args.out.clone());
    private_dir::check(&out, true)?;
    let end = block_on_with_workers(work(context, args, metrics))?;
    let (end, run, rows) = end;
    let failure = failure(&end, args);
    let written = run.finish(&end.tally, failure.as_ref().map_or(Exit::Done, Error::exit));
    tell(context, &end.tally, rows);
    let Some(error) = failure.or(written.err()) else { return Ok(()) };
    // The JSON object on stdout already contains each of them.
    Err(if context.output.json() { error.already_reported() } else { error })
}

/// Refuses results that would go to standard output, or to the file that the metrics replace.
fn refuse_results(results: &Path, metrics: Option<&Metrics>) -> Result<()> {
    if results == Path::new("-") {
        return Err(Error::usage("--results cannot be written to standard output")
            .hint("Name a file: --results results.ndjson. With --json, the rows are on standard output."));
    }
    if metrics.is_some_and(|metrics| place::resolved(metrics.place()) == place::resolved(results)) {
        return Err(Error::usage("--results and --metrics name the same file")
            .hint("Name two: --results results.ndjson --metrics bbdl.prom"));
    }
    Ok(())
}

/// Pulls for everyone who is due. Returns how the run ended, and with `--json` a row for each enrollee.
async fn work(context: &Context, args: &Fetch, metrics: Option<Metrics>) -> Result<(End, Run, Vec<(String, String)>)> {
    let mut run = Run {
        roster: roster(context, args).await?,
        at_once: match context.limits.jobs {
            1 => 1,
            jobs => PROFILES_A_REQUEST * jobs,
        },
        until: args.many.time.and_then(|time| Instant::now().checked_add(time)),
        results: args.many.results.as_deref().map(|path| Results::open(path, args.many.shard)).transpose()?,
        metrics,
    };
    let mut told = Told { context, rows: Vec::new(), progress: Progress::start(&context.output) };
    let pull = |due: Due| pull(context, args, due);
    let end = run.work(pull, asked_to_stop(), &mut told).await?;
    let Told { rows, .. } = told;
    Ok((end, run, rows))
}

async fn roster(context: &Context, args: &Fetch) -> Result<Roster> {
    let selection = Selection {
        out: std::path::absolute(&args.out).map_err(|cause| Error::disk("find", &args.out, &cause))?,
        resources: args.resources.clone(),
        full: args.full,
        stale_after: args.many.stale_after,
        shard: args.many.shard,
    };
    if let Some(roster) = shared_state::roster(context, &args.shared, &selection, args.many.renewals).await? {
        return Ok(roster);
    }
    if context.paths.profiles()?.is_empty() {
        return Err(Error::new(ErrorKind::NoProfile, "there is no profile on this machine")
            .hint("Log in first: bbdl login --sandbox  (or --production)"));
    }
    Roster::local(&context.paths, &selection)
}

/// The pull for one enrollee.
fn pull(context: &Context, args: &Fetch, due: Due) -> impl Future<Output = Outcome> + Send + use<> {
    let later = NoteLater::default();
    let local = Home::LocalOfMany(Arc::clone(&later));
    #[cfg(feature = "postgres")]
    let home = due.shared.map_or(local, Home::Shared);
    #[cfg(not(feature = "postgres"))]
    let home = local;
    let Due { name, profile, .. } = due;
    let output = context.output.speaking_of(name.as_str());
    let context = Context { output, profile: name.clone(), ..context.clone() };
    let args = Fetch { out: args.out.join(name.as_str()), ..args.clone() };
    async move {
        let started = Timestamp::now();
        let (ended, profile) = match profile {
            Ok(profile) => {
                let job = Job { context: &context, args: &args, profile, home };
                (one(&job, to_archive).await, Some(job.profile))
            }
            Err(error) => (Ended::early(error), None),
        };
        let Ended { result, requests, bytes } = ended;
        let (report, failure) = match result {
            Ok(done) => (Some(done), None),
            Err(error) => (None, Some(error)),
        };
        let report = report.as_ref().map(Done::report);
        let pulled = later.lock().unwrap_or_else(PoisonError::into_inner).take();
        let note = profile
            .zip(pulled)
            .map(|(profile, pulled)| Note(Box::new(move || note_pull(&context, &args, &profile, pulled))));
        Outcome { name, started, finished: Timestamp::now(), report, requests, bytes, failure, note }
    }
}

/// The error of the whole run: what stopped it, or the worst error of an enrollee that is not tolerated.
fn failure(end: &End, args: &Fetch) -> Option<Error> {
    let worst = end.tally.failure(&args.many.tolerate);
    end.stopped.clone().into_iter().chain(worst).max_by_key(|error| error.exit().gravity())
}

/// Reports each enrollee to a person or a script.
struct Told<'a> {
    context: &'a Context,
    /// With `--json`: the result of each enrollee, by name. Kept as text, because there may be a hundred thousand.
    rows: Vec<(String, String)>,
    progress: Progress,
}

impl Listener for Told<'_> {
    fn ended(&mut self, outcome: Outcome, tally: &Tally) {
        let output = &self.context.output;
        let name = outcome.name.as_str();
        match (&outcome.failure, &outcome.report) {
            (Some(error), _) => {
                // The end of the whole run reports an interrupt.
                if error.exit() != Exit::Interrupted {
                    output.warn(format!("{name}: {}", error.message));
                    if !error.hint.is_empty() {
                        output.tell(format!("  next: {}", error.hint));
                    }
                }
            }
            (None, Some(report)) if !output.json() => output.summary(format!("{name}: {}", report.line)),
            (None, _) => {}
        }
        if output.json() {
            let row = match (&outcome.failure, outcome.report) {
                (Some(error), _) => json!({ "profile": name, "error": error.to_json() }),
                (None, report) => report.map(|report| report.json).unwrap_or_default(),
            };
            self.rows.push((name.to_owned(), row.to_string()));
        }
        self.progress.show(tally);
    }
}

/// The end of the run, for people and for scripts.
fn tell(context: &Context, tally: &Tally, mut rows: Vec<(String, String)>) {
    if context.output.json() {
        rows.sort();
        let rows: Vec<String> = rows.into_iter().map(|(_, row)| row).collect();
        let numbers = json!({
            "due": tally.due, "fresh": tally.fresh, "succeeded": tally.succeeded, "failed": tally.failed(),
            "removed": tally.removed, "left": tally.left(), "requests": tally.requests, "bytes": tally.bytes,
        });
        context.output.result(format!("{{\"profiles\":[{}],\"run\":{numbers}}}", rows.join(",")));
        return;
    }
    let others = [
        (tally.failed(), "failed"),
        (tally.fresh, "fresh"),
        (tally.removed, "removed meanwhile"),
        (tally.left(), "left"),
    ];
    let others = others.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!(", {number} {word}"));
    context.output.say(format!("{} of {} pulled{}", tally.succeeded, tally.due, others.collect::<String>()));
}
