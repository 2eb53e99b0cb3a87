//! The token endpoint's answer (RFC 6749 section 5.1).
//!
//! The answer comes once, and the refresh token that it answers is used up. So bbdl takes everything that it can use,
//! and no problem with the rest may lose that. CMS has documented, and partly sent, `expires_in` as a float, no
//! `patient`, and dates with a blank instead of the `T`.

use std::{collections::BTreeSet, fmt, io::Read, time::Duration};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::token::{AccessCategory, Grant};
use crate::secret::Secret;

/// The lifetime if the server does not say it: the shortest it has ever given.
const DEFAULT_LIFE: u64 = 3600;
/// A grant that ends within this time after the log-in is a one-time grant (an hour today, ten hours in the past).
const ONE_TIME_AT_MOST: Duration = Duration::from_secs(86_400);
/// Limit of an answer, in bytes. A normal one has some hundred bytes.
pub(super) const LARGEST: usize = 1 << 20;

/// What can be used of an answer.
pub struct TokenAnswer {
    access_token: Option<Secret>,
    refresh_token: Option<Secret>,
    token_type: Option<String>,
    expires_in: Option<u64>,
    scopes: Option<BTreeSet<String>>,
    patient: Option<String>,
    access_grant_expiration: Option<String>,
    /// Whether the object is complete.
    is_whole: bool,
}

impl TokenAnswer {
    /// Reads a body, which may be compressed, begin with a byte order mark, have a key twice, or be cut short. `None`
    /// if it has no token.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let unpacked = unpacked(body);
        let text = String::from_utf8_lossy(unpacked.as_ref().map_or(body, |bytes| bytes.as_slice()));
        let fields = Fields::of(text.trim_start_matches('\u{feff}'));
        let answer = Self {
            access_token: fields.last("access_token", token),
            refresh_token: fields.last("refresh_token", token),
            token_type: fields.last("token_type", string),
            expires_in: fields.last("expires_in", seconds),
            scopes: fields.last("scope", scopes),
            patient: fields.last("patient", |json| text_or_integer(json).filter(|id| !id.trim().is_empty())),
            access_grant_expiration: fields.last("access_grant_expiration", text_or_integer),
            is_whole: fields.is_whole,
        };
        (answer.access_token.is_some() || answer.refresh_token.is_some()).then_some(answer)
    }

    /// Whether it has an access token that fits in a header.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.access_token.is_some()
    }

    /// Whether it has both tokens.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.access_token.is_some() && self.refresh_token.is_some()
    }

    /// Whether it is complete. If not, a refresh token may have been in the missing part.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The token type, if bbdl does not know it. bbdl still uses the token as a bearer token, because the server has
    /// no others.
    #[must_use]
    pub fn odd_token_type(&self) -> Option<&str> {
        self.token_type.as_deref().filter(|name| !name.eq_ignore_ascii_case("bearer"))
    }

    /// The Patient id, if the answer has one.
    #[must_use]
    pub fn patient(&self) -> Option<&str> {
        self.patient.as_deref()
    }

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
        let log_in = Grant::new_log_in();
        let before = Grant { access_category, grant_expires, log_in, ..Grant::default() };
        let (access, refresh, grant) = self.into_renewed(&before, asked, now);
        (access.unwrap_or_else(|| Secret::new(String::new())), refresh, Grant { renewals: 0, ..grant })
    }

    /// The answer to a refresh: the same grant with new tokens. What the answer leaves out stays the same.
    #[must_use]
    pub fn into_renewed(
        self,
        before: &Grant,
        asked: &[String],
        now: Timestamp,
    ) -> (Option<Secret>, Option<Secret>, Grant) {
        let scopes = match self.scopes {
            Some(scopes) => scopes,
            // RFC 6749 section 5.1: the scopes are left out if they are those that were asked for.
            None if before.scopes.is_empty() => asked.iter().cloned().collect(),
            None => before.scopes.clone(),
        };
        let life = match self.access_token {
            Some(_) => self.expires_in.unwrap_or(DEFAULT_LIFE).min(365 * 86_400),
            None => 0,
        };
        let grant = Grant {
            patient: self.patient.or_else(|| before.patient.clone()),
            scopes,
            access_token_expires: now.checked_add(Duration::from_secs(life)).ok(),
            refreshable: self.refresh_token.is_some() && before.access_category != AccessCategory::OneTime,
            access_category: before.access_category,
            grant_expires: self.access_grant_expiration.as_deref().and_then(instant).or(before.grant_expires),
            log_in: before.log_in,
            renewals: before.renewals + 1,
        };
        (self.access_token, self.refresh_token, grant)
    }
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenAnswer(…)")
    }
}

/// Unpacks a body that a proxy compressed although bbdl did not ask for that. Such a body begins with these bytes
/// (RFC 1952 section 2.3.1).
fn unpacked(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    // What could be unpacked before an error is used too.
    let _ = MultiGzDecoder::new(body).take(LARGEST as u64).read_to_end(&mut bytes);
    Some(bytes)
}

/// The members of a JSON object as written, in their order, up to its end or to where it is cut off.
#[derive(Default)]
struct Fields<'a> {
    members: Vec<(String, &'a RawValue)>,
    is_whole: bool,
}

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> Self {
        let mut fields = Self::default();
        // An object that is cut off is an error, but the members before that are kept.
        fields.is_whole = (&mut fields).deserialize(&mut serde_json::Deserializer::from_str(text)).is_ok();
        fields
    }

    /// The last readable value of a key that occurs more than once.
    fn last<T>(&self, key: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.members.iter().rev().filter(|(name, _)| name == key).find_map(|(_, value)| read(value.get()))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Fields<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Fields<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_entry()? {
            self.members.push(field);
        }
        Ok(())
    }
}

fn string(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// RFC 6749 section 3.3: at least one. A text without any is as good as none.
fn scopes(json: &str) -> Option<BTreeSet<String>> {
    let scopes: BTreeSet<String> = string(json)?.split_whitespace().map(str::to_owned).collect();
    (!scopes.is_empty()).then_some(scopes)
}

/// RFC 6749 appendix A.12 and A.17 allow visible characters and blanks; RFC 6750 section 2.1 has no blanks.
fn token(json: &str) -> Option<Secret> {
    let text = Secret::new(string(json)?);
    let is_usable = !text.is_empty() && text.expose().bytes().all(|byte| byte.is_ascii_graphic());
    is_usable.then_some(text)
}

fn text_or_integer(json: &str) -> Option<String> {
    string(json).or_else(|| json.parse::<i64>().ok().map(|number| number.to_string()))
}

/// Reads a number in any form, also in quotation marks.
fn seconds(json: &str) -> Option<u64> {
    let text = string(json).unwrap_or_else(|| json.to_owned());
    let number: f64 = text.trim().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (0.0..1e12).contains(&number).then_some(number as u64)
}

/// Reads a time in RFC 3339 form, also with a blank instead of the `T`.
fn instant(text: &str) -> Option<Timestamp> {
    text.trim().replacen(' ', "T", 1).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    fn read(json: &str) -> (Secret, Option<Secret>, Grant) {
        TokenAnswer::read(json.as_bytes()).unwrap().into_new(&["profile".into()], now())
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
            ("2026-12-03T11:00:00Z", "the consent ends in 10 days"),
            ("2026-11-24T11:00:00Z", "the consent ends in 1 day"),
            ("2026-11-23T11:00:00Z", "the consent ends in less than a day"),
            ("2026-11-22T09:00:00Z", "by this machine's clock, the consent has ended"),
        ] {
            let ending = Grant { grant_expires: end.parse().ok(), ..grant.clone() };
            assert_eq!(ending.reminder(now(), 14).as_deref(), Some(words), "{end}");
            let research = Grant { access_category: AccessCategory::Research, ..ending };
            assert_eq!(research.reminder(now(), 14), None);
        }
        assert!(grant.refreshable && grant.demographics() && grant.allows("ExplanationOfBenefit"));
        assert!(!grant.allows("Coverage"));
    }

    #[test]
    fn unusual_token_answers_are_read() {
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
            (r#"{"access_token":"a","expires_in":1e400,"token_type":7}"#, AccessCategory::Unknown, Some(3600)),
            (r#"{"access_token":"a","scope":["profile"],"token_type":"mac"}"#, AccessCategory::Unknown, Some(3600)),
            ("\u{feff}{\"access_token\":\"b\",\"access_token\":\"a\"}", AccessCategory::Unknown, Some(3600)),
            (r#"{"access_token":"a","access_token":""}"#, AccessCategory::Unknown, Some(3600)),
            (r#"{"access_token":"a","expires_in":"99"#, AccessCategory::Unknown, Some(3600)),
        ];
        for (json, category, life) in table {
            let (access, _, grant) = read(json);
            assert!(access.matches("a"), "{json}");
            assert_eq!(grant.access_category, category, "{json}");
            let expires = grant.access_token_expires.map(|at| at.duration_since(now()).as_secs());
            assert_eq!(expires, life, "{json}");
            assert!(!grant.refreshable, "{json}");
            assert_eq!(grant.scopes, BTreeSet::from(["profile".to_owned()]), "{json}");
        }
    }

    #[test]
    fn a_compressed_answer_is_unpacked_despite_wrong_headers() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(br#"{"access_token":"aaa","refresh_token":"rrr"}"#).unwrap();
        assert!(TokenAnswer::read(&encoder.finish().unwrap()).unwrap().is_complete());
    }

    #[test]
    fn a_token_that_cannot_be_a_header_is_refused() {
        for json in [
            r#"{"expires_in":3600}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"a\n"}"#,
            r#"{"access_token":"ä"}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"cut sho"#,
            "<html>",
            "[]",
            "",
        ] {
            assert!(TokenAnswer::read(json.as_bytes()).is_none(), "{json}");
        }
        let answer = TokenAnswer::read(br#"{"access_token":"","refresh_token":"r"}"#).unwrap();
        assert!(!answer.is_usable());
        let (access, refresh, grant) = answer.into_renewed(&Grant::default(), &[], now());
        assert!(access.is_none() && refresh.unwrap().matches("r"));
        assert_eq!(grant.access_token_expires, Some(now()));
    }

    #[test]
    fn a_refresh_keeps_what_its_answer_leaves_out() {
        let (_, _, before) = read(
            r#"{"access_token":"a","scope":"profile","patient":"-1","access_grant_expiration":"2027-12-23T17:06:04Z","refresh_token":"r"}"#,
        );
        let answer = TokenAnswer::read(br#"{"access_token":"b","refresh_token":"s"}"#).unwrap();
        let (access, _, after) = answer.into_renewed(&before, &[], now());
        assert!(access.unwrap().matches("b"));
        assert_eq!(after, Grant { renewals: 1, ..before });
    }

    #[test]
    fn empty_text_is_as_good_as_nothing() {
        let (_, _, before) = read(
            r#"{"access_token":"a","scope":"profile","patient":"-1","access_grant_expiration":"2027-12-23T17:06:04Z","refresh_token":"r"}"#,
        );
        for empty in ["", " "] {
            let json = format!(
                r#"{{"access_token":"b","refresh_token":"s","patient":"{empty}","scope":"{empty}","access_grant_expiration":"{empty}"}}"#
            );
            let answer = TokenAnswer::read(json.as_bytes()).unwrap();
            assert_eq!(answer.patient(), None);
            let (_, _, after) = answer.into_renewed(&before, &[], now());
            assert_eq!(after, Grant { renewals: 1, ..before.clone() });
        }
        // Of two members with one key, the one that says something.
        let two = TokenAnswer::read(br#"{"access_token":"b","patient":"-1","patient":""}"#).unwrap();
        assert_eq!(two.patient(), Some("-1"));
    }
}
