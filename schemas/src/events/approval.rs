use alloy_primitives::{Address, U256};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind},
    sample_values::{ROUTER, USDC, WALLET, in_log},
    types::{chain_types::TokenStandard, uint256::Uint256},
};

event! {
    /// ERC-20 `Approval` (with `value`), ERC-721 `Approval` (with `token_id`) or `ApprovalForAll`
    /// (with `approved`). `address` is the token.
    pub struct Approval: log between (owner, spender) {
        /// Token standard of the event.
        pub standard: TokenStandard,
        /// Owner of the tokens.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub owner: Address,
        /// Account that may move them.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub spender: Address,
        /// ERC-20: how many, in the smallest unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<Uint256>,
        /// ERC-721: which token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub token_id: Option<Uint256>,
        /// `ApprovalForAll`: given or withdrawn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub approved: Option<bool>,
    }
}

impl EventKind for Approval {
    const NAME: &'static str = "approval";
    const SCHEMA: &'static str = "evm.approval/1";
    const SUBJECT: &'static str = "evm.<chain>.approval";

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add(self.owner);
        addresses.add(self.spender);
    }

    fn sample() -> Self {
        in_log!(Approval {
            address: USDC,
            standard: TokenStandard::Erc20,
            owner: WALLET,
            spender: ROUTER,
            value: Some(Uint256(U256::MAX)),
            token_id: Some(Uint256::from(8_817)),
            approved: Some(true),
        })
    }
}
