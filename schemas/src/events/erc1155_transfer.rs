use alloy_primitives::{Address, U256};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind},
    sample_values::{COLLECTION, EXCHANGE, ROUTER, WALLET, in_log},
    types::uint256::Uint256,
};

event! {
    /// One item of an ERC-1155 `TransferSingle`, or of a `TransferBatch` (then with `sub_index`).
    pub struct Erc1155Transfer: log between (from, to) {
        /// Account that moved it.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub operator: Address,
        /// Sender, according to the contract.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub from: Address,
        /// Recipient, according to the contract.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub to: Address,
        /// Which token.
        pub token_id: Uint256,
        /// Amount of it.
        pub value: Uint256,
    }
}

impl EventKind for Erc1155Transfer {
    const NAME: &'static str = "transfer.erc1155";
    const SCHEMA: &'static str = "evm.transfer.erc1155/1";
    const SUBJECT: &'static str = "evm.<chain>.transfer.erc1155";

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add(self.operator);
        addresses.add(self.from);
        addresses.add(self.to);
    }

    fn sample() -> Self {
        in_log!(Erc1155Transfer {
            address: COLLECTION,
            operator: ROUTER,
            from: EXCHANGE,
            to: WALLET,
            token_id: Uint256(U256::from(1) << 255),
            value: Uint256::from(3),
        })
    }
}
