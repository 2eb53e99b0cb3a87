//! Sums of claims that do not say everything.

use super::*;

#[test]
fn months_are_counted_and_shown() {
    let month = |day: &str| Month::of(day.parse().unwrap());
    for day in ["2024-12-31", "2025-01-01", "0001-01-01"] {
        assert_eq!(month(day).to_string(), day[..7]);
    }
    assert_eq!(month("2025-01-01").0, month("2024-12-31").0 + 1);
}

#[test]
fn what_is_no_day_reaches_no_period_and_has_a_row_of_its_own() {
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
    let mut page = String::new();
    sums.write(&mut page);
    assert!(page.contains(">No date</td>") && page.contains(">Of no known type</td>"), "{page}");
}

#[test]
fn days_are_added_however_they_are_written() {
    let fill = |days: Option<&str>| Claim {
        kind: Some(Kind::Pde),
        days_supply: days.map(str::to_owned),
        lines: vec![crate::fhir::claim::Line { ndc: Some("1".to_owned()), ..Default::default() }],
        ..Claim::default()
    };
    let shown = |fills: &[Option<&str>]| {
        let (mut sums, mut page) = (Sums::default(), String::new());
        fills.iter().for_each(|days| sums.take(&fill(*days)));
        sums.medicines(&mut page);
        page.split("data-head=\"Days supplied\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    assert_eq!(shown(&[Some("30"), Some("30.0"), Some("90.00")]), "150");
    assert_eq!(shown(&[Some("0.5"), Some("100")]), "100.5");
    assert_eq!(shown(&[Some("30"), None]), "30 (1 of 2 fills)");
    assert_eq!(shown(&[None, Some("many")]), "");
}

#[test]
fn who_has_only_a_number_is_listed_by_it() {
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
    assert_eq!(sums.providers.keys().collect::<Vec<_>>(), ["A", "NPI 1234567890", "NPI 1999999999"]);
}

#[test]
fn what_no_claim_says_has_no_sum() {
    let mut sum = None;
    add(&mut sum, None);
    assert_eq!(sum, None);
    add(&mut sum, Some(Cents(0)));
    add(&mut sum, Some(Cents(7)));
    assert_eq!(sum, Some(Cents(7)));
}
