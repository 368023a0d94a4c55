//! The history lane: gaps that are too long to catch up in order, and ranges that were asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crypto_intel_evm::{
    ChainConfig, Gap, GapReason, Gaps, LogProof, Start, Watchlist, read_verified, write_verified,
};
use crypto_intel_nats::Bucket;
use crypto_intel_sandbox::ScriptedNode;
use crypto_intel_schemas::{B256, Event, Verified, WatchChain, WatchEntry};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};
use serde_json::{Value, json};

use crate::{
    harness::{CHAIN, Replay as _, chain_config, generator, node, node_of, push_new, start_evm},
    stream::{transfer_of, transfers_of},
};

/// The content of the history lane: markers by number and transfers, without duplicates.
#[derive(Debug, Default)]
struct Past {
    blocks: BTreeMap<u64, B256>,
    transfers: BTreeSet<(B256, u32)>,
    native: BTreeSet<B256>,
    partial: u64,
    labels: BTreeSet<Vec<String>>,
    messages: u64,
}

async fn past(broker: &Broker) -> Past {
    let mut past = Past::default();
    let mut pending = 0;
    for message in broker.messages("HISTORY").await {
        past.messages += 1;
        let event = Event::decode(&message.payload).unwrap();
        assert_eq!(message.subject, format!("history.{CHAIN}.{}", event.kind()));
        match event {
            Event::Block(marker) => {
                assert_eq!(marker.messages, pending, "whole blocks, never mixed");
                assert_eq!((marker.incarnation, marker.removed), (1, false));
                past.partial += u64::from(marker.partial);
                assert!(marker.block_number <= marker.finalized_number, "only final blocks");
                past.blocks.insert(marker.block_number, marker.block_hash);
                pending = 0;
            }
            other => {
                pending += 1;
                match other {
                    Event::Erc20Transfer(transfer) => {
                        past.transfers.insert((transfer.block_hash, transfer.log_index));
                        past.labels.insert(transfer.watched);
                    }
                    Event::NativeTransfer(transfer) => {
                        past.native.insert(transfer.tx_hash);
                    }
                    _ => {}
                }
            }
        }
    }
    past
}

async fn gaps(broker: &Broker) -> Gaps {
    Gaps::open(&broker.nats, CHAIN).await.unwrap()
}

async fn until_filled(broker: &Broker) {
    let gaps = gaps(broker).await;
    eventually(async || gaps.list().await.unwrap().is_empty()).await;
}

/// Both lanes together hold exactly what the node's chain holds.
async fn assert_whole(broker: &Broker, node: &ScriptedNode) {
    let (live, past) = (broker.replay().await, past(broker).await);
    let blocks = node.chain().blocks();
    assert_same_set(
        transfers_of(blocks.iter().map(AsRef::as_ref)),
        live.transfers().union(&past.transfers).copied(),
    );
    let stored = live
        .markers
        .iter()
        .filter(|(_, marker)| !marker.removed)
        .map(|(_, marker)| marker.block_hash)
        .chain(past.blocks.values().copied());
    let stored: BTreeSet<B256> = stored.collect();
    for block in &blocks {
        assert!(stored.contains(&block.hash), "block {} is in no lane", block.number);
    }
}

fn far_config(node: &ScriptedNode) -> ChainConfig {
    ChainConfig { catch_up_blocks: 100, ..chain_config(&[node.ws_url()]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_gap_is_left_to_history_and_live_goes_first() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(81);
    push_new(&node, &mut blocks, 600);
    node.delay_answers(Some(Duration::from_millis(10)));
    let producer = start_evm(&broker.nats, far_config(&node));
    for _ in 0..3 {
        let live = broker.at_head(node.chain()).await;
        assert_eq!(live.numbers().first(), Some(&597), "live begins after the final block");
        assert_eq!(gaps(&broker).await.list().await.unwrap().len(), 1, "history is not done");
        push_new(&node, &mut blocks, 1);
    }
    until_filled(&broker).await;
    broker.at_head(node.chain()).await;
    assert_whole(&broker, &node).await;
    assert_eq!(producer.metric("crypto_intel_evm_jumps_total", &[CHAIN]), 1.0);
    assert_eq!(past(&broker).await.blocks.len(), 596);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_survives_crashes_in_the_middle() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(82);
    push_new(&node, &mut blocks, 2_000);
    let mut seen = 0;
    for _ in 0..3 {
        let producer = start_evm(&broker.nats, far_config(&node));
        // Each leader makes progress before it is killed.
        eventually(async || {
            let last = broker.nats.stream_state("HISTORY").await.unwrap().last_sequence;
            (last > seen).then(|| seen = last)
        })
        .await;
        push_new(&node, &mut blocks, 3);
        producer.kill().await;
    }
    let producer = start_evm(&broker.nats, far_config(&node));
    until_filled(&broker).await;
    broker.at_head(node.chain()).await;
    assert_whole(&broker, &node).await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_left_the_chain_are_retracted_before_a_jump() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(83);
    push_new(&node, &mut blocks, 20);
    let producer = start_evm(&broker.nats, far_config(&node));
    broker.at_head(node.chain()).await;
    producer.stop().await;
    node.reorg(2, blocks.fork(2, 2)).unwrap();
    push_new(&node, &mut blocks, 300);
    let producer = start_evm(&broker.nats, far_config(&node));
    let live = broker.at_head(node.chain()).await;
    assert_eq!(live.jumps, [(19, 316)], "from the ancestor to the final block");
    assert_eq!(live.told_jumps, live.jumps, "consumers hear of it");
    assert_eq!(live.reorgs.len(), 1);
    assert_eq!((live.reorgs[0].depth, live.reorgs[0].ancestor.number), (2, 18));
    until_filled(&broker).await;
    assert_whole(&broker, &node).await;
    producer.stop().await;
    // The jump is in the markers: a restart continues at the top of the live lane.
    push_new(&node, &mut blocks, 2);
    let producer = start_evm(&broker.nats, far_config(&node));
    let live = broker.at_head(node.chain()).await;
    assert_eq!((live.jumps.len(), live.told_jumps.len()), (1, 1));
    assert_eq!(live.numbers(), (317..=322).collect::<Vec<_>>());
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_below_the_start_is_filled_on_request() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(84);
    push_new(&node, &mut blocks, 120);
    let config = ChainConfig { start: Start::Latest, ..chain_config(&[node.ws_url()]) };
    let producer = start_evm(&broker.nats, config);
    broker.at_head(node.chain()).await;
    let gaps = gaps(&broker).await;
    gaps.queue(11, 40, GapReason::Backfill).await.unwrap();
    let extended = gaps.queue(11, 60, GapReason::Backfill).await.unwrap();
    assert_eq!((extended.from, extended.to), (11, 60), "the same beginning is extended");
    until_filled(&broker).await;
    let filled: Vec<u64> = past(&broker).await.blocks.into_keys().collect();
    assert_eq!(filled, (11..=60).collect::<Vec<_>>());
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_waits_for_persist() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(85);
    push_new(&node, &mut blocks, 3_000);
    let cursors = broker.nats.kv(Bucket::Cursors).await.unwrap();
    cursors.put("persist.HISTORY", r#"{"sequence":0}"#).await.unwrap();
    let config = ChainConfig { history_max_pending: 1_000, ..far_config(&node) };
    let producer = start_evm(&broker.nats, config);
    eventually(async || producer.metric("crypto_intel_evm_history_paused", &[CHAIN]) == 1.0).await;
    let live = broker.at_head(node.chain()).await;
    assert_eq!(live.numbers().first(), Some(&2_997), "live does not wait");
    let held = broker.messages("HISTORY").await.len();
    assert!(held < 16_000, "{held} events were sent although persist is behind");
    cursors.put("persist.HISTORY", r#"{"sequence":1000000}"#).await.unwrap();
    until_filled(&broker).await;
    assert_whole(&broker, &node).await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_come_by_ranges_where_no_receipts_are_offered() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    node.without_block_receipts(true);
    let mut blocks = generator(86);
    push_new(&node, &mut blocks, 400);
    let producer = start_evm(&broker.nats, far_config(&node));
    broker.at_head(node.chain()).await;
    until_filled(&broker).await;
    assert_whole(&broker, &node).await;
    let requests = node.calls("eth_getLogs");
    assert!(requests < 100, "{requests} requests for the logs of 400 blocks");
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verified_block_is_a_metric() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(87);
    push_new(&node, &mut blocks, 3);
    let verified = Verified {
        from: 1,
        number: 2,
        hash: B256::ZERO,
        against: "database".to_owned(),
        at_us: 0,
        scope: None,
    };
    write_verified(&broker.nats, CHAIN, &verified).await.unwrap();
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    eventually(async || producer.metric("crypto_intel_evm_verified_block", &[CHAIN]) == 2.0).await;
    assert_eq!(read_verified(&broker.nats, CHAIN).await.unwrap(), Some(verified));
    producer.stop().await;
}

/// The events of an account up to a block, by the node's own JSON: ERC-20 transfers by block hash and log index,
/// payments by transaction.
fn of_account(
    node: &ScriptedNode,
    account: &str,
    last: u64,
) -> (BTreeSet<(B256, u32)>, BTreeSet<B256>) {
    let (mut transfers, mut native) = (BTreeSet::new(), BTreeSet::new());
    let word = format!("0x{}{}", "0".repeat(24), account.trim_start_matches("0x"));
    for block in node.chain().blocks().iter().filter(|block| block.number <= last) {
        let logs = block.logs().map(|log| serde_json::from_str::<Value>(log).unwrap());
        let names = |log: &Value| log["topics"].as_array().unwrap().contains(&json!(word));
        transfers.extend(logs.filter(names).filter_map(|log| transfer_of(&log)));
        let whole: Value = serde_json::from_str(block.full_json()).unwrap();
        for transaction in whole["transactions"].as_array().unwrap() {
            let is_party = [&transaction["from"], &transaction["to"]].contains(&&json!(account));
            if is_party && transaction["value"] != "0x0" {
                native.insert(transaction["hash"].as_str().unwrap().parse().unwrap());
            }
        }
    }
    (transfers, native)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_of_one_address_comes_alone_and_labelled() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(88);
    push_new(&node, &mut blocks, 400);
    let config = ChainConfig { start: Start::Latest, ..chain_config(&[node.ws_url()]) };
    let producer = start_evm(&broker.nats, config);
    broker.at_head(node.chain()).await;
    let first: Value = serde_json::from_str(node.chain().block(1).unwrap().full_json()).unwrap();
    let account = first["transactions"][0]["from"].as_str().unwrap().to_lowercase();
    let address = account.parse().unwrap();
    let (transfers, native) = of_account(&node, &account, 396);
    assert!(transfers.len() > 20 && native.len() > 5 && transfers.len() < 2_400 / 2);
    let entry = WatchEntry { label: Some("ours".to_owned()), ..WatchEntry::default() };
    let list = Watchlist::open(&broker.nats).await.unwrap();
    list.add(&WatchChain::All, &address, entry).await.unwrap();
    let gaps = gaps(&broker).await;
    let wanted = Gap { address: Some(account.clone()), ..Gap::new(1, 396, GapReason::Watch) };
    gaps.queue_gap(wanted.clone()).await.unwrap();
    until_filled(&broker).await;
    let found = past(&broker).await;
    assert_same_set(transfers.iter().copied(), found.transfers.iter().copied());
    assert!(found.native.is_subset(&native), "and payments in the same blocks");
    assert_eq!(found.partial, found.blocks.len() as u64, "the rest of these blocks is elsewhere");
    assert!(found.blocks.len() < 396, "blocks without it are not published");
    assert_eq!(found.labels, BTreeSet::from([vec!["ours".to_owned()]]));
    // Payments have no logs: all of them are found only by looking into every block.
    gaps.queue_gap(Gap { every_block: true, ..wanted }).await.unwrap();
    until_filled(&broker).await;
    let found = past(&broker).await;
    assert_same_set(native, found.native);
    assert_same_set(transfers, found.transfers);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_of_an_address_is_not_believed_of_an_endpoint_that_has_pruned_it() {
    // Detected by the filters of sampled blocks, and by another operator's answer.
    for check_logs in [LogProof::Presence, LogProof::Off] {
        let (broker, pruned) = (Broker::start().await, node().await);
        let whole = node_of(pruned.chain().clone()).await;
        let mut blocks = generator(29);
        push_new(&pruned, &mut blocks, 60);
        let account = {
            let block = &pruned.chain().blocks()[4];
            let log: Value = serde_json::from_str(block.logs().next().unwrap()).unwrap();
            format!("0x{}", &log["topics"][1].as_str().unwrap()[26..])
        };
        pruned.answer_empty_logs(true);
        let mut config = chain_config(&[pruned.ws_url(), whole.ws_url()]);
        (config.start, config.check_logs) = (Start::Latest, check_logs);
        let producer = start_evm(&broker.nats, config);
        eventually(async || (whole.head_subscriptions() > 0).then_some(())).await;
        let address = Some(account.clone());
        let wanted = Gap { address, ..Gap::new(1, 20, GapReason::Watch) };
        gaps(&broker).await.queue_gap(wanted).await.unwrap();
        until_filled(&broker).await;
        let (transfers, _) = of_account(&pruned, &account, 20);
        let found = past(&broker).await;
        assert!(found.blocks.contains_key(&5));
        assert_same_set(transfers, found.transfers);
        assert!(producer.metric("crypto_intel_evm_untrue_answers_total", &["node0"]) >= 1.0);
        producer.stop().await;
    }
}
