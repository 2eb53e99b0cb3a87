//! The pull for one leased enrollee: the tokens that it uses, and the notes that it leaves for its outcome.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{lease::PullEnd, vault::SharedVault};
use crate::{
    auth::{log_in_end::EndedKind, session::Observer, token::Grant},
    error::Error,
    profile::archive_notes::ArchiveNote,
};

/// What a pull needs, and the notes that it leaves for its outcome. Cheap to clone; clones share the notes.
#[derive(Clone, Debug)]
pub struct SharedPull {
    /// The tokens.
    pub vault: SharedVault,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
struct Notes {
    /// Why the log-in is over, and which generation of tokens the server rejected.
    ended: Option<(EndedKind, i64)>,
    archive: Option<ArchiveNote>,
}

impl SharedPull {
    /// A pull with these tokens.
    #[must_use]
    pub fn new(vault: SharedVault) -> Self {
        Self { vault, notes: Arc::default() }
    }

    /// Notes which archive was filled.
    pub fn note_archive(&self, note: ArchiveNote) {
        self.notes().archive = Some(note);
    }

    /// The outcome of a complete pull.
    #[must_use]
    pub fn done(&self) -> PullEnd {
        PullEnd::Done { archive: self.notes().archive.take() }
    }

    /// The outcome of a failed pull.
    #[must_use]
    pub fn failed(&self, error: &Error) -> PullEnd {
        match self.notes().ended {
            Some((kind, generation)) => PullEnd::LogInOver { kind, generation },
            None => PullEnd::Failed { retry_after: error.retry_after },
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A renewed grant is stored with its tokens, and the end of a log-in with the outcome.
impl Observer for SharedPull {
    fn renewed(&self, _grant: &Grant) {
        self.notes().ended = None;
    }

    fn ended(&self, _grant: &Grant, kind: EndedKind) {
        self.notes().ended = Some((kind, self.vault.generation()));
    }
}
