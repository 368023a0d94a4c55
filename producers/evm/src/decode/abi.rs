//! The parts of the ABI that are needed, read without trusting any length in the data.

use crypto_intel_schemas::{Address, B256, I256, U256};

/// Maximum items of a batch transfer: a log with more stays raw.
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

/// A word as a signed number.
pub(super) fn signed(word: U256) -> I256 {
    I256::from_raw(word)
}

/// A word as an unsigned number of so many bits; `None` when it has more.
pub(super) fn unsigned_of(word: U256, bits: usize) -> Option<U256> {
    (word.bit_len() <= bits).then_some(word)
}

/// A word as a signed number of so many bits; `None` when it has more.
pub(super) fn signed_of(word: U256, bits: usize) -> Option<I256> {
    let number = signed(word);
    // All bits left of the sign bit must be copies of it.
    let beyond = number.asr(bits.saturating_sub(1));
    (beyond.is_zero() || beyond == I256::MINUS_ONE).then_some(number)
}

/// A word as a tick or a distance of ticks: `int24`.
pub(super) fn int24(word: U256) -> Option<i32> {
    signed_of(word, 24).and_then(|number| i32::try_from(number).ok())
}

/// A word as a fee: `uint24`.
pub(super) fn uint24(word: U256) -> Option<u32> {
    unsigned_of(word, 24).and_then(|number| u32::try_from(number).ok())
}

/// A topic as a number.
pub(super) fn number(topic: &B256) -> U256 {
    U256::from_be_bytes(topic.0)
}

/// All words of data that has exactly `COUNT` of them.
pub(super) fn exactly<const COUNT: usize>(data: &[u8]) -> Option<[U256; COUNT]> {
    let (words, []) = data.as_chunks::<32>() else { return None };
    let words: &[[u8; 32]; COUNT] = words.try_into().ok()?;
    Some(words.map(U256::from_be_bytes))
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

    #[test]
    fn numbers_beyond_their_type_are_refused() {
        let of = |number: i64| I256::try_from(number).unwrap().into_raw();
        for (number, expected) in [
            (0, Some(0)),
            (-887_272, Some(-887_272)),
            (8_388_607, Some(8_388_607)),
            (8_388_608, None),
            (-8_388_608, Some(-8_388_608)),
            (-8_388_609, None),
        ] {
            assert_eq!(int24(of(number)), expected, "{number}");
        }
        assert_eq!(int24(U256::MAX >> 1), None);
        assert_eq!(uint24(U256::from(0x00ff_ffff_u32)), Some(0x00ff_ffff));
        assert_eq!(uint24(U256::from(0x0100_0000_u32)), None);
        assert_eq!(signed_of(U256::MAX, 128), Some(I256::MINUS_ONE));
        assert_eq!(signed_of(U256::from(1) << 127, 128), None);
        assert_eq!(exactly::<1>(&[0; 33]), None);
        assert_eq!(exactly::<2>(&[0; 64]), Some([U256::ZERO; 2]));
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
