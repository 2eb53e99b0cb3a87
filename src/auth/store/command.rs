//! A program of the user's choice that keeps the records (pass, Vault, 1Password, …). It is called like git's
//! credential helpers (gitcredentials(7)). `docs/token-store-command.md` says what it has to do.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use zeroize::Zeroizing;

use super::{StoreError, StoreKind, TokenStore, check_name};
use crate::{error::in_words, secret::Secret};

const GET: &str = "get";
const STORE: &str = "store";
const ERASE: &str = "erase";

/// Limit of an answer, in bytes. A normal one has some kilobytes; the rest of a larger one is not read.
const LARGEST: usize = 1 << 20;

/// How long a program that was told to stop may take to clean up before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs `COMMAND get|store|erase` in a shell, with the request on its standard input and the answer on its standard
/// output. Neither its arguments nor its environment contain records. It shares our standard error, where gpg and
/// similar programs say what they wait for.
///
/// No `Debug`: the command may contain a password.
pub struct CommandStore {
    command: Option<String>,
    home: PathBuf,
    patience: Duration,
    attended: bool,
}

impl CommandStore {
    /// `command` is a shell command; `None` or blank if none is configured. `home` is bbdl's state directory, which
    /// the program is told. Each run of the program is ended after `patience`.
    #[must_use]
    pub fn new(command: Option<&str>, home: &Path, patience: Duration) -> Self {
        let command = command.map(str::trim).filter(|command| !command.is_empty()).map(str::to_owned);
        Self { command, home: home.to_owned(), patience, attended: false }
    }

    /// Says whether a person is at the terminal. If so, the program stays in the terminal's foreground, where it can
    /// read what is typed. If not, it gets its own process group, which can be killed as a whole, and an interrupt at
    /// the terminal does not stop its work.
    #[must_use]
    pub fn attended(self, attended: bool) -> Self {
        Self { attended, ..self }
    }

    fn ask(&self, action: &'static str, profile: &str, record: Option<&Secret>) -> Result<Answer, StoreError> {
        check_name(profile)?;
        let command = self.command.as_deref().ok_or(StoreError::NoCommand)?;
        let request = self.request(profile, record).map_err(|what| failed(action, what))?;
        let not_run = |cause: &io::Error| failed(action, format!("cannot be run: {}", in_words(cause)));
        let child = self.start(command, action).map_err(|cause| not_run(&cause))?;
        let id = child.id();
        let end = converse(child, request).map_err(|cause| {
            self.signal(id, "KILL");
            not_run(&cause)
        })?;
        let Ok(ended) = end.recv_timeout(self.patience) else {
            self.end(id, &end);
            return Err(StoreError::CommandTimedOut { action, seconds: self.patience.as_secs() });
        };
        let (answer, status) =
            ended.map_err(|cause| failed(action, format!("cannot be read from: {}", in_words(&cause))))?;
        if answer.len() > LARGEST {
            return Err(failed(action, format!("answered with more than {LARGEST} bytes")));
        }
        match status.code() {
            Some(0) => Ok(answer),
            // sh: "If a command is not found, the exit status shall be 127", and 126 if it cannot be executed (XCU
            // 2.8.2).
            Some(code @ (126 | 127)) if cfg!(unix) => {
                Err(failed(action, format!("was not found or cannot be executed (exit status {code})")))
            }
            _ => Err(failed(action, format!("failed ({status})"))),
        }
    }

    /// The record comes last and in one write, so that a script can read the lines that it needs and pass the rest on
    /// to another program.
    fn request(&self, profile: &str, record: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, String> {
        let home = std::path::absolute(&self.home).unwrap_or_else(|_| self.home.clone());
        let home = crate::files::path_text::to_text(&home);
        if home.contains(char::is_control) {
            return Err("cannot be told the name of the state directory: it is not one line".to_owned());
        }
        let record = record.map_or("", Secret::expose);
        if record.contains(['\n', '\r', '\0']) {
            return Err("cannot be given the record: it is not one line of text".to_owned());
        }
        let key = if record.is_empty() { "" } else { "record=" };
        let end = if record.is_empty() { "\n" } else { "\n\n" };
        let parts = ["protocol=bbdl-1\nprofile=", profile, "\nhome=", &home, "\n", key, record, end];
        // Allocated at its full size, because a growing vector would leave copies of the record behind.
        let mut request = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| request.extend_from_slice(part.as_bytes()));
        Ok(request)
    }

    fn start(&self, command: &str, action: &'static str) -> io::Result<Child> {
        let mut shell = shell(command, action);
        #[cfg(unix)]
        if !self.attended {
            std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        }
        shell
            // Only the log-in needs the client secret from the environment.
            .env_remove("BBDL_CLIENT_SECRET")
            .stdin(Stdio::piped())
            .stdout(if action == GET { Stdio::piped() } else { Stdio::null() })
            .spawn()
    }

    /// Ends a program that did not end by itself. It gets a chance to clean up first.
    fn end(&self, id: u32, end: &Receiver<Ended>) {
        self.signal(id, "TERM");
        let ended = end.recv_timeout(LAST_WORDS).is_ok();
        // The program may be gone while what it started is still running.
        if !ended || !self.attended {
            self.signal(id, "KILL");
        }
        if !ended {
            let _ = end.recv_timeout(LAST_WORDS);
        }
    }

    /// Sends a signal to the program and, if it has its own group, to everything that it started. The standard
    /// library can only kill, and only one process. The id is not reused while any process of the group runs.
    fn signal(&self, id: u32, signal: &str) {
        let mut command = if cfg!(windows) {
            let mut command = Command::new("taskkill");
            command.args(["/T", "/F", "/PID", &id.to_string()]);
            command
        } else {
            let target = if self.attended { id.to_string() } else { format!("-{id}") };
            // Every shell has a built-in `kill`; not every system has the program.
            let mut command = Command::new("sh");
            command.args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", signal, &target]);
            command
        };
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

impl TokenStore for CommandStore {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        record_in(&self.ask(GET, profile, None)?).map_err(|what| failed(GET, what))
    }

    /// Reads the record back, so that a program that loses it is found at the log-in and not at the first renewal.
    fn save(&self, profile: &str, record: &Secret) -> Result<(), StoreError> {
        self.ask(STORE, profile, Some(record))?;
        match self.load(profile)? {
            Some(kept) if kept.matches(record.expose()) => Ok(()),
            Some(_) => Err(failed(STORE, "stored something else than bbdl sent".to_owned())),
            None => Err(failed(STORE, "did not store what bbdl sent".to_owned())),
        }
    }

    fn delete(&self, profile: &str) -> Result<bool, StoreError> {
        // A record that cannot be read has to go too.
        let there = |answer: &Answer| !matches!(record_in(answer), Ok(None));
        if !there(&self.ask(GET, profile, None)?) {
            return Ok(false);
        }
        self.ask(ERASE, profile, None)?;
        if there(&self.ask(GET, profile, None)?) {
            return Err(failed(ERASE, "did not delete the record".to_owned()));
        }
        Ok(true)
    }

    fn kind(&self) -> StoreKind {
        StoreKind::Command
    }
}

type Answer = Zeroizing<Vec<u8>>;
type Ended = io::Result<(Answer, ExitStatus)>;

fn failed(action: &'static str, what: impl Into<String>) -> StoreError {
    StoreError::Command { action, what: what.into() }
}

/// Does what git does (`prepare_shell_cmd` in its run-command.c): the command may have arguments, `~` and variables,
/// and the action is one more argument.
#[cfg(not(windows))]
fn shell(command: &str, action: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{command} \"$@\""), "bbdl", action]);
    shell
}

/// With `/S`, `cmd` removes only the first and the last quotation mark, those around the whole.
#[cfg(windows)]
fn shell(command: &str, action: &str) -> Command {
    let mut shell = Command::new("cmd");
    std::os::windows::process::CommandExt::raw_arg(&mut shell, format!("/S /C \"{command} {action}\""));
    shell
}

/// Writes the request and reads the answer, each in its own thread, because a program may answer before it has read,
/// or read nothing. A stuck thread does not keep the process from ending.
fn converse(mut child: Child, request: Zeroizing<Vec<u8>>) -> io::Result<Receiver<Ended>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (done, end) = mpsc::sync_channel(1);
    thread::Builder::new().name("token store: request".to_owned()).spawn(move || {
        // A program that knows its answer does not have to read the request (EPIPE).
        stdin.map(|mut stdin| stdin.write_all(&request))
    })?;
    thread::Builder::new().name("token store: answer".to_owned()).spawn(move || {
        let answer = stdout.map_or_else(|| Ok(Answer::default()), read_bounded);
        let status = child.wait();
        // If the time is over, there is no receiver any more.
        drop(done.send(answer.and_then(|answer| Ok((answer, status?)))));
    })?;
    Ok(end)
}

/// Reads at most one byte more than [`LARGEST`], then closes the pipe.
fn read_bounded(stdout: ChildStdout) -> io::Result<Answer> {
    // Allocated at its full size, because a growing vector would leave copies behind.
    let mut answer = Zeroizing::new(Vec::with_capacity(LARGEST + 2));
    stdout.take(LARGEST as u64 + 1).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The record in an answer to `get`; `None` if the answer has none. An error about an answer contains no part of it.
fn record_in(answer: &[u8]) -> Result<Option<Secret>, &'static str> {
    let text = std::str::from_utf8(answer).map_err(|_| "answered with something that is not text")?;
    let mut found = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match line.split_once('=') {
            Some(("record", "")) => return Err("answered with an empty record"),
            Some(("record", _)) if found.is_some() => return Err("answered with two records"),
            Some(("record", record)) => found = Some(Secret::new(record.to_owned())),
            // Unknown lines may come from a later protocol.
            Some(_) => {}
            None => return Err("answered with a line that is not key=value"),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_lines_of_keys_and_values() {
        let record = |answer: &str| record_in(answer.as_bytes()).map(|found| found.map(|it| it.expose().to_owned()));
        for none in ["", "\n", " \r\n\n", "later=1\n"] {
            assert_eq!(record(none), Ok(None), "{none:?}");
        }
        for one in ["record={\"a\":\"b=\"}", "record={\"a\":\"b=\"}\r\n\r\n", "later=\nrecord={\"a\":\"b=\"}\n\n"] {
            assert_eq!(record(one).unwrap().as_deref(), Some("{\"a\":\"b=\"}"), "{one:?}");
        }
        for bad in ["hush", "record=", "record=\r\n", "record=hush\nrecord=hush", "record=hush\nhush\n"] {
            let why = record(bad).unwrap_err();
            assert!(!why.contains("hush"), "{bad:?}: {why}");
        }
        assert!(record_in(b"record=\xff").is_err());
    }

    #[test]
    fn a_request_names_the_profile_first_and_the_record_last() {
        let home = if cfg!(windows) { r"C:\state" } else { "/state" };
        let store = CommandStore::new(Some("true"), Path::new(home), LAST_WORDS);
        let request = |record: Option<&str>| {
            let record = record.map(|text| Secret::new(text.to_owned()));
            store.request("mom", record.as_ref()).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        let expected = format!("protocol=bbdl-1\nprofile=mom\nhome={home}\n");
        assert_eq!(request(None).unwrap(), format!("{expected}\n"));
        assert_eq!(request(Some("{}")).unwrap(), format!("{expected}record={{}}\n\n"));
        for lines in ["a\nprofile=other", "a\r", "a\0b"] {
            assert!(request(Some(lines)).is_err(), "{lines:?}");
        }
        let forged = CommandStore::new(Some("true"), Path::new("/state\nprofile=other"), LAST_WORDS);
        assert!(forged.request("mom", None).is_err());
    }

    #[test]
    fn a_blank_command_counts_as_not_set() {
        for command in [None, Some(""), Some(" \n")] {
            let store = CommandStore::new(command, Path::new("/state"), LAST_WORDS);
            assert!(matches!(store.load("mom"), Err(StoreError::NoCommand)));
        }
    }
}
