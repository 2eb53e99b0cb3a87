//! What the command line's parser refuses, with advice that helps when it is typed.

use clap::{
    Command, Error,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::cli;

/// The same refusal, where needed with another advice than the parser's own.
pub(super) fn with_advice(mut refusal: Error) -> Error {
    let advice = match refusal.kind() {
        ErrorKind::UnknownArgument => {
            // Where a command takes words, the parser says how to pass an option as one of them. Nobody wants that.
            refusal.remove(ContextKind::Suggested);
            of_another_command(&refusal)
        }
        ErrorKind::InvalidValue => resource_meant(&refusal),
        _ => None,
    };
    if let Some(advice) = advice {
        refusal.remove(ContextKind::SuggestedArg);
        refusal.remove(ContextKind::SuggestedValue);
        refusal.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(advice)]));
    }
    refusal
}

fn text(refusal: &Error, kind: ContextKind) -> Option<&str> {
    match refusal.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// Whose option it is.
fn of_another_command(refusal: &Error) -> Option<String> {
    let option = text(refusal, ContextKind::InvalidArg)?;
    let name = option.strip_prefix("--")?.split('=').next()?;
    let owners = commands_with(&cli::command(), name);
    let (last, others) = owners.split_last()?;
    Some(match others.is_empty() {
        true => format!("--{name} belongs to {last}"),
        false => format!("--{name} belongs to {} and {last}", others.join(", ")),
    })
}

/// The commands that have this option, as they are typed.
fn commands_with(command: &Command, option: &str) -> Vec<String> {
    let mut found = Vec::new();
    for sub in command.get_subcommands() {
        let has = sub.get_arguments().any(|arg| {
            arg.get_long() == Some(option) || arg.get_visible_aliases().is_some_and(|names| names.contains(&option))
        });
        let below = commands_with(sub, option).into_iter().map(|rest| format!("{} {rest}", sub.get_name()));
        found.extend(has.then(|| sub.get_name().to_owned()).into_iter().chain(below));
    }
    if command.get_name() == "bbdl" { found.iter().map(|name| format!("bbdl {name}")).collect() } else { found }
}

/// The resource that people mean by a word of CMS's pages.
fn resource_meant(refusal: &Error) -> Option<String> {
    text(refusal, ContextKind::InvalidArg).filter(|arg| arg.contains("<RESOURCE>"))?;
    let typed = text(refusal, ContextKind::InvalidValue)?.to_ascii_lowercase();
    let resource = match typed.as_str() {
        "claim" | "claims" | "explanationofbenefit" => "eob",
        "card" | "insurancecard" => "insurance-card",
        "person" => "patient",
        _ => return None,
    };
    Some(format!("for {typed}, write {resource}"))
}
