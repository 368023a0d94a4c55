use alloy_primitives::{Address, B256, address};

use crate::{
    event::{body::event, event_kind::EventKind, ids::chain_event_id},
    kinds::Kind,
    sample_values::{BLOCK_HASH, BLOCK_NUMBER, CHAIN, PARENT_HASH, in_block},
    types::uint256::Uint256,
};

event! {
    /// Marker: the block is canonical and all its events precede this one; with `removed`, it has left the
    /// canonical chain. Markers form a stack: a marker pushes its block, a removed one pops it.
    pub struct Block: chain {
        /// Hash of the parent.
        #[schemars(with = "crate::types::json_hex::HashText")]
        pub parent_hash: B256,
        /// Highest block that the chain reports as safe, if it reports one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub safe_number: Option<u64>,
        /// Highest block that cannot leave the chain, by its tag or by the configured depth.
        pub finalized_number: u64,
        /// Number of this block's events that become rows.
        pub rows: u32,
        /// Number of all messages before this marker that belong to its block.
        pub messages: u32,
        /// Only some addresses' events of this block were published: it neither verifies nor
        /// replaces a block.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub partial: bool,
        /// Number of transactions.
        pub transactions: u32,
        /// Gas used.
        pub gas_used: u64,
        /// Gas limit.
        pub gas_limit: u64,
        /// Base fee per gas in wei, since London.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub base_fee_per_gas: Option<Uint256>,
        /// Recipient of the fees.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
        pub miner: Option<Address>,
        /// Checks of the response that could not be made, or that failed alike on two endpoints.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub unverified: Vec<String>,
        /// For which scope of the chain the block is complete: versions count its changes from 1. Absent: for everything
        /// that is published of any chain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scope_version: Option<u32>,
        /// Digest of that scope, 16 hexadecimal digits: equal for equal scopes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scope_digest: Option<String>,
        /// The marker also stands for the blocks from this number up to its own that have no marker: none of them has an
        /// event in the scope.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub covers_from: Option<u64>,
        /// By operator of endpoints, the highest block of this branch, up to this one, that its endpoints have announced as
        /// a head; highest first. Absent where no operator has yet, and on the history lane.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub announced: Vec<u64>,
    }
}

impl EventKind for Block {
    const NAME: &'static str = "block";
    const SCHEMA: &'static str = "evm.block/1";
    const SUBJECT: &'static str = "evm.<chain>.block";
    const NOT_IN_RULES: &'static [&'static str] =
        &["partial", "unverified", "scope_version", "scope_digest", "covers_from", "announced"];

    fn sample() -> Self {
        in_block!(Block {
            id: chain_event_id(CHAIN, &BLOCK_HASH, Kind::Block),
            parent_hash: PARENT_HASH,
            safe_number: Some(BLOCK_NUMBER - 32),
            finalized_number: BLOCK_NUMBER - 64,
            rows: 311,
            messages: 312,
            partial: true,
            transactions: 169,
            gas_used: 14_852_631,
            gas_limit: 30_000_000,
            base_fee_per_gas: Some(Uint256::from(11_307_526_041)),
            miner: Some(address!("0x95222290dd7278aa3ddd389cc1e1d165cc4bafe5")),
            unverified: vec!["receipts_root".to_owned()],
            scope_version: Some(2),
            scope_digest: Some("8d3f1c0a57be2946".to_owned()),
            covers_from: Some(BLOCK_NUMBER - 12),
            announced: vec![BLOCK_NUMBER, BLOCK_NUMBER - 1],
        })
    }
}
