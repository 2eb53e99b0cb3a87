//! The client secret as people have it: in many kinds of files, on a terminal, in the environment.

use std::process::Command;

use crate::support::{Running, Stage, assert_code, follow, has_programs, private, set_mode, shared, text};

/// A log-in with a secret file of these bytes.
fn with_file(stage: &Stage, bytes: &[u8]) -> std::process::Output {
    let file = stage.home.path().join("saved");
    std::fs::write(&file, bytes).unwrap();
    private(&file);
    let mut command = stage.bbdl(&["login", "--server", stage.mock.url(), "--client-id", stage.mock.client_id()]);
    command.args(["--no-browser", "--client-secret-file"]).arg(&file);
    stage.log_in_with(command)
}

#[test]
fn a_secret_is_read_from_whatever_an_editor_saved() {
    let stage = Stage::claims(3);
    let secret = stage.mock.client_secret();
    let utf16 = |text: &str| -> Vec<u8> {
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    };
    for bytes in [
        format!("{secret}\r\n\n").into_bytes(),
        format!("\u{feff}{secret}\n").into_bytes(),
        format!("  \"{secret}\"").into_bytes(),
        format!("'{secret}'\n").into_bytes(),
        format!("CLIENT_SECRET={secret}\n").into_bytes(),
        format!(r#"{{"client_secret":"{secret}"}}"#).into_bytes(),
        utf16(secret),
        utf16(&format!("{secret}\r\n")),
    ] {
        assert_code(&with_file(&stage, &bytes), 0, &[&text(&bytes)]);
    }
    // The files as Notepad and PowerShell save them, with this secret instead of theirs.
    let Some(cases) = shared("cases") else { return };
    let bom = std::fs::read(cases.join("secret-with-bom.bin")).unwrap();
    assert_code(&with_file(&stage, text(&bom).replace("SECRET", secret).as_bytes()), 0, &["BOM"]);
    let powershell = std::fs::read(cases.join("secret-utf16-powershell.bin")).unwrap();
    let units: Vec<u16> = powershell[2..].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let word = String::from_utf16(&units).unwrap();
    assert!(powershell.starts_with(&[0xff, 0xfe]) && word.contains("SECRET"));
    assert_code(&with_file(&stage, &utf16(&word.replace("SECRET", secret))), 0, &["UTF-16"]);
}

#[test]
fn id_and_secret_of_the_environment_are_cleaned_as_well() {
    let stage = Stage::claims(3);
    let mut command = stage.bbdl(&["login", "--server", stage.mock.url(), "--no-browser"]);
    command.env("BBDL_CLIENT_ID", format!(" \"{}\"\r\n", stage.mock.client_id()));
    command.env("BBDL_CLIENT_SECRET", format!("'{}'\n", stage.mock.client_secret()));
    assert_code(&stage.log_in_with(command), 0, &[]);
    let mut command = stage.bbdl(&["login", "--server", stage.mock.url(), "--client-id", stage.mock.client_id()]);
    command.env("BBDL_CLIENT_SECRET", "two words");
    let output = crate::support::finished(command);
    assert_code(&output, 78, &[]);
    let said = text(&output.stderr);
    assert!(said.contains("BBDL_CLIENT_SECRET") && !said.contains("two words"), "{said}");
}

#[test]
fn a_secret_in_the_place_of_a_file_is_not_shown() {
    let stage = Stage::claims(3);
    for secret in ["aB3".repeat(43), "aB3".repeat(100), stage.mock.client_secret().to_owned()] {
        let login =
            ["login", "--server", stage.mock.url(), "--client-id", "x", "--json", "--client-secret-file", &secret];
        let output = stage.run(&login);
        assert_code(&output, 78, &["login"]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("does not name a file") && !said.contains(&secret), "{said}");
    }
    // The name of a missing file is shown.
    let output =
        stage.run(&["login", "--server", stage.mock.url(), "--client-id", "x", "--client-secret-file", "no.txt"]);
    assert!(text(&output.stderr).contains("no.txt"), "{}", text(&output.stderr));
}

#[cfg(unix)]
#[test]
fn a_secret_file_that_others_can_read_is_warned_of() {
    let stage = Stage::claims(3);
    let secret = stage.secret_file();
    for (mode, warns) in [(0o600, false), (0o640, true), (0o604, true)] {
        set_mode(&secret, mode);
        let mut command = stage.bbdl(&["login", "--server", stage.mock.url(), "--client-id", stage.mock.client_id()]);
        command.args(["--no-browser", "--client-secret-file"]).arg(&secret);
        let output = stage.log_in_with(command);
        assert_code(&output, 0, &[]);
        let told = format!("chmod 600 {}", secret.display());
        assert_eq!(text(&output.stderr).contains(&told), warns, "{mode:o}: {}", text(&output.stderr));
    }
}

#[test]
fn a_terminal_is_asked_for_the_secret_and_does_not_show_it() {
    if !has_programs(&["script"]) {
        return;
    }
    let stage = Stage::claims(3);
    let mut login = at_a_terminal(&stage, "", "");
    login.until("not shown");
    until_the_terminal_shows_nothing(login.id());
    login.write(stage.mock.client_secret());
    let url = login.authorize_url();
    follow(&url);
    let output = login.finish_open();
    assert_code(&output, 0, &[]);
    assert!(!text(&output.stderr).contains(stage.mock.client_secret()), "{}", text(&output.stderr));
}

/// What was typed before the question is not the answer.
#[test]
fn type_ahead_is_not_taken_as_the_secret() {
    if !has_programs(&["script"]) {
        return;
    }
    let stage = Stage::claims(3);
    // The first line starts bbdl; by then, the second one is already on the terminal.
    let mut login = at_a_terminal(&stage, "read line && ", "");
    login.write("go\nls -l claims");
    login.until("not shown");
    until_the_terminal_shows_nothing(login.id());
    login.write(stage.mock.client_secret());
    let url = login.authorize_url();
    follow(&url);
    assert_code(&login.finish_open(), 0, &[]);
}

/// Afterwards, the terminal shows again what the person types.
#[test]
fn ctrl_c_at_the_secret_gives_the_terminal_back() {
    if !has_programs(&["script"]) {
        return;
    }
    let stage = Stage::claims(3);
    let mut login = at_a_terminal(&stage, "trap : INT; ", "; echo code=$?; stty -a");
    login.until("not shown");
    until_the_terminal_shows_nothing(login.id());
    login.write("\u{3}");
    let said = text(&login.finish_open().stderr);
    assert!(said.contains("code=130"), "{said}");
    assert!(said.split_whitespace().any(|word| word == "echo"), "{said}");
}

/// A log-in on a terminal that asks for the secret, between two other parts of a command line.
fn at_a_terminal(stage: &Stage, before: &str, after: &str) -> Running {
    let line = format!(
        "{before}{} login --server {} --client-id {} --client-secret-file - --no-browser{after}",
        env!("CARGO_BIN_EXE_bbdl"),
        stage.mock.url(),
        stage.mock.client_id()
    );
    let mut command = Command::new("script");
    command.args(["-qefc", &line, "/dev/null"]);
    for (key, value) in stage.bbdl(&[]).get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    Running::start(crate::support::with_stdout_as_stderr(command))
}

/// The question is printed a moment before the terminal stops showing typed text.
fn until_the_terminal_shows_nothing(script: u32) {
    let children = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children")).unwrap();
    let child = children.split_whitespace().next().unwrap();
    let terminal = std::fs::read_link(format!("/proc/{child}/fd/0")).unwrap();
    crate::support::until("the terminal shows nothing", || {
        let state = Command::new("stty").arg("-F").arg(&terminal).arg("-a").output().unwrap();
        text(&state.stdout).contains("-echo ")
    });
}

#[test]
fn a_password_in_a_redirect_uri_is_not_shown() {
    let stage = Stage::claims(3);
    for (redirect, words) in [
        ("http://mom:pass-word@127.0.0.1/callback", "cannot have a user name or a password"),
        ("http://mom:pass-word@127.0.0.1:70000/callback", "port"),
        ("http://mom:pass-word@127.0.0.1/call back", "URI"),
        ("http://mom:pass-word@[x/", "URI"),
        ("mom:pass-word@127.0.0.1/callback", "http"),
    ] {
        let login = ["login", "--server", stage.mock.url(), "--client-id", "x", "--json", "--redirect-uri", redirect];
        let output = stage.run(&login);
        assert_code(&output, 2, &["login"]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains(words) && !said.contains("pass-word"), "{said}");
    }
}
