//! `bbdl verify`: is an archive what its manifest says?

use serde_json::json;

use crate::{
    archive::{self, Archive},
    cli::Verify,
    commands::Context,
    error::{Error, Exit, Result},
};

/// Runs the command.
///
/// # Errors
/// [`Exit::Data`] when the archive is not what it must be.
pub fn run(context: &Context, args: &Verify) -> Result<()> {
    if archive::has_unfinished_commit(&args.dir) {
        // The new archive is complete, only not all in place: whoever comes by puts it there.
        drop(Archive::open(&args.dir)?);
    }
    let report = archive::verify::verify(&args.dir)?;
    if context.ui.json() {
        context.ui.result_json(&json!(report));
    } else {
        for (resource, findings) in &report.resources {
            let verdict = if findings.sha256_ok { "as the manifest says" } else { "not as the manifest says" };
            context.ui.say(format!("{resource}: {}, {verdict}", findings.count));
        }
    }
    if report.ok {
        return Ok(());
    }
    let message = format!("{} is damaged: {}", args.dir.display(), report.problems.join("; "));
    let error = Error::new(Exit::Data, "archive", message)
        .hint("Restore it from a backup, or fetch everything into a new directory.");
    // The report on stdout says it already; a second object would break whoever reads it.
    Err(if context.ui.json() { error.already_reported() } else { error })
}
