//! The demo: the whole job in one command, any number of times.

use std::fs;

use crate::support::{assert_code, bbdl, finished, lines, text};

#[test]
fn a_demo_replaces_the_archive_of_an_earlier_one_and_no_other() {
    let home = tempfile::tempdir().unwrap();
    let demo = |out: &str| {
        let mut command = bbdl(home.path());
        command.args(["demo", "--out", out]);
        finished(command)
    };
    let out = home.path().join("d");
    for _ in 0..2 {
        assert_code(&demo("d"), 0, &[]);
        assert_eq!(lines(&out.join("ExplanationOfBenefit.ndjson")).len(), 120);
    }
    // Files that a person put beside it stay.
    fs::write(out.join("notes.txt"), "mine").unwrap();
    assert_code(&demo("d"), 0, &[]);
    assert_eq!(fs::read_to_string(out.join("notes.txt")).unwrap(), "mine");
    // An archive without the mark belongs to someone.
    fs::remove_file(out.join(".bbdl/demo")).unwrap();
    let output = demo("d");
    assert_code(&output, 65, &[]);
    assert!(text(&output.stderr).contains("not from a demo") && !text(&output.stderr).contains("1. A mock"));
    assert_eq!(lines(&out.join("ExplanationOfBenefit.ndjson")).len(), 120);
}
