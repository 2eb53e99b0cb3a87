//! The stages of a request at which faults can strike: the world before the request is handled, the whole answer, a
//! page of a search, the tokens, the answer's text, and the bytes on the wire.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{
        Response as HttpResponse,
        header::{CONTENT_ENCODING, CONTENT_LENGTH},
        response::Parts,
    },
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    Shared,
    backend::{Failure, Outage},
    body::SlowBody,
    fhir::Bundle,
    http::{Request, Response, last},
    mutable_records::Load,
    version::Version,
    wire::Wire,
    world::{GrantKey, World},
};

type Act<T> = Arc<dyn Fn(&mut T) + Send + Sync>;

/// What a fault does, and at which stage.
#[derive(Clone)]
pub(super) enum Effect {
    /// Changes the world before the request is handled.
    World(Arc<dyn Fn(&mut Scene<'_>) + Send + Sync>),
    /// Makes a condition true for the request.
    Under(Condition),
    /// A data back end fails.
    Backend(Outage),
    /// Replaces the server's response.
    Instead(Arc<dyn Fn() -> Response + Send + Sync>),
    /// Changes a page of a search.
    Page(Arc<dyn Fn(&mut Bundle<'_>) + Send + Sync>),
    /// Changes the answer of the token endpoint.
    Tokens(Act<TokenResponse>),
    /// Changes an answer before it is compressed.
    Text(Act<Response>),
    /// Never responds.
    Hang,
    /// Delays the answer by this many milliseconds, from the first number to the second.
    Late(u64, u64),
    /// Affects the connection.
    Wire(Arc<dyn Fn(&Wire) + Send + Sync>),
    /// Changes the bytes that are sent.
    Bytes(Arc<dyn Fn(&mut Sent<'_>) + Send + Sync>),
}

impl Effect {
    pub(super) fn world(act: impl Fn(&mut Scene<'_>) + Send + Sync + 'static) -> Self {
        Self::World(Arc::new(act))
    }

    pub(super) fn instead(act: impl Fn() -> Response + Send + Sync + 'static) -> Self {
        Self::Instead(Arc::new(act))
    }

    pub(super) fn page(act: impl Fn(&mut Bundle<'_>) + Send + Sync + 'static) -> Self {
        Self::Page(Arc::new(act))
    }

    pub(super) fn tokens(act: impl Fn(&mut TokenResponse) + Send + Sync + 'static) -> Self {
        Self::Tokens(Arc::new(act))
    }

    pub(super) fn text(act: impl Fn(&mut Response) + Send + Sync + 'static) -> Self {
        Self::Text(Arc::new(act))
    }

    pub(super) fn wire(act: impl Fn(&Wire) + Send + Sync + 'static) -> Self {
        Self::Wire(Arc::new(act))
    }

    pub(super) fn bytes(act: impl Fn(&mut Sent<'_>) + Send + Sync + 'static) -> Self {
        Self::Bytes(Arc::new(act))
    }
}

/// A condition that a fault makes true for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The app is inactive.
    Inactive,
    /// API v3 is switched off.
    V3Off,
    /// API v3 is for other apps.
    V3Closed,
}

/// The state of the mock, and the enrollee of the request.
pub(super) struct Scene<'a> {
    pub world: &'a mut World,
    pub token: &'a str,
    pub grant_key: GrantKey,
    shared: &'a Shared,
}

impl Scene<'_> {
    /// Loads claims for the enrollee of the request. Nothing happens if the records have no more claims.
    pub(super) fn load(&self, load: Load) {
        let load = Load { enrollee: self.grant_key.enrollee, ..load };
        drop(self.shared.records.load(&load, self.world.now()));
    }
}

/// The answer of the token endpoint that delivers tokens.
pub(crate) struct TokenResponse {
    pub fields: Vec<(&'static str, Value)>,
    /// Whether it answers a refresh, and not the exchange of a code.
    pub is_refresh: bool,
    /// Whether the connection closes before the answer is sent.
    pub is_lost: bool,
}

/// A response that is about to be sent.
pub(super) struct Sent<'a> {
    head: &'a Parts,
    wire: &'a Wire,
    pub body: Bytes,
    /// How many bytes of the body are sent per second.
    pub drip: Option<usize>,
}

impl Sent<'_> {
    pub(super) fn is_compressed(&self) -> bool {
        self.head.headers.contains_key(CONTENT_ENCODING)
    }

    /// Sends it byte for byte (RFC 9112 section 2.1), with this `Content-Length`.
    pub(super) fn send_as(&mut self, length: i64) {
        let body = std::mem::take(&mut self.body);
        let mut bytes = format!("HTTP/1.1 {}\r\n{CONTENT_LENGTH}: {length}\r\n", self.head.status).into_bytes();
        for (name, value) in &self.head.headers {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body);
        self.wire.send(bytes.into());
    }
}

/// The faults that strike at this request.
#[derive(Default)]
pub(crate) struct ActiveFaults(pub(super) Vec<Effect>);

impl ActiveFaults {
    pub(crate) fn hangs(&self) -> bool {
        self.0.iter().any(|effect| matches!(effect, Effect::Hang))
    }

    /// The delay of the response.
    pub(crate) fn lateness(&self) -> Duration {
        let late = self.0.iter().find_map(|effect| if let Effect::Late(late, _) = effect { Some(*late) } else { None });
        Duration::from_millis(late.unwrap_or(0))
    }

    pub(crate) fn has(&self, condition: Condition) -> bool {
        self.0.iter().any(|effect| matches!(effect, Effect::Under(known) if *known == condition))
    }

    /// The back ends that fail.
    pub(crate) fn outages(&self) -> impl Iterator<Item = Outage> {
        self.0.iter().filter_map(|effect| if let Effect::Backend(outage) = effect { Some(*outage) } else { None })
    }

    /// How the back end of this version fails, if it does.
    pub(crate) fn failure(&self, version: Version) -> Option<Failure> {
        Failure::at(self.outages(), version)
    }

    /// Changes the world before the request is handled.
    pub(crate) fn before(&self, shared: &Shared, request: &Request) {
        let form = request.form();
        let world = &mut *shared.world();
        // A refresh has no bearer token, but belongs to an enrollee too.
        let refresh = last(&form, "refresh_token");
        let Some(token) = request.bearer().or(refresh) else { return };
        let grant_key = world.token(token).map(|token| token.grant_key);
        let Some(grant_key) = grant_key.or_else(|| world.refresh(token).map(|token| token.grant_key)) else { return };
        let mut scene = Scene { world, token, grant_key, shared };
        for effect in &self.0 {
            if let Effect::World(act) = effect {
                act(&mut scene);
            }
        }
    }

    /// The response in place of the server's.
    pub(crate) fn instead(&self) -> Option<Response> {
        self.0.iter().find_map(|effect| if let Effect::Instead(act) = effect { Some(act()) } else { None })
    }

    pub(crate) fn in_page(&self, bundle: &mut Bundle<'_>) {
        for effect in &self.0 {
            if let Effect::Page(act) = effect {
                act(bundle);
            }
        }
    }

    pub(crate) fn in_tokens(&self, response: &mut TokenResponse) {
        for effect in &self.0 {
            if let Effect::Tokens(act) = effect {
                act(response);
            }
        }
    }

    pub(crate) fn in_text(&self, response: &mut Response) {
        for effect in &self.0 {
            if let Effect::Text(act) = effect {
                act(response);
            }
        }
    }

    /// Applies faults below HTTP, just before the answer is sent.
    pub(crate) async fn on_the_wire(&self, mut response: HttpResponse<Body>, wire: &Wire) -> HttpResponse<Body> {
        for effect in &self.0 {
            match effect {
                Effect::Wire(act) => act(wire),
                Effect::Bytes(act) => {
                    let (head, body) = response.into_parts();
                    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
                    let mut sent = Sent { head: &head, wire, body, drip: None };
                    act(&mut sent);
                    let body = match sent {
                        Sent { body, drip: Some(rate), .. } => Body::new(SlowBody::new(body, rate)),
                        Sent { body, .. } => body.into(),
                    };
                    response = HttpResponse::from_parts(head, body);
                }
                _ => {}
            }
        }
        response
    }
}

/// A status, with the real server's body for it.
pub(super) fn plain_status(status: u16) -> Response {
    let words = match status {
        400 => json!({"detail": "An error occurred contacting the upstream server:Too many requests"}),
        401 => json!({"detail": "Authentication credentials were not provided."}),
        403 => json!({"detail": "You do not have permission to perform this action."}),
        404 => json!({"detail": "Not found."}),
        500 => json!({"error": "Server Error (500)"}),
        502 => json!({"detail": "A failure occurred contacting the upstream server"}),
        503 => json!({"detail": "Service temporarily unavailable, try again later."}),
        _ => json!({"detail": "Something went wrong."}),
    };
    Response::new(status, "application/json", words.to_string())
}

/// Changes the quotation mark in the middle of the body, so that text and structure change places after it.
pub(super) fn corrupt_middle(response: &mut Response, change: impl FnOnce(&mut [u8], usize)) {
    let middle = response.body.len() / 2;
    if let Some(quote) = response.body.iter().skip(middle).position(|byte| *byte == b'"') {
        change(&mut response.body, middle + quote);
    }
}

/// Makes the first resource of a page, or an answer without one, larger by this many bytes. The JSON may be indented.
pub(super) fn swell(body: &mut Vec<u8>, bytes: usize) {
    const RESOURCE: &[u8] = br#""resource":"#;
    let blanks = |at: usize| body[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let after = body.windows(RESOURCE.len()).position(|window| window == RESOURCE).map_or(0, |at| at + RESOURCE.len());
    let start = after + blanks(after);
    if body.get(start) != Some(&b'{') {
        return;
    }
    let first = start + 1 + blanks(start + 1);
    // An empty object needs no comma.
    if body.get(first) != Some(&b'"') {
        return;
    }
    let mut padding = br#""padding":""#.to_vec();
    padding.resize(padding.len() + bytes, b'x');
    padding.extend_from_slice(b"\",");
    padding.extend_from_slice(&body[start + 1..first]);
    body.splice(first..first, padding);
}
