//! How far a search was read. A pull notes it in its journal (`archive/journal.rs`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a search was read, as the journal of a pull stores it. The field names in the file are those of version
/// 0.1.0, so that its interrupted pulls can continue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Pages read.
    pub pages: usize,
    /// Path and query of the next link on the newest page; none at the end.
    pub next: Option<String>,
    /// How many resources the server counted (API v1 and v2).
    pub total: Option<u64>,
    /// The transaction time of the data when the first page was read (API v1 and v2).
    #[serde(rename = "cursor")]
    pub data_time: Option<Timestamp>,
    /// The server's clock when it answered with the first page.
    #[serde(default)]
    pub first_answer: Option<Timestamp>,
    /// The id of the last resource that came.
    #[serde(default)]
    pub last: Option<String>,
    /// Whether a page had another date than the first one: new data may have been loaded in between.
    #[serde(default)]
    pub moved: bool,
    /// Number of pages on which the last resource of the page before was not in its expected place.
    #[serde(default)]
    pub displaced: u32,
    /// Whether a page was reached by a link without a place, although pages had to overlap.
    #[serde(default)]
    pub unjoined: bool,
    /// Pages without entries that still named a next page.
    #[serde(default)]
    pub empty_pages: u32,
}
