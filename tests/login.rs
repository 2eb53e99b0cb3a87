//! The whole log-in, with the mock and the binary's own listener.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    process::Stdio,
    time::Duration,
};

use crate::support::{
    Running, Setting, Stage, assert_code, callback_of, finished, follow, has_programs, http, text, until,
};
#[cfg(unix)]
use crate::support::{Signal, signal};
use bbdl::files::lock::FileLock;
use bluebutton_mock::Access;
use serde_json::Value;

fn query(url: &str, name: &str) -> Option<String> {
    url::Url::parse(url).unwrap().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[test]
fn a_log_in_through_the_browser_keeps_tokens_and_says_what_they_allow() {
    let stage = Stage::new();
    let mut login = Running::start(stage.login_command(&["--json"]));
    let url = login.authorize_url();
    assert!(query(&url, "state").unwrap().len() >= 32);
    assert_eq!(query(&url, "code_challenge_method").unwrap(), "S256");
    assert!(query(&url, "redirect_uri").unwrap().starts_with("http://127.0.0.1:"));
    assert!(!url.contains(stage.mock.client_secret()));
    let page = follow(&url);
    assert!(page.body.contains("You are logged in"), "{}", page.body);
    let output = login.finish();
    assert_code(&output, 0, &[]);
    let said = text(&output.stderr);
    for words in ["Medicare will ask you to share", "bbdl logout", "private files"] {
        assert!(said.contains(words), "{said}");
    }
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["demographics"], true);
    assert_eq!(result["access_category"], "thirteen-month");

    let status = stage.expect_json(0, &["status", "--json"]);
    let profile = &status["profiles"][0];
    for (key, value) in [
        ("name", "default"),
        ("server", stage.mock.url()),
        ("api", "v2"),
        ("token_store", "file"),
        ("client_id", stage.mock.client_id()),
    ] {
        assert_eq!(profile[key], value, "{key}");
    }
    assert_eq!(profile["refreshable"], true);
    assert_eq!(profile["reauthorize"], false);
    assert!((390..=400).contains(&profile["days_left"].as_i64().unwrap()));
    assert!(profile["scopes"].as_array().unwrap().iter().any(|scope| scope == "patient/ExplanationOfBenefit.rs"));
    assert!(profile["access_token_expires"].as_str().unwrap().ends_with('Z'));
    assert!(!status.to_string().contains(stage.tokens()["access_token"].as_str().unwrap()));
}

#[test]
fn the_browser_variable_is_honored() {
    if !has_programs(&["curl"]) {
        return;
    }
    let stage = Stage::new();
    let mut command = stage.bbdl(&["login", "--server", stage.mock.url(), "--client-id", stage.mock.client_id()]);
    command.arg("--client-secret-file").arg(stage.secret_file()).env("BROWSER", "curl -sSLo /dev/null");
    assert_code(&finished(command), 0, &[]);
}

#[test]
fn requests_that_are_not_the_callback_do_not_end_the_log_in() {
    let stage = Stage::new();
    let mut login = Running::start(stage.login_command(&[]));
    let url = login.authorize_url();
    let redirect = query(&url, "redirect_uri").unwrap();
    let state = query(&url, "state").unwrap();
    let authority = url::Url::parse(&redirect).unwrap().authority().to_owned();
    let idle: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(&authority).unwrap()).collect();
    let mut half = TcpStream::connect(&authority).unwrap();
    half.write_all(b"GET /callback?code=").unwrap();
    for (target, status) in [
        (format!("http://{authority}/favicon.ico"), 404),
        (format!("{redirect}?code=stolen&state=guessguessguessguess"), 400),
        (format!("{redirect}?code=stolen"), 400),
        (format!("{redirect}?error=access_denied"), 400),
        (format!("{redirect}?code=a&code=b&state={state}"), 400),
    ] {
        assert_eq!(http("GET", &target, &[], "").status, status, "{target}");
    }
    assert_eq!(http("POST", &format!("{redirect}?code=x&state={state}"), &[], "").status, 405);
    let page = follow(&url);
    assert!(page.body.contains("You are logged in"));
    assert_code(&login.finish(), 0, &[]);
    drop((idle, half));
}

#[test]
fn every_end_of_a_log_in_has_its_exit_code_and_message() {
    for (answer, fault, code, kind) in [
        ("deny", None, 77, "denied"),
        ("all", Some("inactive@o/token"), 77, "app_inactive"),
        ("all", Some("status=500@o/token"), 75, "server"),
        ("all", Some("html=502@o/token"), 75, "server"),
        ("all", Some("truncate@o/token"), 65, "token_answer"),
        ("all", Some("close@o/token"), 75, "network"),
        ("all", Some("redirect=http://127.0.0.1:9/@o/token"), 75, "intercepted"),
    ] {
        let stage = Stage::new();
        stage.control("POST", "consent", &format!(r#"{{"answer":"{answer}"}}"#));
        let mut login = Running::start(stage.login_command(&["--json"]));
        let url = login.authorize_url();
        // The client has been proven at the token endpoint by now, so the exchange of the code is what fails.
        if let Some(fault) = fault {
            stage.faults(&[fault]);
        }
        follow(&url);
        let output = login.finish();
        assert_code(&output, code, &[answer, kind]);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["error"]["kind"], kind, "{result}");
        assert_eq!(result["error"]["exit_code"], code);
        let hint = result["error"]["hint"].as_str().unwrap();
        assert!(!hint.is_empty());
        // Options that no profile has stored are typed again.
        if let Some(again) = hint.split("bbdl login ").nth(1) {
            for option in ["--client-id ", "--client-secret-file ", "--token-store file", "--no-browser"] {
                assert!(again.contains(option), "{option}: {hint}");
            }
        }
        assert!(!stage.home.path().join("tokens/default.json").exists());
    }
}

/// A consent ends the log-in that works. So errors of the token endpoint have to show before anyone consents.
#[test]
fn a_wrong_secret_or_client_is_found_out_before_the_browser_opens() {
    let stage = Stage::claims(3);
    stage.log_in(&[]);
    let file = stage.home.path().join("wrong");
    std::fs::write(&file, "not-the-secret").unwrap();
    crate::support::private(&file);
    let unknown = "x".repeat(40);
    for (id, secret, faults, code, kind) in [
        (stage.mock.client_id(), &file, &[][..], 78, "client"),
        (&*unknown, &file, &[], 78, "client"),
        ("not-an-id", &file, &[], 78, "client"),
        (stage.mock.client_id(), &stage.secret_file(), &["inactive@o/token"], 77, "app_inactive"),
        (stage.mock.client_id(), &stage.secret_file(), &["status=503@o/token"], 75, "server"),
    ] {
        stage.faults(faults);
        let mut command = stage.bbdl(&["login", "--server", stage.mock.url(), "--client-id", id, "--json"]);
        command.arg("--client-secret-file").arg(secret).env("BROWSER", "false");
        let output = finished(command);
        assert_code(&output, code, &[id, kind]);
        assert!(text(&output.stdout).contains(&format!("\"{kind}\"")), "{}", text(&output.stdout));
        assert!(!text(&output.stderr).contains("/o/authorize/"), "{}", text(&output.stderr));
    }
    stage.faults(&[]);
    assert!(stage.asked().iter().all(|row| !row.contains("/o/authorize/") || row.contains("302")));
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
}

#[test]
fn an_unregistered_redirect_uri_shows_in_the_browser() {
    let stage = Stage::new();
    let mut login =
        Running::start(stage.login_command(&["--redirect-uri", "http://127.0.0.1/elsewhere", "--timeout", "1"]));
    let page = follow(&login.authorize_url());
    assert_eq!(page.status, 400);
    let output = login.finish();
    assert_code(&output, 75, &[]);
    let said = text(&output.stderr);
    assert!(said.contains("that http://127.0.0.1/elsewhere is not registered"), "{said}");
}

#[test]
fn withheld_demographic_data_is_reported_but_no_failure() {
    let stage = Stage::new();
    stage.control("POST", "consent", r#"{"answer":"without-demographics"}"#);
    let output = stage.log_in_with(stage.login_command(&[]));
    assert_code(&output, 0, &[]);
    assert!(text(&output.stderr).contains("withheld"));
    assert_eq!(stage.expect_json(0, &["status", "--json"])["profiles"][0]["demographics"], false);
    let all = stage.expect_json(0, &["fetch", "all", "--out", "claims", "--json"]);
    assert_eq!(all["withheld"], serde_json::json!(["Patient", "UserInfo"]));
    assert_eq!(all["resources"]["ExplanationOfBenefit"]["count"], 120);
    let named = stage.expect_json(77, &["fetch", "patient", "--out", "p", "--json"]);
    assert_eq!(named["error"]["kind"], "withheld");
    stage.expect(77, &["fetch", "userinfo", "--out", "p"]);
}

#[test]
fn not_found_without_state_counts_only_if_nothing_else_came() {
    let stage = Stage::new();
    let mut login = Running::start(stage.login_command(&["--timeout", "5", "--json"]));
    let redirect = query(&login.authorize_url(), "redirect_uri").unwrap();
    http("GET", &format!("{redirect}?error=not_found"), &[], "");
    login.until("finds no records");
    let output = login.finish();
    assert_code(&output, 77, &[]);
    assert!(text(&output.stdout).contains("not_found"));

    // The same, and then the real callback: the first one was forged, and so had no effect.
    let mut login = Running::start(stage.login_command(&[]));
    let url = login.authorize_url();
    http("GET", &format!("{}?error=not_found", query(&url, "redirect_uri").unwrap()), &[], "");
    login.until("finds no records");
    follow(&url);
    assert_code(&login.finish(), 0, &[]);
}

#[test]
fn manual_log_in_takes_the_pasted_address_or_the_code() {
    let stage = Stage::new();
    for code_only in [false, true] {
        let mut command = stage.login_command(&["--manual", "--redirect-uri", "http://localhost:8080/callback"]);
        command.stdin(Stdio::piped());
        let mut login = Running::start(command);
        let callback = callback_of(&login.authorize_url());
        assert!(callback.starts_with("http://localhost:8080/callback?code="), "{callback}");
        login.until("paste that address");
        login.write("http://localhost:8080/callback?code=wrong&state=wrongwrongwrongwrong");
        login.until("cannot be used");
        login.write(&if code_only { query(&callback, "code").unwrap() } else { format!("  {callback}  ") });
        assert_code(&login.finish(), 0, &[]);
    }
    let output = finished(stage.login_command(&["--manual"]));
    assert_code(&output, 78, &[]);
    assert!(text(&output.stderr).contains("standard input ended"));
}

#[test]
fn a_terminal_can_be_pasted_into_while_the_listener_waits() {
    if !has_programs(&["script"]) {
        return;
    }
    let stage = Stage::new();
    let binary = env!("CARGO_BIN_EXE_bbdl");
    let line = format!(
        "{binary} login --server {} --client-id {} --client-secret-file {} --no-browser",
        stage.mock.url(),
        stage.mock.client_id(),
        stage.secret_file().display()
    );
    let mut command = std::process::Command::new("script");
    command.args(["-qefc", &line, "/dev/null"]);
    for (key, value) in stage.bbdl(&[]).get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut shown = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let url = loop {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut shown, &mut line).unwrap(), 0, "the terminal closed");
        if line.contains("/o/authorize/") {
            break line.trim().to_owned();
        }
    };
    let callback = callback_of(&url);
    let mut terminal = child.stdin.take().unwrap();
    writeln!(terminal, "{callback}").unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut shown, &mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(rest.contains("Logged in"), "{rest}");
}

#[test]
fn a_fixed_localhost_redirect_binds_its_port_and_a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let stage = Stage::new();
    let redirect = format!("http://localhost:{port}/callback");
    let output = finished(stage.login_command(&["--redirect-uri", &redirect]));
    assert_code(&output, 75, &[]);
    assert!(text(&output.stderr).contains(&port.to_string()));
    for (bad, words) in [
        ("https://app.example/cb", "--manual"),
        ("http://localhost/callback", "port"),
        ("nonsense", "127.0.0.1/callback"),
    ] {
        let output = finished(stage.login_command(&["--redirect-uri", bad]));
        assert_code(&output, 2, &[bad]);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

#[test]
fn the_three_access_categories_and_odd_token_answers() {
    for (access, faults, category, refreshable) in [
        (Access::OneTime, &[][..], "one-time", false),
        (Access::ThirteenMonth, &["token-extra@o/token"][..], "thirteen-month", true),
        (Access::Research, &[][..], "research", true),
        (Access::ThirteenMonth, &["no-expiration@o/token", "no-patient@o/token"][..], "unknown", true),
    ] {
        let stage = Stage::logged_in(Setting { access, faults, claims: 3, ..Setting::default() });
        let profile = stage.expect_json(0, &["status", "--json"])["profiles"][0].clone();
        assert_eq!(profile["access_category"], category, "{profile}");
        assert_eq!(profile["refreshable"], refreshable, "{profile}");
        assert_eq!(profile["grant_expires"].is_null(), matches!(category, "research" | "unknown"), "{profile}");
        let fetched = stage.expect_json(0, &["fetch", "eob", "--out", "claims", "--json"]);
        assert_eq!(fetched["resources"]["ExplanationOfBenefit"]["count"], 3);
    }
}

#[test]
fn client_and_secret_come_from_a_variable_a_pipe_or_the_profile() {
    let stage = Stage::new();
    let mut command = stage.bbdl(&["login", "--no-browser"]);
    command
        .env("BBDL_SERVER", stage.mock.url())
        .env("BBDL_CLIENT_ID", stage.mock.client_id())
        .env("BBDL_CLIENT_SECRET", stage.mock.client_secret());
    assert_code(&stage.log_in_with(command), 0, &[]);
    // Again, with only the stored values.
    assert_code(&stage.log_in_with(stage.bbdl(&["login", "--no-browser"])), 0, &[]);

    let mut command = stage.bbdl(&[
        "login",
        "--profile",
        "piped",
        "--server",
        stage.mock.url(),
        "--client-id",
        stage.mock.client_id(),
        "--client-secret-file",
        "-",
        "--no-browser",
    ]);
    command.stdin(Stdio::piped());
    let mut login = Running::start(command);
    login.write(stage.mock.client_secret());
    let url = login.authorize_url();
    follow(&url);
    assert_code(&login.finish(), 0, &[]);

    let output =
        stage.run(&["login", "--profile", "none", "--server", stage.mock.url(), "--client-id", "x", "--no-browser"]);
    assert_code(&output, 78, &[]);
    assert!(text(&output.stderr).contains("--client-secret-file"));
}

#[test]
fn configuration_files_give_defaults_and_their_mistakes_are_named() {
    let stage = Stage::new();
    let config = stage.home.path().join("config.toml");
    let secret = stage.secret_file();
    let text_of = |server: &str| {
        format!(
            "token_store = \"file\"\n[login]\nserver = \"{server}\"\nclient_id = \"{}\"\nclient_secret_file = '{}'\nno_browser = true\n",
            stage.mock.client_id(),
            secret.display()
        )
    };
    std::fs::write(&config, text_of(stage.mock.url())).unwrap();
    let mut command = stage.bbdl(&["login"]);
    command.env_remove("BBDL_TOKEN_STORE");
    assert_code(&stage.log_in_with(command), 0, &[]);
    std::fs::write(&config, "sever = 1\n").unwrap();
    let output = stage.run(&["status"]);
    assert_code(&output, 78, &[]);
    assert!(text(&output.stderr).contains("line 1") && text(&output.stderr).contains("sever"));
}

#[test]
fn servers_that_tokens_must_not_go_to_are_refused() {
    let stage = Stage::new();
    for bad in ["http://sandbox.bluebutton.cms.gov", "ftp://x", "https://x.example/path", "nonsense"] {
        let output = stage.run(&["login", "--server", bad, "--client-id", "x"]);
        assert_code(&output, 2, &[bad]);
    }
    assert_code(&stage.run(&["login", "--sandbox", "--production"]), 2, &[]);
    assert_code(&stage.run(&["login", "--client-secret", "x"]), 2, &["secrets are never taken from the command line"]);
}

#[test]
fn new_tokens_wait_until_the_profile_is_free() {
    let stage = Stage::claims(3);
    let lock = stage.home.path().join("locks/default.lock");
    let held = FileLock::acquire(&lock, Duration::ZERO, "the test").unwrap();
    let mut login = Running::start(stage.login_command(&[]));
    let url = login.authorize_url();
    let visit = std::thread::spawn(move || follow(&url));
    login.until("waiting for it before the tokens are stored");
    assert!(!stage.home.path().join("tokens/default.json").exists());
    drop(held);
    assert_code(&login.finish(), 0, &[]);
    assert!(visit.join().unwrap().body.contains("logged in") && stage.tokens()["access_token"].is_string());
}

#[cfg(unix)]
#[test]
fn an_interrupt_while_the_code_is_exchanged_does_not_lose_the_tokens() {
    for (name, sent) in [("INT", Signal::INT), ("TERM", Signal::TERM), ("HUP", Signal::HUP)] {
        let stage = Stage::with(Setting { claims: 3, faults: &["late=1000@o/token"], ..Setting::default() });
        let login = stage.login_command(&["-v"]);
        let mut login = Running::start(crate::support::started_by(&crate::support::HEEDING_SIGHUP, &login));
        let url = login.authorize_url();
        let location = callback_of(&url);
        let visit = std::thread::spawn(move || follow(&location));
        // The code is used up, and the tokens arrive a second later.
        // The first request there proved the client.
        until("the code is exchanged", || stage.requests_for("/o/token/") > 1);
        signal(login.id(), sent);
        let output = login.finish();
        assert_code(&output, 0, &[name]);
        assert!(text(&output.stderr).contains("Waiting for the tokens"), "{}", text(&output.stderr));
        assert!(stage.tokens()["refresh_token"].is_string(), "{name}");
        visit.join().unwrap();
    }
}

#[test]
fn a_record_that_cannot_be_used_does_not_stop_a_new_log_in() {
    let stage = Stage::claims(3);
    stage.log_in(&[]);
    let record = stage.home.path().join("tokens/default.json");
    std::fs::write(&record, "{ damaged").unwrap();
    stage.log_in(&[]);
    assert!(stage.tokens()["access_token"].is_string());
}
