//! Where due enrollees come from, and where the outcomes of their pulls go.
//!
//! The loop over all enrollees ([`super::Run`]) asks a roster for the next enrollee and tells it how the pull ended.
//! It does not know where enrollees are kept.
//!
//! There are two kinds: the home directory of this machine, which one process works through, and a database that
//! machines share ([`super::shared_roster`]), where each enrollee is leased and the tokens come with the lease.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{Outcome, shard::Shard};
#[cfg(feature = "postgres")]
use crate::error::ErrorKind;
use crate::{
    error::{Exit, Result},
    profile::{
        Paths, Profile, ProfileName, hold,
        last_pull::{LastPulls, RequestedResources},
    },
    resource::Resource,
};

/// Longer than a removal takes.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(10);

/// Which enrollees to pull.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The directory that contains an archive for each enrollee.
    pub out: PathBuf,
    /// What is pulled.
    pub resources: Vec<Resource>,
    /// Whether everything is pulled again.
    pub full: bool,
    /// Leave out enrollees who were pulled more recently than this.
    pub stale_after: Option<Duration>,
    /// Leave out enrollees who belong to another worker.
    pub shard: Option<Shard>,
}

/// An enrollee who is due.
#[derive(Debug)]
pub(crate) struct Due {
    /// The profile's name.
    pub name: ProfileName,
    /// The profile, or the reason why it cannot be read.
    pub profile: Result<Profile>,
    /// The shared part of the pull, if the profile comes from a database that machines share.
    #[cfg(feature = "postgres")]
    pub shared: Option<crate::shared_state::shared_pull::SharedPull>,
}

impl Due {
    fn local(name: ProfileName, profile: Result<Profile>) -> Self {
        Self {
            name,
            profile,
            #[cfg(feature = "postgres")]
            shared: None,
        }
    }
}

/// What a roster has next.
#[derive(Debug)]
pub(crate) enum Next {
    /// An enrollee who is due.
    Due(Box<Due>),
    /// Other workers hold all due enrollees. One may become free: ask again after this time.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "only a shared state says so"))]
    Later(Duration),
    /// No more enrollees are due.
    Nobody,
}

/// Whether an outcome counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// It counts.
    Yes,
    /// The enrollee was removed in the meantime.
    Removed,
    /// Another worker has the enrollee now, and its outcome counts.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "only a shared state says so"))]
    TakenOver,
}

/// Where enrollees who are due come from, and where outcomes go.
#[derive(Debug)]
pub(crate) enum Roster {
    /// The profiles of this machine.
    Local(Local),
    /// The enrollees in a database that machines share.
    #[cfg(feature = "postgres")]
    Shared(super::shared_roster::SharedRoster),
}

/// The profiles of this machine that are due, in the order in which they are pulled.
#[derive(Debug)]
pub(crate) struct Local {
    paths: Paths,
    waiting: std::vec::IntoIter<ProfileName>,
    due: u64,
    fresh: u64,
    removed: u64,
}

impl Roster {
    /// The profiles of this machine that are due now. Those that were never pulled come first, then the oldest pulls.
    ///
    /// # Errors
    /// [`Exit::Disk`] if the profiles cannot be listed.
    pub(crate) fn local(paths: &Paths, selection: &Selection) -> Result<Self> {
        Ok(Self::Local(Local::find(paths, selection, Timestamp::now())?))
    }

    /// How many enrollees were due when the run began. With other workers, those that this worker took and those that
    /// none has taken yet.
    #[must_use]
    pub(crate) fn due(&self) -> u64 {
        match self {
            Self::Local(local) => local.due,
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.due(),
        }
    }

    /// How many enrollees were left out because they were pulled a short time ago.
    #[must_use]
    pub(crate) fn fresh(&self) -> u64 {
        match self {
            Self::Local(local) => local.fresh,
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.fresh(),
        }
    }

    /// How many enrollees were removed before it was their turn.
    #[must_use]
    pub(crate) fn removed(&self) -> u64 {
        match self {
            Self::Local(local) => local.removed,
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.removed(),
        }
    }

    /// The next enrollee who is due.
    ///
    /// # Errors
    /// If the roster itself cannot be read. A problem with one profile is in its [`Due`].
    pub(crate) async fn next(&mut self) -> Result<Next> {
        match self {
            Self::Local(local) => Ok(local.next().map_or(Next::Nobody, |due| Next::Due(Box::new(due)))),
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.next().await,
        }
    }

    /// Whether an enrollee's pull failed because the enrollee was removed in the meantime.
    #[must_use]
    pub(crate) fn was_removed(&self, outcome: &Outcome) -> bool {
        match self {
            Self::Local(local) => local.was_removed(outcome),
            #[cfg(feature = "postgres")]
            Self::Shared(_) => outcome.failure.as_ref().is_some_and(|error| error.kind == ErrorKind::NoProfile),
        }
    }

    /// Takes the outcome of an enrollee whom [`Roster::next`] returned.
    ///
    /// # Errors
    /// If the outcome cannot be kept.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables, reason = "as with PostgreSQL"))]
    pub(crate) async fn ended(&mut self, outcome: &Outcome, was_removed: bool) -> Result<Counts> {
        match self {
            Self::Local(local) => Ok(local.ended(was_removed)),
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.ended(outcome).await,
        }
    }

    /// Ends the run: gives back enrollees that were taken but not begun, and counts those who are left.
    ///
    /// # Errors
    /// If the roster cannot be read.
    pub(crate) async fn close(&mut self) -> Result<()> {
        match self {
            Self::Local(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.close().await,
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
        // `None` sorts before any time.
        due.sort();
        let names: Vec<ProfileName> = due.into_iter().map(|(_, name)| name).collect();
        let due = names.len() as u64;
        Ok(Self { paths: paths.clone(), waiting: names.into_iter(), due, fresh, removed: 0 })
    }

    fn next(&mut self) -> Option<Due> {
        for name in self.waiting.by_ref() {
            match Profile::load(&self.paths, &name).transpose() {
                Some(profile) => return Some(Due::local(name, profile)),
                None => self.removed += 1,
            }
        }
        None
    }

    fn was_removed(&self, outcome: &Outcome) -> bool {
        let may_be_gone = outcome.failure.as_ref().is_some_and(|error| error.exit() == Exit::NotSetUp);
        let is_gone = || matches!(Profile::load(&self.paths, &outcome.name), Ok(None));
        // A process that removes a profile holds its lock, and the tokens go before the record.
        let is_gone_by_now = || {
            let _held = hold(&self.paths, &outcome.name, REMOVAL_PATIENCE, "fetch");
            is_gone()
        };
        may_be_gone && (is_gone() || is_gone_by_now())
    }

    /// The profile's record has the outcome already, or [`super::Note`] writes it.
    fn ended(&mut self, was_removed: bool) -> Counts {
        if was_removed {
            self.removed += 1;
            return Counts::Removed;
        }
        Counts::Yes
    }
}

/// When the profile's archive at `out` was last pulled. If there is no note about it (a home of 0.1.0, a power
/// failure), the profile's record has the time, but not what was asked for.
fn last_pull(paths: &Paths, name: &ProfileName, out: &Path, selection: &Selection) -> Option<Timestamp> {
    let last = LastPulls::load(paths, name);
    if last.knows(out) || selection.full {
        return last.when(out, RequestedResources { resources: &selection.resources, full: selection.full });
    }
    let profile = Profile::load(paths, name).ok().flatten()?;
    profile.archives.iter().find(|note| note.out == out && !note.unfinished).map(|note| note.last_pull)
}

/// A pull whose time is in the future by this machine's clock proves nothing.
fn is_fresh(last: Option<Timestamp>, now: Timestamp, limit: Duration) -> bool {
    last.is_some_and(|last| Duration::try_from(now.duration_since(last)).is_ok_and(|age| age < limit))
}
