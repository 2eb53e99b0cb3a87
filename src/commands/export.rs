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
    let Written { claims, lines, incomplete, without_claims } = export(&archives, &plan)?;
    let waiting = archives.waiting().iter().map(|dir| LeftOut { dir, why: Why::NoPull });
    let left_out: Vec<LeftOut<'_>> =
        waiting.chain(without_claims.iter().map(|dir| LeftOut { dir, why: Why::NoClaims })).collect();
    if context.output.json() {
        let out = crate::files::path_text::to_text(&args.out);
        let mut said = json!({"out": out, "claims": claims, "lines": lines, "incomplete": incomplete});
        if !left_out.is_empty() {
            said["warnings"] = left_out.iter().map(|it| json!({"kind": it.kind(), "message": it.words()})).collect();
        }
        context.output.result_json(&said);
    } else {
        let many = |number: u64, what| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let (claims, lines) = (many(claims, "claim"), many(lines, "line"));
        let out = args.out.display();
        match args.to {
            Format::FhirBundle => context.output.say(format!("{claims} are in {out}, as the server sent them")),
            _ => context.output.say(format!("Wrote {claims} and {lines} to {out}")),
        }
    }
    for it in &left_out {
        context.output.warn(it.words());
    }
    if incomplete == 1 {
        context.output.warn("1 claim contains something that a table cannot show; it has is_incomplete 1, and is complete in the archive");
    } else if incomplete > 1 {
        context.output.warn(format!("{incomplete} claims contain something that a table cannot show; they have is_incomplete 1, and are complete in the archive"));
    }
    Ok(())
}

/// A directory that is not in the tables.
struct LeftOut<'a> {
    dir: &'a Path,
    why: Why,
}

/// Why it is not.
#[derive(Clone, Copy)]
enum Why {
    NoPull,
    NoClaims,
}

impl LeftOut<'_> {
    fn kind(&self) -> &'static str {
        match self.why {
            Why::NoPull => "no_pull",
            Why::NoClaims => "no_claims",
        }
    }

    fn words(&self) -> String {
        let why = match self.why {
            Why::NoPull => "its first pull has not finished",
            Why::NoClaims => "it has no claims",
        };
        format!("{} is left out: {why}", self.dir.display())
    }
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
