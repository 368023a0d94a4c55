use crypto_intel_testkit::eventually;

use crate::{
    rig::Rig,
    slots::{CHAIN, WATCHED},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skipped_slots_are_no_gap_and_their_blocks_come_in_order() {
    let rig = Rig::start().await;
    rig.chain.grow([3, 1, 1, 4, 1, 2]);
    let instance = rig.follow();
    let folded = rig.at_head().await;
    assert_eq!(folded.published, rig.chain.blocks());
    rig.chain.grow([1, 7, 1]);
    let folded = rig.at_head().await;
    assert_eq!((folded.published, folded.jumps), (rig.chain.blocks(), 0));
    instance.stop().await;
    // Another instance resumes after the top of the marker stack.
    rig.chain.grow([5, 2]);
    let instance = rig.follow();
    let folded = rig.at_head().await;
    assert_eq!((folded.published, folded.jumps), (rig.chain.blocks(), 0));
    assert!(folded.retracted.is_empty());
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorganisation_over_holes_is_retracted_newest_first() {
    let rig = Rig::start().await;
    rig.chain.grow([1, 2, 3, 1, 2]);
    let instance = rig.follow();
    rig.at_head().await;
    let before: Vec<u64> = rig.chain.blocks().into_keys().rev().take(3).collect();
    // The new branch has a block in a slot that was empty, and none in a slot that had one.
    rig.chain.reorganise(3, [1, 1, 6, 1]);
    let folded = rig.at_head().await;
    assert_eq!(folded.published, rig.chain.blocks());
    assert_eq!(folded.retracted, before);
    let reorgs = rig.messages("EVM", &format!("evm.{CHAIN}.reorg")).await;
    assert_eq!(reorgs.len(), 1);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markers_say_how_far_operators_have_announced_their_branch() {
    let rig = Rig::start().await;
    rig.chain.grow([1; 6]);
    let instance = rig.follow();
    rig.at_head().await;
    rig.chain.grow([2]);
    let top = rig.at_head().await.stack.last().cloned().unwrap();
    let slots: Vec<u64> = rig.chain.blocks().into_keys().rev().take(2).collect();
    assert_eq!((top.block_number, top.announced), (slots[0], slots.clone()));
    rig.chain.reorganise(2, [1, 3]);
    let top = rig.at_head().await.stack.last().cloned().unwrap();
    let slots: Vec<u64> = rig.chain.blocks().into_keys().rev().take(2).collect();
    assert_eq!(top.announced, slots);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finality_does_not_advance_while_the_nodes_disagree() {
    let rig = Rig::start().await;
    rig.chain.grow([1; 6]);
    let instance = rig.follow();
    rig.at_head().await;
    instance.stop().await;
    rig.chain.dispute_finality(true);
    // Neither by the nodes' answers nor by depth, even if there was no other answer since the start.
    let instance = rig.follow_with_depth(0);
    rig.chain.grow([1, 2, 1]);
    let folded = rig.at_head().await;
    assert_eq!(folded.stack.last().map(|top| top.finalized_number), Some(0));
    rig.chain.finalize(4);
    rig.chain.dispute_finality(false);
    eventually(async || {
        rig.chain.grow([1]);
        rig.at_head().await.stack.last().is_some_and(|top| top.finalized_number > 0)
    })
    .await;
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_a_node_denies_is_found_by_its_child() {
    let rig = Rig::start().await;
    rig.chain.grow([1, 1, 1, 1, 1, 1]);
    rig.chain.deny_once(103);
    let instance = rig.follow();
    let folded = rig.at_head().await;
    assert_eq!((folded.published, folded.jumps), (rig.chain.blocks(), 0));
    assert!(folded.retracted.is_empty());
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_on_the_subjects_of_base58_addresses() {
    let rig = Rig::start().await;
    rig.chain.grow([1; 9]);
    let instance = rig.follow();
    rig.at_head().await;
    let copies = rig.messages("EVM", &format!("watch.{CHAIN}.{WATCHED}.log")).await;
    assert_eq!(copies.len(), 3, "102, 105 and 108");
    instance.stop().await;
}
