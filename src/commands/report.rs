//! `bbdl report`: the page for people.

use serde_json::json;

use crate::{
    cli::Report,
    commands::Context,
    durable,
    error::{Error, Result},
};

/// Runs the command.
///
/// # Errors
/// As [`crate::report::report`], and [`crate::error::Exit::Disk`].
pub fn run(context: &Context, args: &Report) -> Result<()> {
    let report = crate::report::report(&args.dir)?;
    durable::write_where_told(&args.output, report.html.as_bytes())
        .map_err(|cause| Error::disk("write", &args.output, &cause))?;
    let (out, claims) = (args.output.display(), report.claims);
    if context.ui.json() {
        context.ui.result_json(&json!({"out": args.output, "claims": claims, "bytes": report.html.len()}));
    } else {
        context.ui.say(format!("{claims} claims on one page, {out}. It holds health data: keep it to yourself."));
    }
    Ok(())
}
