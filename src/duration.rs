//! Durations as people type them: `90s`, `15m`, `6h`, `7d`; a number alone means seconds.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

const HOW: &str = "write it like 90s, 15m, 6h or 7d; a bare number is seconds";

/// Reads a duration.
///
/// # Errors
/// A sentence that says what can be typed.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = digits.parse::<u64>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    seconds
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .map(Duration::from_secs)
        .ok_or_else(|| HOW.to_owned())
}

/// Reads a duration from `config.toml`, where it is a number or a text.
///
/// # Errors
/// The errors of [`parse`].
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(u64),
        Text(String),
    }
    // Its own words would name our types.
    match Written::deserialize(deserializer).map_err(|_| D::Error::custom(HOW))? {
        Written::Seconds(seconds) => Ok(Some(Duration::from_secs(seconds))),
        Written::Text(text) => parse(&text).map(Some).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_they_are_typed() {
        for (text, seconds) in [("300", 300), ("90s", 90), ("15m", 900), ("6h", 21_600), ("7d", 604_800), ("0", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in
            ["", "m", "-1", "+1", "1.5h", "1 h", "15min", "1w", "99999999999999999999", "18446744073709551615d", "１m"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
