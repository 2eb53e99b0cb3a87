//! The FHIR side: who may see what, searches, reads, userinfo.

mod params;
mod read;
mod search;

use jiff::Timestamp;
use serde_json::json;

use super::{
    Shared,
    faults::Kind,
    http::{Answer, Ask},
    oauth::inactive,
    pages,
    world::GrantState,
};

/// A person who has shown a good token.
struct Caller {
    enrollee: usize,
    patient: String,
    now: Timestamp,
}

const RESOURCES: [&str; 3] = ["Patient", "Coverage", "ExplanationOfBenefit"];

/// Everything below `/v2/fhir/` that needs a token.
pub(super) fn answer(shared: &Shared, ask: &Ask, rest: &str, faults: &[Kind]) -> Answer {
    let rest = rest.trim_end_matches('/');
    let (resource, id) = rest.split_once('/').map_or((rest, None), |(resource, id)| (resource, Some(id)));
    if !RESOURCES.contains(&resource) {
        return Answer::html(404, pages::no_such_page());
    }
    let answer = match authorized(shared, ask, Some(resource), faults) {
        Err(refusal) => limited(refusal, false),
        Ok(caller) => limited(permitted(shared, ask, &caller, resource, id, faults), true),
    };
    answer.with("allow", "GET, HEAD, OPTIONS")
}

fn permitted(shared: &Shared, ask: &Ask, caller: &Caller, resource: &str, id: Option<&str>, faults: &[Kind]) -> Answer {
    if !acceptable(ask) {
        return Answer::detail(406, "Could not satisfy the request Accept header.");
    }
    if let Some(status) = faults.iter().find_map(backend) {
        return failing(status);
    }
    let answer = match id {
        Some(id) => read::answer(shared, caller, resource, id),
        None => search::answer(shared, ask, caller, resource, faults),
    };
    let plain = ask.header("accept").is_some_and(|accept| accept.starts_with("application/json"));
    if plain {
        let headers = answer.headers.into_iter().map(|(name, value)| {
            if name == "content-type" { (name, "application/json".to_owned()) } else { (name, value) }
        });
        return Answer { headers: headers.collect(), ..answer };
    }
    answer
}

fn backend(fault: &Kind) -> Option<u16> {
    if let Kind::Backend(status) = fault { Some(*status) } else { None }
}

/// What API v1 and v2 show of a failing back end.
fn failing(status: u16) -> Answer {
    match status {
        404 => Answer::detail(404, "Not found."),
        400..=499 => Answer::detail(400, "An error occurred contacting the upstream server:Too many requests"),
        500 => Answer::new(500, "application/json", r#"{"error": "Server Error (500)"}"#),
        _ => Answer::detail(502, "A failure occurred contacting the upstream server"),
    }
}

/// The rate-limit headers: numbers where the throttle was asked, the word `None` where it was not.
fn limited(answer: Answer, asked: bool) -> Answer {
    let values = if asked { ["100000", "99999", "1.0"] } else { ["None"; 3] };
    let names = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    names.into_iter().zip(values).fold(answer, |answer, (name, value)| answer.with(name, value))
}

fn acceptable(ask: &Ask) -> bool {
    ask.header("accept").is_none_or(|accept| {
        accept.split(',').any(|kind| {
            matches!(
                kind.split(';').next().unwrap_or_default().trim(),
                "*/*" | "application/*" | "application/json" | "application/fhir+json"
            )
        })
    })
}

/// The checks of the real server in its order: token, app, grant, scope and method.
fn authorized(shared: &Shared, ask: &Ask, resource: Option<&str>, faults: &[Kind]) -> Result<Caller, Answer> {
    const NONE: &str = "Authentication credentials were not provided.";
    if ask.query("access_token").is_some() {
        let words =
            "Using the access token in the query parameters is not supported. Use the Authorization header instead";
        return Err(Answer::detail(400, words));
    }
    let refuse =
        |challenge: &str, words: &str| Err(Answer::detail(401, words).with("www-authenticate", challenge.to_owned()));
    let token = ask
        .header("authorization")
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token.filter(|(_, token)| !token.is_empty()) else {
        return refuse(r#"Bearer realm="api""#, NONE);
    };
    let world = shared.world();
    let Some(known) = world.token(token) else {
        return refuse(
            r#"Bearer realm="api",error="invalid_token",error_description="The access token is invalid.""#,
            NONE,
        );
    };
    if known.until <= world.now() {
        return refuse(
            r#"Bearer realm="api",error="invalid_token",error_description="The access token has expired.""#,
            NONE,
        );
    }
    if faults.contains(&Kind::Inactive) {
        return refuse(r#"Bearer realm="api""#, &inactive());
    }
    let forbidden = || Err(Answer::detail(403, "You do not have permission to perform this action."));
    match world.grant(known.enrollee) {
        GrantState::Living => {}
        GrantState::Over => {
            let words = "User access has timed out. To refresh Medicare data, end user must re-authenticate and consent to share their data.";
            return refuse(r#"Bearer realm="api""#, words);
        }
        GrantState::Gone => return forbidden(),
    }
    let covered = match resource {
        Some(resource) => {
            ["read", "rs"].iter().any(|verb| known.scopes.contains(&format!("patient/{resource}.{verb}")))
        }
        None => known.scopes.contains("profile"),
    };
    if !covered || ask.method != "GET" {
        return forbidden();
    }
    Ok(Caller { enrollee: known.enrollee, patient: shared.records.enrollee(known.enrollee).patient, now: world.now() })
}

/// `/v2/connect/userinfo`
pub(super) fn userinfo(shared: &Shared, ask: &Ask, faults: &[Kind]) -> Answer {
    let caller = match authorized(shared, ask, None, faults) {
        Err(refusal) => return limited(refusal, false),
        Ok(caller) => caller,
    };
    let person = shared.records.enrollee(caller.enrollee);
    let body = json!({
        "sub": person.patient,
        "name": person.name,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "email": person.email,
        "iat": "2026-11-01T12:00:00.000Z",
        "patient": person.patient,
    });
    limited(Answer::new(200, "application/json", body.to_string()), false)
}

/// An instant as the data back end writes it.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
}
