use alloy_primitives::Address;

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind, ids::transaction_event_id},
    kinds::Kind,
    sample_values::{BLOCK_HASH, CHAIN, COLLECTION, TX_INDEX, WALLET, in_transaction},
    types::chain_types::TransactionStatus,
};

event! {
    /// A contract created by a transaction without a recipient.
    pub struct ContractCreation: tx {
        /// Address of the contract.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub contract: Address,
        /// Account that created it.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub creator: Address,
        /// Length of the creation code, bytes.
        pub code_length: u32,
        /// Whether the transaction took effect; `unknown` before Byzantium.
        pub status: TransactionStatus,
    }
}

impl EventKind for ContractCreation {
    const NAME: &'static str = "contract";
    const SCHEMA: &'static str = "evm.contract/1";
    const SUBJECT: &'static str = "evm.<chain>.contract";

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add(self.contract);
        addresses.add(self.creator);
    }

    fn sample() -> Self {
        in_transaction!(ContractCreation {
            id: transaction_event_id(CHAIN, &BLOCK_HASH, Kind::ContractCreation, TX_INDEX, None),
            contract: COLLECTION,
            creator: WALLET,
            code_length: 24_576,
            status: TransactionStatus::Success,
        })
    }
}
