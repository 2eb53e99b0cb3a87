//! Compares our v3 claims with recorded ones, and with our own v2.

#![allow(clippy::print_stderr, reason = "a comparison says what it measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use super::super::person::Person;
use super::super::recorded_shapes::{Need, assert_paths, paths, recorded_resources};
use super::super::{Claim, Kind, LOADED};
use super::Stage;
use crate::rng::Rng;
use crate::tests::recorded::recorded;

/// What the only recorded claim of a type happens to have, although few claims do. Some of ours have it too.
const SELDOM: [(&str, &str); 9] = [
    ("dme", ".supportingInfo[].valueReference"),
    ("hospice", ".item[].servicedDate"),
    ("partial", ".item[].servicedPeriod"),
    ("carrier", ".contained[]"),
    ("dme", ".contained[]"),
    ("outpatient", ".procedure"),
    ("snf", ".procedure"),
    ("inpatient", ".procedure"),
    ("partial", ".contained[]"),
];

/// What the recorded claims have but ours do not, and why.
const NEVER: [(&str, &str); 10] = [
    // A provider that was not found. It is chance which claim has one.
    ("inpatient", ".provider.extension"),
    ("snf", ".provider.extension"),
    // In our claims, individuals who bill are Organizations with their name.
    ("", ".contained[].name[]"),
    // The only recorded Patients were merged from two people. Also, a Coverage that has ended.
    ("Patient", ".link"),
    ("part-a", ".period.end"),
    // CMS's mapping made these from a row with every column: revenue centers of equipment, hospice operations.
    ("dme", ".item[].revenue"),
    ("dme", ".item[].productOrService.coding[].display"),
    ("dme", ".supportingInfo[].valueQuantity"),
    ("hospice", ".procedure"),
    // A separate date. v2 has none for these lines, so the period is used.
    ("outpatient", ".item[].servicedDate"),
];

/// The recorded v3 resources by type.
fn recorded_by_type() -> Option<BTreeMap<String, Vec<Value>>> {
    recorded_resources("v3", "", |resource| {
        let is_card = resource["meta"]["profile"][0].as_str().is_some_and(|profile| profile.contains("C4DIC"));
        match resource["resourceType"].as_str()? {
            "ExplanationOfBenefit" => Some(claim_group(resource)),
            // A person who was merged has only an id, and so does a Coverage that does not exist.
            _ if resource.get("identifier").is_none() || is_card => None,
            "Coverage" => Some(coverage_group(resource["id"].as_str()?)),
            kind => Some(kind.to_owned()),
        }
    })
}

/// The start of a Coverage's id: `part-a`, `dual`.
fn coverage_group(id: &str) -> String {
    id.split('-').take(if id.starts_with("part") { 2 } else { 1 }).collect::<Vec<_>>().join("-")
}

/// The claim type, and how far Medicare has processed it.
fn claim_group(claim: &Value) -> String {
    if claim["use"] == "preauthorization" {
        return "prior".to_owned();
    }
    let codings = claim["type"]["coding"].as_array().unwrap();
    let number = codings.iter().find(|one| one["system"].as_str().is_some_and(|it| it.ends_with("CLM-TYPE-CD")));
    let kind = match number.unwrap()["code"].as_str().unwrap() {
        "71" | "72" => "carrier",
        "81" | "82" => "dme",
        "10" => "hha",
        "50" => "hospice",
        "60" | "61" | "64" => "inpatient",
        "40" => "outpatient",
        "20" | "30" => "snf",
        "1" | "2" | "3" | "4" => "pde",
        _ => "partial",
    };
    kind.to_owned()
}

fn claim(position: u64) -> Claim {
    Claim::at(2026, 1, position, 5_000_000 + position, 20_140_000_000_001)
}

const PATIENT: &str = "-30250000000001";

fn written(claim: &Claim, stage: Stage) -> String {
    let mut text = String::new();
    claim.write_v3(stage, &format!("-{}", 7_000_000 + claim.number), PATIENT, &mut text);
    text
}

fn person() -> Person<'static> {
    let rng = Rng::at(&[1, 2, 3]);
    Person { patient: 20_140_000_000_001, given: "Zoë", family: "Muñoz", last_updated: LOADED, rng }
}

/// Our resources in the same groups, with the size of each.
fn ours() -> BTreeMap<String, Vec<(Value, usize)>> {
    let mut claims = BTreeMap::<String, Vec<(Value, usize)>>::new();
    let mut add = |group: String, text: String| {
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value.to_string().len(), text.len(), "compact, and escaped no more than needed");
        claims.entry(group).or_default().push((value, text.len()));
    };
    for claim in (0..1200).map(claim) {
        add(claim.kind.name().to_owned(), written(&claim, Stage::Adjudicated));
        if matches!(claim.kind, Kind::Dme | Kind::Outpatient) {
            add("partial".to_owned(), written(&claim, Stage::Partial));
        }
        if claim.kind == Kind::Hha {
            add("prior".to_owned(), written(&claim, Stage::PriorAuthorization));
        }
    }
    add("Patient".to_owned(), person().patient_v3(PATIENT));
    // A person who also has Medicaid. The second of all people has a plan.
    let second = || Person { patient: 20_140_000_000_002, ..person() };
    let dual = (0..100).map(|place| Person { rng: Rng::at(&[place]), ..second() });
    let dual = dual.into_iter().find_map(|one| Some(one.coverage_v3(PATIENT)).filter(|all| all.len() == 5)).unwrap();
    for (id, text) in dual {
        add(coverage_group(&id), text);
    }
    claims
}

fn is_among(list: &[(&str, &str)], kind: &str, path: &str) -> bool {
    list.iter().any(|(of, prefix)| (of.is_empty() || *of == kind) && path.starts_with(prefix))
}

#[test]
fn every_path_that_all_recorded_resources_share_is_in_ours() {
    let Some(recorded) = recorded_by_type() else { return };
    let ours = ours();
    assert_eq!(recorded.len(), 8 + 2 + 6, "{:?}", recorded.keys());
    assert_paths(
        &recorded,
        |group| ours[group].iter().map(|(one, _)| one),
        |group, path| match path {
            _ if is_among(&NEVER, group, path) => Need::Nothing,
            _ if is_among(&SELDOM, group, path) => Need::One,
            _ => Need::Most,
        },
    );
}

#[test]
fn ours_are_as_large_as_recorded_ones() {
    let Some(recorded) = recorded_by_type() else { return };
    for (kind, ours) in ours() {
        // The number of lines varies, so compare the size of a claim without lines, and the size of a line.
        let a_line = |claim: &Value, size: usize| size / claim["item"].as_array().map_or(1, |lines| lines.len().max(1));
        let sizes: Vec<usize> = recorded[&kind].iter().map(|one| a_line(one, one.to_string().len())).collect();
        let (low, high) = (sizes.iter().min().unwrap() / 3, sizes.iter().max().unwrap() * 4);
        let mut own: Vec<usize> = ours.iter().map(|(one, size)| a_line(one, *size)).collect();
        own.sort_unstable();
        let middle = own[own.len() / 2];
        eprintln!("{kind}: {middle} bytes a line in ours, {sizes:?} in recorded ones");
        assert!((low..=high).contains(&middle), "{kind}: {middle} is not in {low}..{high}");
    }
}

#[test]
fn a_claim_says_the_same_as_in_v2_and_the_same_every_time() {
    let mut deleted = 0;
    for claim in (0..600).map(claim) {
        let text = written(&claim, Stage::Adjudicated);
        assert_eq!(text, written(&claim, Stage::Adjudicated));
        let three: Value = serde_json::from_str(&text).unwrap();
        let mut two = String::new();
        claim.write_v2(LOADED, &mut two);
        let two: Value = serde_json::from_str(&two).unwrap();
        let instant =
            |value: &Value| value["meta"]["lastUpdated"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert_eq!(instant(&three), instant(&two));
        assert_eq!(three["patient"]["reference"], format!("Patient/{PATIENT}"));
        assert_eq!(three["identifier"][0]["value"], three["id"]);
        assert_eq!(three["item"].as_array().unwrap().len(), two["item"].as_array().unwrap().len());
        if claim.kind != Kind::Pde {
            assert_eq!(three["payment"]["amount"], two["payment"]["amount"], "{}", claim.kind.name());
            for end in ["start", "end"] {
                assert_eq!(three["billablePeriod"][end], two["billablePeriod"][end]);
            }
        }
        deleted += usize::from(text.contains("MEDICARE PART D DELETED CLAIM"));
        let marks = claim.marks_v3(Stage::Adjudicated);
        assert_eq!(three["meta"]["source"], marks.source);
        assert_eq!(three["meta"].get("security").is_some(), marks.samhsa);
        amounts_have_cents(&three, &mut 0);
    }
    assert!(deleted > 0, "some drug events have been deleted");
}

fn amounts_have_cents(value: &Value, seen: &mut usize) {
    match value {
        Value::Object(members) => {
            if members.contains_key("currency") {
                let text = members["value"].to_string();
                assert!(text.split_once('.').is_none_or(|(_, cents)| cents.len() <= 2), "{text}");
                *seen += 1;
            }
            members.values().for_each(|member| amounts_have_cents(member, seen));
        }
        Value::Array(items) => items.iter().for_each(|item| amounts_have_cents(item, seen)),
        _ => {}
    }
}

#[test]
fn unfinished_claims_name_their_source() {
    let sources = |stage| (0..300).map(|at| claim(at).marks_v3(stage).source).collect::<BTreeSet<_>>();
    assert_eq!(sources(Stage::Adjudicated), ["DDPS", "NCH"].into());
    assert_eq!(sources(Stage::Partial), ["DDPS", "FISS", "MCS", "VMS"].into());
    assert_eq!(sources(Stage::PriorAuthorization), ["CWF"].into());
    let labelled = (0..2000).filter(|at| claim(*at).marks_v3(Stage::Adjudicated).samhsa).count();
    assert!((20..120).contains(&labelled), "{labelled} of 2000 are labelled");
    let outpatient = (0..).map(claim).find(|claim| claim.kind == Kind::Outpatient).unwrap();
    let partial: Value = serde_json::from_str(&written(&outpatient, Stage::Partial)).unwrap();
    assert_eq!((&partial["outcome"], &partial["type"]["coding"][0]["code"]), (&"partial".into(), &"1013".into()));
}

#[test]
fn an_insurance_card_has_new_ids_each_time_and_says_the_same() {
    use crate::records::Records as _;
    let population = |seed| crate::population::Population::new(seed, 2, 0);
    let text = |seed, enrollee, call| population(seed).insurance_card(enrollee, call).unwrap();
    let card = |call| serde_json::from_str::<Value>(&text(1, 0, call)).unwrap();
    let (first, second) = (card(0), card(1));
    assert_eq!(text(1, 0, 1), text(1, 0, 1), "the same at every run");
    let ids = |text: String| text.split("urn:uuid:").skip(1).map(|id| id[..36].to_owned()).collect::<Vec<_>>();
    let all: Vec<String> =
        [(1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0)].into_iter().flat_map(|(a, b, c)| ids(text(a, b, c))).collect();
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "no id twice");
    assert_ne!(first["entry"][0]["fullUrl"], second["entry"][0]["fullUrl"]);
    assert_eq!(first["entry"][0]["resource"]["name"], second["entry"][0]["resource"]["name"]);
    let Some(folder) = recorded("v3") else { return };
    let text = fs::read(folder.join("insurance-card.json")).unwrap();
    let real = paths(&serde_json::from_slice(&text).unwrap());
    let ours = paths(&first);
    let missing: Vec<&String> = real.keys().filter(|path| !ours.contains_key(*path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
