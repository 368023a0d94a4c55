use alloy_primitives::{Address, B256, U256};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind, ids::balance_event_id},
    sample_values::{
        BLOCK_HASH, BLOCK_NUMBER, BLOCK_TIME_US, CHAIN, OBSERVED_AT_US, USDC, WALLET, decimal,
    },
    streams::Stream,
    subjects::forms as subjects,
    types::{chain_types::BalanceReason, decimal::Decimal, uint256::Uint256},
};

event! {
    /// What a watched wallet holds of one asset, as the chain itself says at a block. A later one of the same wallet and
    /// asset takes its place. One that was read at a block that left the chain is read again on the new branch.
    pub struct Balance: base {
        /// Chain slug, such as `ethereum`.
        pub chain: String,
        /// EIP-155 chain id.
        pub chain_id: u64,
        /// Height of the block at whose end it was so.
        pub block_number: u64,
        /// Hash of that block.
        #[schemars(with = "crate::types::json_hex::HashText")]
        pub block_hash: B256,
        /// The block's own time, microseconds UTC.
        pub block_time_us: i64,
        /// The watched wallet.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub address: Address,
        /// `native`, or the contract of the token: `0x` and 40 lower-case digits.
        pub asset: String,
        /// Symbol of the asset, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub symbol: Option<String>,
        /// Decimals of the asset, where they are known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub decimals: Option<u8>,
        /// Whether the asset is the chain's own currency or on the list of known tokens.
        pub token_verified: bool,
        /// The balance in the asset's smallest unit; absent where the token gave none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub raw: Option<Uint256>,
        /// The balance in whole units, exact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<Decimal>,
        /// The balance in US dollars, where a fresh price was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub usd: Option<Decimal>,
        /// Time of that price, microseconds UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub price_at_us: Option<i64>,
        /// Why it was read: `changed`, `scheduled` or `added`.
        pub reason: BalanceReason,
        /// Why there is no balance: `reverted` or `not_a_number`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub problem: Option<String>,
        /// Labels and tags of the wallet.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub watched: Vec<String>,
    }
}

impl Balance {
    /// The `asset` of the chain's own currency.
    pub const NATIVE: &'static str = "native";
}

impl EventKind for Balance {
    const NAME: &'static str = "balance";
    const SCHEMA: &'static str = "balance/1";
    const SUBJECT: &'static str = "balance.<chain>.<address>.<asset>";
    const STREAMS: &'static [(Stream, &'static str)] = &[(Stream::Evm, subjects::BALANCE_ALL)];

    fn subject(&self) -> String {
        subjects::balance(&self.chain, &self.address.into(), &self.asset)
    }

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add(self.address);
    }

    fn sample() -> Self {
        let (raw, asset) = (U256::from(1_250_500_000_u64), format!("{USDC:#x}"));
        Balance {
            id: balance_event_id(CHAIN, &BLOCK_HASH, &WALLET, &asset),
            chain: CHAIN.to_owned(),
            chain_id: 1,
            block_number: BLOCK_NUMBER,
            block_hash: BLOCK_HASH,
            block_time_us: BLOCK_TIME_US,
            address: WALLET,
            asset,
            symbol: Some("USDC".to_owned()),
            decimals: Some(6),
            token_verified: true,
            raw: Some(Uint256(raw)),
            amount: Some(Decimal::from_units(raw, 6)),
            usd: Some(decimal("1250.25")),
            price_at_us: Some(BLOCK_TIME_US - 4_000_000),
            reason: BalanceReason::Changed,
            problem: Some("reverted".to_owned()),
            watched: vec!["treasury".to_owned()],
            ..Balance::at("evm", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}
