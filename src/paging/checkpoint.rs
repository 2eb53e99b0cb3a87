//! How far a search was read. A pull notes it in its journal (`archive/journal.rs`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a search was read, as it stands in the journal of a pull. The names in the file are those of
/// version 0.1.0, whose interrupted pulls go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Pages read.
    pub pages: usize,
    /// Path and query of the link that the newest page named as the next; none at the end.
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
    /// Whether a page bore another date than the first one: the data may have been loaded meanwhile.
    #[serde(default)]
    pub moved: bool,
    /// Pages on which the last resource of the page before stood in another place than it had to.
    #[serde(default)]
    pub displaced: u32,
    /// Whether a page was reached by a link that names no place, where pages had to overlap.
    #[serde(default)]
    pub unjoined: bool,
    /// Pages without entries that named a next one.
    #[serde(default)]
    pub empty_pages: u32,
}
