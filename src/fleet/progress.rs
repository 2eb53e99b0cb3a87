//! How far a run has got, in one line: `1,240 of 20,000, 3 failed, 42/s, 7 min left`.

use std::time::Instant;

use super::tally::Tally;
use crate::output::{Output, StatusLine};

/// The progress line on the terminal.
pub(crate) struct Progress {
    line: StatusLine,
    started: Instant,
}

impl Progress {
    /// Starts showing the line.
    #[must_use]
    pub(crate) fn start(output: &Output) -> Self {
        Self { line: output.status_line(), started: Instant::now() }
    }

    /// Shows these numbers.
    pub(crate) fn show(&mut self, tally: &Tally) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.line.show(|| text(tally, seconds));
    }
}

fn text(tally: &Tally, seconds: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let (ended, waiting) = (tally.ended() as f64, tally.left() as f64);
    let rate = ended / seconds.max(0.1);
    let left = waiting / rate.max(0.01);
    let rate = if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") };
    let left = match left {
        ..90.0 => format!("{left:.0} s left"),
        90.0..5_400.0 => format!("{:.0} min left", left / 60.0),
        _ => format!("{:.1} h left", left / 3_600.0),
    };
    format!("{} of {}, {} failed, {rate}, {left}", grouped(tally.ended()), grouped(tally.due), grouped(tally.failed()))
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::{Error, ErrorKind},
        fleet::Outcome,
    };

    #[test]
    fn the_line_says_how_far_how_fast_and_how_long() {
        let mut tally = Tally { due: 20_000, succeeded: 1_237, ..Tally::default() };
        for _ in 0..3 {
            let failure = Some(Error::new(ErrorKind::Server, "503"));
            tally.count(&Outcome { failure, ..Outcome::example() });
        }
        assert_eq!(text(&tally, 29.5), "1,240 of 20,000, 3 failed, 42/s, 7 min left");
        assert_eq!(text(&tally, 2950.0), "1,240 of 20,000, 3 failed, 0.4/s, 12.4 h left");
        tally.due = 1_241;
        assert_eq!(text(&tally, 0.0), "1,240 of 1,241, 3 failed, 12400/s, 0 s left");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
