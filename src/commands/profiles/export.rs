//! `bbdl profiles export`: profiles as rows that `bbdl profiles import` reads.

use std::io::{IsTerminal, Write, stdout};

use super::row::Written;
use crate::{
    cli::{ProfilesExport, SharedStateArgs},
    commands::{Context, shared_state},
    error::{Error, Result},
    profile::Profile,
};
#[cfg(feature = "postgres")]
use crate::{error::ErrorKind, runtime::block_on, shared_state::schema::Migrate};

/// Runs the command.
///
/// # Errors
/// [`crate::error::Exit::Usage`] when tokens would be shown on a terminal; [`crate::error::Exit::NotSetUp`] without such a
/// profile or without its tokens.
pub(super) fn run(context: &Context, args: &ProfilesExport, shared: &SharedStateArgs) -> Result<()> {
    if args.with_tokens && stdout().is_terminal() {
        return Err(Error::usage("tokens are not shown on a terminal").hint(
            "Send them to a file that only you can read: (umask 077; bbdl profiles export --with-tokens > rows.ndjson)",
        ));
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
    let names = if args.names.is_empty() { context.paths.profiles()? } else { args.names.clone() };
    context.output.stream(|out| {
        for name in &names {
            let profile = Profile::must_exist(&context.paths, name)?;
            let tokens = args.with_tokens.then(|| context.local_tokens(name, &profile)).transpose()?;
            write_row(out, &Written::of(name, &profile, tokens.as_ref().map(|(_, tokens)| tokens)))?;
        }
        Ok(())
    })
}

fn write_row(out: &mut dyn Write, row: &Written<'_>) -> Result<()> {
    let row = serde_json::to_string(row).unwrap_or_default();
    writeln!(out, "{row}").map_err(|cause| Error::stdout(&cause))
}

#[cfg(feature = "postgres")]
async fn of_shared_state(context: &Context, args: &ProfilesExport, shared: &SharedStateArgs) -> Result<()> {
    let Some(state) = shared_state::open(context, shared, Migrate::Nothing).await? else { return Ok(()) };
    let mut enrollees = state.enrollees((!args.names.is_empty()).then_some(&args.names[..])).await?;
    if let Some(missing) = args.names.iter().find(|name| enrollees.iter().all(|it| it.name != **name)) {
        return Err(Error::new(ErrorKind::NoProfile, format!("\"{missing}\" is not in the shared state"))
            .hint("To list who is: bbdl profiles list"));
    }
    // In the order in which they were named.
    enrollees.sort_by_key(|it| args.names.iter().position(|name| *name == it.name));
    context.output.stream(|out| {
        for enrollee in &enrollees {
            let tokens = args.with_tokens.then(|| state.open_tokens(&enrollee.name, &enrollee.tokens)).transpose()?;
            write_row(out, &Written::of(&enrollee.name, &enrollee.profile, tokens.as_ref()))?;
        }
        Ok(())
    })
}
