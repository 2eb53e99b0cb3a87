//! From a socket to the room that answers: reading requests, routes, and the faults that hit any of them.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Request, Response},
};
use serde_json::json;
use tokio::net::TcpListener;

use super::{
    Shared, control,
    faults::Kind,
    fhir,
    http::{Answer, Ask, Break, LIMITS, last},
    oauth::{authorize, discovery, revoke, token},
    pages, signin,
    version::Version,
};

/// No request of this API is larger.
const LARGEST_REQUEST: usize = 1 << 20;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    axum::serve(listener, Router::new().fallback(handle).with_state(shared)).await
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return Answer::html(413, pages::refused("413 Content Too Large")).into_response(false);
    };
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let ask = Ask {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
        raw_query,
        headers: parts.headers,
        body: body.to_vec(),
    };
    let accepts_gzip = ask.header("accept-encoding").is_some_and(|value| value.contains("gzip"));
    if let Some(what) = ask.path.strip_prefix("/__mock/") {
        return control::answer(&shared, &ask, what).into_response(accepts_gzip);
    }
    // With the query, so that a fault can be about one page.
    let faults = shared.world().struck(&format!("{}?{}", ask.path, ask.raw_query));
    if !shared.latency.is_zero() {
        tokio::time::sleep(shared.latency).await;
    }
    if faults.contains(&Kind::Hang) {
        shared.world().note(&ask, 0);
        return std::future::pending().await;
    }
    let answer = damaged(answered(&shared, &ask, &faults), &faults);
    shared.world().note(&ask, answer.status);
    if let Some(late) = faults.iter().find_map(|fault| if let Kind::Late(late) = fault { Some(*late) } else { None }) {
        tokio::time::sleep(Duration::from_millis(late)).await;
    }
    answer.into_response(accepts_gzip)
}

/// The answer, before anything is done to its bytes.
fn answered(shared: &Shared, ask: &Ask, faults: &[Kind]) -> Answer {
    strike(shared, ask, faults);
    faults.iter().find_map(instead).unwrap_or_else(|| route(shared, ask, faults))
}

/// Faults that change the world before the request is looked at.
fn strike(shared: &Shared, ask: &Ask, faults: &[Kind]) {
    let form = ask.form();
    let world = &mut *shared.world();
    // A refresh has no bearer token, but is somebody's too.
    let refresh = last(&form, "refresh_token");
    let Some(token) = ask.bearer().or(refresh) else { return };
    let whose = world.token(token).map(|token| token.whose);
    let Some(whose) = whose.or_else(|| world.refresh(token).map(|token| token.whose)) else { return };
    for fault in faults {
        match fault {
            Kind::ExpireToken => world.expire(token),
            Kind::RevokeToken => {
                world.kill_pair(token);
            }
            Kind::RevokeGrant => world.delete_grant(whose),
            Kind::GrantOver => world.end_grant(whose),
            _ => {}
        }
    }
}

/// Faults that answer in place of the server, with the real server's bodies.
fn instead(fault: &Kind) -> Option<Answer> {
    let words = |status: u16| match status {
        400 => json!({"detail": "An error occurred contacting the upstream server:Too many requests"}),
        401 => json!({"detail": "Authentication credentials were not provided."}),
        403 => json!({"detail": "You do not have permission to perform this action."}),
        404 => json!({"detail": "Not found."}),
        500 => json!({"error": "Server Error (500)"}),
        502 => json!({"detail": "A failure occurred contacting the upstream server"}),
        503 => json!({"detail": "Service temporarily unavailable, try again later."}),
        _ => json!({"detail": "Something went wrong."}),
    };
    match fault {
        Kind::Status(status) => Some(Answer::new(*status, "application/json", words(*status).to_string())),
        Kind::Throttle(seconds) => {
            let words = format!("Request was throttled. Expected available in {seconds} seconds.");
            let answer = Answer::detail(429, &words).with("retry-after", seconds.to_string());
            let limits = ["100000".to_owned(), "0".to_owned(), format!("{seconds}.0")];
            Some(LIMITS.into_iter().zip(limits).fold(answer, |answer, (name, value)| answer.with(name, value)))
        }
        Kind::Html(status) => Some(Answer::html(*status, pages::refused("The CDN cannot reach its origin."))),
        Kind::Redirect(to) => Some(Answer::redirect(302, to)),
        _ => None,
    }
}

/// Faults that damage the bytes of an answer.
fn damaged(mut answer: Answer, faults: &[Kind]) -> Answer {
    if faults.contains(&Kind::Truncate) {
        answer.body.truncate(answer.body.len() / 2);
    }
    // The quote in the middle: what follows it is text where structure was, and the other way round.
    let middle = answer.body.len() / 2;
    let quote = answer.body.iter().skip(middle).position(|byte| *byte == b'"').map(|at| middle + at);
    if let Some(quote) = quote {
        if faults.contains(&Kind::Corrupt) {
            answer.body[quote] = b'#';
        }
        if faults.contains(&Kind::InvalidUtf8) {
            answer.body[quote - 1] = 0xff;
        }
    }
    let huge = faults.iter().find_map(|fault| if let Kind::Huge(megabytes) = fault { Some(*megabytes) } else { None });
    if let Some(megabytes) = huge {
        const RESOURCE: &[u8] = br#"{"resource":{"#;
        let at =
            answer.body.windows(RESOURCE.len()).position(|window| window == RESOURCE).map(|at| at + RESOURCE.len());
        let megabytes = usize::try_from(megabytes).unwrap_or(0);
        if let Some(at) = at {
            let padding = format!(r#""padding":"{}","#, "x".repeat(megabytes * 1_000_000));
            answer.body.splice(at..at, padding.into_bytes());
        }
    }
    if faults.contains(&Kind::Close) {
        answer.breaks = Some(Break::Within);
    }
    answer
}

fn route(shared: &Shared, ask: &Ask, faults: &[Kind]) -> Answer {
    let no_such_page = || Answer::html(404, pages::no_such_page());
    let Some((version, rest)) = Version::of(&ask.path) else {
        return unversioned(shared, ask, faults).unwrap_or_else(no_such_page);
    };
    if version == Version::V3 && faults.contains(&Kind::V3Off) {
        return no_such_page();
    }
    match rest {
        "o/authorize" | "o/revoke" | "o/revoke_token" | "o/introspect" => {
            let mark = if ask.raw_query.is_empty() { "" } else { "?" };
            Answer::redirect(301, &format!("/{}/{rest}/{mark}{}", version.name(), ask.raw_query))
        }
        "o/authorize/" => authorize::begin(shared, ask, version, faults),
        "o/token" | "o/token/" => token::token(shared, ask, version, faults),
        "o/revoke/" => revoke::with_grant(shared, ask),
        "o/revoke_token/" => revoke::tokens(shared, ask, faults),
        "o/introspect/" => revoke::introspect(shared, ask),
        "connect/userinfo" | "connect/userinfo/" => fhir::userinfo(shared, ask, version, faults),
        "connect/.well-known/openid-configuration" => discovery::openid(shared.url(), version, ask),
        "fhir/.well-known/smart-configuration" => discovery::smart(shared.url(), version, ask),
        "fhir/metadata" => discovery::metadata(shared.url(), version, ask),
        _ => {
            if let Some(uuid) = rest.strip_prefix("o/authorize/").and_then(|rest| rest.strip_suffix('/')) {
                return authorize::consent(shared, ask, version, uuid);
            }
            let expired = rest.strip_prefix("o/expire_authenticated_user/").and_then(|rest| rest.strip_suffix('/'));
            if let Some(patient) = expired {
                return revoke::expire(shared, ask, version, patient);
            }
            rest.strip_prefix("fhir/")
                .map_or_else(no_such_page, |rest| fhir::answer(shared, ask, version, rest, faults))
        }
    }
}

fn unversioned(shared: &Shared, ask: &Ask, faults: &[Kind]) -> Option<Answer> {
    match ask.path.as_str() {
        "/.well-known/openid-configuration" | "/.well-known/openid-configuration-v2" => {
            Some(discovery::openid(shared.url(), Version::V2, ask))
        }
        "/.well-known/openid-configuration-v3" if !faults.contains(&Kind::V3Off) => {
            Some(discovery::openid(shared.url(), Version::V3, ask))
        }
        "/.well-known/public-applications" => Some(discovery::apps(shared.url(), &shared.world().apps, ask)),
        "/mymedicare/login" => Some(signin::login(shared, ask)),
        "/sso/authorize" => Some(signin::choose(shared, ask)),
        "/login/" => Some(signin::chosen(shared, ask)),
        "/mymedicare/sls-callback" => Some(signin::back(shared, ask)),
        "/robots.txt" => {
            Some(Answer::new(200, "text/plain", "User-agent: *\nDisallow: /v1/o/\nDisallow: /v2/o/\nDisallow: /v3/o/"))
        }
        path => path
            .strip_prefix("/health")
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .map(|rest| health(rest, faults).with("allow", "GET, HEAD, OPTIONS")),
    }
}

/// Well, unless the data back end was asked about and is failing.
fn health(check: &str, faults: &[Kind]) -> Answer {
    let failing = faults.iter().any(|fault| matches!(fault, Kind::Backend(_)));
    if failing && matches!(check.trim_end_matches('/'), "/bfd" | "/bfd_v2" | "/external" | "/external_v2") {
        return Answer::new(
            503,
            "application/json",
            r#"{"detail":"Service temporarily unavailable, try again later."}"#,
        );
    }
    Answer::new(200, "application/json", r#"{"message":"all's well"}"#)
}
