//! When balances are read.

use crypto_intel_evm::{ChainConfig, Watchlist};
use crypto_intel_nats::Nats;
use crypto_intel_schemas::{Address, Event, WatchChain, WatchEntry, Watched};
use crypto_intel_testkit::{Broker, eventually, messages};

use crate::harness::{CHAIN, Replay as _, chain_config, generator, node, push_new, start_evm};

const WALLET: Address = Address::repeat_byte(0x77);
const BEHIND: usize = 400;

/// The blocks at which balances were read, in the order of the stream.
async fn read_at(nats: &Nats) -> Vec<u64> {
    let prefix = format!("balance.{CHAIN}.");
    let found = messages(nats, "EVM").await;
    let found = found.iter().filter(|message| message.subject.starts_with(&prefix));
    let blocks = found.map(|message| match Event::decode(&message.payload) {
        Ok(Event::Balance(balance)) => balance.block_number,
        other => panic!("no balance: {other:?}"),
    });
    blocks.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_catches_up_first() {
    let broker = Broker::start().await;
    let entry = WatchEntry::default();
    let watched = Watched { chain: WatchChain::All, address: WALLET.into(), entry };
    Watchlist::open(&broker.nats).await.unwrap().add_all(vec![watched]).await.unwrap();
    let node = node().await;
    node.set_answer("eth_getBalance", "\"0x5\"");
    push_new(&node, &mut generator(31), BEHIND);
    let config = ChainConfig { catch_up_blocks: 0, ..chain_config(&[node.ws_url()]) };
    let producer = start_evm(&broker.nats, config);
    broker.at_head(node.chain()).await;
    let blocks = eventually(async || {
        let blocks = read_at(&broker.nats).await;
        (!blocks.is_empty()).then_some(blocks)
    })
    .await;
    assert!(blocks.iter().all(|block| *block + 64 >= BEHIND as u64), "{blocks:?}");
    producer.stop().await;
}
