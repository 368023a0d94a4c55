//! A narrow scope at endpoints that leave logs out.

use std::{collections::BTreeSet, time::Duration};

use crypto_intel_evm::{ChainConfig, LogProof, ScopeConfig, TransactionsMode, Watchlist};
use crypto_intel_nats::Bucket;
use crypto_intel_schemas::{Address, B256, Event, Kind, WatchChain, WatchEntry};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};

use crate::{
    harness::{CHAIN, Replay as _, chain_config, generator, node, node_of, push_new, start_evm},
    stream::{Replayed, transfers_of},
};

fn narrow(urls: &[String]) -> ChainConfig {
    ChainConfig {
        catch_up_blocks: 50,
        check_logs: LogProof::ReceiptsRoot,
        scope: ScopeConfig { kinds: vec!["transfer.erc20".to_owned()], ..ScopeConfig::default() },
        ..chain_config(urls)
    }
}

async fn past_transfers(broker: &Broker) -> BTreeSet<(B256, u32)> {
    let messages = broker.messages("HISTORY").await;
    let transfers = messages.iter().filter_map(|message| match Event::decode(&message.payload) {
        Ok(Event::Erc20Transfer(transfer)) => Some((transfer.block_hash, transfer.log_index)),
        _ => None,
    });
    transfers.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_an_endpoint_leaves_out_of_a_range_come_from_another_one() {
    let (broker, liar) = (Broker::start().await, node().await);
    let honest = node_of(liar.chain().clone()).await;
    liar.chain().follow_finality(2, 4);
    liar.omit_last_logs(true);
    let mut blocks = generator(91);
    push_new(&liar, &mut blocks, 300);
    let producer = start_evm(&broker.nats, narrow(&[liar.ws_url(), honest.ws_url()]));
    let chain = liar.chain();
    let wanted = transfers_of(chain.blocks().iter().map(AsRef::as_ref));
    eventually(async || past_transfers(&broker).await.len() >= 296 * 6).await;
    let live = broker.at_head(chain).await;
    let live: BTreeSet<_> = live.transfers().clone();
    let all: BTreeSet<_> = live.union(&past_transfers(&broker).await).copied().collect();
    let final_blocks: BTreeSet<_> =
        chain.blocks().iter().filter(|b| b.number <= 296).map(|b| b.hash).collect();
    assert_same_set(
        wanted.into_iter().filter(|(hash, _)| final_blocks.contains(hash)),
        all.into_iter().filter(|(hash, _)| final_blocks.contains(hash)),
    );
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_blocks_of_a_narrow_scope_are_headers_and_filtered_logs_and_survive_reorgs() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(92);
    push_new(&node, &mut blocks, 5);
    let producer = start_evm(&broker.nats, narrow(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    push_new(&node, &mut blocks, 5);
    node.reorg(3, blocks.fork(3, 5)).unwrap();
    push_new(&node, &mut blocks, 2);
    let replayed = broker.at_head(node.chain()).await;
    let blocks = node.chain().blocks();
    assert_same_set(transfers_of(blocks.iter().map(AsRef::as_ref)), replayed.transfers());
    assert_eq!(replayed.count(Kind::NativeTransfer), 0);
    assert_eq!(node.calls("eth_getBlockReceipts"), 0);
    for (_, marker) in replayed.markers.iter().filter(|(_, marker)| !marker.removed) {
        assert_eq!(marker.scope_version, Some(1));
        assert_eq!(marker.unverified, ["filtered_logs"], "what is not proven is said");
        assert_eq!((marker.transactions, marker.rows, marker.covers_from), (8, 6, None));
    }
    let bucket = broker.nats.kv(Bucket::Cursors).await.unwrap();
    let record = bucket.get(&format!("scope.{CHAIN}")).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&record.value).contains("\"live_from\":1"));
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_live_block_in_64_is_compared_with_the_whole_block() {
    let (broker, liar) = (Broker::start().await, node().await);
    let honest = node_of(liar.chain().clone()).await;
    liar.omit_last_logs(true);
    let mut blocks = generator(93);
    push_new(&liar, &mut blocks, 64);
    // The honest one is asked only where the first one fails a check.
    honest.delay_answers(Some(Duration::from_millis(20)));
    let config = ChainConfig { catch_up_blocks: 0, ..narrow(&[liar.ws_url(), honest.ws_url()]) };
    let producer = start_evm(&broker.nats, config);
    let live = broker.at_head(liar.chain()).await;
    let compared = liar.chain().block(64).unwrap();
    let published = live.transfers().into_iter().filter(|(hash, _)| *hash == compared.hash);
    assert_same_set(transfers_of([compared.as_ref()]), published.collect::<Vec<_>>());
    let untrue = producer.metric("crypto_intel_evm_untrue_answers_total", &["any"]);
    assert_eq!(untrue, 1.0, "it was found by that comparison");
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_block_a_header_proves_that_nothing_is_there() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(94);
    push_new(&node, &mut blocks, 200);
    let mut config = narrow(&[node.ws_url()]);
    config.scope.contracts = vec![Address::repeat_byte(0x77).to_string()];
    config.scope.every_block = true;
    let producer = start_evm(&broker.nats, config);
    let markers = eventually(async || {
        let past = broker.messages("HISTORY").await;
        let markers = past.iter().filter_map(|message| match Event::decode(&message.payload) {
            Ok(Event::Block(marker)) => Some(marker),
            _ => None,
        });
        let markers: Vec<_> = markers.collect();
        (markers.len() == 196).then_some(markers)
    })
    .await;
    let proven = markers.iter().filter(|marker| marker.unverified.is_empty()).count();
    assert!(proven > 190, "a filter of a few logs seldom has room for another: {proven}");
    assert!(markers.iter().all(|marker| marker.covers_from.is_none() && marker.rows == 0));
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_watched_only_every_event_is_published_that_touches_a_watched_address() {
    let (broker, all, node) = (Broker::start().await, Broker::start().await, node().await);
    let mut blocks = generator(95);
    push_new(&node, &mut blocks, 40);
    // The watch-list is another broker's: all transactions are there to choose from.
    let transactions = TransactionsMode::All;
    let wide = ChainConfig { transactions, ..chain_config(&[node.ws_url()]) };
    let wide = start_evm(&all.nats, wide);
    let everything = all.at_head(node.chain()).await;
    let address = everything.erc20().next().unwrap().from;
    let list = Watchlist::open(&broker.nats).await.unwrap();
    list.add(&WatchChain::All, &address.into(), WatchEntry::default()).await.unwrap();
    let scope = ScopeConfig { watched_only: true, ..ScopeConfig::default() };
    let watched = ChainConfig { scope, ..chain_config(&[node.ws_url()]) };
    let producer = start_evm(&broker.nats, watched);
    let touched = broker.at_head(node.chain()).await;
    let ids = |replayed: &Replayed, wanted: &dyn Fn(&Event) -> bool| -> BTreeSet<String> {
        replayed.live().filter(|event| wanted(event)).map(|event| event.id().to_owned()).collect()
    };
    let is_wanted = |event: &Event| event.touched().iter().any(|found| found == &address);
    let expected = ids(&everything, &is_wanted);
    assert!((1..40 * 8).contains(&expected.len()), "{}", expected.len());
    assert!(expected.iter().any(|id| id.contains(":transaction:")), "{expected:?}");
    assert_same_set(expected, ids(&touched, &|_| true));
    wide.stop().await;
    producer.stop().await;
}
