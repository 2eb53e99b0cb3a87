//! The address of the database (`--state`), where it may come from, and how its connection is protected.
//!
//! Other people on the machine can read a command line, so a password in it is refused. A password comes from
//! `BBDL_STATE`, from libpq's password file, or from a configuration file that only its owner can read.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_postgres::config::{Config, Host, SslMode};

use super::password_file;
use crate::{
    duration,
    error::{Error, ErrorKind, Result},
    files::path_text::typed,
    secret,
};

/// Longer than a restart or a failover takes. `patience=` in the address overrides it.
const PATIENCE: Duration = Duration::from_secs(45);
const EXAMPLE: &str = "postgres://USER@HOST/DATABASE";

/// Where the address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// `--state`
    CommandLine,
    /// `BBDL_STATE`
    Environment,
    /// `state` in this configuration file.
    ConfigFile(PathBuf),
}

/// How the connection to the database is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not at all: a socket on this machine, or `sslmode=disable`.
    Off,
    /// The server has to prove its name. The file contains certificates that are trusted in addition to the system's.
    Verified { extra_roots: Option<PathBuf> },
}

/// A database address. It has no `Debug`, because that would show the password.
#[derive(Clone)]
pub struct StateAddress {
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// How long to wait for a database that cannot be reached.
    pub(super) patience: Duration,
    /// The address without the password, to show to people.
    shown: String,
}

impl StateAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// [`crate::error::Exit::Usage`] for a password on the command line, or an invalid address from the command line
    /// or the environment; [`crate::error::Exit::NotSetUp`] for an invalid address in a configuration file.
    pub fn parse(text: &str, source: &AddressSource) -> Result<Self> {
        let wrong = |why: String| refuse(source, why);
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        if !base.starts_with("postgres://") && !base.starts_with("postgresql://") {
            return Err(wrong(format!("it must be like {EXAMPLE}")));
        }
        let mut rest = form_urlencoded::Serializer::new(String::new());
        let (mut mode, mut extra_roots, mut patience) = (None, None, PATIENCE);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => extra_roots = Some(PathBuf::from(value.into_owned())),
                "patience" => {
                    patience = duration::parse(&value).map_err(|why| wrong(format!("patience: {why}")))?;
                }
                _ => drop(rest.append_pair(&key, &value)),
            }
        }
        // The parser's own message may repeat a part of a password.
        let mut config: Config = format!("{base}?{}", rest.finish())
            .parse()
            .map_err(|_| wrong(format!("it cannot be understood; it must be like {EXAMPLE}")))?;
        if config.get_hosts().is_empty() {
            return Err(wrong(format!("it names no host; it must be like {EXAMPLE}")));
        }
        let tls = match mode.as_deref() {
            _ if config.get_hosts().iter().all(is_socket) => Tls::Off,
            Some("disable") => Tls::Off,
            None | Some("require" | "verify-ca" | "verify-full") => Tls::Verified { extra_roots },
            Some(_) => {
                let why = "sslmode is verify-full (the default) or disable: the others accept any server";
                return Err(wrong(why.to_owned()));
            }
        };
        config.ssl_mode(if tls == Tls::Off { SslMode::Disable } else { SslMode::Require });
        if let Some(password) = config.get_password() {
            secret::remember(&String::from_utf8_lossy(password));
            refuse_exposed_password(source)?;
        }
        let shown = without_password(&config);
        Ok(Self { config, tls, patience, shown })
    }

    /// Takes the password from libpq's password file if the address has none.
    #[must_use]
    pub fn with_password_file(mut self, file: Option<&Path>) -> Self {
        if self.config.get_password().is_none()
            && let Some(password) = file.and_then(|file| password_file::find(file, &self.config))
        {
            self.config.password(password.expose());
        }
        self
    }
}

impl std::fmt::Display for StateAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

fn is_socket(host: &Host) -> bool {
    !matches!(host, Host::Tcp(_))
}

fn without_password(config: &Config) -> String {
    let hosts: Vec<String> = config.get_hosts().iter().map(host_text).collect();
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    let port =
        config.get_ports().first().filter(|port| **port != 5432).map(|port| format!(":{port}")).unwrap_or_default();
    format!("postgres://{user}{}{port}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

pub(super) fn host_text(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

fn refuse(source: &AddressSource, why: String) -> Error {
    match source {
        AddressSource::CommandLine => Error::usage(format!("--state: {why}")),
        AddressSource::Environment => Error::usage(format!("BBDL_STATE: {why}")),
        AddressSource::ConfigFile(file) => {
            Error::new(ErrorKind::Config, format!("{}, state: {why}", file.display())).hint("Correct that line.")
        }
    }
}

/// Refuses a password that others can read.
fn refuse_exposed_password(source: &AddressSource) -> Result<()> {
    match source {
        AddressSource::CommandLine => {
            Err(refuse(source, "a password on the command line can be read by everybody on this machine".to_owned())
                .hint("Put the whole address into BBDL_STATE, or the password into ~/.pgpass (mode 0600)."))
        }
        AddressSource::Environment => Ok(()),
        AddressSource::ConfigFile(file) => match password_file::open_to_others(file) {
            Some(mode) => Err(Error::new(
                ErrorKind::Config,
                format!("{} has a password in it, and others may read it (mode {mode:o})", file.display()),
            )
            .hint(format!("Run: chmod 600 {}", typed(file)))),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn parse(text: &str) -> Result<StateAddress> {
        StateAddress::parse(text, &AddressSource::Environment)
    }

    #[test]
    fn a_password_on_the_command_line_is_refused_and_not_repeated() {
        for text in ["postgres://me:hush-hush@db/claims", "postgres://me@db/claims?password=hush-hush"] {
            let error = StateAddress::parse(text, &AddressSource::CommandLine).err().unwrap();
            assert_eq!(error.exit(), Exit::Usage);
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
            assert!(error.hint.contains("BBDL_STATE"), "{}", error.hint);
            let address = parse(text).unwrap();
            assert_eq!(address.to_string(), "postgres://me@db/claims");
        }
        assert!(StateAddress::parse("postgres://me@db/claims", &AddressSource::CommandLine).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_password_in_a_configuration_file_needs_mode_0600() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "").unwrap();
        let source = AddressSource::ConfigFile(file.clone());
        for (mode, is_good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = StateAddress::parse("postgres://me:hush@db/claims", &source);
            assert_eq!(read.is_ok(), is_good, "{mode:o}");
            assert!(StateAddress::parse("postgres://me@db/claims", &source).is_ok());
        }
    }

    #[test]
    fn the_server_is_verified_unless_told_otherwise() {
        let tls = |text: &str| parse(text).unwrap().tls;
        let verified = Tls::Verified { extra_roots: None };
        assert_eq!(tls("postgres://db/claims"), verified);
        assert_eq!(tls("postgres://db/claims?sslmode=require"), verified);
        let own = Tls::Verified { extra_roots: Some("/etc/db.pem".into()) };
        assert_eq!(tls("postgresql://db/claims?sslrootcert=/etc/db.pem"), own);
        assert_eq!(tls("postgres://db/claims?sslmode=disable"), Tls::Off);
        #[cfg(unix)]
        assert_eq!(tls("postgres:///claims?host=/run/postgresql"), Tls::Off);
        for lax in ["prefer", "allow", "no-such-mode"] {
            assert_eq!(parse(&format!("postgres://db/claims?sslmode={lax}")).err().unwrap().exit(), Exit::Usage);
        }
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for text in ["", "db", "mysql://db/claims", "postgres://", "postgres:///claims", "postgres://db:x/claims"] {
            assert_eq!(parse(text).err().map(|error| error.exit()), Some(Exit::Usage), "{text}");
        }
    }
}
