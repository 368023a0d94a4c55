//! When balances are read, and of what.

use std::collections::BTreeSet;

use crypto_intel_evm::{ChainConfig, Watchlist};
use crypto_intel_nats::Nats;
use crypto_intel_sandbox::node::{NodeBlock, Synthetic, SyntheticOptions};
use crypto_intel_schemas::{Address, Balance, Event, WatchChain, WatchEntry, Watched};
use crypto_intel_testkit::{Broker, eventually, messages};
use serde_json::Value;

use crate::harness::{CHAIN, CHAIN_ID, Replay as _, chain_config, node, push, start_evm};

const BEHIND: usize = 400;

async fn balances(nats: &Nats) -> Vec<Balance> {
    let prefix = format!("balance.{CHAIN}.");
    let found = messages(nats, "EVM").await;
    let found = found.iter().filter(|message| message.subject.starts_with(&prefix));
    let balances = found.map(|message| match Event::decode(&message.payload) {
        Ok(Event::Balance(balance)) => balance,
        other => panic!("no balance: {other:?}"),
    });
    balances.collect()
}

/// Both parties of the tokens' transfers in a block.
fn parties(block: &NodeBlock) -> BTreeSet<Address> {
    let party = |topic: &Value| topic.as_str().unwrap()[26..].parse::<Address>().unwrap();
    let logs = block.logs().map(|log| serde_json::from_str::<Value>(log).unwrap());
    logs.flat_map(|log| [party(&log["topics"][1]), party(&log["topics"][2])]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_catches_up_first_and_what_was_touched_meanwhile_is_read() {
    // So many accounts that those of the first block do not appear again.
    let options = SyntheticOptions {
        seed: 31,
        chain_id: CHAIN_ID,
        transfers_per_block: 2,
        accounts: 50_000,
        ..SyntheticOptions::default()
    };
    let token = format!("{:#x}", options.tokens[0]);
    let mut generator = Synthetic::new(options);
    let blocks: Vec<NodeBlock> = (0..BEHIND).map(|_| generator.next_block()).collect();
    let wallets = parties(&blocks[0]);
    assert!(blocks[1..].iter().all(|block| parties(block).is_disjoint(&wallets)));

    let broker = Broker::start().await;
    let watched = wallets.iter().map(|address| {
        let entry = WatchEntry::default();
        Watched { chain: WatchChain::All, address: (*address).into(), entry }
    });
    let list = Watchlist::open(&broker.nats).await.unwrap();
    list.add_all(watched.collect()).await.unwrap();
    let node = node().await;
    node.set_answer("eth_getBalance", "\"0x5\"");
    push(&node, blocks);
    let config = ChainConfig { catch_up_blocks: 0, ..chain_config(&[node.ws_url()]) };
    let producer = start_evm(&broker.nats, config);
    broker.at_head(node.chain()).await;
    let read = eventually(async || {
        let read = balances(&broker.nats).await;
        let of_token = read.iter().filter(|balance| balance.asset == token);
        let holders: BTreeSet<Address> = of_token.map(|balance| balance.address).collect();
        (holders == wallets).then_some(read)
    })
    .await;
    assert!(read.iter().all(|balance| balance.block_number + 16 >= BEHIND as u64), "{read:?}");
    producer.stop().await;
}
