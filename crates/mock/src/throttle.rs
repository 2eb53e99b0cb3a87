//! The rate limit of the FHIR views, counted by access token.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// How many calls in how many seconds: the body of `POST /__mock/rate`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    pub calls: usize,
    pub seconds: i64,
}

/// The recent calls.
#[derive(Default)]
pub(super) struct Throttle {
    rate: Option<Rate>,
    calls: HashMap<String, Vec<Timestamp>>,
    /// When there are this many tokens, those without recent calls are removed.
    full: usize,
}

/// This many tokens are always kept.
const FEW: usize = 1_000;

/// The values for the rate limit headers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub limit: usize,
    /// `None` if this is one call too many.
    pub remaining: Option<usize>,
    pub reset: f64,
}

impl Rate {
    /// The rate, if its time span is valid.
    pub(super) fn checked(self) -> Result<Self, String> {
        const LONGEST: i64 = 1_000_000_000;
        if (1..=LONGEST).contains(&self.seconds) {
            return Ok(self);
        }
        Err(format!("seconds: {} is not from 1 to {LONGEST}", self.seconds))
    }
}

impl Throttle {
    /// Sets another rate. `None` sets the default, which no client reaches.
    pub(super) fn set(&mut self, rate: Option<Rate>) {
        *self = Self { rate, calls: HashMap::new(), full: FEW };
    }

    /// Counts a call.
    pub(super) fn call(&mut self, token: &str, now: Timestamp) -> Bucket {
        let Some(rate) = self.rate else {
            return Bucket { limit: 100_000, remaining: Some(99_999), reset: 1.0 };
        };
        let span = SignedDuration::from_secs(rate.seconds);
        if self.calls.len() >= self.full {
            self.calls.retain(|_, calls| calls.iter().any(|at| now.duration_since(*at) < span));
            self.full = FEW.max(self.calls.len() * 2);
        }
        let calls = self.calls.entry(token.to_owned()).or_default();
        calls.retain(|at| now.duration_since(*at) < span);
        let reset = calls.first().map_or(span, |first| span.saturating_sub(now.duration_since(*first))).as_secs_f64();
        let remaining = rate.calls.checked_sub(calls.len().saturating_add(1));
        if remaining.is_some() {
            calls.push(now);
        }
        Bucket { limit: rate.calls, remaining, reset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_stops_nothing() {
        let mut throttle = Throttle::default();
        throttle.set(Some(Rate { calls: 1, seconds: i64::MAX }));
        throttle.call("a", Timestamp::MAX);
        assert_eq!(throttle.call("a", Timestamp::MIN).remaining, None);
        for seconds in [i64::MIN, -1, 0, 1_000_000_001, i64::MAX] {
            assert!(Rate { calls: 1, seconds }.checked().is_err(), "{seconds}");
        }
        assert!([1, 1_000_000_000].into_iter().all(|seconds| Rate { calls: 0, seconds }.checked().is_ok()));
    }

    #[test]
    fn calls_are_counted_by_token_and_forgotten_in_time() {
        let mut throttle = Throttle::default();
        let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        assert_eq!(throttle.call("a", at(0)).limit, 100_000);
        throttle.set(Some(Rate { calls: 2, seconds: 60 }));
        let left = |throttle: &mut Throttle, token: &str, second| throttle.call(token, at(second)).remaining;
        assert_eq!([0, 1, 2].map(|second| left(&mut throttle, "a", second)), [Some(1), Some(0), None]);
        assert_eq!(left(&mut throttle, "b", 2), Some(1));
        assert_eq!(throttle.call("a", at(10)), Bucket { limit: 2, remaining: None, reset: 50.0 });
        assert_eq!(left(&mut throttle, "a", 60), Some(0));
        for token in 0..FEW as i64 * 3 {
            left(&mut throttle, &token.to_string(), 100 + token);
        }
        assert!(throttle.calls.len() <= FEW, "{}", throttle.calls.len());
    }
}
