//! One file a command. Here: from the command line to the command, and from its end to the exit code.

mod context;
pub mod demo;
pub mod doctor;
pub mod export;
pub mod fetch;
pub mod generate;
mod hardening;
pub mod login;
pub mod logout;
pub mod mock;
pub mod purge;
pub mod report;
pub mod status;
mod variables;
pub mod verify;

use std::{panic::AssertUnwindSafe, thread, time::Duration};

pub use context::Context;

use crate::{
    cli::Command,
    error::{Error, ErrorKind, Exit, Result},
    output::Ui,
};

/// Runs the program; everything a person has to see has been said when it returns.
#[must_use]
pub fn main() -> Exit {
    hardening::harden();
    if std::env::var_os(generate::ASKED_BY_A_SHELL).is_some() {
        return generate::complete();
    }
    if std::env::args_os().nth(1).is_some_and(|word| word == login::browser::OPENER) {
        return login::browser::open_and_exit();
    }
    let json = json_is_wanted();
    silence_panics(json);
    let cli = match variables::parse() {
        Ok(cli) => cli,
        Err((refusal, variable)) => return not_understood(&refusal, variable.as_deref(), json),
    };
    let (context, command) = match Context::new(cli) {
        Ok(ready) => ready,
        Err((ui, error)) => return failed(&ui, &error),
    };
    // The hook has said what there is to say of a panic; what is left is its exit code.
    match std::panic::catch_unwind(AssertUnwindSafe(|| run(&context, command).and_then(|()| context.ui.delivered()))) {
        Ok(Ok(())) => Exit::Done,
        Ok(Err(error)) => failed(&context.ui, &error),
        Err(_) => Exit::Defect,
    }
}

/// What has to be known before the command line is read, so that its own errors can be told as wanted.
fn json_is_wanted() -> bool {
    let by_flag = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    let by_environment = || {
        let set = std::env::var("BBDL_JSON").unwrap_or_default().to_ascii_lowercase();
        !matches!(set.as_str(), "" | "0" | "f" | "false" | "n" | "no" | "off")
    };
    by_flag || by_environment()
}

/// Help and version go to stdout and are no failure; the rest is exit 2.
fn not_understood(refusal: &clap::Error, variable: Option<&str>, json: bool) -> Exit {
    let printed = refusal.print().and_then(|()| std::io::Write::flush(&mut std::io::stdout()));
    if !refusal.use_stderr() {
        return match printed {
            Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
                failed(&Ui::quiet(), &Error::stdout(&cause))
            }
            _ => Exit::Done,
        };
    }
    let from = variable.map(|name| format!("the value comes from the environment variable {name}"));
    if let Some(from) = &from {
        Ui::quiet().tell(format!("\n{from}"));
    }
    if json {
        let text = refusal.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let first = from.map_or_else(|| first.to_owned(), |from| format!("{first} ({from})"));
        let error = Error::usage(first).hint("For what can be typed: bbdl --help");
        // The sentence is on stderr already.
        Ui::quiet_json().failure_json(&error);
    }
    Exit::Usage
}

fn failed(ui: &Ui, error: &Error) -> Exit {
    ui.failure(error);
    error.exit()
}

fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Login(args) => login::run(context, args),
        Command::Logout(args) => logout::run(context, &args),
        Command::Status(args) => status::run(context, &args),
        Command::Fetch(args) => fetch::run(context, &args),
        Command::Verify(args) => verify::run(context, &args),
        Command::Report(args) => report::run(context, &args),
        Command::Export(args) => export::run(context, &args),
        Command::Doctor => doctor::run(context),
        Command::Purge(args) => purge::run(context, &args),
        Command::Mock(args) => mock::run(context, &args),
        Command::Demo(args) => demo::run(context, &args),
        Command::Completions(args) => generate::completions(context, &args),
        Command::Man(args) => generate::man(context, &args),
    }
}

/// A panic is a defect of ours: its message may quote what was being worked on, and that is somebody's
/// health record. Only the place is told.
fn silence_panics(json: bool) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        let error = Error::new(ErrorKind::Defect, format!("bbdl has a defect at {place}"))
            .hint("Please report it with this line; nothing of your data is in it.");
        let ui = if json { Ui::quiet_json() } else { Ui::quiet() };
        ui.failure(&error);
    }));
}

/// Runs a task that talks to the network to its end.
///
/// # Errors
/// Those of the task.
pub(crate) fn block_on<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    run_on(tokio::runtime::Builder::new_current_thread(), task)
}

/// As [`block_on`], with threads beside this one on which tasks of their own run: what they receive and
/// split waits for nothing that is written here.
///
/// # Errors
/// Those of the task.
pub(crate) fn block_on_with_workers<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    const WORKERS: usize = 2;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS);
    run_on(builder, task)
}

/// As many threads as a run has at once on a machine that is busy. Where the system has no room for them, a runtime
/// would panic, or hand work to threads that never come.
fn has_room_for_threads() -> std::io::Result<()> {
    const AT_ONCE: usize = 8;
    let gate = std::sync::RwLock::new(());
    let closed = gate.write();
    thread::scope(|scope| {
        let wait = || drop(gate.read());
        let started = (0..AT_ONCE).try_for_each(|_| thread::Builder::new().spawn_scoped(scope, wait).map(drop));
        drop(closed);
        started
    })
}

/// As many files as the runtime and a first connection have open: where the system has no room for them, waiting for
/// signals would panic.
fn has_room_for_files() -> std::io::Result<()> {
    const AT_ONCE: usize = 12;
    #[cfg(unix)]
    {
        let files: std::io::Result<Vec<_>> = (0..AT_ONCE).map(|_| std::fs::File::open("/dev/null")).collect();
        // Without that device the question stays open.
        files.map(drop).or_else(|cause| if cause.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(cause) })
    }
    #[cfg(not(unix))]
    {
        let _ = AT_ONCE;
        Ok(())
    }
}

fn run_on<T>(mut builder: tokio::runtime::Builder, task: impl Future<Output = Result<T>>) -> Result<T> {
    has_room_for_files().and_then(|()| has_room_for_threads()).map_err(|cause| Error::limit(&cause))?;
    // Threads that are idle stay: another process may have taken their place when they are needed again.
    builder.enable_all().thread_keep_alive(Duration::from_secs(24 * 3600));
    let runtime = builder.build().map_err(|cause| Error::limit(&cause))?;
    let result = runtime.block_on(task);
    // A thread that waits for a keyring or a terminal is left behind.
    runtime.shutdown_background();
    result
}

/// The task, or its end when a person or the system asks to stop: it is dropped where it stands.
///
/// # Errors
/// Those of the task; [`Exit::Interrupted`] after SIGINT, SIGTERM or SIGHUP.
pub(crate) async fn interruptible<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = asked_to_stop() => Err(Error::new(ErrorKind::Interrupted, "interrupted")
            .hint("What was complete is kept. Run the same command again.")),
        result = task => result,
    }
}

/// Work that blocks (disk, locks), done on a thread of its own, so that a request to stop is heard
/// meanwhile. Whoever stops waiting leaves the thread behind; the process ends without it.
///
/// # Errors
/// [`Exit::Defect`] when the work panicked.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::new(ErrorKind::Defect, "work on the disk ended unexpectedly"))
}

/// A task that must not be dropped half-way: the first request to stop is answered with what is being
/// finished, and only a second one ends it.
///
/// # Errors
/// Those of the task; [`Exit::Interrupted`] after the second request.
pub(crate) async fn finish_first<T>(ui: &Ui, what: &str, task: impl Future<Output = Result<T>>) -> Result<T> {
    let mut task = std::pin::pin!(task);
    tokio::select! {
        biased;
        result = &mut task => return result,
        () = asked_to_stop() => {}
    }
    ui.tell(format!("{what} To give it up: interrupt again."));
    interruptible(task).await
}

/// SIGINT, SIGTERM, or SIGHUP (a closed terminal) where that is not to be ignored.
#[cfg(unix)]
pub(crate) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    let mut hang_up = if hang_up_ends_us() { signal(SignalKind::hangup()).ok() } else { None };
    let hung_up = async {
        match &mut hang_up {
            Some(hang_up) => hang_up.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        Some(()) = terminate.recv() => {}
        Some(()) = hung_up => {}
    }
}

/// Whether SIGHUP ends this process: not under `nohup`, which has it ignored. Only Linux says so without
/// unsafe code; elsewhere SIGHUP keeps doing what it does by itself.
#[cfg(unix)]
fn hang_up_ends_us() -> bool {
    static ENDS_US: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ENDS_US.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        // Signals are numbered from 1, and SIGHUP is the first.
        ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 0)
    })
}

#[cfg(not(unix))]
pub(crate) async fn asked_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
