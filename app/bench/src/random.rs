//! Pseudorandom numbers, the same in every run.

use crypto_intel_schemas::Address;

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to but not including 1.
    pub(crate) fn share(&mut self) -> f64 {
        // 53 bits are what a double holds.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `count`, 0 most often: the n-th has a frequency of about 1/n.
    pub(crate) fn rank(&mut self, count: u64) -> u64 {
        let rank = (count as f64 + 1.0).powf(self.share()) - 1.0;
        (rank as u64).min(count.saturating_sub(1))
    }

    /// `N` random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_le_bytes()[..part.len()]);
        }
        bytes
    }
}

/// The n-th address of a seed; its key is unknown.
pub(crate) fn address(seed: u64, number: u64) -> Address {
    let mut mixer = Random::new(seed);
    let mixed = mixer.next();
    Address::from(Random::new(mixed ^ number).bytes::<20>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_ranks_are_frequent_and_all_are_within() {
        let mut random = Random::new(1);
        let ranks: Vec<u64> = (0..10_000).map(|_| random.rank(1_000)).collect();
        assert!(ranks.iter().all(|rank| *rank < 1_000));
        let first = ranks.iter().filter(|rank| **rank == 0).count();
        assert!((800..1_300).contains(&first), "{first}: about one in ln(1001)");
        assert!(ranks.iter().any(|rank| *rank > 900));
    }

    #[test]
    fn addresses_depend_on_seed_and_number_alone() {
        assert_eq!(address(1, 7), address(1, 7));
        assert_ne!(address(1, 7), address(2, 7));
        assert_ne!(address(1, 7), address(1, 8));
    }
}
