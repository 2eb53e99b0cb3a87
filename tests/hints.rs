//! What bbdl tells people to type can be typed: every `bbdl …` in a text is parsed like a command line.
//!
//! There are two ways: everything that a test of this program prints goes through `typed::can_be_run`, and so does
//! every text in the source, with its placeholders filled.

use std::{fs, path::Path};

use crate::support::{
    Setting, Stage,
    typed::{commands, is_understood},
};
use bbdl::{
    api_version::ApiVersion,
    origin::{PRODUCTION, SANDBOX},
    profile::login_command,
};

/// The string literals of a source file, without its tests, in printed form: with a value for each placeholder.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    let mut found = Vec::new();
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            // A character in quotation marks, or a lifetime.
            '\'' if letters.peek() == Some(&'"') => {
                letters.next();
            }
            '"' => {
                let mut text = String::new();
                while let Some(letter) = letters.next() {
                    match letter {
                        '"' => break,
                        '\\' => match letters.next() {
                            Some('n') => text.push('\n'),
                            Some('\n') => while letters.next_if(|c| c.is_whitespace()).is_some() {},
                            Some(other) => text.push(other),
                            None => {}
                        },
                        other => text.push(other),
                    }
                }
                found.push(filled(&text));
            }
            _ => {}
        }
    }
    found
}

fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        out += before;
        out += match name {
            name if name.contains("login") || name.contains("again") => "bbdl login --sandbox",
            name if name.contains("option") => " --profile mom",
            // An option has its own blank before it.
            "" if out.ends_with(|c: char| c.is_alphanumeric()) => " --profile mom",
            _ => "x",
        };
        rest = after;
    }
    out + rest
}

#[test]
fn every_command_in_a_text_of_the_source_can_be_run() {
    let mut todo = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let (mut wrong, mut seen) = (Vec::new(), 0);
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("tests.rs") {
            continue;
        }
        for text in literals(&fs::read_to_string(&path).unwrap()) {
            // The output of `login_command` is checked below.
            for command in commands(&text).into_iter().filter(|command| command != "bbdl login xx --profile mom") {
                seen += 1;
                if let Err(why) = is_understood(&command) {
                    wrong.push(format!("{}: {command}: {}", path.display(), why.lines().next().unwrap_or_default()));
                }
            }
        }
    }
    assert!(seen > 25, "only {seen} were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_log_in_hint_can_be_run_for_every_server_and_profile() {
    for server in [SANDBOX, PRODUCTION, "http://127.0.0.1:8099", "https://claims.example:8443"] {
        for api in [ApiVersion::V1, ApiVersion::V2, ApiVersion::V3] {
            for name in ["default", "mom", "a.b-c_d"] {
                let command = login_command(&server.parse().unwrap(), api, &name.parse().unwrap());
                assert_eq!(commands(&format!("Log in: {command}")), [command.as_str()]);
                is_understood(&command).unwrap();
                is_understood(&format!("{command} --replace")).unwrap();
            }
        }
    }
}

#[test]
fn the_insurance_card_names_a_log_in_that_works() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    for profile in [None, Some("mom")] {
        let option: Vec<&str> = profile.iter().flat_map(|name| ["--profile", name]).collect();
        stage.log_in(&[&option[..], &["--api", "v1"]].concat());
        let error =
            stage.expect_json(78, &[&["fetch", "insurance-card", "--out", "card", "--json"], &option[..]].concat());
        let hint = error["error"]["hint"].as_str().unwrap();
        let [command] = &commands(hint)[..] else { panic!("{hint}") };
        is_understood(command).unwrap();
        assert!(command.contains("--api v3") && command.contains("-v3"), "{command}");
    }
}

#[test]
fn commands_are_found_in_sentences() {
    for (text, expected) in [
        ("Log in first: bbdl login --sandbox  (or --production)", "bbdl login --sandbox"),
        ("run `bbdl verify DIR` again", "bbdl verify DIR"),
        ("Delete it: bbdl purge --yes; then go on.", "bbdl purge --yes"),
    ] {
        assert_eq!(commands(text), [expected], "{text}");
    }
    assert!(commands("another bbdl is at work, bbdl 0.1.0, /usr/bbdl login").is_empty());
    assert!(is_understood("bbdl login --api v2 --api v3").is_err());
}
