//! Reorganisations at every moment.

use std::time::Duration;

use crypto_intel_sandbox::NodeBlock;

use crate::{
    growth::Pace,
    world::{World, pass},
};

fn copies(world: &World, depth: u64) -> Vec<NodeBlock> {
    let height = world.height();
    let copy = |number| {
        let block = world.chain.block(number).unwrap();
        NodeBlock::from_json(block.full_json().clone(), block.receipts_json().clone()).unwrap()
    };
    (height - depth + 1..=height).map(copy).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorgs_of_depth_1_3_and_10() {
    let mut world = World::start(201, 2, Pace::STEADY).await;
    let producer = world.producer();
    world.goes_on().await;
    world.goes_on().await;
    let mut blocks = world.stop_growth().await;
    for depth in [1_usize, 3, 10] {
        // Longer, as long, and shorter until the next block comes.
        for new in [depth + 1, depth, depth.saturating_sub(1).max(1)] {
            world.chain.push_block(blocks.next_block()).unwrap();
            world.caught_up().await;
            world.chain.reorg(depth, blocks.fork(depth, new)).unwrap();
            world.chain.push_block(blocks.next_block()).unwrap();
            world.chain.push_block(blocks.next_block()).unwrap();
            let replayed = world.is_exact().await;
            assert_eq!(replayed.reorgs.last().unwrap().depth as usize, depth);
        }
    }
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorg_during_a_restart() {
    let mut world = World::start(202, 1, Pace::STEADY).await;
    let producer = world.producer();
    world.goes_on().await;
    producer.stop().await;
    let mut blocks = world.stop_growth().await;
    for (round, depth) in [1_usize, 3, 10].into_iter().enumerate() {
        world.chain.reorg(depth, blocks.fork(depth, depth + 2)).unwrap();
        let producer = world.producer();
        if round == 1 {
            // Cut off while it retracts, or before, or after.
            pass(Duration::from_millis(60)).await;
            producer.crash();
            world.chain.reorg(2, blocks.fork(2, 3)).unwrap();
            let producer = world.producer();
            world.is_exact().await;
            producer.stop().await;
        } else {
            world.is_exact().await;
            producer.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_to_the_first_branch() {
    let mut world = World::start(203, 1, Pace::STEADY).await;
    let producer = world.producer();
    world.goes_on().await;
    let mut blocks = world.stop_growth().await;
    world.caught_up().await;
    for round in 0..3 {
        let first = copies(&world, 4);
        world.chain.reorg(4, blocks.fork(4, 4)).unwrap();
        world.is_exact().await;
        let second = copies(&world, 4);
        world.chain.reorg(4, first).unwrap();
        let replayed = world.is_exact().await;
        let incarnations: Vec<u32> =
            replayed.stack.iter().rev().take(4).map(|marker| marker.incarnation).collect();
        // After the first round the branch that is left was added twice before.
        assert_eq!(incarnations, [if round == 0 { 3 } else { 5 }; 4]);
        world.chain.reorg(4, second).unwrap();
        world.is_exact().await;
    }
    producer.stop().await;
}
