use alloy_primitives::{Address, U256};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind, ids::transaction_event_id},
    kinds::Kind,
    sample_values::{BLOCK_HASH, CHAIN, EXCHANGE, TX_INDEX, WALLET, decimal, in_transaction},
    types::{chain_types::TransactionStatus, decimal::Decimal, uint256::Uint256},
};

event! {
    /// Native value moved by a transaction itself: value above 0, not failed.
    pub struct NativeTransfer: tx between (from, to) {
        /// Payer.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub from: Address,
        /// Payee: the receiver of the transaction, or the contract that it created.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub to: Address,
        /// Amount in the chain's smallest unit (wei).
        pub value: Uint256,
        /// Symbol of the native token, such as `ETH`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub symbol: Option<String>,
        /// Amount in whole tokens, exact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<Decimal>,
        /// Value in US dollars at the time it was seen, where a fresh price was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub usd: Option<Decimal>,
        /// Whether the transaction took effect; `unknown` before Byzantium.
        pub status: TransactionStatus,
    }
}

impl EventKind for NativeTransfer {
    const NAME: &'static str = "transfer.native";
    const SCHEMA: &'static str = "evm.transfer.native/1";
    const SUBJECT: &'static str = "evm.<chain>.transfer.native";

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add(self.from);
        addresses.add(self.to);
    }

    fn sample() -> Self {
        let value = U256::from(1_500_000_000_000_000_000_u64);
        in_transaction!(NativeTransfer {
            id: transaction_event_id(CHAIN, &BLOCK_HASH, Kind::NativeTransfer, TX_INDEX, None),
            from: EXCHANGE,
            to: WALLET,
            value: Uint256(value),
            symbol: Some("ETH".to_owned()),
            amount: Some(Decimal::from_units(value, 18)),
            usd: Some(decimal("3948.75")),
            status: TransactionStatus::Success,
        })
    }
}
