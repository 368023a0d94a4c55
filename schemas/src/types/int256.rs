use std::{fmt, str::FromStr};

use alloy_primitives::I256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A signed 256-bit integer as Solidity has it: 32 bytes big-endian two's complement in
/// MessagePack, a decimal string with an optional `-` in JSON. Never a float, never an i64.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Int256(pub I256);

impl From<I256> for Int256 {
    fn from(value: I256) -> Self {
        Self(value)
    }
}

impl From<i64> for Int256 {
    fn from(value: i64) -> Self {
        // 64 bits always fit.
        Self(I256::try_from(value).unwrap_or_default())
    }
}

impl fmt::Display for Int256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Int256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for Int256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.0)
        } else {
            serializer.serialize_bytes(&self.0.to_be_bytes::<32>())
        }
    }
}

impl<'de> Deserialize<'de> for Int256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Int256Visitor)
        } else {
            deserializer.deserialize_bytes(Int256Visitor)
        }
    }
}

struct Int256Visitor;

impl de::Visitor<'_> for Int256Visitor {
    type Value = Int256;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("32 bytes big-endian two's complement or a decimal string")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Int256, E> {
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok(Int256(I256::from_be_bytes(bytes)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Int256, E> {
        let refuse = || E::invalid_value(de::Unexpected::Str(text), &self);
        let digits = text.strip_prefix('-').unwrap_or(text);
        // The parser itself would also take the empty text, 0x, + and underscores.
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse());
        }
        I256::from_str(text).map(Int256).map_err(|_| refuse())
    }
}

impl schemars::JsonSchema for Int256 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Int256".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "int256",
            "pattern": "^-?[0-9]{1,77}$",
            "description": "int256: decimal text in JSON, 32 bytes big-endian two's complement in MessagePack",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn text_is_decimal_with_a_sign_and_nothing_else() {
        let read = |text: &str| serde_json::from_value::<Int256>(text.into());
        for value in [I256::MIN, I256::MINUS_ONE, I256::ZERO, I256::ONE, I256::MAX] {
            assert_eq!(read(&value.to_string()).unwrap(), Int256(value));
        }
        let above_max = format!("{}0", I256::MAX);
        for text in ["", "-", "--1", "0x10", "1_000", "+1", "1.0", "1e3", " 1", above_max.as_str()]
        {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn bytes_are_twos_complement() {
        let body = rmp_serde::to_vec(&Int256::from(-2)).unwrap();
        assert_eq!(body[..2], [0xc4, 32]);
        assert!(body[2..33].iter().all(|byte| *byte == 0xff) && body[33] == 0xfe);
        assert_eq!(rmp_serde::from_slice::<Int256>(&body).unwrap(), Int256::from(-2));
    }
}
