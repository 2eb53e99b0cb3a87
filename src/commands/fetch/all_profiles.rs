//! `fetch --all-profiles`: every log-in of this machine, each into a directory of its own.

use std::path::Path;

use serde_json::{Value, json};

use super::{one, report::Done, to_archive};
use crate::{
    cli::Fetch,
    commands::Context,
    error::{Error, ErrorKind, Result},
    files::private_dir,
    profile::ProfileName,
    pull::all_profiles::{each_profile, profiles_at_once},
    runtime::block_on_with_workers,
};

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
    let at_once = profiles_at_once(context.limits.jobs);
    let pull = |name: &ProfileName| {
        let ui = if at_once > 1 { context.ui.speaking_of(name.as_str()) } else { context.ui.clone() };
        let context = Context { ui, profile: name.clone(), ..context.clone() };
        let args = Fetch { out: args.out.join(name.as_str()), ..args.clone() };
        async move { one(&context, &args, to_archive).await }
    };
    let told = |name: &ProfileName, end: &Result<Done>| match end {
        Ok(done) => tell(context, name, done),
        Err(error) => warn(context, name, error),
    };
    let ends = block_on_with_workers(each_profile(&names, at_once, pull, told))?;
    let mut rows: Vec<Value> = Vec::new();
    let mut failures: Vec<Error> = Vec::new();
    for (name, end) in names.iter().zip(ends) {
        match end {
            Ok(done) => rows.push(done.json()),
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

fn tell(context: &Context, name: &ProfileName, done: &Done) {
    if !context.ui.json() {
        context.ui.summary(format!("{name}: {}", done.line()));
    }
}

fn warn(context: &Context, name: &ProfileName, error: &Error) {
    context.ui.warn(format!("{name}: {}", error.message));
    if !error.hint.is_empty() {
        context.ui.tell(format!("  next: {}", error.hint));
    }
}
