//! One file a command. Here: from the command line to the command, and from its end to the exit code.

mod context;
pub mod demo;
pub mod fetch;
pub mod generate;
pub mod login;
pub mod logout;
pub mod mock;
pub mod status;
pub mod verify;

use std::panic::AssertUnwindSafe;

use clap::Parser;

pub use context::Context;

use crate::{
    cli::{Cli, Command},
    error::{Error, Exit, Result},
    ui::Ui,
};

/// Runs the program; everything a person has to see has been said when it returns.
#[must_use]
pub fn main() -> Exit {
    silence_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => {
            // Help and version go to stdout and are no failure; the rest is exit 2.
            let _ = refusal.print();
            return if refusal.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let (context, command) = match Context::new(cli) {
        Ok(ready) => ready,
        Err((ui, error)) => return failed(&ui, &error),
    };
    // The hook has said what there is to say of a panic; what is left is its exit code.
    match std::panic::catch_unwind(AssertUnwindSafe(|| run(&context, command))) {
        Ok(Ok(())) => Exit::Done,
        Ok(Err(error)) => failed(&context.ui, &error),
        Err(_) => Exit::Defect,
    }
}

fn failed(ui: &Ui, error: &Error) -> Exit {
    ui.failure(error);
    error.exit
}

fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Login(args) => login::run(context, args),
        Command::Logout(args) => logout::run(context, &args),
        Command::Status(args) => status::run(context, &args),
        Command::Fetch(args) => fetch::run(context, &args),
        Command::Verify(args) => verify::run(context, &args),
        Command::Mock(args) => mock::run(context, &args),
        Command::Demo(args) => demo::run(context, &args),
        Command::Completions(args) => generate::completions(context, &args),
        Command::Man(args) => generate::man(context, &args),
    }
}

/// A panic is a defect of ours: its message may quote what was being worked on, and that is somebody's
/// health record. Only the place is told.
fn silence_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        let error = Error::new(Exit::Defect, "defect", format!("bbdl has a defect at {place}"))
            .hint("Please report it with this line; nothing of your data is in it.");
        Ui::quiet().failure(&error);
    }));
}

/// Runs a task that talks to the network to its end.
///
/// # Errors
/// Those of the task.
pub(crate) fn block_on<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new(Exit::Defect, "runtime", format!("cannot start: {cause}")))?;
    let result = runtime.block_on(task);
    // A thread that waits for a keyring or a terminal is left behind.
    runtime.shutdown_background();
    result
}

/// The task, or its end when a person or the system asks to stop: it is dropped where it stands.
///
/// # Errors
/// Those of the task; [`Exit::Interrupted`] after SIGINT or SIGTERM.
pub(crate) async fn interruptible<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = asked_to_stop() => Err(Error::new(Exit::Interrupted, "interrupted", "interrupted")
            .hint("What was complete is kept. Run the same command again.")),
        result = task => result,
    }
}

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        Some(()) = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
