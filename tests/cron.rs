//! Unattended runs: what is printed where without a terminal, every exit code, all profiles in one run, the end of
//! the consent, and the examples in docs/cron.md.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use crate::support::{Running, Setting, Signal, Stage, assert_code, finished, has_programs, signal, text};
use jiff::{Timestamp, ToSpan};
use regex::Regex;
use serde_json::{Value, json};

fn stage() -> Stage {
    Stage::logged_in(Setting { claims: 60, ..Setting::default() })
}

/// Runs it like cron: no terminal, in a separate session, with almost no environment.
fn unattended(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(env!("CARGO_BIN_EXE_bbdl"))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("BBDL_HOME", stage.home.path())
        .env("BBDL_TOKEN_STORE", "file")
        .env("BBDL_RETRY_DELAY", "10")
        .current_dir(stage.home.path())
        .stdin(Stdio::null());
    command
}

/// Checks that the output has nothing that only a terminal understands.
fn is_plain(output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let said = text(stream);
        assert!(!said.contains('\u{1b}') && !said.contains('\r') && !said.contains('━'), "{said:?}");
    }
}

/// A way to fail: what happens before, what is typed, the exit code and the kind.
struct Way {
    code: i32,
    kind: &'static str,
    before: fn(&Stage),
    typed: &'static [&'static str],
}

const FETCH: &[&str] = &["fetch", "eob", "--out", "claims", "--retry", "1"];

/// Exit code 1 is a defect in bbdl, so any way to reach it would have to be fixed. 130 has a separate test.
const WAYS: [Way; 13] = [
    Way { code: 2, kind: "usage", before: |_| {}, typed: &["fetch", "eob"] },
    Way { code: 2, kind: "usage", before: |_| {}, typed: &["fetch", "patient", "--out", "x", "--type", "pde"] },
    Way {
        code: 65,
        kind: "not_an_archive",
        before: |stage| {
            fs::create_dir(stage.out()).unwrap();
            fs::write(stage.out().join("mine"), "x").unwrap();
        },
        typed: FETCH,
    },
    Way { code: 65, kind: "answer", before: |stage| stage.faults(&["html=200@ExplanationOfBenefit"]), typed: FETCH },
    Way { code: 74, kind: "disk", before: |stage| fs::write(stage.out(), "a file").unwrap(), typed: FETCH },
    Way { code: 75, kind: "server", before: |stage| stage.faults(&["status=503@ExplanationOfBenefit"]), typed: FETCH },
    Way { code: 75, kind: "network", before: |stage| stage.faults(&["close@ExplanationOfBenefit"]), typed: FETCH },
    Way {
        code: 75,
        kind: "backend",
        before: |stage| stage.faults(&["backend=502@health", "expire-token@ExplanationOfBenefit"]),
        typed: FETCH,
    },
    Way {
        code: 77,
        kind: "grant_revoked",
        before: |stage| {
            stage.control("POST", "grants", r#"{"revoke":true}"#);
            stage.faults(&["expire-token@ExplanationOfBenefit"]);
        },
        typed: FETCH,
    },
    Way { code: 77, kind: "app_inactive", before: |stage| stage.faults(&["inactive"]), typed: FETCH },
    Way { code: 78, kind: "no_profile", before: |_| {}, typed: &["fetch", "eob", "--out", "x", "--profile", "nobody"] },
    Way {
        code: 78,
        kind: "no_tokens",
        before: |stage| fs::remove_file(stage.home.path().join("tokens/default.json")).unwrap(),
        typed: FETCH,
    },
    Way { code: 78, kind: "api_version", before: |_| {}, typed: &["fetch", "insurance-card", "--out", "x"] },
];

#[test]
fn every_exit_code_can_be_reached_and_is_reported_alike() {
    if !has_programs(&["setsid"]) {
        return;
    }
    for Way { code, kind, before, typed } in WAYS {
        let stage = stage();
        before(&stage);
        let output = finished(unattended(&stage, typed));
        assert_code(&output, code, typed);
        is_plain(&output);
        assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
        let said = text(&output.stderr);
        assert!(said.starts_with("error: "), "{said}");
        // clap has its own way to say what can be typed.
        assert!(said.contains("\n  next: ") || code == 2, "{said}");

        let output = finished(unattended(&stage, &[typed, &["--json"]].concat()));
        assert_code(&output, code, typed);
        is_plain(&output);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let error = &result["error"];
        assert_eq!((&error["kind"], &error["exit_code"]), (&json!(kind), &json!(code)), "{result}");
        assert!(error["message"].is_string() && error["hint"].is_string(), "{result}");
    }
}

#[test]
fn a_successful_run_prints_one_line() {
    if !has_programs(&["setsid"]) {
        return;
    }
    let stage = stage();
    for (more, lines) in [(&[][..], 1), (&["--json"], 1), (&["-q"], 0), (&[], 1)] {
        let output = finished(unattended(&stage, &[&["fetch", "all", "--out", "claims"][..], more].concat()));
        assert_code(&output, 0, more);
        is_plain(&output);
        assert_eq!(text(&output.stdout).lines().count(), lines, "{more:?}: {}", text(&output.stdout));
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    }
}

/// cron ends a command at a `%` without a backslash (crontab(5)), and starts it in the home directory.
#[test]
fn crontab_lines_of_the_docs_mean_what_they_say() {
    let line = Regex::new(r"^(?:[0-9*,/-]+\s+){5}(/\S+.*)$").unwrap();
    let substitution = Regex::new(r"\$\([^)]*\)").unwrap();
    let docs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let pages = docs.map(|page| page.unwrap().path()).filter(|path| path.extension().is_some_and(|it| it == "md"));
    let mut seen = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for command in text.lines().filter_map(|it| line.captures(it)).map(|found| found[1].to_owned()) {
            assert!(!command.replace("\\%", "").contains('%'), "{}: {command}", page.display());
            let command = substitution.replace_all(&command.replace("\\%", "%"), "x").into_owned();
            for path in command.split_whitespace().filter(|word| word.contains('/')) {
                assert!(path.starts_with('/'), "{}: {path} in {command}", page.display());
            }
            if let Some(arguments) = command.strip_prefix("/usr/local/bin/bbdl ") {
                let bbdl = format!("bbdl {arguments}");
                crate::support::typed::is_understood(&bbdl).unwrap_or_else(|why| panic!("{}: {why}", page.display()));
            }
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} were found");
}

/// Exactly what cron gives a command: no `BBDL_HOME`, no token store, no session bus.
fn by_cron(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(env!("CARGO_BIN_EXE_bbdl")).args(arguments);
    command.env_clear().env("HOME", home).env("SHELL", "/bin/sh").env("PATH", "/usr/bin:/bin").env("LOGNAME", "you");
    command.current_dir(home).stdin(Stdio::null());
    command
}

#[test]
fn the_environment_that_cron_gives_is_enough() {
    if !has_programs(&["setsid"]) {
        return;
    }
    let stage = Stage::claims(60);
    let mut login = stage.login_command(&["--token-store", "file"]);
    login.env_remove("BBDL_HOME").env_remove("BBDL_TOKEN_STORE");
    assert_code(&stage.log_in_with(login), 0, &[]);
    // The profile remembers where its tokens are.
    for words in ["(60 new)", "(nothing new)"] {
        let output = finished(by_cron(stage.home.path(), &["fetch", "eob", "--out", "claims"]));
        assert_code(&output, 0, &[]);
        is_plain(&output);
        assert!(text(&output.stdout).contains(words) && output.stderr.is_empty(), "{output:?}");
    }
    // Set explicitly, so that the test does not find the session of the person who runs it.
    let keyring = |command: &[&str]| {
        let mut keyring = by_cron(stage.home.path(), &[command, &["--token-store", "keyring"]].concat());
        keyring.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        let output = finished(keyring);
        assert_code(&output, 78, command);
        is_plain(&output);
        text(&output.stderr)
    };
    let said = keyring(&["fetch", "eob", "--out", "claims"]);
    assert!(said.contains("Leave --token-store keyring out"), "{said}");
    // Before the server is asked anything.
    let said = keyring(&["login", "--server", stage.mock.url(), "--profile", "new"]);
    assert!(said.contains("--token-store file") && said.contains("--token-store command"), "{said}");
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    if !has_programs(&["setsid"]) {
        return;
    }
    let stage = Stage::claims(1);
    let output = finished(unattended(&stage, &["login", "--server", stage.mock.url(), "--timeout", "1"]));
    assert_code(&output, 78, &[]);
    assert!(text(&output.stderr).contains("--client-id ID or in BBDL_CLIENT_ID"), "{}", text(&output.stderr));
}

#[test]
fn an_interrupted_run_continues_the_next_night() {
    let stage = Stage::logged_in(Setting { claims: 300, latency: Duration::from_millis(100), ..Setting::default() });
    for (json, page) in [(true, "startIndex=50"), (false, "startIndex=150")] {
        let mut fetch = stage.bbdl(&["fetch", "eob", "--out", "claims", "-v"]);
        if json {
            fetch.arg("--json");
        }
        let mut fetch = Running::start(fetch);
        fetch.until(page);
        signal(fetch.id(), Signal::TERM);
        let output = fetch.finish();
        assert_code(&output, 130, &[]);
        is_plain(&output);
        assert!(text(&output.stderr).contains("\n  next: "), "{}", text(&output.stderr));
        if json {
            let result: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((&result["error"]["kind"], &result["error"]["exit_code"]), (&json!("interrupted"), &json!(130)));
        } else {
            assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
        }
    }
    let output = stage.run(&["fetch", "eob", "--out", "claims"]);
    assert_code(&output, 0, &[]);
    assert!(text(&output.stderr).contains("continuing where an earlier run stopped"), "{}", text(&output.stderr));
}

#[test]
fn every_profile_is_pulled_and_the_worst_failure_is_reported() {
    let stage = Stage::with(Setting { claims: 60, ..Setting::default() });
    stage.expect(78, &["fetch", "all", "--out", "study", "--all-profiles"]);
    // Two people, one of them under two names. The second log-in has ended the first.
    stage.log_in(&["--profile", "a-ended"]);
    stage.log_in(&["--profile", "b-fine"]);
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--profile", "c-fine"]);
    let fetch = ["fetch", "eob", "--out", "study", "--all-profiles", "--jobs", "1"];
    let output = stage.run(&fetch);
    assert_code(&output, 77, &fetch);
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(said.contains("b-fine: ") && said.contains("c-fine: ") && said.lines().count() == 2, "{said}");
    assert!(told.contains("a-ended: ") && told.contains("1 of 3 profiles failed"), "{told}");
    for name in ["b-fine", "c-fine"] {
        let file = stage.home.path().join("study").join(name).join("ExplanationOfBenefit.ndjson");
        assert_eq!(crate::support::lines(&file).len(), 60);
    }
    // A temporary failure is reported, but a failure that needs a person counts more. (The first request is
    // a-ended's.)
    stage.faults(&["status=503@ExplanationOfBenefit#1+1"]);
    let result = stage.expect_json(77, &[&fetch[..], &["--json", "--retry", "0"]].concat());
    let rows = result["profiles"].as_array().unwrap();
    let codes: Vec<_> = rows.iter().map(|row| row["error"]["exit_code"].clone()).collect();
    assert_eq!(codes, [json!(77), json!(75), json!(null)]);
    assert_eq!(rows[2]["resources"]["ExplanationOfBenefit"]["mode"], "incremental");
    // A profile that cannot be read does not block anyone else's claims, and it counts more than a failure that needs
    // a person.
    fs::write(stage.home.path().join("profiles/a-ended.json"), "{").unwrap();
    let result = stage.expect_json(78, &[&fetch[..], &["--json"]].concat());
    let codes: Vec<_> =
        result["profiles"].as_array().unwrap().iter().map(|row| row["error"]["exit_code"].clone()).collect();
    assert_eq!(codes, [json!(78), json!(null), json!(null)]);
    for bad in [&["--profile", "b-fine"][..], &["--out", "-"]] {
        let typed = ["fetch", "eob", "--all-profiles"];
        let out = if bad[0] == "--out" { &[][..] } else { &["--out", "study"] };
        assert_code(&stage.run(&[&typed[..], out, bad].concat()), 2, bad);
    }
}

#[test]
fn an_interrupt_ends_a_run_over_all_profiles() {
    let stage = Stage::logged_in(Setting { claims: 60, latency: Duration::from_millis(200), ..Setting::default() });
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--profile", "second"]);
    let fetch = ["fetch", "eob", "--out", "study", "--all-profiles", "--jobs", "1", "-v", "--json"];
    let mut fetch = Running::start(stage.bbdl(&fetch));
    fetch.until("GET /v2/");
    signal(fetch.id(), Signal::INT);
    let output = fetch.finish();
    assert_code(&output, 130, &[]);
    assert!(!stage.home.path().join("study/second").exists());
    // The result of each profile is still reported.
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds: Vec<_> = told["profiles"].as_array().unwrap().iter().map(|row| &row["error"]["kind"]).collect();
    assert_eq!((kinds.as_slice(), &told["run"]["left"]), (&[&json!("interrupted")][..], &json!(2)), "{told}");
}

/// Sets the end of the default profile's consent to this many days from now, in its record.
fn ends_in(stage: &Stage, days: i64) {
    let end = Timestamp::now() + (24 * days + 1).hours();
    for file in ["profiles/default.json", "tokens/default.json"] {
        let path = stage.home.path().join(file);
        let mut record: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let grant = if record.get("grant_expires").is_some() { &mut record } else { &mut record["grant"] };
        assert!(grant.get("grant_expires").is_some(), "{file} names no end");
        grant["grant_expires"] = json!(end.to_string());
        fs::write(&path, record.to_string()).unwrap();
    }
}

#[test]
fn the_end_of_the_consent_is_announced_in_time() {
    let stage = stage();
    for (days, by_status, by_fetch) in [(40, false, false), (20, true, false), (10, true, true)] {
        ends_in(&stage, days);
        let words = stage.expect(0, &["status"]);
        assert_eq!(words.contains("renew it with: bbdl login"), by_status, "{days}: {words}");
        let profile = stage.expect_json(0, &["status", "--json"])["profiles"][0].clone();
        assert_eq!((&profile["days_left"], &profile["reauthorize"]), (&json!(days), &json!(false)));
        let output = stage.run(&["fetch", "eob", "--out", "claims", "-q"]);
        assert_code(&output, 0, &[]);
        assert_eq!(text(&output.stderr).lines().count(), usize::from(by_fetch), "{days}: {}", text(&output.stderr));
        assert!(!by_fetch || text(&output.stderr).contains("ends in 10 days; renew it with: bbdl login --server"));
    }
    ends_in(&stage, -1);
    assert_eq!(stage.expect_json(0, &["status", "--json"])["profiles"][0]["reauthorize"], true);
    assert!(stage.expect(0, &["status"]).contains("a new log-in is needed"));
    // The server's clock decides, and by it the consent is not over.
    let output = stage.run(&["fetch", "eob", "--out", "claims", "-q"]);
    assert_code(&output, 0, &[]);
    let said = text(&output.stderr);
    assert!(said.lines().count() == 1 && said.contains("the consent has ended; renew it with: "), "{said}");
}

#[test]
fn a_renewed_consent_continues_with_the_archive() {
    let stage = stage();
    stage.expect(0, &["fetch", "eob", "--out", "claims"]);
    let before = fs::read(stage.out().join("ExplanationOfBenefit.ndjson")).unwrap();
    ends_in(&stage, 3);
    stage.log_in(&[]);
    let profile = stage.expect_json(0, &["status", "--json"])["profiles"][0].clone();
    assert!(profile["days_left"].as_i64().unwrap() > 300, "{profile}");
    let result = stage.expect_json(0, &["fetch", "eob", "--out", "claims", "--json"]);
    let claims = &result["resources"]["ExplanationOfBenefit"];
    assert_eq!((&claims["mode"], &claims["added"]), (&json!("incremental"), &json!(0)), "{result}");
    assert_eq!(fs::read(stage.out().join("ExplanationOfBenefit.ndjson")).unwrap(), before);
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples").join(name)
}

/// Runs the wrapper like cron. Returns its code, and what it mails.
fn nightly(stage: &Stage, arguments: &[&str]) -> (i32, String) {
    let bin = stage.home.path().join("bin");
    let _ = fs::create_dir(&bin);
    let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bbdl"), bin.join("bbdl"));
    let mut command = Command::new(example("nightly"));
    command.args(arguments).env_clear().envs(stage.bbdl(&[]).get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("BBDL_RETRY", "0");
    command.env("NIGHTLY_PATIENCE", "2").env("NIGHTLY_PAUSE", "0").current_dir(stage.home.path()).stdin(Stdio::null());
    let output = finished(command);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    (output.status.code().unwrap(), text(&output.stdout))
}

#[test]
fn the_wrapper_reports_each_person_separately() {
    let stage = stage();
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--profile", "mom"]);
    let nights = [&["claims"][..], &["mom", "mom"]];
    for night in nights {
        assert_eq!(nightly(&stage, night), (0, String::new()));
    }
    stage.control("POST", "grants", r#"{"revoke":true}"#);
    for night in nights {
        let (code, said) = nightly(&stage, night);
        assert!(code == 77 && said.contains("bbdl login"), "{night:?}: {said}");
    }
    for night in nights {
        assert_eq!(nightly(&stage, night), (77, String::new()), "told once");
    }
    // One person's good night says nothing about the other's.
    stage.log_in(&["--profile", "mom"]);
    assert_eq!(nightly(&stage, nights[1]), (0, String::new()));
    assert_eq!(nightly(&stage, nights[0]), (77, String::new()));
    // The same archive, even with another spelling of its path.
    let whole = stage.out().display().to_string();
    assert_eq!(nightly(&stage, &[&format!("{whole}/")]), (77, String::new()));
}

#[test]
fn the_wrapper_reports_only_what_a_person_must_do() {
    let stage = stage();
    let out = stage.out().display().to_string();
    let night = || nightly(&stage, &[&out]);
    assert_eq!(night(), (0, String::new()));
    // A single failed attempt is not a bad night.
    stage.faults(&["status=503@ExplanationOfBenefit#1"]);
    stage.asked();
    assert_eq!(night(), (0, String::new()));
    let claims = |rows: Vec<String>| rows.iter().filter(|row| row.contains("ExplanationOfBenefit")).count();
    assert!(claims(stage.asked()) >= 2);
    stage.faults(&["status=503@ExplanationOfBenefit"]);
    assert_eq!(night(), (75, String::new()));
    assert_eq!(claims(stage.asked()), 3, "as often as it says, and no more");
    let (code, said) = night();
    assert!(code == 75 && said.starts_with("for 2 nights now:"), "{said}");
    stage.faults(&[]);
    assert_eq!(night(), (0, String::new()));
    stage.control("POST", "grants", r#"{"revoke":true}"#);
    stage.faults(&["expire-token@ExplanationOfBenefit"]);
    stage.asked();
    let (code, said) = night();
    assert!(code == 77 && said.contains("bbdl login"), "{said}");
    assert_eq!(claims(stage.asked()), 1, "a person must act: trying again is of no use");
    assert_eq!(night(), (77, String::new()), "told once");
    // After a new log-in, the next failure is reported again.
    stage.faults(&[]);
    stage.log_in(&[]);
    assert_eq!(night(), (0, String::new()));
    stage.faults(&["inactive"]);
    let (code, said) = night();
    assert!(code == 77 && !said.is_empty(), "{said}");
}

#[test]
fn the_examples_are_well_formed() {
    let mut todo = vec![example("")];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let executable = path.metadata().unwrap().permissions().mode() & 0o111 != 0;
        assert_eq!(executable, text.starts_with("#!"), "{}", path.display());
        if executable {
            assert!(Command::new("sh").arg("-n").arg(&path).status().unwrap().success(), "{}", path.display());
            if has_programs(&["shellcheck"]) {
                let output = Command::new("shellcheck").arg(&path).output().unwrap();
                assert!(output.status.success(), "{}", crate::support::text(&output.stdout));
            }
        }
    }
}

#[test]
fn systemd_accepts_the_units() {
    if !has_programs(&["systemd-analyze"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::copy(example("bbdl.timer"), dir.path().join("bbdl.timer")).unwrap();
    let units = ["bbdl.service", "bbdl.timer"].map(|name| dir.path().join(name));
    let verify = |file: &str, manager: &str, more: &str| {
        let service = fs::read_to_string(example(file)).unwrap();
        let here = service.replace("/usr/local/bin/bbdl", env!("CARGO_BIN_EXE_bbdl"));
        let here = here.replace("%h/.cargo/bin/bbdl", env!("CARGO_BIN_EXE_bbdl"));
        assert_ne!(here, service);
        fs::write(&units[0], here.replace("[Service]\n", &format!("[Service]\n{more}\n"))).unwrap();
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", manager]).args(&units).env("XDG_RUNTIME_DIR", dir.path());
        let said = text(&command.output().unwrap().stderr);
        // Other units on this machine, and man pages that are not installed, do not concern us.
        let ours = |line: &&str| {
            (line.contains("bbdl.service") || line.contains("bbdl.timer") || line.contains("initialize manager"))
                && !line.contains("man ")
        };
        said.lines().filter(ours).map(str::to_owned).collect::<Vec<_>>()
    };
    for (file, manager) in [("bbdl.service", "--system"), ("bbdl-user.service", "--user")] {
        assert_eq!(verify(file, manager, ""), [""; 0], "{file}");
        // Checks that errors are found, or this test would prove nothing.
        assert!(!verify(file, manager, "RestartForceExitStatus=75").is_empty(), "{file}");
    }
}

#[test]
fn the_property_list_is_xml_that_names_what_is_run() {
    let text = fs::read_to_string(example("org.example.bbdl.plist")).unwrap();
    // Every element that begins also ends, in order.
    let mut open = Vec::new();
    for tag in text.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        match tag.strip_prefix('/') {
            _ if tag.starts_with(['?', '!']) || tag.ends_with('/') => {}
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None => open.push(tag.split(' ').next().unwrap()),
        }
    }
    assert!(open.is_empty() && text.contains("<string>--out</string>"));
}
