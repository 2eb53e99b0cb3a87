//! How many lines a claim has, and the amounts on each.

use super::super::Kind;
use super::super::parts::Cents;
use crate::rng::Rng;

/// The amounts on one line. Charge ≥ allowed ≥ paid, and allowed = deductible + coinsurance + paid.
#[derive(Clone, Copy, Default)]
pub(super) struct LineMoney {
    pub(super) charge: Cents,
    pub(super) allowed: Cents,
    pub(super) deductible: Cents,
    pub(super) coinsurance: Cents,
    pub(super) paid: Cents,
    /// The part of the charge that Medicare does not cover: all of it on a denied line.
    pub(super) noncovered: Cents,
}

impl LineMoney {
    /// A line with a charge between two amounts in cents.
    pub(super) fn any(rng: &mut Rng, charge: (u64, u64)) -> Self {
        let charge = Cents(rng.between(charge.0, charge.1));
        if rng.percent(4) {
            return Self { charge, noncovered: charge, ..Self::default() };
        }
        let allowed = charge.percent(rng.between(35, 100));
        let deductible = if rng.percent(10) { allowed.percent(rng.between(10, 100)) } else { Cents(0) };
        let coinsurance = allowed.less(deductible).percent(20);
        let paid = allowed.less(deductible).less(coinsurance);
        Self { charge, allowed, deductible, coinsurance, paid, noncovered: Cents(0) }
    }

    /// Whether the line was denied: charged, but nothing allowed.
    pub(super) fn denied(&self) -> bool {
        self.allowed < self.charge && self.noncovered == self.charge
    }

    /// The sums of several lines.
    pub(super) fn total<'l>(lines: impl Iterator<Item = &'l Self>) -> Self {
        let mut total = Self::default();
        for line in lines {
            total.charge.0 += line.charge.0;
            total.allowed.0 += line.allowed.0;
            total.deductible.0 += line.deductible.0;
            total.coinsurance.0 += line.coinsurance.0;
            total.paid.0 += line.paid.0;
            total.noncovered.0 += line.noncovered.0;
        }
        total
    }
}

/// How many lines a claim has: usually a few, seldom 45, and in about one of two thousand claims 450 (the maximum for
/// one institutional claim).
pub(super) fn count(rng: &mut Rng, kind: Kind) -> u64 {
    if kind == Kind::Pde {
        return 1;
    }
    match rng.below(2000) {
        0 => return 450,
        1..=8 => return 45,
        _ => {}
    }
    let few = match rng.below(100) {
        0..=54 => 1,
        55..=74 => 2,
        75..=85 => 3,
        86..=91 => 4,
        _ => rng.between(5, 12),
    };
    match kind {
        // One more, for the revenue line that repeats the total.
        Kind::Outpatient => few.min(11) + 1,
        Kind::Inpatient => few.min(4) + 1,
        _ => few,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_a_line_agree() {
        let mut rng = Rng::at(&[3]);
        for _ in 0..5000 {
            let line = LineMoney::any(&mut rng, (0, 90_000));
            assert!(line.charge >= line.allowed && line.allowed >= line.paid);
            assert_eq!(line.allowed.0, line.deductible.0 + line.coinsurance.0 + line.paid.0);
        }
    }

    #[test]
    fn long_claims_are_rare_but_there() {
        let mut rng = Rng::at(&[4]);
        let counts: Vec<u64> = (0..20_000).map(|_| count(&mut rng, Kind::Carrier)).collect();
        let of = |wanted: u64| counts.iter().filter(|&&count| count == wanted).count();
        assert!((2..=25).contains(&of(450)), "{}", of(450));
        assert!((40..=130).contains(&of(45)), "{}", of(45));
        assert!(counts.iter().all(|count| (1..=12).contains(count) || [45, 450].contains(count)));
        assert_eq!(count(&mut rng, Kind::Pde), 1);
    }
}
