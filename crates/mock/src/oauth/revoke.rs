//! Revocation, introspection, and the sandbox's way to end a person's grant.

use serde_json::json;

use super::client::{self, described};
use crate::{
    Shared,
    faults::{Condition, Struck},
    http::{Answer, Ask, last},
    records::Records as _,
    version::Version,
    world::Whose,
};

/// 200 with nothing, which is what a revocation that worked says.
fn done() -> Answer {
    Answer::html(200, String::new())
}

fn only_post(ask: &Ask) -> Result<(), Answer> {
    if ask.method == "POST" {
        return Ok(());
    }
    Err(Answer::html(405, String::new()).with("allow", "POST, OPTIONS"))
}

/// `/vN/o/revoke/`: tokens and grant go, even for a wrong secret. Only an access token, or a refresh
/// token with its hint (whose grant stays), is understood; anything else is an exception.
pub(crate) fn with_grant(shared: &Shared, ask: &Ask) -> Answer {
    if let Err(refusal) = only_post(ask) {
        return refusal;
    }
    let form = ask.form();
    let world = &mut *shared.world();
    let client = client::identify(world, ask, &form);
    let refusal = client::authenticate(world, ask, &form).err().map(client::Refusal::of_revocation);
    let Some(token) = last(&form, "token") else {
        return refusal.unwrap_or_else(|| described(400, "invalid_request", "Missing token parameter."));
    };
    let is_own = |whose: Whose| client.is_ok_and(|client| client.app == whose.app);
    // The grant goes before the secret is looked at.
    if let Some(whose) = world.token(token).map(|token| token.whose).filter(|whose| is_own(*whose)) {
        world.kill_pair(token);
        world.delete_grant(whose);
        return refusal.unwrap_or_else(done);
    }
    if let Some(refusal) = refusal {
        return refusal;
    }
    let hinted = last(&form, "token_type_hint") == Some("refresh_token");
    if hinted && world.refresh(token).is_some_and(|refresh| is_own(refresh.whose)) {
        world.kill_pair(token);
        return done();
    }
    Answer::uncaught()
}

/// `/vN/o/revoke_token/`: both tokens go, the grant stays. A refresh token without its hint is not
/// understood, and the answer is 200 all the same.
pub(crate) fn tokens(shared: &Shared, ask: &Ask, faults: &Struck) -> Answer {
    if let Err(refusal) = only_post(ask) {
        return refusal;
    }
    let form = ask.form();
    let world = &mut *shared.world();
    let forbidden = |words: &str| Answer::spaced(403, &[("status_code", json!(403)), ("description", json!(words))]);
    let inactive = || forbidden("Application is not active or does not exist.");
    if faults.has(Condition::Inactive) {
        return inactive();
    }
    let app = match client::authenticate(world, ask, &form) {
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
    let refresh = world.refresh(token).filter(|_| hinted).map(|refresh| refresh.whose);
    match world.token(token).map(|token| token.whose).or(refresh) {
        Some(whose) if whose.app != app => forbidden("Application did not have access to the provided token."),
        Some(_) => {
            world.kill_pair(token);
            done()
        }
        None => done(),
    }
}

/// `/vN/o/introspect/`
pub(crate) fn introspect(shared: &Shared, ask: &Ask) -> Answer {
    if let Err(refusal) = only_post(ask) {
        return refusal;
    }
    let form = ask.form();
    let world = &*shared.world();
    if client::authenticate(world, ask, &form).is_err() {
        return Answer::html(403, String::new());
    }
    let Some(token) = last(&form, "token").and_then(|token| world.token(token)) else {
        return Answer::spaced(200, &[("active", json!(false))]);
    };
    let scopes: Vec<&str> = token.agreed.scopes.iter().map(String::as_str).collect();
    Answer::spaced(
        200,
        &[
            ("active", json!(token.until > world.now())),
            ("scope", json!(scopes.join(" "))),
            ("exp", json!(token.until.as_second())),
            ("client_id", json!(world.apps[token.whose.app].id)),
            ("username", json!(shared.records.enrollee(token.whose.enrollee).username)),
        ],
    )
}

/// `/vN/o/expire_authenticated_user/<patient>/`, by the id of that version.
pub(crate) fn expire(shared: &Shared, ask: &Ask, version: Version, patient: &str) -> Answer {
    if let Err(refusal) = only_post(ask) {
        return refusal;
    }
    let world = &mut *shared.world();
    let Ok(app) = client::authenticate(world, ask, &ask.form()) else {
        return Answer::html(403, String::new());
    };
    let text = |status, text: &str| Answer::html(status, text.to_owned());
    let records = &shared.records;
    match records.find_patient(version, patient).map(|enrollee| Whose { app, enrollee }) {
        None => text(404, "Patient was Not Found. Please check the id number and try again."),
        Some(whose) if !world.has_grant(whose) => text(404, "Data Access Grant was Not Found."),
        Some(whose) => {
            world.delete_grant(whose);
            text(200, "success")
        }
    }
}
