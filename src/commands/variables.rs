//! Environment variables as options: an empty one counts as not set, and an error names a wrong one.

use clap::{
    Arg, ArgMatches, Command, Error, FromArgMatches,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use super::refusal::with_advice;
use crate::cli::{self, Cli};

/// A variable that is set, and the option that it stands for, such as `--jobs`.
struct Variable {
    name: String,
    option: String,
    /// The option, as clap calls it.
    id: String,
}

/// Parses the command line of this process. A refusal comes with the name of the variable that caused it, if one did.
pub(super) fn parse() -> Result<Cli, (Error, Option<String>)> {
    let mut overruled: Vec<String> = Vec::new();
    loop {
        let refusal = match read(&|name| overruled.iter().any(|it| it == name)) {
            Ok(cli) => return Ok(cli),
            Err(refusal) => refusal,
        };
        let Some(variable) = blamed(&refusal, &overruled) else { return Err((with_advice(as_typed(refusal)), None)) };
        if !is_overruled(&refusal, &variable) {
            return Err((with_advice(named(refusal, &variable)), Some(variable.name)));
        }
        overruled.push(variable.name);
    }
}

/// Whether a variable does not count, because its option is typed or one that conflicts with it: what is typed counts
/// more than what is set. Two variables that conflict with each other are an error.
fn is_overruled(refusal: &Error, variable: &Variable) -> bool {
    let conflicts = |refusal: &Error| refusal.kind() == ErrorKind::ArgumentConflict;
    if conflicts(refusal) {
        read(&|name| name != variable.name).is_err_and(|it| conflicts(&it))
    } else {
        matches(&|_| true).is_ok_and(|(_, matches)| is_typed(&matches, &variable.id))
    }
}

/// The refusal without the environment. Its usage line shows only what the person typed, not the options that
/// variables stand for. A person who types only `bbdl` gets the help, whatever is set.
fn as_typed(refusal: Error) -> Error {
    match read(&|_| true) {
        // A requested help shows the values of the variables.
        Err(other)
            if refusal.use_stderr()
                && (other.kind() == refusal.kind() || refusal.kind() == ErrorKind::MissingSubcommand) =>
        {
            other
        }
        _ => refusal,
    }
}

/// Makes the refusal name the variable that the value comes from.
fn named(mut refusal: Error, variable: &Variable) -> Error {
    let is_meant = |value: &ContextValue| match value {
        // An option that is counted is shown with dots.
        ContextValue::String(text) => {
            text.split(' ').next().is_some_and(|it| it.trim_end_matches("...") == variable.option)
        }
        _ => false,
    };
    for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
        if refusal.get(kind).is_some_and(is_meant) {
            refusal.insert(kind, ContextValue::String(variable.name.clone()));
        }
    }
    // It would show the option as if the person had typed it.
    refusal.insert(ContextKind::Usage, ContextValue::None);
    refusal
}

/// Parses as if empty variables and those that are left out were not set.
fn read(leave_out: &dyn Fn(&str) -> bool) -> Result<Cli, Error> {
    let (mut command, mut matches) = matches(leave_out)?;
    let state_is_typed = is_typed(&matches, "state");
    let mut cli = Cli::from_arg_matches_mut(&mut matches).map_err(|refusal| refusal.format(&mut command))?;
    cli.global.state_is_typed = state_is_typed;
    Ok(cli)
}

fn matches(leave_out: &dyn Fn(&str) -> bool) -> Result<(Command, ArgMatches), Error> {
    let mut command = without(cli::command(), leave_out);
    // The command is called `bbdl` everywhere, not by its file name, which is bbdl.exe on Windows.
    command.set_bin_name(command.get_name().to_owned());
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Ok((command, matches))
}

/// Whether the value of an option comes from the command line.
fn is_typed(matches: &ArgMatches, option: &str) -> bool {
    let is_known = matches.try_contains_id(option).is_ok();
    (is_known && matches.value_source(option) == Some(ValueSource::CommandLine))
        || matches.subcommand().is_some_and(|(_, matches)| is_typed(matches, option))
}

fn without(command: Command, leave_out: &dyn Fn(&str) -> bool) -> Command {
    let is_out = |arg: &Arg| {
        let Some(name) = arg.get_env() else { return false };
        std::env::var_os(name).is_some_and(|value| value.is_empty()) || leave_out(&name.to_string_lossy())
    };
    let command = command.mut_args(|arg| if is_out(&arg) { arg.env(Resettable::Reset) } else { arg });
    command.mut_subcommands(|it| without(it, leave_out))
}

/// The variable without which there would be another refusal, or none.
fn blamed(refusal: &Error, left_out: &[String]) -> Option<Variable> {
    use ErrorKind::{ArgumentConflict, InvalidUtf8, InvalidValue, ValueValidation};
    if !matches!(refusal.kind(), InvalidValue | ValueValidation | InvalidUtf8 | ArgumentConflict) {
        return None;
    }
    let is_the_same = |other: &Error| {
        other.kind() == refusal.kind()
            && [ContextKind::InvalidArg, ContextKind::PriorArg, ContextKind::InvalidValue]
                .iter()
                .all(|kind| other.get(*kind) == refusal.get(*kind))
    };
    let set = variables(&cli::command());
    let without = |variable: &Variable| read(&|name| name == variable.name || left_out.iter().any(|it| it == name));
    set.into_iter().find(|variable| {
        !left_out.contains(&variable.name) && !without(variable).is_err_and(|other| is_the_same(&other))
    })
}

/// Every variable of a command and its subcommands that is set.
fn variables(command: &Command) -> Vec<Variable> {
    let own = command.get_arguments().filter_map(|arg| {
        let name = arg.get_env().filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))?;
        let option = format!("--{}", arg.get_long().unwrap_or_default());
        Some(Variable { name: name.to_string_lossy().into_owned(), option, id: arg.get_id().to_string() })
    });
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}
