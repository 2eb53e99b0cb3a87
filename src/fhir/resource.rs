//! A resource: its text, and the few facts that are needed to keep it.

use std::{borrow::Cow, fmt, ops::Range};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

/// Why a text is not a resource that can be kept.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ResourceError {
    /// Not a JSON object.
    #[error("a resource that is not a JSON object")]
    NotAnObject,
    /// It has no `id`, so it could not be told from others.
    #[error("a {0} without an id")]
    NoId(String),
}

/// What can be known about a resource without understanding it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `resourceType`.
    pub kind: String,
    /// `id`.
    pub id: String,
    /// `meta.lastUpdated`, if it is a valid time.
    pub last_updated: Option<Timestamp>,
    /// The id of the Patient that it refers to, if it does so as `Patient/<id>`.
    pub patient: Option<String>,
    /// Where the value of the top-level `created` is. In API v2 it is the time of the answer, so it differs in each
    /// download of the same claim.
    created: Option<Range<usize>>,
}

#[derive(Default, Deserialize)]
struct Wire<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    meta: Option<Meta<'a>>,
    #[serde(borrow, default)]
    patient: Option<Reference<'a>>,
    #[serde(borrow, default)]
    beneficiary: Option<Reference<'a>>,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(rename = "lastUpdated", borrow, default)]
    last_updated: Option<Cow<'a, str>>,
}

/// The id in a reference to a Patient: `Patient/-1`, with or without a version, and with or without the server before
/// it (FHIR R4, section 2.3.0.3).
fn patient(reference: &str) -> Option<&str> {
    let reference = reference.split("/_history/").next()?;
    let (before, id) = reference.rsplit_once('/')?;
    (before == "Patient" || before.ends_with("/Patient")).then_some(id).filter(|id| !id.is_empty())
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, default)]
    reference: Option<Cow<'a, str>>,
}

impl Header {
    /// Reads the header of a resource.
    ///
    /// # Errors
    /// [`ResourceError`] if it cannot be kept under an id.
    pub fn read(text: &str) -> Result<Self, ResourceError> {
        // Serde would accept an array and read its values as the members in their order.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(ResourceError::NotAnObject);
        }
        Self::of(serde_json::from_str(text).map_err(|_| ResourceError::NotAnObject)?, text)
    }

    /// The header of `wire`, which was read from `text`.
    fn of(wire: Wire<'_>, text: &str) -> Result<Self, ResourceError> {
        if wire.id.is_empty() {
            return Err(ResourceError::NoId(crate::error::sanitized(&wire.kind)));
        }
        let of_reference = |reference: Reference<'_>| patient(&reference.reference?).map(str::to_owned);
        let patient = match &*wire.kind {
            "Patient" => Some(wire.id.to_string()),
            _ => wire.patient.or(wire.beneficiary).and_then(of_reference),
        };
        let created = wire.created.map(|raw| {
            let offset = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            offset..offset + raw.get().len()
        });
        Ok(Self {
            kind: wire.kind.into_owned(),
            id: wire.id.into_owned(),
            last_updated: wire.meta.and_then(|meta| meta.last_updated).and_then(|text| text.parse().ok()),
            patient,
            created,
        })
    }

    /// A fingerprint of the resource's content, without the changing `created`. `text` is the text that this header
    /// was read from.
    #[must_use]
    pub fn fingerprint(&self, text: &str) -> [u8; 16] {
        let mut hash = Xxh3::new();
        match &self.created {
            Some(range) => {
                hash.update(&text.as_bytes()[..range.start]);
                hash.update(&text.as_bytes()[range.end..]);
            }
            None => hash.update(text.as_bytes()),
        }
        hash.digest128().to_le_bytes()
    }
}

/// A resource inside a larger text. Its header is read in the same pass.
///
/// This reads only the usual form. It refuses a member name with an escape in it, or one that occurs twice, and then
/// [`Header::read`] decides.
pub(super) struct Placed<'a> {
    wire: Wire<'a>,
    /// The name of its first member, and the value of its last. They show where the resource begins and ends.
    first: &'a str,
    last: &'a RawValue,
}

impl Placed<'_> {
    /// The place of the resource in `text`, from which it was read, and its header.
    pub(super) fn settle(self, text: &str) -> Option<(Range<usize>, Result<Header, ResourceError>)> {
        const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];
        let offset = |part: &str| (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
        let before = text.get(..offset(self.first)?)?.strip_suffix('"')?.trim_end_matches(BLANKS);
        let last = self.last.get();
        let after = text.get(offset(last)? + last.len()..)?.trim_start_matches(BLANKS);
        let place = before.strip_suffix('{')?.len()..text.len() - after.strip_prefix('}')?.len();
        let header = Header::of(self.wire, text.get(place.clone())?);
        Some((place, header))
    }
}

impl<'de> Deserialize<'de> for Placed<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

/// A member that may occur once.
struct Once<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Once<T> {
    fn set<E: serde::de::Error>(&mut self, value: &'de RawValue) -> Result<(), E> {
        let value = serde_json::from_str(value.get()).map_err(E::custom)?;
        if self.0.replace(value).is_some() { Err(E::custom("twice")) } else { Ok(()) }
    }
}

#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Members {
    type Value = Placed<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Placed<'de>, A::Error> {
        let (mut kind, mut id, mut meta) = (Once::<Text<'_>>(None), Once::<Text<'_>>(None), Once(None));
        let (mut patient, mut beneficiary, mut created) = (Once(None), Once(None), Once(None));
        let mut ends = None;
        while let Some(name) = map.next_key::<&'de str>()? {
            let value: &'de RawValue = map.next_value()?;
            ends = Some((ends.map_or(name, |(first, _)| first), value));
            match name {
                "resourceType" => kind.set(value)?,
                "id" => id.set(value)?,
                "meta" => meta.set(value)?,
                "patient" => patient.set(value)?,
                "beneficiary" => beneficiary.set(value)?,
                "created" => created.set(value)?,
                _ => {}
            }
        }
        let (first, last) = ends.ok_or_else(|| A::Error::custom("nothing"))?;
        let wire = Wire {
            kind: kind.0.unwrap_or_default().0,
            id: id.0.unwrap_or_default().0,
            meta: meta.0.flatten(),
            patient: patient.0.flatten(),
            beneficiary: beneficiary.0.flatten(),
            created: created.0.flatten(),
        };
        Ok(Placed { wire, first, last })
    }
}

/// The resource as one line. It stays as written, unless white space between its tokens would break the line; then
/// that white space is removed. Inside strings, JSON has no raw line breaks (RFC 8259 section 7).
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped, mut kept) = (false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else if byte == b'"' {
            in_string = true;
        } else if byte.is_ascii_whitespace() {
            out.push_str(&text[kept..at]);
            kept = at + 1;
        }
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: &str = r#"{"resourceType":"ExplanationOfBenefit","id":"pde--1","meta":{"lastUpdated":"2023-06-14T12:31:42.360-04:00"},"patient":{"reference":"Patient/-20140000000001"},"created":"2026-11-23T10:00:00-05:00","item":[{"id":"other","created":"x"}]}"#;

    #[test]
    fn a_header_is_that_of_the_outermost_object() {
        let header = Header::read(CLAIM).unwrap();
        assert_eq!((header.kind.as_str(), header.id.as_str()), ("ExplanationOfBenefit", "pde--1"));
        assert_eq!(header.last_updated, "2023-06-14T16:31:42.360Z".parse().ok());
        assert_eq!(header.patient.as_deref(), Some("-20140000000001"));
    }

    #[test]
    fn two_downloads_of_one_claim_have_one_fingerprint() {
        let later = CLAIM.replace("2026-11-23T10", "2026-11-24T11");
        let changed = CLAIM.replace("\"x\"", "\"y\"");
        let print = |text: &str| Header::read(text).unwrap().fingerprint(text);
        assert_eq!(print(CLAIM), print(&later));
        assert_ne!(print(CLAIM), print(&changed));
    }

    #[test]
    fn a_resource_without_an_id_is_refused() {
        assert_eq!(Header::read(r#"{"resourceType":"Patient"}"#).unwrap_err(), ResourceError::NoId("Patient".into()));
        for text in ["[1]", r#"["Patient","1"]"#, "null", "7", r#"{"id":1}"#, r#"{"id":"1","id":"2"}"#, r#"{"id" "1"}"#]
        {
            assert_eq!(Header::read(text).unwrap_err(), ResourceError::NotAnObject, "{text}");
        }
        assert!(
            Header::read(r#"{"resourceType":"Patient","id":"1","meta":{"lastUpdated":"IGNORED_FIELD"}}"#)
                .unwrap()
                .last_updated
                .is_none()
        );
    }

    #[test]
    fn a_line_keeps_the_text_unless_it_would_break() {
        assert!(matches!(line(r#"{ "a": 1.50 }"#), Cow::Borrowed(_)));
        let pretty = "{\r\n  \"a b\" : [ 1.50,\n\t\"x \\\" y\\\\\" ]\n}";
        assert_eq!(line(pretty), r#"{"a b":[1.50,"x \" y\\"]}"#);
    }
}
