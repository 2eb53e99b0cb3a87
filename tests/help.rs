//! What the program prints about itself and about a wrong call: help, man pages, completions, and errors in plain
//! words.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::{Setting, Stage, assert_code, bbdl, finished, has_programs, text};

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// Runs bbdl with these variables. Returns what it printed on standard error.
fn said(code: i32, variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = bbdl(home.path());
    command.envs(variables.iter().copied()).args(arguments);
    let output = finished(command);
    assert_code(&output, code, arguments);
    text(&output.stderr)
}

#[test]
fn bbdl_alone_prints_the_short_help_and_fails() {
    for variables in [&[][..], &[("BBDL_JOBS", "2"), ("BBDL_QUIET", "1"), ("BBDL_PROFILE", "mom")]] {
        let help = said(2, variables, &[]);
        assert!(help.contains("\nCommands:\n") && help.contains("bbdl demo"), "{help}");
        assert!(!help.contains("--ca-cert") && !help.contains("error:"), "{help}");
    }
    let home = tempfile::tempdir().unwrap();
    let mut command = bbdl(home.path());
    command.env("BBDL_JSON", "1");
    let output = finished(command);
    assert_code(&output, 2, &[]);
    assert!(text(&output.stdout).contains("no command was given"), "{}", text(&output.stdout));
}

#[test]
fn every_help_ends_with_the_addresses_of_docs_and_issues() {
    let home = tempfile::tempdir().unwrap();
    let addresses = format!("Docs:   {REPOSITORY}/docs\nIssues: {REPOSITORY}/issues");
    for arguments in
        [&["-h"][..], &["--help"], &["fetch", "--help"], &["doctor", "--help"], &["profiles", "list", "--help"]]
    {
        let mut command = bbdl(home.path());
        command.args(arguments);
        let output = finished(command);
        assert_code(&output, 0, arguments);
        assert!(text(&output.stdout).trim_end().ends_with(&addresses), "{arguments:?}: {}", text(&output.stdout));
    }
}

/// The committed pages. `docs` tests that they are what the binary generates.
#[test]
fn man_pages_pass_their_linter() {
    if !has_programs(&["mandoc"]) {
        return;
    }
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man");
    let mut command = Command::new("mandoc");
    command.args(["-Tlint", "-Wwarning"]).args(fs::read_dir(pages).unwrap().map(|entry| entry.unwrap().path()));
    let output = finished(command);
    assert_code(&output, 0, &["mandoc", &text(&output.stdout)]);
}

#[test]
fn the_first_tab_offers_commands_and_values_not_options() {
    let home = tempfile::tempdir().unwrap();
    let offered = |words: &[&str]| {
        let mut command = bbdl(home.path());
        command.env("BBDL_COMPLETE", "fish").arg("--").arg("bbdl").args(words);
        let output = finished(command);
        assert_code(&output, 0, words);
        let offered = text(&output.stdout);
        offered.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = offered(&[""]);
    assert!(first.contains(&"fetch".to_owned()) && first.iter().all(|word| !word.starts_with('-')), "{first:?}");
    let resources = offered(&["fetch", ""]);
    assert!(
        resources.contains(&"eob".to_owned()) && resources.iter().all(|word| !word.starts_with('-')),
        "{resources:?}"
    );
    assert_eq!(offered(&["fetch", "--service"]), ["--service-date"]);
    assert!(offered(&["status", ""]).contains(&"--online".to_owned()));
}

#[test]
fn a_wrong_value_is_explained_and_its_source_named() {
    for (variables, arguments, expected) in [
        (
            &[("BBDL_JOBS", "abc")][..],
            &["fetch", "eob", "--out", "x"][..],
            "'abc' for 'BBDL_JOBS': it must be a whole number from 1 to 16",
        ),
        (&[], &["fetch", "eob", "--out", "x", "--jobs", "99"], "--jobs <N>': it must be a whole number from 1 to 16"),
        (&[], &["fetch", "eob", "--out", "x", "--timeout", "soon"], "a bare number is seconds"),
        (&[], &["mock", "--port", "http"], "it must be a whole number from 0 to 65535"),
        (&[], &["mock", "--claims", "-1"], "'-1'"),
        (&[("BBDL_TOKEN_STORE", "vault")], &["status"], "'vault' for 'BBDL_TOKEN_STORE'"),
        (&[], &["fetch", "eob", "--ouput", "x"], "'--output'"),
        (&[], &["report", "claims", "--uotput", "x"], "'--output'"),
        (
            &[("BBDL_SANDBOX", "1"), ("BBDL_PRODUCTION", "1")],
            &["login", "--client-id", "x"],
            "BBDL_SANDBOX and BBDL_PRODUCTION are both set",
        ),
    ] {
        let said = said(2, variables, arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        for jargon in ["invalid digit", "unknown variant", "ParseInt"] {
            assert!(!said.contains(jargon), "{arguments:?}: {said}");
        }
        assert_eq!(said.matches("error:").count(), 1, "{said}");
    }
    let said = said(2, &[("BBDL_COLOR", "pink")], &["status"]);
    assert!(said.contains("Correct or unset the environment variable BBDL_COLOR."), "{said}");
}

#[test]
fn a_flag_overrides_two_contradictory_variables() {
    let said =
        said(78, &[("BBDL_SANDBOX", "1"), ("BBDL_PRODUCTION", "1")], &["login", "--sandbox", "--client-id", "x"]);
    assert!(said.contains("client secret"), "{said}");
}

#[test]
fn a_wrong_setting_gets_an_answer_in_plain_words() {
    let home = tempfile::tempdir().unwrap();
    for (config, expected) in [
        ("token_store = \"vault\"", "\"vault\" is not a value of this setting; there are keyring, file, command"),
        ("jobs = 3", "there is no setting \"jobs\"; there are profile, "),
    ] {
        fs::write(home.path().join("config.toml"), config).unwrap();
        let mut command = bbdl(home.path());
        command.arg("status");
        let output = finished(command);
        assert_code(&output, 78, &[config]);
        let said = text(&output.stderr);
        assert!(said.contains(expected) && said.contains("line 1"), "{said}");
    }
}

fn logged_in() -> Stage {
    Stage::logged_in(Setting { claims: 3, ..Setting::default() })
}

#[test]
fn an_output_directory_that_is_a_file_is_reported() {
    let stage = logged_in();
    fs::write(stage.home.path().join("notes.txt"), "mine").unwrap();
    for (code, arguments) in [
        (74, &["fetch", "eob", "--out", "notes.txt"][..]),
        (74, &["demo", "--out", "notes.txt"]),
        (65, &["export", "notes.txt", "--to", "csv", "--out", "tables"]),
    ] {
        let output: Output = stage.run(arguments);
        assert_code(&output, code, arguments);
        assert!(text(&output.stderr).contains("notes.txt is a file"), "{}", text(&output.stderr));
    }
    assert_eq!(fs::read_to_string(stage.home.path().join("notes.txt")).unwrap(), "mine");
}

#[test]
fn out_and_output_are_the_same_option() {
    let stage = logged_in();
    stage.expect(0, &["fetch", "eob", "--output", "claims"]);
    stage.expect(0, &["report", "claims", "--out", "one.html"]);
    stage.expect(0, &["report", "claims", "--output", "two.html"]);
    stage.expect(0, &["export", "claims", "--to", "csv", "--out", "tables"]);
    stage.expect(0, &["export", "claims", "--to", "csv", "-o", "tables"]);
    assert!(stage.home.path().join("one.html").exists() && stage.home.path().join("two.html").exists());
    stage.expect(0, &["fetch", "eob", "--out", "claims", "--timeout", "2m"]);
}

#[test]
fn a_dry_run_of_purge_shows_what_would_go_and_deletes_nothing() {
    let stage = logged_in();
    stage.expect(0, &["fetch", "eob", "--out", "claims"]);
    let shown = stage.expect(0, &["purge", "--dry-run"]);
    assert!(shown.contains("Would delete:") && shown.contains("claims (3 claims)"), "{shown}");
    let json = stage.expect_json(0, &["purge", "--dry-run", "--json"]);
    assert_eq!(json["dry_run"], true);
    assert_eq!(json["profiles"], serde_json::json!(["default"]));
    assert_eq!(json["archives"][0]["count"], 3);
    stage.expect(0, &["verify", "claims"]);
    stage.expect(0, &["fetch", "eob", "--out", "claims"]);
}

#[test]
fn a_command_about_an_unknown_profile_names_the_known_ones() {
    let stage = logged_in();
    for command in [
        &["purge", "--profile", "nobody"][..],
        &["logout", "--profile", "nobody"],
        &["status", "--profile", "nobody"],
        &["doctor", "--profile", "nobody"],
        &["profiles", "rename", "nobody", "somebody"],
        &["profiles", "remove", "nobody", "--yes"],
        &["profiles", "export", "nobody"],
    ] {
        let output = stage.run(command);
        assert_code(&output, 78, command);
        let said = text(&output.stderr);
        assert_eq!(said.matches("there is no profile \"nobody\"").count(), 1, "{said}");
        assert!(said.contains("The profiles here: default") && !said.contains("Log in"), "{said}");
    }
    let near = text(&stage.run(&["logout", "--profile", "defualt"]).stderr);
    assert!(near.contains("Did you mean \"default\"?"), "{near}");
}

#[test]
fn a_path_that_cannot_be_used_is_answered_with_what_is_wrong_with_it() {
    let stage = logged_in();
    let home = stage.home.path();
    fs::write(home.join("file"), "x").unwrap();
    fs::create_dir(home.join("dir")).unwrap();
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    for (code, typed, expected) in [
        (74, "profiles import nowhere", "There is nothing at this path"),
        (74, "profiles import dir", "it is a directory, not a file\n  next: Name another file."),
        (74, "report claims --out dir", "it is a directory, not a file"),
        (74, "export claims --to sqlite --out dir", "it is a directory, not a file"),
        (78, "status --online --ca-cert nowhere", "Check the path given with --ca-cert"),
        (78, "fetch eob --out claims --ca-cert dir", "it is a directory, not a file"),
        (65, "mock --data nowhere", "Give a directory with FHIR payloads"),
        (65, "mock --data file", "file is a file, not a directory"),
        (74, "man file", "file is a file, not a directory\n  next: Nothing was changed."),
        (74, "export claims --to csv --out file", "file is a file, not a directory\n  next: Nothing was changed."),
        (74, "export claims --to parquet --out file/x", "file/x has a file in its path"),
        (74, "demo --out file", "file is a file, not a directory"),
        (65, "demo --out tokens", "tokens is not empty and not a bbdl archive"),
        #[cfg(unix)]
        (74, "fetch eob --out /dev/full", "/dev/full is a device or a pipe, not a directory"),
        (
            78,
            "login --sandbox --client-id x --client-secret-file nowhere",
            "There is no such file. Save the client secret",
        ),
        (78, "login --sandbox --client-id x --client-secret-file dir", "This is a directory. Give the file in it"),
        (78, "status --config nowhere", "Check the path given with --config or BBDL_CONFIG"),
        (78, "status --config dir", "it is a directory, not a file"),
    ] {
        let words: Vec<&str> = typed.split(' ').collect();
        let output = stage.run(&words);
        assert_code(&output, code, &words);
        let said = text(&output.stderr);
        assert!(said.contains(expected) && !said.contains("Check the disk"), "{typed}: {said}");
        assert!(!said.contains("1. A mock"), "the demo begins: {said}");
    }
    let output = stage.run(&["login", "--sandbox", "--client-id", "x", "--client-secret-file", "nowhere"]);
    // On Unix, the working directory is a path without links. On Windows, it is the path that was given.
    let shown = if cfg!(windows) { home.to_owned() } else { fs::canonicalize(home).unwrap() }.join("nowhere");
    assert!(text(&output.stderr).contains(shown.to_str().unwrap()), "the whole path: {}", text(&output.stderr));
}

#[test]
fn usage_shows_what_was_typed_and_not_what_variables_set() {
    let said = said(2, &[("BBDL_JOBS", "2"), ("BBDL_CA_CERT", "ca.pem")], &["fetch", "eob"]);
    assert!(said.contains("Usage: bbdl fetch --out <DIR> <RESOURCE>..."), "{said}");
}

/// The contract's order is flag, environment, config.toml.
#[test]
fn an_option_counts_more_than_a_variable_that_contradicts_it() {
    let all =
        |code: i32, command: &[&str]| said(code, &[("BBDL_PROFILE", "mom")], &[command, &["--all-profiles"]].concat());
    let fetch = all(78, &["fetch", "eob", "--out", "x"]);
    assert!(!fetch.contains("mom"), "{fetch}");
    all(0, &["purge", "--dry-run"]);
    for (variable, option) in [
        ("BBDL_COLOR", ["--color", "never"]),
        ("BBDL_TOKEN_STORE", ["--token-store", "file"]),
        ("BBDL_PROFILE", ["--profile", "mom"]),
    ] {
        let status = |arguments: &[&str], code: i32| said(code, &[(variable, "no/such")], arguments);
        assert!(status(&["status"], 2).contains(variable), "{variable}");
        let typed = [&["status"][..], &option].concat();
        status(&typed, if variable == "BBDL_PROFILE" { 78 } else { 0 });
        let before = [&option[..], &["status"]].concat();
        status(&before, if variable == "BBDL_PROFILE" { 78 } else { 0 });
    }
    let two = [("BBDL_TOKEN_STORE", "no/such"), ("BBDL_COLOR", "no/such")];
    said(0, &two, &["status", "--token-store", "file", "--color", "never"]);
    let said = said(2, &[("BBDL_SANDBOX", "1"), ("BBDL_PRODUCTION", "1")], &["login"]);
    assert!(said.contains("BBDL_SANDBOX") && said.contains("BBDL_PRODUCTION"), "{said}");
}

#[test]
fn status_shows_where_things_are() {
    let stage = Stage::claims(3);
    let home = stage.home.path();
    let shown = stage.expect(0, &["status", "--paths"]);
    for path in [home.join("config.toml"), home.to_owned(), home.join("tokens")] {
        assert!(shown.lines().any(|line| line.contains(path.to_str().unwrap())), "{shown}");
    }
    let json = stage.expect_json(0, &["status", "--paths", "--json"]);
    assert_eq!(json["paths"]["config"], home.join("config.toml").to_str().unwrap());
    assert_eq!(json["paths"]["tokens"], home.join("tokens").to_str().unwrap());
}

#[test]
fn a_quiet_demo_is_quiet_and_its_hints_can_be_pasted() {
    let stage = Stage::claims(3);
    let output = stage.run(&["demo", "-q", "--out", "a(b)"]);
    assert_code(&output, 0, &["demo"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
    // This does not go through the check of what people are told to type, which would take a quotation mark for the
    // end of a command.
    let output = stage.bbdl(&["demo", "--out", "a b"]).output().unwrap();
    assert_code(&output, 0, &["demo"]);
    let said = text(&output.stderr);
    assert!(said.contains("bbdl fetch all --out 'a b'") && said.contains("bbdl verify 'a b'"), "{said}");
    assert!(!said.contains("real data"), "{said}");
}

#[test]
fn a_script_is_told_which_argument_is_missing() {
    let stage = Stage::claims(3);
    let error = stage.expect_json(2, &["verify", "--json"])["error"].clone();
    assert_eq!(error["message"], "the following required arguments were not provided: <DIR>");
    let error = stage.expect_json(2, &["fetch", "eob", "--out", "x", "--json", "--full", "--last-updated", "x"]);
    assert!(error["error"]["message"].as_str().unwrap().contains("--last-updated"), "{error}");
}

#[test]
fn a_directory_without_a_manifest_is_not_said_to_be_missing() {
    let stage = Stage::claims(3);
    std::fs::create_dir(stage.home.path().join("photos")).unwrap();
    for (dir, words) in [("photos", "photos has no manifest.json"), ("photo", "photo does not exist")] {
        assert_eq!(stage.expect_json(65, &["verify", dir, "--json"])["error"]["message"], words);
    }
}

#[cfg(unix)]
#[test]
fn the_name_of_a_directory_does_not_steer_the_terminal() {
    let stage = Stage::claims(3);
    let output = stage.run(&["verify", "a\u{1b}[2Jb"]);
    assert_code(&output, 65, &["verify"]);
    let said = text(&output.stderr);
    assert!(!said.contains('\u{1b}') && said.contains("--out $'a\\033[2Jb'"), "{said}");
}
