//! A real node: anvil, its own reorganisations, and its own `eth_getLogs` as the truth.

use std::collections::BTreeSet;

use crypto_intel_evm::Start;
use crypto_intel_sandbox::{Anvil, AnvilOptions, evm::Contracts};
use crypto_intel_schemas::{Address, B256, Event, Kind};
use crypto_intel_testkit::{Broker, anvil, assert_same_set, eventually};
use serde_json::{Value, json};

use crate::{
    harness::{Replay as _, chain_config, start_evm},
    stream::{Replayed, transfer_of},
};

async fn logs(node: &Anvil) -> BTreeSet<(B256, u32)> {
    let filter = json!([{ "fromBlock": "0x0", "toBlock": "latest" }]);
    let logs: Vec<Value> =
        serde_json::from_value(node.rpc().call("eth_getLogs", filter).await.unwrap()).unwrap();
    logs.iter().filter_map(transfer_of).collect()
}

async fn head(node: &Anvil) -> B256 {
    let block = node.rpc().call("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    block["hash"].as_str().unwrap().parse().unwrap()
}

async fn caught_up(broker: &Broker, node: &Anvil) -> Replayed {
    eventually(async || {
        let replayed = broker.replay().await;
        (replayed.top() == Some(head(node).await)).then_some(replayed)
    })
    .await
}

async fn send(node: &Anvil, transaction: Value) {
    node.rpc().call("eth_sendTransaction", json!([transaction])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_reorgs_end_on_the_nodes_own_logs() {
    let Some(node) = anvil(AnvilOptions::default()).await else { return };
    let broker = Broker::start().await;
    let accounts: Vec<Address> =
        node.accounts().await.unwrap().iter().map(|text| text.parse().unwrap()).collect();
    let (alice, bob) = (accounts[0], accounts[1]);
    let contracts = Contracts::deploy(node.rpc(), alice).await.unwrap();
    let mut config = chain_config(&[node.ws_url()]);
    config.start = Start::Number(0);
    let producer = start_evm(&broker.nats, config);
    send(&node, contracts.mint(alice, alice, 1_000_000_000)).await;
    for _ in 0..6 {
        send(&node, contracts.transfer(alice, bob, 1_000)).await;
        send(&node, contracts.burst(alice, 5)).await;
        send(&node, contracts.approve(alice, bob, 7)).await;
        send(&node, json!({ "from": alice, "to": bob, "value": "0x1" })).await;
    }
    let replayed = caught_up(&broker, &node).await;
    assert_same_set(logs(&node).await, replayed.transfers());
    assert_eq!(replayed.count(Kind::ContractCreation), 2);
    assert_eq!(replayed.count(Kind::NativeTransfer), 6);
    assert_eq!(replayed.count(Kind::Approval), 6);
    assert!(replayed.erc20().all(|transfer| transfer.tx_from == Some(alice)));
    for depth in [1, 3] {
        let new = [(contracts.transfer(alice, bob, 5), 0), (contracts.burst(alice, 3), depth - 1)];
        node.reorg(depth, &new).await.unwrap();
        send(&node, contracts.transfer(alice, bob, 6)).await;
        let replayed = caught_up(&broker, &node).await;
        let event = replayed.reorgs.last().unwrap();
        assert_eq!(u64::from(event.depth), depth);
        assert_same_set(logs(&node).await, replayed.transfers());
    }
    let replayed = broker.replay().await;
    let block = replayed.live().find(|event| matches!(event, Event::ContractCreation(_)));
    assert!(block.is_some(), "what was below the reorgs stays");
    producer.stop().await;
}
