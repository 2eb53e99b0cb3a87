//! The token, revocation and introspection endpoints.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::inactive;
use crate::mock::{
    Access, Shared,
    faults::Kind,
    http::{Answer, Ask, Pairs, last},
    pages,
    world::{GrantState, Pair, TOKEN_LIFE, World},
};

/// `{"error": …}`: the shape of the OAuth library's refusals.
fn refused(status: u16, error: &str) -> Answer {
    Answer::oauth(status, &json!({ "error": error }))
}

/// `{"error": …, "error_description": …}`: the same with words.
fn described(status: u16, error: &str, description: &str) -> Answer {
    Answer::oauth(status, &ordered(&[("error", json!(error)), ("error_description", json!(description))]))
}

/// `{"status_code": …, "error": …, "error_description": …}`: the web server's own refusals.
fn own(status: u16, error: &str, description: &str) -> Answer {
    let fields = [("status_code", json!(status)), ("error", json!(error)), ("error_description", json!(description))];
    Answer::oauth(status, &ordered(&fields))
}

fn ordered(fields: &[(&str, Value)]) -> Value {
    Value::Object(fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<Map<_, _>>())
}

/// Who asks: the id, and whether the secret was right.
fn authenticate(world: &World, ask: &Ask, form: &Pairs) -> Result<(), Answer> {
    let unknown_secret = || refused(401, "invalid_client").with("www-authenticate", r#"Bearer error="invalid_client""#);
    let basic = ask.header("authorization").and_then(|value| value.strip_prefix("Basic "));
    let (id, secret, from_header) = match basic {
        Some(encoded) => {
            let decoded = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let (id, secret) = decoded.as_deref().and_then(|text| text.split_once(':')).map_or(
                (String::new(), None),
                |(id, secret)| {
                    // Both halves are form-decoded: a raw `+` becomes a blank.
                    let decode = |text: &str| {
                        form_urlencoded::parse(text.as_bytes())
                            .next()
                            .map_or(String::new(), |(key, _)| key.into_owned())
                    };
                    (decode(id), Some(decode(secret)))
                },
            );
            (id, secret, true)
        }
        None => match last(form, "client_id") {
            Some(id) => (id.to_owned(), last(form, "client_secret").map(str::to_owned), false),
            None => return Err(own(401, "invalid_client", "App id failed")),
        },
    };
    if !from_header && !id.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(own(400, "invalid_client", "Invalid client_id format"));
    }
    if id != world.client_id {
        return Err(if from_header {
            own(401, "invalid_client", "Application does not exist")
        } else {
            own(400, "invalid_client", "Application does not exist (client_id)")
        });
    }
    if secret.as_deref() == Some(world.client_secret.as_str()) { Ok(()) } else { Err(unknown_secret()) }
}

/// `/v2/o/token/`
pub(in crate::mock) fn token(shared: &Shared, ask: &Ask, faults: &[Kind]) -> Answer {
    if ask.method != "POST" {
        return Answer::html(405, pages::refused("405 Method Not Allowed")).with("allow", "POST, OPTIONS");
    }
    if ask.header("authorization").is_some_and(|value| value.starts_with("Bearer ")) {
        return refused(500, "Server Error (500)");
    }
    if !ask.query.is_empty() {
        return described(400, "invalid_request", "URL query parameters are not allowed");
    }
    let form = ask.form();
    let world = &mut *shared.world();
    if faults.contains(&Kind::Inactive) {
        return own(403, "invalid_client", &inactive());
    }
    if let Err(refusal) = authenticate(world, ask, &form) {
        return refusal;
    }
    let pair = match last(&form, "grant_type") {
        Some("authorization_code") => exchange(world, &form),
        Some("refresh_token") => refresh(world, &form, faults),
        None => Err(refused(400, "unsupported_grant_type")),
        Some(_) => Err(described(400, "invalid_request", "Request is missing username parameter.")),
    };
    match pair {
        Ok(pair) => delivered(shared, &pair, faults),
        Err(refusal) => refusal,
    }
}

/// A code for tokens. What is refused does not spend the code.
fn exchange(world: &mut World, form: &Pairs) -> Result<Pair, Answer> {
    let Some(code) = last(form, "code") else {
        return Err(described(400, "invalid_request", "Missing code parameter."));
    };
    let known = world.code(code).ok_or_else(|| refused(400, "invalid_grant"))?;
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

/// A refresh token for tokens. The rotation is final before the data back end is asked: when that
/// fails, the token is burnt.
fn refresh(world: &mut World, form: &Pairs, faults: &[Kind]) -> Result<Pair, Answer> {
    const AGAIN: &str = "To refresh Medicare data, end user must re-authenticate and consent to share their data.";
    let Some(token) = last(form, "refresh_token") else {
        return Err(own(400, "invalid_request", "Missing refresh token parameter"));
    };
    let Some(known) = world.refresh(token).cloned() else {
        return Err(own(400, "invalid_request", "Refresh token not found."));
    };
    if world.access == Access::OneTime {
        let words = format!(
            "Your application is not allowed to refresh tokens. {AGAIN} If your application needs to refresh tokens, \
             contact us at BlueButtonAPI@cms.hhs.gov."
        );
        return Err(own(403, "invalid_client", &words));
    }
    match world.grant(known.enrollee) {
        GrantState::Living => {}
        GrantState::Over => return Err(own(401, "invalid_grant", &format!("User access has timed out. {AGAIN}"))),
        GrantState::Gone => return Err(own(403, "invalid_grant", &format!("User access cannot be found. {AGAIN}"))),
    }
    if known.spent {
        return Err(refused(400, "invalid_grant"));
    }
    if last(form, "scope").is_some_and(|scope| scope.split_whitespace().any(|word| !known.scopes.contains(word))) {
        return Err(refused(400, "invalid_scope"));
    }
    let pair = world.rotate(token).ok_or_else(|| refused(400, "invalid_grant"))?;
    let backend = faults.iter().find_map(|fault| if let Kind::Backend(status) = fault { Some(*status) } else { None });
    match backend {
        None => Ok(pair),
        Some(404) => {
            Err(Answer::oauth(404, &ordered(&[("status_code", json!(404)), ("message", json!("Not found."))])))
        }
        Some(500) => Err(refused(500, "Server Error (500)")),
        Some(_) => {
            let words = "Failed to retrieve data from data source.";
            Err(Answer::oauth(502, &ordered(&[("status_code", json!(502)), ("message", json!(words))])))
        }
    }
}

fn delivered(shared: &Shared, pair: &Pair, faults: &[Kind]) -> Answer {
    let mut scopes: Vec<&str> = pair.scopes.iter().map(String::as_str).collect();
    // The real server's order is that of a hash; nobody may rely on one.
    scopes.sort_by_key(|scope| Sha256::digest(format!("{}{scope}", pair.access)).to_vec());
    let odd = faults.contains(&Kind::TokenExtra);
    let patient = shared.records.enrollee(pair.enrollee).patient;
    let expiration = pair.expiration.map(|end| end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
    let mut fields = vec![
        ("access_token", json!(pair.access)),
        ("expires_in", if odd { json!(3599.5) } else { json!(TOKEN_LIFE) }),
        ("token_type", json!("Bearer")),
        ("scope", json!(scopes.join(" "))),
        ("refresh_token", json!(pair.refresh)),
    ];
    if !faults.contains(&Kind::NoPatient) {
        let number = patient.parse::<i64>().ok().filter(|_| odd);
        fields.push(("patient", number.map_or(json!(patient), |number| json!(number))));
    }
    if !faults.contains(&Kind::NoExpiration) {
        fields.push(("access_grant_expiration", json!(if odd { expiration.replace('T', " ") } else { expiration })));
    }
    if odd {
        fields.push(("id_token", Value::Null));
        fields.push(("extension", json!({"nested": [1, 2.5, "x"]})));
    }
    let session = super::super::world::word(32).to_lowercase();
    let mut answer = Answer::oauth(200, &ordered(&fields))
        .with("set-cookie", format!("sessionid={session}; HttpOnly; Path=/; SameSite=Lax"));
    // Rotated, and the answer lost on the way.
    answer.breaks = faults.contains(&Kind::DropRefresh);
    answer
}

/// `/v2/o/revoke/`: with an access token, the end of tokens and grant. `/v2/o/revoke_token/`: only of
/// the tokens.
pub(in crate::mock) fn revoke(shared: &Shared, ask: &Ask, with_grant: bool) -> Answer {
    if ask.method != "POST" {
        return Answer::html(405, pages::refused("405 Method Not Allowed")).with("allow", "POST, OPTIONS");
    }
    let form = ask.form();
    let world = &mut *shared.world();
    let authenticated = authenticate(world, ask, &form);
    let Some(token) = last(&form, "token") else {
        return authenticated.err().unwrap_or_else(|| described(400, "invalid_request", "Missing token parameter."));
    };
    let enrollee = world.token(token).map(|token| token.enrollee);
    let hinted = last(&form, "token_type_hint") == Some("refresh_token");
    if with_grant {
        // The grant goes before the secret is looked at.
        if let Some(enrollee) = enrollee {
            world.kill_pair(token);
            world.delete_grant(enrollee);
            return authenticated.err().unwrap_or_else(|| Answer::new(200, "text/html; charset=utf-8", ""));
        }
        if let Err(refusal) = authenticated {
            return refusal;
        }
        return match world.refresh(token) {
            Some(_) if hinted => {
                world.kill_pair(token);
                Answer::new(200, "text/html; charset=utf-8", "")
            }
            _ => refused(500, "Server Error (500)"),
        };
    }
    if let Err(refusal) = authenticated {
        return refusal;
    }
    if enrollee.is_some() || hinted {
        world.kill_pair(token);
    }
    Answer::new(200, "text/html; charset=utf-8", "")
}
