//! What every command starts from: output, paths, configuration, the chosen profile.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::Certificate;

use crate::{
    api::{
        client::{Client, Connections, Limits},
        endpoints::Server,
        retry::RetryPolicy,
    },
    archive::reader::refuse_own,
    auth::{
        local_vault::LocalVault,
        log_in_end::{Ended, EndedKind},
        renewal_limit::RenewalLimit,
        session::{Identity, Observer, Session},
        store::{self, StoreKind, StoreSettings, TokenStore},
        token::{Credential, Grant},
        vault::Vault,
    },
    cli::{Cli, Command, Global},
    error::{Error, ErrorKind, Result, in_words},
    files::private_file::refuse_directory,
    origin::Origin,
    output::{Output, OutputOptions},
    profile::{Paths, Profile, ProfileName, config_file::ConfigFile, paths, profile_option},
};

/// Everything that was decided before a command begins.
#[derive(Clone)]
pub struct Context {
    /// Where messages and results go.
    pub output: Output,
    /// The directories and files of this home.
    pub paths: Paths,
    /// `config.toml`.
    pub config: ConfigFile,
    /// The profile that was named, or the default one.
    pub profile: ProfileName,
    /// Whether it was named by flag or environment.
    pub profile_is_named: bool,
    /// Whether `--state` is on the command line, not only in the environment or the configuration.
    pub state_is_typed: bool,
    /// The token store that was named by flag or environment, if any. Otherwise a profile keeps its own, and the one
    /// in `config.toml` is only for new log-ins.
    pub token_store: Option<StoreKind>,
    /// Certificates that are trusted in addition to the system's, if a file with them is named.
    pub ca_cert: Option<PathBuf>,
    /// The request limits for each server.
    pub limits: Limits,
    /// The open connections.
    pub connections: Arc<Mutex<Vec<(Origin, Connections)>>>,
    /// How many log-ins may be renewed at the same time.
    pub renewals: RenewalLimit,
}

impl Context {
    /// Decides between flags, environment and configuration.
    pub(super) fn new(cli: Cli) -> Result<(Self, Command), (Output, Error)> {
        let Cli { command, global } = cli;
        let before = Output::new(output_options(&global, &ConfigFile::default()));
        Self::settle(global, &command).map(|context| (context, command)).map_err(|error| (before, error))
    }

    fn settle(global: Global, command: &Command) -> Result<Self> {
        let home = paths::home();
        let paths = Paths::find(home.as_deref(), global.config.as_deref())?;
        let uses_state = matches!(
            command,
            Command::Login(_)
                | Command::Logout(_)
                | Command::Status(_)
                | Command::Fetch(_)
                | Command::Profiles(_)
                | Command::Purge(_)
        );
        let mut config = match paths.check() {
            Err(error) if uses_state => return Err(error),
            // `doctor` reports what is wrong with the file; other commands work without it.
            Err(_) if global.config.is_none() => ConfigFile::default(),
            _ => ConfigFile::load(&paths, global.config.is_some())?,
        };
        if uses_state {
            paths.sweep();
        }
        config.token_store_command =
            store_command(std::env::var_os("BBDL_TOKEN_STORE_COMMAND"), config.token_store_command)?;
        let named = config.profile.as_deref().unwrap_or(ProfileName::DEFAULT);
        let profile = match &global.profile {
            Some(name) => name.clone(),
            None => named.parse().map_err(|why: String| Error::new(ErrorKind::Config, why))?,
        };
        let token_store = global.token_store;
        let ca_cert = global.ca_cert.clone().or_else(|| config.ca_cert.clone());
        Ok(Self {
            output: Output::new(output_options(&global, &config)),
            paths,
            config,
            profile,
            profile_is_named: global.profile.is_some(),
            state_is_typed: global.state_is_typed,
            token_store,
            ca_cert,
            limits: Limits::default(),
            connections: Arc::default(),
            renewals: RenewalLimit::default(),
        })
    }

    /// Refuses an output path inside an archive's own files, or where bbdl keeps log-ins or its configuration.
    ///
    /// # Errors
    /// [`crate::error::Exit::Usage`].
    pub(super) fn refuse_own(&self, output: &Path) -> Result<()> {
        refuse_own(output)?;
        self.paths.refuse_own(output)
    }

    /// Opens the token store of a profile.
    #[must_use]
    pub fn store(&self, kind: StoreKind) -> Arc<dyn TokenStore> {
        let settings = StoreSettings {
            state: self.paths.state(),
            home_mark: self.paths.home_mark(),
            command: self.config.token_store_command.as_deref(),
            attended: self.output.can_ask(),
        };
        Arc::from(store::open(kind, settings))
    }

    /// A client for a server. All clients for one server share its connections and their limit.
    ///
    /// # Errors
    /// The errors of [`Connections::to`].
    pub fn client(&self, server: Server, retry: RetryPolicy) -> Result<Client> {
        Ok(Client::new(self.connections(server.origin())?, server, retry, self.output.clone()))
    }

    /// The connections to an origin, opened if there are none yet.
    ///
    /// # Errors
    /// The errors of [`Connections::to`].
    pub fn connections(&self, origin: &Origin) -> Result<Connections> {
        let mut known = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match known.iter().find(|(to, _)| to == origin) {
            Some((_, connections)) => connections.clone(),
            None => {
                let connections = Connections::to(origin, self.limits, self.authorities()?)?;
                known.push((origin.clone(), connections.clone()));
                connections
            }
        })
    }

    fn authorities(&self) -> Result<Vec<Certificate>> {
        let Some(path) = &self.ca_cert else { return Ok(Vec::new()) };
        let refuse = |why: String| {
            Error::new(ErrorKind::CaCert, format!("{}: {why}", path.display()))
                .hint("Pass a file with certificates in PEM format: -----BEGIN CERTIFICATE-----")
        };
        let text = refuse_directory(path).and_then(|()| std::fs::read(path)).map_err(|cause| {
            Error::new(
                ErrorKind::CaCert,
                format!("cannot read the certificates in {}: {}", path.display(), in_words(&cause)),
            )
            .hint("Check the path given with --ca-cert, BBDL_CA_CERT or ca_cert in config.toml.")
        })?;
        let found = Certificate::from_pem_bundle(&text).map_err(|cause| refuse(cause.to_string()))?;
        if found.is_empty() { Err(refuse("it contains no certificate".to_owned())) } else { Ok(found) }
    }

    /// A session for an enrollee of a shared state.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if no key opens the tokens; errors of the database.
    #[cfg(feature = "postgres")]
    pub async fn shared_session(
        &self,
        name: &ProfileName,
        profile: &Profile,
        retry: RetryPolicy,
        pull: &crate::shared_state::shared_pull::SharedPull,
    ) -> Result<(Arc<Client>, Session)> {
        let client = Arc::new(self.client(profile.server(), retry)?);
        let ended_is_of = pull.vault.generation();
        let credential = pull.vault.load().await?;
        let login = format!("bbdl profiles import FILE --replace  (a row of {name} with the tokens of a new consent)");
        let vault = Arc::new(pull.vault.clone());
        match profile.ended {
            // This does not apply to tokens that were imported after the lease.
            Some(ended) if pull.vault.generation() == ended_is_of => return Err(known_to_be_over(ended).hint(login)),
            _ => {}
        }
        let identity = Identity { profile: name.to_string(), login, renewals: self.renewals.clone() };
        let session = Session::new(Arc::clone(&client), (vault, credential), identity, Box::new(pull.clone()))?;
        Ok((client, session))
    }

    /// The vault of the tokens of a profile on this machine.
    pub(super) fn local_vault(&self, name: &ProfileName, profile: &Profile) -> LocalVault {
        LocalVault {
            store: self.store(self.token_store.unwrap_or(profile.token_store)),
            profile: name.to_string(),
            lock: self.paths.lock(name),
            log_in_lock: self.paths.log_in_lock(name),
            login: profile.login_command(name),
        }
    }

    /// The tokens of a profile on this machine, and their vault.
    ///
    /// # Errors
    /// The errors of [`LocalVault::read`].
    pub(super) fn local_tokens(&self, name: &ProfileName, profile: &Profile) -> Result<(LocalVault, Credential)> {
        let vault = self.local_vault(name, profile);
        let credential = vault.read().map_err(|error| self.in_which_store(profile, error))?;
        Ok((vault, credential))
    }

    /// Adds to an error of the token store that another one was named than the profile's.
    fn in_which_store(&self, profile: &Profile, error: Error) -> Error {
        match self.token_store {
            Some(named) if named != profile.token_store => error.hint(format!(
                "This profile's tokens are in the store \"{}\". Leave --token-store {named} out, and unset BBDL_TOKEN_STORE.",
                profile.token_store
            )),
            _ => error,
        }
    }

    /// The observer that records what happens to the log-in of a profile on this machine.
    pub(super) fn record(&self, name: &ProfileName) -> Box<dyn Observer> {
        Box::new(Record { paths: self.paths.clone(), name: name.clone(), output: self.output.clone() })
    }

    /// A logged-in session of a profile; an error if its log-in is known to have ended.
    ///
    /// # Errors
    /// The errors of [`LocalVault::read`] and [`Session::new`]; [`crate::error::Exit::PersonMustAct`] if the
    /// profile's log-in is over.
    pub async fn session(
        &self,
        name: &ProfileName,
        profile: &Profile,
        retry: RetryPolicy,
    ) -> Result<(Arc<Client>, Session)> {
        let client = Arc::new(self.client(profile.server(), retry)?);
        let vault = self.local_vault(name, profile);
        let credential = vault.load().await.map_err(|error| self.in_which_store(profile, error))?;
        let login = vault.login.clone();
        let identity = Identity { profile: name.to_string(), login, renewals: self.renewals.clone() };
        let session = Session::new(Arc::clone(&client), (Arc::new(vault), credential), identity, self.record(name))?;
        match profile.ended {
            // If the numbers differ, the note is about an earlier log-in than the tokens.
            Some(ended) if session.log_in() == profile.grant.log_in => Err(over(name, profile, ended)),
            _ => Ok((client, session)),
        }
    }
}

fn over(name: &ProfileName, profile: &Profile, ended: Ended) -> Error {
    known_to_be_over(ended).hint(format!(
        "Log in again: {}\n  to ask the server again: bbdl status --online{}",
        profile.login_command(name),
        profile_option(name)
    ))
}

fn known_to_be_over(ended: Ended) -> Error {
    let since = ended.at.strftime("%Y-%m-%d");
    Error::new(ended.kind.error_kind(), format!("this log-in has ended ({}; known since {since})", ended.kind.words()))
}

/// The observer that writes to a profile's record, which `status` shows. The tokens are in the store before it is
/// called.
struct Record {
    paths: Paths,
    name: ProfileName,
    output: Output,
}

impl Observer for Record {
    fn renewed(&self, grant: &Grant) {
        self.noted(Profile::update(&self.paths, &self.name, |profile| {
            profile.grant = grant.clone();
            profile.ended = None;
        }));
    }

    fn ended(&self, grant: &Grant, kind: EndedKind) {
        self.noted(Profile::mark_ended(&self.paths, &self.name, grant, kind));
    }
}

impl Record {
    fn noted(&self, noted: Result<()>) {
        if let Err(error) = noted {
            self.output.warn(format!("the profile could not be updated: {error}"));
        }
    }
}

/// The command in the environment, else the one in the configuration. It is never shown, because it may contain a
/// password.
fn store_command(environment: Option<OsString>, configured: Option<String>) -> Result<Option<String>> {
    let Some(command) = environment.filter(|command| !command.is_empty()) else { return Ok(configured) };
    command.into_string().map(Some).map_err(|_| {
        Error::new(ErrorKind::Config, "BBDL_TOKEN_STORE_COMMAND is not text (UTF-8)").hint("Correct or unset it.")
    })
}

fn output_options(global: &Global, config: &ConfigFile) -> OutputOptions {
    OutputOptions {
        quiet: global.quiet || config.quiet,
        verbose: global.verbose.max(config.verbose),
        json: global.json || config.json,
        no_progress: global.no_progress || config.no_progress,
        no_input: global.no_input || config.no_input,
        color: global.color.or(config.color).unwrap_or_default(),
        is_step: false,
        about: None,
    }
}
