//! `config.toml`: defaults for flags that are not typed.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Paths, ProfileName};
use crate::{
    api_version::ApiVersion,
    auth::store::StoreKind,
    error::{Error, ErrorKind, Result, in_words},
    files::{path_text, private_dir, private_file},
    output::Color,
    secret::Secret,
    spelling,
};

/// `config.toml`: defaults for flags, for all profiles or for single ones. Unknown keys are errors.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// `--profile`
    pub profile: Option<String>,
    /// `--token-store`
    pub token_store: Option<StoreKind>,
    /// The program of `--token-store command`, as a shell command; `BBDL_TOKEN_STORE_COMMAND` has priority.
    pub token_store_command: Option<String>,
    /// `--json`
    pub json: bool,
    /// `--quiet`
    pub quiet: bool,
    /// `--verbose`, as a number
    pub verbose: u8,
    /// `--no-progress`
    pub no_progress: bool,
    /// `--no-input`
    pub no_input: bool,
    /// `--color`
    pub color: Option<Color>,
    /// `--ca-cert`
    pub ca_cert: Option<PathBuf>,
    /// `--state`
    pub state: Option<Secret>,
    /// `--state-key-file`
    pub state_key_file: Option<PathBuf>,
    /// The program that prints the key, as a shell command; `BBDL_STATE_KEY_COMMAND` has priority.
    pub state_key_command: Option<String>,
    /// Log-in defaults for every profile.
    pub login: LoginDefaults,
    /// Log-in defaults for single profiles: `[profiles.NAME]`.
    pub profiles: std::collections::BTreeMap<String, LoginDefaults>,
}

/// The correction for an unknown key: the most similar one of the known keys, which the parser lists.
fn correction(complaint: &str) -> String {
    let mut names = complaint.split('`').skip(1).step_by(2);
    let typed = names.next().unwrap_or_default();
    match spelling::nearest(typed, names, |name| (*name).to_owned()) {
        Some(name) => format!("Did you mean {name}? Correct or remove that line."),
        None => "Correct or remove that line.".to_owned(),
    }
}

/// The correction for a line with a Windows path in double quotes, where a backslash begins an escape.
fn in_single_quotes(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let is_escaped = value.trim_start().strip_prefix('"').is_some_and(|value| value.contains('\\'));
    is_escaped.then(|| {
        let key = key.trim();
        format!("Put a path with backslashes in single quotes: {key} = 'C:\\Users\\you\\...'")
    })
}

/// What is wrong with a line that is not TOML.
fn not_toml(complaint: &str, line: &str) -> String {
    let value = line.split_once('=').map(|(_, value)| value.trim());
    let what = match value {
        _ if complaint.starts_with("duplicate key") => "this name is there twice",
        _ if in_single_quotes(line).is_some() => "a backslash in double quotes begins an escape",
        Some("") => "there is nothing after the =",
        Some(value) if value.starts_with(char::is_alphabetic) => "text must be in quotation marks",
        Some(_) => "what is after the = cannot be read",
        None if line.trim_start().starts_with('[') => "this line is not like [name]",
        None => "this line is not like name = value",
    };
    what.to_owned()
}

/// The parser's message about a setting, in words for the person who wrote the file.
fn in_plain_words(complaint: &str, line: &str) -> String {
    let setting = line.split_once('=').map_or("this setting", |(name, _)| name.trim());
    if let Some((_, expected)) = complaint
        .strip_prefix("invalid type: ")
        .or(complaint.strip_prefix("invalid value: "))
        .and_then(|it| it.rsplit_once(", expected "))
    {
        let what = match expected {
            "a boolean" => "true or false",
            "a sequence" => "a list of texts in square brackets",
            "u8" | "u64" => "a whole number, 0 or more",
            expected if expected.starts_with("struct ") || expected.contains("map") => {
                "a section of its own, in square brackets"
            }
            _ => "text in quotation marks",
        };
        return format!("{setting} must be {what}");
    }
    if complaint == "wanted string or table" {
        return format!("{setting} must be text in quotation marks");
    }
    let mut names = complaint.split('`').skip(1).step_by(2);
    let typed = names.next().unwrap_or_default();
    let known = names.collect::<Vec<_>>().join(", ");
    match complaint {
        _ if complaint.starts_with("unknown field") => format!("there is no setting \"{typed}\"; there are {known}"),
        _ if complaint.starts_with("unknown variant") => {
            format!("\"{typed}\" is not a value of this setting; there are {known}")
        }
        _ => complaint.to_owned(),
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
    /// Reads the configuration file. A missing file counts as empty, unless it was `named`.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] with the wrong line.
    pub fn load(paths: &Paths, named: bool) -> Result<Self> {
        let path = &paths.config_file;
        let text = match private_file::read_following_links(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && !named => return Ok(Self::default()),
            Err(cause) => {
                let hint = if named {
                    "Check the path given with --config or BBDL_CONFIG."
                } else {
                    "This file is bbdl's configuration. Make it readable, or move it away."
                };
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("cannot read {}: {}", path.display(), in_words(&cause)),
                )
                .hint(hint));
            }
        };
        // The file may name a program to run, so others must not be able to change it.
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for path in [path, dir] {
            let metadata = std::fs::metadata(path).ok().filter(|it| it.is_file() || it.is_dir());
            if let Some(mode) = metadata.and_then(|metadata| private_dir::replaceable_by_anybody(&metadata)) {
                let message = format!("{}: anybody can write to it (mode {mode:o})", path.display());
                let hint = format!("If nobody else has, run: chmod o-w {}", path_text::typed(path));
                return Err(Error::new(ErrorKind::Config, message).hint(hint));
            }
        }
        let text = String::from_utf8(text).map_err(|_| {
            Error::new(ErrorKind::Config, format!("{} is not UTF-8", path.display())).hint("Save it as UTF-8.")
        })?;
        toml::from_str(&text).map_err(|cause| {
            let before = cause.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
            let line = text.lines().nth(before).unwrap_or_default();
            let what = cause.message().trim();
            let said = match text.parse::<toml::Table>() {
                Ok(_) => in_plain_words(what, line),
                Err(_) => not_toml(what, line),
            };
            Error::new(ErrorKind::Config, format!("{}, line {}: {said}", path.display(), before + 1))
                .hint(in_single_quotes(line).unwrap_or_else(|| correction(what)))
        })
    }

    /// The log-in defaults of a profile: its own first, then those for all profiles.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn what_is_wrong_with_the_configuration_is_told_in_plain_words() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::find(Some(dir.path()), None).unwrap();
        for (text, said) in [
            ("profile = 3", "profile must be text in quotation marks"),
            ("ca_cert = true", "ca_cert must be text in quotation marks"),
            ("token_store = 3", "token_store must be text in quotation marks"),
            ("json = \"yes\"", "json must be true or false"),
            ("verbose = \"yes\"", "verbose must be a whole number, 0 or more"),
            ("verbose = 300", "verbose must be a whole number, 0 or more"),
            ("login = 3", "login must be a section of its own, in square brackets"),
            ("[login]\nscope = \"a\"", "scope must be a list of texts in square brackets"),
            ("[login]\ntimeout = true", "write it like 90s, 15m, 6h or 7d; a bare number is seconds"),
            ("color = \"pink\"", "\"pink\" is not a value of this setting; there are auto, always, never"),
            ("profile", "this line is not like name = value"),
            ("profile mom", "this line is not like name = value"),
            ("profile: mom", "this line is not like name = value"),
            ("profile = mom", "text must be in quotation marks"),
            ("profile =", "there is nothing after the ="),
            ("profile = \"mom", "what is after the = cannot be read"),
            ("[login", "this line is not like [name]"),
            ("json = true\njson = true", "this name is there twice"),
        ] {
            std::fs::write(dir.path().join("config.toml"), text).unwrap();
            let error = ConfigFile::load(&paths, false).unwrap_err();
            assert!(error.message.ends_with(&format!(": {said}")), "{text}: {}", error.message);
        }
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
        let windows = "[login]\nclient_secret_file = \"C:\\Users\\you\\secret.txt\"\n";
        std::fs::write(&file, windows).unwrap();
        let error = ConfigFile::load(&paths, false).unwrap_err();
        assert!(error.message.contains("line 2"), "{}", error.message);
        assert!(error.hint.ends_with(r"single quotes: client_secret_file = 'C:\Users\you\...'"), "{}", error.hint);
        std::fs::write(&file, windows.replace('"', "'")).unwrap();
        let read = ConfigFile::load(&paths, false).unwrap().login.client_secret_file.unwrap();
        assert_eq!(read, PathBuf::from(r"C:\Users\you\secret.txt"));
        assert_eq!(correction("unknown field `colour_of_the_sky`, expected `color`"), "Correct or remove that line.");
        assert_eq!(correction("no words at all"), "Correct or remove that line.");
    }

    #[test]
    fn a_profiles_own_defaults_come_first() {
        let file: ConfigFile =
            toml::from_str("[login]\nserver = \"sandbox\"\nlang = \"es\"\n[profiles.mom]\nserver = \"production\"\n")
                .unwrap();
        let defaults = file.login_for(&"mom".parse().unwrap());
        assert_eq!(defaults.server.as_deref(), Some("production"));
        assert_eq!(defaults.lang.as_deref(), Some("es"));
    }
}
