//! `bbdl profiles export`: profiles as rows that `bbdl profiles import` reads.

use std::{
    io::{IsTerminal, Write, stdout},
    path::Path,
};

use serde_json::json;

use super::row::Written;
use crate::{
    cli::{ProfilesExport, SharedStateArgs},
    commands::{Context, output_file, profiles::each_once, shared_state},
    error::{Error, ErrorKind, Result},
    files::{durable::refuse_if_not_private, path_text::to_text},
    output::{counted, refuse_closed_stdout},
    profile::Profile,
};
#[cfg(feature = "postgres")]
use crate::{runtime::block_on, shared_state::schema::Migrate};

/// Runs the command.
///
/// # Errors
/// [`crate::error::Exit::Usage`] if tokens would be shown on a terminal, or if the file would replace one of bbdl's
/// own; [`crate::error::Exit::NotSetUp`] without such a profile or without its tokens; [`crate::error::Exit::Disk`].
pub(super) fn run(context: &Context, args: &ProfilesExport, shared: &SharedStateArgs) -> Result<()> {
    match file_of(args) {
        Some(place) => output_file::refuse(context, place)?,
        None if args.with_tokens && stdout().is_terminal() => {
            return Err(Error::usage("tokens are not shown on a terminal")
                .hint("Write them to a file: bbdl profiles export --with-tokens --out rows.ndjson"));
        }
        None => {}
    }
    if args.with_tokens {
        context.output.warn(
            "a refresh token works once: use these tokens in one place only, and remove the profiles here before they are used elsewhere (bbdl profiles remove NAME)",
        );
    }
    #[cfg(feature = "postgres")]
    if shared_state::is_named(context, shared) {
        return block_on(of_shared_state(context, args, shared));
    }
    #[cfg(not(feature = "postgres"))]
    shared_state::none(context, shared)?;
    let names = if args.names.is_empty() { context.paths.profiles()? } else { each_once(&args.names) };
    let rows = names.iter().map(|name| {
        let profile = Profile::must_exist(&context.paths, name)?;
        let tokens = args.with_tokens.then(|| context.local_tokens(name, &profile)).transpose()?;
        text_of(&Written::of(name, &profile, tokens.as_ref().map(|(_, tokens)| tokens)))
    });
    put(context, args, rows)
}

/// The file for the rows, if it is not standard output.
fn file_of(args: &ProfilesExport) -> Option<&Path> {
    args.out.as_deref().filter(|place| *place != Path::new("-"))
}

fn text_of(row: &Written<'_>) -> Result<String> {
    serde_json::to_string(row)
        .map_err(|cause| Error::new(ErrorKind::Defect, format!("a row cannot be written: {cause}")))
}

/// Writes the rows: all of them into the file, or no file at all.
fn put(context: &Context, args: &ProfilesExport, rows: impl Iterator<Item = Result<String>>) -> Result<()> {
    let Some(place) = file_of(args) else {
        refuse_closed_stdout()?;
        return context.output.stream(|out| {
            for row in rows {
                writeln!(out, "{}", row?).map_err(|cause| Error::stdout(&cause))?;
            }
            Ok(())
        });
    };
    let (count, _) = output_file::write(place, |file| {
        if args.with_tokens {
            refuse_if_not_private(file.get_ref()).map_err(|cause| output_file::cannot_write(place, &cause))?;
        }
        let mut count = 0_usize;
        for row in rows {
            writeln!(file, "{}", row?).map_err(|cause| output_file::cannot_write(place, &cause))?;
            count += 1;
        }
        Ok(count)
    })?;
    if context.output.json() {
        context.output.result_json(&json!({"out": to_text(place), "profiles": count}));
    } else {
        let counted = counted(count as u64, "profile");
        let secret = if args.with_tokens { ". It contains secrets: delete it after the import" } else { "" };
        context.output.say(format!("{} has {counted}{secret}.", place.display()));
    }
    Ok(())
}

#[cfg(feature = "postgres")]
async fn of_shared_state(context: &Context, args: &ProfilesExport, shared: &SharedStateArgs) -> Result<()> {
    let Some(state) = shared_state::open(context, shared, Migrate::Nothing).await? else { return Ok(()) };
    let mut enrollees = state.enrollees((!args.names.is_empty()).then_some(&args.names[..])).await?;
    if let Some(missing) = args.names.iter().find(|name| enrollees.iter().all(|(it, _)| it != *name)) {
        return Err(Error::new(ErrorKind::NoProfile, format!("\"{missing}\" is not in the shared state"))
            .hint("To list who is: bbdl profiles list"));
    }
    // In the order in which they were named.
    enrollees.sort_by_key(|(it, _)| args.names.iter().position(|name| name == it));
    let rows = enrollees.into_iter().map(|(_, enrollee)| {
        let enrollee = enrollee?;
        let tokens = args.with_tokens.then(|| state.open_tokens(&enrollee.name, &enrollee.tokens)).transpose()?;
        text_of(&Written::of(&enrollee.name, &enrollee.profile, tokens.as_ref()))
    });
    put(context, args, rows)
}
