//! The right person: the browser is still signed in as another person.

use std::process::{Command, Output, Stdio};

use crate::support::{Running, Setting, Stage, assert_code, callback_of, has_programs, text};
use bluebutton_mock::{Population, records::Records};
use serde_json::{Value, json};

/// The person at the browser from now on. The mock's enrollees are 0 (mom) and 1 (dad).
fn at_the_browser(stage: &Stage, enrollee: usize) {
    stage.control("POST", "consent", &json!({ "enrollee": enrollee }).to_string());
}

fn log_in(stage: &Stage, enrollee: usize, more: &[&str]) -> Output {
    at_the_browser(stage, enrollee);
    stage.log_in_with(stage.login_command(more))
}

/// The name of a person in every stage's mock.
fn name_of(_: &Stage, enrollee: usize) -> String {
    Population::new(7, 2, 3).enrollee(enrollee).name
}

fn profile(stage: &Stage, name: &str) -> Value {
    let status = stage.expect_json(0, &["status", "--json"]);
    status["profiles"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned().unwrap_or_default()
}

fn record(stage: &Stage, name: &str) -> Option<String> {
    std::fs::read_to_string(stage.home.path().join(format!("tokens/{name}.json"))).ok()
}

fn note(stage: &Stage, name: &str) -> Value {
    let text = std::fs::read_to_string(stage.home.path().join(format!("profiles/{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn fetches(stage: &Stage, name: &str) -> i32 {
    let out = format!("out-{name}");
    stage.run(&["fetch", "eob", "--out", &out, "-q", "--profile", name]).status.code().unwrap()
}

fn revocations(stage: &Stage) -> usize {
    stage.asked().iter().filter(|row| row.contains("/o/revoke")).count()
}

fn family() -> Stage {
    let stage = Stage::claims(3);
    assert_code(&log_in(&stage, 0, &["--profile", "mom"]), 0, &[]);
    assert_code(&log_in(&stage, 1, &["--profile", "dad"]), 0, &[]);
    stage
}

#[test]
fn a_log_in_says_who_it_was() {
    let stage = Stage::claims(3);
    let output = log_in(&stage, 1, &[]);
    assert!(text(&output.stderr).contains(&format!("Logged in: {}", name_of(&stage, 1))), "{}", text(&output.stderr));

    stage.control("POST", "consent", r#"{"answer":"without-demographics","enrollee":1}"#);
    let output = stage.log_in_with(stage.login_command(&[]));
    assert_code(&output, 0, &[]);
    let said = text(&output.stderr);
    let id = profile(&stage, "default")["patient"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("the person with the id …{}", &id[id.len() - 4..])), "{said}");
    assert!(!said.contains(&id) && !said.contains(&name_of(&stage, 1)), "{said}");

    // A server that does not say the name does not delay the log-in.
    at_the_browser(&stage, 1);
    stage.faults(&["status=503@connect/userinfo"]);
    let output = stage.log_in_with(stage.login_command(&[]));
    assert_code(&output, 0, &[]);
    assert!(text(&output.stderr).contains("the person with the id …"));
}

#[test]
fn a_second_profile_of_one_person_ends_the_first_log_in() {
    let stage = family();
    let output = log_in(&stage, 0, &["--profile", "second", "--no-input"]);
    assert_code(&output, 0, &[]);
    let said = text(&output.stderr);
    for words in ["same person as profile \"mom\"", "just ended at the server", "switch account", "private window"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(note(&stage, "mom")["ended"]["kind"], "replaced");
    assert_eq!(note(&stage, "second").get("ended"), None);
    assert_eq!((fetches(&stage, "second"), fetches(&stage, "dad"), fetches(&stage, "mom")), (0, 0, 77));
    // And back: a new log-in removes the note.
    assert_code(&log_in(&stage, 0, &["--profile", "mom"]), 0, &[]);
    assert_eq!(note(&stage, "mom").get("ended"), None);
    assert_eq!(note(&stage, "second")["ended"]["kind"], "replaced");
}

#[test]
fn another_person_than_a_profile_had_is_refused() {
    let stage = Stage::claims(3);
    assert_code(&log_in(&stage, 1, &["--profile", "dad"]), 0, &[]);
    let before = (record(&stage, "dad"), note(&stage, "dad"));
    stage.asked();
    let output = log_in(&stage, 0, &["--profile", "dad", "--no-input", "--json"]);
    assert_code(&output, 77, &[]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["error"]["kind"], "other_patient", "{result}");
    let message = result["error"]["message"].as_str().unwrap();
    assert!(message.contains(&name_of(&stage, 0)) && message.contains("\"dad\""), "{message}");
    let hint = result["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("switch account") && hint.contains("private window") && hint.contains("--replace"), "{hint}");
    assert_eq!(revocations(&stage), 1, "the new grant is ended");
    assert_eq!((record(&stage, "dad"), note(&stage, "dad")), before, "the old log-in is untouched");
    assert_eq!(fetches(&stage, "dad"), 0);

    // If requested explicitly, it is done. The earlier person's archives do not belong to this one.
    let output = log_in(&stage, 0, &["--profile", "dad", "--replace"]);
    assert_code(&output, 0, &[]);
    assert_ne!(note(&stage, "dad")["patient"], before.1["patient"]);
    assert_eq!(note(&stage, "dad")["archives"], json!([]));
    assert_eq!(fetches(&stage, "dad"), 65, "out-dad is the other person's");
}

#[test]
fn a_grant_that_cannot_be_ended_is_reported() {
    let stage = Stage::claims(3);
    assert_code(&log_in(&stage, 1, &["--profile", "dad"]), 0, &[]);
    stage.faults(&["status=500@o/revoke"]);
    let output = log_in(&stage, 0, &["--profile", "dad"]);
    assert_code(&output, 77, &[]);
    assert!(text(&output.stderr).contains("disconnect the app at Medicare.gov"), "{}", text(&output.stderr));
}

#[test]
fn moms_log_in_at_dads_profile_goes_to_mom() {
    let stage = family();
    let dad = (record(&stage, "dad"), note(&stage, "dad"));
    let mom = record(&stage, "mom");
    stage.asked();
    let output = log_in(&stage, 0, &["--profile", "dad"]);
    assert_code(&output, 77, &[]);
    let said = text(&output.stderr);
    for words in
        [&*name_of(&stage, 0), "person of profile \"mom\"", "kept there", "\"dad\" is as it was", "switch account"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(revocations(&stage), 0, "to revoke it would leave mom without a log-in");
    assert_eq!((record(&stage, "dad"), note(&stage, "dad")), dad);
    assert_ne!(record(&stage, "mom"), mom);
    assert_eq!(note(&stage, "mom").get("ended"), None);
    assert_eq!((fetches(&stage, "mom"), fetches(&stage, "dad")), (0, 0), "both work");
}

#[test]
fn another_apps_log_in_of_the_same_person_is_left_alone() {
    let stage = family();
    let app = stage.control("POST", "apps", "{}");
    let secret = stage.home.path().join("other-secret");
    std::fs::write(&secret, app["client_secret"].as_str().unwrap()).unwrap();
    let login = |profile: &str| {
        let mut command = stage.bbdl(&["login", "--server", stage.mock.url(), "--no-browser", "--profile", profile]);
        command.args(["--client-id", app["client_id"].as_str().unwrap(), "--client-secret-file"]).arg(&secret);
        command
    };
    at_the_browser(&stage, 0);
    let output = stage.log_in_with(login("second"));
    assert_code(&output, 0, &[]);
    assert!(!text(&output.stderr).contains("this is the same person"), "{}", text(&output.stderr));
    assert_eq!(note(&stage, "mom").get("ended"), None);
    assert_eq!((fetches(&stage, "mom"), fetches(&stage, "second")), (0, 0));
    // Mom's profile is for another app, so these tokens cannot be used there.
    assert_code(&stage.log_in_with(login("dad")), 77, &[]);
    assert_eq!((fetches(&stage, "mom"), fetches(&stage, "dad")), (0, 0));
}

#[test]
fn v3_and_v2_ids_are_compared_through_userinfo() {
    let stage = family();
    let output = log_in(&stage, 0, &["--profile", "dad", "--api", "v3"]);
    assert_code(&output, 77, &["mom at dad's, at another version"]);
    let mom = note(&stage, "mom");
    assert_eq!((&mom["api"], mom.get("ended")), (&json!("v2"), None));
    assert_eq!(fetches(&stage, "dad"), 0);
    let output = log_in(&stage, 0, &["--profile", "mom3", "--api", "v3"]);
    assert_code(&output, 0, &[]);
    assert!(text(&output.stderr).contains("same person as profile \"mom\""));
    assert_eq!(note(&stage, "mom")["ended"]["kind"], "replaced");
    // If userinfo was not granted, nothing is known and nothing is said.
    let scopes = ["--scope", "patient/ExplanationOfBenefit.rs", "--api", "v3"];
    let output = log_in(&stage, 1, &[&["--profile", "dad3"], &scopes[..]].concat());
    assert_code(&output, 0, &[]);
    assert!(!text(&output.stderr).contains("this is the same person"), "{}", text(&output.stderr));
    assert_eq!(note(&stage, "dad").get("ended"), None);
}

#[test]
fn profiles_of_the_same_person_are_marked_in_status() {
    let stage = family();
    assert_eq!(profile(&stage, "mom")["same_person_as"], json!([]));
    assert_code(&log_in(&stage, 0, &["--profile", "second"]), 0, &[]);
    assert_eq!(profile(&stage, "mom")["same_person_as"], json!(["second"]));
    assert_eq!(profile(&stage, "second")["same_person_as"], json!(["mom"]));
    assert_eq!(profile(&stage, "dad")["same_person_as"], json!([]));
    let one = stage.expect_json(0, &["status", "--json", "--profile", "second"]);
    assert_eq!(one["profiles"][0]["same_person_as"], json!(["mom"]), "though only one is shown");
    let said = stage.expect(0, &["status"]);
    assert!(said.contains("the same person as profile mom"), "{said}");
}

/// The same command on a terminal, and the address to paste.
fn begun(stage: &Stage, enrollee: usize, profile: &str) -> (Running, String) {
    at_the_browser(stage, enrollee);
    let line = format!(
        "{} login --server {} --client-id {} --client-secret-file {} --no-browser --profile {profile}",
        env!("CARGO_BIN_EXE_bbdl"),
        stage.mock.url(),
        stage.mock.client_id(),
        stage.secret_file().display()
    );
    let mut command = Command::new("script");
    // The terminal's content is on stdout. Here, it is read like the messages of a running command.
    command.args(["-qefc", &line, "/dev/null"]).stdin(Stdio::piped());
    for (key, value) in stage.bbdl(&[]).get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    let mut login = Running::start(crate::support::with_stdout_as_stderr(command));
    let callback = callback_of(&login.authorize_url());
    (login, callback)
}

/// That command, with the address pasted and then an answer.
fn answered(stage: &Stage, enrollee: usize, profile: &str, answer: &str) -> (bool, String) {
    let (mut login, callback) = begun(stage, enrollee, profile);
    login.write(&callback);
    login.until("instead");
    login.write(answer);
    let output = login.finish_open();
    (output.status.success(), text(&output.stderr))
}

#[test]
fn a_terminal_offers_to_keep_the_log_in_under_the_old_profile() {
    if !has_programs(&["script"]) {
        return;
    }
    let stage = family();
    let (ok, said) = answered(&stage, 0, "second", "y");
    assert!(ok && said.contains("as profile \"mom\""), "{said}");
    assert_eq!(record(&stage, "second"), None);
    assert!(!stage.home.path().join("profiles/second.json").exists());
    assert_eq!(note(&stage, "mom").get("ended"), None);
    assert_eq!((fetches(&stage, "mom"), fetches(&stage, "dad")), (0, 0));

    let (ok, said) = answered(&stage, 0, "second", "n");
    assert!(ok && said.contains("as profile \"second\""), "{said}");
    assert_eq!(note(&stage, "mom")["ended"]["kind"], "replaced");
    assert_eq!(fetches(&stage, "second"), 0);

    // An existing profile of the same person goes back to its former state: ended, by this very log-in.
    let (ok, said) = answered(&stage, 0, "second", "yes");
    assert!(ok && said.contains("as profile \"mom\""), "{said}");
    assert_eq!(note(&stage, "second")["ended"]["kind"], "replaced");
    assert!(record(&stage, "second").is_some());
    assert_eq!((fetches(&stage, "mom"), fetches(&stage, "second")), (0, 77));
}

#[test]
fn a_fetch_does_not_wait_for_the_answer_to_that_question() {
    if !has_programs(&["script"]) {
        return;
    }
    let stage = family();
    assert_code(&log_in(&stage, 0, &["--profile", "second", "--no-input"]), 0, &[]);
    let (mut login, callback) = begun(&stage, 0, "second");
    // The consent is given, and the log-in of before is over.
    let mut fetch = Running::start(stage.bbdl(&["fetch", "eob", "--out", "out", "--profile", "second"]));
    fetch.until("Somebody is logging in under this profile");
    login.write(&callback);
    login.until("instead");
    assert_code(&fetch.finish(), 0, &["fetch"]);
    login.write("n");
    assert!(login.finish_open().status.success());
}

#[test]
fn a_server_without_a_patient_id_is_accepted() {
    let stage = Stage::with(Setting { claims: 3, faults: &["no-patient@o/token"], ..Setting::default() });
    for enrollee in [0, 1] {
        assert_code(&log_in(&stage, enrollee, &[]), 0, &[]);
    }
}
