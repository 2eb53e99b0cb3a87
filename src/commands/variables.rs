//! Environment variables as options: an empty one counts as not set, and an error names a wrong one.

use std::ffi::OsString;

use clap::{
    Arg, Command, Error, FromArgMatches,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::cli::{self, Cli};

/// Reads the command line of this process. A refusal comes with the variable that its value is from, if it is.
pub(super) fn parse() -> Result<Cli, (Error, Option<String>)> {
    read(&|_| false).map_err(|refusal| {
        // Variables make no command: whoever types `bbdl` alone gets the help.
        if refusal.kind() == ErrorKind::MissingSubcommand
            && std::env::args_os().len() < 2
            && let Err(help) = read(&|_| true)
        {
            return (help, None);
        }
        match blamed(&refusal) {
            Some(variable) => (named(refusal, &variable), Some(variable)),
            None => (refusal, None),
        }
    })
}

/// The refusal of a value says where the value is from.
fn named(mut refusal: Error, variable: &str) -> Error {
    if refusal.get(ContextKind::InvalidArg).is_some() {
        refusal.insert(ContextKind::InvalidArg, ContextValue::String(variable.to_owned()));
    }
    refusal
}

/// As if the variables that are left out were not set, and the empty ones neither.
fn read(leave_out: &dyn Fn(&str) -> bool) -> Result<Cli, Error> {
    let mut command = without(cli::command(), leave_out);
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|refusal| refusal.format(&mut command))
}

fn without(command: Command, leave_out: &dyn Fn(&str) -> bool) -> Command {
    let is_out = |arg: &Arg| {
        let Some(name) = arg.get_env() else { return false };
        std::env::var_os(name).is_some_and(|value| value.is_empty()) || leave_out(&name.to_string_lossy())
    };
    let command = command.mut_args(|arg| if is_out(&arg) { arg.env(Resettable::Reset) } else { arg });
    command.mut_subcommands(|it| without(it, leave_out))
}

/// The variable without which the refusal would be another one, or none.
fn blamed(refusal: &Error) -> Option<String> {
    if !matches!(refusal.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8) {
        return None;
    }
    let is_the_same = |other: &Error| other.kind() == refusal.kind() && other.to_string() == refusal.to_string();
    let named = variables(&cli::command());
    named.into_iter().find(|variable| !read(&|name| name == variable).is_err_and(|other| is_the_same(&other)))
}

/// Every variable of a command and those below it that is set here.
fn variables(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(Arg::get_env).map(OsString::from);
    let set = own.filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let set = set.map(|name| name.to_string_lossy().into_owned());
    set.chain(command.get_subcommands().flat_map(variables)).collect()
}
