//! The authorization endpoint and the pages between it and the redirect.

use std::collections::BTreeSet;

use serde_json::json;

use super::{APP, SCOPES, client, condensed, inactive, is_known, is_personal, redirect::is_registered};
use crate::mock::{
    Shared,
    faults::Kind,
    http::{Answer, Ask, Pairs, last},
    pages,
    records::Records as _,
    world::{Consent, World},
};

/// `/v2/o/authorize/`: what can be refused at once, then on to the log-in.
pub(in crate::mock) fn begin(shared: &Shared, ask: &Ask, faults: &[Kind]) -> Answer {
    let request = if ask.method == "POST" { ask.form() } else { ask.query.clone() };
    let world = &mut *shared.world();
    if let Some(refusal) = early(world, &request, ask.method == "POST", faults) {
        return refusal;
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&request).finish();
    if !shared.auto_consent {
        let next = format!("/v2/o/authorize/?{query}");
        let to = form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
        return Answer::redirect(302, &format!("/mymedicare/login?{to}"));
    }
    let hinted = last(&request, "login_hint").and_then(|name| shared.find(name));
    let enrollee = hinted.unwrap_or(world.consent_enrollee);
    match world.consent {
        Consent::NotFound => Answer::html(404, pages::not_found(last(&request, "redirect_uri").unwrap_or_default())),
        answer => late(&request).unwrap_or_else(|| decide(world, &request, enrollee, answer)),
    }
}

fn early(world: &World, request: &Pairs, posted: bool, faults: &[Kind]) -> Option<Answer> {
    let message = |status, text: &str| Some(messaged(status, text));
    if last(request, "client_secret").is_some() {
        return Some(Answer::html(400, "Illegal query parameter [client_secret] detected".to_owned()));
    }
    if posted && last(request, "state").is_none() {
        return message(401, "State required in POST body.");
    }
    let missing: Vec<&str> = ["code_challenge", "code_challenge_method", "state"]
        .into_iter()
        .filter(|name| last(request, name).is_none())
        .collect();
    if !missing.is_empty() {
        return message(400, &format!("Missing Required Parameter(s): {}", missing.join(", ")));
    }
    if last(request, "code_challenge_method") != Some("S256") {
        return Some(client::own(400, "invalid_request", "code_challenge_method must be S256"));
    }
    if last(request, "state").is_some_and(|state| state.chars().count() < 16) {
        return message(400, "State parameter should have a minimum of 16 characters");
    }
    if asked_scopes(request).iter().any(|scope| scope.starts_with("patient/AuditEvent.")) {
        return message(400, "Invalid scopes.");
    }
    let unauthorized = |status, why: &str| Some(Answer::html(status, pages::unauthorized(why)));
    match last(request, "client_id") {
        None => unauthorized(401, "invalid_client : App id failed"),
        Some(id) if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            unauthorized(400, "invalid_client : Invalid client_id format")
        }
        Some(id) if id != world.client_id => {
            unauthorized(400, "invalid_client : Application does not exist (client_id)")
        }
        Some(_) if faults.contains(&Kind::Inactive) => unauthorized(403, &format!("invalid_client : {}", inactive())),
        Some(_) => None,
    }
}

/// `{"status_code": …, "message": …}`
fn messaged(status: u16, text: &str) -> Answer {
    Answer::spaced(status, &[("status_code", json!(status)), ("message", json!(text))])
}

/// What is refused only after the person has logged in.
fn late(request: &Pairs) -> Option<Answer> {
    let redirect_uri = last(request, "redirect_uri").unwrap_or_default();
    if !is_registered(redirect_uri) {
        return Some(Answer::html(400, pages::refused("Mismatching redirect URI.")));
    }
    if !asked_scopes(request).iter().all(|scope| is_known(scope)) {
        return Some(messaged(400, "Invalid scopes."));
    }
    match last(request, "response_type") {
        Some("code") => None,
        Some(_) => Some(back(request, &[("error", "unauthorized_client")])),
        None => Some(back(
            request,
            &[("error", "invalid_request"), ("error_description", "Missing response_type parameter.")],
        )),
    }
}

fn asked_scopes(request: &Pairs) -> BTreeSet<String> {
    let asked: BTreeSet<String> =
        last(request, "scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if asked.is_empty() { SCOPES.map(str::to_owned).into() } else { condensed(asked) }
}

/// The click that ends the consent page.
fn decide(world: &mut World, request: &Pairs, enrollee: usize, answer: Consent) -> Answer {
    let mut scopes = asked_scopes(request);
    if answer == Consent::WithoutDemographics {
        scopes.retain(|scope| !is_personal(scope));
    }
    if answer == Consent::Deny || scopes.is_empty() {
        return back(request, &[("error", "access_denied")]);
    }
    let value = |name: &str| last(request, name).unwrap_or_default().to_owned();
    // A padded challenge is taken, as by the real server.
    let challenge = value("code_challenge").trim_end_matches('=').to_owned();
    let code = world.connect(enrollee, value("redirect_uri"), challenge, scopes);
    back(request, &[("code", &code)])
}

/// Back to the app, with these parameters and the state.
fn back(request: &Pairs, parameters: &[(&str, &str)]) -> Answer {
    let redirect_uri = last(request, "redirect_uri").unwrap_or_default();
    let mark = if redirect_uri.contains('?') { '&' } else { '?' };
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .append_pair("state", last(request, "state").unwrap_or_default())
        .finish();
    Answer::redirect(302, &format!("{redirect_uri}{mark}{query}"))
}

/// `/mymedicare/login`: who are you? The real one is at Medicare.gov.
pub(in crate::mock) fn log_in(shared: &Shared, ask: &Ask) -> Answer {
    let Some((_, query)) = ask.query("next").and_then(|next| next.split_once('?')) else {
        return Answer::spaced(400, &[("error", json!("The state parameter is required"))]);
    };
    if ask.method != "POST" {
        return Answer::html(200, pages::log_in(&shared.records, &ask.raw_query));
    }
    let Some(enrollee) = last(&ask.form(), "username").and_then(|name| shared.find(name)) else {
        return Answer::html(200, pages::log_in(&shared.records, &ask.raw_query));
    };
    let uuid = shared.world().open_visit(enrollee, query.to_owned());
    Answer::redirect(302, &format!("/v2/o/authorize/{uuid}/?{query}"))
}

/// `/v2/o/authorize/<uuid>/`: the consent page and its answer.
pub(in crate::mock) fn consent(shared: &Shared, ask: &Ask, uuid: &str) -> Answer {
    let world = &mut *shared.world();
    let Some(visit) = world.visit(uuid).cloned() else {
        return messaged(404, "Not found.");
    };
    let request: Pairs = form_urlencoded::parse(visit.query.as_bytes()).into_owned().collect();
    if let Some(refusal) = late(&request) {
        return refusal;
    }
    if ask.method != "POST" {
        let end = world.now();
        let page = pages::consent(APP, &shared.records.enrollee(visit.enrollee).name, world.access, end, &visit.csrf);
        return Answer::html(200, page);
    }
    let form = ask.form();
    if last(&form, "csrfmiddlewaretoken") != Some(visit.csrf.as_str()) {
        return Answer::html(403, pages::refused("CSRF verification failed. Request aborted."));
    }
    let answer = match (last(&form, "allow"), last(&form, "share_demographic_scopes")) {
        (None, _) => Consent::Deny,
        (Some(_), Some("True")) => Consent::All,
        (Some(_), _) => Consent::WithoutDemographics,
    };
    decide(world, &request, visit.enrollee, answer)
}
