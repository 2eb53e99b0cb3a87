//! Claims as tables and as a page: the same numbers in every format and version, from the right fields, and text from
//! others is never anything but text.

#![allow(clippy::print_stderr, reason = "how many columns are filled is what people ask for")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::support::{Setting, Stage, assert_mode, shared};
use bbdl::{
    claim::{Cents, Claim, Kind},
    export::{CLAIMS, Cell, LINES},
};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
};
use serde_json::{Value, json};

/// The column heads and rows of a CSV file.
fn csv(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let heads = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    (heads, rows)
}

fn sum(rows: &[Vec<String>], column: usize) -> Cents {
    rows.iter().filter_map(|row| Cents::read(&row[column])).sum()
}

fn sum_of_parquet(path: &Path, column: usize) -> (usize, Cents) {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let cents = rows.iter().filter_map(|row| row.get_decimal(column).ok()).map(|it| {
        let bytes: [u8; 8] = it.data().try_into().unwrap();
        Cents(i64::from_be_bytes(bytes))
    });
    (rows.len(), cents.sum())
}

#[test]
fn all_formats_say_the_same_at_every_version() {
    for api in ["v1", "v2", "v3"] {
        let stage = Stage::with(Setting { claims: 150, ..Setting::default() });
        stage.log_in(&["--api", api]);
        stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
        let written = stage.expect_json(0, &["export", "claims", "--to", "csv", "--output", "csv", "--json"]);
        assert_eq!(written["claims"], 150);
        stage.expect(0, &["export", "claims", "--to", "parquet", "--output", "tables"]);
        stage.expect(0, &["export", "claims", "--to", "sqlite", "--output", "claims.db"]);
        // Again, over the existing files.
        stage.expect(0, &["export", "claims", "--to", "sqlite", "--output", "claims.db"]);

        let at = |path: &str| stage.home.path().join(path);
        let database = rusqlite::Connection::open(at("claims.db")).unwrap();
        for (table, names) in [
            ("claims", CLAIMS.iter().map(|column| column.name).collect::<Vec<_>>()),
            ("lines", LINES.iter().map(|column| column.name).collect()),
        ] {
            let (heads, rows) = csv(&at(&format!("csv/{table}.csv")));
            assert_eq!(heads, names);
            assert_eq!(rows.len() as u64, written[table].as_u64().unwrap());
            for name in ["medicare_paid", "patient_pays", "charged"] {
                let column = names.iter().position(|found| *found == name).unwrap();
                let expected = sum(&rows, column);
                assert!(expected > Cents(0), "{api} {table} {name}");
                let parquet = sum_of_parquet(&at(&format!("tables/{table}.parquet")), column);
                assert_eq!(parquet, (rows.len(), expected), "{api} {table} {name}");
                let query = format!("select cast(round(sum({name}) * 100) as integer) from {table}");
                let found: i64 = database.query_row(&query, [], |row| row.get(0)).unwrap();
                assert_eq!(Cents(found), expected, "{api} {table} {name}");
            }
        }
        let kinds: i64 =
            database.query_row("select count(distinct claim_type) from claims", [], |row| row.get(0)).unwrap();
        assert!(kinds >= 7, "{api}: {kinds}");
        for path in ["csv/claims.csv", "tables/lines.parquet", "claims.db"] {
            assert_mode(&at(path), 0o600);
        }
        let left: Vec<PathBuf> = ["", "csv", "tables"]
            .iter()
            .flat_map(|dir| fs::read_dir(at(dir)).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "tmp"))
            .collect();
        assert!(left.is_empty(), "{left:?}");

        stage.expect(0, &["report", "claims", "--output", "claims.html"]);
        let page = fs::read_to_string(at("claims.html")).unwrap();
        assert_eq!(page.matches("<details class=\"claim\"").count(), 150);
    }
}

#[test]
fn an_archive_without_claims_is_an_error() {
    let stage = Stage::logged_in(Setting { claims: 1, ..Setting::default() });
    for command in [
        &["export", "none", "--to", "csv", "--output", "out", "--json"][..],
        &["report", "none", "--output", "out", "--json"],
    ] {
        assert_eq!(stage.expect_json(65, command)["error"]["kind"], "no_claims");
    }
    stage.expect(0, &["fetch", "patient", "--out", "claims", "-q"]);
    assert_eq!(stage.expect_json(65, &["report", "claims", "--output", "out", "--json"])["error"]["kind"], "no_claims");
    assert!(!stage.home.path().join("out").exists());
    stage.expect(0, &["fetch", "eob", "--out", "eob", "-q"]);
    stage.expect(74, &["report", "eob", "--output", "client-secret/x.html"]);
    stage.expect(74, &["export", "eob", "--to", "csv", "--output", "client-secret"]);
}

/// An archive that `verify` refuses cannot be exported, and earlier output stays.
#[test]
fn a_damaged_archive_is_not_exported() {
    let stage = Stage::logged_in(Setting { claims: 30, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let commands: [&[&str]; 5] = [
        &["export", "claims", "--to", "csv", "--output", "tables"],
        &["export", "claims", "--to", "parquet", "--output", "tables"],
        &["export", "claims", "--to", "sqlite", "--output", "claims.db"],
        &["export", "claims", "--to", "fhir-bundle", "--output", "claims.json"],
        &["report", "claims", "--output", "claims.html"],
    ];
    let made = [
        "claims.json",
        "tables/coverage.csv",
        "tables/claims.csv",
        "tables/lines.csv",
        "tables/claims.parquet",
        "tables/lines.parquet",
        "claims.db",
        "claims.html",
    ];
    for command in commands {
        stage.expect(0, command);
    }
    let read = || made.map(|path| fs::read(stage.home.path().join(path)).unwrap());
    let before = read();
    let file = stage.out().join("ExplanationOfBenefit.ndjson");
    let whole = fs::read_to_string(&file).unwrap();
    let paid = whole.rfind("\"value\":1").unwrap();
    let mut other = whole.clone();
    other.replace_range(paid..paid + 9, "\"value\":2");
    for damaged in [other.as_str(), &whole[..whole.len() / 2], &whole[1..]] {
        fs::write(&file, damaged).unwrap();
        stage.expect(65, &["verify", "claims"]);
        for command in commands {
            let error = stage.expect_json(65, &[command, &["--json"]].concat())["error"].clone();
            assert!(error["hint"].as_str().unwrap().contains("bbdl verify claims"), "{error}");
        }
    }
    let first = whole.lines().next().unwrap();
    stage.keep_instead(&format!("{whole}{first}\n"));
    stage.expect(65, &["verify", "claims"]);
    for command in commands {
        let error = stage.expect_json(65, &[command, &["--json"]].concat())["error"].clone();
        assert!(error["message"].as_str().unwrap().contains("ids that occur twice"), "{error}");
    }
    fs::remove_file(&file).unwrap();
    for command in commands {
        stage.expect(65, command);
    }
    assert!(read() == before, "what was made of the whole archive is still there");
    stage.keep_instead(&whole);
    for command in commands {
        stage.expect(0, command);
    }
}

#[test]
fn harmful_output_paths_are_refused() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let before = crate::support::snapshot(&stage.out());
    for own in ["claims/manifest.json", "claims/ExplanationOfBenefit.ndjson", "claims/.bbdl/lock", "claims/changes"] {
        stage.expect(2, &["report", "claims", "--output", own]);
        stage.expect(2, &["export", "claims", "--to", "sqlite", "--output", own]);
    }
    stage.expect(2, &["export", "claims", "--to", "csv", "--output", "claims/pages"]);
    assert!(crate::support::snapshot(&stage.out()) == before);
    // Other paths in the archive's directory are allowed.
    stage.expect(0, &["report", "claims", "--output", "claims/report.html"]);
    stage.expect(0, &["verify", "claims"]);

    // A page can go to a pipe; tables cannot.
    let page = stage.expect(0, &["report", "claims", "--output", "-"]);
    assert!(page == fs::read_to_string(stage.out().join("report.html")).unwrap());
    stage.expect(2, &["report", "claims", "--output", "-", "--json"]);
    for format in ["csv", "parquet", "sqlite"] {
        let refused = stage.run(&["export", "claims", "--to", format, "--output", "-"]);
        crate::support::assert_code(&refused, 2, &[format]);
        assert!(crate::support::text(&refused.stderr).contains("next: Say where to write it"));
    }
    assert!(!stage.home.path().join("-").exists());
}

/// One Bundle for any program that reads FHIR: every resource byte for byte as the server sent it.
#[test]
fn a_bundle_has_every_resource_as_it_was_served() {
    for api in ["v2", "v3"] {
        let stage = Stage::with(Setting { claims: 12, ..Setting::default() });
        stage.log_in(&["--api", api]);
        stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
        let said = stage.expect_json(0, &["export", "claims", "--to", "fhir-bundle", "--output", "all.json", "--json"]);
        assert_eq!(said["claims"], 12);
        let text = fs::read_to_string(stage.home.path().join("all.json")).unwrap();
        let bundle: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((bundle["resourceType"].as_str(), bundle["type"].as_str()), (Some("Bundle"), Some("collection")));
        let mut expected = 0;
        for file in ["Patient.ndjson", "Coverage.ndjson", "ExplanationOfBenefit.ndjson"] {
            for line in stage.lines(file) {
                assert!(text.contains(&format!("\"resource\":{line}}}")), "{api} {file}");
                expected += 1;
            }
        }
        let entries = bundle["entry"].as_array().unwrap();
        assert_eq!(entries.len(), expected);
        for entry in entries {
            let (kind, id) = (&entry["resource"]["resourceType"], &entry["resource"]["id"]);
            let end = format!("/{api}/fhir/{}/{}", kind.as_str().unwrap(), id.as_str().unwrap());
            assert!(entry["fullUrl"].as_str().unwrap().ends_with(&end), "{entry}");
        }
        assert_mode(&stage.home.path().join("all.json"), 0o600);
    }
    let stage = Stage::with(Setting { claims: 3, ..Setting::default() });
    stage.log_in(&["--api", "v1"]);
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let error = stage.expect_json(2, &["export", "claims", "--to", "fhir-bundle", "--output", "all.json", "--json"]);
    assert!(error["error"]["message"].as_str().unwrap().contains("STU3"), "{error}");
    assert!(!stage.home.path().join("all.json").exists());
}

/// So many claims that the page's own script makes the details behind each click. `tests/browser.rs` opens one in a
/// browser.
#[test]
fn a_page_of_many_claims_is_written_newest_first_and_says_the_same() {
    let stage = Stage::with(Setting { claims: 2_001, ..Setting::default() });
    stage.log_in(&[]);
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.expect(0, &["report", "claims", "--output", "claims.html"]);
    let page = fs::read_to_string(stage.home.path().join("claims.html")).unwrap();
    assert_eq!(page.matches("<details class=\"claim\"").count(), 2_001);
    let (years, groups) =
        (page.matches("<details class=\"year\"").count(), page.matches("<div class=\"some\">").count());
    assert!(years > 3 && (21..21 + years).contains(&groups), "{groups} groups in {years} years");
    assert_eq!(page.matches("<details class=\"year\" open>").count(), 1);
    assert_eq!(page.matches("<pre").count(), 4 * 2_001);
    let dates: Vec<jiff::civil::Date> = page
        .split("class=\"day\">")
        .skip(1)
        .map(|rest| jiff::civil::Date::strptime("%B %d, %Y", rest.split('<').next().unwrap()).unwrap())
        .collect();
    assert!(dates.is_sorted_by(|one, other| one >= other) && dates.len() == 2_001);
}

/// A claim in which every text is an attack, and every value has an unexpected type.
#[test]
fn hostile_text_in_claims_stays_text() {
    const ATTACK: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"' onload='=cmd|'/C calc'!A0";
    let stage = Stage::logged_in(Setting { claims: 2, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    let file = stage.out().join("ExplanationOfBenefit.ndjson");
    let mut claims: Vec<Value> =
        crate::support::lines(&file).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    poison(&mut claims[0], ATTACK);
    claims.push(serde_json::json!({
        "resourceType": "ExplanationOfBenefit", "id": ["x"], "item": {"a": 1}, "type": [], "meta": 7, "careTeam": [null, 3],
        "billablePeriod": {"start": ATTACK, "end": 9}, "total": [{"amount": {"value": "1e999"}}], "payment": {"amount": {"value": 1e300}},
        "diagnosis": [[]], "contained": "no", "identifier": [{"system": 5}],
    }));
    let text: String = claims.iter().map(|claim| format!("{claim}\n")).collect();
    stage.keep_instead(&text);
    stage.expect(0, &["report", "claims", "--output", "page.html"]);
    let page = fs::read_to_string(stage.home.path().join("page.html")).unwrap();
    assert!(!page.contains("<img") && !page.contains("alert(1)<") && page.matches("<script").count() == 1);
    assert!(page.contains("&lt;script&gt;alert(1)"), "it is there, as text");
    assert!(page.contains("default-src 'none'"));
    assert!(!page.contains("http-equiv=\"refresh\"") && !page.contains("src=\""));
    // Links lead within the page, or to a telephone number.
    assert!(page.split("href=\"").skip(1).all(|rest| rest.starts_with(['#', 't']) && !rest.starts_with("tel:0")));
    for format in ["csv", "parquet", "sqlite"] {
        stage.expect(0, &["export", "claims", "--to", format, "--output", format]);
    }
    let (_, rows) = csv(&stage.home.path().join("csv/claims.csv"));
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '@', '+'])));
}

/// Replaces every text with the attack, except those by which a claim is found.
fn poison(value: &mut Value, attack: &str) {
    match value {
        Value::String(text) if !text.contains("://") => attack.clone_into(text),
        Value::Array(list) => list.iter_mut().for_each(|value| poison(value, attack)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if !matches!(name.as_str(), "resourceType" | "id" | "system" | "code" | "url") {
                    poison(value, attack);
                }
            }
        }
        _ => {}
    }
}

/// Amounts of the recorded claims, read by hand.
#[test]
fn amounts_of_recorded_claims_are_those_read_by_hand() {
    let Some(data) = shared("data") else { return };
    let read = |path: &str| Claim::read(&fs::read_to_string(data.join(path)).unwrap()).unwrap();
    let cents = |text: &str| if text.is_empty() { None } else { Some(Cents::read(text).unwrap()) };
    // charged, allowed, Medicare paid, deductible, coinsurance, blood deductible, not covered, share, paid by the
    // patient, paid by others
    let table = [
        (
            "v1/eob-carrier.json",
            Kind::Carrier,
            ["245.04", "166.23", "199.99", "777", "9.57", "", "", "786.57", "", "0"],
        ),
        // The header says that no other insurer paid, but the only line says 11.0.
        ("v1/eob-dme.json", Kind::Dme, ["1752.75", "754.79", "777.75", "777", "20.20", "", "", "797.20", "", "11"]),
        ("v1/eob-inpatient.json", Kind::Inpatient, ["84999.37", "", "7699.48", "112", "5", "6", "33", "123", "", "11"]),
        ("v1/eob-snf.json", Kind::Snf, ["5555.03", "", "3333.33", "112", "5", "6", "33", "123", "", "11"]),
        (
            "v1/eob-outpatient.json",
            Kind::Outpatient,
            ["8888.85", "", "693.11", "112", "175.73", "6", "134.00", "293.73", "", "11"],
        ),
        ("v1/eob-hha.json", Kind::Hha, ["199.99", "", "188", "", "", "", "24", "", "", "11"]),
        ("v1/eob-hospice.json", Kind::Hospice, ["199.99", "", "130.32", "", "", "", "300", "", "", "0"]),
        ("v1/eob-pde.json", Kind::Pde, ["550", "", "126.99", "", "", "", "", "235.85", "235.85", "59.72"]),
        (
            "v2/eob-carrier.json",
            Kind::Carrier,
            ["245.04", "166.23", "199.99", "777", "9.57", "", "", "786.57", "", "0"],
        ),
        ("v2/eob-dme.json", Kind::Dme, ["1752.75", "754.79", "777.75", "777", "20.20", "", "", "797.20", "", "11"]),
        ("v2/eob-inpatient.json", Kind::Inpatient, ["84999.37", "", "7699.48", "112", "5", "6", "33", "123", "", "11"]),
        ("v2/eob-snf.json", Kind::Snf, ["5555.03", "", "3333.33", "112", "5", "6", "33", "123", "", "11"]),
        (
            "v2/eob-outpatient.json",
            Kind::Outpatient,
            ["8888.85", "", "693.11", "112", "175.73", "6", "134.00", "293.73", "", "11"],
        ),
        ("v2/eob-hha.json", Kind::Hha, ["199.99", "", "188", "", "", "", "24", "", "", "11"]),
        ("v2/eob-hospice.json", Kind::Hospice, ["199.99", "", "130.32", "", "", "", "300", "", "", "0"]),
        ("v2/eob-pde.json", Kind::Pde, ["550", "", "126.99", "", "", "", "", "235.85", "235.85", "59.72"]),
        (
            "v3/eob-carrier.json",
            Kind::Carrier,
            ["84909.15", "30.3", "448471.81", "924.67", "0", "", "", "924.67", "12.23", "334.24"],
        ),
        // The plan paid the two stays, so they have no share.
        (
            "v3/eob-inpatient.json",
            Kind::Inpatient,
            ["11335.3", "559626.44", "2690.19", "14.34", "0", "0.01", "8645.11", "", "", "3896.3"],
        ),
        (
            "v3/eob-outpatient.json",
            Kind::Outpatient,
            ["528849.55", "", "287712.84", "527.33", "22.5", "9.33", "241136.71", "559.16", "", "2343.18"],
        ),
        (
            "v3/eob-snf.json",
            Kind::Snf,
            ["622674.57", "", "254072.03", "21.68", "19", "3.15", "368602.54", "", "", "3184.78"],
        ),
        ("v3/eob-pde.json", Kind::Pde, ["1875346.98", "", "", "", "", "", "", "423.19", "423.19", "419063.19"]),
    ];
    let mut wrong = Vec::new();
    for (path, kind, expected) in table {
        let claim = read(path);
        let a = &claim.amounts;
        let found = [
            a.charged,
            a.allowed,
            a.medicare_paid,
            a.deductible,
            a.coinsurance,
            a.blood_deductible,
            a.not_covered,
            a.patient_pays,
            a.patient_paid,
            a.other_paid,
        ];
        if claim.kind != Some(kind) || found != expected.map(cents) {
            wrong.push(format!(
                "{path}: {:?} {:?}, not {expected:?}",
                claim.kind,
                found.map(|it| it.map(|it| it.to_string()))
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// How many of the recorded claims fill each column, by version and type. Every claim has its type, number, id and at
/// least one amount.
#[test]
fn columns_are_filled_from_every_recorded_claim() {
    let Some(data) = shared("data") else { return };
    let mut filled: BTreeMap<(&str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    let mut claims: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for api in ["v1", "v2", "v3"] {
        for entry in fs::read_dir(data.join(api)).unwrap() {
            let value: Value = serde_json::from_str(&fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
            let entries = value["entry"].as_array().into_iter().flatten().map(|entry| &entry["resource"]);
            for resource in entries.chain([&value]).filter(|it| it["resourceType"] == "ExplanationOfBenefit") {
                let claim = Claim::read(&resource.to_string()).unwrap();
                let kind = claim.kind.map_or("none", Kind::name);
                if !claim.is_prior_authorization {
                    assert_ne!(kind, "none", "{api} {}", claim.id);
                }
                *claims.entry((api, kind)).or_default() += 1;
                let row = filled.entry((api, kind)).or_default();
                for column in CLAIMS {
                    let is_filled = match (column.of)(&claim) {
                        Cell::Nothing => false,
                        Cell::List(list) => !list.is_empty(),
                        _ => true,
                    };
                    *row.entry(column.name).or_default() += usize::from(is_filled);
                }
            }
        }
    }
    for ((api, kind), row) in &filled {
        let of = claims[&(*api, *kind)];
        let cells: Vec<String> =
            CLAIMS.iter().filter(|it| row[it.name] > 0).map(|it| format!("{} {}", it.name, row[it.name])).collect();
        eprintln!("{api} {kind}, of {of}: {}", cells.join(", "));
        if *kind != "none" {
            for name in ["claim_id", "claim_number", "service_start"] {
                assert!(row[name] * 10 >= of * 8, "{api} {kind} {name}: {} of {of}", row[name]);
            }
        }
    }
    assert!(filled.len() >= 24, "{}", filled.len());
}

/// Exports the claims in `claims`, and makes DuckDB, pandas and sqlite3 read and compare the result.
fn read_back(stage: &Stage, python: &std::ffi::OsStr) -> String {
    for (format, output) in [("csv", "csv"), ("parquet", "tables"), ("sqlite", "claims.db")] {
        stage.expect(0, &["export", "claims", "--to", format, "--output", output]);
    }
    let mut check = std::process::Command::new(python);
    check.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables.py")).args(["csv", "tables", "claims.db"]);
    check.current_dir(stage.home.path());
    let output = crate::support::finished(check);
    crate::support::assert_code(&output, 0, &["tables.py"]);
    let said = crate::support::text(&output.stdout);
    eprint!("{said}");
    said
}

/// `BBDL_PYTHON` is a Python with duckdb, pandas and pyarrow.
pub(crate) fn python() -> Option<std::ffi::OsString> {
    crate::support::needs::variable("BBDL_PYTHON", "pip install duckdb pandas pyarrow, and BBDL_PYTHON=…/bin/python")
}

#[test]
fn duckdb_pandas_and_sqlite_read_the_same() {
    let Some(python) = python() else { return };
    for api in ["v1", "v2", "v3"] {
        let stage = Stage::with(Setting { claims: 300, ..Setting::default() });
        stage.log_in(&["--api", api]);
        stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
        let said = read_back(&stage, &python);
        assert!(said.contains("coverage: ") && !said.contains("coverage: 0 rows"), "{api}: {said}");
        let mut example = std::process::Command::new(&python);
        example.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/read.py")).args(["claims", "tables"]);
        example.current_dir(stage.home.path());
        crate::support::assert_code(&crate::support::finished(example), 0, &["read.py"]);
    }
}

#[test]
fn duckdb_pandas_and_sqlite_agree_on_every_recorded_claim() {
    let (Some(python), Some(claims)) = (python(), crate::support::recorded_claims()) else { return };
    let stage = Stage::logged_in(Setting { claims: 1, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.keep_instead(&claims);
    read_back(&stage, &python);
}

/// The results for the 39 recorded outpatient claims of v2: by what they give as the patient's responsibility, and by
/// deductible, coinsurance and blood deductible.
#[test]
fn no_recorded_share_is_zero_where_its_claim_says_more() {
    let Some(claims) = crate::support::recorded_claims() else { return };
    let (mut outpatient, mut shares, mut paid, mut contradicted) = (0, Cents(0), Cents(0), 0);
    for line in claims.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let claim = Claim::read(line).unwrap();
        let a = &claim.amounts;
        let said = [a.deductible, a.coinsurance, a.blood_deductible].into_iter().flatten().sum::<Cents>();
        if claim.kind != Some(Kind::Pde) && said != Cents(0) {
            assert_ne!(a.patient_pays, Some(Cents(0)), "{}", claim.id);
        }
        if claim.id.starts_with("v2") && claim.kind == Some(Kind::Outpatient) {
            outpatient += 1;
            shares = shares + a.patient_pays.unwrap();
            paid = paid + a.patient_responsibility.unwrap_or_default();
            contradicted += u32::from(a.patient_responsibility.is_none() && said > Cents(0));
            // Lines that are not priced have no information.
            let header = value["payment"]["amount"]["value"].as_f64().unwrap();
            let lines: Vec<_> = claim.lines.iter().filter_map(|line| line.medicare_paid).collect();
            assert!(header <= 0.0 || lines.is_empty() || lines.iter().any(|it| it.0 > 0), "{}", claim.id);
        }
    }
    assert_eq!((outpatient, contradicted), (39, 22));
    assert_eq!((paid.to_string(), shares.to_string()), ("500.00".to_owned(), "2563.73".to_owned()));
}

/// E888.1 is a fall in ICD-9, and metabolic syndrome in ICD-10. R465 is of ICD-10, whatever v3 calls it.
#[test]
fn one_code_of_two_systems_is_two_diagnoses() {
    let stage = Stage::logged_in(Setting { claims: 3, ..Setting::default() });
    stage.expect(0, &["fetch", "eob", "--out", "claims"]);
    let claim = |id: u32, system: &str, code: &str| {
        let coding = json!({"system": format!("http://hl7.org/fhir/sid/{system}"), "code": code, "display": system});
        let claim = json!({"resourceType": "ExplanationOfBenefit", "id": format!("carrier-{id}"), "use": "claim",
            "status": "active", "type": {"coding": [{"system": "x/eob-type", "code": "CARRIER"}]},
            "diagnosis": [{"diagnosisCodeableConcept": {"coding": [coding]}}]});
        format!("{claim}\n")
    };
    let claims = [
        claim(1, "icd-9-cm", "E8881"),
        claim(2, "icd-10", "E8881"),
        claim(3, "icd-10-cm", "E8881"),
        claim(4, "icd-9-cm", "R465"),
        claim(5, "icd-10", "R465"),
    ];
    stage.keep_instead(&claims.concat());
    stage.expect(0, &["export", "claims", "--to", "sqlite", "--out", "claims.db"]);
    let database = rusqlite::Connection::open(stage.home.path().join("claims.db")).unwrap();
    let mut rows = database.prepare("select code, claims from by_diagnosis order by 1, 2").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows: Vec<(String, u32)> = rows.map(Result::unwrap).collect();
    assert_eq!(rows, [("E8881".to_owned(), 1), ("E8881".to_owned(), 2), ("R465".to_owned(), 2)]);
}
