//! Blocks leave the chain: exactly their events are retracted, newest first, and the new ones are published.

use crypto_intel_sandbox::{NodeBlock, ScriptedNode, node::Synthetic};
use crypto_intel_schemas::{B256, BlockRef};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};

use crate::{
    harness::{Replay as _, chain_config, generator, node, node_of, push_new, start_evm},
    stream::{Replayed, transfers_of},
};

fn assert_canonical(replayed: &Replayed, node: &ScriptedNode) {
    let blocks = node.chain().blocks();
    assert_same_set(transfers_of(blocks.iter().map(AsRef::as_ref)), replayed.transfers());
    let hashes: Vec<B256> = replayed.stack.iter().map(|marker| marker.block_hash).collect();
    assert_eq!(hashes, blocks.iter().map(|block| block.hash).collect::<Vec<_>>());
}

fn references(node: &ScriptedNode, newest_first: impl Iterator<Item = u64>) -> Vec<BlockRef> {
    newest_first
        .map(|number| {
            let hash = node.chain().block(number).map(|block| block.hash).unwrap();
            BlockRef { number, hash }
        })
        .collect()
}

fn reorg(node: &ScriptedNode, blocks: &mut Synthetic, depth: usize, new: usize) {
    node.reorg(depth, blocks.fork(depth, new)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_retracts_exactly_the_dropped_blocks() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(11);
    push_new(&node, &mut blocks, 20);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let mut top = 20;
    broker.at_head(node.chain()).await;
    for (depth, new) in [(1, 1), (3, 4), (2, 3), (10, 11)] {
        let dropped = references(&node, (top - depth as u64 + 1..=top).rev());
        let ancestor = references(&node, std::iter::once(top - depth as u64))[0];
        reorg(&node, &mut blocks, depth, new);
        top = top - depth as u64 + new as u64;
        let replayed = broker.at_head(node.chain()).await;
        assert_canonical(&replayed, &node);
        let event = replayed.reorgs.last().unwrap();
        assert_eq!(event.depth as usize, depth);
        assert_eq!(event.dropped, dropped);
        assert_eq!(event.ancestor, ancestor);
        assert_eq!(event.block_number, ancestor.number + 1);
    }
    assert!((producer.metric("crypto_intel_evm_reorgs_total", &["testchain"]) - 4.0).abs() < 0.5);
    let retracted = producer.metric("crypto_intel_evm_blocks_retracted_total", &["testchain"]);
    assert!((retracted - 16.0).abs() < 0.5, "{retracted}");
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_comes_back_has_incarnation_three() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(12);
    push_new(&node, &mut blocks, 10);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    let copy = |number: u64| {
        let block = node.chain().block(number).unwrap();
        NodeBlock::from_json(block.full_json().clone(), block.receipts_json().clone()).unwrap()
    };
    let first_branch: Vec<NodeBlock> = (8..=10).map(copy).collect();
    reorg(&node, &mut blocks, 3, 3);
    broker.at_head(node.chain()).await;
    node.reorg(3, first_branch).unwrap();
    let replayed = broker.at_head(node.chain()).await;
    assert_canonical(&replayed, &node);
    let incarnations: Vec<u32> =
        replayed.stack.iter().skip(7).map(|marker| marker.incarnation).collect();
    assert_eq!(incarnations, [3, 3, 3]);
    assert_eq!(replayed.reorgs.len(), 2);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_while_the_producer_is_down_is_found_at_the_next_start() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(13);
    push_new(&node, &mut blocks, 20);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    producer.stop().await;
    reorg(&node, &mut blocks, 5, 9);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let replayed = broker.at_head(node.chain()).await;
    assert_canonical(&replayed, &node);
    assert_eq!(replayed.reorgs.last().unwrap().depth, 5);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_beyond_the_limit_stops_the_chain_with_a_hint() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(14);
    push_new(&node, &mut blocks, 20);
    let mut config = chain_config(&[node.ws_url()]);
    config.max_reorg_depth = 4;
    let producer = start_evm(&broker.nats, config.clone());
    let before = broker.at_head(node.chain()).await;
    reorg(&node, &mut blocks, 5, 7);
    producer.until_reported(&["max_reorg_depth is 4", "raise evm.chains.testchain"]).await;
    assert_eq!(broker.replay().await.markers.len(), before.markers.len(), "nothing is retracted");
    producer.stop().await;
    // As the hint says.
    config.max_reorg_depth = 5;
    let producer = start_evm(&broker.nats, config);
    assert_canonical(&broker.at_head(node.chain()).await, &node);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_below_what_was_final_is_refused() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(15);
    push_new(&node, &mut blocks, 20);
    node.set_finalized(17);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    node.set_finalized(10);
    reorg(&node, &mut blocks, 5, 7);
    producer.until_reported(&["which was final", "block 17"]).await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_on_a_branch_of_its_own_is_not_believed_at_once() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(16);
    push_new(&node, &mut blocks, 12);
    // The second endpoint has the same blocks, and stays on them.
    let other = node_of(crypto_intel_sandbox::Chain::new()).await;
    for block in node.chain().blocks() {
        let copy = NodeBlock::from_json(block.full_json().clone(), block.receipts_json().clone());
        other.push_block(copy.unwrap()).unwrap();
    }
    let mut config = chain_config(&[node.ws_url(), other.ws_url()]);
    config.reorg_confirm_seconds = 4;
    let producer = start_evm(&broker.nats, config);
    broker.at_head(node.chain()).await;
    producer.until_reported(&["published 12"]).await;
    reorg(&node, &mut blocks, 1, 1);
    let started = std::time::Instant::now();
    let replayed = broker.at_head(node.chain()).await;
    assert!(started.elapsed().as_secs() >= 3, "it waits for a second opinion first");
    assert_eq!(replayed.reorgs.len(), 1, "and takes the branch when none comes in time");
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_branch_that_advances_is_taken_without_confirmation() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(19);
    push_new(&node, &mut blocks, 12);
    let other = node_of(crypto_intel_sandbox::Chain::new()).await;
    for block in node.chain().blocks() {
        let copy = NodeBlock::from_json(block.full_json().clone(), block.receipts_json().clone());
        other.push_block(copy.unwrap()).unwrap();
    }
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url(), other.ws_url()]));
    broker.at_head(node.chain()).await;
    reorg(&node, &mut blocks, 1, 1);
    // New heads keep coming, so that no block stays the head for the whole confirmation time.
    eventually(async || {
        push_new(&node, &mut blocks, 1);
        !broker.replay().await.reorgs.is_empty()
    })
    .await;
    assert_canonical(&broker.at_head(node.chain()).await, &node);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_endpoint_is_behind_and_not_forked() {
    let (broker, node) = (Broker::start().await, node().await);
    let lagging = node_of(node.chain().clone()).await;
    let mut blocks = generator(17);
    push_new(&node, &mut blocks, 10);
    // The preferred endpoint stops at 10.
    let producer = start_evm(&broker.nats, chain_config(&[lagging.ws_url(), node.ws_url()]));
    broker.at_head(node.chain()).await;
    lagging.freeze_head(true);
    push_new(&node, &mut blocks, 15);
    let replayed = broker.at_head(node.chain()).await;
    assert_canonical(&replayed, &node);
    assert!(replayed.reorgs.is_empty());
    lagging.freeze_head(false);
    push_new(&node, &mut blocks, 5);
    let replayed = broker.at_head(node.chain()).await;
    assert!(replayed.reorgs.is_empty());
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorgs_in_a_row_end_on_the_last_branch() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(18);
    push_new(&node, &mut blocks, 15);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    // Faster than they can be followed one by one.
    for round in 0..12 {
        push_new(&node, &mut blocks, 2);
        reorg(&node, &mut blocks, 1 + round % 3, 2 + round % 3);
    }
    let replayed = eventually(async || {
        let replayed = broker.at_head(node.chain()).await;
        (replayed.top() == node.chain().head().map(|head| head.hash)).then_some(replayed)
    })
    .await;
    assert_canonical(&replayed, &node);
    producer.stop().await;
}
