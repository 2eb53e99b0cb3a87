//! `bbdl profiles list`: the profiles of this machine, one line each.

use std::collections::HashMap;

use serde::Serialize;

use crate::{
    api_version::ApiVersion,
    auth::log_in_end::Ended,
    cli::SharedStateArgs,
    commands::{Context, shared_state},
    error::{Error, Result},
    origin::Origin,
    profile::{Profile, ProfileName, Unreadable},
};

/// A profile as `--json` shows it.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    server: &'a Origin,
    api: ApiVersion,
    client_id: &'a str,
    patient: Option<&'a str>,
    ended: Option<Ended>,
}

/// Runs the command. Profiles are printed as they are read, because there may be a million.
///
/// # Errors
/// [`crate::error::Exit::Disk`] if the profiles cannot be listed, [`crate::error::Exit::NotSetUp`] if one cannot be
/// read.
pub(super) fn run(context: &Context, shared: &SharedStateArgs) -> Result<()> {
    let of_state = shared_state::profiles(context, shared, None)?;
    let mut of_state = of_state.map(HashMap::<ProfileName, Result<Profile>>::from_iter);
    let names = match &of_state {
        None => context.paths.profiles()?,
        Some(profiles) => {
            let mut names: Vec<ProfileName> = profiles.keys().cloned().collect();
            names.sort();
            names
        }
    };
    if names.is_empty() && !context.output.json() {
        context.output.say(if of_state.is_some() {
            "Nobody is in the shared state. Begin with: bbdl profiles import FILE"
        } else {
            "No profiles on this machine. Begin with: bbdl login --sandbox  (or --production)"
        });
        return Ok(());
    }
    let mut unreadable = Unreadable::default();
    context.output.stream(|out| {
        let wrong = |cause| Error::stdout(&cause);
        let mut between = "";
        if context.output.json() {
            out.write_all(b"{\"profiles\":[").map_err(wrong)?;
        }
        for name in &names {
            let loaded = match &mut of_state {
                None => Profile::load(&context.paths, name),
                Some(profiles) => profiles.remove(name).transpose(),
            };
            // The profile may have been removed at this moment.
            let Some(profile) = unreadable.or_note(name, loaded) else { continue };
            if context.output.json() {
                let listed = Listed {
                    name: name.as_str(),
                    server: &profile.server,
                    api: profile.api,
                    client_id: &profile.client_id,
                    patient: profile.grant.patient.as_deref(),
                    ended: profile.ended,
                };
                let row = serde_json::to_string(&listed).unwrap_or_default();
                write!(out, "{between}{row}").map_err(wrong)?;
                between = ",";
            } else {
                let over = profile.ended.map(|ended| format!(", over: {}", ended.kind.words())).unwrap_or_default();
                writeln!(out, "{name}: {} (API {}){over}", profile.server, profile.api).map_err(wrong)?;
            }
        }
        if context.output.json() {
            writeln!(out, "]{}}}", unreadable.json_field()).map_err(wrong)?;
        }
        Ok(())
    })?;
    let Some(error) = unreadable.into_error() else { return Ok(()) };
    // The result on stdout already says it.
    Err(if context.output.json() { error.already_reported() } else { error })
}
