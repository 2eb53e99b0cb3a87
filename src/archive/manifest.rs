//! `manifest.json`: source, query, counts, checksums, and one row for each pull and resource.

use std::{collections::BTreeMap, io, path::Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    api_version::ApiVersion,
    error::{Error, ErrorKind, Result, wrong_json},
    files::private_file,
    origin::Origin,
};

/// The name of the file.
pub const FILE: &str = "manifest.json";

/// The file for pull rows that the manifest no longer holds.
pub const OLDER_PULLS: &str = "pulls.ndjson";

/// Whose data it is and where it came from. All data in an archive have the same source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Scheme, host and port.
    pub server: Origin,
    /// API version. v1 and v2 have the same ids of people and claims; v3 has others.
    pub api: ApiVersion,
    /// Patient id, if the server said it.
    pub patient: Option<String>,
}

/// What the server was asked for, except the page size: parameter names and values in order.
pub type Query = Vec<(String, String)>;

/// The current state of one resource type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The file's name.
    pub file: String,
    /// Resources in it.
    pub count: u64,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// The filters it was fetched with.
    pub query: Query,
    /// The archive has all that the server had loaded by this time. None if the server did not say.
    pub cursor: Option<Timestamp>,
    /// How many resources the server counted, if it sent fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_total: Option<u64>,
}

impl Entry {
    /// Whether the name is that of this resource's file, directly in the archive's own directory.
    #[must_use]
    pub fn is_of(&self, resource: &str) -> bool {
        ["ndjson", "json"].iter().any(|extension| self.file == format!("{resource}.{extension}"))
            && Path::new(&self.file).file_name().is_some_and(|last| last.to_str() == Some(self.file.as_str()))
    }
}

/// How a pull was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Everything.
    Full,
    /// What changed since the cursor.
    Incremental,
}

/// What one pull did to one resource type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRow {
    /// The id of the pull. All rows of one run share it.
    pub id: String,
    /// The resource type.
    pub resource: String,
    /// How it was pulled.
    pub mode: Mode,
    /// When it began, by this machine's clock.
    pub started: Timestamp,
    /// When it ended, by this machine's clock.
    pub finished: Timestamp,
    /// Ids that were not here before.
    pub added: u64,
    /// Ids with other content than before.
    pub updated: u64,
    /// Ids with the same content.
    pub unchanged: u64,
    /// Ids that the server no longer returned.
    pub removed: u64,
    /// Requests made.
    pub requests: u64,
    /// Bytes received, after decompression.
    pub bytes: u64,
    /// The file of added and changed resources, if there is one.
    pub changes: Option<String>,
}

impl PullRow {
    /// Whether the file that it names is in `changes/` and not elsewhere.
    pub(super) fn stays_inside(&self) -> bool {
        self.changes.as_ref().is_none_or(|path| is_in_changes(Path::new(path)))
    }
}

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `bbdl-archive`.
    pub format: String,
    /// Version of the format; 1.
    pub version: u32,
    /// Whose data it is and where it came from.
    pub source: Source,
    /// By resource type.
    pub resources: BTreeMap<String, Entry>,
    /// The newest ones, oldest first; older ones are in `pulls.ndjson`.
    pub pulls: Vec<PullRow>,
}

/// Whether a path is that of a file in `changes/`, and does not lead elsewhere.
fn is_in_changes(path: &Path) -> bool {
    use std::path::Component::Normal;
    matches!(path.components().collect::<Vec<_>>()[..], [Normal(dir), Normal(_)] if dir == "changes")
}

const FORMAT: &str = "bbdl-archive";
const VERSION: u32 = 1;

impl Manifest {
    /// The manifest of an empty archive.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, source, resources: BTreeMap::new(), pulls: Vec::new() }
    }

    /// Reads the manifest of the archive at `dir`; `None` when there is none.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] when it is not a manifest of this format and version.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let text = match private_file::read(&path) {
            Ok(text) => text,
            // If the path leads through a file, there is no manifest either.
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(cause) => return Err(Error::disk("read", &path, &cause)),
        };
        Self::parse(&text).map(Some).map_err(|why| {
            Error::new(ErrorKind::Manifest, format!("{}: {why}", path.display()))
                .hint("Nothing was changed. Fetch into a new directory, or restore this one from a backup.")
        })
    }

    /// Reads the text of a manifest. Others may be able to write to the disk, so no name in it may lead outside the
    /// archive.
    ///
    /// # Errors
    /// A text that says why it is not a manifest of this format and version.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(text).map_err(|cause| format!("not a bbdl manifest: {}", wrong_json(&cause)))?;
        if manifest.format != FORMAT || manifest.version != VERSION {
            return Err(format!(
                "format {} version {}; this bbdl knows only {FORMAT} version {VERSION}",
                crate::error::sanitized(&manifest.format),
                manifest.version
            ));
        }
        let files = manifest.resources.iter().filter(|(resource, entry)| !entry.is_of(resource));
        let changes = manifest.pulls.iter().filter(|row| !row.stays_inside()).filter_map(|row| row.changes.as_ref());
        match files.map(|(_, entry)| &entry.file).chain(changes).next() {
            Some(elsewhere) => Err(format!("\"{}\" is not a file of an archive", crate::error::sanitized(elsewhere))),
            None => Ok(manifest),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn to_text(&self) -> serde_json::Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// The id of the next pull: its number, so that ids sort in the order of the pulls even if the clock changes, and
    /// its time for people.
    #[must_use]
    pub fn next_pull_id(manifest: Option<&Self>, now: Timestamp) -> String {
        let newest = manifest.and_then(|manifest| manifest.pulls.last());
        let number = newest.and_then(|row| row.id.split('-').next()?.parse::<u64>().ok()).unwrap_or(0) + 1;
        format!("{number:06}-{}", now.strftime("%Y%m%dT%H%M%SZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulls_are_numbered() {
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        assert_eq!(Manifest::next_pull_id(None, now), "000001-20261123T100000Z");
    }
}
