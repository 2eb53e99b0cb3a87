//! `bbdl export`: claims as tables.

use std::path::Path;

use serde_json::json;

use crate::{
    cli::Export,
    commands::{Context, archive_owner::Owners},
    error::{Error, ErrorKind, Result},
    export::{Archives, Enrollee, Format, PART, Plan, Written, export},
    files::path_text::typed,
    output::counted,
    profile::ProfileName,
};

/// Runs the command.
///
/// # Errors
/// The errors of [`export`], and [`crate::error::Exit::Usage`] for standard output.
pub(crate) fn run(context: &Context, args: &Export) -> Result<()> {
    if args.out == Path::new("-") {
        let (what, instead) = match args.to {
            Format::Sqlite => ("a database cannot be written to a pipe", "--out claims.db"),
            Format::FhirBundle => ("a bundle can only be written to a file", "--out claims.json"),
            _ => ("standard output cannot take several tables", "--out DIR"),
        };
        return Err(Error::usage(what).hint(format!("Say where to write it: {instead}.")));
    }
    // An archive's own files are refused later, when each output file is begun.
    context.paths.refuse_own(&args.out)?;
    if matches!(args.to, Format::Csv | Format::Parquet)
        && let Some(error) = Error::no_directory(&args.out)
    {
        // A file of an archive is not to be mistaken for any other.
        context.refuse_own(&args.out)?;
        return Err(error.hint("Nothing was changed. Give a directory with --out."));
    }
    let plan = Plan { format: args.to, output: args.out.clone(), partition: args.partition_by, part: PART };
    let archives = archives(context, args)?;
    let Written { claims, lines, incomplete, incomplete_coverage, without_claims, twice } = export(&archives, &plan)?;
    let waiting = archives.waiting().iter().map(|dir| LeftOut { dir, why: Why::NoPull });
    let left_out = waiting.chain(without_claims.iter().map(|dir| LeftOut { dir, why: Why::NoClaims }));
    let mut warnings: Vec<(&str, String)> = left_out.map(|it| (it.kind(), it.words())).collect();
    warnings.extend(twice.iter().map(|(before, dir)| {
        let (before, dir) = (before.display(), dir.display());
        ("same_person", format!("{dir} is of the same person as {before}: the tables have that person twice"))
    }));
    if incomplete_coverage > 0 {
        let what = match incomplete_coverage {
            1 => "1 coverage record contains".to_owned(),
            many => format!("{many} coverage records contain"),
        };
        let message = format!("{what} something that a table cannot show; the archive has it complete");
        warnings.push(("incomplete_coverage", message));
    }
    if context.output.json() {
        let out = crate::files::path_text::to_text(&args.out);
        let mut said = json!({"out": out, "claims": claims, "lines": lines, "incomplete": incomplete});
        if !warnings.is_empty() {
            said["warnings"] =
                warnings.iter().map(|(kind, message)| json!({"kind": kind, "message": message})).collect();
        }
        context.output.result_json(&said);
    } else {
        let (claims, lines) = (counted(claims, "claim"), counted(lines, "line"));
        let out = args.out.display();
        match args.to {
            Format::FhirBundle => context.output.say(format!("{claims} are in {out}, as the server sent them")),
            _ => context.output.say(format!("Wrote {claims} and {lines} to {out}")),
        }
    }
    for (_, message) in warnings {
        context.output.warn(message);
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

/// Why it is left out.
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

/// The archives, and whose each one is.
fn archives(context: &Context, args: &Export) -> Result<Archives> {
    let [first, others @ ..] = args.dirs.as_slice() else { return Err(Error::usage("no archive is named")) };
    if others.is_empty() {
        return Archives::of(first, others, Enrollee::of_directory);
    }
    let owners = Owners::load(context);
    let enrollee =
        |dir: &Path| owners.of(dir).map_or_else(|| Enrollee::of_directory(dir), |name| Enrollee::named(name.as_str()));
    let archives = Archives::of(first, others, enrollee)?;
    for dir in &args.dirs {
        if let Some(profile) = owners.contradicted(enrollee(dir).as_str(), dir) {
            return Err(another_person(dir, profile));
        }
    }
    Ok(archives)
}

fn another_person(dir: &Path, profile: &ProfileName) -> Error {
    let what = format!("{} holds the claims of a different person from the profile \"{profile}\"", dir.display());
    // A table of one archive has no column with the enrollee's name.
    Error::new(ErrorKind::OtherEnrollee, what).hint(format!(
        "Nothing was written. If directories were swapped, move them back. To export it without a name: bbdl export {} --to csv --out DIR",
        typed(dir)
    ))
}
