//! Hex as JSON-RPC writes it, read straight from the JSON text into fixed bytes.

use std::{borrow::Cow, fmt, marker::PhantomData};

use alloy_primitives::hex;
use crypto_intel_schemas::{Address, B256, U256};
use serde::{Deserialize, Deserializer, de};

/// A type that is parsed from hex text.
pub(crate) trait FromHex: Sized {
    const EXPECTED: &'static str;
    fn from_hex(text: &str) -> Option<Self>;
    /// Some nodes write small quantities as JSON numbers.
    fn from_number(_number: u64) -> Option<Self> {
        None
    }
}

fn digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

impl FromHex for B256 {
    const EXPECTED: &'static str = "0x and 64 hex digits";

    fn from_hex(text: &str) -> Option<Self> {
        fixed(text).map(Self)
    }
}

impl FromHex for Address {
    const EXPECTED: &'static str = "0x and 40 hex digits";

    fn from_hex(text: &str) -> Option<Self> {
        fixed::<20>(text).map(Self::from)
    }
}

impl FromHex for u64 {
    const EXPECTED: &'static str = "a 64-bit quantity such as 0x1b4";

    fn from_hex(text: &str) -> Option<Self> {
        let text = digits(text)?;
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain.then(|| Self::from_str_radix(text, 16).ok()).flatten()
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(number)
    }
}

impl FromHex for u32 {
    const EXPECTED: &'static str = "a 32-bit quantity such as 0x1b4";

    fn from_hex(text: &str) -> Option<Self> {
        u64::from_hex(text)?.try_into().ok()
    }

    fn from_number(number: u64) -> Option<Self> {
        number.try_into().ok()
    }
}

impl FromHex for u128 {
    const EXPECTED: &'static str = "a 128-bit quantity such as 0x1b4";

    fn from_hex(text: &str) -> Option<Self> {
        let text = digits(text)?;
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain.then(|| Self::from_str_radix(text, 16).ok()).flatten()
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(number.into())
    }
}

impl FromHex for U256 {
    const EXPECTED: &'static str = "a 256-bit quantity such as 0x1b4";

    fn from_hex(text: &str) -> Option<Self> {
        let text = digits(text)?;
        if text.is_empty() || text.len() > 64 {
            return None;
        }
        let mut padded = [b'0'; 64];
        padded[64 - text.len()..].copy_from_slice(text.as_bytes());
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(padded, &mut bytes).ok()?;
        Some(Self::from_be_bytes(bytes))
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(Self::from(number))
    }
}

/// A value that JSON-RPC writes as hex text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hex<T>(pub(crate) T);

impl<'de, T: FromHex> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HexVisitor(PhantomData))
    }
}

struct HexVisitor<T>(PhantomData<T>);

impl<T: FromHex> de::Visitor<'_> for HexVisitor<T> {
    type Value = Hex<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Hex<T>, E> {
        T::from_hex(text).map(Hex).ok_or_else(|| {
            let shown: Cow<'_, str> = text.chars().take(80).collect();
            E::invalid_value(de::Unexpected::Str(&shown), &self)
        })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Hex<T>, E> {
        T::from_number(number)
            .map(Hex)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
}

/// The bytes of a hex text of exactly this length.
pub(crate) fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0_u8; N];
    hex::decode_to_slice(digits(text)?, &mut bytes).ok()?;
    Some(bytes)
}

/// Appends the bytes of a hex text to `buffer`; `None` when it is not hex.
pub(crate) fn append(text: &str, buffer: &mut Vec<u8>) -> Option<usize> {
    let text = digits(text)?;
    if text.len() % 2 != 0 {
        return None;
    }
    let start = buffer.len();
    let length = text.len() / 2;
    buffer.resize(start + length, 0);
    hex::decode_to_slice(text, &mut buffer[start..]).ok()?;
    Some(length)
}

/// The first bytes of a hex text and its length in bytes; `None` when it is not hex of even length.
pub(crate) fn prefix<const N: usize>(text: &str) -> Option<(Option<[u8; N]>, usize)> {
    let text = digits(text)?;
    if text.len() % 2 != 0 {
        return None;
    }
    let length = text.len() / 2;
    if length < N {
        return Some((None, length));
    }
    let mut bytes = [0_u8; N];
    hex::decode_to_slice(text.get(..2 * N)?, &mut bytes).ok()?;
    Some((Some(bytes), length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read<T: FromHex>(json: &str) -> Option<T> {
        serde_json::from_str::<Hex<T>>(json).ok().map(|hex| hex.0)
    }

    #[test]
    fn reads_quantities_and_refuses_everything_else() {
        assert_eq!(read::<u64>("\"0x1b4\""), Some(436));
        assert_eq!(read::<u64>("436"), Some(436));
        assert_eq!(read::<u64>("\"0x00ff\""), Some(255));
        for bad in ["\"0x\"", "\"1b4\"", "\"0x+1\"", "\"0xfffffffffffffffff\"", "null", "-1"] {
            assert_eq!(read::<u64>(bad), None, "{bad}");
        }
        assert_eq!(read::<u32>("\"0x100000000\""), None);
        assert_eq!(read::<U256>("\"0x1\""), Some(U256::from(1)));
        assert_eq!(read::<U256>(&format!("\"0x{}\"", "f".repeat(64))), Some(U256::MAX));
        assert_eq!(read::<U256>(&format!("\"0x{}\"", "f".repeat(65))), None);
        assert_eq!(read::<U256>("\"0xüü\""), None);
    }

    #[test]
    fn reads_fixed_bytes_of_the_right_length_only() {
        assert_eq!(
            read::<B256>(&format!("\"0x{}\"", "ab".repeat(32))),
            Some(B256::repeat_byte(0xab))
        );
        assert_eq!(read::<B256>("\"0xab\""), None);
        assert_eq!(
            read::<Address>(&format!("\"0x{}\"", "AB".repeat(20))),
            Some(Address::repeat_byte(0xab))
        );
        let mut buffer = vec![1];
        assert_eq!(append("0x0203", &mut buffer), Some(2));
        assert_eq!(buffer, [1, 2, 3]);
        assert_eq!(append("0x020", &mut buffer), None);
        assert_eq!(append("0xzz", &mut buffer), None);
        assert_eq!(prefix::<4>("0xa9059cbb00"), Some((Some([0xa9, 0x05, 0x9c, 0xbb]), 5)));
        assert_eq!(prefix::<4>("0x"), Some((None, 0)));
        assert_eq!(prefix::<4>("0xüabcdefg"), None);
    }
}
