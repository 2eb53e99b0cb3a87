//! What the tests share: the real binary in its own home, a mock to talk to, a small HTTP client.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what goes wrong in a helper fails the test"
)]

use std::{
    fmt::Write as _,
    io::{BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use assert_cmd::{assert::OutputAssertExt, cargo::cargo_bin};
use bluebutton_mock::{Access, Mock, Options, Population, records::Records};
#[cfg(unix)]
use rustix::process::Pid;
use serde_json::Value;
use tempfile::TempDir;

pub mod echo;
pub mod gateway;
pub mod harness;
pub mod http;
pub mod listener;
pub mod needs;
#[cfg(all(unix, feature = "postgres"))]
pub mod postgres;
#[cfg(unix)]
pub mod secret_service;
pub mod server;
pub mod slim;
pub mod tls;
pub mod typed;

pub use http::{Answer, callback_of, follow, http};
pub use needs::{has_programs, shared};
#[cfg(unix)]
pub use rustix::process::Signal;

/// No step of any test takes longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A mock, and a home directory in which `bbdl` runs.
pub struct Stage {
    pub home: TempDir,
    pub mock: Mock,
}

/// The settings for the mock of a stage.
pub struct Setting {
    pub claims: usize,
    pub access: Access,
    pub faults: &'static [&'static str],
    pub latency: Duration,
    pub records: Option<Box<dyn Records>>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { claims: 120, access: Access::ThirteenMonth, faults: &[], latency: Duration::ZERO, records: None }
    }
}

impl Stage {
    pub fn new() -> Self {
        Self::with(Setting::default())
    }

    pub fn claims(claims: usize) -> Self {
        Self::with(Setting { claims, ..Setting::default() })
    }

    pub fn with(setting: Setting) -> Self {
        let options = Options {
            auto_consent: true,
            latency: setting.latency,
            access: setting.access,
            seed: 7,
            faults: setting.faults.iter().map(|spec| spec.parse().unwrap()).collect(),
            records: setting.records.unwrap_or_else(|| Box::new(Population::new(7, 2, setting.claims))),
            ..Options::default()
        };
        Self { home: tempfile::tempdir().unwrap(), mock: Mock::start(options).unwrap() }
    }

    /// A stage whose default profile is logged in.
    pub fn logged_in(setting: Setting) -> Self {
        let stage = Self::with(setting);
        stage.log_in(&[]);
        stage
    }

    /// The real binary, with only what it needs from this process's environment.
    pub fn bbdl(&self, arguments: &[&str]) -> Command {
        let mut command = bbdl(self.home.path());
        command.args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        finished(self.bbdl(arguments))
    }

    /// Runs and expects this exit code; returns stdout.
    pub fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_code(&output, code, arguments);
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn expect_json(&self, code: i32, arguments: &[&str]) -> Value {
        let text = self.expect(code, arguments);
        serde_json::from_str(&text).unwrap_or_else(|cause| panic!("{arguments:?}: {cause}: {text}"))
    }

    pub fn secret_file(&self) -> PathBuf {
        let path = self.home.path().join("client-secret");
        std::fs::write(&path, self.mock.client_secret()).unwrap();
        private(&path);
        path
    }

    /// The arguments of a log-in at this stage's mock.
    pub fn login_command(&self, more: &[&str]) -> Command {
        let mut command = self.bbdl(&["login", "--server", self.mock.url(), "--client-id", self.mock.client_id()]);
        command.arg("--client-secret-file").arg(self.secret_file()).arg("--no-browser").args(more);
        command
    }

    /// Starts a log-in and follows its address like a browser. Returns its output.
    pub fn log_in_with(&self, command: Command) -> Output {
        let mut login = Running::start(command);
        let url = login.authorize_url();
        let _ = follow(&url);
        login.finish()
    }

    pub fn log_in(&self, more: &[&str]) {
        let output = self.log_in_with(self.login_command(more));
        assert_code(&output, 0, more);
    }

    /// Logs the same person in on another machine.
    pub fn log_in_elsewhere(&self, more: &[&str]) {
        let other = tempfile::tempdir().unwrap();
        let mut command = self.login_command(more);
        command.env("BBDL_HOME", other.path());
        assert_code(&self.log_in_with(command), 0, more);
    }

    pub fn control(&self, method: &str, what: &str, body: &str) -> Value {
        let answer = http(method, &format!("{}/__mock/{what}", self.mock.url()), &[], body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    pub fn faults(&self, specs: &[&str]) {
        self.control("DELETE", "faults", "");
        self.control("POST", "faults", &serde_json::json!(specs).to_string());
    }

    /// How many requests for this path the mock has answered, with any status, since its log was last emptied.
    pub fn requests_for(&self, path: &str) -> usize {
        let log = self.control("GET", "requests", "");
        let is_for = |row: &&Value| row["path"].as_str().is_some_and(|known| known.contains(path));
        log.as_array().unwrap().iter().filter(is_for).count()
    }

    /// The mock's requests since the last call: `METHOD path?query status`.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.control("GET", "requests", "");
        self.control("DELETE", "requests", "");
        let row = |row: &Value| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            format!("{} {}?{} {}", text("method"), text("path"), text("query"), row["status"])
        };
        asked.as_array().unwrap().iter().map(row).collect()
    }

    pub fn out(&self) -> PathBuf {
        self.home.path().join("claims")
    }

    /// Replaces the archive's claims, as if a pull had brought them: the manifest is updated too.
    pub fn keep_instead(&self, claims: &str) {
        let (file, path) = (self.out().join("ExplanationOfBenefit.ndjson"), self.out().join("manifest.json"));
        std::fs::write(file, claims).unwrap();
        let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let entry = &mut manifest["resources"]["ExplanationOfBenefit"];
        entry["bytes"] = claims.len().into();
        entry["count"] = claims.lines().count().into();
        entry["sha256"] = sha256(claims.as_bytes()).into();
        std::fs::write(path, manifest.to_string()).unwrap();
    }

    pub fn lines(&self, file: &str) -> Vec<String> {
        lines(&self.out().join(file))
    }

    /// The record of the default profile in the `file` store.
    pub fn tokens(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.home.path().join("tokens/default.json")).unwrap()).unwrap()
    }
}

/// The program under test: the one that was just built, or the one named by `BBDL_TEST_BINARY` (an older release).
pub fn binary() -> PathBuf {
    std::env::var_os("BBDL_TEST_BINARY").map_or_else(|| cargo_bin!("bbdl").to_owned(), PathBuf::from)
}

/// The binary in its own home.
pub fn bbdl(home: &Path) -> Command {
    let mut command = Command::new(binary());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        // Without it, Windows finds neither its network nor its random numbers.
        .envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)))
        .env("HOME", home)
        .env("BBDL_HOME", home)
        // What happens to the third request has to happen to the third page. `--jobs` overrides this.
        .env("BBDL_JOBS", "1")
        .env("BBDL_TOKEN_STORE", "file")
        .env("BBDL_RETRY_DELAY", "10")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// Makes a file readable only by its owner, as a file with a secret should be.
pub fn private(path: &Path) {
    set_mode(path, 0o600);
}

/// Sets the permissions of a file or a directory, if the system has modes.
pub fn set_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    #[cfg(not(unix))]
    let _ = (path, mode);
}

/// Checks that a file or directory has this mode, if the system has modes.
#[track_caller]
pub fn assert_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let found = std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{}: {found:o}", path.display());
    }
    #[cfg(not(unix))]
    assert!(path.exists(), "{} has to be there, with mode {mode:o}", path.display());
}

/// The same command, started by another program and its arguments.
pub fn started_by(starter: &[&str], inner: &Command) -> Command {
    let mut command = Command::new(starter[0]);
    command.args(&starter[1..]).arg(inner.get_program()).args(inner.get_args()).env_clear().stdin(Stdio::null());
    command.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    if let Some(dir) = inner.get_current_dir() {
        command.current_dir(dir);
    }
    command
}

/// The same command with its results among its messages, as on a terminal.
pub fn with_stdout_as_stderr(inner: Command) -> Command {
    let mut command = started_by(&["sh", "-c", "exec \"$@\" >&2", "sh"], &inner);
    command.stdin(Stdio::piped());
    command
}

/// SIGHUP may be ignored where the tests are run (`nohup`), and their child processes inherit that.
pub const HEEDING_SIGHUP: [&str; 2] = ["env", "--default-signal=HUP"];

pub fn finished(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (done, output) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    let output = output.recv_timeout(PATIENCE).expect("bbdl hangs").unwrap();
    typed::can_be_run(&text(&output.stderr));
    output
}

pub fn assert_code(output: &Output, code: i32, what: &[&str]) {
    output.clone().assert().append_context("arguments", format!("{what:?}")).code(code);
}

/// The SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    text.lines().map(str::to_owned).collect()
}

pub fn ids(lines: &[String]) -> Vec<String> {
    let id = |line: &String| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    lines.iter().map(id).collect()
}

/// A running command whose stderr is read as it is written.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // A question has no end of line: somebody has to answer it first.
            const QUESTIONS: [&[u8]; 2] = [b"(not shown): ", b"Type yes: "];
            let mut line = Vec::new();
            for byte in BufReader::new(stderr).bytes().map_while(Result::ok) {
                line.push(byte);
                if byte == b'\n' || QUESTIONS.iter().any(|question| line.ends_with(question)) {
                    let text = text(&std::mem::take(&mut line));
                    if sender.send(text.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
                        return;
                    }
                }
            }
            if !line.is_empty() {
                let _ = sender.send(text(&line));
            }
        });
        Self { child, lines, seen: String::new() }
    }

    /// Reads stderr up to a line with these words.
    pub fn until(&mut self, words: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let _ = writeln!(self.seen, "{line}");
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(_) => panic!("it never said {words:?}; it said:\n{}", self.seen),
            }
        }
    }

    pub fn authorize_url(&mut self) -> String {
        self.until("/o/authorize/").trim().to_owned()
    }

    pub fn write(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends it in the middle of its work.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.finish();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end. stderr has everything that it printed.
    pub fn finish(mut self) -> Output {
        drop(self.child.stdin.take());
        self.finish_open()
    }

    /// Like [`Running::finish`], but leaves standard input open until then, like a terminal.
    pub fn finish_open(mut self) -> Output {
        let mut stdout = self.child.stdout.take().unwrap();
        let (done, read) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            done.send(stdout.read_to_end(&mut bytes).map(|_| bytes))
        });
        let stdout = read.recv_timeout(PATIENCE).expect("bbdl hangs").unwrap();
        let status = self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            let _ = writeln!(self.seen, "{line}");
        }
        typed::can_be_run(&self.seen);
        Output { status, stdout, stderr: std::mem::take(&mut self.seen).into_bytes() }
    }
}

/// Waits until this holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain waited for this: {what}");
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// Sends a signal to a process.
#[cfg(unix)]
pub fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(process.try_into().unwrap()).unwrap();
    rustix::process::kill_process(process, signal).unwrap();
}

/// Every file of an archive with its content, except lock and leftovers.
pub fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().flatten() {
            let path = entry.path();
            if entry.file_name() == ".bbdl" {
                continue;
            } else if path.is_dir() {
                todo.push(path);
            } else {
                files.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Every recorded claim of all versions once, one per line, with its version before its id.
pub fn recorded_claims() -> Option<String> {
    let data = shared("data")?;
    let mut claims = std::collections::BTreeMap::new();
    for api in ["v1", "v2", "v3"] {
        for entry in std::fs::read_dir(data.join(api)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let mut value: Value = serde_json::from_str(&text).unwrap();
            let bundled: Vec<Value> =
                value["entry"].as_array_mut().into_iter().flatten().map(|entry| entry["resource"].take()).collect();
            for mut claim in bundled.into_iter().chain([value]) {
                if claim["resourceType"] == "ExplanationOfBenefit" {
                    // The same claim is in several recordings, and at several versions.
                    let id = format!("{api}{}", claim["id"].as_str().unwrap_or_default());
                    claim["id"] = id.as_str().into();
                    claims.insert(id, claim);
                }
            }
        }
    }
    assert!(claims.len() > 100, "{}", claims.len());
    Some(claims.values().map(|claim| format!("{claim}\n")).collect())
}

/// Prints what the test has found out.
pub fn tell(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
