//! `bbdl report`: the page for people.

use std::{io, path::Path};

use serde_json::json;

use crate::{
    cli,
    commands::{Context, archive_owner::owner_of, login::browser, output_file},
    error::{Error, ErrorKind, Result},
    output::{counted, refuse_closed_stdout},
    report::{Options, Report},
};

/// Runs the command.
///
/// # Errors
/// The errors of [`Report::of`], [`crate::error::Exit::Disk`], and [`crate::error::Exit::Usage`] if the page would
/// replace an archive's own file.
pub(crate) fn run(context: &Context, args: &cli::Report) -> Result<()> {
    let owner = std::fs::canonicalize(&args.dir).ok().and_then(|dir| owner_of(context, &dir));
    let profile = owner.map(|name| name.as_str().to_owned());
    let options = Options { profile, year: args.year, is_redacted: args.redact };
    if args.out == Path::new("-") {
        if context.output.json() {
            return Err(Error::usage("--json and --out - cannot be used together: both write to standard output"));
        }
        if args.open {
            return Err(
                Error::usage("--open needs a file, but --out - writes none").hint("Name a file: --out claims.html.")
            );
        }
        refuse_closed_stdout()?;
        let report = Report::of(&args.dir, None, &options)?;
        let written = context.output.stream(|mut out| report.write(&mut out, Error::stdout));
        return written.map_err(|error| match error.kind {
            ErrorKind::Stdout => error.hint("The page is incomplete. Free some space, or send it somewhere else."),
            _ => error,
        });
    }
    output_file::refuse(context, &args.out)?;
    let room = args.out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let report = Report::of(&args.dir, Some(room), &options)?;
    let claims = report.claims();
    let wrong = |cause: &io::Error| output_file::cannot_write(&args.out, cause);
    let ((), bytes) = output_file::write(&args.out, |page| report.write(page, wrong))?;
    let counted = counted(claims, "claim");
    if context.output.json() {
        context.output.result_json(
            &json!({"out": crate::files::path_text::to_text(&args.out), "claims": claims, "bytes": bytes}),
        );
    } else {
        let out = args.out.display();
        context.output.say(format!("{out} shows {counted} on one page. It contains health data: keep it private."));
    }
    if args.open {
        open(context, &args.out);
    }
    Ok(())
}

/// Opens the page. If no browser can be started, that is not a failure, because the page is written.
fn open(context: &Context, page: &Path) {
    let whole = std::path::absolute(page).unwrap_or_else(|_| page.to_owned());
    if !url::Url::from_file_path(&whole).is_ok_and(|url| browser::opened(url.as_str())) {
        context.output.warn(format!("no browser could be opened; open the page yourself: {}", whole.display()));
    }
}
