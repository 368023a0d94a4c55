//! The little of the ABI that is needed, read without trusting a single length.

use crypto_intel_schemas::{Address, B256, U256};

/// More items than this in one log is no transfer of anybody: it stays a raw log.
pub(super) const MAX_ARRAY_ITEMS: usize = 10_000;

/// The address in a topic. Its upper twelve bytes should be zero and are ignored, as by contracts.
pub(super) fn address(topic: &B256) -> Address {
    Address::from_word(*topic)
}

/// The 32-byte word at `index`.
pub(super) fn word(data: &[u8], index: usize) -> Option<U256> {
    let start = index.checked_mul(32)?;
    word_at(data, start)
}

fn word_at(data: &[u8], start: usize) -> Option<U256> {
    let bytes: [u8; 32] = data.get(start..start.checked_add(32)?)?.try_into().ok()?;
    Some(U256::from_be_bytes(bytes))
}

fn length_at(data: &[u8], start: usize) -> Option<usize> {
    usize::try_from(word_at(data, start)?).ok()
}

/// A dynamic array of words, still in the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    data: &'a [u8],
}

impl Words<'_> {
    pub(super) fn len(self) -> usize {
        self.data.len() / 32
    }

    pub(super) fn iter(self) -> impl Iterator<Item = U256> {
        self.data.as_chunks::<32>().0.iter().map(|word| U256::from_be_bytes(*word))
    }
}

/// The dynamic array whose offset is the word at `index`; `None` when it does not lie in the data.
pub(super) fn words(data: &[u8], index: usize) -> Option<Words<'_>> {
    let offset = length_at(data, index.checked_mul(32)?)?;
    let count = length_at(data, offset)?;
    let start = offset.checked_add(32)?;
    let end = start.checked_add(count.checked_mul(32)?)?;
    Some(Words { data: data.get(start..end)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn encode(words: &[U256]) -> Vec<u8> {
        words.iter().flat_map(U256::to_be_bytes::<32>).collect()
    }

    #[test]
    fn reads_arrays_where_their_offsets_say() {
        let numbers = [2_u64, 2, 10, 11].map(U256::from);
        let data = encode(&[&[U256::from(32)], &numbers[1..]].concat());
        let items: Vec<_> = words(&data, 0).unwrap().iter().collect();
        assert_eq!(items, [U256::from(10), U256::from(11)]);
    }

    #[test]
    fn refuses_lengths_and_offsets_beyond_the_data() {
        let huge = [U256::MAX, U256::from(u64::MAX), U256::from(usize::MAX - 31), U256::from(3)];
        for value in huge {
            assert!(words(&encode(&[value, U256::from(1)]), 0).is_none(), "offset {value}");
            assert!(words(&encode(&[U256::from(32), value]), 0).is_none(), "length {value}");
        }
        assert!(words(&[], 0).is_none());
        assert!(word(&[0; 31], 0).is_none());
        assert!(word(&[0; 32], usize::MAX).is_none());
    }

    proptest! {
        #[test]
        fn never_panics(data in proptest::collection::vec(any::<u8>(), 0..300), index in 0_usize..8) {
            if let Some(list) = words(&data, index) {
                prop_assert_eq!(list.iter().count(), list.len());
            }
            let _ = word(&data, index);
        }
    }
}
