//! Finds the commands in bbdl's texts, and parses them like a command line.

use bbdl::cli::Cli;
use clap::{CommandFactory, Parser};

/// The commands in a text: from `bbdl` and the name of a command to where the sentence continues.
pub fn commands(text: &str) -> Vec<String> {
    const ENDS: [&str; 12] = ["`", "\n", "  ", " (", ")", ";", ", ", ". ", "\"", " | ", " > ", "→"];
    let names: Vec<String> = Cli::command().get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("bbdl ") {
        let is_word = text[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || "`\"'($".contains(c));
        let rest = &text[at..];
        let end = ENDS.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        let command = rest[..end].trim_end_matches(['.', ',', ':', '\'', ' ']);
        let name = command.split_whitespace().nth(1).unwrap_or_default();
        if is_word && names.iter().any(|known| known == name) {
            found.push(command.to_owned());
        }
    }
    found
}

/// A command without arguments is just a name, as in "see `bbdl fetch`"; anything else has to be valid.
pub fn is_understood(command: &str) -> Result<(), String> {
    let words: Vec<String> = command.split_whitespace().map(|word| word.replace(['\'', '"'], "")).collect();
    if words.len() == 2 {
        return Ok(());
    }
    match Cli::try_parse_from(&words) {
        Err(refusal) if refusal.use_stderr() => Err(refusal.to_string()),
        // Help is also an answer.
        _ => Ok(()),
    }
}

/// Fails the test if the text contains a command that cannot be run.
pub fn can_be_run(text: &str) {
    // clap's usage line is a pattern and not a command.
    let told: String =
        text.lines().filter(|line| !line.starts_with("Usage:")).map(|line| format!("{line}\n")).collect();
    for command in commands(&told) {
        if let Err(why) = is_understood(&command) {
            panic!("bbdl said {command:?}, which cannot be run: {why}");
        }
    }
}
