use alloy_primitives::{B256, Bytes, b256, bytes};

use crate::{
    event::{body::event, event_kind::EventKind},
    sample_values::{DROPPED_HASH, TX_HASH, USDC, in_log},
};

event! {
    /// A raw log: of a configured contract, or of a known topic in an unknown form.
    pub struct Log: log {
        /// 0 to 4 topics.
        #[schemars(with = "Vec<crate::types::json_hex::HashText>")]
        pub topics: Vec<B256>,
        /// Data, cut where `truncated`.
        #[schemars(with = "crate::types::json_hex::BytesText")]
        pub data: Bytes,
        /// Why a known topic was not decoded, such as `transfer without indexed addresses`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// Whether `data` was cut because the message would be too large.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub truncated: bool,
        /// Length of the whole data, where it was cut, bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub data_length: Option<u64>,
        /// Keccak-256 of the whole data, where it was cut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::HashText>")]
        pub data_keccak: Option<B256>,
    }
}

impl EventKind for Log {
    const NAME: &'static str = "log";
    const SCHEMA: &'static str = "evm.log/1";
    const SUBJECT: &'static str = "evm.<chain>.log";
    const NOT_IN_RULES: &'static [&'static str] = &["data_keccak"];

    fn sample() -> Self {
        in_log!(Log {
            address: USDC,
            topics: vec![
                b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
                TX_HASH,
            ],
            data: bytes!("0x00010203fdfeff"),
            reason: Some("transfer without indexed addresses".to_owned()),
            truncated: true,
            data_length: Some(1_048_577),
            data_keccak: Some(DROPPED_HASH),
        })
    }
}
