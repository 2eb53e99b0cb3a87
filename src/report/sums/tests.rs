//! Sums of claims that lack some amounts.

use super::*;
use crate::claim::{Amounts, Coded};

#[test]
fn months_are_counted_and_shown() {
    let month = |day: &str| Month::of(day.parse().unwrap());
    for day in ["2024-12-31", "2025-01-01", "0001-01-01"] {
        assert_eq!(month(day).to_string(), day[..7]);
    }
    assert_eq!(month("2025-01-01").0, month("2024-12-31").0 + 1);
}

#[test]
fn claims_without_a_valid_date_have_their_own_row() {
    let mut sums = Sums::default();
    for start in ["2024-03-01", "2025-12-31T23:00:00-05:00", "2024-12", "2024-13-01", "2026-01-01<script>", "9999"] {
        sums.take(&Claim { start: Some(start.to_owned()), ..Claim::default() });
    }
    sums.take(&Claim::default());
    let said = |day: Option<Date>| day.map(|day| day.to_string());
    assert_eq!((said(sums.first), said(sums.last)), (Some("2024-03-01".into()), Some("2025-12-31".into())));
    let dated: u64 = sums.years.values().map(|sum| sum.claims).sum();
    let in_months: u64 = sums.months.values().map(|sum| sum.claims).sum();
    assert_eq!((dated, in_months, sums.undated.claims, sums.untyped.claims), (2, 2, 5, 7));
    assert_eq!(sums.years().collect::<Vec<_>>(), ["2025", "2024", UNKNOWN]);
    let page = sums.sections().into_string();
    assert!(page.contains(">No date</td>") && page.contains(">Of no known type</td>"), "{page}");
}

#[test]
fn dates_of_any_precision_are_added() {
    let fill = |days: Option<&str>| Claim {
        kind: Some(Kind::Pde),
        days_supply: days.map(str::to_owned),
        lines: vec![crate::claim::Line { ndc: Some("1".to_owned()), ..Default::default() }],
        ..Claim::default()
    };
    let shown = |fills: &[Option<&str>]| {
        let mut sums = Sums::default();
        fills.iter().for_each(|days| sums.take(&fill(*days)));
        let page = sums.medicines().into_string();
        page.split("data-head=\"Days supplied\">").nth(1).and_then(|rest| rest.split('<').next()).map(str::to_owned)
    };
    assert_eq!(shown(&[Some("30"), Some("30.0"), Some("90.00")]).as_deref(), Some("150"));
    assert_eq!(shown(&[Some("0.5"), Some("100")]).as_deref(), Some("100.5"));
    assert_eq!(shown(&[Some("30"), None]).as_deref(), Some("30 (1 of 2 fills)"));
    assert_eq!(shown(&[None, Some("many")]), None, "no column where nothing says it");
}

#[test]
fn providers_without_a_name_are_listed_by_number() {
    let mut sums = Sums::default();
    let by = |provider: Option<&str>, npi: Option<&str>, practitioner_npi: Option<&str>| Claim {
        provider: provider.map(str::to_owned),
        provider_npi: npi.map(str::to_owned),
        practitioner_npi: practitioner_npi.map(str::to_owned),
        ..Claim::default()
    };
    sums.take(&by(None, Some("1234567890"), Some("22")));
    sums.take(&by(None, None, Some("1999999999")));
    sums.take(&by(Some("A"), Some("1"), None));
    sums.take(&by(None, Some("1"), None));
    sums.take(&by(Some("B"), Some("1"), None));
    sums.take(&by(Some("A"), None, None));
    sums.take(&by(Some("A"), Some("9"), None));
    sums.take(&by(None, None, None));
    let page = sums.doctors_and_places().into_string();
    let rows = |head: &str| -> Vec<String> {
        let cell = format!("data-head=\"{head}\">");
        page.split(&cell).skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    };
    assert_eq!(rows("Billed or treated by"), ["B", "NPI 1234567890", "NPI 1999999999", "A (NPI 9)", "A"]);
    assert_eq!(rows("Claims"), ["3", "1", "1", "1", "1"]);
    assert!(page.contains("1 claim names nobody."), "{page}");
}

fn summary(sums: &Sums) -> String {
    sums.sections().into_string()
}

#[test]
fn pharmacy_payments_are_not_part_of_the_share() {
    let amounts = |share, paid| Amounts { patient_pays: share, patient_paid: paid, ..Amounts::default() };
    let drug = |paid: Option<i64>| Claim {
        kind: Some(Kind::Pde),
        start: Some("2024-01-01".to_owned()),
        amounts: amounts(paid.map(Cents), paid.map(Cents)),
        ..Claim::default()
    };
    let doctor = Claim {
        kind: Some(Kind::Carrier),
        start: Some("2024-02-01".to_owned()),
        amounts: amounts(Some(Cents(100)), Some(Cents(7))),
        ..Claim::default()
    };
    let mut sums = Sums::default();
    [drug(Some(1000)), drug(None), doctor].iter().for_each(|claim| sums.take(claim));
    let said = summary(&sums);
    for cell in [
        "<dt>Your share</dt><dd>$1.00</dd>",
        "<dt>At the pharmacy</dt><dd>$10.00</dd>",
        "1 of the 3 claims does not say what was paid at the pharmacy",
        "3 of the 3 claims do not say what was paid,",
    ] {
        assert!(said.contains(cell), "{cell}: {said}");
    }
    assert!(!said.contains("not say your share") && !said.contains("0.07"), "{said}");
    let page = sums.sections().into_string();
    let year = page.split("By year of service</caption>").nth(1).unwrap().split("</table>").next().unwrap();
    for cell in [">$1.00</td>", ">$10.00</td>"] {
        assert!(year.contains(cell), "{cell}: {year}");
    }
    // If nothing says what was paid, no bar may show it as nothing.
    assert!(!page.contains("$0.00"), "{page}");
}

#[test]
fn cancelled_claims_alone_have_no_sections() {
    let mut sums = Sums::default();
    for start in [Some("2019-01-01"), None] {
        let claim = Claim { disposition: Disposition::Cancelled, start: start.map(str::to_owned), ..Claim::default() };
        sums.take(&claim);
    }
    assert_eq!(sums.years().collect::<Vec<_>>(), ["2019", UNKNOWN]);
    assert!(sums.is_one_untyped());
    assert_eq!(summary(&sums), "<p class=\"quiet\">2 more are shown but not in any sum: 2 cancelled.</p>");
}

#[test]
fn counts_of_one_are_singular() {
    let mut sums = Sums::default();
    sums.take(&Claim { disposition: Disposition::Deleted, is_incomplete: true, ..Claim::default() });
    sums.take(&Claim { payer_decision: Some(PayerDecision::Denied), ..Claim::default() });
    sums.take(&Claim::default());
    let said = summary(&sums);
    for words in [
        "1 more is shown but not in any sum: 1 deleted.",
        "Some data of 1 claim cannot be shown here",
        "1 of the 2 claims does not say your share",
        "Medicare did not pay 1 claim.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn the_chart_ends_at_the_last_fetch_despite_later_dates() {
    let dated = |start: &str| Claim {
        start: Some(start.to_owned()),
        amounts: Amounts { medicare_paid: Some(Cents(100)), ..Amounts::default() },
        ..Claim::default()
    };
    let mut sums = Sums::until("2024-04-10".parse().ok(), None);
    ["2024-03-01", "2023-01-01", "9999-12-31"].iter().for_each(|day| sums.take(&dated(day)));
    let page = sums.sections().into_string();
    let picture = page.split("<svg").nth(1).unwrap().split("</svg>").next().unwrap();
    assert!(picture.contains("2024-03<") && picture.contains("2023-01<") && !picture.contains("9999"), "{picture}");
    assert_eq!(picture.matches("$1.00").count(), 2, "{picture}");
    assert_eq!(picture.matches("<rect").count(), 15);
    assert!(page.contains(">9999-12</td>"), "the table has it");
    let mut sums = Sums::until("2024-04-10".parse().ok(), None);
    sums.take(&dated("9999-12-31"));
    assert!(!summary(&sums).contains("by month</h3>"), "no picture of nothing");
}

#[test]
fn amounts_that_no_claim_gives_have_no_total() {
    let mut sum = None;
    add(&mut sum, None);
    assert_eq!(sum, None);
    add(&mut sum, Some(Cents(0)));
    add(&mut sum, Some(Cents(7)));
    assert_eq!(sum, Some(Cents(7)));
    // A sum that is too large stays too large, whatever is added.
    for _ in 0..2_000 {
        add(&mut sum, Cents::read("9999999999999.99"));
    }
    add(&mut sum, Cents::read("-9999999999999.99"));
    assert_eq!(dollars(sum), "too much to say");
}

/// E888.1 is a fall in ICD-9, and metabolic syndrome in ICD-10.
#[test]
fn codes_of_different_systems_are_different_diagnoses() {
    let diagnosis = |system: &str, words: &str| Coded {
        code: "E8881".to_owned(),
        system: Some(format!("http://hl7.org/fhir/sid/{system}")),
        words: Some(words.to_owned()),
    };
    let mut sums = Sums::default();
    for (system, words) in [("icd-9-cm", "FALL"), ("icd-10", "METABOLIC SYNDROME"), ("icd-10-cm", "OTHER WORDS")] {
        sums.take(&Claim { diagnoses: vec![diagnosis(system, words)], ..Claim::default() });
    }
    let counts: Vec<_> = sums.diagnoses.values().map(|(words, count)| (words.as_str(), *count)).collect();
    assert_eq!(counts, [("Metabolic syndrome", 2), ("Fall", 1)]);
}

#[test]
fn a_denied_claim_without_services_is_in_the_table() {
    let mut sums = Sums::default();
    let reason = Coded { code: "B".to_owned(), system: None, words: Some("BENEFITS EXHAUSTED".to_owned()) };
    let denied = Claim { payer_decision: Some(PayerDecision::Denied), denial_reason: Some(reason), ..Claim::default() };
    sums.take(&denied);
    let page = sums.denied().into_string();
    assert!(page.contains("This claim") && page.contains("Benefits exhausted (B)"), "{page}");
}
