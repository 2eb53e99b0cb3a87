//! The wait, over real sockets.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
};

use super::*;

const STATE: &str = "0123456789abcdef0123456789abcdef";

pub(super) fn expected() -> Expected {
    Expected { state: Secret::new(STATE.into()), issuer: "http://127.0.0.1:1".parse().unwrap() }
}

/// A wait that runs in a thread, and where to reach it.
struct Waiting {
    authority: String,
    address: SocketAddr,
    paster: Paster,
    notices: Receiver<Notice>,
    outcome: Receiver<Outcome>,
}

fn waiting_on(redirect: &str, patience: Duration) -> Waiting {
    let inbox = CallbackListener::listen(RedirectUri::loopback(redirect).unwrap()).unwrap();
    let address = inbox.listener.as_ref().unwrap().address().unwrap();
    let (authority, paster) = (inbox.redirect().authority(), inbox.paster());
    let (notice, notices) = mpsc::channel();
    let (done, outcome) = mpsc::channel();
    thread::spawn(move || {
        let tell = |told| notice.send(told).unwrap_or_default();
        let _ = done.send(inbox.wait(&expected(), Instant::now() + patience, tell));
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
    let stream =
        waiting.send(&format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", good(), waiting.authority));
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
fn unrelated_requests_are_answered_and_the_wait_continues() {
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
fn hanging_clients_delay_nothing() {
    let waiting = waiting();
    let silent: Vec<TcpStream> = (0..30).map(|_| waiting.connect()).collect();
    let halves: Vec<TcpStream> = (0..10).map(|_| waiting.send("GET /callback?code=x&st")).collect();
    let unread = waiting.send(&format!("GET /favicon.ico HTTP/1.1\r\nHost: {}\r\n\r\n", waiting.authority));
    let unfinished = waiting
        .send(&format!("POST /callback HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\nhalf", waiting.authority));
    let pipelined = waiting
        .send(&format!("GET /a HTTP/1.1\r\nHost: {0}\r\n\r\nGET /b HTTP/1.1\r\nHost: {0}\r\n\r\n", waiting.authority));
    let started = Instant::now();
    let browser = waiting.send(&format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", good(), waiting.authority));
    let (code, reply) = code_of(waiting.ends());
    assert_eq!(code, "thecode");
    let _ = reply.done();
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
fn not_found_without_state_counts_only_at_the_deadline() {
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
    third.paster.line(String::new()).unwrap();
    third.get("/callback?error=not_found");
    assert_eq!(third.notices.recv_timeout(Duration::from_secs(10)), Ok(Notice::NotFound));
    third.paster.line(String::new()).unwrap();
    assert!(matches!(third.ends(), Outcome::NotFound));
}

#[test]
fn a_pasted_address_ends_the_wait_too() {
    let waiting = waiting();
    waiting.paster.line("http://127.0.0.1/callback?code=x&state=other".into()).unwrap();
    assert_eq!(waiting.notices.recv_timeout(Duration::from_secs(10)), Ok(Notice::BadPaste(CallbackError::WrongState)));
    waiting.paster.ended();
    waiting.paster.line(format!("http://{}{}", waiting.authority, good())).unwrap();
    assert_eq!(code_of(waiting.ends()).0, "thecode");
}

#[test]
fn without_a_listener_the_end_of_input_ends_the_wait() {
    let inbox = CallbackListener::manual(RedirectUri::manual("https://app.example/cb").unwrap());
    inbox.paster().ended();
    let outcome = inbox.wait(&expected(), Instant::now() + Duration::from_secs(10), |_| ());
    assert!(matches!(outcome, Outcome::InputEnded));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for redirect in [format!("http://127.0.0.1:{port}/callback"), format!("http://localhost:{port}/x")] {
        let error = CallbackListener::listen(RedirectUri::loopback(&redirect).unwrap()).err().unwrap();
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
    let error =
        CallbackListener::listen(RedirectUri::loopback(&format!("http://localhost:{port}/x")).unwrap()).err().unwrap();
    assert!(matches!(error, ListenError::PortTaken { port: named, .. } if named == port), "{error}");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let localhost = waiting_on(&format!("http://localhost:{port}/callback"), Duration::from_secs(30));
    let mut stream = TcpStream::connect(("::1", port)).unwrap();
    write!(stream, "GET {} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n", good()).unwrap();
    assert_eq!(code_of(localhost.ends()).0, "thecode");
}
