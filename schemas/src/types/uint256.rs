use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use alloy_primitives::U256;

/// An unsigned 256-bit integer as Solidity has it: 32 bytes big-endian in MessagePack, a decimal
/// string in JSON. Never a float, never a u64.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uint256(pub U256);

impl From<U256> for Uint256 {
    fn from(value: U256) -> Self {
        Self(value)
    }
}

impl From<u64> for Uint256 {
    fn from(value: u64) -> Self {
        Self(U256::from(value))
    }
}

impl fmt::Display for Uint256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Uint256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for Uint256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.0)
        } else {
            serializer.serialize_bytes(&self.0.to_be_bytes::<32>())
        }
    }
}

impl<'de> Deserialize<'de> for Uint256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Uint256Visitor)
        } else {
            deserializer.deserialize_bytes(Uint256Visitor)
        }
    }
}

struct Uint256Visitor;

impl de::Visitor<'_> for Uint256Visitor {
    type Value = Uint256;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("32 bytes big-endian or a decimal string")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Uint256, E> {
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok(Uint256(U256::from_be_bytes(bytes)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Uint256, E> {
        let refuse = || E::invalid_value(de::Unexpected::Str(text), &self);
        // The parser itself would also take the empty text, 0x and underscores.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse());
        }
        U256::from_str(text).map(Uint256).map_err(|_| refuse())
    }
}

impl schemars::JsonSchema for Uint256 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Uint256".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "uint256",
            "pattern": "^[0-9]{1,78}$",
            "description": "uint256: decimal text in JSON, 32 bytes big-endian in MessagePack",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decimal_and_nothing_else() {
        let read = |text: &str| serde_json::from_value::<Uint256>(text.into());
        assert_eq!(read("0").ok(), Some(Uint256::default()));
        assert_eq!(read(&U256::MAX.to_string()).ok(), Some(Uint256(U256::MAX)));
        let above_max = format!("{}0", U256::MAX);
        for text in ["", "0x10", "1_000", "-1", "+1", "1.0", "1e3", " 1", above_max.as_str()] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
