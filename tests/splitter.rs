//! The splitter on real payloads: every resource of every bundle comes back unchanged.

use bbdl::fhir::{
    bundle::Bundle,
    resource::{Header, line},
};
use serde_json::{Value, value::RawValue};

/// A resource on one line, made in another way: token by token, with numbers as text.
fn compact(text: &str) -> String {
    let mut out = String::new();
    let mut tokens = text.chars().peekable();
    while let Some(c) = tokens.next() {
        match c {
            '"' => {
                out.push('"');
                while let Some(c) = tokens.next() {
                    out.push(c);
                    match c {
                        '\\' => out.extend(tokens.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

#[derive(serde::Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    entry: Vec<RawEntry<'a>>,
}

#[derive(serde::Deserialize)]
struct RawEntry<'a> {
    #[serde(borrow)]
    resource: &'a RawValue,
}

#[test]
fn every_resource_of_every_recorded_bundle_comes_back_byte_for_byte() {
    let (mut bundles, mut resources) = (0, 0);
    for version in ["v1", "v2", "v3"] {
        let Some(dir) = crate::support::shared(&format!("data/{version}")) else { return };
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let whole: Value = serde_json::from_str(&text).unwrap();
            if whole["resourceType"] != "Bundle" {
                continue;
            }
            bundles += 1;
            let raw: Raw<'_> = serde_json::from_str(&text).unwrap();
            let wanted: Vec<&str> = raw.entry.iter().map(|entry| entry.resource.get()).collect();
            let bundle = Bundle::split(text.clone()).unwrap();
            assert_eq!(bundle.resources().collect::<Vec<_>>(), wanted, "{}", entry.path().display());
            assert_eq!(bundle.total, whole["total"].as_u64());
            assert_eq!(bundle.text(), text);
            for (resource, value) in bundle.resources().zip(whole["entry"].as_array().unwrap_or(&Vec::new())) {
                resources += 1;
                let kept = line(resource);
                assert_eq!(kept, compact(resource));
                assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), value["resource"]);
                let header = Header::read(&kept).unwrap();
                assert_eq!(header.id, value["resource"]["id"]);
                assert_eq!(header.kind, value["resource"]["resourceType"]);
            }
        }
    }
    assert!(bundles >= 20 && resources >= 120, "{bundles} bundles, {resources} resources");
}

/// The largest claims have 450 lines. A page of fifty is many times larger than any buffer.
#[test]
fn pages_of_the_largest_claims_arrive_whole() {
    let files = tempfile::tempdir().unwrap();
    let code =
        |line: usize| format!(r#"{{"sequence":{line},"productOrService":{{"text":"{}"}}}}"#, "0123456789".repeat(40));
    let lines = (1..=450).map(code).collect::<Vec<_>>().join(",");
    let claims: Vec<String> = (100..210)
        .map(|number| {
            format!(
                r#"{{"resourceType":"ExplanationOfBenefit","id":"carrier--{number}","meta":{{"lastUpdated":"2026-11-16T09:00:00Z"}},"patient":{{"reference":"Patient/-1"}},"billablePeriod":{{"start":"2024-01-01","end":"2024-01-02"}},"item":[{lines}]}}"#
            )
        })
        .collect();
    for (number, claim) in claims.iter().enumerate() {
        std::fs::write(files.path().join(format!("{number}.json")), claim).unwrap();
    }
    std::fs::write(files.path().join("patient.json"), r#"{"resourceType":"Patient","id":"-1"}"#).unwrap();
    let records = bluebutton_mock::data::load(files.path()).unwrap();
    let stage = crate::support::Stage::logged_in(crate::support::Setting {
        records: Some(Box::new(records)),
        ..Default::default()
    });
    let result = stage.expect_json(0, &["fetch", "eob", "--out", "claims", "--json"]);
    assert_eq!(result["resources"]["ExplanationOfBenefit"]["count"], 110, "{result}");
    let (mut sent, mut kept) = (claims, stage.lines("ExplanationOfBenefit.ndjson"));
    sent.sort_unstable();
    kept.sort_unstable();
    assert!(kept == sent, "{} claims, {} bytes", kept.len(), kept.concat().len());
    stage.expect(0, &["verify", "claims"]);
}
