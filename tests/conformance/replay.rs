//! Repeats a recorded request.

use std::collections::HashMap;

use url::Url;

use super::{
    plan::{App, Basic, Plan, Step, plan},
    recorded::Exchange,
    replay_server::ReplayServer,
};
use crate::support::Answer;

/// The code verifiers that later exchanges send for the codes of earlier ones. The right one comes last.
pub struct Verifiers(HashMap<String, String>);

impl Verifiers {
    pub fn of(exchanges: &[Exchange]) -> Self {
        let pair = |exchange: &Exchange| {
            Some((exchange.field("code")?.to_owned(), exchange.field("code_verifier")?.to_owned()))
        };
        Self(exchanges.iter().filter_map(pair).collect())
    }
}

/// Sets up the state that the exchange needs, and sends its request.
pub fn replay(server: &mut ReplayServer, exchange: &Exchange, verifiers: &Verifiers) -> Answer {
    let mut plan = plan(exchange);
    if let Some(app) = exchange.field("client_id").and_then(|id| server.app_of(&server.translated(id))) {
        plan.app = app;
    }
    let (before, after): (Vec<Step>, Vec<Step>) = plan.steps.iter().partition(|step| **step == Step::LogIn);
    before.into_iter().for_each(|step| server.step(step, &plan));
    let known = prepare(server, exchange, &plan, verifiers);
    after.into_iter().for_each(|step| server.step(step, &plan));
    let target = known.target.unwrap_or_else(|| server.translated(&exchange.target));
    let body = known.body.unwrap_or_else(|| server.translated(&exchange.sent_body));
    let owner = owner(server, &body, &target).unwrap_or(plan.app);
    let body = body.replace("<client_secret>", &server.credentials(owner).1);
    let headers = headers(server, exchange, &plan, owner);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let url = format!("{}{target}", server.mock.url());
    let answer = crate::support::http(&exchange.method, &url, &headers, &body);
    learn(server, exchange, &answer, owner);
    answer
}

/// What replaces the target and the body of the exchange.
#[derive(Default)]
struct Replacement {
    target: Option<String>,
    body: Option<String>,
}

fn prepare(server: &mut ReplayServer, exchange: &Exchange, plan: &Plan, verifiers: &Verifiers) -> Replacement {
    let mut known = Replacement::default();
    let shown = exchange.sent("authorization").and_then(|value| value.split_once(' ')).map(|(_, token)| token);
    if let Some(token) = shown.filter(|token| is_word(token) && !server.knows(token)) {
        server.token_for(token, plan, false);
    }
    for (field, is_refresh) in [("refresh_token", true), ("token", exchange.title.contains("refresh token"))] {
        if let Some(token) = exchange.field(field).filter(|token| is_word(token) && !server.knows(token)) {
            server.token_for(token, plan, is_refresh);
        }
    }
    if let Some(code) = exchange.field("code").filter(|code| is_word(code) && !server.knows(code)) {
        let verifier = verifiers.0.get(code).map_or("", String::as_str);
        let live = server.code(plan, verifier);
        server.learn(code, &live);
    }
    if let Some(uuid) = uuid(&exchange.target) {
        if !server.knows(uuid) {
            let authorize = server.translated(&exchange.target.replace(&format!("{uuid}/"), ""));
            let log_in_pages = server.log_in_pages(&authorize, plan.enrollee);
            let page = log_in_pages
                .after
                .header("location")
                .unwrap_or_else(|| panic!("{}: {}", exchange.name(), log_in_pages.after.body));
            let live = self::uuid(page).unwrap().to_owned();
            server.learn(uuid, &live);
        }
        if exchange.method == "POST" {
            let csrf = server.csrf(&server.translated(&exchange.target));
            let other = |pair: &str| !pair.starts_with("csrfmiddlewaretoken=");
            let kept: Vec<&str> = exchange.sent_body.split('&').filter(|pair| other(pair)).collect();
            let kept = server.translated(&kept.join("&"));
            known.body = Some(format!("{kept}&csrfmiddlewaretoken={csrf}"));
        }
    }
    let relay =
        exchange.target.split("&relay=").nth(1).filter(|_| exchange.target.starts_with("/mymedicare/sls-callback"));
    if relay.is_some_and(|relay| !server.knows(relay)) {
        let log_in_pages = server.log_in_pages(&server.authorize(plan, &"a".repeat(43)), plan.enrollee);
        known.target = Some(log_in_pages.callback.trim_start_matches(server.mock.url()).to_owned());
    }
    known
}

/// A code or token of the recordings.
fn is_word(text: &str) -> bool {
    text.len() == 30 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The name of a consent page in a path.
fn uuid(target: &str) -> Option<&str> {
    let rest = target.split("/o/authorize/").nth(1)?.split('/').next()?;
    (rest.len() == 36 && rest.matches('-').count() == 4).then_some(rest)
}

/// The app whose code or token is sent.
fn owner(server: &ReplayServer, body: &str, target: &str) -> Option<App> {
    let pairs = body.split('&').chain(target.split(['?', '&']));
    pairs.filter_map(|pair| pair.split_once('=')).find_map(|(_, value)| server.owner(value))
}

fn headers(server: &ReplayServer, exchange: &Exchange, plan: &Plan, owner: App) -> Vec<(String, String)> {
    // No gzip: the test reads plain text.
    const OWN: [&str; 6] = ["host", "connection", "content-length", "accept-encoding", "cookie", "referer"];
    let sent = exchange.sent.iter().filter(|(key, _)| !OWN.contains(&key.to_ascii_lowercase().as_str()));
    sent.map(|(key, value)| {
        let value = if value.starts_with("Basic <") {
            let app = if let Basic::Of(app) = plan.basic { app } else { owner };
            let (id, secret) = server.credentials(app);
            match plan.basic {
                Basic::Owner | Basic::Of(_) => server.basic(id, secret),
                Basic::WrongSecret => server.basic(id, "wrong"),
                Basic::UnknownApp => server.basic("nobody", secret),
            }
        } else {
            server.translated(value)
        };
        (key.clone(), value)
    })
    .collect()
}

/// Remembers the codes, tokens and addresses in the answer, which later exchanges send.
fn learn(server: &mut ReplayServer, exchange: &Exchange, answer: &Answer, owner: App) {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    if let (Some(recorded), Some(live)) = (json(&exchange.body), json(&answer.body)) {
        for name in ["access_token", "refresh_token"] {
            if let (Some(recorded), Some(live)) = (recorded[name].as_str(), live[name].as_str()) {
                server.learn(recorded, live);
                server.set_owner(live, owner);
            }
        }
    }
    let (Some(recorded), Some(live)) = (exchange.header("location"), answer.header("location")) else { return };
    if let (Some(recorded), Some(live)) = (uuid(recorded), uuid(live)) {
        server.learn(recorded, live);
    }
    let base = Url::parse("http://localhost").unwrap();
    let value = |location: &str, name: &str| {
        let url = base.join(location).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    for name in ["relay", "req_token", "code"] {
        if let (Some(recorded), Some(live)) = (value(recorded, name), value(live, name)) {
            server.learn(&recorded, &live);
        }
    }
}
