//! A narrow scope at endpoints that leave logs out.

use std::collections::BTreeSet;

use crypto_intel_evm::{ChainConfig, LogProof, ScopeConfig};
use crypto_intel_nats::Bucket;
use crypto_intel_schemas::{Event, Kind};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};

use crate::{
    harness::{CHAIN, Replay as _, chain_config, generator, node, node_of, push_new, start_evm},
    stream::transfers_of,
};

fn narrow(urls: &[String]) -> ChainConfig {
    ChainConfig {
        catch_up_blocks: 50,
        check_logs: LogProof::ReceiptsRoot,
        scope: ScopeConfig { kinds: vec!["transfer.erc20".to_owned()], ..ScopeConfig::default() },
        ..chain_config(urls)
    }
}

async fn past_transfers(broker: &Broker) -> BTreeSet<(crypto_intel_schemas::B256, u32)> {
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
