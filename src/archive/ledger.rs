//! What each resource of a pull is: new, changed or known, by id and content; and whose.

use std::collections::HashMap;

use jiff::Timestamp;

use super::index::{Before, Fingerprint, IdKey, key};
use crate::{
    error::{Error, Exit, Result},
    fhir::resource::Header,
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

/// A resource that this pull has brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) place: Place,
    pub(super) verdict: Verdict,
    pub(super) fingerprint: Fingerprint,
    pub(super) last_updated: Option<Timestamp>,
}

/// Decides what each resource of a pull is, by id and content.
pub(super) struct Ledger {
    pub(super) expected: Expected,
    pub(super) before: Before,
    pub(super) written: HashMap<IdKey, Known>,
    pub(super) lines: u64,
    pub(super) changes: u64,
    pub(super) tally: Tally,
    /// Resources that came although their id had come before.
    pub(super) repeated: u64,
}

impl Ledger {
    pub(super) fn new(mut expected: Expected, before: Before) -> Self {
        // A server that does not say whose token it is: what is kept, and then what comes, says it.
        expected.patient = expected.patient.or_else(|| before.patient().map(str::to_owned));
        Self { expected, before, written: HashMap::new(), lines: 0, changes: 0, tally: Tally::default(), repeated: 0 }
    }

    /// Enters a resource; `None` for one that came already and is no newer.
    pub(super) fn enter(&mut self, text: &str) -> Result<Option<Entered>> {
        let header = Header::read(text).map_err(|cause| self.wrong(&cause.to_string()))?;
        if header.kind != self.expected.kind {
            return Err(self.wrong(&format!("a {}", crate::error::shown(&header.kind))));
        }
        self.belongs(header.patient.as_deref())?;
        let key = key(&header.id);
        let earlier = self.written.get(&key).map(|known| (known.place, known.verdict, known.last_updated));
        self.repeated += u64::from(earlier.is_some());
        if earlier.is_some_and(|(_, _, last_updated)| last_updated >= header.last_updated) {
            return Ok(None);
        }
        if let Some((_, verdict, _)) = earlier {
            // The version of before counts for nothing any more.
            *self.tally.of(verdict) -= 1;
        } else {
            self.tally.count += 1;
        }
        let fingerprint = header.fingerprint(text);
        let verdict = match self.before.get(&key) {
            None => Verdict::Added,
            Some(kept) if *kept == fingerprint => Verdict::Unchanged,
            Some(_) => Verdict::Updated,
        };
        *self.tally.of(verdict) += 1;
        self.tally.newest = self.tally.newest.max(header.last_updated);
        let change = (verdict != Verdict::Unchanged).then_some(self.changes);
        let place = Place { line: self.lines, change };
        self.lines += 1;
        self.changes += u64::from(change.is_some());
        self.written.insert(key, Known { place, verdict, fingerprint, last_updated: header.last_updated });
        Ok(Some(Entered { key, fingerprint, verdict, replaces: earlier.map(|(place, _, _)| place) }))
    }

    /// Whether a resource is written already, in this version or a newer one.
    pub(super) fn has(&self, text: &str) -> bool {
        Header::read(text).is_ok_and(|header| {
            self.written.get(&key(&header.id)).is_some_and(|known| known.last_updated >= header.last_updated)
        })
    }

    /// Every resource of a pull is of one person; the first that says of whom settles it.
    fn belongs(&mut self, patient: Option<&str>) -> Result<()> {
        match (&self.expected.patient, patient) {
            (Some(wanted), Some(found)) if wanted != found => Err(Error::new(
                Exit::Data,
                "other_patient",
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
        Error::new(Exit::Data, "answer", format!("the server sent {what} among the {} resources", self.expected.kind))
            .hint("Nothing was replaced. Run the same command again; if it stays, report it.")
    }
}
