//! `fetch --all-profiles`: every log-in of this machine, each into a directory of its own.

use std::path::Path;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{one, report::Done};
use crate::{
    cli::Fetch,
    commands::Context,
    error::{Error, ErrorKind, Exit, Result},
    files::private_dir,
    profile::ProfileName,
    runtime::block_on_with_workers,
};

/// How many profiles are under way for each request that may be: one that waits for the server to recover, or
/// for its lock, leaves its turn to the others. One request at a time is also one profile after the other.
const PROFILES_A_REQUEST: usize = 4;

/// Runs the command: goes on after a profile has failed, and fails with the worst of what happened.
///
/// # Errors
/// That of the profile that fared worst, an interrupt before all others.
pub(super) fn run(context: &Context, args: &Fetch) -> Result<()> {
    if args.out == Path::new("-") {
        return Err(Error::usage("--all-profiles needs a directory with --out"));
    }
    // Whoever may write to it could put a directory of theirs in the place of a profile's.
    let out = std::fs::canonicalize(&args.out).unwrap_or_else(|_| args.out.clone());
    private_dir::check(&out, true)?;
    let names = context.paths.profiles()?;
    if names.is_empty() {
        return Err(Error::new(ErrorKind::NoProfile, "there is no profile on this machine")
            .hint("Log in first: bbdl login --sandbox  (or --production)"));
    }
    let ends = block_on_with_workers(all(context, args, &names))?;
    let mut rows: Vec<Value> = Vec::new();
    let mut failures: Vec<Error> = Vec::new();
    for (name, end) in names.iter().zip(ends) {
        match end {
            Ok(row) => rows.push(row),
            Err(error) => {
                rows.push(json!({ "profile": name.as_str(), "error": error.to_json() }));
                failures.push(error);
            }
        }
    }
    let failed = failures.len();
    let worst = failures.into_iter().max_by_key(|error| error.exit().gravity());
    if context.ui.json() {
        context.ui.result_json(&json!({ "profiles": rows }));
    }
    let Some(worst) = worst else { return Ok(()) };
    let message = format!("{failed} of {} profiles failed; the worst: {}", names.len(), worst.message);
    let error = Error::new(worst.kind, message).hint(worst.hint).retry_after(worst.retry_after);
    // The object on stdout has each of them already.
    Err(if context.ui.json() { error.already_reported() } else { error })
}

/// Fetches for some of them at once, each in a task of its own: one that is slow holds up nobody. What
/// became of each is said as it happens, and given back in the order of the names.
async fn all(context: &Context, args: &Fetch, names: &[ProfileName]) -> Result<Vec<Result<Value>>> {
    let mut waiting = names.iter().enumerate();
    let at_once = match context.limits.jobs {
        1 => 1,
        jobs => PROFILES_A_REQUEST * jobs,
    };
    let mut running = JoinSet::new();
    let mut stopped = false;
    let mut ends: Vec<Option<Result<Value>>> = names.iter().map(|_| None).collect();
    loop {
        while !stopped
            && running.len() < at_once
            && let Some((place, name)) = waiting.next()
        {
            let ui = if at_once > 1 { context.ui.speaking_of(name.as_str()) } else { context.ui.clone() };
            let context = Context { ui, profile: name.clone(), ..context.clone() };
            let args = Fetch { out: args.out.join(name.as_str()), ..args.clone() };
            running.spawn(async move { (place, one(&context, &args, async |job| job.to_archive().await).await) });
        }
        let Some(ended) = running.join_next().await else { break };
        let (place, end) =
            ended.map_err(|_| Error::new(ErrorKind::Defect, "fetching for a profile ended unexpectedly"))?;
        if end.as_ref().is_err_and(|error| error.exit() == Exit::Interrupted) {
            // Those under way hear it as well; what is complete of any of them is told all the same.
            stopped = true;
            ends[place] = Some(end.map(|_| Value::Null));
            continue;
        }
        ends[place] = Some(
            end.map(|done| tell(context, &names[place], done)).inspect_err(|error| warn(context, &names[place], error)),
        );
    }
    let never_begun = || Err(Error::new(ErrorKind::Interrupted, "interrupted before it was its turn"));
    Ok(ends.into_iter().map(|end| end.unwrap_or_else(never_begun)).collect())
}

fn tell(context: &Context, name: &ProfileName, done: Done) -> Value {
    if !context.ui.json() {
        context.ui.summary(format!("{name}: {}", done.line()));
    }
    done.json()
}

fn warn(context: &Context, name: &ProfileName, error: &Error) {
    context.ui.warn(format!("{name}: {}", error.message));
    if !error.hint.is_empty() {
        context.ui.tell(format!("  next: {}", error.hint));
    }
}
