//! Validates the mock's resources of v2 and v3 as FHIR R4: a validator finds nothing wrong with them that it does not
//! find in the real server's. (v1 is STU3.)

#![allow(clippy::print_stderr, reason = "the findings are what people ask for")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::support::{Setting, Stage, lines};
use bluebutton_mock::Population;
use fhirkit::r4::{Coverage, ExplanationOfBenefit, Patient};
use serde_json::Value;

/// How many resources have a finding: by resource type, path without indexes, and text.
type Findings = BTreeMap<String, usize>;

#[derive(Default)]
struct Looked {
    resources: usize,
    findings: Findings,
}

impl Looked {
    fn at(&mut self, text: &str) {
        let value: Value = serde_json::from_str(text).unwrap();
        if let Some(entries) = value["entry"].as_array() {
            for entry in entries {
                self.at(&entry["resource"].to_string());
            }
            return;
        }
        let issues = match value["resourceType"].as_str() {
            Some("ExplanationOfBenefit") => fhirkit::from_json::<ExplanationOfBenefit>(text).unwrap().1,
            Some("Patient") => fhirkit::from_json::<Patient>(text).unwrap().1,
            Some("Coverage") => fhirkit::from_json::<Coverage>(text).unwrap().1,
            _ => return,
        };
        self.resources += 1;
        let kinds: BTreeSet<String> =
            issues.iter().map(|issue| format!("{}: {}", unnumbered(&issue.path), issue.message)).collect();
        for kind in kinds {
            *self.findings.entry(kind).or_default() += 1;
        }
    }
}

/// `ExplanationOfBenefit.item[3].net` without the number.
fn unnumbered(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + part.split_once(']').map_or(part, |(_, rest)| rest))
}

fn real(dir: &Path) -> Looked {
    let mut looked = Looked::default();
    for entry in fs::read_dir(dir).unwrap() {
        // A time that is masked in the recordings is not a finding about the server.
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        looked.at(&text.replace("IGNORED_FIELD", "2026-01-01T00:00:00.000+00:00"));
    }
    looked
}

fn ours(api: &str) -> Looked {
    let mut looked = Looked::default();
    for enrollee in 0..4 {
        let records = Population::new(enrollee, 1, 150);
        let stage = Stage::with(Setting { records: Some(Box::new(records)), ..Setting::default() });
        stage.log_in(&["--api", api]);
        stage.expect(0, &["fetch", "all", "--out", "claims", "-q"]);
        for file in ["ExplanationOfBenefit.ndjson", "Patient.ndjson", "Coverage.ndjson"] {
            lines(&stage.out().join(file)).iter().for_each(|line| looked.at(line));
        }
        if api == "v3" {
            for source in ["FISS,MCS,VMS", "CWF"] {
                stage.expect(0, &["fetch", "eob", "--out", source, "-q", "--source", source]);
                let file = stage.home.path().join(source).join("ExplanationOfBenefit.ndjson");
                lines(&file).iter().for_each(|line| looked.at(line));
            }
        }
    }
    looked
}

#[test]
fn the_mocks_r4_errors_are_those_of_the_real_server() {
    for api in ["v2", "v3"] {
        let Some(payloads) = crate::support::shared(&format!("data/{api}")) else { return };
        let (real, ours) = (real(&payloads), ours(api));
        assert!(real.resources >= 20 && ours.resources >= 600, "{} and {}", real.resources, ours.resources);
        eprintln!(
            "{api}: of {} real resources and {} of the mock's, so many are not R4 in this way:",
            real.resources, ours.resources
        );
        let kinds: BTreeSet<&String> = real.findings.keys().chain(ours.findings.keys()).collect();
        for kind in kinds {
            let of = |looked: &Looked| looked.findings.get(kind).copied().unwrap_or(0);
            eprintln!("{:6} {:6}  {kind}", of(&real), of(&ours));
        }
        let only_ours: Vec<&String> = ours.findings.keys().filter(|kind| !real.findings.contains_key(*kind)).collect();
        assert!(only_ours.is_empty(), "{api}: {only_ours:#?}");
    }
}
