//! File systems without permissions, without locks, that cannot sync directories, and with files that cannot be
//! replaced or read. A small library in front of the C library simulates them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{FETCH, error_of, mode, said, soon};
use crate::support::{Setting, Stage, assert_code, finished, has_programs, snapshot, text};

/// The compiled library; `None` if there is no compiler.
fn library(dir: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/odd_filesystem.c");
    let library = dir.join("odd_filesystem.so");
    let mut cc = Command::new("cc");
    if !has_programs(&["cc"]) {
        return None;
    }
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert_code(&finished(cc), 0, &["cc"]);
    Some(library)
}

struct Odd {
    stage: Stage,
    library: PathBuf,
}

impl Odd {
    fn new() -> Option<Self> {
        let stage = Stage::logged_in(Setting { claims: 60, ..Setting::default() });
        let library = library(stage.home.path())?;
        Some(Self { stage, library })
    }

    /// The command, with one directory of the home on such a file system.
    fn on(&self, lacks: &str, dir: &str, arguments: &[&str]) -> Command {
        let mut command = self.stage.bbdl(arguments);
        command.env("LD_PRELOAD", &self.library).env("ODDFS", lacks).env("ODDPATH", self.stage.home.path().join(dir));
        command
    }

    fn run(&self, lacks: &str, dir: &str, arguments: &[&str]) -> Output {
        soon(self.on(lacks, dir, arguments)).expect("it hangs")
    }
}

fn warnings(output: &Output) -> Vec<String> {
    text(&output.stderr).lines().filter(|line| line.starts_with("warning:")).map(str::to_owned).collect()
}

#[test]
fn an_archive_works_where_no_permissions_are_kept_with_one_warning() {
    let Some(odd) = Odd::new() else { return };
    let out = odd.stage.out();
    for lacks in ["nochmod", "quietchmod"] {
        let _ = fs::remove_dir_all(&out);
        for round in 0..2 {
            let output = odd.run(lacks, "claims", &["fetch", "eob", "--out", "claims"]);
            assert_code(&output, 0, &[lacks]);
            let warnings = warnings(&output);
            assert!(warnings.len() == 1 && warnings[0].contains("keeps no permissions"), "{round}: {warnings:?}");
            // Like such a disk, which shows everything on it to everyone.
            assert_code(&super::run_line(&odd.stage, &format!("chmod -R 777 '{}'", out.display())), 0, &[]);
        }
        // Nothing can be fixed there, and nothing is damaged.
        let output = odd.run(lacks, "claims", &["verify", "claims", "--json"]);
        assert_code(&output, 0, &["verify"]);
        assert_eq!(warnings(&output).len(), 1, "{}", said(&output));
        // The same on a disk that keeps permissions is refused.
        assert_code(&odd.stage.run(&FETCH), 77, &["fetch"]);
    }
}

#[test]
fn tokens_are_refused_on_file_systems_without_permissions() {
    let Some(odd) = Odd::new() else { return };
    let home = odd.stage.home.path().join("stick");
    for lacks in ["nochmod", "quietchmod"] {
        for open in [0o700, 0o777] {
            let _ = fs::remove_dir_all(&home);
            fs::create_dir(&home).unwrap();
            mode(&home, open);
            let mut login = odd.stage.login_command(&["--json"]);
            login.env("BBDL_HOME", &home).env("LD_PRELOAD", &odd.library).env("ODDFS", lacks).env("ODDPATH", &home);
            let output = soon(login).expect("it waits for a browser");
            assert!(matches!(output.status.code(), Some(74 | 77 | 78)), "{lacks} {open:o}: {}", said(&output));
            assert!(error_of(&output).to_string().contains("permissions"), "{lacks} {open:o}: {}", said(&output));
            let tokens = fs::read_dir(home.join("tokens")).into_iter().flatten().flatten().count();
            assert_eq!(tokens, 0, "{lacks} {open:o}");
        }
    }
}

#[test]
fn an_archive_works_where_directories_cannot_be_synced() {
    let Some(odd) = Odd::new() else { return };
    for _ in 0..2 {
        let output = odd.run("nodirsync", "claims", &["fetch", "all", "--out", "claims", "--format", "json"]);
        assert_code(&output, 0, &["nodirsync"]);
        let warnings = warnings(&output);
        assert!(warnings.len() == 1 && warnings[0].contains("after a power failure"), "{warnings:?}");
    }
    assert_code(&odd.run("nodirsync", "claims", &["verify", "claims"]), 0, &["verify"]);
    // Both at once give two messages.
    let output = odd.run("nodirsync,nochmod", "claims", &["fetch", "eob", "--out", "claims"]);
    assert_eq!(warnings(&output).len(), 2, "{}", said(&output));
}

#[test]
fn a_file_system_without_locks_is_reported() {
    let Some(odd) = Odd::new() else { return };
    let output = odd.run("noflock", "claims", &FETCH);
    assert_code(&output, 74, &["noflock"]);
    let error = error_of(&output);
    assert!(error["hint"].as_str().unwrap().contains("no locks") && error["kind"] == "disk", "{error}");
    assert!(!odd.stage.out().join("manifest.json").exists());
    let output = odd.run("noflock", "locks", &["logout", "--local", "--json"]);
    assert_code(&output, 74, &["noflock", "locks"]);
    assert!(error_of(&output)["hint"].as_str().unwrap().contains("no locks"), "{}", said(&output));
}

#[test]
fn a_file_that_cannot_be_replaced_leaves_the_archive_as_it_was() {
    let Some(odd) = Odd::new() else { return };
    odd.stage.expect(0, &FETCH);
    let before = snapshot(&odd.stage.out());
    odd.stage.control("POST", "claims", r#"{"add": 5}"#);
    for lacks in ["busyrename", "exdev"] {
        let output = odd.run(lacks, "claims/ExplanationOfBenefit.ndjson", &FETCH);
        assert_code(&output, 74, &[lacks]);
        assert!(!error_of(&output)["hint"].as_str().unwrap().is_empty(), "{}", said(&output));
        assert!(snapshot(&odd.stage.out()) == before, "{lacks}");
    }
    // Files that were complete but not in place are put there when that is possible.
    odd.stage.expect(0, &FETCH);
    let report = odd.stage.expect_json(0, &["verify", "claims", "--json"]);
    assert_eq!(report["resources"]["ExplanationOfBenefit"]["count"], 65);
}

/// The only copy of the newest tokens may be beside the token file (`NAME.next`).
#[test]
fn tokens_that_cannot_be_read_at_this_moment_are_not_written_over() {
    let Some(odd) = Odd::new() else { return };
    let tokens = odd.stage.home.path().join("tokens");
    let (file, next) = (tokens.join("default.json"), tokens.join("default.next"));
    let spent = fs::read(&file).unwrap();
    odd.stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    odd.stage.expect(0, &FETCH);
    // As if the file could not be replaced: the newest record is beside the old one.
    fs::rename(&file, &next).unwrap();
    fs::write(&file, spent).unwrap();
    mode(&file, 0o600);
    odd.stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    let newest = fs::read(&next).unwrap();
    for unreadable in ["tokens/default.next", "tokens/default.json"] {
        odd.stage.asked();
        let output = odd.run("noread", unreadable, &FETCH);
        assert_code(&output, 74, &[unreadable]);
        assert!(odd.stage.asked().is_empty(), "{unreadable}: no token is sent");
        assert_eq!(fs::read(&next).unwrap(), newest, "{unreadable}");
    }
    odd.stage.expect(0, &FETCH);
}
