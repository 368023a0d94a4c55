//! How many different values there were: exact while they are few, estimated beyond.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::engine::keys::short_hash;

/// Values that are remembered one by one.
const MAX_EXACT: usize = 1_000;

/// Bits of a hash that choose a register: 4,096 registers, a standard error of 1.6 %.
const INDEX_BITS: u32 = 12;

/// A set of values, by their hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Distinct {
    #[serde(rename = "e")]
    Exact(BTreeSet<u64>),
    /// HyperLogLog registers.
    #[serde(rename = "r")]
    Estimate(Vec<u8>),
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
                    let mut estimate = Self::Estimate(vec![0; 1 << INDEX_BITS]);
                    values.iter().for_each(|hash| estimate.add_hash(*hash));
                    *self = estimate;
                }
            }
            Self::Estimate(registers) => {
                let index = usize::try_from(hash >> (64 - INDEX_BITS)).unwrap_or_default();
                let rank = ((hash << INDEX_BITS).leading_zeros() + 1).min(64 - INDEX_BITS + 1);
                registers[index] = registers[index].max(u8::try_from(rank).unwrap_or(u8::MAX));
            }
        }
    }

    /// Adds all values of another set.
    pub(crate) fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Exact(hashes)) => hashes.iter().for_each(|hash| self.add_hash(*hash)),
            (Self::Estimate(own), Self::Estimate(registers)) => {
                for (own, register) in own.iter_mut().zip(registers) {
                    *own = (*own).max(*register);
                }
            }
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
        let registers = match self {
            Self::Exact(values) => return values.len() as u64,
            Self::Estimate(registers) => registers,
        };
        let count = registers.len() as f64;
        let sum: f64 = registers.iter().map(|register| 2_f64.powi(-i32::from(*register))).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let empty = registers.iter().filter(|register| **register == 0).count();
        let linear = estimate <= 2.5 * count && empty > 0;
        let best = if linear { count * (count / empty as f64).ln() } else { estimate };
        best.round() as u64
    }
}

#[cfg(test)]
mod tests {
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
