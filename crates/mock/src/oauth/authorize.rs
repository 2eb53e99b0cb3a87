//! The authorization endpoint and the consent page.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;

use super::{SCOPES, client, condensed, is_personal, redirect::is_registered};
use crate::{
    Shared,
    apps::App,
    faults::{ActiveFaults, Condition},
    html,
    http::{Pairs, Request, Response, last},
    language::Language,
    records::Records as _,
    signin,
    version::Version,
    world::{Approval, Consent, GrantKey, World},
};

/// `/vN/o/authorize/`: the checks that need no log-in, and then the redirect to the log-in.
pub(crate) fn begin(shared: &Shared, request: &Request, version: Version, faults: &ActiveFaults) -> Response {
    let posted = request.method == "POST";
    let parameters = if posted { request.form() } else { request.query.clone() };
    let world = &mut *shared.world();
    let app = match check_before_login(world, &parameters, version, posted, faults) {
        Ok(app) => app,
        Err(refusal) => return refusal,
    };
    if !shared.auto_consent {
        let encoded = || form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
        let query = if posted { encoded() } else { request.raw_query.clone() };
        return signin::leave(version, &query);
    }
    let hinted = last(&parameters, "login_hint").and_then(|name| shared.records.find_enrollee(name));
    let enrollee = hinted.unwrap_or(world.consent_enrollee);
    let redirect_uri = last(&parameters, "redirect_uri");
    if let Some(refusal) = signin::look_up(world.login_visits.standing(enrollee), version, redirect_uri, faults) {
        return refusal;
    }
    let authorization =
        AuthorizationRequest { parameters: &parameters, version, grant_key: GrantKey { app, enrollee } };
    match world.consent {
        Consent::NotFound => Response::html(404, html::not_found(redirect_uri.unwrap_or_default())),
        answer => check_after_login(world, &authorization)
            .unwrap_or_else(|| decide(world, &authorization, answer, world.consent_samhsa)),
    }
}

/// An authorization request with its app and enrollee.
struct AuthorizationRequest<'a> {
    parameters: &'a Pairs,
    version: Version,
    grant_key: GrantKey,
}

/// The checks before anyone logs in. Returns the app or the refusal.
fn check_before_login(
    world: &World,
    parameters: &Pairs,
    version: Version,
    posted: bool,
    faults: &ActiveFaults,
) -> Result<usize, Response> {
    let message = |status, text: &str| Err(messaged(status, text));
    if last(parameters, "client_secret").is_some() {
        return Err(Response::html(400, "Illegal query parameter [client_secret] detected".to_owned()));
    }
    if posted && last(parameters, "state").is_none() {
        return message(401, "State required in POST body.");
    }
    let required: &[&str] = match version {
        Version::V1 | Version::V2 => &["code_challenge", "code_challenge_method", "state"],
        Version::V3 => &["code_challenge", "code_challenge_method", "state", "scope"],
    };
    let missing: Vec<&str> = required.iter().copied().filter(|name| last(parameters, name).is_none()).collect();
    if !missing.is_empty() {
        return message(400, &format!("Missing Required Parameter(s): {}", missing.join(", ")));
    }
    if last(parameters, "code_challenge_method") != Some("S256") {
        return Err(client::own(400, "invalid_request", "code_challenge_method must be S256"));
    }
    if last(parameters, "state").is_some_and(|state| state.chars().count() < 16) {
        return message(400, "State parameter should have a minimum of 16 characters");
    }
    if words(parameters).iter().any(|scope| scope.starts_with("patient/AuditEvent.")) {
        return message(400, "Invalid scopes.");
    }
    let unauthorized = |status, why: &str| Err(Response::html(status, html::unauthorized(why)));
    let Some(id) = last(parameters, "client_id") else { return unauthorized(401, "invalid_client : App id failed") };
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
pub(super) fn messaged(status: u16, text: &str) -> Response {
    Response::spaced(status, &[("status_code", json!(status)), ("message", json!(text))])
}

/// The checks after the person has logged in.
fn check_after_login(world: &World, authorization: &AuthorizationRequest<'_>) -> Option<Response> {
    let parameters = authorization.parameters;
    let app = &world.apps[authorization.grant_key.app];
    let redirect_uri = app.redirect_uri(parameters).filter(|uri| is_registered(&app.redirect_uris, uri));
    if redirect_uri.is_none() {
        return Some(Response::html(400, html::refused("Mismatching redirect URI.")));
    }
    let scopes = scopes(authorization, app);
    if scopes.is_empty() || !scopes.iter().all(|scope| app.may_have(scope)) {
        return Some(messaged(400, "Invalid scopes."));
    }
    match last(parameters, "response_type") {
        Some("code") => None,
        Some(_) => Some(redirect_to_app(app, parameters, &[("error", "unauthorized_client")])),
        None => {
            let words = [("error", "invalid_request"), ("error_description", "Missing response_type parameter.")];
            Some(redirect_to_app(app, parameters, &words))
        }
    }
}

fn words(parameters: &Pairs) -> BTreeSet<String> {
    last(parameters, "scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// The scopes of the request. At v1 and v2, a request without scopes asks for everything that the app may have.
fn scopes(authorization: &AuthorizationRequest<'_>, app: &App) -> BTreeSet<String> {
    let words = words(authorization.parameters);
    if words.is_empty() && authorization.version != Version::V3 {
        return SCOPES.into_iter().filter(|scope| app.may_have(scope)).map(str::to_owned).collect();
    }
    condensed(words)
}

/// Does what the person chose on the consent page.
fn decide(world: &mut World, authorization: &AuthorizationRequest<'_>, answer: Consent, samhsa: bool) -> Response {
    let (parameters, app) = (authorization.parameters, &world.apps[authorization.grant_key.app]);
    let mut scopes = scopes(authorization, app);
    if answer == Consent::WithoutDemographics {
        scopes.retain(|scope| !is_personal(scope));
    }
    if answer == Consent::Deny || scopes.is_empty() {
        return redirect_to_app(app, parameters, &[("error", "access_denied")]);
    }
    // A challenge with padding is accepted, as by the real server.
    let challenge = last(parameters, "code_challenge").unwrap_or_default().trim_end_matches('=').to_owned();
    let redirect_uri = app.redirect_uri(parameters).unwrap_or_default().to_owned();
    let samhsa = (authorization.version == Version::V3).then_some(samhsa);
    let code =
        world.connect(authorization.grant_key, redirect_uri, challenge, Approval { scopes: Arc::new(scopes), samhsa });
    redirect_to_app(&world.apps[authorization.grant_key.app], parameters, &[("code", &code)])
}

/// Redirects to the app, with these parameters and the state.
fn redirect_to_app(app: &App, parameters: &Pairs, added: &[(&str, &str)]) -> Response {
    let redirect_uri = app.redirect_uri(parameters).unwrap_or_default();
    let mark = if redirect_uri.contains('?') { '&' } else { '?' };
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(added)
        .append_pair("state", last(parameters, "state").unwrap_or_default())
        .finish();
    Response::redirect(302, &format!("{redirect_uri}{mark}{query}"))
}

/// `/vN/o/authorize/<uuid>/`: the consent page and the answer to it.
pub(crate) fn consent(shared: &Shared, request: &Request, version: Version, uuid: &str) -> Response {
    let world = &mut *shared.world();
    let Some((visit, is_over)) = world.visit(uuid) else {
        return messaged(404, "Not found.");
    };
    let is_post = request.method == "POST";
    let form = if is_post { request.form() } else { Pairs::new() };
    if is_post && last(&form, "csrfmiddlewaretoken") != Some(visit.csrf.as_str()) {
        return Response::html(403, html::refused(html::FORGED));
    }
    // After ten minutes, the log-in starts over.
    if is_over {
        return signin::leave(visit.version, &visit.query);
    }
    let parameters: Pairs = form_urlencoded::parse(visit.query.as_bytes()).into_owned().collect();
    let id = last(&parameters, "client_id").unwrap_or_default();
    let Some(app) = world.apps.iter().position(|app| app.id == id) else {
        return messaged(404, "Not found.");
    };
    let authorization = AuthorizationRequest {
        parameters: &parameters,
        version,
        grant_key: GrantKey { app, enrollee: visit.enrollee },
    };
    if let Some(refusal) = check_after_login(world, &authorization) {
        return refusal;
    }
    if !is_post {
        let name = shared.records.enrollee(visit.enrollee).name;
        let language = Language::of(&parameters, request);
        let scopes = scopes(&authorization, &world.apps[app]);
        let scope = scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let redirect_uri = world.apps[app].redirect_uri(&parameters).unwrap_or_default();
        let given = |name| (name, last(&parameters, name).unwrap_or_default());
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
        return Response::html(200, page.page(world.now())).with("content-language", language.tag());
    }
    let ticked = |name: &str| last(&form, name) == Some("True");
    let answer = match (last(&form, "allow"), ticked("share_demographic_scopes")) {
        (None, _) => Consent::Deny,
        (Some(_), true) => Consent::All,
        (Some(_), false) => Consent::WithoutDemographics,
    };
    decide(world, &authorization, answer, ticked("share_samhsa_data"))
}
