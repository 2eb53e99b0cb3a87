//! The kinds of failure, what a person should do about each, and the exit code.
//!
//! A room that fails has an error type of its own where a caller decides something by it; at the
//! door of a command all become this one. The codes are the sysexits names that systemd, cron
//! wrappers and mailers know.

use std::{fmt, path::Path, time::Duration};

/// How a run ends. The numbers are a promise to scripts (`docs/exit-codes.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, "nothing new" included.
    Done = 0,
    /// A defect in bbdl.
    Defect = 1,
    /// The command line is wrong.
    Usage = 2,
    /// `EX_DATAERR`: the server's answer or the archive is not what it must be; nothing was replaced.
    Data = 65,
    /// `EX_IOERR`: the local disk.
    Disk = 74,
    /// `EX_TEMPFAIL`: try again later.
    TryAgain = 75,
    /// `EX_NOPERM`: a person must act.
    PersonMustAct = 77,
    /// `EX_CONFIG`: not set up.
    NotSetUp = 78,
    /// Interrupted; what was complete is kept.
    Interrupted = 130,
}

impl Exit {
    /// The number given to the operating system.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// A failure as it is told to a person or a script: what failed, why, and the next thing to type.
#[derive(Clone, Debug)]
pub struct Error {
    /// The exit code.
    pub exit: Exit,
    /// A short, stable word for scripts (`withheld`, `network`, `lock`, …).
    pub kind: &'static str,
    /// What failed and why. Never holds a secret or anything from a claim.
    pub message: String,
    /// The next thing to do or type; empty where there is nothing to say.
    pub hint: String,
    /// When the server asked us to come back later: how much later.
    pub retry_after: Option<Duration>,
    /// Whether a machine-readable result has said it already.
    pub reported: bool,
}

/// What every command returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure with its code, its stable word and its sentence.
    pub fn new(exit: Exit, kind: &'static str, message: impl Into<String>) -> Self {
        Self { exit, kind, message: message.into(), hint: String::new(), retry_after: None, reported: false }
    }

    /// Adds the next thing to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The failure as the contract's JSON object, without the `error` around it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut body = serde_json::json!({
            "kind": self.kind, "message": self.message, "hint": self.hint, "exit_code": self.exit.code(),
        });
        if let Some(wait) = self.retry_after {
            body["retry_after_s"] = wait.as_secs().into();
        }
        body
    }

    /// Notes that the result on stdout says it already.
    #[must_use]
    pub fn already_reported(mut self) -> Self {
        self.reported = true;
        self
    }

    /// Adds the time after which the server wants to be asked again.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Something wrong with a local file.
    #[must_use]
    pub fn disk(doing: &str, path: &Path, cause: &std::io::Error) -> Self {
        let hint = match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                "Free some space and run the same command again."
            }
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                "Check who owns the directory and whether it may be written to."
            }
            _ if is_shortage_of_files(cause) => {
                "Too many files are open: allow more (ulimit -n), or do less at once (--jobs)."
            }
            _ => "Check the disk and run the same command again.",
        };
        Self::new(Exit::Disk, "disk", format!("cannot {doing} {}: {cause}", path.display())).hint(hint)
    }

    /// The kind of [`Error::stdout`] that is nobody's fault: whoever read stdout has closed it.
    pub const READER_LEFT: &str = "reader_left";

    /// A result cannot be written to standard output.
    #[must_use]
    pub fn stdout(cause: &std::io::Error) -> Self {
        let kind = if cause.kind() == std::io::ErrorKind::BrokenPipe { Self::READER_LEFT } else { "stdout" };
        Self::new(Exit::Disk, kind, format!("the result cannot be written to standard output: {cause}"))
            .hint("What was to be done is done, and what there was to say of it is lost. Free some space, or send it elsewhere.")
    }

    /// The command line asks for something that makes no sense together.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Makes text that came from outside fit to be shown: control characters (terminal escapes among
/// them) become blanks, runs of six or more digits (identifiers of people and claims) are masked, and
/// the length is bounded.
#[must_use]
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut out = String::new();
    let mut digits = String::new();
    let flush = |out: &mut String, digits: &mut String| {
        out.push_str(if digits.len() >= 6 { "…" } else { digits });
        digits.clear();
    };
    for c in text.chars() {
        if out.len() >= LONGEST {
            out.push('…');
            break;
        }
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        flush(&mut out, &mut digits);
        // Line and paragraph separators and bidirectional overrides can forge a line of our own.
        let forges = matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        out.push(if c.is_control() || forges { ' ' } else { c });
    }
    flush(&mut out, &mut digits);
    out.trim().to_owned()
}

/// Whether this process (EMFILE) or the machine (ENFILE) has no file left to open, which is no fault of the disk.
fn is_shortage_of_files(cause: &std::io::Error) -> bool {
    cfg!(unix) && matches!(cause.raw_os_error(), Some(23 | 24))
}

#[cfg(test)]
mod tests {
    use super::{Error, shown};

    #[cfg(unix)]
    #[test]
    fn too_many_open_files_are_no_fault_of_the_disk() {
        let path = std::path::Path::new("claims");
        let hint = |code| Error::disk("open", path, &std::io::Error::from_raw_os_error(code)).hint;
        assert!(hint(24).contains("ulimit"), "{}", hint(24));
        assert!(hint(28).contains("space"), "{}", hint(28));
    }

    #[test]
    fn text_from_outside_loses_escapes_and_identifiers() {
        assert_eq!(shown("ok \u{1b}[31m -20140000008325 not known\n"), "ok  [31m -… not known");
        assert_eq!(shown("HAPI-0971"), "HAPI-0971");
        assert!(shown(&"x".repeat(5000)).chars().count() <= 301);
    }
}
