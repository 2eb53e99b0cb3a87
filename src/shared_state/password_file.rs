//! libpq's password file (`PGPASSFILE`, else `~/.pgpass`): lines of `host:port:database:user:password`.

use std::path::{Path, PathBuf};

use tokio_postgres::config::{Config, Host};
use zeroize::Zeroizing;

use super::address::host_text;
use crate::secret::Secret;

/// The path of the file on this machine.
#[must_use]
pub(crate) fn place() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PGPASSFILE").or_else(|| set("HOME").map(|home| home.join(".pgpass")))
}

/// The permission bits of a file that group or others may read. `None` if only its owner can, or if that is not
/// known.
pub(super) fn open_to_others(file: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o7777;
        (mode & 0o077 != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

/// The password for a database. Like libpq, ignores a file that others may read.
pub(super) fn find(file: &Path, config: &Config) -> Option<Secret> {
    if open_to_others(file).is_some() {
        return None;
    }
    let text = Zeroizing::new(std::fs::read_to_string(file).ok()?);
    let host = config.get_hosts().first().map(name_of)?;
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let wanted = [
        &host,
        &port,
        config.get_dbname().or(config.get_user()).unwrap_or_default(),
        config.get_user().unwrap_or_default(),
    ];
    text.lines().find_map(|line| password_in(line, wanted))
}

/// libpq writes `localhost` for a socket.
fn name_of(host: &Host) -> String {
    match host {
        Host::Tcp(_) => host_text(host),
        #[cfg(unix)]
        Host::Unix(_) => "localhost".to_owned(),
    }
}

/// The password in a line that matches `wanted` (host, port, database, user).
fn password_in(line: &str, wanted: [&str; 4]) -> Option<Secret> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, after) = field(rest)?;
        if field != "*" && unescaped(field) != wanted {
            return None;
        }
        rest = after;
    }
    Some(Secret::new(unescaped(rest)))
}

/// The text up to the next colon without a backslash before it.
fn field(text: &str) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    let end = text.find(|c: char| {
        let ends = c == ':' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    Some((&text[..end], &text[end + 1..]))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        plain.push(if c == '\\' { characters.next().unwrap_or(c) } else { c });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let wanted = ["db.example", "5432", "claims", "me"];
        let password = |line: &str| password_in(line, wanted).map(|found| found.expose().to_owned());
        assert_eq!(password("db.example:5432:claims:me:hush").as_deref(), Some("hush"));
        assert_eq!(password(r"*:*:*:me:a\:b\\c").as_deref(), Some(r"a:b\c"));
        assert_eq!(password("*:*:*:*:a:b").as_deref(), Some("a:b"), "only the first four colons part fields");
        for other in ["db.example:5433:claims:me:x", "db.example:5432:claims:you:x", "# *:*:*:*:x", "", "a:b"] {
            assert_eq!(password(other), None, "{other}");
        }
        assert_eq!(
            password_in(r"a\:b:1:d:u:x", ["a:b", "1", "d", "u"]).map(|found| found.expose().to_owned()).as_deref(),
            Some("x")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pgpass");
        std::fs::write(&file, "db:*:*:*:hush\n").unwrap();
        let config: Config = "postgres://me@db/claims".parse().unwrap();
        for (mode, is_used) in [(0o600, true), (0o640, false), (0o644, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(find(&file, &config).is_some(), is_used, "{mode:o}");
        }
    }
}
