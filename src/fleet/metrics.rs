//! `--metrics FILE.prom`: the numbers of a run for Prometheus, in the format of node_exporter's textfile collector
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).
//!
//! A rename replaces the file as a whole. Everyone may read it: the collector runs as a separate user, and the file
//! contains only numbers.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{shard::Shard, tally::Tally};
use crate::{
    error::{Error, Exit, Result},
    files::{durable, place},
};

/// Time between two writes during a run. Prometheus usually reads about that often.
const PAUSE: Duration = Duration::from_secs(15);

/// The file of metrics of one run.
#[derive(Debug)]
pub(crate) struct Metrics {
    path: PathBuf,
    shard: Option<Shard>,
    started: Timestamp,
    written: Option<Instant>,
    /// When the run before this one ended, in seconds since 1970.
    last_end: Option<u64>,
}

impl Metrics {
    /// The metrics of a run that begins now. A symbolic link is followed and stays.
    ///
    /// # Errors
    /// [`Exit::Usage`] if something other than a file is there.
    pub(crate) fn new(path: &Path, shard: Option<Shard>) -> Result<Self> {
        if path == Path::new("-") || place::is_no_file(path) {
            return Err(Error::usage(format!("--metrics needs a file, and {} is not one", path.display()))
                .hint("Name a file that may be replaced: --metrics bbdl.prom"));
        }
        let path = place::followed(path);
        let last_end = fs::read_to_string(&path).ok().and_then(|text| last_end(&text, shard));
        Ok(Self { path, shard, started: Timestamp::now(), written: None, last_end })
    }

    /// The file that is replaced.
    #[must_use]
    pub(crate) fn place(&self) -> &Path {
        &self.path
    }

    /// Writes the numbers of a running run, unless that was done a moment ago.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub(crate) fn progress(&mut self, tally: &Tally) -> Result<()> {
        if self.written.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(());
        }
        self.write(tally, None)?;
        self.written = Some(Instant::now());
        Ok(())
    }

    /// Writes the numbers of a run that has ended.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub(crate) fn finish(self, tally: &Tally, exit: Exit) -> Result<()> {
        self.write(tally, Some((Timestamp::now(), exit)))
    }

    fn write(&self, tally: &Tally, end: Option<(Timestamp, Exit)>) -> Result<()> {
        let mut text = text(tally, self.shard, self.started, end);
        if let (None, Some(last)) = (end, self.last_end) {
            text.push_str(&end_time(self.shard, last));
        }
        durable::write_public(&self.path, text.as_bytes()).map_err(|cause| Error::disk("write", &self.path, &cause))
    }
}

/// The labels of every sample, after the sample's own labels.
struct Labels(Option<Shard>);

impl Labels {
    fn with(&self, own: &[(&str, &str)]) -> String {
        let mut labels: Vec<String> = own.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        labels.extend(self.0.map(|shard| format!("shard=\"{shard}\"")));
        if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
    }
}

fn text(tally: &Tally, shard: Option<Shard>, started: Timestamp, end: Option<(Timestamp, Exit)>) -> String {
    let (labels, mut text) = (Labels(shard), String::new());
    let mut family = |name: &str, help: &str, samples: &[(String, u64)]| {
        if !samples.is_empty() {
            let _ = writeln!(text, "# HELP bbdl_run_{name} {help}\n# TYPE bbdl_run_{name} gauge");
        }
        for (labels, value) in samples {
            let _ = writeln!(text, "bbdl_run_{name}{labels} {value}");
        }
    };
    let states = [
        ("due", tally.due),
        ("fresh", tally.fresh),
        ("succeeded", tally.succeeded),
        ("failed", tally.failed()),
        ("removed", tally.removed),
        ("left", tally.left()),
    ];
    let states = states.map(|(state, number)| (labels.with(&[("state", state)]), number));
    family("enrollees", "Enrollees of this run, by what became of them.", &states);
    let failures: Vec<_> = tally
        .failures()
        .map(|(kind, number)| {
            let code = kind.exit().code().to_string();
            (labels.with(&[("kind", kind.name()), ("exit_code", &code)]), number)
        })
        .collect();
    family("failures", "Enrollees whose pull failed, by kind and exit code.", &failures);
    let plain = |value: u64| [(labels.with(&[]), value)];
    family("requests", "Requests made by this run.", &plain(tally.requests));
    family("received_bytes", "Bytes received by this run.", &plain(tally.bytes));
    let seconds = |at: Timestamp| u64::try_from(at.as_second()).unwrap_or_default();
    family("start_time_seconds", "When this run began, in seconds since 1970.", &plain(seconds(started)));
    if let Some((finished, exit)) = end {
        family("exit_code", "The exit code of this run.", &plain(u64::from(exit.code())));
        text.push_str(&end_time(shard, seconds(finished)));
    }
    text
}

/// The name of the sample with the time when the last run ended. It stays there while the next run is going, so that
/// an alert on its age also finds runs that never end.
const END_TIME: &str = "bbdl_run_finish_time_seconds";

fn end_time(shard: Option<Shard>, seconds: u64) -> String {
    format!(
        "# HELP {END_TIME} When the last run that ended did so, in seconds since 1970.\n# TYPE {END_TIME} gauge\n{END_TIME}{} {seconds}\n",
        Labels(shard).with(&[])
    )
}

/// The time that [`end_time`] has written into a file of metrics.
fn last_end(text: &str, shard: Option<Shard>) -> Option<u64> {
    let sample = format!("{END_TIME}{} ", Labels(shard).with(&[]));
    text.lines().find_map(|line| line.strip_prefix(&sample)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, fleet::Outcome};

    #[test]
    fn metrics_are_labeled_with_kind_and_shard() {
        let mut tally = Tally { due: 3, ..Tally::default() };
        tally.count(&Outcome::example());
        let failure = Some(Error::new(ErrorKind::GrantRevoked, "withdrawn"));
        tally.count(&Outcome { failure, ..Outcome::example() });
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let running = text(&tally, None, at, None);
        assert!(running.contains("\nbbdl_run_enrollees{state=\"left\"} 1\n"), "{running}");
        assert!(running.contains("\nbbdl_run_requests 2\n") && !running.contains("exit_code "), "{running}");
        let over = text(&tally, "1/4".parse().ok(), at, Some((at, Exit::PersonMustAct)));
        for line in [
            "bbdl_run_failures{kind=\"grant_revoked\",exit_code=\"77\",shard=\"1/4\"} 1",
            "bbdl_run_finish_time_seconds{shard=\"1/4\"} 1800000000",
            "bbdl_run_exit_code{shard=\"1/4\"} 77",
            "# TYPE bbdl_run_exit_code gauge",
        ] {
            assert!(over.lines().any(|it| it == line), "{line}: {over}");
        }
    }

    #[test]
    fn the_file_may_be_read_by_the_collector() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bbdl.prom");
        let mut metrics = Metrics::new(&path, None).unwrap();
        metrics.progress(&Tally::default()).unwrap();
        let first = std::fs::read(&path).unwrap();
        metrics.progress(&Tally { due: 7, ..Tally::default() }).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first, "not at every enrollee");
        metrics.finish(&Tally { due: 7, ..Tally::default() }, Exit::Done).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("state=\"due\"} 7"));
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o644);
        }
    }
}
