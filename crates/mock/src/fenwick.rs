//! Inserts many entries into a long list, or removes them, without moving the rest each time.

/// Numbered slots, some of them taken: a binary indexed tree (Fenwick 1994) of how many are free.
pub(super) struct FenwickTree(Vec<usize>);

impl FenwickTree {
    /// This many slots, all free.
    pub(super) fn new(number: usize) -> Self {
        Self((0..=number).map(|at| at & at.wrapping_neg()).collect())
    }

    /// The free slot with `nth` free slots before it.
    pub(super) fn nth(&self, nth: usize) -> usize {
        let (mut at, mut left) = (0, nth);
        let mut step = self.0.len().next_power_of_two();
        while step > 0 {
            if let Some(free) = self.0.get(at + step).filter(|free| **free <= left) {
                (at, left) = (at + step, left - free);
            }
            step /= 2;
        }
        at
    }

    /// Takes a free slot.
    pub(super) fn take(&mut self, slot: usize) {
        let mut at = slot + 1;
        while let Some(free) = self.0.get_mut(at) {
            *free -= 1;
            at += at & at.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FenwickTree;

    #[test]
    fn slots_are_those_that_a_list_would_give() {
        for length in [1, 2, 7, 8, 9, 100] {
            let (mut slots, mut list) = (FenwickTree::new(length), (0..length).collect::<Vec<_>>());
            for number in 0..length {
                let nth = (number * 31 + 5) % list.len();
                let slot = slots.nth(nth);
                assert_eq!(slot, list.remove(nth), "{number} of {length}");
                slots.take(slot);
            }
        }
    }
}
