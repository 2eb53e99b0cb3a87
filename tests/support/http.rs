//! Requests as a browser, an app or a person with a tool would send them.

use std::{
    io::{ErrorKind, Read},
    sync::LazyLock,
};

use ureq::{
    Agent,
    config::AutoHeaderValue,
    http::{Request, Response},
};

use super::{PATIENCE, text};

pub struct Answer {
    /// 0 if the server closed the connection without an answer.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Sends exactly what it is given, over a separate connection, and follows no redirects.
static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    Agent::config_builder()
        .accept(AutoHeaderValue::None)
        .allow_non_standard_methods(true)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .user_agent(AutoHeaderValue::None)
        .build()
        .into()
});

/// One request; http only.
pub fn http(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let url = url::Url::parse(url).unwrap();
    let mut request = Request::builder().method(method).uri(url.as_str());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = match (method, body) {
        ("GET" | "DELETE", "") => AGENT.run(request.body(()).unwrap()),
        _ => AGENT.run(request.body(body).unwrap()),
    };
    match answer {
        Ok(answer) => read(answer),
        Err(ureq::Error::Io(cause)) if cause.kind() == ErrorKind::UnexpectedEof => {
            Answer { status: 0, headers: Vec::new(), body: String::new() }
        }
        Err(cause) => panic!("{method} {url}: {cause}"),
    }
}

fn read(answer: Response<ureq::Body>) -> Answer {
    let (head, body) = answer.into_parts();
    let mut bytes = Vec::new();
    body.into_reader().read_to_end(&mut bytes).unwrap();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    Answer { status: head.status.as_u16(), headers: headers.collect(), body: text(&bytes) }
}

/// Follows redirects to the end, as a browser does.
pub fn follow(url: &str) -> Answer {
    let mut url = url.to_owned();
    for _ in 0..10 {
        let answer = http("GET", &url, &[], "");
        match answer.header("location") {
            Some(to) => url = url::Url::parse(&url).unwrap().join(to).unwrap().to_string(),
            None => return answer,
        }
    }
    panic!("redirects without end");
}

/// The address that the browser would end up at, without going there.
pub fn callback_of(authorize_url: &str) -> String {
    http("GET", authorize_url, &[], "").header("location").expect("no redirect").to_owned()
}
