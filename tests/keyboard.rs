//! A person at the keyboard: what is pasted, what browsers do, how long bbdl waits.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Output, Stdio},
};

use crate::support::{
    Running, Setting, Stage, assert_code, callback_of, follow, has_programs, http, text, with_stdout_as_stderr,
};

fn query(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap()
}

fn token_requests(stage: &Stage) -> usize {
    stage.asked().iter().filter(|row| row.contains("/o/token/")).count()
}

/// A log-in into which these lines are pasted; `ADDRESS`, `CODE` and `STATE` stand for its own. Returns how it ended,
/// and how many requests the token endpoint got after the browser was there.
fn pasted(stage: &Stage, lines: impl Fn(&str, &str, &str) -> Vec<String>) -> (Output, usize) {
    let mut command = stage.login_command(&["--manual"]);
    command.stdin(Stdio::piped());
    let mut login = Running::start(command);
    let callback = callback_of(&login.authorize_url());
    stage.asked();
    for line in lines(&callback, &query(&callback, "code"), &query(&callback, "state")) {
        login.write(&line);
    }
    let output = login.finish();
    let asked = token_requests(stage);
    (output, asked)
}

#[test]
fn addresses_are_accepted_in_every_form_people_paste() {
    let stage = Stage::claims(3);
    let wrapped = |address: &str, mark: &str| {
        let (first, rest) = address.split_at(80);
        vec![format!("{mark}{first}"), format!("{mark}{rest}")]
    };
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    type Form<'a> = (&'a str, Box<dyn Fn(&str, &str, &str) -> Vec<String> + 'a>);
    let forms: Vec<Form<'_>> = vec![
        ("wrapped at 80 columns", Box::new(|address, _, _| wrapped(address, ""))),
        ("in a quoted mail", Box::new(|address, _, _| wrapped(address, "> "))),
        ("code=CODE", Box::new(|_, code, _| vec![format!("code={code}")])),
        ("code=CODE&state=STATE", Box::new(|_, code, state| vec![format!("code={code}&state={state}")])),
        ("in quotes", Box::new(|_, code, _| vec![format!("\"code={code}\"")])),
        ("CODE#", Box::new(|_, code, _| vec![format!("{code}#")])),
        ("a full stop", Box::new(|address, _, _| vec![format!("{address}.")])),
        ("curly quotes", Box::new(|address, _, _| vec![format!("“{address}”")])),
        ("backticks", Box::new(|address, _, _| vec![format!("`{address}`")])),
        ("parentheses", Box::new(|address, _, _| vec![format!("({address})")])),
        ("&amp;", Box::new(|address, _, _| vec![address.replace('&', "&amp;")])),
        ("\\u0026", Box::new(|address, _, _| vec![address.replace('&', "\\u0026")])),
        ("percent-encoded", Box::new(|address, _, _| vec![encoded(address)])),
        (
            "shell escapes",
            Box::new(|address, _, _| vec![address.replace('?', "\\?").replace('&', "\\&").replace('=', "\\=")]),
        ),
        ("U+200B", Box::new(|address, _, _| vec![format!("{address}\u{200b}")])),
        ("https", Box::new(|address, _, _| vec![address.replace("http://", "https://")])),
        ("no scheme", Box::new(|address, _, _| vec![address.replace("http://", "")])),
        ("#_=_", Box::new(|address, _, _| vec![format!("{address}#_=_")])),
        ("CRLF, BOM", Box::new(|address, _, _| vec![format!("\u{feff}{address}\u{a0}\r")])),
        ("a header", Box::new(|address, _, _| vec![format!("Location: {address}")])),
        (
            "another log-in's first",
            Box::new(|address, _, state| vec![address.replace(state, &"0".repeat(64)), address.to_owned()]),
        ),
    ];
    for (name, form) in forms {
        let (output, asked) = pasted(&stage, form);
        assert_code(&output, 0, &[name]);
        assert_eq!(asked, 1, "{name}: a code is sent once");
        let said = text(&output.stderr);
        assert_eq!(said.contains("cannot be used"), name.starts_with("another"), "{name}: {said}");
    }
}

#[test]
fn a_stray_word_is_ignored_and_the_wait_continues() {
    let stage = Stage::claims(3);
    for word in ["hello", "characters", "summer2024holiday", "correct-horse-battery-staple"] {
        let (output, asked) = pasted(&stage, |_, _, _| vec![word.to_owned()]);
        // Standard input ended the wait. Nothing that was typed had ended it.
        assert_code(&output, 78, &[word]);
        assert_eq!(asked, 0, "{word} was sent");
        let said = text(&output.stderr);
        assert!(said.contains("was not sent anywhere") && said.contains("/callback?code="), "{word}: {said}");
        assert!(!said.contains(word), "{word}: {said}");

        let (output, asked) = pasted(&stage, |address, _, _| vec![word.to_owned(), address.to_owned()]);
        assert_code(&output, 0, &[word]);
        assert_eq!(asked, 1, "{word}");
    }
    // Only the second line of a wrapped address: letters and digits, as in a code.
    let (output, asked) = pasted(&stage, |_, _, state| vec![state[34..].to_owned(), state[..30].to_owned()]);
    assert_code(&output, 78, &[]);
    assert_eq!(asked, 0);
}

#[test]
fn a_truncated_address_is_recognized() {
    let stage = Stage::claims(3);
    let mut command = stage.login_command(&["--manual"]);
    command.stdin(Stdio::piped());
    let mut login = Running::start(command);
    let callback = callback_of(&login.authorize_url());
    login.write(&callback[..90]);
    login.until("cut off");
    login.write(&callback);
    assert_code(&login.finish(), 0, &[]);
}

/// The first bytes of a TLS connection from a browser (RFC 8446 section 4.1.2).
const CLIENT_HELLO: [u8; 11] = [0x16, 3, 1, 0, 0xfa, 1, 0, 0, 0xf6, 3, 3];

#[test]
fn https_at_the_listener_is_closed_at_once_and_explained_once() {
    let stage = Stage::claims(3);
    let mut login = Running::start(stage.login_command(&[]));
    let url = login.authorize_url();
    let redirect = query(&url, "redirect_uri");
    let authority = url::Url::parse(&redirect).unwrap().authority().to_owned();
    for _ in 0..3 {
        let mut browser = TcpStream::connect(&authority).unwrap();
        browser.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        browser.write_all(&CLIENT_HELLO).unwrap();
        browser.write_all(&[0; 240]).unwrap();
        // It is closed: the end of the stream, or a reset.
        assert!(!matches!(browser.read(&mut [0; 16]), Ok(1..)));
    }
    let said = login.until("https");
    assert!(said.contains("change https to http") && said.contains("paste the address here"), "{said}");
    assert!(follow(&url).body.contains("You are logged in"));
    let output = login.finish();
    assert_code(&output, 0, &[]);
    assert_eq!(text(&output.stderr).matches("change https to http").count(), 1);
}

#[test]
fn f5_after_success_shows_the_same_page() {
    let stage = Stage::claims(3);
    let mut login = Running::start(stage.login_command(&[]));
    let callback = callback_of(&login.authorize_url());
    let html = [("Accept", "text/html,application/xhtml+xml")];
    assert!(http("GET", &callback, &html, "").body.contains("You are logged in"));
    login.until("Logged in");
    stage.asked();
    let again = http("GET", &callback, &html, "");
    assert_eq!(again.status, 200);
    assert!(again.body.contains("You are logged in"), "{}", again.body);
    let other = callback.replace(&query(&callback, "state"), "guess");
    assert_eq!(http("GET", &other, &html, "").status, 400);
    assert_code(&login.finish(), 0, &[]);
    assert_eq!(token_requests(&stage), 0, "the code is not sent again");
}

#[test]
fn a_callback_of_another_issuer_is_turned_away() {
    let stage = Stage::claims(3);
    let mut login = Running::start(stage.login_command(&[]));
    let url = login.authorize_url();
    let callback = callback_of(&url);
    let page = http("GET", &format!("{callback}&iss=https%3A%2F%2Fevil.example"), &[], "");
    assert_eq!(page.status, 400);
    assert!(page.body.contains("a different server"), "{}", page.body);
    let iss = form_urlencoded::byte_serialize(stage.mock.url().as_bytes()).collect::<String>();
    assert!(http("GET", &format!("{callback}&iss={iss}"), &[], "").body.contains("You are logged in"));
    assert_code(&login.finish(), 0, &[]);
}

#[cfg(unix)]
#[test]
fn the_browser_inherits_no_secret() {
    if !crate::support::has_programs(&["curl"]) {
        return;
    }
    let stage = Stage::claims(3);
    let browser = stage.home.path().join("browser");
    let seen = stage.home.path().join("seen");
    // A shell script as a browser: it saves its environment, and then opens the address.
    let script = format!("#!/bin/sh\nenv > {0}.part && mv {0}.part {0}\ncurl -sSLo /dev/null \"$1\"\n", seen.display());
    std::fs::write(&browser, script).unwrap();
    crate::support::set_mode(&browser, 0o755);
    let mut command = stage.bbdl(&["login", "--server", stage.mock.url(), "--client-id", stage.mock.client_id()]);
    command
        .env("BBDL_CLIENT_SECRET", stage.mock.client_secret())
        .env("BBDL_TOKEN_STORE_COMMAND", "helper --password hush")
        .env("BROWSER", &browser);
    assert_code(&crate::support::finished(command), 0, &[]);
    let environment = std::fs::read_to_string(seen).unwrap();
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains(stage.mock.client_secret()) && !environment.contains("hush"), "{environment}");
}

#[test]
fn the_wait_is_fifteen_minutes_or_as_given() {
    let stage = Stage::claims(3);
    let mut login = Running::start(stage.login_command(&[]));
    let url = login.authorize_url();
    assert!(login.until("Waiting up to").contains("15 minutes"));
    follow(&url);
    assert_code(&login.finish(), 0, &[]);
    for (time, words) in [("90s", "90 seconds"), ("2m", "2 minutes"), ("45", "45 seconds")] {
        let mut login = Running::start(stage.login_command(&["--timeout", time]));
        let url = login.authorize_url();
        assert!(login.until("Waiting up to").contains(words), "{time}");
        follow(&url);
        assert_code(&login.finish(), 0, &[time]);
    }
    let mut login = Running::start(stage.login_command(&["--timeout", "1s"]));
    login.authorize_url();
    let output = login.finish();
    assert_code(&output, 75, &[]);
    let said = text(&output.stderr);
    assert!(said.contains("bbdl no longer waits for it, and pressing Connect there ends the present log-in"), "{said}");
    for bad in ["0", "soon", "2d", "-5"] {
        assert_code(&stage.run(&["login", "--timeout", bad]), 2, &[bad]);
    }
}

#[test]
fn v3_scopes_are_explained_before_the_browser_opens() {
    let stage = Stage::claims(3);
    let mut login = Running::start(stage.login_command(&["--api", "v3"]));
    let url = login.authorize_url();
    follow(&url);
    let output = login.finish();
    assert_code(&output, 0, &[]);
    let said = text(&output.stderr);
    let before = said.split("Open this address").next().unwrap();
    for words in ["your claims", "birth date", "substance use", "which claims you get", "(Part D)", "switch account"] {
        assert!(before.contains(words), "{words}: {before}");
    }
    assert!(!before.contains("patient/"), "{before}");
}

/// What a terminal shows when bbdl asks and gets this answer, and the exit code.
fn answered(stage: &Stage, arguments: &str, question: &str, answer: &str) -> (Option<i32>, String) {
    answered_after(stage, arguments, question, || answer)
}

/// As [`answered`], with an answer that takes its time.
fn answered_after<'a>(
    stage: &Stage,
    arguments: &str,
    question: &str,
    answer: impl FnOnce() -> &'a str,
) -> (Option<i32>, String) {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_bbdl"));
    let mut command = std::process::Command::new("script");
    command.args(["-qefc", &line, "/dev/null"]).stdin(Stdio::piped()).current_dir(stage.home.path());
    for (key, value) in stage.bbdl(&[]).get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    let mut asking = Running::start(with_stdout_as_stderr(command));
    asking.until(question);
    asking.write(answer());
    let output = asking.finish_open();
    (output.status.code(), text(&output.stderr))
}

/// Ctrl-D is an answer: a terminal is there, and nothing is to be deleted.
#[test]
fn whatever_is_not_yes_deletes_nothing() {
    if !has_programs(&["script"]) {
        return;
    }
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    for (arguments, question, said) in [
        ("purge", "for good? Type yes: ", "nothing was deleted"),
        ("profiles remove default", "machine? Type yes: ", "nothing was removed"),
    ] {
        for answer in ["\u{4}", "no", ""] {
            let (code, shown) = answered(&stage, arguments, question, answer);
            assert_eq!(code, Some(130), "{arguments}: {answer:?}: {shown}");
            assert!(shown.contains(said) && !shown.contains("next:"), "{shown}");
            assert!(!shown.contains("no terminal"), "{shown}");
        }
    }
    stage.expect(0, &["status", "--online"]);
}

/// What was agreed to is what was shown.
#[test]
fn a_log_in_while_purge_asks_is_not_deleted() {
    if !has_programs(&["script"]) {
        return;
    }
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims"]);
    let (code, shown) = answered_after(&stage, "purge", "for good? Type yes: ", || {
        stage.log_in(&["--api", "v3"]);
        "yes"
    });
    assert!(code == Some(75) && shown.contains("has logged in to profile"), "{code:?}: {shown}");
    assert!(stage.out().join("manifest.json").exists());
    stage.expect(0, &["status", "--online"]);
    // The archive of the log-in before is still known.
    let shown = stage.expect_json(0, &["logout", "--json"]);
    assert!(shown["archives"][0].as_str().unwrap().ends_with("claims"), "{shown}");
}
