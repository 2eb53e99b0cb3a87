//! Clients that misbehave on purpose, over real sockets. None of them may end the process, delay a log-in that is
//! going well, or keep a finished wait from returning.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{tests::expected, *};

const STATE: &str = "0123456789abcdef0123456789abcdef";

struct Waiting {
    authority: String,
    outcome: Receiver<Outcome>,
    told: Receiver<Notice>,
}

fn waiting(patience: Duration) -> Waiting {
    let inbox = CallbackListener::listen(RedirectUri::loopback("http://127.0.0.1/callback").unwrap()).unwrap();
    let authority = inbox.redirect().authority();
    let (done, outcome) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let tell = |notice| tell.send(notice).unwrap_or_default();
        let _ = done.send(inbox.wait(&expected(), Instant::now() + patience, tell));
    });
    Waiting { authority, outcome, told }
}

impl Waiting {
    fn send(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(head.replace("HOST", &self.authority).as_bytes()).unwrap();
        stream
    }

    fn callback(&self) -> TcpStream {
        self.send(&format!("GET /callback?code=thecode&state={STATE} HTTP/1.1\r\nHost: HOST\r\n\r\n"))
    }

    fn ends(&self) -> Outcome {
        self.outcome.recv_timeout(Duration::from_secs(10)).expect("the wait should have ended")
    }

    fn ends_with_the_code(&self) -> Reply {
        match self.ends() {
            Outcome::Code(code, reply) if code.matches("thecode") => reply,
            other => panic!("{other:?}"),
        }
    }
}

/// Reads one answer by its declared length, because the connection may stay open after it.
fn answer_of(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

#[test]
fn an_absurd_body_length_is_survived() {
    let waiting = waiting(Duration::from_secs(30));
    for length in ["70000", "9000000000000", "18446744073709551615"] {
        for method in ["GET", "POST"] {
            let head = format!("{method} /callback HTTP/1.1\r\nHost: HOST\r\nContent-Length: {length}\r\n\r\n");
            drop(waiting.send(&head));
        }
    }
    let _browser = waiting.callback();
    waiting.ends_with_the_code().done();
}

#[test]
fn open_requests_do_not_delay_the_end() {
    let waiting = waiting(Duration::from_secs(30));
    // It is answered only after the first request, which the waiting thread still holds when it returns.
    let get = format!("GET /callback?code=thecode&state={STATE} HTTP/1.1\r\nHost: HOST\r\n\r\n");
    let post = format!("POST /callback HTTP/1.1\r\nHost: {}\r\nContent-Length: 5000\r\n\r\nhalf", waiting.authority);
    // Connect first: after the callback, the listener may be closed.
    let mut unfinished: Vec<TcpStream> = (0..20).map(|_| waiting.send("")).collect();
    let _pipelined = waiting.send(&get.repeat(50));
    unfinished.iter_mut().for_each(|stream| stream.write_all(post.as_bytes()).unwrap_or_default());
    waiting.ends_with_the_code().done();
    assert!(waiting.told.try_iter().all(|notice| notice == Notice::TurnedAway));
}

#[test]
fn many_requests_do_not_delay_the_deadline() {
    let patience = Duration::from_millis(500);
    let (waiting, started) = (waiting(patience), Instant::now());
    let mut flood = TcpStream::connect(&waiting.authority).unwrap();
    let _ = flood.set_write_timeout(Some(Duration::from_millis(500)));
    let requests = "GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let flooding =
        thread::spawn(
            move || {
                while !stopped.load(Ordering::Relaxed) && flood.write_all(requests.as_bytes()).is_ok() {}
            },
        );
    assert!(matches!(waiting.ends(), Outcome::TimedOut));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    stop.store(true, Ordering::Relaxed);
    flooding.join().unwrap();
}

#[test]
fn connections_made_ahead_of_time_do_not_starve_the_callback() {
    for _ in 0..8 {
        let waiting = waiting(Duration::from_secs(30));
        // tiny_http's pool miscounts threads that have served a request and wait for another.
        for _ in 0..3 {
            let mut served = waiting.send("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
            served.read_to_string(&mut String::new()).unwrap();
        }
        let _ahead: Vec<TcpStream> = (0..6).map(|_| TcpStream::connect(&waiting.authority).unwrap()).collect();
        let mut browser = waiting.callback();
        waiting.ends_with_the_code().done();
        assert!(answer_of(&mut browser).contains("You are logged in"));
    }
}

#[test]
fn repeated_stray_requests_are_reported_once() {
    let waiting = waiting(Duration::from_secs(30));
    for _ in 0..5 {
        for query in ["code=guess&state=guess", "error=not_found"] {
            let head = format!("GET /callback?{query} HTTP/1.1\r\nHost: HOST\r\n\r\n");
            assert!(answer_of(&mut waiting.send(&head)).contains("HTTP/1.1 400"));
        }
    }
    let _browser = waiting.callback();
    waiting.ends_with_the_code().done();
    assert_eq!(waiting.told.try_iter().collect::<Vec<_>>(), [Notice::TurnedAway, Notice::NotFound]);
}

#[test]
fn every_answer_ends_its_connection_and_fits_its_request() {
    let waiting = waiting(Duration::from_secs(30));
    let not_allowed = answer_of(&mut waiting.send("DELETE /callback HTTP/1.1\r\nHost: HOST\r\n\r\n"));
    assert!(not_allowed.starts_with("HTTP/1.1 405") && not_allowed.contains("\r\nAllow: GET\r\n"), "{not_allowed}");
    assert!(not_allowed.contains("\r\nConnection: close\r\n"), "{not_allowed}");
    let mut head = String::new();
    let mut stream = waiting.send("HEAD /callback HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
    stream.read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 405") && head.ends_with("\r\n\r\n"), "{head}");
    let twice = "GET /callback HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n";
    assert!(answer_of(&mut waiting.send(twice)).starts_with("HTTP/1.1 400"));
    let _browser = waiting.callback();
    waiting.ends_with_the_code().done();
}

#[test]
fn a_dropped_reply_does_not_claim_success() {
    let waiting = waiting(Duration::from_secs(30));
    let mut browser = waiting.callback();
    drop(waiting.ends_with_the_code());
    let page = answer_of(&mut browser);
    assert!(page.contains("The terminal shows the result") && !page.contains("logged in"), "{page}");
    assert!(!page.contains("thecode") && !page.contains(STATE), "{page}");
}

#[test]
fn an_outcome_prints_neither_code_nor_state() {
    let waiting = waiting(Duration::from_secs(30));
    let _browser = waiting.callback();
    let outcome = waiting.ends();
    let printed = format!("{outcome:?}");
    assert!(!printed.contains("thecode") && !printed.contains(STATE), "{printed}");
    assert!(matches!(outcome, Outcome::Code(..)));
}

#[test]
fn a_hundred_silent_connections_delay_the_callback_by_seconds_at_most() {
    let waiting = waiting(Duration::from_secs(30));
    let _silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&waiting.authority).unwrap()).collect();
    let _browser = waiting.callback();
    waiting.ends_with_the_code().done();
}
