//! What each resource of a pull is: new, changed or known, by id and content; and whose.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    index::Before,
    key::{Fingerprint, IdKey, key},
    table::Table,
};
use crate::{
    error::{Error, ErrorKind, Result},
    fhir::{
        resource::{Header, ResourceError},
        seam::is_number,
    },
};

/// What a writer expects of every resource.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its `resourceType`.
    pub kind: &'static str,
    /// The Patient id it speaks of, where known.
    pub patient: Option<String>,
}

/// What was done with the resources of a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Distinct ids.
    pub count: u64,
    /// Ids not there before.
    pub added: u64,
    /// Ids with other content than before.
    pub updated: u64,
    /// Ids with the same content as before.
    pub unchanged: u64,
    /// Newest `meta.lastUpdated`.
    pub newest: Option<Timestamp>,
}

impl Tally {
    fn of(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Added => &mut self.added,
            Verdict::Updated => &mut self.updated,
            Verdict::Unchanged => &mut self.unchanged,
        }
    }
}

/// The resources that came more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    /// How often one came again.
    pub number: u64,
    /// Which they were, as a sum: the same ones have the same.
    pub which: u64,
    /// Whether one of them is no claim of API v3 (a prior authorisation), whose place nothing fixes.
    pub is_unordered: bool,
}

impl Repeated {
    pub(super) fn count(&mut self, id: &str, key: &IdKey) {
        let part = key.first_chunk().copied().map_or(0, u64::from_le_bytes);
        self.number += 1;
        self.which = self.which.wrapping_add(part);
        self.is_unordered |= !is_number(id);
    }
}

/// What became of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not here before this pull.
    Added,
    /// Here before with other content.
    Updated,
    /// Here before with the same content.
    Unchanged,
}

/// A resource that is to be written.
pub(super) struct Entered {
    pub(super) key: IdKey,
    pub(super) fingerprint: Fingerprint,
    pub(super) verdict: Verdict,
    /// Where its older version stands that came earlier in this pull.
    pub(super) replaces: Option<Place>,
}

/// Where a resource stands: its line in the file, and in the file of changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) change: Option<u64>,
}

/// A resource that this pull has brought. Its number in the table is that of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) key: IdKey,
    pub(super) fingerprint: Fingerprint,
    pub(super) last_updated: Option<Timestamp>,
    verdict: Verdict,
    /// Its line in the file of changes.
    change: Option<u64>,
}

/// What of a resource is kept while a pull lasts: key, content, date in nanoseconds, verdict and line of changes.
const ROW: usize = 16 + 16 + 16 + 1 + 8;

impl Known {
    fn to_row(self) -> [u8; ROW] {
        let mut row = [0; ROW];
        row[..16].copy_from_slice(&self.key);
        row[16..32].copy_from_slice(&self.fingerprint);
        let at = self.last_updated.map_or(i128::MIN, Timestamp::as_nanosecond);
        row[32..48].copy_from_slice(&at.to_le_bytes());
        row[48] = self.verdict as u8;
        row[49..].copy_from_slice(&self.change.unwrap_or(u64::MAX).to_le_bytes());
        row
    }

    pub(super) fn from_row(row: &[u8; ROW]) -> Self {
        let (mut key, mut fingerprint, mut at, mut change) = ([0; 16], [0; 16], [0; 16], [0; 8]);
        key.copy_from_slice(&row[..16]);
        fingerprint.copy_from_slice(&row[16..32]);
        at.copy_from_slice(&row[32..48]);
        change.copy_from_slice(&row[49..]);
        Self {
            key,
            fingerprint,
            last_updated: Timestamp::from_nanosecond(i128::from_le_bytes(at)).ok(),
            verdict: match row[48] {
                0 => Verdict::Added,
                1 => Verdict::Updated,
                _ => Verdict::Unchanged,
            },
            change: Some(u64::from_le_bytes(change)).filter(|change| *change != u64::MAX),
        }
    }
}

/// The resources that a pull has brought, by id.
pub(super) type Written = Table<ROW>;

/// Decides what each resource of a pull is, by id and content.
pub(super) struct Ledger {
    pub(super) expected: Expected,
    pub(super) before: Before,
    pub(super) written: Written,
    pub(super) changes: u64,
    pub(super) tally: Tally,
    /// Resources that came although their id had come before.
    pub(super) repeated: Repeated,
}

impl Ledger {
    /// One that needs no disk.
    pub(super) fn new(expected: Expected, before: Before) -> Self {
        Self::begin(expected, before, Table::in_memory())
    }

    /// One that keeps what it has to remember on the disk that `scratch` is on.
    pub(super) fn on_disk(expected: Expected, before: Before, scratch: &Path) -> Self {
        Self::begin(expected, before, Table::on_disk(scratch))
    }

    fn begin(mut expected: Expected, before: Before, written: Written) -> Self {
        // A server that does not say whose token it is: what is kept, and then what comes, says it.
        expected.patient = expected.patient.or_else(|| before.patient().map(str::to_owned));
        Self { expected, before, written, changes: 0, tally: Tally::default(), repeated: Repeated::default() }
    }

    /// Enters a resource; `None` for one that came already and is no newer.
    pub(super) fn enter(&mut self, text: &str) -> Result<Option<Entered>> {
        self.enter_with(&Header::read(text), text)
    }

    /// Enters a resource whose header is known.
    pub(super) fn enter_with(
        &mut self,
        header: &std::result::Result<Header, ResourceError>,
        text: &str,
    ) -> Result<Option<Entered>> {
        let header = header.as_ref().map_err(|cause| self.wrong(&cause.to_string()))?;
        if header.kind != self.expected.kind {
            return Err(self.wrong(&format!("a {}", crate::error::shown(&header.kind))));
        }
        self.belongs(header.patient.as_deref())?;
        let key = key(&header.id);
        let earlier = self.written.find(&key)?.map(|(number, row)| (number, Known::from_row(&row)));
        if earlier.is_some() {
            self.repeated.count(&header.id, &key);
        }
        if earlier.is_some_and(|(_, known)| known.last_updated >= header.last_updated) {
            return Ok(None);
        }
        if let Some((_, known)) = earlier {
            // The version of before counts for nothing any more.
            *self.tally.of(known.verdict) -= 1;
        } else {
            self.tally.count += 1;
        }
        let fingerprint = header.fingerprint(text);
        let verdict = match self.before.get(&key)? {
            None => Verdict::Added,
            Some(kept) if kept == fingerprint => Verdict::Unchanged,
            Some(_) => Verdict::Updated,
        };
        *self.tally.of(verdict) += 1;
        self.tally.newest = self.tally.newest.max(header.last_updated);
        let change = (verdict != Verdict::Unchanged).then_some(self.changes);
        self.changes += u64::from(change.is_some());
        let known = Known { key, fingerprint, last_updated: header.last_updated, verdict, change };
        self.written.put(&key, &known.to_row(), earlier.map(|(number, _)| number))?;
        let replaces = earlier.map(|(number, known)| Place { line: number as u64, change: known.change });
        Ok(Some(Entered { key, fingerprint, verdict, replaces }))
    }

    /// Whether a resource is written already, in this version or a newer one.
    pub(super) fn has(&self, text: &str) -> bool {
        Header::read(text).is_ok_and(|header| {
            let found = self.written.find(&key(&header.id)).ok().flatten();
            found.is_some_and(|(_, row)| Known::from_row(&row).last_updated >= header.last_updated)
        })
    }

    /// Whether all that was kept before has come again.
    pub(super) fn has_all_of_before(&self) -> bool {
        self.before.number() == Some(self.tally.updated + self.tally.unchanged)
    }

    /// Every resource of a pull is of one person; the first that says of whom settles it.
    fn belongs(&mut self, patient: Option<&str>) -> Result<()> {
        match (&self.expected.patient, patient) {
            (Some(wanted), Some(found)) if wanted != found => Err(Error::new(
                ErrorKind::OtherEnrollee,
                format!(
                    "{}: what the server sent is of another enrollee than what is kept or was asked for",
                    self.expected.kind
                ),
            )
            .hint("Nothing was replaced. Give each enrollee an --out directory and a --profile of their own.")),
            (None, Some(found)) => {
                self.expected.patient = Some(found.to_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn wrong(&self, what: &str) -> Error {
        Error::new(ErrorKind::Answer, format!("the server sent {what} among the {} resources", self.expected.kind))
            .hint("Nothing was replaced. Run the same command again; if it stays, report it.")
    }
}
