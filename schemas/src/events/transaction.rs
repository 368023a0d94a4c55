use alloy_primitives::{Address, U256, address};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind, ids::transaction_event_id},
    kinds::Kind,
    sample_values::{BLOCK_HASH, CHAIN, COLLECTION, TX_INDEX, decimal, in_transaction},
    types::{
        account_address::AccountAddress, chain_types::TransactionStatus, decimal::Decimal,
        uint256::Uint256,
    },
};

event! {
    /// A transaction with its fee and outcome, failed ones included. `tx_from` sent it, to `tx_to`. What only a receipt tells
    /// (status, gas used, fee) is absent where the endpoint gave none. Published for watched addresses, or for all:
    /// `evm.chains.NAME.transactions`.
    pub struct Transaction: tx between (tx_from, tx_to) {
        /// Number of the sender's transactions before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub nonce: Option<u64>,
        /// Type of the transaction (EIP-2718): 0 legacy, 1 access list, 2 dynamic fee, 3 blobs, 4 sets code; chains have
        /// others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tx_type: Option<u8>,
        /// The contract that it created.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
        pub contract: Option<Address>,
        /// Value in the chain's smallest unit (wei); of a failed transaction it did not move.
        pub value: Uint256,
        /// Symbol of the native token, such as `ETH`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub symbol: Option<String>,
        /// Decimals of the native token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub decimals: Option<u8>,
        /// Value in whole tokens, exact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<Decimal>,
        /// Length of the input, bytes.
        pub input_length: u32,
        /// Maximum gas that it may use.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub gas_limit: Option<u64>,
        /// Gas that it used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub gas_used: Option<u64>,
        /// Arbitrum: how much of `gas_used` paid for data on Ethereum.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub gas_used_for_l1: Option<u64>,
        /// Price of a unit of gas that was paid, wei.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub effective_gas_price: Option<Uint256>,
        /// Highest price of a unit of gas that the sender accepts, wei; from type 2 on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_fee_per_gas: Option<Uint256>,
        /// Highest tip for a unit of gas that the sender gives, wei; from type 2 on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_priority_fee_per_gas: Option<Uint256>,
        /// Fee for data on Ethereum, wei, where receipts of the chain have it apart from gas (OP stack, Scroll). On Arbitrum
        /// it is in `gas_used`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub l1_fee: Option<Uint256>,
        /// Number of blobs, type 3.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub blob_count: Option<u32>,
        /// Gas of the blobs, type 3.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub blob_gas_used: Option<u64>,
        /// Price of a unit of blob gas, wei, where the receipt has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub blob_gas_price: Option<Uint256>,
        /// What the sender paid in all, wei, exact: gas, blobs and `l1_fee`. Absent where a part of it is unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fee: Option<Uint256>,
        /// `fee` in whole tokens, exact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fee_amount: Option<Decimal>,
        /// `fee` in US dollars at the time it was seen, where a fresh price was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fee_usd: Option<Decimal>,
        /// Number of authorizations to set code, type 4.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub authorizations: Option<u32>,
        /// Contracts that these authorizations delegate to, each once, at most eight.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub delegated_to: Vec<String>,
        /// Whether it took effect; `unknown` before Byzantium. Absent without a receipt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<TransactionStatus>,
    }
}

impl EventKind for Transaction {
    const NAME: &'static str = "transaction";
    const SCHEMA: &'static str = "evm.transaction/1";
    const SUBJECT: &'static str = "evm.<chain>.transaction";

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add_known(self.contract);
        for delegate in &self.delegated_to {
            addresses.add_known(delegate.parse::<AccountAddress>().ok());
        }
    }

    fn sample() -> Self {
        let value = U256::from(1_500_000_000_000_000_000_u64);
        let gas_price = U256::from(12_307_526_041_u64);
        let (blob_gas, l1_fee) = (U256::from(262_144), U256::from(49_634_115_624_u64));
        let fee = U256::from(184_523) * gas_price + blob_gas + l1_fee;
        in_transaction!(Transaction {
            id: transaction_event_id(CHAIN, &BLOCK_HASH, Kind::Transaction, TX_INDEX, None),
            nonce: Some(9_417),
            tx_type: Some(4),
            contract: Some(COLLECTION),
            value: Uint256(value),
            symbol: Some("ETH".to_owned()),
            decimals: Some(18),
            amount: Some(Decimal::from_units(value, 18)),
            input_length: 68,
            gas_limit: Some(250_000),
            gas_used: Some(184_523),
            gas_used_for_l1: Some(1_204),
            effective_gas_price: Some(Uint256(gas_price)),
            max_fee_per_gas: Some(Uint256::from(30_000_000_000)),
            max_priority_fee_per_gas: Some(Uint256::from(1_000_000_000)),
            l1_fee: Some(Uint256(l1_fee)),
            blob_count: Some(2),
            blob_gas_used: Some(262_144),
            blob_gas_price: Some(Uint256::from(1)),
            fee: Some(Uint256(fee)),
            fee_amount: Some(Decimal::from_units(fee, 18)),
            fee_usd: Some(decimal("5.98")),
            authorizations: Some(1),
            delegated_to: vec![format!(
                "{:#x}",
                address!("0x63c0c19a282a1b52b07dd5a65b58948a07dae32b")
            ),],
            status: Some(TransactionStatus::Success),
        })
    }
}
