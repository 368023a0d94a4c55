//! The addresses of one list, made to be asked often and changed rarely.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use crypto_intel_schemas::AccountAddress;

/// Bits of the filter for each address: of sixteen addresses that are not in the list, one gets past it.
const BITS_EACH: usize = 16;

/// Labels and tags of an address in one text, which is a third of what a list of texts takes: for a million addresses that is
/// a hundred megabytes. None of them holds a line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LabelTexts(Arc<str>);

impl LabelTexts {
    pub(super) fn new(labels: &[String]) -> Self {
        Self(labels.join("\n").into())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }
}

type Labels = HashMap<AccountAddress, LabelTexts, BuildHasherDefault<TailHasher>>;

/// Watched addresses of one chain, or of all, with what events say of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses {
    labels: Labels,
    /// A bit for each address, by its tail. Nearly all addresses of a block are in no list, and what is asked of a large map
    /// is seldom in the processor's cache; this is.
    filter: Vec<u64>,
}

impl Addresses {
    pub(super) fn get(&self, address: &AccountAddress) -> Option<&LabelTexts> {
        self.may_have(address).then(|| self.labels.get(address)).flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &AccountAddress> {
        self.labels.keys()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Takes in what changed: labels, or `None` for an address that left.
    pub(super) fn change(
        &mut self,
        changes: impl IntoIterator<Item = (AccountAddress, Option<LabelTexts>)>,
    ) {
        for (address, labels) in changes {
            self.put(address, labels);
        }
        self.index();
    }

    /// Takes in one change; [`index`](Self::index) has to follow.
    pub(super) fn put(&mut self, address: AccountAddress, labels: Option<LabelTexts>) {
        match labels {
            Some(labels) => self.labels.insert(address, labels),
            None => self.labels.remove(&address),
        };
    }

    /// Rebuilds the filter.
    pub(super) fn index(&mut self) {
        let words = (self.labels.len() * BITS_EACH / 64).next_power_of_two();
        self.filter = vec![0; words];
        for address in self.labels.keys() {
            let (word, bit) = place(address, words);
            if let Some(word) = self.filter.get_mut(word) {
                *word |= bit;
            }
        }
    }

    fn may_have(&self, address: &AccountAddress) -> bool {
        let (word, bit) = place(address, self.filter.len());
        self.filter.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// Where an address is in a filter of so many words, a power of two.
fn place(address: &AccountAddress, words: usize) -> (usize, u64) {
    let tail = tail(address.as_slice());
    // The remainder is below the number of words.
    ((tail >> 6) as usize & words.wrapping_sub(1), 1 << (tail & 63))
}

/// The last bytes of an address, which are as good as random. Only operators choose what is in the list, so an attacker
/// cannot make its entries collide.
fn tail(bytes: &[u8]) -> u64 {
    bytes
        .last_chunk()
        .map_or(0, |tail| u64::from_le_bytes(*tail))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[derive(Debug, Default)]
struct TailHasher(u64);

impl Hasher for TailHasher {
    fn write(&mut self, bytes: &[u8]) {
        // The map takes its tags from the high bits, its places from the low ones.
        self.0 = tail(bytes).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::Address;

    use super::*;

    #[test]
    fn exactly_what_is_in_the_list_is_found_whatever_its_size() {
        let address = |number: u64| Address::left_padding_from(&number.to_be_bytes()).into();
        let labels = || Some(LabelTexts::new(&["one".to_owned()]));
        for size in [0, 1, 2, 5, 1_000] {
            let mut list = Addresses::default();
            list.change((0..size).map(|number| (address(2 * number), labels())));
            list.change((0..size / 2).map(|number| (address(4 * number), None)));
            for number in 0..2 * size + 2 {
                let is_in = number < 2 * size && number % 4 == 2
                    || number < 2 * size && number % 4 == 0 && number / 4 >= size / 2;
                assert_eq!(list.get(&address(number)).is_some(), is_in, "{number} of {size}");
            }
        }
    }

    #[test]
    fn most_of_what_is_not_in_it_is_found_out_by_the_filter() {
        let address = |number: u64| -> AccountAddress {
            Address::from_word(alloy_primitives::keccak256(number.to_be_bytes())).into()
        };
        let mut list = Addresses::default();
        list.change((0..10_000).map(|number| (address(number), Some(LabelTexts::new(&[])))));
        let past = (10_000..110_000).filter(|number| list.may_have(&address(*number))).count();
        assert!(past < 10_000, "{past} of 100,000");
    }
}
