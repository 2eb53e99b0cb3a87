//! Tests that made-up people look like real ones, and are the same every time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::date;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;

fn claim(population: &Population, enrollee: usize, position: usize) -> String {
    let mut out = String::new();
    let created = "2026-11-20T08:09:10.5Z".parse().unwrap();
    population.write_claim(Version::V2, enrollee, position, created, &mut out);
    out
}

fn parsed(population: &Population, enrollee: usize, position: usize) -> Value {
    serde_json::from_str(&claim(population, enrollee, position)).unwrap()
}

/// The server's order: the number as text, including its sign, then the type.
fn order(id: &str) -> (&str, &str) {
    let (kind, _) = id.split_once('-').unwrap();
    (&id[kind.len() + 1..], kind)
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let (one, same, other) = (Population::new(7, 3, 40), Population::new(7, 3, 40), Population::new(8, 3, 40));
    let larger = Population::new(7, 20, 5000);
    let mut differing = 0;
    for position in 0..40 {
        assert_eq!(claim(&one, 2, position), claim(&same, 2, position));
        assert_eq!(claim(&one, 2, position), claim(&larger, 2, position), "size does not change a claim");
        differing += usize::from(claim(&one, 2, position) != claim(&other, 2, position));
    }
    assert_eq!(differing, 40);
    assert_eq!(one.patient(Version::V2, 1), same.patient(Version::V2, 1));
    assert_eq!(one.coverage(Version::V2, 1), same.coverage(Version::V2, 1));
    assert_ne!(one.patient(Version::V2, 1), one.patient(Version::V2, 2));
}

#[test]
fn no_byte_of_seed_1_changes() {
    // Other projects' tests, benchmarks and docs rely on these bytes. If you change them, say so in CHANGELOG.md.
    let population = Population::new(1, 2, 200);
    let mut text = String::new();
    let digests = [Version::V1, Version::V2, Version::V3].map(|version| {
        text.clear();
        for nth in 0..population.claims(version, 0) {
            population.write_claim(version, 0, population.place(version, 0, nth), LOADED, &mut text);
        }
        let claims = sha256(&text);
        text.clear();
        for enrollee in 0..2 {
            text += &population.patient(version, enrollee);
            population.coverage(version, enrollee).iter().for_each(|(_, coverage)| text += coverage);
        }
        (claims, sha256(&text))
    });
    let expected = [
        (
            "9782e7b217a70e47763dcb368b7dc8d51f1ccf488987472c74c8649761c49cd1",
            "b8fba60af520e4f5bc1d9a3d4bfe3353f4959705f621628f61a284f30983c166",
        ),
        (
            "410d5d678fd9fcbbac5adca62f0ed8c768371bd36757bb99830a593fdf68ff81",
            "7493cb3ef9995464f37a9bfa787e11f558b038e93ab91db59f7e9ce453822d4e",
        ),
        (
            "c8379b44c22bcb302084d596ed9e6bedf7a4dc5da8c26010c3fab6932c0578c3",
            "01d2cd88b5b7ee82fb2b293e34df304d68992bb382580eca1712c119904d5c59",
        ),
    ];
    assert_eq!(digests, expected.map(|(claims, people)| (claims.into(), people.into())));
}

fn sha256(text: &str) -> String {
    crate::ids::hex(&Sha256::digest(text))
}

#[test]
fn positions_are_in_text_order_of_the_claim_numbers() {
    for size in [1, 10, 11, 5000] {
        let population = Population::new(42, 3, size);
        for enrollee in 0..3 {
            let ids: Vec<String> =
                (0..size).map(|position| population.claim_header(Version::V2, enrollee, position).id).collect();
            assert!(ids.windows(2).all(|pair| order(&pair[0]) < order(&pair[1])), "{size}");
        }
    }
    for (people, size) in [(1, 1_000_000), (5000, 1_000_000), (3, 40_000_000)] {
        let population = Population::new(42, people, size);
        let spots = (0..size).step_by(9973).chain([size - 2, size - 1]);
        let ids: Vec<String> = spots.map(|spot| population.claim_header(Version::V2, people - 1, spot).id).collect();
        let ids: BTreeSet<(&str, &str)> = ids.iter().map(|id| order(id)).collect();
        let lengths: BTreeSet<usize> = ids.iter().map(|(number, _)| number.len()).collect();
        assert_eq!(lengths.len(), 1, "as many digits everywhere");
        for position in (0..size - 1).step_by(size / 50).chain([size - 2]) {
            let pair = [position, position + 1].map(|at| population.claim_header(Version::V2, people - 1, at).id);
            assert!(order(&pair[0]) < order(&pair[1]), "{pair:?}");
        }
        // The end of one person's range comes before the beginning of the next one's.
        if people > 1 {
            let last = population.claim_header(Version::V2, people - 2, size - 1).id;
            assert!(order(&last).0 < order(&population.claim_header(Version::V2, people - 1, 0).id).0);
        }
    }
}

#[test]
fn ids_are_negative_and_belong_to_one_person() {
    let population = Population::new(1, 12, 700);
    let mut seen = BTreeSet::new();
    for enrollee in 0..12 {
        assert!(population.enrollee(enrollee).patient.starts_with("-2014000000"));
        for position in 0..700 {
            let id = population.claim_header(Version::V2, enrollee, position).id;
            assert!(order(&id).0.starts_with('-'), "{id}");
            assert!(seen.insert(id));
        }
    }
}

#[test]
fn a_claim_is_found_by_its_own_id_only() {
    let population = Population::new(5, 3, 3000);
    for position in (0..3000).step_by(7).chain([2999]) {
        let id = population.claim_header(Version::V2, 1, position).id;
        assert_eq!(population.find_claim(Version::V2, 1, &id), Some(position));
        assert_eq!(population.find_claim(Version::V2, 0, &id), None);
        assert_eq!(population.find_claim(Version::V2, 2, &id), None);
        let other_kind = if id.starts_with("pde") {
            id.replace("pde", "snf")
        } else {
            format!("pde{}", &id[id.find('-').unwrap()..])
        };
        assert_eq!(population.find_claim(Version::V2, 1, &other_kind), None);
        assert_eq!(population.find_claim(Version::V2, 1, &format!("{id}0")), None);
    }
    let beyond = Population::new(5, 3, 3001).claim_header(Version::V2, 1, 3000).id;
    for id in ["", "carrier", "carrier-1", "carrier--", "carrier--x", "carrier--99999999999999999999", &beyond] {
        assert_eq!(population.find_claim(Version::V2, 1, id), None, "{id}");
    }
    let of_nobody = Population::new(5, 4, 3000).claim_header(Version::V2, 3, 0).id;
    assert_eq!(population.find_claim(Version::V2, 3, &of_nobody), None);
}

#[test]
fn claims_of_v3_are_found_by_their_ids_and_whose_they_are_by_the_number() {
    let population = Population::new(5, 4, 3000);
    let id = |enrollee, place| population.claim_header(Version::V3, enrollee, place).id;
    let first: Vec<String> =
        (0..population.claims(Version::V3, 1)).map(|nth| id(1, population.place(Version::V3, 1, nth))).collect();
    assert_eq!(first.len(), 3000 + 120 + 30);
    for (nth, of_one) in first.iter().enumerate().skip(2900) {
        let place = population.place(Version::V3, 1, nth);
        let found = population.find_claim(Version::V3, 1, of_one).unwrap();
        assert_eq!((found, id(1, found)), (place, of_one.clone()));
        assert_eq!(population.find_claim(Version::V3, 2, of_one), None);
        let owners = population.owners(Version::V3, of_one);
        assert!(if nth < 3120 { owners == [1] } else { owners == [0, 1, 2, 3] }, "{of_one} {owners:?}");
    }
    let spare = id(1, 3000);
    assert_eq!(population.find_claim(Version::V3, 1, &spare), None);
    assert_eq!(population.find_made(Version::V3, 1, &spare), Some(3000));
    let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for nothing in ["123", "-123", "-99999999999999999999", "-", "", uuid, "-5000000000000", "-1000000000000"] {
        assert_eq!(population.find_claim(Version::V3, 1, nothing), None, "{nothing}");
    }
    let upper = first.last().unwrap().to_ascii_uppercase();
    assert_eq!(population.find_claim(Version::V3, 1, &upper), None, "ids are texts");
}

/// This would take more than ten seconds if every additional claim were made to check its id.
#[test]
fn an_id_that_nobody_has_is_not_looked_for_among_all_claims() {
    let population = Population::new(5, 1000, 1_000_000);
    let started = std::time::Instant::now();
    for id in ["123", "-123", "-1100000000123", "-5100000000123"] {
        let owners = population.owners(Version::V3, id);
        assert!(owners.len() <= 1, "{owners:?}");
        assert!(owners.into_iter().all(|owner| population.find_claim(Version::V3, owner, id).is_none()), "{id}");
    }
    assert!(started.elapsed().as_millis() < 500, "{:?}", started.elapsed());
    let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    assert!(
        population
            .owners(Version::V3, uuid)
            .into_iter()
            .take(20)
            .all(|owner| { population.find_claim(Version::V3, owner, uuid).is_none() })
    );
    assert!(started.elapsed().as_millis() < 1_000, "{:?}", started.elapsed());
}

#[test]
fn headers_say_what_the_claims_do() {
    let population = Population::new(11, 2, 800);
    let created = "2026-11-20T08:09:10Z".parse::<Timestamp>().unwrap();
    let (mut offsets, mut weekdays, mut years) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    let mut dated = 0;
    for position in 0..800 {
        let (header, claim) = (population.claim_header(Version::V2, 1, position), parsed(&population, 1, position));
        assert_eq!(claim["id"], header.id.as_str());
        assert!(header.id.starts_with(header.kind));
        assert_eq!(claim["patient"]["reference"], "Patient/-20140000000002");
        let updated = claim["meta"]["lastUpdated"].as_str().unwrap();
        assert_eq!(updated.parse::<Timestamp>().unwrap(), header.last_updated);
        assert!(header.last_updated <= population.loaded());
        offsets.insert(updated[updated.len() - 6..].to_owned());
        *weekdays.entry(header.last_updated.strftime("%A").to_string()).or_insert(0) += 1;
        let end = header.service_end.unwrap();
        assert_eq!(claim["billablePeriod"]["end"], end.to_string());
        assert!((date(2015, 1, 1)..=date(2026, 11, 14)).contains(&end));
        let start: jiff::civil::Date = claim["billablePeriod"]["start"].as_str().unwrap().parse().unwrap();
        assert!(start >= date(2015, 1, 1) && start <= end);
        let info = claim["supportingInfo"].as_array().unwrap().iter().filter(|info| {
            info["category"]["coding"].as_array().unwrap().iter().any(|code| code["code"] == "clmrecvddate")
        });
        let received = info.filter_map(|info| info["timingDate"].as_str());
        for processed in received.chain(claim["payment"]["date"].as_str()) {
            assert!(processed <= &updated[..10], "{}: processed {processed}, loaded {updated}", header.id);
            dated += 1;
        }
        years.insert(end.year());
        assert_eq!(claim["created"], "2026-11-20T08:09:10+00:00");
        assert_eq!(claim["created"].as_str().unwrap().parse::<Timestamp>().unwrap(), created);
    }
    assert_eq!(offsets, ["+00:00", "-04:00", "-05:00"].map(String::from).into());
    assert_eq!(years.len(), 12);
    assert!(dated > 600, "{dated}");
    assert!(weekdays["Tuesday"] > 750, "loads run on Tuesdays, but for the last one: {weekdays:?}");
    assert!(weekdays.keys().all(|day| ["Monday", "Tuesday"].contains(&day.as_str())), "{weekdays:?}");
}

#[test]
fn the_mix_of_types_is_medicares() {
    let population = Population::new(3, 2, 10_000);
    let mut counts = BTreeMap::new();
    for position in 0..10_000 {
        *counts.entry(population.claim_header(Version::V2, 0, position).kind).or_insert(0) += 1;
    }
    let expected = [
        ("carrier", 5500),
        ("pde", 2000),
        ("outpatient", 1300),
        ("dme", 400),
        ("inpatient", 300),
        ("hha", 200),
        ("snf", 200),
        ("hospice", 100),
    ];
    assert_eq!(counts, expected.into());
    for enrollee in 0..2 {
        let first: BTreeSet<_> =
            (0..40).map(|position| population.claim_header(Version::V2, enrollee, position).kind).collect();
        assert_eq!(first.len(), 8, "a small mock has every type");
    }
}

fn amount(claim: &Value, variable: &str) -> Option<u64> {
    let url = format!("https://bluebutton.cms.gov/resources/variables/{variable}");
    let entries = claim["benefitBalance"][0]["financial"].as_array().into_iter().flatten();
    let entries = entries.chain(claim["total"].as_array().into_iter().flatten());
    for entry in entries {
        let codes = if entry["type"].is_object() { &entry["type"] } else { &entry["category"] };
        if codes["coding"].as_array().is_some_and(|codes| codes.iter().any(|code| code["code"] == url.as_str())) {
            let money = if entry["usedMoney"].is_object() { &entry["usedMoney"] } else { &entry["amount"] };
            return money["value"].as_f64().map(|value| (value * 100.0).round() as u64);
        }
    }
    None
}

#[test]
fn claims_have_the_irregularities_of_real_ones_and_their_sums() {
    let population = Population::new(9, 1, 1500);
    let (mut cancelled, mut without_provider, mut foreign, mut whole, mut longest) = (0, 0, 0, 0, 0);
    for position in 0..1500 {
        let text = claim(&population, 0, position);
        let claim: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(claim.to_string().len(), text.len(), "compact, and escaped no more than needed");
        cancelled += usize::from(claim["status"] == "cancelled");
        without_provider += usize::from(claim["provider"].is_null());
        foreign += usize::from(!text.is_ascii());
        whole += usize::from(text.contains("\"value\":0,\"currency\""));
        longest = longest.max(claim["item"].as_array().unwrap().len());
        assert!(claim["item"].as_array().unwrap().iter().zip(1..).all(|(item, number)| item["sequence"] == number));
        let diagnoses = claim["diagnosis"].as_array().into_iter().flatten();
        let codes: Vec<_> = diagnoses.map(|one| &one["diagnosisCodeableConcept"]["coding"][0]["code"]).collect();
        assert_eq!(codes.len(), codes.iter().map(|code| code.as_str()).collect::<BTreeSet<_>>().len(), "{codes:?}");
        let id = claim["id"].as_str().unwrap();
        let paid = claim["payment"]["amount"]["value"].as_f64().map(|value| (value * 100.0).round() as u64);
        if id.starts_with("carrier") || id.starts_with("dme") {
            let charge = amount(&claim, "nch_carr_clm_sbmtd_chrg_amt").unwrap();
            let allowed = amount(&claim, "nch_carr_clm_alowd_amt").unwrap();
            assert!(charge >= allowed && allowed >= paid.unwrap(), "{id}");
        } else if !id.starts_with("pde") {
            assert!(amount(&claim, "clm_tot_chrg_amt").unwrap() >= paid.unwrap(), "{id}");
        }
    }
    assert!((15..150).contains(&cancelled), "{cancelled}");
    assert!((300..700).contains(&without_provider), "{without_provider}");
    assert!(foreign > 400, "{foreign}");
    assert!((90..300).contains(&whole), "{whole}");
    assert!(longest >= 45, "{longest}");
}

#[test]
fn keys_stand_in_the_servers_order() {
    let population = Population::new(2, 1, 40);
    for position in 0..40 {
        let text = claim(&population, 0, position);
        let order = [
            "{\"resourceType\":\"ExplanationOfBenefit\",\"id\":",
            "\"meta\":{\"lastUpdated\"",
            "\"identifier\":[{\"type\"",
            "\"status\":\"a",
            "\"use\":\"claim\"",
            "\"billablePeriod\":",
            "\"created\":",
            "\"insurer\":",
            "\"outcome\":",
            "\"careTeam\":[",
            "\"supportingInfo\":[",
            "\"insurance\":[",
            "\"item\":[",
            "\"total\":[",
        ];
        let places: Vec<_> = order.iter().map(|key| text.rfind(key)).collect();
        if text.contains("\"status\":\"cancelled\"") {
            continue;
        }
        assert!(places.iter().all(Option::is_some), "{places:?}");
        assert!(places[2..].is_sorted(), "{places:?} {text}");
    }
}

#[test]
fn a_person_has_a_patient_and_four_coverages_that_agree() {
    let population = Population::new(6, 30, 1);
    let (mut foreign, mut periods) = (0, 0);
    for index in 0..30 {
        let enrollee = population.enrollee(index);
        let patient: Value = serde_json::from_str(&population.patient(Version::V2, index)).unwrap();
        assert_eq!(patient["id"], enrollee.patient.as_str());
        assert_eq!(enrollee.patient.len(), 15, "a sign and fourteen digits");
        assert_eq!(patient["name"][0]["family"], enrollee.family_name.as_str());
        assert_eq!(patient["name"][0]["given"][0], enrollee.given_name.as_str());
        assert!(patient["address"][0]["line"].is_null());
        assert!(enrollee.email.ends_with("@example.com") && enrollee.email.is_ascii());
        foreign += usize::from(!enrollee.name.is_ascii());
        let mbi = patient["identifier"][1]["value"].as_str().unwrap().to_owned();
        assert!(mbi.len() == 11 && mbi.as_bytes()[1] == b'S', "{mbi}");
        let coverage = population.coverage(Version::V2, index);
        let ids: Vec<_> = coverage.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c", "d"].map(|part| format!("part-{part}-{}", enrollee.patient)));
        for (id, text) in &coverage {
            let coverage: Value = serde_json::from_str(text).unwrap();
            assert_eq!(coverage["id"], id.as_str());
            assert_eq!(coverage["subscriberId"], mbi.as_str());
            assert_eq!(coverage["beneficiary"]["reference"], format!("Patient/{}", enrollee.patient));
            let updated = coverage["meta"]["lastUpdated"].as_str().unwrap().parse::<Timestamp>().unwrap();
            assert!(updated <= population.loaded());
            if let Some(start) = coverage["period"]["start"].as_str() {
                assert!(start < "2015", "{id} begins on {start}, after the first claims");
                periods += 1;
            }
        }
    }
    assert!(foreign > 10, "{foreign}");
    assert_eq!(periods, 60, "parts A and B say when they began");
}
