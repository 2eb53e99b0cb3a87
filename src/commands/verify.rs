//! `bbdl verify`: is an archive what its manifest says?

use serde_json::json;

use crate::{
    archive::{self, Archive},
    cli::Verify,
    commands::Context,
    error::{Error, ErrorKind, Exit, Result},
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
    let mut report = archive::verify::verify(&args.dir)?;
    if !report.ok {
        // A pull may have put its files in place while they were read: what counts is what is found when
        // nobody writes. An archive that cannot be written to is not written to by others either.
        match Archive::open(&args.dir) {
            Ok(_held) => report = archive::verify::verify(&args.dir)?,
            Err(error) if error.exit() == Exit::TryAgain => return Err(error),
            Err(_) => {}
        }
    }
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
    let error = Error::new(ErrorKind::Archive, message)
        .hint("Restore it from a backup, or fetch everything into a new directory.");
    // The report on stdout says it already; a second object would break whoever reads it.
    Err(if context.ui.json() { error.already_reported() } else { error })
}
