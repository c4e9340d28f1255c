//! Numbers that look random, and are the same for the same seed.

use std::ops::Range;

/// The step of `SplitMix64`: two to the 64th divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Throws numbers by a seed: `SplitMix64`.
#[derive(Debug, Clone)]
pub struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    /// Dice that throw what this seed says.
    pub const fn new(seed: u64) -> Self {
        Self { seed, thrown: 0 }
    }

    /// The next number.
    pub fn throw(&mut self) -> u64 {
        let number = mixed(self.seed.wrapping_add(self.thrown.wrapping_mul(STEP)));
        self.thrown += 1;
        number
    }

    /// The next number of a range, which has one at least.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        assert!(!range.is_empty(), "there is no number in {range:?}");
        range.start + self.throw() % (range.end - range.start)
    }

    /// One of these, of which there is one at least.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.place(of.len())]
    }

    /// Brings these into another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (2..=all.len()).rev() {
            let place = self.place(end);
            all.swap(place, end - 1);
        }
    }

    /// A place among so many.
    fn place(&mut self, count: usize) -> usize {
        let place = self.within(0..count as u64);
        usize::try_from(place).expect("it is below a length")
    }
}

/// Spreads a number over all bits: the finaliser of `SplitMix64`.
fn mixed(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same() {
        let thrown = |seed| {
            let mut dice = Dice::new(seed);
            let mut all: Vec<u64> = (0..20).collect();
            dice.shuffle(&mut all);
            (all, dice.within(5..9), dice.throw())
        };
        assert_eq!(thrown(1), thrown(1));
        assert_ne!(thrown(1), thrown(2));
    }

    #[test]
    fn a_shuffle_keeps_all_and_a_range_its_bounds() {
        let mut dice = Dice::new(7);
        let mut all: Vec<u64> = (0..20).collect();
        dice.shuffle(&mut all);
        assert!(!all.is_sorted(), "{all:?}");
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert!((0..100).all(|_| (5..9).contains(&dice.within(5..9))));
        assert_eq!(dice.pick(&["alone"]), &"alone");
    }
}
