//! The redirect listener, and the wait for whatever brings the authorization code first
//! (RFC 8252 sections 7.3 and 8.3).
//!
//! The listener is open to every program and every web page on this machine, so all that does not
//! belong to this log-in is answered and forgotten: other paths, methods, hosts (DNS rebinding) and
//! states, browsers that connect ahead of time, clients that never finish a sentence. tiny_http reads
//! each connection on a thread of its own, `answer` writes on threads too, and one channel brings
//! requests and pasted lines to the one who waits.

use std::{
    io, iter, mem,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::AtomicUsize,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;
use tiny_http::{Method, Request, Server};

pub use super::answer::Reply;
use super::{
    answer::Visitor,
    callback::{self, Callback, CallbackError},
    page::{Tone, page},
    redirect::RedirectUri,
};
use crate::secret::Secret;

/// Why nobody listens.
#[derive(Debug, Error)]
pub enum ListenError {
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

/// What happens while waiting.
enum Event {
    Request(Visitor),
    Pasted(Secret),
    PasteEnded,
}

/// Hands lines that a person pasted to the one who waits.
#[derive(Clone)]
pub struct Paster(Sender<Event>);

impl Paster {
    /// A line was pasted. Says whether anybody still waits.
    #[must_use]
    pub fn line(&self, text: String) -> bool {
        self.0.send(Event::Pasted(Secret::new(text))).is_ok()
    }

    /// No more lines will come.
    pub fn ended(&self) {
        let _ = self.0.send(Event::PasteEnded);
    }
}

/// Something worth telling the person while the wait goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// CMS's page reports that it knows no such person. Not proven: any page could say so.
    NotFound,
    /// A callback of another log-in, or a forged one, was turned away.
    TurnedAway,
    /// What was pasted cannot be used.
    BadPaste(CallbackError),
}

/// How a wait ended.
#[derive(Debug)]
pub enum Outcome {
    /// With an authorization code. The browser still waits for its page.
    Code(Secret, Reply),
    /// The enrollee did not agree.
    Denied,
    /// The server refused the request.
    Refused {
        /// The error code, fit to be shown.
        error: String,
        /// Its description, fit to be shown.
        description: String,
    },
    /// Nothing valid came, and CMS's page had said that it knows no such person.
    NotFound,
    /// Nothing valid came in time.
    TimedOut,
    /// Nothing more can come: no listener, and standard input is at its end.
    InputEnded,
}

/// Waits for an authorization code.
pub struct Inbox {
    redirect: RedirectUri,
    sender: Sender<Event>,
    events: Receiver<Event>,
    servers: Vec<Arc<Server>>,
    writing: Arc<AtomicUsize>,
    /// Dropped with the inbox: the threads that watch them end.
    nudgers: Vec<Sender<()>>,
}

impl Inbox {
    /// Listens where the redirect URI says. Loopback addresses only.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(redirect: RedirectUri) -> Result<Self, ListenError> {
        let (sender, events) = mpsc::channel();
        let mut inbox =
            Self { redirect, sender, events, servers: Vec::new(), writing: Arc::default(), nudgers: Vec::new() };
        for (number, address) in inbox.redirect.addresses().into_iter().enumerate() {
            match Server::http(address) {
                Ok(server) => inbox.serve(server),
                Err(cause) => match refused(address, cause) {
                    // `localhost` may be IPv4 only; but where another program answers for it, the
                    // browser would bring the code there.
                    ListenError::Refused { .. } if number > 0 => {}
                    error => return Err(error),
                },
            }
        }
        let port = inbox.servers.first().and_then(|server| server.server_addr().to_ip()).map(|address| address.port());
        if let Some(port) = port {
            inbox.redirect = inbox.redirect.clone().with_port(port);
        }
        Ok(inbox)
    }

    /// Only waits for what is pasted.
    #[must_use]
    pub fn manual(redirect: RedirectUri) -> Self {
        let (sender, events) = mpsc::channel();
        Self { redirect, sender, events, servers: Vec::new(), writing: Arc::default(), nudgers: Vec::new() }
    }

    /// The redirect URI with the port listened on.
    #[must_use]
    pub fn redirect(&self) -> &RedirectUri {
        &self.redirect
    }

    /// For whoever reads the terminal.
    #[must_use]
    pub fn paster(&self) -> Paster {
        Paster(self.sender.clone())
    }

    fn serve(&mut self, server: Server) {
        let server = Arc::new(server);
        self.servers.push(Arc::clone(&server));
        if let Some(address) = server.server_addr().to_ip() {
            self.nudgers.push(nudge(address));
        }
        let sender = self.sender.clone();
        let writing = Arc::clone(&self.writing);
        thread::spawn(move || {
            while let Ok(request) = server.recv() {
                if sender.send(Event::Request(Visitor::new(request, &writing))).is_err() {
                    break;
                }
            }
            // What is still queued would be dropped with the server: see `answer` for why it must not.
            const MOST: usize = 10_000;
            iter::from_fn(|| server.try_recv().ok().flatten()).take(MOST).for_each(mem::forget);
        });
    }

    /// Waits until a valid callback comes, by whichever way, or until `deadline`. The listener is closed
    /// when this returns.
    ///
    /// A callback with `error=not_found` and without `state` is how CMS's page says that it knows no such
    /// person. It does not end the wait, because any web page could send it and so end a log-in that is
    /// going well: it is told at once, and believed only when nothing valid came before the deadline, or
    /// when the person, having been told, presses Enter.
    pub fn wait(self, state: &Secret, deadline: Instant, mut tell: impl FnMut(Notice)) -> Outcome {
        let (mut not_found, mut turned_away) = (false, false);
        loop {
            // Looked at each time: whoever floods us would put the deadline off otherwise.
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return if not_found { Outcome::NotFound } else { Outcome::TimedOut };
            }
            let event = match self.events.recv_timeout(left) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                // Not while `self` holds a sender.
                Err(RecvTimeoutError::Disconnected) => return Outcome::TimedOut,
            };
            let (judged, visitor) = match event {
                Event::Request(visitor) => match visitor.request().map(|request| self.judge(request, state)) {
                    Some(Judged::Callback(judged)) => (judged, Some(visitor)),
                    Some(Judged::Elsewhere(status, text)) => {
                        visitor.turn_away(status, &page(Tone::Bad, "Nothing here", text));
                        continue;
                    }
                    None => continue,
                },
                Event::Pasted(text) if text.expose().trim().is_empty() => {
                    if not_found {
                        return Outcome::NotFound;
                    }
                    continue;
                }
                Event::Pasted(text) => (callback::read_pasted(text.expose(), &self.redirect, state), None),
                Event::PasteEnded if self.servers.is_empty() => return Outcome::InputEnded,
                Event::PasteEnded => continue,
            };
            match judged {
                Ok(Callback::Code(code)) => return Outcome::Code(code, Reply::new(visitor)),
                Ok(Callback::Denied) => {
                    finish(
                        visitor,
                        "Access was not granted",
                        "Nothing was shared with bbdl. You can close this window; to try again, run bbdl login once more.",
                    );
                    return Outcome::Denied;
                }
                Ok(Callback::Refused { error, description }) => {
                    finish(visitor, "The log-in was refused", &format!("The server said: {error} {description}"));
                    return Outcome::Refused { error, description };
                }
                Err(why) => {
                    // A page that keeps asking shall not fill the terminal: each is told once.
                    let notice = match (why, &visitor) {
                        (CallbackError::NotFound, _) => {
                            (!mem::replace(&mut not_found, true)).then_some(Notice::NotFound)
                        }
                        (why, None) => Some(Notice::BadPaste(why)),
                        (_, Some(_)) => (!mem::replace(&mut turned_away, true)).then_some(Notice::TurnedAway),
                    };
                    notice.into_iter().for_each(&mut tell);
                    if let Some(visitor) = visitor {
                        let text = format!("bbdl did not take this in: {why}.");
                        visitor.turn_away(400, &page(Tone::Bad, "Not this log-in", &text));
                    }
                }
            }
        }
    }

    /// Whether a request is a callback at all, and what it says.
    fn judge(&self, request: &Request, state: &Secret) -> Judged {
        let mut hosts = request.headers().iter().filter(|header| header.field.equiv("Host"));
        let host = hosts.next().map(|host| host.value.as_str());
        if host != Some(&self.redirect.authority()) || hosts.next().is_some() {
            return Judged::Elsewhere(400, "This address was asked for under another name.");
        }
        let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
        if path != self.redirect.path() {
            return Judged::Elsewhere(404, "bbdl only waits here for the end of a log-in.");
        }
        if *request.method() != Method::Get {
            return Judged::Elsewhere(405, "bbdl only takes GET requests here.");
        }
        Judged::Callback(callback::read(query, state))
    }
}

/// Keeps tiny_http's pool of threads moving for as long as the returned sender lives.
///
/// The pool counts threads as free until they have woken up. Of several connections that come at once
/// (a browser opens some ahead of time) more can be queued for one free thread than it can ever serve,
/// when the first of them never says anything: the real callback would wait behind it for good. A
/// further connection makes the pool start a thread, which looks into the queue when it is done. So a
/// few connections that end at once are made from time to time.
fn nudge(address: SocketAddr) -> Sender<()> {
    const EVERY: Duration = Duration::from_millis(250);
    const AT_ONCE: usize = 3;
    let (alive, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(EVERY) {
            let _ = (0..AT_ONCE).try_for_each(|_| TcpStream::connect(address).map(drop));
        }
    });
    alive
}

enum Judged {
    Callback(Result<Callback, CallbackError>),
    Elsewhere(u16, &'static str),
}

impl Drop for Inbox {
    fn drop(&mut self) {
        for server in &self.servers {
            // Ends the thread that hands requests over; with it goes the last handle, and the port closes.
            server.unblock();
        }
    }
}

fn refused(address: SocketAddr, cause: Box<dyn std::error::Error + Send + Sync>) -> ListenError {
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::AddrInUse) => {
            ListenError::PortTaken { port: address.port(), host: address.ip().to_string() }
        }
        _ => ListenError::Refused { address, cause: cause.to_string() },
    }
}

fn finish(visitor: Option<Visitor>, title: &str, text: &str) {
    if let Some(visitor) = visitor {
        visitor.answer_and_wait(&page(Tone::Bad, title, text));
    }
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    const STATE: &str = "0123456789abcdef0123456789abcdef";

    /// A wait going on in a thread, and where to reach it.
    struct Waiting {
        authority: String,
        address: SocketAddr,
        paster: Paster,
        notices: Receiver<Notice>,
        outcome: Receiver<Outcome>,
    }

    fn waiting_on(redirect: &str, patience: Duration) -> Waiting {
        let inbox = Inbox::listen(RedirectUri::loopback(redirect).unwrap()).unwrap();
        let address = inbox.servers[0].server_addr().to_ip().unwrap();
        let (authority, paster) = (inbox.redirect().authority(), inbox.paster());
        let (notice, notices) = mpsc::channel();
        let (done, outcome) = mpsc::channel();
        thread::spawn(move || {
            let tell = |told| notice.send(told).unwrap_or_default();
            let _ = done.send(inbox.wait(&Secret::new(STATE.into()), Instant::now() + patience, tell));
        });
        Waiting { authority, address, paster, notices, outcome }
    }

    fn waiting() -> Waiting {
        waiting_on("http://127.0.0.1/callback", Duration::from_secs(30))
    }

    impl Waiting {
        fn connect(&self) -> TcpStream {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream
        }

        fn send(&self, head: &str) -> TcpStream {
            let mut stream = self.connect();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        }

        fn get(&self, target: &str) -> String {
            self.ask(&format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.authority))
        }

        fn ask(&self, head: &str) -> String {
            let mut text = String::new();
            self.send(head).read_to_string(&mut text).unwrap();
            text
        }

        fn ends(&self) -> Outcome {
            self.outcome.recv_timeout(Duration::from_secs(10)).expect("the wait should have ended")
        }

        fn goes_on(&self) {
            assert!(self.outcome.try_recv().is_err(), "the wait should go on");
        }
    }

    fn good() -> String {
        format!("/callback?code=thecode&state={STATE}")
    }

    fn code_of(outcome: Outcome) -> (String, Reply) {
        match outcome {
            Outcome::Code(code, reply) => (code.expose().to_owned(), reply),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_valid_callback_ends_the_wait_and_its_page_tells_the_result() {
        let waiting = waiting();
        let stream = waiting.send(&format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            good(),
            waiting.authority
        ));
        let (code, reply) = code_of(waiting.ends());
        assert_eq!(code, "thecode");
        reply.failed("<b>no</b>");
        let mut page = String::new();
        let _ = (&stream).read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("&lt;b&gt;no"), "{page}");
        for header in
            ["Content-Security-Policy: default-src 'none'", "Cache-Control: no-store", "Referrer-Policy: no-referrer"]
        {
            assert!(page.contains(header), "{header}");
        }
        assert!(!page.contains("thecode"));
    }

    #[test]
    fn strangers_are_answered_and_the_wait_goes_on() {
        let waiting = waiting();
        let authority = waiting.authority.clone();
        let state = format!("state={STATE}");
        for (head, status) in [
            (format!("GET /favicon.ico HTTP/1.1\r\nHost: {authority}\r\n"), 404),
            (format!("GET /callback/ HTTP/1.1\r\nHost: {authority}\r\n"), 404),
            (format!("GET /?code=x&{state} HTTP/1.1\r\nHost: {authority}\r\n"), 404),
            (format!("POST {} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 0\r\n", good()), 405),
            (format!("HEAD {} HTTP/1.1\r\nHost: {authority}\r\n", good()), 405),
            (format!("GET {} HTTP/1.1\r\nHost: evil.example\r\n", good()), 400),
            (format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n", good()), 400),
            (format!("GET {} HTTP/1.0\r\n", good()), 400),
            (format!("GET /callback?code=x&state=guess HTTP/1.1\r\nHost: {authority}\r\n"), 400),
            (format!("GET /callback?code=x HTTP/1.1\r\nHost: {authority}\r\n"), 400),
            (format!("GET /callback?code=x&code=y&{state} HTTP/1.1\r\nHost: {authority}\r\n"), 400),
            (format!("GET /callback?code=x&error=y&{state} HTTP/1.1\r\nHost: {authority}\r\n"), 400),
            (format!("GET /callback?{state} HTTP/1.1\r\nHost: {authority}\r\n"), 400),
            (format!("GET /callback?code=x&{state}&x={} HTTP/1.1\r\nHost: {authority}\r\n", "y".repeat(9000)), 400),
        ] {
            let answer = waiting.ask(&format!("{head}Connection: close\r\n\r\n"));
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")) || answer.starts_with(&format!("HTTP/1.0 {status}")),
                "{head:.80}: {answer:.80}"
            );
            waiting.goes_on();
        }
        let mut browser =
            waiting.send(&format!("GET {} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n", good()));
        code_of(waiting.ends()).1.done();
        let mut asked = String::new();
        browser.read_to_string(&mut asked).unwrap();
        assert!(asked.contains("You are logged in"), "{asked}");
    }

    #[test]
    fn clients_that_hang_hold_nothing_up() {
        let waiting = waiting();
        let silent: Vec<TcpStream> = (0..30).map(|_| waiting.connect()).collect();
        let halves: Vec<TcpStream> = (0..10).map(|_| waiting.send("GET /callback?code=x&st")).collect();
        let unread = waiting.send(&format!("GET /favicon.ico HTTP/1.1\r\nHost: {}\r\n\r\n", waiting.authority));
        let unfinished = waiting.send(&format!(
            "POST /callback HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\nhalf",
            waiting.authority
        ));
        let pipelined = waiting.send(&format!(
            "GET /a HTTP/1.1\r\nHost: {0}\r\n\r\nGET /b HTTP/1.1\r\nHost: {0}\r\n\r\n",
            waiting.authority
        ));
        let started = Instant::now();
        let browser = waiting.send(&format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", good(), waiting.authority));
        let (code, reply) = code_of(waiting.ends());
        assert_eq!(code, "thecode");
        reply.done();
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        drop((silent, halves, unread, unfinished, pipelined, browser));
    }

    #[test]
    fn the_port_is_closed_when_the_wait_is_over() {
        let waiting = waiting_on("http://127.0.0.1/callback", Duration::ZERO);
        assert!(matches!(waiting.ends(), Outcome::TimedOut));
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(waiting.address).is_ok() {
            assert!(Instant::now() < deadline, "the port is still open");
            thread::yield_now();
        }
    }

    #[test]
    fn denial_and_refusal_end_the_wait() {
        let first = waiting();
        assert!(first.get(&format!("/callback?error=access_denied&state={STATE}")).contains("not granted"));
        assert!(matches!(first.ends(), Outcome::Denied));
        let second = waiting();
        let page = second.get(&format!("/callback?error=server_error&error_description=%3Cscript%3E&state={STATE}"));
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
        assert!(matches!(second.ends(), Outcome::Refused { error, .. } if error == "server_error"));
    }

    #[test]
    fn not_found_without_state_is_told_but_believed_only_at_the_end() {
        let first = waiting();
        first.get("/callback?error=not_found");
        assert_eq!(first.notices.recv_timeout(Duration::from_secs(10)), Ok(Notice::NotFound));
        first.goes_on();
        let _browser = first.send(&format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", good(), first.authority));
        assert_eq!(code_of(first.ends()).0, "thecode");

        let patience = Duration::from_secs(2);
        let (second, started) = (waiting_on("http://127.0.0.1/callback", patience), Instant::now());
        second.get("/callback?error=not_found");
        assert!(matches!(second.ends(), Outcome::NotFound));
        assert!(started.elapsed() >= patience);

        let third = waiting();
        assert!(third.paster.line(String::new()));
        third.get("/callback?error=not_found");
        assert_eq!(third.notices.recv_timeout(Duration::from_secs(10)), Ok(Notice::NotFound));
        assert!(third.paster.line(String::new()));
        assert!(matches!(third.ends(), Outcome::NotFound));
    }

    #[test]
    fn what_is_pasted_counts_as_well() {
        let waiting = waiting();
        assert!(waiting.paster.line("http://127.0.0.1/callback?code=x&state=other".into()));
        assert_eq!(
            waiting.notices.recv_timeout(Duration::from_secs(10)),
            Ok(Notice::BadPaste(CallbackError::WrongState))
        );
        waiting.paster.ended();
        assert!(waiting.paster.line(format!("http://{}{}", waiting.authority, good())));
        assert_eq!(code_of(waiting.ends()).0, "thecode");
    }

    #[test]
    fn without_a_listener_the_end_of_input_is_the_end() {
        let inbox = Inbox::manual(RedirectUri::manual("https://app.example/cb").unwrap());
        inbox.paster().ended();
        let outcome = inbox.wait(&Secret::new(STATE.into()), Instant::now() + Duration::from_secs(10), |_| ());
        assert!(matches!(outcome, Outcome::InputEnded));
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        for redirect in [format!("http://127.0.0.1:{port}/callback"), format!("http://localhost:{port}/x")] {
            let error = Inbox::listen(RedirectUri::loopback(&redirect).unwrap()).err().unwrap();
            assert!(matches!(error, ListenError::PortTaken { port: named, .. } if named == port), "{error}");
        }
    }

    #[test]
    fn ipv6_and_localhost_work_where_there_is_ipv6() {
        if std::net::TcpListener::bind("[::1]:0").is_err() {
            #[expect(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: this machine has no IPv6 loopback");
            }
            return;
        }
        let v6 = waiting_on("http://[::1]/callback", Duration::from_secs(30));
        let _browser = v6.send(&format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", good(), v6.authority));
        assert_eq!(code_of(v6.ends()).0, "thecode");

        // A browser would take the code to the program on the other address.
        let taken = std::net::TcpListener::bind("[::1]:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Inbox::listen(RedirectUri::loopback(&format!("http://localhost:{port}/x")).unwrap()).err().unwrap();
        assert!(matches!(error, ListenError::PortTaken { port: named, .. } if named == port), "{error}");

        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let localhost = waiting_on(&format!("http://localhost:{port}/callback"), Duration::from_secs(30));
        let mut stream = TcpStream::connect(("::1", port)).unwrap();
        write!(stream, "GET {} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n", good()).unwrap();
        assert_eq!(code_of(localhost.ends()).0, "thecode");
    }
}
