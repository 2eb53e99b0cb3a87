//! Diagnoses, procedures, and other codes of a header.

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
    /// Whether it is of ICD-9. ICD-10 has some of the same codes, with other meanings.
    #[must_use]
    pub fn is_icd_9(&self) -> bool {
        let system = self.system.as_deref().unwrap_or_default().to_ascii_lowercase();
        system.contains("icd-9") || system.contains("icd9")
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
    // v3 can have the same code both with and without its dot (R46.5, R465).
    let bare = |code: &str| code.replace('.', "").to_ascii_uppercase();
    for coded in found {
        match once.iter_mut().find(|before| bare(&before.code) == bare(&coded.code)) {
            Some(before) if before.words.is_none() && coded.words.is_some() => *before = coded,
            Some(_) => {}
            None => once.push(coded),
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
