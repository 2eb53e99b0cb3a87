//! Numbers, days and names as people write them.

use crate::claim::{Cents, coverage::MONTHS, day};
use jiff::civil::Date;

/// An amount as people write it; empty if there is none.
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

/// A day as text: July 24, 2026.
pub(super) fn date(day: Date) -> String {
    let month = usize::try_from(day.month() - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or_default();
    format!("{month} {}, {}", day.day(), day.year())
}

/// A day from a claim, as text. An incomplete or invalid day is shown as the claim has it.
pub(super) fn said_date(text: &str) -> String {
    day(text).map_or_else(|| text.to_owned(), date)
}

/// A number of hundredths, without trailing zeros.
pub(super) fn plain(hundredths: Cents) -> String {
    let text = hundredths.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number as people write it, if it is a plain one; otherwise as the claim has it.
pub(super) fn number(text: &str) -> String {
    Cents::read(text).map_or_else(|| text.to_owned(), plain)
}

/// A count with its noun: "1 claim", "2 claims".
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn grouped(count: u64) -> String {
    let text = dollars(Some(Cents(i64::try_from(count).unwrap_or(0).saturating_mul(100))));
    text.trim_start_matches('$').trim_end_matches(".00").to_owned()
}

/// "does" or "do", depending on the count.
pub(super) fn does(count: u64) -> &'static str {
    if count == 1 { "does" } else { "do" }
}

/// Turns text that is all in capitals into a sentence. Other text stays as it is, and so do short words in capitals
/// that are not English words.
pub(super) fn calm(text: &str) -> String {
    const KEPT: [&str; 14] =
        ["II", "III", "IV", "NOS", "NEC", "HIV", "COPD", "MRSA", "ESRD", "CT", "MRI", "ICU", "EKG", "DME"];
    if text.chars().any(char::is_lowercase) || !text.chars().any(char::is_uppercase) {
        return text.to_owned();
    }
    let lower = |word: &str| {
        let bare = word.trim_matches(|letter: char| !letter.is_alphanumeric());
        if KEPT.contains(&bare) || bare.chars().any(|letter| letter.is_ascii_digit()) {
            word.to_owned()
        } else {
            word.to_lowercase()
        }
    };
    let words: Vec<String> = text.split(' ').map(lower).collect();
    capitalized(&words.join(" "))
}

/// The text with its first letter in upper case.
pub(super) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// A medicine: "Omeprazole - OMEPRAZOLE" is one name; "Lipitor - ATORVASTATIN CALCIUM" is a brand and its ingredient.
pub(super) fn medicine(text: &str) -> String {
    let Some((brand, substance)) = text.split_once(" - ") else { return calm(text) };
    let (brand, substance) = (calm(brand.trim()), calm(substance.trim()));
    if substance.to_lowercase().starts_with(&brand.to_lowercase()) {
        brand
    } else {
        format!("{brand} ({})", substance.to_lowercase())
    }
}

/// A place of service (<https://www.cms.gov/medicare/coding-billing/place-of-service-codes/code-sets>): our own words
/// for the common ones, else the first sentence of the server's text ("Office. Location, other than …"), else the
/// code. 99 means any other place.
pub(super) fn place(code: &str, words: Option<&str>) -> Option<String> {
    let known = match code {
        "01" => "at a pharmacy",
        "02" | "10" => "by telephone or video",
        "11" => "in an office",
        "12" => "at home",
        "13" => "in assisted living",
        "20" => "in urgent care",
        "21" => "in a hospital, as an inpatient",
        "19" | "22" => "in a hospital, as an outpatient",
        "23" => "in an emergency room",
        "24" => "in a surgery center",
        "31" | "32" => "in a nursing facility",
        "34" => "in a hospice",
        "41" | "42" => "in an ambulance",
        "49" | "50" | "71" | "72" => "in a clinic",
        "65" => "at a dialysis center",
        "81" => "at a lab",
        "99" => return None,
        _ => "",
    };
    if !known.is_empty() {
        return Some(known.to_owned());
    }
    let first = words.map(|words| words.split_once(". ").map_or(words, |(first, _)| first));
    let said = first.filter(|first| *first != code && *first != "Unassigned").map(|first| calm(first).to_lowercase());
    Some(said.unwrap_or_else(|| format!("place of service {code}")))
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
        assert_eq!((counted(1, "claim"), counted(20_000, "claim")), ("1 claim".into(), "20,000 claims".into()));
    }

    #[test]
    fn days_and_names_read_as_people_write_them() {
        assert_eq!(said_date("2026-07-24"), "July 24, 2026");
        assert_eq!(said_date("2026-07"), "2026-07");
        for (sent, shown) in [
            ("OTHER SALMONELLA INFECTIONS", "Other salmonella infections"),
            ("CHRONIC SINUSITIS NOS", "Chronic sinusitis NOS"),
            ("VITAMIN B12 DEFICIENCY", "Vitamin B12 deficiency"),
            ("Medical care", "Medical care"),
            ("99213", "99213"),
        ] {
            assert_eq!(calm(sent), shown);
        }
        assert_eq!(medicine("Omeprazole - OMEPRAZOLE"), "Omeprazole");
        assert_eq!(medicine("Lipitor - ATORVASTATIN CALCIUM"), "Lipitor (atorvastatin calcium)");
        for (code, words, shown) in [
            ("11", Some("Office. Location, other than a hospital"), Some("in an office")),
            ("81", Some("81"), Some("at a lab")),
            (
                "55",
                Some("Residential Substance Abuse Facility. A facility"),
                Some("residential substance abuse facility"),
            ),
            ("68", Some("Unassigned"), Some("place of service 68")),
            ("99", Some("Other Place of Service. Other"), None),
        ] {
            assert_eq!(place(code, words).as_deref(), shown, "{code}");
        }
    }
}
