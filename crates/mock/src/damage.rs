//! What faults do: to the world before a request is looked at, in place of its answer, to the answer's
//! text, and to the bytes on the wire.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{
        Response,
        header::{CONTENT_ENCODING, CONTENT_LENGTH},
    },
};
use jiff::SignedDuration;
use serde_json::json;

use super::{
    Shared,
    body::Dripping,
    faults::Kind,
    http::{Answer, Ask, Break, LIMITS, last},
    living::Load,
    pages,
    wire::Wire,
};

/// Faults that change the world before the request is looked at.
pub(super) fn to_the_world(shared: &Shared, ask: &Ask, faults: &[Kind]) {
    let form = ask.form();
    let world = &mut *shared.world();
    // A refresh has no bearer token, but is somebody's too.
    let refresh = last(&form, "refresh_token");
    let Some(token) = ask.bearer().or(refresh) else { return };
    let whose = world.token(token).map(|token| token.whose);
    let Some(whose) = whose.or_else(|| world.refresh(token).map(|token| token.whose)) else { return };
    let now = world.now();
    // A mock whose records have no more claims has no more to load.
    let load = |load: Load| drop(shared.records.load(&Load { enrollee: whose.enrollee, ..load }, now));
    for fault in faults {
        match fault {
            Kind::ExpireToken => world.expire(token),
            Kind::RevokeToken => {
                world.kill_pair(token);
            }
            Kind::RevokeGrant => world.delete_grant(whose),
            Kind::GrantOver => world.end_grant(whose),
            Kind::Load(claims) => load(Load { add: *claims, ..Load::default() }),
            Kind::Update(claims) => load(Load { update: *claims, ..Load::default() }),
            Kind::Supersede(claims) => load(Load { supersede: *claims, ..Load::default() }),
            Kind::LateLoad(seconds) => {
                load(Load { add: 1, at: now.checked_sub(SignedDuration::from_secs(*seconds)).ok(), ..Load::default() });
            }
            _ => {}
        }
    }
}

/// Faults that answer in place of the server, with the real server's bodies.
pub(super) fn instead(fault: &Kind) -> Option<Answer> {
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

/// Faults in the text of an answer.
pub(super) fn in_text(answer: &mut Answer, faults: &[Kind]) {
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
        swell(&mut answer.body, usize::try_from(megabytes).unwrap_or(0).saturating_mul(1_000_000));
    }
    if faults.contains(&Kind::Close) {
        answer.breaks = Some(Break::Within);
    }
    answer.blanks =
        faults.iter().find_map(|fault| if let Kind::Bomb(blanks) = fault { Some(*blanks) } else { None }).unwrap_or(0);
}

/// Makes the first resource of a page, or an answer without any, so many bytes larger. The JSON may be indented.
fn swell(body: &mut Vec<u8>, bytes: usize) {
    const RESOURCE: &[u8] = br#""resource":"#;
    let blanks = |at: usize| body[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let after = body.windows(RESOURCE.len()).position(|window| window == RESOURCE).map_or(0, |at| at + RESOURCE.len());
    let start = after + blanks(after);
    if body.get(start) != Some(&b'{') {
        return;
    }
    let first = start + 1 + blanks(start + 1);
    // An object that is empty takes no comma.
    if body.get(first) != Some(&b'"') {
        return;
    }
    let mut padding = br#""padding":""#.to_vec();
    padding.resize(padding.len() + bytes, b'x');
    padding.extend_from_slice(b"\",");
    padding.extend_from_slice(&body[start + 1..first]);
    body.splice(first..first, padding);
}

/// Faults below HTTP, on the last way out.
pub(super) async fn on_the_wire(mut response: Response<Body>, faults: &[Kind], wire: &Wire) -> Response<Body> {
    for fault in faults {
        match fault {
            Kind::Reset(after) => wire.reset(*after),
            Kind::Refuse(milliseconds) => {
                wire.refuse(Duration::from_millis(*milliseconds));
                wire.reset(0);
            }
            Kind::CorruptGzip | Kind::Length(_) | Kind::Drip(_) => {
                let (head, body) = response.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
                response = Response::from_parts(head, Body::empty());
                match fault {
                    Kind::CorruptGzip if response.headers().contains_key(CONTENT_ENCODING) => {
                        let mut bytes = body.to_vec();
                        let middle = bytes.len() / 2;
                        bytes[middle..].iter_mut().take(8).for_each(|byte| *byte ^= 0x55);
                        *response.body_mut() = bytes.into();
                    }
                    Kind::Length(by) => {
                        let length = i64::try_from(body.len()).unwrap_or(i64::MAX).saturating_add(*by).max(0);
                        wire.send(raw(&response, length, &body).into());
                    }
                    Kind::Drip(rate) => *response.body_mut() = Body::new(Dripping::new(body, *rate)),
                    _ => *response.body_mut() = body.into(),
                }
            }
            _ => {}
        }
    }
    response
}

/// An answer as it stands on the wire (RFC 9112 section 2.1), with this `Content-Length`.
fn raw(response: &Response<Body>, length: i64, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {}\r\n{CONTENT_LENGTH}: {length}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}
