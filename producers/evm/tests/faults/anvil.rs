//! The core cases on a real node with its own reorganisations; the truth is its own `eth_getLogs`.

use std::{collections::BTreeSet, time::Duration};

use crypto_intel_sandbox::{Anvil, AnvilOptions, evm::Contracts};
use crypto_intel_schemas::{Address, B256};
use crypto_intel_testkit::{Broker, SeededRandom, anvil, assert_same_set, eventually};
use serde_json::{Value, json};

use crate::{
    harness::{Replay as _, chain_config, start_evm},
    process::start,
    scenario::pass,
    stream::{Replayed, transfer_of},
};

/// A node with contracts, accounts that use them, and a broker.
struct RealWorld {
    broker: Broker,
    node: Anvil,
    contracts: Contracts,
    alice: Address,
    bob: Address,
}

impl RealWorld {
    async fn start() -> Option<Self> {
        let node = anvil(AnvilOptions::default()).await?;
        let broker = Broker::start().await;
        let accounts = node.accounts().await.unwrap();
        let (alice, bob) = (accounts[0].parse().unwrap(), accounts[1].parse().unwrap());
        let contracts = Contracts::deploy(node.rpc(), alice).await.unwrap();
        node.send(&contracts.mint(alice, alice, 1_000_000_000)).await.unwrap();
        Some(Self { broker, node, contracts, alice, bob })
    }

    /// Blocks with one and with many transfers.
    async fn trade(&self, blocks: u32) {
        for units in 0..blocks {
            let transfer = self.contracts.transfer(self.alice, self.bob, 1 + u128::from(units));
            self.node.send(&transfer).await.unwrap();
            if units % 3 == 0 {
                self.node.send(&self.contracts.burst(self.alice, 5)).await.unwrap();
            }
        }
    }

    /// Replaces the newest blocks by as many others, with other transfers in the first and last.
    async fn reorg(&self, depth: u64) {
        let first = (self.contracts.transfer(self.alice, self.bob, 777), 0);
        let last = (self.contracts.burst(self.alice, 3), depth - 1);
        self.node.reorg(depth, &[first, last]).await.unwrap();
    }

    /// Waits until the node's head is published, and compares with what the node itself has.
    async fn is_exact(&self) -> Replayed {
        self.trade(1).await;
        let (mut hashes, mut head) = (Vec::new(), 0);
        while hashes.len() as u64 <= head {
            let number = format!("{:#x}", hashes.len());
            let block =
                self.node.rpc().call("eth_getBlockByNumber", json!([number, false])).await.unwrap();
            hashes.push(block["hash"].as_str().unwrap().parse::<B256>().unwrap());
            head = self.node.block_number().await.unwrap();
        }
        let replayed = eventually(async || {
            let replayed = self.broker.replay().await;
            (replayed.top() == hashes.last().copied()).then_some(replayed)
        })
        .await;
        // Folding begins at the first block after genesis.
        let stack = replayed.stack.iter().map(|marker| marker.block_hash);
        assert_same_set(hashes.into_iter().skip(1), stack);
        assert_same_set(self.transfers().await, replayed.transfers());
        replayed
    }

    async fn transfers(&self) -> BTreeSet<(B256, u32)> {
        let filter = json!([{ "fromBlock": "0x0", "toBlock": "latest" }]);
        let answer = self.node.rpc().call("eth_getLogs", filter).await.unwrap();
        let logs: Vec<Value> = serde_json::from_value(answer).unwrap();
        logs.iter().filter_map(transfer_of).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anvil_reorg_of_depth_1_3_and_10_and_during_a_restart() {
    let Some(mut scenario) = RealWorld::start().await else { return };
    let config = chain_config(&[scenario.node.ws_url()]);
    let mut producer = start_evm(&scenario.broker.nats, config.clone());
    scenario.trade(12).await;
    scenario.is_exact().await;
    for depth in [1, 3, 10] {
        scenario.reorg(depth).await;
        let replayed = scenario.is_exact().await;
        assert_eq!(u64::from(replayed.reorgs.last().unwrap().depth), depth);
    }
    for depth in [2, 5] {
        scenario.trade(3).await;
        scenario.is_exact().await;
        producer.stop().await;
        scenario.reorg(depth).await;
        producer = start_evm(&scenario.broker.nats, config.clone());
        scenario.is_exact().await;
    }
    for depth in [1, 4] {
        scenario.broker.server.kill().unwrap();
        scenario.trade(2).await;
        scenario.reorg(depth).await;
        scenario.broker.server.start_again().await.unwrap();
        scenario.is_exact().await;
    }
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anvil_reorg_while_the_producer_is_killed_again_and_again() {
    let Some(scenario) = RealWorld::start().await else { return };
    let mut random = SeededRandom::from_environment();
    let nats_url = scenario.broker.server.url();
    let urls = [scenario.node.ws_url()];
    scenario.trade(12).await;
    for round in 0..6_u64 {
        let mut process = start(&nats_url, &urls, &format!("killed-{round}"));
        // The lease of the previous process has to expire first.
        pass(Duration::from_secs(4)).await;
        scenario.trade(3).await;
        scenario.reorg(1 + round % 5).await;
        random.pause_ms(10..2_500).await;
        assert!(!process.has_ended(), "it ended by itself in round {round}");
        process.kill();
    }
    let process = start(&nats_url, &urls, "last");
    scenario.is_exact().await;
    drop(process);
}
