//! The state of the mock: apps, clock, switches, running log-ins, grants.

mod grants;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Deserialize;

use super::{
    apps::App,
    faults::{self, ActiveFaults, Fault},
    log::Log,
    login_visits::{LoginVisits, VISIT_LIFE, Visit},
    rng::Rng,
    throttle::Throttle,
    version::Version,
};

pub(super) use grants::{Approval, GrantKey, GrantState, Pair, TOKEN_LIFE, in_thirteen_months};

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

/// Features that the real server has behind switches. No one outside knows whether they are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Switches {
    /// `AuditEvent` at v3. It is off, because it is for aligned networks.
    pub enable_auditevents: bool,
    /// The lists of apps below `/.well-known/`.
    pub wellknown_applications: bool,
    /// `expire_authenticated_user`.
    pub expire_grant_endpoint: bool,
    /// Whether several refreshes of the same token at the same time all get the same new pair, or all but one are
    /// refused. The real server has done both.
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
    /// How many insurance cards each person has been sent.
    cards: HashMap<usize, u64>,
    offset: i64,
    faults: Vec<Fault>,
    rng: Rng,
    grants: grants::Grants,
}

impl World {
    /// `seed` decides everything random.
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
            grants: grants::Grants::default(),
        }
    }

    /// The mock's own time.
    pub(super) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(SignedDuration::from_secs(self.offset)).unwrap_or(now)
    }

    /// Moves the mock's clock, at most a century away from the real one.
    pub(super) fn advance(&mut self, seconds: i64) -> Result<(), String> {
        const CENTURY: u64 = 100 * 366 * 24 * 3600;
        let offset = self.offset.checked_add(seconds).filter(|offset| offset.unsigned_abs() <= CENTURY);
        self.offset = offset.ok_or("that is more than a century from now")?;
        Ok(())
    }

    /// How many insurance cards this person was sent before this one.
    pub(super) fn next_card(&mut self, enrollee: usize) -> u64 {
        let shown = self.cards.entry(enrollee).or_insert(0);
        *shown = shown.wrapping_add(1);
        shown.wrapping_sub(1)
    }

    pub(super) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    pub(super) fn set_faults(&mut self, faults: Vec<Fault>) {
        self.faults = faults;
    }

    pub(super) fn add_faults(&mut self, faults: Vec<Fault>) {
        self.faults.extend(faults);
    }

    /// The faults that strike at this request.
    pub(super) fn struck(&mut self, path: &str) -> ActiveFaults {
        faults::strike(&mut self.faults, path, &mut self.rng)
    }

    pub(super) fn open_visit(&mut self, enrollee: usize, version: Version, query: String) -> String {
        let now = self.now();
        let until = now.checked_add(VISIT_LIFE.seconds()).unwrap_or(Timestamp::MAX);
        self.login_visits.open(Visit { enrollee, version, query, csrf: LoginVisits::csrf(), until }, now)
    }

    /// The person at the consent page with this name, and whether the page has expired.
    pub(super) fn visit(&self, uuid: &str) -> Option<(Visit, bool)> {
        let visit = self.login_visits.visit(uuid)?.clone();
        let is_over = visit.until <= self.now();
        Some((visit, is_over))
    }
}
