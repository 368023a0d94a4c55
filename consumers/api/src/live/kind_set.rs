//! A set of kinds, as bits.

use crypto_intel_schemas::Kind;

/// Kinds of event; small enough to copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct KindSet(u64);

// A bit for each kind.
const _: () = assert!(Kind::ALL.len() <= 64);

impl KindSet {
    pub(crate) const fn of(kinds: &[Kind]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < kinds.len() {
            bits |= bit(kinds[at]);
            at += 1;
        }
        Self(bits)
    }

    pub(crate) const fn contains(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// In the order of the documentation.
    pub(crate) fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }
}

const fn bit(kind: Kind) -> u64 {
    1 << kind as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let set = KindSet::of(&[Kind::Swap, Kind::Alert]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Kind::Swap, Kind::Alert]);
        assert_eq!(KindSet::from_bits(set.bits()), set);
        assert!(set.or(KindSet::of(&[Kind::Price])).contains(Kind::Price));
    }
}
