//! Where the log-ins are that a command ends: on this machine, or in a shared state.

use std::sync::Arc;

use super::{Context, login, shared_state};
use crate::{
    auth::{session::Observer, vault::Vault},
    cli::SharedStateArgs,
    error::Result,
    files::lock::FileLock,
    profile::{
        Paths, Profile, ProfileName,
        archive_notes::{ArchiveNote, LeftBehind},
    },
    runtime::block_on,
};

/// Where log-ins are.
pub(super) enum LogIns<'c> {
    /// On this machine.
    Local(&'c Context),
    /// In a shared state.
    #[cfg(feature = "postgres")]
    Shared(shared::SharedLogIns<'c>),
}

/// A log-in that no other process uses for now.
pub(super) struct Held {
    /// Its tokens.
    pub(super) vault: Arc<dyn Vault>,
    by: HeldBy,
}

enum HeldBy {
    Lock(FileLock),
    #[cfg(feature = "postgres")]
    Lease(crate::shared_state::lease::LeaseTicket),
}

impl<'c> LogIns<'c> {
    /// The log-ins of the named shared state, or else those of this machine.
    ///
    /// # Errors
    /// The errors of [`shared_state::open`].
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_async, reason = "as with PostgreSQL"))]
    async fn open(context: &'c Context, args: &SharedStateArgs) -> Result<Self> {
        #[cfg(feature = "postgres")]
        if let Some(shared) = shared::SharedLogIns::open(context, args).await? {
            return Ok(Self::Shared(shared));
        }
        #[cfg(not(feature = "postgres"))]
        shared_state::none(context, args)?;
        Ok(Self::Local(context))
    }

    /// Runs `work` with the log-ins of the named shared state, or else those of this machine.
    ///
    /// # Errors
    /// Errors of the work, and those of [`shared_state::open`].
    pub(super) fn with<T>(
        context: &'c Context,
        args: &SharedStateArgs,
        work: impl AsyncFnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        block_on(async {
            let log_ins = Self::open(context, args).await?;
            let result = work(&log_ins).await;
            log_ins.close().await;
            result
        })
    }

    /// Whether they are on this machine.
    pub(super) fn are_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// All names, sorted.
    pub(super) async fn names(&self) -> Result<Vec<ProfileName>> {
        match self {
            Self::Local(context) => context.paths.profiles(),
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.names().await,
        }
    }

    /// The profile with this name, which must exist.
    pub(super) async fn must_exist(&self, name: &ProfileName) -> Result<Profile> {
        match self {
            Self::Local(context) => Profile::must_exist(&context.paths, name),
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.must_exist(name).await,
        }
    }

    /// The archives filled by all profiles except those whose names are `gone`.
    pub(super) async fn archives_of_others(&self, gone: impl Fn(&ProfileName) -> bool) -> Result<Vec<ArchiveNote>> {
        let (context, mut notes) = match self {
            Self::Local(context) => (*context, Vec::new()),
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => (shared.context, shared.archives_of_others(&gone).await?),
        };
        let mut names = context.paths.profiles()?;
        names.extend(LeftBehind::names(&context.paths)?);
        for name in names.iter().filter(|name| !self.are_local() || !gone(name)) {
            // If a record cannot be read, its profile may have an archive here. Nothing is deleted on a guess.
            notes.extend(Profile::load(&context.paths, name)?.into_iter().flat_map(|other| other.archives));
            notes.extend(LeftBehind::load(&context.paths, name)?);
        }
        Ok(notes)
    }

    /// Holds a log-in, so that no other process stores a renewed token or fills an archive while it is removed.
    ///
    /// # Errors
    /// [`crate::error::Exit::TryAgain`] if another process uses it for long.
    pub(super) async fn hold(&self, (name, profile): (&ProfileName, &Profile), purpose: &str) -> Result<Held> {
        match self {
            Self::Local(context) => {
                let lock = login::hold(context, name, purpose)?;
                Ok(Held { vault: Arc::new(context.local_vault(name, profile)), by: HeldBy::Lock(lock) })
            }
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.hold(name).await,
        }
    }

    /// The observer of a renewal of a log-in that is held.
    pub(super) fn observer(&self, name: &ProfileName) -> Box<dyn Observer> {
        match self {
            Self::Local(context) => context.record(name),
            #[cfg(feature = "postgres")]
            Self::Shared(_) => Box::new(shared::Nobody),
        }
    }

    /// Deletes the tokens and the record of the log-in.
    pub(super) async fn forget(&self, who: (&ProfileName, &Profile)) -> Result<()> {
        self.end(who, Profile::forget).await
    }

    /// Like [`Self::forget`], for a log-in whose archives stay: `purge` still finds those on this machine. With a
    /// shared state, they may be on another machine.
    pub(super) async fn leave(&self, who: (&ProfileName, &Profile)) -> Result<()> {
        self.end(who, Profile::leave).await
    }

    async fn end(
        &self,
        (name, profile): (&ProfileName, &Profile),
        end: fn(&Paths, &ProfileName) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Local(context) => {
                context.store(context.token_store.unwrap_or(profile.token_store)).delete(name.as_str())?;
                end(&context.paths, name)
            }
            #[cfg(feature = "postgres")]
            Self::Shared(shared) => shared.state.remove(name, Some(shared.worker)).await.map(drop),
        }
    }

    /// Releases a log-in that was kept.
    pub(super) async fn release(&self, held: Held) {
        match held.by {
            HeldBy::Lock(lock) => drop(lock),
            #[cfg(feature = "postgres")]
            HeldBy::Lease(ticket) => {
                if let Self::Shared(shared) = self {
                    // If this fails, the lease ends by itself.
                    let _ = shared.state.give_back(&[ticket]).await;
                }
            }
        }
    }

    /// Signs off from the shared state.
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_async, reason = "as with PostgreSQL"))]
    async fn close(self) {
        #[cfg(feature = "postgres")]
        if let Self::Shared(shared) = self {
            // If this fails, the others forget this worker after a while.
            let _ = shared.state.sign_off(shared.worker).await;
        }
    }
}

#[cfg(feature = "postgres")]
mod shared {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use super::{Held, HeldBy, shared_state};
    use crate::{
        auth::{log_in_end::EndedKind, session::Observer, token::Grant},
        cli::SharedStateArgs,
        commands::Context,
        error::{Error, ErrorKind, Result},
        profile::{Profile, ProfileName, archive_notes::ArchiveNote},
        shared_state::{SharedState, lease::Taken, schema::Migrate, vault::SharedVault, worker::WorkerId},
    };

    /// How long to wait for a pull by another worker.
    const PATIENCE: Duration = Duration::from_secs(30);
    const LOOK: Duration = Duration::from_millis(200);

    /// The log-ins of a shared state.
    pub(in crate::commands) struct SharedLogIns<'c> {
        pub(super) context: &'c Context,
        pub(super) state: SharedState,
        pub(super) worker: WorkerId,
    }

    impl<'c> SharedLogIns<'c> {
        pub(super) async fn open(context: &'c Context, args: &SharedStateArgs) -> Result<Option<Self>> {
            let Some(state) = shared_state::open(context, args, Migrate::Nothing).await? else { return Ok(None) };
            let worker = state.register().await?;
            Ok(Some(Self { context, state, worker }))
        }

        pub(super) async fn names(&self) -> Result<Vec<ProfileName>> {
            Ok(self.state.enrollees(None).await?.into_iter().map(|(name, _)| name).collect())
        }

        pub(super) async fn must_exist(&self, name: &ProfileName) -> Result<Profile> {
            let found = self.state.enrollees(Some(std::slice::from_ref(name))).await?.pop();
            let (_, enrollee) = found.ok_or_else(|| nobody(name))?;
            enrollee.map(|enrollee| enrollee.profile)
        }

        pub(super) async fn archives_of_others(&self, gone: impl Fn(&ProfileName) -> bool) -> Result<Vec<ArchiveNote>> {
            let all = self.state.enrollees(None).await?.into_iter();
            let others = all.filter(|(name, _)| !gone(name));
            // If a row cannot be read, its archives are unknown. Then nothing may be deleted.
            let archives: Vec<Vec<_>> =
                others.map(|(_, other)| other.map(|it| it.profile.archives)).collect::<Result<_>>()?;
            Ok(archives.into_iter().flatten().collect())
        }

        pub(super) async fn hold(&self, name: &ProfileName) -> Result<Held> {
            let began = Instant::now();
            loop {
                match self.state.take(self.worker, name).await? {
                    Taken::Yes(lease) => {
                        let ticket = lease.ticket();
                        let vault = SharedVault::new(self.state.clone(), self.worker, &lease.enrollee?, 1);
                        return Ok(Held { vault: Arc::new(vault), by: HeldBy::Lease(ticket) });
                    }
                    Taken::Nobody => return Err(nobody(name)),
                    Taken::Busy if began.elapsed() > PATIENCE => {
                        return Err(Error::new(ErrorKind::Lock, format!("a worker is pulling for \"{name}\""))
                            .hint("Run the same command again when it has finished."));
                    }
                    Taken::Busy => tokio::time::sleep(LOOK).await,
                }
            }
        }
    }

    /// The vault stores the record with the tokens.
    pub(super) struct Nobody;

    impl Observer for Nobody {
        fn renewed(&self, _: &Grant) {}

        fn ended(&self, _: &Grant, _: EndedKind) {}
    }

    fn nobody(name: &ProfileName) -> Error {
        Error::new(ErrorKind::NoProfile, format!("\"{name}\" is not in the shared state"))
            .hint("To list who is: bbdl profiles list")
    }
}
