//! The messages of a log-in: before the browser opens, during the wait, and at the end.

use std::{
    io::{IsTerminal, stdin},
    time::Duration,
};

use serde_json::json;

use super::{StoredLogIn, plan::Plan, store_log_in::store_name};
use crate::{
    api_version::ApiVersion,
    auth::{
        authorization::Authorization,
        callback::CallbackError,
        callback_listener::{Notice, Outcome, Reply},
        redirect::{self, RedirectUri},
        store::StoreKind,
        token::{AccessCategory, Grant},
        token_endpoint::TokenFailure,
    },
    cms_notice::CMS_NOTICE,
    commands::Context,
    error::{Error, ErrorKind, Result},
    origin::PRODUCTION,
    output::Output,
    profile::{ProfileName, login_command, profile_option},
    secret::Secret,
};

/// What a person should know before the browser opens.
pub(super) fn explain(output: &Output, plan: &Plan, request: &Authorization, redirect: &RedirectUri) {
    let origin = plan.server.origin();
    let people = if origin.to_string() == PRODUCTION { " (real people)" } else { "" };
    let store = store_name(plan.store_kind);
    output.say(format!(
        "Logging in at {origin}{people}, API {}, as profile \"{}\".\n\
         {}\n\
         The log-in is kept in {store}; claims stay where `bbdl fetch` puts them, on this machine. \
         To end the log-in later: bbdl logout, or disconnect the app at Medicare.gov.\n\
         A new log-in with this app ends an earlier one of the same person, on any machine.\n\
         If Medicare's page greets somebody else, choose \"switch account\" there, or open the address in a private \
         window.\n\n{CMS_NOTICE}\n",
        plan.server.api(),
        plan.name,
        shared(&plan.scopes, plan.server.api()),
    ));
    output.tell(format!("Open this address in a browser:\n\n  {}\n", request.url()));
    let patience = spoken(plan.patience);
    if plan.manual {
        output.say("After you log in, the browser ends up at an address that begins with the redirect URI. Within a minute, paste that address (or the code in it) here:");
    } else if output.can_ask() {
        output.say(format!(
            "Waiting up to {patience} for you to log in. If the browser runs on another machine, paste here the address \
             that it ends up at ({}?code=…):",
            redirect.as_str()
        ));
    } else {
        output.say(format!("Waiting up to {patience} for you to log in."));
    }
}

/// What Medicare will ask the person to share, as text.
fn shared(scopes: &[String], api: ApiVersion) -> String {
    const CLAIMS: &str = "your claims";
    const COVERAGE: &str = "which parts of Medicare you have";
    const PERSON: &str = "your name, address, birth date, race and sex";
    if scopes.is_empty() {
        return format!(
            "Medicare will ask you to share: {CLAIMS} and {COVERAGE}. It also asks for {PERSON}; you can uncheck that box."
        );
    }
    let asks = |resource: &str| scopes.iter().any(|scope| scope.starts_with(&format!("patient/{resource}.")));
    let mut parts = Vec::new();
    if asks("ExplanationOfBenefit") {
        parts.push(CLAIMS);
    }
    if asks("Coverage") {
        parts.push(COVERAGE);
    }
    if asks("Patient") {
        parts.push(PERSON);
    } else if scopes.iter().any(|scope| scope == "profile") {
        parts.push("your name");
    }
    // A scope without a text here is shown as it is. `profile` is handled above, and the other two give no data.
    let known = |scope: &str| matches!(scope, "profile" | "openid" | "launch/patient");
    let is_spoken_of = |scope: &str| {
        known(scope)
            || ["ExplanationOfBenefit", "Coverage", "Patient"]
                .iter()
                .any(|it| scope.starts_with(&format!("patient/{it}.")))
    };
    parts.extend(scopes.iter().map(String::as_str).filter(|scope| !is_spoken_of(scope)));
    let mut text = format!("Medicare will ask you to share: {}.", listed(&parts));
    if api == ApiVersion::V3 && asks("ExplanationOfBenefit") {
        text += "\nThe page has a box for claims about alcohol and substance use treatment. It is unchecked at first, and \
            it decides which claims you get: if it is unchecked, these are left out.\n\
            An app that CMS allows only drug claims (Part D) gets no others: the server limits it, and the page then \
            says \"Prescription drug claims\".";
    }
    text
}

/// "a, b and c"
fn listed(parts: &[&str]) -> String {
    match parts {
        [] => "nothing that bbdl knows of".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// "15 minutes"
pub(super) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        1 => "1 second".to_owned(),
        60 => "1 minute".to_owned(),
        _ if seconds.is_multiple_of(60) && seconds > 0 => format!("{} minutes", seconds / 60),
        _ => format!("{seconds} seconds"),
    }
}

/// The message for an event during the wait.
pub(super) fn notice(notice: Notice, redirect: &RedirectUri) -> String {
    let at = redirect.as_str();
    match notice {
        Notice::NotFound => {
            let enter = if stdin().is_terminal() { " Press Enter to stop waiting." } else { "" };
            format!(
                "CMS's page may be saying that it finds no records for this person. Still waiting, in case it is not so.{enter}"
            )
        }
        Notice::TurnedAway => "bbdl ignored a request that does not belong to this log-in; still waiting.".to_owned(),
        Notice::Tls => {
            "The browser came back with https, which bbdl does not speak here. In the browser's address bar, \
            change https to http and press Enter, or paste the address here."
                .to_owned()
        }
        Notice::CutPaste => {
            "That address is cut off at its end. Paste the rest of it, or all of it again; still waiting.".to_owned()
        }
        Notice::BadPaste(CallbackError::Nothing) => format!(
            "That cannot be used, and was not sent anywhere. bbdl waits for the address at which the browser ends up, \
             which begins with {at}?code=, or for the code in it (30 letters and digits)."
        ),
        Notice::BadPaste(why) => format!("That cannot be used: {why}. Still waiting."),
    }
}

/// The code, or the error if there is none.
pub(super) fn code_of(outcome: Outcome, plan: &Plan) -> Result<(Secret, Reply)> {
    let again = format!("Try again: {}", plan.login());
    Err(match outcome {
        Outcome::Code(code, reply) => return Ok((code, reply)),
        Outcome::Denied => Error::new(
            ErrorKind::Denied,
            "access was not granted: the enrollee chose not to share, or unchecked everything",
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
        .hint(format!("Check that the right person logged in. {again}")),
        Outcome::TimedOut => Error::new(
            ErrorKind::TimedOut,
            format!("the browser did not come back within {}", spoken(plan.patience)),
        )
        .hint(format!(
            "Close Medicare's page if it is still open: bbdl no longer waits for it, and pressing Connect there ends the \
             present log-in. If the browser shows an error page: \"Invalid scopes\" means --scope, a page about the \
             redirect means that {} is not registered for the app, \"401 Unauthorized\" a wrong client id or an \
             inactive app. Otherwise try again, with --timeout for more time.",
            plan.redirect_given.as_deref().unwrap_or(redirect::DEFAULT)
        )),
        Outcome::InputEnded => {
            Error::new(ErrorKind::Input, "standard input ended before an address or code was pasted").hint(again)
        }
    })
}

/// Warns about profiles of the same person whose log-ins have just ended.
pub(super) fn warn_of_the_same_person(context: &Context, plan: &Plan, ended: &[ProfileName]) {
    if ended.is_empty() {
        return;
    }
    let names: Vec<String> = ended.iter().map(|name| format!("\"{name}\"")).collect();
    let names = listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (profiles, their) =
        if ended.len() == 1 { ("profile", "its log-in has") } else { ("profiles", "their log-ins have") };
    context.output.warn(format!(
        "this is the same person as {profiles} {names}; {their} just ended at the server, since a new log-in of the \
         same person with the same app ends the one before. To log in somebody else, choose \"switch account\" on \
         Medicare's page, or open the address in a private window, and log in again: {}",
        plan.login()
    ));
}

/// The error if this profile belongs to another person, and the person at the browser has another profile.
pub(super) fn diverted(plan: &Plan, who: &str, to: &ProfileName) -> Error {
    Error::new(
        ErrorKind::OtherPatient,
        format!(
            "{who} logged in, and that is the person of profile \"{to}\": the new log-in is kept there, and profile \
             \"{}\" is as it was",
            plan.name
        ),
    )
    .hint(format!("{}: {}", SWITCH, plan.login()))
}

/// The error if the person at the browser is not the one of this profile. The new log-in is not kept.
pub(super) fn refused(plan: &Plan, who: &str, not_revoked: Option<TokenFailure>) -> Error {
    let end = match not_revoked {
        None => "and its consent was ended at the server".to_owned(),
        Some(failure) => format!(
            "but its consent could not be ended at the server ({failure}): the enrollee can disconnect the app at Medicare.gov"
        ),
    };
    let login = plan.login();
    Error::new(
        ErrorKind::OtherPatient,
        format!(
            "{who} logged in, but profile \"{}\" is another person's and is as it was; the new log-in was not kept, {end}",
            plan.name
        ),
    )
    .hint(format!(
        "{SWITCH}: {login}\nTo give each person a profile: {}{}\nTo let the new person take over this one: {login} --replace",
        login_command(plan.server.origin(), plan.server.api(), &plan.name.with_ending("-2")),
        if plan.store_kind == StoreKind::default() { String::new() } else { format!(" --token-store {}", plan.store_kind) },
    ))
}

const SWITCH: &str =
    "To log in the right person, choose \"switch account\" on Medicare's page, or open the address in a private window";

/// Reports the result of a log-in.
pub(super) fn announce(context: &Context, plan: &Plan, kept: &StoredLogIn) {
    let (profile, grant) = (&kept.profile, &kept.profile.grant);
    if context.output.json() {
        context.output.result_json(&json!({
            "profile": kept.name.as_str(), "server": profile.server, "api": profile.api, "patient": grant.patient,
            "scopes": grant.scopes, "demographics": grant.demographics(), "token_store": profile.token_store,
            "access_category": grant.access_category, "grant_expires": grant.grant_expires,
            "same_person_as": kept.ended.iter().map(ProfileName::as_str).collect::<Vec<_>>(),
        }));
        return;
    }
    let until = match (grant.access_category, grant.grant_expires) {
        (AccessCategory::OneTime, Some(end)) => format!("It lasts once, until {}.", end.strftime("%Y-%m-%d %H:%M UTC")),
        (_, Some(end)) => format!("The consent lasts until {}.", end.strftime("%Y-%m-%d")),
        (AccessCategory::Research, None) => "The consent lasts until it is withdrawn.".to_owned(),
        (_, None) => "The server did not say how long the consent lasts.".to_owned(),
    };
    let mut text = format!(
        "\nLogged in: {}, as profile \"{}\"; the tokens are in the {} store. {until}",
        kept.who, kept.name, profile.token_store
    );
    text += &not_shared(grant, &plan.scopes);
    if !context.output.is_step() {
        text += &format!("\nNext: bbdl fetch all --out claims{}", profile_option(&kept.name));
    }
    context.output.say(text);
}

/// Personal data that did not come with a log-in, and why. If no scopes were named, the server offers what the app
/// may have, and does not say whether the app or the person left data out.
fn not_shared(grant: &Grant, asked: &[String]) -> String {
    const CANNOT: &str = "Patient and userinfo cannot be fetched, claims can.";
    if grant.demographics() || grant.scopes.is_empty() {
        return String::new();
    }
    let was_asked = asked.iter().any(|scope| scope.starts_with("patient/Patient."));
    if asked.is_empty() || was_asked {
        format!(
            "\nName, address and birth date did not come: they were withheld, or the app may not have them. {CANNOT}"
        )
    } else {
        format!("\nName, address and birth date were not asked for (--scope). {CANNOT}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn scopes_are_explained_in_words() {
        let v3 = shared(&crate::auth::authorization::default_scopes(ApiVersion::V3), ApiVersion::V3);
        for words in ["your claims", "parts of Medicare", "birth date", "substance use", "Part D"] {
            assert!(v3.contains(words), "{v3}");
        }
        assert!(!v3.contains("patient/") && !v3.contains("openid"), "{v3}");
        let v2 = shared(&[], ApiVersion::V2);
        assert!(v2.contains("you can uncheck that box") && !v2.contains("substance"), "{v2}");
        assert_eq!(
            shared(&scopes("patient/Coverage.rs openid"), ApiVersion::V3),
            "Medicare will ask you to share: which parts of Medicare you have."
        );
        assert_eq!(
            shared(&scopes("profile new/scope"), ApiVersion::V2),
            "Medicare will ask you to share: your name and new/scope."
        );
    }

    #[test]
    fn a_missing_callback_is_blamed_on_nobody_without_evidence() {
        let without = Grant { scopes: ["patient/ExplanationOfBenefit.rs".to_owned()].into(), ..Grant::default() };
        assert!(not_shared(&without, &[]).contains("or the app may not have them"));
        let asked = scopes("patient/ExplanationOfBenefit.rs");
        assert!(not_shared(&without, &asked).contains("not asked for"));
        let with = Grant { scopes: ["patient/Patient.rs".to_owned()].into(), ..Grant::default() };
        assert_eq!(not_shared(&with, &[]), "");
    }

    #[test]
    fn times_are_written_in_words() {
        for (seconds, words) in [(1, "1 second"), (60, "1 minute"), (90, "90 seconds"), (900, "15 minutes")] {
            assert_eq!(spoken(Duration::from_secs(seconds)), words);
        }
    }
}
