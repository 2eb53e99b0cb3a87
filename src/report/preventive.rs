//! Preventive services: which lines of a claim are preventive, and what the service is called.

use crate::claim::{Claim, Kind, Line};

/// HCPCS level II codes that are only for preventive services, with our own names for them. CMS makes these codes,
/// and they are in the public domain (Medicare Claims Processing Manual, chapter 18; Medicare Learning Network,
/// "Medicare Preventive Services", MLN006559). Preventive services with a CPT code are not included, because CPT is
/// licensed.
const NAMES: [(&str, &[&str]); 28] = [
    ("Flu shot", &["G0008"]),
    ("Pneumonia shot", &["G0009"]),
    ("Hepatitis B shot", &["G0010"]),
    (
        "Screening for cervical cancer",
        &[
            "G0101", "G0123", "G0124", "G0141", "G0143", "G0144", "G0145", "G0147", "G0148", "G0476", "P3000", "P3001",
            "Q0091",
        ],
    ),
    ("Screening for prostate cancer", &["G0102", "G0103"]),
    ("Screening for colorectal cancer", &["G0104", "G0105", "G0106", "G0120", "G0121", "G0328", "G0464"]),
    ("Training to manage diabetes", &["G0108", "G0109"]),
    ("Screening for glaucoma", &["G0117", "G0118"]),
    ("Bone density test", &["G0130"]),
    ("Screening mammogram", &["G0202"]),
    ("Nutrition therapy", &["G0270", "G0271"]),
    ("Visit about screening for lung cancer", &["G0296"]),
    ("Screening for lung cancer", &["G0297"]),
    ("Screening for a bulge in the main artery", &["G0389"]),
    ("\u{201c}Welcome to Medicare\u{201d} visit", &["G0402"]),
    ("EKG of the \u{201c}Welcome to Medicare\u{201d} visit", &["G0403", "G0404", "G0405"]),
    ("Screening for HIV", &["G0432", "G0433", "G0435", "G0475"]),
    ("Counseling to quit tobacco", &["G0436", "G0437"]),
    ("Yearly wellness visit", &["G0438", "G0439"]),
    ("Yearly wellness or \u{201c}Welcome to Medicare\u{201d} visit", &["G0468"]),
    ("Screening for alcohol misuse", &["G0442"]),
    ("Counseling for alcohol misuse", &["G0443"]),
    ("Screening for depression", &["G0444"]),
    ("Counseling to prevent sexually transmitted infections", &["G0445"]),
    ("Counseling to prevent heart disease", &["G0446"]),
    ("Counseling for obesity", &["G0447", "G0473"]),
    ("Screening for hepatitis C", &["G0472"]),
    ("Screening for hepatitis B", &["G0499"]),
];

/// Modifiers that a provider adds to a code to say that the service is preventive: 33, and PT if a screening for
/// colorectal cancer found something.
const MODIFIERS: [&str; 2] = ["33", "PT"];

/// First characters of diagnoses that are a reason for a preventive service: a check-up, screening for infections,
/// tumors and other illnesses, a vaccination (ICD-10-CM, in the public domain).
const REASONS: [&str; 5] = ["Z000", "Z11", "Z12", "Z13", "Z23"];

/// The rule, in the words of the page.
pub(super) const RULE: &str = "Listed here is what a claim itself marks as preventive: a code that Medicare has for preventive services only (such as G0439), \
    the modifier 33 or PT, or a main diagnosis that is a check-up, a screening or a vaccination (Z00.0, Z11 to Z13, Z23). \
    Your other claims may hold more.";

/// The name of the preventive service with this code; `None` for any other code.
pub(super) fn name(code: &str) -> Option<&'static str> {
    NAMES.iter().find(|(_, codes)| codes.contains(&code)).map(|(name, _)| *name)
}

/// The preventive services of a claim of Part B, without those that were not approved.
pub(super) fn lines(claim: &Claim) -> impl Iterator<Item = &Line> {
    let is_part_b = matches!(claim.kind, Some(Kind::Carrier | Kind::Outpatient));
    // Doctors' claims at v1 do not mark the main diagnosis. It is the first one.
    let main = claim.diagnoses.first().filter(|_| claim.has_principal_diagnosis || claim.kind == Some(Kind::Carrier));
    let reason = main.is_some_and(|main| {
        let code = main.code.replace('.', "");
        REASONS.iter().any(|begin| code.starts_with(begin))
    });
    let is_preventive = move |line: &&Line| {
        let is_named = line.code.as_deref().and_then(name).is_some();
        let is_marked = line.modifiers.iter().any(|it| MODIFIERS.contains(&it.as_str()));
        !line.is_total && !line.is_denied && (reason || is_named || is_marked)
    };
    claim.lines.iter().filter(move |_| is_part_b && claim.payer_decision.is_none()).filter(is_preventive)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_code_has_one_name() {
        let mut codes: Vec<&str> = NAMES.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]), "{codes:?}");
        assert!(codes.iter().all(|code| code.len() == 5 && code.starts_with(['G', 'P', 'Q'])), "CPT is licensed");
        assert_eq!((name("G0439"), name("99213")), (Some("Yearly wellness visit"), None));
    }

    /// A claim with one line.
    fn claim(kind: &str, code: &str, modifier: &str, diagnosis: &str) -> Claim {
        let variable = |name: &str| format!("https://bluebutton.cms.gov/resources/variables/{name}");
        let claim = json!({
            "resourceType": "ExplanationOfBenefit", "id": "carrier--1",
            "type": {"coding": [{"system": "https://bluebutton.cms.gov/resources/codesystem/eob-type", "code": kind}]},
            "diagnosis": [{"sequence": 1, "type": [{"coding": [{"code": "principal"}]}], "diagnosisCodeableConcept":
                {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": diagnosis}]}}],
            "item": [{"sequence": 1, "productOrService": {"coding":
                [{"system": "https://bluebutton.cms.gov/resources/codesystem/hcpcs", "code": code}]},
                "modifier": [{"coding": [{"system": "https://bluebutton.cms.gov/resources/codesystem/hcpcs", "code": modifier}]}],
                "extension": [{"url": variable("line_prcsg_ind_cd"), "valueCoding": {"code": "A"}}]}],
        });
        Claim::read(&claim.to_string()).unwrap()
    }

    #[test]
    fn a_line_is_preventive_by_code_modifier_or_main_diagnosis() {
        for (kind, code, modifier, diagnosis, expected) in [
            ("CARRIER", "G0439", "25", "E119", 1),
            ("CARRIER", "99497", "33", "E119", 1),
            ("CARRIER", "45385", "PT", "K635", 1),
            ("OUTPATIENT", "77067", "50", "Z12.31", 1),
            ("CARRIER", "90662", "59", "Z23", 1),
            ("CARRIER", "99213", "25", "Z0000", 1),
            ("CARRIER", "99213", "25", "Z0289", 0),
            ("CARRIER", "99213", "25", "E119", 0),
            ("INPATIENT", "G0439", "33", "Z23", 0),
        ] {
            let claim = claim(kind, code, modifier, diagnosis);
            assert_eq!(lines(&claim).count(), expected, "{kind} {code} {modifier} {diagnosis}");
        }
    }
}
