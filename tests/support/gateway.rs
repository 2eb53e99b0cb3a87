//! A gateway between bbdl and the server. It passes everything on to a mock, except paths whose answers a test makes
//! up or changes.

use std::sync::{Arc, Mutex};

pub use super::listener::Reply;
use super::{
    Stage, assert_code, http,
    listener::{Request, serve},
};

/// The mock's answer, when the rule asks for it.
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
    /// A gateway in front of this stage's mock.
    pub fn before(stage: &Stage) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, mock) = (Arc::clone(&state), stage.mock.url().to_owned());
        let url = serve(move |request| answer(&request, &shared, &mock));
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

    /// From now on, this rule answers every path that contains `path`.
    pub fn answer(&self, path: &str, rule: impl Fn(Real<'_>) -> Reply + Send + Sync + 'static) {
        let mut state = self.state.lock().unwrap();
        state.rules.retain(|(known, _)| known != path);
        state.rules.push((path.to_owned(), Arc::new(rule)));
    }

    /// From now on, everything is passed on.
    pub fn step_aside(&self) {
        self.state.lock().unwrap().rules.clear();
    }

    /// The requests since the last call: `METHOD /path`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

fn answer(request: &Request, state: &Mutex<State>, mock: &str) -> Reply {
    let passed_on = ["authorization", "content-type", "accept", "cookie"];
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: Vec<(&str, &str)> = headers.filter(|(name, _)| passed_on.contains(name)).collect();
    let real = || {
        let body = std::str::from_utf8(&request.body).unwrap();
        let answer = http(&request.method, &format!("{mock}{}", request.target), &headers, body);
        let dropped = ["content-length", "transfer-encoding", "connection"];
        let headers = answer.headers.into_iter().filter(|(key, _)| !dropped.contains(&key.to_lowercase().as_str()));
        Reply { status: answer.status, headers: headers.collect(), body: answer.body.into_bytes(), cut: None }
    };
    let path = request.path();
    let rule = {
        let mut state = state.lock().unwrap();
        state.asked.push(format!("{} {path}", request.method));
        state.rules.iter().find(|(known, _)| path.contains(known.as_str())).map(|(_, rule)| Arc::clone(rule))
    };
    rule.map_or_else(real, |rule| rule(&real))
}
