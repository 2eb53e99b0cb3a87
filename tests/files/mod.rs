//! Files and processes: files that others plant or can read ([`planted`], [`exposed`]), file systems that lack
//! something ([`odd_filesystem`]), what `purge` deletes ([`purge`]), paths that are not text ([`paths`]), and system
//! limits ([`limits`]).

mod exposed;
mod leftovers;
mod limits;
mod odd_filesystem;
mod paths;
mod planted;
mod purge;

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::support::{Signal, Stage, needs::is_root, signal, started_by, text};
use serde_json::Value;

const EOB: &str = "ExplanationOfBenefit.ndjson";
const FETCH: [&str; 5] = ["fetch", "eob", "--out", "claims", "--json"];
/// Nothing here needs the network for long, so a run that takes longer than this hangs.
const SOON: Duration = Duration::from_secs(20);
/// A user without other processes, for limits that do not apply to root.
const SOMEBODY: u32 = 54_321;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// The output; `None` if the command takes too long, and then it is killed.
fn soon(mut command: Command) -> Option<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (done, output) = mpsc::channel();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    thread::spawn(move || {
        let read = |mut from: Box<dyn std::io::Read + Send>| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = from.read_to_end(&mut bytes);
                bytes
            })
        };
        let (stdout, stderr) = (read(Box::new(stdout)), read(Box::new(stderr)));
        let status = child.wait().unwrap();
        let _ = done.send(Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() });
    });
    let output = output.recv_timeout(SOON).ok();
    if output.is_none() {
        signal(id, Signal::KILL);
    }
    output
}

fn error_of(output: &Output) -> Value {
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    result["error"].clone()
}

/// Runs a line that a person types in the home directory.
fn run_line(stage: &Stage, line: &str) -> Output {
    Command::new("bash").args(["-c", line]).current_dir(stage.home.path()).output().unwrap()
}

/// Gives a directory and all that is in it to another user.
fn give(path: &Path, owner: u32) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            give(&entry.path(), owner);
        } else {
            std::os::unix::fs::lchown(entry.path(), Some(owner), Some(owner)).unwrap();
        }
    }
    chown(path, Some(owner), Some(owner)).unwrap();
}

/// The command as another user, who now owns the home.
fn as_somebody(stage: &Stage, command: &Command, shell: &str) -> Command {
    give(stage.home.path(), SOMEBODY);
    let id = SOMEBODY.to_string();
    let script = format!("{shell} exec \"$0\" \"$@\"");
    let starter = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "bash", "-c", &script];
    started_by(&starter, command)
}

/// Like [`as_somebody`] if this is root, otherwise as the current user.
fn unprivileged(stage: &Stage, command: &Command, shell: &str) -> Command {
    if is_root() {
        as_somebody(stage, command, shell)
    } else {
        started_by(&["bash", "-c", &format!("{shell} exec \"$0\" \"$@\"")], command)
    }
}

fn words(words: &[&OsStr]) -> String {
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn said(output: &Output) -> String {
    format!("{:?}\n{}\n{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}
