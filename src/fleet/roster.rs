//! Where enrollees who are due come from, and where the outcomes of their pulls go.
//!
//! The loop over all enrollees ([`super::Run`]) asks a roster for the next one and tells it how that one ended. It knows
//! nothing else of where enrollees are kept.
//!
//! # A second kind
//!
//! [`Roster`] is an enum. Its first kind is the home directory of this machine, which one process works through. A kind
//! that several machines share fits in like this:
//!
//! - Add a variant, and a constructor beside [`Roster::local`] that takes the same [`Selection`].
//! - [`Roster::next`] leases an enrollee and returns the profile as the shared state has it. It may wait, and answers
//!   `None` when nobody is due any more.
//! - [`Roster::ended`] writes the outcome and gives the lease back. It is called once for each enrollee that `next`
//!   returned, also after an interrupt. It says whether the outcome counts: an enrollee who was removed meanwhile, or
//!   whose lease went to somebody else, counts for nobody here.
//! - [`Due`] may carry what the kind needs to know its lease again.
//! - The tokens come from the token store of the profile's session (`commands::Context::session`), not from here.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{Outcome, shard::Shard};
use crate::{
    error::{Exit, Result},
    profile::{
        Paths, Profile, ProfileName,
        last_pull::{Asked, LastPulls},
    },
    resource::Resource,
};

/// Who is wanted.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The directory that has an archive for each enrollee.
    pub out: PathBuf,
    /// What is pulled.
    pub resources: Vec<Resource>,
    /// Whether everything is pulled again.
    pub full: bool,
    /// Leave out who was pulled more recently than this.
    pub stale_after: Option<Duration>,
    /// Leave out who belongs to another worker.
    pub shard: Option<Shard>,
}

/// An enrollee who is due.
#[derive(Debug)]
pub struct Due {
    /// The profile's name.
    pub name: ProfileName,
    /// The profile, or why it cannot be read.
    pub profile: Result<Profile>,
}

/// Whether an outcome counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// It does.
    Yes,
    /// The enrollee was removed in the meantime.
    Removed,
}

/// Where enrollees who are due come from, and where outcomes go.
#[derive(Debug)]
pub enum Roster {
    /// The profiles of this machine.
    Local(Local),
}

/// The profiles of this machine that are due, in the order in which they are pulled.
#[derive(Debug)]
pub struct Local {
    paths: Paths,
    waiting: std::vec::IntoIter<ProfileName>,
    due: u64,
    fresh: u64,
    removed: u64,
}

impl Roster {
    /// The profiles of this machine that are due now: who was never pulled first, then the oldest pull.
    ///
    /// # Errors
    /// [`Exit::Disk`] when the profiles cannot be listed.
    pub fn local(paths: &Paths, selection: &Selection) -> Result<Self> {
        Ok(Self::Local(Local::find(paths, selection, Timestamp::now())?))
    }

    /// How many enrollees were due when the run began.
    #[must_use]
    pub fn due(&self) -> u64 {
        match self {
            Self::Local(local) => local.due,
        }
    }

    /// How many enrollees were left out because they were pulled a short time ago.
    #[must_use]
    pub fn fresh(&self) -> u64 {
        match self {
            Self::Local(local) => local.fresh,
        }
    }

    /// How many enrollees were removed before it was their turn.
    #[must_use]
    pub fn removed(&self) -> u64 {
        match self {
            Self::Local(local) => local.removed,
        }
    }

    /// The next enrollee who is due; `None` when there is none left.
    ///
    /// # Errors
    /// When the roster itself cannot be asked. What is wrong with one profile is in its [`Due`].
    #[expect(clippy::unused_async, reason = "a roster that machines share waits for its answer")]
    pub async fn next(&mut self) -> Result<Option<Due>> {
        match self {
            Self::Local(local) => Ok(local.next()),
        }
    }

    /// Takes the outcome of an enrollee whom [`Roster::next`] returned.
    ///
    /// # Errors
    /// When the outcome cannot be kept.
    #[expect(clippy::unused_async, reason = "a roster that machines share waits for its answer")]
    pub async fn ended(&mut self, outcome: &Outcome) -> Result<Counts> {
        match self {
            Self::Local(local) => Ok(local.ended(outcome)),
        }
    }
}

impl Local {
    fn find(paths: &Paths, selection: &Selection, now: Timestamp) -> Result<Self> {
        let names = paths.profiles()?;
        let mine = names.into_iter().filter(|name| selection.shard.is_none_or(|shard| shard.holds(name.as_str())));
        let mut fresh = 0;
        let mut due: Vec<(Option<Timestamp>, ProfileName)> = Vec::new();
        for name in mine {
            let out = selection.out.join(name.as_str());
            let last = last_pull(paths, &name, &out, selection);
            if selection.stale_after.is_some_and(|limit| is_fresh(last, now, limit)) {
                fresh += 1;
            } else {
                due.push((last, name));
            }
        }
        // `None` comes before any instant.
        due.sort();
        let names: Vec<ProfileName> = due.into_iter().map(|(_, name)| name).collect();
        let due = names.len() as u64;
        Ok(Self { paths: paths.clone(), waiting: names.into_iter(), due, fresh, removed: 0 })
    }

    fn next(&mut self) -> Option<Due> {
        for name in self.waiting.by_ref() {
            match Profile::load(&self.paths, &name).transpose() {
                Some(profile) => return Some(Due { name, profile }),
                None => self.removed += 1,
            }
        }
        None
    }

    /// The profile's record and the note of its last pull have the outcome already.
    fn ended(&mut self, outcome: &Outcome) -> Counts {
        let may_be_gone = outcome.failure.as_ref().is_some_and(|error| error.exit() == Exit::NotSetUp);
        if may_be_gone && matches!(Profile::load(&self.paths, &outcome.name), Ok(None)) {
            self.removed += 1;
            return Counts::Removed;
        }
        Counts::Yes
    }
}

/// When the profile's archive at `out` was last pulled. Where there is no note of that (a home of 0.1.0, a power cut), the
/// profile's record says it, but not what was asked for.
fn last_pull(paths: &Paths, name: &ProfileName, out: &Path, selection: &Selection) -> Option<Timestamp> {
    let last = LastPulls::load(paths, name);
    if last.knows(out) || selection.full {
        return last.when(out, Asked { resources: &selection.resources, full: selection.full });
    }
    let profile = Profile::load(paths, name).ok().flatten()?;
    profile.archives.iter().find(|note| note.out == out).map(|note| note.last_pull)
}

/// A pull that this machine's clock has in the future proves nothing.
fn is_fresh(last: Option<Timestamp>, now: Timestamp, limit: Duration) -> bool {
    last.is_some_and(|last| Duration::try_from(now.duration_since(last)).is_ok_and(|age| age < limit))
}
