//! `fetch --all-profiles`: every log-in of this machine, each into a directory of its own.

use std::path::Path;

use serde_json::{Value, json};

use super::one;
use crate::{
    cli::Fetch,
    commands::Context,
    error::{Error, Exit, Result},
};

/// Runs the command: goes on after a profile has failed, and fails with the worst of what happened.
///
/// # Errors
/// That of the profile that fared worst; [`Exit::Interrupted`] at once.
pub(super) fn run(context: &Context, args: &Fetch) -> Result<()> {
    if args.out == Path::new("-") {
        return Err(Error::usage("--all-profiles needs a directory with --out"));
    }
    let names = context.paths.profiles()?;
    if names.is_empty() {
        return Err(Error::new(Exit::NotSetUp, "no_profile", "there is no profile on this machine")
            .hint("Log in first: bbdl login --sandbox  (or --production)"));
    }
    let mut rows: Vec<Value> = Vec::new();
    let mut failures: Vec<Error> = Vec::new();
    for name in &names {
        let context = Context { profile: name.clone(), ..context.clone() };
        let args = Fetch { out: args.out.join(name.as_str()), ..args.clone() };
        match one(&context, &args, async |job| job.to_archive().await) {
            Ok(done) if context.ui.json() => rows.push(done.json()),
            Ok(done) => context.ui.summary(format!("{name}: {}", done.line())),
            Err(error) if error.exit == Exit::Interrupted => return Err(error),
            Err(error) => {
                context.ui.warn(format!("{name}: {}", error.message));
                if !error.hint.is_empty() {
                    context.ui.tell(format!("  next: {}", error.hint));
                }
                rows.push(json!({ "profile": name.as_str(), "error": error.to_json() }));
                failures.push(error);
            }
        }
    }
    let failed = failures.len();
    let worst = failures.into_iter().max_by_key(|error| gravity(error.exit));
    if context.ui.json() {
        context.ui.result_json(&json!({ "profiles": rows }));
    }
    let Some(worst) = worst else { return Ok(()) };
    let message = format!("{failed} of {} profiles failed; the worst: {}", names.len(), worst.message);
    let error = Error::new(worst.exit, worst.kind, message).hint(worst.hint).retry_after(worst.retry_after);
    // The object on stdout has each of them already.
    Err(if context.ui.json() { error.already_reported() } else { error })
}

/// What needs somebody soonest counts most: a defect, this machine's disk, data that are not right, the
/// set-up, a person; last what passes by itself.
fn gravity(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::TryAgain => 1,
        Exit::PersonMustAct => 2,
        Exit::NotSetUp | Exit::Usage => 3,
        Exit::Data => 4,
        Exit::Disk => 5,
        Exit::Defect => 6,
        Exit::Interrupted => 7,
    }
}
