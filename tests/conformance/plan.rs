//! The state that a recorded request needs: who logged in, at which app, for which scopes, and with which faults.
//! Only the titles of the recordings say it.

use super::recorded::Exchange;

/// An app of the recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum App {
    Main,
    Other,
    OneTime,
    Research,
    Inactive,
    Public,
    LoopbackWithoutPort,
    Localhost,
    NoDemographics,
    PartD,
    /// An app that no one uses.
    Idle,
}

/// The client's credentials in a Basic header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basic {
    /// Those of the app whose code or token is sent, or else those of the main app.
    Owner,
    Of(App),
    WrongSecret,
    UnknownApp,
}

/// What happens between the log-in and the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The clock moves forward by this many seconds.
    Later(i64),
    /// The request has a fault.
    Fault(&'static str),
    /// The grants are deleted, together with the access tokens.
    Revoke,
    /// The grants are deleted, but the access tokens stay.
    Forget,
    /// The same person connects the same app again.
    LogInAgain,
    /// The same person connects another app.
    LogInElsewhere,
    /// A person logs in whose tokens are used only by later requests.
    LogIn,
    /// A limit of this many calls a minute; 0 for no limit.
    Rate(u32),
    /// Three claims are added and one changes.
    Load,
}

/// The state that an exchange needs.
#[derive(Clone, Debug)]
pub struct Plan {
    pub app: App,
    pub basic: Basic,
    /// The version at which the person logged in.
    pub version: u8,
    pub enrollee: usize,
    pub scope: Option<&'static str>,
    pub demographics: bool,
    pub samhsa: bool,
    pub redirect_uri: &'static str,
    /// Whether unknown tokens come from a separate log-in and not from the last one.
    pub fresh: bool,
    pub steps: Vec<Step>,
}

type Change = fn(&mut Plan);

/// File, words in the title, and what they mean.
const MEANINGS: &[(&str, &str, Change)] = &[
    ("03", "inactive application", |plan| plan.app = App::Inactive),
    ("03", "BBUser10005", |plan| plan.enrollee = 5),
    ("03", "BBUser10006", |plan| plan.enrollee = 6),
    ("03", "BBUser10007", |plan| plan.enrollee = 7),
    ("03", "BBUser10008", |plan| plan.enrollee = 8),
    ("03", "BBUser10009", |plan| plan.enrollee = 9),
    ("03", "v3_early_adopter", |plan| plan.steps.push(Step::Fault("v3-closed#1"))),
    ("03", "v3_endpoints switch is off", |plan| plan.steps.push(Step::Fault("v3-off#1"))),
    ("04", "ONE_TIME", |plan| plan.app = App::OneTime),
    ("04", "RESEARCH_STUDY", |plan| plan.app = App::Research),
    ("04", "code from v2", |plan| plan.version = 2),
    ("04", "code from v3", |plan| plan.version = 3),
    ("04", "app without demographic", |plan| plan.app = App::NoDemographics),
    ("04", "without demographic info", |plan| plan.demographics = false),
    ("04", "v2 narrower", |plan| plan.scope = Some("patient/ExplanationOfBenefit.read")),
    ("04", "v3 narrower", |plan| plan.scope = Some("patient/ExplanationOfBenefit.rs")),
    ("04", ".r + .s + .read", |plan| plan.scope = Some("patient/Patient.r patient/Patient.s patient/Coverage.read")),
    ("04", "SAMHSA box ticked", |plan| plan.samhsa = true),
    ("05", "wrong secret (basic)", |plan| plan.basic = Basic::WrongSecret),
    ("05", "unknown client (basic)", |plan| plan.basic = Basic::UnknownApp),
    ("05", "another application's credentials", |plan| plan.basic = Basic::Of(App::Other)),
    ("05", "expired code", |plan| plan.steps.push(Step::Later(61))),
    ("05", "deactivated between", |plan| {
        plan.app = App::Other;
        plan.steps.push(Step::Fault("inactive@/o/token#1"));
    }),
    ("05", "inactive application", |plan| plan.basic = Basic::Of(App::Inactive)),
    ("06", "v2 refresh token used at v3", |plan| plan.version = 2),
    ("06", "v3 refresh token used at v2", |plan| plan.version = 3),
    ("06", "RESEARCH_STUDY", |plan| plan.app = App::Research),
    ("06", "broader scope", |plan| plan.scope = Some("patient/ExplanationOfBenefit.rs")),
    ("06", "refresh token of an earlier authorization", |plan| plan.steps.push(Step::LogInAgain)),
    ("06", "a second application's authorization", |plan| {
        (plan.fresh, plan.enrollee) = (true, 1);
        plan.steps.push(Step::LogInElsewhere);
    }),
    ("07", "ONE_TIME", |plan| plan.app = App::OneTime),
    ("07", "grant expired: refresh", |plan| plan.steps.push(Step::Fault("grant-over@/o/token#1"))),
    ("07", "revoked on Medicare.gov", |plan| plan.steps.push(Step::Revoke)),
    ("07", "grant row gone but tokens still there: refresh", |plan| plan.steps.push(Step::Forget)),
    ("07", "inactive application", |plan| {
        plan.app = App::Other;
        plan.steps.push(Step::Fault("inactive#1"));
    }),
    ("07", "other application's credentials", |plan| plan.basic = Basic::Of(App::Other)),
    ("07", "BFD 500 during", |plan| plan.steps.push(Step::Fault("backend=500@/o/token#1"))),
    ("07", "BFD 503 (html) during", |plan| plan.steps.push(Step::Fault("backend=503@/o/token#1"))),
    ("08", "no demographic scopes", |plan| plan.demographics = false),
    ("08", "v3 token without profile", |plan| plan.scope = Some("patient/ExplanationOfBenefit.rs")),
    ("09", "", |plan| plan.samhsa = true),
    ("09", "no claims", |plan| plan.enrollee = 3),
    ("09", "one claim", |plan| plan.enrollee = 2),
    ("09", "exactly 50 claims", |plan| plan.enrollee = 10),
    ("10", "v3 ", |plan| plan.samhsa = true),
    ("10", "SAMHSA box not ticked", |plan| plan.samhsa = false),
    ("10", "Part-D-only", |plan| plan.samhsa = true),
    ("10", "v2 token at the v3", |plan| (plan.version, plan.samhsa) = (2, true)),
    ("10", "token of a v3 consent", |plan| (plan.version, plan.samhsa) = (3, false)),
    ("10", "token of a v3 consent with SAMHSA", |plan| plan.samhsa = true),
    ("10", "Part-D-only", |plan| plan.app = App::PartD),
    ("12", "without demographic scopes", |plan| plan.demographics = false),
    ("12", "EOB-only", |plan| plan.scope = Some("patient/ExplanationOfBenefit.rs")),
    ("12", "v3 ", |plan| plan.samhsa = true),
    ("13", "v3 ", |plan| plan.samhsa = true),
    ("12", "EOB.r token", |plan| plan.scope = Some("patient/ExplanationOfBenefit.r")),
    ("12", "EOB.s token", |plan| plan.scope = Some("patient/ExplanationOfBenefit.s")),
    ("12", "user without a v3 id", |plan| (plan.enrollee, plan.version) = (5, 2)),
    ("12", "user without a v2 id", |plan| (plan.enrollee, plan.version, plan.samhsa) = (6, 3, true)),
    ("13", "v2 expired access token", |plan| plan.steps.push(Step::Fault("expire-token@/v2/#1"))),
    ("13", "v3 expired access token", |plan| plan.steps.push(Step::Fault("expire-token@/v3/#1"))),
    ("13", "flag exists", |plan| plan.steps.push(Step::Fault("v3-closed#1"))),
    ("13", "v3 userinfo, the same", |plan| plan.steps.push(Step::Fault("v3-closed#1"))),
    ("13", "v3 refresh, the same", |plan| plan.steps.push(Step::Fault("v3-closed#1"))),
    ("13", "v3_endpoints off", |plan| plan.steps.push(Step::Fault("v3-off#1"))),
    ("14-backend-faults", "v3 ", |plan| plan.samhsa = true),
    ("15", "with client_secret_post", |plan| plan.fresh = true),
    ("15", "v2 expire_authenticated_user", |plan| plan.steps.push(Step::LogIn)),
    ("15", "v3 expire_authenticated_user", |plan| plan.steps.push(Step::LogIn)),
    ("15", "wrong secret", |plan| plan.basic = Basic::WrongSecret),
    ("15", "another application's token", |plan| plan.basic = Basic::Of(App::Other)),
    ("15", "user other application", |plan| {
        plan.basic = Basic::Of(App::Other);
        plan.steps.extend([Step::Forget, Step::LogInAgain]);
    }),
    ("16", "ephemeral port", |plan| {
        (plan.app, plan.redirect_uri) = (App::LoopbackWithoutPort, "http://127.0.0.1:51234/callback");
    }),
    ("17", "rate 5/min, call 1", |plan| plan.steps.push(Step::Rate(5))),
    ("17", "default rate", |plan| plan.steps.push(Step::Rate(0))),
    ("18", "", |plan| plan.enrollee = 1),
    ("18", "3 new + 1 updated", |plan| plan.steps.push(Step::Load)),
];

/// Words in the titles of `14-backend-faults`, and how the data back end fails in that case.
const OUTAGES: &[(&str, &str)] = &[
    ("BFD 400 Oper", "backend=400#1"),
    ("BFD 401 Oper", "backend=401#1"),
    ("BFD 403 Oper", "backend=403#1"),
    ("BFD 404 Oper", "backend=404#1"),
    ("BFD 408 Oper", "backend=408#1"),
    ("BFD 413 Oper", "backend=413#1"),
    ("BFD 429 Oper", "backend=429#1"),
    ("BFD 500 Oper", "backend=500#1"),
    ("BFD 501 Oper", "backend=501#1"),
    ("BFD 502 Oper", "backend=502#1"),
    ("BFD 503 Oper", "backend=503#1"),
    ("BFD 504 Oper", "backend=504#1"),
    ("balancer 404 html", "backend=404-html#1"),
    ("balancer 502 html", "backend=502-html#1"),
    ("balancer 503 html", "backend=503-html#1"),
    ("BFD 500 (plain JSON)", "backend=500-json#1"),
    ("BFD 302", "backend=302#1"),
    ("BFD 200 but not JSON", "backend=200#1"),
    ("an OperationOutcome entry", "backend=foreign-entry#1"),
    ("BFD resets", "backend=down#1"),
    ("BFD truncates", "backend=down#1"),
    ("BFD hangs", "backend=down#1"),
    ("BFD takes 5 s", "late=50#1"),
    ("read: BFD 500", "backend=500#1"),
    ("metadata: BFD 500", "backend=500#1"),
    ("log-in while BFD answers 500", "backend=500#1"),
    ("backend down: ", "backend=down#1"),
];

/// The state that this exchange needs.
pub fn plan(exchange: &Exchange) -> Plan {
    let mut plan = Plan {
        app: App::Main,
        basic: Basic::Owner,
        version: exchange.version(),
        enrollee: 0,
        scope: None,
        demographics: true,
        samhsa: false,
        redirect_uri: "http://127.0.0.1:8765/callback",
        fresh: false,
        steps: Vec::new(),
    };
    for (theme, words, change) in MEANINGS {
        if exchange.is(theme, words) {
            change(&mut plan);
        }
    }
    let outages = OUTAGES.iter().filter(|(words, _)| exchange.is("14-backend-faults", words));
    plan.steps.extend(outages.map(|(_, fault)| Step::Fault(fault)));
    plan
}
