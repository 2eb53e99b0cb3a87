//! `--data`: payload files served as they are, page by page.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::Date};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    json::quoted,
    records::{ClaimHeader, Enrollee, Marks, Records, Version, index_of, username},
};

/// What the payload library of CMS's own tests has where a value changes at every run.
const MASKED: &str = "\"IGNORED_FIELD\"";
const LOADED: &str = "2026-11-16T09:00:00Z";
const KINDS: [&str; 8] = ["carrier", "dme", "hha", "hospice", "inpatient", "outpatient", "pde", "snf"];

/// What claims of v3 are labelled with, where the files have anything of the kind.
const SYSTEM: &str = "https://bluebutton.cms.gov/fhir/CodeSystem/System-Type";
const ACTION: &str = "https://bluebutton.cms.gov/fhir/CodeSystem/Final-Action";
const TAGS: [&[(&str, &str)]; 7] = [
    &[(SYSTEM, "NationalClaimsHistory"), (ACTION, "FinalAction")],
    &[(SYSTEM, "NationalClaimsHistory"), (ACTION, "NotFinalAction")],
    &[(SYSTEM, "DDPS"), (ACTION, "FinalAction")],
    &[(SYSTEM, "DDPS"), (ACTION, "NotFinalAction")],
    &[(SYSTEM, "SharedSystem"), (ACTION, "FinalAction")],
    &[(SYSTEM, "SharedSystem"), (ACTION, "NotFinalAction")],
    &[(SYSTEM, "SharedSystem")],
];
const FINISHED: [&str; 2] = ["NCH", "DDPS"];
const WORKED_ON: [&str; 4] = ["FISS", "MCS", "VMS", "CWF"];

/// People and resources found in files.
#[derive(Debug, Default)]
pub struct Files {
    people: Vec<Person>,
}

#[derive(Debug, Default)]
struct Person {
    id: String,
    v1: Held,
    v2: Held,
    v3: Held,
}

impl Person {
    fn of(&self, version: Version) -> &Held {
        match version {
            Version::V1 => &self.v1,
            Version::V2 => &self.v2,
            Version::V3 => &self.v3,
        }
    }

    fn of_mut(&mut self, version: Version) -> &mut Held {
        match version {
            Version::V1 => &mut self.v1,
            Version::V2 => &mut self.v2,
            Version::V3 => &mut self.v3,
        }
    }

    fn claims(&self) -> usize {
        VERSIONS.iter().map(|version| self.of(*version).claims.len()).sum()
    }
}

/// What there is of somebody in one version.
#[derive(Debug, Default)]
struct Held {
    patient: Option<String>,
    coverage: BTreeMap<String, String>,
    /// In the server's order: by number as text and type; at v3 the finished ones first.
    claims: Vec<(ClaimHeader, String)>,
}

const VERSIONS: [Version; 3] = [Version::V1, Version::V2, Version::V3];

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "resourceType", default)]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
    #[serde(default)]
    meta: Meta,
    #[serde(default)]
    patient: Reference,
    #[serde(default)]
    beneficiary: Reference,
    #[serde(rename = "billablePeriod", default)]
    period: Period,
    /// An object in STU3, a list in R4.
    #[serde(borrow)]
    insurance: Option<&'a RawValue>,
    /// Its codings, where it has any.
    #[serde(rename = "type", borrow)]
    concept: Option<&'a RawValue>,
}

impl Head<'_> {
    /// The version of the API that writes such a resource. STU3 names no profiles, v3 gives each its version.
    fn version(&self) -> Version {
        let is_versioned = self.meta.profile.iter().any(|profile| profile.contains('|'));
        if self.kind == "ExplanationOfBenefit" {
            let is_stu3 = self.insurance.is_some_and(|insurance| insurance.get().starts_with('{'));
            return match () {
                () if is_versioned || kind_in(&self.id).is_none() => Version::V3,
                () if is_stu3 => Version::V1,
                () => Version::V2,
            };
        }
        match (is_versioned, self.meta.profile.is_empty()) {
            (true, _) => Version::V3,
            (false, true) => Version::V1,
            (false, false) => Version::V2,
        }
    }
}

/// The type that claim ids of v1 and v2 begin with.
fn kind_in(id: &str) -> Option<&'static str> {
    let (kind, _) = id.split_once('-')?;
    KINDS.into_iter().find(|known| *known == kind)
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(rename = "lastUpdated")]
    last_updated: String,
    source: String,
    profile: Vec<String>,
    security: Vec<Coding>,
    tag: Vec<Coding>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Coding {
    system: String,
    code: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Concept {
    coding: Vec<Coding>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    reference: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Period {
    end: String,
}

/// Reads every JSON file below `dir` that is a Bundle, a claim, a Patient or a Coverage; anything else
/// is passed over. Of resources with one id the first counts, in the order of the files' names.
///
/// Each resource is served by the version of the API that writes such ones. Everyone whom a claim or coverage
/// speaks of is an enrollee; those with the most claims come first. Someone of whom there is no Patient or no
/// Coverage gets a bare one.
///
/// # Errors
/// When the directory cannot be read, or holds nothing of the kind.
pub fn load(dir: &Path) -> Result<Files, String> {
    let mut paths = Vec::new();
    walk(dir, &mut paths)?;
    paths.sort();
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))?;
        take(&text.replace(MASKED, &format!("\"{LOADED}\"")), &mut people);
    }
    let mut people: Vec<Person> = people.into_values().collect();
    for person in &mut people {
        for version in VERSIONS {
            let is_v3 = version == Version::V3;
            let place = |claim: &ClaimHeader| is_v3 && !FINISHED.contains(&claim.marks.source);
            person
                .of_mut(version)
                .claims
                .sort_by(|(a, _), (b, _)| (place(a), order(is_v3, &a.id)).cmp(&(place(b), order(is_v3, &b.id))));
        }
    }
    people.sort_by_key(|person| std::cmp::Reverse(person.claims()));
    if people.is_empty() {
        return Err(format!("{} holds no Bundle, ExplanationOfBenefit, Patient or Coverage", dir.display()));
    }
    Ok(Files { people })
}

fn walk(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(dir).map_err(|cause| format!("cannot read {}: {cause}", dir.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        // What a link names may be anywhere, and what is no file may never end.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            walk(&path, paths)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    Ok(())
}

fn take(text: &str, people: &mut BTreeMap<String, Person>) {
    let Ok(head) = serde_json::from_str::<Head<'_>>(text) else { return };
    let version = head.version();
    let of = |reference: &Reference| reference.reference.strip_prefix("Patient/").map(str::to_owned);
    let known = |people: &mut BTreeMap<String, Person>, id: String| {
        people.entry(id.clone()).or_insert_with(|| Person { id, ..Person::default() });
    };
    match head.kind.as_str() {
        "Bundle" => {
            for resource in head.entry.iter().filter_map(|entry| entry.resource) {
                take(resource.get(), people);
            }
        }
        "Patient" if !head.id.is_empty() => {
            known(people, head.id.clone());
            if let Some(person) = people.get_mut(&head.id) {
                person.of_mut(version).patient.get_or_insert_with(|| compact(text));
            }
        }
        "Coverage" => {
            let Some(id) = of(&head.beneficiary) else { return };
            known(people, id.clone());
            if let Some(person) = people.get_mut(&id) {
                person.of_mut(version).coverage.entry(head.id).or_insert_with(|| compact(text));
            }
        }
        "ExplanationOfBenefit" => {
            let (Some(id), Some(header)) = (of(&head.patient), header(&head, version)) else { return };
            known(people, id.clone());
            let Some(held) = people.get_mut(&id).map(|person| person.of_mut(version)) else { return };
            if !held.claims.iter().any(|(other, _)| other.id == header.id) {
                held.claims.push((header, compact(text)));
            }
        }
        _ => {}
    }
}

fn header(head: &Head<'_>, version: Version) -> Option<ClaimHeader> {
    let loaded = LOADED.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    if head.id.is_empty() {
        return None;
    }
    Some(ClaimHeader {
        id: head.id.clone(),
        kind: if version == Version::V3 { kind_of(head) } else { kind_in(&head.id)? },
        last_updated: head.meta.last_updated.parse().unwrap_or(loaded),
        service_end: head.period.end.parse::<Date>().ok(),
        marks: if version == Version::V3 { marks(&head.meta) } else { Marks::NONE },
    })
}

/// The type of a claim of v3: a word among its codings. Prior authorisations are home health's.
fn kind_of(head: &Head<'_>) -> &'static str {
    let concept: Concept = head.concept.and_then(|it| serde_json::from_str(it.get()).ok()).unwrap_or_default();
    let mut words = concept.coding.iter().map(|coding| coding.code.to_ascii_lowercase());
    words.find_map(|word| KINDS.into_iter().find(|known| *known == word)).unwrap_or("hha")
}

fn marks(meta: &Meta) -> Marks {
    let same = |tags: &&&[(&str, &str)]| {
        let has = |&(system, code): &(&str, &str)| meta.tag.iter().any(|tag| tag.system == system && tag.code == code);
        tags.len() == meta.tag.len() && tags.iter().all(has)
    };
    Marks {
        source: FINISHED.into_iter().chain(WORKED_ON).find(|known| *known == meta.source).unwrap_or("NCH"),
        samhsa: meta.security.iter().any(|label| label.code == "42CFRPart2"),
        tags: TAGS.iter().find(same).copied().unwrap_or_default(),
    }
}

/// The number as text before the type; at v3 the id is the number.
fn order(is_v3: bool, id: &str) -> (&str, &str) {
    if is_v3 { (id, "") } else { id.split_once('-').map_or((id, ""), |(kind, number)| (number, kind)) }
}

/// The resource on one line, its numbers and texts untouched.
fn compact(text: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            c if !in_string && c.is_ascii_whitespace() => continue,
            _ => {}
        }
        out.push(c);
    }
    out
}

impl Records for Files {
    /// Every version of which there are claims; v2 where there are none at all.
    fn serves(&self, version: Version) -> bool {
        let has = |version: Version| self.people.iter().any(|person| !person.of(version).claims.is_empty());
        has(version) || (version == Version::V2 && !VERSIONS.into_iter().any(has))
    }

    fn enrollees(&self) -> usize {
        self.people.len()
    }

    fn enrollee(&self, index: usize) -> Enrollee {
        Enrollee {
            username: username(index),
            patient: self.people[index].id.clone(),
            name: format!("Enrollee {index}"),
            given_name: "Enrollee".into(),
            family_name: index.to_string(),
            email: format!("enrollee{index}@example.com"),
        }
    }

    fn find_enrollee(&self, username: &str) -> Option<usize> {
        index_of(username).filter(|index| *index < self.people.len())
    }

    fn claims(&self, version: Version, enrollee: usize) -> usize {
        self.people[enrollee].of(version).claims.len()
    }

    fn finished(&self, version: Version, enrollee: usize) -> usize {
        let claims = &self.people[enrollee].of(version).claims;
        claims.iter().filter(|(claim, _)| FINISHED.contains(&claim.marks.source)).count()
    }

    fn claim_header(&self, version: Version, enrollee: usize, position: usize) -> ClaimHeader {
        self.people[enrollee].of(version).claims[position].0.clone()
    }

    fn find_claim(&self, version: Version, enrollee: usize, id: &str) -> Option<usize> {
        self.people[enrollee].of(version).claims.iter().position(|(header, _)| header.id == id)
    }

    fn write_claim(&self, version: Version, enrollee: usize, position: usize, _: Timestamp, out: &mut String) {
        out.push_str(&self.people[enrollee].of(version).claims[position].1);
    }

    fn patient(&self, version: Version, enrollee: usize) -> String {
        let person = &self.people[enrollee];
        // Those of v2 need not name a profile, and then pass for v1's.
        let beside = || person.v1.patient.clone().filter(|_| version == Version::V2);
        person
            .of(version)
            .patient
            .clone()
            .or_else(beside)
            .unwrap_or_else(|| format!(r#"{{"resourceType":"Patient","id":{}}}"#, quoted(&person.id)))
    }

    fn coverage(&self, version: Version, enrollee: usize) -> Vec<(String, String)> {
        let person = &self.people[enrollee];
        let mut coverage = &person.of(version).coverage;
        if coverage.is_empty() && version == Version::V2 {
            coverage = &person.v1.coverage;
        }
        if coverage.is_empty() {
            let id = format!("part-a-{}", person.id);
            let text = format!(
                r#"{{"resourceType":"Coverage","id":{},"meta":{{"lastUpdated":"{LOADED}"}},"status":"active","beneficiary":{{"reference":{}}}}}"#,
                quoted(&id),
                quoted(&format!("Patient/{}", person.id))
            );
            return vec![(id, text)];
        }
        coverage.iter().map(|(id, text)| (id.clone(), text.clone())).collect()
    }

    /// The Patient and the Coverages: a card in a file says of nobody whose it is.
    fn insurance_card(&self, enrollee: usize, _: u64) -> Option<String> {
        let coverage = self.coverage(Version::V3, enrollee).into_iter().map(|(_, text)| text);
        let resources = std::iter::once(self.patient(Version::V3, enrollee)).chain(coverage);
        let entries: Vec<String> = resources.map(|text| format!(r#"{{"resource":{text}}}"#)).collect();
        Some(format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, entries.join(",")))
    }

    fn loaded(&self) -> Timestamp {
        LOADED.parse().unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
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
        claim(
            "3.json",
            "-9",
            &format!(r#""meta":{{"source":"FISS",{profile}}},"type":{{"coding":[{{"code":"SNF"}}]}}"#),
        );
        let labels = r#""security":[{"code":"42CFRPart2"}],"tag":[{"system":"https://bluebutton.cms.gov/fhir/CodeSystem/Final-Action","code":"FinalAction"},{"system":"https://bluebutton.cms.gov/fhir/CodeSystem/System-Type","code":"DDPS"}]"#;
        claim(
            "4.json",
            "-8",
            &format!(r#""meta":{{"source":"DDPS",{profile},{labels}}},"type":{{"coding":[{{"code":"PDE"}}]}}"#),
        );
        let files = load(dir.path()).unwrap();
        let heads = |version| -> Vec<_> {
            (0..files.claims(version, 0)).map(|at| files.claim_header(version, 0, at)).collect()
        };
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
        let read = |text: &str| {
            serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|cause| panic!("{cause}: {text}"))
        };
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
}
