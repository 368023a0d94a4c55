use alloy_primitives::{Address, U256};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind},
    sample_values::{EXCHANGE, USDC, WALLET, decimal, in_log},
    types::{decimal::Decimal, uint256::Uint256},
};

event! {
    /// ERC-20 `Transfer`: three topics and exactly 32 bytes of data. `address` is the token.
    /// Anyone can emit one that names any address: check `tx_from` and `token_verified` to detect a forged one.
    pub struct Erc20Transfer: log between (from, to) {
        /// Sender, according to the contract.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub from: Address,
        /// Recipient, according to the contract.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub to: Address,
        /// Amount in the token's smallest unit.
        pub value: Uint256,
        /// Symbol, cleaned and bounded, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub symbol: Option<String>,
        /// Decimals of the token, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub decimals: Option<u8>,
        /// Amount in whole tokens, exact, where the decimals are known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<Decimal>,
        /// Value in US dollars at the time it was seen, where a fresh price was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub usd: Option<Decimal>,
        /// Whether the contract is on our asset list.
        pub token_verified: bool,
    }
}

impl EventKind for Erc20Transfer {
    const NAME: &'static str = "transfer.erc20";
    const SCHEMA: &'static str = "evm.transfer.erc20/1";
    const SUBJECT: &'static str = "evm.<chain>.transfer.erc20";

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add(self.from);
        addresses.add(self.to);
    }

    fn sample() -> Self {
        let value = U256::from(12_500_000_250_000_u64);
        in_log!(Erc20Transfer {
            address: USDC,
            from: EXCHANGE,
            to: WALLET,
            value: Uint256(value),
            symbol: Some("USDC".to_owned()),
            decimals: Some(6),
            amount: Some(Decimal::from_units(value, 6)),
            usd: Some(decimal("12498750.25")),
            token_verified: true,
        })
    }
}
