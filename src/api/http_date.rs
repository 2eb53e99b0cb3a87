//! Dates in HTTP headers.

use jiff::Timestamp;

/// The time in a `Date` or a `Retry-After`, in any of the three forms that a recipient must accept (RFC 9110 section
/// 5.6.7).
#[must_use]
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_name_one_instant() {
        let instant = "1994-11-06T08:49:37Z".parse().ok();
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text), instant, "{text}");
        }
        for text in ["", "soon", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 +0100"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
