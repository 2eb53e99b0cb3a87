//! The authorization endpoint and the consent page.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;

use super::{SCOPES, client, condensed, is_personal, redirect::is_registered};
use crate::{
    Shared,
    apps::App,
    faults::{Condition, Struck},
    html,
    http::{Answer, Ask, Pairs, last},
    language::Language,
    records::Records as _,
    signin,
    version::Version,
    world::{Agreed, Consent, Whose, World},
};

/// `/vN/o/authorize/`: what can be refused at once, then on to the log-in.
pub(crate) fn begin(shared: &Shared, ask: &Ask, version: Version, faults: &Struck) -> Answer {
    let posted = ask.method == "POST";
    let request = if posted { ask.form() } else { ask.query.clone() };
    let world = &mut *shared.world();
    let app = match early(world, &request, version, posted, faults) {
        Ok(app) => app,
        Err(refusal) => return refusal,
    };
    if !shared.auto_consent {
        let encoded = || form_urlencoded::Serializer::new(String::new()).extend_pairs(&request).finish();
        let query = if posted { encoded() } else { ask.raw_query.clone() };
        return signin::leave(version, &query);
    }
    let hinted = last(&request, "login_hint").and_then(|name| shared.records.find_enrollee(name));
    let enrollee = hinted.unwrap_or(world.consent_enrollee);
    let redirect_uri = last(&request, "redirect_uri");
    if let Some(refusal) = signin::look_up(world.login_visits.standing(enrollee), version, redirect_uri, faults) {
        return refusal;
    }
    let asked = Asked { request: &request, version, whose: Whose { app, enrollee } };
    match world.consent {
        Consent::NotFound => Answer::html(404, html::not_found(redirect_uri.unwrap_or_default())),
        answer => late(world, &asked).unwrap_or_else(|| decide(world, &asked, answer, world.consent_samhsa)),
    }
}

/// An authorization request, and who it is about.
struct Asked<'a> {
    request: &'a Pairs,
    version: Version,
    whose: Whose,
}

/// The app that asks, or what is refused before anybody logs in.
fn early(world: &World, request: &Pairs, version: Version, posted: bool, faults: &Struck) -> Result<usize, Answer> {
    let message = |status, text: &str| Err(messaged(status, text));
    if last(request, "client_secret").is_some() {
        return Err(Answer::html(400, "Illegal query parameter [client_secret] detected".to_owned()));
    }
    if posted && last(request, "state").is_none() {
        return message(401, "State required in POST body.");
    }
    let required: &[&str] = match version {
        Version::V1 | Version::V2 => &["code_challenge", "code_challenge_method", "state"],
        Version::V3 => &["code_challenge", "code_challenge_method", "state", "scope"],
    };
    let missing: Vec<&str> = required.iter().copied().filter(|name| last(request, name).is_none()).collect();
    if !missing.is_empty() {
        return message(400, &format!("Missing Required Parameter(s): {}", missing.join(", ")));
    }
    if last(request, "code_challenge_method") != Some("S256") {
        return Err(client::own(400, "invalid_request", "code_challenge_method must be S256"));
    }
    if last(request, "state").is_some_and(|state| state.chars().count() < 16) {
        return message(400, "State parameter should have a minimum of 16 characters");
    }
    if words(request).iter().any(|scope| scope.starts_with("patient/AuditEvent.")) {
        return message(400, "Invalid scopes.");
    }
    let unauthorized = |status, why: &str| Err(Answer::html(status, html::unauthorized(why)));
    let Some(id) = last(request, "client_id") else { return unauthorized(401, "invalid_client : App id failed") };
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return unauthorized(400, "invalid_client : Invalid client_id format");
    }
    let Some(position) = world.apps.iter().position(|app| app.id == id) else {
        return unauthorized(400, "invalid_client : Application does not exist (client_id)");
    };
    let app = &world.apps[position];
    if !app.active || faults.has(Condition::Inactive) {
        return unauthorized(403, &format!("invalid_client : {}", app.inactive()));
    }
    if version == Version::V3 && faults.has(Condition::V3Closed) {
        return message(403, "Unable to verify permission");
    }
    Ok(position)
}

/// `{"status_code": …, "message": …}`
pub(super) fn messaged(status: u16, text: &str) -> Answer {
    Answer::spaced(status, &[("status_code", json!(status)), ("message", json!(text))])
}

/// What is refused only after the person has logged in.
fn late(world: &World, asked: &Asked<'_>) -> Option<Answer> {
    let request = asked.request;
    let app = &world.apps[asked.whose.app];
    let redirect_uri = app.redirect_uri(request).filter(|uri| is_registered(&app.redirect_uris, uri));
    if redirect_uri.is_none() {
        return Some(Answer::html(400, html::refused("Mismatching redirect URI.")));
    }
    let scopes = scopes(asked, app);
    if scopes.is_empty() || !scopes.iter().all(|scope| app.may_have(scope)) {
        return Some(messaged(400, "Invalid scopes."));
    }
    match last(request, "response_type") {
        Some("code") => None,
        Some(_) => Some(back(app, request, &[("error", "unauthorized_client")])),
        None => {
            let words = [("error", "invalid_request"), ("error_description", "Missing response_type parameter.")];
            Some(back(app, request, &words))
        }
    }
}

fn words(request: &Pairs) -> BTreeSet<String> {
    last(request, "scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// What is asked for: at v1 and v2, everything that the app may have where nothing is said.
fn scopes(asked: &Asked<'_>, app: &App) -> BTreeSet<String> {
    let words = words(asked.request);
    if words.is_empty() && asked.version != Version::V3 {
        return SCOPES.into_iter().filter(|scope| app.may_have(scope)).map(str::to_owned).collect();
    }
    condensed(words)
}

/// The click that ends the consent page.
fn decide(world: &mut World, asked: &Asked<'_>, answer: Consent, samhsa: bool) -> Answer {
    let (request, app) = (asked.request, &world.apps[asked.whose.app]);
    let mut scopes = scopes(asked, app);
    if answer == Consent::WithoutDemographics {
        scopes.retain(|scope| !is_personal(scope));
    }
    if answer == Consent::Deny || scopes.is_empty() {
        return back(app, request, &[("error", "access_denied")]);
    }
    // A padded challenge is taken, as by the real server.
    let challenge = last(request, "code_challenge").unwrap_or_default().trim_end_matches('=').to_owned();
    let redirect_uri = app.redirect_uri(request).unwrap_or_default().to_owned();
    let samhsa = (asked.version == Version::V3).then_some(samhsa);
    let code = world.connect(asked.whose, redirect_uri, challenge, Agreed { scopes: Arc::new(scopes), samhsa });
    back(&world.apps[asked.whose.app], request, &[("code", &code)])
}

/// Back to the app, with these parameters and the state.
fn back(app: &App, request: &Pairs, parameters: &[(&str, &str)]) -> Answer {
    let redirect_uri = app.redirect_uri(request).unwrap_or_default();
    let mark = if redirect_uri.contains('?') { '&' } else { '?' };
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .append_pair("state", last(request, "state").unwrap_or_default())
        .finish();
    Answer::redirect(302, &format!("{redirect_uri}{mark}{query}"))
}

/// `/vN/o/authorize/<uuid>/`: the consent page and its answer.
pub(crate) fn consent(shared: &Shared, ask: &Ask, version: Version, uuid: &str) -> Answer {
    let world = &mut *shared.world();
    let Some((visit, is_over)) = world.visit(uuid) else {
        return messaged(404, "Not found.");
    };
    let is_post = ask.method == "POST";
    let form = if is_post { ask.form() } else { Pairs::new() };
    if is_post && last(&form, "csrfmiddlewaretoken") != Some(visit.csrf.as_str()) {
        return Answer::html(403, html::refused(html::FORGED));
    }
    // Ten minutes later the log-in starts over.
    if is_over {
        return signin::leave(visit.version, &visit.query);
    }
    let request: Pairs = form_urlencoded::parse(visit.query.as_bytes()).into_owned().collect();
    let id = last(&request, "client_id").unwrap_or_default();
    let Some(app) = world.apps.iter().position(|app| app.id == id) else {
        return messaged(404, "Not found.");
    };
    let asked = Asked { request: &request, version, whose: Whose { app, enrollee: visit.enrollee } };
    if let Some(refusal) = late(world, &asked) {
        return refusal;
    }
    if !is_post {
        let name = shared.records.enrollee(visit.enrollee).name;
        let language = Language::of(&request, ask);
        let scopes = scopes(&asked, &world.apps[app]);
        let scope = scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let redirect_uri = world.apps[app].redirect_uri(&request).unwrap_or_default();
        let given = |name| (name, last(&request, name).unwrap_or_default());
        // In the order of the recorded forms.
        let repeated = [
            ("redirect_uri", redirect_uri),
            ("scope", &scope),
            given("nonce"),
            given("client_id"),
            given("state"),
            given("response_type"),
            given("code_challenge"),
            given("code_challenge_method"),
            given("claims"),
        ];
        let page = html::Consent {
            app: &world.apps[app],
            name: &name,
            version,
            language,
            csrf: &visit.csrf,
            scopes: &scopes,
            repeated: &repeated,
        };
        return Answer::html(200, page.page(world.now())).with("content-language", language.tag());
    }
    let ticked = |name: &str| last(&form, name) == Some("True");
    let answer = match (last(&form, "allow"), ticked("share_demographic_scopes")) {
        (None, _) => Consent::Deny,
        (Some(_), true) => Consent::All,
        (Some(_), false) => Consent::WithoutDemographics,
    };
    decide(world, &asked, answer, ticked("share_samhsa_data"))
}
