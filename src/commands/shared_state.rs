//! Finds the shared state from `--state`, the environment and `config.toml`.

use crate::{
    cli::SharedStateArgs,
    commands::Context,
    error::{Error, Result},
    profile::{Profile, ProfileName, archive_notes::ArchiveNote},
};

/// Whether a shared state is named at all.
pub(super) fn is_named(context: &Context, args: &SharedStateArgs) -> bool {
    args.state.is_some() || context.config.state.is_some()
}

/// The option for a command to type again, so that it uses the same shared state. The address may contain a password.
pub(super) fn typed_option(context: &Context) -> &'static str {
    if context.state_is_typed { " --state URL" } else { "" }
}

/// Refuses a command that works only on this machine's profiles.
pub(super) fn refuse(context: &Context, args: &SharedStateArgs, what: &str) -> Result<()> {
    if !is_named(context, args) {
        return Ok(());
    }
    Err(Error::usage(format!("{what} works on this machine's profiles, not on a shared state"))
        .hint("Leave --state out, and unset BBDL_STATE and state in config.toml for this command."))
}

/// The profiles of a shared state. If a row cannot be read, the error takes its place.
pub(super) type Rows = Vec<(ProfileName, Result<Profile>)>;

/// The archives of an enrollee who was removed from a shared state; `None` if there was no such enrollee.
pub(super) type Removal = Result<Option<Vec<ArchiveNote>>>;

#[cfg(feature = "postgres")]
pub(super) use with_postgres::*;

#[cfg(feature = "postgres")]
mod with_postgres {
    use std::{
        ffi::OsString,
        path::{Path, PathBuf},
        process::{Command, Stdio},
        sync::{Arc, Mutex, PoisonError},
    };

    use zeroize::Zeroizing;

    use super::{Removal, Rows};
    use crate::{
        api::client::Connections,
        cli::SharedStateArgs,
        commands::Context,
        error::{Error, ErrorKind, Result, in_words},
        files::{path_text::typed, private_file},
        fleet::{
            roster::{Roster, Selection},
            shared_roster::{Pacer, SharedRoster},
        },
        origin::Origin,
        profile::ProfileName,
        runtime::block_on,
        shared_state::{
            Delivered, SharedState,
            address::{AddressSource, StateAddress},
            enrollee::Enrollee,
            password_file,
            schema::{Migrate, SchemaState},
            seal::StateKeys,
            worker::{Hold, ServerLimit},
        },
    };

    /// Opens the shared state, if one is named, and stores the tokens in it that wait for it on this machine: whoever
    /// exports, ends or removes a log-in needs its newest tokens.
    ///
    /// # Errors
    /// The errors of [`StateAddress::parse`] and [`SharedState::open`].
    pub(in crate::commands) async fn open(
        context: &Context,
        args: &SharedStateArgs,
        migrate: Migrate,
    ) -> Result<Option<SharedState>> {
        let Some(address) = address(context, args)? else { return Ok(None) };
        let keys = keys(context, args)?;
        let state = SharedState::open(address, keys, context.paths.unsaved(), migrate).await?;
        tell_delivered(context, &state.deliver_unsaved().await?);
        Ok(Some(state))
    }

    /// The profiles of the shared state, if one is named: all of them, or only these.
    ///
    /// # Errors
    /// The errors of [`open`].
    pub(in crate::commands) fn profiles(
        context: &Context,
        args: &SharedStateArgs,
        names: Option<&[ProfileName]>,
    ) -> Result<Option<Rows>> {
        let Some(address) = address(context, args)? else { return Ok(None) };
        block_on(async {
            let state = SharedState::open(address, None, context.paths.unsaved(), Migrate::Nothing).await?;
            let enrollees = state.enrollees(names).await?;
            let profile = |(name, enrollee): (_, Result<Enrollee>)| (name, enrollee.map(|enrollee| enrollee.profile));
            Ok(Some(enrollees.into_iter().map(profile).collect()))
        })
    }

    /// Removes enrollees from the shared state, if one is named. Each result has the archives of that enrollee, or
    /// `None` if there was no such enrollee.
    ///
    /// # Errors
    /// The errors of [`open`].
    pub(in crate::commands) fn remove(
        context: &Context,
        args: &SharedStateArgs,
        names: &[ProfileName],
    ) -> Result<Option<Vec<Removal>>> {
        let Some(address) = address(context, args)? else { return Ok(None) };
        block_on(async {
            let state = SharedState::open(address, None, context.paths.unsaved(), Migrate::Nothing).await?;
            // Else the tokens of somebody who is removed would stay on this machine.
            tell_delivered(context, &state.deliver_unsaved().await?);
            let mut removed: Vec<Removal> = Vec::with_capacity(names.len());
            for name in names {
                let answer = match removed.last() {
                    // If the database cannot be reached, do not wait for it once per name.
                    Some(Err(error)) if error.kind == ErrorKind::State => Err(error.clone()),
                    _ => state.remove(name, None).await,
                };
                removed.push(answer);
            }
            Ok(Some(removed))
        })
    }

    /// Checks the tables of the shared state, if one is named, and its key.
    ///
    /// # Errors
    /// The errors of [`open`], except those about the tables.
    pub(in crate::commands) fn look(context: &Context, args: &SharedStateArgs) -> Result<Option<Look>> {
        let Some(address) = address(context, args)? else { return Ok(None) };
        let (shown, keys) = (address.to_string(), keys(context, args));
        block_on(async {
            let schema = SharedState::look(address.clone()).await?;
            let sealed = match &keys {
                Ok(Some(_)) if schema == SchemaState::Current => {
                    let keys = self::keys(context, args)?;
                    let state = SharedState::open(address, keys, context.paths.unsaved(), Migrate::Nothing).await?;
                    Some(Sealed {
                        with_older_keys: state.sealed_with_older_keys().await?,
                        with_missing_keys: state.sealed_with_missing_keys().await?,
                    })
                }
                _ => None,
            };
            Ok(Some(Look { address: shown, schema, has_key: keys.map(|keys| keys.is_some()), sealed }))
        })
    }

    /// What `doctor` finds out about a shared state.
    pub(in crate::commands) struct Look {
        /// Its address, without a password.
        pub(in crate::commands) address: String,
        /// Its tables.
        pub(in crate::commands) schema: SchemaState,
        /// Whether a key is given, or why it cannot be used.
        pub(in crate::commands) has_key: Result<bool>,
        /// The keys that the log-ins are sealed with.
        pub(in crate::commands) sealed: Option<Sealed>,
    }

    /// How many log-ins are sealed with keys other than the first one.
    pub(in crate::commands) struct Sealed {
        /// With any other key.
        pub(in crate::commands) with_older_keys: i64,
        /// With a key that is not given here.
        pub(in crate::commands) with_missing_keys: i64,
    }

    /// The roster of the shared state, if one is named. All workers together run at most `renewals` renewals at the
    /// same time.
    ///
    /// # Errors
    /// The errors of [`open`]; [`crate::error::Exit::NotSetUp`] if it has no enrollees.
    pub(in crate::commands) async fn roster(
        context: &Context,
        args: &SharedStateArgs,
        selection: &Selection,
        renewals: u8,
    ) -> Result<Option<Roster>> {
        let Some(state) = open(context, args, Migrate::Existing).await? else { return Ok(None) };
        state.require_keys()?;
        let pacer = ContextPacer { connections: Arc::clone(&context.connections) };
        let roster = SharedRoster::join(state, selection, renewals, Box::new(pacer)).await?;
        if roster.is_empty() {
            return Err(Error::new(ErrorKind::NoProfile, "nobody is in the shared state")
                .hint("Import enrollees first: bbdl profiles import FILE"));
        }
        Ok(Some(Roster::Shared(roster)))
    }

    fn tell_delivered(context: &Context, delivered: &Delivered) {
        let Delivered { stored, of_others, unreadable } = delivered;
        if *stored > 0 {
            let words = if *stored == 1 {
                "log-in that waited on this machine is"
            } else {
                "log-ins that waited on this machine are"
            };
            context.output.say(format!("{stored} renewed {words} in the shared state now"));
        }
        for (files, why, next) in [
            (
                of_others,
                "this shared state does not have the log-in that it renews, or has an older copy of it",
                "Fetch once with the shared state that it is for. If you have removed this enrollee or imported a new log-in since, or restored the database from a backup, delete the file.",
            ),
            (
                unreadable,
                "bbdl cannot understand this file, which may have a renewed log-in in it",
                "If a newer bbdl made it, fetch once with that one.",
            ),
        ] {
            for file in files {
                context.output.warn(format!("{}: {why}", file.display()));
                context.output.tell(format!("  next: {next}"));
            }
        }
    }

    fn address(context: &Context, args: &SharedStateArgs) -> Result<Option<StateAddress>> {
        let (text, source) = match (&args.state, &context.config.state) {
            (Some(text), _) if context.state_is_typed => (text, AddressSource::CommandLine),
            (Some(text), _) => (text, AddressSource::Environment),
            (None, Some(text)) => (text, AddressSource::ConfigFile(context.paths.config_file().to_owned())),
            (None, None) => return Ok(None),
        };
        let address = StateAddress::parse(text.expose(), &source)?;
        Ok(Some(address.with_password_file(password_file::place().as_deref())))
    }

    /// The keys: from the named file, from `BBDL_STATE_KEY`, or from the output of a program.
    fn keys(context: &Context, args: &SharedStateArgs) -> Result<Option<StateKeys>> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(file) = &args.state_key_file {
            return from_file(file).map(Some);
        }
        if let Some(text) = set("BBDL_STATE_KEY") {
            let text = Zeroizing::new(text.to_string_lossy().into_owned());
            return StateKeys::parse(&text, "BBDL_STATE_KEY").map(Some);
        }
        if let Some(command) = set("BBDL_STATE_KEY_COMMAND") {
            return from_command(&command).map(Some);
        }
        if let Some(file) = &context.config.state_key_file {
            return from_file(file).map(Some);
        }
        context.config.state_key_command.as_ref().map(|command| from_command(&command.into())).transpose()
    }

    fn from_file(file: &Path) -> Result<StateKeys> {
        let shown = file.display();
        let unusable = |why: String| Error::new(ErrorKind::StateKey, format!("{shown}: {why}"));
        // Keys that are mounted into a container are behind links.
        let bytes = private_file::read_following_links(file).map(Zeroizing::new).map_err(|cause| {
            unusable(in_words(&cause)).hint("Check the path given with --state-key-file or BBDL_STATE_KEY_FILE.")
        })?;
        if open_to_all(file) {
            return Err(unusable("everybody on this machine may read the key".to_owned())
                .hint(format!("Run: chmod 600 {}", typed(file))));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| unusable("it is not text".to_owned()))?;
        StateKeys::parse(text, &shown.to_string())
    }

    /// Whether everyone may read it. A group may be meant to read it: that of a container.
    fn open_to_all(file: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::metadata(file).is_ok_and(|it| it.permissions().mode() & 0o027 != 0)
        }
        #[cfg(not(unix))]
        {
            let _ = file;
            false
        }
    }

    /// The person may read the program's messages. Nothing of the command line is shown, because it may contain a
    /// password.
    fn from_command(command: &OsString) -> Result<StateKeys> {
        let failed = |why: String| {
            Error::new(ErrorKind::StateKey, format!("the program that prints the key of the shared state {why}"))
                .hint("Check BBDL_STATE_KEY_COMMAND, or state_key_command in config.toml.")
        };
        let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let run = Command::new(shell).arg(option).arg(command).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = run.map_err(|cause| failed(format!("cannot be started: {}", in_words(&cause))))?;
        let text = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(failed(format!("failed ({})", output.status)));
        }
        let text = std::str::from_utf8(&text).map_err(|_| failed("printed what is not text".to_owned()))?;
        StateKeys::parse(text, "what the program of BBDL_STATE_KEY_COMMAND printed")
    }

    /// Applies the limits of all workers to this worker's connections.
    struct ContextPacer {
        connections: Arc<Mutex<Vec<(Origin, Connections)>>>,
    }

    impl ContextPacer {
        fn known(&self) -> Vec<(Origin, Connections)> {
            self.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    impl Pacer for ContextPacer {
        fn limit(&self, limits: &[ServerLimit]) {
            for (origin, connections) in self.known() {
                let Some(limit) = limits.iter().find(|limit| limit.origin == origin) else { continue };
                connections.pace().allow(limit.share);
                if let Some(hold) = limit.hold {
                    connections.pace().hold(hold);
                }
            }
        }

        fn holds(&self) -> Vec<Hold> {
            let held = |(origin, connections): (Origin, Connections)| {
                connections.pace().held().map(|left| Hold { origin, left })
            };
            self.known().into_iter().filter_map(held).collect()
        }
    }

    /// Where tokens wait that could not be stored in the database.
    pub(in crate::commands) fn waiting(context: &Context) -> Result<(PathBuf, usize)> {
        let dir = context.paths.unsaved();
        SharedState::count_unsaved(dir.clone()).map(|count| (dir, count))
    }
}

#[cfg(not(feature = "postgres"))]
pub(super) use without_postgres::*;

#[cfg(not(feature = "postgres"))]
mod without_postgres {
    use super::{Removal, Rows, is_named};
    use crate::{
        cli::SharedStateArgs,
        commands::Context,
        error::{Error, ErrorKind, Result},
        fleet::roster::{Roster, Selection},
        profile::ProfileName,
    };

    /// Fails if a shared state is named.
    pub(in crate::commands) fn none(context: &Context, args: &SharedStateArgs) -> Result<()> {
        if is_named(context, args) {
            return Err(Error::new(
                ErrorKind::StateSetup,
                "this bbdl was built without PostgreSQL, so it has no --state",
            )
            .hint("Build it with: cargo build --release --features postgres"));
        }
        Ok(())
    }

    /// Like the function with PostgreSQL.
    pub(in crate::commands) fn profiles(
        context: &Context,
        args: &SharedStateArgs,
        _: Option<&[ProfileName]>,
    ) -> Result<Option<Rows>> {
        none(context, args).map(|()| None)
    }

    /// Like the function with PostgreSQL.
    pub(in crate::commands) fn remove(
        context: &Context,
        args: &SharedStateArgs,
        _: &[ProfileName],
    ) -> Result<Option<Vec<Removal>>> {
        none(context, args).map(|()| None)
    }

    /// Like the function with PostgreSQL.
    #[expect(clippy::unused_async, reason = "as with PostgreSQL")]
    pub(in crate::commands) async fn roster(
        context: &Context,
        args: &SharedStateArgs,
        _: &Selection,
        _: u8,
    ) -> Result<Option<Roster>> {
        none(context, args).map(|()| None)
    }
}
