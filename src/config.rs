//! Flag → environment → `config.toml` → default; profiles; where things live on this machine.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    api::server::{ApiVersion, Origin, PRODUCTION, SANDBOX, Server},
    archive_notes::ArchiveNote,
    auth::{
        ended::{Ended, EndedKind},
        store::{StoreKind, TokenStore, command::CommandStore, file::FileStore, keyring::KeyringStore},
        token::Grant,
    },
    durable,
    error::{Error, ErrorKind, Result},
    path_text, private_dir, private_file,
    ui::Color,
};

/// The name of a profile: letters, digits, `.`, `_`, `-`; at most 64; not starting with a dot or dash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProfileName(String);

impl ProfileName {
    /// The profile used when none is named.
    pub const DEFAULT: &str = "default";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name like this one, with something behind it.
    #[must_use]
    pub fn with_ending(&self, ending: &str) -> Self {
        const LONGEST: usize = 64;
        let begun: String = self.0.chars().take(LONGEST.saturating_sub(ending.len())).collect();
        format!("{begun}{ending}").parse().unwrap_or_else(|_| self.clone())
    }
}

impl FromStr for ProfileName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits = !text.is_empty() && text.len() <= 64 && !text.starts_with(['.', '-']);
        if fits && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a profile name is 1 to 64 letters, digits, '.', '_' or '-', and starts with none of '.' and '-'"
                .into())
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where things live on this machine.
#[derive(Clone, Debug)]
pub struct Paths {
    config_file: PathBuf,
    state: PathBuf,
    /// What keeps keyring items of this home apart from those of others; nothing for the system's own places.
    apart: Option<String>,
}

impl Paths {
    /// With `home` (`BBDL_HOME`) everything is below it; else the places the system has for
    /// configuration and state. `config` is a configuration file named by the person.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] when the system names no home directory.
    pub fn find(home: Option<&Path>, config: Option<&Path>) -> Result<Self> {
        let (config_dir, state) = match home {
            Some(home) => (home.to_owned(), home.to_owned()),
            None => {
                let dirs = directories::ProjectDirs::from("", "", "bbdl").ok_or_else(|| {
                    Error::new(ErrorKind::Home, "this system names no home directory for its user")
                        .hint("Set BBDL_HOME to a directory for bbdl's configuration and state.")
                })?;
                let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned();
                (dirs.config_dir().to_owned(), state)
            }
        };
        let config_file = config.map_or_else(|| config_dir.join("config.toml"), Path::to_owned);
        let apart = home.map(home_mark);
        Ok(Self { config_file, state, apart })
    }

    /// The record of a profile: no secrets in it.
    #[must_use]
    pub fn profile(&self, name: &ProfileName) -> PathBuf {
        self.state.join("profiles").join(format!("{name}.json"))
    }

    /// The lock of a profile's log-in.
    #[must_use]
    pub fn lock(&self, name: &ProfileName) -> PathBuf {
        self.state.join("locks").join(format!("{name}.lock"))
    }

    /// The lock that a log-in holds from before the browser opens until its tokens are stored.
    #[must_use]
    pub fn log_in_lock(&self, name: &ProfileName) -> PathBuf {
        self.state.join("locks").join(format!("{name}.log-in-lock"))
    }

    /// The lock of a profile's record. Its name ends otherwise than that of any profile's other lock.
    fn profile_lock(&self, name: &ProfileName) -> PathBuf {
        self.state.join("locks").join(format!("{name}.profile-lock"))
    }

    /// Opens a token store. `unattended` shortens how long a keyring or a program may take to answer;
    /// `command` is the program.
    #[must_use]
    pub fn token_store(&self, kind: StoreKind, unattended: bool, command: Option<&str>) -> Box<dyn TokenStore> {
        const ATTENDED: std::time::Duration = std::time::Duration::from_secs(60);
        const UNATTENDED: std::time::Duration = std::time::Duration::from_secs(10);
        let patience = if unattended { UNATTENDED } else { ATTENDED };
        match kind {
            StoreKind::Keyring => Box::new(KeyringStore::new(patience, self.apart.clone())),
            StoreKind::File => Box::new(FileStore::new(self.state.join("tokens"))),
            StoreKind::Command => Box::new(CommandStore::new(command, &self.state, patience).attended(!unattended)),
        }
    }

    /// The directories in which secrets and records are, those that are not there included.
    #[must_use]
    pub fn private_dirs(&self) -> [PathBuf; 5] {
        ["", "profiles", "tokens", "locks", "archives"].map(|name| self.state.join(name))
    }

    /// The names of all profiles, sorted.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn profiles(&self) -> Result<Vec<ProfileName>> {
        names_in(&self.state.join("profiles"))
    }

    /// Where it is noted which archives a log-in that has ended has filled.
    #[must_use]
    pub fn left_behind(&self) -> PathBuf {
        self.state.join("archives")
    }

    /// Refuses a state directory in which others could put a profile, a lock or a token file of theirs.
    ///
    /// # Errors
    /// [`crate::error::Exit::PersonMustAct`] with what to type, [`crate::error::Exit::Disk`].
    pub fn check(&self) -> Result<()> {
        self.private_dirs().iter().try_for_each(|dir| {
            // Any of them may be kept elsewhere by a link; what it leads to has to be safe.
            let real = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
            private_dir::check(&real, false).map(drop)
        })
    }
}

/// The profile names of the records in a directory, sorted.
///
/// # Errors
/// [`crate::error::Exit::Disk`].
pub(crate) fn names_in(dir: &Path) -> Result<Vec<ProfileName>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::disk("read", dir, &cause)),
    };
    let mut names: Vec<ProfileName> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse().ok()).collect();
    names.sort();
    Ok(names)
}

/// `BBDL_HOME`, where it is set.
#[must_use]
pub fn home() -> Option<PathBuf> {
    std::env::var_os("BBDL_HOME").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The names of all profiles, or none where they cannot be had: for a shell that completes one.
#[must_use]
pub fn profile_names() -> Vec<ProfileName> {
    Paths::find(home().as_deref(), None).and_then(|paths| paths.profiles()).unwrap_or_default()
}

/// A short name for a home directory: profiles of the same name below two homes are not the same.
fn home_mark(home: &Path) -> String {
    let whole = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
    // The same name before and after it is made, and by way of whatever link.
    let there = whole.ancestors().find_map(|part| Some((std::fs::canonicalize(part).ok()?, part)));
    let whole = match &there {
        Some((real, part)) => whole.strip_prefix(part).map_or_else(|_| whole.clone(), |rest| real.join(rest)),
        None => whole,
    };
    // Part by part: the same, whether or not it was typed with a slash at its end.
    let whole: PathBuf = whole.components().collect();
    Sha256::digest(whole.as_os_str().as_encoded_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What is remembered of a log-in, without its secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The server.
    pub server: Origin,
    /// The API version.
    pub api: ApiVersion,
    /// The app's client id.
    pub client_id: String,
    /// Where the tokens and the client secret are.
    pub token_store: StoreKind,
    /// The redirect URI given at log-in, if any.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// What the server said of the grant.
    #[serde(flatten)]
    pub grant: Grant,
    /// Archives filled with it.
    #[serde(default)]
    pub archives: Vec<ArchiveNote>,
    /// That the log-in is over, where that is known. 0.1.0 did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

impl Profile {
    /// Reads a profile; `None` when there is none of this name.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`], or [`crate::error::Exit::NotSetUp`] when the file is not a profile.
    pub fn load(paths: &Paths, name: &ProfileName) -> Result<Option<Self>> {
        let path = paths.profile(name);
        let text = match private_file::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::disk("read", &path, &cause)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|cause| {
            Error::new(ErrorKind::Profile, format!("{} is not a profile of bbdl's: {cause}", path.display()))
                .hint("Delete it and log in again.")
        })
    }

    /// Reads a profile that must be there.
    ///
    /// # Errors
    /// As [`Profile::load`], and [`crate::error::Exit::NotSetUp`] when there is none of this name.
    pub fn must_load(paths: &Paths, name: &ProfileName) -> Result<Self> {
        Self::load(paths, name)?.ok_or_else(|| {
            let option = profile_option(name);
            let known = paths.profiles().unwrap_or_default();
            let near = known.iter().map(|it| (strsim::damerau_levenshtein(it.as_str(), name.as_str()), it)).min();
            let login = format!("bbdl login --sandbox{option}  (or --production)");
            let hint = match near {
                Some((distance, near)) if distance <= FAR => {
                    format!("Did you mean --profile {near}? Or log in: {login}")
                }
                _ => format!("Log in first: {login}"),
            };
            Error::new(ErrorKind::NoProfile, format!("there is no profile \"{name}\" on this machine")).hint(hint)
        })
    }

    /// Writes the profile, durably and privately.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    fn save(&self, paths: &Paths, name: &ProfileName) -> Result<()> {
        let path = paths.profile(name);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::new(ErrorKind::Defect, format!("a profile cannot be written: {cause}")))?;
        durable::write_private(&path, &text).map_err(|cause| Error::disk("write", &path, &cause))
    }

    /// The lock under which the file is read and written anew; never held while anything is waited for.
    fn hold(paths: &Paths, name: &ProfileName) -> Result<durable::FileLock> {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
        let lock = paths.profile_lock(name);
        durable::FileLock::acquire(&lock, PATIENCE, "note").map_err(|cause| match cause {
            durable::LockError::Held { .. } => Error::new(ErrorKind::Lock, format!("the profile is in use: {cause}"))
                .hint("Run the same command again."),
            durable::LockError::Io(cause) => Error::disk("lock", &lock, &cause),
        })
    }

    /// Puts this profile in the place of what was there, one process at a time.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`]; [`crate::error::Exit::TryAgain`] when another process keeps the file for long.
    pub fn replace(&self, paths: &Paths, name: &ProfileName) -> Result<()> {
        let _held = Self::hold(paths, name)?;
        self.save(paths, name)
    }

    /// Removes a profile, one process at a time: whoever updates it at that moment does not bring it back.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`]; [`crate::error::Exit::TryAgain`] when another process keeps the file for long.
    pub fn forget(paths: &Paths, name: &ProfileName) -> Result<()> {
        let _held = Self::hold(paths, name)?;
        let path = paths.profile(name);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::disk("remove", &path, &cause)),
            _ => Ok(()),
        }
    }

    /// Changes what is remembered of a profile, one process at a time.
    ///
    /// # Errors
    /// As [`Profile::must_load`]; [`crate::error::Exit::Disk`]; [`crate::error::Exit::TryAgain`] when another process keeps
    /// the file for long.
    pub fn update(paths: &Paths, name: &ProfileName, change: impl FnOnce(&mut Self)) -> Result<()> {
        let _held = Self::hold(paths, name)?;
        let mut profile = Self::must_load(paths, name)?;
        change(&mut profile);
        profile.save(paths, name)
    }

    /// Notes that the log-in which `grant` is of is over. Where another log-in has taken its place meanwhile,
    /// or an end is noted already, nothing changes.
    ///
    /// # Errors
    /// As [`Profile::update`].
    pub fn mark_ended(paths: &Paths, name: &ProfileName, grant: &Grant, kind: EndedKind) -> Result<()> {
        Self::update(paths, name, |profile| {
            if profile.grant.log_in == grant.log_in && profile.ended.is_none() {
                profile.ended = Some(Ended { kind, at: Timestamp::now() });
            }
        })
    }

    /// Takes the note away that the log-in is over: the server has just accepted it.
    ///
    /// # Errors
    /// As [`Profile::update`].
    pub fn clear_ended(paths: &Paths, name: &ProfileName) -> Result<()> {
        Self::update(paths, name, |profile| profile.ended = None)
    }

    /// Whether another profile is certainly of the same person: the same server names the same Patient id.
    #[must_use]
    pub fn holds_the_person_of(&self, other: &Self) -> bool {
        self.server == other.server
            && self.api.shares_ids_with(other.api)
            && self.grant.patient.is_some()
            && self.grant.patient == other.grant.patient
    }

    /// Every profile that can be read, by name.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn load_all(paths: &Paths) -> Result<Vec<(ProfileName, Self)>> {
        let load = |name: ProfileName| Self::load(paths, &name).ok().flatten().map(|profile| (name, profile));
        Ok(paths.profiles()?.into_iter().filter_map(load).collect())
    }

    /// Server and version.
    #[must_use]
    pub fn server(&self) -> Server {
        Server::new(self.server.clone(), self.api)
    }

    /// The command line that logs this profile in again.
    #[must_use]
    pub fn login_command(&self, name: &ProfileName) -> String {
        login_command(&self.server, self.api, name)
    }
}

/// The command line that logs in at a server.
#[must_use]
pub fn login_command(server: &Origin, api: ApiVersion, name: &ProfileName) -> String {
    let server = match server.to_string() {
        text if text == SANDBOX => "--sandbox".to_owned(),
        text if text == PRODUCTION => "--production".to_owned(),
        text => format!("--server {text}"),
    };
    let api = if api == ApiVersion::default() { String::new() } else { format!(" --api {api}") };
    format!("bbdl login {server}{api}{}", profile_option(name))
}

/// The flag that names a profile, with a blank before it; nothing for the default one.
#[must_use]
pub fn profile_option(name: &ProfileName) -> String {
    if name.as_str() == ProfileName::DEFAULT { String::new() } else { format!(" --profile {name}") }
}

/// `config.toml`: defaults for flags, for all profiles and for single ones. Unknown keys are errors.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// `--profile`
    pub profile: Option<String>,
    /// `--token-store`
    pub token_store: Option<StoreKind>,
    /// The program of `--token-store command`, as a shell runs it; `BBDL_TOKEN_STORE_COMMAND` comes first.
    pub token_store_command: Option<String>,
    /// `--json`
    pub json: bool,
    /// `--quiet`
    pub quiet: bool,
    /// `--verbose`, as often
    pub verbose: u8,
    /// `--no-progress`
    pub no_progress: bool,
    /// `--no-input`
    pub no_input: bool,
    /// `--color`
    pub color: Option<Color>,
    /// `--ca-cert`
    pub ca_cert: Option<PathBuf>,
    /// Log-in defaults for every profile.
    pub login: LoginDefaults,
    /// Log-in defaults for single profiles: `[profiles.NAME]`.
    pub profiles: std::collections::BTreeMap<String, LoginDefaults>,
}

/// Letters by which a name may differ from the one that was meant.
const FAR: usize = 3;

/// What to do about a key that there is not: the name nearest to it among those that there are, which the parser
/// lists.
fn correction(complaint: &str) -> String {
    let mut names = complaint.split('`').skip(1).step_by(2);
    let typed = names.next().unwrap_or_default();
    let nearest = names.map(|name| (strsim::damerau_levenshtein(typed, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= FAR => format!("Did you mean {name}? Correct or remove that line."),
        _ => "Correct or remove that line.".to_owned(),
    }
}

/// Defaults of `bbdl login`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginDefaults {
    /// `sandbox`, `production` or a URL.
    pub server: Option<String>,
    /// `--api`
    pub api: Option<ApiVersion>,
    /// `--client-id`
    pub client_id: Option<String>,
    /// `--client-secret-file`
    pub client_secret_file: Option<PathBuf>,
    /// `--redirect-uri`
    pub redirect_uri: Option<String>,
    /// `--no-browser`
    pub no_browser: Option<bool>,
    /// `--manual`
    pub manual: Option<bool>,
    /// `--scope`
    pub scope: Option<Vec<String>>,
    /// `--lang`
    pub lang: Option<String>,
    /// `--timeout`: seconds, or a text such as `15m`
    #[serde(deserialize_with = "crate::duration::deserialize")]
    pub timeout: Option<std::time::Duration>,
}

impl ConfigFile {
    /// Reads the configuration file. One that is not there is empty, unless it was `named`.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] with the line at fault.
    pub fn load(paths: &Paths, named: bool) -> Result<Self> {
        let path = &paths.config_file;
        let text = match private_file::read_following_links(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && !named => return Ok(Self::default()),
            Err(cause) => {
                return Err(Error::new(ErrorKind::Config, format!("cannot read {}: {cause}", path.display()))
                    .hint("Check the path given with --config."));
            }
        };
        // It may name a program to run.
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for path in [path, dir] {
            let metadata = std::fs::metadata(path).ok().filter(|it| it.is_file() || it.is_dir());
            if let Some(mode) = metadata.and_then(|metadata| private_dir::replaceable_by_anybody(&metadata)) {
                let message = format!("{}: anybody may write to it (mode {mode:o})", path.display());
                let hint = format!("If nobody else has, run: chmod o-w {}", path_text::typed(path));
                return Err(Error::new(ErrorKind::Config, message).hint(hint));
            }
        }
        let text = String::from_utf8(text).map_err(|_| {
            Error::new(ErrorKind::Config, format!("{} is not UTF-8", path.display())).hint("Save it as UTF-8.")
        })?;
        toml::from_str(&text).map_err(|cause| {
            let line = cause.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            Error::new(ErrorKind::Config, format!("{}, line {line}: {}", path.display(), cause.message().trim()))
                .hint(correction(cause.message()))
        })
    }

    /// The log-in defaults of a profile: its own, then those of all.
    #[must_use]
    pub fn login_for(&self, profile: &ProfileName) -> LoginDefaults {
        let own = self.profiles.get(profile.as_str()).cloned().unwrap_or_default();
        let all = self.login.clone();
        LoginDefaults {
            server: own.server.or(all.server),
            api: own.api.or(all.api),
            client_id: own.client_id.or(all.client_id),
            client_secret_file: own.client_secret_file.or(all.client_secret_file),
            redirect_uri: own.redirect_uri.or(all.redirect_uri),
            no_browser: own.no_browser.or(all.no_browser),
            manual: own.manual.or(all.manual),
            scope: own.scope.or(all.scope),
            lang: own.lang.or(all.lang),
            timeout: own.timeout.or(all.timeout),
        }
    }
}

/// `sandbox`, `production` or a URL, as an origin.
///
/// # Errors
/// [`crate::error::Exit::Usage`] with what is wrong.
pub fn server_named(text: &str) -> Result<Origin> {
    let url = match text {
        "sandbox" => SANDBOX,
        "production" => PRODUCTION,
        url => url,
    };
    url.parse().map_err(|cause| Error::usage(format!("server \"{}\": {cause}", crate::error::shown(text))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn profile_names_are_fit_to_be_file_names() {
        for good in ["default", "mum", "study-17.a_b"] {
            assert!(good.parse::<ProfileName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", "-x", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<ProfileName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_end_of_a_log_in_is_noted_once_and_for_that_log_in_only() {
        let dir = tempfile::tempdir().unwrap();
        let (paths, name) = (Paths::find(Some(dir.path()), None).unwrap(), "mum".parse().unwrap());
        let text = include_str!("../tests/fixtures/0.1.0/home/profiles/default.json");
        let profile: Profile = serde_json::from_str(text).unwrap();
        profile.replace(&paths, &name).unwrap();
        let ended = || Profile::must_load(&paths, &name).unwrap().ended.map(|ended| ended.kind);
        assert_eq!(ended(), None);
        let other = Grant { log_in: Some(1), ..profile.grant.clone() };
        Profile::mark_ended(&paths, &name, &other, EndedKind::RefreshToken).unwrap();
        assert_eq!(ended(), None);
        Profile::mark_ended(&paths, &name, &profile.grant, EndedKind::GrantRevoked).unwrap();
        Profile::mark_ended(&paths, &name, &profile.grant, EndedKind::RefreshToken).unwrap();
        assert_eq!(ended(), Some(EndedKind::GrantRevoked));
        Profile::clear_ended(&paths, &name).unwrap();
        assert_eq!(ended(), None);
    }

    #[test]
    fn a_home_has_one_mark_before_and_after_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("a/b");
        let before = home_mark(&home);
        std::fs::create_dir_all(&home).unwrap();
        assert_eq!(home_mark(&home), before);
        assert_eq!(home_mark(&home.join("")), before);
        assert_ne!(home_mark(dir.path()), before);
    }

    #[test]
    fn the_configuration_names_the_line_at_fault() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "quiet = true\n[login]\nsever = \"sandbox\"\n").unwrap();
        let paths = Paths::find(Some(dir.path()), None).unwrap();
        let error = ConfigFile::load(&paths, false).unwrap_err();
        assert_eq!(error.exit(), Exit::NotSetUp);
        assert!(error.message.contains("line 3") && error.message.contains("sever"), "{}", error.message);
        assert!(error.hint.starts_with("Did you mean server?"), "{}", error.hint);
        assert_eq!(correction("unknown field `colour_of_the_sky`, expected `color`"), "Correct or remove that line.");
        assert_eq!(correction("no words at all"), "Correct or remove that line.");
    }

    #[test]
    fn a_profiles_own_defaults_come_first() {
        let file: ConfigFile =
            toml::from_str("[login]\nserver = \"sandbox\"\nlang = \"es\"\n[profiles.mum]\nserver = \"production\"\n")
                .unwrap();
        let defaults = file.login_for(&"mum".parse().unwrap());
        assert_eq!(defaults.server.as_deref(), Some("production"));
        assert_eq!(defaults.lang.as_deref(), Some("es"));
    }

    #[test]
    fn the_login_command_is_the_one_to_type() {
        let name = "mum".parse().unwrap();
        let sandbox = SANDBOX.parse().unwrap();
        assert_eq!(login_command(&sandbox, ApiVersion::V3, &name), "bbdl login --sandbox --api v3 --profile mum");
        let default = ProfileName::DEFAULT.parse().unwrap();
        let mock = "http://127.0.0.1:8099".parse().unwrap();
        assert_eq!(login_command(&mock, ApiVersion::V2, &default), "bbdl login --server http://127.0.0.1:8099");
    }
}
