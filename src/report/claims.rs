//! A claim of the list, with its lines behind a click.

use std::fmt::Write as _;

use super::html::{Shown, Td, table};
use crate::fhir::claim::{Cents, Claim, Coded, Standing};

/// An amount as people write it; nothing where there is none.
pub(super) fn dollars(amount: Option<Cents>) -> String {
    let Some(amount) = amount else { return String::new() };
    let text = Cents(amount.0.saturating_abs()).to_string();
    let (whole, cents) = text.split_once('.').unwrap_or((&text, "00"));
    let mut grouped = String::new();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{}${grouped}.{cents}", if amount.0 < 0 { "-" } else { "" })
}

/// What the search has for claims without a day or a type.
pub(super) const UNKNOWN: &str = "unknown";

/// Days in words: as people write them where they are a plain number, else as the claim has them.
pub(super) fn days(text: &str) -> String {
    Cents::read(text).map_or_else(|| text.to_owned(), plain)
}

/// A number of hundredths without what needs not be said.
pub(super) fn plain(hundredths: Cents) -> String {
    let text = hundredths.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What is in no sum, and why.
pub(super) fn standing(claim: &Claim) -> Option<&'static str> {
    (claim.standing != Standing::Final).then(|| claim.standing.words())
}

fn coded(coded: &Coded) -> String {
    match &coded.words {
        Some(words) => format!("{words} ({})", coded.code),
        None => coded.code.clone(),
    }
}

fn all(list: &[Coded]) -> String {
    list.iter().map(coded).collect::<Vec<_>>().join("; ")
}

/// One claim; where there are many, what is behind the click is packed ([`pack`]).
pub(super) fn show(out: &mut String, claim: &Claim, is_new: bool, packed: bool) {
    let kind = claim.kind.map_or(UNKNOWN, |kind| kind.name());
    let kind_words = claim.kind.map_or("Claim", |kind| kind.words());
    let drug = claim.lines.iter().find_map(|line| line.ndc.as_ref().and(line.words.as_deref()));
    let who = drug.map(str::to_owned).or_else(|| claim.who()).unwrap_or_default();
    let mark = if is_new { " <span class=\"mark\">new</span>" } else { "" };
    let standing = standing(claim).map_or(String::new(), |word| format!(" <span class=\"mark\">{word}</span>"));
    let _ = writeln!(
        out,
        "<details class=\"claim\" data-kind=\"{kind}\" data-year=\"{}\"><summary><span class=\"row\"><span>{}</span><span>{kind_words}</span>\
         <span class=\"who\">{}{mark}{standing}</span><span class=\"n\">{}</span><span class=\"n\">{}</span></span></summary>",
        Shown(claim.year().unwrap_or(UNKNOWN)),
        Shown(claim.start.as_deref().unwrap_or("no date")),
        Shown(&who),
        labelled("billed", claim.amounts.charged),
        labelled("your share", claim.amounts.patient_pays),
    );
    let what = [sums(claim, kind), facts(claim)];
    if packed {
        pack(out, &what, &lines(claim));
    } else {
        for (class, facts) in [" class=\"sums\"", ""].iter().zip(&what) {
            let _ = write!(out, "<dl{class}>");
            for (name, text) in facts {
                let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Shown(text));
            }
            out.push_str("</dl>\n");
        }
        table(out, "Lines", &HEADS, &lines(claim));
    }
    out.push_str("</details>\n");
}

/// Names and what the claim says for them; what it does not say is left out.
type Facts = Vec<(&'static str, String)>;

fn sums(claim: &Claim, kind: &str) -> Facts {
    let amounts = &claim.amounts;
    let paid = if kind == "pde" { "Plan paid" } else { "Medicare paid" };
    let sums = [
        ("Billed", amounts.charged),
        ("Allowed", amounts.allowed),
        (paid, amounts.medicare_paid),
        ("Paid to you", amounts.paid_to_patient.filter(|amount| amount.0 != 0)),
        ("Deductible", amounts.deductible),
        ("Coinsurance", amounts.coinsurance),
        ("Blood deductible", amounts.blood_deductible.filter(|amount| amount.0 != 0)),
        ("Not covered", amounts.not_covered),
        ("Your share", amounts.patient_pays),
        ("You paid", amounts.patient_paid),
        ("Other insurer paid", amounts.other_paid.filter(|amount| amount.0 != 0)),
    ];
    said(sums.into_iter().map(|(name, amount)| (name, dollars(amount))))
}

fn facts(claim: &Claim) -> Facts {
    let until = claim.end.as_deref().filter(|end| Some(*end) != claim.start.as_deref());
    let facts = [
        ("Until", until.unwrap_or_default().to_owned()),
        ("Billed by", claim.provider.clone().unwrap_or_default()),
        ("NPI", claim.provider_npi.clone().unwrap_or_default()),
        ("Treated or prescribed by", claim.practitioner.clone().unwrap_or_default()),
        ("Diagnoses", all(&claim.diagnoses)),
        ("Procedures", all(&claim.procedures)),
        ("Diagnosis related group", claim.drg.clone().unwrap_or_default()),
        ("Days supplied", claim.days_supply.as_deref().map(days).unwrap_or_default()),
        ("Claim number", claim.number.clone().unwrap_or_default()),
    ];
    said(facts.into_iter())
}

fn said(facts: impl Iterator<Item = (&'static str, String)>) -> Facts {
    facts.filter(|(_, text)| !text.is_empty()).collect()
}

/// Sums, facts and lines as a text each, with a fact or line of the claim a line, and tabs. [`Shown`] leaves neither
/// tabs nor line breaks in what others wrote.
fn pack(out: &mut String, what: &[Facts; 2], rows: &[Vec<Td>]) {
    for facts in what {
        out.push_str("<pre>");
        for (name, text) in facts {
            let _ = writeln!(out, "{name}\t{}", Shown(text));
        }
        out.push_str("</pre>");
    }
    out.push_str("<pre>");
    if !rows.is_empty() {
        let heads: Vec<_> = HEADS.iter().map(|(head, _)| *head).collect();
        let _ = writeln!(out, "{}", heads.join("\t"));
    }
    for row in rows {
        for (at, Td::Text(text) | Td::Number(text)) in row.iter().enumerate() {
            let _ = write!(out, "{}{}", if at == 0 { "" } else { "\t" }, Shown(text));
        }
        out.push('\n');
    }
    out.push_str("</pre>");
}

fn labelled(word: &str, amount: Option<Cents>) -> String {
    if amount.is_none() { String::new() } else { format!("{word} {}", dollars(amount)) }
}

const HEADS: [(&str, bool); 8] = [
    ("Line", true),
    ("Date", false),
    ("Code", false),
    ("What", false),
    ("Units", true),
    ("Billed", true),
    ("Paid", true),
    ("Your share", true),
];

fn lines(claim: &Claim) -> Vec<Vec<Td>> {
    let rows = claim.lines.iter().map(|line| {
        let code = line.code.as_ref().or(line.ndc.as_ref()).or(line.revenue.as_ref());
        let modifiers = line.modifiers.join(" ");
        let words = if line.is_total { Some("Total of this claim") } else { line.words.as_deref() };
        vec![
            Td::Number(line.sequence.map(|number| number.to_string()).unwrap_or_default()),
            Td::Text(line.start.clone().unwrap_or_default()),
            Td::Text(format!("{} {modifiers}", code.map(String::as_str).unwrap_or_default()).trim().to_owned()),
            Td::Text(words.or(line.place.as_deref()).unwrap_or_default().to_owned()),
            Td::Number(line.units.clone().unwrap_or_default()),
            Td::Number(dollars(line.charged)),
            Td::Number(dollars(line.medicare_paid)),
            Td::Number(dollars(line.patient_pays)),
        ]
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_grouped() {
        let cases = [(0, "$0.00"), (123, "$1.23"), (123_456, "$1,234.56"), (-100_000_000, "-$1,000,000.00")];
        for (cents, text) in cases {
            assert_eq!(dollars(Some(Cents(cents))), text);
        }
        assert_eq!(dollars(None), "");
    }
}
