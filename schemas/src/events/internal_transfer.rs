use alloy_primitives::{Address, U256};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind, ids::transaction_event_id},
    kinds::Kind,
    sample_values::{BLOCK_HASH, CHAIN, ROUTER, TX_INDEX, WALLET, decimal, in_transaction},
    types::{chain_types::CallType, decimal::Decimal, uint256::Uint256},
};

event! {
    /// Native value moved inside contracts, where an endpoint offers traces: value above 0, not in
    /// a call that was reverted. The transaction's own payment is `transfer.native`.
    pub struct InternalTransfer: tx between (from, to) {
        /// Index among the transaction's internal payments, in the order of its calls, from 0.
        pub sub_index: u32,
        /// Payer.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub from: Address,
        /// Payee.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub to: Address,
        /// Amount in the chain's smallest unit (wei).
        pub value: Uint256,
        /// How it moved.
        pub call_type: CallType,
        /// Position of the call in the transaction's call tree: the index of the call at each level.
        pub trace_address: Vec<u32>,
        /// Symbol of the native token, such as `ETH`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub symbol: Option<String>,
        /// Amount in whole tokens, exact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<Decimal>,
        /// Value in US dollars at the time it was seen, where a fresh price was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub usd: Option<Decimal>,
    }
}

impl EventKind for InternalTransfer {
    const NAME: &'static str = "transfer.internal";
    const SCHEMA: &'static str = "evm.transfer.internal/1";
    const SUBJECT: &'static str = "evm.<chain>.transfer.internal";

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add(self.from);
        addresses.add(self.to);
    }

    fn sample() -> Self {
        let value = U256::from(250_000_000_000_000_000_u64);
        in_transaction!(InternalTransfer {
            id: transaction_event_id(CHAIN, &BLOCK_HASH, Kind::InternalTransfer, TX_INDEX, Some(1)),
            sub_index: 1,
            from: ROUTER,
            to: WALLET,
            value: Uint256(value),
            call_type: CallType::Call,
            trace_address: vec![2, 1],
            symbol: Some("ETH".to_owned()),
            amount: Some(Decimal::from_units(value, 18)),
            usd: Some(decimal("658.12")),
        })
    }
}
