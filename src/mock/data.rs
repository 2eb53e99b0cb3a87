//! `--data`: payload files served as they are, page by page.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::Date};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::records::{ClaimHeader, Enrollee, Marks, Records, Version};

/// What the payload library of CMS's own tests has where a value changes at every run.
const MASKED: &str = "\"IGNORED_FIELD\"";
const LOADED: &str = "2026-11-16T09:00:00Z";
const KINDS: [&str; 8] = ["carrier", "dme", "hha", "hospice", "inpatient", "outpatient", "pde", "snf"];

/// People and resources found in files.
#[derive(Debug, Default)]
pub struct Files {
    people: Vec<Person>,
}

#[derive(Debug, Default)]
struct Person {
    id: String,
    patient: Option<String>,
    coverage: BTreeMap<String, String>,
    /// By number as text and type: the server's order.
    claims: Vec<(ClaimHeader, String)>,
}

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
/// Everyone whom a claim or coverage speaks of is an enrollee; those with the most claims come first.
/// Someone of whom there is no Patient or no Coverage gets a bare one.
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
        person.claims.sort_by(|(a, _), (b, _)| order(&a.id).cmp(&order(&b.id)));
    }
    people.sort_by_key(|person| std::cmp::Reverse(person.claims.len()));
    if people.is_empty() {
        return Err(format!("{} holds no Bundle, ExplanationOfBenefit, Patient or Coverage", dir.display()));
    }
    Ok(Files { people })
}

fn walk(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(dir).map_err(|cause| format!("cannot read {}: {cause}", dir.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    Ok(())
}

fn take(text: &str, people: &mut BTreeMap<String, Person>) {
    let Ok(head) = serde_json::from_str::<Head<'_>>(text) else { return };
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
                person.patient.get_or_insert_with(|| compact(text));
            }
        }
        "Coverage" => {
            let Some(id) = of(&head.beneficiary) else { return };
            known(people, id.clone());
            if let Some(person) = people.get_mut(&id) {
                person.coverage.entry(head.id).or_insert_with(|| compact(text));
            }
        }
        "ExplanationOfBenefit" => {
            let (Some(id), Some(header)) = (of(&head.patient), header(&head)) else { return };
            known(people, id.clone());
            if let Some(person) = people.get_mut(&id)
                && !person.claims.iter().any(|(other, _)| other.id == header.id)
            {
                person.claims.push((header, compact(text)));
            }
        }
        _ => {}
    }
}

fn header(head: &Head<'_>) -> Option<ClaimHeader> {
    let kind = head.id.split_once('-')?.0;
    let loaded = LOADED.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    Some(ClaimHeader {
        id: head.id.clone(),
        kind: KINDS.into_iter().find(|known| *known == kind)?,
        last_updated: head.meta.last_updated.parse().unwrap_or(loaded),
        service_end: head.period.end.parse::<Date>().ok(),
        marks: Marks::NONE,
    })
}

fn order(id: &str) -> (&str, &str) {
    id.split_once('-').map_or((id, ""), |(kind, number)| (number, kind))
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
    /// The files are served as they are; whoever gives those of another version asks for this one.
    fn serves(&self, version: Version) -> bool {
        version == Version::V2
    }

    fn enrollees(&self) -> usize {
        self.people.len()
    }

    fn enrollee(&self, index: usize) -> Enrollee {
        Enrollee {
            username: format!("BBUser{index:05}"),
            patient: self.people[index].id.clone(),
            name: format!("Enrollee {index}"),
            given_name: "Enrollee".into(),
            family_name: index.to_string(),
            email: format!("enrollee{index}@example.com"),
        }
    }

    fn claims(&self, _: Version, enrollee: usize) -> usize {
        self.people[enrollee].claims.len()
    }

    fn claim_header(&self, _: Version, enrollee: usize, position: usize) -> ClaimHeader {
        self.people[enrollee].claims[position].0.clone()
    }

    fn find_claim(&self, _: Version, enrollee: usize, id: &str) -> Option<usize> {
        self.people[enrollee].claims.iter().position(|(header, _)| header.id == id)
    }

    fn write_claim(&self, _: Version, enrollee: usize, position: usize, _: Timestamp, out: &mut String) {
        out.push_str(&self.people[enrollee].claims[position].1);
    }

    fn patient(&self, _: Version, enrollee: usize) -> String {
        let person = &self.people[enrollee];
        person.patient.clone().unwrap_or_else(|| {
            let mut text = String::new();
            let _ = write!(text, r#"{{"resourceType":"Patient","id":"{}"}}"#, person.id);
            text
        })
    }

    fn coverage(&self, _: Version, enrollee: usize) -> Vec<(String, String)> {
        let person = &self.people[enrollee];
        if person.coverage.is_empty() {
            let id = format!("part-a-{}", person.id);
            let text = format!(
                r#"{{"resourceType":"Coverage","id":"{id}","meta":{{"lastUpdated":"{LOADED}"}},"status":"active","beneficiary":{{"reference":"Patient/{}"}}}}"#,
                person.id
            );
            return vec![(id, text)];
        }
        person.coverage.iter().map(|(id, text)| (id.clone(), text.clone())).collect()
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
}
