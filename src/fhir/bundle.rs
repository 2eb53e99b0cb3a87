//! A page of a search: links, total, and the resources as the server wrote them.

use std::{borrow::Cow, ops::Range};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

/// Why a text is no page of a search.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BundleError {
    /// Not JSON, or cut short. The position helps; the text would be somebody's health record.
    #[error("not JSON (line {line}, column {column})")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Something else than a Bundle.
    #[error("a {0} where a Bundle belongs")]
    NotABundle(String),
    /// An entry without a resource.
    #[error("an entry without a resource")]
    EmptyEntry,
}

/// A Bundle: the text, and where in it things are. One allocation holds all resources.
#[derive(Debug)]
pub struct Bundle {
    text: String,
    resources: Vec<Range<usize>>,
    /// `Bundle.total`. A hint at most: API v3 fills it with the page size.
    pub total: Option<u64>,
    /// The link with relation `next`, as the server wrote it.
    pub next: Option<String>,
    /// `Bundle.meta.lastUpdated`: v1 and v2's transaction time.
    pub last_updated: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    resource_type: Cow<'a, str>,
    #[serde(borrow, default)]
    meta: Option<Meta<'a>>,
    #[serde(borrow, default)]
    total: Option<&'a RawValue>,
    #[serde(borrow, default)]
    link: Vec<Link<'a>>,
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(rename = "lastUpdated", borrow, default)]
    last_updated: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow, default)]
    relation: Cow<'a, str>,
    #[serde(borrow, default)]
    url: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
}

impl Bundle {
    /// Splits a Bundle. The text is read once and kept; the resources are ranges of it.
    ///
    /// # Errors
    /// [`BundleError`] where the text is not a Bundle.
    pub fn split(text: String) -> Result<Self, BundleError> {
        let wire: Wire<'_> = serde_json::from_str(&text)
            .map_err(|cause| BundleError::NotJson { line: cause.line(), column: cause.column() })?;
        if wire.resource_type != "Bundle" {
            return Err(BundleError::NotABundle(crate::error::shown(&wire.resource_type)));
        }
        let start = text.as_ptr() as usize;
        let resources = wire
            .entry
            .iter()
            .map(|entry| {
                let raw = entry.resource.ok_or(BundleError::EmptyEntry)?.get();
                let offset = raw.as_ptr() as usize - start;
                Ok(offset..offset + raw.len())
            })
            .collect::<Result<_, _>>()?;
        let total = wire.total.and_then(|raw| raw.get().parse().ok());
        let next = wire.link.into_iter().find(|link| link.relation == "next").map(|link| link.url.into_owned());
        let last_updated = wire.meta.and_then(|meta| meta.last_updated).and_then(|text| text.parse().ok());
        Ok(Self { resources, total, next, last_updated, text })
    }

    /// The Bundle byte for byte as served.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The resources in the server's order, byte for byte as served.
    pub fn resources(&self) -> impl ExactSizeIterator<Item = &str> {
        self.resources.iter().map(|range| &self.text[range.clone()])
    }

    /// How many resources there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether the page has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_come_back_as_they_were_written() {
        let first = r#"{"resourceType":"X","n":123.40,"big":1E+2,"u":"\u00e9é"}"#;
        let text = format!(
            r#"{{"resourceType":"Bundle","meta":{{"lastUpdated":"2026-11-16T09:00:00.000+00:00"}},"total":2,
                "link":[{{"relation":"self","url":"a"}},{{"relation":"next","url":"b\u0026c"}}],
                "entry":[{{"resource":{first}}},{{"fullUrl":"urn:x","resource": {{ "a" : [] }} }}]}}"#
        );
        let bundle = Bundle::split(text).unwrap();
        assert_eq!(bundle.resources().collect::<Vec<_>>(), [first, r#"{ "a" : [] }"#]);
        assert_eq!(bundle.total, Some(2));
        assert_eq!(bundle.next.as_deref(), Some("b&c"));
        assert_eq!(bundle.last_updated, "2026-11-16T09:00:00Z".parse().ok());
    }

    #[test]
    fn a_page_may_lack_total_entries_and_links() {
        let bundle = Bundle::split(r#"{"resourceType":"Bundle","total":"many"}"#.into()).unwrap();
        assert!(bundle.is_empty() && bundle.total.is_none() && bundle.next.is_none());
    }

    #[test]
    fn what_is_no_bundle_is_refused_without_quoting_it() {
        assert!(matches!(
            Bundle::split(r#"{"resourceType":"Bundle","entry":[{"resour"#.into()),
            Err(BundleError::NotJson { .. })
        ));
        assert_eq!(
            Bundle::split(r#"{"resourceType":"OperationOutcome"}"#.into()).unwrap_err(),
            BundleError::NotABundle("OperationOutcome".into())
        );
        assert_eq!(
            Bundle::split(r#"{"resourceType":"Bundle","entry":[{}]}"#.into()).unwrap_err(),
            BundleError::EmptyEntry
        );
    }
}
