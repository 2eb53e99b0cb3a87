//! Setup problems are reported at once, with the fix: certificates, proxies, environment variables.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{Setting, Stage, assert_code, finished, text, tls::TlsServer};
use rcgen::CertificateParams;
use serde_json::Value;

/// The commands that use a server, for a profile that was moved to `url`.
fn asking(stage: &Stage, url: &str) -> Vec<Command> {
    for file in ["profiles/default.json", "tokens/default.json"] {
        let path = stage.home.path().join(file);
        let moved = fs::read_to_string(&path).unwrap().replace(stage.mock.url(), url);
        fs::write(path, moved).unwrap();
    }
    let mut login = stage.bbdl(&["login", "--json", "--no-browser", "--profile", "new", "--server", url]);
    login.args(["--client-id", "id"]).env("BBDL_CLIENT_SECRET", "secret").env("BBDL_RETRY_DELAY", "5000");
    let mut fetch = stage.bbdl(&["fetch", "eob", "--out", "claims", "--json"]);
    fetch.env("BBDL_RETRY_DELAY", "5000");
    vec![login, fetch]
}

/// Each command ends at once, and not after the retries for a network failure.
fn fails_at_once(commands: Vec<Command>, kind: &str, words: &[&str]) {
    for command in commands {
        let what = format!("{command:?}");
        let started = Instant::now();
        let output = finished(command);
        assert!(started.elapsed() < Duration::from_secs(10), "{what}: {:?}", started.elapsed());
        assert_code(&output, 78, &[&what]);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["error"]["kind"], kind, "{what}: {result}");
        let said = result["error"].to_string();
        for words in words {
            assert!(said.contains(words), "{what}: {words}: {said}");
        }
    }
}

#[test]
fn an_untrusted_certificate_names_the_flag() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    let server = TlsServer::start(stage.home.path());
    fails_at_once(asking(&stage, &server.url), "certificate", &["not trusted", "--ca-cert"]);
}

/// Its authority is trusted, so the certificate itself is wrong.
#[test]
fn a_certificate_for_another_host_or_another_time_says_so() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    let named = |name: &str| CertificateParams::new([name.to_owned()]).unwrap();
    let mut expired = named("127.0.0.1");
    (expired.not_before, expired.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2020, 1, 2));
    for (leaf, words) in [(named("elsewhere.example"), "it is for another host"), (expired, "it is not valid now")] {
        let server = TlsServer::certified(stage.home.path(), leaf);
        let mut commands = asking(&stage, &server.url);
        for command in &mut commands {
            command.env("BBDL_CA_CERT", stage.home.path().join("ca.pem"));
        }
        fails_at_once(commands, "certificate", &[words]);
        asking_back(&stage, &server.url);
    }
}

/// Moves the profile back to the mock.
fn asking_back(stage: &Stage, from: &str) {
    for file in ["profiles/default.json", "tokens/default.json"] {
        let path = stage.home.path().join(file);
        let moved = fs::read_to_string(&path).unwrap().replace(from, stage.mock.url());
        fs::write(path, moved).unwrap();
    }
}

/// A proxy with this answer to every request.
fn proxy(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn a_proxy_that_wants_a_password_is_told_of() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    let proxy = proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    let mut commands = asking(&stage, "https://claims.invalid");
    commands.iter_mut().for_each(|command| {
        command.env("HTTPS_PROXY", &proxy);
    });
    fails_at_once(commands, "proxy", &["407", "NAME:PASSWORD@"]);
}

#[test]
fn a_proxy_that_cannot_be_used_is_an_error_and_not_left_out() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    for (variable, value) in [
        ("HTTPS_PROXY", "socks5://user:hush-hush@proxy.example:1080"),
        ("ALL_PROXY", "ftp://proxy.example"),
        ("https_proxy", "http://pro xy"),
        ("all_proxy", "http://"),
    ] {
        let mut commands = asking(&stage, "https://claims.invalid");
        commands.iter_mut().for_each(|command| {
            command.env(variable, value);
        });
        // On Windows, both spellings of a variable are the same.
        let named = if cfg!(windows) { variable.to_uppercase() } else { variable.to_owned() };
        fails_at_once(commands, "proxy", &[&named, "http://proxy.example.org:3128"]);
        let mut command = stage.bbdl(&["doctor", "--json"]);
        let said = text(&finished(std::mem::replace(command.env(variable, value), Command::new("true"))).stdout);
        assert!(said.contains(&named) && !said.contains("hush-hush"), "{said}");
    }
}

#[test]
fn empty_variables_are_as_if_they_were_not_set() {
    let stage = Stage::claims(3);
    let mut command = stage.login_command(&["--json"]);
    for name in [
        "BBDL_PROFILE",
        "BBDL_CONFIG",
        "BBDL_JSON",
        "BBDL_QUIET",
        "BBDL_VERBOSE",
        "BBDL_NO_PROGRESS",
        "BBDL_NO_INPUT",
        "BBDL_CA_CERT",
        "BBDL_COLOR",
        "BBDL_API",
        "BBDL_CLIENT_ID",
        "BBDL_CLIENT_SECRET",
        "BBDL_CLIENT_SECRET_FILE",
        "BBDL_REDIRECT_URI",
        "BBDL_NO_BROWSER",
        "BBDL_MANUAL",
        "BBDL_SCOPE",
        "BBDL_LANG",
        "BBDL_TIMEOUT",
        "BBDL_REPLACE",
        "BBDL_SERVER",
        "BBDL_SANDBOX",
        "BBDL_PRODUCTION",
        "BBDL_TOKEN_STORE_COMMAND",
        "BBDL_JOBS",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "BROWSER",
    ] {
        command.env(name, "");
    }
    assert_code(&stage.log_in_with(command), 0, &[]);
    let mut command = stage.bbdl(&["fetch", "eob", "--out", "claims", "-q"]);
    for name in ["BBDL_JOBS", "BBDL_RETRY", "BBDL_RETRY_DELAY", "BBDL_REQUEST_TIMEOUT", "BBDL_PROFILE", "BBDL_COLOR"] {
        command.env(name, "");
    }
    assert_code(&finished(command), 0, &[]);
}

#[test]
fn a_home_that_is_a_file_is_named_as_the_variable() {
    let stage = Stage::claims(3);
    let file = stage.home.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for command in [&["status"][..], &["login"], &["doctor"]] {
        let mut command = stage.bbdl(command);
        let output = finished(std::mem::replace(command.env("BBDL_HOME", &file), Command::new("true")));
        assert_code(&output, 78, &[]);
        let said = text(&output.stderr);
        assert!(said.contains("BBDL_HOME is a file, not a directory"), "{said}");
    }
}

/// As the man page says of every variable of an option without a value.
#[test]
fn verbosity_comes_from_its_variable_as_a_word_or_a_number() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    for (value, is_told) in [("true", true), ("1", true), ("2", true), ("off", false), ("0", false)] {
        let mut command = stage.bbdl(&["status", "--online"]);
        command.env("BBDL_VERBOSE", value);
        let output = finished(command);
        assert_code(&output, 0, &[value]);
        assert_eq!(text(&output.stderr).contains("GET "), is_told, "{value}: {}", text(&output.stderr));
    }
}

#[test]
fn a_wrong_value_names_the_variable_that_it_is_from() {
    let stage = Stage::claims(3);
    for (name, value, arguments) in [
        ("BBDL_TIMEOUT", "soon", &["login"][..]),
        ("BBDL_API", "v9", &["login"]),
        ("BBDL_LANG", "fr", &["login"]),
        ("BBDL_PROFILE", "a b", &["status"]),
        ("BBDL_COLOR", "blue", &["status"]),
        ("BBDL_TOKEN_STORE", "drawer", &["status"]),
        ("BBDL_VERBOSE", "loud", &["status"]),
        ("BBDL_JOBS", "99", &["fetch", "eob", "--out", "x"]),
        ("BBDL_SERVER", "http://claims.example", &["login"]),
        ("BBDL_SERVER", "sandbxo", &["login"]),
    ] {
        for json in [false, true] {
            let mut command = stage.bbdl(arguments);
            command.env(name, value).args(json.then_some("--json"));
            let output = finished(command);
            assert_code(&output, 2, &[name]);
            let said = text(if json { &output.stdout } else { &output.stderr });
            assert!(said.contains(name), "{name}: {said}");
        }
        // A typed value is not blamed on the variable.
        if name == "BBDL_TIMEOUT" {
            let mut command = stage.bbdl(&["login", "--timeout", "later"]);
            command.env(name, "90s");
            assert!(!text(&finished(command).stderr).contains(name));
        }
    }
}

#[test]
fn secrets_repeated_by_the_server_are_hidden() {
    let stage = Stage::claims(3);
    let secret = "Kq3xVb8sT0aYw1LmN2pQ4rS5tU6vW7Kq3xVb8sT0aYw1LmN2pQ4rS5tU6vW7";
    for status in [400, 401, 403, 500] {
        let server = crate::support::echo::Server::start(status);
        let home = tempfile::tempdir().unwrap();
        let mut command = crate::support::bbdl(home.path());
        command.args(["login", "--server", &server.url, "--client-id", "client", "--no-browser", "-vv", "--json"]);
        command.env("BBDL_CLIENT_SECRET", secret);
        let output = finished(command);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("[redacted]"), "{status}: {said}");
        for sent in server.sent() {
            assert!(!said.contains(&sent), "{status}: {sent}: {said}");
        }
        assert!(!said.contains(secret));
    }
    drop(stage);

    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    let tokens = stage.tokens();
    for status in [400, 403, 404, 500] {
        let server = crate::support::echo::Server::start(status);
        for file in ["profiles/default.json", "tokens/default.json"] {
            let path = stage.home.path().join(file);
            let record: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            let origin = record["server"].as_str().or(record["origin"].as_str()).unwrap().to_owned();
            fs::write(&path, record.to_string().replace(&origin, &server.url)).unwrap();
        }
        let mut command = stage.bbdl(&["fetch", "eob", "--out", "claims", "--json", "-vv"]);
        command.env("BBDL_RETRY", "1");
        let output = finished(command);
        assert_ne!(output.status.code(), Some(0));
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!server.sent().is_empty());
        for token in [&tokens["access_token"], &tokens["refresh_token"], &tokens["client_secret"]] {
            assert!(!said.contains(token.as_str().unwrap()), "{status}: {said}");
        }
    }
}
