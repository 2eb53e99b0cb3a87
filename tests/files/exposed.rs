//! Directories that others may change are refused with a `chmod` to type. Files that others may read are told apart
//! from damaged ones, and the next fetch makes them private. A file that another program holds is neither.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, chown},
    path::Path,
    process::{Command, Stdio},
};

use super::{EOB, FETCH, SOMEBODY, error_of, give, mode, mode_of, run_line, said, soon};
use crate::support::{
    Setting, Stage, assert_code, has_programs,
    needs::{is_root, root_to, system_to},
    snapshot, text,
};
use serde_json::Value;

fn stage() -> Stage {
    Stage::logged_in(Setting { claims: 60, ..Setting::default() })
}

/// Expects a refusal with a `chmod` to type, and that this helps.
fn refused(stage: &Stage, command: &[&str], dir: &Path) {
    let output = soon(stage.bbdl(command)).expect("it hangs");
    assert_code(&output, 77, command);
    let error = error_of(&output);
    assert_eq!(error["kind"], "exposed", "{error}");
    let hint = error["hint"].as_str().unwrap();
    let typed = &hint[hint.find("chmod ").unwrap_or_else(|| panic!("{hint}"))..];
    assert!(typed.contains(&*dir.to_string_lossy()), "{hint}");
    assert_code(&run_line(stage, typed), 0, &[typed]);
    assert_eq!(mode_of(dir) & 0o022, 0, "{typed}");
}

#[test]
fn an_archive_that_others_may_write_to_is_refused() {
    let stage = stage();
    let out = stage.out();
    fs::create_dir(&out).unwrap();
    for open in [0o777, 0o770, 0o1777, 0o702] {
        mode(&out, open);
        refused(&stage, &FETCH, &out);
        assert!(fs::read_dir(&out).unwrap().next().is_none(), "nothing was made there");
    }
    stage.expect(0, &["fetch", "eob", "--out", "claims", "--format", "json"]);
    for inside in [".bbdl", "changes", "pages", "pages/ExplanationOfBenefit", ".bbdl/partial"] {
        let path = out.join(inside);
        fs::create_dir_all(&path).unwrap();
        for open in [0o777, 0o720] {
            mode(&path, open);
            let before = snapshot(&out);
            refused(&stage, &FETCH, &path);
            assert!(snapshot(&out) == before);
        }
        mode(&path, 0o700);
    }
    stage.expect(0, &FETCH);
}

#[test]
fn a_directory_for_all_profiles_that_others_may_write_to_is_refused() {
    let stage = stage();
    let all = stage.home.path().join("all");
    fs::create_dir(&all).unwrap();
    mode(&all, 0o777);
    refused(&stage, &["fetch", "eob", "--out", "all", "--all-profiles", "--json"], &all);
    assert!(fs::read_dir(&all).unwrap().next().is_none());
    stage.expect(0, &["fetch", "eob", "--out", "all", "--all-profiles"]);
}

#[test]
fn a_link_in_the_place_of_one_of_its_directories_is_not_followed() {
    let stage = stage();
    let (out, elsewhere) = (stage.out(), stage.home.path().join("elsewhere"));
    for inside in [".bbdl", "changes", "pages", ".bbdl/partial", ".bbdl/stage"] {
        let _ = fs::remove_dir_all(&out);
        let _ = fs::remove_dir_all(&elsewhere);
        stage.expect(0, &["fetch", "patient", "--out", "claims", "-q"]);
        let _ = fs::remove_dir_all(out.join(inside));
        fs::create_dir_all(elsewhere.join("mine")).unwrap();
        fs::write(elsewhere.join("mine/letter"), "Dear Mum").unwrap();
        std::os::unix::fs::symlink(&elsewhere, out.join(inside)).unwrap();
        let output = soon(stage.bbdl(&["fetch", "eob", "--out", "claims", "--json", "--format", "json"])).unwrap();
        assert_code(&output, 77, &[inside]);
        assert!(error_of(&output)["hint"].as_str().unwrap().contains("rm "), "{}", said(&output));
        assert_eq!(snapshot(&elsewhere).len(), 1, "{inside}");
    }
}

/// With this, another local user once got whole files of claims.
#[test]
fn a_prepared_directory_cannot_leak_claims() {
    if !is_root() {
        return root_to("give a file to another user");
    }
    let stage = stage();
    let out = stage.out();
    let theirs =
        ["claims/.bbdl/partial/ExplanationOfBenefit.ndjson", "claims/.bbdl/lock", "claims/ExplanationOfBenefit.ndjson"];
    for (directory, owner) in [(0o777, 0), (0o1777, 0), (0o755, SOMEBODY), (0o777, SOMEBODY)] {
        let _ = fs::remove_dir_all(&out);
        fs::create_dir_all(out.join(".bbdl/partial")).unwrap();
        // Open from before: a process that has a file open reads what comes later.
        let mut open = Vec::new();
        for file in theirs {
            let path = stage.home.path().join(file);
            open.push(fs::OpenOptions::new().create_new(true).read(true).append(true).mode(0o666).open(path).unwrap());
        }
        give(&out, SOMEBODY);
        chown(&out, Some(owner), Some(owner)).unwrap();
        for dir in [out.join(".bbdl/partial"), out.join(".bbdl"), out.clone()] {
            mode(&dir, directory);
        }
        let output = soon(stage.bbdl(&FETCH)).unwrap();
        assert_code(&output, 77, &[&format!("{directory:o}"), &owner.to_string()]);
        assert!(open.iter().all(|file| file.metadata().unwrap().len() == 0), "{}", said(&output));
    }
}

/// The directory is private again, but another user still has one of their files open, and a pull would continue with
/// that file.
#[test]
fn files_planted_before_a_directory_was_closed_are_not_written_to() {
    if !is_root() {
        return root_to("give a file to another user");
    }
    let stage = Stage::logged_in(Setting { claims: 240, ..Setting::default() });
    let out = stage.out();
    stage.faults(&["status=502@ExplanationOfBenefit+2"]);
    stage.expect(75, &["fetch", "eob", "--out", "claims", "--json", "--retry", "0"]);
    stage.faults(&[]);
    let lines = out.join(".bbdl/partial/ExplanationOfBenefit.ndjson");
    let theirs = fs::OpenOptions::new().read(true).open(&lines).unwrap();
    let before = theirs.metadata().unwrap().len();
    assert!(before > 0);
    chown(&lines, Some(SOMEBODY), None).unwrap();
    let output = soon(stage.bbdl(&FETCH)).unwrap();
    assert_code(&output, 74, &FETCH);
    assert!(error_of(&output)["message"].as_str().unwrap().contains("another user"), "{}", said(&output));
    assert_eq!(theirs.metadata().unwrap().len(), before);
}

#[test]
fn an_archive_of_another_user_is_read_but_not_written() {
    if !is_root() {
        return root_to("give a file to another user");
    }
    let stage = stage();
    stage.expect(0, &FETCH);
    give(&stage.out(), SOMEBODY);
    let output = soon(stage.bbdl(&FETCH)).unwrap();
    assert_code(&output, 77, &FETCH);
    let error = error_of(&output);
    assert!(error["message"].as_str().unwrap().contains("another user"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("chown"), "{error}");
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
}

/// `verify` on an archive from another person once emptied the token file.
#[test]
fn looking_at_an_archive_empties_no_token_file() {
    let stage = stage();
    stage.expect(0, &FETCH);
    let (out, tokens) = (stage.out(), stage.home.path().join("tokens/default.json"));
    let kept = fs::read(&tokens).unwrap();
    // So that `verify` reaches the lock.
    fs::OpenOptions::new().append(true).open(out.join(EOB)).unwrap().write_all(b"x\n").unwrap();
    for plant in ["ln -s", "ln"] {
        fs::remove_file(out.join(".bbdl/lock")).unwrap();
        assert_code(
            &run_line(&stage, &format!("{plant} '{}' '{}'", tokens.display(), out.join(".bbdl/lock").display())),
            0,
            &[],
        );
        let output = soon(stage.bbdl(&["verify", "claims", "--json"])).unwrap();
        assert_code(&output, 65, &[plant]);
        assert!(fs::read(&tokens).unwrap() == kept, "{plant}");
    }
}

#[test]
fn a_home_that_others_may_write_to_is_refused() {
    let stage = stage();
    let home = stage.home.path();
    for (inside, open) in [("", 0o777), ("", 0o730), ("profiles", 0o777), ("locks", 0o770), ("tokens", 0o707)] {
        let dir = if inside.is_empty() { home.to_owned() } else { home.join(inside) };
        for command in [&["status", "--json"][..], &FETCH, &["purge", "--yes", "--json"], &["logout", "--json"]] {
            mode(&dir, open);
            refused(&stage, command, &dir);
        }
        mode(&dir, open);
        let doctor = stage.expect_json(78, &["doctor", "--json"]);
        assert!(doctor.to_string().contains("chmod go-w "), "{doctor}");
        // These commands need nothing from it.
        stage.expect(0, &["completions", "bash"]);
        mode(&dir, 0o700);
    }
    mode(home, 0o755);
    stage.expect(0, &["status"]);
}

#[test]
fn an_exposed_archive_is_not_called_damaged_and_the_next_fetch_fixes_it() {
    let stage = stage();
    stage.expect(0, &["fetch", "all", "--out", "claims", "--format", "json", "-q"]);
    stage.control("POST", "claims", r#"{"add": 1}"#);
    stage.expect(0, &["fetch", "eob", "--out", "claims", "--format", "json", "-q"]);
    let out = stage.out();
    let changes = fs::read_dir(out.join("changes")).unwrap().next().unwrap().unwrap().path();
    let page = out.join("pages/ExplanationOfBenefit/0001.json");
    let verify = ["verify", "claims", "--json"];
    for (path, open) in [
        (out.join(EOB), 0o644),
        (out.join("manifest.json"), 0o640),
        (out.join(".bbdl"), 0o755),
        (out.join("pages"), 0o711),
        (changes, 0o604),
        (page, 0o660),
        (out.clone(), 0o775),
    ] {
        let closed = mode_of(&path);
        let at = path.display();
        mode(&path, open);
        let report = stage.expect_json(77, &verify);
        assert_eq!((&report["ok"], &report["kind"]), (&Value::from(false), &Value::from("exposed")), "{at}: {report}");
        assert!(report["resources"]["ExplanationOfBenefit"]["sha256_ok"] == true, "{report}");
        let said = stage.run(&["verify", "claims"]);
        let remedy = report["remedy"].as_str().unwrap();
        let said = text(&said.stderr);
        let (words, command) = said.trim_end().rsplit_once("un: ").unwrap();
        assert!(command == remedy && remedy.starts_with("chmod "), "{said}");
        assert_eq!(words.contains("The next fetch does this, too."), path != out, "{said}");
        assert_code(&run_line(&stage, remedy), 0, &[remedy]);
        assert_eq!(stage.expect_json(0, &verify)["ok"], true, "{at}: {remedy}");
        if path != out {
            mode(&path, open & !0o022);
            let output = stage.run(&["fetch", "eob", "--out", "claims", "--format", "json"]);
            assert_code(&output, 0, &["fetch"]);
            assert!(text(&output.stderr).contains("were open to others"), "{at}: {}", text(&output.stderr));
            assert_eq!(stage.expect_json(0, &verify)["ok"], true, "{at}");
        }
        mode(&path, closed);
    }
    // Damage is worse.
    mode(&out.join(EOB), 0o644);
    fs::OpenOptions::new().append(true).open(out.join(EOB)).unwrap().write_all(b"x\n").unwrap();
    let report = stage.expect_json(65, &verify);
    assert_eq!(report["kind"], "archive", "{report}");
    assert!(report["problems"].to_string().contains("mode 644"), "{report}");
}

/// Does what Samba does for its clients: it takes a lease, which the system asks back when another program opens the
/// file.
#[test]
fn a_file_that_another_program_holds_is_not_damaged() {
    if !has_programs(&["python3"]) {
        return;
    }
    let stage = stage();
    stage.expect(0, &FETCH);
    for (file, command) in [
        (EOB, &["verify", "claims", "--json"][..]),
        (EOB, &["export", "claims", "--to", "csv", "--output", "tables", "--json"]),
        ("manifest.json", &["verify", "claims", "--json"]),
        ("manifest.json", &FETCH),
        (".bbdl/lock", &FETCH),
    ] {
        let script = "
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()";
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(stage.out().join(file)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = python.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut line).unwrap();
        if line.trim() != "held" {
            let _ = holder.wait();
            return system_to("lease a file");
        }
        let output = soon(stage.bbdl(command));
        drop(holder.stdin.take());
        holder.wait().unwrap();
        let output = output.unwrap_or_else(|| panic!("{command:?} hangs at {file}"));
        assert_code(&output, 75, command);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let kind = if result["error"].is_null() { &result["kind"] } else { &result["error"]["kind"] };
        assert_eq!(kind, "in_use", "{file}: {result}");
        assert!(result.to_string().contains("another program has it open"), "{file}: {result}");
    }
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
}

#[test]
fn the_output_directory_may_be_a_link() {
    let stage = stage();
    let (disk, link) = (stage.home.path().join("disk"), stage.home.path().join("link"));
    fs::create_dir(&disk).unwrap();
    std::os::unix::fs::symlink(&disk, &link).unwrap();
    stage.expect(0, &["fetch", "eob", "--out", "link"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && disk.join(EOB).exists());
    assert_eq!(stage.expect_json(0, &["verify", "link", "--json"])["ok"], true);
    // The target of the link has to be safe.
    mode(&disk, 0o777);
    refused(&stage, &["fetch", "eob", "--out", "link", "--json"], &disk);
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    assert_eq!(stage.expect_json(74, &["fetch", "eob", "--out", "link", "--json"])["error"]["kind"], "disk");
    assert!(!stage.home.path().join("nowhere").exists());
}

#[test]
fn nobody_is_promised_that_fetch_closes_the_archive_of_another_user() {
    if !is_root() {
        return root_to("give a directory away");
    }
    let stage = stage();
    stage.expect(0, &FETCH);
    mode(&stage.out().join(EOB), 0o644);
    give(&stage.out(), SOMEBODY);
    let output = stage.run(&["verify", "claims"]);
    assert_code(&output, 77, &["verify"]);
    let said = text(&output.stderr);
    assert!(said.contains("sudo chown -R ") && !said.contains("next fetch"), "{said}");
    let report = stage.expect_json(77, &["verify", "claims", "--json"]);
    let remedy = report["remedy"].as_str().unwrap();
    assert!(said.trim_end().ends_with(remedy), "{remedy}: {said}");
}
