//! `bbdl profiles`: import, export, list, rename, remove.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use crate::support::{
    Setting, Stage, assert_code, bbdl, finished,
    needs::{is_root, root_to},
    private, text,
};

/// Logs two people in. Returns their rows with tokens.
fn rows(stage: &Stage) -> Vec<Value> {
    stage.log_in(&["--profile", "ann"]);
    stage.control("POST", "consent", r#"{"enrollee":1}"#);
    stage.log_in(&["--profile", "bob"]);
    let rows = stage.expect(0, &["profiles", "export", "--with-tokens"]);
    rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect()
}

fn write(path: &Path, rows: &[impl ToString]) -> PathBuf {
    fs::write(path, rows.iter().map(|row| row.to_string() + "\n").collect::<String>()).unwrap();
    private(path);
    path.to_owned()
}

/// `bbdl profiles import` in this home, with `--json`. Returns what it says about each row.
fn import(home: &Path, rows: &[impl ToString], more: &[&str]) -> (i32, Vec<Value>, Output) {
    let file = write(&home.join("rows.ndjson"), rows);
    let mut command = bbdl(home);
    command.args(["profiles", "import", "--json"]).arg(file).args(more);
    let output = finished(command);
    let verdicts = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), verdicts, output)
}

/// Where `fetch --all-profiles --out study` puts an archive.
fn archive(stage: &Stage, name: &str) -> String {
    stage.home.path().join("study").join(name).to_str().unwrap().to_owned()
}

fn names(home: &Path) -> Vec<String> {
    let mut command = bbdl(home);
    command.args(["profiles", "list", "--json"]);
    let output = finished(command);
    assert_code(&output, 0, &["profiles", "list"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    listed["profiles"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

/// Every file below a home whose name begins with `name`.
fn files_of(home: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(home).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_of(&path, name));
        } else if entry.file_name().to_string_lossy().starts_with(&format!("{name}.")) {
            found.push(path.strip_prefix(home).unwrap_or(&path).to_owned());
        }
    }
    found
}

#[test]
fn exported_profiles_work_where_they_are_imported() {
    let stage = Stage::with(Setting { claims: 12, ..Setting::default() });
    let rows = rows(&stage);
    let there = tempfile::tempdir().unwrap();
    let (code, verdicts, _) = import(there.path(), &rows, &[]);
    assert_eq!(code, 0);
    let expected = [json!({"line": 1, "name": "ann", "ok": true}), json!({"line": 2, "name": "bob", "ok": true})];
    assert_eq!(verdicts, expected);
    assert_eq!(names(there.path()), ["ann", "bob"]);
    // Only the refresh token is needed: the first step is to get an access token with it.
    let least: Vec<Value> = ["name", "server", "client_id", "client_secret", "refresh_token"]
        .iter()
        .fold(json!({}), |mut least, field| {
            least[*field] = rows[1][*field].clone();
            least
        })
        .as_object()
        .map(|row| vec![Value::Object(row.clone())])
        .unwrap();
    let (code, verdicts, _) = import(there.path(), &least, &["--replace"]);
    assert_eq!((code, &verdicts[0]["ok"]), (0, &json!(true)));
    let mut fetch = bbdl(there.path());
    fetch.args(["fetch", "eob", "--all-profiles", "--out", "study", "--json"]);
    let output = finished(fetch);
    assert_code(&output, 0, &["fetch"]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["run"]["succeeded"], &result["profiles"][1]["profile"]), (&json!(2), &json!("bob")));
    // Without tokens, a row cannot be imported.
    let mut export = bbdl(there.path());
    export.args(["profiles", "export", "bob"]);
    let bare: Value = serde_json::from_slice(&finished(export).stdout).unwrap();
    assert_eq!(bare["name"], "bob");
    for secret in ["refresh_token", "access_token", "client_secret"] {
        assert!(bare.get(secret).is_none(), "{secret}");
    }
    // A person who exports tokens is told that they work in only one place.
    let output = stage.run(&["profiles", "export", "ann", "--with-tokens"]);
    assert!(text(&output.stderr).contains("in one place only"), "{}", text(&output.stderr));
    stage.expect(78, &["profiles", "export", "nobody"]);
}

/// A redirection would create a file that others can read, and half a file if the export fails.
#[test]
fn exported_tokens_go_to_a_private_file_or_to_none() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let rows = rows(&stage);
    let file = stage.home.path().join("moved/rows.ndjson");
    let export = ["profiles", "export", "--with-tokens", "--out", "moved/rows.ndjson"];
    let said = stage.expect_json(0, &[&export[..], &["--json"]].concat());
    assert_eq!(said, json!({"out": "moved/rows.ndjson", "profiles": 2}));
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().map(|row| serde_json::from_str(row).unwrap()).collect::<Vec<Value>>(), rows);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // A failed export leaves the old file.
    stage.expect(78, &["profiles", "export", "ann", "nobody", "--with-tokens", "--output", "moved/rows.ndjson"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    // A log-in is not overwritten either.
    stage.expect(2, &["profiles", "export", "--out", "tokens/ann.json"]);
    stage.expect(0, &["fetch", "eob", "--profile", "ann", "--out", "claims"]);
    assert_eq!(stage.expect(0, &["profiles", "export", "--out", "-"]).lines().count(), 2);
    assert_eq!(stage.expect(0, &["profiles", "export", "ann", "ann"]).lines().count(), 1);
}

#[test]
fn a_bad_row_affects_no_other_and_is_not_quoted() {
    let home = tempfile::tempdir().unwrap();
    let good = |name: &str| {
        let token = format!("hush-{name}");
        json!({"name": name, "server": "sandbox", "client_id": "app", "refresh_token": token})
    };
    let with = |field: &str, value: Value| {
        let mut row = good("x");
        row[field] = value;
        row.to_string()
    };
    let rows = [
        good("p1").to_string(),
        "{\"name\": \"p2\", \"refresh_token\": hush".to_owned(),
        String::new(),
        good("p3").to_string(),
        good("p1").to_string(),
        good("P3").to_string(),
        with("refresh_token", json!(["hush"])),
        with("client_secret", json!("hush\nhush")),
        with("name", json!("../../etc/passwd")),
        with("name", json!("con")),
        with("name", json!("a\u{1b}[2Jb")),
        with("server", json!("http://user:hush@example.org")),
        with("unknown", json!("hush")),
        format!("{{\"name\": \"{}\"}}", "x".repeat(2 << 20)),
        good("p4").to_string(),
        with("refresh_token", json!("hush-p4")).replace("\"x\"", "\"p5\""),
        good("p6").to_string().replacen('{', "{\"client_id\":\"hush\",", 1),
    ];
    let (code, verdicts, output) = import(home.path(), &rows, &[]);
    assert_eq!(code, 65);
    let kept: Vec<u64> =
        verdicts.iter().filter(|row| row["ok"] == true).map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!(kept, [1, 4, 8, 15], "{verdicts:?}");
    // A blank line is not a row.
    assert_eq!(verdicts.len(), rows.len() - 1);
    assert!(verdicts.windows(2).all(|pair| pair[0]["line"].as_u64() < pair[1]["line"].as_u64()));
    let why = |line: u64| verdicts.iter().find(|row| row["line"] == line).unwrap()["error"]["message"].clone();
    assert_eq!(why(5), "line 1 has this name already");
    assert_eq!(why(16), "line 15 has this refresh_token already; two profiles cannot share one");
    assert_eq!(why(17), "the field \"client_id\" is there twice");
    for said in [&output.stdout, &output.stderr] {
        let said = text(said);
        assert!(!said.contains("hush") && !said.contains('\u{1b}'), "{said}");
    }
    assert_eq!(names(home.path()), ["p1", "p3", "p4", "x"]);
    // For people, the same: what was refused and why.
    let mut again = bbdl(home.path());
    again.args(["profiles", "import", "rows.ndjson"]);
    let output = finished(again);
    assert_code(&output, 65, &["import"]);
    let said = text(&output.stderr);
    assert!(said.contains("warning: line 1 (p1): a profile of this name is there already"), "{said}");
    assert!(said.contains("16 of 16 rows were refused. Fix line 1 first\n") && !said.contains("hush"), "{said}");
}

#[test]
fn a_refused_row_keeps_no_later_row_out() {
    let home = tempfile::tempdir().unwrap();
    let row =
        |name: &str| json!({"name": name, "server": "sandbox", "client_id": "app", "refresh_token": "one"}).to_string();
    let rows = [row("con"), " ".repeat(2 << 20), row("mom")];
    let (code, verdicts, _) = import(home.path(), &rows, &[]);
    let told: Vec<_> =
        verdicts.iter().map(|row| (row["line"].as_u64().unwrap(), row["ok"].as_bool().unwrap())).collect();
    assert_eq!((code, told), (65, vec![(1, false), (2, false), (3, true)]), "{verdicts:?}");
    let mut again = bbdl(home.path());
    again.args(["profiles", "import", "rows.ndjson"]);
    let output = finished(again);
    let said = text(&output.stderr);
    assert!(said.contains("3 of 3 rows were refused. Fix line 1 first\n"), "{said}");
    assert!(verdicts[0]["error"]["hint"].as_str().unwrap().contains("Correct this row"), "{verdicts:?}");
}

/// An import that was repeated after a rename brought one log-in in twice, and the second renewal ended it.
#[test]
fn a_person_with_a_profile_gets_no_second_one_for_the_same_app() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let rows = rows(&stage);
    let there = tempfile::tempdir().unwrap();
    assert_eq!(import(there.path(), &rows, &[]).0, 0);
    let mut rename = bbdl(there.path());
    rename.args(["profiles", "rename", "ann", "mom"]);
    assert_code(&finished(rename), 0, &["profiles", "rename"]);
    for more in [&[][..], &["--replace"]] {
        let (code, verdicts, _) = import(there.path(), &rows[..1], more);
        assert_eq!(code, 65);
        let error = &verdicts[0]["error"];
        assert_eq!(error["message"], "profile \"mom\" is this person with this app already");
        assert!(error["hint"].as_str().unwrap().contains("bbdl profiles remove mom"), "{error}");
    }
    // Nor two in one file: if a person has two log-ins with one app, the older one has ended.
    let twice = ["ann", "eve"].map(|name| {
        let mut row = rows[0].clone();
        row["name"] = json!(name);
        row["refresh_token"] = json!(format!("of-{name}"));
        row
    });
    let (code, verdicts, _) = import(tempfile::tempdir().unwrap().path(), &twice, &[]);
    assert_eq!((code, &verdicts[0]["ok"]), (65, &json!(true)), "{verdicts:?}");
    assert_eq!(verdicts[1]["error"]["message"], "line 1 is this person with this app already");

    let mut row = rows[0].clone();
    row["name"] = json!("mom");
    assert_eq!(import(there.path(), &[row], &["--replace"]).0, 0);
    assert_eq!(names(there.path()), ["bob", "mom"]);
}

#[test]
fn rows_come_from_standard_input_as_well() {
    let home = tempfile::tempdir().unwrap();
    let row = json!({"name": "p1", "server": "sandbox", "client_id": "app", "refresh_token": "r"});
    let file = write(&home.path().join("rows"), &[format!("\u{feff}{row}\r")]);
    let mut command = bbdl(home.path());
    command.args(["profiles", "import", "-"]).stdin(Stdio::from(fs::File::open(file).unwrap()));
    let output = finished(command);
    assert_code(&output, 0, &["import", "-"]);
    assert_eq!(text(&output.stdout), "1 profile imported, 0 rows refused\n");
}

#[test]
fn a_replaced_profile_keeps_its_archives_only_for_the_same_person() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let rows = rows(&stage);
    stage.expect(0, &["fetch", "eob", "--all-profiles", "--out", "study"]);
    let archives = || {
        let status = stage.expect_json(0, &["status", "--json", "--profile", "ann"]);
        status["profiles"][0]["archives"].as_array().unwrap().len()
    };
    assert_eq!(archives(), 1);
    let (code, verdicts, _) = import(stage.home.path(), &rows[..1], &[]);
    assert_eq!((code, verdicts[0]["error"]["kind"].as_str()), (65, Some("import_row")));
    assert!(verdicts[0]["error"]["hint"].as_str().unwrap().contains("--replace"));
    assert_eq!(import(stage.home.path(), &rows[..1], &["--replace"]).0, 0);
    assert_eq!(archives(), 1);
    stage.expect(0, &["profiles", "remove", "bob", "--yes"]);
    let mut other = rows[1].clone();
    other["name"] = "ann".into();
    let (code, verdicts, output) = import(stage.home.path(), &[other], &["--replace"]);
    assert_eq!((code, archives()), (0, 0));
    assert!(verdicts[0]["warnings"][0].as_str().unwrap().contains(&archive(&stage, "ann")), "{verdicts:?}");
    let said = text(&output.stderr);
    assert!(said.contains("warning: line 1 (ann)") && said.contains(&archive(&stage, "ann")), "{said}");
    // The archives belong to another person, so they stay, and purge says so. But they are not forgotten.
    let purged = stage.expect_json(0, &["purge", "--yes", "--json", "--profile", "ann"]);
    assert_eq!(purged["archives"][0]["out"], archive(&stage, "ann"));
    assert!(purged["archives"][0]["left"].as_str().unwrap().contains("earlier log-in"), "{purged}");
    stage.expect(0, &["verify", "study/ann"]);
    let purged = stage.expect_json(0, &["purge", "--yes", "--json", "--profile", "ann"]);
    assert_eq!(purged["archives"], json!([{"out": archive(&stage, "ann"), "left": null}]));
    assert!(!stage.home.path().join("study/ann").exists());
}

/// A row without the patient id does not say whose it is until the next fetch.
#[test]
fn a_new_consent_in_a_short_row_does_not_forget_the_archive() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let rows = rows(&stage);
    stage.expect(0, &["fetch", "eob", "--all-profiles", "--out", "study"]);
    let mut short = rows[0].clone();
    short.as_object_mut().unwrap().retain(|field, _| !["patient", "grant_expires"].contains(&field.as_str()));
    let (code, _, output) = import(stage.home.path(), &[short], &["--replace"]);
    assert_eq!(code, 0);
    assert!(text(&output.stderr).contains(&archive(&stage, "ann")), "{}", text(&output.stderr));
    assert!(stage.home.path().join("archives/ann.json").exists());
    stage.expect(0, &["fetch", "eob", "--profile", "ann", "--out", "study/ann"]);
    let shown = stage.expect_json(0, &["purge", "--dry-run", "--json", "--profile", "ann"]);
    assert_eq!(shown["archives"].as_array().unwrap().len(), 1, "{shown}");
    let purged = stage.expect_json(0, &["purge", "--yes", "--json", "--profile", "ann"]);
    assert_eq!(purged["archives"], json!([{"out": archive(&stage, "ann"), "left": null}]));
    assert!(!stage.home.path().join("study/ann").exists());
}

#[cfg(unix)]
#[test]
fn a_refused_row_keeps_the_existing_log_in() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let rows = rows(&stage);
    let home = stage.home.path();
    let file = write(&home.join("rows.ndjson"), &rows[..1]);
    let mut command = bbdl(home);
    command.args(["profiles", "import", "--replace", "--token-store", "command"]).arg(file);
    command.env("BBDL_TOKEN_STORE_COMMAND", "false");
    assert_code(&finished(command), 78, &["profiles", "import"]);
    stage.expect(0, &["fetch", "eob", "--profile", "ann", "--out", "study/ann"]);
}

#[test]
fn a_renamed_profile_works_and_nothing_keeps_the_old_name() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    rows(&stage);
    stage.expect(0, &["fetch", "eob", "--all-profiles", "--out", "study"]);
    // An earlier log-in of that name has left an archive behind.
    stage.expect(0, &["logout", "--local", "--profile", "bob"]);
    stage.log_in(&["--profile", "bob"]);
    let home = stage.home.path();
    assert!(home.join("archives/bob.json").exists() && home.join("locks/bob.lock").exists());
    stage.expect(2, &["profiles", "rename", "bob", "ann"]);
    stage.expect(2, &["profiles", "rename", "bob", "Bob"]);
    stage.expect(2, &["profiles", "rename", "bob", "../bob"]);
    stage.expect(2, &["profiles", "rename", "bob", "con"]);
    stage.expect(78, &["profiles", "rename", "nobody", "carol"]);
    let said = stage.run(&["profiles", "rename", "bob", "carol"]);
    assert_code(&said, 0, &["rename"]);
    assert_eq!(names(home), ["ann", "carol"]);
    assert!(files_of(home, "bob").is_empty());
    assert!(home.join("archives/carol.json").exists() && home.join("tokens/carol.json").exists());
    stage.expect(0, &["fetch", "eob", "--profile", "carol", "--out", "study/bob"]);
    // The archive left behind is still found.
    let gone = stage.expect_json(0, &["purge", "--yes", "--json", "--profile", "carol"]);
    assert!(!home.join("study/bob").exists(), "{gone}");
}

#[test]
fn a_renamed_profile_takes_its_archive_along() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    rows(&stage);
    stage.expect(0, &["fetch", "eob", "--all-profiles", "--out", "study"]);
    let home = stage.home.path();
    let renamed = stage.expect_json(0, &["profiles", "rename", "bob", "carol", "--json"]);
    assert_eq!(renamed["moved"], json!([archive(&stage, "carol")]));
    assert!(!home.join("study/bob").exists());
    stage.expect(0, &["verify", "study/carol"]);
    let status = stage.expect_json(0, &["status", "--json", "--profile", "carol"]);
    assert_eq!(status["profiles"][0]["archives"][0]["out"], archive(&stage, "carol"));
    let output = stage.run(&["purge", "--yes", "--profile", "carol"]);
    assert_code(&output, 0, &["purge"]);
    assert!(text(&output.stderr).contains("and 1 archive."), "{}", text(&output.stderr));
    assert!(!home.join("study/carol").exists());
}

#[test]
fn a_renamed_profile_never_moves_its_archive_into_another() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    rows(&stage);
    stage.expect(0, &["fetch", "eob", "--all-profiles", "--out", "study"]);
    stage.expect(0, &["profiles", "remove", "ann", "--yes"]);
    let output = stage.run(&["profiles", "rename", "bob", "ann"]);
    assert_code(&output, 0, &["rename"]);
    let said = text(&output.stderr);
    assert!(said.contains("bob was not moved: something is at") && !said.contains("mv "), "{said}");
    for kept in ["study/ann", "study/bob"] {
        stage.expect(0, &["verify", kept]);
    }
    assert!(!stage.home.path().join("study/ann/bob").exists());
    let purged = stage.expect_json(0, &["purge", "--yes", "--json", "--profile", "ann"]);
    assert_eq!(purged["archives"], json!([{"out": archive(&stage, "bob"), "left": null}]));
    stage.expect(0, &["verify", "study/ann"]);
}

#[test]
fn purge_does_not_say_deleted_of_an_archive_that_was_moved() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    rows(&stage);
    stage.expect(0, &["fetch", "eob", "--all-profiles", "--out", "study"]);
    let home = stage.home.path();
    for name in ["ann", "bob"] {
        fs::rename(home.join("study").join(name), home.join(name)).unwrap();
    }
    let shown = stage.expect(0, &["purge", "--dry-run", "--profile", "ann"]);
    assert!(shown.contains("it is not there"), "{shown}");
    let output = stage.run(&["purge", "--yes", "--profile", "ann"]);
    assert_code(&output, 0, &["purge"]);
    let said = text(&output.stderr);
    assert!(said.contains("and 0 archives.") && said.contains("it is not there"), "{said}");
    let purged = stage.expect_json(0, &["purge", "--yes", "--json", "--profile", "bob"]);
    assert!(purged["archives"][0]["left"].as_str().unwrap().contains("it is not there"), "{purged}");
    for kept in ["ann", "bob"] {
        stage.expect(0, &["verify", kept]);
    }
}

#[test]
fn a_rename_that_was_cut_short_is_finished_by_the_same_command() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    stage.log_in(&["--profile", "ann"]);
    let home = stage.home.path();
    let tokens = fs::read(home.join("tokens/ann.json")).unwrap();
    let private_copy = |name: &str| {
        fs::write(home.join(name), &tokens).unwrap();
        private(&home.join(name));
    };
    // Killed before the record was renamed.
    private_copy("tokens/eve.json");
    stage.expect(0, &["profiles", "rename", "ann", "eve"]);
    // Killed after it was renamed.
    private_copy("tokens/ann.json");
    stage.expect(0, &["profiles", "rename", "ann", "eve"]);
    assert_eq!((names(home), files_of(home, "ann")), (vec!["eve".to_owned()], Vec::new()));
    stage.expect(0, &["fetch", "eob", "--profile", "eve", "--out", "claims"]);
    stage.expect(78, &["profiles", "rename", "ann", "eve"]);
}

/// Without tokens, nothing shows that a rename was interrupted, so the record goes last.
#[test]
fn a_rename_without_tokens_that_was_cut_short_is_finished_too() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    stage.log_in(&["--profile", "ann"]);
    stage.expect(0, &["fetch", "eob", "--profile", "ann", "--out", "study/ann"]);
    let home = stage.home.path();
    fs::remove_file(home.join("tokens/ann.json")).unwrap();
    // Killed when the archive had just moved.
    fs::rename(home.join("study/ann"), home.join("study/eve")).unwrap();
    let renamed = stage.expect_json(0, &["profiles", "rename", "ann", "eve", "--json"]);
    assert_eq!(renamed["moved"], json!([archive(&stage, "eve")]));
    assert_eq!((names(home), files_of(home, "ann")), (vec!["eve".to_owned()], Vec::new()));
    let status = stage.expect_json(0, &["status", "--json", "--profile", "eve"]);
    assert_eq!(status["profiles"][0]["archives"][0]["out"], archive(&stage, "eve"));
    // Killed at the end: the profile with all its archives has the new name.
    stage.expect(78, &["profiles", "rename", "ann", "eve"]);
    assert!(home.join("pulls/eve.json").exists() && home.join("study/eve/manifest.json").exists());
}

/// If a rename is killed at any file, the same command finishes it.
#[test]
fn a_rename_moves_archives_before_the_record() {
    if !crate::support::has_programs(&["strace"]) {
        return;
    }
    // bbdl does not let anyone else read its memory, where the names are.
    if !is_root() {
        return root_to("read the arguments of bbdl's system calls");
    }
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    stage.log_in(&["--profile", "ann"]);
    stage.expect(0, &["fetch", "eob", "--profile", "ann", "--out", "study/ann"]);
    let inner = stage.bbdl(&["profiles", "rename", "ann", "eve"]);
    let traced = ["strace", "-f", "-e", "trace=rename,renameat,renameat2", "-o", "trace"];
    assert_code(&finished(crate::support::started_by(&traced, &inner)), 0, &["rename"]);
    let trace = fs::read_to_string(stage.home.path().join("trace")).unwrap();
    let at =
        |what: &str| trace.lines().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {trace}"));
    assert!(at("study/ann\"") < at("profiles/ann.json\""), "{trace}");
}

/// On a machine without a keyring, a row goes to the store that has the profile's tokens.
#[test]
fn a_replaced_profile_keeps_its_token_store() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    let rows = rows(&stage);
    let file = write(&stage.home.path().join("rows.ndjson"), &rows);
    let mut command = stage.bbdl(&["profiles", "import", "--replace"]);
    command.arg(file).env_remove("BBDL_TOKEN_STORE");
    assert_code(&finished(command), 0, &["import"]);
    let mut command = stage.bbdl(&["fetch", "eob", "--all-profiles", "--out", "study"]);
    command.env_remove("BBDL_TOKEN_STORE");
    assert_code(&finished(command), 0, &["fetch"]);
    // Another store than the profile's does not have its tokens.
    let mut command = stage.bbdl(&["fetch", "eob", "--profile", "ann", "--out", "ann"]);
    command.env("BBDL_TOKEN_STORE", "command").env("BBDL_TOKEN_STORE_COMMAND", "false");
    let output = finished(command);
    assert_code(&output, 78, &["another store"]);
    assert!(text(&output.stderr).contains("tokens are in the store \"file\""), "{}", text(&output.stderr));
}

#[test]
fn a_broken_token_record_has_one_name() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    rows(&stage);
    let tokens = stage.home.path().join("tokens");
    for file in files_of(&tokens, "ann") {
        fs::write(tokens.join(file), "{}").unwrap();
    }
    for command in
        [&["fetch", "eob", "--out", "x", "--profile", "ann"][..], &["profiles", "export", "ann", "--with-tokens"]]
    {
        let output = stage.run(command);
        assert_code(&output, 78, command);
        assert!(
            text(&output.stderr).contains("the record that the token store has for profile \"ann\" is not bbdl's"),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn a_removed_profile_leaves_its_archive_and_nothing_else() {
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    rows(&stage);
    stage.expect(0, &["fetch", "eob", "--all-profiles", "--out", "study"]);
    stage.expect(2, &["profiles", "remove", "ann"]);
    let result = stage.expect_json(78, &["profiles", "remove", "nobody", "ann", "--yes", "--json"]);
    let rows: Vec<_> = result["profiles"].as_array().unwrap().iter().map(|row| (&row["name"], &row["ok"])).collect();
    assert_eq!(rows, [(&json!("nobody"), &json!(false)), (&json!("ann"), &json!(true))]);
    assert!(files_of(stage.home.path(), "ann").is_empty());
    assert!(stage.home.path().join("study/ann/manifest.json").exists());
    assert_eq!(names(stage.home.path()), ["bob"]);
}

/// Above some thousand tokens, new ones go into subdirectories. The old ones stay and work.
#[test]
fn a_large_home_spreads_its_tokens() {
    let home = tempfile::tempdir().unwrap();
    let row = |number: usize| json!({"name": format!("p{number:05}"), "server": "sandbox", "client_id": "app", "refresh_token": format!("refresh-{number}")});
    let began = Instant::now();
    for numbers in [0..3000, 3000..4200] {
        let count = numbers.len();
        let (code, verdicts, _) = import(home.path(), &numbers.map(row).collect::<Vec<_>>(), &[]);
        assert_eq!((code, verdicts.len()), (0, count));
    }
    let took = began.elapsed();
    // With a sync for each file, it would take minutes.
    assert!(took.as_secs() < 60, "{took:?}");
    let together = fs::read_dir(home.path().join("tokens")).unwrap().count();
    assert_eq!(together, 3000 + 1, "the first ones, and the directory of the others");
    let mut export = bbdl(home.path());
    export.args(["profiles", "export", "--with-tokens"]);
    let exported = text(&finished(export).stdout);
    let tokens: Vec<Value> = exported.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert!((0..4200).all(|number| tokens[number]["refresh_token"] == format!("refresh-{number}")));
    // A new row for an old profile stays where the old one was.
    assert_eq!(import(home.path(), &[row(7), row(4199)], &["--replace"]).0, 0);
    assert_eq!((files_of(home.path(), "p00007").len(), files_of(home.path(), "p04199").len()), (4, 4));
    let mut remove = bbdl(home.path());
    remove.args(["profiles", "remove", "p00007", "p04199", "--yes"]);
    assert_code(&finished(remove), 0, &["remove"]);
    assert_eq!((files_of(home.path(), "p00007"), files_of(home.path(), "p04199")), (Vec::new(), Vec::new()));
}

/// An imported row does not have to say whose it is. The first renewal does, in the middle of the pull.
#[test]
fn another_persons_log_in_is_never_used_for_an_archive() {
    let stage = Stage::with(Setting { claims: 15, ..Setting::default() });
    let row = |enrollee: u32| {
        let full = stage.control("POST", &format!("consents?count=1&first={enrollee}"), "");
        let mut least = json!({"name": "p1"});
        for field in ["server", "client_id", "client_secret", "refresh_token"] {
            least[field] = full[field].clone();
        }
        least
    };
    let fetch = ["fetch", "eob", "--all-profiles", "--out", "study"];
    assert_eq!(import(stage.home.path(), &[row(0)], &[]).0, 0);
    stage.expect(0, &fetch);
    let manifest = stage.home.path().join("study/p1/manifest.json");
    let before = fs::read(&manifest).unwrap();

    assert_eq!(import(stage.home.path(), &[row(1)], &["--replace"]).0, 0);
    stage.expect(65, &fetch);
    assert_eq!(fs::read(&manifest).unwrap(), before);
    stage.expect(65, &fetch);
}
