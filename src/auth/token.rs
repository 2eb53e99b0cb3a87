//! A token, a grant, and what the server said about them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use super::token_answer::TokenAnswer;
use crate::{origin::Origin, secret::Secret};

/// How long an app may use what an enrollee granted. CMS assigns this to the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessCategory {
    /// As long as the first access token lives; refreshing is refused.
    OneTime,
    /// 13 calendar months from the consent; refreshing does not extend it.
    ThirteenMonth,
    /// Until revoked.
    Research,
    /// The server did not say.
    #[default]
    Unknown,
}

/// What is known about a grant and its access token. It contains no secret, so it may be shown and kept in the
/// profile's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The Patient id at the API version of the log-in.
    pub patient: Option<String>,
    /// The scopes granted. Their order in the server's answer is random.
    pub scopes: BTreeSet<String>,
    /// When the access token expires, by this machine's clock.
    pub access_token_expires: Option<Timestamp>,
    /// Whether the refresh token can be used.
    pub refreshable: bool,
    /// What kind of access the app has.
    pub access_category: AccessCategory,
    /// When the enrollee's consent ends, by the server's clock.
    pub grant_expires: Option<Timestamp>,
    /// A random number for this log-in. Renewals keep it.
    #[serde(default)]
    pub log_in: Option<u64>,
    /// How often this log-in has been renewed. Of two records of one log-in, the one with the higher number is newer.
    /// Version 0.1.0 did not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub renewals: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Grant {
    /// A number for a new log-in. If there are no random bytes, there is none, and then no two log-ins count as the
    /// same.
    #[must_use]
    pub fn new_log_in() -> Option<u64> {
        let mut log_in = [0; 8];
        getrandom::fill(&mut log_in).is_ok().then_some(u64::from_le_bytes(log_in) >> 11)
    }

    /// Whether the enrollee shares demographic data (name, address, birth date, race, sex).
    #[must_use]
    pub fn demographics(&self) -> bool {
        self.allows("Patient")
    }

    /// Whether the scopes cover searching a resource type (`patient/<type>.read`, `.rs` or `.s`).
    #[must_use]
    pub fn allows(&self, resource: &str) -> bool {
        ["read", "rs", "s"].iter().any(|verb| self.scopes.contains(&format!("patient/{resource}.{verb}")))
    }

    /// Whether another grant certainly belongs to the same enrollee: both have the same Patient id. If the server
    /// names none, both must have the same log-in number (or, if they are too old to have one, the same time at which
    /// the consent ends).
    #[must_use]
    pub fn is_of_the_same_person(&self, other: &Self) -> bool {
        match (&self.patient, &other.patient) {
            (Some(one), Some(other)) => one == other,
            _ if self.log_in.is_none() && other.log_in.is_none() => {
                self.grant_expires.is_some() && self.grant_expires == other.grant_expires
            }
            _ => self.log_in == other.log_in,
        }
    }

    /// Whether the scopes cover userinfo.
    #[must_use]
    pub fn allows_userinfo(&self) -> bool {
        self.scopes.contains("profile")
    }

    /// Whole days until the consent ends; negative if it has ended.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> Option<i64> {
        self.grant_expires.map(|end| end.duration_since(now).as_secs().div_euclid(86_400))
    }

    /// The reminder that the consent will end, from `within` days before the end. None before that, and none for
    /// access without an end date (one-time, research).
    #[must_use]
    pub fn reminder(&self, now: Timestamp, within: i64) -> Option<String> {
        let days = self.days_left(now).filter(|days| *days <= within)?;
        (self.access_category == AccessCategory::ThirteenMonth).then(|| match days {
            // The server's clock decides, and it may differ.
            ..0 => "by this machine's clock, the consent has ended".to_owned(),
            0 => "the consent ends in less than a day".to_owned(),
            1 => "the consent ends in 1 day".to_owned(),
            _ => format!("the consent ends in {days} days"),
        })
    }
}

/// The tokens and the client secret of one profile: what a token store keeps, as one record.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The only origin these may be sent to.
    pub origin: Origin,
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret; none for a public client.
    pub client_secret: Option<Secret>,
    /// The access token.
    pub access_token: Secret,
    /// The refresh token. It works once.
    pub refresh_token: Option<Secret>,
    /// What is known about them.
    pub grant: Grant,
}

#[derive(Serialize)]
struct RecordRef<'a> {
    version: u8,
    origin: &'a Origin,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(flatten)]
    grant: &'a Grant,
}

#[derive(Deserialize)]
struct Record {
    version: u8,
    origin: Origin,
    client_id: String,
    client_secret: Option<Secret>,
    access_token: Secret,
    refresh_token: Option<Secret>,
    #[serde(flatten)]
    grant: Grant,
}

impl Credential {
    /// This credential with the answer to `refresh_token`. What the answer leaves out stays the same.
    #[must_use]
    pub fn renewed(&self, refresh_token: &Secret, answer: TokenAnswer) -> Self {
        let (access_token, new_refresh_token, grant) = answer.into_renewed(&self.grant, &[], Timestamp::now());
        Self {
            access_token: access_token.unwrap_or_else(|| self.access_token.clone()),
            // RFC 6749 section 6: without a new refresh token, the old one stays valid.
            refresh_token: new_refresh_token.or_else(|| Some(refresh_token.clone())),
            grant: Grant { refreshable: true, ..grant },
            ..self.clone()
        }
    }

    /// The record a token store keeps: JSON, version 1.
    #[must_use]
    pub fn to_record(&self) -> Secret {
        let record = RecordRef {
            version: 1,
            origin: &self.origin,
            client_id: &self.client_id,
            client_secret: self.client_secret.as_ref().map(Secret::expose),
            access_token: self.access_token.expose(),
            refresh_token: self.refresh_token.as_ref().map(Secret::expose),
            grant: &self.grant,
        };
        // Strings, times and sets of strings can always be written as JSON.
        Secret::new(serde_json::to_string(&record).unwrap_or_default())
    }

    /// Reads a record back; `None` if this version cannot read it.
    #[must_use]
    pub fn from_record(record: &Secret) -> Option<Self> {
        let record: Record = serde_json::from_str(record.expose()).ok()?;
        (record.version == 1).then_some(Self {
            origin: record.origin,
            client_id: record.client_id,
            client_secret: record.client_secret,
            access_token: record.access_token,
            refresh_token: record.refresh_token,
            grant: record.grant,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_whole_and_prints_nothing() {
        let grant = Grant { scopes: ["profile".to_owned()].into(), log_in: Some(7), renewals: 3, ..Grant::default() };
        let credential = Credential {
            origin: "https://x.example".parse().unwrap(),
            client_id: "id".into(),
            client_secret: Some(Secret::new("sss-secret".into())),
            access_token: Secret::new("aaa-secret".into()),
            refresh_token: Some(Secret::new("rrr-secret".into())),
            grant,
        };
        let back = Credential::from_record(&credential.to_record()).unwrap();
        assert_eq!(back.grant, credential.grant);
        assert!(back.client_secret.unwrap().matches("sss-secret"));
        assert!(back.refresh_token.unwrap().matches("rrr-secret"));
        assert!(!format!("{credential:?}").contains("-secret"));
        assert!(Credential::from_record(&Secret::new("{}".into())).is_none());
    }
}
