//! `bbdl profiles export`: profiles as rows that `bbdl profiles import` reads.

use std::io::{IsTerminal, stdout};

use super::row::Written;
use crate::{
    auth::token::Credential,
    cli::ProfilesExport,
    commands::Context,
    error::{Error, ErrorKind, Result},
    profile::{Profile, ProfileName},
};

/// Runs the command.
///
/// # Errors
/// [`crate::error::Exit::Usage`] when tokens would be shown on a terminal; [`crate::error::Exit::NotSetUp`] without such a
/// profile or without its tokens.
pub(super) fn run(context: &Context, args: &ProfilesExport) -> Result<()> {
    if args.with_tokens && stdout().is_terminal() {
        return Err(Error::usage("tokens are not shown on a terminal").hint(
            "Send them to a file that only you can read: (umask 077; bbdl profiles export --with-tokens > rows.ndjson)",
        ));
    }
    let names = if args.names.is_empty() { context.paths.profiles()? } else { args.names.clone() };
    if args.with_tokens {
        context.output.warn(
            "a refresh token works once: use these tokens in one place only, and remove the profiles here before they are used elsewhere (bbdl profiles remove NAME)",
        );
    }
    context.output.stream(|out| {
        for name in &names {
            let profile = Profile::must_exist(&context.paths, name)?;
            let tokens = args.with_tokens.then(|| tokens(context, name, &profile)).transpose()?;
            let row = serde_json::to_string(&Written::of(name, &profile, tokens.as_ref())).unwrap_or_default();
            writeln!(out, "{row}").map_err(|cause| Error::stdout(&cause))?;
        }
        Ok(())
    })
}

fn tokens(context: &Context, name: &ProfileName, profile: &Profile) -> Result<Credential> {
    let store = context.store(context.token_store.unwrap_or(profile.token_store));
    let record = store.load(name.as_str())?;
    record.as_ref().and_then(Credential::from_record).ok_or_else(|| {
        Error::new(ErrorKind::NoTokens, format!("the token store has no tokens of profile \"{name}\""))
            .hint(format!("Log in again: {}", profile.login_command(name)))
    })
}
