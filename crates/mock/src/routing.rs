//! From a socket to the module that answers: reads requests, finds the route, and applies faults.

use std::{io, sync::Arc, time::Instant};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, State},
    http::{Request as HttpRequest, Response as HttpResponse},
};
use tokio::net::TcpListener;
use url::{Host, Url};

use super::{
    Shared,
    backend::{self, Failure},
    consents, control,
    faults::{ActiveFaults, Condition},
    fhir, html,
    http::{Request, Response},
    oauth::{authorize, discovery, revoke, token},
    signin,
    version::Version,
    wire::{ClosableListener, Wire},
};

/// No request of this API is larger.
const LARGEST_REQUEST: usize = 1 << 20;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let service = Router::new().fallback(handle).with_state(shared);
    axum::serve(ClosableListener::new(listener)?, service.into_make_service_with_connect_info::<Wire>()).await
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    incoming: HttpRequest<Body>,
) -> HttpResponse<Body> {
    let (parts, body) = incoming.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return Response::html(413, html::refused("413 Content Too Large")).into_response(false);
    };
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
        raw_query,
        headers: parts.headers,
        body: body.to_vec(),
        arrived: Instant::now(),
    };
    // A web page that makes a browser send requests here (DNS rebinding) uses its own host name.
    let is_here = |host: &str| Url::parse(&format!("http://{host}")).is_ok_and(|url| is_loopback(&url));
    let foreign = request.header("host").is_some_and(|host| !is_here(host));
    let stranger = |origin: &str| !Url::parse(origin).is_ok_and(|url| is_loopback(&url));
    if foreign || (request.path.starts_with("/__mock/") && request.header("origin").is_some_and(stranger)) {
        return Response::html(400, html::refused("400 Bad Request")).into_response(false);
    }
    let accepts_gzip = request.header("accept-encoding").is_some_and(|value| value.contains("gzip"));
    if let Some(what) = request.path.strip_prefix("/__mock/") {
        if request.method == "POST" && what == "consents" {
            let refused = |why| control::refused(why).into_response(accepts_gzip);
            return consents::respond(&shared, &request).unwrap_or_else(refused);
        }
        return control::respond(&shared, &request, what).into_response(accepts_gzip);
    }
    // With the query, so that a fault can apply to one page.
    let faults = shared.world().struck(&format!("{}?{}", request.path, request.raw_query));
    if !shared.latency.is_zero() {
        tokio::time::sleep(shared.latency).await;
    }
    if faults.hangs() {
        shared.world().log.note(&request, 0);
        return std::future::pending().await;
    }
    let mut response = respond(&shared, &request, &faults);
    faults.in_text(&mut response);
    // By the mock's clock, which may have been moved.
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&shared.world().now());
    response.headers.extend(date.ok().map(|date| ("date", date)));
    shared.world().log.note(&request, response.status);
    if !faults.lateness().is_zero() {
        tokio::time::sleep(faults.lateness()).await;
    }
    faults.on_the_wire(response.into_response(accepts_gzip), &wire).await
}

/// The response, before faults change its bytes.
fn respond(shared: &Shared, request: &Request, faults: &ActiveFaults) -> Response {
    faults.before(shared, request);
    faults.instead().unwrap_or_else(|| route(shared, request, faults))
}

fn route(shared: &Shared, request: &Request, faults: &ActiveFaults) -> Response {
    let no_such_page = || Response::html(404, html::no_such_page());
    let Some((version, rest)) = Version::of(&request.path) else {
        return unversioned(shared, request, faults).unwrap_or_else(no_such_page);
    };
    if version == Version::V3 && faults.has(Condition::V3Off) {
        return no_such_page();
    }
    match rest {
        "o/authorize" | "o/revoke" | "o/revoke_token" | "o/introspect" => {
            let mark = if request.raw_query.is_empty() { "" } else { "?" };
            Response::redirect(301, &format!("/{}/{rest}/{mark}{}", version.name(), request.raw_query))
        }
        "o/authorize/" => authorize::begin(shared, request, version, faults),
        "o/token" | "o/token/" => token::token(shared, request, version, faults),
        "o/revoke/" => revoke::with_grant(shared, request),
        "o/revoke_token/" => revoke::tokens(shared, request, faults),
        "o/introspect/" => revoke::introspect(shared, request),
        "connect/userinfo" | "connect/userinfo/" => fhir::userinfo(shared, request, version, faults),
        "connect/.well-known/openid-configuration" => discovery::openid(shared.url(), version, request),
        "fhir/.well-known/smart-configuration" => discovery::smart(shared.url(), version, request),
        "fhir/metadata" => faults.failure(version).and_then(Failure::of_metadata).unwrap_or_else(|| {
            let has_audit = shared.world().switches.enable_auditevents;
            discovery::metadata(shared.url(), version, has_audit, request)
        }),
        "o/permission-logout" if version == Version::V3 => signin::switch_account(shared, request),
        _ => {
            if let Some(uuid) = rest.strip_prefix("o/authorize/").and_then(|rest| rest.strip_suffix('/')) {
                return authorize::consent(shared, request, version, uuid);
            }
            let expired = rest.strip_prefix("o/expire_authenticated_user/").and_then(|rest| rest.strip_suffix('/'));
            if let Some(patient) = expired.filter(|_| shared.world().switches.expire_grant_endpoint) {
                return revoke::expire(shared, request, version, patient);
            }
            rest.strip_prefix("fhir/")
                .map_or_else(no_such_page, |rest| fhir::respond(shared, request, version, rest, faults))
        }
    }
}

fn unversioned(shared: &Shared, request: &Request, faults: &ActiveFaults) -> Option<Response> {
    match request.path.as_str() {
        "/.well-known/openid-configuration" | "/.well-known/openid-configuration-v2" => {
            Some(discovery::openid(shared.url(), Version::V2, request))
        }
        "/.well-known/openid-configuration-v3" if !faults.has(Condition::V3Off) => {
            Some(discovery::openid(shared.url(), Version::V3, request))
        }
        path if path.starts_with("/.well-known/") => apps(shared, path.trim_start_matches("/.well-known/"), request),
        "/mymedicare/login" => Some(signin::login(shared, request)),
        "/sso/authorize" => Some(signin::choose(shared, request)),
        "/login/" => Some(signin::chosen(shared, request)),
        "/mymedicare/sls-callback" => Some(signin::back(shared, request, faults)),
        "/robots.txt" => Some(Response::new(
            200,
            "text/plain",
            "User-agent: *\nDisallow: /v1/o/\nDisallow: /v2/o/\nDisallow: /v3/o/",
        )),
        _ => backend::health(request, faults.outages()),
    }
}

/// The lists of apps. Each one has a second name for v2.
fn apps(shared: &Shared, list: &str, request: &Request) -> Option<Response> {
    let world = shared.world();
    if !world.switches.wellknown_applications {
        return None;
    }
    match list.strip_suffix("-v2").unwrap_or(list) {
        "public-applications" => Some(discovery::public_apps(shared.url(), &world.apps, request)),
        "applications" => Some(discovery::apps(shared.url(), &world.apps, request)),
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
