//! Pasts of several addresses: one pass over a range serves all.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crypto_intel_evm::{ChainConfig, Gap, GapReason, Gaps, Pasts, Start};
use crypto_intel_sandbox::ScriptedNode;
use crypto_intel_schemas::{B256, Event, Finder};
use crypto_intel_testkit::{Broker, SeededRandom, assert_same_set, eventually};
use serde_json::Value;

use crate::harness::{CHAIN, chain_config, generator, node, push_new, start_evm};

/// Last block of the pasts: final on the node.
const LAST: u64 = 296;

/// Accounts and their logs, by the node's own JSON: those with the most first.
fn accounts(node: &ScriptedNode) -> Vec<(String, BTreeSet<(B256, u32)>)> {
    let mut found: BTreeMap<String, BTreeSet<(B256, u32)>> = BTreeMap::new();
    for block in node.chain().blocks().iter().filter(|block| block.number <= LAST) {
        for log in block.logs().map(|log| serde_json::from_str::<Value>(log).unwrap()) {
            let index = u32::from_str_radix(&log["logIndex"].as_str().unwrap()[2..], 16).unwrap();
            for topic in &log["topics"].as_array().unwrap()[1..] {
                let account = format!("0x{}", &topic.as_str().unwrap()[26..]);
                found.entry(account).or_default().insert((block.hash, index));
            }
        }
    }
    let mut accounts: Vec<_> = found.into_iter().collect();
    accounts.sort_by_key(|(_, logs)| std::cmp::Reverse(logs.len()));
    accounts
}

/// Transfers on the history lane; none may be there twice.
async fn transfers(broker: &Broker) -> BTreeSet<(B256, u32)> {
    let mut found = BTreeSet::new();
    for message in broker.messages("HISTORY").await {
        if let Event::Erc20Transfer(transfer) = Event::decode(&message.payload).unwrap() {
            let place = (transfer.block_hash, transfer.log_index);
            assert!(found.insert(place), "one pass publishes a block once");
        }
    }
    found
}

/// Has the pasts of these accounts published by a producer that finds all of them queued; how many requests for logs and
/// for blocks that took.
async fn published(node: &ScriptedNode, pasts: &[(&str, u64)]) -> (Broker, u64, u64) {
    let broker = Broker::start().await;
    let gaps = Gaps::open(&broker.nats, CHAIN).await.unwrap();
    for (account, from) in pasts {
        let address = Some((*account).to_owned());
        gaps.queue_gap(Gap { address, ..Gap::new(*from, LAST, GapReason::Watch) }).await.unwrap();
    }
    let calls = || (node.calls("eth_getLogs"), node.calls("eth_getBlockReceipts"));
    let before = calls();
    let config = ChainConfig { start: Start::Latest, ..chain_config(&[node.ws_url()]) };
    let producer = start_evm(&broker.nats, config);
    eventually(async || gaps.list().await.unwrap().is_empty()).await;
    let after = calls();
    producer.stop().await;
    (broker, after.0 - before.0, after.1 - before.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_pass_serves_many_addresses_with_the_requests_of_one() {
    let node = node().await;
    node.chain().follow_finality(2, 4);
    push_new(&node, &mut generator(91), LAST as usize + 4);
    let accounts = accounts(&node);
    let count = accounts.len().min(40);
    assert!(count > 10, "{count}");
    let one = [(accounts[0].0.as_str(), 1)];
    let (_, logs_of_one, _) = published(&node, &one).await;
    let all: Vec<_> = accounts[..count].iter().map(|(account, _)| (account.as_str(), 1)).collect();
    let (broker, logs_of_all, blocks_of_all) = published(&node, &all).await;
    assert_eq!(logs_of_all, logs_of_one, "requests for logs name all of them");
    assert!(blocks_of_all <= LAST + 10, "each block is fetched once for all: {blocks_of_all}");
    let wanted = accounts[..count].iter().flat_map(|(_, logs)| logs.iter().copied());
    assert_same_set(wanted.collect::<BTreeSet<_>>(), transfers(&broker).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pasts_that_begin_at_different_blocks_are_each_whole() {
    let node = node().await;
    node.chain().follow_finality(2, 4);
    push_new(&node, &mut generator(92), LAST as usize + 4);
    let accounts = accounts(&node);
    let pasts: Vec<_> = accounts[..9].iter().zip([1, 1, 50, 100, 200, LAST, 7, 7, 1]).collect();
    let asked: Vec<_> = pasts.iter().map(|((name, _), from)| (name.as_str(), *from)).collect();
    let (broker, _, _) = published(&node, &asked).await;
    let number_of: BTreeMap<B256, u64> =
        node.chain().blocks().iter().map(|block| (block.hash, block.number)).collect();
    let found = transfers(&broker).await;
    for ((name, logs), from) in pasts {
        let wanted: BTreeSet<_> =
            logs.iter().filter(|(hash, _)| number_of[hash] >= from).copied().collect();
        assert!(wanted.is_subset(&found), "{name} from {from}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_is_killed_again_and_again_goes_on_where_it_was() {
    let node = node().await;
    node.chain().follow_finality(2, 4);
    push_new(&node, &mut generator(93), LAST as usize + 4);
    node.delay_answers(Some(Duration::from_millis(3)));
    let accounts = accounts(&node);
    let broker = Broker::start().await;
    let gaps = Gaps::open(&broker.nats, CHAIN).await.unwrap();
    for (account, _) in &accounts[..10] {
        let address = Some(account.clone());
        let gap = Gap { address, every_block: true, ..Gap::new(1, LAST, GapReason::Watch) };
        gaps.queue_gap(gap).await.unwrap();
    }
    let mut random = SeededRandom::from_environment();
    let start = || {
        let config = ChainConfig { start: Start::Latest, ..chain_config(&[node.ws_url()]) };
        start_evm(&broker.nats, config)
    };
    let mut reached = 1;
    for _ in 0..4 {
        let producer = start();
        random.pause_ms(300..1_500).await;
        producer.kill().await;
        let left = gaps.list().await.unwrap();
        let next = left.iter().map(|gap| gap.next).min().unwrap_or(LAST + 1);
        assert!(next >= reached, "what was written stays");
        reached = next;
    }
    let producer = start();
    eventually(async || gaps.list().await.unwrap().is_empty()).await;
    let mut found = BTreeSet::new();
    for message in broker.messages("HISTORY").await {
        if let Event::Erc20Transfer(transfer) = Event::decode(&message.payload).unwrap() {
            found.insert((transfer.block_hash, transfer.log_index));
        }
    }
    let wanted = accounts[..10].iter().flat_map(|(_, logs)| logs.iter().copied());
    assert_same_set(wanted.collect::<BTreeSet<_>>(), found);
    let pasts = Pasts::open(&broker.nats, CHAIN).await.unwrap().all().await.unwrap();
    for (account, _) in &accounts[..10] {
        assert_eq!(pasts[account].complete("logs"), [(1, LAST, vec![Finder::EveryBlock])]);
    }
    producer.stop().await;
}
