//! Values that the samples of all kinds share.

use alloy_primitives::{Address, B256, U256, address, b256};

use crate::types::{decimal::Decimal, uint256::Uint256};

pub(crate) const CHAIN: &str = "ethereum";
pub(crate) const BLOCK_NUMBER: u64 = 21_000_000;
pub(crate) const BLOCK_HASH: B256 =
    b256!("0xf5a1d2b3c4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f");
pub(crate) const PARENT_HASH: B256 =
    b256!("0x1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f00f");
pub(crate) const DROPPED_HASH: B256 =
    b256!("0x0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de");
pub(crate) const TX_HASH: B256 =
    b256!("0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060");
pub(crate) const BLOCK_TIME_US: i64 = 1_729_290_479_000_000;
pub(crate) const OBSERVED_AT_US: i64 = 1_729_290_480_250_000;

pub(crate) const USDC: Address = address!("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48");
pub(crate) const WETH: Address = address!("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2");
pub(crate) const EXCHANGE: Address = address!("0x28c6c06298d514db089934071355e5743bf21d60");
pub(crate) const WALLET: Address = address!("0xd8da6bf26964af9d7eed9e03e53415d37aa96045");
pub(crate) const ROUTER: Address = address!("0x66a9893cc07d91d95644aedd05d03f95e1dba8af");
pub(crate) const COLLECTION: Address = address!("0xbc4ca0eda7647a8ab7c2061c2e118a18a936f13d");
pub(crate) const POOL: Address = address!("0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640");

pub(crate) const TX_INDEX: u32 = 17;
pub(crate) const LOG_INDEX: u32 = 42;

/// A chain body: its own fields, then those of its block.
macro_rules! in_block {
    ($name:ident { id: $id:expr, $($field:ident: $value:expr,)* }) => {
        $name {
            id: $id,
            event_at_us: $crate::sample_values::BLOCK_TIME_US,
            observed_at_us: $crate::sample_values::OBSERVED_AT_US,
            chain: $crate::sample_values::CHAIN.to_owned(),
            chain_id: 1,
            block_number: $crate::sample_values::BLOCK_NUMBER,
            block_hash: $crate::sample_values::BLOCK_HASH,
            block_time_us: $crate::sample_values::BLOCK_TIME_US,
            watched: vec!["treasury".to_owned()],
            $($field: $value,)*
            ..$name::empty()
        }
    };
}
pub(crate) use in_block;

/// A body of a transaction.
macro_rules! in_transaction {
    ($name:ident { id: $id:expr, $($field:ident: $value:expr,)* }) => {
        $crate::sample_values::in_block!($name {
            id: $id,
            tx_hash: $crate::sample_values::TX_HASH,
            tx_index: $crate::sample_values::TX_INDEX,
            tx_from: Some($crate::sample_values::EXCHANGE),
            tx_to: Some($crate::sample_values::ROUTER),
            method: Some(alloy_primitives::fixed_bytes!("0xa9059cbb")),
            $($field: $value,)*
        })
    };
}
pub(crate) use in_transaction;

/// A body of a log.
macro_rules! in_log {
    ($name:ident { address: $address:expr, $($field:ident: $value:expr,)* }) => {
        $crate::sample_values::in_transaction!($name {
            id: $crate::log_event_id(
                $crate::sample_values::CHAIN,
                &$crate::sample_values::BLOCK_HASH,
                $crate::Kind::$name,
                $crate::sample_values::LOG_INDEX,
                Some(1),
            ),
            log_index: $crate::sample_values::LOG_INDEX,
            address: $address,
            sub_index: Some(1),
            $($field: $value,)*
        })
    };
}
pub(crate) use in_log;

/// A price of USDC in WETH: about 2,633 dollars.
pub(crate) fn sqrt_price() -> Uint256 {
    Uint256(U256::from(1_543_999_u64) << 90)
}

/// A number of a sample: the tests check that none falls back to 0.
pub(crate) fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap_or_default()
}
