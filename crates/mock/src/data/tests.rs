//! Tests of what is found in files, and how it is served.

use std::{fs, io::Write};

use super::*;

#[test]
fn claims_are_found_in_bundles_and_files_and_served_in_the_servers_order() {
    let dir = tempfile::tempdir().unwrap();
    let claim = |id: &str, n: &str| {
        format!(
            r#"{{"resourceType":"ExplanationOfBenefit","id":"{id}","meta":{{"lastUpdated":"IGNORED_FIELD"}},"patient":{{"reference":"Patient/-1"}},"n":{n}}}"#
        )
    };
    let bundle = format!(
        "{{\n \"resourceType\": \"Bundle\", \"entry\": [ {{\"resource\": {} }}, {{\"resource\": {} }} ]}}",
        claim("pde--20", "1.50"),
        claim("carrier--3", "2")
    );
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/bundle.json"), bundle).unwrap();
    fs::write(dir.path().join("one.json"), claim("carrier--100", "3E+2")).unwrap();
    fs::write(dir.path().join("two.json"), claim("carrier--100", "4")).unwrap();
    fs::write(dir.path().join("noise.json"), "[1]").unwrap();
    let files = load(dir.path()).unwrap();
    let ids: Vec<String> =
        (0..files.claims(Version::V2, 0)).map(|position| files.claim_header(Version::V2, 0, position).id).collect();
    assert_eq!(ids, ["carrier--100", "pde--20", "carrier--3"]);
    let mut text = String::new();
    files.write_claim(Version::V2, 0, 1, Timestamp::UNIX_EPOCH, &mut text);
    assert_eq!(text, claim("pde--20", "1.50").replace("IGNORED_FIELD", LOADED));
    assert!(load(&dir.path().join("sub/none")).is_err());
}

#[test]
fn each_resource_is_of_the_version_that_writes_such_ones() {
    let dir = tempfile::tempdir().unwrap();
    let claim = |name: &str, id: &str, rest: &str| {
        let text = format!(
            r#"{{"resourceType":"ExplanationOfBenefit","id":"{id}","patient":{{"reference":"Patient/-1"}},{rest}}}"#
        );
        fs::write(dir.path().join(name), text).unwrap();
    };
    claim("1.json", "carrier--1", r#""insurance":{"coverage":{}}"#);
    claim("2.json", "carrier--1", r#""insurance":[]"#);
    let profile = r#""profile":["x|2.2.0"]"#;
    claim("3.json", "-9", &format!(r#""meta":{{"source":"FISS",{profile}}},"type":{{"coding":[{{"code":"SNF"}}]}}"#));
    let labels = r#""security":[{"code":"42CFRPart2"}],"tag":[{"system":"https://bluebutton.cms.gov/fhir/CodeSystem/Final-Action","code":"FinalAction"},{"system":"https://bluebutton.cms.gov/fhir/CodeSystem/System-Type","code":"DDPS"}]"#;
    claim(
        "4.json",
        "-8",
        &format!(r#""meta":{{"source":"DDPS",{profile},{labels}}},"type":{{"coding":[{{"code":"PDE"}}]}}"#),
    );
    let files = load(dir.path()).unwrap();
    let heads =
        |version| -> Vec<_> { (0..files.claims(version, 0)).map(|at| files.claim_header(version, 0, at)).collect() };
    assert!(VERSIONS.into_iter().all(|version| files.serves(version)));
    assert_eq!((heads(Version::V1).len(), heads(Version::V2).len()), (1, 1));
    let v3 = heads(Version::V3);
    let told: Vec<_> = v3.iter().map(|one| (one.id.as_str(), one.kind, one.marks.source)).collect();
    assert_eq!(told, [("-8", "pde", "DDPS"), ("-9", "snf", "FISS")], "the finished one first");
    assert!(v3[0].marks.samhsa && v3[0].marks.tags.len() == 2 && !v3[1].marks.samhsa);
    assert_eq!(files.finished(Version::V3, 0), 1);
    let card: serde_json::Value = serde_json::from_str(&files.insurance_card(0, 0).unwrap()).unwrap();
    assert_eq!(card["entry"].as_array().unwrap().len(), 2, "{card}");
}

#[test]
fn ids_of_any_letters_are_written_as_json_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let id = "a\"b\\c\u{1}\n\u{2028}</script>";
    let claim = serde_json::json!({
        "resourceType": "ExplanationOfBenefit", "id": format!("carrier--1{id}"), "insurance": [],
        "patient": {"reference": format!("Patient/{id}")},
    });
    fs::write(dir.path().join("claim.json"), claim.to_string()).unwrap();
    let files = load(dir.path()).unwrap();
    let read =
        |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|cause| panic!("{cause}: {text}"));
    for version in VERSIONS {
        assert_eq!(read(&files.patient(version, 0))["id"], id);
        let [(part, text)] = &files.coverage(version, 0)[..] else { panic!("one cover") };
        assert_eq!((&read(text)["id"], part), (&part.as_str().into(), &format!("part-a-{id}")));
        assert_eq!(read(text)["beneficiary"]["reference"], format!("Patient/{id}"));
    }
    assert_eq!(read(&files.insurance_card(0, 0).unwrap())["entry"].as_array().unwrap().len(), 2);
    let mut text = String::new();
    files.write_claim(Version::V2, 0, 0, Timestamp::UNIX_EPOCH, &mut text);
    assert_eq!(read(&text), claim);
}

fn eob(id: &str) -> String {
    format!(
        r#"{{"resourceType":"ExplanationOfBenefit","id":"{id}","insurance":[],"patient":{{"reference":"Patient/-1"}}}}"#
    )
}

fn ids(files: &Files, version: Version) -> Vec<String> {
    (0..files.claims(version, 0)).map(|at| files.claim_header(version, 0, at).id).collect()
}

fn served(files: &Files) -> Vec<&'static str> {
    VERSIONS.into_iter().filter(|version| files.serves(*version)).map(Version::name).collect()
}

/// Creates a directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn ndjson_and_gzip_are_read() {
    let dir = directory(&[("a.ndjson", &format!("{}\n{}\n\n", eob("pde--1"), eob("pde--2")))]);
    let compressed = |name: &str, text: &str| {
        let file = fs::File::create(dir.path().join(name)).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
    };
    compressed("b.ndjson.gz", &format!("{}\n{}", eob("pde--3"), eob("pde--2")));
    compressed("c.json.gz", &eob("pde--4"));
    fs::create_dir(dir.path().join(".hidden")).unwrap();
    fs::write(dir.path().join(".hidden/half.ndjson"), "{").unwrap();
    assert_eq!(ids(&load(dir.path()).unwrap(), Version::V2), ["pde--1", "pde--2", "pde--3", "pde--4"]);
}

#[test]
fn what_is_no_json_is_named_with_its_line() {
    let dir = directory(&[("a.ndjson", &format!("{}\n{{\"resource", eob("pde--1")))]);
    let refused = load(dir.path()).unwrap_err();
    assert!(refused.to_string().ends_with("a.ndjson is not JSON: look at line 2"), "{refused}");
    let dir = directory(&[]);
    fs::write(dir.path().join("a.json.gz"), [0x1f, 0x8b, 8]).unwrap();
    assert!(matches!(load(dir.path()), Err(DataError::Read { .. })));
}

#[test]
fn an_entry_without_its_bundle_is_read() {
    let dir = directory(&[("a.json", &format!(r#"{{"fullUrl":"urn:uuid:1","resource":{}}}"#, eob("pde--1")))]);
    assert_eq!(ids(&load(dir.path()).unwrap(), Version::V2), ["pde--1"]);
}

#[test]
fn an_empty_bundle_is_somebody_without_claims() {
    let dir = directory(&[("a.json", r#"{"resourceType":"Bundle","type":"searchset","total":0}"#)]);
    let files = load(dir.path()).unwrap();
    assert_eq!((files.enrollees(), files.claims(Version::V2, 0)), (1, 0));
    assert_eq!(served(&files), ["v1", "v2", "v3"]);
    let dir = directory(&[("a.json", r#"{"resourceType":"Organization"}"#)]);
    assert!(matches!(load(dir.path()), Err(DataError::Nothing(_))));
}

#[test]
fn people_and_coverage_are_served_without_claims() {
    let patient = |rest: &str| format!(r#"{{"resourceType":"Patient","id":"-1",{rest}}}"#);
    let cover = |rest: &str| {
        format!(r#"{{"resourceType":"Coverage","id":"c",{rest},"beneficiary":{{"reference":"Patient/-1"}}}}"#)
    };
    let (stu3, v2, v3) = (r#""n":1"#, r#""meta":{"profile":["x"]}"#, r#""meta":{"profile":["x|1"]}"#);
    for (resource, versions) in [
        (patient(stu3), &["v1", "v2"][..]),
        (patient(v2), &["v2"]),
        (patient(v3), &["v3"]),
        (cover(stu3), &["v1", "v2"]),
        (cover(v2), &["v2"]),
        (cover(v3), &["v3"]),
    ] {
        let files = load(directory(&[("a.json", &resource)]).path()).unwrap();
        assert_eq!(served(&files), versions, "{resource}");
        let version = *VERSIONS.iter().rev().find(|version| files.serves(**version)).unwrap();
        let texts = [files.patient(version, 0), files.coverage(version, 0)[0].1.clone()];
        assert!(texts.contains(&resource), "{texts:?}");
    }
    let both = directory(&[("a.json", &patient(stu3)), ("b.json", &eob("pde--1"))]);
    assert_eq!(served(&load(both.path()).unwrap()), ["v2"], "with claims of v2, such a Patient is v2's");
}

#[test]
fn an_insurance_card_is_served_unchanged_to_the_enrollee_it_names() {
    let patient = |id: &str, number: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","meta":{{"profile":["x|1"]}},"identifier":[{{"value":"{number}"}}]}}"#
        )
    };
    let card = r#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"u","meta":{"profile":["http://hl7.org/fhir/us/insurance-card/StructureDefinition/C4DIC-Patient|1.1.0"]},"identifier":[{"value":"second"}]}}]}"#;
    let alone = load(directory(&[("card.json", card)]).path()).unwrap();
    assert_eq!((alone.insurance_card(0, 0).as_deref(), served(&alone)), (Some(card), vec!["v3"]));
    let (first, second) = (patient("-1", "first"), patient("-2", "second"));
    let files = load(directory(&[("1.json", &first), ("2.json", &second), ("card.json", card)]).path()).unwrap();
    assert_eq!((files.enrollees(), files.insurance_card(1, 3).as_deref()), (2, Some(card)));
    assert_ne!(files.insurance_card(0, 0).as_deref(), Some(card));
}

/// Claims of v3 recorded before 2026-08 have only CMS's number of their type. The server sorts them by number.
#[test]
fn claims_of_v3_have_the_type_of_their_number_and_are_in_the_order_of_numbers() {
    let claim = |id: &str, usage: &str, number: &str| {
        serde_json::json!({"resourceType": "ExplanationOfBenefit", "id": id, "use": usage, "insurance": [],
            "meta": {"profile": ["x|2"], "source": "NCH"}, "patient": {"reference": "Patient/-1"},
            "type": {"coding": [{"system": "https://bluebutton.cms.gov/fhir/CodeSystem/CLM-TYPE-CD", "code": number}]}})
        .to_string()
    };
    let of = |ids: [&str; 5], numbers: [&str; 5]| {
        let texts: Vec<String> = ids.iter().zip(numbers).map(|(id, number)| claim(id, "claim", number)).collect();
        texts.join("\n")
    };
    let first = of(["-100", "-99", "5", "1071939711295", "9"], ["71", "2800", "40", "1013", "999"]);
    let second = of(["10", "11", "12", "13", "14"], ["64", "1021", "2081", "3", "1033"]);
    let asked = claim("0a-1", "preauthorization", "H");
    let dir = directory(&[("a.ndjson", &first), ("b.ndjson", &second), ("c.json", &asked)]);
    let files = load(dir.path()).unwrap();
    let found: Vec<(String, &str)> = (0..files.claims(Version::V3, 0))
        .map(|at| files.claim_header(Version::V3, 0, at))
        .map(|header| (header.id, header.kind))
        .collect();
    let expected = [
        ("-100", "carrier"),
        ("-99", "dme"),
        ("5", "outpatient"),
        ("9", ""),
        ("10", "inpatient"),
        ("11", "snf"),
        ("12", "hospice"),
        ("13", "pde"),
        ("14", "hha"),
        ("1071939711295", "outpatient"),
        ("0a-1", "hha"),
    ];
    assert_eq!(found, expected.map(|(id, kind)| (id.to_owned(), kind)));
}
