use alloy_primitives::Address;

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind},
    sample_values::{COLLECTION, EXCHANGE, WALLET, in_log},
    types::uint256::Uint256,
};

event! {
    /// ERC-721 `Transfer`: four topics and no data. `address` is the collection.
    pub struct Erc721Transfer: log between (from, to) {
        /// Sender, according to the contract.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub from: Address,
        /// Recipient, according to the contract.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub to: Address,
        /// Which token.
        pub token_id: Uint256,
    }
}

impl EventKind for Erc721Transfer {
    const NAME: &'static str = "transfer.erc721";
    const SCHEMA: &'static str = "evm.transfer.erc721/1";
    const SUBJECT: &'static str = "evm.<chain>.transfer.erc721";

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add(self.from);
        addresses.add(self.to);
    }

    fn sample() -> Self {
        in_log!(Erc721Transfer {
            address: COLLECTION,
            from: EXCHANGE,
            to: WALLET,
            token_id: Uint256::from(8_817),
        })
    }
}
