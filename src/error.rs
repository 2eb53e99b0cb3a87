//! The kinds of failure, what a person should do about each, and the exit code.
//!
//! A room has its own error type if a caller decides something by it. At the end of a command, all of them become
//! this one. The codes are the sysexits numbers, which systemd, cron wrappers and mailers know.

use std::{borrow::Cow, fmt, path::Path, time::Duration};

use crate::{
    files::{path_text::typed, place, private_file::Intruder, replace},
    secret,
};

/// Where to report a bug.
pub const ISSUES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/issues");

/// Where the docs are. For a page, use `DOCS/export.md`.
pub const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/docs");

/// What to do about an output that would replace one of bbdl's own files.
pub(crate) const NAME_ANOTHER: &str = "Nothing was changed. Name another place for the output.";

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

    /// If several runs end differently, the exit code is the one with the highest number here. The order is by how
    /// soon it needs attention: a defect, this machine's disk, wrong data, the setup, a person, and last what goes
    /// away by itself.
    #[must_use]
    pub fn gravity(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::TryAgain => 1,
            Self::PersonMustAct => 2,
            Self::NotSetUp | Self::Usage => 3,
            Self::Data => 4,
            Self::Disk => 5,
            Self::Defect => 6,
            Self::Interrupted => 7,
        }
    }
}

macro_rules! error_kinds {
    ($($kind:ident, $name:literal, $exit:ident, $meaning:literal;)*) => {
        /// What failed, in the terms of scripts: the `kind` of the contract's JSON. Each kind has one exit code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorKind {
            $(#[doc = $meaning] $kind,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of `docs/exit-codes.md`.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The stable name for scripts.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The exit code of this kind of failure.
            #[must_use]
            pub fn exit(self) -> Exit {
                match self {
                    $(Self::$kind => Exit::$exit,)*
                }
            }

            /// What it means, for the list in `docs/exit-codes.md`.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$kind => $meaning,)*
                }
            }
        }
    };
}

error_kinds! {
    Network, "network", TryAgain, "the server cannot be reached, or stopped answering";
    Server, "server", TryAgain, "the server says that it cannot answer now";
    Intercepted, "intercepted", TryAgain, "something else answered instead of the server: a Wi-Fi log-in page, a proxy, a block page";
    Outage, "outage", TryAgain, "the server says that there is nothing, but there was something before";
    Backend, "backend", TryAgain, "the server's database is failing, so bbdl did not renew the log-in: that would use up the refresh token";
    RefreshLost, "refresh_lost", TryAgain, "the answer to a renewal was lost; the next run shows whether a new log-in is needed";
    Shifted, "shifted", TryAgain, "claims kept changing on the server while they were read";
    Shortfall, "shortfall", TryAgain, "fewer resources came than the server counted";
    Lock, "lock", TryAgain, "another bbdl is running here";
    InUse, "in_use", TryAgain, "another program has a file open";
    State, "state", TryAgain, "the database of the shared state (--state) cannot be reached, or stopped answering";
    TimeUp, "time_up", TryAgain, "the time that `--for` allows was over before bbdl had fetched for everybody who was due";
    Listen, "listen", TryAgain, "the port is taken";
    TimedOut, "timed_out", TryAgain, "the browser did not come back";
    Revoke, "revoke", TryAgain, "the server did not confirm the log-out";
    Token, "token", PersonMustAct, "the access token no longer works and cannot be renewed: log in again";
    RefreshToken, "refresh_token", PersonMustAct, "the refresh token no longer works: log in again";
    GrantEnded, "grant_ended", PersonMustAct, "the consent has ended";
    GrantRevoked, "grant_revoked", PersonMustAct, "the enrollee withdrew the consent";
    Replaced, "replaced", PersonMustAct, "a newer log-in of the same person under another profile replaced this one";
    LostByUs, "lost_by_us", PersonMustAct, "new tokens were lost before bbdl stored them: log in again";
    OneTime, "one_time", PersonMustAct, "the app has one-time access, which cannot be renewed";
    Code, "code", PersonMustAct, "the authorization code was not accepted: log in again";
    Origin, "origin", PersonMustAct, "the tokens belong to another server";
    OtherPatient, "other_patient", PersonMustAct, "somebody else logged in under this profile";
    Denied, "denied", PersonMustAct, "the enrollee did not grant access";
    NotFound, "not_found", PersonMustAct, "CMS found no records for the person who logged in";
    Withheld, "withheld", PersonMustAct, "the enrollee did not share this resource, or the app may not have it";
    NotAllowed, "not_allowed", PersonMustAct, "the server does not allow this";
    AppInactive, "app_inactive", PersonMustAct, "CMS has switched the app off";
    Refused, "refused", PersonMustAct, "the server refused the log-in";
    Exposed, "exposed", PersonMustAct, "others can read or change these files, or the files are not yours";
    NoProfile, "no_profile", NotSetUp, "there is no such profile";
    Profile, "profile", NotSetUp, "the profile's record cannot be read";
    NoTokens, "no_tokens", NotSetUp, "nobody is logged in";
    TokenRecord, "token_record", NotSetUp, "the stored tokens cannot be read";
    TokenStore, "token_store", NotSetUp, "the token store does not work";
    Client, "client", NotSetUp, "the client id or secret is missing or wrong";
    ClientSecret, "client_secret", NotSetUp, "the client secret cannot be read";
    RedirectUri, "redirect_uri", NotSetUp, "the redirect URI is not registered for the app";
    LoginRequest, "login_request", NotSetUp, "the server refused the log-in because of how the app is set up";
    Config, "config", NotSetUp, "the configuration cannot be used";
    StateSetup, "state_setup", NotSetUp, "the shared state (--state) refuses access, or is not set up";
    StateKey, "state_key", NotSetUp, "the key of the shared state is missing, or does not open its tokens";
    Input, "input", NotSetUp, "a log-in needs an answer: there is no terminal to ask on, or standard input ended";
    Home, "home", NotSetUp, "the home directory is unknown";
    Http, "http", NotSetUp, "https cannot be set up (proxy settings, certificates)";
    Certificate, "certificate", NotSetUp, "the server's certificate is not trusted";
    Proxy, "proxy", NotSetUp, "the proxy cannot be used, or needs a name and a password";
    CaCert, "ca_cert", NotSetUp, "the file of --ca-cert cannot be used";
    Doctor, "doctor", NotSetUp, "a check of `bbdl doctor` failed";
    ApiVersion, "api_version", NotSetUp, "this API version does not have this resource";
    Answer, "answer", Data, "the server's answer is wrong or incomplete";
    BadRequest, "bad_request", Data, "the server did not understand the request";
    NoResource, "no_resource", Data, "the server does not have this resource";
    Paging, "paging", Data, "the server's links to further pages cannot be followed";
    TokenAnswer, "token_answer", Data, "the token endpoint's answer cannot be used";
    Manifest, "manifest", Data, "manifest.json is missing or cannot be read";
    Archive, "archive", Data, "the archive is damaged";
    OtherSource, "other_source", Data, "the archive is from another server or API version";
    OtherEnrollee, "other_enrollee", Data, "the archive, or what the server sent, is another enrollee's";
    OtherFilters, "other_filters", Data, "the archive was pulled with other filters";
    NotAnArchive, "not_an_archive", Data, "the directory contains something else, or no archive";
    ImportRow, "import_row", Data, "a row for `profiles import` cannot be used";
    NoClaims, "no_claims", Data, "the archive has no claims, or none of the year given";
    TooMany, "too_many", Data, "more claims came than --max-claims allows";
    NotADemo, "not_a_demo", Data, "the directory is not from an earlier demo";
    Data, "data", Data, "the files for --data of `bbdl mock` cannot be read";
    Disk, "disk", Disk, "a file cannot be read or written";
    Limit, "limit", Disk, "the system allows no more threads, processes or open files";
    Stdout, "stdout", Disk, "the result cannot be written to standard output";
    ReaderLeft, "reader_left", Disk, "the reader of standard output went away";
    Interrupted, "interrupted", Interrupted, "a signal, or a closed terminal";
    Declined, "declined", Interrupted, "the answer to a question was not yes";
    Usage, "usage", Usage, "the command line is wrong, or needs --yes because nobody can be asked";
    Defect, "defect", Defect, "a bug in bbdl";
    Random, "random", Defect, "the system gives no random numbers";
    Demo, "demo", Defect, "a step of the demo cannot be set up";
    Man, "man", Defect, "the man pages cannot be made";
    Completions, "completions", Defect, "the completions cannot be made";
}

/// A failure, for a person or a script: what failed, why, and the next thing to type.
#[derive(Clone, Debug)]
pub struct Error {
    /// What failed, for code that decides and for scripts.
    pub kind: ErrorKind,
    /// What failed and why. Never contains a secret or anything from a claim.
    pub message: String,
    /// The next thing to do or type; empty if there is none.
    pub hint: String,
    /// How long the server asked us to wait, if it did.
    pub retry_after: Option<Duration>,
    /// Whether the disk is full, or another problem would affect every other file too.
    pub is_of_disk: bool,
    /// Whether a machine-readable result has already reported it.
    pub reported: bool,
}

/// What every command returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this kind, with this message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: String::new(),
            retry_after: None,
            is_of_disk: false,
            reported: false,
        }
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.kind.exit()
    }

    /// Whether the cause is this machine or its setup, so that it would fail for everyone.
    #[must_use]
    pub fn is_of_this_machine(&self) -> bool {
        use ErrorKind::{CaCert, Certificate, Config, Home, Http, Limit, Proxy, StateKey, StateSetup};
        let kinds = [CaCert, Certificate, Config, Home, Http, Limit, Proxy, StateKey, StateSetup];
        self.is_of_disk || kinds.contains(&self.kind)
    }

    /// Adds the next thing to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The failure as the JSON object of the contract, without the `error` around it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut body = serde_json::json!({
            "kind": self.kind.name(), "message": self.message, "hint": self.hint, "exit_code": self.exit().code(),
        });
        if let Some(wait) = self.retry_after {
            body["retry_after_s"] = wait.as_secs().into();
        }
        body
    }

    /// Marks it as already reported by the result on stdout.
    #[must_use]
    pub fn already_reported(mut self) -> Self {
        self.reported = true;
        self
    }

    /// Adds how long the server asked us to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// A problem with a local file.
    #[must_use]
    pub fn disk(doing: &str, path: &Path, cause: &std::io::Error) -> Self {
        let message = format!("cannot {doing} {}: {}", path.display(), in_words(cause));
        if let Some(intruder) = Intruder::of(cause) {
            return Self::new(ErrorKind::Disk, message).hint(intruder_hint(intruder, path));
        }
        if is_held(cause) {
            let message = format!("cannot {doing} {}: another program has it open", path.display());
            return Self::new(ErrorKind::InUse, message).hint("Close that program, then run the same command again.");
        }
        let hint = match cause.kind() {
            std::io::ErrorKind::FileTooLarge => {
                "The limit for the size of files is too low: raise it (ulimit -f unlimited) and run the same command again."
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                "Free some space and run the same command again."
            }
            std::io::ErrorKind::PermissionDenied => {
                "Check who owns it and its directory, and what their permissions allow."
            }
            std::io::ErrorKind::ReadOnlyFilesystem => "This file system is read-only. Use a directory on another one.",
            std::io::ErrorKind::NotFound => "There is nothing at this path. Check the spelling.",
            std::io::ErrorKind::IsADirectory | std::io::ErrorKind::InvalidInput => "Name another file.",
            std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
                "A file is where a directory has to be. Name another path."
            }
            _ if is_shortage_of_files(cause) => {
                "Too many files are open: raise the limit (ulimit -n), or use fewer --jobs."
            }
            _ if has_no_locks(cause) => {
                "This file system has no locks (an NFS server without its lock service?). Use a directory on another one."
            }
            _ => "Check the disk and run the same command again.",
        };
        // Any other problem may concern only this path.
        let is_of_disk = matches!(
            cause.kind(),
            std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::QuotaExceeded
                | std::io::ErrorKind::ReadOnlyFilesystem
        ) || is_shortage_of_files(cause)
            || has_no_locks(cause);
        Self { is_of_disk, ..Self::new(ErrorKind::Disk, message).hint(hint) }
    }

    /// What is wrong with a path where a directory has to be, if anything.
    #[must_use]
    pub fn no_directory(path: &Path) -> Option<Self> {
        let why = place::why_no_directory(path)?;
        Some(
            Self::new(ErrorKind::Disk, format!("{} {why}", path.display()))
                .hint("Nothing was changed. Name a directory."),
        )
    }

    /// The system cannot provide a thread or something that a thread needs.
    #[must_use]
    pub fn limit(cause: &std::io::Error) -> Self {
        let hint = if is_shortage_of_files(cause) {
            "The limit for open files is too low: raise it (ulimit -n 256) and run the same command again."
        } else {
            "This user has too many processes for the limit: end some or raise it (ulimit -u), and run the same command again."
        };
        Self::new(ErrorKind::Limit, format!("bbdl cannot start its threads: {}", in_words(cause))).hint(hint)
    }

    /// A result cannot be written to standard output.
    #[must_use]
    pub fn stdout(cause: &std::io::Error) -> Self {
        let gone = is_of_a_closed_pipe(cause);
        let kind = if gone { ErrorKind::ReaderLeft } else { ErrorKind::Stdout };
        Self::new(kind, format!("the result cannot be written to standard output: {}", in_words(cause)))
            .hint("Only the output is missing. Free some space, or send it somewhere else.")
    }

    /// The command line combines things that do not fit together.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Makes text from outside safe to show: redacts this process's secrets, replaces control characters (including
/// terminal escapes) with blanks, masks runs of six or more digits (identifiers of people and claims), and limits the
/// length.
#[must_use]
pub fn sanitized(text: &str) -> String {
    const LONGEST: usize = 300;
    // The rest will be cut off anyway, so do not search it for secrets.
    const SEARCHED: usize = 16 * 1024;
    let end = (0..=SEARCHED.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let text = &text[..end];
    let text = &*secret::redacted(text);
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
        out.push(if c.is_control() || forges(c) { ' ' } else { c });
    }
    flush(&mut out, &mut digits);
    out.trim().to_owned()
}

/// What is wrong with JSON that bbdl has written, without the parser's own message.
#[must_use]
pub(crate) fn wrong_json(cause: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match cause.classify() {
        Category::Eof => "it ends too early",
        Category::Syntax | Category::Io => "it is not JSON",
        Category::Data => "something is missing in it, or is not what it must be",
    };
    format!("{what} (line {}, column {})", cause.line(), cause.column())
}

/// Line and paragraph separators and bidirectional overrides can forge one of our lines.
fn forges(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Our own text in a form that a terminal may show: a file's path may contain escape sequences. Each bad character
/// becomes U+FFFD, as [`std::path::Path::display`] does with bytes that are not text.
#[must_use]
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let is_unfit = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || forges(c);
    if text.contains(is_unfit) { Cow::Owned(text.replace(is_unfit, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// An error of the system in plain words, without its number. If the kind is unknown, the number stays, so that it can be
/// looked up.
#[must_use]
pub(crate) fn in_words(cause: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let words = match cause.kind() {
        _ if finds_no_address(cause) => "DNS knows no address for this name",
        _ if is_shortage_of_files(cause) => "too many files are open",
        // It is not an error of the system: its text is already words.
        _ if cause.raw_os_error().is_none() => return cause.to_string(),
        ErrorKind::NotFound => "no such file or directory",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::AlreadyExists => "there is something of this name already",
        ErrorKind::NotADirectory => "a part of the path is not a directory",
        ErrorKind::IsADirectory => "it is a directory, not a file",
        ErrorKind::DirectoryNotEmpty => "the directory is not empty",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        ErrorKind::StorageFull => "no space is left on the disk",
        ErrorKind::QuotaExceeded => "the disk quota is used up",
        ErrorKind::FileTooLarge => "the file is too large",
        ErrorKind::InvalidFilename => "the file name is too long, or not allowed here",
        ErrorKind::StaleNetworkFileHandle => "the file on the network drive is gone",
        ErrorKind::ExecutableFileBusy | ErrorKind::ResourceBusy => "another program is using it",
        ErrorKind::CrossesDevices => "it is on another file system",
        ErrorKind::OutOfMemory => "there is not enough memory",
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset => "the connection was reset",
        ErrorKind::ConnectionAborted => "the connection was aborted",
        ErrorKind::BrokenPipe => "the other side closed it",
        ErrorKind::TimedOut => "no answer in time",
        ErrorKind::HostUnreachable => "the host cannot be reached",
        ErrorKind::NetworkUnreachable => "the network cannot be reached",
        ErrorKind::NetworkDown => "the network is down",
        ErrorKind::AddrInUse => "another program uses this port",
        ErrorKind::AddrNotAvailable => "this machine does not have this address",
        _ => return cause.to_string(),
    };
    words.to_owned()
}

/// Whether the name of a server could not be looked up. The standard library has no kind for that. On Unix there is only
/// its text, on Windows a number (`WSAHOST_NOT_FOUND` to `WSANO_DATA`).
fn finds_no_address(cause: &std::io::Error) -> bool {
    match cause.raw_os_error() {
        Some(number) => cfg!(windows) && matches!(number, 11001..=11004),
        None => cause.to_string().starts_with("failed to lookup address information"),
    }
}

/// Whether the reader of a pipe has closed it. Windows has a second error for that (`ERROR_PIPE_NOT_CONNECTED`).
#[must_use]
pub fn is_of_a_closed_pipe(cause: &std::io::Error) -> bool {
    cause.kind() == std::io::ErrorKind::BrokenPipe || (cfg!(windows) && cause.raw_os_error() == Some(233))
}

/// Whether this process (EMFILE) or the machine (ENFILE) cannot open more files. Then the disk is not at fault.
fn is_shortage_of_files(cause: &std::io::Error) -> bool {
    cfg!(unix) && matches!(cause.raw_os_error(), Some(23 | 24))
}

/// What to type if something is in the place of one of bbdl's files.
fn intruder_hint(intruder: Intruder, path: &Path) -> String {
    let word = typed(path);
    match intruder {
        // It may be the only name that another tool's file has left. Making a copy loses nothing.
        Intruder::HardLink => {
            let mut copy = path.as_os_str().to_owned();
            copy.push(".copy");
            let copy = typed(Path::new(&copy));
            format!("If it is yours, turn it into a separate file: cp -p {word} {copy} && mv {copy} {word}")
        }
        Intruder::Directory => format!("Move it away: mv {word} {}", typed(&place::free_beside(path))),
        Intruder::SymbolicLink | Intruder::Special | Intruder::Foreign => {
            format!("Find out who put it there, and remove it: rm {word}")
        }
    }
}

/// Whether another program blocks the file: a lease that is not released (EAGAIN), a program that runs from it
/// (ETXTBSY), or on Windows a program that does not share it (32, 33).
fn is_held(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::ExecutableFileBusy)
        || replace::is_held(cause)
}

/// ENOLCK, or an error that means "not supported here" (EOPNOTSUPP, ENOSYS).
fn has_no_locks(cause: &std::io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let none = [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS];
        none.iter().any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()))
    }
    #[cfg(not(unix))]
    {
        let _ = cause;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::sanitized;

    #[cfg(unix)]
    #[test]
    fn too_many_open_files_are_no_fault_of_the_disk() {
        use super::Error;
        let path = std::path::Path::new("claims");
        let hint = |code| Error::disk("open", path, &std::io::Error::from_raw_os_error(code)).hint;
        assert!(hint(24).contains("ulimit"), "{}", hint(24));
        assert!(hint(28).contains("space"), "{}", hint(28));
    }

    /// A directory in the place of one of bbdl's files is moved to a free name, any number of times.
    #[cfg(unix)]
    #[test]
    fn what_is_in_the_way_is_moved_by_a_command_that_can_be_typed() {
        use super::{Error, Intruder};
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("o'neil's file");
        for moved in ["o'neil's file-2", "o'neil's file-3"] {
            std::fs::create_dir(&path).unwrap();
            let hint = Error::disk("read", &path, &Intruder::Directory.into()).hint;
            let line = hint.strip_prefix("Move it away: ").unwrap();
            let shell = std::process::Command::new("bash").args(["-c", line]).status().unwrap();
            assert!(shell.success() && !path.exists() && home.path().join(moved).is_dir(), "{line}");
        }
    }

    /// Whoever reads it need not know the numbers of the system, unless nobody has words for one.
    #[cfg(unix)]
    #[test]
    fn what_the_system_says_is_told_in_plain_words() {
        use std::io::Error;
        let said = |number| super::in_words(&Error::from_raw_os_error(number));
        for number in [1, 2, 13, 17, 20, 21, 24, 27, 28, 30, 32, 36, rustix::io::Errno::CONNREFUSED.raw_os_error()] {
            assert!(!said(number).contains("os error"), "{}", said(number));
        }
        assert!(said(5).contains("os error 5"), "{}", said(5));
        assert_eq!(super::in_words(&Error::other("its own words")), "its own words");
        let looked_up = std::net::ToSocketAddrs::to_socket_addrs("nowhere.invalid:80").unwrap_err();
        assert_eq!(super::in_words(&looked_up), "DNS knows no address for this name");
    }

    #[test]
    fn a_file_that_may_not_be_read_is_not_said_to_be_unwritable() {
        use super::Error;
        let error = Error::disk("read", "x".as_ref(), &std::io::ErrorKind::PermissionDenied.into());
        assert!(!error.hint.contains("writ"), "{}", error.hint);
    }

    #[test]
    fn only_the_place_in_a_damaged_file_is_told_and_not_what_the_parser_says() {
        for (text, said) in [
            ("{", "it ends too early (line 1, column 1)"),
            ("{}\nx", "it is not JSON (line 2, column 1)"),
            ("[]", "something is missing in it, or is not what it must be (line 1, column 0)"),
        ] {
            let parsed: Result<std::collections::BTreeMap<String, u8>, _> = serde_json::from_str(text);
            assert_eq!(super::wrong_json(&parsed.unwrap_err()), said);
        }
    }

    #[test]
    fn a_path_cannot_steer_the_terminal() {
        assert_eq!(super::shown("a\u{1b}[2Jb\u{202e}\r\n\tc"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\n\tc");
        assert_eq!(super::shown("o'neil/größe"), "o'neil/größe");
    }

    #[test]
    fn text_from_outside_loses_escapes_and_identifiers() {
        assert_eq!(sanitized("ok \u{1b}[31m -20140000008325 not known\n"), "ok  [31m -… not known");
        assert_eq!(sanitized("HAPI-0971"), "HAPI-0971");
        assert!(sanitized(&"x".repeat(5000)).chars().count() <= 301);
    }
}
