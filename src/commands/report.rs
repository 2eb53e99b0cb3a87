//! `bbdl report`: the page for people.

use std::{
    io::{self, BufWriter},
    path::Path,
};

use serde_json::json;

use crate::{
    archive::reading::refuse_own,
    cli,
    commands::Context,
    durable::Fresh,
    error::{Error, Result},
    report::Report,
};

/// What is gathered before it is written.
const BUFFER: usize = 1 << 16;

/// Runs the command.
///
/// # Errors
/// As [`Report::of`], [`crate::error::Exit::Disk`], and [`crate::error::Exit::Usage`] where the page would take the
/// place of an archive's own file.
pub fn run(context: &Context, args: &cli::Report) -> Result<()> {
    if args.output == Path::new("-") {
        if context.ui.json() {
            return Err(Error::usage("--json and --output - both want standard output"));
        }
        // Beside nothing that is named: where the system keeps what is for a moment.
        let report = Report::of(&args.dir, &std::env::temp_dir())?;
        return context.ui.stream(|mut out| report.write(&mut out, Error::stdout));
    }
    refuse_own(&args.output)?;
    let wrong = |cause: &io::Error| Error::disk("write", &args.output, cause);
    let room = args.output.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let report = Report::of(&args.dir, room)?;
    let fresh = Fresh::begin_where_told(&args.output).map_err(|cause| wrong(&cause))?;
    let claims = report.claims();
    let mut page = BufWriter::with_capacity(BUFFER, fresh.file().map_err(|cause| wrong(&cause))?);
    report.write(&mut page, wrong)?;
    let page = page.into_inner().map_err(|cause| wrong(cause.error()))?;
    let bytes = page.metadata().map_err(|cause| wrong(&cause))?.len();
    fresh.keep().map_err(|cause| wrong(&cause))?;
    if context.ui.json() {
        context.ui.result_json(&json!({"out": args.output, "claims": claims, "bytes": bytes}));
    } else {
        let out = args.output.display();
        context.ui.say(format!("{claims} claims on one page, {out}. It holds health data: keep it to yourself."));
    }
    Ok(())
}
