//! Reorganisations at every moment.

use std::time::Duration;

use crypto_intel_sandbox::NodeBlock;

use crate::{
    growth::Pace,
    scenario::{Scenario, pass},
};

fn copies(scenario: &Scenario, depth: u64) -> Vec<NodeBlock> {
    let height = scenario.height();
    let copy = |number| {
        let block = scenario.chain.block(number).unwrap();
        NodeBlock::from_json(block.full_json().clone(), block.receipts_json().clone()).unwrap()
    };
    (height - depth + 1..=height).map(copy).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorgs_of_depth_1_3_and_10() {
    let mut scenario = Scenario::start(201, 2, Pace::STEADY).await;
    let producer = scenario.producer();
    scenario.goes_on().await;
    scenario.goes_on().await;
    let mut blocks = scenario.stop_growth().await;
    for depth in [1_usize, 3, 10] {
        // A branch that is longer, as long, and shorter until the next block comes.
        for new in [depth + 1, depth, depth.saturating_sub(1).max(1)] {
            scenario.chain.push_block(blocks.next_block()).unwrap();
            scenario.caught_up().await;
            scenario.chain.reorg(depth, blocks.fork(depth, new)).unwrap();
            scenario.chain.push_block(blocks.next_block()).unwrap();
            scenario.chain.push_block(blocks.next_block()).unwrap();
            let replayed = scenario.is_exact().await;
            assert_eq!(replayed.reorgs.last().unwrap().depth as usize, depth);
        }
    }
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorg_during_a_restart() {
    let mut scenario = Scenario::start(202, 1, Pace::STEADY).await;
    let producer = scenario.producer();
    scenario.goes_on().await;
    producer.stop().await;
    let mut blocks = scenario.stop_growth().await;
    for (round, depth) in [1_usize, 3, 10].into_iter().enumerate() {
        scenario.chain.reorg(depth, blocks.fork(depth, depth + 2)).unwrap();
        let producer = scenario.producer();
        if round == 1 {
            // Killed while it retracts, or before, or after.
            pass(Duration::from_millis(60)).await;
            producer.kill().await;
            scenario.chain.reorg(2, blocks.fork(2, 3)).unwrap();
            let producer = scenario.producer();
            scenario.is_exact().await;
            producer.stop().await;
        } else {
            scenario.is_exact().await;
            producer.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_to_the_first_branch() {
    let mut scenario = Scenario::start(203, 1, Pace::STEADY).await;
    let producer = scenario.producer();
    scenario.goes_on().await;
    let mut blocks = scenario.stop_growth().await;
    scenario.caught_up().await;
    for round in 0..3 {
        let first = copies(&scenario, 4);
        scenario.chain.reorg(4, blocks.fork(4, 4)).unwrap();
        scenario.is_exact().await;
        let second = copies(&scenario, 4);
        scenario.chain.reorg(4, first).unwrap();
        let replayed = scenario.is_exact().await;
        let incarnations: Vec<u32> =
            replayed.stack.iter().rev().take(4).map(|marker| marker.incarnation).collect();
        // After the first round, this branch had been added twice before.
        assert_eq!(incarnations, [if round == 0 { 3 } else { 5 }; 4]);
        scenario.chain.reorg(4, second).unwrap();
        scenario.is_exact().await;
    }
    producer.stop().await;
}
