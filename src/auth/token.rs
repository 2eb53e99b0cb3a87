//! A token, a grant, and what the server said of them.

use std::{collections::BTreeSet, fmt, time::Duration};

use jiff::Timestamp;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse, basic::BasicTokenType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{api::server::Origin, secret::Secret};

/// How long an app may use what an enrollee granted. CMS assigns it to the app.
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

/// What is known of a grant and its access token, without any secret: this may be shown and kept
/// beside the profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The Patient id of the API version logged in at.
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
    /// A random number of this log-in, which stays through renewals.
    #[serde(default)]
    pub log_in: Option<u64>,
}

impl Grant {
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

    /// Whether another grant is certainly of the same enrollee: it names the same Patient id, or, of servers that name
    /// none, it is of the same log-in (of one from before log-ins had numbers: the consent ends at the same instant).
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

    /// Whole days until the consent ends; negative when it has.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> Option<i64> {
        self.grant_expires.map(|end| end.duration_since(now).as_secs().div_euclid(86_400))
    }

    /// How the end of the consent is told from `within` days before it; nothing earlier, and nothing
    /// for access that does not end by a date (one-time, research).
    #[must_use]
    pub fn reminder(&self, now: Timestamp, within: i64) -> Option<String> {
        let days = self.days_left(now).filter(|days| *days <= within)?;
        (self.access_category == AccessCategory::ThirteenMonth).then(|| match days {
            // The server may see it otherwise, whose clock decides.
            ..0 => "the consent is over by this machine's clock".to_owned(),
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
    /// What is known of them.
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
        // Strings, times and sets of strings have no way to fail to become JSON.
        Secret::new(serde_json::to_string(&record).unwrap_or_default())
    }

    /// Reads a record back; `None` for what this version cannot read.
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

/// The token endpoint's answer (RFC 6749 section 5.1), read tolerantly: CMS has documented, and in
/// part sent, `expires_in` as a float, a missing `patient`, and dates with a blank for the `T`.
#[derive(Deserialize)]
pub struct TokenAnswer {
    access_token: AccessToken,
    #[serde(default = "bearer", deserialize_with = "token_type")]
    token_type: BasicTokenType,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "not_empty")]
    refresh_token: Option<RefreshToken>,
    #[serde(default, deserialize_with = "scopes")]
    scope: Option<Vec<Scope>>,
    #[serde(default, deserialize_with = "text_or_number")]
    patient: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    access_grant_expiration: Option<String>,
}

/// Where the server does not say: the shortest life it has ever given.
const DEFAULT_LIFE: u64 = 3600;
/// A grant that ends within a day of the log-in is a one-time one (an hour today, ten hours once).
const ONE_TIME_AT_MOST: Duration = Duration::from_secs(86_400);

impl TokenAnswer {
    /// The answer to a code exchange at `now`: a new grant.
    #[must_use]
    pub fn into_new(self, asked: &[String], now: Timestamp) -> (Secret, Option<Secret>, Grant) {
        let grant_expires = self.access_grant_expiration.as_deref().and_then(instant);
        let access_category = match (self.access_grant_expiration.as_deref(), grant_expires) {
            (Some(text), None) if text.trim().is_empty() => AccessCategory::Research,
            (_, Some(end)) if end.duration_since(now).unsigned_abs() <= ONE_TIME_AT_MOST => AccessCategory::OneTime,
            (_, Some(_)) => AccessCategory::ThirteenMonth,
            _ => AccessCategory::Unknown,
        };
        let mut log_in = [0; 8];
        // Without a source of chance there is no number, and nothing is taken for the same.
        let log_in = getrandom::fill(&mut log_in).is_ok().then_some(u64::from_le_bytes(log_in) >> 11);
        let before = Grant { access_category, grant_expires, log_in, ..Grant::default() };
        self.into_renewed(&before, asked, now)
    }

    /// The answer to a refresh: the grant as before, the tokens new. What the answer leaves out stays.
    #[must_use]
    pub fn into_renewed(self, before: &Grant, asked: &[String], now: Timestamp) -> (Secret, Option<Secret>, Grant) {
        let scopes = match &self.scope {
            Some(scopes) => scopes.iter().map(|scope| scope.to_string()).collect(),
            // RFC 6749 section 5.1: left out when identical to what was asked for.
            None if before.scopes.is_empty() => asked.iter().cloned().collect(),
            None => before.scopes.clone(),
        };
        let life = Duration::from_secs(self.expires_in.unwrap_or(DEFAULT_LIFE).min(365 * 86_400));
        let grant = Grant {
            patient: self.patient.clone().filter(|id| !id.is_empty()).or_else(|| before.patient.clone()),
            scopes,
            access_token_expires: now.checked_add(life).ok(),
            refreshable: self.refresh_token.is_some() && before.access_category != AccessCategory::OneTime,
            access_category: before.access_category,
            grant_expires: self.access_grant_expiration.as_deref().and_then(instant).or(before.grant_expires),
            log_in: before.log_in,
        };
        let access = Secret::new(self.access_token.into_secret());
        (access, self.refresh_token.map(|token| Secret::new(token.into_secret())), grant)
    }
}

/// RFC 3339, or with a blank for the `T`.
fn instant(text: &str) -> Option<Timestamp> {
    text.trim().replacen(' ', "T", 1).parse().ok()
}

fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}

fn token_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BasicTokenType, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.eq_ignore_ascii_case("bearer") {
        Ok(BasicTokenType::Bearer)
    } else {
        Err(serde::de::Error::custom("a token type that is not Bearer"))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Integer(i64),
    Number(f64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = match Option::<Scalar>::deserialize(deserializer)? {
        #[expect(clippy::cast_precision_loss, reason = "no token lives for 2^53 seconds")]
        Some(Scalar::Integer(number)) => number as f64,
        Some(Scalar::Number(number)) => number,
        Some(Scalar::Text(text)) => text.trim().parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    Ok((0.0..1e12).contains(&number).then_some(number as u64))
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Scalar>::deserialize(deserializer)? {
        Some(Scalar::Text(text)) => Some(text),
        Some(Scalar::Integer(number)) => Some(number.to_string()),
        _ => None,
    })
}

fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RefreshToken>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(RefreshToken::new))
}

fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Scope>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| text.split_whitespace().map(|word| Scope::new(word.to_owned())).collect()))
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenAnswer(…)")
    }
}

impl Serialize for TokenAnswer {
    /// The OAuth library wants its answers to be serialisable; tokens are not written that way here.
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a token answer is not serialised"))
    }
}

impl TokenResponse for TokenAnswer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scope.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    fn read(json: &str) -> (Secret, Option<Secret>, Grant) {
        serde_json::from_str::<TokenAnswer>(json).unwrap().into_new(&["profile".into()], now())
    }

    #[test]
    fn the_answer_as_the_server_gives_it() {
        let (access, refresh, grant) = read(
            r#"{"access_token": "aaa", "expires_in": 3600, "token_type": "Bearer",
                "scope": "profile patient/Patient.rs patient/ExplanationOfBenefit.read openid", "refresh_token": "rrr",
                "patient": "-20140000010000", "access_grant_expiration": "2027-12-23T17:06:04Z", "more": [1]}"#,
        );
        assert!(access.matches("aaa") && refresh.unwrap().matches("rrr"));
        assert_eq!(grant.patient.as_deref(), Some("-20140000010000"));
        assert_eq!(grant.access_token_expires, "2026-11-23T11:00:00Z".parse().ok());
        assert_eq!(grant.access_category, AccessCategory::ThirteenMonth);
        assert_eq!(grant.days_left(now()), Some(395));
        assert_eq!(grant.reminder(now(), 394), None);
        for (end, words) in [
            ("2026-12-03T11:00:00Z", "in 10 days"),
            ("2026-11-24T11:00:00Z", "in 1 day"),
            ("2026-11-23T11:00:00Z", "in less than a day"),
            ("2026-11-22T09:00:00Z", "over by this machine's clock"),
        ] {
            let ending = Grant { grant_expires: end.parse().ok(), ..grant.clone() };
            assert!(ending.reminder(now(), 14).unwrap().ends_with(words), "{end}");
            let research = Grant { access_category: AccessCategory::Research, ..ending };
            assert_eq!(research.reminder(now(), 14), None);
        }
        assert!(grant.refreshable && grant.demographics() && grant.allows("ExplanationOfBenefit"));
        assert!(!grant.allows("Coverage"));
    }

    #[test]
    fn odd_answers_are_read_all_the_same() {
        let table = [
            (
                r#"{"access_token":"a","token_type":"bearer","expires_in":16768.523842}"#,
                AccessCategory::Unknown,
                Some(16768),
            ),
            (
                r#"{"access_token":"a","token_type":"Bearer","expires_in":"36000","access_grant_expiration":""}"#,
                AccessCategory::Research,
                Some(36000),
            ),
            (
                r#"{"access_token":"a","access_grant_expiration":"2027-12-23 17:06:04Z","patient":-2014}"#,
                AccessCategory::ThirteenMonth,
                Some(3600),
            ),
            (
                r#"{"access_token":"a","expires_in":null,"access_grant_expiration":"2026-11-23T11:00:00Z","refresh_token":"r"}"#,
                AccessCategory::OneTime,
                Some(3600),
            ),
            (
                r#"{"access_token":"a","expires_in":-5,"access_grant_expiration":null,"patient":null}"#,
                AccessCategory::Unknown,
                Some(3600),
            ),
        ];
        for (json, category, life) in table {
            let (_, _, grant) = read(json);
            assert_eq!(grant.access_category, category, "{json}");
            let expires = grant.access_token_expires.map(|at| at.duration_since(now()).as_secs());
            assert_eq!(expires, life, "{json}");
            assert!(!grant.refreshable, "{json}");
            assert_eq!(grant.scopes, BTreeSet::from(["profile".to_owned()]), "{json}");
        }
    }

    #[test]
    fn an_answer_without_a_usable_token_is_refused() {
        assert!(serde_json::from_str::<TokenAnswer>(r#"{"expires_in":3600}"#).is_err());
        assert!(serde_json::from_str::<TokenAnswer>(r#"{"access_token":"a","token_type":"mac"}"#).is_err());
    }

    #[test]
    fn a_refresh_keeps_what_its_answer_leaves_out() {
        let (_, _, before) = read(
            r#"{"access_token":"a","scope":"profile","patient":"-1","access_grant_expiration":"2027-12-23T17:06:04Z","refresh_token":"r"}"#,
        );
        let answer: TokenAnswer = serde_json::from_str(r#"{"access_token":"b","refresh_token":"s"}"#).unwrap();
        let (access, _, after) = answer.into_renewed(&before, &[], now());
        assert!(access.matches("b"));
        assert_eq!(after, before);
    }

    #[test]
    fn a_record_comes_back_whole_and_prints_nothing() {
        let (access_token, refresh_token, grant) =
            read(r#"{"access_token":"aaa-secret","refresh_token":"rrr-secret","scope":"profile"}"#);
        let credential = Credential {
            origin: "https://x.example".parse().unwrap(),
            client_id: "id".into(),
            client_secret: Some(Secret::new("sss-secret".into())),
            access_token,
            refresh_token,
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
