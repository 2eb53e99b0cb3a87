//! `--tolerate`: which failures of single enrollees do not fail the whole run.

use std::str::FromStr;

use crate::error::Exit;

/// What one `--tolerate` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Any number of failures with this exit code.
    Code(Exit),
    /// Any number of failures, up to this share of the due enrollees, in millionths.
    Share(u64),
}

/// 100 percent, in the unit of [`Tolerance::Share`].
const WHOLE: u64 = 1_000_000;
/// The ways in which a single enrollee can fail. A defect is always reported, and an interrupt is not a failure.
const CODES: [Exit; 5] = [Exit::Data, Exit::Disk, Exit::TryAgain, Exit::PersonMustAct, Exit::NotSetUp];

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(share) = text.strip_suffix('%').and_then(millionths) {
            return Ok(Self::Share(share));
        }
        let code = CODES.into_iter().find(|exit| exit.code().to_string() == text);
        code.map(Self::Code).ok_or_else(|| {
            "give an exit code (65, 74, 75, 77 or 78) or a share of those who were due, such as 1% or 0.5%".to_owned()
        })
    }
}

/// A percentage with up to four decimals, as millionths of the whole.
fn millionths(percent: &str) -> Option<u64> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 4 {
        return None;
    }
    let whole: u64 = whole.parse().ok().filter(|whole| *whole <= 100)?;
    let decimals: u64 = format!("{decimals:0<4}").parse().ok()?;
    Some(whole * (WHOLE / 100) + decimals).filter(|share| *share <= WHOLE)
}

/// The exit codes of the failures that still count at the end of the run. `due` is how many enrollees were due.
#[must_use]
pub(crate) fn counted(failures: &[(Exit, u64)], due: u64, tolerated: &[Tolerance]) -> Vec<Exit> {
    let by_code = |exit: &Exit| tolerated.contains(&Tolerance::Code(*exit));
    let left = failures.iter().copied().filter(|(exit, number)| *number > 0 && !by_code(exit));
    let share = tolerated.iter().filter_map(|it| if let Tolerance::Share(share) = it { Some(*share) } else { None });
    let allowed = u128::from(share.max().unwrap_or(0)) * u128::from(due);
    // A defect in bbdl always counts, even a single one.
    let (defects, others): (Vec<_>, Vec<_>) = left.partition(|(exit, _)| !CODES.contains(exit));
    let failed: u64 = others.iter().map(|(_, number): &(Exit, u64)| *number).sum();
    let others = if u128::from(failed) * u128::from(WHOLE) <= allowed { Vec::new() } else { others };
    defects.into_iter().chain(others).map(|(exit, _)| exit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tolerances(typed: &[&str]) -> Vec<Tolerance> {
        typed.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn tolerated_failures_do_not_count() {
        use Exit::{Defect, PersonMustAct, TryAgain};
        type Row = (&'static [&'static str], &'static [(Exit, u64)], &'static [Exit]);
        let withdrawn_and_outage: &[(Exit, u64)] = &[(PersonMustAct, 9), (TryAgain, 2)];
        let rows: [Row; 11] = [
            (&[], &[(PersonMustAct, 1)], &[PersonMustAct]),
            (&["77"], &[(PersonMustAct, 1000)], &[]),
            (&["77"], withdrawn_and_outage, &[TryAgain]),
            (&["75"], withdrawn_and_outage, &[PersonMustAct]),
            (&["77", "75"], withdrawn_and_outage, &[]),
            (&["1%"], &[(PersonMustAct, 10)], &[]),
            (&["1%"], withdrawn_and_outage, &[PersonMustAct, TryAgain]),
            (&["1.1%"], withdrawn_and_outage, &[]),
            // A failure that is tolerated by its code does not use up the share.
            (&["77", "0.2%"], withdrawn_and_outage, &[]),
            (&["0.1%", "77"], withdrawn_and_outage, &[TryAgain]),
            (&["100%"], &[(Defect, 1)], &[Defect]),
        ];
        for (typed, failures, expected) in rows {
            assert_eq!(counted(failures, 1000, &tolerances(typed)), expected, "{typed:?} {failures:?}");
        }
        assert_eq!(counted(&[], 0, &tolerances(&["1%"])), []);
        assert_eq!(counted(&[(TryAgain, 1)], 1, &tolerances(&["99.9999%"])), [TryAgain]);
    }

    #[test]
    fn an_invalid_tolerance_is_refused() {
        for bad in [
            "", "%", "0", "1", "2", "130", "76", "077", "-1%", "100.1%", "101%", "1,5%", "0.00001%", ".5%", "5.%",
            "+77",
        ] {
            assert!(bad.parse::<Tolerance>().is_err(), "{bad}");
        }
        assert_eq!(
            tolerances(&["100%", "0%", "0.5%", "12.3456%"]),
            [Tolerance::Share(1_000_000), Tolerance::Share(0), Tolerance::Share(5_000), Tolerance::Share(123_456),]
        );
    }
}
