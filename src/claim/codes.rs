//! Diagnoses, procedures, and other codes of a header.

use std::collections::{HashMap, hash_map::Entry};

use serde_json::Value;

use super::json_access::{self, code_of, coding, display, each, information, is, said, text};

/// A code, with the server's text for it, if it has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// The code as the server sent it.
    pub code: String,
    /// Its code system's URL.
    pub system: Option<String>,
    /// Its display.
    pub words: Option<String>,
}

impl Coded {
    /// Whether it is a code of ICD-9 that ICD-10 has too, with another meaning: E8881 and V103. All other codes of ICD-9
    /// are numbers. v3 can call an ICD-10 code ICD-9, so the system alone does not tell.
    #[must_use]
    pub fn is_shared_icd_9(&self) -> bool {
        let bare = self.bare();
        let is_in_both = bare.starts_with(['E', 'V']) && bare[1..].bytes().all(|byte| byte.is_ascii_digit());
        is_in_both && self.system.as_deref().is_some_and(|system| system.to_ascii_lowercase().contains("icd-9"))
    }

    /// The code without its dot: v3 can have it both with and without (R46.5, R465).
    fn bare(&self) -> String {
        self.code.replace('.', "").to_ascii_uppercase()
    }
}

/// The first real code of a concept. v2 has two codings for one code: with and without the edition.
fn first_code(concept: &Value) -> Option<Coded> {
    let codings = || {
        each(concept, "coding").filter(|coding| {
            // Skip placeholders: a code without a known version, and a product that is said to be absent.
            !text(coding, "system")
                .is_some_and(|system| system.contains("unknown-icd-version") || system.contains("data-absent-reason"))
        })
    };
    let (code, system) = codings().find_map(|coding| Some((said(coding, "code")?, said(coding, "system"))))?;
    Some(Coded { code, system, words: codings().find_map(display) })
}

/// Whether this is the placeholder for no diagnosis, 9999999. No ICD code has that many equal digits, but `9999`
/// (999.9) is a code.
fn is_filler(code: &str) -> bool {
    let digits = || code.bytes().filter(|byte| *byte != b'.');
    digits().count() > 5 && (digits().all(|byte| byte == b'9') || digits().all(|byte| byte == b'0'))
}

/// The diagnoses, the principal one first, each code once. Also returns whether there is a principal one, because a
/// claim does not have to name one.
pub(super) fn diagnoses(claim: &Value) -> (Vec<Coded>, bool) {
    let is_principal = |diagnosis: &&Value| each(diagnosis, "type").any(|kind| is(kind, "principal"));
    let (first, others): (Vec<_>, Vec<_>) = each(claim, "diagnosis").partition(is_principal);
    let read = |diagnosis: &Value| first_code(&diagnosis["diagnosisCodeableConcept"]).filter(|it| !is_filler(&it.code));
    let mut found: Vec<Coded> = first.into_iter().filter_map(read).collect();
    let has_principal = !found.is_empty();
    found.extend(others.into_iter().filter_map(read));
    let mut once: Vec<Coded> = Vec::with_capacity(found.len());
    let mut places: HashMap<_, usize> = HashMap::with_capacity(found.len());
    for coded in found {
        match places.entry((coded.is_shared_icd_9(), coded.bare())) {
            Entry::Occupied(place) => {
                let before = &mut once[*place.get()];
                if before.words.is_none() && coded.words.is_some() {
                    *before = coded;
                }
            }
            Entry::Vacant(place) => {
                place.insert(once.len());
                once.push(coded);
            }
        }
    }
    (once, has_principal)
}

pub(super) fn procedures(claim: &Value) -> Vec<Coded> {
    each(claim, "procedure").filter_map(|procedure| first_code(&procedure["procedureCodeableConcept"])).collect()
}

pub(super) fn days_supply(claim: &Value) -> Option<String> {
    informed_quantity(claim, "dayssupply", "days_suply_num")
}

pub(super) fn refill(claim: &Value) -> Option<String> {
    informed_quantity(claim, "refillnum", "fill_num")
}

/// A number of a drug event. v2 and v3 have it as supporting information, v1 next to the quantity.
fn informed_quantity(claim: &Value, category: &str, variable: &str) -> Option<String> {
    let informed = information(claim, category).map(|info| &info["valueQuantity"]["value"]);
    let quantity = &claim["item"][0]["quantity"];
    let beside = || json_access::extension(quantity, variable).map(|extension| &extension["valueQuantity"]["value"]);
    informed.or_else(beside).and_then(json_access::number)
}

/// The diagnosis related group: v1 has it among the diagnoses.
pub(super) fn drg(claim: &Value) -> Option<String> {
    let informed = || code_of(claim, "clm_drg_cd").or_else(|| code_of(claim, "drg"));
    let packaged = || {
        each(claim, "diagnosis").find_map(|diagnosis| text(coding(&diagnosis["packageCode"], &["clm_drg_cd"])?, "code"))
    };
    informed().or_else(packaged).map(|code| json_access::clean(code).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Worded<'a> = (&'a str, &'a str, Option<&'a str>);

    fn found(codes: &[Worded<'_>]) -> Vec<(String, Option<String>)> {
        let entry = |(system, code, words): &Worded<'_>| {
            let system = format!("http://hl7.org/fhir/sid/{system}");
            json!({"diagnosisCodeableConcept": {"coding": [{"system": system, "code": code, "display": words}]}})
        };
        let list: Vec<Value> = codes.iter().map(entry).collect();
        diagnoses(&json!({"diagnosis": list})).0.into_iter().map(|coded| (coded.code, coded.words)).collect()
    }

    #[test]
    fn each_diagnosis_is_named_once_and_the_editions_are_told_apart() {
        let codes = |list: &[Worded<'_>]| found(list).into_iter().map(|(code, _)| code).collect::<Vec<_>>();
        let (nine, ten) = ("icd-9-cm", "icd-10-cm");
        assert_eq!(codes(&[(nine, "E8881", None), (ten, "E88.81", None), (nine, "E888.1", None)]), ["E8881", "E88.81"]);
        assert_eq!(codes(&[(ten, "V10.3", None), (nine, "V103", None)]), ["V10.3", "V103"]);
        // v3 can call an ICD-10 code ICD-9.
        assert_eq!(codes(&[(nine, "R465", None), (ten, "R46.5", None), (ten, "r465", None)]), ["R465"]);
        assert_eq!(codes(&[(nine, "V00831", None), (ten, "V00.831A", None)]), ["V00831", "V00.831A"]);
        let worded = found(&[(nine, "4019", None), (ten, "I10", None), (nine, "401.9", Some("HYPERTENSION"))]);
        assert_eq!(worded, [("401.9".to_owned(), Some("HYPERTENSION".to_owned())), ("I10".to_owned(), None)]);
    }

    /// If each were compared with all others, this would take many minutes.
    #[test]
    fn any_number_of_diagnoses_is_read() {
        const COUNT: usize = 100_000;
        let code = |nth| json!({"diagnosisCodeableConcept": {"coding": [{"code": format!("A{nth}")}]}});
        let claim = json!({"diagnosis": (0..COUNT).map(code).collect::<Vec<_>>()});
        assert_eq!(diagnoses(&claim).0.len(), COUNT);
    }
}
