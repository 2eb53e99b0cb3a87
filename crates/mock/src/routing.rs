//! From a socket to the module that answers: reading requests, routes, and the faults that hit any of them.

use std::{io, sync::Arc, time::Instant};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, State},
    http::{Request, Response},
};
use tokio::net::TcpListener;
use url::{Host, Url};

use super::{
    Shared,
    backend::{self, Failure},
    consents, control,
    faults::{Condition, Struck},
    fhir, html,
    http::{Answer, Ask},
    oauth::{authorize, discovery, revoke, token},
    signin,
    version::Version,
    wire::{Door, Wire},
};

/// No request of this API is larger.
const LARGEST_REQUEST: usize = 1 << 20;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let service = Router::new().fallback(handle).with_state(shared);
    axum::serve(Door::new(listener)?, service.into_make_service_with_connect_info::<Wire>()).await
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return Answer::html(413, html::refused("413 Content Too Large")).into_response(false);
    };
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let ask = Ask {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
        raw_query,
        headers: parts.headers,
        body: body.to_vec(),
        arrived: Instant::now(),
    };
    // A page of the internet that gets a browser to ask here (DNS rebinding) asks under its own name.
    let is_here = |host: &str| Url::parse(&format!("http://{host}")).is_ok_and(|url| is_loopback(&url));
    let foreign = ask.header("host").is_some_and(|host| !is_here(host));
    let stranger = |origin: &str| !Url::parse(origin).is_ok_and(|url| is_loopback(&url));
    if foreign || (ask.path.starts_with("/__mock/") && ask.header("origin").is_some_and(stranger)) {
        return Answer::html(400, html::refused("400 Bad Request")).into_response(false);
    }
    let accepts_gzip = ask.header("accept-encoding").is_some_and(|value| value.contains("gzip"));
    if let Some(what) = ask.path.strip_prefix("/__mock/") {
        if ask.method == "POST" && what == "consents" {
            let refused = |why| control::refused(why).into_response(accepts_gzip);
            return consents::answer(&shared, &ask).unwrap_or_else(refused);
        }
        return control::answer(&shared, &ask, what).into_response(accepts_gzip);
    }
    // With the query, so that a fault can be about one page.
    let faults = shared.world().struck(&format!("{}?{}", ask.path, ask.raw_query));
    if !shared.latency.is_zero() {
        tokio::time::sleep(shared.latency).await;
    }
    if faults.hangs() {
        shared.world().log.note(&ask, 0);
        return std::future::pending().await;
    }
    let mut answer = answered(&shared, &ask, &faults);
    faults.in_text(&mut answer);
    // By the mock's clock, which may have been moved.
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&shared.world().now());
    answer.headers.extend(date.ok().map(|date| ("date", date)));
    shared.world().log.note(&ask, answer.status);
    if !faults.lateness().is_zero() {
        tokio::time::sleep(faults.lateness()).await;
    }
    faults.on_the_wire(answer.into_response(accepts_gzip), &wire).await
}

/// The answer, before anything is done to its bytes.
fn answered(shared: &Shared, ask: &Ask, faults: &Struck) -> Answer {
    faults.before(shared, ask);
    faults.instead().unwrap_or_else(|| route(shared, ask, faults))
}

fn route(shared: &Shared, ask: &Ask, faults: &Struck) -> Answer {
    let no_such_page = || Answer::html(404, html::no_such_page());
    let Some((version, rest)) = Version::of(&ask.path) else {
        return unversioned(shared, ask, faults).unwrap_or_else(no_such_page);
    };
    if version == Version::V3 && faults.has(Condition::V3Off) {
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
        "fhir/metadata" => faults.failure(version).and_then(Failure::of_metadata).unwrap_or_else(|| {
            let has_audit = shared.world().switches.enable_auditevents;
            discovery::metadata(shared.url(), version, has_audit, ask)
        }),
        "o/permission-logout" if version == Version::V3 => signin::switch_account(shared, ask),
        _ => {
            if let Some(uuid) = rest.strip_prefix("o/authorize/").and_then(|rest| rest.strip_suffix('/')) {
                return authorize::consent(shared, ask, version, uuid);
            }
            let expired = rest.strip_prefix("o/expire_authenticated_user/").and_then(|rest| rest.strip_suffix('/'));
            if let Some(patient) = expired.filter(|_| shared.world().switches.expire_grant_endpoint) {
                return revoke::expire(shared, ask, version, patient);
            }
            rest.strip_prefix("fhir/")
                .map_or_else(no_such_page, |rest| fhir::answer(shared, ask, version, rest, faults))
        }
    }
}

fn unversioned(shared: &Shared, ask: &Ask, faults: &Struck) -> Option<Answer> {
    match ask.path.as_str() {
        "/.well-known/openid-configuration" | "/.well-known/openid-configuration-v2" => {
            Some(discovery::openid(shared.url(), Version::V2, ask))
        }
        "/.well-known/openid-configuration-v3" if !faults.has(Condition::V3Off) => {
            Some(discovery::openid(shared.url(), Version::V3, ask))
        }
        path if path.starts_with("/.well-known/") => apps(shared, path.trim_start_matches("/.well-known/"), ask),
        "/mymedicare/login" => Some(signin::login(shared, ask)),
        "/sso/authorize" => Some(signin::choose(shared, ask)),
        "/login/" => Some(signin::chosen(shared, ask)),
        "/mymedicare/sls-callback" => Some(signin::back(shared, ask, faults)),
        "/robots.txt" => {
            Some(Answer::new(200, "text/plain", "User-agent: *\nDisallow: /v1/o/\nDisallow: /v2/o/\nDisallow: /v3/o/"))
        }
        _ => backend::health(ask, faults.outages()),
    }
}

/// The lists of apps, which v2 has under a second name.
fn apps(shared: &Shared, list: &str, ask: &Ask) -> Option<Answer> {
    let world = shared.world();
    if !world.switches.wellknown_applications {
        return None;
    }
    match list.strip_suffix("-v2").unwrap_or(list) {
        "public-applications" => Some(discovery::public_apps(shared.url(), &world.apps, ask)),
        "applications" => Some(discovery::apps(shared.url(), &world.apps, ask)),
        "application-labels" => Some(discovery::labels()),
        _ => None,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
