//! The lower time limit of an incremental pull.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api_version::ApiVersion,
    archive::manifest::{Entry, Query},
};

/// How far before the cursor a pull starts. API v1 and v2: replicas of the data back end lag, and the transaction
/// time can go backwards between two calls. API v3: a batch becomes visible later than the date in its resources.
/// Resources that come again are merged by id and cost at most a page.
fn overlap(api: ApiVersion) -> SignedDuration {
    match api {
        ApiVersion::V1 | ApiVersion::V2 => SignedDuration::from_hours(3 * 24),
        ApiVersion::V3 => SignedDuration::from_hours(14 * 24),
    }
}

/// The server has no load dates before 2020-02-12, and asks clients not to search for them.
const EARLIEST: Timestamp = Timestamp::constant(1_581_465_600, 0);

/// The lower time limit of the next pull, by the server's own clock. `None` if only a full pull will do: nothing is
/// kept, or it is not known when it was loaded, or the query has a lower limit already (the server refuses two).
#[must_use]
pub(crate) fn since(kept: &Entry, api: ApiVersion) -> Option<Timestamp> {
    if kept.count == 0 || kept.query.iter().any(is_lower_bound) {
        return None;
    }
    Some(before(kept.cursor?, api)).filter(|since| *since >= EARLIEST)
}

/// The start of the time in which something may have been loaded that an answer of this time did not have.
fn before(answered: Timestamp, api: ApiVersion) -> Timestamp {
    answered.checked_sub(overlap(api)).unwrap_or(EARLIEST)
}

/// The same search, for what may have been loaded after an answer of this time. A later limit in the query stays.
pub(super) fn loaded_after(query: &Query, answered: Timestamp, api: ApiVersion) -> Query {
    let since = before(answered, api).max(EARLIEST);
    // A limit that is not a time but a day or a month is kept. Then more resources come again.
    let bound = |(_, value): &(String, String)| value.get(2..).and_then(|text| text.parse::<Timestamp>().ok());
    let own = query.iter().find(|parameter| is_lower_bound(parameter));
    if own.is_some_and(|own| bound(own).is_none_or(|own| own > since)) {
        return query.clone();
    }
    let mut query: Query = query.iter().filter(|parameter| !is_lower_bound(parameter)).cloned().collect();
    query.push(parameter(since));
    query
}

fn is_lower_bound((name, value): &(String, String)) -> bool {
    name == "_lastUpdated" && value.starts_with('g')
}

/// The search parameter for this limit. It is in UTC, because `Z` needs no escaping: the server reads an unescaped
/// `+` as a blank and refuses the request.
pub(super) fn parameter(since: Timestamp) -> (String, String) {
    ("_lastUpdated".to_owned(), format!("ge{}", since.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(cursor: Option<&str>, query: &[(&str, &str)]) -> Entry {
        Entry {
            file: "ExplanationOfBenefit.ndjson".into(),
            count: 3,
            bytes: 9,
            sha256: String::new(),
            query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            cursor: cursor.and_then(|text| text.parse().ok()),
            server_total: None,
        }
    }

    fn asked(entry: &Entry, api: ApiVersion) -> Option<String> {
        since(entry, api).map(|since| parameter(since).1)
    }

    #[test]
    fn the_increment_overlaps_as_far_as_the_version_needs() {
        let kept = entry(Some("2026-11-16T09:00:00.25Z"), &[("type", "pde")]);
        assert_eq!(asked(&kept, ApiVersion::V2).as_deref(), Some("ge2026-11-13T09:00:00.250Z"));
        assert_eq!(asked(&kept, ApiVersion::V3).as_deref(), Some("ge2026-11-02T09:00:00.250Z"));
        let upper = entry(Some("2026-11-16T09:00:00Z"), &[("_lastUpdated", "lt2027-01-01")]);
        assert!(since(&upper, ApiVersion::V2).is_some());
    }

    #[test]
    fn claims_loaded_meanwhile_are_requested_with_one_lower_bound() {
        let answered = "2026-11-20T09:00:00Z".parse().unwrap();
        let bounds = |own: Option<&str>| {
            let query: Query = own.map(|own| ("_lastUpdated".to_owned(), own.to_owned())).into_iter().collect();
            loaded_after(&query, answered, ApiVersion::V3).into_iter().map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(bounds(None), ["ge2026-11-06T09:00:00.000Z"]);
        assert_eq!(bounds(Some("gt2026-01-01T00:00:00Z")), ["ge2026-11-06T09:00:00.000Z"]);
        assert_eq!(bounds(Some("ge2026-11-19T00:00:00Z")), ["ge2026-11-19T00:00:00Z"]);
        assert_eq!(bounds(Some("ge2026-01-01")), ["ge2026-01-01"]);
        assert_eq!(bounds(Some("lt2027-01-01")), ["lt2027-01-01", "ge2026-11-06T09:00:00.000Z"]);
    }

    #[test]
    fn an_increment_that_would_be_incomplete_becomes_a_full_pull() {
        for kept in [
            entry(None, &[]),
            entry(Some("2020-02-13T00:00:00Z"), &[]),
            entry(Some("2026-11-16T09:00:00Z"), &[("_lastUpdated", "ge2024-01-01")]),
            Entry { count: 0, ..entry(Some("2026-11-16T09:00:00Z"), &[]) },
        ] {
            assert_eq!(since(&kept, ApiVersion::V2), None, "{kept:?}");
        }
    }
}
