//! Revocation, introspection, and the sandbox's endpoint that ends a person's grant.

use serde_json::json;

use super::client::{self, described};
use crate::{
    Shared,
    faults::{ActiveFaults, Condition},
    http::{Request, Response, last},
    records::Records as _,
    version::Version,
    world::GrantKey,
};

/// 200 without a body: the revocation worked.
fn done() -> Response {
    Response::html(200, String::new())
}

fn only_post(request: &Request) -> Result<(), Response> {
    if request.method == "POST" {
        return Ok(());
    }
    Err(Response::html(405, String::new()).with("allow", "POST, OPTIONS"))
}

/// `/vN/o/revoke/`: deletes tokens and grant, even if the secret is wrong. It understands only an access token, or a
/// refresh token with its hint (whose grant stays). Anything else causes an exception.
pub(crate) fn with_grant(shared: &Shared, request: &Request) -> Response {
    if let Err(refusal) = only_post(request) {
        return refusal;
    }
    let form = request.form();
    let world = &mut *shared.world();
    let client = client::identify(world, request, &form);
    let refusal = client::authenticate(world, request, &form).err().map(client::Refusal::of_revocation);
    let Some(token) = last(&form, "token") else {
        return refusal.unwrap_or_else(|| described(400, "invalid_request", "Missing token parameter."));
    };
    let is_own = |grant_key: GrantKey| client.is_ok_and(|client| client.app == grant_key.app);
    // The grant is deleted before the secret is checked.
    if let Some(grant_key) = world.token(token).map(|token| token.grant_key).filter(|grant_key| is_own(*grant_key)) {
        world.kill_pair(token);
        world.delete_grant(grant_key);
        return refusal.unwrap_or_else(done);
    }
    if let Some(refusal) = refusal {
        return refusal;
    }
    let hinted = last(&form, "token_type_hint") == Some("refresh_token");
    if hinted && world.refresh(token).is_some_and(|refresh| is_own(refresh.grant_key)) {
        world.kill_pair(token);
        return done();
    }
    Response::uncaught()
}

/// `/vN/o/revoke_token/`: deletes both tokens, and the grant stays. It does not understand a refresh token without
/// its hint, but still answers 200.
pub(crate) fn tokens(shared: &Shared, request: &Request, faults: &ActiveFaults) -> Response {
    if let Err(refusal) = only_post(request) {
        return refusal;
    }
    let form = request.form();
    let world = &mut *shared.world();
    let forbidden = |words: &str| Response::spaced(403, &[("status_code", json!(403)), ("description", json!(words))]);
    let inactive = || forbidden("Application is not active or does not exist.");
    if faults.has(Condition::Inactive) {
        return inactive();
    }
    let app = match client::authenticate(world, request, &form) {
        Ok(app) => app,
        Err(refusal) => return refusal.of_revocation(),
    };
    if !world.apps[app].active {
        return inactive();
    }
    let Some(token) = last(&form, "token") else {
        return described(400, "invalid_request", "Missing token parameter.");
    };
    let hinted = last(&form, "token_type_hint") == Some("refresh_token");
    let refresh = world.refresh(token).filter(|_| hinted).map(|refresh| refresh.grant_key);
    match world.token(token).map(|token| token.grant_key).or(refresh) {
        Some(grant_key) if grant_key.app != app => forbidden("Application did not have access to the provided token."),
        Some(_) => {
            world.kill_pair(token);
            done()
        }
        None => done(),
    }
}

/// `/vN/o/introspect/`
pub(crate) fn introspect(shared: &Shared, request: &Request) -> Response {
    if let Err(refusal) = only_post(request) {
        return refusal;
    }
    let form = request.form();
    let world = &*shared.world();
    if client::authenticate(world, request, &form).is_err() {
        return Response::html(403, String::new());
    }
    let Some(token) = last(&form, "token").and_then(|token| world.token(token)) else {
        return Response::spaced(200, &[("active", json!(false))]);
    };
    let scopes: Vec<&str> = token.approval.scopes.iter().map(String::as_str).collect();
    Response::spaced(
        200,
        &[
            ("active", json!(token.until > world.now())),
            ("scope", json!(scopes.join(" "))),
            ("exp", json!(token.until.as_second())),
            ("client_id", json!(world.apps[token.grant_key.app].id)),
            ("username", json!(shared.records.enrollee(token.grant_key.enrollee).username)),
        ],
    )
}

/// `/vN/o/expire_authenticated_user/<patient>/`, with the id at that version.
pub(crate) fn expire(shared: &Shared, request: &Request, version: Version, patient: &str) -> Response {
    if let Err(refusal) = only_post(request) {
        return refusal;
    }
    let world = &mut *shared.world();
    let Ok(app) = client::authenticate(world, request, &request.form()) else {
        return Response::html(403, String::new());
    };
    let text = |status, text: &str| Response::html(status, text.to_owned());
    let records = &shared.records;
    match records.find_patient(version, patient).map(|enrollee| GrantKey { app, enrollee }) {
        None => text(404, "Patient was Not Found. Please check the id number and try again."),
        Some(grant_key) if !world.has_grant(grant_key) => text(404, "Data Access Grant was Not Found."),
        Some(grant_key) => {
            world.delete_grant(grant_key);
            text(200, "success")
        }
    }
}
