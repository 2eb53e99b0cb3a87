//! System limits: too few threads, files, bytes. Every run ends soon by itself and names its cause. Also, how a
//! process protects its secrets in memory.

use std::{fs, os::unix::fs::MetadataExt, process::Output};

use super::{EOB, FETCH, error_of, said, soon, unprivileged};
use crate::support::{
    Running, Setting, Signal, Stage, assert_code,
    needs::{is_root, root_to},
    signal, snapshot, text,
};

fn stage() -> Stage {
    Stage::logged_in(Setting { claims: 120, ..Setting::default() })
}

fn limited(stage: &Stage, limit: &str, arguments: &[&str]) -> Output {
    let command = unprivileged(stage, &stage.bbdl(arguments), limit);
    soon(command).unwrap_or_else(|| panic!("{arguments:?} hangs under {limit}"))
}

/// It worked, or it says what is missing.
fn ends_with_its_cause(output: &Output, what: &str) {
    let what = format!("{what}: {}", said(output));
    assert!(matches!(output.status.code(), Some(0 | 74 | 78)), "{what}");
    if output.status.code() != Some(0) {
        let said = text(&output.stderr);
        assert!(said.contains("error: ") && said.contains("next: ") && !said.contains("defect"), "{what}");
    }
}

#[test]
fn a_low_limit_of_processes_is_reported() {
    if !is_root() {
        // The person who runs the tests has other processes, which must not count.
        return root_to("start a program as a user who has no other processes");
    }
    let stage = stage();
    let commands: [&[&str]; 4] =
        [&FETCH, &["status", "--online", "--json"], &["doctor", "--json"], &["logout", "--json"]];
    for command in commands {
        for allowed in [1, 2, 3, 4, 6, 9] {
            // Nine runs, because some hung only occasionally.
            for _ in 0..if command == FETCH { 9 } else { 1 } {
                let output = limited(&stage, &format!("ulimit -u {allowed};"), command);
                if output.status.code() == Some(126) || text(&output.stderr).contains("fork") {
                    continue;
                }
                ends_with_its_cause(&output, &format!("ulimit -u {allowed}, {command:?}"));
                if allowed <= 3 && command == FETCH {
                    assert_eq!(error_of(&output)["kind"], "limit", "{}", said(&output));
                    assert!(text(&output.stderr).contains("ulimit -u"), "{}", said(&output));
                }
            }
        }
    }
}

#[test]
fn a_low_limit_of_open_files_is_reported() {
    let stage = stage();
    let commands: [&[&str]; 5] = [
        &FETCH,
        &["verify", "claims", "--json"],
        &["status", "--json"],
        &["status", "--online", "--json"],
        &["report", "claims", "--output", "x.html", "--json"],
    ];
    stage.expect(0, &FETCH);
    for command in commands {
        for allowed in 3..24 {
            stage.control("POST", "claims", r#"{"add": 1}"#);
            let output = limited(&stage, &format!("ulimit -n {allowed};"), command);
            // With less than this, the system cannot even load the program.
            if output.status.code() == Some(127) {
                continue;
            }
            let what = format!("ulimit -n {allowed}, {command:?}: {}", said(&output));
            assert!(matches!(output.status.code(), Some(0 | 65 | 74 | 75 | 78)), "{what}");
            assert!(!what.contains("defect"), "{what}");
            if (4..=8).contains(&allowed) && output.status.code() != Some(0) {
                ends_with_its_cause(&output, &what);
            }
        }
    }
    let report = limited(&stage, "", &["verify", "claims", "--json"]);
    assert_code(&report, 0, &["verify"]);
}

#[test]
fn a_file_size_limit_is_reported_and_leaves_the_archive_unchanged() {
    let stage = stage();
    // In blocks of 1,024 bytes.
    for blocks in [1, 16, 64] {
        let output = limited(&stage, &format!("ulimit -f {blocks};"), &FETCH);
        assert_code(&output, 74, &[&blocks.to_string()]);
        assert!(text(&output.stderr).contains("ulimit -f"), "{}", said(&output));
    }
    let whole = limited(&stage, "", &FETCH);
    assert_code(&whole, 0, &FETCH);
    let before = snapshot(&stage.out());
    stage.control("POST", "claims", r#"{"add": 50}"#);
    for (blocks, command) in [
        (64, &FETCH[..]),
        (16, &["report", "claims", "--output", "x.html", "--json"]),
        (16, &["export", "claims", "--to", "sqlite", "--output", "x.db", "--json"]),
        (16, &["export", "claims", "--to", "csv", "--output", "tables", "--json"]),
        (16, &["export", "claims", "--to", "parquet", "--output", "tables", "--json"]),
        (0, &["verify", "claims"]),
    ] {
        let output = limited(&stage, &format!("ulimit -f {blocks};"), command);
        let code = if blocks == 0 { 0 } else { 74 };
        assert_code(&output, code, command);
        assert!(snapshot(&stage.out()) == before, "{command:?}");
    }
    let to_a_file = "ulimit -f 16; exec >sink;";
    assert_code(&limited(&stage, to_a_file, &["fetch", "eob", "--out", "-"]), 74, &["--out", "-"]);
    assert_code(&limited(&stage, "", &FETCH), 0, &FETCH);
    assert_code(&limited(&stage, "", &["verify", "claims", "--json"]), 0, &["verify"]);
    assert!(stage.out().join(EOB).exists());
}

/// Neither a core file nor another program of the same user gets the contents of the memory.
#[test]
#[cfg(target_os = "linux")]
fn no_core_file_and_no_access_to_memory() {
    let stage = Stage::new();
    let login = stage.login_command(&[]);
    let mut running = Running::start(unprivileged(&stage, &login, "ulimit -c unlimited;"));
    running.authorize_url();
    let process = format!("/proc/{}", running.id());
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
    // Only root may read these files of a process that cannot be dumped (proc(5)).
    for file in ["mem", "environ", "maps"] {
        assert_eq!(fs::symlink_metadata(format!("{process}/{file}")).unwrap().uid(), 0, "{file}");
    }
    signal(running.id(), Signal::ABORT);
    let output = running.finish();
    assert!(!std::os::unix::process::ExitStatusExt::core_dumped(&output.status), "{:?}", output.status);
}
