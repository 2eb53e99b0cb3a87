//! Paths that are not UTF-8, in every command, and their form in JSON.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    process::Command,
};

use super::{said, soon, words};
use crate::support::{Setting, Stage, assert_code};
use serde_json::Value;

fn odd(name: &[u8]) -> OsString {
    OsString::from_vec(name.to_vec())
}

struct Caller {
    stage: Stage,
    home: PathBuf,
}

impl Caller {
    fn command(&self, arguments: &[&OsStr]) -> Command {
        let mut command = self.stage.bbdl(&[]);
        command.args(arguments).env("BBDL_HOME", &self.home).current_dir(&self.home);
        command
    }

    fn run(&self, code: i32, arguments: &[&OsStr]) -> String {
        let output = soon(self.command(arguments)).unwrap_or_else(|| panic!("{} hangs", words(arguments)));
        assert_code(&output, code, &[&words(arguments), &said(&output)]);
        String::from_utf8(output.stdout).expect("stdout is text")
    }

    fn json(&self, code: i32, arguments: &[&OsStr]) -> Value {
        serde_json::from_str(&self.run(code, arguments)).unwrap()
    }
}

/// The path in a `file:` URL, or in a text.
fn path_of(value: &Value) -> PathBuf {
    let text = value.as_str().unwrap();
    assert!(text.starts_with("file:///"), "{text}");
    url::Url::parse(text).unwrap().to_file_path().unwrap()
}

#[test]
fn paths_that_are_not_text_work_in_every_command() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let home = stage.home.path().join(odd(b"h\xf6me"));
    fs::create_dir(&home).unwrap();
    let mut login = stage.login_command(&[]);
    login.env("BBDL_HOME", &home);
    assert_code(&stage.log_in_with(login), 0, &["login"]);
    let caller = Caller { stage, home };
    let os = |text: &'static str| OsStr::new(text);
    let out = odd(b"claims of M\xfcller \xff");
    let (json, eob, fetch, to) = (os("--json"), os("eob"), os("fetch"), os("--out"));
    let whole = caller.home.join(&out);

    let fetched = caller.json(0, &[fetch, eob, to, &out, json]);
    assert_eq!(path_of(&fetched["out"]), whole);
    assert!(whole.join("manifest.json").exists());
    caller.run(0, &[fetch, eob, to, &out]);
    caller.run(0, &[fetch, os("all"), os("--format"), json_format(), to, &out]);
    let status = caller.json(0, &[os("status"), json]);
    assert_eq!(path_of(&status["profiles"][0]["archives"][0]["out"]), whole, "{status}");
    caller.run(0, &[os("status")]);
    caller.json(0, &[os("status"), os("--online"), json]);
    assert_eq!(caller.json(0, &[os("verify"), &out, json])["ok"], true);
    caller.run(0, &[os("verify"), &out]);
    for (format, name) in [("csv", &b"t\xe9"[..]), ("sqlite", b"d\xe9.db"), ("parquet", b"p\xe9")] {
        let tables = odd(name);
        let made = caller.json(0, &[os("export"), &out, os("--to"), OsStr::new(format), os("--output"), &tables, json]);
        assert_eq!(path_of(&made["out"]), caller.home.join(&tables), "{format}");
        assert!(caller.home.join(&tables).exists(), "{format}");
    }
    let page = odd(b"r\xe9port.html");
    let made = caller.json(0, &[os("report"), &out, os("--output"), &page, json]);
    assert_eq!(path_of(&made["out"]), caller.home.join(&page));
    assert_eq!(caller.json(0, &[os("doctor"), json])["ok"], true);
    caller.run(0, &[os("doctor")]);
    caller.run(0, &[os("man"), &odd(b"m\xe0n")]);
    caller.run(0, &[os("completions"), os("bash")]);
    let config = odd(b"c\xf6nfig.toml");
    fs::write(caller.home.join(&config), "quiet = true\n").unwrap();
    caller.run(0, &[os("status"), os("--config"), &config]);
    caller.json(0, &[fetch, eob, to, &odd(b"\xe0ll"), os("--all-profiles"), json]);
    caller.run(0, &[os("demo"), to, &odd(b"d\xe9mo")]);
    // Errors are reported too.
    for arguments in [
        &[os("verify"), OsStr::from_bytes(b"nowh\xe8re"), json][..],
        &[os("report"), OsStr::from_bytes(b"nowh\xe8re"), os("--output"), &page, json],
        &[os("export"), &out, os("--to"), os("csv"), os("--output"), whole.join("manifest.json").as_os_str(), json],
        &[os("status"), os("--config"), OsStr::from_bytes(b"nowh\xe8re"), json],
        &[os("doctor"), os("--ca-cert"), OsStr::from_bytes(b"nowh\xe8re"), json],
        &[os("mock"), os("--data"), OsStr::from_bytes(b"nowh\xe8re"), json],
    ] {
        let output = soon(caller.command(arguments)).unwrap();
        assert!(matches!(output.status.code(), Some(2 | 65 | 74 | 78)), "{}: {}", words(arguments), said(&output));
    }
    let logged_out = caller.json(0, &[os("logout"), json]);
    assert!(logged_out["archives"].as_array().unwrap().iter().any(|it| path_of(it) == whole), "{logged_out}");
    let purged = caller.json(0, &[os("purge"), os("--yes"), json]);
    assert!(purged["archives"].as_array().unwrap().iter().any(|it| path_of(&it["out"]) == whole), "{purged}");
    assert!(!whole.exists());
}

fn json_format() -> &'static OsStr {
    OsStr::new("json")
}

/// What a person is told to type can be typed.
#[test]
fn a_remedy_names_a_path_that_is_not_text_as_a_shell_reads_it() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    let out = stage.home.path().join(odd(b"o'n\xe9il \\ $HOME"));
    let fetch = |code: i32| {
        let mut command = stage.bbdl(&["fetch", "eob", "--json", "--out"]);
        command.arg(&out);
        let output = soon(command).unwrap();
        assert_code(&output, code, &["fetch"]);
        output
    };
    fetch(0);
    super::mode(&out, 0o777);
    let error = super::error_of(&fetch(77));
    let hint = error["hint"].as_str().unwrap();
    let typed = &hint[hint.find("chmod ").unwrap()..];
    let shell = Command::new("bash").args(["-c", typed]).output().unwrap();
    assert!(shell.status.success(), "{typed}: {}", said(&shell));
    fetch(0);
    assert_eq!(super::mode_of(Path::new(&out)), 0o755);
}

#[test]
fn a_token_store_command_is_told_a_home_that_is_not_text() {
    let stage = Stage::new();
    let home = stage.home.path().join(odd(b"h\xf6me"));
    fs::create_dir(&home).unwrap();
    let script = "cat > \"$0.asked\"";
    let kept = stage.home.path().join("kept");
    let mut command = stage.bbdl(&["doctor", "--json", "--token-store", "command"]);
    command.env("BBDL_HOME", &home).env("BBDL_TOKEN_STORE_COMMAND", format!("sh -c '{script}' '{}'", kept.display()));
    soon(command).unwrap();
    let asked = fs::read_to_string(stage.home.path().join("kept.asked")).unwrap();
    let told = asked.lines().find_map(|line| line.strip_prefix("home=")).unwrap();
    assert_eq!(path_of(&Value::from(told)), home, "{asked}");
}
