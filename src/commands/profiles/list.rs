//! `bbdl profiles list`: the profiles of this machine, one line each.

use serde::Serialize;

use crate::{
    api_version::ApiVersion,
    auth::log_in_end::Ended,
    commands::Context,
    error::{Error, Result},
    origin::Origin,
    profile::Profile,
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

/// Runs the command. Profiles are told as they are read: there may be a million.
///
/// # Errors
/// [`crate::error::Exit::Disk`] when the profiles cannot be listed.
pub(super) fn run(context: &Context) -> Result<()> {
    let names = context.paths.profiles()?;
    if names.is_empty() && !context.ui.json() {
        context.ui.say("No profiles on this machine. Begin with: bbdl login --sandbox  (or --production)");
        return Ok(());
    }
    context.ui.stream(|out| {
        let wrong = |cause| Error::stdout(&cause);
        let mut between = "";
        if context.ui.json() {
            out.write_all(b"{\"profiles\":[").map_err(wrong)?;
        }
        for name in &names {
            let profile = match Profile::load(&context.paths, name) {
                Ok(Some(profile)) => profile,
                // Removed in this moment.
                Ok(None) => continue,
                Err(error) => {
                    context.ui.warn(error.to_string());
                    continue;
                }
            };
            if context.ui.json() {
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
        if context.ui.json() {
            out.write_all(b"]}\n").map_err(wrong)?;
        }
        Ok(())
    })
}
