use std::collections::BTreeMap;

use crypto_intel_chain::backfill::queue::{Gap, GapReason, Gaps};
use crypto_intel_schemas::B256;
use crypto_intel_testkit::eventually;

use crate::{
    rig::Rig,
    slots::{CHAIN, WATCHED},
};

/// Waits until no gap is left.
async fn filled(rig: &Rig) -> BTreeMap<u64, B256> {
    let gaps = Gaps::open(&rig.broker.nats, CHAIN).await.unwrap();
    eventually(async || gaps.list().await.unwrap().is_empty().then_some(())).await;
    let markers = rig.history().await;
    markers.into_iter().map(|marker| (marker.block_number, marker.block_hash)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_over_slots_leaves_nothing_out() {
    let rig = Rig::start().await;
    rig.chain.grow([2, 1, 3]);
    let instance = rig.follow();
    rig.at_head().await;
    instance.stop().await;
    let strides = (0..120_u64).map(|number| 1 + number % 3);
    rig.chain.grow(strides);
    rig.chain.finalize(5);
    let instance = rig.follow();
    let folded = rig.at_head().await;
    assert_eq!(folded.jumps, 1);
    let mut everything = filled(&rig).await;
    assert!(everything.len() > 100, "the gap came on the history lane");
    everything.extend(folded.published);
    assert_eq!(everything, rig.chain.blocks());
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_range_is_filled_to_its_empty_end() {
    let rig = Rig::start().await;
    rig.chain.grow([1, 2, 1, 30, 1, 1, 1]);
    rig.chain.finalize(1);
    let instance = rig.follow();
    rig.at_head().await;
    let gaps = Gaps::open(&rig.broker.nats, CHAIN).await.unwrap();
    // The last slots of the range are empty.
    gaps.queue(101, 125, GapReason::Backfill).await.unwrap();
    let history = filled(&rig).await;
    let expected: BTreeMap<u64, B256> =
        rig.chain.blocks().into_iter().filter(|(slot, _)| (101..=125).contains(slot)).collect();
    assert_eq!(history, expected);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_a_base58_address_comes_in_partial_blocks() {
    let rig = Rig::start().await;
    rig.chain.grow([1; 12]);
    rig.chain.finalize(1);
    let instance = rig.follow();
    rig.at_head().await;
    let gaps = Gaps::open(&rig.broker.nats, CHAIN).await.unwrap();
    let wanted = Gap { address: Some(WATCHED.to_owned()), ..Gap::new(100, 109, GapReason::Watch) };
    gaps.queue_gap(wanted).await.unwrap();
    filled(&rig).await;
    let markers = rig.history().await;
    let slots: Vec<u64> = markers.iter().map(|marker| marker.block_number).collect();
    assert_eq!(slots, [102, 105, 108]);
    assert!(markers.iter().all(|marker| marker.partial));
    instance.stop().await;
}
