//! How work is run, waited for, and stopped when a person or the system asks for it.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, ErrorKind, Result},
    output::Output,
};

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
    let before = threads();
    let gate = std::sync::RwLock::new(());
    let closed = gate.write();
    let started = thread::scope(|scope| {
        let wait = || drop(gate.read());
        let started = (0..AT_ONCE).try_for_each(|_| thread::Builder::new().spawn_scoped(scope, wait).map(drop));
        drop(closed);
        started
    });
    // A thread that was joined counts until the kernel has let it go, and would take the place of the runtime's own.
    let deadline = Instant::now() + Duration::from_secs(1);
    while threads() > before && Instant::now() < deadline {
        thread::yield_now();
    }
    started
}

/// How many threads this process has, where the system says so (Linux).
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
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
/// Those of the task; [`crate::error::Exit::Interrupted`] after SIGINT, SIGTERM or SIGHUP.
pub(crate) async fn interruptible<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = asked_to_stop() => Err(Error::new(ErrorKind::Interrupted, "interrupted")
            .hint("What was complete is kept. Run the same command again.")),
        result = task => result,
    }
}

/// Does something with each of many items, on as many threads as the machine has processors; the answers stand in the
/// order of the items. A few are not worth a thread.
pub(crate) fn in_parallel<T: Send, R: Send>(items: Vec<T>, each: impl Fn(T) -> R + Sync) -> Vec<R> {
    const FEW: usize = 64;
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.min(items.len() / FEW);
    if threads < 2 {
        return items.into_iter().map(each).collect();
    }
    let part = items.len().div_ceil(threads);
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let take = |item: &Mutex<Option<T>>| item.lock().unwrap_or_else(PoisonError::into_inner).take().map(&each);
    let work = |part: &[Mutex<Option<T>>]| part.iter().map(take).collect::<Vec<_>>();
    thread::scope(|scope| {
        let started: Vec<_> =
            items.chunks(part).map(|part| (part, thread::Builder::new().spawn_scoped(scope, || work(part)))).collect();
        // Where the system has no more threads, this one does it.
        let ends = started.into_iter().flat_map(|(part, started)| match started {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => work(part),
        });
        // Each was taken once.
        ends.flatten().collect()
    })
}

/// Work that blocks (disk, locks), done on a thread of its own, so that a request to stop is heard
/// meanwhile. Whoever stops waiting leaves the thread behind; the process ends without it.
///
/// # Errors
/// [`crate::error::Exit::Defect`] when the work panicked.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::new(ErrorKind::Defect, "work on the disk ended unexpectedly"))
}

/// A task that must not be dropped half-way: the first request to stop is answered with what is being
/// finished, and only a second one ends it.
///
/// # Errors
/// Those of the task; [`crate::error::Exit::Interrupted`] after the second request.
pub(crate) async fn finish_before_exit<T>(
    output: &Output,
    what: &str,
    task: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut task = std::pin::pin!(task);
    tokio::select! {
        biased;
        result = &mut task => return result,
        () = asked_to_stop() => {}
    }
    output.tell(format!("{what} To stop anyway, interrupt again."));
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

/// Ctrl-C, Ctrl-Break, a closed console, the end of the session or of Windows. Of the last three Windows tells and waits
/// some seconds for this process to end.
#[cfg(windows)]
pub(crate) async fn asked_to_stop() {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
    let (Ok(mut c), Ok(mut r#break), Ok(mut close), Ok(mut log_off), Ok(mut shutdown)) =
        (ctrl_c(), ctrl_break(), ctrl_close(), ctrl_logoff(), ctrl_shutdown())
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        Some(()) = c.recv() => {}
        Some(()) = r#break.recv() => {}
        Some(()) = close.recv() => {}
        Some(()) = log_off.recv() => {}
        Some(()) = shutdown.recv() => {}
    }
}
