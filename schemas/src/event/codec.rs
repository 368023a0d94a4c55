use std::fmt;

use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::{
    event::{Event, read_whole::deserializer},
    kinds::{Kind, UnknownKind},
};

/// Why a body cannot be decoded. Such messages are dead-lettered, never retried.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not a MessagePack map with a `kind` and a `version`.
    #[error("not an event body: a MessagePack map with `kind` and `version` is expected")]
    NotAnEvent(#[source] rmp_serde::decode::Error),
    /// A kind of a newer version, or of another program.
    #[error(transparent)]
    UnknownKind(#[from] UnknownKind),
    /// A version of a known kind that this build does not know: its fields may mean something else.
    #[error("version {found} of kind {kind} is not supported (newest known: {known})")]
    UnknownVersion {
        /// The kind.
        kind: Kind,
        /// The version in the body.
        found: u16,
        /// The newest version that this build knows.
        known: u16,
    },
    /// A field is missing or has another type, or other bytes follow the body.
    #[error("malformed body of kind {kind}")]
    Malformed {
        /// The kind.
        kind: Kind,
        /// The error of the MessagePack decoder.
        #[source]
        source: rmp_serde::decode::Error,
    },
}

impl Event {
    /// The MessagePack body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(768);
        self.encode_to(&mut buffer);
        buffer
    }

    /// Appends the MessagePack body to `buffer`.
    pub fn encode_to(&self, buffer: &mut Vec<u8>) {
        let encoded = self.encode_into(buffer);
        // Writing to memory cannot fail, and bodies hold nothing that MessagePack cannot represent.
        debug_assert!(encoded.is_ok(), "{encoded:?}");
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the body is not MessagePack, not an event, of an unknown kind or version, lacks a
    /// field, or is followed by other bytes.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (kind, version) = Head::peek(body).map_err(DecodeError::NotAnEvent)?;
        let kind: Kind = kind.parse()?;
        if version == 0 || version > kind.version() {
            let known = kind.version();
            return Err(DecodeError::UnknownVersion { kind, found: version, known });
        }
        Self::decode_kind(kind, body).map_err(|source| DecodeError::Malformed { kind, source })
    }
}

/// `kind` and `version` of a body, read without the rest: our own bodies begin with them.
#[derive(Default)]
struct Head<'a> {
    kind: Option<&'a str>,
    version: Option<u16>,
}

impl<'a> Head<'a> {
    fn peek(body: &'a [u8]) -> Result<(&'a str, u16), rmp_serde::decode::Error> {
        let mut head = Self::default();
        let read = deserializer(body).deserialize_map(HeadVisitor { head: &mut head });
        match (head.kind, head.version) {
            // The visitor stops early, which the deserializer reports as a length mismatch.
            (Some(kind), Some(version)) => Ok((kind, version)),
            (kind, _) => {
                let missing = if kind.is_none() { "kind" } else { "version" };
                read.and(Err(serde::de::Error::missing_field(missing)))
            }
        }
    }
}

struct HeadVisitor<'h, 'de> {
    head: &'h mut Head<'de>,
}

impl<'de> Visitor<'de> for HeadVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map with `kind` and `version`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "kind" => self.head.kind = Some(map.next_value()?),
                "version" => self.head.version = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if self.head.kind.is_some() && self.head.version.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Address, B256, Erc20Transfer, Uint256};

    fn transfer() -> Event {
        Event::from(Erc20Transfer {
            id: "base:0xab:transfer.erc20:7".into(),
            chain: "base".into(),
            chain_id: 8453,
            block_number: 7,
            block_hash: B256::repeat_byte(0xab),
            log_index: 7,
            address: Address::repeat_byte(1),
            value: Uint256(crate::U256::MAX),
            ..Erc20Transfer::empty()
        })
    }

    #[test]
    fn hashes_are_raw_bytes_and_big_numbers_32_bytes() {
        let body = transfer().encode();
        let needle = |bytes: &[u8]| body.windows(bytes.len()).any(|window| window == bytes);
        let mut hash = vec![0xc4, 32];
        hash.extend([0xab; 32]);
        assert!(needle(&hash), "block hash is bin 32");
        let mut max = vec![0xc4, 32];
        max.extend([0xff; 32]);
        assert!(needle(&max), "value is bin 32");
        assert_eq!(Event::decode(&body).unwrap(), transfer());
    }

    #[test]
    fn json_is_human_readable() {
        let json = transfer().to_json();
        assert_eq!(json["block_hash"], format!("0x{}", "ab".repeat(32)));
        assert_eq!(json["value"], crate::U256::MAX.to_string());
        assert_eq!(json["kind"], "transfer.erc20");
        assert!(json.get("symbol").is_none(), "absent fields are absent");
    }

    #[test]
    fn refuses_foreign_bodies_with_a_reason() {
        assert!(matches!(Event::decode(b"hello"), Err(DecodeError::NotAnEvent(_))));
        assert!(matches!(Event::decode(&[]), Err(DecodeError::NotAnEvent(_))));
        let unknown =
            rmp_serde::to_vec_named(&serde_json::json!({"kind": "x", "version": 1})).unwrap();
        assert!(matches!(Event::decode(&unknown), Err(DecodeError::UnknownKind(_))));
        let newer =
            rmp_serde::to_vec_named(&serde_json::json!({"kind": "price", "version": 9})).unwrap();
        assert!(matches!(Event::decode(&newer), Err(DecodeError::UnknownVersion { found: 9, .. })));
        let short =
            rmp_serde::to_vec_named(&serde_json::json!({"kind": "price", "version": 1})).unwrap();
        assert!(matches!(Event::decode(&short), Err(DecodeError::Malformed { .. })));
        let zero =
            rmp_serde::to_vec_named(&serde_json::json!({"kind": "price", "version": 0})).unwrap();
        assert!(matches!(Event::decode(&zero), Err(DecodeError::UnknownVersion { found: 0, .. })));
    }

    #[test]
    fn a_body_ends_where_its_map_ends() {
        let body = transfer().encode();
        for tail in [&[0xc0][..], &[0x91], &[0xc1], b"x", &body] {
            let longer = [&body, tail].concat();
            let refused = Event::decode(&longer);
            assert!(matches!(refused, Err(DecodeError::Malformed { .. })), "{tail:x?}");
        }
    }

    #[test]
    fn unknown_fields_of_a_newer_minor_are_ignored() {
        let body = transfer().encode();
        // The map's 16-bit length, one more; then the new field at the end.
        let [0xde, high, low, ..] = body[..] else { panic!("map 16 expected: {:x?}", &body[..3]) };
        let length = u16::from_be_bytes([high, low]) + 1;
        let mut with_more = body;
        with_more[1..3].copy_from_slice(&length.to_be_bytes());
        with_more.extend(b"\xa7novelty\x82\xa1a\x01\xa1b\x92\xc0\xc3");
        assert_eq!(Event::decode(&with_more).unwrap(), transfer());
    }
}
