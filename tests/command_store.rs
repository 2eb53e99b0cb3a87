//! The `command` token store: the example helpers with the real binary, and helpers that misbehave.

#![cfg(unix)]
use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    PATIENCE, Running, Signal, Stage, assert_code, finished, has_programs, http, signal, text, until,
};
use bbdl::{
    auth::store::{StoreError, TokenStore, command::CommandStore},
    error::{Error, Exit},
    secret::Secret,
};
use serde_json::{Value, json};

const FETCH: [&str; 5] = ["fetch", "eob", "--out", "claims", "--json"];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples").join(name)
}

/// A path as one word for a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

/// A stage whose `bbdl` keeps its tokens with a helper.
struct Helped {
    stage: Stage,
    helper: String,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Helped {
    fn with_files(stage: Stage) -> Self {
        let kept = stage.home.path().join("kept here");
        let helper = format!("{} {}", quoted(&example("token-store-file")), quoted(&kept));
        Self { stage, helper, environment: Vec::new() }
    }

    fn set(&self, mut command: Command) -> Command {
        command.env("BBDL_TOKEN_STORE", "command").env("BBDL_TOKEN_STORE_COMMAND", &self.helper);
        command.envs(self.environment.iter().map(|(key, value)| (*key, value)));
        command
    }

    fn log_in(&self, more: &[&str]) -> Output {
        self.stage.log_in_with(self.set(self.stage.login_command(more)))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        finished(self.set(self.stage.bbdl(arguments)))
    }

    fn expect_json(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert_code(&output, code, arguments);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A whole log-in from beginning to end. `record` reads what the helper keeps for a profile.
    fn lives(&self, record: impl Fn(&str) -> Option<Value>) {
        assert_code(&self.log_in(&["--profile", "other"]), 0, &[]);
        let login = self.log_in(&["--json"]);
        assert_code(&login, 0, &[]);
        assert_eq!(serde_json::from_slice::<Value>(&login.stdout).unwrap()["token_store"], "command");
        assert!(!self.stage.home.path().join("tokens").exists());
        let before = record("default").unwrap();
        assert_ne!(record("other").unwrap()["access_token"], before["access_token"]);
        assert_eq!(before["client_secret"], self.stage.mock.client_secret());
        assert!(record("default#check").is_none());

        // The second log-in of the same person ended the first one.
        let profiles = self.expect_json(77, &["status", "--json", "--online"])["profiles"].clone();
        assert_eq!(profiles[0]["token_store"], "command");
        assert_eq!(profiles[0]["online"]["ok"], true);
        assert_eq!(self.expect_json(0, &FETCH)["resources"]["ExplanationOfBenefit"]["count"], 30);

        self.stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
        self.stage.asked();
        self.expect_json(0, &FETCH);
        assert_eq!(self.stage.asked().iter().filter(|row| row.contains("/o/token/")).count(), 1);
        let after = record("default").unwrap();
        assert_ne!(before["access_token"], after["access_token"]);
        assert_ne!(before["refresh_token"], after["refresh_token"]);
        self.stage.asked();
        self.expect_json(0, &FETCH);
        assert!(self.stage.asked().iter().all(|row| !row.contains("/o/token/")));

        let ended = self.expect_json(0, &["logout", "--json"]);
        assert_eq!(ended, json!({"profile": "default", "revoked": true, "archives": [self.stage.out()]}));
        assert!(record("default").is_none() && record("other").is_some());
        let bearer = format!("Bearer {}", after["access_token"].as_str().unwrap());
        let url = format!("{}/v2/fhir/Patient", self.stage.mock.url());
        assert_eq!(http("GET", &url, &[("Authorization", &bearer)], "").status, 401);
        assert_code(&self.run(&FETCH), 78, &[]);
    }
}

#[test]
fn the_file_helper_keeps_a_log_in_through_its_renewal_to_its_end() {
    let helped = Helped::with_files(Stage::claims(30));
    let kept = helped.stage.home.path().join("kept here");
    helped.lives(|profile| {
        let file = kept.join(format!("{profile}.json"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        file.exists().then(|| {
            assert_eq!((mode(&kept), mode(&file)), (0o700, 0o600));
            serde_json::from_slice(&fs::read(&file).unwrap()).unwrap()
        })
    });
    let left: Vec<_> = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["other.json"]);
}

/// The first attempt to store fails, as with a keyring that is still locked.
#[test]
fn a_log_in_that_moves_to_another_profile_survives_a_store_that_fails_once() {
    let mut helped = Helped::with_files(Stage::claims(3));
    let at_the_browser = |stage: &Stage, enrollee: usize| {
        stage.control("POST", "consent", &json!({ "enrollee": enrollee }).to_string());
    };
    for (enrollee, name) in ["mom", "dad"].iter().enumerate() {
        at_the_browser(&helped.stage, enrollee);
        assert_code(&helped.log_in(&["--profile", name]), 0, &[name]);
    }
    let home = helped.stage.home.path();
    let (locked, script) = (home.join("locked"), home.join("opens later"));
    let text = format!(
        r#"request=$(cat)
if [ "$1" = store ] && [ -e {0} ] && printf '%s' "$request" | grep -qx profile=mom; then rm {0}; exit 1; fi
printf '%s\n\n' "$request" | {1} "$1"
"#,
        quoted(&locked),
        helped.helper
    );
    fs::write(&script, text).unwrap();
    fs::write(&locked, "").unwrap();
    helped.helper = format!("sh {}", quoted(&script));
    at_the_browser(&helped.stage, 0);
    // Mom is at the browser, so the log-in goes to her profile.
    assert_code(&helped.log_in(&["--profile", "dad"]), 77, &["dad"]);
    assert!(!locked.exists(), "the store was asked");
    for name in ["mom", "dad"] {
        let output = helped.run(&["fetch", "eob", "--out", name, "--profile", name]);
        assert_code(&output, 0, &[name]);
    }
}

/// It may wait for a password.
#[test]
fn an_interrupt_ends_the_wait_for_a_slow_store() {
    let mut helped = Helped::with_files(Stage::claims(3));
    for (enrollee, name) in ["mom", "dad"].iter().enumerate() {
        helped.stage.control("POST", "consent", &json!({ "enrollee": enrollee }).to_string());
        assert_code(&helped.log_in(&["--profile", name]), 0, &[name]);
    }
    let home = helped.stage.home.path().to_owned();
    let script = home.join("slow");
    // It outlives bbdl, does not keep its standard error open, and ends with this test.
    let text = format!("exec 2>/dev/null\necho x > \"$ASKED\"\nwhile [ -e {} ]; do sleep 0.1; done\n", quoted(&script));
    fs::write(&script, text).unwrap();
    helped.helper = format!("exec sh {}", quoted(&script));
    for (number, arguments) in [
        &["status", "--online"][..],
        &["fetch", "eob", "--out", "claims", "--profile", "mom"],
        &["fetch", "eob", "--out", "study", "--all-profiles", "--jobs", "2"],
        &["logout", "--profile", "mom"],
    ]
    .iter()
    .enumerate()
    {
        let asked = home.join(format!("asked{number}"));
        let mut command = helped.set(helped.stage.bbdl(arguments));
        command.env("ASKED", &asked);
        let running = Running::start(command);
        until("the store is asked", || asked.exists());
        let interrupted = Instant::now();
        signal(running.id(), Signal::INT);
        assert_code(&running.finish_open(), 130, arguments);
        // A store may take ten seconds.
        assert!(interrupted.elapsed() < Duration::from_secs(5), "{arguments:?}: {:?}", interrupted.elapsed());
    }
}

/// A gpg with its own key, which has no passphrase.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new(password_store: &Path) -> Self {
        let gpg = Self(tempfile::tempdir().unwrap());
        let script = "gpg --batch --quiet --passphrase '' --quick-generate-key bbdl-test default default never \
                      && pass init bbdl-test";
        let mut command = gpg.command("sh");
        command.args(["-c", script]).env("PASSWORD_STORE_DIR", password_store);
        assert_code(&finished(command), 0, &["a key for pass"]);
        gpg
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("GNUPGHOME", self.0.path());
        command
    }

    fn end_agent(&self) {
        let _ = self.command("gpgconf").args(["--kill", "all"]).status();
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        self.end_agent();
    }
}

#[test]
fn the_pass_helper_keeps_a_log_in_through_its_renewal_to_its_end() {
    if !has_programs(&["pass", "gpg"]) {
        return;
    }
    let stage = Stage::claims(30);
    let store = stage.home.path().join("password-store");
    let gpg = Gpg::new(&store);
    // The helper itself starts the agent, which stays after the helper ends.
    gpg.end_agent();
    let helped = Helped {
        stage,
        helper: quoted(&example("token-store-pass")),
        environment: vec![("GNUPGHOME", gpg.0.path().to_owned()), ("PASSWORD_STORE_DIR", store.clone())],
    };
    helped.lives(|profile| {
        let mut show = gpg.command("pass");
        show.args(["show", &format!("bbdl/{profile}")]).env("PASSWORD_STORE_DIR", &store);
        let output = finished(show);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    });
    let left: Vec<_> = fs::read_dir(store.join("bbdl")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["other.gpg"]);
    // A key that cannot be used does not look like an empty store.
    fs::write(store.join("bbdl/other.gpg"), "damaged").unwrap();
    let error = helped.expect_json(78, &["fetch", "eob", "--out", "claims", "--json", "--profile", "other"]);
    assert_eq!(error["error"]["kind"], "token_store");
}

#[test]
fn the_environment_overrides_the_command_in_the_configuration() {
    let helped = Helped::with_files(Stage::claims(3));
    let home = helped.stage.home.path();
    let configured = |command: &str| {
        let file = toml_text(command);
        fs::write(home.join("config.toml"), format!("token_store = \"command\"\ntoken_store_command = {file}\n"))
            .unwrap();
    };
    configured(&helped.helper);
    let log_in = || {
        let mut command = helped.stage.login_command(&[]);
        command.env_remove("BBDL_TOKEN_STORE");
        command
    };
    assert_code(&helped.stage.log_in_with(log_in()), 0, &[]);
    assert!(home.join("kept here/default.json").exists());
    // The profile remembers which kind of store it uses, and the machine remembers which command.
    let mut fetch = helped.stage.bbdl(&FETCH);
    fetch.env_remove("BBDL_TOKEN_STORE");
    assert_code(&finished(fetch), 0, &[]);
    configured("exit 3");
    assert_code(&helped.run(&FETCH), 0, &[]);
    let output = helped.stage.run(&["fetch", "eob", "--out", "claims", "--token-store", "command"]);
    assert_code(&output, 78, &[]);
    assert!(text(&output.stderr).contains("exit status: 3"), "{}", text(&output.stderr));
}

fn toml_text(text: &str) -> String {
    // For such text, a basic string in TOML is the same as a JSON string.
    json!(text).to_string()
}

#[test]
fn a_bad_command_is_reported_before_any_question() {
    let stage = Stage::claims(3);
    for (command, words) in [
        ("", "no token store command is configured"),
        ("no-such-program-of-bbdl", "was not found"),
        ("password=hush; false", "failed (exit status: 1)"),
        ("kill -s KILL $$;", "failed (signal: 9"),
        // It accepts everything and keeps nothing.
        (": ", "did not store"),
    ] {
        let mut login = stage.login_command(&["--json"]);
        login.env("BBDL_TOKEN_STORE", "command").env("BBDL_TOKEN_STORE_COMMAND", command);
        let output = finished(login);
        assert_code(&output, 78, &[command]);
        let error = serde_json::from_slice::<Value>(&output.stdout).unwrap()["error"].clone();
        assert_eq!(error["kind"], "token_store");
        assert!(error["message"].as_str().unwrap().contains(words), "{command}: {error}");
        assert!(error["hint"].as_str().unwrap().contains("BBDL_TOKEN_STORE_COMMAND"), "{error}");
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(!said.contains("/o/authorize/") && !said.contains("hush"), "{said}");
    }
    assert!(stage.asked().is_empty());
}

#[test]
fn secrets_are_never_in_arguments_environment_or_messages() {
    let stage = Stage::claims(3);
    let seen = stage.home.path().join("seen");
    let file = format!("{} {}", quoted(&example("token-store-file")), quoted(&stage.home.path().join("kept")));
    let spy = format!("{{ printf '%s\\n' \"$0\" \"$@\"; env; }} >> {}; {file}", quoted(&seen));
    let helped = |helper: &str| {
        let mut command = stage.bbdl(&["fetch", "eob", "--out", "claims", "-vv"]);
        command.env("BBDL_TOKEN_STORE", "command").env("BBDL_TOKEN_STORE_COMMAND", helper);
        command
    };
    let mut login = stage.bbdl(&["login", "--server", stage.mock.url(), "--client-id", stage.mock.client_id()]);
    login
        .args(["--no-browser", "-vv"])
        .env("BBDL_TOKEN_STORE", "command")
        .env("BBDL_TOKEN_STORE_COMMAND", &spy)
        .env("BBDL_CLIENT_SECRET", stage.mock.client_secret());
    let mut outputs = vec![stage.log_in_with(login)];
    assert_code(&outputs[0], 0, &[]);
    outputs.push(finished(helped(&spy)));
    assert_code(&outputs[1], 0, &[]);
    let kept = fs::read_to_string(stage.home.path().join("kept/default.json")).unwrap();
    // Helpers that print the record where it does not belong.
    for helper in [
        format!("tr -d = < '{}'; {file}", stage.home.path().join("kept/default.json").display()),
        format!("{file} get && {file} get && :"),
        format!("{file} get </dev/stdin && exit 5;"),
    ] {
        outputs.push(finished(helped(&helper)));
        assert_code(outputs.last().unwrap(), 78, &[&helper]);
    }
    let record: Value = serde_json::from_str(&kept).unwrap();
    let mut said: String = outputs.iter().map(|output| text(&output.stdout) + &text(&output.stderr)).collect();
    said += &fs::read_to_string(&seen).unwrap();
    assert!(said.contains("BBDL_TOKEN_STORE") && said.contains("erase"));
    for key in ["access_token", "refresh_token", "client_secret"] {
        assert!(!said.contains(record[key].as_str().unwrap()), "{key} was shown");
    }
}

/// In the background of a terminal, a process that reads from it is stopped (SIGTTIN).
#[test]
fn a_helper_may_ask_at_the_terminal() {
    if !has_programs(&["script"]) {
        return;
    }
    let helped = Helped::with_files(Stage::claims(3));
    assert_code(&helped.log_in(&[]), 0, &[]);
    let asking =
        format!("printf 'Open? ' > /dev/tty; read -r word < /dev/tty; test \"$word\" = sesame && {}", helped.helper);
    let plain = helped.set(helped.stage.bbdl(&[]));
    let mut command = Command::new("script");
    command.args(["-qefc", &format!("'{}' fetch eob --out claims", env!("CARGO_BIN_EXE_bbdl")), "/dev/null"]);
    for (key, value) in plain.get_envs() {
        command.env(key, value.unwrap_or_default());
    }
    command.env("BBDL_TOKEN_STORE_COMMAND", asking).current_dir(helped.stage.home.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.as_mut().unwrap(), "sesame").unwrap();
    let (done, output) = mpsc::channel();
    thread::spawn(move || {
        // The terminal closes with its input, so that stays open until the answer is there.
        let mut said = String::new();
        let read = child.stdout.take().unwrap().read_to_string(&mut said);
        done.send((read.map(|_| said), child.wait()))
    });
    let (said, status) = output.recv_timeout(PATIENCE / 2).expect("the helper waits for what was typed");
    let said = said.unwrap();
    assert!(status.unwrap().success() && said.contains("Open?"), "{said}");
}

/// A helper made from a script, with the action as `$1`.
fn helper(dir: &Path, script: &str) -> CommandStore {
    let path = dir.join("helper");
    fs::write(&path, format!("cd {}\n{script}\n", quoted(dir))).unwrap();
    CommandStore::new(Some(&format!("sh {}", quoted(&path))), dir, PATIENCE)
}

fn secret() -> Secret {
    Secret::new(r#"{"refresh_token":"hush"}"#.to_owned())
}

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>, words: &str) {
    let error = result.unwrap_err();
    let shown = format!("{error:?} {error} {}", error.hint());
    assert!(shown.contains(words) && !shown.contains("hush"), "{words:?}: {shown}");
    assert_eq!(Error::from(error).exit(), Exit::NotSetUp);
}

#[test]
fn invalid_answers_are_refused_and_not_quoted() {
    let dir = tempfile::tempdir().unwrap();
    for (script, words) in [
        ("echo hush", "not key=value"),
        ("echo record=", "empty record"),
        ("echo record=hush; echo record=hush", "two records"),
        ("printf 'record=hush\\377'", "not text"),
        ("echo record=hush; exit 9", "exit status: 9"),
        ("echo record=hush; kill -s KILL $$", "(action get) failed ("),
        ("yes record=hush", "more than 1048576 bytes"),
        ("head -c 3000000 /dev/zero", "more than 1048576 bytes"),
    ] {
        let store = helper(dir.path(), script);
        refused(store.load("mom"), words);
    }
    for (script, words) in [
        ("test $1 != get || echo record=hush", "stored something else"),
        ("test $1 = store", "(action get) failed"),
        ("exit 4", "(action store) failed (exit status: 4)"),
        (":", "did not store"),
    ] {
        refused(helper(dir.path(), script).save("mom", &secret()), words);
    }
    refused(helper(dir.path(), "test $1 != get || echo record=hush").delete("mom"), "did not delete the record");
    refused(helper(dir.path(), "case $1 in get) echo record=hush;; *) exit 4;; esac").delete("mom"), "(action erase)");
    refused(helper(dir.path(), ":").save("mom", &Secret::new("hush\nprofile=other".to_owned())), "not one line");
    assert!(matches!(helper(dir.path(), ":").load("../mom"), Err(StoreError::ProfileName { .. })));
}

#[test]
fn answers_may_have_other_keys_and_other_line_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = helper(dir.path(), "printf 'later=1\\r\\nrecord={\"refresh_token\":\"hush\"}\\r\\n\\r\\n'");
    assert!(store.load("mom").unwrap().unwrap().matches(secret().expose()));
    assert!(helper(dir.path(), ":").load("mom").unwrap().is_none());
    assert!(!helper(dir.path(), "test $1 = get").delete("mom").unwrap());
    // A record that cannot be read can still be removed.
    fs::write(dir.path().join("kept"), "nonsense\n").unwrap();
    assert!(helper(dir.path(), "case $1 in get) cat kept;; erase) : > kept;; esac").delete("mom").unwrap());
}

#[test]
fn a_helper_may_ignore_its_input() {
    let dir = tempfile::tempdir().unwrap();
    let long = Secret::new("x".repeat(900_000));
    // More than a pipe holds, for a helper that closes its standard input and knows the answer anyway.
    let script = "exec <&-; test $1 = store || { printf record=; head -c 900000 /dev/zero | tr '\\0' x; }";
    helper(dir.path(), script).save("mom", &long).unwrap();
}

#[test]
fn a_request_is_lines_of_keys_and_values_and_an_empty_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = helper(dir.path(), "cat > asked.$1; test $1 = store || sed -n '/^record=/p' asked.store");
    store.save("mom", &secret()).unwrap();
    let home = dir.path().display();
    let asked = |action: &str| fs::read_to_string(dir.path().join(format!("asked.{action}"))).unwrap();
    assert_eq!(asked("get"), format!("protocol=bbdl-1\nprofile=mom\nhome={home}\n\n"));
    let record = secret();
    let record = record.expose();
    assert_eq!(asked("store"), format!("protocol=bbdl-1\nprofile=mom\nhome={home}\nrecord={record}\n\n"));
}

#[test]
fn a_hanging_helper_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("alive");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (script, attended) in [
        // A helper that waits, with another process in the background. Both ignore signals to end.
        ("trap '' TERM; exec 9> alive; sleep 1000 & sleep 1000", false),
        ("exec 9> alive; sleep 1000 & wait", false),
        // In the terminal's foreground, only the helper itself is ended.
        ("exec 9> alive; trap '' TERM; exec sleep 1000", true),
    ] {
        let (gone, all_gone) = mpsc::channel();
        let fifo = fifo.clone();
        // The pipe ends when no process has it open for writing any more.
        thread::spawn(move || gone.send(fs::File::open(fifo).and_then(|mut pipe| pipe.read(&mut [0]))));
        let path = dir.path().join("helper");
        fs::write(&path, format!("cd {}\n{script}\n", quoted(dir.path()))).unwrap();
        let command = format!("exec sh {}", quoted(&path));
        let store = CommandStore::new(Some(&command), dir.path(), Duration::from_millis(500)).attended(attended);
        let started = Instant::now();
        let error = store.load("mom").unwrap_err();
        assert!(matches!(error, StoreError::CommandTimedOut { action: "get", .. }), "{error:?}");
        refused::<()>(Err(error), "did not end within 0 seconds");
        assert!(started.elapsed() < PATIENCE / 4, "{:?}", started.elapsed());
        assert_eq!(all_gone.recv_timeout(PATIENCE).expect("it lives on").unwrap(), 0, "{script}");
    }
}

/// A person who moves to another store does not have to find the client secret again.
#[cfg(unix)]
#[test]
fn the_client_secret_moves_to_another_token_store() {
    let stage = Stage::claims(3);
    stage.log_in(&[]);
    let file = format!("{} {}", quoted(&example("token-store-file")), quoted(&stage.home.path().join("kept")));
    let mut login = stage.bbdl(&["login", "--server", stage.mock.url(), "--no-browser", "--token-store", "command"]);
    login.env("BBDL_TOKEN_STORE_COMMAND", &file);
    assert_code(&stage.log_in_with(login), 0, &["login"]);
    let mut fetch = stage.bbdl(&["fetch", "eob", "--out", "claims"]);
    fetch.env_remove("BBDL_TOKEN_STORE").env("BBDL_TOKEN_STORE_COMMAND", &file);
    assert_code(&finished(fetch), 0, &["fetch"]);
}
