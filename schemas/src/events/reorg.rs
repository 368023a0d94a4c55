use crate::{
    event::{body::event, event_kind::EventKind, ids::chain_event_id},
    kinds::Kind,
    sample_values::{BLOCK_HASH, BLOCK_NUMBER, CHAIN, DROPPED_HASH, PARENT_HASH, in_block},
    types::chain_types::BlockRef,
};

event! {
    /// The canonical chain changed. Published in the batch of the first new block and with its block
    /// fields, never retracted.
    pub struct Reorg: chain {
        /// Number of blocks that left the chain.
        pub depth: u32,
        /// Last block that both branches share.
        pub ancestor: BlockRef,
        /// Blocks that left the chain, newest first.
        pub dropped: Vec<BlockRef>,
    }
}

impl EventKind for Reorg {
    const NAME: &'static str = "reorg";
    const SCHEMA: &'static str = "evm.reorg/1";
    const SUBJECT: &'static str = "evm.<chain>.reorg";
    const LASTING: bool = true;

    fn sample() -> Self {
        in_block!(Reorg {
            id: chain_event_id(CHAIN, &BLOCK_HASH, Kind::Reorg),
            depth: 1,
            ancestor: BlockRef { number: BLOCK_NUMBER - 1, hash: PARENT_HASH },
            dropped: vec![BlockRef { number: BLOCK_NUMBER, hash: DROPPED_HASH }],
        })
    }
}
