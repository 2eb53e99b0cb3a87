//! The mock for the replayed exchanges, and which of its values corresponds to which recorded one.

use std::collections::HashMap;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bluebutton_mock::{Mock, Options, Population};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::plan::{App, Plan, Step};
use crate::support::Answer;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const VERIFIER: &str = "0123456789012345678901234567890123456789012345678901234567890123";

/// The client ids in the recordings, and their apps.
const CLIENTS: [(&str, App); 5] = [
    ("UJCW7VBZIF75RGKLEWS5VSFKCM5SUXXZP2II4H5O", App::Main),
    ("VYX2DY2RXT5SBF45LC7MQXDA44PFF2RL3ISBQCTD", App::Inactive),
    ("HXXVOK6IPQ7FXOM4VBFE7FUFASXINFERHN7X2K2F", App::Public),
    ("MWFIZDVKXMBZIQHBMVAA2GRNLDV3OGX4TCWSQQSU", App::LoopbackWithoutPort),
    ("YHJZHMSH5TL6DLSMGYUG5MYO6YOEW4T4RKZAWI3U", App::Localhost),
];

/// Two tokens that came together. Each one is `None` once it corresponds to a recorded one.
#[derive(Default)]
struct Pair {
    access: Option<String>,
    refresh: Option<String>,
}

pub struct ReplayServer {
    pub mock: Mock,
    /// Id and secret.
    apps: HashMap<App, (String, String)>,
    /// Recorded values, and the corresponding live ones.
    words: Vec<(String, String)>,
    owners: HashMap<String, App>,
    last: Pair,
}

/// A person's way through the log-in pages.
pub struct LoginProgress {
    /// The way back from the log-in server.
    pub callback: String,
    /// The answer to it.
    pub after: Answer,
}

impl ReplayServer {
    pub fn start() -> Self {
        let mock =
            Mock::start(Options { seed: 7, records: Box::new(Population::new(7, 11, 400)), ..Options::default() })
                .unwrap();
        let own = (mock.client_id().to_owned(), mock.client_secret().to_owned());
        let mut server = Self {
            mock,
            apps: HashMap::from([(App::Main, own)]),
            words: Vec::new(),
            owners: HashMap::new(),
            last: Pair::default(),
        };
        for (app, more) in [
            (App::Other, json!({})),
            (App::OneTime, json!({"access": "one-time"})),
            (App::Research, json!({"access": "research"})),
            (App::Inactive, json!({"active": false})),
            (App::Public, json!({"public": true})),
            (
                App::LoopbackWithoutPort,
                json!({"redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback", "http://[::1]/callback"]}),
            ),
            (App::Localhost, json!({"redirect_uris": ["http://localhost:8765/callback"]})),
            (App::NoDemographics, json!({"demographics": false})),
            (App::Idle, json!({})),
            (App::PartD, json!({"part_d": true})),
        ] {
            let made: Value = server.control("apps", &more);
            let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
            server.apps.insert(app, (text("client_id"), text("client_secret")));
        }
        for (enrollee, standing) in [(5, "only-v2"), (6, "only-v3"), (7, "unknown"), (8, "duplicate"), (9, "no-number")]
        {
            server.control("people", &json!({"enrollee": enrollee, "standing": standing}));
        }
        for (enrollee, remove) in [(2, 399), (3, 400), (10, 350)] {
            server.control("claims", &json!({"enrollee": enrollee, "remove": remove, "at": "2026-08-01T06:30:00Z"}));
        }
        server.learn_names();
        server
    }

    /// Learns the people, claims and apps.
    fn learn_names(&mut self) {
        for (recorded, app) in CLIENTS {
            let id = self.apps[&app].0.clone();
            self.learn(recorded, &id);
        }
        let announced: Value = serde_json::from_str(&self.mock.announcement()).unwrap();
        for enrollee in 0..11 {
            let patient = announced["enrollees"][enrollee]["patient"].as_str().unwrap();
            self.learn(&format!("-201400000100{enrollee:02}"), patient);
            self.learn(&format!("-302500000100{enrollee:02}"), &patient.replacen("-2014", "-3025", 1));
            self.learn(&format!("BBUser100{enrollee:02}"), &format!("BBUser{enrollee:05}"));
        }
        let loaded = self.bundle("v2", 1, "")["meta"]["lastUpdated"].as_str().unwrap().to_owned();
        let quoted = |text: &str| text.replace(':', "%3A").replace('+', "%2B");
        self.learn(&quoted("2026-08-01T06:30:00.000+00:00"), &quoted(&loaded));
        for (recorded, version, enrollee) in [
            ("carrier--10000000000", "v2", 0),
            ("carrier--10001000000", "v2", 1),
            ("-4000000000399", "v3", 0),
            ("-4000001000000", "v3", 1),
        ] {
            let page = self.bundle(version, enrollee, "&type=carrier");
            // The recorded claims contain a blood test; so do a tenth of ours.
            let tested = |claim: &&Value| {
                let contained = claim["contained"].as_array().into_iter().flatten();
                contained.into_iter().any(|one| one["resourceType"] == "Observation")
            };
            let mut claims = page["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]);
            self.learn(recorded, claims.find(tested).unwrap()["id"].as_str().unwrap());
        }
    }

    /// A page of claims.
    fn bundle(&mut self, version: &str, enrollee: usize, more: &str) -> Value {
        let plan = Plan { enrollee, ..super::plan::plan(&super::recorded::nobody()) };
        let (access, _) = self.tokens(&plan);
        let url = format!("{}/{version}/fhir/ExplanationOfBenefit?_count=50{more}", self.mock.url());
        let answer = crate::support::http("GET", &url, &[("Authorization", &format!("Bearer {access}"))], "");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// From now on, the live value is used for the recorded one.
    pub fn learn(&mut self, recorded: &str, live: &str) {
        if recorded.len() >= 10 && !self.knows(recorded) {
            self.words.push((recorded.to_owned(), live.to_owned()));
        }
    }

    pub fn knows(&self, recorded: &str) -> bool {
        self.words.iter().any(|(known, _)| known == recorded)
    }

    /// A recorded text with this mock's values.
    pub fn translated(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (recorded, live)| text.replace(recorded, live))
    }

    pub fn credentials(&self, app: App) -> &(String, String) {
        &self.apps[&app]
    }

    pub fn basic(&self, id: &str, secret: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
    }

    pub fn app_of(&self, client_id: &str) -> Option<App> {
        self.apps.iter().find(|(_, (id, _))| id == client_id).map(|(app, _)| *app)
    }

    /// The app that a live code or token belongs to.
    pub fn owner(&self, word: &str) -> Option<App> {
        self.owners.get(word).copied()
    }

    pub fn set_owner(&mut self, word: &str, app: App) {
        self.owners.insert(word.to_owned(), app);
    }

    fn control(&self, what: &str, body: &Value) -> Value {
        let url = format!("{}/__mock/{what}", self.mock.url());
        let answer = crate::support::http("POST", &url, &[("Content-Type", "application/json")], &body.to_string());
        assert_eq!(answer.status, 200, "{what} {body}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    // ---- log-ins

    /// From an authorization request to the redirect back from the log-in server.
    pub fn log_in_pages(&self, authorize: &str, enrollee: usize) -> LoginProgress {
        let go = |url: &str| crate::support::http("GET", url, &[], "");
        let to = |answer: &Answer| {
            let location = answer.header("location").unwrap_or_else(|| panic!("{authorize}: {}", answer.body));
            Url::parse(self.mock.url()).unwrap().join(location).unwrap().to_string()
        };
        let choose = to(&go(&to(&go(&format!("{}{authorize}", self.mock.url())))));
        let relay = hidden(&go(&choose).body, "relay");
        let body = format!("username=BBUser{enrollee:05}&relay={relay}");
        let callback = to(&crate::support::http("POST", &format!("{}/login/", self.mock.url()), &[FORM], &body));
        let after = go(&callback);
        LoginProgress { callback, after }
    }

    /// The hidden field that every answer to a consent page must have.
    pub fn csrf(&self, page: &str) -> String {
        hidden(&crate::support::http("GET", &format!("{}{page}", self.mock.url()), &[], "").body, "csrfmiddlewaretoken")
    }

    /// The authorization request for a plan.
    pub fn authorize(&self, plan: &Plan, challenge: &str) -> String {
        const EVERYTHING: &str =
            "openid profile launch/patient patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs";
        let scope = plan.scope.or((plan.version == 3).then_some(EVERYTHING));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.credentials(plan.app).0)
            .append_pair("redirect_uri", plan.redirect_uri)
            .append_pair("state", "0123456789abcdef")
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(scope) = scope {
            query.append_pair("scope", scope);
        }
        format!("/v{}/o/authorize/?{}", plan.version, query.finish())
    }

    /// A live code for this verifier.
    pub fn code(&mut self, plan: &Plan, verifier: &str) -> String {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let log_in_pages = self.log_in_pages(&self.authorize(plan, &challenge), plan.enrollee);
        let page =
            log_in_pages.after.header("location").unwrap_or_else(|| panic!("{plan:?}: {}", log_in_pages.after.body));
        let truth = |ticked: bool| if ticked { "True" } else { "False" };
        let body = format!(
            "csrfmiddlewaretoken={}&allow=Connect&share_demographic_scopes={}&share_samhsa_data={}",
            self.csrf(page),
            truth(plan.demographics),
            truth(plan.samhsa)
        );
        let answer = crate::support::http("POST", &format!("{}{page}", self.mock.url()), &[FORM], &body);
        let back = answer.header("location").unwrap_or_else(|| panic!("{plan:?}: {}", answer.body));
        let back = Url::parse(back).unwrap();
        let code = back.query_pairs().find(|(key, _)| key == "code").unwrap_or_else(|| panic!("{back}")).1.into_owned();
        self.set_owner(&code, plan.app);
        code
    }

    /// A live access token and refresh token.
    fn tokens(&mut self, plan: &Plan) -> (String, String) {
        let code = self.code(plan, VERIFIER);
        let (id, secret) = self.credentials(plan.app);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", &code)
            .append_pair("redirect_uri", plan.redirect_uri)
            .append_pair("code_verifier", VERIFIER)
            .append_pair("client_id", id)
            .append_pair("client_secret", secret);
        let url = format!("{}/v{}/o/token/", self.mock.url(), plan.version);
        let answer = crate::support::http("POST", &url, &[FORM], &query.finish());
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        let token = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let (access, refresh) = (token("access_token"), token("refresh_token"));
        self.set_owner(&access, plan.app);
        self.set_owner(&refresh, plan.app);
        (access, refresh)
    }

    fn log_in(&mut self, plan: &Plan) {
        let (access, refresh) = self.tokens(plan);
        self.last = Pair { access: Some(access), refresh: Some(refresh) };
    }

    /// Forgets the tokens of the last log-in.
    pub fn forget_last(&mut self) {
        self.last = Pair::default();
    }

    /// A live token for a recorded one that was not seen before: the other half of the last log-in, or one from a new
    /// log-in.
    pub fn token_for(&mut self, recorded: &str, plan: &Plan, is_refresh: bool) {
        let free = |pair: &Pair| if is_refresh { pair.refresh.is_some() } else { pair.access.is_some() };
        if plan.fresh || !free(&self.last) {
            self.log_in(plan);
        }
        let live = if is_refresh { self.last.refresh.take() } else { self.last.access.take() };
        self.learn(recorded, &live.unwrap());
    }

    /// What happens before the request.
    pub fn step(&mut self, step: Step, plan: &Plan) {
        match step {
            Step::Later(seconds) => drop(self.control("clock", &json!({"advance_seconds": seconds}))),
            Step::Fault(spec) => drop(self.control("faults", &json!([spec]))),
            Step::Revoke => drop(self.control("grants", &json!({"revoke": true}))),
            Step::Forget => drop(self.control("grants", &json!({"forget": true}))),
            Step::LogInAgain => drop(self.tokens(plan)),
            Step::LogInElsewhere => drop(self.tokens(&Plan { app: App::Other, ..plan.clone() })),
            Step::LogIn => self.log_in(plan),
            Step::Rate(0) => drop(self.control("rate", &Value::Null)),
            Step::Rate(calls) => drop(self.control("rate", &json!({"calls": calls, "seconds": 60}))),
            Step::Load => drop(self.control("claims", &json!({"enrollee": plan.enrollee, "add": 3, "update": 1}))),
        }
    }
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    page[at..].split('"').nth(3).unwrap().to_owned()
}
