//! Requests in the form that the mock reads, and responses in the form that the real server writes.

use std::{io::Write, time::Instant};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response as HttpResponse, StatusCode},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use super::{
    body::{BreakingBody, PaddedBody},
    json,
};

/// The rate limit headers of every response: numbers from views with a throttle, otherwise the word `None`.
pub(super) const LIMITS: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

/// Parameters in their order, decoded.
pub(super) type Pairs = Vec<(String, String)>;

/// A request with its whole body.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub method: Method,
    pub path: String,
    /// The query as it was sent, without the question mark.
    pub raw_query: String,
    pub query: Pairs,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub arrived: Instant,
}

impl Request {
    /// The last value of a query parameter. Django uses the last of repeated ones.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        last(&self.query, name)
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The bearer token. The scheme's name may be in any case. None if the token is empty.
    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
    }

    /// The form fields of the body, in either of its two forms; none for another content type.
    pub(super) fn form(&self) -> Pairs {
        let Some(kind) = self.header("content-type") else { return Pairs::new() };
        if kind.starts_with("application/x-www-form-urlencoded") {
            return form_urlencoded::parse(&self.body).into_owned().collect();
        }
        if !self.is_multipart() {
            return Pairs::new();
        }
        let boundary = kind.split("boundary=").nth(1).unwrap_or_default().trim_matches('"');
        parts(&String::from_utf8_lossy(&self.body), boundary)
    }

    /// Whether the body is `multipart/form-data`.
    pub(super) fn is_multipart(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data"))
    }
}

/// The text fields of a multipart body (RFC 7578).
fn parts(body: &str, boundary: &str) -> Pairs {
    let field = |part: &str| {
        let (head, value) = part.split_once("\r\n\r\n")?;
        let name = head.split("name=\"").nth(1)?.split('"').next()?;
        Some((name.to_owned(), value.strip_suffix("\r\n").unwrap_or(value).to_owned()))
    };
    if boundary.is_empty() { Pairs::new() } else { body.split(&format!("--{boundary}")).filter_map(field).collect() }
}

/// The last value of a parameter.
pub(super) fn last<'p>(pairs: &'p Pairs, name: &str) -> Option<&'p str> {
    pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A response, before it is compressed and sent.
#[derive(Debug)]
pub(super) struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Where the connection breaks, if it does.
    pub breaks: Option<Break>,
    /// How many megabytes of blanks follow the body.
    pub blanks: u64,
}

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// Before the first byte of the response.
    Before,
    /// In the middle of the body.
    Within,
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
            breaks: None,
            blanks: 0,
        }
    }

    /// The compact JSON of FHIR views.
    pub(super) fn fhir(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "application/fhir+json", body)
    }

    /// `{"detail": …}`, compact, as FHIR and userinfo errors are.
    pub(super) fn detail(status: u16, text: &str) -> Self {
        Self::fhir(status, serde_json::json!({ "detail": text }).to_string())
    }

    /// A response of the OAuth library: JSON with blanks, and a header that forbids caching.
    pub(super) fn library(status: u16, fields: &[(&str, Value)]) -> Self {
        Self::spaced(status, fields).with("cache-control", "no-store").with("pragma", "no-cache")
    }

    /// JSON with a blank after colon and comma, with the keys in this order. The web server's own OAuth checks,
    /// discovery and userinfo answer like this.
    pub(super) fn spaced(status: u16, fields: &[(&str, Value)]) -> Self {
        Self::new(status, "application/json", json::spaced(&json::Fields(fields)))
    }

    /// The web server's response to an uncaught exception.
    pub(super) fn uncaught() -> Self {
        Self::spaced(500, &[("error", serde_json::json!("Server Error (500)"))])
    }

    /// Whether it is [`Self::uncaught`]. No view made it, so it has no `Allow` and only one form.
    pub(super) fn is_uncaught(&self) -> bool {
        self.status == 500 && self.headers.contains(&("content-type", "application/json".to_owned()))
    }

    pub(super) fn html(status: u16, body: String) -> Self {
        Self::new(status, "text/html; charset=utf-8", body)
    }

    pub(super) fn redirect(status: u16, to: &str) -> Self {
        Self::html(status, String::new()).with("location", to)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same bytes with another content type.
    pub(super) fn with_type(mut self, content_type: &str) -> Self {
        for (name, value) in &mut self.headers {
            if *name == "content-type" {
                content_type.clone_into(value);
            }
        }
        self
    }

    /// The same JSON over several lines, indented by this many blanks per level.
    pub(super) fn indented(mut self, blanks: usize) -> Self {
        self.body = json::indented(&self.body, blanks);
        self
    }

    /// The response as it is sent: with gzip if the client accepts it and the body is long enough, and with the
    /// headers of every response.
    pub(super) fn into_response(self, accepts_gzip: bool) -> HttpResponse<Body> {
        const WORTH_IT: usize = 200;
        let zipped = (accepts_gzip && self.body.len() >= WORTH_IT).then(|| gzip(&self.body)).flatten();
        let is_zipped = zipped.is_some();
        let mut response = HttpResponse::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let fixed = [
            ("vary", "Accept, Accept-Language, origin, Cookie, Accept-Encoding"),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "strict-origin-when-cross-origin"),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name, value.to_owned()));
        for (name, value) in fixed.chain(self.headers) {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        if is_zipped {
            response.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        }
        response.headers_mut().entry("content-language").or_insert(HeaderValue::from_static("en"));
        // Views without a throttle send `None` instead of numbers.
        for name in LIMITS {
            response.headers_mut().entry(name).or_insert(HeaderValue::from_static("None"));
        }
        let body = zipped.unwrap_or(self.body);
        *response.body_mut() = match self.breaks {
            None if self.blanks > 0 => Body::new(PaddedBody::new(body, self.blanks, is_zipped)),
            None => Body::from(body),
            Some(at) => Body::new(BreakingBody::new(&body, at)),
        };
        response
    }
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipart_fields_are_read() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"code\"\r\n\r\na=b\r\n--x\r\n\
                    Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--x--\r\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parts(body, "x"), [pair("code", "a=b"), pair("empty", "")]);
        assert!(parts(body, "").is_empty());
    }
}
