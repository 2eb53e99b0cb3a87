//! The token endpoint: exchanges codes and refresh tokens for pairs of tokens.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    authorize::messaged,
    client::{self, Refusal, described, own, refused},
};
use crate::{
    Access, Shared,
    backend::{FailedLookup, Failure},
    faults::{ActiveFaults, Condition, TokenResponse},
    http::{Break, Pairs, Request, Response, last},
    ids::word,
    records::Records as _,
    version::Version,
    world::{GrantState, Pair, TOKEN_LIFE, World},
};

/// `/vN/o/token/`
pub(crate) fn token(shared: &Shared, request: &Request, version: Version, faults: &ActiveFaults) -> Response {
    if request.method != "POST" {
        return Response::html(405, String::new()).with("allow", "POST, OPTIONS");
    }
    if request.bearer().is_some() {
        return Response::uncaught();
    }
    if !request.query.is_empty() {
        let words = "URL query parameters are not allowed";
        let fields = [("error", json!("invalid_request")), ("error_description", json!(words))];
        return Response::spaced(400, &fields).with_type("text/html; charset=utf-8");
    }
    let form = request.form();
    let world = &mut *shared.world();
    match pair(world, request, &form, version, faults) {
        Ok(pair) => {
            let is_refresh = last(&form, "grant_type") == Some("refresh_token");
            let mut tokens = TokenResponse { fields: fields(shared, &pair, version), is_refresh, is_lost: false };
            faults.in_tokens(&mut tokens);
            delivered(&tokens)
        }
        Err(refusal) => refusal,
    }
}

fn pair(
    world: &mut World,
    request: &Request,
    form: &Pairs,
    version: Version,
    faults: &ActiveFaults,
) -> Result<Pair, Response> {
    let client = client::identify(world, request, form);
    let named = client.map_or(0, |client| client.app);
    if !world.apps[named].active || faults.has(Condition::Inactive) {
        return Err(own(403, "invalid_client", &world.apps[named].inactive()));
    }
    let client = match client {
        Ok(client) if client.proven => client,
        refused => {
            let refusal = refused.err().unwrap_or(Refusal::Secret);
            return Err(refusal.of_token_endpoint(last(form, "refresh_token").is_some()));
        }
    };
    match last(form, "grant_type") {
        Some("authorization_code") => exchange(world, client.app, form),
        Some("refresh_token") => {
            let unreadable = request.is_multipart() || faults.has(Condition::V3Closed);
            if version == Version::V3 && unreadable {
                return Err(denied());
            }
            let pair = refresh(world, (client.app, version), form, request.arrived)?;
            // The rotation is final before the data back end is asked. If that fails, the token is lost.
            match faults.failure(version).and_then(Failure::of_person) {
                None => Ok(pair),
                Some(FailedLookup::NotFound) => Err(messaged(404, "Not found.")),
                Some(FailedLookup::Failed) => Err(messaged(502, "Failed to retrieve data from data source.")),
                Some(FailedLookup::Unanswered) => Err(Response::uncaught()),
            }
        }
        Some("client_credentials") if version == Version::V3 => {
            Err(messaged(400, "Missing Required Parameter(s): client_assertion_type, client_assertion"))
        }
        None => Err(refused(400, "unsupported_grant_type")),
        Some(_) => Err(described(400, "invalid_request", "Request is missing username parameter.")),
    }
}

/// v3's answer to every refresh whose token it cannot find.
fn denied() -> Response {
    messaged(403, "Request denied")
}

/// Exchanges a code for tokens. A refused request does not use up the code.
fn exchange(world: &mut World, app: usize, form: &Pairs) -> Result<Pair, Response> {
    let Some(code) = last(form, "code") else {
        return Err(described(400, "invalid_request", "Missing code parameter."));
    };
    let known =
        world.code(code).filter(|known| known.grant_key.app == app).ok_or_else(|| refused(400, "invalid_grant"))?;
    let Some(verifier) = last(form, "code_verifier") else {
        return Err(described(400, "invalid_request", "Code verifier required."));
    };
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    if verifier.len() < 43 || challenge != known.challenge {
        return Err(refused(400, "invalid_grant"));
    }
    match last(form, "redirect_uri") {
        None => return Err(described(400, "invalid_request", "Missing redirect URI.")),
        Some(uri) if uri != known.redirect_uri => {
            return Err(described(400, "invalid_request", "Mismatching redirect URI."));
        }
        Some(_) => {}
    }
    world.spend_code(code).ok_or_else(|| refused(400, "invalid_grant"))
}

/// Exchanges a refresh token for tokens.
fn refresh(
    world: &mut World,
    (app, version): (usize, Version),
    form: &Pairs,
    arrived: Instant,
) -> Result<Pair, Response> {
    const AGAIN: &str = "To refresh Medicare data, end user must re-authenticate and consent to share their data.";
    let invalid = |words: &str| Err(if version == Version::V3 { denied() } else { own(400, "invalid_request", words) });
    let Some(token) = last(form, "refresh_token") else {
        return invalid("Missing refresh token parameter");
    };
    let Some(known) = world.refresh(token).cloned() else {
        return invalid("Refresh token not found.");
    };
    if known.grant_key.app != app {
        return Err(own(400, "invalid_request", "different app in headers than in request data"));
    }
    if world.access(known.grant_key) == Access::OneTime {
        let words = format!(
            "Your application is not allowed to refresh tokens. {AGAIN} If your application needs to refresh tokens, \
             contact us at BlueButtonAPI@cms.hhs.gov."
        );
        return Err(own(403, "invalid_client", &words));
    }
    match world.grant(known.grant_key) {
        GrantState::Living => {}
        GrantState::Over => return Err(own(401, "invalid_grant", &format!("User access has timed out. {AGAIN}"))),
        GrantState::Gone => return Err(own(403, "invalid_grant", &format!("User access cannot be found. {AGAIN}"))),
    }
    if known.spent {
        return world.raced(token, arrived).ok_or_else(|| refused(400, "invalid_grant"));
    }
    // An empty `scope` counts as missing. Blanks alone count as an empty scope, which no one has (oauthlib's rule).
    let narrowed: Arc<BTreeSet<String>> = match last(form, "scope").filter(|scope| !scope.is_empty()) {
        None => Arc::clone(&known.approval.scopes),
        Some(scope) => Arc::new(scope.trim().split(' ').map(str::to_owned).collect()),
    };
    let held = |scope: &String| known.approval.scopes.contains(scope) || is_part(scope, &known.approval.scopes);
    if !narrowed.iter().all(held) {
        return Err(refused(400, "invalid_scope"));
    }
    world.rotate(token, narrowed).ok_or_else(|| refused(400, "invalid_grant"))
}

/// Whether a scope is the read or the search part of one that the token has.
fn is_part(scope: &str, held: &BTreeSet<String>) -> bool {
    let whole = scope.strip_suffix(".r").or(scope.strip_suffix(".s")).map(|resource| format!("{resource}.rs"));
    whole.is_some_and(|whole| held.contains(&whole))
}

fn fields(shared: &Shared, pair: &Pair, version: Version) -> Vec<(&'static str, Value)> {
    let mut scopes: Vec<&str> = pair.scopes.iter().map(String::as_str).collect();
    // The real server's order is that of a hash, so no client may rely on an order.
    scopes.sort_by_key(|scope| Sha256::digest(format!("{}{scope}", pair.access)).to_vec());
    let patient = version.patient(&shared.records.enrollee(pair.grant_key.enrollee));
    let expiration = pair.expiration.map(|end| end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
    vec![
        ("access_token", json!(*pair.access)),
        ("expires_in", json!(TOKEN_LIFE)),
        ("token_type", json!("Bearer")),
        ("scope", json!(scopes.join(" "))),
        ("refresh_token", json!(*pair.refresh)),
        ("patient", json!(patient)),
        ("access_grant_expiration", json!(expiration)),
    ]
}

fn delivered(tokens: &TokenResponse) -> Response {
    let session = word(32).to_lowercase();
    let mut response = Response::library(200, &tokens.fields)
        .with("set-cookie", format!("sessionid={session}; HttpOnly; Path=/; SameSite=Lax"));
    // The token was rotated, but the answer is lost on the way.
    response.breaks = tokens.is_lost.then_some(Break::Before);
    response
}
