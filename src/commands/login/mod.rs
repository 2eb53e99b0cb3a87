//! `bbdl login`: from a person at a browser to tokens in a store.

pub mod browser;
mod plan;
mod words;

use std::{
    io::{BufRead, stdin},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use plan::Plan;

use crate::{
    api::{client::Client, retry::RetryPolicy},
    auth::{
        authorization::Authorization,
        callback::Expected,
        endpoint::{self, Asked, TokenFailure},
        loopback::{Inbox, ListenError, Outcome, Paster, Reloads},
        redirect::RedirectUri,
        token::{Credential, TokenAnswer},
    },
    cli::Login,
    commands::{Context, aside, asked_to_stop, block_on, finish_first, interruptible},
    config::{Profile, ProfileName},
    durable::{FileLock, LockError},
    error::{Error, ErrorKind, Result},
    secret::Secret,
    ui::Ui,
};

/// Runs the command.
///
/// # Errors
/// Any of the contract's.
pub fn run(context: &Context, args: Login) -> Result<()> {
    run_with(context, args, browser::open)
}

/// Opens a URL for the person, without waiting for what becomes of it.
pub(super) type Browser = fn(&Ui, String);

/// Logs in with another browser.
///
/// # Errors
/// Any of the contract's.
pub(super) fn run_with(context: &Context, args: Login, browser: Browser) -> Result<()> {
    let plan = Plan::settle(context, args)?;
    let (profile, reloads) = block_on(log_in(context, &plan, browser))?;
    words::announce(context, &plan, &profile);
    if let Some(reloads) = reloads {
        answer_reloads(reloads)?;
    }
    Ok(())
}

/// Everything is told by now; whoever presses F5 at the browser sees the same page for a moment. An interrupt ends
/// that moment, and nothing else.
fn answer_reloads(reloads: Box<Reloads>) -> Result<()> {
    const MOMENT: Duration = Duration::from_secs(5);
    block_on(async {
        tokio::select! {
            done = aside(move || reloads.answer_for(MOMENT)) => done,
            () = asked_to_stop() => Ok(()),
        }
    })
}

async fn log_in(context: &Context, plan: &Plan, browser: Browser) -> Result<(Profile, Option<Box<Reloads>>)> {
    // Whatever would fail after the person has consented should fail before: the new consent ends the
    // one of before the moment it is given.
    check_store(plan)?;
    let client = context.client(plan.server.clone(), RetryPolicy::default())?;
    let inbox = if plan.manual { Inbox::manual(plan.redirect.clone()) } else { listen(plan.redirect.clone())? };
    let redirect = inbox.redirect().as_str().to_owned();
    let request = Authorization::new(&plan.server, &plan.app.client_id, &redirect, plan.scopes.clone(), plan.lang)?;
    words::explain(&context.ui, plan, &request, inbox.redirect());
    if plan.manual || context.ui.can_ask() {
        read_pasted(inbox.paster());
    }
    if plan.browser {
        browser(&context.ui, request.url().as_str().to_owned());
    }
    let expected = Expected { state: request.state().clone(), issuer: plan.server.origin().clone() };
    let outcome = interruptible(wait(context.ui.clone(), inbox, expected, plan.patience)).await?;
    let (code, reply) = words::code_of(outcome, plan)?;
    let asked = request.into_parts();
    // The consent has ended the log-in of before: from here on only the new tokens are any good.
    let finishing = "Finishing the log-in: its tokens come only once.";
    let logged_in = exchange_and_store(context, plan, &client, code, asked, &redirect);
    match finish_first(&context.ui, finishing, logged_in).await {
        Ok(profile) => Ok((profile, reply.done())),
        Err(error) => {
            reply.failed("The terminal says what went wrong and what to do.");
            Err(error)
        }
    }
}

/// Tries the store before the person is asked: a keyring may be readable and still refuse to be written
/// to until somebody unlocks it. No profile can have the name that is used for it.
fn check_store(plan: &Plan) -> Result<()> {
    let name = format!("{}#check", plan.name);
    plan.store.save(&name, &Secret::new("bbdl was here".to_owned()))?;
    plan.store.delete(&name)?;
    Ok(())
}

fn listen(redirect: RedirectUri) -> Result<Inbox> {
    Inbox::listen(redirect).map_err(|cause| {
        let hint = match cause {
            ListenError::PortTaken { .. } => {
                "End the other program, or register http://127.0.0.1/callback for the app: then any free port does. Or add --manual."
            }
            ListenError::Refused { .. } => "Add --manual to log in without a listener.",
        };
        Error::new(ErrorKind::Listen, cause.to_string()).hint(hint)
    })
}

/// Lines from the terminal, for as long as anybody waits for them.
fn read_pasted(paster: Paster) {
    thread::spawn(move || {
        for line in stdin().lock().lines() {
            let Ok(line) = line else { break };
            if !paster.line(line) {
                return;
            }
        }
        paster.ended();
    });
}

async fn wait(ui: Ui, inbox: Inbox, expected: Expected, patience: Duration) -> Result<Outcome> {
    let deadline = Instant::now() + patience;
    let redirect = inbox.redirect().clone();
    aside(move || inbox.wait(&expected, deadline, |notice| ui.tell(words::notice(notice, &redirect)))).await
}

async fn exchange_and_store(
    context: &Context,
    plan: &Plan,
    client: &Client,
    code: Secret,
    (verifier, scopes): (oauth2::PkceCodeVerifier, Vec<String>),
    redirect: &str,
) -> Result<Profile> {
    let login = plan.login();
    let again = oauth2::PkceCodeVerifier::new(verifier.secret().clone());
    let mut answer = endpoint::exchange(client, &plan.app, &code, verifier, redirect).await;
    // The code is good for 60 s and for one use; where none of it can have been used, once more.
    if matches!(&answer, Err(TokenFailure::NotSent(_)))
        || matches!(&answer, Err(TokenFailure::Refused(refusal)) if refusal.status >= 500)
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
        answer = endpoint::exchange(client, &plan.app, &code, again, redirect).await;
    }
    let answer = answer.map_err(|failure| failure.into_error(Asked::Exchange, &login))?;
    let _held = hold_however_long(context, &plan.name).await;
    store(context, plan, answer, &scopes)
}

/// The profile's lock for tokens that are there already: another process is waited for, and not for ever,
/// since tokens that are not stored are lost.
async fn hold_however_long(context: &Context, name: &ProfileName) -> Option<FileLock> {
    const PATIENCE: Duration = Duration::from_secs(600);
    const PURPOSE: &str = "log in";
    let path = context.paths.lock(name);
    if let Ok(held) = FileLock::acquire(&path, Duration::ZERO, PURPOSE) {
        return Some(held);
    }
    context.ui.say("Another bbdl is using this profile; waiting for it before the tokens are stored.");
    let waiting = tokio::task::spawn_blocking(move || FileLock::acquire(&path, PATIENCE, PURPOSE));
    match waiting.await {
        Ok(Ok(held)) => Some(held),
        Ok(Err(cause)) => {
            context.ui.warn(format!("the tokens are stored although the profile is in use ({cause})"));
            None
        }
        Err(_) => None,
    }
}

/// The lock under which a profile's tokens change hands.
pub(super) fn hold(context: &Context, name: &ProfileName, purpose: &str) -> Result<FileLock> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let path = context.paths.lock(name);
    FileLock::acquire(&path, PATIENCE, purpose).map_err(|cause| match cause {
        LockError::Held { by } => {
            Error::new(ErrorKind::Lock, format!("another bbdl holds the log-in of profile \"{name}\" ({by})"))
                .hint("Run the same command again when it has finished.")
        }
        LockError::Io(cause) => Error::disk("lock", &path, &cause),
    })
}

/// Tokens first, then the profile that points at them.
fn store(context: &Context, plan: &Plan, answer: TokenAnswer, scopes: &[String]) -> Result<Profile> {
    let (access_token, refresh_token, grant) = answer.into_new(scopes, Timestamp::now());
    // Whatever is wrong with the profile of before, it is replaced; the tokens come first.
    let before = Profile::load(&context.paths, &plan.name).ok().flatten();
    // Archives stay with the profile only while they are of the same server and person.
    let same = |profile: &Profile| {
        profile.server == *plan.server.origin()
            && profile.api == plan.server.api()
            && profile.grant.is_of_the_same_person(&grant)
    };
    let archives = before.as_ref().filter(|profile| same(profile)).map(|profile| profile.archives.clone());
    let credential = Credential {
        origin: plan.server.origin().clone(),
        client_id: plan.app.client_id.clone(),
        client_secret: plan.app.client_secret.clone(),
        access_token,
        refresh_token,
        grant: grant.clone(),
    };
    plan.store.save(plan.name.as_str(), &credential.to_record())?;
    let profile = Profile {
        server: plan.server.origin().clone(),
        api: plan.server.api(),
        client_id: plan.app.client_id.clone(),
        token_store: plan.store_kind,
        redirect_uri: plan.redirect_given.clone(),
        grant,
        archives: archives.unwrap_or_default(),
        ended: None,
    };
    profile.replace(&context.paths, &plan.name)?;
    if let Some(other) = before.filter(|profile| profile.token_store != plan.store_kind) {
        // The tokens of before are dead by this consent; they need not lie around.
        let _ = context.store(other.token_store).delete(plan.name.as_str());
    }
    Ok(profile)
}
