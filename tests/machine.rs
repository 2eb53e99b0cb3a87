//! What bbdl says about its machine, what it trusts there, and how it leaves it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::support::{Setting, Stage, assert_code, finished, has_programs, set_mode, text, tls::TlsServer};
use serde_json::Value;

fn finding<'a>(doctor: &'a Value, check: &str) -> &'a Value {
    let mut found = doctor["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
    found.next().unwrap_or_else(|| panic!("{check} is not among {doctor}"))
}

#[cfg(unix)]
#[test]
fn doctor_accepts_a_new_machine_and_says_how_to_begin() {
    let stage = Stage::new();
    let doctor = stage.expect_json(0, &["doctor", "--json"]);
    assert_eq!(doctor["ok"], true);
    assert_eq!(finding(&doctor, "redirect listener")["state"], "ok");
    assert_eq!(finding(&doctor, "browser")["state"], "warn", "there is no screen in the tests");
    let login = finding(&doctor, "log-in");
    assert!(login["fix"].as_str().unwrap().starts_with("bbdl login"), "{login}");
    // There is no keyring, so it holds nothing yet, and another store can still be chosen.
    let mut without = stage.bbdl(&["doctor", "--json", "--token-store", "keyring"]);
    without.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let output = finished(without);
    assert_code(&output, 0, &["doctor"]);
    let doctor: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tokens = finding(&doctor, "tokens");
    assert!(tokens["state"] == "warn" && tokens["fix"].as_str().unwrap().contains("--token-store file"), "{tokens}");
}

#[cfg(unix)]
#[test]
fn doctor_finds_problems_and_their_fixes() {
    let mut stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let doctor = stage.expect_json(0, &["doctor", "--json"]);
    for check in ["tokens", "consent", "server", "clock", "free space"] {
        assert_eq!(finding(&doctor, check)["state"], "ok", "{doctor}");
    }
    // Everything that it checks, broken one by one.
    set_mode(&stage.out(), 0o755);
    set_mode(&stage.home.path().join("tokens/default.json"), 0o644);
    // The server of the log-in is gone.
    stage.mock = Stage::new().mock;
    let doctor = stage.expect_json(78, &["doctor", "--json"]);
    assert_eq!(doctor["ok"], false);
    assert_eq!(finding(&doctor, "tokens")["state"], "fail");
    assert!(finding(&doctor, "tokens")["fix"].as_str().unwrap().contains("chmod 600"), "{doctor}");
    assert_eq!(finding(&doctor, "server")["state"], "fail");
    let open =
        doctor["findings"].as_array().unwrap().iter().find(|it| it["state"] == "warn" && it["check"] == "permissions");
    assert!(open.unwrap()["fix"].as_str().unwrap().starts_with("chmod 700 "), "{doctor}");
    let said = text(&stage.run(&["doctor"]).stdout);
    assert!(said.contains("FAIL  server: ") && said.contains("next: "), "{said}");
}

#[test]
fn doctor_notices_a_wrong_clock() {
    if !has_programs(&["faketime"]) {
        return;
    }
    let stage = Stage::logged_in(Setting::default());
    let faked = crate::support::started_by(&["faketime", "-f", "+3h"], &stage.bbdl(&["doctor", "--json"]));
    let doctor: Value = serde_json::from_slice(&finished(faked).stdout).unwrap();
    assert_eq!(finding(&doctor, "clock")["state"], "warn", "{doctor}");
}

#[test]
fn a_certificate_is_trusted_when_its_authority_is_named_and_not_before() {
    let stage = Stage::logged_in(Setting::default());
    let server = TlsServer::start(stage.home.path());
    let profile = stage.home.path().join("profiles/default.json");
    let text = fs::read_to_string(&profile).unwrap();
    fs::write(&profile, text.replace(stage.mock.url(), &server.url)).unwrap();

    let distrusted = stage.expect_json(78, &["doctor", "--json"]);
    let said = finding(&distrusted, "server")["found"].as_str().unwrap();
    assert!(said.contains("certificate") || said.contains("UnknownIssuer"), "{said}");
    let trusted = stage.expect_json(0, &["doctor", "--json", "--ca-cert", "ca.pem"]);
    assert_eq!(finding(&trusted, "server")["state"], "ok");
    fs::write(stage.home.path().join("config.toml"), "ca_cert = \"ca.pem\"\n").unwrap();
    stage.expect(0, &["doctor"]);
    for wrong in ["nowhere.pem", "ca.key"] {
        let refused = stage.expect_json(78, &["doctor", "--json", "--ca-cert", wrong]);
        assert_eq!(refused["error"]["kind"], "ca_cert");
    }
}

#[test]
fn purge_deletes_only_what_bbdl_made() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
    stage.expect(0, &["fetch", "eob", "--out", "more", "--format", "json", "-q"]);
    fs::write(stage.home.path().join("more/notes.txt"), "my own").unwrap();
    // No person can be asked.
    let refused = stage.run(&["purge"]);
    assert_code(&refused, 2, &["purge"]);
    assert!(text(&refused.stderr).contains("bbdl purge --yes"));
    stage.expect(0, &["verify", "claims"]);

    let purged = stage.expect_json(0, &["purge", "--yes", "--json"]);
    assert_eq!(purged["profiles"], serde_json::json!(["default"]));
    assert!(!stage.home.path().join("claims").exists());
    let left: Vec<_> =
        fs::read_dir(stage.home.path().join("more")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    assert!(!stage.home.path().join("tokens/default.json").exists());
    assert_eq!(stage.expect_json(0, &["status", "--json"])["profiles"], serde_json::json!([]));
    assert!(stage.asked().iter().any(|asked| asked.contains("revoke")), "the grant is ended");
    stage.expect(78, &["purge", "--yes"]);
    stage.expect(0, &["purge", "--yes", "--all-profiles"]);
}

#[test]
fn purge_leaves_other_profiles_and_works_without_the_server() {
    let mut stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.log_in(&["--profile", "twin"]);
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q", "--profile", "twin"]);
    // The server of the log-in is gone.
    stage.mock = Stage::new().mock;
    let purged = stage.expect_json(0, &["purge", "--yes", "--json"]);
    assert_eq!(purged["archives"][0]["left"], "another profile uses it too");
    stage.expect(0, &["verify", "claims"]);
    stage.expect(0, &["purge", "--yes", "--all-profiles"]);
    assert!(!stage.home.path().join("claims").exists());
}

/// The words that bash offers, with the committed script.
fn offered(stage: &Stage, words: &[&str]) -> Vec<String> {
    let completions = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions/bbdl.bash");
    let script = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        complete -p bbdl >/dev/null || exit 1
        _clap_complete_bbdl bbdl \"${!#}\" 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let binary = Path::new(env!("CARGO_BIN_EXE_bbdl"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut bash = stage.bbdl(&[]);
    bash.env("PATH", path);
    let mut inner = Command::new("bash");
    inner
        .args(["--norc", "-c", script, "bash"])
        .arg(completions)
        .args(words)
        .env_clear()
        .current_dir(stage.home.path());
    inner.envs(bash.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = finished(inner);
    assert_code(&output, 0, words);
    text(&output.stdout).lines().map(|line| line.trim().to_owned()).collect()
}

#[cfg(unix)]
#[test]
fn a_shell_completes_commands_values_and_the_names_of_profiles() {
    let stage = Stage::logged_in(Setting::default());
    stage.log_in(&["--profile", "mom"]);
    assert_eq!(offered(&stage, &["bbdl", "status", "--profile", ""]), ["default", "mom"]);
    assert_eq!(offered(&stage, &["bbdl", "status", "--profile", "m"]), ["mom"]);
    assert!(offered(&stage, &["bbdl", "fetch", "eob", "--type", ""]).contains(&"hospice".to_owned()));
    let resources = offered(&stage, &["bbdl", "fetch", ""]);
    assert!(["eob", "insurance-card", "all"].iter().all(|it| resources.contains(&(*it).to_owned())), "{resources:?}");
    assert_eq!(offered(&stage, &["bbdl", "doc"]), ["doctor"]);
}

#[test]
fn bbdls_own_home_is_not_used_as_an_archive() {
    let stage = Stage::new();
    let person = stage.home.path().join("person");
    let home = person.join(".bbdl");
    fs::create_dir_all(person.join("pages")).unwrap();
    fs::write(person.join("pages/book.txt"), "my own").unwrap();
    let at_home = |mut command: Command| {
        command.env("BBDL_HOME", &home);
        command
    };
    stage.log_in_with(at_home(stage.login_command(&[])));
    for out in ["person", "person/.bbdl"] {
        let fetch = ["fetch", "eob", "--out", out, "-q"];
        assert_code(&finished(at_home(stage.bbdl(&fetch))), 65, &fetch);
    }
    assert_code(&finished(at_home(stage.bbdl(&["purge", "--yes"]))), 0, &["purge"]);
    assert!(person.join("pages/book.txt").exists() && home.join("locks").exists());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_replaced_by_an_output_file() {
    let stage = Stage::logged_in(Setting { claims: 1, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let pipe = stage.home.path().join("pipe");
    let mut mkfifo = Command::new("mkfifo");
    mkfifo.arg(&pipe);
    assert_code(&finished(mkfifo), 0, &["mkfifo"]);
    stage.expect(74, &["report", "claims", "--output", "pipe"]);
    stage.expect(74, &["export", "claims", "--to", "sqlite", "--output", "pipe"]);
    assert!(!fs::metadata(&pipe).unwrap().is_file());
}

/// A result that cannot be written is a failure: an empty output would look like an answer.
#[cfg(unix)]
#[test]
fn a_lost_result_is_a_failure_but_a_leaving_reader_is_not() {
    let stage = Stage::logged_in(Setting { claims: 60, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let full = |arguments: &[&str]| {
        let mut command = stage.bbdl(arguments);
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        assert_code(&output, 74, arguments);
        let said = text(&output.stderr);
        assert!(said.contains("standard output") && said.contains("next: "), "{arguments:?}: {said}");
    };
    let commands: [&[&str]; 16] = [
        &["status"],
        &["status", "--json"],
        &["verify", "claims", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["fetch", "eob", "--out", "claims"],
        &["fetch", "eob", "--out", "-"],
        &["fetch", "eob", "--out", "claims", "--json"],
        &["report", "claims", "--output", "-"],
        &["report", "claims", "--output", "x.html", "--json"],
        &["export", "claims", "--to", "csv", "--output", "x", "--json"],
        &["completions", "zsh"],
        &["man", "-"],
        &["mock"],
        &["--help"],
        &["--version"],
    ];
    for command in commands {
        full(command);
    }
    for command in ["man -", "completions bash", "report claims --output -", "status --json", "--help"] {
        let line = format!("'{}' {command} | head -c 1 > first; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_bbdl"));
        let output = finished(crate::support::started_by(&["bash", "-c", &line], &stage.bbdl(&[])));
        assert_eq!((text(&output.stdout).trim(), text(&output.stderr).as_str()), ("0", ""), "{command}");
    }
}

/// Rust's runtime replaces a closed standard output with `/dev/null`, and every record would go there.
#[cfg(unix)]
#[test]
fn records_for_a_closed_standard_output_are_refused() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims"]);
    for command in ["fetch eob --out -", "report claims --out -", "profiles export"] {
        for (end, code) in [(">&-", 74), (">/dev/null", 0), ("| cat >/dev/null", 0)] {
            let line = format!("set -o pipefail; '{}' {command} {end}", env!("CARGO_BIN_EXE_bbdl"));
            let output = finished(crate::support::started_by(&["bash", "-c", &line], &stage.bbdl(&[])));
            assert_code(&output, code, &[command, end]);
            assert_eq!(text(&output.stderr).contains("standard output is closed"), code == 74, "{command} {end}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_question_is_not_asked_where_questions_are_forbidden() {
    let stage = Stage::claims(3);
    let output = output_at_a_terminal(
        &stage,
        80,
        &[("BBDL_CLIENT_SECRET", "hush")],
        "login --manual --no-input --client-id app",
    );
    assert_code(&output, 78, &["login --manual --no-input"]);
    let said = text(&output.stdout);
    assert!(said.contains("--no-input forbids questions") && !said.contains("/authorize"), "{said}");
}

/// What is sent to a terminal of this width, in a run that has to wait for its pages.
fn at_a_terminal(stage: &Stage, columns: u16, environment: &[(&str, &str)], arguments: &str) -> String {
    let output = output_at_a_terminal(stage, columns, environment, arguments);
    assert_code(&output, 0, &[arguments]);
    text(&output.stdout)
}

fn output_at_a_terminal(stage: &Stage, columns: u16, environment: &[(&str, &str)], arguments: &str) -> Output {
    let inner = format!("stty cols {columns} rows 24; exec '{}' {arguments}", env!("CARGO_BIN_EXE_bbdl"));
    let mut command = Command::new("script");
    command.args(["-qefc", &inner, "/dev/null"]).current_dir(stage.home.path()).env("TERM", "xterm");
    for (key, value) in stage.bbdl(&[]).get_envs().filter(|(key, _)| *key != "BBDL_NO_PROGRESS") {
        command.env(key, value.unwrap_or_default());
    }
    command.envs(environment.iter().copied());
    finished(command)
}

/// The text of a line without escape sequences for cursor and color.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut parts = line.split("\u{1b}[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|it: char| it.is_ascii_alphabetic()).map_or(part.len(), |end| end + 1);
        plain.push_str(&part[end..]);
    }
    plain
}

#[cfg(unix)]
#[test]
fn progress_fits_the_terminal_and_appears_only_there() {
    let latency = std::time::Duration::from_millis(120);
    let stage = Stage::logged_in(Setting { claims: 400, latency, ..Setting::default() });
    for columns in [40, 80, 200] {
        let said = at_a_terminal(&stage, columns, &[], &format!("fetch eob --out at{columns} --jobs 2 -v"));
        let lines: Vec<String> = said.split(['\r', '\n']).map(plain).collect();
        let bars: Vec<&String> = lines.iter().filter(|line| line.contains("/400 ")).collect();
        assert!(bars.iter().any(|bar| bar.contains("s left")), "{said:?}");
        for bar in bars {
            assert!(bar.chars().count() <= usize::from(columns), "{columns}: {bar:?}");
            assert!(!bar.contains("GET "), "a line is in the bar: {bar:?}");
        }
    }
    for environment in [("TERM", "dumb"), ("BBDL_NO_PROGRESS", "1")] {
        let said = at_a_terminal(&stage, 80, &[environment], "fetch eob --out dumb --full");
        assert!(!said.contains('\u{1b}') && !said.contains("s left"), "{environment:?}: {said:?}");
    }
    let piped = stage.run(&["fetch", "eob", "--out", "piped"]);
    let failed = stage.run(&["fetch", "eob", "--out", "piped/.bbdl/lock"]);
    for stream in [&piped.stdout, &piped.stderr, &failed.stderr] {
        assert!(!stream.contains(&0x1b) && !stream.contains(&b'\r'), "{}", text(stream));
    }
    assert!(at_a_terminal(&stage, 80, &[("BBDL_COLOR", "always")], "status --online").contains("default"));
}

#[test]
fn a_similar_profile_name_is_suggested() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.log_in(&["--profile", "dad"]);
    let error = stage.expect_json(78, &["status", "--json", "--profile", "mom"]);
    assert!(!error["error"]["hint"].as_str().unwrap().contains("Did you mean"), "{error}");
    stage.expect(0, &["profiles", "remove", "dad", "dad", "--yes"]);
    stage.log_in(&["--profile", "grandma"]);
    for command in [
        &["status", "--json", "--profile", "grandm"][..],
        &["fetch", "eob", "--out", "x", "--json", "--profile", "gramdma"],
    ] {
        let error = stage.expect_json(78, command)["error"].clone();
        assert_eq!(error["kind"], "no_profile");
        assert!(error["hint"].as_str().unwrap().starts_with("Did you mean \"grandma\"?"), "{error}");
    }
    assert_eq!(
        stage.expect_json(0, &["status", "--json", "--profile", "grandma"])["profiles"].as_array().unwrap().len(),
        1
    );
    assert_eq!(stage.expect_json(0, &["status", "--json"])["profiles"].as_array().unwrap().len(), 2);
    // The later log-in has ended the earlier one.
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q", "--profile", "grandma"]);
    for command in [&["verify", "claim", "--json"][..], &["report", "claim", "--output", "x.html", "--json"]] {
        let error = stage.expect_json(65, command)["error"].clone();
        assert!(error["hint"].as_str().unwrap().contains("claims"), "{error}");
    }
}

/// A proxy is used for the server, unless `NO_PROXY` names the server. No name in `.invalid` ever exists.
#[test]
fn a_proxy_is_used_unless_the_server_is_left_out() {
    let stage = Stage::logged_in(Setting::default());
    let profile = stage.home.path().join("profiles/default.json");
    let text_of = fs::read_to_string(&profile).unwrap();
    fs::write(&profile, text_of.replace(stage.mock.url(), "https://claims.invalid")).unwrap();
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let asked = std::thread::spawn({
        let proxy = proxy.try_clone().unwrap();
        move || {
            let mut line = String::new();
            BufReader::new(proxy.accept().unwrap().0).read_line(&mut line).unwrap();
            line
        }
    });
    let doctor = |environment: &[(&str, &str)]| {
        let mut command = stage.bbdl(&["doctor", "--json"]);
        command.env("HTTPS_PROXY", &address).envs(environment.iter().copied());
        let output = finished(command);
        assert_code(&output, 78, &["doctor"]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let found = doctor(&[]);
    assert_eq!(asked.join().unwrap().trim(), "CONNECT claims.invalid:443 HTTP/1.1");
    assert!(finding(&found, "proxy")["found"].as_str().unwrap().contains("through it"));
    proxy.set_nonblocking(true).unwrap();
    while proxy.accept().is_ok() {}
    let found = doctor(&[("NO_PROXY", ".invalid,cms.gov")]);
    assert!(finding(&found, "proxy")["found"].as_str().unwrap().contains("excludes CMS"), "{found}");
    assert_eq!(proxy.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let found = doctor(&[("HTTPS_PROXY", "ftp://proxy")]);
    assert_eq!(finding(&found, "proxy")["state"], "fail");
}
