//! One file per command. This file leads from the command line to the command, and from its end to the exit code.

mod archive_owner;
mod context;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod fetch;
pub(crate) mod generate;
mod hardening;
mod log_ins;
pub(crate) mod login;
pub(crate) mod logout;
mod man_page;
pub(crate) mod mock;
mod output_file;
pub(crate) mod profiles;
pub(crate) mod purge;
mod refusal;
pub(crate) mod report;
mod shared_state;
pub(crate) mod status;
mod variables;
pub(crate) mod verify;

use std::panic::AssertUnwindSafe;

pub use context::Context;

use crate::{
    cli::Command,
    error::{Error, ErrorKind, Exit, ISSUES, Result, is_of_a_closed_pipe},
    output::Output,
};

/// Runs the program. When it returns, everything that a person has to see has been printed.
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
        Err((output, error)) => return failed(&output, &error),
    };
    // The hook has already printed the panic, so only the exit code is left.
    match std::panic::catch_unwind(AssertUnwindSafe(|| {
        run(&context, command).and_then(|()| context.output.delivered())
    })) {
        Ok(Ok(())) => Exit::Done,
        Ok(Err(error)) => failed(&context.output, &error),
        Err(_) => Exit::Defect,
    }
}

/// Whether JSON is wanted. This must be known before the command line is parsed, so that parse errors have the right
/// form.
fn json_is_wanted() -> bool {
    let by_flag = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    let by_environment = || {
        let set = std::env::var("BBDL_JSON").unwrap_or_default().to_ascii_lowercase();
        !matches!(set.as_str(), "" | "0" | "f" | "false" | "n" | "no" | "off")
    };
    by_flag || by_environment()
}

/// Help and version go to stdout and are not failures. Everything else is exit 2.
fn not_understood(refusal: &clap::Error, variable: Option<&str>, json: bool) -> Exit {
    let printed = refusal.print().and_then(|()| std::io::Write::flush(&mut std::io::stdout()));
    if !refusal.use_stderr() {
        return match printed {
            Err(cause) if !is_of_a_closed_pipe(&cause) => failed(&Output::quiet(), &Error::stdout(&cause)),
            _ => Exit::Done,
        };
    }
    let correct = variable.map(|name| match refusal.kind() {
        // It is right where nothing else contradicts it.
        clap::error::ErrorKind::ArgumentConflict => format!("Unset the environment variable {name} for this command."),
        _ => format!("Correct or unset the environment variable {name}."),
    });
    if let Some(correct) = &correct {
        Output::quiet().tell(format!("\n{correct}"));
    }
    if json {
        let text = refusal.to_string();
        let message = match refusal.kind() {
            // The text of this refusal is the help itself.
            clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "no command was given".to_owned(),
            // What is missing, or in conflict, is on separate lines.
            _ => {
                let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
                lines.join(" ").trim_start_matches("error: ").to_owned()
            }
        };
        let all = || "For all commands and options: bbdl --help".to_owned();
        let error = Error::usage(message).hint(correct.unwrap_or_else(all));
        // The sentence is already on stderr.
        Output::quiet_json().failure_json(&error);
    }
    Exit::Usage
}

fn failed(output: &Output, error: &Error) -> Exit {
    output.failure(error);
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
        Command::Doctor(args) => doctor::run(context, &args),
        Command::Profiles(args) => profiles::run(context, &args),
        Command::Purge(args) => purge::run(context, &args),
        Command::Mock(args) => mock::run(context, &args),
        Command::Demo(args) => demo::run(context, &args),
        Command::Completions(args) => generate::completions(context, &args),
        Command::Man(args) => generate::man(context, &args),
    }
}

/// A panic is a bug in bbdl. Its message may quote a health record, so only the place in the code is shown.
fn silence_panics(json: bool) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        let error = Error::new(ErrorKind::Defect, format!("bbdl has a bug at {place}"))
            .hint(format!("Please report it with this line at {ISSUES}. None of your data is in it."));
        let output = if json { Output::quiet_json() } else { Output::quiet() };
        output.failure(&error);
    }));
}
