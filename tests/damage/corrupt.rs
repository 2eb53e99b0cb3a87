//! A damaged archive: damage is refused and not touched, an unfinished pull starts again, and nothing on the disk can
//! lead bbdl to other files.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use serde_json::{Value, json};

use super::{FETCH, claims_in, eob, snapshot};
use crate::support::{Setting, Stage, assert_code, finished, listener::counting, private, set_mode, slim::Slim};

const FULL: [&str; 6] = ["fetch", "eob", "--out", "claims", "--json", "--full"];
const CLAIMS: usize = 240;
const NDJSON: &str = "ExplanationOfBenefit.ndjson";

fn stage() -> Stage {
    Stage::logged_in(Setting { records: Some(Slim::of(CLAIMS)), ..Setting::default() })
}

/// An archive, and a server that has had news since.
fn behind() -> Stage {
    let stage = stage();
    stage.expect(0, &FETCH);
    stage.control("POST", "claims", r#"{"add": 10, "update": 5}"#);
    stage
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    set_mode(to, 0o700);
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    private(path);
}

/// Changes a file's text. Fails if that changes nothing.
fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let before = fs::read_to_string(path).unwrap();
    let after = change(before.clone());
    assert_ne!(before, after);
    fs::write(path, after).unwrap();
}

/// Restores the archive from a copy of `good`.
fn restore(stage: &Stage, good: &Path) {
    let _ = fs::remove_dir_all(stage.out());
    copy(good, &stage.out());
}

/// A way to damage the archive at a path.
type Damage = (&'static str, fn(&Path));

#[test]
fn damaged_claims_are_refused_and_a_full_pull_repairs_them() {
    let stage = behind();
    let good = stage.home.path().join("good");
    copy(&stage.out(), &good);
    let damages: [Damage; 7] = [
        ("cut in a line", |out| edit(&out.join(NDJSON), |text| text[..text.len() / 2].to_owned())),
        ("cut after a line", |out| {
            edit(&out.join(NDJSON), |text| text[..=text[..text.len() / 2].rfind('\n').unwrap()].to_owned());
        }),
        ("a byte changed", |out| edit(&out.join(NDJSON), |text| text.replacen("remark ", "remorse", 1))),
        ("a byte of JSON changed", |out| edit(&out.join(NDJSON), |text| text.replacen('{', "[", 1))),
        ("not text", |out| fs::write(out.join(NDJSON), [0xff; 4000]).unwrap()),
        ("empty", |out| fs::write(out.join(NDJSON), "").unwrap()),
        ("missing", |out| fs::remove_file(out.join(NDJSON)).unwrap()),
    ];
    for (what, damage) in damages {
        restore(&stage, &good);
        damage(&stage.out());
        let before = snapshot(&stage.out());
        let report = stage.expect_json(65, &["verify", "claims", "--json"]);
        assert_eq!(report["ok"], false, "{what}");
        let result = stage.expect_json(65, &FETCH);
        assert_eq!(result["error"]["kind"], "archive", "{what}: {result}");
        assert!(result["error"]["hint"].as_str().unwrap().contains("--full"), "{what}: {result}");
        assert!(snapshot(&stage.out()) == before, "{what}");
        let result = stage.expect_json(0, &FULL);
        assert_eq!(eob(&result)["count"], 250, "{what}: {result}");
        assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true, "{what}");
        // The next pull continues from there.
        assert_eq!(eob(&stage.expect_json(0, &FETCH))["mode"], "incremental", "{what}");
    }
}

#[test]
fn an_invalid_manifest_is_left_untouched() {
    let stage = behind();
    let manifest = stage.out().join("manifest.json");
    let good = fs::read_to_string(&manifest).unwrap();
    for bad in [
        "",
        "{",
        "\0\0\0\0",
        "[]",
        "null",
        "{}",
        &good[..good.len() - 20],
        &good.replace("\"version\": 1", "\"version\": 2"),
        &good.replace("bbdl-archive", "another-archive"),
        &good.replace("\"ExplanationOfBenefit.ndjson\"", "\"../outside.ndjson\""),
        &good.replace("\"ExplanationOfBenefit.ndjson\"", "\"/etc/passwd\""),
        &good.replace("\"sha256\"", "\"md5\""),
        &good.replace("\"count\": 240", "\"count\": -240"),
    ] {
        assert_ne!(bad, good);
        fs::write(&manifest, bad).unwrap();
        let before = snapshot(&stage.out());
        stage.asked();
        for arguments in [&FETCH[..], &FULL, &["verify", "claims", "--json"]] {
            let result = stage.expect_json(65, arguments);
            assert_eq!(result["error"]["kind"], "manifest", "{bad:?}: {result}");
            assert!(snapshot(&stage.out()) == before, "{bad:?}");
        }
        assert!(!stage.asked().iter().any(|row| row.contains("/fhir/")), "asked for nothing that can be kept");
    }
    // Without a manifest, nothing says whose claims these are. Another person's pull would have replaced them.
    fs::remove_file(&manifest).unwrap();
    let before = snapshot(&stage.out());
    for arguments in [&FETCH[..], &FULL] {
        let result = stage.expect_json(65, arguments);
        assert_eq!(result["error"]["kind"], "manifest", "{result}");
        assert!(result["error"]["hint"].as_str().unwrap().contains("Restore manifest.json"), "{result}");
        assert!(snapshot(&stage.out()) == before, "{arguments:?}");
    }
    stage.expect(65, &["verify", "claims", "--json"]);
    fs::write(&manifest, good).unwrap();
    private(&manifest);
    stage.expect_json(0, &FETCH);
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
}

/// Runs the command that `verify` suggests, for an archive with filters and of a profile with a name.
#[cfg(unix)]
#[test]
fn the_remedy_of_verify_cures() {
    use std::os::unix::fs::symlink;
    let stage = Stage::with(Setting { claims: 40, ..Setting::default() });
    stage.log_in(&["--profile", "mom"]);
    let fetch = ["fetch", "eob", "--profile", "mom", "--type", "carrier,pde", "--service-date", "ge2000-01-01"];
    type Damage = fn(&Path, &Path);
    let damages: [(&str, Damage); 6] = [
        ("missing", |file, _| fs::remove_file(file).unwrap()),
        ("changed", |file, _| fs::write(file, "{}\n").unwrap()),
        ("link", |file, aside| {
            fs::rename(file, aside).unwrap();
            symlink(aside, file).unwrap();
        }),
        ("hard-link", |file, aside| fs::hard_link(file, aside).unwrap()),
        ("directory", |file, _| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        }),
        ("history", |file, _| {
            let history = file.with_file_name("pulls.ndjson");
            fs::write(&history, "garbage\n").unwrap();
            private(&history);
        }),
    ];
    for (what, damage) in damages {
        let out = format!("my-claims-{what}");
        stage.expect(0, &[&fetch[..], &["--out", &out]].concat());
        let aside = stage.home.path().join(format!("aside {what}"));
        damage(&stage.home.path().join(&out).join("ExplanationOfBenefit.ndjson"), &aside);
        let report = stage.expect_json(65, &["verify", &out, "--json"]);
        let remedy = report["remedy"].as_str().unwrap();
        let bbdl = stage.bbdl(&[]);
        let mut typed = std::process::Command::new("bash");
        let dir = Path::new(bbdl.get_program()).parent().unwrap().display().to_string();
        typed.args(["-c", remedy]).current_dir(stage.home.path());
        typed.envs(bbdl.get_envs().filter_map(|(key, value)| Some((key, value?))));
        typed.env("PATH", format!("{dir}:{}", std::env::var("PATH").unwrap()));
        assert_code(&finished(typed), 0, &[what, remedy]);
        assert_eq!(stage.expect_json(0, &["verify", &out, "--json"])["ok"], true, "{what}: {remedy}");
    }
}

#[test]
fn an_invalid_commit_note_is_not_carried_out() {
    let stage = behind();
    let note = stage.out().join(".bbdl/commit.json");
    let before = snapshot(&stage.out());
    let precious = stage.home.path().join("precious");
    fs::write(&precious, "x").unwrap();
    let step = |from: &str, to: &str| json!({"moves": [{"from": from, "to": to}]}).to_string();
    for bad in [
        "garbage",
        "",
        "{\"moves\": 1}",
        &step(".bbdl/stage/x", "../precious"),
        &step("../precious", "manifest.json"),
        &step(&precious.display().to_string(), "ExplanationOfBenefit.ndjson"),
        &step(".bbdl/stage/x", &precious.display().to_string()),
        r#"{"moves": [], "removals": ["../precious"]}"#,
        r#"{"moves": [], "removals": [".bbdl"]}"#,
    ] {
        write(&note, bad.as_bytes());
        write(&stage.out().join(".bbdl/stage/x"), b"y");
        for arguments in [&FETCH[..], &FULL, &["verify", "claims", "--json"]] {
            assert_eq!(stage.expect_json(65, arguments)["error"]["kind"], "archive", "{bad}");
            assert!(snapshot(&stage.out()) == before, "{bad}");
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "x", "{bad}");
    }
    fs::remove_file(&note).unwrap();
    // Files in the stage without a commit belong to no pull.
    write(&stage.out().join(".bbdl/stage/ExplanationOfBenefit.ndjson"), b"half a file");
    write(&stage.out().join(".bbdl/stage/pages/0001.json"), b"half a page");
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
    assert_eq!(eob(&stage.expect_json(0, &FETCH))["added"], 10);
    assert!(!stage.out().join(".bbdl/stage").exists());
}

/// Two pages of five are there, and the journal says where the third is.
fn begun(stage: &Stage) -> PathBuf {
    let _ = fs::remove_dir_all(stage.out());
    stage.faults(&["status=502@ExplanationOfBenefit+2"]);
    stage.expect(75, &["fetch", "eob", "--out", "claims", "--json", "--retry", "0"]);
    stage.faults(&[]);
    stage.asked();
    stage.out().join(".bbdl/partial/ExplanationOfBenefit.journal")
}

/// The journal with each of its checkpoints changed.
fn with_marks(journal: &Path, change: impl Fn(&mut Value)) {
    let text = fs::read_to_string(journal).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "a head and two marks");
    lines[1..].iter_mut().for_each(change);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(journal, text).unwrap();
}

#[test]
fn a_journal_cannot_redirect_requests_to_another_server() {
    let stage = stage();
    stage.expect(0, &["fetch", "eob", "--out", "whole"]);
    let whole = claims_in(&stage.home.path().join("whole"));
    let (url, visits) = counting();
    let host = url.strip_prefix("http://").unwrap();
    let search = "/v2/fhir/ExplanationOfBenefit";
    for next in [
        format!("{url}{search}?startIndex=100"),
        format!("//{host}{search}?startIndex=100"),
        format!("/\\{host}{search}?startIndex=100"),
        format!("http://user:word@{host}{search}?startIndex=100"),
        format!("{}@{host}{search}?startIndex=100", stage.mock.url()),
        "/v2/o/token/".to_owned(),
        "/v2/o/revoke/?token=x".to_owned(),
        "/v2/fhir/Patient?startIndex=100".to_owned(),
        format!("{search}/../Patient?startIndex=100"),
        format!("{search}/%2e%2e/Patient"),
        "../connect/userinfo".to_owned(),
        "file:///etc/passwd".to_owned(),
        "javascript:alert(1)".to_owned(),
        String::new(),
    ] {
        let journal = begun(&stage);
        with_marks(&journal, |mark| mark["next"] = json!(next));
        let result = stage.expect_json(0, &FETCH);
        assert_eq!(eob(&result)["count"], CLAIMS, "{next}");
        let asked = stage.asked();
        assert!(asked.iter().all(|row| row.starts_with("GET /v2/fhir/ExplanationOfBenefit?")), "{next}: {asked:?}");
        assert!(claims_in(&stage.out()) == whole, "{next}");
    }
    // A place further ahead in the same search. The total shows that something is missing.
    for skipped in [150, 200, 1000] {
        let journal = begun(&stage);
        let next = format!("{search}?_count=50&startIndex={skipped}");
        with_marks(&journal, |mark| mark["next"] = json!(next));
        let result = stage.expect_json(0, &FETCH);
        assert_eq!(eob(&result)["count"], CLAIMS, "{next}: {result}");
        assert!(claims_in(&stage.out()) == whole, "{next}");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[test]
fn a_damaged_partial_pull_starts_again() {
    let stage = stage();
    stage.expect(0, &["fetch", "eob", "--out", "whole"]);
    let whole = claims_in(&stage.home.path().join("whole"));
    let lines = |journal: &Path| journal.with_extension("ndjson");
    let damages: [Damage; 12] = [
        ("garbage", |journal| fs::write(journal, "garbage\n").unwrap()),
        ("bytes", |journal| fs::write(journal, [0xff; 300]).unwrap()),
        ("empty", |journal| fs::write(journal, "").unwrap()),
        ("missing", |journal| fs::remove_file(journal).unwrap()),
        ("no marks", |journal| {
            edit(journal, |text| format!("{}\n", text.lines().next().unwrap()));
        }),
        ("half a mark", |journal| edit(journal, |text| text[..text.len() - 30].to_owned())),
        ("a mark behind the end", |journal| with_marks(journal, |mark| mark["bytes"] = json!(9_999_999_999_u64))),
        ("a negative mark", |journal| with_marks(journal, |mark| mark["bytes"] = json!(-1))),
        ("more pages than there are", |journal| with_marks(journal, |mark| mark["pages"] = json!(4))),
        ("another total", |journal| with_marks(journal, |mark| mark["total"] = json!(100))),
        ("no total", |journal| with_marks(journal, |mark| mark["total"] = Value::Null)),
        ("a line without an end", |journal| {
            fs::OpenOptions::new().append(true).open(journal).unwrap().write_all(b"{\"bytes\":").unwrap();
        }),
    ];
    for (what, damage) in damages {
        let journal = begun(&stage);
        damage(&journal);
        assert_eq!(eob(&stage.expect_json(0, &FETCH))["count"], CLAIMS, "{what}");
        assert!(claims_in(&stage.out()) == whole, "{what}");
        assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true, "{what}");
    }
    for (what, damage) in [
        ("cut", (|path| edit(path, |text| text[..text.len() / 2].to_owned())) as fn(&Path)),
        ("a byte changed", |path| edit(path, |text| text.replacen("remark ", "remorse", 1))),
        ("another's", |path| edit(path, |text| text.replacen("Patient/-", "Patient/-9", 1))),
        ("missing", |path| fs::remove_file(path).unwrap()),
        ("longer", |path| edit(path, |text| text.clone() + &text)),
    ] {
        let journal = begun(&stage);
        damage(&lines(&journal));
        assert_eq!(eob(&stage.expect_json(0, &FETCH))["count"], CLAIMS, "lines {what}");
        assert!(claims_in(&stage.out()) == whole, "lines {what}");
        let text = fs::read_to_string(stage.out().join(NDJSON)).unwrap();
        assert!(!text.contains("remorse") && !text.contains("Patient/-9"), "lines {what}");
        assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true, "lines {what}");
    }
}

#[test]
fn a_directory_of_something_else_is_left_untouched() {
    let stage = stage();
    let foreign = stage.home.path().join("claims");
    fs::create_dir(&foreign).unwrap();
    for name in ["letter.txt", "ExplanationOfBenefit.ndjson", ".hidden"] {
        write(&foreign.join(name), b"Dear Mum");
        let before = snapshot(&foreign);
        stage.asked();
        for arguments in [&FETCH[..], &FULL] {
            assert_eq!(stage.expect_json(65, arguments)["error"]["kind"], "not_an_archive", "{name}");
        }
        stage.expect(65, &["verify", "claims", "--json"]);
        assert!(snapshot(&foreign) == before && !foreign.join(".bbdl").exists(), "{name}");
        assert!(!stage.asked().iter().any(|row| row.contains("/fhir/")));
        fs::remove_file(foreign.join(name)).unwrap();
    }
    fs::remove_dir(&foreign).unwrap();
    fs::write(&foreign, "a file").unwrap();
    assert_eq!(stage.expect_json(74, &FETCH)["error"]["kind"], "disk");
    assert_eq!(fs::read_to_string(&foreign).unwrap(), "a file");
}
