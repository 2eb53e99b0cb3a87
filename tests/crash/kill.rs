//! Kills a process: how, when, and with what result.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How soon a run that is asked to stop has to end, on a busy machine.
const PROMPTLY: Duration = Duration::from_secs(2);

/// Numbers that are the same for the same seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, series: u64) -> Self {
        Self(seed ^ series.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A random time up to `whole`.
    pub(crate) fn within(&mut self, whole: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(whole.as_micros()).unwrap() + 1))
    }
}

/// A number from the environment.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Prints what the test has found out.
pub(crate) fn tell(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// When to strike a run. The delays are random and do not wait for anything, because a run has to survive at any
/// moment.
#[derive(Clone, Debug)]
pub(crate) enum Moment {
    /// This long after the start.
    After(Duration),
    /// This long after this path exists.
    OnceThere(PathBuf, Duration),
}

/// How to strike a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// A signal that no process can handle: SIGKILL, on Windows `TerminateProcess`.
    Kill,
    /// SIGTERM.
    #[cfg(unix)]
    Terminate,
    /// SIGINT.
    #[cfg(unix)]
    Interrupt,
}

impl Blow {
    fn land_on(self, child: &mut Child) {
        #[cfg(unix)]
        crate::support::signal(child.id(), self.signal());
        #[cfg(not(unix))]
        child.kill().unwrap();
    }

    #[cfg(unix)]
    fn signal(self) -> crate::support::Signal {
        match self {
            Self::Kill => crate::support::Signal::KILL,
            Self::Terminate => crate::support::Signal::TERM,
            Self::Interrupt => crate::support::Signal::INT,
        }
    }

    /// Whether this blow ended the process, and not the process itself.
    fn ended(self, status: ExitStatus) -> bool {
        #[cfg(unix)]
        return std::os::unix::process::ExitStatusExt::signal(&status) == Some(self.signal().as_raw());
        // The exit code of a process that the standard library has terminated.
        #[cfg(not(unix))]
        return status.code() == Some(1);
    }
}

/// What happened to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// It had already ended, with this code.
    Over(i32),
    /// The blow ended it: a kill, or a signal before the process listened for it.
    Killed,
    /// It was asked to stop, and stopped.
    Stopped,
}

/// Runs a command and strikes it. Its output goes to a file.
pub(crate) fn strike(command: &mut Command, said: &Path, moment: &Moment, blow: Blow) -> Met {
    let mut child = command.stdout(Stdio::null()).stderr(File::create(said).unwrap()).spawn().unwrap();
    let started = Instant::now();
    match moment {
        Moment::After(delay) => thread::sleep(*delay),
        Moment::OnceThere(path, delay) => {
            while !path.exists() {
                if let Some(status) = child.try_wait().unwrap() {
                    return Met::Over(status.code().unwrap());
                }
                thread::sleep(Duration::from_micros(100));
                assert!(started.elapsed() < crate::support::PATIENCE, "bbdl hangs");
            }
            thread::sleep(*delay);
        }
    }
    if let Some(status) = child.try_wait().unwrap() {
        return Met::Over(status.code().unwrap());
    }
    blow.land_on(&mut child);
    let sent = Instant::now();
    let status = ended(&mut child, sent);
    match status.code() {
        _ if blow.ended(status) => Met::Killed,
        Some(130) if blow != Blow::Kill => Met::Stopped,
        // It had almost ended.
        Some(0) => Met::Over(0),
        _ => panic!("{blow:?}: {status:?}: {}", std::fs::read_to_string(said).unwrap_or_default()),
    }
}

fn ended(child: &mut Child, sent: Instant) -> ExitStatus {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(sent.elapsed() < PROMPTLY, "it does not stop when asked to");
        thread::sleep(Duration::from_millis(1));
    }
}
