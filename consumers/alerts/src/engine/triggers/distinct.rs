//! How many different values there were: exact while they are few, estimated beyond.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::engine::keys::short_hash;

/// Values that are remembered one by one.
const MAX_EXACT: usize = 1_000;

/// Bits of a hash that choose a register.
const INDEX_BITS: u32 = 12;

/// So many give a standard error of 1.6 %.
const REGISTERS: usize = 1 << INDEX_BITS;

/// A set of values, by their hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Distinct {
    #[serde(rename = "e")]
    Exact(BTreeSet<u64>),
    #[serde(rename = "r")]
    Estimate(Registers),
}

/// HyperLogLog registers, always [`REGISTERS`] of them: a stored set that has not is not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub(crate) struct Registers(Box<[u8; REGISTERS]>);

impl TryFrom<Vec<u8>> for Registers {
    type Error = &'static str;

    fn try_from(stored: Vec<u8>) -> Result<Self, Self::Error> {
        stored.try_into().map(Self).map_err(|_| "an estimate has 4,096 registers")
    }
}

impl From<Registers> for Vec<u8> {
    fn from(registers: Registers) -> Self {
        registers.0.to_vec()
    }
}

impl Registers {
    fn add(&mut self, hash: u64) {
        let rank = ((hash << INDEX_BITS).leading_zeros() + 1).min(64 - INDEX_BITS + 1);
        let register = (hash >> (64 - INDEX_BITS)) as usize;
        // As many registers as the bits can name.
        let register = &mut self.0[register % REGISTERS];
        *register = (*register).max(u8::try_from(rank).unwrap_or(u8::MAX));
    }

    fn merge(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&*other.0) {
            *own = (*own).max(*other);
        }
    }

    fn count(&self) -> u64 {
        let count = REGISTERS as f64;
        let sum: f64 = self.0.iter().map(|register| 2_f64.powi(-i32::from(*register))).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let empty = self.0.iter().filter(|register| **register == 0).count();
        let linear = estimate <= 2.5 * count && empty > 0;
        let best = if linear { count * (count / empty as f64).ln() } else { estimate };
        best.round() as u64
    }
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(BTreeSet::new())
    }
}

impl Distinct {
    pub(crate) fn add(&mut self, value: &str) {
        self.add_hash(short_hash(value));
    }

    fn add_hash(&mut self, hash: u64) {
        match self {
            Self::Exact(values) => {
                values.insert(hash);
                if values.len() > MAX_EXACT {
                    let mut registers = Registers(Box::new([0; REGISTERS]));
                    values.iter().for_each(|hash| registers.add(*hash));
                    *self = Self::Estimate(registers);
                }
            }
            Self::Estimate(registers) => registers.add(hash),
        }
    }

    /// Adds all values of another set.
    pub(crate) fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Exact(hashes)) => hashes.iter().for_each(|hash| self.add_hash(*hash)),
            (Self::Estimate(own), Self::Estimate(registers)) => own.merge(registers),
            (Self::Exact(hashes), Self::Estimate(_)) => {
                let hashes = std::mem::take(hashes);
                *self = other.clone();
                hashes.into_iter().for_each(|hash| self.add_hash(hash));
            }
        }
    }

    pub(crate) fn is_estimate(&self) -> bool {
        matches!(self, Self::Estimate(_))
    }

    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Exact(values) => values.len() as u64,
            Self::Estimate(registers) => registers.count(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of(range: std::ops::Range<u32>) -> Distinct {
        let mut set = Distinct::default();
        range.for_each(|value| set.add(&value.to_string()));
        set
    }

    #[test]
    fn few_are_counted_exactly_and_many_nearly() {
        assert_eq!(of(0..1_000).count(), 1_000);
        for many in [1_001, 5_000, 50_000] {
            let set = of(0..many);
            assert!(set.is_estimate());
            let error = (set.count() as f64 / f64::from(many) - 1.0).abs();
            assert!(error < 0.05, "{many}: {}", set.count());
        }
    }

    /// SplitMix64: as good as a hash, and fast.
    fn mixed(value: u64) -> u64 {
        let mixed = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    #[test]
    fn the_error_of_estimates_is_what_the_number_of_registers_promises() {
        let squares: Vec<f64> = (0..100_u64)
            .map(|trial| {
                let mut set = Distinct::default();
                (0..20_000).for_each(|value| set.add_hash(mixed(trial << 32 | value)));
                (set.count() as f64 / 20_000.0 - 1.0).powi(2)
            })
            .collect();
        let error = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        // 1.6 %; of a hundred trials the error itself is known within a fifth.
        assert!((0.012..0.020).contains(&error), "{error}");
    }

    #[test]
    fn what_is_stored_is_read_again_and_damage_is_noticed() {
        let set = of(0..2_000);
        let bytes = rmp_serde::to_vec_named(&set).unwrap();
        assert_eq!(rmp_serde::from_slice::<Distinct>(&bytes).unwrap(), set);
        let cut =
            rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("r", vec![1_u8; 3])]));
        assert!(rmp_serde::from_slice::<Distinct>(&cut.unwrap()).is_err());
    }

    #[test]
    fn merged_sets_count_what_is_in_either() {
        for (one, two, both) in [(0..600, 300..900, 0..900), (0..900, 500..3_000, 0..3_000)] {
            let whole = of(both);
            let (mut merged, mut reversed) = (of(one.clone()), of(two.clone()));
            merged.merge(&of(two));
            reversed.merge(&of(one));
            assert_eq!(merged, whole);
            assert_eq!(reversed, whole);
        }
    }
}
