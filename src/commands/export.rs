//! `bbdl export`: claims as tables.

use std::path::Path;

use serde_json::json;

use crate::{
    cli::Export,
    commands::Context,
    error::{Error, Result},
    export::{Format, Written, export},
};

/// Runs the command.
///
/// # Errors
/// As [`export`], and [`crate::error::Exit::Usage`] for standard output.
pub fn run(context: &Context, args: &Export) -> Result<()> {
    if args.output == Path::new("-") {
        let (what, instead) = match args.to {
            Format::Sqlite => ("a database cannot be written to a pipe", "--output claims.db"),
            Format::FhirBundle => {
                ("a bundle is written to a file, which is whole or not there", "--output claims.json")
            }
            _ => ("several tables do not go to one standard output", "--output DIR"),
        };
        return Err(Error::usage(what).hint(format!("Name where it goes: {instead}.")));
    }
    let Written { claims, lines, incomplete } = export(&args.dir, args.to, &args.output)?;
    if context.ui.json() {
        context
            .ui
            .result_json(&json!({"out": crate::files::path_text::to_text(&args.output), "claims": claims, "lines": lines, "incomplete": incomplete}));
    } else {
        let many = |number: u64, what| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let (claims, lines) = (many(claims, "claim"), many(lines, "line"));
        let out = args.output.display();
        match args.to {
            Format::FhirBundle => context.ui.say(format!("{claims} are in {out}, as the server sent them")),
            _ => context.ui.say(format!("{claims} and {lines} are in {out}")),
        }
    }
    if incomplete > 0 {
        context.ui.warn(format!(
            "of {incomplete} claims something cannot be shown in a table; they have is_incomplete 1, and are whole in the archive"
        ));
    }
    Ok(())
}
