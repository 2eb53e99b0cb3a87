//! `bbdl logout`: ends the log-in at the server and deletes its tokens.

use std::sync::Arc;

use serde_json::json;

use crate::{
    api::{
        client::{AccessToken, Bearer, Client, Failure, Wanted},
        endpoints::Searchable,
        problem::Problem,
        retry::RetryPolicy,
    },
    auth::{
        log_in_end::EndedKind,
        refusal::intercepted,
        session::{Identity, NotRenewed, Session},
        token::{AccessCategory, Credential},
        token_endpoint::{self, App, TokenFailure},
    },
    cli::Logout,
    commands::{
        Context,
        log_ins::{Held, LogIns},
    },
    error::{Error, ErrorKind, Exit, Result},
    files::path_text::to_text,
    profile::{
        Profile,
        archive_notes::{ArchiveNote, LeftBehind},
        profile_option,
    },
    runtime::{asked_to_stop, interruptible},
};

const LIVES_ON: &str = "the consent may still exist at the server. To end it now, the enrollee logs in at \
                        Medicare.gov and disconnects the app there (\"connected apps\")";

/// What happened to the grant at the server.
enum Ended {
    /// Revoked now.
    Revoked,
    /// The server says that it had ended already.
    Already,
    /// The tokens no longer work, so there is no way to tell the server which grant is meant.
    Spent,
    /// The server was not asked.
    LeftAlone,
}

/// Runs the command. Without `--local`, the tokens here are deleted only after the server has ended the grant.
/// Otherwise a valid grant would remain that no one could end.
///
/// # Errors
/// [`Exit::NotSetUp`] if there is no such profile, [`Exit::TryAgain`] if the server cannot be reached.
pub(crate) fn run(context: &Context, args: &Logout) -> Result<()> {
    LogIns::with(context, &args.shared, async |log_ins| log_out(context, args, log_ins).await)
}

async fn log_out(context: &Context, args: &Logout, log_ins: &LogIns<'_>) -> Result<()> {
    let name = &context.profile;
    let profile = log_ins.must_exist(name).await?;
    // No process may store a renewed token after the tokens are deleted.
    let held = log_ins.hold((name, &profile), "log out").await?;
    let ended =
        if args.local { Ok(Ended::LeftAlone) } else { end_at_server(log_ins, (context, &profile), &held).await };
    let forgotten = match &ended {
        Ok(_) => log_ins.leave((name, &profile)).await,
        Err(_) => Ok(()),
    };
    log_ins.release(held).await;
    let ended = ended?;
    forgotten?;
    // Also those of earlier log-ins.
    let left_behind = if log_ins.are_local() { LeftBehind::load(&context.paths, name) } else { Ok(Vec::new()) };
    // The log-out is done, whatever that record says.
    let left_behind = left_behind.inspect_err(|error| context.output.warn(&error.message)).unwrap_or_default();
    let archives = if left_behind.is_empty() { profile.archives } else { left_behind };
    tell(context, &archives, ended, log_ins.are_local());
    Ok(())
}

/// Says what happened to the log-in.
fn tell(context: &Context, archives: &[ArchiveNote], ended: Ended, is_local: bool) {
    let name = &context.profile;
    let (revoked, said) = match ended {
        Ended::Revoked => (true, "the server ended the consent, and the tokens here are deleted"),
        Ended::Already => (true, "the server had already ended the consent; the tokens here are deleted"),
        Ended::Spent => (
            false,
            "the server no longer accepts these tokens, so bbdl could not end the consent there; the tokens here are deleted",
        ),
        Ended::LeftAlone => (false, "the tokens here are deleted"),
    };
    let lives_on = if revoked { String::new() } else { format!("; {LIVES_ON}") };
    if context.output.json() {
        let mut result = json!({"profile": name.as_str(), "revoked": revoked});
        if !archives.is_empty() {
            result["archives"] = archives.iter().map(|note| to_text(&note.out)).collect();
        }
        context.output.result_json(&result);
    } else {
        context.output.say(format!("Profile \"{name}\": {said}{lives_on}. Archives were not touched."));
        for note in archives {
            context.output.say(format!("  {} ({})", note.out.display(), note.size()));
        }
        if !archives.is_empty() && is_local {
            context.output.say(format!("To delete them as well: bbdl purge{}", profile_option(name)));
        }
    }
}

/// Ends a log-in for good: at the server if possible, and here in any case.
///
/// # Errors
/// If the token store cannot delete its record, and [`Exit::Disk`].
pub(super) async fn end(context: &Context, log_ins: &LogIns<'_>, profile: &Profile, held: &Held) -> Result<()> {
    match end_at_server(log_ins, (context, profile), held).await {
        Ok(Ended::Revoked | Ended::Already) => {}
        Ok(Ended::Spent | Ended::LeftAlone) => context.output.warn(LIVES_ON),
        Err(error) if error.exit() == Exit::Interrupted => return Err(error),
        Err(error) => context.output.warn(format!("{}; {LIVES_ON}", error.message)),
    }
    log_ins.forget((&context.profile, profile)).await
}

async fn end_at_server(log_ins: &LogIns<'_>, (context, profile): (&Context, &Profile), held: &Held) -> Result<Ended> {
    let credential = match interruptible(held.vault.load()).await {
        Ok(credential) => credential,
        Err(error) if matches!(error.kind, ErrorKind::NoTokens | ErrorKind::TokenRecord) => {
            return Ok(Ended::LeftAlone);
        }
        Err(error) if error.exit() == Exit::Interrupted => return Err(error),
        Err(error) => {
            let hint = format!("{} To delete it without telling the server: {}", error.hint, local(context));
            return Err(error.hint(hint));
        }
    };
    // A person is waiting, and can run the command again.
    let retry = RetryPolicy { retries: 1, ..RetryPolicy::default() };
    let client = Arc::new(context.client(profile.server(), retry)?);
    if &credential.origin != client.server().origin() {
        return Err(Error::new(
            ErrorKind::Origin,
            format!("the tokens are for {}, and are not sent anywhere else", credential.origin),
        )
        .hint(format!("Delete them without telling the server: {}", local(context))));
    }
    let name = &context.profile;
    let identity =
        Identity { profile: name.to_string(), login: profile.login_command(name), renewals: context.renewals.clone() };
    let tokens = (Arc::clone(&held.vault), credential.clone());
    let session = Session::new(Arc::clone(&client), tokens, identity, log_ins.observer(name))?;
    let ended = interruptible(revoke(context, &client, &session, &credential)).await;
    session.settle(asked_to_stop()).await;
    ended
}

fn local(context: &Context) -> String {
    format!("bbdl logout --local{}", profile_option(&context.profile))
}

fn app_of(credential: &Credential) -> App {
    App { client_id: credential.client_id.clone(), client_secret: credential.client_secret.clone() }
}

async fn revoke(context: &Context, client: &Client, session: &Session, credential: &Credential) -> Result<Ended> {
    // An imported log-in has no access token until its first renewal.
    if credential.access_token.is_empty() {
        return renew_and_revoke(context, client, session, credential).await;
    }
    let failure = match token_endpoint::revoke(client, &app_of(credential), &credential.access_token).await {
        Ok(()) => return Ok(Ended::Revoked),
        Err(failure) => failure,
    };
    // The server answers 500 for a token that it does not know, and for its own failures.
    let failed = matches!(&failure, TokenFailure::Refused(refusal) if refusal.status == 500);
    if failed && is_dead(client, credential).await {
        return renew_and_revoke(context, client, session, credential).await;
    }
    Err(not_ended(&failure, &local(context)))
}

/// Ends a log-in whose access token no longer works. For that, it needs a new one.
async fn renew_and_revoke(
    context: &Context,
    client: &Client,
    session: &Session,
    credential: &Credential,
) -> Result<Ended> {
    if credential.refresh_token.is_none() || !credential.grant.refreshable {
        // One-time access ends with its token.
        let is_one_time = credential.grant.access_category == AccessCategory::OneTime;
        return Ok(if is_one_time { Ended::Already } else { Ended::Spent });
    }
    match session.renew_held().await {
        Ok(renewed) => {
            let revoked = token_endpoint::revoke(client, &app_of(credential), renewed.secret()).await;
            revoked.map(|()| Ended::Revoked).map_err(|failure| not_ended(&failure, &local(context)))
        }
        Err(NotRenewed::Ended(EndedKind::GrantEnded | EndedKind::GrantRevoked, _)) => Ok(Ended::Already),
        Err(NotRenewed::Ended(EndedKind::OtherPatient, error) | NotRenewed::Failed(error)) => {
            Err(not_renewed(error, &local(context)))
        }
        Err(NotRenewed::Ended(..)) => Ok(Ended::Spent),
    }
}

/// Whether the server itself says that it no longer knows the access token.
async fn is_dead(client: &Client, credential: &Credential) -> bool {
    let mut url = client.server().search(Searchable::Coverage);
    url.query_pairs_mut().append_pair("_count", "1");
    let token = AccessToken::new(credential.origin.clone(), credential.access_token.clone());
    match client.get(&Fixed(token), &url, Wanted::Fhir, |_| Ok(())).await {
        Err(Failure::Other(error)) => error.kind == ErrorKind::Token,
        Err(Failure::Answer(problem)) => problem == Problem::GrantEnded,
        Ok(()) => false,
    }
}

/// A token that is not renewed, because it is only used for a question.
#[derive(Clone)]
struct Fixed(AccessToken);

impl Bearer for Fixed {
    async fn token(&self) -> Result<AccessToken> {
        Ok(self.0.clone())
    }

    async fn renew(&self, _: &AccessToken) -> Result<AccessToken> {
        Err(Error::new(ErrorKind::Token, "the server no longer accepts the access token"))
    }
}

fn not_renewed(error: Error, local: &str) -> Error {
    if error.exit() == Exit::Interrupted {
        return error;
    }
    let message = format!("the consent could not be ended at the server ({})", error.message);
    let hint = match error.exit() {
        Exit::TryAgain => "The tokens are kept. Run the same command again later.".to_owned(),
        _ => error.hint,
    };
    Error::new(error.kind, message).hint(format!("{hint}\nTo delete the tokens only here: {local}"))
}

fn not_ended(failure: &TokenFailure, local: &str) -> Error {
    let message = format!("the consent could not be ended at the server ({failure})");
    let only_here = format!("delete the tokens only here: {local}");
    match failure {
        TokenFailure::Intercepted(words) => intercepted("the revocation endpoint", words),
        // The server deletes the grant before it checks the secret.
        TokenFailure::Refused(refusal) if refusal.status == 401 => Error::new(
            ErrorKind::Client,
            format!("the server refused the client secret ({failure}); it has probably ended the consent anyway"),
        )
        .hint(format!("Check at Medicare.gov whether the app is still connected, and then {only_here}")),
        TokenFailure::Refused(refusal) if refusal.status == 403 => Error::new(ErrorKind::NotAllowed, message)
            .hint(format!("The enrollee can disconnect the app at Medicare.gov; then {only_here}")),
        _ => Error::new(ErrorKind::Revoke, message)
            .hint(format!("The tokens are kept. Run the same command again, or {only_here}")),
    }
}
