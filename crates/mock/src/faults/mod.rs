//! Faults on purpose: `KIND[=ARGUMENT][@PATH][#TIMES][+SKIP][%CHANCE]`.
//!
//! A new fault is one row in [`kinds`]. [`effects`] says at which stages of a request a fault can strike.

mod effects;
mod kinds;

use std::{fmt, str::FromStr};

use thiserror::Error;

pub(crate) use effects::{ActiveFaults, Condition, TokenResponse};

use crate::rng::Rng;
use effects::Effect;
use kinds::Argument;

/// A fault: what goes wrong, where, how often, after how many matching requests, and with what chance.
#[derive(Clone)]
pub struct Fault {
    /// `KIND[=ARGUMENT]`, as it was written.
    kind: String,
    /// Its place in the list. If several faults strike, they do so in the order of the list.
    rank: usize,
    effect: Effect,
    path: String,
    times: Option<u32>,
    skip: u32,
    /// The percentage of matching requests that it affects.
    chance: u32,
    has_struck: bool,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path, times, skip, chance, .. } = self;
        write!(f, "{kind}@{path}+{skip}%{chance}")?;
        times.map_or(Ok(()), |times| write!(f, "#{times}"))
    }
}

/// Why a text is not a fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct FaultError(String);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        Self::read(text).map_err(FaultError)
    }
}

impl Fault {
    fn read(text: &str) -> Result<Self, String> {
        let Counts { spec, times, skip, chance } = Counts::of(text)?;
        let (kind, path) = spec.split_once('@').unwrap_or((spec, ""));
        // No path contains `#`, so this was meant as a count.
        if path.contains('#') {
            return Err(format!("\"{text}\": write how many times as a number, as in #2"));
        }
        let (name, argument) = kind.split_once('=').unwrap_or((kind, ""));
        let rank = kinds::KINDS.iter().position(|(known, _)| *known == name);
        let rank = rank.ok_or_else(|| {
            let known: Vec<&str> = kinds::KINDS.iter().map(|(known, _)| *known).collect();
            format!("there is no fault \"{name}\". The faults: {}", known.join(", "))
        })?;
        let (name, make) = kinds::KINDS[rank];
        let effect = make(Argument { name, text: argument })?;
        Ok(Self { kind: kind.to_owned(), rank, effect, path: path.to_owned(), times, skip, chance, has_struck: false })
    }
}

/// The parts after a fault's name that say where and how often it strikes, in any order.
struct Counts<'t> {
    spec: &'t str,
    times: Option<u32>,
    skip: u32,
    chance: u32,
}

impl<'t> Counts<'t> {
    fn of(text: &'t str) -> Result<Self, String> {
        let mut counts = Self { spec: text, times: None, skip: 0, chance: 100 };
        while let Some(at) = counts.spec.rfind(['#', '+', '%']) {
            let digits = &counts.spec[at + 1..];
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                break;
            }
            let number = digits.parse().map_err(|_| format!("{digits} is too large"))?;
            match counts.spec.as_bytes()[at] {
                b'#' | b'%' if number == 0 => return Err(format!("\"{text}\" would never strike: write 1 or more")),
                b'#' => counts.times = Some(number),
                b'+' => counts.skip = number,
                _ if number > 100 => return Err(format!("a chance of {number} % is more than certain")),
                _ => counts.chance = number,
            }
            counts.spec = &counts.spec[..at];
        }
        Ok(counts)
    }
}

/// As it is written.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path, times, skip, chance, .. } = self;
        f.write_str(kind)?;
        if !path.is_empty() {
            write!(f, "@{path}")?;
        }
        if let Some(times) = times {
            write!(f, "#{times}")?;
        }
        if *skip > 0 {
            write!(f, "+{skip}")?;
        }
        if *chance < 100 {
            write!(f, "%{chance}")?;
        }
        Ok(())
    }
}

impl Fault {
    /// Whether it has never struck.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_struck
    }

    /// Whether it has struck as often as it should.
    fn is_over(&self) -> bool {
        self.times == Some(0)
    }

    /// The effect if the fault strikes at this path now. Also counts down.
    fn strikes(&mut self, path: &str, rng: &mut Rng) -> Option<Effect> {
        // Adds a mark after the last parameter too, so that `_offset=50&` matches one page wherever it is in the
        // query.
        if !format!("{path}&").contains(&self.path) || self.is_over() {
            return None;
        }
        // A request that uses another back end does not match.
        let asked = path.split('?').next().unwrap_or(path);
        if matches!(self.effect, Effect::Backend(outage) if !outage.concerns(asked)) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if self.chance < 100 && !rng.percent(u64::from(self.chance)) {
            return None;
        }
        self.has_struck = true;
        self.times = self.times.map(|times| times - 1);
        Some(match self.effect {
            Effect::Late(least, most) if least < most => {
                let late = rng.between(least, most);
                Effect::Late(late, late)
            }
            ref effect => effect.clone(),
        })
    }
}

/// Everything that strikes at this request, in the order of the list. Faults that are over are removed.
pub(crate) fn strike(faults: &mut Vec<Fault>, path: &str, rng: &mut Rng) -> ActiveFaults {
    let effects = faults.iter_mut().filter_map(|fault| Some((fault.rank, fault.strikes(path, rng)?)));
    let mut effects: Vec<(usize, Effect)> = effects.collect();
    faults.retain(|fault| !fault.is_over());
    effects.sort_by_key(|(rank, _)| *rank);
    ActiveFaults(effects.into_iter().map(|(_, effect)| effect).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(spec: &str) -> Fault {
        spec.parse().unwrap()
    }

    #[test]
    fn specs_are_read_in_all_their_parts() {
        let mut one = fault("status=503@ExplanationOfBenefit#2+1");
        assert_eq!(format!("{one:?}"), "status=503@ExplanationOfBenefit+1%100#2");
        assert_eq!(format!("{one:?}"), format!("{:?}", fault("status=503@ExplanationOfBenefit+1#2")));
        let rng = &mut Rng::at(&[1]);
        assert!(one.strikes("/v2/fhir/Patient", rng).is_none());
        let strikes: Vec<bool> = (0..5).map(|_| one.strikes("/v2/fhir/ExplanationOfBenefit", rng).is_some()).collect();
        assert_eq!(strikes, [false, true, true, false, false]);
    }

    #[test]
    fn chance_depends_on_the_seed() {
        let strikes = |seed| {
            let (mut late, mut rng) = (fault("late=10-90@Patient%30"), Rng::at(&[seed]));
            let strike = |_| match late.strikes("/v2/fhir/Patient", &mut rng) {
                Some(Effect::Late(from, to)) => Some((from, to)),
                _ => None,
            };
            (0..400).map(strike).collect::<Vec<_>>()
        };
        assert_eq!(strikes(1), strikes(1));
        assert_ne!(strikes(1), strikes(2));
        let struck: Vec<(u64, u64)> = strikes(1).into_iter().flatten().collect();
        assert!((80..160).contains(&struck.len()), "{}", struck.len());
        assert!(struck.iter().all(|(late, same)| late == same && (10..=90).contains(late)));
        assert!(struck.iter().any(|late| late != &struck[0]));
    }

    #[test]
    fn texts_that_are_no_fault_are_refused() {
        for bad in [
            "",
            "status",
            "status=abc",
            "status=99",
            "status=999",
            "status=503#0",
            "status=503%0",
            "nonsense",
            "throttle=x",
            "length=0",
            "late=9-1",
            "close%101",
            "status=503@Patient#y",
        ]
        .into_iter()
        .chain(["huge=1001", "huge=1000000", "huge=18446744073709", "bomb=100001", "bomb=18446744073709551615"])
        .chain(["load=100001", "update=100001", "supersede=18446744073709551615", "backend=503:v4"])
        {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
        for good in ["huge=1000", "bomb=100000", "load=100000"] {
            assert!(good.parse::<Fault>().is_ok(), "{good}");
        }
    }

    #[test]
    fn the_page_about_the_mock_lists_every_fault() {
        let page = include_str!("../../../../docs/mock.md");
        for (name, _) in kinds::KINDS {
            let is_listed = ["`", "="].iter().any(|end| page.contains(&format!("`{name}{end}")));
            assert!(is_listed, "docs/mock.md does not list {name}");
        }
    }
}
