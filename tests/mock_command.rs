//! `bbdl mock` as a person runs it: how it learns about an app, and how it ends.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::support::{Stage, http, text};

/// A mock in a separate process, and the first line that it prints.
fn started(mut command: Command) -> (Child, Value) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[cfg(unix)]
#[test]
fn stopping_the_mock_is_no_failure() {
    use crate::support::{Signal, signal};
    for sent in [Signal::INT, Signal::TERM] {
        let stage = Stage::new();
        let (mut child, _) = started(stage.bbdl(&["mock"]));
        signal(child.id(), sent);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{sent:?}");
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stderr.unwrap(), &mut said).unwrap();
        assert!(said.contains("Stop it with Ctrl-C") && !said.contains("error"), "{said}");
    }
}

/// A test with a fault that no request was for has proved nothing.
#[cfg(unix)]
#[test]
fn a_fault_that_never_struck_is_told_at_the_end() {
    use crate::support::{Signal, signal};
    let stage = Stage::new();
    let faults = ["--fault", "status=503@Patient#2", "--fault", "status=503@Patients#1"];
    let (mut child, said) = started(stage.bbdl(&[&["mock"], &faults[..]].concat()));
    let url = said["url"].as_str().unwrap();
    http("GET", &format!("{url}/v2/fhir/Patient"), &[], "");
    let listed: Value = serde_json::from_str(&http("GET", &format!("{url}/__mock/faults"), &[], "").body).unwrap();
    let expected = serde_json::json!([
        {"fault": "status=503@Patient#1", "idle": false},
        {"fault": "status=503@Patients#1", "idle": true},
    ]);
    assert_eq!(listed, expected);
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.unwrap(), &mut said).unwrap();
    assert!(
        said.contains("the fault status=503@Patients#1: no request has such a path. Did you mean Patient?"),
        "{said}"
    );
    assert!(said.contains("the fault status=503@Patients#1 never struck"), "{said}");
    assert_eq!(said.matches("Did you mean").count(), 1, "{said}");
    assert_eq!(said.matches("never struck").count(), 1, "{said}");
}

#[test]
fn an_apps_own_callback_can_be_registered() {
    const CALLBACK: &str = "http://localhost:3000/callback";
    for (options, status) in [(&["--redirect-uri", CALLBACK][..], 302), (&[], 400)] {
        let stage = Stage::new();
        let arguments = [&["mock", "--auto-consent"], options].concat();
        let (mut child, said) = started(stage.bbdl(&arguments));
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", said["client_id"].as_str().unwrap())
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("state", "0123456789abcdef")
            .append_pair("code_challenge", &"c".repeat(43))
            .append_pair("code_challenge_method", "S256")
            .finish();
        let url = format!("{}/v2/o/authorize/?{query}", said["url"].as_str().unwrap());
        assert_eq!(http("GET", &url, &[], "").status, status, "{options:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let refused = Stage::new().run(&["mock", "--redirect-uri", "localhost:3000/callback"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("write it as http://localhost:3000/callback"), "{said}");
}

/// The examples for app developers pass with the mock, and fail if the app is wrong.
#[cfg(unix)]
#[test]
fn the_examples_of_tests_with_the_mock_work() {
    use crate::support::{finished, has_programs};
    if !has_programs(&["python3", "node"]) {
        return;
    }
    let examples = [
        ("test_with_mock.py", "python3", &["-m", "unittest"][..], "\"next\""),
        ("with-mock.test.mjs", "node", &["--test"], "\"next\""),
    ];
    for (name, program, arguments, paging) in examples {
        let stage = Stage::new();
        let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples").join(name);
        let right = std::fs::read_to_string(example).unwrap();
        let run = |code: &str| {
            std::fs::write(stage.home.path().join(name), code).unwrap();
            let bbdl = stage.bbdl(&[]);
            let dir = std::path::Path::new(bbdl.get_program()).parent().unwrap().to_owned();
            let dirs = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect::<Vec<_>>();
            let path = std::env::join_paths(std::iter::once(dir).chain(dirs)).unwrap();
            let mut command = Command::new(program);
            command.args(arguments).arg(name).current_dir(stage.home.path()).env("PATH", path);
            // Python would use its compiled version of another file with the same length and time.
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            finished(command)
        };
        let output = run(&right);
        assert_eq!(output.status.code(), Some(0), "{name}: {}{}", text(&output.stdout), text(&output.stderr));
        // An app that reads only the first page.
        assert!(right.contains(paging), "{name}");
        assert_eq!(run(&right.replace(paging, "\"none\"")).status.code(), Some(1), "{name}");
    }
}
