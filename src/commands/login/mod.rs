//! `bbdl login`: from a person at a browser to tokens in a store.

pub(crate) mod browser;
mod browser_variable;
mod client;
mod messages;
mod person;
mod plan;
mod store_log_in;

use std::{
    io::{BufRead, stdin},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use person::{Person, Relation, Verdict};
use plan::Plan;
use store_log_in::Before;

use crate::{
    api::{client::Client, retry::RetryPolicy},
    auth::{
        authorization::{Authorization, ConsentPage},
        callback::Expected,
        callback_listener::{CallbackListener, ListenError, Outcome, Paster, Reloads},
        redirect::RedirectUri,
        token::{Credential, TokenAnswer},
        token_endpoint::{self, Asked, Attempt, TokenFailure},
    },
    cli::Login,
    commands::Context,
    error::{Error, ErrorKind, Result},
    files::lock::FileLock,
    output::Output,
    profile::{Profile, ProfileName},
    runtime::{asked_to_stop, block_on, finish_before_exit, interruptible, run_blocking},
    secret::Secret,
};

/// Runs the command.
///
/// # Errors
/// All errors of the contract.
pub(crate) fn run(context: &Context, args: Login) -> Result<()> {
    run_with(context, args, browser::open)
}

/// Opens a URL for the person, without waiting for the result.
pub(super) type Browser = fn(&Output, String);

/// Logs in with another browser.
///
/// # Errors
/// All errors of the contract.
pub(super) fn run_with(context: &Context, args: Login, browser: Browser) -> Result<()> {
    let plan = Plan::settle(context, args)?;
    if plan.manual && context.output.must_not_ask() {
        let question = "--manual asks for the address that the browser ends at, and --no-input forbids questions";
        return Err(Error::new(ErrorKind::Input, question)
            .hint("Leave one of the two out, or send the address to standard input of bbdl login --manual."));
    }
    let (kept, reloads) = block_on(log_in(context, &plan, browser))?;
    messages::announce(context, &plan, &kept);
    if let Some(reloads) = reloads {
        answer_reloads(reloads)?;
    }
    Ok(())
}

/// A log-in that is kept.
struct StoredLogIn {
    name: ProfileName,
    profile: Profile,
    /// Who logged in, as text for people.
    who: String,
    /// Profiles of the same person whose log-ins this one has ended.
    ended: Vec<ProfileName>,
}

/// The log-in is finished. For a moment, pressing F5 in the browser shows the same page again. An interrupt ends only
/// that moment.
fn answer_reloads(reloads: Box<Reloads>) -> Result<()> {
    const MOMENT: Duration = Duration::from_secs(5);
    block_on(async {
        tokio::select! {
            done = run_blocking(move || reloads.answer_for(MOMENT)) => done,
            () = asked_to_stop() => Ok(()),
        }
    })
}

async fn log_in(context: &Context, plan: &Plan, browser: Browser) -> Result<(StoredLogIn, Option<Box<Reloads>>)> {
    // A fetch whose log-in this one ends waits for this lock. If another log-in holds it, that is good enough.
    let under_way = FileLock::acquire(&context.paths.log_in_lock(&plan.name), Duration::ZERO, "log in").ok();
    let client = context.client(plan.server.clone(), RetryPolicy::default())?;
    let inbox =
        if plan.manual { CallbackListener::manual(plan.redirect.clone()) } else { listen(plan.redirect.clone())? };
    let redirect = inbox.redirect().as_str().to_owned();
    interruptible(client::prove(&client, plan, &redirect)).await?;
    let page = ConsentPage { scopes: &plan.scopes, lang: plan.lang };
    let request = Authorization::new(&plan.server, &plan.app.client_id, redirect, page)?;
    messages::explain(&context.output, plan, &request, inbox.redirect());
    let answers = (plan.manual || context.output.can_ask()).then(|| read_lines(inbox.paster()));
    if plan.browser {
        browser(&context.output, request.url().as_str().to_owned());
    }
    let expected = Expected { state: request.state().clone(), issuer: plan.server.origin().clone() };
    let outcome = interruptible(wait(context.output.clone(), inbox, expected, plan.patience)).await?;
    let (code, reply) = messages::code_of(outcome, plan)?;
    let attempt = request.into_attempt();
    // The consent has ended the earlier log-in. From here on, only the new tokens work.
    let finishing = "Waiting for the tokens, which the server sends only once.";
    let logged_in = async {
        let answer = exchange(plan, &client, &code, &attempt).await?;
        let new = credential(plan, answer);
        // After the exchange, because a code lives only 60 s and a keyring may be slow.
        let before = Before::of(context, &plan.name).await;
        let kept = keep(context, plan, &new, &before).await?;
        Ok((new, before, kept))
    };
    let (new, before, mut kept) = match finish_before_exit(&context.output, finishing, logged_in).await {
        Ok(kept) => kept,
        Err(error) => {
            reply.failed("The terminal says what went wrong and what to do.");
            return Err(error);
        }
    };
    // Its tokens are stored. Whoever waits for them need not wait for the answer to the question that may follow.
    drop(under_way);
    let reloads = reply.done();
    if let Some(to) = kept.ended.first().cloned()
        && wants_it_there(context, plan, &to, answers).await
    {
        let moved = async {
            let profile = store_log_in::there(context, plan, &new, &to).await?;
            let has_ended = before.profile().is_some_and(|profile| {
                profile.client_id == plan.app.client_id && profile.holds_the_person_of(&kept.profile)
            });
            let _held = hold_however_long(context, &plan.name).await;
            before.restore(context, plan, has_ended).await?;
            Ok(profile)
        };
        kept.profile = finish_before_exit(&context.output, finishing, moved).await?;
        kept.ended.retain(|name| *name != to);
        kept.name = to;
    }
    Ok((kept, reloads))
}

/// Stores the new log-in in the right profile, or not at all: see [`person`].
async fn keep(context: &Context, plan: &Plan, new: &Credential, before: &Before) -> Result<StoredLogIn> {
    let profiles = Profile::load_all(&context.paths).unwrap_or_default();
    let person = Person::of(context, plan, new, &profiles).await;
    let past = before.profile().map_or(Relation::Unknown, |profile| person.relation(profile));
    let holders = person.holders(&profiles, &plan.name, &plan.app.client_id);
    match person::decide(past, &holders, plan.replace) {
        Verdict::Keep { ended } => {
            let profile = {
                let _held = hold_however_long(context, &plan.name).await;
                store_log_in::here(context, plan, new, before).await?
            };
            store_log_in::mark_ended(context, &ended, &profiles);
            let who = person::who(context, new, plan.server.api()).await;
            messages::warn_of_the_same_person(context, plan, &ended);
            Ok(StoredLogIn { name: plan.name.clone(), profile, who, ended })
        }
        Verdict::Divert { to, ended } => {
            store_log_in::there(context, plan, new, &to).await?;
            store_log_in::mark_ended(context, &ended, &profiles);
            let who = person::who(context, new, plan.server.api()).await;
            Err(messages::diverted(plan, &who, &to))
        }
        Verdict::Refuse => {
            let who = person::who(context, new, plan.server.api()).await;
            let client = context.client(plan.server.clone(), RetryPolicy::default())?;
            let revoked = token_endpoint::revoke(&client, &plan.app, &new.access_token).await;
            Err(messages::refused(plan, &who, revoked.err()))
        }
    }
}

/// Asks the person at the terminal whether to store the new log-in under the profile that this person already has.
async fn wants_it_there(context: &Context, plan: &Plan, to: &ProfileName, answers: Option<Receiver<String>>) -> bool {
    const PATIENCE: Duration = Duration::from_secs(600);
    let Some(answers) = answers.filter(|_| context.output.can_ask()) else { return false };
    let as_it_was = if plan.has_past { format!(", and leave \"{}\" as it was", plan.name) } else { String::new() };
    context.output.tell(format!("Keep this log-in under profile \"{to}\" instead{as_it_was}? [y/N]"));
    let answer = interruptible(run_blocking(move || answers.recv_timeout(PATIENCE).unwrap_or_default())).await;
    answer.is_ok_and(|answer| matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn listen(redirect: RedirectUri) -> Result<CallbackListener> {
    CallbackListener::listen(redirect).map_err(|cause| {
        let hint = match cause {
            ListenError::PortTaken { .. } => {
                "End the other program, or register http://127.0.0.1/callback for the app: then bbdl can use any free port. Or add --manual."
            }
            ListenError::Refused { .. } => "Add --manual to log in without a listener.",
        };
        Error::new(ErrorKind::Listen, cause.to_string()).hint(hint)
    })
}

/// Lines from the terminal: pasted text while waiting for the browser, and answers after that.
fn read_lines(paster: Paster) -> Receiver<String> {
    let (answer, answers) = mpsc::channel();
    thread::spawn(move || {
        for line in stdin().lock().lines() {
            let Ok(line) = line else { break };
            if let Err(line) = paster.line(line)
                && answer.send(line).is_err()
            {
                return;
            }
        }
        paster.ended();
    });
    answers
}

async fn wait(output: Output, inbox: CallbackListener, expected: Expected, patience: Duration) -> Result<Outcome> {
    let deadline = Instant::now() + patience;
    let redirect = inbox.redirect().clone();
    run_blocking(move || inbox.wait(&expected, deadline, |notice| output.tell(messages::notice(notice, &redirect))))
        .await
}

async fn exchange(plan: &Plan, client: &Client, code: &Secret, attempt: &Attempt) -> Result<TokenAnswer> {
    let mut answer = token_endpoint::exchange(client, &plan.app, code, attempt).await;
    // The code is valid for 60 s and works once. If it cannot have been used yet, try again.
    if matches!(&answer, Err(TokenFailure::NotSent(_)))
        || matches!(&answer, Err(TokenFailure::Refused(refusal)) if refusal.status >= 500)
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
        answer = token_endpoint::exchange(client, &plan.app, code, attempt).await;
    }
    answer.map_err(|failure| failure.into_error(Asked::Exchange, &plan.login()))
}

fn credential(plan: &Plan, answer: TokenAnswer) -> Credential {
    let (access_token, refresh_token, grant) = answer.into_new(&plan.scopes, Timestamp::now());
    Credential {
        origin: plan.server.origin().clone(),
        client_id: plan.app.client_id.clone(),
        client_secret: plan.app.client_secret.clone(),
        access_token,
        refresh_token,
        grant,
    }
}

/// The lock for the profile's tokens, which exist already. Waits for another process, but not forever, because tokens
/// that are not stored are lost.
async fn hold_however_long(context: &Context, name: &ProfileName) -> Option<FileLock> {
    const PATIENCE: Duration = Duration::from_secs(600);
    const PURPOSE: &str = "log in";
    let path = context.paths.lock(name);
    if let Ok(held) = FileLock::acquire(&path, Duration::ZERO, PURPOSE) {
        return Some(held);
    }
    context.output.say("Another bbdl is using this profile; waiting for it before the tokens are stored.");
    let waiting = tokio::task::spawn_blocking(move || FileLock::acquire(&path, PATIENCE, PURPOSE));
    match waiting.await {
        Ok(Ok(held)) => Some(held),
        Ok(Err(cause)) => {
            context.output.warn(format!("the tokens are stored although the profile is in use ({cause})"));
            None
        }
        Err(_) => None,
    }
}

/// The lock that must be held to change a profile's tokens.
pub(super) fn hold(context: &Context, name: &ProfileName, purpose: &str) -> Result<FileLock> {
    const PATIENCE: Duration = Duration::from_secs(30);
    crate::profile::hold(&context.paths, name, PATIENCE, purpose)
}
