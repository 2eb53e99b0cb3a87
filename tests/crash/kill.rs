//! Killing: which signal, at which moment, and what the process made of it.

pub(crate) use crate::support::Signal;
use std::{
    fs::File,
    io::Write,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A run that is asked to stop has to end within this, on a machine that has much else to do.
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

    /// A moment of the time up to `whole`.
    pub(crate) fn within(&mut self, whole: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(whole.as_micros()).unwrap() + 1))
    }
}

/// A number from the environment.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Says what the test has found out.
pub(crate) fn tell(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// When a run is struck. Delays are drawn by chance and await nothing: any moment is one to survive.
#[derive(Clone, Debug)]
pub(crate) enum Moment {
    /// So long after the start.
    After(Duration),
    /// So long after this path is there.
    OnceThere(PathBuf, Duration),
}

/// What a signal met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// The run was over, with this code.
    Over(i32),
    /// SIGKILL ended it, or a signal that came before anybody listened for it.
    Killed,
    /// It was asked to stop, and did.
    Stopped,
}

/// Runs a command and strikes it; what it says goes to a file.
pub(crate) fn strike(command: &mut Command, said: &Path, moment: &Moment, signal: Signal) -> Met {
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
    crate::support::signal(child.id(), signal);
    let sent = Instant::now();
    let status = ended(&mut child, sent);
    match (status.code(), status.signal()) {
        (None, Some(ended_by)) if ended_by == signal.as_raw() => Met::Killed,
        (Some(130), None) if signal != Signal::KILL => Met::Stopped,
        // It was as good as over.
        (Some(0), None) => Met::Over(0),
        _ => panic!("{signal:?}: {status:?}: {}", std::fs::read_to_string(said).unwrap_or_default()),
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
