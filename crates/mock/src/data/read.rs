//! Reads files and their contents: JSON, NDJSON, either of them compressed.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use jiff::{Timestamp, civil::Date};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{DataError, FINISHED, LOADED, Person, WORKED_ON};
use crate::records::{ClaimHeader, Marks, Version};

/// What the payload library of CMS's own tests has in place of values that change at every run.
const MASKED: &str = "\"IGNORED_FIELD\"";
const KINDS: [&str; 8] = ["carrier", "dme", "hha", "hospice", "inpatient", "outpatient", "pde", "snf"];

/// The label of claims of v3 (if the files have any labels).
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
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "resourceType", default)]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
    /// The resource of a single entry without its Bundle.
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    /// A list in a Patient; other resources have one identifier or none.
    #[serde(borrow)]
    identifier: Option<&'a RawValue>,
    #[serde(default)]
    meta: Meta,
    #[serde(default)]
    patient: Reference,
    #[serde(default)]
    beneficiary: Reference,
    #[serde(rename = "billablePeriod", default)]
    period: Period,
    /// What an R4 claim is for: `claim` or `preauthorization`.
    #[serde(rename = "use", default)]
    usage: String,
    /// An object in STU3, a list in R4.
    #[serde(borrow)]
    insurance: Option<&'a RawValue>,
    /// The codings, if it has any.
    #[serde(rename = "type", borrow)]
    concept: Option<&'a RawValue>,
}

impl Head<'_> {
    fn identifiers(&self) -> Vec<String> {
        let listed = self.identifier.and_then(|list| serde_json::from_str::<Vec<Identifier>>(list.get()).ok());
        listed.unwrap_or_default().into_iter().map(|identifier| identifier.value).collect()
    }

    /// The version of the API that writes such a resource. STU3 names no profiles; v3 gives each profile its version.
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

#[derive(Deserialize)]
struct Identifier {
    #[serde(default)]
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Period {
    end: String,
}

/// What was found in the files.
#[derive(Default)]
pub(super) struct Found {
    pub people: BTreeMap<String, Person>,
    pub cards: Vec<Card>,
    /// Whether there was a Bundle, even one without entries.
    pub is_something: bool,
}

/// An insurance card. Its ids are random, so only the identifiers on it tell whose it is.
pub(super) struct Card {
    pub identifiers: Vec<String>,
    pub text: String,
}

/// The files below `dir` that may contain resources, in the order of their names.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    walk(dir, &mut paths)?;
    paths.sort();
    Ok(paths)
}

fn walk(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let entries = fs::read_dir(dir).map_err(|source| DataError::Read { path: dir.to_owned(), source })?;
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        // A link may lead anywhere, and reading something that is not a file may never end.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !name.as_encoded_bytes().starts_with(b".") {
            walk(&path, paths)?;
        } else if kind.is_file() && has_resources(&name.to_string_lossy()) {
            paths.push(path);
        }
    }
    Ok(())
}

/// Whether a file with this name may contain resources.
fn has_resources(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    [".json", ".ndjson"].iter().any(|ending| name.ends_with(ending))
}

/// The text of a file, decompressed if it is gzip (RFC 1952 section 2.3.1).
fn text(path: &Path) -> Result<String, DataError> {
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(failed)?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).map_err(failed)?;
    } else {
        bytes.as_slice().read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text.replace(MASKED, &format!("\"{LOADED}\"")))
}

impl Found {
    /// Reads a file: one JSON value or, in NDJSON, many.
    pub(super) fn read(&mut self, path: &Path) -> Result<(), DataError> {
        let text = text(path)?;
        for value in serde_json::Deserializer::from_str(&text).into_iter::<&RawValue>() {
            let value = value.map_err(|cause| DataError::Json { path: path.to_owned(), line: cause.line() })?;
            self.take(value.get());
        }
        Ok(())
    }

    fn person(&mut self, id: String) -> &mut Person {
        self.people.entry(id.clone()).or_insert_with(|| Person { id, ..Person::default() })
    }

    /// Adds a resource, or those of a Bundle or Bundle entry. Anything else is skipped.
    fn take(&mut self, text: &str) {
        let Ok(head) = serde_json::from_str::<Head<'_>>(text) else { return };
        let version = head.version();
        let of = |reference: &Reference| reference.reference.strip_prefix("Patient/").map(str::to_owned);
        match head.kind.as_str() {
            "" => {
                if let Some(resource) = head.resource {
                    self.take(resource.get());
                }
            }
            "Bundle" => {
                self.is_something = true;
                if let Some(identifiers) = card(&head) {
                    self.cards.push(Card { identifiers, text: compact(text) });
                    return;
                }
                for resource in head.entry.iter().filter_map(|entry| entry.resource) {
                    self.take(resource.get());
                }
            }
            "Patient" if !head.id.is_empty() => {
                let held = self.person(head.id.clone()).of_mut(version);
                held.patient.get_or_insert_with(|| compact(text));
            }
            "Coverage" => {
                let Some(id) = of(&head.beneficiary) else { return };
                let held = self.person(id).of_mut(version);
                held.coverage.entry(head.id).or_insert_with(|| compact(text));
            }
            "ExplanationOfBenefit" => {
                let (Some(id), Some(header)) = (of(&head.patient), header(&head, version)) else { return };
                let held = self.person(id).of_mut(version);
                if held.ids.insert(header.id.clone()) {
                    held.claims.push((header, compact(text)));
                }
            }
            _ => {}
        }
    }
}

/// The identifiers of the person on an insurance card; `None` for any other Bundle.
fn card(bundle: &Head<'_>) -> Option<Vec<String>> {
    let resources = bundle.entry.iter().filter_map(|entry| entry.resource);
    let heads = resources.filter_map(|resource| serde_json::from_str::<Head<'_>>(resource.get()).ok());
    let is_card = |head: &Head<'_>| head.meta.profile.iter().any(|profile| profile.contains("/C4DIC-"));
    let heads: Vec<_> = heads.filter(is_card).collect();
    let patient = heads.iter().find(|head| head.kind == "Patient");
    (!heads.is_empty()).then(|| patient.map(Head::identifiers).unwrap_or_default())
}

/// The identifiers of a Patient.
pub(super) fn identifiers(patient: &str) -> Vec<String> {
    serde_json::from_str::<Head<'_>>(patient).map(|head| head.identifiers()).unwrap_or_default()
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

/// The type of a claim of v3: from a word in its codings, else from CMS's number of the type, which is all that claims
/// have that were recorded before 2026-08. Prior authorizations count as home health. A claim without either has no
/// type, and no search by type finds it.
fn kind_of(head: &Head<'_>) -> &'static str {
    let concept: Concept = head.concept.and_then(|it| serde_json::from_str(it.get()).ok()).unwrap_or_default();
    let word = |coding: &Coding| KINDS.into_iter().find(|known| coding.code.eq_ignore_ascii_case(known));
    let number = |coding: &Coding| if coding.system.ends_with("/CLM-TYPE-CD") { numbered(&coding.code) } else { None };
    if head.usage == "preauthorization" {
        return "hha";
    }
    concept.coding.iter().find_map(word).or_else(|| concept.coding.iter().find_map(number)).unwrap_or_default()
}

/// The type with this number (BFD's `ClaimTypeCode`). Numbers with four digits are of claims that are still being
/// processed: 1xxx and 2xxx are its two phases.
fn numbered(code: &str) -> Option<&'static str> {
    let (phase, rest) = code.split_at_checked(1)?;
    Some(match (code.len(), phase, rest) {
        (2, _, _) => match code {
            "71" | "72" => "carrier",
            "81" | "82" => "dme",
            "10" => "hha",
            "50" => "hospice",
            "60" | "61" | "62" | "63" | "64" => "inpatient",
            "40" => "outpatient",
            "20" | "30" => "snf",
            _ => return None,
        },
        (4, "1" | "2", _) => match rest {
            "700" => "carrier",
            "800" => "dme",
            "032" | "033" | "039" | "042" | "066" | "092" => "hha",
            "081" | "082" | "091" | "098" | "900" => "hospice",
            "011" | "041" | "069" => "inpatient",
            "018" | "021" => "snf",
            other if other.starts_with('0') => "outpatient",
            _ => return None,
        },
        (1, "1" | "2" | "3" | "4", _) => "pde",
        _ => return None,
    })
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

/// The resource on one line, with its numbers and texts unchanged.
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
