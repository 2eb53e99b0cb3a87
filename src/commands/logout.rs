//! `bbdl logout`: end the log-in at the server and forget its tokens.

use serde_json::json;

use crate::{
    api::{client::Client, retry::RetryPolicy},
    auth::{
        endpoint::{self, App, TokenFailure},
        token::Credential,
    },
    cli::Logout,
    commands::{Context, block_on, interruptible, login},
    config::Profile,
    error::{Error, Exit, Result},
};

/// What became of the grant at the server.
enum Ended {
    /// Revoked now.
    Revoked,
    /// The server no longer knew it.
    Already,
    /// Not asked.
    LeftAlone,
}

/// Runs the command. The tokens here are forgotten only after the server has ended the grant, unless
/// `--local` says otherwise: else a living grant would be left with nobody who can end it.
///
/// # Errors
/// [`Exit::NotSetUp`] without such a profile, [`Exit::TryAgain`] when the server cannot be reached.
pub fn run(context: &Context, args: &Logout) -> Result<()> {
    let name = &context.profile;
    let profile = Profile::must_load(&context.paths, name)?;
    let store = context.store(context.token_store.unwrap_or(profile.token_store));
    // Nobody may store a renewed token after the others are forgotten.
    let _held = login::hold(context, name, "log out")?;
    let record = store.load(name.as_str())?;
    let credential = record.as_ref().and_then(Credential::from_record);
    let ended = match &credential {
        Some(credential) if !args.local => revoke(context, &profile, credential)?,
        _ => Ended::LeftAlone,
    };
    store.delete(name.as_str())?;
    let file = context.paths.profile(name);
    std::fs::remove_file(&file).map_err(|cause| Error::disk("remove", &file, &cause))?;
    let (revoked, said) = match ended {
        Ended::Revoked => (true, "the server has ended the grant, and the tokens here are forgotten"),
        Ended::Already => (true, "the server no longer knew this log-in; the tokens here are forgotten"),
        Ended::LeftAlone => (
            false,
            "the tokens here are forgotten; the grant lives on at the server until it ends or is withdrawn at Medicare.gov",
        ),
    };
    if context.ui.json() {
        context.ui.result_json(&json!({"profile": name.as_str(), "revoked": revoked}));
    } else {
        context.ui.say(format!("Profile \"{name}\": {said}. Archives were not touched."));
    }
    Ok(())
}

fn revoke(context: &Context, profile: &Profile, credential: &Credential) -> Result<Ended> {
    let client = Client::new(profile.server(), RetryPolicy::default(), context.ui.clone())?;
    if &credential.origin != client.server().origin() {
        return Err(Error::new(
            Exit::PersonMustAct,
            "origin",
            format!("the tokens are for {}, and are not sent anywhere else", credential.origin),
        )
        .hint("Forget them without telling the server: bbdl logout --local"));
    }
    let app = App { client_id: credential.client_id.clone(), client_secret: credential.client_secret.clone() };
    block_on(interruptible(async {
        match endpoint::revoke(&client, &app, &credential.access_token).await {
            Ok(()) => Ok(Ended::Revoked),
            // What the server says of a token it does not know; asked about our own, it is dead already.
            Err(TokenFailure::Refused(refusal)) if refusal.status == 500 && refusal.error.contains("Server Error") => {
                Ok(Ended::Already)
            }
            Err(cause) => Err(Error::new(
                Exit::TryAgain,
                "revoke",
                format!("the grant could not be ended at the server ({cause}); the tokens are kept"),
            )
            .hint("Run the same command again, or forget the tokens only here: bbdl logout --local")),
        }
    }))
}
