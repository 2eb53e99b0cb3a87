//! People on their way through the log-in pages, between two redirects.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    expiring_map::ExpiringMap,
    ids::{uuid, word},
    version::Version,
};

/// The address of a consent page expires after ten minutes.
pub(super) const VISIT_LIFE: i64 = 600;

/// How the data back ends know a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Standing {
    #[default]
    Known,
    /// There is no v3 record.
    OnlyV2,
    /// There is no record for v1 and v2.
    OnlyV3,
    /// There is no record at all: a person who is new to Medicare.
    Unknown,
    /// There are two records, which is an error.
    Duplicate,
    /// The profile has no Medicare number.
    NoNumber,
}

/// An authorization request whose person has logged in.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub enrollee: usize,
    pub version: Version,
    pub query: String,
    pub csrf: String,
    pub until: Timestamp,
}

/// Everyone between the first redirect and the consent page.
#[derive(Default)]
pub(super) struct LoginVisits {
    /// Where to continue after the log-in, by the number that the log-in server hands back.
    relays: ExpiringMap<String>,
    /// Who has logged in, by the log-in server's token.
    signed_in: ExpiringMap<usize>,
    visits: ExpiringMap<Visit>,
    standings: HashMap<usize, Standing>,
}

impl LoginVisits {
    /// Sends a request to the log-in server. Returns its relay, 26 digits.
    pub(super) fn leave(&mut self, next: String) -> String {
        let digits = |text: String| text.bytes().map(|byte| char::from(b'0' + byte % 10)).collect::<String>();
        let relay = digits(word(26));
        // These do not expire.
        let weight = next.len();
        self.relays.put(relay.clone(), next, weight, |_| false);
        relay
    }

    /// Where the request with this relay wants to go.
    pub(super) fn next(&self, relay: &str) -> Option<&str> {
        self.relays.get(relay).map(String::as_str)
    }

    /// A new CSRF token for the forms of a consent page.
    pub(super) fn csrf() -> String {
        word(64)
    }

    /// Logs a person in. Returns the log-in server's token.
    pub(super) fn sign_in(&mut self, enrollee: usize) -> String {
        let token = word(40);
        self.signed_in.put(token.clone(), enrollee, 0, |_| false);
        token
    }

    pub(super) fn signed_in(&self, token: &str) -> Option<usize> {
        self.signed_in.get(token).copied()
    }

    /// Opens a consent page at `now`; returns its name in the address.
    pub(super) fn open(&mut self, visit: Visit, now: Timestamp) -> String {
        let uuid = uuid();
        let weight = visit.query.len();
        // An expired page still sends its person back to the log-in, as long as it is kept.
        self.visits.put(uuid.clone(), visit, weight, |visit| visit.until <= now);
        uuid
    }

    /// Ends the visit whose consent page has this CSRF token, even if it is expired.
    pub(super) fn close(&mut self, csrf: &str) -> Option<Visit> {
        let uuid = self.visits.find(|visit| visit.csrf == csrf)?.to_owned();
        self.visits.take(&uuid)
    }

    pub(super) fn visit(&self, uuid: &str) -> Option<&Visit> {
        self.visits.get(uuid)
    }

    pub(super) fn standing(&self, enrollee: usize) -> Standing {
        self.standings.get(&enrollee).copied().unwrap_or_default()
    }

    pub(super) fn set_standing(&mut self, enrollee: usize, standing: Standing) {
        self.standings.insert(enrollee, standing);
    }
}
