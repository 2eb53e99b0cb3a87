//! Answers to requests at the redirect listener. No client can make bbdl wait.
//!
//! When a request is dropped, tiny_http reads the rest of its body, into a buffer of the length that the client
//! declared. And it writes an answer only after all earlier answers on the same connection. So the waiting thread
//! never drops a request. Another thread answers it, or it is leaked.

use std::{
    fmt,
    io::{self, Write},
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use tiny_http::{Header, Method, Request, Response, StatusCode};

use super::{
    AdmittedConnection, Reloads,
    page::{Tone, logged_in_page, page},
};

/// How long the process waits for a browser to load its page.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes. A client that declares a longer body gets no answer, because answering would need a buffer of that size.
const LONGEST_BODY: usize = 64 * 1024;
/// Limit of answers written at the same time to clients that bring nothing valid.
const MOST_WRITERS: usize = 64;

/// A request that can be dropped anywhere. Its client then gets no answer.
pub(super) struct PendingRequest {
    request: Option<Box<Request>>,
    writing: Arc<AtomicUsize>,
    passed: Arc<AdmittedConnection>,
}

impl PendingRequest {
    /// Takes a request over. `writing` counts the answers that the same listener is writing; `passed` counts how many
    /// of their bytes have reached the client.
    pub(super) fn new(request: Request, writing: &Arc<AtomicUsize>, passed: &Arc<AdmittedConnection>) -> Self {
        Self { request: Some(Box::new(request)), writing: Arc::clone(writing), passed: Arc::clone(passed) }
    }

    /// Whether a person may see the answer: browsers ask for HTML (RFC 9110 section 12.5.1), other programs for
    /// anything.
    pub(super) fn is_browser(&self) -> bool {
        let headers = self.request.iter().flat_map(|request| request.headers());
        headers.into_iter().any(|header| header.field.equiv("Accept") && header.value.as_str().contains("text/html"))
    }

    /// The request.
    pub(super) fn request(&self) -> Option<&Request> {
        self.request.as_deref()
    }

    /// Answers without waiting, unless too many answers are still being written.
    pub(super) fn turn_away(self, status: u16, html: &str) {
        if self.writing.load(Ordering::Relaxed) < MOST_WRITERS {
            self.answer(status, html);
        }
    }

    /// Answers, and gives the answer a moment to go out before the process may end.
    pub(super) fn answer_and_wait(self, html: &str) {
        let _ = self.answer(200, html).recv_timeout(PATIENCE);
    }

    fn answer(mut self, status: u16, html: &str) -> Receiver<()> {
        let html = html.to_owned();
        let (done, written) = mpsc::channel();
        self.writing.fetch_add(1, Ordering::Relaxed);
        let writing = Arc::clone(&self.writing);
        let write = move || {
            if let Some(request) = self.request.take() {
                let port = request.remote_addr().map_or(0, |address| address.port());
                let before = self.passed.so_far(port);
                // A client that went away needs no answer.
                if let Ok(length) = write(*request, status, html) {
                    self.passed.wait_for(port, before + length, PATIENCE);
                }
            }
            self.writing.fetch_sub(1, Ordering::Relaxed);
            let _ = done.send(());
        };
        if thread::Builder::new().spawn(write).is_err() {
            writing.fetch_sub(1, Ordering::Relaxed);
        }
        written
    }
}

impl fmt::Debug for PendingRequest {
    /// Prints nothing of the request: its target contains the code and the state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingRequest(…)")
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        mem::forget(self.request.take());
    }
}

/// The browser's request that brought the code, to be answered when the outcome is known.
#[derive(Default)]
pub(crate) struct Reply {
    pending: Option<PendingRequest>,
    reloads: Option<Box<Reloads>>,
}

impl Reply {
    pub(super) fn new(pending: Option<PendingRequest>, reloads: Option<Box<Reloads>>) -> Self {
        Self { pending, reloads }
    }

    /// Tells the browser that the log-in is complete. If a person is at the browser, the returned value can go on to
    /// show the same page again.
    pub(crate) fn done(mut self) -> Option<Box<Reloads>> {
        if let Some(pending) = self.pending.take() {
            pending.answer_and_wait(&logged_in_page());
        }
        self.reloads.take()
    }

    /// Tells the browser that something went wrong after it came back.
    pub(crate) fn failed(mut self, why: &str) {
        self.send(Tone::Bad, "The log-in could not be completed", why);
    }

    fn send(&mut self, tone: Tone, title: &str, text: &str) {
        if let Some(pending) = self.pending.take() {
            pending.answer_and_wait(&page(tone, title, text));
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(…)")
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let text = "bbdl got the answer. The terminal shows the result; you can close this window.";
        self.send(Tone::Open, "Back to the terminal", text);
    }
}

const HEADERS: [(&str, &str); 5] = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
];

/// Writes an answer. Returns its size in bytes, if known.
fn write(request: Request, status: u16, html: String) -> io::Result<u64> {
    let headers = HEADERS.into_iter().chain((status == 405).then_some(("Allow", "GET")));
    match request.body_length() {
        Some(length) if length > LONGEST_BODY => {
            mem::forget(request);
            Ok(0)
        }
        // Answer first. The body may never come, and dropping the request reads it.
        Some(length) if length > 0 => {
            let response = Response::from_string(html).with_status_code(status);
            let headers = headers.filter_map(|(name, value)| Header::from_bytes(name, value).ok());
            request.respond(headers.fold(response, Response::with_header)).map(|()| 0)
        }
        // Written by hand, because tiny_http does not let us set `Connection`, and the port is about to close.
        _ => {
            let reason = StatusCode(status).default_reason_phrase();
            let mut text = format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\n", html.len());
            for (name, value) in headers {
                text += &format!("{name}: {value}\r\n");
            }
            text += "Connection: close\r\n\r\n";
            if *request.method() != Method::Head {
                text += &html;
            }
            let mut writer = request.into_writer();
            writer.write_all(text.as_bytes())?;
            writer.flush().map(|()| text.len() as u64)
        }
    }
}
