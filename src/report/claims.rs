//! A claim of the list, with its lines behind a click.

use std::fmt::Write as _;

use super::html::{Shown, Td, table};
use crate::fhir::claim::{Cents, Claim, Coded, Decision, Kind, Standing};

/// An amount as people write it; nothing where there is none.
pub(super) fn dollars(amount: Option<Cents>) -> String {
    let Some(amount) = amount else { return String::new() };
    if amount.plus(Cents(0)).is_none() {
        return "too much to say".to_owned();
    }
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

/// How many of what: "1 claim", "2 claims".
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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

/// Who the claim is by; of a drug, what it is.
fn headline(claim: &Claim) -> String {
    // Lines of others may have drugs as well, and words that are of a revenue centre.
    let drug = || claim.lines.iter().find_map(|line| line.ndc.as_ref().and(line.words.clone()));
    (claim.kind == Some(Kind::Pde)).then(drug).flatten().or_else(|| claim.who()).unwrap_or_default()
}

/// What is to be seen before anything else: whether it is new, whether it counts, who paid.
fn marks(claim: &Claim, news: Option<&'static str>) -> String {
    let sent = claim.amounts.paid_to_patient.filter(|sent| sent.0 != 0);
    let sent = sent.map(|sent| format!("Medicare sent you {}", dollars(Some(sent))));
    let words = [news, standing(claim), claim.decision.map(Decision::words), sent.as_deref()];
    words.into_iter().flatten().map(|word| format!(" <span class=\"mark\">{word}</span>")).collect()
}

/// One claim, with a mark if it came or changed; where there are many, what is behind the click is packed ([`pack`]).
pub(super) fn show(out: &mut String, claim: &Claim, news: Option<&'static str>, packed: bool) {
    let kind = claim.kind.map_or(UNKNOWN, |kind| kind.name());
    let kind_words = claim.kind.map_or("Claim", |kind| kind.words());
    let share = if claim.kind == Some(Kind::Pde) { "at pharmacy" } else { "your share" };
    let _ = writeln!(
        out,
        "<details class=\"claim\" data-kind=\"{kind}\" data-year=\"{}\"><summary><span class=\"row\"><span>{}</span><span>{kind_words}</span>\
         <span class=\"who\">{}{}</span><span class=\"n\">{}</span><span class=\"n\">{}</span></span></summary>",
        Shown(claim.year().unwrap_or(UNKNOWN)),
        Shown(claim.start.as_deref().unwrap_or("no date")),
        Shown(&headline(claim)),
        marks(claim, news),
        labelled("billed", claim.amounts.charged),
        labelled(share, claim.amounts.patient_pays),
    );
    let what = [sums(claim), facts(claim)];
    let heads = heads(claim);
    if packed {
        pack(out, &what, &heads, &lines(claim));
    } else {
        for (class, facts) in [" class=\"sums\"", ""].iter().zip(&what) {
            let _ = write!(out, "<dl{class}>");
            for (name, text) in facts {
                let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Shown(text));
            }
            out.push_str("</dl>\n");
        }
        table(out, "Lines", &heads, &lines(claim));
    }
    out.push_str("</details>\n");
}

/// Names and what the claim says for them; what it does not say is left out.
type Facts = Vec<(&'static str, String)>;

fn sums(claim: &Claim) -> Facts {
    let amounts = &claim.amounts;
    let is_drug = claim.kind == Some(Kind::Pde);
    let is_of_plan = is_drug || claim.decision == Some(Decision::MedicareAdvantage);
    let paid = if is_of_plan { "Plan paid" } else { "Medicare paid" };
    // Of a drug both are the same.
    let share = if is_drug { "At the pharmacy" } else { "Your share" };
    let sums = [
        ("Billed", amounts.charged),
        ("Allowed", amounts.allowed),
        (paid, amounts.medicare_paid),
        ("Medicare sent you", amounts.paid_to_patient.filter(|amount| amount.0 != 0)),
        ("Deductible", amounts.deductible),
        ("Coinsurance", amounts.coinsurance),
        ("Blood deductible", amounts.blood_deductible.filter(|amount| amount.0 != 0)),
        ("Not covered", amounts.not_covered),
        (share, amounts.patient_pays),
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
fn pack(out: &mut String, what: &[Facts; 2], heads: &Heads, rows: &[Vec<Td>]) {
    for facts in what {
        out.push_str("<pre>");
        for (name, text) in facts {
            let _ = writeln!(out, "{name}\t{}", Shown(text));
        }
        out.push_str("</pre>");
    }
    out.push_str("<pre>");
    if !rows.is_empty() {
        let heads: Vec<_> = heads.iter().map(|(head, _)| *head).collect();
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

/// Heads of the table of lines, and whether a column has numbers.
type Heads = [(&'static str, bool); 8];

fn heads(claim: &Claim) -> Heads {
    let share = if claim.kind == Some(Kind::Pde) { "At the pharmacy" } else { "Your share" };
    [
        ("Line", true),
        ("Date", false),
        ("Code", false),
        ("What", false),
        ("Units", true),
        ("Billed", true),
        ("Paid", true),
        (share, true),
    ]
}

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
