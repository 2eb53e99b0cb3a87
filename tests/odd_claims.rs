//! Claims that are valid JSON but that a common reader refuses. They are pulled and kept as they were sent, and must
//! not block the tables and the page of all other claims.

use std::fs;

use crate::support::{Setting, Stage};
use bluebutton_mock::data;

/// Id, provider, Medicare's payment, whether something is missing, last day.
type Row = (String, Option<String>, Option<f64>, i64, String);

const PERSON: &str = "-20140000000001";

/// A doctor's claim with unusual fields in `more`.
fn claim(number: u32, paid: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"ExplanationOfBenefit","id":"carrier--{number}","meta":{{"lastUpdated":"2024-01-0{number}T00:00:00Z"}},"status":"active","use":"claim","patient":{{"reference":"Patient/{PERSON}"}},"type":{{"coding":[{{"system":"https://bluebutton.cms.gov/resources/codesystem/eob-type","code":"CARRIER"}}]}},"billablePeriod":{{"start":"2024-01-0{number}","end":"2023-01-01"}},"payment":{{"amount":{{"value":{paid},"currency":"USD"}}}}{more}}}"#
    )
}

/// A stage with an archive of these claims, fetched from a mock that serves them as they are.
fn fetched(claims: &[String]) -> Stage {
    let payloads = tempfile::tempdir().unwrap();
    for (index, text) in claims.iter().enumerate() {
        fs::write(payloads.path().join(format!("{index}.json")), text).unwrap();
    }
    let patient = format!(r#"{{"resourceType":"Patient","id":"{PERSON}"}}"#);
    fs::write(payloads.path().join("patient.json"), patient).unwrap();
    let records = Box::new(data::load(payloads.path()).unwrap());
    let stage = Stage::with(Setting { records: Some(records), ..Setting::default() });
    stage.log_in(&["--api", "v2"]);
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    stage.expect(0, &["verify", "claims"]);
    stage
}

#[test]
fn one_odd_claim_does_not_hide_the_others() {
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    let odd = [
        claim(1, "10.25", ""),
        claim(2, "1.00", r#","provider":{"display":"Dr. \ud800 Half"}"#),
        claim(3, "1e400", ""),
        claim(4, "2.00", &format!(r#","extension":{deep}"#)),
        claim(5, "1e300", ""),
        claim(6, "4.00", r#","provider":{"display":"=cmd\u0000\u001b[2J"}"#),
    ];
    let stage = fetched(&odd);
    let kept = fs::read_to_string(stage.home.path().join("claims/ExplanationOfBenefit.ndjson")).unwrap();
    assert!(kept.contains("\\ud800") && kept.contains("1e400") && kept.contains(&deep), "kept as it was sent");

    for (format, output) in [("csv", "csv"), ("parquet", "parquet"), ("sqlite", "claims.db")] {
        let said = stage.expect_json(0, &["export", "claims", "--to", format, "--output", output, "--json"]);
        assert_eq!((said["claims"].as_u64(), said["incomplete"].as_u64()), (Some(6), Some(4)), "{format}: {said}");
    }
    let output = stage.run(&["export", "claims", "--to", "sqlite", "--output", "claims.db"]);
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.contains("4 claims contain") && !warning.contains("carrier--"), "{warning}");

    let database = rusqlite::Connection::open(stage.home.path().join("claims.db")).unwrap();
    let mut rows = database
        .prepare("select claim_id, provider, medicare_paid, is_incomplete, service_end from claims order by 1")
        .unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))).unwrap();
    let rows: Vec<Row> = rows.map(Result::unwrap).collect();
    let expected = [
        ("carrier--1", None, Some(10.25), 0),
        ("carrier--2", Some("Dr. \u{fffd} Half"), Some(1.0), 1),
        ("carrier--3", None, None, 1),
        ("carrier--4", None, Some(2.0), 1),
        ("carrier--5", None, None, 1),
        ("carrier--6", Some("=cmd\u{fffd}\u{fffd}[2J"), Some(4.0), 0),
    ];
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!((row.0.as_str(), row.1.as_deref(), row.2, row.3), expected);
        assert_eq!(row.4, "2023-01-01", "an end before the beginning stays what the claim says");
    }
    assert_eq!(rows.len(), 6);

    stage.expect(0, &["report", "claims", "--output", "claims.html"]);
    let page = fs::read_to_string(stage.home.path().join("claims.html")).unwrap();
    assert_eq!(page.matches("<details class=\"claim\"").count(), 6);
    assert!(page.contains("Some data of 4 claims cannot be shown here"));
    assert!(page.contains("$17.25"), "the sum of what is known");
}

/// Claims without a date, a type or a provider have separate rows, so that each table adds up to the same total.
#[test]
fn rows_always_add_up_to_the_total() {
    let stage = fetched(&[
        claim(
            1,
            "1.00",
            r#","provider":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1234567890"}}"#,
        ),
        claim(2, "\"20.00\"", "").replace("\"start\":\"2024-01-02\"", "\"start\":\"2024-13-02\""),
        claim(3, "300.00", "").replace("CARRIER", "NONE"),
        claim(4, "4000.00", "").replace("\"start\":\"2024-01-04\",", ""),
        claim(5, "\"50,000\"", r#","provider":{"display":"Somebody"}"#),
    ]);
    let said = stage.expect_json(0, &["export", "claims", "--to", "sqlite", "--output", "claims.db", "--json"]);
    assert_eq!((said["claims"].as_u64(), said["incomplete"].as_u64()), (Some(5), Some(2)), "an amount, and a type");
    let database = rusqlite::Connection::open(stage.home.path().join("claims.db")).unwrap();
    for view in ["by_year", "by_provider"] {
        let query = format!("select sum(claims), cast(round(sum(medicare_paid) * 100) as integer) from {view}");
        let sums: (i64, i64) = database.query_row(&query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(sums, (5, 432_100), "{view}");
    }
    let rows = |query: &str| -> Vec<(String, String, i64)> {
        let mut query = database.prepare(query).unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let row = |one: &str, other: &str, claims| (one.to_owned(), other.to_owned(), claims);
    assert_eq!(
        rows("select year, claim_type, claims from by_year order by 1, 2"),
        [row("2024", "carrier", 2), row("2024", "unknown", 1), row("unknown", "carrier", 2)]
    );
    assert_eq!(
        rows("select provider, coalesce(npi, ''), claims from by_provider order by 1"),
        [row("NPI 1234567890", "1234567890", 1), row("Somebody", "", 1), row("unknown", "", 3)]
    );

    stage.expect(0, &["report", "claims", "--output", "claims.html"]);
    let page = fs::read_to_string(stage.home.path().join("claims.html")).unwrap();
    assert!(page.contains("<dd>$4,321.00</dd>") && page.contains(", from January 1, 2024 to January 5, 2024:"));
    assert!(page.contains("5 of the 5 claims do not say your share"));
    // By year, by month and by type: the rows together have all claims.
    for caption in ["By year of service", "By month", "By type of claim"] {
        let table =
            page.split(&format!("<caption>{caption}</caption>")).nth(1).unwrap().split("</table>").next().unwrap();
        let counts = table.split("data-head=\"Claims\">").skip(1).map(|rest| rest.split('<').next().unwrap());
        assert_eq!(counts.map(|count| count.parse::<u64>().unwrap()).sum::<u64>(), 5, "{caption}: {table}");
    }
    assert!(page.contains(">NPI 1234567890</td>"));
    assert!(page.contains("<option value=\"unknown\">No date</option>"));
    assert!(page.contains("data-kind=\"unknown\"") && page.contains("data-year=\"unknown\""));
}

/// One number is one row, even with different names. A name without a number is another row.
#[test]
fn a_provider_is_known_by_its_number() {
    let by = |number: u32, name: Option<&str>, npi: Option<&str>| {
        let mut provider = serde_json::Map::new();
        if let Some(name) = name {
            provider.insert("display".to_owned(), name.into());
        }
        if let Some(npi) = npi {
            let identifier = serde_json::json!({"system": "http://hl7.org/fhir/sid/us-npi", "value": npi});
            provider.insert("identifier".to_owned(), identifier);
        }
        claim(number, "1.00", &format!(r#","provider":{}"#, serde_json::Value::Object(provider)))
    };
    let stage = fetched(&[
        by(1, Some("OLD NAME"), Some("1234567890")),
        by(2, Some("ZEBRA CLINIC"), Some("1234567890")),
        by(3, None, Some("1234567890")),
        by(4, Some("OLD NAME"), None),
        by(5, None, None),
    ]);
    stage.expect(0, &["export", "claims", "--to", "sqlite", "--output", "claims.db"]);
    let database = rusqlite::Connection::open(stage.home.path().join("claims.db")).unwrap();
    let mut query = database
        .prepare(
            "select provider, npi, claims, cast(round(medicare_paid * 100) as integer) from by_provider order by 1",
        )
        .unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    let rows: Vec<(String, Option<String>, i64, i64)> = rows.map(Result::unwrap).collect();
    let expected = [
        ("OLD NAME".to_owned(), None, 1, 100),
        ("ZEBRA CLINIC".to_owned(), Some("1234567890".to_owned()), 3, 300),
        ("unknown".to_owned(), None, 1, 100),
    ];
    assert_eq!(rows, expected);
    stage.expect(0, &["report", "claims", "--output", "claims.html"]);
    let page = fs::read_to_string(stage.home.path().join("claims.html")).unwrap();
    assert!(page.contains(">ZEBRA CLINIC</td>") && page.contains("data-head=\"Claims\">3</td>"));
    assert!(page.contains("1 claim names nobody."));
}

/// In a table, an id is as clean as everything else.
#[test]
fn control_characters_of_an_id_reach_no_table() {
    let stage = fetched(&[claim(1, "1.00", ""), claim(2, "2.00", "")]);
    let mut odd = stage.lines("ExplanationOfBenefit.ndjson").join("\n") + "\n";
    odd = odd.replace("\"carrier--1\"", "\"carrier\\n\\u0000--1\"");
    stage.keep_instead(&odd);
    for (format, output) in [("csv", "csv"), ("sqlite", "claims.db")] {
        stage.expect(0, &["export", "claims", "--to", format, "--output", output]);
    }
    let text = fs::read_to_string(stage.home.path().join("csv/claims.csv")).unwrap();
    assert!(text.contains("\ncarrier\u{fffd}\u{fffd}--1,") && text.lines().count() == 3, "{text}");
    let database = rusqlite::Connection::open(stage.home.path().join("claims.db")).unwrap();
    let joined = "select count(*) from claims join amounts using (claim_id) where claim_id like 'carrier__--1'";
    assert!(database.query_row::<i64, _, _>(joined, [], |row| row.get(0)).unwrap() > 0);
}

/// Three claims that do not count although their status does not say so, and two that do.
#[test]
fn claims_that_do_not_count_are_shown_but_not_summed() {
    const VARIABLE: &str = "https://bluebutton.cms.gov/resources/variables/";
    let entry = |code: &str| {
        format!(r#","extension":[{{"url":"{VARIABLE}carr_clm_entry_cd","valueCoding":{{"code":"{code}"}}}}]"#)
    };
    let deleted = format!(
        r#","supportingInfo":[{{"category":{{"coding":[{{"code":"{VARIABLE}adjstmt_dltn_cd"}}]}},"code":{{"coding":[{{"code":"D"}}]}}}}]"#
    );
    let stage = fetched(&[
        claim(1, "10.25", &entry("1")),
        claim(2, "100.00", &entry("3")),
        claim(3, "1000.00", &deleted),
        claim(4, "10000.00", r#","outcome":"partial""#),
        claim(5, "2.50", &entry("5")),
    ]);
    stage.expect(0, &["export", "claims", "--to", "sqlite", "--output", "claims.db"]);
    let database = rusqlite::Connection::open(stage.home.path().join("claims.db")).unwrap();
    let cents = |from: &str| -> i64 {
        let query = format!("select cast(round(sum(medicare_paid) * 100) as integer) from {from}");
        database.query_row(&query, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((cents("claims"), cents("settled"), cents("by_year")), (1_111_275, 1275, 1275));
    let mut left_out = database.prepare("select standing, claims from left_out order by 1").unwrap();
    let left_out = left_out.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let left_out: Vec<(String, i64)> = left_out.map(Result::unwrap).collect();
    assert_eq!(left_out, ["cancelled", "deleted", "partial"].map(|name| (name.to_owned(), 1)));

    stage.expect(0, &["report", "claims", "--output", "claims.html"]);
    let page = fs::read_to_string(stage.home.path().join("claims.html")).unwrap();
    assert_eq!(page.matches("<details class=\"claim\"").count(), 5, "all are shown");
    assert!(page.contains("3 more are shown but not in any sum: 1 cancelled, 1 deleted, 1 still being processed."));
    assert!(page.contains("<dd>$12.75</dd>") && !page.contains("11,112.75"));
}

/// A part of Medicare with a broken character stays in the table, and the notice about the plan's claims too.
#[test]
fn odd_coverage_is_kept_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    let profile = r#""meta":{"profile":["x"]}"#;
    let coverage = |part: &str, more: &str| {
        format!(
            r#"{{"resourceType":"Coverage","id":"part-{part}-1","status":"active",{profile},"beneficiary":{{"reference":"Patient/{PERSON}"}}{more}}}"#
        )
    };
    write("claim.json", &claim(1, "1.00", ""));
    write("a.json", &coverage("a", r#","subscriberId":"1S00\ud800""#));
    let contract = r#","extension":[{"url":"https://bluebutton.cms.gov/resources/variables/ptc_cntrct_id_01","valueCoding":{"code":"H1234"}}]"#;
    write("c.json", &coverage("c", &format!(r#"{contract},"subscriberId":"\udc00""#)));
    write("b.json", &coverage("b", ""));
    let name = r#""name":[{"given":["Zo\ud800"],"family":"Munoz"}]"#;
    write("patient.json", &format!(r#"{{"resourceType":"Patient","id":"{PERSON}",{profile},{name}}}"#));
    let records = Box::new(data::load(dir.path()).unwrap());
    let stage = Stage::with(Setting { records: Some(records), ..Setting::default() });
    stage.log_in(&["--api", "v2"]);
    let fetched = stage.expect(0, &["fetch", "all", "--out", "claims", "--json"]);
    assert!(fetched.contains("(contract H1234)"), "{fetched}");

    let said = stage.expect_json(0, &["export", "claims", "--to", "csv", "--output", "csv", "--json"]);
    assert_eq!(said["warnings"][0]["kind"], "incomplete_coverage", "{said}");
    let table = fs::read_to_string(stage.home.path().join("csv/coverage.csv")).unwrap();
    assert_eq!(table.lines().count(), 4, "{table}");

    stage.expect(0, &["report", "claims", "--output", "claims.html"]);
    let page = fs::read_to_string(stage.home.path().join("claims.html")).unwrap();
    assert!(page.contains("(contract H1234) are with the Medicare Advantage plan"));
    assert!(
        page.contains("Some data of 2 coverage records cannot be shown here.") && page.contains("Zo\u{fffd} Munoz")
    );
}
