//! `bbdl export`: claims as tables.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    cli::Export,
    commands::{Context, archive_owner::owners},
    error::{Error, Result},
    export::{Archives, Enrollee, Format, PART, Plan, Written, export},
};

/// Runs the command.
///
/// # Errors
/// As [`export`], and [`crate::error::Exit::Usage`] for standard output.
pub(crate) fn run(context: &Context, args: &Export) -> Result<()> {
    if args.out == Path::new("-") {
        let (what, instead) = match args.to {
            Format::Sqlite => ("a database cannot be written to a pipe", "--out claims.db"),
            Format::FhirBundle => ("a bundle can only be written to a file", "--out claims.json"),
            _ => ("standard output cannot take several tables", "--out DIR"),
        };
        return Err(Error::usage(what).hint(format!("Say where to write it: {instead}.")));
    }
    let plan = Plan { format: args.to, output: args.out.clone(), partition: args.partition_by, part: PART };
    let archives = archives(context, &args.dirs)?;
    let Written { claims, lines, incomplete } = export(&archives, &plan)?;
    let left_out: Vec<String> = archives.waiting().iter().map(|dir| left_out(dir)).collect();
    if context.output.json() {
        let out = crate::files::path_text::to_text(&args.out);
        let mut said = json!({"out": out, "claims": claims, "lines": lines, "incomplete": incomplete});
        if !left_out.is_empty() {
            said["warnings"] = left_out.iter().map(|message| json!({"kind": "no_pull", "message": message})).collect();
        }
        context.output.result_json(&said);
    } else {
        let many = |number: u64, what| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let (claims, lines) = (many(claims, "claim"), many(lines, "line"));
        let out = args.out.display();
        match args.to {
            Format::FhirBundle => context.output.say(format!("{claims} are in {out}, as the server sent them")),
            _ => context.output.say(format!("{claims} and {lines} are in {out}")),
        }
    }
    for message in left_out {
        context.output.warn(message);
    }
    if incomplete == 1 {
        context.output.warn("1 claim contains something that a table cannot show; it has is_incomplete 1, and is complete in the archive");
    } else if incomplete > 1 {
        context.output.warn(format!("{incomplete} claims contain something that a table cannot show; they have is_incomplete 1, and are complete in the archive"));
    }
    Ok(())
}

/// What a person should know of a directory that is not in the tables.
fn left_out(dir: &Path) -> String {
    format!("{} is left out: its first pull has not finished", dir.display())
}

/// The archives, and whose each is.
fn archives(context: &Context, dirs: &[PathBuf]) -> Result<Archives> {
    let [first, others @ ..] = dirs else { return Err(Error::usage("no archive is named")) };
    let owners = if others.is_empty() { HashMap::new() } else { owners(context) };
    Archives::of(first, others, |dir| {
        let owner = std::fs::canonicalize(dir).ok().and_then(|whole| owners.get(&whole));
        owner.map_or_else(|| Enrollee::of_directory(dir), |name| Enrollee::named(name.as_str()))
    })
}
