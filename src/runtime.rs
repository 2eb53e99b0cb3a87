//! Starts work, waits for it, and stops it when a person or the system asks for that.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, ErrorKind, Result},
    output::Output,
};

/// Runs a task that uses the network until it ends.
///
/// # Errors
/// Errors of the task.
pub(crate) fn block_on<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    run_on(tokio::runtime::Builder::new_current_thread(), task)
}

/// Like [`block_on`], but also with worker threads for spawned tasks. What they receive and split does not have to
/// wait while this thread writes.
///
/// # Errors
/// Errors of the task.
pub(crate) fn block_on_with_workers<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    const WORKERS: usize = 2;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS);
    run_on(builder, task)
}

/// Tries to start as many threads as a run uses at most. Without room for them, a runtime would panic, or give work
/// to threads that never start.
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
    // The kernel counts a joined thread until it has cleaned it up. It could take the place of one of the runtime's
    // threads.
    let deadline = Instant::now() + Duration::from_secs(1);
    while threads() > before && Instant::now() < deadline {
        thread::yield_now();
    }
    started
}

/// How many threads this process has, if the system says so (Linux).
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// Tries to open as many files as the runtime and a first connection need. Without room for them, waiting for signals
/// would panic.
fn has_room_for_files() -> std::io::Result<()> {
    const AT_ONCE: usize = 12;
    #[cfg(unix)]
    {
        let files: std::io::Result<Vec<_>> = (0..AT_ONCE).map(|_| std::fs::File::open("/dev/null")).collect();
        // Without that device, this cannot be tested.
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
    // Idle threads stay, because another process may have taken their place when they are needed again.
    builder.enable_all().thread_keep_alive(Duration::from_secs(24 * 3600));
    let runtime = builder.build().map_err(|cause| Error::limit(&cause))?;
    let result = runtime.block_on(task);
    // A thread that waits for a keyring or a terminal is abandoned.
    runtime.shutdown_background();
    result
}

/// Runs the task until it ends, or until a person or the system asks to stop: then it is dropped at once.
///
/// # Errors
/// Errors of the task; [`crate::error::Exit::Interrupted`] after SIGINT, SIGTERM or SIGHUP.
pub(crate) async fn interruptible<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = asked_to_stop() => Err(Error::new(ErrorKind::Interrupted, "interrupted")
            .hint("What was complete is kept. Run the same command again.")),
        result = task => result,
    }
}

/// Calls `each` for many items, in as many threads as the machine has processors. The results are in the order of the
/// items. A few items do not need threads.
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
        // If the system has no more threads, this one does the work.
        let ends = started.into_iter().flat_map(|(part, started)| match started {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => work(part),
        });
        // Each item was taken once.
        ends.flatten().collect()
    })
}

/// Runs blocking work (disk, locks) in a separate thread, so that a request to stop is noticed during it. If the
/// caller stops waiting, the thread is abandoned and does not keep the process from ending.
///
/// # Errors
/// [`crate::error::Exit::Defect`] if the work panicked.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::new(ErrorKind::Defect, "work on the disk ended unexpectedly"))
}

/// Runs a task that must not be dropped halfway. The first request to stop only prints what is being finished, and a
/// second one ends the task.
///
/// # Errors
/// Errors of the task; [`crate::error::Exit::Interrupted`] after the second request.
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

/// Waits for SIGINT or SIGTERM, or for SIGHUP (a closed terminal) unless that is ignored.
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

/// Whether SIGHUP ends this process. Under `nohup`, it is ignored. Only Linux can tell without unsafe code; elsewhere
/// SIGHUP keeps its default effect.
#[cfg(unix)]
fn hang_up_ends_us() -> bool {
    static ENDS_US: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ENDS_US.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        // Signals are numbered from 1, and SIGHUP is number 1.
        ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 0)
    })
}

/// Waits for Ctrl-C, Ctrl-Break, a closed console, the end of the session, or a shutdown. After the last three,
/// Windows gives this process some seconds to end.
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
