//! The FHIR side: who may see what, searches, reads, userinfo.

mod params;
mod read;
mod search;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;

use super::{
    Shared,
    faults::Kind,
    http::{Answer, Ask, LIMITS},
    oauth::inactive,
    pages,
    records::Records as _,
    world::GrantState,
};

/// A person who has shown a good token.
struct Caller {
    enrollee: usize,
    patient: String,
    now: Timestamp,
}

const FHIR: &str = "application/fhir+json";

const RESOURCES: [&str; 3] = ["Patient", "Coverage", "ExplanationOfBenefit"];

/// Everything below `/v2/fhir/` that needs a token.
pub(super) fn answer(shared: &Shared, ask: &Ask, rest: &str, faults: &[Kind]) -> Answer {
    let rest = rest.trim_end_matches('/');
    let (resource, id) = rest.split_once('/').map_or((rest, None), |(resource, id)| (resource, Some(id)));
    if !RESOURCES.contains(&resource) {
        return Answer::html(404, pages::no_such_page());
    }
    let answer = match renderer(ask) {
        None => Answer::detail(406, "Could not satisfy the request Accept header."),
        Some(media_type) => answer_below(shared, ask, resource, id, faults).with_type(media_type),
    };
    answer.with("allow", "GET, HEAD, OPTIONS")
}

fn answer_below(shared: &Shared, ask: &Ask, resource: &str, id: Option<&str>, faults: &[Kind]) -> Answer {
    let needed = if id.is_some() { Needed::Read(resource) } else { Needed::Search(resource) };
    let caller = match authorized(shared, ask, needed, faults) {
        Err(refusal) => return refusal,
        Ok(caller) => caller,
    };
    let answer = match (faults.iter().find_map(backend), id) {
        (Some(status), _) => failing(status),
        (None, Some(id)) => read::answer(shared, &caller, resource, id),
        (None, None) => search::answer(shared, ask, &caller, resource, faults),
    };
    LIMITS.into_iter().zip(["100000", "99999", "1.0"]).fold(answer, |answer, (name, value)| answer.with(name, value))
}

/// The media type to answer with, refusals included: it is chosen before anything else is looked at.
fn renderer(ask: &Ask) -> Option<&'static str> {
    let Some(accept) = ask.header("accept") else { return Some(FHIR) };
    accept.split(',').find_map(|kind| match kind.split(';').next().unwrap_or_default().trim() {
        "*/*" | "application/*" | FHIR => Some(FHIR),
        "application/json" => Some("application/json"),
        _ => None,
    })
}

/// What a token must allow.
#[derive(Clone, Copy)]
enum Needed<'a> {
    Read(&'a str),
    Search(&'a str),
    Profile,
}

impl Needed<'_> {
    fn is_in(self, scopes: &BTreeSet<String>) -> bool {
        let any = |resource: &str, verbs: [&str; 3]| {
            verbs.iter().any(|verb| scopes.contains(&format!("patient/{resource}.{verb}")))
        };
        match self {
            Self::Read(resource) => any(resource, ["read", "rs", "r"]),
            Self::Search(resource) => any(resource, ["read", "rs", "s"]),
            Self::Profile => scopes.contains("profile"),
        }
    }
}

fn backend(fault: &Kind) -> Option<u16> {
    if let Kind::Backend(status) = fault { Some(*status) } else { None }
}

/// What API v1 and v2 show of a failing back end.
fn failing(status: u16) -> Answer {
    match status {
        404 => Answer::detail(404, "Not found."),
        400..=499 => Answer::detail(400, "An error occurred contacting the upstream server:Too many requests"),
        500 => Answer::spaced(500, &[("error", json!("Server Error (500)"))]),
        _ => Answer::detail(502, "A failure occurred contacting the upstream server"),
    }
}

/// The checks of the real server in its order: token, app, grant, scope and method.
fn authorized(shared: &Shared, ask: &Ask, needed: Needed<'_>, faults: &[Kind]) -> Result<Caller, Answer> {
    const NONE: &str = "Authentication credentials were not provided.";
    if ask.query("access_token").is_some() {
        let words =
            "Using the access token in the query parameters is not supported. Use the Authorization header instead";
        return Err(Answer::detail(400, words));
    }
    let refuse =
        |challenge: &str, words: &str| Err(Answer::detail(401, words).with("www-authenticate", challenge.to_owned()));
    let Some(token) = ask.bearer() else {
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
    // A form is not even read by these views; scopes cover GET alone.
    let form = ask.header("content-type").filter(|kind| ask.method == "POST" && !kind.contains("json"));
    if let Some(form) = form {
        return Err(Answer::detail(415, &format!("Unsupported media type \"{form}\" in request.")));
    }
    if !needed.is_in(&known.scopes) || ask.method != "GET" {
        return forbidden();
    }
    Ok(Caller { enrollee: known.enrollee, patient: shared.records.enrollee(known.enrollee).patient, now: world.now() })
}

/// `/v2/connect/userinfo`
pub(super) fn userinfo(shared: &Shared, ask: &Ask, faults: &[Kind]) -> Answer {
    let caller = authorized(shared, ask, Needed::Profile, faults);
    let answer = caller.map(|caller| {
        let person = shared.records.enrollee(caller.enrollee);
        Answer::spaced(
            200,
            &[
                ("sub", json!(person.patient)),
                ("name", json!(person.name)),
                ("given_name", json!(person.given_name)),
                ("family_name", json!(person.family_name)),
                ("email", json!(person.email)),
                ("iat", json!("2026-11-01T12:00:00.000Z")),
                ("patient", json!(person.patient)),
            ],
        )
    });
    answer.unwrap_or_else(|refusal| refusal).with_type("application/json").with("allow", "OPTIONS, GET")
}

/// An instant as the data back end writes it.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
}
