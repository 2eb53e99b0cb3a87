//! What was asked, as `GET /__mock/requests` lists it: without secrets, and no more than a mock that serves for days
//! can keep.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use super::http::Ask;

/// A test that never looks must not fill the memory.
const MOST: usize = 100_000;
/// So many bytes of paths and queries at most.
const HEAVIEST: usize = 64 << 20;
/// What is longer is cut off, in bytes: paths and queries each.
const LONGEST: usize = 2_000;

const SECRETS: [&str; 14] = [
    "code",
    "state",
    "code_challenge",
    "code_verifier",
    "client_secret",
    "token",
    "refresh_token",
    "access_token",
    "req_token",
    "relay",
    "client_assertion",
    "id_token",
    "csrfmiddlewaretoken",
    // An address with parameters of its own.
    "next",
];

/// One request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Asked {
    method: String,
    path: String,
    query: String,
    status: u16,
    authorization: bool,
    /// When it was answered, by the wall clock: moving the mock's does not change it.
    at: Timestamp,
}

impl Asked {
    fn weight(&self) -> usize {
        self.path.len() + self.query.len()
    }
}

/// All requests, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Log {
    asked: VecDeque<Asked>,
    weight: usize,
}

impl Log {
    pub(super) fn note(&mut self, ask: &Ask, status: u16) {
        let query = ask.query.iter().map(|(key, value)| {
            let is_secret = SECRETS.iter().any(|secret| key.eq_ignore_ascii_case(secret));
            format!("{key}={}", if is_secret { "…" } else { value })
        });
        let asked = Asked {
            // Anything may be sent for a method.
            method: if ask.method.as_str().len() > 20 { "…".to_owned() } else { ask.method.to_string() },
            path: cut(without_visit(&ask.path)),
            query: cut(query.collect::<Vec<_>>().join("&")),
            status,
            authorization: ask.headers.contains_key("authorization"),
            at: Timestamp::now(),
        };
        self.weight += asked.weight();
        self.asked.push_back(asked);
        while self.asked.len() > MOST || self.weight > HEAVIEST {
            let Some(oldest) = self.asked.pop_front() else { break };
            self.weight -= oldest.weight();
        }
    }

    pub(super) fn asked(&self) -> &VecDeque<Asked> {
        &self.asked
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// The address of a consent page is as good as the log-in that led there.
fn without_visit(path: &str) -> String {
    const PAGE: &str = "/o/authorize/";
    match path.find(PAGE).map(|at| path.split_at(at + PAGE.len())) {
        Some((page, uuid)) if !uuid.is_empty() => format!("{page}…{}", if uuid.ends_with('/') { "/" } else { "" }),
        _ => path.to_owned(),
    }
}

/// At most [`LONGEST`] bytes of a text, with a mark where there were more.
fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text.shrink_to_fit();
    text
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Method};

    use super::*;

    fn ask(path: &str, query: &[(&str, &str)]) -> Ask {
        Ask {
            method: Method::GET,
            path: path.to_owned(),
            raw_query: String::new(),
            query: query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    #[test]
    fn what_opens_something_is_left_out() {
        let mut log = Log::default();
        log.note(&ask("/v2/o/authorize/8d7a-11/", &[("State", "s3cret"), ("scope", "openid")]), 200);
        log.note(&ask("/v3/o/authorize/8d7a-11", &[]), 404);
        log.note(&ask("/v2/o/authorize/", &[]), 302);
        let paths: Vec<_> = log.asked().iter().map(|asked| asked.path.as_str()).collect();
        assert_eq!(paths, ["/v2/o/authorize/…/", "/v3/o/authorize/…", "/v2/o/authorize/"]);
        assert_eq!(log.asked()[0].query, "State=…&scope=openid");
    }

    #[test]
    fn neither_long_requests_nor_many_fill_the_memory() {
        let mut log = Log::default();
        let long = "ü".repeat(30_000);
        log.note(&ask(&format!("/{long}"), &[("type", &long)]), 404);
        let asked = &log.asked()[0];
        assert!(asked.path.len() <= LONGEST + 3 && asked.query.len() <= LONGEST + 3 && asked.query.ends_with('…'));
        for number in 0..MOST + 10 {
            log.note(&ask(&format!("/{number}"), &[]), 404);
        }
        assert_eq!((log.asked().len(), log.asked()[0].path.as_str()), (MOST, "/10"));
        let long = "x".repeat(LONGEST);
        for _ in 0..HEAVIEST / LONGEST + 10 {
            log.note(&ask("", &[(&long, "")]), 404);
        }
        assert!(log.weight <= HEAVIEST && log.asked().len() < HEAVIEST / LONGEST, "{}", log.asked().len());
        log.forget();
        assert_eq!((log.asked().len(), log.weight), (0, 0));
    }
}
