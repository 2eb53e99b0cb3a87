//! Tables of several archives: whose each row is, file sizes, files by year, and nothing that grows with the number
//! of archives.

#![allow(clippy::print_stderr, reason = "what the readers of tables found is what people ask for")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Setting, Stage, assert_code, finished, snapshot, text};
use bbdl::export::{Archives, Enrollee, Format, Plan, export};
use serde_json::{Value, json};

const TABLES: [&str; 3] = ["claims", "lines", "coverage"];

/// Two people's archives: that of the profile "default" in `claims`, that of "mom" in `other`.
fn two_people(api: &str) -> Stage {
    let stage = Stage::with(Setting { claims: 40, ..Setting::default() });
    for (enrollee, profile, out) in [(0, "default", "claims"), (1, "mom", "other")] {
        stage.control("POST", "consent", &json!({"answer": "all", "enrollee": enrollee}).to_string());
        stage.log_in(&["--api", api, "--profile", profile]);
        stage.expect(0, &["fetch", "all", "--out", out, "-q", "--profile", profile]);
    }
    stage
}

fn at(stage: &Stage, path: &str) -> PathBuf {
    stage.home.path().join(path)
}

/// The files below `dir` with this ending, in order.
fn files(dir: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_str().unwrap().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Column heads and rows of CSV files that have the same heads.
fn csv(files: &[PathBuf]) -> (Vec<String>, Vec<Vec<String>>) {
    let (mut heads, mut rows) = (Vec::new(), Vec::new());
    for file in files {
        let mut reader = csv::Reader::from_path(file).unwrap();
        let found: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        assert!(heads.is_empty() || heads == found, "{}", file.display());
        heads = found;
        rows.extend(reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()));
    }
    (heads, rows)
}

/// Copies an archive this many times, each under its own name. Returns the paths as they are typed.
fn copies(stage: &Stage, archive: &str, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("study/p{number:04}")).collect();
    for name in &names {
        let to = at(stage, name);
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(at(stage, archive)).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
    names
}

#[test]
fn rows_of_many_archives_differ_only_in_the_enrollee_column() {
    for api in ["v1", "v2", "v3"] {
        let stage = two_people(api);
        let said = stage.expect_json(0, &["export", "claims", "other", "--to", "csv", "--output", "both", "--json"]);
        assert_eq!(said["claims"], 80);
        for (dir, name) in [("claims", "claims"), ("other", "mom")] {
            stage.expect(0, &["export", dir, "--to", "csv", "--output", name]);
        }
        for table in TABLES {
            let (heads, rows) = csv(&[at(&stage, &format!("both/{table}/part-00000.csv"))]);
            let mut expected = Vec::new();
            for name in ["claims", "mom"] {
                let (one, of_one) = csv(&[at(&stage, &format!("{name}/{table}.csv"))]);
                assert_eq!(heads, [vec!["enrollee".to_owned()], one].concat(), "{api} {table}");
                assert!(!of_one.is_empty(), "{api} {table}");
                expected.extend(of_one.into_iter().map(|row| [vec![name.to_owned()], row].concat()));
            }
            assert_eq!(rows, expected, "{api} {table}");
        }
    }
}

#[test]
fn one_database_keeps_enrollees_apart() {
    let stage = two_people("v2");
    let copied = copies(&stage, "claims", 2);
    // Two people with claims that have the same ids.
    stage.expect(0, &["export", &copied[0], &copied[1], "--to", "sqlite", "--output", "both.db"]);
    stage.expect(0, &["export", "claims", "--to", "sqlite", "--output", "one.db"]);
    let [both, one] = ["both.db", "one.db"].map(|file| rusqlite::Connection::open(at(&stage, file)).unwrap());
    let rows = |database: &rusqlite::Connection, query: &str| -> Vec<String> {
        let mut query = database.prepare(query).unwrap();
        let columns = query.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?))).collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut rows: Vec<String> = query.query_map([], row).unwrap().map(|row| row.unwrap().join("|")).collect();
        rows.sort();
        rows
    };
    let mut seen = 0;
    for name in one
        .prepare("select name from sqlite_master where type in ('table', 'view')")
        .unwrap()
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .map(Result::unwrap)
    {
        seen += 1;
        let of_one = rows(&one, &format!("select * from {name}"));
        for enrollee in ["p0000", "p0001"] {
            let columns: Vec<String> = both
                .prepare(&format!("select * from {name}"))
                .unwrap()
                .column_names()
                .map(|column| format!("\"{column}\""))
                .collect();
            assert_eq!(columns[0], "\"enrollee\"", "{name}");
            let query = format!("select {} from {name} where enrollee = '{enrollee}'", columns[1..].join(", "));
            assert_eq!(rows(&both, &query), of_one, "{name} of {enrollee}");
        }
    }
    assert!(seen >= 13, "{seen} tables and views");
}

#[test]
fn part_files_are_complete_and_about_the_requested_size() {
    let stage = two_people("v2");
    stage.expect(0, &["export", "claims", "other", "--to", "csv", "--output", "large"]);
    let archives = Archives::of(&at(&stage, "claims"), &[at(&stage, "other")], Enrollee::of_directory).unwrap();
    let plan = Plan { format: Format::Csv, output: at(&stage, "small"), partition: None, part: 2_000 };
    export(&archives, &plan).unwrap();
    let small = files(&at(&stage, "small/claims"), ".csv");
    assert!(small.len() > 5, "{}", small.len());
    for file in &small[..small.len() - 1] {
        let bytes = fs::metadata(file).unwrap().len();
        assert!((2_000..4_000).contains(&bytes), "{bytes} bytes: {}", file.display());
    }
    let (heads, rows) = csv(&small);
    let (expected, mut all) = csv(&files(&at(&stage, "large/claims"), ".csv"));
    for row in all.iter_mut().filter(|row| row[0] == "mom") {
        row[0] = "other".to_owned();
    }
    assert_eq!((heads, rows), (expected, all));
    // Fewer files replace more: none of the old ones is left.
    export(&archives, &Plan { part: 1 << 20, ..plan }).unwrap();
    assert_eq!(files(&at(&stage, "small/claims"), ".csv").len(), 1);
}

#[test]
fn claims_are_in_the_files_of_their_year() {
    let stage = two_people("v2");
    let mut claims = stage.lines("ExplanationOfBenefit.ndjson");
    let mut undated: Value = serde_json::from_str(&claims[0]).unwrap();
    undated.as_object_mut().unwrap().remove("billablePeriod");
    for item in undated["item"].as_array_mut().unwrap() {
        let item = item.as_object_mut().unwrap();
        item.retain(|name, _| !name.starts_with("serviced"));
    }
    claims[0] = undated.to_string();
    stage.keep_instead(&(claims.join("\n") + "\n"));
    for dirs in [&["claims", "other"][..], &["claims"]] {
        let by_year = [&["export"], dirs, &["--to", "csv", "--partition-by", "year", "--output", "by-year"]].concat();
        stage.expect(0, &by_year);
        let mut seen = BTreeSet::new();
        for table in ["claims", "lines"] {
            for file in files(&at(&stage, &format!("by-year/{table}")), ".csv") {
                let year = file.parent().unwrap().file_name().unwrap().to_str().unwrap().strip_prefix("year=").unwrap();
                let (heads, rows) = csv(std::slice::from_ref(&file));
                let start = heads.iter().position(|head| head == "service_start").unwrap();
                let fits = |day: &str| if year.starts_with('_') { day.is_empty() } else { day.starts_with(year) };
                // A claim that begins in one year and ends in the next stays together with its lines.
                assert!(table == "lines" || rows.iter().all(|row| fits(&row[start])), "{}", file.display());
                seen.insert(year.to_owned());
            }
        }
        assert!(seen.len() > 3 && seen.contains("__HIVE_DEFAULT_PARTITION__"), "{seen:?}");
        let (heads, rows) = csv(&files(&at(&stage, "by-year/claims"), ".csv"));
        assert_eq!((heads[0].as_str(), rows.len()), if dirs.len() > 1 { ("enrollee", 80) } else { ("claim_id", 40) });
        assert!(at(&stage, "by-year/coverage/part-00000.csv").is_file(), "cover has no year");
    }
}

#[test]
fn invalid_exports_are_refused_before_anything_is_written() {
    let stage = two_people("v2");
    for (arguments, words) in [
        (&["claims", "claims", "--to", "csv"][..], "would both be"),
        (&["claims", "other", "--to", "fhir-bundle"], "a bundle is of one person"),
        (&["claims", "other", "--to", "sqlite", "--partition-by", "year"], "--partition-by works only"),
        (&["claims", "--to", "fhir-bundle", "--partition-by", "year"], "--partition-by works only"),
    ] {
        let error = stage.expect_json(2, &[&["export"], arguments, &["--output", "out", "--json"]].concat());
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{error}");
        assert!(!at(&stage, "out").exists());
    }
    // A directory with the name of a profile.
    let copied = at(&stage, "mom");
    fs::create_dir(&copied).unwrap();
    for file in ["manifest.json", "ExplanationOfBenefit.ndjson", "Coverage.ndjson"] {
        fs::copy(at(&stage, "claims").join(file), copied.join(file)).unwrap();
    }
    stage.expect(2, &["export", "other", "mom", "--to", "csv", "--output", "out"]);

    // Another program's files would be removed.
    for stranger in ["out/claims/notes.txt", "out/lines/year=2024/notes.txt", "out/coverage"] {
        let path = at(&stage, stranger);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let before = snapshot(&at(&stage, "out"));
        let refused = stage.run(&["export", "claims", "other", "--to", "csv", "--output", "out"]);
        assert_code(&refused, 2, &[stranger]);
        assert!(text(&refused.stderr).contains("something else than tables"), "{}", text(&refused.stderr));
        assert!(snapshot(&at(&stage, "out")) == before);
        fs::remove_dir_all(at(&stage, "out")).unwrap();
    }
}

/// Two directories were swapped. The names of the profiles would be beside the other person's claims.
#[test]
fn nobodys_claims_get_the_name_of_another_persons_profile() {
    let stage = two_people("v2");
    stage.expect(0, &["fetch", "eob", "--out", "study/default", "-q"]);
    stage.expect(0, &["fetch", "eob", "--out", "study/mom", "-q", "--profile", "mom"]);
    let both = ["study/default", "study/mom"];
    stage.expect(0, &["export", both[0], both[1], "--to", "csv", "--output", "right"]);
    for (from, to) in [(both[0], "study/x"), (both[1], both[0]), ("study/x", both[1])] {
        fs::rename(at(&stage, from), at(&stage, to)).unwrap();
    }
    for dirs in [both, [both[1], "claims"]] {
        let error = stage.expect_json(65, &["export", dirs[0], dirs[1], "--to", "csv", "--output", "out", "--json"]);
        assert_eq!(error["error"]["kind"], "other_enrollee", "{error}");
        assert!(!at(&stage, "out").exists());
    }
    // The page of one archive does not have the name either.
    stage.expect(0, &["report", both[1], "--output", "page.html"]);
    assert!(fs::read_to_string(at(&stage, "page.html")).unwrap().contains("the person whose number ends in"));
    // Exported alone, as the hint says, a table names no one.
    stage.expect(0, &["export", both[1], "--to", "csv", "--output", "out"]);
}

#[test]
fn tables_of_several_people_go_into_no_archive_and_replace_no_tables_of_another_format() {
    let stage = two_people("v2");
    fs::create_dir(at(&stage, "other/sub")).unwrap();
    for (format, out) in [
        ("csv", "claims"),
        ("parquet", "other"),
        ("csv", "other/sub/tables"),
        ("sqlite", "claims/all.db"),
        ("sqlite", "./other/../claims/all.db"),
    ] {
        let before = (snapshot(&at(&stage, "claims")), snapshot(&at(&stage, "other")));
        let refused = stage.run(&["export", "claims", "other", "--to", format, "--output", out]);
        assert_code(&refused, 2, &[format, out]);
        assert!(text(&refused.stderr).contains("the archive of one person"), "{}", text(&refused.stderr));
        assert!((snapshot(&at(&stage, "claims")), snapshot(&at(&stage, "other"))) == before, "{out}");
    }
    // Nor into the archive of a person who is not among them, or whose first pull has not finished.
    copies(&stage, "claims", 1);
    fs::create_dir_all(at(&stage, "waiting/.bbdl")).unwrap();
    fs::write(at(&stage, "waiting/.bbdl/lock"), "").unwrap();
    for (dirs, out) in [
        (&["claims", "other"][..], "study/p0000/tables"),
        (&["claims", "other"], "waiting/tables"),
        (&["claims"], "other/tables"),
    ] {
        stage.expect(2, &[&["export"], dirs, &["--to", "csv", "--output", out]].concat());
        assert!(!at(&stage, out).exists(), "{out}");
    }
    // They may be beside the one archive that they come from.
    stage.expect(0, &["export", "claims", "--to", "csv", "--output", "claims"]);

    stage.expect(0, &["export", "claims", "other", "--to", "csv", "--output", "tables"]);
    let before = snapshot(&at(&stage, "tables"));
    let refused = stage.run(&["export", "claims", "other", "--to", "parquet", "--output", "tables"]);
    assert_code(&refused, 2, &["parquet"]);
    assert!(snapshot(&at(&stage, "tables")) == before);
}

/// A copy of an archive, for example a backup: the person counts twice, and that is reported.
#[test]
fn two_archives_of_one_person_are_exported_with_a_warning() {
    let stage = two_people("v2");
    let copied = copies(&stage, "claims", 1).remove(0);
    let of = |more: &[&'static str]| {
        let dirs = ["export", "claims", "other", &copied, "--to", "csv", "--output", "out"];
        [&dirs[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let json = of(&["--json"]);
    let said = stage.expect_json(0, &json.iter().map(String::as_str).collect::<Vec<_>>());
    let warnings = said["warnings"].as_array().unwrap();
    assert_eq!((warnings.len(), &warnings[0]["kind"]), (1, &json!("same_person")), "{said}");
    let people = of(&[]);
    let told = text(&stage.run(&people.iter().map(String::as_str).collect::<Vec<_>>()).stderr);
    assert!(told.contains("study/p0000 is of the same person as claims"), "{told}");
}

/// A person has the same id and the same claims at v1 and v2. At v3, ids are others, and nothing tells who it is.
#[test]
fn one_person_at_v1_and_v2_is_exported_with_a_warning() {
    let stage = Stage::with(Setting { claims: 4, ..Setting::default() });
    for api in ["v1", "v2", "v3"] {
        stage.log_in(&["--api", api]);
        stage.expect(0, &["fetch", "all", "--out", api, "-q"]);
    }
    let warnings = |dirs: [&str; 2]| {
        let args = ["export", dirs[0], dirs[1], "--to", "csv", "--output", "out", "--json"];
        let said = stage.expect_json(0, &args);
        said["warnings"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((warnings(["v1", "v2"]), warnings(["v2", "v3"])), (1, 0));
}

/// The archive of v1 has the name of a profile of v2, which is another person's.
#[test]
fn a_name_of_another_persons_profile_is_refused_across_v1_and_v2() {
    let stage = Stage::with(Setting { claims: 4, ..Setting::default() });
    for (enrollee, api, profile, out) in [(0, "v1", "dad", "study/dad"), (1, "v2", "mom", "study/mom")] {
        stage.control("POST", "consent", &json!({"answer": "all", "enrollee": enrollee}).to_string());
        stage.log_in(&["--api", api, "--profile", profile]);
        stage.expect(0, &["fetch", "all", "--out", out, "-q", "--profile", profile]);
    }
    for (from, to) in [("study/dad", "study/x"), ("study/mom", "study/dad"), ("study/x", "study/mom")] {
        fs::rename(at(&stage, from), at(&stage, to)).unwrap();
    }
    let args = ["export", "study/mom", "study/dad", "--to", "csv", "--output", "out", "--json"];
    let said = stage.expect_json(65, &args);
    assert_eq!(said["error"]["kind"], "other_enrollee", "{said}");
}

/// One of several archives is damaged: the old tables stay, and the message says which archive it is.
#[test]
fn one_damaged_archive_leaves_the_tables_unchanged() {
    let stage = two_people("v2");
    for format in ["csv", "parquet"] {
        let tables = ["export", "claims", "other", "--to", format, "--output", format];
        stage.expect(0, &tables);
        let before = snapshot(&at(&stage, format));
        let file = at(&stage, "other/ExplanationOfBenefit.ndjson");
        let whole = fs::read_to_string(&file).unwrap();
        let paid = whole.rfind("\"value\":1").unwrap();
        let mut damaged = whole.clone();
        damaged.replace_range(paid..paid + 9, "\"value\":2");
        fs::write(&file, damaged).unwrap();
        let refused = stage.run(&tables);
        assert_code(&refused, 65, &[format]);
        let shown = Path::new("other").join("ExplanationOfBenefit.ndjson");
        assert!(text(&refused.stderr).contains(shown.to_str().unwrap()), "{}", text(&refused.stderr));
        assert!(snapshot(&at(&stage, format)) == before, "{format}");
        fs::write(&file, whole).unwrap();
        stage.expect(0, &tables);
        let left: Vec<_> = fs::read_dir(at(&stage, format)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }
}

/// More archives than files that may be open.
#[cfg(unix)]
#[test]
fn exporting_many_archives_needs_few_open_files() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
    let archives = copies(&stage, "claims", 120);
    for format in ["csv", "parquet"] {
        let inner = stage.bbdl(&[]);
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\""])
            .arg(inner.get_program())
            .arg("export")
            .args(&archives);
        command.args(["--to", format, "--output", format, "--json"]).current_dir(stage.home.path());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = finished(command);
        assert_code(&output, 0, &[format]);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["claims"], 360);
    }
}

/// The tools of analysts can read the directories as they are.
#[test]
fn duckdb_and_pandas_read_directories_of_tables() {
    let Some(python) = crate::export::python() else { return };
    let stage = two_people("v3");
    for (format, output) in [("parquet", "tables"), ("csv", "csv")] {
        stage.expect(0, &["export", "claims", "other", "--to", format, "--output", output]);
        let by_year = format!("{output}-by-year");
        let arguments = ["export", "claims", "other", "--to", format, "--partition-by", "year", "--output", &by_year];
        stage.expect(0, &arguments);
    }
    for program in ["tests/many_tables.py", "docs/examples/read_many.py"] {
        let mut check = Command::new(&python);
        check.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(program)).current_dir(stage.home.path());
        let output = finished(check);
        assert_code(&output, 0, &[program]);
        eprint!("{}", text(&output.stdout));
    }
}

/// A nightly run makes a directory for each person, even if the first pull fails or is killed.
#[test]
fn archives_without_a_finished_pull_are_skipped_with_a_warning() {
    let stage = two_people("v2");
    fs::create_dir_all(at(&stage, "study")).unwrap();
    for (from, to) in [("claims", "study/p0"), ("other", "study/p1")] {
        fs::rename(at(&stage, from), at(&stage, to)).unwrap();
    }
    stage.faults(&["status=503@ExplanationOfBenefit"]);
    stage.expect(75, &["fetch", "eob", "--profile", "mom", "--out", "study/a-new-one", "--retry", "0"]);
    stage.faults(&[]);
    assert!(at(&stage, "study/a-new-one/.bbdl").is_dir() && !at(&stage, "study/a-new-one/manifest.json").exists());
    fs::create_dir(at(&stage, "study/p2")).unwrap();
    let of = |dirs: &[&'static str], format: &'static str, out: &'static str| {
        [&["export"], dirs, &["--to", format, "--output", out, "--json"]].concat()
    };
    let all = ["study/a-new-one", "study/p0", "study/p1", "study/p2"];
    for (format, out) in [("csv", "tables"), ("parquet", "parquet"), ("sqlite", "claims.db")] {
        let said = stage.expect_json(0, &of(&all, format, out));
        let told: Vec<&str> =
            said["warnings"].as_array().unwrap().iter().map(|it| it["message"].as_str().unwrap()).collect();
        assert_eq!(said["claims"], 80, "{format}");
        assert!(told.len() == 2 && told[0].starts_with(all[0]) && told[1].starts_with(all[3]), "{told:?}");
        assert_eq!(said["warnings"][0]["kind"], "no_pull");
    }
    // The tables of a single person who is left have the form for several people.
    stage.expect(0, &of(&all[..2], "csv", "tables"));
    let (heads, rows) = csv(&files(&at(&stage, "tables/claims"), ".csv"));
    assert_eq!((heads[0].as_str(), rows.len()), ("enrollee", 40));

    // A person whose archive has no claims is left out too; alone, that is an error.
    stage.expect(0, &["fetch", "patient", "--profile", "mom", "--out", "study/p3"]);
    let said = stage.expect_json(0, &of(&["study/p3", "study/p0", "study/p1"], "csv", "without"));
    assert_eq!((&said["claims"], &said["warnings"][0]["kind"]), (&json!(80), &json!("no_claims")), "{said}");
    assert!(said["warnings"][0]["message"].as_str().unwrap().starts_with("study/p3 is left out"), "{said}");
    stage.expect(65, &of(&["study/p3", all[0]], "csv", "none"));
    stage.expect(65, &of(&["study/p3"], "csv", "none"));

    // With no one else, or alone, there is nothing to write. And a directory that is not an archive does not count as
    // a person without a pull.
    stage.expect(65, &of(&[all[0], all[3]], "csv", "none"));
    stage.expect(65, &of(&all[..1], "csv", "none"));
    fs::write(at(&stage, "study/p2/notes.txt"), "mine").unwrap();
    stage.expect(65, &of(&all, "csv", "none"));
    fs::remove_dir_all(at(&stage, "study/p2")).unwrap();
    fs::remove_file(at(&stage, "study/p1/manifest.json")).unwrap();
    stage.expect(65, &of(&all[..3], "csv", "none"));
    assert!(files(&at(&stage, "none"), "").is_empty());
}
