//! Grants, and the codes and tokens under them.
//!
//! Every operation takes the same time for any number of grants. Each person and app has a list of its valid tokens,
//! which a new consent ends. Each consent has a number, which separates used tokens from those of earlier consents.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use jiff::{Timestamp, ToSpan, tz::Offset};

use super::World;
use crate::{Access, expiring_map::ExpiringMap, ids::word};

/// An authorization code is valid for 60 seconds.
const CODE_LIFE: i64 = 60;
/// An access token is valid for an hour.
pub(crate) const TOKEN_LIFE: i64 = 3600;

/// The app and the enrollee that a grant or a token belongs to, as indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GrantKey {
    pub app: usize,
    pub enrollee: usize,
}

/// What an enrollee has approved. Everything issued under a consent shares its scopes.
#[derive(Clone, Debug)]
pub(crate) struct Approval {
    pub scopes: Arc<BTreeSet<String>>,
    /// Whether substance use treatment data may be shared. None at v1 and v2, which do not ask.
    pub samhsa: Option<bool>,
}

/// An authorization code.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub grant_key: GrantKey,
    pub redirect_uri: String,
    pub challenge: String,
    approval: Approval,
    until: Timestamp,
}

/// An access token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub grant_key: GrantKey,
    pub approval: Approval,
    pub until: Timestamp,
    refresh: Arc<str>,
}

/// A refresh token. Used ones are remembered, to tell them from unknown ones.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    pub grant_key: GrantKey,
    pub approval: Approval,
    access: Arc<str>,
    pub spent: bool,
    /// The number of the consent under which it was issued.
    consent: u64,
    /// The pair that it was exchanged for, and when.
    rotation: Option<(Instant, Pair)>,
}

/// A pair of tokens as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub grant_key: GrantKey,
    pub access: Arc<str>,
    pub refresh: Arc<str>,
    pub scopes: Arc<BTreeSet<String>>,
    /// When the access token expires.
    pub until: Timestamp,
    /// The end of the grant in the token answer; none for a research study.
    pub expiration: Option<Timestamp>,
}

/// The state of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantState {
    Living,
    Over,
    Gone,
}

/// When a grant ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Never,
    At(Timestamp),
}

/// The grant of one enrollee to one app, and its tokens.
#[derive(Default)]
struct GrantRecord {
    /// How many consents there have been. Tokens of an earlier one are unknown.
    consent: u64,
    /// `None` once it is deleted.
    grant: Option<End>,
    /// The valid tokens. A new consent ends the earlier ones, so there are no more than the codes used in a minute.
    access: Vec<Arc<str>>,
    refresh: Vec<Arc<str>>,
}

/// All codes, tokens and grants.
#[derive(Default)]
pub(super) struct Grants {
    codes: ExpiringMap<Code>,
    records: HashMap<GrantKey, GrantRecord>,
    access: HashMap<Arc<str>, Token>,
    /// Refresh tokens that were not used.
    refresh: HashMap<Arc<str>, Refresh>,
    spent: ExpiringMap<Refresh>,
}

impl Grants {
    fn take_access(&mut self, token: &str) -> Option<Token> {
        let taken = self.access.remove(token)?;
        if let Some(record) = self.records.get_mut(&taken.grant_key) {
            record.access.retain(|other| **other != *token);
        }
        Some(taken)
    }

    fn end_access_of(&mut self, grant_key: GrantKey) {
        let tokens = self.records.get_mut(&grant_key).map(|record| std::mem::take(&mut record.access));
        for token in tokens.into_iter().flatten() {
            self.access.remove(&token);
        }
    }

    fn end_refresh_of(&mut self, grant_key: GrantKey) {
        let tokens = self.records.get_mut(&grant_key).map(|record| std::mem::take(&mut record.refresh));
        for token in tokens.into_iter().flatten() {
            self.refresh.remove(&token);
        }
    }

    /// Marks a refresh token as used. The server refuses it with other words than an unknown one.
    fn spend(&mut self, token: &str) {
        let Some(refresh) = self.refresh.remove(token) else { return };
        if let Some(record) = self.records.get_mut(&refresh.grant_key) {
            record.refresh.retain(|other| **other != *token);
        }
        let approval = Approval { scopes: Arc::default(), ..refresh.approval };
        self.spent.put(token.to_owned(), Refresh { spent: true, approval, ..refresh }, 0, |_| false);
    }

    /// A used token. A later consent makes it unknown.
    fn spent(&self, token: &str) -> Option<&Refresh> {
        let spent = self.spent.get(token)?;
        self.records.get(&spent.grant_key).filter(|record| record.consent == spent.consent).map(|_| spent)
    }

    /// A new consent: a grant that ends at this time, with no tokens yet.
    fn consent(&mut self, grant_key: GrantKey, end: End) {
        self.end_access_of(grant_key);
        self.end_refresh_of(grant_key);
        let record = self.records.entry(grant_key).or_default();
        record.consent += 1;
        record.grant = Some(end);
    }
}

impl World {
    fn after(&self, seconds: i64) -> Timestamp {
        self.now().checked_add(seconds.seconds()).unwrap_or(Timestamp::MAX)
    }

    /// What kind of access the app of a grant has.
    pub(crate) fn access(&self, grant_key: GrantKey) -> Access {
        self.apps.get(grant_key.app).map_or(Access::default(), |app| app.access)
    }

    fn consent_now(&mut self, grant_key: GrantKey) {
        let end = match self.access(grant_key) {
            Access::ThirteenMonth => End::At(in_thirteen_months(self.now())),
            Access::OneTime | Access::Research => End::Never,
        };
        self.grants.consent(grant_key, end);
    }

    /// The click on Connect: a new grant, which ends all earlier tokens of this person and app.
    pub(crate) fn connect(
        &mut self,
        grant_key: GrantKey,
        redirect_uri: String,
        challenge: String,
        approval: Approval,
    ) -> String {
        self.consent_now(grant_key);
        let code = word(30);
        let (until, now) = (self.after(CODE_LIFE), self.now());
        let weight = redirect_uri.len() + challenge.len() + approval.scopes.iter().map(String::len).sum::<usize>();
        // An unknown grant is refused like one that has ended.
        let made = Code { grant_key, redirect_uri, challenge, approval, until };
        self.grants.codes.put(code.clone(), made, weight, |code| code.until <= now);
        code
    }

    /// The same without a browser and a code: returns the pair at once.
    pub(crate) fn connect_at_once(&mut self, grant_key: GrantKey, approval: Approval) -> Pair {
        self.consent_now(grant_key);
        self.issue(grant_key, approval)
    }

    // ---- tokens

    pub(crate) fn code(&self, code: &str) -> Option<&Code> {
        self.grants.codes.get(code).filter(|code| code.until > self.now())
    }

    pub(crate) fn spend_code(&mut self, code: &str) -> Option<Pair> {
        let code = self.grants.codes.take(code)?;
        Some(self.issue(code.grant_key, code.approval))
    }

    pub(crate) fn refresh(&self, token: &str) -> Option<&Refresh> {
        self.grants.refresh.get(token).or_else(|| self.grants.spent(token))
    }

    /// A refresh. The old pair ends at once, without a grace period. Scopes that are given up here are gone for good.
    pub(crate) fn rotate(&mut self, token: &str, scopes: Arc<BTreeSet<String>>) -> Option<Pair> {
        let old = self.grants.refresh.get(token)?;
        let (grant_key, access, samhsa) = (old.grant_key, Arc::clone(&old.access), old.approval.samhsa);
        self.grants.spend(token);
        self.grants.take_access(&access);
        let pair = self.issue(grant_key, Approval { scopes, samhsa });
        if let Some(spent) = self.grants.spent.get_mut(token).filter(|_| self.switches.racing_refreshes_share) {
            spent.rotation = Some((Instant::now(), pair.clone()));
        }
        Some(pair)
    }

    /// The pair that this used token was exchanged for, for a request that had arrived before that.
    pub(crate) fn raced(&self, token: &str, arrived: Instant) -> Option<Pair> {
        let (rotated, pair) = self.grants.spent(token)?.rotation.as_ref()?;
        (arrived < *rotated && self.grants.access.contains_key(&pair.access)).then(|| pair.clone())
    }

    fn issue(&mut self, grant_key: GrantKey, approval: Approval) -> Pair {
        let (access, refresh): (Arc<str>, Arc<str>) = (word(30).into(), word(30).into());
        let until = self.after(TOKEN_LIFE);
        let scopes = Arc::clone(&approval.scopes);
        let record = self.grants.records.entry(grant_key).or_default();
        record.access.push(Arc::clone(&access));
        record.refresh.push(Arc::clone(&refresh));
        let (consent, grant) = (record.consent, record.grant);
        let token = Token { grant_key, approval: approval.clone(), until, refresh: Arc::clone(&refresh) };
        self.grants.access.insert(Arc::clone(&access), token);
        let living =
            Refresh { grant_key, approval, access: Arc::clone(&access), spent: false, consent, rotation: None };
        self.grants.refresh.insert(Arc::clone(&refresh), living);
        let expiration = match (self.access(grant_key), grant) {
            (Access::OneTime, _) => Some(until),
            (Access::ThirteenMonth, Some(End::At(end))) => Some(end),
            (Access::ThirteenMonth | Access::Research, _) => None,
        };
        Pair { grant_key, access, refresh, scopes, until, expiration }
    }

    pub(crate) fn token(&self, token: &str) -> Option<&Token> {
        self.grants.access.get(token)
    }

    /// How many access tokens and valid refresh tokens there are.
    #[cfg(test)]
    pub(crate) fn tokens(&self) -> (usize, usize) {
        let grants = &self.grants;
        let listed = grants.records.values().map(|record| (record.access.len(), record.refresh.len()));
        let listed = listed.fold((0, 0), |(access, refresh), one| (access + one.0, refresh + one.1));
        assert_eq!(listed, (grants.access.len(), grants.refresh.len()), "what is listed under people is all there is");
        listed
    }

    pub(crate) fn expire(&mut self, token: &str) {
        let now = self.now();
        if let Some(token) = self.grants.access.get_mut(token) {
            token.until = now;
        }
    }

    /// Ends a pair, given either of its tokens. Returns whose it was.
    pub(crate) fn kill_pair(&mut self, token: &str) -> Option<GrantKey> {
        if let Some(access) = self.grants.take_access(token) {
            self.grants.spend(&access.refresh);
            return Some(access.grant_key);
        }
        let refresh = self.refresh(token)?;
        let (access, grant_key) = (Arc::clone(&refresh.access), refresh.grant_key);
        self.grants.spend(token);
        self.grants.take_access(&access);
        Some(grant_key)
    }

    // ---- grants

    /// Whether a grant is valid, has ended, or was deleted.
    pub(crate) fn grant(&self, grant_key: GrantKey) -> GrantState {
        match self.grants.records.get(&grant_key).and_then(|record| record.grant) {
            None => GrantState::Gone,
            Some(End::At(end)) if end <= self.now() => GrantState::Over,
            Some(_) => GrantState::Living,
        }
    }

    /// Deletes a grant and the access tokens under it, as Medicare.gov and `/o/revoke/` do.
    pub(crate) fn delete_grant(&mut self, grant_key: GrantKey) {
        self.grants.end_access_of(grant_key);
        if let Some(record) = self.grants.records.get_mut(&grant_key) {
            record.grant = None;
        }
    }

    /// Whether there is a grant, even one that has ended.
    pub(crate) fn has_grant(&self, grant_key: GrantKey) -> bool {
        self.grants.records.get(&grant_key).is_some_and(|record| record.grant.is_some())
    }

    /// Deletes all grants, with or without their access tokens.
    pub(crate) fn delete_all_grants(&mut self, tokens_too: bool) {
        for record in self.grants.records.values_mut() {
            record.grant = None;
            if tokens_too {
                record.access.clear();
            }
        }
        if tokens_too {
            self.grants.access.clear();
        }
    }

    /// All grants, in the order of apps and people.
    pub(crate) fn all_grants(&self) -> Vec<GrantKey> {
        let granted = self.grants.records.iter().filter(|(_, record)| record.grant.is_some());
        let mut all: Vec<GrantKey> = granted.map(|(grant_key, _)| *grant_key).collect();
        all.sort_unstable();
        all
    }

    pub(crate) fn end_grant(&mut self, grant_key: GrantKey) {
        let now = self.now();
        self.grants.records.entry(grant_key).or_default().grant = Some(End::At(now));
    }
}

/// The end of a consent given at `now`: 13 calendar months later.
pub(crate) fn in_thirteen_months(now: Timestamp) -> Timestamp {
    let end = Offset::UTC.to_datetime(now).checked_add(13.months());
    end.and_then(|end| Offset::UTC.to_timestamp(end)).unwrap_or(Timestamp::MAX)
}
