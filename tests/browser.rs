//! The mock's pages and the listener's own pages in a real browser.

use std::{path::Path, process::Command};

use crate::support::{
    Running, Setting, Signal, Stage, assert_code, finished, has_programs, needs, signal, text, until,
};
use base64::Engine;
use bluebutton_mock::{Mock, Options, Population};
use serde_json::{Value, json};

/// Chromium without a window and without questions.
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

/// What the browser shows at this address after all scripts and redirects.
fn shown(url: &str, home: &Path) -> String {
    let mut command = Command::new("chromium");
    command.args(QUIET).arg(format!("--user-data-dir={}", home.display())).args(["--dump-dom", url]);
    text(&finished(command).stdout)
}

#[test]
fn the_callback_page_in_the_browser_says_how_the_log_in_ended() {
    if !has_programs(&["chromium"]) {
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

    // This page tells the app in the background, from a real script.
    stage.control("POST", "consent", r#"{"answer":"not-found"}"#);
    let mut login = Running::start(stage.login_command(&["--timeout", "120"]));
    let url = login.authorize_url();
    let home = browser.path().to_owned();
    let browsing = std::thread::spawn(move || shown(&url, &home));
    login.until("finds no records");
    assert!(browsing.join().unwrap().contains("cannot be found"));
    // It is reported but not believed: the wait continues until it is interrupted.
    signal(login.id(), Signal::INT);
    assert_code(&login.finish(), 130, &[]);
}

/// A browser that can be controlled (W3C WebDriver).
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
        // From here on, the driver is ended in any case.
        let mut browser = Self { driver, session: base.clone(), home };
        until("chromedriver answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        let mut arguments: Vec<String> = QUIET.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", browser.home.path().display()));
        // The accessibility checker is slow when other tests run at the same time.
        let options = json!({"timeouts": {"script": 600_000}, "goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}});
        let wanted = json!({"capabilities": {"alwaysMatch": options}});
        let answer = crate::support::http(
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
        let answer = crate::support::http(
            method,
            &format!("{}/{what}", self.session),
            &[("Content-Type", "application/json")],
            &body,
        );
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

    /// Makes the page this many pixels wide.
    fn is_wide(&self, pixels: u32) {
        let size = json!({"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.ask("POST", "goog/cdp/execute", &json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": size}));
    }

    /// Runs a script in the page. Returns its result.
    fn run(&self, script: &str) -> Value {
        self.ask("POST", "execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until a script in the page returns this value.
    fn until(&self, script: &str, expected: &Value) {
        let deadline = std::time::Instant::now() + crate::support::PATIENCE;
        loop {
            let found = self.run(script);
            if &found == expected {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{script}: {found}, not {expected}");
        }
    }

    /// Waits until the page has these words, because a click returns before the next page is there.
    /// Expects no error on the console and no complaint from the accessibility checker, if there is one.
    fn finds_nothing_wrong(&self, axe: Option<&str>) {
        if let Some(axe) = axe {
            let script = format!(
                "{axe}; return axe.run().then(found => found.violations.map(it => it.id + ': ' + it.help + ' ' + it.nodes.slice(0, 3).map(node => node.html).join(' ')))"
            );
            assert_eq!(self.run(&script), json!([]));
        }
        assert_eq!(self.ask("POST", "se/log", &json!({"type": "browser"})), json!([]));
    }

    fn shows(&self, words: &str) {
        let deadline = std::time::Instant::now() + crate::support::PATIENCE;
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
        let _ = crate::support::http("DELETE", &self.session, &[], "");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn a_person_can_click_through_the_mocks_pages() {
    if !has_programs(&["chromium", "chromedriver"]) {
        return;
    }
    let mock =
        Mock::start(Options { seed: 5, records: Box::new(Population::new(5, 3, 3)), ..Options::default() }).unwrap();
    let home = tempfile::tempdir().unwrap();
    let browser = Driver::start();
    for (withheld, granted) in [(false, true), (true, true), (false, false)] {
        let mut command = crate::support::bbdl(home.path());
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
            browser.click("input[type=checkbox][name=share_demographic_scopes]");
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

/// Log-in and consent at every version in both languages: the pages are accessible, and the way back to the log-in
/// works. `BBDL_SHOTS` names a directory for pictures of them.
#[test]
fn the_mocks_pages_are_accessible() {
    if !has_programs(&["chromium", "chromedriver"]) {
        return;
    }
    let axe = std::env::var_os("BBDL_AXE").map(|path| std::fs::read_to_string(path).unwrap());
    let shots = std::env::var_os("BBDL_SHOTS").map(std::path::PathBuf::from);
    let mock =
        Mock::start(Options { seed: 5, records: Box::new(Population::new(5, 3, 3)), ..Options::default() }).unwrap();
    let post =
        |path: &str, body: &str| crate::support::http("POST", &format!("{}/__mock/{path}", mock.url()), &[], body);
    let drugs: Value = serde_json::from_str(&post("apps", r#"{"part_d": true}"#).body).unwrap();
    let browser = Driver::start();
    for (version, client, language, words) in [
        ("v1", mock.client_id(), "es", "durante 13 meses"),
        ("v2", mock.client_id(), "en", "Share my personal information too"),
        ("v3", mock.client_id(), "en", "Claims (required)"),
        ("v3", mock.client_id(), "es", "Reclamaciones (obligatorio)"),
        ("v3", drugs["client_id"].as_str().unwrap(), "en", "Prescription drug claims (required)"),
    ] {
        let query = format!(
            "response_type=code&client_id={client}&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcallback&state=0123456789abcdef\
             &code_challenge=x&code_challenge_method=S256&lang={language}\
             &scope=profile%20patient%2FCoverage.rs%20patient%2FExplanationOfBenefit.rs"
        );
        browser.go(&format!("{}/{version}/o/authorize/?{query}", mock.url()));
        browser.shows("BBUser00001");
        browser.finds_nothing_wrong(axe.as_deref());
        browser.click("button[type=submit]");
        browser.shows(words);
        browser.finds_nothing_wrong(axe.as_deref());
        if let Some(shots) = &shots {
            let picture = browser.ask("GET", "screenshot", &Value::Null);
            let picture = base64::prelude::BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap();
            std::fs::write(shots.join(format!("{version}-{language}-{}.png", &client[..4])), picture).unwrap();
        }
        // In the end, another person logs in.
        browser.click("form[action='/v3/o/permission-logout'] button");
        browser.shows("BBUser00001");
        browser.click("option:nth-of-type(2)");
        browser.click("button[type=submit]");
        browser.shows(words);
    }
}

/// The page of `bbdl report`: no error on the console, search and filter work, and it is accessible. The
/// accessibility checker is axe-core; `BBDL_AXE` is the path of its script.
#[test]
fn a_person_can_read_and_search_the_report() {
    if !has_programs(&["chromium", "chromedriver"]) {
        return;
    }
    let axe = needs::variable("BBDL_AXE", "npm install axe-core, and BBDL_AXE=…/axe-core/axe.min.js");
    let axe = axe.map(|path| std::fs::read_to_string(path).unwrap());
    let browser = Driver::start();
    for api in ["v1", "v2", "v3"] {
        let stage = Stage::with(Setting { claims: 200, ..Setting::default() });
        stage.log_in(&["--api", api]);
        stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
        stage.control("POST", "claims", r#"{"add": 2}"#);
        stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
        stage.expect(0, &["report", "claims", "--output", "claims.html"]);
        browser.go(&format!("file://{}", stage.home.path().join("claims.html").display()));
        browser.shows("The last pull added 2 claims, changed 0 and removed 0.");
        browser.until("return document.querySelectorAll('.claim').length", &json!(202));
        assert_eq!(
            browser.run(
                "return Array.from(document.querySelectorAll('.mark')).filter(it => it.textContent === 'new').length"
            ),
            2
        );
        assert_eq!(browser.run("return document.getElementById('find').hidden"), false);

        let shown = "return Array.from(document.querySelectorAll('.claim')).filter(it => !it.hidden).length";
        let drugs = browser.run("return document.querySelectorAll('.claim[data-kind=pde]').length");
        assert!(drugs.as_u64().is_some_and(|drugs| (1..202).contains(&drugs)), "{drugs}");
        browser.click("#kind option[value=pde]");
        browser.until(shown, &drugs);
        browser.shows(&format!("{drugs} of 202 claims"));
        browser.run("document.getElementById('words').value = 'no claim says this'; document.getElementById('find').dispatchEvent(new Event('input'))");
        browser.until(shown, &json!(0));
        browser.run("document.getElementById('words').value = ''; document.getElementById('kind').value = ''; document.getElementById('find').dispatchEvent(new Event('input'))");
        browser.until(shown, &json!(202));
        browser.click(".claim summary");
        browser.until("return document.querySelector('.claim').open", &json!(true));

        browser.finds_nothing_wrong(axe.as_deref());

        // On a phone, nothing is cut off. The share is the last cell of a row.
        browser.is_wide(360);
        browser.until("return innerWidth", &json!(360));
        let cut = "const wide = Array.from(document.querySelectorAll('.wide')).filter(it => it.checkVisibility());
            const shares = Array.from(document.querySelectorAll('td[data-head=\"Your share\"]')).filter(it => it.checkVisibility() && it.textContent);
            const room = document.documentElement.clientWidth;
            const inside = it => it.getBoundingClientRect().right <= room;
            return [document.documentElement.scrollWidth - room, wide.filter(it => it.scrollWidth > it.clientWidth).length,
                wide.length > 3 && shares.length > 3, shares.filter(it => !inside(it)).length]";
        assert_eq!(browser.run(cut), json!([0, 0, true, 0]));
        browser.finds_nothing_wrong(axe.as_deref());
        browser.is_wide(1280);
    }
    // On a page with many claims, each claim is made when it is opened, with the same text as on a page with few.
    let stage = Stage::with(Setting { claims: 2_001, ..Setting::default() });
    stage.log_in(&[]);
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.expect(0, &["report", "claims", "--output", "many.html"]);
    let mut few = stage.lines("ExplanationOfBenefit.ndjson");
    let newest = |text: &String| {
        let claim: Value = serde_json::from_str(text).unwrap();
        claim["billablePeriod"]["start"].as_str().unwrap().to_owned()
    };
    few.sort_by_key(newest);
    let few: String = few[few.len() - 200..].iter().map(|line| format!("{line}\n")).collect();
    stage.keep_instead(&few);
    stage.expect(0, &["report", "claims", "--output", "few.html"]);
    let behind = "const all = Array.from(document.querySelectorAll('.claim')).slice(0, 150);
        all.forEach(it => it.open = true);
        return new Promise(done => requestAnimationFrame(() => setTimeout(() => {
            const found = all.map(it => it.dataset.kind + it.querySelector('.row').textContent + Array.from(it.querySelectorAll('dt, dd, th, td'), cell => cell.tagName + cell.className + cell.textContent).join('|'));
            all.slice(2).forEach(it => it.open = false);
            done(found.sort());
        }, 200)));";
    let [many, few] = ["many.html", "few.html"].map(|page| {
        browser.go(&format!("file://{}", stage.home.path().join(page).display()));
        let found = browser.run(behind);
        // The checker needs minutes for thousands of claims. A hundred are enough, because all are alike.
        browser.run("document.querySelectorAll('.some').forEach((it, at) => at > 0 && it.remove())");
        browser.finds_nothing_wrong(axe.as_deref());
        found
    });
    assert_eq!(many.as_array().map(Vec::len), Some(150));
    let inside = |many: &Value, few: &Value| {
        let (many, few) = (many.as_array().unwrap(), few.as_array().unwrap());
        many.iter().filter(|it| few.contains(it)).count()
    };
    // Claims of the same day are in another order if the file was sorted.
    assert!(inside(&many, &few) > 140, "{} of 150", inside(&many, &few));

    let Some(recorded) = crate::support::recorded_claims() else { return };
    let stage = Stage::logged_in(Setting { claims: 1, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.keep_instead(&recorded);
    stage.expect(0, &["report", "claims", "--output", "claims.html"]);
    browser.go(&format!("file://{}", stage.home.path().join("claims.html").display()));
    browser.until("return document.querySelectorAll('.claim').length", &json!(recorded.lines().count()));
    browser.finds_nothing_wrong(axe.as_deref());
}

/// The printed page, or a PDF for a doctor: it has every claim with its services, also for years that are closed on
/// the screen, and each sheet has the person's name and a page number.
#[test]
fn the_report_prints_whole_with_a_name_and_numbers_of_pages() {
    if !has_programs(&["chromium", "chromedriver"]) {
        return;
    }
    let browser = Driver::start();
    let stage = Stage::logged_in(Setting { claims: 40, ..Setting::default() });
    stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
    stage.expect(0, &["report", "claims", "--output", "claims.html"]);
    browser.go(&format!("file://{}", stage.home.path().join("claims.html").display()));
    let command =
        |cmd: &str, params: Value| browser.ask("POST", "goog/cdp/execute", &json!({"cmd": cmd, "params": params}));
    let seen =
        "return [document.querySelector('.year:not([open])'), document.querySelector('.year:not([open]) .claim')]
        .map(it => getComputedStyle(it, '::details-content').contentVisibility)";
    assert_eq!(browser.run(seen), json!(["hidden", "hidden"]));
    command("Emulation.setEmulatedMedia", json!({"media": "print"}));
    assert_eq!(browser.run(seen), json!(["visible", "visible"]));
    assert_eq!(browser.run("return getComputedStyle(document.querySelector('nav')).display"), "none");
    command("Emulation.setEmulatedMedia", json!({"media": ""}));
    let margins = "const rules = Array.from(document.styleSheets[0].cssRules).filter(it => it instanceof CSSPageRule);
        return rules.map(it => it.cssText).join(' ')";
    let margins = browser.run(margins);
    let margins = margins.as_str().unwrap();
    let patient: Value = serde_json::from_str(&stage.lines("Patient.ndjson")[0]).unwrap();
    let family = patient["name"][0]["family"].as_str().unwrap();
    assert!(margins.contains("counter(pages)") && margins.contains(family), "{margins}");
    let answer = command("Page.printToPDF", json!({"displayHeaderFooter": false, "preferCSSPageSize": true}));
    let pdf = base64::prelude::BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
    let pages = String::from_utf8_lossy(&pdf).matches("/Type /Page\n").count();
    assert!(pdf.starts_with(b"%PDF") && pages > 5, "{pages} pages");
}
