//! What coverage a person has, and what is missing because a Medicare Advantage plan has it.

use std::fs;

use crate::support::{Setting, Stage, shared};
use bbdl::claim::coverage::{Coverage, Part, notice};
use serde_json::Value;

/// The Coverage resources of a recorded answer.
fn recorded(file: &str) -> Option<Vec<Coverage>> {
    let text = fs::read_to_string(shared("data")?.join(file)).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    let entries = whole["entry"].as_array().unwrap();
    Some(entries.iter().filter_map(|entry| Coverage::of(&entry["resource"])).collect())
}

#[test]
fn recorded_coverage_is_read_at_every_version() {
    let Some(of_v3) = recorded("v3/coverage-search-bundle.json") else { return };
    let parts: Vec<_> = of_v3.iter().filter_map(|it| it.part).collect();
    assert_eq!(parts, [Part::A, Part::B, Part::C, Part::D, Part::Dual]);
    let plan = &of_v3[2];
    let contract = &plan.contracts[0];
    assert_eq!((contract.number.as_str(), contract.plan.as_deref()), ("H1234", Some("003")));
    assert_eq!((contract.months(), plan.payer.as_deref()), ("September 2020 and later".to_owned(), Some("Silver Fox")));
    assert_eq!((of_v3[0].start.as_deref(), of_v3[4].medicaid.as_deref()), (Some("2021-01-01"), Some("status 05")));
    assert!(notice(&of_v3).unwrap().contains("for September 2020 and later (contract H1234) are with"));
    for version in ["v1", "v2"] {
        let cover = recorded(&format!("{version}/coverage-search-bundle.json")).unwrap();
        let parts: Vec<_> = cover.iter().filter_map(|it| it.part).collect();
        assert_eq!(parts, [Part::A, Part::B, Part::C, Part::D], "{version}");
        assert_eq!(cover[0].start.as_deref(), Some("1983-03-24"), "{version}");
        assert_eq!(cover[3].contracts[0].number, "Z0012", "{version}");
        // Part C has the letter C in place of each contract, which is not a contract.
        assert_eq!(notice(&cover), None, "{version}");
    }
}

#[test]
fn plan_months_are_reported_at_every_version() {
    for api in ["v1", "v2", "v3"] {
        let stage = Stage::with(Setting { claims: 20, ..Setting::default() });
        for (enrollee, expected) in [(0, false), (1, true)] {
            stage.control("POST", "consent", &format!(r#"{{"answer":"all","enrollee":{enrollee}}}"#));
            let (profile, out) = (format!("person-{enrollee}"), format!("claims-{enrollee}"));
            stage.log_in(&["--api", api, "--profile", &profile]);
            let fetched = stage.expect_json(0, &["fetch", "all", "--out", &out, "--json", "--profile", &profile]);
            let warnings = &fetched["resources"]["ExplanationOfBenefit"]["warnings"];
            assert_eq!(warnings.is_array(), expected, "{api} {fetched}");
            assert!(!expected || warnings[0]["kind"] == "medicare_advantage", "{api} {warnings}");
            let status = stage.expect_json(0, &["status", "--json", "--profile", &profile]);
            let archives = status["profiles"][0]["archives"].as_array().unwrap();
            let archive = archives.iter().find(|it| it["out"].as_str().unwrap().ends_with(&out)).unwrap();
            let said = archive["medicare_advantage"].as_str();
            assert_eq!(said.is_some(), expected, "{api} {archive}");
            if let Some(said) = said {
                let months = "Medical claims for January 2026 to June 2026 (contract H1234) are with";
                assert!(said.starts_with(months), "{api} {said}");
                assert_eq!(warnings[0]["message"], said, "{api}");
                assert!(stage.expect(0, &["status", "--profile", &profile]).contains(months), "{api}");
            }
            stage.expect(0, &["export", &out, "--to", "csv", "--output", &format!("csv-{enrollee}")]);
            let table = fs::read_to_string(stage.home.path().join(format!("csv-{enrollee}/coverage.csv"))).unwrap();
            assert!(table.starts_with("coverage_id,part,status,"), "{table}");
            assert_eq!(table.contains(",H1234,003,2026-01,2026-06,"), expected, "{api} {table}");
        }
    }
}
