//! One claim of the list: a summary line, and the details that a click opens.

use std::fmt::Write as _;

use maud::{Render, html};

use super::{
    billable::{billable, uncovered},
    html::{Escaped, Head, Td, table, used},
    preventive,
    words::{calm, counted, dollars, medicine, number, place, said_date},
};
use crate::claim::{Cents, Claim, Coded, Disposition, Kind, Line, PayerDecision};

/// The value in the search for claims without a date or a type.
pub(super) const UNKNOWN: &str = "unknown";

/// Why a claim is in no total.
pub(super) fn disposition(claim: &Claim) -> Option<&'static str> {
    (claim.disposition != Disposition::Final).then(|| claim.disposition.words())
}

pub(super) fn coded(coded: &Coded) -> String {
    match &coded.words {
        Some(words) => format!("{} ({})", calm(words), coded.code),
        None => format!("code {}", coded.code),
    }
}

fn all(list: &[Coded]) -> String {
    list.iter().map(coded).collect::<Vec<_>>().join("; ")
}

/// What was prescribed.
pub(super) fn drug(claim: &Claim) -> Option<String> {
    // Lines of other claims may have drugs too, but their text is that of a revenue center.
    let line = claim.lines.first().filter(|_| claim.kind == Some(Kind::Pde))?;
    let named = line.ndc.as_ref().and(line.words.as_deref()).map(medicine);
    named.or_else(|| line.ndc.as_ref().map(|ndc| format!("NDC {ndc}")))
}

/// For a drug without a name: which pharmacy it came from.
fn drug_code(claim: &Claim) -> Option<String> {
    let ndc = claim.lines.first().filter(|_| claim.kind == Some(Kind::Pde))?.ndc.as_ref()?;
    let from = claim.who().map(|who| format!(", from {who}")).unwrap_or_default();
    Some(format!("Drug code (NDC) {ndc}{from}"))
}

/// The claim's title: the provider, or for a drug its name.
fn headline(claim: &Claim) -> String {
    let named = claim.lines.iter().find_map(|line| line.ndc.as_ref().and(line.words.as_deref()));
    let drug = named.filter(|_| claim.kind == Some(Kind::Pde)).map(medicine);
    // v3 has no drug names.
    drug.or_else(|| drug_code(claim)).or_else(|| claim.who()).unwrap_or_else(|| "No name given".to_owned())
}

/// The tags at the start of a row: whether the claim is new, whether it counts, who paid.
fn marks(claim: &Claim, news: Option<&'static str>) -> Vec<String> {
    let denied = claim.denied_lines().count() as u64;
    let denied = (denied > 0 && claim.payer_decision.is_none()).then(|| {
        let all = claim.lines.iter().filter(|line| !line.is_total).count() as u64;
        format!("{denied} of {} not approved", counted(all, "service"))
    });
    let sent = claim.amounts.paid_to_patient.filter(|sent| sent.0 != 0);
    let sent = sent.map(|sent| format!("Medicare sent you {}", dollars(Some(sent))));
    let words = [news, disposition(claim), claim.payer_decision.map(PayerDecision::words)];
    words.into_iter().flatten().map(str::to_owned).chain(denied).chain(sent).collect()
}

/// The end of a row: what the patient still has to pay.
fn yours(claim: &Claim) -> String {
    if claim.kind == Some(Kind::Pde) {
        return claim.amounts.patient_pays.map_or_else(String::new, |paid| format!("You paid {}", dollars(Some(paid))));
    }
    match (claim.disposition, claim.payer_decision) {
        (Disposition::Final, None) => match billable(claim) {
            Some(amount) => format!("You may be billed {}", dollars(Some(amount))),
            None => "Your share is not known".to_owned(),
        },
        _ => String::new(),
    }
}

/// One claim, with a mark if it is new or changed. On a page with many claims, its details are packed ([`pack`]).
pub(super) fn show(out: &mut String, claim: &Claim, news: Option<&'static str>, packed: bool) {
    let kind = claim.kind.map_or(UNKNOWN, |kind| kind.name());
    let kind_words = claim.kind.map_or("Claim", |kind| kind.words());
    let is_denied = claim.payer_decision == Some(PayerDecision::Denied) || claim.denied_lines().next().is_some();
    let day = claim.start.as_deref().map_or_else(|| "No date".to_owned(), said_date);
    let row = html! {
        summary { span.row {
            span.day { (Escaped(&day)) }
            span.who { (Escaped(&headline(claim))) @for mark in marks(claim, news) { " " span.mark { (Escaped(&mark)) } } }
            span.kind { (kind_words) }
            span.n { (yours(claim)) }
        } }
    };
    let _ = write!(out, "<details class=\"claim\" data-kind=\"{kind}\" data-year=\"");
    Escaped(claim.year().unwrap_or(UNKNOWN)).render_to(out);
    out.push_str(if is_denied { "\" data-denied=\"1\">" } else { "\">" });
    out.push_str(&row.into_string());
    let (said, facts) = (sentence(claim), [sums(claim), facts(claim)]);
    if packed {
        pack(out, &said, &facts, claim);
    } else {
        let whole = html! {
            p { (Escaped(&said)) }
            @for (at, facts) in facts.iter().enumerate() { @if !facts.is_empty() {
                dl.sums[at == 0] { @for (name, text) in facts { div { dt { (name) } dd { (Escaped(text)) } } } }
            } }
            (table("Services", &heads(claim), &lines(claim)))
        };
        out.push_str(&whole.into_string());
    }
    out.push_str("</details>\n");
}

/// What Medicare decided, in a sentence or two.
fn sentence(claim: &Claim) -> String {
    let amounts = &claim.amounts;
    let who = claim.who().unwrap_or_else(|| "The provider".to_owned());
    if claim.is_prior_authorization {
        return "A provider asked in advance whether Medicare would pay for this. It is not a bill.".to_owned();
    }
    if claim.kind == Some(Kind::Pde) {
        return prescription(claim, &who);
    }
    let mut said = match amounts.charged {
        Some(charged) => format!("{who} billed {}. ", dollars(Some(charged))),
        None => format!("{who} sent this claim, which does not say what was billed. "),
    };
    match claim.payer_decision {
        Some(PayerDecision::Denied) => {
            let why = claim.denial_reason.as_ref().map(coded).unwrap_or_default();
            let _ = write!(
                said,
                "Medicare did not pay: {why}. The claim does not say whether you owe anything. See \u{201c}What to do\u{201d} below."
            );
            return said;
        }
        Some(PayerDecision::MedicareAdvantage) => {
            said.push_str("Your Medicare Advantage plan paid it. Ask your plan what you owe.");
            return said;
        }
        None => {}
    }
    if let Some(paid) = amounts.medicare_paid {
        let approved = amounts.allowed.map(|allowed| format!("approved {} and ", dollars(Some(allowed))));
        let _ = write!(said, "Medicare {}paid {}. ", approved.unwrap_or_default(), dollars(Some(paid)));
    }
    let Some(billable) = billable(claim) else {
        said.push_str("The claim does not say what you may be billed.");
        return said;
    };
    let part = |name: &str, amount: Option<Cents>| {
        amount.filter(|amount| amount.0 != 0).map(|amount| format!("{name} {}", dollars(Some(amount))))
    };
    let parts: Vec<String> = [
        part("deductible", amounts.deductible),
        part("coinsurance", amounts.coinsurance),
        part("blood", amounts.blood_deductible),
        part("not covered", uncovered(claim)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let _ = write!(said, "You may be billed {}", dollars(Some(billable)));
    said.push_str(&if parts.is_empty() { ".".to_owned() } else { format!(" ({}).", parts.join(", ")) });
    let denied = claim.denied_lines().count() as u64;
    if denied > 0 {
        let _ = write!(
            said,
            " {} not approved; the reasons are below.",
            if denied == 1 { "One service was".to_owned() } else { format!("{denied} services were") }
        );
    }
    said
}

/// Who paid what for a prescription, and which part of the price is unexplained.
fn prescription(claim: &Claim, who: &str) -> String {
    let amounts = &claim.amounts;
    let Some(charged) = amounts.charged else {
        return format!("{who} does not say what this cost.");
    };
    let part = |name: &str, amount: Option<Cents>| {
        amount.filter(|amount| amount.0 != 0).map(|amount| format!("{name} {}", dollars(Some(amount))))
    };
    let parts: Vec<String> = [
        part("the plan", amounts.medicare_paid),
        part("you", amounts.patient_pays),
        part("Extra Help", amounts.low_income_subsidy),
        part("the maker\u{2019}s discount", amounts.discount),
        part("others", amounts.other_paid),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut said = format!("It cost {}.", dollars(Some(charged)));
    if !parts.is_empty() {
        let _ = write!(said, " Paid by: {}.", parts.join(", "));
    }
    match unexplained(claim) {
        Some(rest) if rest > Cents(0) => {
            let _ = write!(said, " The claim does not say who paid the other {}.", dollars(Some(rest)));
        }
        Some(rest) if rest < Cents(0) => {
            let _ = write!(said, " That is {} more than it cost.", dollars(Some(Cents(-rest.0))));
        }
        _ => {}
    }
    said
}

/// The part of a drug's price that no payment explains.
pub(super) fn unexplained(claim: &Claim) -> Option<Cents> {
    let amounts = &claim.amounts;
    let paid =
        [amounts.medicare_paid, amounts.patient_pays, amounts.low_income_subsidy, amounts.discount, amounts.other_paid];
    let paid = paid.into_iter().flatten().try_fold(Cents(0), Cents::plus)?;
    amounts.charged?.plus(Cents(-paid.0))
}

/// Names and values of the claim's facts. Missing facts are left out.
type Facts = Vec<(&'static str, String)>;

fn sums(claim: &Claim) -> Facts {
    let amounts = &claim.amounts;
    let is_drug = claim.kind == Some(Kind::Pde);
    let is_of_plan = is_drug || claim.payer_decision == Some(PayerDecision::MedicareAdvantage);
    let paid = if is_of_plan { "Plan paid" } else { "Medicare paid" };
    let unless_zero = |amount: Option<Cents>| amount.filter(|amount| amount.0 != 0);
    let sums = [
        (if is_drug { "Cost" } else { "Billed" }, amounts.charged),
        ("Medicare approved", amounts.allowed),
        (paid, amounts.medicare_paid),
        ("Medicare sent you", unless_zero(amounts.paid_to_patient)),
        // For a drug, both are the same.
        (
            if is_drug { "You paid" } else { "Your share" },
            amounts.patient_pays.filter(|_| is_drug || uncovered(claim).is_some()),
        ),
        ("Not covered", if is_drug { None } else { unless_zero(amounts.not_covered) }),
        ("You may be billed", billable(claim).filter(|_| claim.disposition == Disposition::Final)),
        ("Extra Help paid", unless_zero(amounts.low_income_subsidy)),
        ("Maker\u{2019}s discount", unless_zero(amounts.discount)),
        (if is_drug { "Others paid" } else { "Other insurer paid" }, unless_zero(amounts.other_paid)),
    ];
    said(sums.into_iter().map(|(name, amount)| (name, dollars(amount))))
}

fn facts(claim: &Claim) -> Facts {
    let until = claim.end.as_deref().filter(|end| Some(*end) != claim.start.as_deref());
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let facts = [
        ("Until", until.map(said_date).unwrap_or_default()),
        ("Billed by", text(&claim.provider)),
        ("Where to reach them", text(&claim.provider_contact)),
        ("Provider number (NPI)", text(&claim.provider_npi)),
        ("Treated or prescribed by", text(&claim.practitioner)),
        ("Diagnoses", all(&claim.diagnoses)),
        ("Procedures", all(&claim.procedures)),
        ("Diagnosis related group", text(&claim.drg)),
        ("Days supplied", claim.days_supply.as_deref().map(number).unwrap_or_default()),
        ("Refill number", claim.refill.as_deref().map(number).unwrap_or_default()),
        ("Claim number", text(&claim.number)),
    ];
    said(facts.into_iter())
}

fn said(facts: impl Iterator<Item = (&'static str, String)>) -> Facts {
    facts.filter(|(_, text)| !text.is_empty()).collect()
}

/// Writes the sentence, sums, facts and lines as one text each, with one fact or line of the claim per line, and tabs
/// between values. [`Escaped`] leaves no tabs or line breaks in texts from others.
fn pack(out: &mut String, sentence: &str, what: &[Facts; 2], claim: &Claim) {
    out.push_str("<pre>");
    Escaped(sentence).render_to(out);
    out.push_str("</pre>");
    for facts in what {
        out.push_str("<pre>");
        for (name, text) in facts {
            let _ = write!(out, "{name}\t");
            Escaped(text).render_to(out);
            out.push('\n');
        }
        out.push_str("</pre>");
    }
    let (heads, rows) = (heads(claim), lines(claim));
    let used = used(&heads, &rows);
    let shown = || used.iter().enumerate().filter(|(_, used)| **used).map(|(at, _)| at);
    let places = |is_one: &dyn Fn(usize) -> bool| {
        let places = shown().enumerate().filter(|(_, at)| is_one(*at)).map(|(place, _)| place.to_string());
        places.collect::<Vec<_>>().join(" ")
    };
    let numbers = places(&|at| heads.get(at).is_some_and(|(_, is_number)| *is_number));
    let days = places(&|at| rows.first().and_then(|row| row.get(at)).is_some_and(|cell| matches!(cell, Td::Day(_))));
    let _ = write!(out, "<pre data-numbers=\"{numbers}\" data-days=\"{days}\">");
    if !rows.is_empty() {
        let heads: Vec<_> = shown().filter_map(|at| heads.get(at)).map(|(head, _)| *head).collect();
        let _ = writeln!(out, "{}", heads.join("\t"));
    }
    for row in &rows {
        for (place, cell) in shown().filter_map(|at| row.get(at)).enumerate() {
            out.push_str(if place == 0 { "" } else { "\t" });
            Escaped(cell.text()).render_to(out);
        }
        out.push('\n');
    }
    out.push_str("</pre>");
}

/// The column heads of the table of lines, and whether a column has numbers.
fn heads(claim: &Claim) -> [Head; 8] {
    let is_drug = claim.kind == Some(Kind::Pde);
    [
        ("Service", false),
        ("Date", false),
        ("Units", true),
        ("Approved?", false),
        (if is_drug { "Cost" } else { "Billed" }, true),
        ("Medicare approved", true),
        (if is_drug { "Plan paid" } else { "Medicare paid" }, true),
        (if is_drug { "You paid" } else { "Your share" }, true),
    ]
}

/// What was done and where: the claim's words, if it has any, and the code.
pub(super) fn service(line: &Line) -> String {
    if line.is_total {
        return "Total of this claim".to_owned();
    }
    let named = line.code.as_deref().and_then(preventive::name).map(str::to_owned);
    let said = || line.words.as_deref().map(|words| if line.ndc.is_some() { medicine(words) } else { calm(words) });
    let words = named.or_else(said);
    let code = line.code.as_deref().or(line.ndc.as_deref()).or(line.revenue.as_deref());
    let kind = if line.code.is_some() {
        "code"
    } else if line.ndc.is_some() {
        "NDC"
    } else {
        "revenue code"
    };
    let code = code.map(|code| format!("{kind} {code} {}", line.modifiers.join(" ")).trim().to_owned());
    let mut said = match (words, code) {
        (Some(words), Some(code)) => format!("{words} ({code})"),
        (Some(words), None) => words,
        (None, Some(code)) => code,
        (None, None) => "Not named".to_owned(),
    };
    // For an institution, it is a state, which has no code.
    if let Some(place) = line.place_code.as_deref().and_then(|code| place(code, line.place.as_deref())) {
        let _ = write!(said, ", {place}");
    }
    said
}

/// Whether Medicare approved a line, and if not, why. Nothing if the claim says neither.
fn approval(claim: &Claim, line: &Line) -> String {
    if let Some(why) = line.why_denied() {
        return format!("No: {why}");
    }
    let is_allowed = line.processing.as_ref().is_some_and(|it| it.code == "A")
        || [line.allowed, line.medicare_paid].into_iter().flatten().any(|amount| amount > Cents(0));
    if is_allowed && !line.is_total && claim.payer_decision.is_none() { "Yes".to_owned() } else { String::new() }
}

fn lines(claim: &Claim) -> Vec<Vec<Td>> {
    let rows = claim.lines.iter().map(|line| {
        vec![
            Td::Text(service(line)),
            Td::Day(line.start.as_deref().map(said_date).unwrap_or_default()),
            Td::Number(line.units.as_deref().map(number).unwrap_or_default()),
            Td::Text(approval(claim, line)),
            Td::Number(dollars(line.charged)),
            Td::Number(dollars(line.allowed)),
            Td::Number(dollars(line.medicare_paid)),
            Td::Number(dollars(line.patient_pays)),
        ]
    });
    rows.collect()
}
