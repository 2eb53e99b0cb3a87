//! `--results FILE.ndjson`: one row for each enrollee, appended as a whole when the enrollee's pull ends.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Outcome, shard::Shard};
use crate::{
    error::{Error, Exit, Result},
    files::{
        place, private_dir,
        private_file::{self, Intruder},
    },
};

/// The file of results, open for appending.
#[derive(Debug)]
pub(crate) struct Results {
    path: PathBuf,
    file: File,
    shard: Option<Shard>,
}

impl Results {
    /// Opens the file, or creates it, readable only by its owner, together with missing directories above it. Ends a
    /// row that an earlier run could not finish (the disk was full), so that the next row starts on a new line.
    ///
    /// # Errors
    /// [`Exit::Usage`] if something other than a file of this user is there, [`Exit::Disk`].
    pub(crate) fn open(path: &Path, shard: Option<Shard>) -> Result<Self> {
        if place::is_no_file(path) {
            return Err(no_file(path, "it is not one"));
        }
        if let Some(dir) = path.parent() {
            private_dir::create(dir).map_err(|cause| Error::disk("create", dir, &cause))?;
        }
        let opened = private_file::open_or_create(path).and_then(|mut file| {
            let is_whole = ends_with_a_line_break(&mut file)?;
            drop(file);
            let mut file = private_file::open_to_append(path)?;
            if !is_whole {
                file.write_all(b"\n")?;
            }
            Ok(file)
        });
        let file = opened.map_err(|cause| match Intruder::of(&cause) {
            // The person chose the path and owns what is there.
            Some(intruder) if intruder != Intruder::HardLink => no_file(path, &intruder.to_string()),
            _ => Error::disk("write", path, &cause),
        })?;
        Ok(Self { path: path.to_owned(), file, shard })
    }

    /// Appends a row with one write at the end of the file, so that several shards can share the file.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub(crate) fn append(&mut self, outcome: &Outcome) -> Result<()> {
        let line = format!("{}\n", row(outcome, self.shard));
        self.file.write_all(line.as_bytes()).map_err(|cause| Error::disk("write", &self.path, &cause))
    }
}

fn no_file(path: &Path, why: &str) -> Error {
    Error::usage(format!("--results needs a file, and {} cannot be used: {why}", path.display()))
        .hint("Name a file that rows may be added to: --results results.ndjson")
}

fn ends_with_a_line_break(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// A row in the form of the contract.
fn row(outcome: &Outcome, shard: Option<Shard>) -> Value {
    let exit = outcome.failure.as_ref().map_or(Exit::Done, Error::exit);
    let resources = outcome.report.as_ref().map_or_else(|| json!({}), |report| report.json["resources"].clone());
    let mut row = json!({
        "profile": outcome.name.as_str(), "started": outcome.started, "finished": outcome.finished,
        "ok": outcome.failure.is_none(), "exit_code": exit.code(), "resources": resources,
        "requests": outcome.requests, "bytes": outcome.bytes,
    });
    if let Some(shard) = shard {
        row["shard"] = shard.to_string().into();
    }
    if let Some(error) = &outcome.failure {
        row["kind"] = error.kind.name().into();
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It may be a device, or a directory of the system, so no one is told to remove or move it.
    #[cfg(unix)]
    #[test]
    fn results_go_into_a_file_only_and_nothing_else_is_to_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);

        assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        std::fs::write(at("rows"), "{}\n").unwrap();
        std::os::unix::fs::symlink(at("rows"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("nothing"), at("dangling")).unwrap();
        let odd = ["/dev/null", "/dev/stdout", "/etc", "/proc/self/fd/1"].map(std::path::PathBuf::from);
        for path in odd.into_iter().chain(["fifo", "link", "dangling"].map(at)) {
            let error = Results::open(&path, None).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage, "{}: {error:?}", path.display());
            assert!(!error.hint.contains("rm ") && !error.hint.contains("mv "), "{}", error.hint);
        }
    }

    #[test]
    fn a_row_that_was_cut_off_does_not_spoil_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.ndjson");
        for (before, expected) in [("", 1), ("{}\n", 2), ("{\"profile\":", 2)] {
            std::fs::write(&path, before).unwrap();
            Results::open(&path, "0/2".parse().ok()).unwrap().append(&Outcome::example()).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), expected, "{text}");
            let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
            assert_eq!(last["shard"], "0/2");
        }
    }
}
