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

/// One claim.
pub(super) fn shown(claim: &Claim, is_new: bool) -> String {
    let mut out = String::new();
    let kind = claim.kind.map_or("", |kind| kind.name());
    let kind_words = claim.kind.map_or("Claim", |kind| kind.words());
    let drug = claim.lines.iter().find_map(|line| line.ndc.as_ref().and(line.words.as_deref()));
    let who = drug.or(claim.provider.as_deref()).or(claim.practitioner.as_deref()).unwrap_or_default();
    let mark = if is_new { " <span class=\"mark\">new</span>" } else { "" };
    let standing = standing(claim).map_or(String::new(), |word| format!(" <span class=\"mark\">{word}</span>"));
    let _ = write!(
        out,
        "<details class=\"claim\" data-kind=\"{kind}\" data-year=\"{}\"><summary><span class=\"row\"><span>{}</span><span>{kind_words}</span>\
         <span class=\"who\">{}{mark}{standing}</span><span class=\"n\">{}</span><span class=\"n\">{}</span></span></summary>\n<dl class=\"sums\">",
        Shown(claim.year().unwrap_or_default()),
        Shown(claim.start.as_deref().unwrap_or("no date")),
        Shown(who),
        labelled("billed", claim.amounts.charged),
        labelled("you", claim.amounts.patient_pays),
    );
    let amounts = &claim.amounts;
    let paid = if kind == "pde" { "Plan paid" } else { "Medicare paid" };
    for (name, amount) in [
        ("Billed", amounts.charged),
        ("Allowed", amounts.allowed),
        (paid, amounts.medicare_paid),
        ("Paid to you", amounts.paid_to_patient.filter(|amount| amount.0 != 0)),
        ("Deductible", amounts.deductible),
        ("Coinsurance", amounts.coinsurance),
        ("Not covered", amounts.not_covered),
        ("Your share", amounts.patient_pays),
        ("Other insurer paid", amounts.other_paid.filter(|amount| amount.0 != 0)),
    ] {
        fact(&mut out, name, &dollars(amount));
    }
    out.push_str("</dl>\n<dl>");
    let until = claim.end.as_deref().filter(|end| Some(*end) != claim.start.as_deref());
    for (name, text) in [
        ("Until", until.unwrap_or_default().to_owned()),
        ("Billed by", claim.provider.clone().unwrap_or_default()),
        ("NPI", claim.provider_npi.clone().unwrap_or_default()),
        ("Treated or prescribed by", claim.practitioner.clone().unwrap_or_default()),
        ("Diagnoses", all(&claim.diagnoses)),
        ("Procedures", all(&claim.procedures)),
        ("Diagnosis related group", claim.drg.clone().unwrap_or_default()),
        ("Days supplied", claim.days_supply.clone().unwrap_or_default()),
        ("Claim number", claim.number.clone().unwrap_or_default()),
    ] {
        fact(&mut out, name, &text);
    }
    out.push_str("</dl>\n");
    lines(&mut out, claim);
    out.push_str("</details>\n");
    out
}

fn labelled(word: &str, amount: Option<Cents>) -> String {
    if amount.is_none() { String::new() } else { format!("{word} {}", dollars(amount)) }
}

fn fact(out: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Shown(text));
    }
}

fn lines(out: &mut String, claim: &Claim) {
    let rows: Vec<Vec<Td>> = claim
        .lines
        .iter()
        .map(|line| {
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
        })
        .collect();
    let heads = [
        ("Line", true),
        ("Date", false),
        ("Code", false),
        ("What", false),
        ("Units", true),
        ("Billed", true),
        ("Paid", true),
        ("Your share", true),
    ];
    table(out, "Lines", &heads, &rows);
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
