use crate::{
    event::{body::event, event_kind::EventKind, ids::chain_event_id},
    kinds::Kind,
    sample_values::{BLOCK_HASH, BLOCK_NUMBER, CHAIN, in_block},
};

event! {
    /// The live lane was too far behind and left a range of final blocks to the history lane: their events
    /// are published on `history.<chain>.>`, and rules do not see them. Published in the batch of the first
    /// block after the range and with its block fields, never retracted.
    pub struct Jump: chain {
        /// First skipped block.
        pub from_number: u64,
        /// Last skipped block.
        pub to_number: u64,
    }
}

impl EventKind for Jump {
    const NAME: &'static str = "jump";
    const SCHEMA: &'static str = "evm.jump/1";
    const SUBJECT: &'static str = "evm.<chain>.jump";
    const LASTING: bool = true;

    fn sample() -> Self {
        in_block!(Jump {
            id: chain_event_id(CHAIN, &BLOCK_HASH, Kind::Jump),
            from_number: BLOCK_NUMBER - 7_200,
            to_number: BLOCK_NUMBER - 1,
        })
    }
}
