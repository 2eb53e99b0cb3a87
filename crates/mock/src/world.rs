//! The state of the mock: apps, clock, switches, codes, tokens, grants.

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp, ToSpan, tz::Offset};
use serde::Deserialize;

use super::{
    Access,
    apps::App,
    expiring_map::ExpiringMap,
    faults::{self, Fault, Struck},
    log::Log,
    login_visits::{LoginVisits, VISIT_LIFE, Visit},
    rng::Rng,
    throttle::Throttle,
    version::Version,
};

/// An authorization code lives 60 seconds.
const CODE_LIFE: i64 = 60;
/// An access token lives an hour.
pub(super) const TOKEN_LIFE: i64 = 3600;

/// How an automatic consent answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Consent {
    #[default]
    All,
    WithoutDemographics,
    Deny,
    NotFound,
}

/// Whose something is: an app's, for a person. Both are positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Whose {
    pub app: usize,
    pub enrollee: usize,
}

/// What a person has agreed to.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    pub scopes: BTreeSet<String>,
    /// Whether substance use treatment data may be shared; None at v1 and v2, where nobody is asked.
    pub samhsa: Option<bool>,
}

/// An authorization code.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub whose: Whose,
    pub redirect_uri: String,
    pub challenge: String,
    agreed: Agreed,
    until: Timestamp,
}

/// An access token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub whose: Whose,
    pub agreed: Agreed,
    pub until: Timestamp,
    refresh: String,
}

/// A refresh token. Spent ones are remembered, to tell them from unknown ones.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub whose: Whose,
    pub agreed: Agreed,
    access: String,
    pub spent: bool,
    /// What it was spent on, and when.
    rotation: Option<(Instant, Pair)>,
}

/// A pair of tokens as delivered.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub whose: Whose,
    pub access: String,
    pub refresh: String,
    pub scopes: BTreeSet<String>,
    /// The end of the grant as the token answer says it: none is said for a research study.
    pub expiration: Option<Timestamp>,
}

/// What the real server has behind switches that nobody outside knows the state of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Switches {
    /// `AuditEvent` at v3; off, since it is for aligned networks.
    pub enable_auditevents: bool,
    /// The lists of apps below `/.well-known/`.
    pub wellknown_applications: bool,
    /// `expire_authenticated_user`.
    pub expire_grant_endpoint: bool,
    /// Whether refreshes that race with one token all get the same new pair, or all but one are refused. The real
    /// server was seen to do either.
    pub racing_refreshes_share: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            enable_auditevents: false,
            wellknown_applications: true,
            expire_grant_endpoint: true,
            racing_refreshes_share: false,
        }
    }
}

/// Everything that changes.
pub(super) struct World {
    /// The mock's own app comes first.
    pub apps: Vec<App>,
    pub consent: Consent,
    pub consent_enrollee: usize,
    pub consent_samhsa: bool,
    pub login_visits: LoginVisits,
    pub throttle: Throttle,
    pub switches: Switches,
    pub log: Log,
    /// How many insurance cards each person has been shown.
    cards: HashMap<usize, u64>,
    offset: i64,
    faults: Vec<Fault>,
    rng: Rng,
    codes: ExpiringMap<Code>,
    /// A new consent ends those before it, so there are no more than people, apps and codes spent in one minute.
    tokens: HashMap<String, Token>,
    /// The living ones, of which the same holds.
    refreshes: HashMap<String, Refresh>,
    spent: ExpiringMap<Refresh>,
    /// The end of a grant, if it has one.
    grants: HashMap<Whose, Option<Timestamp>>,
}

impl World {
    /// `seed` decides what is left to chance.
    pub(super) fn new(app: App, seed: u64, faults: Vec<Fault>) -> Self {
        Self {
            apps: vec![app],
            consent: Consent::default(),
            consent_enrollee: 0,
            consent_samhsa: true,
            login_visits: LoginVisits::default(),
            throttle: Throttle::default(),
            switches: Switches::default(),
            log: Log::default(),
            cards: HashMap::new(),
            offset: 0,
            faults,
            rng: Rng::at(&[seed]),
            codes: ExpiringMap::default(),
            tokens: HashMap::new(),
            refreshes: HashMap::new(),
            spent: ExpiringMap::default(),
            grants: HashMap::new(),
        }
    }

    /// The mock's own time.
    pub(super) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(SignedDuration::from_secs(self.offset)).unwrap_or(now)
    }

    /// Moves the mock's clock, no farther than a century from the real one.
    pub(super) fn advance(&mut self, seconds: i64) -> Result<(), String> {
        const CENTURY: u64 = 100 * 366 * 24 * 3600;
        let offset = self.offset.checked_add(seconds).filter(|offset| offset.unsigned_abs() <= CENTURY);
        self.offset = offset.ok_or("that is more than a century from now")?;
        Ok(())
    }

    /// How many insurance cards this person was shown before this one.
    pub(super) fn next_card(&mut self, enrollee: usize) -> u64 {
        let shown = self.cards.entry(enrollee).or_insert(0);
        *shown = shown.wrapping_add(1);
        shown.wrapping_sub(1)
    }

    pub(super) fn set_faults(&mut self, faults: Vec<Fault>) {
        self.faults = faults;
    }

    pub(super) fn add_faults(&mut self, faults: Vec<Fault>) {
        self.faults.extend(faults);
    }

    /// The faults that strike at this request.
    pub(super) fn struck(&mut self, path: &str) -> Struck {
        faults::strike(&mut self.faults, path, &mut self.rng)
    }

    // ---- log-in

    pub(super) fn open_visit(&mut self, enrollee: usize, version: Version, query: String) -> String {
        let (until, now) = (self.after(VISIT_LIFE), self.now());
        self.login_visits.open(Visit { enrollee, version, query, csrf: LoginVisits::csrf(), until }, now)
    }

    /// Who is at the consent page of this name, and whether it is too late for that page.
    pub(super) fn visit(&self, uuid: &str) -> Option<(Visit, bool)> {
        let visit = self.login_visits.visit(uuid)?.clone();
        let is_over = visit.until <= self.now();
        Some((visit, is_over))
    }

    /// The click on Connect: a new grant, and the end of every earlier token of this person and app.
    pub(super) fn connect(&mut self, whose: Whose, redirect_uri: String, challenge: String, agreed: Agreed) -> String {
        self.tokens.retain(|_, token| token.whose != whose);
        self.refreshes.retain(|_, refresh| refresh.whose != whose);
        self.spent.retain(|refresh| refresh.whose != whose);
        let end = (self.access(whose) == Access::ThirteenMonth).then(|| in_thirteen_months(self.now()));
        self.grants.insert(whose, end);
        let code = word(30);
        let (until, now) = (self.after(CODE_LIFE), self.now());
        let weight = redirect_uri.len() + challenge.len() + agreed.scopes.iter().map(String::len).sum::<usize>();
        // An unknown one is refused like one that is over.
        let made = Code { whose, redirect_uri, challenge, agreed, until };
        self.codes.put(code.clone(), made, weight, |code| code.until <= now);
        code
    }

    /// What kind of access the app of a grant has.
    pub(super) fn access(&self, whose: Whose) -> Access {
        self.apps.get(whose.app).map_or(Access::default(), |app| app.access)
    }

    fn after(&self, seconds: i64) -> Timestamp {
        self.now().checked_add(seconds.seconds()).unwrap_or(Timestamp::MAX)
    }

    // ---- tokens

    pub(super) fn code(&self, code: &str) -> Option<&Code> {
        self.codes.get(code).filter(|code| code.until > self.now())
    }

    pub(super) fn spend_code(&mut self, code: &str) -> Option<Pair> {
        let code = self.codes.take(code)?;
        Some(self.issue(code.whose, code.agreed))
    }

    pub(super) fn refresh(&self, token: &str) -> Option<&Refresh> {
        self.refreshes.get(token).or_else(|| self.spent.get(token))
    }

    /// A refresh: the old pair dies at once, with no time of grace. Scopes given up here are gone for good.
    pub(super) fn rotate(&mut self, token: &str, scopes: BTreeSet<String>) -> Option<Pair> {
        let old = self.refreshes.get(token)?;
        let (whose, access, samhsa) = (old.whose, old.access.clone(), old.agreed.samhsa);
        self.spend(token);
        self.tokens.remove(&access);
        let pair = self.issue(whose, Agreed { scopes, samhsa });
        if let Some(spent) = self.spent.get_mut(token).filter(|_| self.switches.racing_refreshes_share) {
            spent.rotation = Some((Instant::now(), pair.clone()));
        }
        Some(pair)
    }

    /// The pair that this spent token was rotated to, for a request that had arrived before that happened.
    pub(super) fn raced(&self, token: &str, arrived: Instant) -> Option<Pair> {
        let (rotated, pair) = self.spent.get(token)?.rotation.as_ref()?;
        (arrived < *rotated && self.tokens.contains_key(&pair.access)).then(|| pair.clone())
    }

    /// From here on this refresh token is refused in other words than an unknown one.
    fn spend(&mut self, token: &str) {
        if let Some(refresh) = self.refreshes.remove(token) {
            let agreed = Agreed { scopes: BTreeSet::new(), ..refresh.agreed };
            self.spent.put(token.to_owned(), Refresh { spent: true, agreed, ..refresh }, 0, |_| false);
        }
    }

    fn issue(&mut self, whose: Whose, agreed: Agreed) -> Pair {
        let (access, refresh) = (word(30), word(30));
        let until = self.after(TOKEN_LIFE);
        let scopes = agreed.scopes.clone();
        let token = Token { whose, agreed: agreed.clone(), until, refresh: refresh.clone() };
        self.tokens.insert(access.clone(), token);
        self.refreshes
            .insert(refresh.clone(), Refresh { whose, agreed, access: access.clone(), spent: false, rotation: None });
        let expiration = match self.access(whose) {
            Access::OneTime => Some(until),
            Access::ThirteenMonth => self.grants.get(&whose).copied().flatten(),
            Access::Research => None,
        };
        Pair { whose, access, refresh, scopes, expiration }
    }

    pub(super) fn token(&self, token: &str) -> Option<&Token> {
        self.tokens.get(token)
    }

    /// How many access tokens and living refresh tokens there are.
    #[cfg(test)]
    pub(super) fn tokens(&self) -> (usize, usize) {
        (self.tokens.len(), self.refreshes.len())
    }

    pub(super) fn expire(&mut self, token: &str) {
        let now = self.now();
        if let Some(token) = self.tokens.get_mut(token) {
            token.until = now;
        }
    }

    /// Ends a pair by either of its tokens; says whose it was.
    pub(super) fn kill_pair(&mut self, token: &str) -> Option<Whose> {
        if let Some(access) = self.tokens.remove(token) {
            self.spend(&access.refresh);
            return Some(access.whose);
        }
        let refresh = self.refresh(token)?;
        let (access, whose) = (refresh.access.clone(), refresh.whose);
        self.spend(token);
        self.tokens.remove(&access);
        Some(whose)
    }

    // ---- grants

    /// Whether a grant lives, is over, or is gone.
    pub(super) fn grant(&self, whose: Whose) -> GrantState {
        match self.grants.get(&whose) {
            None => GrantState::Gone,
            Some(Some(end)) if *end <= self.now() => GrantState::Over,
            Some(_) => GrantState::Living,
        }
    }

    /// Deletes a grant and the access tokens under it, as Medicare.gov and `/o/revoke/` do.
    pub(super) fn delete_grant(&mut self, whose: Whose) {
        self.grants.remove(&whose);
        self.tokens.retain(|_, token| token.whose != whose);
    }

    /// Whether there is a grant, over or not.
    pub(super) fn has_grant(&self, whose: Whose) -> bool {
        self.grants.contains_key(&whose)
    }

    /// Deletes all grants, with or without their access tokens.
    pub(super) fn delete_all_grants(&mut self, tokens_too: bool) {
        self.grants.clear();
        if tokens_too {
            self.tokens.clear();
        }
    }

    pub(super) fn end_grant(&mut self, whose: Whose) {
        let now = self.now();
        self.grants.insert(whose, Some(now));
    }
}

/// How a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GrantState {
    Living,
    Over,
    Gone,
}

/// The end of a consent given at `now`: 13 calendar months later.
pub(super) fn in_thirteen_months(now: Timestamp) -> Timestamp {
    let end = Offset::UTC.to_datetime(now).checked_add(13.months());
    end.and_then(|end| Offset::UTC.to_timestamp(end)).unwrap_or(Timestamp::MAX)
}

/// Letters and digits from the operating system's randomness.
pub(super) fn word(length: usize) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = || char::from(LETTERS[getrandom::u32().map_or(0, |number| number as usize % LETTERS.len())]);
    (0..length).map(|_| letter()).collect()
}

/// A random UUID (version 4).
pub(super) fn uuid() -> String {
    let mut bytes = [0u8; 16];
    // A mock whose system has no randomness hands out one and the same id, and nothing worse.
    let _ = getrandom::fill(&mut bytes);
    uuid_of(bytes)
}

/// A UUID that is the same for the same numbers.
pub(super) fn lasting_uuid(parts: &[u64]) -> String {
    uuid_of(lasting_number(parts).to_be_bytes())
}

/// The number that [`lasting_uuid`] writes: what is compared where there are many.
pub(super) fn lasting_number(parts: &[u64]) -> u128 {
    let mut rng = Rng::at(parts);
    let (high, low) = (rng.next(), rng.next());
    u128::from_be_bytes(of_version_4((u128::from(high) << 64 | u128::from(low)).to_be_bytes()))
}

/// The number of a UUID as this mock writes them; none of any other text.
pub(super) fn uuid_number(text: &str) -> Option<u128> {
    let number = u128::from_str_radix(&text.replace('-', ""), 16).ok()?;
    (uuid_of(number.to_be_bytes()) == text).then_some(number)
}

fn of_version_4(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

fn uuid_of(bytes: [u8; 16]) -> String {
    let hex: String = of_version_4(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
