//! When to retry a request, and how long to wait first: the policy as data, the decision as a function.

use std::time::Duration;

use jiff::Timestamp;

use super::{http_date, problem::Problem};

/// How often a request is retried, and with which pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first try.
    pub retries: u32,
    /// The first pause; each later one is twice as long.
    pub first_pause: Duration,
    /// The longest pause of our own choice.
    pub longest_pause: Duration,
    /// If the server asks for a longer wait than this, bbdl gives up.
    pub longest_retry_after: Duration,
}

impl Default for RetryPolicy {
    /// 1, 2, 4, 8, 16 and 32 seconds: about a minute in all.
    fn default() -> Self {
        Self {
            retries: 6,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            longest_retry_after: Duration::from_secs(120),
        }
    }
}

/// How often an answer that cannot be read is requested again. All retries of a policy would take a whole minute.
const UNREADABLE_RETRIES: u32 = 2;

impl RetryPolicy {
    /// The pause before retry number `repetition` (from 0), or `None` if a retry does not help. `chance` in `0..1`
    /// spreads clients that failed at the same time.
    #[must_use]
    pub fn pause(&self, problem: &Problem, repetition: u32, chance: f64) -> Option<Duration> {
        let allowed = match problem {
            Problem::Temporary { .. } | Problem::Unreachable { .. } | Problem::TooMuch { .. } => self.retries,
            Problem::MaybeTemporary { .. } => self.retries.min(1),
            Problem::Unreadable { .. } | Problem::Intercepted { .. } => self.retries.min(UNREADABLE_RETRIES),
            _ => 0,
        };
        if repetition >= allowed {
            return None;
        }
        if let Problem::Temporary { retry_after: Some(wait), .. } = problem {
            return (*wait <= self.longest_retry_after).then_some(*wait);
        }
        let full = self.first_pause.saturating_mul(1 << repetition.min(20)).min(self.longest_pause);
        Some(full.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0))
    }
}

/// The wait in `Retry-After`: whole seconds, or until a date (RFC 9110 section 10.2.3). `None` for anything else.
#[must_use]
pub(crate) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let seconds = http_date::parse(text)?.duration_since(now).as_secs();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// A random number in `0..1` from the operating system, or the middle if it has none.
#[must_use]
pub(crate) fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(retry_after: Option<u64>) -> Problem {
        Problem::Temporary { said: String::new(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let policy = RetryPolicy { retries: 8, ..RetryPolicy::default() };
        let pauses: Vec<u64> =
            (0..).map_while(|n| policy.pause(&temporary(None), n, 1.0)).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(policy.pause(&temporary(None), 0, 0.0), Some(Duration::from_millis(500)));
    }

    #[test]
    fn retry_after_is_followed_unless_it_is_too_long() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.pause(&temporary(Some(60)), 0, 0.3), Some(Duration::from_secs(60)));
        assert_eq!(policy.pause(&temporary(Some(3600)), 0, 0.3), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        assert_eq!(retry_after("60", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Mon, 23 Nov 2026 10:01:30 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Mon, 23 Nov 2026 09:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("Monday, 23-Nov-26 10:01:30 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Mon Nov 23 10:01:30 2026", now), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn permanent_failures_are_not_repeated() {
        let policy = RetryPolicy::default();
        for problem in [Problem::TokenRejected, Problem::GrantEnded, Problem::NotFound] {
            assert_eq!(policy.pause(&problem, 0, 0.5), None);
        }
        let hidden = Problem::MaybeTemporary { said: String::new() };
        assert!(policy.pause(&hidden, 0, 0.5).is_some());
        assert_eq!(policy.pause(&hidden, 1, 0.5), None);
    }
}
