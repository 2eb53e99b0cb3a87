//! Complete outputs of the main commands, as a person sees them. If a message changes, a file here changes:
//! `BBDL_UPDATE=1 cargo test --locked snapshots` updates them.

use std::{fmt::Write as _, fs, path::Path, process::Output};

use regex::Regex;
use snapbox::{Assert, Data, assert::Action};

use crate::support::{Setting, Stage, set_mode, text};

/// What differs from run to run, and its placeholder.
const FILTERS: &[(&str, &str)] = &[
    (r"http://127\.0\.0\.1:\d+", "[SERVER]"),
    (r"127\.0\.0\.1(:|%3A)\d+", "127.0.0.1:[PORT]"),
    // This comes first, because a random value may look like a client id after some hyphen.
    (r"(state|code_challenge)=[A-Za-z0-9_-]+", "$1=[RANDOM]"),
    (r"\b[A-Za-z0-9]{40}\b", "[CLIENT_ID]"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[INSTANT]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d( UTC)?", "[TIME]"),
    (r"\d{4}-\d\d-\d\d", "[DATE]"),
    (r"[0-9.]+ (k|M)?B in [0-9.]+ s", "[TRAFFIC]"),
    (r"[0-9.]+ (k|M)?B\b", "[SIZE]"),
    (r"\b[0-9.]+ m?s\b", "[DURATION]"),
    (r#""days_left":\d+"#, r#""days_left":"[SPAN]""#),
    (r"\d+ (days|minutes|min)\b", "[SPAN]"),
    (r"bbdl 0\.\d+\.\d+", "bbdl [VERSION]"),
];

fn filtered(home: &Path, said: &str) -> String {
    // A directory may be shown with or without its link.
    let real = fs::canonicalize(home).unwrap();
    let said = said.replace(real.to_str().unwrap(), "[HOME]").replace(home.to_str().unwrap(), "[HOME]");
    FILTERS
        .iter()
        .fold(said, |said, (pattern, name)| Regex::new(pattern).unwrap().replace_all(&said, *name).into_owned())
}

/// Commands with their output, one after the other.
struct Session<'s> {
    stage: &'s Stage,
    text: String,
}

impl<'s> Session<'s> {
    fn at(stage: &'s Stage) -> Self {
        Self { stage, text: String::new() }
    }

    fn run(mut self, typed: &str) -> Self {
        let words: Vec<&str> = typed.split_whitespace().collect();
        self.note(typed, &self.stage.run(&words));
        self
    }

    fn note(&mut self, typed: &str, output: &Output) {
        let end = |stream: &str| if stream.is_empty() || stream.ends_with('\n') { "" } else { "\n" };
        let (told, said) = (text(&output.stdout), text(&output.stderr));
        let code = output.status.code().unwrap();
        let _ = write!(
            self.text,
            "$ bbdl {typed}\n{told}{}--- stderr\n{said}{}=== exit code {code}\n\n",
            end(&told),
            end(&said)
        );
    }

    /// Compares with the file with this name.
    fn is(self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
        let action = if std::env::var_os("BBDL_UPDATE").is_some() { Action::Overwrite } else { Action::Verify };
        let actual = filtered(self.stage.home.path(), &self.text);
        Assert::new().action(action).eq(Data::text(actual).raw(), Data::read_from(&path, None).raw());
    }
}

fn stage() -> Stage {
    Stage::with(Setting { claims: 60, ..Setting::default() })
}

fn logged_in() -> Stage {
    Stage::logged_in(Setting { claims: 60, ..Setting::default() })
}

#[test]
fn snapshots_of_the_help_of_every_command() {
    let stage = stage();
    let commands = [
        "",
        "login",
        "logout",
        "status",
        "fetch",
        "verify",
        "export",
        "report",
        "mock",
        "demo",
        "doctor",
        "profiles",
        "profiles list",
        "profiles import",
        "profiles export",
        "profiles rename",
        "profiles remove",
        "purge",
        "completions",
        "man",
    ];
    let mut short = Session::at(&stage);
    for command in commands {
        let name = if command.is_empty() { "bbdl".to_owned() } else { command.replace(' ', "-") };
        Session::at(&stage).run(format!("{command} --help").trim_start()).is(&format!("help-{name}.txt"));
        short = short.run(format!("{command} -h").trim_start());
    }
    short.is("help-short.txt");
}

/// What people mistype or have not set up, each with what to type.
#[test]
fn snapshots_of_wrong_calls() {
    let stage = stage();
    fs::write(stage.home.path().join("notes.txt"), "").unwrap();
    fs::write(stage.home.path().join("rows.ndjson"), "{\"name\":\"mom\"}\n").unwrap();
    fs::write(stage.home.path().join("secret"), "word").unwrap();
    for private in ["rows.ndjson", "secret"] {
        set_mode(&stage.home.path().join(private), 0o600);
    }
    let mut session = Session::at(&stage);
    for typed in [
        "",
        "fetc eob --out x",
        "--profle mom status",
        "fetch eob",
        "fetch --out x",
        "fetch eobs --out x",
        "fetch eob --ouput x",
        "fetch eob --out x --jobs many",
        "fetch eob --out x --jobs 99",
        "fetch eob --out x --page-size 0",
        "fetch eob --out x --page-size -5",
        "fetch eob --out x --retry -1",
        "fetch eob --out x --timeout -1s",
        "fetch eob --out x --api v3",
        "fetch eob --out x --yes",
        "fetch eob --out x --surely",
        "fetch claims --out x",
        "fetch EOB --out x --type pde",
        "fetch eob --out x --profile mom --results rows",
        "fetch eob --out x --timeout soon",
        "fetch eob --out x --timeout 2h",
        "fetch eob --out x --type dental",
        "fetch eob --out x --service-date 2025",
        "fetch eob --out x --service-date ge2025",
        "fetch eob --out x --last-updated ge2025-01-01T00:00:00",
        "fetch eob --out x --format csv",
        "fetch eob --out - --json",
        "fetch eob --out x --all-profiles --profile mom",
        "fetch eob --out x --stale-after 1d",
        "login --sandbox --production",
        "login --server ftp://example.com",
        "login --server sandbxo",
        "login --server http://127.0.0.1:1 --client-id x --client-secret-file secret",
        "login --server https://example.com/path --client-id x",
        "login --api v4",
        "login --client-secret secret",
        "login --timeout 0",
        "login --lang fr",
        "login --redirect-uri nonsense --client-id x",
        "login --sandbox --client-id x --client-secret-file nowhere",
        "logout",
        "status --profile nobody",
        "status --onlin",
        "status --paths --online",
        "purge",
        "purge --profile nobody",
        "verify",
        "verify notes.txt",
        "report nowhere --out x.html",
        "report x",
        "report x --out x.html --year 25",
        "export nowhere --out x",
        "export nowhere --to xlsx --out x",
        "export notes.txt --to csv --out x",
        "mock --port http",
        "mock --port 99999",
        "mock --claims -1",
        "mock --access forever",
        "mock --fault nonsense",
        "demo --out notes.txt",
        "completions tcsh",
        "profiles",
        "profiles import nowhere.ndjson",
        "profiles import rows.ndjson",
        "profiles rename nobody somebody",
        "profiles remove nobody",
        "profiles remove nobody --yes",
        "status --profile ../mom",
        "status --color pink",
        "status --token-store vault",
        "status --config nowhere.toml",
    ] {
        session = session.run(typed);
    }
    session.is("wrong-calls.txt");
}

#[test]
fn snapshots_of_a_log_in_and_its_end() {
    let stage = stage();
    // With any umask of the person who runs the tests.
    set_mode(stage.home.path(), 0o700);
    let mut session = Session::at(&stage);
    let output = stage.log_in_with(stage.login_command(&[]));
    session.note("login --server … --client-id … --client-secret-file … --no-browser", &output);
    let session = session.run("status").run("status --json").run("status --online").run("doctor");
    session.run("logout").run("status").is("login.txt");
}

#[test]
fn snapshots_of_a_pull_a_report_and_an_export() {
    let stage = logged_in();
    let session = Session::at(&stage).run("fetch all --out claims").run("fetch all --out claims").run("status");
    let session = session.run("verify claims").run("verify claims --json").run("export claims --to csv --out tables");
    session.run("report claims --out report.html").run("purge --dry-run").run("purge --yes").is("fetch.txt");
}

#[test]
fn snapshots_of_common_errors() {
    let stage = stage();
    let session = Session::at(&stage).run("fetch eob --out claims").run("verify nowhere").run("fetch").run("status");
    let session = session.run("login --server http://example.com --client-id x").run("export nowhere --to csv --out x");
    stage.log_in(&[]);
    fs::create_dir(stage.home.path().join("photos")).unwrap();
    fs::write(stage.home.path().join("photos/one.jpg"), "").unwrap();
    let mut session = session.run("fetch eob --out photos").run("fetch insurance-card --out claims");
    for (fault, json) in [
        ("status=503@ExplanationOfBenefit", ""),
        ("status=503@ExplanationOfBenefit", " --json"),
        ("status=404@ExplanationOfBenefit", ""),
        ("html=403@ExplanationOfBenefit", ""),
        ("html=200@ExplanationOfBenefit", ""),
        ("status=403@ExplanationOfBenefit", ""),
        ("inactive", ""),
        ("grant-over@ExplanationOfBenefit", ""),
    ] {
        stage.faults(&[fault]);
        let _ = writeln!(session.text, "# the server: {fault}");
        session = session.run(&format!("fetch eob --out claims --retry 1{json}"));
    }
    session.is("errors.txt");
}

#[test]
fn snapshots_of_the_demo() {
    let stage = stage();
    Session::at(&stage).run("demo --out demo").run("verify demo").is("demo.txt");
}
