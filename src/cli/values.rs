//! How single values are read from the command line, with an answer in plain words where one is wrong.

use std::{ffi::OsStr, fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use clap_complete::engine::CompletionCandidate;

use crate::{duration, profile::paths, secret::Secret};

/// An address with a password in it, perhaps: it is never shown.
#[expect(clippy::unnecessary_wraps, reason = "as clap wants it")]
pub(super) fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text.to_owned()))
}

/// A whole number within limits.
pub(super) fn whole<T: FromStr + PartialOrd + Display + Clone>(
    limits: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse::<T>().ok().filter(|number| limits.contains(number));
        number.ok_or_else(|| format!("it must be a whole number from {} to {}", limits.start(), limits.end()))
    }
}

/// How often an option without a value is meant, which only a variable can say: as a number, or as a word as variables of
/// other such options take it.
pub(super) fn how_often(text: &str) -> Result<u8, String> {
    match text.to_ascii_lowercase().as_str() {
        "false" | "f" | "no" | "n" | "off" => Ok(0),
        "true" | "t" | "yes" | "y" | "on" => Ok(1),
        number => number.parse().map_err(|_| "it must be true, false, or how often: a number from 0 to 255".to_owned()),
    }
}

/// A whole number with no upper limit but that of its type.
pub(super) fn at_least<T: FromStr + PartialOrd + Display + Clone>(
    least: T,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse::<T>().ok().filter(|number| *number >= least);
        number.ok_or_else(|| format!("it must be a whole number, {least} or more"))
    }
}

/// How long to wait for a person: up to a day.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    const DAY: Duration = Duration::from_secs(86_400);
    at_most(text, DAY, "1 day")
}

/// How long to wait for an answer: up to an hour.
pub(super) fn request_timeout(text: &str) -> Result<Duration, String> {
    const HOUR: Duration = Duration::from_secs(3_600);
    at_most(text, HOUR, "1 hour")
}

fn at_most(text: &str, longest: Duration, name: &str) -> Result<Duration, String> {
    let time = duration::parse(text)?;
    if time.is_zero() || time > longest { Err(format!("it must be from 1 second to {name}")) } else { Ok(time) }
}

/// The log-ins of this machine, for a shell that completes a name.
pub(super) fn profiles(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let names = paths::profile_names().into_iter().filter(|name| name.as_str().starts_with(&*begun));
    names.map(|name| CompletionCandidate::new(name.to_string())).collect()
}

/// An operator and a date. The server refuses other operators, and a date without one.
pub(super) fn op_date(text: &str) -> Result<String, String> {
    let (operator, value) = operator(text)?;
    value.parse::<jiff::civil::Date>().map_err(|_| format!("\"{value}\" is not a date like 2025-01-31"))?;
    Ok(format!("{operator}{value}"))
}

/// An operator and a date or instant with its zone.
pub(super) fn op_instant(text: &str) -> Result<String, String> {
    let (operator, value) = operator(text)?;
    let is_date = value.len() == 10 && value.parse::<jiff::civil::Date>().is_ok();
    if !is_date {
        let example = "2025-01-31 or 2025-01-31T00:00:00Z";
        value.parse::<jiff::Timestamp>().map_err(|_| format!("\"{value}\" is not a date or time like {example}"))?;
    }
    Ok(format!("{operator}{value}"))
}

fn operator(text: &str) -> Result<(&str, &str), String> {
    ["ge", "gt", "le", "lt"]
        .into_iter()
        .find_map(|operator| Some((operator, text.strip_prefix(operator)?)))
        .ok_or_else(|| "start with ge, gt, le or lt, as in ge2025-01-01".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_need_an_operator_and_a_date() {
        assert_eq!(op_date("ge2025-01-01").unwrap(), "ge2025-01-01");
        for bad in ["2025-01-01", "eq2025-01-01", "ge", "ge2025", "ge2025-02-30", "ge2025-01-01&patient=1"] {
            assert!(op_date(bad).is_err(), "{bad}");
        }
        assert!(op_instant("ge2025-01-01T00:00:00+01:00").is_ok() && op_instant("lt2025-01-01").is_ok());
        assert!(op_instant("ge2025-01-01T00:00:00").is_err());
    }

    #[test]
    fn a_wrong_number_is_answered_with_the_allowed_range() {
        let jobs = whole::<u8>(1..=16);
        assert_eq!(jobs("16"), Ok(16));
        for bad in ["", "abc", "0", "17", "300", "-1", "1.5"] {
            assert_eq!(jobs(bad), Err("it must be a whole number from 1 to 16".to_owned()), "{bad}");
        }
    }

    #[test]
    fn a_variable_says_how_often_in_numbers_or_words() {
        assert_eq!(["0", "off", "true", "YES", "2"].map(|text| how_often(text).unwrap()), [0, 0, 1, 1, 2]);
        assert!(how_often("loud").is_err() && how_often("256").is_err());
    }

    #[test]
    fn waiting_takes_durations_within_limits() {
        assert_eq!(request_timeout("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(request_timeout("130"), Ok(Duration::from_secs(130)));
        assert!(request_timeout("2h").is_err() && request_timeout("0").is_err() && patience("2h").is_ok());
    }
}
