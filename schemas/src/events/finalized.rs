use alloy_primitives::B256;

use crate::{
    event::{body::event, event_kind::EventKind, ids::chain_event_id},
    kinds::Kind,
    sample_values::{BLOCK_HASH, BLOCK_NUMBER, CHAIN, DROPPED_HASH, in_block},
};

event! {
    /// The finalized block advanced. Published in the batch of the next block, never retracted.
    pub struct Finalized: chain {
        /// Highest finalized block.
        pub finalized_number: u64,
        /// Its hash, if the endpoint reported it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::HashText>")]
        pub finalized_hash: Option<B256>,
        /// Highest safe block, if the chain reports one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub safe_number: Option<u64>,
    }
}

impl EventKind for Finalized {
    const NAME: &'static str = "finalized";
    const SCHEMA: &'static str = "evm.finalized/1";
    const SUBJECT: &'static str = "evm.<chain>.finalized";
    const LASTING: bool = true;

    fn sample() -> Self {
        in_block!(Finalized {
            id: chain_event_id(CHAIN, &BLOCK_HASH, Kind::Finalized),
            finalized_number: BLOCK_NUMBER - 64,
            finalized_hash: Some(DROPPED_HASH),
            safe_number: Some(BLOCK_NUMBER - 32),
        })
    }
}
