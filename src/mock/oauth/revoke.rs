//! Revocation, introspection, and the sandbox's way to end a person's grant.

use serde_json::json;

use super::client::{self, broken, described};
use crate::mock::{
    Shared,
    faults::Kind,
    http::{Answer, Ask, last},
    pages,
    records::Records as _,
};

/// 200 with nothing, which is what a revocation that worked says.
fn done() -> Answer {
    Answer::html(200, String::new())
}

fn only_post(ask: &Ask) -> Result<(), Answer> {
    if ask.method == "POST" {
        return Ok(());
    }
    Err(Answer::html(405, pages::refused("405 Method Not Allowed")).with("allow", "POST, OPTIONS"))
}

/// `/v2/o/revoke/`: tokens and grant go, even for a wrong secret. Only an access token, or a refresh
/// token with its hint (whose grant stays), is understood; anything else is an exception.
pub(in crate::mock) fn with_grant(shared: &Shared, ask: &Ask) -> Answer {
    if let Err(refusal) = only_post(ask) {
        return refusal;
    }
    let form = ask.form();
    let world = &mut *shared.world();
    let refusal = client::authenticate(world, ask, &form).err().map(client::Refusal::of_revocation);
    let Some(token) = last(&form, "token") else {
        return refusal.unwrap_or_else(|| described(400, "invalid_request", "Missing token parameter."));
    };
    // The grant goes before the secret is looked at.
    if let Some(enrollee) = world.token(token).map(|token| token.enrollee) {
        world.kill_pair(token);
        world.delete_grant(enrollee);
        return refusal.unwrap_or_else(done);
    }
    if let Some(refusal) = refusal {
        return refusal;
    }
    let hinted = last(&form, "token_type_hint") == Some("refresh_token");
    if hinted && world.refresh(token).is_some() {
        world.kill_pair(token);
        return done();
    }
    broken()
}

/// `/v2/o/revoke_token/`: both tokens go, the grant stays. A refresh token without its hint is not
/// understood, and the answer is 200 all the same.
pub(in crate::mock) fn tokens(shared: &Shared, ask: &Ask, faults: &[Kind]) -> Answer {
    if let Err(refusal) = only_post(ask) {
        return refusal;
    }
    if faults.contains(&Kind::Inactive) {
        let words = "Application is not active or does not exist.";
        return Answer::spaced(403, &[("status_code", json!(403)), ("description", json!(words))]);
    }
    let form = ask.form();
    let world = &mut *shared.world();
    if let Err(refusal) = client::authenticate(world, ask, &form) {
        return refusal.of_revocation();
    }
    let Some(token) = last(&form, "token") else {
        return described(400, "invalid_request", "Missing token parameter.");
    };
    if world.token(token).is_some() || last(&form, "token_type_hint") == Some("refresh_token") {
        world.kill_pair(token);
    }
    done()
}

/// `/v2/o/introspect/`
pub(in crate::mock) fn introspect(shared: &Shared, ask: &Ask) -> Answer {
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
    let scopes: Vec<&str> = token.scopes.iter().map(String::as_str).collect();
    Answer::spaced(
        200,
        &[
            ("active", json!(token.until > world.now())),
            ("scope", json!(scopes.join(" "))),
            ("exp", json!(token.until.as_second())),
            ("client_id", json!(world.client_id)),
            ("username", json!(shared.records.enrollee(token.enrollee).username)),
        ],
    )
}

/// `/v2/o/expire_authenticated_user/<patient>/`
pub(in crate::mock) fn expire(shared: &Shared, ask: &Ask, patient: &str) -> Answer {
    if let Err(refusal) = only_post(ask) {
        return refusal;
    }
    let world = &mut *shared.world();
    if client::authenticate(world, ask, &ask.form()).is_err() {
        return Answer::html(403, String::new());
    }
    let text = |status, text: &str| Answer::html(status, text.to_owned());
    let records = &shared.records;
    match (0..records.enrollees()).find(|index| records.enrollee(*index).patient == patient) {
        None => text(404, "Patient was Not Found. Please check the id number and try again."),
        Some(enrollee) if !world.has_grant(enrollee) => text(404, "Data Access Grant was Not Found."),
        Some(enrollee) => {
            world.delete_grant(enrollee);
            text(200, "success")
        }
    }
}
