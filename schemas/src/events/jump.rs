use crate::{
    event::{body::event, event_kind::EventKind, ids::chain_event_id},
    kinds::Kind,
    sample_values::{BLOCK_HASH, BLOCK_NUMBER, CHAIN, in_block},
};

event! {
    /// The live lane left a range of final blocks to the history lane, for it was too far behind: their
    /// events come on `history.<chain>.>`, and rules do not see them. In the batch of the first block
    /// after the range, never retracted; its own block fields are those of that block.
    pub struct Jump: chain {
        /// First block that was left out.
        pub from_number: u64,
        /// Last block that was left out.
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
