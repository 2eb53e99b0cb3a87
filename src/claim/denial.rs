//! Whether a line was allowed, and if not, why. A claim that was paid can contain lines that were not.

use serde_json::Value;

use super::{
    Cents, Coded,
    json_access::{self, coding, each, extension, is, said, text},
};

/// The meaning of a line's processing code (`line_prcsg_ind_cd`), in plain words. CMS's own words are for people who
/// process claims: <https://resdac.org/cms-data/variables/line-processing-indicator-code>
pub(super) fn in_plain_words(code: &str) -> Option<&'static str> {
    Some(match code {
        "A" => "approved",
        "B" => "your benefits for this service were used up",
        "C" => "Medicare does not cover this service",
        "D" => "denied",
        "I" => "the bill had missing or wrong information",
        "L" => "the lab was not certified for this test",
        "M" => "this service was billed more than once",
        "N" => "Medicare did not find it medically necessary",
        "O" => "denied; the claim does not say why",
        "P" => "the doctor has a financial interest in where you were sent",
        "R" => "being processed again",
        "Z" => "it is part of another test and not paid by itself",
        // The other codes say how CMS learned that another insurer has to pay before Medicare.
        "G" | "H" | "J" | "K" | "Q" | "S" | "T" | "U" | "V" | "X" | "Y" | "00" | "12" | "13" | "14" | "15" | "16"
        | "17" | "18" | "21" | "22" | "!" | "@" | "#" | "$" | "*" | "(" | ")" | "+" | "<" | ">" | "%" | "&" => {
            "another insurer has to pay first"
        }
        _ => return None,
    })
}

/// Who has to pay an adjustment, from the first letters of its reason (ANSI X12). X12 explains the number after them,
/// but that text is licensed.
fn of_group(code: &str) -> Option<&'static str> {
    Some(match code.get(..2)? {
        "CO" => "the provider's contract with Medicare: not yours to pay",
        "CR" => "a correction of an earlier decision",
        "OA" => "another adjustment",
        "PI" => "the payer reduced it",
        "PR" => "your responsibility",
        _ => return None,
    })
}

/// The result for a line, as the line itself says it.
#[derive(Debug, Default)]
pub(super) struct Processing {
    /// `line_prcsg_ind_cd`: A is allowed.
    pub(super) code: Option<Coded>,
    /// Reasons for adjustments.
    pub(super) reasons: Vec<Coded>,
    pub(super) is_denied: bool,
}

impl Processing {
    /// `not_covered` and `charged` are those of the line; `gained` is what was allowed and what was paid for it.
    pub(super) fn of(
        line: &Value,
        not_covered: Option<Cents>,
        charged: Option<Cents>,
        gained: [Option<Cents>; 2],
    ) -> Self {
        let code = indicator(line).and_then(coded);
        let mut reasons: Vec<Coded> = each(line, "adjudication").flat_map(adjustments).filter_map(coded).collect();
        reasons.iter_mut().for_each(|it| it.words = it.words.take().or_else(|| of_group(&it.code).map(str::to_owned)));
        // Made-up claims have such codes together with payments. What was paid was not denied.
        let is_nothing = gained.into_iter().flatten().all(|amount| amount == Cents(0));
        // R means that the line was processed again, with any result.
        let says_so = code.as_ref().is_some_and(|it| !matches!(it.code.as_str(), "A" | "R"));
        // Hospitals' lines have no such code. If the whole charge is not covered, the line was not approved.
        let is_uncovered = code.is_none()
            && matches!((not_covered, charged), (Some(not_covered), Some(charged)) if not_covered > Cents(0) && not_covered >= charged);
        let is_denied = is_nothing && (says_so || is_uncovered);
        if is_denied && reasons.is_empty() {
            reasons.extend(code.clone().filter(|_| says_so));
        }
        Self { code, reasons, is_denied }
    }
}

/// The processing code. v1 has it as the reason of an adjudication, v2 and v3 as an extension of the line.
fn indicator(line: &Value) -> Option<&Value> {
    let of_reason = || {
        let entry = each(line, "adjudication").find(|entry| is(&entry["category"], "line_prcsg_ind_cd"))?;
        coding(&entry["reason"], &["line_prcsg_ind_cd"])
    };
    let beside = ["line_prcsg_ind_cd", "CLM-PRCSG-IND-CD", "CLM_PRCSG_IND_CD"];
    beside.iter().find_map(|name| extension(line, name)).map(|it| &it["valueCoding"]).or_else(of_reason)
}

/// The reasons of up to four adjustments (`rev_cntr_1st_ansi_cd` to `rev_cntr_4th_ansi_cd`).
/// `carr_line_rdcd_pmt_phys_astn_c` has the same category, but is not a reason.
fn adjustments(entry: &Value) -> impl Iterator<Item = &Value> {
    each(&entry["reason"], "coding").filter(|coding| {
        text(coding, "system")
            .map(json_access::tail)
            .is_some_and(|name| name.to_ascii_lowercase().ends_with("_ansi_cd"))
    })
}

pub(super) fn coded(coding: &Value) -> Option<Coded> {
    Some(Coded { code: said(coding, "code")?, system: said(coding, "system"), words: json_access::display(coding) })
}
