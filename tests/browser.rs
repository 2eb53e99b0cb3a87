//! The pages in a real browser: the mock's, and the listener's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{path::Path, process::Command, time::Duration};

use bbdl::mock::{Access, Mock, Options, people::Population};
use serde_json::{Value, json};
use support::{Running, Setting, Stage, assert_code, finished, has_program, text};

/// Chromium without a window, and without asking anybody anything.
const QUIET: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// What the browser shows at this address when all scripts and redirects are done.
fn shown(url: &str, home: &Path) -> String {
    let mut command = Command::new("chromium");
    command.args(QUIET).arg(format!("--user-data-dir={}", home.display())).args(["--dump-dom", url]);
    text(&finished(command).stdout)
}

#[test]
fn a_browser_comes_back_to_the_page_that_says_how_it_went() {
    if !has_program("chromium") {
        return;
    }
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let browser = tempfile::tempdir().unwrap();
    let mut login = Running::start(stage.login_command(&[]));
    let page = shown(&login.authorize_url(), browser.path());
    assert!(page.contains("You are logged in"), "{page}");
    assert_code(&login.finish(), 0, &[]);

    stage.control("POST", "consent", r#"{"answer":"deny"}"#);
    let mut login = Running::start(stage.login_command(&[]));
    let page = shown(&login.authorize_url(), browser.path());
    assert!(page.contains("not granted"), "{page}");
    assert_code(&login.finish(), 77, &[]);

    // The page that tells the app in the background, from a real script.
    stage.control("POST", "consent", r#"{"answer":"not-found"}"#);
    let mut login = Running::start(stage.login_command(&["--timeout", "120"]));
    let url = login.authorize_url();
    let home = browser.path().to_owned();
    let browsing = std::thread::spawn(move || shown(&url, &home));
    login.until("finds no records");
    assert!(browsing.join().unwrap().contains("cannot be found"));
    // Told and not believed: the wait goes on until it is interrupted.
    let killed = Command::new("kill").args(["-INT", &login.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_code(&login.finish(), 130, &[]);
}

/// A browser that can be told what to click (W3C WebDriver).
struct Driver {
    driver: std::process::Child,
    session: String,
    home: tempfile::TempDir,
}

impl Driver {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let base = format!("http://127.0.0.1:{port}");
        // From here on the driver is ended whatever happens.
        let mut browser = Self { driver, session: base.clone(), home };
        let deadline = std::time::Instant::now() + support::PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(std::time::Instant::now() < deadline, "chromedriver does not answer");
            std::thread::yield_now();
        }
        let mut arguments: Vec<String> = QUIET.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", browser.home.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let answer = support::http(
            "POST",
            &format!("{base}/session"),
            &[("Content-Type", "application/json")],
            &wanted.to_string(),
        );
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        browser.session = format!("{base}/session/{id}");
        browser
    }

    fn ask(&self, method: &str, what: &str, body: &Value) -> Value {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let answer =
            support::http(method, &format!("{}/{what}", self.session), &[("Content-Type", "application/json")], &body);
        serde_json::from_str::<Value>(&answer.body).unwrap()["value"].clone()
    }

    fn go(&self, url: &str) {
        self.ask("POST", "url", &json!({ "url": url }));
    }

    fn click(&self, selector: &str) {
        let element = self.ask("POST", "element", &json!({"using": "css selector", "value": selector}));
        let id = element.as_object().and_then(|map| map.values().next()).and_then(Value::as_str);
        let id = id.unwrap_or_else(|| panic!("{selector}: {element}"));
        self.ask("POST", &format!("element/{id}/click"), &json!({}));
    }

    /// Waits until the page has these words: a click returns before what it leads to is there.
    fn shows(&self, words: &str) {
        let deadline = std::time::Instant::now() + support::PATIENCE;
        loop {
            let page = self.ask("GET", "source", &Value::Null);
            let page = page.as_str().unwrap_or_default();
            if page.contains(words) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{words:?} is not on the page: {page}");
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = support::http("DELETE", &self.session, &[], "");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn a_person_can_click_through_the_mocks_pages() {
    if !has_program("chromium") || !has_program("chromedriver") {
        return;
    }
    let mock = Mock::start(Options {
        port: 0,
        auto_consent: false,
        latency: Duration::ZERO,
        access: Access::ThirteenMonth,
        seed: 5,
        faults: Vec::new(),
        records: Box::new(Population::new(5, 3, 3)),
    })
    .unwrap();
    let home = tempfile::tempdir().unwrap();
    let browser = Driver::start();
    for (withheld, granted) in [(false, true), (true, true), (false, false)] {
        let mut command = support::bbdl(home.path());
        command.env("BBDL_CLIENT_SECRET", mock.client_secret()).args([
            "login",
            "--server",
            mock.url(),
            "--client-id",
            mock.client_id(),
            "--no-browser",
            "--json",
        ]);
        let mut login = Running::start(command);
        browser.go(&login.authorize_url());
        browser.shows("BBUser");
        browser.click("option:nth-of-type(2)");
        browser.click("button[type=submit]");
        browser.shows("13 months");
        if withheld {
            browser.click("input[name=share_demographic_scopes]");
        }
        browser.click(if granted { "button[name=allow]" } else { "button:not([name=allow])" });
        let output = login.finish();
        assert_code(&output, if granted { 0 } else { 77 }, &[]);
        if granted {
            let result: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(result["demographics"], !withheld);
            browser.shows("You are logged in");
        } else {
            browser.shows("not granted");
        }
    }
}
