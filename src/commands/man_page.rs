//! Man pages, generated from the definition of the command line: every option with its text, and the other sections
//! of a man page.

use std::io;

use clap::{Arg, Command, CommandFactory, builder::PossibleValue};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, italic, roman},
};

use crate::{
    cli::Cli,
    error::{DOCS, Exit, ISSUES},
};

/// When more than the wording of the pages last changed. With the build date, two builds of one source would differ.
const DATE: &str = "2026-11-29";

/// One page of section 1.
pub(super) struct Page {
    /// For example `bbdl-fetch`.
    pub name: String,
    /// Its source in roff.
    pub text: Vec<u8>,
}

/// The page of every command, starting with `bbdl`.
pub(super) fn pages() -> io::Result<Vec<Page>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut names = Vec::new();
    collect_names(&command, "bbdl", &mut names);
    names.iter().map(|(name, command)| Ok(Page { name: name.clone(), text: page(command, name, &names)? })).collect()
}

fn collect_names<'c>(command: &'c Command, name: &str, names: &mut Vec<(String, &'c Command)>) {
    names.push((name.to_owned(), command));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        collect_names(sub, &format!("{name}-{}", sub.get_name()), names);
    }
}

fn page(command: &Command, name: &str, all: &[(String, &Command)]) -> io::Result<Vec<u8>> {
    let man = Man::new(shown(command.clone(), name))
        .title(name.to_uppercase())
        .date(DATE)
        .source(concat!("bbdl ", env!("CARGO_PKG_VERSION")))
        .manual("bbdl Manual");
    let mut text = Vec::new();
    append(&mut text, |w| man.render_title(w))?;
    append(&mut text, |w| man.render_name_section(w))?;
    append(&mut text, |w| man.render_synopsis_section(w))?;
    append(&mut text, |w| man.render_description_section(w))?;
    append(&mut text, |w| man.render_options_section(w))?;
    if command.has_subcommands() {
        append(&mut text, |w| man.render_subcommands_section(w))?;
    }
    let mut roff = Roff::new();
    notes(&mut roff, command);
    environment(&mut roff, command, name);
    files(&mut roff);
    exit_status(&mut roff);
    examples(&mut roff, command);
    see_also(&mut roff, name, all);
    append(&mut text, |w| roff.to_writer(w))?;
    Ok(text)
}

/// Each rendered section begins like a separate page. Keeps that beginning only once.
fn append(page: &mut Vec<u8>, render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<()> {
    let mut beginning = Vec::new();
    Roff::new().to_writer(&mut beginning)?;
    let mut section = Vec::new();
    render(&mut section)?;
    let rest = if page.is_empty() { &section[..] } else { section.strip_prefix(&beginning[..]).unwrap_or(&section) };
    page.extend_from_slice(rest);
    Ok(())
}

/// The command with every option, including those that `-h` leaves out.
fn shown(mut command: Command, name: &str) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    command.display_name(name.to_owned()).override_usage(usage).mut_args(described)
}

/// An option's values and alias are in its sentence, and its variable has a separate section, so they are removed
/// here.
fn described(arg: Arg) -> Arg {
    let mut help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg.get_possible_values().iter().filter(|value| !value.is_hide_set()).map(told).collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        help = format!("{}. One of: {}", help.trim_end_matches('.'), values.join(", "));
    }
    if let Some(aliases) = arg.get_visible_aliases().filter(|aliases| !aliases.is_empty()) {
        help = format!("{}. Also --{}", help.trim_end_matches('.'), aliases.join(", --"));
    }
    arg.long_help(help).hide_long_help(false).hide_possible_values(true).hide_env(true)
}

fn told(value: &PossibleValue) -> String {
    match value.get_help().map(|help| help.to_string().trim_end_matches('.').to_owned()) {
        Some(help) if !help.eq_ignore_ascii_case(value.get_name()) => format!("{} ({help})", value.get_name()),
        _ => value.get_name().to_owned(),
    }
}

/// The text after the options in the help: notes, and examples that begin with this line.
const EXAMPLES: &str = "Examples:\n";

fn paragraphs(command: &Command) -> Vec<String> {
    let text = command.get_after_long_help().or_else(|| command.get_after_help()).map(ToString::to_string);
    text.unwrap_or_default().split("\n\n").map(str::to_owned).filter(|it| !it.trim().is_empty()).collect()
}

fn notes(roff: &mut Roff, command: &Command) {
    let notes: Vec<String> = paragraphs(command).into_iter().filter(|it| !it.starts_with(EXAMPLES)).collect();
    if !notes.is_empty() {
        roff.control("SH", ["NOTES"]);
        separated(roff, &notes);
    }
}

fn separated(roff: &mut Roff, paragraphs: &[impl AsRef<str>]) {
    for (place, paragraph) in paragraphs.iter().enumerate() {
        if place > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(paragraph.as_ref())]);
    }
}

fn examples(roff: &mut Roff, command: &Command) {
    let examples = paragraphs(command).into_iter().filter_map(|it| it.strip_prefix(EXAMPLES).map(str::to_owned));
    let lines: Vec<String> = examples.flat_map(|it| it.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    if lines.is_empty() {
        return;
    }
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in lines {
        roff.text([roman(line.trim_start())]);
    }
    roff.control("fi", []);
}

/// The commands that seal or open tokens in a shared state.
const SEALED: &[&str] =
    &["bbdl-fetch", "bbdl-logout", "bbdl-purge", "bbdl-doctor", "bbdl-profiles-import", "bbdl-profiles-export"];

/// Variables that do not belong to an option, with the commands that use them. An empty list means all commands.
const VARIABLES: &[(&str, &str, &[&str])] = &[
    ("BBDL_HOME", "One directory for configuration, state and the token store \"file\".", &[]),
    ("BBDL_TOKEN_STORE_COMMAND", "The program that --token-store command runs.", &[]),
    ("BBDL_CLIENT_SECRET", "The app's client secret.", &["bbdl-login"]),
    ("BBDL_SERVER", "The server: sandbox, production or a URL.", &["bbdl-login"]),
    ("BBDL_SANDBOX", "The same as --sandbox.", &["bbdl-login"]),
    ("BBDL_PRODUCTION", "The same as --production.", &["bbdl-login"]),
    ("BROWSER", "The browser to open. %s stands for the address.", &["bbdl-login", "bbdl-report"]),
    ("BBDL_STATE_KEY", "The key of the shared state, in base64.", SEALED),
    ("BBDL_STATE_KEY_COMMAND", "A command that prints the key of the shared state.", SEALED),
    ("NO_COLOR", "Any value turns colors off.", &[]),
    ("HTTPS_PROXY", "The proxy for requests to https servers.", &[]),
    ("NO_PROXY", "Hosts to reach without the proxy.", &[]),
];

fn environment(roff: &mut Roff, command: &Command, name: &str) {
    roff.control("SH", ["ENVIRONMENT"]);
    separated(
        roff,
        &[
            "An option on the command line comes first, then its variable, then config.toml. An empty variable counts as not set. \
           If an option takes no value, its variable turns it on, unless the variable is 0, false, no or off.",
        ],
    );
    for arg in command.get_arguments() {
        if let (Some(variable), Some(long)) = (arg.get_env(), arg.get_long()) {
            entry(roff, [bold(variable.to_string_lossy())], &format!("The same as --{long}."));
        }
    }
    for (variable, meaning, commands) in VARIABLES {
        if commands.is_empty() || commands.contains(&name) {
            entry(roff, [bold(*variable)], meaning);
        }
    }
}

fn entry(roff: &mut Roff, tag: impl Into<Vec<Inline>>, meaning: &str) {
    roff.control("TP", []).text(tag).text([roman(meaning)]);
}

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    entry(roff, [italic("~/.config/bbdl/config.toml")], "Defaults for options.");
    entry(roff, [italic("~/.local/state/bbdl/")], "Profiles, locks and, with --token-store file, the tokens.");
    roff.control("PP", []);
    roff.text([
        roman("These are the places on Linux. "),
        bold("bbdl status --paths"),
        roman(" prints those of this machine."),
    ]);
}

/// The meaning of each exit code in short. docs/exit-codes.md lists the kinds of failure for each.
const EXIT_STATUS: [(Exit, &str); 9] = [
    (Exit::Done, "Done, even if there was nothing new."),
    (Exit::Usage, "The command line is wrong."),
    (Exit::Data, "The server's answer or the archive is wrong. Nothing was replaced."),
    (Exit::Disk, "The disk is full or read-only, or bbdl may not write there."),
    (Exit::TryAgain, "Try again later: network, busy server, or another bbdl is running."),
    (Exit::PersonMustAct, "A person must act, such as log in again."),
    (Exit::NotSetUp, "Not set up: no profile, client, secret or usable token store."),
    (Exit::Interrupted, "Interrupted. What was complete is kept."),
    (Exit::Defect, concat!("A bug in bbdl. Please report it at ", env!("CARGO_PKG_REPOSITORY"), "/issues.")),
];

fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in EXIT_STATUS {
        entry(roff, [bold(exit.code().to_string())], meaning);
    }
}

fn see_also(roff: &mut Roff, name: &str, all: &[(String, &Command)]) {
    roff.control("SH", ["SEE ALSO"]);
    let others: Vec<&str> = all.iter().map(|(other, _)| other.as_str()).filter(|other| *other != name).collect();
    let mut line = Vec::new();
    for (place, other) in others.iter().enumerate() {
        let end = if place + 1 == others.len() { "(1)" } else { "(1), " };
        line.extend([bold(*other), roman(end)]);
    }
    roff.text(line);
    roff.control("PP", []);
    roff.text([roman(format!("Docs: {DOCS}"))]);
    roff.control("PP", []);
    roff.text([roman(format!("Issues: {ISSUES}"))]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_every_page_is_described() {
        let mut seen = 0;
        for Page { name, text } in pages().unwrap() {
            let text = String::from_utf8(text).unwrap();
            let mut lines = text.lines();
            while let Some(line) = lines.next() {
                if line == ".TP" {
                    let (tag, body) = (lines.next().unwrap(), lines.next().unwrap());
                    assert!(!body.trim().is_empty() && !body.starts_with('.'), "{name}: {tag} is not described");
                    seen += 1;
                }
            }
        }
        assert!(seen > 200, "{seen}");
    }

    /// The line under NAME alone tells a reader nothing that the reader did not know.
    #[test]
    fn the_page_of_every_command_describes_it() {
        let command = Cli::command();
        for sub in command.get_subcommands() {
            let (about, long) = (sub.get_about().unwrap().to_string(), sub.get_long_about().map(ToString::to_string));
            assert!(long.is_some_and(|long| long.len() > about.len() + 30), "{}", sub.get_name());
        }
    }

    #[test]
    fn every_page_has_the_sections_that_readers_look_for() {
        let pages = pages().unwrap();
        for Page { name, text } in &pages {
            let text = String::from_utf8_lossy(text);
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "FILES", "EXIT STATUS", "SEE ALSO"] {
                let heading =
                    if section.contains(' ') { format!(".SH \"{section}\"") } else { format!(".SH {section}") };
                assert_eq!(text.lines().filter(|line| *line == heading).count(), 1, "{name}: {section}");
            }
        }
        let fetch = pages.iter().find(|page| page.name == "bbdl-fetch").unwrap();
        let synopsis = String::from_utf8_lossy(&fetch.text).split(".SH SYNOPSIS\n").nth(1).unwrap().to_owned();
        assert!(synopsis.starts_with("\\fBbbdl fetch\\fR [OPTIONS]"), "{synopsis}");
    }
}
