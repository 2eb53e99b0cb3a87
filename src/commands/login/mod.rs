//! `bbdl login`: from a person at a browser to tokens in a store.

mod plan;

use std::{
    io::{BufRead, IsTerminal, stdin},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use plan::Plan;
use serde_json::json;

use crate::{
    api::{
        client::Client,
        retry::RetryPolicy,
        server::{ApiVersion, PRODUCTION},
    },
    auth::{
        authorization::Authorization,
        endpoint::{self, Asked, TokenFailure},
        loopback::{Inbox, ListenError, Notice, Outcome, Paster, Reply},
        redirect::RedirectUri,
        store::StoreKind,
        token::{AccessCategory, Credential, TokenAnswer},
    },
    cli::Login,
    commands::{Context, block_on, finish_first, interruptible},
    config::{Profile, ProfileName},
    durable::{FileLock, LockError},
    error::{Error, ErrorKind, Result},
    notice::CMS_NOTICE,
    secret::Secret,
    ui::Ui,
};

/// Runs the command.
///
/// # Errors
/// Any of the contract's.
pub fn run(context: &Context, args: Login) -> Result<()> {
    run_with(context, args, open_browser)
}

/// Opens a URL for the person, without waiting for what becomes of it.
pub(super) type Browser = fn(&Ui, String);

/// Logs in with another browser.
///
/// # Errors
/// Any of the contract's.
pub(super) fn run_with(context: &Context, args: Login, browser: Browser) -> Result<()> {
    let plan = Plan::settle(context, args)?;
    let profile = block_on(log_in(context, &plan, browser))?;
    announce(context, &plan, &profile);
    Ok(())
}

async fn log_in(context: &Context, plan: &Plan, browser: Browser) -> Result<Profile> {
    // Whatever would fail after the person has consented should fail before: the new consent ends the
    // one of before the moment it is given.
    check_store(plan)?;
    let client = context.client(plan.server.clone(), RetryPolicy::default())?;
    let inbox = if plan.manual { Inbox::manual(plan.redirect.clone()) } else { listen(plan.redirect.clone())? };
    let redirect = inbox.redirect().as_str().to_owned();
    let request = Authorization::new(&plan.server, &plan.app.client_id, &redirect, plan.scopes.clone(), plan.lang)?;
    explain(&context.ui, plan, &request);
    if plan.manual || context.ui.can_ask() {
        read_pasted(inbox.paster());
    }
    if plan.browser {
        browser(&context.ui, request.url().as_str().to_owned());
    }
    let outcome = interruptible(wait(context.ui.clone(), inbox, &request, plan.patience)).await?;
    let (code, reply) = code_of(outcome, plan)?;
    let asked = request.into_parts();
    // The consent has ended the log-in of before: from here on only the new tokens are any good.
    let finishing = "Finishing the log-in: its tokens come only once.";
    let logged_in = exchange_and_store(context, plan, &client, code, asked, &redirect);
    match finish_first(&context.ui, finishing, logged_in).await {
        Ok(profile) => {
            reply.done();
            Ok(profile)
        }
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

/// What a person should know before the browser opens.
fn explain(ui: &Ui, plan: &Plan, request: &Authorization) {
    let origin = plan.server.origin();
    let people = if origin.to_string() == PRODUCTION { " (real people)" } else { "" };
    let store = match plan.store_kind {
        StoreKind::Keyring => "this system's keyring",
        StoreKind::File => "private files (--token-store file)",
        StoreKind::Command => "what your token store command keeps them in",
    };
    let asked = if plan.scopes.is_empty() {
        "claims, coverage and, unless you untick it there, name, address and birth date".to_owned()
    } else {
        plan.scopes.join(" ")
    };
    ui.say(format!(
        "Logging in at {origin}{people}, API {}, as profile \"{}\".\n\
         Medicare will ask you to share: {asked}. The log-in is kept in {store}; claims stay where `bbdl fetch` \
         puts them, on this machine. To undo it: bbdl logout, or disconnect the app at Medicare.gov.\n\
         A new log-in with this app ends an earlier one of the same person, on any machine.\n\n{CMS_NOTICE}\n",
        plan.server.api(),
        plan.name,
    ));
    ui.tell(format!("Open this address in a browser:\n\n  {}\n", request.url()));
    if plan.manual {
        ui.say("When the browser has ended up at an address that begins with the redirect URI, paste that address (or the code in it) here within a minute:");
    } else if ui.can_ask() {
        ui.say(format!(
            "Waiting up to {} s for the browser to come back. If it runs on another machine, paste the address it ends up at here:",
            plan.patience.as_secs()
        ));
    } else {
        ui.say(format!("Waiting up to {} s for the browser to come back.", plan.patience.as_secs()));
    }
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

/// On a thread: some systems wait for the browser to end.
fn open_browser(ui: &Ui, url: String) {
    let ui = ui.clone();
    thread::spawn(move || {
        let mut options = webbrowser::BrowserOptions::new();
        options.with_suppress_output(true);
        if webbrowser::open_browser_with_options(webbrowser::Browser::Default, &url, &options).is_err() {
            ui.say("No browser could be opened here; open the address above yourself.");
        }
    });
}

async fn wait(ui: Ui, inbox: Inbox, request: &Authorization, patience: Duration) -> Result<Outcome> {
    let state = request.state().clone();
    let deadline = Instant::now() + patience;
    let waiting = tokio::task::spawn_blocking(move || inbox.wait(&state, deadline, |notice| ui.say(told(notice))));
    waiting.await.map_err(|_| Error::new(ErrorKind::Defect, "waiting for the log-in ended unexpectedly"))
}

fn told(notice: Notice) -> String {
    match notice {
        Notice::NotFound => {
            let enter = if stdin().is_terminal() { " Press Enter to stop waiting." } else { "" };
            format!(
                "CMS's page may be saying that it finds no records for this person. Still waiting, in case it is not so.{enter}"
            )
        }
        Notice::TurnedAway => {
            "A request that does not belong to this log-in was turned away; still waiting.".to_owned()
        }
        Notice::BadPaste(why) => format!("That cannot be used: {why}."),
    }
}

fn code_of(outcome: Outcome, plan: &Plan) -> Result<(Secret, Reply)> {
    let again = format!("Try again: {}", plan.login());
    Err(match outcome {
        Outcome::Code(code, reply) => return Ok((code, reply)),
        Outcome::Denied => Error::new(
            ErrorKind::Denied,
            "access was not granted: the enrollee chose not to share, or unticked all that was asked for",
        )
        .hint(again),
        Outcome::Refused { error, description } => {
            let kind = match error.as_str() {
                "temporarily_unavailable" | "server_error" => ErrorKind::Server,
                "unauthorized_client" | "invalid_request" | "invalid_scope" | "unsupported_response_type" => {
                    ErrorKind::LoginRequest
                }
                _ => ErrorKind::Refused,
            };
            Error::new(kind, format!("the server refused the log-in: {error} {description}")).hint(again)
        }
        Outcome::NotFound => Error::new(
            ErrorKind::NotFound,
            "CMS found no records for the person who logged in (it can take months for somebody new to Medicare)",
        )
        .hint(format!("Check that the right person logged in; later, {again}")),
        Outcome::TimedOut => Error::new(
            ErrorKind::TimedOut,
            format!("the browser did not come back within {} s", plan.patience.as_secs()),
        )
        .hint(
            "If the browser shows an error page, it is the answer: \"Invalid scopes\" means --scope, a page about \
             the redirect means that http://127.0.0.1/callback is not registered for the app, \"401 Unauthorized\" \
             a wrong client id or an inactive app. Otherwise try again, with --timeout for more time.",
        ),
        Outcome::InputEnded => {
            Error::new(ErrorKind::Input, "standard input ended before an address or code was pasted").hint(again)
        }
    })
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

fn announce(context: &Context, plan: &Plan, profile: &Profile) {
    let grant = &profile.grant;
    if context.ui.json() {
        context.ui.result_json(&json!({
            "profile": plan.name.as_str(), "server": profile.server, "api": profile.api, "patient": grant.patient,
            "scopes": grant.scopes, "demographics": grant.demographics(), "token_store": profile.token_store,
            "access_category": grant.access_category, "grant_expires": grant.grant_expires,
        }));
        return;
    }
    let until = match (grant.access_category, grant.grant_expires) {
        (AccessCategory::OneTime, Some(end)) => format!("It lasts once, until {}.", end.strftime("%Y-%m-%d %H:%M UTC")),
        (_, Some(end)) => format!("The consent lasts until {}.", end.strftime("%Y-%m-%d")),
        (AccessCategory::Research, None) => "The consent lasts until it is withdrawn.".to_owned(),
        (_, None) => "The server did not say how long the consent lasts.".to_owned(),
    };
    let mut text = format!("\nLogged in; the tokens are in the {} store. {until}", plan.store_kind);
    if !grant.demographics() {
        text += "\nName, address and birth date were withheld: Patient and userinfo cannot be fetched, claims can.";
    }
    if profile.api == ApiVersion::V3 {
        text += "\nAlcohol and substance use treatment claims come only if their box was ticked.";
    }
    let option =
        if plan.name.as_str() == ProfileName::DEFAULT { String::new() } else { format!(" --profile {}", plan.name) };
    context.ui.say(format!("{text}\nNext: bbdl fetch all --out claims{option}"));
}
