//! Compares our v1 claims with recorded ones, and with our own v2.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;

use super::super::person::{PARTS, Person};
use super::super::recorded_shapes::{
    Need, Paths, assert_paths, assert_sizes, claim_type, lines, paths, recorded_resources,
};
use super::super::{Claim, LOADED};
use crate::rng::Rng;

/// What the only recorded claim of a type happens to have, although few claims do. Some of ours have it too.
const SELDOM: [(&str, &str); 4] = [
    ("outpatient", ".procedure"),
    ("outpatient", ".item[].extension"),
    ("outpatient", ".item[].modifier"),
    ("outpatient", ".item[].service.extension"),
];

/// The recorded v1 resources whose file names begin with `prefix`, by the first part of their ids.
fn recorded(prefix: &str) -> Option<BTreeMap<String, Vec<Value>>> {
    recorded_resources("v1", prefix, |resource| match prefix {
        "eob-" => claim_type(resource),
        _ => resource["id"].as_str()?.split("--").next().map(str::to_owned),
    })
}

/// One of our claims in both versions, with the size in v1.
struct Both {
    one: Value,
    two: Value,
    size: usize,
}

fn claim(position: u64) -> Claim {
    Claim::at(2026, 1, position, 5_000_000 + position, 20_140_000_000_001)
}

fn ours() -> &'static BTreeMap<&'static str, Vec<Both>> {
    static CLAIMS: OnceLock<BTreeMap<&'static str, Vec<Both>>> = OnceLock::new();
    CLAIMS.get_or_init(|| {
        let mut claims = BTreeMap::<&'static str, Vec<Both>>::new();
        for claim in (0..2000).map(claim) {
            let (mut one, mut two) = (String::new(), String::new());
            claim.write_v1(&mut one);
            claim.write_v2(LOADED, &mut two);
            let both = Both {
                one: serde_json::from_str(&one).unwrap(),
                two: serde_json::from_str(&two).unwrap(),
                size: one.len(),
            };
            claims.entry(claim.kind.name()).or_default().push(both);
        }
        claims
    })
}

#[test]
fn every_path_that_all_recorded_claims_share_is_in_ours() {
    let Some(recorded) = recorded("eob-") else { return };
    assert_eq!(recorded.len(), 8, "one group a claim type");
    assert_paths(
        &recorded,
        |kind| ours()[kind].iter().map(|both| &both.one),
        |kind, path| {
            let is_seldom = SELDOM.iter().any(|(of, prefix)| *of == kind && path.starts_with(prefix));
            if is_seldom { Need::One } else { Need::Most }
        },
    );
}

#[test]
fn sizes_are_those_of_recorded_claims_with_as_many_lines() {
    let Some(recorded) = recorded("eob-") else { return };
    for (kind, recorded) in &recorded {
        // Our outpatient claims have at least two lines, because the last one repeats the total.
        let most_lines = recorded.iter().map(lines).max().unwrap().max(if kind == "outpatient" { 2 } else { 1 });
        let ours = ours()[kind.as_str()].iter().filter(|both| lines(&both.one) <= most_lines);
        assert_sizes(kind, recorded, ours.map(|both| both.size));
    }
}

/// All amounts of a claim in cents, by CMS variable and in order.
fn amounts(value: &Value, found: &mut Vec<(String, i64)>) {
    if let Some(object) = value.as_object() {
        let codes = if object.contains_key("type") { &object["type"] } else { &value["category"] };
        let code = codes["coding"].as_array().into_iter().flatten().filter_map(|coding| coding["code"].as_str());
        let variable = code.chain(value["url"].as_str()).find_map(|url| url.split("/variables/").nth(1));
        let money = ["amount", "usedMoney", "valueMoney"].iter().find_map(|name| value[name]["value"].as_f64());
        if let (Some(variable), Some(money)) = (variable, money) {
            found.push((variable.to_owned(), (money * 100.0).round() as i64));
        }
        object.values().for_each(|member| amounts(member, found));
    }
    value.as_array().into_iter().flatten().for_each(|item| amounts(item, found));
}

/// All strings with keys of this name.
fn strings(value: &Value, name: &str, found: &mut BTreeSet<String>) {
    for (key, member) in value.as_object().into_iter().flatten() {
        if key == name {
            found.extend(member.as_str().map(str::to_owned));
        }
        strings(member, name, found);
    }
    value.as_array().into_iter().flatten().for_each(|item| strings(item, name, found));
}

#[test]
fn both_versions_tell_the_same_of_a_claim() {
    for (kind, claims) in ours() {
        for Both { one, two, .. } in claims {
            for field in ["id", "status", "patient"] {
                assert_eq!(one[field], two[field], "{kind}");
            }
            assert_eq!(one["meta"]["lastUpdated"], two["meta"]["lastUpdated"]);
            for end in ["start", "end"] {
                assert_eq!(one["billablePeriod"][end], two["billablePeriod"][end]);
            }
            for at in 0..one["identifier"].as_array().unwrap().len() {
                assert_eq!(one["identifier"][at]["value"], two["identifier"][at]["value"]);
            }
            assert_eq!(one["payment"]["amount"]["value"], two["payment"]["amount"]["value"]);
            if one["totalCost"].is_object() {
                assert_eq!(one["totalCost"]["value"], two["total"][0]["amount"]["value"]);
            }
            let (mut first, mut second) = (Vec::new(), Vec::new());
            amounts(one, &mut first);
            amounts(two, &mut second);
            // v1 has the total charge as totalCost, and does not have the mislabeled copy on equipment lines.
            // Professional claims have the primary payer's amount only in v1.
            let professional = matches!(*kind, "carrier" | "dme");
            second
                .retain(|(name, _)| name != "clm_tot_chrg_amt" && !(professional && name == "rev_cntr_prvdr_pmt_amt"));
            first.retain(|(name, _)| !(professional && name == "prpayamt"));
            first.sort();
            second.sort();
            assert_eq!(first, second, "{}", one["id"]);

            let lines = one["item"].as_array().unwrap();
            assert_eq!(lines.len(), two["item"].as_array().unwrap().len());
            for (line, other) in lines.iter().zip(two["item"].as_array().unwrap()) {
                let (mut codes, mut others) = (BTreeSet::new(), BTreeSet::new());
                strings(&line["service"]["coding"], "code", &mut codes);
                strings(&other["productOrService"]["coding"], "code", &mut others);
                assert_eq!(codes, others);
                assert_eq!(line["sequence"], other["sequence"]);
            }
            let (mut codes, mut others) = (BTreeSet::new(), BTreeSet::new());
            for at in 0.. {
                let Some(diagnosis) = one["diagnosis"].get(at) else { break };
                strings(&diagnosis["diagnosisCodeableConcept"], "code", &mut codes);
            }
            for at in 0.. {
                let Some(diagnosis) = two["diagnosis"].get(at) else { break };
                strings(&diagnosis["diagnosisCodeableConcept"], "code", &mut others);
            }
            assert_eq!(codes, others);
            let (mut codes, mut others) = (BTreeSet::new(), BTreeSet::new());
            strings(&one["careTeam"], "value", &mut codes);
            strings(&two["careTeam"], "value", &mut others);
            assert!(!codes.is_empty() && codes.is_subset(&others), "{kind}: {codes:?} {others:?}");
        }
    }
}

#[test]
fn links_inside_a_claim_lead_somewhere() {
    for claim in ours().values().flatten().map(|both| &both.one) {
        let numbers = |list: &str| -> BTreeSet<u64> {
            claim[list].as_array().into_iter().flatten().filter_map(|one| one["sequence"].as_u64()).collect()
        };
        let (team, diagnoses) = (numbers("careTeam"), numbers("diagnosis"));
        for item in claim["item"].as_array().unwrap() {
            for (list, known) in [("careTeamLinkId", &team), ("diagnosisLinkId", &diagnoses)] {
                let links = item[list].as_array().into_iter().flatten();
                assert!(links.filter_map(Value::as_u64).all(|link| known.contains(&link)), "{}", claim["id"]);
            }
        }
        let (mut references, mut ids) = (BTreeSet::new(), BTreeSet::new());
        strings(claim, "reference", &mut references);
        strings(&claim["contained"], "id", &mut ids);
        for reference in references.iter().filter_map(|reference| reference.strip_prefix('#')) {
            assert!(ids.contains(reference), "{}: #{reference}", claim["id"]);
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    for position in 0..200 {
        let written = |claim: Claim| {
            let mut out = String::from("before ");
            claim.write_v1(&mut out);
            out
        };
        let text = written(claim(position));
        assert_eq!(text, written(claim(position)));
        assert!(text.starts_with("before {\"resourceType\":\"ExplanationOfBenefit\",\"id\":"));
        assert_ne!(text, written(Claim::at(2027, 1, position, 5_000_000 + position, 20_140_000_000_001)));
    }
}

fn person(seed: u64) -> Person<'static> {
    let rng = Rng::at(&[seed]);
    Person { patient: 20_140_000_000_000 + seed, given: "Zoë", family: "O'Shaughnessy", last_updated: LOADED, rng }
}

#[test]
fn people_and_coverage_have_the_paths_of_recorded_ones() {
    let (Some(patients), Some(coverages)) = (recorded("patient"), recorded("coverage")) else { return };
    let check = |real: Vec<&Value>, text: &str| {
        let ours = paths(&serde_json::from_str(text).unwrap());
        let real: Vec<Paths> = real.into_iter().map(paths).collect();
        for (path, _) in real[0].iter().filter(|(path, _)| real.iter().all(|one| one.contains_key(*path))) {
            let kinds: BTreeSet<_> = real.iter().flat_map(|one| &one[path]).collect();
            let found = ours.get(path).unwrap_or_else(|| panic!("{path} is missing"));
            assert!(found.iter().all(|kind| kinds.contains(kind)), "{path}");
        }
    };
    for seed in 0..20 {
        check(patients.values().flatten().collect(), &person(seed).patient_v1());
        for part in PARTS {
            let (id, text) = person(seed).coverage_v1(part);
            assert_eq!(id, person(seed).coverage_v2(part).0);
            check(coverages[&format!("part-{part}")].iter().collect(), &text);
        }
    }
}

#[test]
fn people_are_the_same_in_both_versions() {
    for seed in 0..50 {
        let one: Value = serde_json::from_str(&person(seed).patient_v1()).unwrap();
        let two: Value = serde_json::from_str(&person(seed).patient_v2()).unwrap();
        for field in ["id", "name", "gender", "birthDate", "address"] {
            assert_eq!(one[field], two[field]);
        }
        assert_eq!(one["meta"]["lastUpdated"], two["meta"]["lastUpdated"]);
        let number = two["identifier"][1]["value"].as_str().unwrap();
        assert!(!one.to_string().contains(number), "v1 tells only a hash of the Medicare number");
        assert_eq!(one["identifier"][1]["value"].as_str().unwrap().len(), 64);
        for part in PARTS {
            let coverage: Value = serde_json::from_str(&person(seed).coverage_v1(part).1).unwrap();
            let two: Value = serde_json::from_str(&person(seed).coverage_v2(part).1).unwrap();
            assert_eq!((&coverage["id"], &coverage["period"]), (&two["id"], &two["period"]));
            assert_eq!(coverage["extension"], two["extension"]);
            assert!(!coverage.to_string().contains(number));
        }
    }
}
