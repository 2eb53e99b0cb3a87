//! Dates and times in the server's format.

use jiff::{Timestamp, civil::Date, civil::DateTime, civil::Weekday, tz::Offset};

use super::json::{Json, Value};

impl Value for Date {
    fn write(&self, json: &mut Json<'_>) {
        json.raw("\"");
        day(json, *self);
        json.raw("\"");
    }
}

fn day(json: &mut Json<'_>, date: Date) {
    json.digits(date.year().unsigned_abs().into(), 4);
    json.raw("-");
    json.digits(date.month().unsigned_abs().into(), 2);
    json.raw("-");
    json.digits(date.day().unsigned_abs().into(), 2);
}

/// A time with the offset of the server at that moment: `2023-06-14T12:31:42.360-04:00`.
#[derive(Clone, Copy)]
pub(super) struct FhirInstant {
    /// The moment.
    pub(super) at: Timestamp,
    /// Written in US Eastern time instead of UTC, as by the older deployments.
    pub(super) eastern: bool,
    /// `meta.lastUpdated` has milliseconds; `created` does not.
    pub(super) milliseconds: bool,
}

impl Value for FhirInstant {
    fn write(&self, json: &mut Json<'_>) {
        let offset = if self.eastern { eastern_hours(self.at) } else { 0 };
        let local = local(self.at, offset);
        json.raw("\"");
        day(json, local.date());
        for (mark, part) in [("T", local.hour()), (":", local.minute()), (":", local.second())] {
            json.raw(mark);
            json.digits(part.unsigned_abs().into(), 2);
        }
        if self.milliseconds {
            json.raw(".");
            json.digits(local.millisecond().unsigned_abs().into(), 3);
        }
        json.raw(match offset {
            -4 => "-04:00",
            -5 => "-05:00",
            _ => "+00:00",
        });
        json.raw("\"");
    }
}

fn local(at: Timestamp, hours: i8) -> DateTime {
    Offset::from_hours(hours).unwrap_or(Offset::UTC).to_datetime(at)
}

/// US Eastern daylight time: from the second Sunday of March, 07:00 UTC, to the first Sunday of November, 06:00 UTC
/// (15 U.S.C. 260a). The rule is written here so that a machine without a time zone database makes the same claims.
fn eastern_hours(at: Timestamp) -> i8 {
    let utc = local(at, 0);
    let sunday_before = |date: Date| date.weekday().since(Weekday::Sunday);
    let daylight = match utc.month() {
        4..=10 => true,
        3 => {
            let last_sunday = utc.day() - sunday_before(utc.date());
            last_sunday > 14 || (last_sunday >= 8 && (last_sunday != utc.day() || utc.hour() >= 7))
        }
        11 => {
            let last_sunday = utc.day() - sunday_before(utc.date());
            last_sunday < 1 || (last_sunday == utc.day() && utc.day() <= 7 && utc.hour() < 6)
        }
        _ => false,
    };
    if daylight { -4 } else { -5 }
}

/// The date `days` after `date`, within the limits of the calendar.
pub(super) fn days_after(date: Date, days: u64) -> Date {
    date.saturating_add(jiff::SignedDuration::from_hours(24 * i64::try_from(days).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(at: &str, eastern: bool, milliseconds: bool) -> String {
        let mut out = String::new();
        let at = at.parse().unwrap();
        Json::new(&mut out).item(FhirInstant { at, eastern, milliseconds });
        out.trim_matches('"').to_owned()
    }

    #[test]
    fn instants_are_written_as_the_server_does() {
        assert_eq!(written("2023-06-14T16:31:42.36Z", true, true), "2023-06-14T12:31:42.360-04:00");
        assert_eq!(written("2023-01-14T02:31:42Z", true, true), "2023-01-13T21:31:42.000-05:00");
        assert_eq!(written("2026-11-16T09:00:00.123Z", false, true), "2026-11-16T09:00:00.123+00:00");
        assert_eq!(written("2022-07-21T01:40:40.9Z", true, false), "2022-07-20T21:40:40-04:00");
    }

    #[test]
    fn summer_time_turns_on_its_two_sundays() {
        for (at, offset) in [
            ("2023-03-12T06:59:59Z", "-05:00"),
            ("2023-03-12T07:00:00Z", "-04:00"),
            ("2023-03-05T12:00:00Z", "-05:00"),
            ("2023-03-20T12:00:00Z", "-04:00"),
            ("2023-11-05T05:59:59Z", "-04:00"),
            ("2023-11-05T06:00:00Z", "-05:00"),
            ("2023-11-03T12:00:00Z", "-04:00"),
            ("2020-11-01T05:59:59Z", "-04:00"),
            ("2020-11-02T00:00:00Z", "-05:00"),
            ("2021-11-06T12:00:00Z", "-04:00"),
            ("2021-12-01T12:00:00Z", "-05:00"),
        ] {
            assert!(written(at, true, true).ends_with(offset), "{at}");
        }
    }

    #[test]
    fn every_instant_reads_back_as_itself() {
        let start = Timestamp::UNIX_EPOCH.as_millisecond() + 1_400_000_000_000;
        for step in 0..2000 {
            let at = Timestamp::from_millisecond(start + step * 198_765_432).unwrap();
            let mut out = String::new();
            Json::new(&mut out).item(FhirInstant { at, eastern: true, milliseconds: true });
            assert_eq!(out.trim_matches('"').parse::<Timestamp>().unwrap(), at);
        }
    }
}
