//! A resource: its text, and the few facts that keeping it needs.

use std::{borrow::Cow, ops::Range};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

/// Why a text is no resource to keep.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ResourceError {
    /// Not a JSON object.
    #[error("a resource that is not a JSON object")]
    NotAnObject,
    /// No `id`: it could never be told from another.
    #[error("a {0} without an id")]
    NoId(String),
}

/// What is known of a resource without understanding it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `resourceType`.
    pub kind: String,
    /// `id`.
    pub id: String,
    /// `meta.lastUpdated`, where it is an instant.
    pub last_updated: Option<Timestamp>,
    /// The Patient id it speaks of, where it says so as `Patient/<id>`.
    pub patient: Option<String>,
    /// Where the value of the top-level `created` stands: in API v2 the moment of the answer, so that
    /// it differs at each download of the same claim.
    created: Option<Range<usize>>,
}

#[derive(Deserialize)]
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

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, default)]
    reference: Option<Cow<'a, str>>,
}

impl Header {
    /// Reads the header of a resource.
    ///
    /// # Errors
    /// [`ResourceError`] for what cannot be kept under an id.
    pub fn read(text: &str) -> Result<Self, ResourceError> {
        let wire: Wire<'_> = serde_json::from_str(text).map_err(|_| ResourceError::NotAnObject)?;
        if wire.id.is_empty() {
            return Err(ResourceError::NoId(crate::error::shown(&wire.kind)));
        }
        let of_reference = |reference: Reference<'_>| {
            reference.reference.and_then(|text| text.strip_prefix("Patient/").map(str::to_owned))
        };
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

    /// A fingerprint of what the resource says, the volatile `created` left out. `text` is the text
    /// this header was read from.
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

/// The resource as one line: as written, unless white space between its tokens would break the line;
/// then such white space goes. Inside strings JSON has no raw line breaks (RFC 8259 section 7).
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
    fn what_has_no_id_is_refused() {
        assert_eq!(Header::read(r#"{"resourceType":"Patient"}"#).unwrap_err(), ResourceError::NoId("Patient".into()));
        assert_eq!(Header::read("[1]").unwrap_err(), ResourceError::NotAnObject);
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
