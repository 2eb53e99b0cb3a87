//! A random number generator with a fixed seed: SplitMix64 (Steele, Lea, Flood 2014).

/// A stream of numbers that depends only on its seed.
#[derive(Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The stream for `parts`: the population's seed, a person, a position.
    pub(crate) fn at(parts: &[u64]) -> Self {
        let mut rng = Self(0x0042_4244_4c00_5eed);
        for &part in parts {
            rng = Self(rng.next() ^ part);
        }
        rng
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound` (0 for a bound of 0).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // Takes the high half of a 128-bit product. That needs no division, and the bias is negligible.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, including both.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the items in `table`, which is never empty.
    pub(crate) fn pick<'t, T>(&mut self, table: &'t [T]) -> &'t T {
        &table[self.below(table.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_its_own_stream_and_keeps_it() {
        let numbers = |parts: &[u64]| {
            let mut rng = Rng::at(parts);
            [rng.next(), rng.next(), rng.next()]
        };
        assert_eq!(numbers(&[1, 2, 3]), numbers(&[1, 2, 3]));
        assert_ne!(numbers(&[1, 2, 3]), numbers(&[1, 3, 2]));
        assert_ne!(numbers(&[1, 2]), numbers(&[1, 2, 0]));
    }

    #[test]
    fn bounds_are_kept_and_reached() {
        let mut rng = Rng::at(&[7]);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.between(2, 6) as usize - 2] = true;
            assert_eq!(rng.below(1), 0);
            assert!(!rng.percent(0) && rng.percent(100));
        }
        assert_eq!(seen, [true; 5]);
    }
}
