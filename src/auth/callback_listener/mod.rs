//! The redirect listener. It waits for the authorization code, from the browser or pasted by a person (RFC 8252
//! sections 7.3 and 8.3).
//!
//! The listener is open to every program and every web page on this machine. So everything that does not belong to
//! this log-in is answered and forgotten: other paths, methods, hosts (DNS rebinding) and states, browsers that
//! connect ahead of time, clients that never finish a request. A gate turns away what is not HTTP. tiny_http reads
//! each connection on its own thread, `answer` writes on threads too, and one channel brings requests and pasted
//! lines to the waiting thread.

mod answer;
mod gate;
mod page;
mod socket;

use std::{
    mem,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use thiserror::Error;
use tiny_http::{Method, Request};

pub(crate) use super::callback_listener::answer::Reply;
pub(super) use gate::AdmittedConnection;

use super::{
    callback::{self, Callback, CallbackError, Expected},
    callback_listener::{
        answer::PendingRequest,
        page::{Tone, logged_in_page, page},
    },
    pasted::{PasteReader, Reading},
    redirect::RedirectUri,
};
use crate::secret::Secret;
use socket::ListeningSockets;

/// Why the listener cannot start.
#[derive(Debug, Error)]
pub(crate) enum ListenError {
    /// Another program has the port.
    #[error("port {port} of {host} is in use by another program")]
    PortTaken {
        /// The port.
        port: u16,
        /// The address.
        host: String,
    },
    /// The system refused.
    #[error("cannot listen on {address}: {cause}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: String,
    },
}

/// What can happen during the wait.
enum Event {
    Request(PendingRequest),
    Tls,
    Pasted(Secret),
    PasteEnded,
}

/// Hands pasted lines to the waiting thread.
#[derive(Clone)]
pub(crate) struct Paster {
    sender: Sender<Event>,
    is_waiting: Arc<AtomicBool>,
}

impl Paster {
    /// A line was pasted.
    ///
    /// # Errors
    /// Returns the line if the wait is over.
    pub(crate) fn line(&self, text: String) -> Result<(), String> {
        if !self.is_waiting.load(Ordering::Acquire) {
            return Err(text);
        }
        // The wait may end at this moment. Then the line is not needed.
        let _ = self.sender.send(Event::Pasted(Secret::new(text)));
        Ok(())
    }

    /// No more lines will come.
    pub(crate) fn ended(&self) {
        let _ = self.sender.send(Event::PasteEnded);
    }
}

/// Something to tell the person while the wait continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// CMS's page reports that it does not know this person. This is not proven: any page could say so.
    NotFound,
    /// A callback of another log-in, or a forged one, was turned away.
    TurnedAway,
    /// A program tried TLS, which this listener does not speak.
    Tls,
    /// What was pasted cannot be used.
    BadPaste(CallbackError),
    /// The pasted address is cut off, and the rest did not come.
    CutPaste,
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With an authorization code. The browser is still waiting for its page.
    Code(Secret, Reply),
    /// The enrollee did not agree.
    Denied,
    /// The server refused the request.
    Refused {
        /// The error code, safe to show.
        error: String,
        /// Its description, safe to show.
        description: String,
    },
    /// Nothing valid came, but CMS's page had said that it does not know this person.
    NotFound,
    /// Nothing valid came in time.
    TimedOut,
    /// Nothing more can come: there is no listener, and standard input has ended.
    InputEnded,
}

/// Waits for an authorization code.
pub(crate) struct CallbackListener {
    redirect: RedirectUri,
    sender: Sender<Event>,
    events: Receiver<Event>,
    /// None if only a pasted line can come.
    listener: Option<ListeningSockets>,
    /// True from the beginning to the end of the wait.
    is_waiting: Arc<AtomicBool>,
}

impl CallbackListener {
    /// Listens at the address in the redirect URI. Only loopback addresses.
    ///
    /// # Errors
    /// [`ListenError`].
    pub(crate) fn listen(redirect: RedirectUri) -> Result<Self, ListenError> {
        let (sender, events) = mpsc::channel();
        let listener = ListeningSockets::at(&redirect.addresses(), &sender)?;
        let port = listener.address().map(|address| address.port());
        let redirect = match port {
            Some(port) => redirect.with_port(port),
            None => redirect,
        };
        Ok(Self { redirect, sender, events, listener: Some(listener), is_waiting: Arc::new(AtomicBool::new(true)) })
    }

    /// Waits only for pasted lines.
    #[must_use]
    pub(crate) fn manual(redirect: RedirectUri) -> Self {
        let (sender, events) = mpsc::channel();
        Self { redirect, sender, events, listener: None, is_waiting: Arc::new(AtomicBool::new(true)) }
    }

    /// The redirect URI with the port of the listener.
    #[must_use]
    pub(crate) fn redirect(&self) -> &RedirectUri {
        &self.redirect
    }

    /// A paster for the thread that reads the terminal.
    #[must_use]
    pub(crate) fn paster(&self) -> Paster {
        Paster { sender: self.sender.clone(), is_waiting: Arc::clone(&self.is_waiting) }
    }

    /// Waits until a valid callback comes, from the browser or pasted, or until `deadline`. The listener is closed
    /// when this returns, or, after a code, when its [`Reply`] is done.
    ///
    /// A callback with `error=not_found` and without `state` is how CMS's page says that it does not know this
    /// person. It does not end the wait, because any web page could send it to stop a log-in that is going well. It
    /// is reported at once, but ends the wait only if nothing valid comes before the deadline, or if the person then
    /// presses Enter.
    pub(crate) fn wait(self, expected: &Expected, deadline: Instant, tell: impl FnMut(Notice)) -> Outcome {
        let is_waiting = Arc::clone(&self.is_waiting);
        let outcome = self.wait_for_callback(expected, deadline, tell);
        is_waiting.store(false, Ordering::Release);
        outcome
    }

    fn wait_for_callback(self, expected: &Expected, deadline: Instant, mut tell: impl FnMut(Notice)) -> Outcome {
        let (mut not_found, mut turned_away, mut tls) = (false, false, false);
        let mut pasted = PasteReader::new(self.redirect.clone());
        // When to say that the rest of an address is missing. A terminal delivers its lines one after the other.
        let mut cut: Option<Instant> = None;
        loop {
            // Checked in each round. Otherwise a flood of requests would delay the deadline.
            let now = Instant::now();
            if deadline <= now {
                return if not_found { Outcome::NotFound } else { Outcome::TimedOut };
            }
            if cut.is_some_and(|at| at <= now) {
                cut = None;
                tell(Notice::CutPaste);
            }
            let until = cut.map_or(deadline, |at| at.min(deadline));
            let event = match self.events.recv_timeout(until.saturating_duration_since(now)) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                // This cannot happen while `self` holds a sender.
                Err(RecvTimeoutError::Disconnected) => return Outcome::TimedOut,
            };
            let (judged, pending) = match event {
                Event::Request(pending) => match pending.request().map(|request| self.judge(request, expected)) {
                    Some(Judged::Callback(judged)) => (judged, Some(pending)),
                    Some(Judged::Elsewhere(status, text)) => {
                        pending.turn_away(status, &page(Tone::Bad, "Nothing here", text));
                        continue;
                    }
                    None => continue,
                },
                Event::Tls => {
                    if !mem::replace(&mut tls, true) {
                        tell(Notice::Tls);
                    }
                    continue;
                }
                Event::Pasted(text) if text.expose().trim().is_empty() => {
                    if not_found {
                        return Outcome::NotFound;
                    }
                    continue;
                }
                Event::Pasted(text) => {
                    cut = None;
                    match pasted.line(text.expose(), expected) {
                        Reading::Callback(callback) => (Ok(callback), None),
                        Reading::Unusable(why) => (Err(why), None),
                        Reading::Unfinished => {
                            const REST: Duration = Duration::from_millis(700);
                            cut = Some(Instant::now() + REST);
                            continue;
                        }
                    }
                }
                Event::PasteEnded if self.listener.is_none() => return Outcome::InputEnded,
                Event::PasteEnded => continue,
            };
            match judged {
                Ok(Callback::Code(code)) => {
                    let reloads = pending.as_ref().is_some_and(PendingRequest::is_browser);
                    let reloads = reloads.then(|| Box::new(Reloads { inbox: self, expected: expected.clone() }));
                    return Outcome::Code(code, Reply::new(pending, reloads));
                }
                Ok(Callback::Denied) => {
                    finish(
                        pending,
                        "Access was not granted",
                        "Nothing was shared with bbdl. You can close this window; to try again, run `bbdl login` once more.",
                    );
                    return Outcome::Denied;
                }
                Ok(Callback::Refused { error, description }) => {
                    finish(pending, "The log-in was refused", &format!("The server said: {error} {description}"));
                    return Outcome::Refused { error, description };
                }
                Err(why) => {
                    // A page that repeats its request must not fill the terminal, so each notice is given once.
                    let notice = match (why, &pending) {
                        (CallbackError::NotFound, _) => {
                            (!mem::replace(&mut not_found, true)).then_some(Notice::NotFound)
                        }
                        (why, None) => Some(Notice::BadPaste(why)),
                        (_, Some(_)) => (!mem::replace(&mut turned_away, true)).then_some(Notice::TurnedAway),
                    };
                    notice.into_iter().for_each(&mut tell);
                    if let Some(pending) = pending {
                        let text = format!("bbdl ignored this: {why}.");
                        pending.turn_away(400, &page(Tone::Bad, "Not this log-in", &text));
                    }
                }
            }
        }
    }

    /// Whether a request is a callback at all, and what it says.
    fn judge(&self, request: &Request, expected: &Expected) -> Judged {
        let mut hosts = request.headers().iter().filter(|header| header.field.equiv("Host"));
        let host = hosts.next().map(|host| host.value.as_str());
        if host != Some(&self.redirect.authority()) || hosts.next().is_some() {
            return Judged::Elsewhere(400, "This request used another host name.");
        }
        let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
        if path != self.redirect.path() {
            return Judged::Elsewhere(404, "bbdl only waits here for the end of a log-in.");
        }
        if *request.method() != Method::Get {
            return Judged::Elsewhere(405, "bbdl only takes GET requests here.");
        }
        Judged::Callback(callback::read(query, expected))
    }
}

enum Judged {
    Callback(Result<Callback, CallbackError>),
    Elsewhere(u16, &'static str),
}

/// The listener after the log-in: F5 in the browser shows the same page again instead of "connection refused".
pub(crate) struct Reloads {
    inbox: CallbackListener,
    expected: Expected,
}

impl Reloads {
    /// Answers for this long.
    pub(crate) fn answer_for(self, patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let Ok(Event::Request(pending)) = self.inbox.events.recv_timeout(left) else { continue };
            match pending.request().map(|request| self.inbox.judge(request, &self.expected)) {
                Some(Judged::Callback(Ok(Callback::Code(_)))) => pending.turn_away(200, &logged_in_page()),
                Some(Judged::Callback(_)) => pending.turn_away(400, &page(Tone::Bad, "Not this log-in", "")),
                Some(Judged::Elsewhere(status, text)) => {
                    pending.turn_away(status, &page(Tone::Bad, "Nothing here", text));
                }
                None => {}
            }
        }
    }
}

fn finish(pending: Option<PendingRequest>, title: &str, text: &str) {
    if let Some(pending) = pending {
        pending.answer_and_wait(&page(Tone::Bad, title, text));
    }
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests;
