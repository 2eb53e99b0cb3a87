//! What may stand between bbdl and the server: passes everything on to a mock, but for the paths whose answers a test
//! makes up or changes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use super::{Stage, assert_code, http};

/// An answer as it goes out.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub cut: Option<usize>,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into(), cut: None }
    }

    pub fn html(status: u16) -> Self {
        Self::new(status, "text/html", "<html><h1>Log in to the hotel's Wi-Fi: all's well</h1></html>")
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn text(&self) -> String {
        super::text(&self.body)
    }
}

/// What the mock says, when it is asked.
pub type Real<'a> = &'a dyn Fn() -> Reply;
type Rule = Arc<dyn Fn(Real<'_>) -> Reply + Send + Sync>;

#[derive(Default)]
struct State {
    rules: Vec<(String, Rule)>,
    asked: Vec<String>,
}

pub struct Gateway {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Gateway {
    /// A gateway before this stage's mock.
    pub fn before(stage: &Stage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, mock) = (Arc::clone(&state), stage.mock.url().to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, mock) = (Arc::clone(&shared), mock.clone());
                thread::spawn(move || serve(stream, &shared, &mock));
            }
        });
        Self { url, state }
    }

    /// A stage whose default profile is logged in through a gateway.
    pub fn logged_in(stage: &Stage, more: &[&str]) -> Self {
        let gateway = Self::before(stage);
        gateway.log_in(stage, more);
        gateway
    }

    pub fn log_in(&self, stage: &Stage, more: &[&str]) {
        let output = stage.log_in_with(self.login_command(stage, more));
        assert_code(&output, 0, more);
    }

    pub fn login_command(&self, stage: &Stage, more: &[&str]) -> std::process::Command {
        let mut command = stage.bbdl(&["login", "--server", &self.url, "--client-id", stage.mock.client_id()]);
        command.arg("--client-secret-file").arg(stage.secret_file()).arg("--no-browser").args(more);
        command
    }

    /// From now on, this answers whatever has `path` in its path.
    pub fn answer(&self, path: &str, rule: impl Fn(Real<'_>) -> Reply + Send + Sync + 'static) {
        let mut state = self.state.lock().unwrap();
        state.rules.retain(|(known, _)| known != path);
        state.rules.push((path.to_owned(), Arc::new(rule)));
    }

    /// From now on, everything is passed on.
    pub fn step_aside(&self) {
        self.state.lock().unwrap().rules.clear();
    }

    /// What was asked for since the last time: `METHOD /path`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, mock: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    let _ = reader.read_line(&mut line);
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return };
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.trim().split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, text)| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let passed_on: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| ["authorization", "content-type", "accept", "cookie"].contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let real = || {
        let answer = http(method, &format!("{mock}{target}"), &passed_on, std::str::from_utf8(&body).unwrap());
        let dropped = ["content-length", "transfer-encoding", "connection"];
        let headers = answer.headers.into_iter().filter(|(key, _)| !dropped.contains(&key.to_lowercase().as_str()));
        Reply { status: answer.status, headers: headers.collect(), body: answer.body.into_bytes(), cut: None }
    };
    let path = target.split('?').next().unwrap();
    let rule = {
        let mut state = state.lock().unwrap();
        state.asked.push(format!("{method} {path}"));
        state.rules.iter().find(|(known, _)| path.contains(known.as_str())).map(|(_, rule)| Arc::clone(rule))
    };
    let reply = rule.map_or_else(real, |rule| rule(&real));
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", reply.body.len());
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len())];
    // A client that has gone away is no business of this server's.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}
