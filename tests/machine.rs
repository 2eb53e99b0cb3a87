//! What bbdl says of the machine it runs on, whom it trusts there, and how it leaves it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use support::{Setting, Stage, assert_code, finished, text};

fn finding<'a>(doctor: &'a Value, check: &str) -> &'a Value {
    let mut found = doctor["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
    found.next().unwrap_or_else(|| panic!("{check} is not among {doctor}"))
}

#[test]
fn doctor_finds_a_new_machine_in_order_and_says_how_to_begin() {
    let stage = Stage::new();
    let doctor = stage.expect_json(0, &["doctor", "--json"]);
    assert_eq!(doctor["ok"], true);
    assert_eq!(finding(&doctor, "redirect listener")["state"], "ok");
    assert_eq!(finding(&doctor, "browser")["state"], "warn", "there is no screen in the tests");
    let login = finding(&doctor, "log-in");
    assert!(login["fix"].as_str().unwrap().starts_with("bbdl login"), "{login}");
    // No keyring, and nothing in it: another store can still be chosen.
    let mut without = stage.bbdl(&["doctor", "--json", "--token-store", "keyring"]);
    without.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let output = finished(without);
    assert_code(&output, 0, &["doctor"]);
    let doctor: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tokens = finding(&doctor, "tokens");
    assert!(tokens["state"] == "warn" && tokens["fix"].as_str().unwrap().contains("--token-store file"), "{tokens}");
}

#[test]
fn doctor_finds_what_is_wrong_and_how_to_mend_it() {
    let mut stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let doctor = stage.expect_json(0, &["doctor", "--json"]);
    for check in ["tokens", "consent", "server", "clock", "free space"] {
        assert_eq!(finding(&doctor, check)["state"], "ok", "{doctor}");
    }
    // Each thing it looks at, spoiled in turn.
    fs::set_permissions(stage.out(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(stage.home.path().join("tokens/default.json"), fs::Permissions::from_mode(0o644)).unwrap();
    // The server that the log-in is at is gone.
    stage.mock = Stage::new().mock;
    let doctor = stage.expect_json(78, &["doctor", "--json"]);
    assert_eq!(doctor["ok"], false);
    assert_eq!(finding(&doctor, "tokens")["state"], "fail");
    assert!(finding(&doctor, "tokens")["fix"].as_str().unwrap().contains("chmod 600"), "{doctor}");
    assert_eq!(finding(&doctor, "server")["state"], "fail");
    let open =
        doctor["findings"].as_array().unwrap().iter().find(|it| it["state"] == "warn" && it["check"] == "permissions");
    assert!(open.unwrap()["fix"].as_str().unwrap().starts_with("chmod 700 '"), "{doctor}");
    let said = text(&stage.run(&["doctor"]).stdout);
    assert!(said.contains("FAIL  server: ") && said.contains("next: "), "{said}");
}

#[test]
fn doctor_notices_a_wrong_clock() {
    let stage = Stage::logged_in(Setting::default());
    let faked = support::started_by(&["faketime", "-f", "+3h"], &stage.bbdl(&["doctor", "--json"]));
    let doctor: Value = serde_json::from_slice(&finished(faked).stdout).unwrap();
    assert_eq!(finding(&doctor, "clock")["state"], "warn", "{doctor}");
}

/// A server with a certificate that only `ca.pem` in the directory vouches for.
struct TlsServer {
    process: Child,
    url: String,
}

impl TlsServer {
    fn start(dir: &Path) -> Self {
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        let made = |arguments: &[&str]| {
            let mut openssl = Command::new("openssl");
            openssl.args(["req", "-x509"]).args(key).args(arguments).current_dir(dir);
            assert_code(&finished(openssl), 0, arguments);
        };
        made(&["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=a company's own authority"]);
        let extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
        let signed =
            ["-keyout", "leaf.key", "-out", "leaf.pem", "-subj", "/CN=leaf", "-CA", "ca.pem", "-CAkey", "ca.key"];
        made(&[&signed[..], &extensions[..]].concat());
        let script = "
import http.server, ssl
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Length', '0'); self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Answer)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('leaf.pem', 'leaf.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()";
        let mut python = Command::new("python3");
        python.args(["-c", script]).current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = python.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { process, url: format!("https://127.0.0.1:{}", port.trim()) }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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
fn purge_takes_what_is_bbdls_and_only_that() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
    stage.expect(0, &["fetch", "eob", "--out", "more", "--format", "json", "-q"]);
    fs::write(stage.home.path().join("more/notes.txt"), "my own").unwrap();
    // Nobody can be asked.
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
    // The server that the log-in is at is gone.
    stage.mock = Stage::new().mock;
    let purged = stage.expect_json(0, &["purge", "--yes", "--json"]);
    assert_eq!(purged["archives"][0]["left"], "another profile fills it as well");
    stage.expect(0, &["verify", "claims"]);
    stage.expect(0, &["purge", "--yes", "--all-profiles"]);
    assert!(!stage.home.path().join("claims").exists());
}

/// What bash offers after the words, with the committed script.
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

#[test]
fn a_shell_completes_commands_values_and_the_names_of_profiles() {
    let stage = Stage::logged_in(Setting::default());
    stage.log_in(&["--profile", "mum"]);
    assert_eq!(offered(&stage, &["bbdl", "status", "--profile", ""]), ["default", "mum"]);
    assert_eq!(offered(&stage, &["bbdl", "status", "--profile", "m"]), ["mum"]);
    assert!(offered(&stage, &["bbdl", "fetch", "eob", "--type", ""]).contains(&"hospice".to_owned()));
    let resources = offered(&stage, &["bbdl", "fetch", ""]);
    assert!(["eob", "insurance-card", "all"].iter().all(|it| resources.contains(&(*it).to_owned())), "{resources:?}");
    assert_eq!(offered(&stage, &["bbdl", "doc"]), ["doctor"]);
}

#[test]
fn a_directory_with_a_home_of_bbdls_in_it_is_no_archive() {
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

#[test]
fn what_is_no_file_is_not_replaced_by_one() {
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
