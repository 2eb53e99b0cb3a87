//! A recorded request, made again.

use std::collections::HashMap;

use url::Url;

use super::{
    plan::{App, Basic, Plan, Step, plan},
    recorded::Row,
    stand::Stand,
};
use crate::support::Answer;

/// What the later rows say of the codes of the earlier ones: the right verifier comes last.
pub struct Verifiers(HashMap<String, String>);

impl Verifiers {
    pub fn of(rows: &[Row]) -> Self {
        let pair = |row: &Row| Some((row.field("code")?.to_owned(), row.field("code_verifier")?.to_owned()));
        Self(rows.iter().filter_map(pair).collect())
    }
}

/// Establishes what the row needs, and makes its request.
pub fn replay(stand: &mut Stand, row: &Row, verifiers: &Verifiers) -> Answer {
    let mut plan = plan(row);
    if let Some(app) = row.field("client_id").and_then(|id| stand.app_of(&stand.translated(id))) {
        plan.app = app;
    }
    let (before, after): (Vec<Step>, Vec<Step>) = plan.steps.iter().partition(|step| **step == Step::LogIn);
    before.into_iter().for_each(|step| stand.step(step, &plan));
    let known = prepare(stand, row, &plan, verifiers);
    after.into_iter().for_each(|step| stand.step(step, &plan));
    let target = known.target.unwrap_or_else(|| stand.translated(&row.target));
    let body = known.body.unwrap_or_else(|| stand.translated(&row.sent_body));
    let owner = owner(stand, &body, &target).unwrap_or(plan.app);
    let body = body.replace("<client_secret>", &stand.credentials(owner).1);
    let headers = headers(stand, row, &plan, owner);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let url = format!("{}{target}", stand.mock.url());
    let answer = crate::support::http(&row.method, &url, &headers, &body);
    learn(stand, row, &answer, owner);
    answer
}

/// What replaces the row's own target and body.
#[derive(Default)]
struct Known {
    target: Option<String>,
    body: Option<String>,
}

fn prepare(stand: &mut Stand, row: &Row, plan: &Plan, verifiers: &Verifiers) -> Known {
    let mut known = Known::default();
    let shown = row.sent("authorization").and_then(|value| value.split_once(' ')).map(|(_, token)| token);
    if let Some(token) = shown.filter(|token| is_word(token) && !stand.knows(token)) {
        stand.token_for(token, plan, false);
    }
    for (field, is_refresh) in [("refresh_token", true), ("token", row.title.contains("refresh token"))] {
        if let Some(token) = row.field(field).filter(|token| is_word(token) && !stand.knows(token)) {
            stand.token_for(token, plan, is_refresh);
        }
    }
    if let Some(code) = row.field("code").filter(|code| is_word(code) && !stand.knows(code)) {
        let verifier = verifiers.0.get(code).map_or("", String::as_str);
        let live = stand.code(plan, verifier);
        stand.learn(code, &live);
    }
    if let Some(uuid) = uuid(&row.target) {
        if !stand.knows(uuid) {
            let authorize = stand.translated(&row.target.replace(&format!("{uuid}/"), ""));
            let walk = stand.walk(&authorize, plan.enrollee);
            let page = walk.after.header("location").unwrap_or_else(|| panic!("{}: {}", row.name(), walk.after.body));
            let live = self::uuid(page).unwrap().to_owned();
            stand.learn(uuid, &live);
        }
        if row.method == "POST" {
            let csrf = stand.csrf(&stand.translated(&row.target));
            let other = |pair: &str| !pair.starts_with("csrfmiddlewaretoken=");
            let kept: Vec<&str> = row.sent_body.split('&').filter(|pair| other(pair)).collect();
            let kept = stand.translated(&kept.join("&"));
            known.body = Some(format!("{kept}&csrfmiddlewaretoken={csrf}"));
        }
    }
    let relay = row.target.split("&relay=").nth(1).filter(|_| row.target.starts_with("/mymedicare/sls-callback"));
    if relay.is_some_and(|relay| !stand.knows(relay)) {
        let walk = stand.walk(&stand.authorize(plan, &"a".repeat(43)), plan.enrollee);
        known.target = Some(walk.callback.trim_start_matches(stand.mock.url()).to_owned());
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
fn owner(stand: &Stand, body: &str, target: &str) -> Option<App> {
    let pairs = body.split('&').chain(target.split(['?', '&']));
    pairs.filter_map(|pair| pair.split_once('=')).find_map(|(_, value)| stand.owner(value))
}

fn headers(stand: &Stand, row: &Row, plan: &Plan, owner: App) -> Vec<(String, String)> {
    // No gzip: the test reads plain text.
    const OWN: [&str; 6] = ["host", "connection", "content-length", "accept-encoding", "cookie", "referer"];
    let sent = row.sent.iter().filter(|(key, _)| !OWN.contains(&key.to_ascii_lowercase().as_str()));
    sent.map(|(key, value)| {
        let value = if value.starts_with("Basic <") {
            let app = if let Basic::Of(app) = plan.basic { app } else { owner };
            let (id, secret) = stand.credentials(app);
            match plan.basic {
                Basic::Owner | Basic::Of(_) => stand.basic(id, secret),
                Basic::WrongSecret => stand.basic(id, "wrong"),
                Basic::UnknownApp => stand.basic("nobody", secret),
            }
        } else {
            stand.translated(value)
        };
        (key.clone(), value)
    })
    .collect()
}

/// What the answer gives, later rows send.
fn learn(stand: &mut Stand, row: &Row, answer: &Answer, owner: App) {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    if let (Some(recorded), Some(live)) = (json(&row.body), json(&answer.body)) {
        for name in ["access_token", "refresh_token"] {
            if let (Some(recorded), Some(live)) = (recorded[name].as_str(), live[name].as_str()) {
                stand.learn(recorded, live);
                stand.own(live, owner);
            }
        }
    }
    let (Some(recorded), Some(live)) = (row.header("location"), answer.header("location")) else { return };
    if let (Some(recorded), Some(live)) = (uuid(recorded), uuid(live)) {
        stand.learn(recorded, live);
    }
    let base = Url::parse("http://localhost").unwrap();
    let value = |location: &str, name: &str| {
        let url = base.join(location).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    for name in ["relay", "req_token", "code"] {
        if let (Some(recorded), Some(live)) = (value(recorded, name), value(live, name)) {
            stand.learn(&recorded, &live);
        }
    }
}
