//! `POST /__mock/consents`: many people's consents at once, without a browser.
//!
//! The answer is created while it is sent, so that 100,000 consents need little memory.

use std::{
    collections::BTreeSet,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderValue, Response as HttpResponse, header::CONTENT_TYPE},
};
use bytes::Bytes;
use http_body::Frame;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Access, Shared,
    http::Request,
    oauth::SCOPES,
    records::Records as _,
    version::Version,
    world::{Approval, GrantKey},
};

/// The mock's own app.
const APP: usize = 0;

/// The query of the request: who consents, and at which version.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    people: Range<usize>,
    version: Version,
}

impl Order {
    fn read(request: &Request, enrollees: usize) -> Result<Self, String> {
        let (mut first, mut count, mut version) = (0, None, Version::V2);
        for (name, value) in &request.query {
            let number = || value.parse::<usize>().map_err(|_| format!("{name}: \"{value}\" is not a number"));
            match name.as_str() {
                "first" => first = number()?,
                "count" => count = Some(number()?),
                "api" => version = Version::named(value).ok_or(format!("api: \"{value}\" is not v1, v2 or v3"))?,
                _ => return Err(format!("there is no parameter \"{name}\"; there are count, first and api")),
            }
        }
        let last = count.map_or(Some(enrollees), |count| first.checked_add(count)).filter(|last| *last <= enrollees);
        match last {
            Some(last) if first <= last => Ok(Self { people: first..last, version }),
            _ => Err(format!("there are only {enrollees} enrollees; start the mock with more: --enrollees N")),
        }
    }
}

/// One consent, in the form that `bbdl profiles import` reads.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    server: &'a str,
    api: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    refresh_token: &'a str,
    access_token: &'a str,
    access_token_expires: Timestamp,
    patient: String,
    scopes: &'a BTreeSet<String>,
    access_category: Access,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_expires: Option<Timestamp>,
}

/// The consents as NDJSON, or why the request is refused.
pub(super) fn respond(shared: &Arc<Shared>, request: &Request) -> Result<HttpResponse<Body>, String> {
    let Order { people, version } = Order::read(request, shared.records.enrollees())?;
    let scopes = {
        let world = shared.world();
        SCOPES.into_iter().filter(|scope| world.apps[APP].may_have(scope)).map(str::to_owned).collect()
    };
    let samhsa = (version == Version::V3).then_some(true);
    let approval = Approval { scopes: Arc::new(scopes), samhsa };
    let body = Consents { shared: Arc::clone(shared), people, version, approval };
    let mut response = HttpResponse::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// The rows that are not sent yet.
struct Consents {
    shared: Arc<Shared>,
    people: Range<usize>,
    version: Version,
    approval: Approval,
}

impl Consents {
    /// The next rows.
    fn rows(&mut self) -> serde_json::Result<Vec<u8>> {
        const AT_ONCE: usize = 200;
        let mut rows = Vec::new();
        let world = &mut *self.shared.world();
        for enrollee in self.people.by_ref().take(AT_ONCE) {
            let pair = world.connect_at_once(GrantKey { app: APP, enrollee }, self.approval.clone());
            let person = self.shared.records.enrollee(enrollee);
            let app = &world.apps[APP];
            let row = Row {
                name: &person.username,
                server: self.shared.url(),
                api: self.version.name(),
                client_id: &app.id,
                client_secret: app.secret.as_deref(),
                refresh_token: &pair.refresh,
                access_token: &pair.access,
                access_token_expires: pair.until,
                patient: self.version.patient(&person),
                scopes: &pair.scopes,
                access_category: app.access,
                grant_expires: pair.expiration,
            };
            serde_json::to_writer(&mut rows, &row)?;
            rows.push(b'\n');
        }
        Ok(rows)
    }
}

impl HttpBody for Consents {
    type Data = Bytes;
    type Error = serde_json::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, serde_json::Error>>> {
        if self.people.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.rows().map(|rows| Frame::data(rows.into()))))
    }
}
