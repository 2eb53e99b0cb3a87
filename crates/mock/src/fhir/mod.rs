//! The FHIR part: access checks, searches, reads, userinfo.

mod bundle;
mod params;
mod read;
mod search;

use std::{borrow::Cow, collections::BTreeSet};

use jiff::Timestamp;
use serde_json::json;

use super::{
    Shared,
    backend::{Failure, Form},
    faults::{ActiveFaults, Condition},
    html,
    http::{LIMITS, Request, Response},
    login_visits::Standing,
    records::Records as _,
    version::Version,
    world::GrantState,
};

pub(crate) use bundle::{Bundle, Entry};
pub(super) use params::refused;

/// The enrollee whose token was accepted.
struct Caller {
    version: Version,
    enrollee: usize,
    patient: String,
    /// Whether this version knows the person. An unknown person can reach only userinfo.
    is_known: bool,
    /// Whether claims labeled as substance use treatment are hidden from this token (v3).
    without_samhsa: bool,
    /// Whether the app may see only drug events (v3).
    only_drugs: bool,
    now: Timestamp,
}

const FHIR: &str = "application/fhir+json";

const RESOURCES: [&str; 3] = ["Patient", "Coverage", "ExplanationOfBenefit"];
/// This resource is behind a switch, for aligned networks. Only their tokens may have a scope for it.
const AUDIT: &str = "AuditEvent";

/// Answers every request below `/vN/fhir/` that needs a token.
pub(super) fn respond(
    shared: &Shared,
    request: &Request,
    version: Version,
    rest: &str,
    faults: &ActiveFaults,
) -> Response {
    let rest = decoded(rest);
    let rest = rest.trim_end_matches('/');
    let (resource, id) = rest.split_once('/').map_or((rest, None), |(resource, id)| (resource, Some(id)));
    let is_audit = version == Version::V3 && rest.contains(AUDIT) && shared.world().switches.enable_auditevents;
    let needed = match (version, id) {
        (Version::V3, Some("$generate-insurance-card")) if resource == "Patient" => RequiredScope::Card,
        (_, Some(_)) if RESOURCES.contains(&resource) => RequiredScope::Read(resource),
        (_, None) if RESOURCES.contains(&resource) => RequiredScope::Search(resource),
        // The real routes match anywhere in the path, but the paths that scopes cover must match as a whole.
        _ if is_audit || RESOURCES.iter().any(|known| rest.contains(known)) => RequiredScope::Nothing,
        _ => return Response::html(404, html::no_such_page()),
    };
    let response = match renderer(request) {
        None => Response::detail(406, "Could not satisfy the request Accept header."),
        Some(Renderer { media_type, indent }) => {
            let response = respond_below(shared, request, (version, resource, id), needed, faults);
            match indent {
                _ if response.is_uncaught() => response,
                None => response.with_type(media_type),
                Some(blanks) => response.with_type(media_type).indented(blanks),
            }
        }
    };
    if response.is_uncaught() { response } else { response.with("allow", "GET, HEAD, OPTIONS") }
}

/// The decoded path: `%24` is the dollar sign of the insurance card's path.
fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    // Decoded like the value of a form, except that `+`, `&` and `=` stand for themselves.
    let field = path.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let pair = form_urlencoded::parse(field.as_bytes()).next();
    Cow::Owned(pair.map_or(String::new(), |(path, _)| path.into_owned()))
}

fn respond_below(
    shared: &Shared,
    request: &Request,
    (version, resource, id): (Version, &str, Option<&str>),
    needed: RequiredScope<'_>,
    faults: &ActiveFaults,
) -> Response {
    let caller = match authorized(shared, request, version, needed, faults) {
        Err(refusal) => return refusal,
        Ok(caller) => caller,
    };
    let bucket = {
        let world = &mut *shared.world();
        let now = world.now();
        world.throttle.call(request.bearer().unwrap_or_default(), now)
    };
    let response = match (faults.failure(version), id) {
        _ if bucket.remaining.is_none() => {
            let wait = bucket.reset.ceil();
            let words = format!("Request was throttled. Expected available in {wait} seconds.");
            Response::detail(429, &words).with("retry-after", wait.to_string())
        }
        // Only a page has entries.
        (Some(failure), id) if failure != Failure::ForeignEntry || id.is_none() => failure.of_fhir(version),
        // There is no data for this version.
        _ if !shared.records.serves(version) => Failure::Status(502, Form::Html).of_fhir(version),
        (_, Some("$generate-insurance-card")) if version == Version::V3 => {
            let call = shared.world().next_card(caller.enrollee);
            let card = shared.records.insurance_card(caller.enrollee, call);
            card.map_or_else(|| Response::detail(404, "Not found."), |card| Response::fhir(200, card))
        }
        (_, Some(id)) => read::respond(shared, &caller, resource, id),
        (_, None) => search::respond(shared, &narrowed(request, &caller, resource), &caller, resource, faults),
    };
    let numbers = [bucket.limit.to_string(), bucket.remaining.unwrap_or(0).to_string(), format!("{:?}", bucket.reset)];
    LIMITS.into_iter().zip(numbers).fold(response, |response, (name, value)| response.with(name, value))
}

/// What the gateway asks of v3's data back end instead of the original request: without what the enrollee withholds,
/// and for an app of Part D only drug events.
fn narrowed<'a>(request: &'a Request, caller: &Caller, resource: &str) -> Cow<'a, Request> {
    if caller.version != Version::V3 || resource != "ExplanationOfBenefit" {
        return Cow::Borrowed(request);
    }
    let mut asked = request.clone();
    if caller.without_samhsa {
        asked.query.retain(|(name, _)| name != "_security:not");
        asked.query.push(("_security:not".to_owned(), "42CFRPart2".to_owned()));
    }
    if caller.only_drugs {
        asked.query.retain(|(name, _)| name != "_tag" && name != "_source");
        asked.query.push(("_source".to_owned(), "DDPS".to_owned()));
    } else if asked.query("_source").is_none() && asked.query("_tag").is_none() {
        asked.query.push(("_source".to_owned(), "NCH,DDPS".to_owned()));
    }
    Cow::Owned(asked)
}

/// How the JSON of an answer is formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Renderer {
    media_type: &'static str,
    /// Blanks per level of indentation; none for compact JSON.
    indent: Option<usize>,
}

/// The media type of the answer, even of a refusal: it is chosen before anything else is checked. The most specific
/// of the requested types counts, whatever their weights. With `; indent=2`, the JSON is written over several lines,
/// with at most eight blanks per level (Django REST framework's rules).
fn renderer(request: &Request) -> Option<Renderer> {
    const JSON: &str = "application/json";
    let Some(accept) = request.header("accept") else { return Some(Renderer { media_type: FHIR, indent: None }) };
    let asked: Vec<AcceptedType> = accept.split(',').map(AcceptedType::read).collect();
    (0..=3).rev().find_map(|exact| {
        [FHIR, JSON].into_iter().find_map(|media_type| {
            let wanted = asked.iter().find(|wanted| wanted.exact == exact && wanted.fits(media_type))?;
            Some(Renderer { media_type, indent: wanted.indent })
        })
    })
}

/// One media type of an `Accept` header.
struct AcceptedType {
    name: String,
    /// 3 with parameters, 2 without, 1 with `*` as the second half, 0 with `*/*`.
    exact: u8,
    indent: Option<usize>,
}

impl AcceptedType {
    fn read(text: &str) -> Self {
        const DEEPEST: i64 = 8;
        let mut words = text.split(';').map(str::trim);
        let name = words.next().unwrap_or_default().to_ascii_lowercase();
        let pairs = words.filter_map(|word| word.split_once('='));
        let pairs: Vec<_> = pairs.map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim())).collect();
        let exact = match name.split_once('/') {
            Some(("*", _)) => 0,
            Some((_, "*")) => 1,
            _ if pairs.iter().all(|(key, _)| key == "q") => 2,
            _ => 3,
        };
        let asked = pairs.iter().rev().find(|(key, _)| key == "indent");
        let blanks = asked.and_then(|(_, blanks)| blanks.trim_matches('"').trim().parse::<i64>().ok());
        let indent = blanks.and_then(|blanks| usize::try_from(blanks.min(DEEPEST)).ok()).filter(|blanks| *blanks > 0);
        Self { name, exact, indent }
    }

    fn fits(&self, media_type: &str) -> bool {
        let (Some((kind, part)), Some((our_kind, our_part))) = (self.name.split_once('/'), media_type.split_once('/'))
        else {
            return false;
        };
        (kind == "*" || kind == our_kind) && (part == "*" || part == our_part)
    }
}

/// The scope that a request needs.
#[derive(Clone, Copy)]
enum RequiredScope<'a> {
    Read(&'a str),
    Search(&'a str),
    /// The insurance card of v3, which needs Patient and Coverage.
    Card,
    Profile,
    /// A path that no scope covers.
    Nothing,
}

impl RequiredScope<'_> {
    fn is_claims(self) -> bool {
        matches!(self, Self::Read("ExplanationOfBenefit") | Self::Search("ExplanationOfBenefit"))
    }

    fn is_in(self, scopes: &BTreeSet<String>) -> bool {
        let any = |resource: &str, verbs: [&str; 3]| {
            verbs.iter().any(|verb| scopes.contains(&format!("patient/{resource}.{verb}")))
        };
        match self {
            Self::Read(resource) => any(resource, ["read", "rs", "r"]),
            Self::Search(resource) => any(resource, ["read", "rs", "s"]),
            Self::Card => Self::Read("Patient").is_in(scopes) && Self::Search("Coverage").is_in(scopes),
            Self::Profile => scopes.contains("profile"),
            Self::Nothing => false,
        }
    }
}

/// Whether claims are refused to this token, because v1 and v2 cannot leave out what it must not see. An app limited
/// to Part D may see only drug claims, and a person who logged in at v3 may have withheld substance use treatment
/// data.
///
/// The API page lists both refusals under v1 and v2 (its 4.4) and calls the check the "v2 EOB rule" (its 4.1). But
/// that is only its name: in the web server's `apps/fhir/bluebutton/permissions.py`, v3 alone passes
/// `V2ExplanationOfBenefitPermission`. There are recordings of v2 and v3.
fn hides_claims(version: Version, needed: RequiredScope<'_>, part_d: bool, samhsa: Option<bool>) -> bool {
    version != Version::V3 && needed.is_claims() && (part_d || samhsa == Some(false))
}

/// The checks of the real server in its order: token, app, grant, scope and method.
fn authorized(
    shared: &Shared,
    request: &Request,
    version: Version,
    needed: RequiredScope<'_>,
    faults: &ActiveFaults,
) -> Result<Caller, Response> {
    const NONE: &str = "Authentication credentials were not provided.";
    if request.query("access_token").is_some() {
        let words =
            "Using the access token in the query parameters is not supported. Use the Authorization header instead";
        return Err(Response::detail(400, words));
    }
    let refuse =
        |challenge: &str, words: &str| Err(Response::detail(401, words).with("www-authenticate", challenge.to_owned()));
    let Some(token) = request.bearer() else {
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
    let app = &world.apps[known.grant_key.app];
    if !app.active || faults.has(Condition::Inactive) {
        return refuse(r#"Bearer realm="api""#, &app.inactive());
    }
    let forbidden = || Err(Response::detail(403, "You do not have permission to perform this action."));
    let standing = world.login_visits.standing(known.grant_key.enrollee);
    let is_person =
        !matches!((standing, version), (Standing::OnlyV2, Version::V3) | (Standing::OnlyV3, Version::V1 | Version::V2));
    if !is_person && !matches!(needed, RequiredScope::Profile) {
        return forbidden();
    }
    match world.grant(known.grant_key) {
        GrantState::Living => {}
        GrantState::Over => {
            let words = "User access has timed out. To refresh Medicare data, end user must re-authenticate and consent to share their data.";
            return refuse(r#"Bearer realm="api""#, words);
        }
        GrantState::Gone => return forbidden(),
    }
    // These views do not even read a form, and scopes cover only GET.
    let form = request.header("content-type").filter(|kind| request.method == "POST" && !kind.contains("json"));
    if let Some(form) = form {
        return Err(Response::detail(415, &format!("Unsupported media type \"{form}\" in request.")));
    }
    if !needed.is_in(&known.approval.scopes) || request.method != "GET" {
        return forbidden();
    }
    // This check does not apply to the card.
    let gated = version == Version::V3 && !matches!(needed, RequiredScope::Card);
    if gated && faults.has(Condition::V3Closed) {
        return Err(Response::detail(403, &app.too_early()));
    }
    if hides_claims(version, needed, app.part_d, known.approval.samhsa) {
        return forbidden();
    }
    let person = shared.records.enrollee(known.grant_key.enrollee);
    Ok(Caller {
        enrollee: known.grant_key.enrollee,
        version,
        patient: version.patient(&person),
        is_known: is_person,
        without_samhsa: known.approval.samhsa == Some(false),
        only_drugs: app.part_d,
        now: world.now(),
    })
}

/// `/vN/connect/userinfo`
pub(super) fn userinfo(shared: &Shared, request: &Request, version: Version, faults: &ActiveFaults) -> Response {
    let caller = authorized(shared, request, version, RequiredScope::Profile, faults);
    let response = caller.map(|caller| {
        let person = shared.records.enrollee(caller.enrollee);
        let mut fields = vec![
            ("sub", json!(if caller.is_known { &caller.patient } else { &person.username })),
            ("name", json!(person.name)),
            ("given_name", json!(person.given_name)),
            ("family_name", json!(person.family_name)),
            ("email", json!(person.email)),
            ("iat", json!("2026-11-01T12:00:00.000Z")),
        ];
        fields.extend(caller.is_known.then(|| ("patient", json!(caller.patient))));
        Response::spaced(200, &fields)
    });
    response.unwrap_or_else(|refusal| refusal).with_type("application/json").with("allow", "OPTIONS, GET")
}

/// A time in the data back end's format.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::http::{HeaderMap, HeaderValue, Method};

    use super::*;

    #[test]
    fn the_most_exact_media_type_counts_in_any_case() {
        let renderer = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("accept", HeaderValue::from_static(accept));
            let (path, raw_query) = (String::new(), String::new());
            let request = Request {
                method: Method::GET,
                path,
                raw_query,
                query: Vec::new(),
                headers,
                body: Vec::new(),
                arrived: Instant::now(),
            };
            renderer(&request).map(|Renderer { media_type, indent }| (media_type, indent))
        };
        const JSON: &str = "application/json";
        for (accept, expected) in [
            ("APPLICATION/JSON", Some((JSON, None))),
            ("Application/FHIR+json", Some((FHIR, None))),
            ("*/*, application/json", Some((JSON, None))),
            ("application/*, application/json;q=0.1", Some((JSON, None))),
            ("application/json, application/fhir+json", Some((FHIR, None))),
            ("application/fhir+json, application/json; indent=2", Some((JSON, Some(2)))),
            ("application/json; indent=\"4\"", Some((JSON, Some(4)))),
            ("application/json;Indent=99", Some((JSON, Some(8)))),
            ("application/json; indent=-1", Some((JSON, None))),
            ("*/*; indent=2", Some((FHIR, Some(2)))),
            ("*/json", Some((JSON, None))),
            ("text/html, application/xml", None),
            ("", None),
        ] {
            assert_eq!(renderer(accept), expected, "{accept}");
        }
    }
}
