//! Paths as text: in JSON, without losing anything, and in a command for a person to type.
//!
//! A path on this system does not have to be UTF-8. In JSON, such a path is a `file:` URL (RFC 8089) with the odd
//! bytes percent-encoded. No other path looks like that, because the others are absolute or as a person typed them.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use url::Url;

/// The path for JSON: unchanged if it is UTF-8, else a `file:` URL of the whole path.
#[must_use]
pub(crate) fn to_text(path: &Path) -> String {
    let url = || Url::from_file_path(std::path::absolute(path).ok()?).ok();
    match path.to_str() {
        // A path with this prefix would be read back as a URL.
        Some(text) if !text.starts_with(SCHEME) => text.to_owned(),
        _ => url().map_or_else(|| path.to_string_lossy().into_owned(), String::from),
    }
}

/// The path from the text that [`to_text`] wrote.
#[must_use]
pub(crate) fn from_text(text: &str) -> PathBuf {
    let decoded = || Url::parse(text).ok()?.to_file_path().ok();
    text.starts_with(SCHEME).then(decoded).flatten().unwrap_or_else(|| text.into())
}

const SCHEME: &str = "file://";

/// For `#[serde(with = "path_text::json")]`.
pub(crate) mod json {
    use super::{Path, PathBuf, from_text, to_text};

    /// Like [`to_text`].
    ///
    /// # Errors
    /// Errors of the serializer.
    pub(crate) fn serialize<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&to_text(path))
    }

    /// Like [`from_text`].
    ///
    /// # Errors
    /// Errors of the deserializer.
    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        let text: std::borrow::Cow<'de, str> = serde::Deserialize::deserialize(from)?;
        Ok(from_text(&text))
    }
}

/// The path in a form that a person can type in a shell, for any program: like [`quoted`], and with `./` before a
/// name that programs would take for an option.
#[must_use]
pub(crate) fn typed(path: &Path) -> String {
    if path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        let mut name = OsString::from("./");
        name.push(path);
        return quoted(&name);
    }
    quoted(path.as_os_str())
}

/// The word in a form that a person can type in a shell: unchanged if it needs no quotes, else quoted, and with
/// `$'…'` (POSIX 2024, 2.2.4) if it is not text.
#[must_use]
pub(crate) fn quoted(word: &OsStr) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    match word.to_str() {
        Some(text) if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) => text.to_owned(),
        Some(text) if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let bytes = word.as_encoded_bytes();
            let escaped = |byte: &u8| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                b' '..=b'~' => char::from(*byte).to_string(),
                // Always three octal digits, so that a digit that follows is not read as part of it.
                byte => format!("\\{byte:03o}"),
            };
            format!("$'{}'", bytes.iter().map(escaped).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_text_are_unchanged() {
        for text in ["claims", "/home/mom/claims", "/home/großmutter/a b%20c", "x\ny", "-"] {
            assert_eq!(to_text(Path::new(text)), text);
            assert_eq!(from_text(text), Path::new(text));
        }
        // Older records may contain this.
        assert_eq!(from_text("file:x"), Path::new("file:x"));
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_are_not_text_survive() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let odd = Path::new(OsStr::from_bytes(b"/home/caf\xe9 %41/\xff\n"));
        assert_eq!(to_text(odd), "file:///home/caf%E9%20%2541/%FF%0A");
        assert_eq!(from_text(&to_text(odd)), odd);
        let relative = Path::new(OsStr::from_bytes(b"caf\xe9"));
        assert_eq!(from_text(&to_text(relative)), std::path::absolute(relative).unwrap());
        let named_like_a_url = Path::new("file:///x");
        assert_eq!(from_text(&to_text(named_like_a_url)), std::path::absolute(named_like_a_url).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn shown_paths_can_be_pasted_into_a_shell() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt, process::Command};
        for bytes in [
            &b"/home/mom/claims"[..],
            b"a b",
            b"o'neil",
            b"$HOME `x` \"y\" \\",
            b"caf\xe9\xff12'\\ \n\t",
            "großmutter".as_bytes(),
            b"~",
            b"",
        ] {
            let word = typed(Path::new(OsStr::from_bytes(bytes)));
            let shell = Command::new("bash").args(["-c", &format!("printf %s {word}")]).output().unwrap();
            assert_eq!(shell.stdout, bytes, "{word}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_program_takes_a_shown_path_for_an_option() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt, process::Command};
        let dir = tempfile::tempdir().unwrap();
        for bytes in [&b"-rf"[..], b"-", b"--", b"--help", b"-o'neil x", b"-\xff\n"] {
            let name = Path::new(OsStr::from_bytes(bytes));
            std::fs::create_dir(dir.path().join(name)).unwrap();
            let line = format!("chmod 711 {0} && rmdir {0}", typed(name));
            let shell = Command::new("bash").args(["-c", &line]).current_dir(dir.path()).output().unwrap();
            assert!(shell.status.success(), "{line}: {}", String::from_utf8_lossy(&shell.stderr));
            assert!(!dir.path().join(name).exists(), "{line}");
        }
    }
}
