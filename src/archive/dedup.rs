//! Decides whether each resource of a pull is new, changed or known, by id and content, and checks whose it is.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    id_hash::{Fingerprint, IdHash, id_hash},
    previous_ids::PreviousIds,
};
use crate::{
    error::{Error, ErrorKind, ISSUES, Result},
    fhir::resource::{Header, ResourceError},
};

/// What every resource of a pull must be.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its `resourceType`.
    pub kind: &'static str,
    /// The id of the Patient that the resources belong to, if known.
    pub patient: Option<String>,
}

/// What was done with the resources of a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Distinct ids.
    pub count: u64,
    /// Ids that were not there before.
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

/// The resources that came more than once in a pull.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// How many times a resource came again.
    pub number: u64,
    /// Sum of the hashes of their ids. Equal sums mean the same resources.
    pub which: u64,
}

impl Repeats {
    /// Counts one repeat.
    pub fn count(&mut self, id: &IdHash) {
        self.number += 1;
        self.which = self.which.wrapping_add(part(id));
    }
}

/// Sum of id hashes, the same for any order. Equal sums mean the same set of ids.
pub fn sum_of_ids<'i>(ids: impl IntoIterator<Item = &'i IdHash>) -> u64 {
    ids.into_iter().fold(0, |sum, id| sum.wrapping_add(part(id)))
}

fn part(id: &IdHash) -> u64 {
    id.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// What a page brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Resources that had not come before in this pull.
    pub new: u64,
    /// Resources that had come before, in an older version.
    pub newer: u64,
}

impl News {
    /// Counts a resource that is to be written.
    pub(super) fn count(&mut self, replaces: bool) {
        *if replaces { &mut self.newer } else { &mut self.new } += 1;
    }
}

/// The result for one resource.
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
    pub(super) verdict: Verdict,
    /// Where its older version is, if one came earlier in this pull.
    pub(super) replaces: Option<Place>,
}

/// Where a resource is: its line in the file, and its line in the file of changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) change: Option<u64>,
}

/// A resource that this pull has brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenResource {
    pub(super) fingerprint: Fingerprint,
    pub(super) last_updated: Option<Timestamp>,
    verdict: Verdict,
    /// Its line in the file.
    pub(super) line: u64,
    /// Its line in the file of changes.
    change: Option<u64>,
}

/// The resources that a pull has brought, by id.
pub(super) type Seen = IndexMap<IdHash, SeenResource>;

/// Decides what each resource of a pull is, by id and content.
pub struct Dedup {
    pub(super) expected: Expected,
    pub(super) before: PreviousIds,
    pub(super) seen: Seen,
    lines: u64,
    changes: u64,
    pub(super) tally: Tally,
    /// Resources in this reading whose id had come before.
    pub(super) repeats: Repeats,
}

impl Dedup {
    /// Starts with no resources.
    #[must_use]
    pub fn new(mut expected: Expected, before: PreviousIds) -> Self {
        // If the server does not say whose token it is, the archive says it, or else the first resource with a
        // Patient id.
        expected.patient = expected.patient.or_else(|| before.patient().map(str::to_owned));
        Self {
            expected,
            before,
            seen: Seen::new(),
            lines: 0,
            changes: 0,
            tally: Tally::default(),
            repeats: Repeats::default(),
        }
    }

    /// What has come so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The sum of the ids that came, as in [`sum_of_ids`].
    #[must_use]
    pub fn which(&self) -> u64 {
        sum_of_ids(self.seen.keys())
    }

    /// The resources that came more than once in this reading.
    #[must_use]
    pub fn repeats(&self) -> Repeats {
        self.repeats
    }

    /// Enters a resource whose header is known, and counts it as news. Returns whether to write it: no if this
    /// version or a newer one came already. `may_repeat`: a repeat of this resource is normal and is not counted.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] for what does not belong among these resources.
    pub fn enter_news(
        &mut self,
        (header, text): (&std::result::Result<Header, ResourceError>, &str),
        may_repeat: bool,
        news: &mut News,
    ) -> Result<bool> {
        let Some(entered) = self.enter(header, text, may_repeat)? else { return Ok(false) };
        news.count(entered.replaces.is_some());
        Ok(true)
    }

    /// Enters a resource. Returns `None` if it came already and this version is not newer.
    pub(super) fn enter(
        &mut self,
        header: &std::result::Result<Header, ResourceError>,
        text: &str,
        may_repeat: bool,
    ) -> Result<Option<Entered>> {
        let header = header.as_ref().map_err(|cause| self.wrong(&cause.to_string()))?;
        if header.kind != self.expected.kind {
            return Err(self.wrong(&format!("a {}", crate::error::sanitized(&header.kind))));
        }
        self.belongs(header.patient.as_deref())?;
        let id = id_hash(&header.id);
        let earlier = self.seen.get(&id).copied();
        if earlier.is_some() && !may_repeat {
            self.repeats.count(&id);
        }
        if earlier.is_some_and(|earlier| earlier.last_updated >= header.last_updated) {
            return Ok(None);
        }
        match earlier {
            // The earlier version in this pull no longer counts.
            Some(earlier) => *self.tally.of(earlier.verdict) -= 1,
            None => self.tally.count += 1,
        }
        let fingerprint = header.fingerprint(text);
        let verdict = match self.before.get(&id) {
            None => Verdict::Added,
            Some(kept) if *kept == fingerprint => Verdict::Unchanged,
            Some(_) => Verdict::Updated,
        };
        *self.tally.of(verdict) += 1;
        self.tally.newest = self.tally.newest.max(header.last_updated);
        let change = (verdict != Verdict::Unchanged).then_some(self.changes);
        self.changes += u64::from(change.is_some());
        let line = self.lines;
        self.lines += 1;
        self.seen.insert(id, SeenResource { fingerprint, last_updated: header.last_updated, verdict, line, change });
        let replaces = earlier.map(|earlier| Place { line: earlier.line, change: earlier.change });
        Ok(Some(Entered { verdict, replaces }))
    }

    /// How many prior authorizations were kept before (API v3: ids that are not numbers).
    #[must_use]
    pub fn prior_authorizations_before(&self) -> u64 {
        self.before.unordered()
    }

    /// Whether everything that was kept before has come again.
    pub(super) fn has_all_of_before(&self) -> bool {
        self.before.number() == Some(self.tally.updated + self.tally.unchanged)
    }

    /// All resources of a pull belong to one person. The first one with a patient id decides who.
    fn belongs(&mut self, patient: Option<&str>) -> Result<()> {
        match (&self.expected.patient, patient) {
            (Some(wanted), Some(found)) if wanted != found => Err(Error::new(
                ErrorKind::OtherEnrollee,
                format!("{}: the server sent another enrollee's data", self.expected.kind),
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
            .hint(format!("Nothing was replaced. Run the same command again. If it happens again, report it: {ISSUES}"))
    }
}
