//! Configured ABIs, factories and payments inside contracts, on anvil with small contracts of our own.

use std::collections::{BTreeMap, BTreeSet};

use crypto_intel_evm::{AbiConfig, FactoryConfig, Start, TracesMode};
use crypto_intel_nats::{StreamOverride, TopologyConfig};
use crypto_intel_sandbox::{Anvil, AnvilOptions};
use crypto_intel_schemas::{Address, Event, EventFields, U256};
use crypto_intel_testkit::{Broker, anvil, eventually, small_topology};
use serde_json::{Value, json};

use crate::{
    harness::{CHAIN, Replay as _, chain_config, node, push_new, start_evm},
    stream::Replayed,
};

/// Pays what it is sent to the address in its input.
const FORWARDER: &str = "6000600060006000346000355af100";
/// Emits a log: the first word of its input is the topic, the second the data.
const EMITTER: &str = "60203560005260003560206000a100";

/// Deploys 15 bytes of code.
async fn deploy(node: &Anvil, from: Address, code: &str) -> Address {
    let data = format!("0x600f80600b6000396000f3{code}");
    let receipt = send(node, json!({ "from": from, "data": data })).await;
    receipt["contractAddress"].as_str().unwrap().parse().unwrap()
}

async fn send(node: &Anvil, transaction: Value) -> Value {
    let hash = node.rpc().call("eth_sendTransaction", json!([transaction])).await.unwrap();
    eventually(async || {
        let receipt = node.rpc().call("eth_getTransactionReceipt", json!([hash])).await.unwrap();
        (!receipt.is_null()).then_some(receipt)
    })
    .await
}

async fn caught_up(broker: &Broker, node: &Anvil) -> Replayed {
    eventually(async || {
        let head = node.rpc().call("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
        let replayed = broker.replay().await;
        let top = replayed.top().map(|hash| format!("{hash:#x}"));
        (top.as_deref() == head["hash"].as_str()).then_some(replayed)
    })
    .await
}

async fn account(node: &Anvil) -> Address {
    node.accounts().await.unwrap()[0].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_inside_contracts_come_from_traces() {
    for mode in [TracesMode::TraceBlock, TracesMode::Debug] {
        let Some(node) = anvil(AnvilOptions::default()).await else { return };
        let broker = Broker::start().await;
        let alice = account(&node).await;
        let forwarder = deploy(&node, alice, FORWARDER).await;
        // It accepts no value: a payment to it is reverted, inside a transaction that succeeds.
        let refusing = deploy(&node, alice, "60006000fd0000000000000000000f").await;
        let friend = Address::repeat_byte(0xfe);
        for (to, value) in [(friend, 7), (refusing, 100), (friend, 35)] {
            let data = to.into_word();
            send(&node, json!({ "from": alice, "to": forwarder, "value": format!("{value:#x}"), "data": data })).await;
        }
        let mut config = chain_config(&[node.ws_url()]);
        config.start = Start::Number(0);
        config.traces = mode;
        let producer = start_evm(&broker.nats, config);
        let replayed = caught_up(&broker, &node).await;
        let mut paid: Vec<_> = replayed
            .live()
            .filter_map(|event| match event {
                Event::InternalTransfer(body) => Some((body.from, body.to, body.value.0)),
                _ => None,
            })
            .collect();
        paid.sort_unstable();
        let expected = [7, 35].map(|value| (forwarder, friend, U256::from(value)));
        assert_eq!(paid, expected, "{mode:?}");
        let balance = node.rpc().call("eth_getBalance", json!([friend, "latest"])).await.unwrap();
        assert_eq!(balance, "0x2a", "the node's own balance");
        let ids: BTreeSet<&str> = replayed.live().map(Event::id).collect();
        assert_eq!(ids.len(), replayed.live().count());
        producer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_say_when_no_endpoint_offers_traces() {
    let broker = Broker::start().await;
    let node = node().await;
    push_new(&node, &mut crate::harness::generator(5), 3);
    let mut config = chain_config(&[node.http_url()]);
    config.traces = TracesMode::TraceBlock;
    let producer = start_evm(&broker.nats, config);
    broker.at_head(node.chain()).await;
    let subject = format!("evm.{}.block", crate::harness::CHAIN);
    let last = broker.nats.last_on_subject("EVM", &subject).await.unwrap().unwrap();
    let Event::Block(marker) = Event::decode(&last.payload).unwrap() else { panic!("no marker") };
    assert_eq!(marker.unverified, ["traces"]);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_that_a_factory_made_are_known_after_a_restart() {
    let Some(node) = anvil(AnvilOptions::default()).await else { return };
    let broker = Broker::start().await;
    let alice = account(&node).await;
    let factory = deploy(&node, alice, EMITTER).await;
    let child = deploy(&node, alice, EMITTER).await;
    let stranger = deploy(&node, alice, EMITTER).await;
    let emit = async |contract: Address, signature: &str, data: U256| {
        let topic = alloy_primitives::keccak256(signature);
        let input = format!("{topic:#x}{data:064x}");
        send(&node, json!({ "from": alice, "to": contract, "data": input })).await;
    };
    let made = U256::from_be_bytes(child.into_word().0);
    let mut config = chain_config(&[node.ws_url()]);
    config.start = Start::Number(0);
    config.abis = vec![AbiConfig {
        name: "shop.v1".into(),
        events: vec!["event PaidOut(uint256 amount)".into()],
        factory: Some(FactoryConfig {
            contract: factory.to_string(),
            event: "event Made(address child)".into(),
            field: "child".into(),
            since: 0,
        }),
        ..AbiConfig::default()
    }];
    let producer = start_evm(&broker.nats, config.clone());
    emit(child, "PaidOut(uint256)", U256::from(1)).await;
    emit(factory, "Made(address)", made).await;
    emit(child, "PaidOut(uint256)", U256::from(2)).await;
    emit(stranger, "PaidOut(uint256)", U256::from(3)).await;
    caught_up(&broker, &node).await;
    producer.stop().await;
    emit(child, "PaidOut(uint256)", U256::from(4)).await;
    let producer = start_evm(&broker.nats, config);
    let replayed = caught_up(&broker, &node).await;
    let mut fields: Vec<EventFields> = replayed
        .live()
        .filter_map(|event| match event {
            Event::ContractEvent(body) => {
                assert_eq!((body.abi.as_str(), body.name.as_str()), ("shop.v1", "PaidOut"));
                assert_eq!(body.address, child);
                Some(body.fields.clone())
            }
            _ => None,
        })
        .collect();
    fields.sort_by_key(EventFields::to_json_text);
    assert_eq!(fields, ["2", "4"].map(|amount| EventFields::from([("amount", amount.into())])));
    let subject = format!("evm.{}.event.paid_out", crate::harness::CHAIN);
    assert!(broker.nats.last_on_subject("EVM", &subject).await.unwrap().is_some());
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_created_before_the_chain_was_followed_are_searched_for() {
    let Some(node) = anvil(AnvilOptions::default()).await else { return };
    let broker = Broker::start().await;
    let alice = account(&node).await;
    let factory = deploy(&node, alice, EMITTER).await;
    let child = deploy(&node, alice, EMITTER).await;
    let emit = async |contract: Address, signature: &str, data: U256| {
        let topic = alloy_primitives::keccak256(signature);
        let input = format!("{topic:#x}{data:064x}");
        send(&node, json!({ "from": alice, "to": contract, "data": input })).await;
    };
    emit(factory, "Made(address)", U256::from_be_bytes(child.into_word().0)).await;
    node.mine(5).await.unwrap();
    let head = node.rpc().call("eth_blockNumber", json!([])).await.unwrap();
    let head = u64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let mut config = chain_config(&[node.ws_url()]);
    config.start = Start::Number(head + 1);
    config.finality_depth = 2;
    config.finality_tags = false;
    config.abis = vec![AbiConfig {
        name: "shop.v1".into(),
        events: vec!["event PaidOut(uint256 amount)".into()],
        factory: Some(FactoryConfig {
            contract: factory.to_string(),
            event: "event Made(address child)".into(),
            field: "child".into(),
            since: 1,
        }),
        ..AbiConfig::default()
    }];
    // The first blocks may be published before the contract is found: then the history lane has its events.
    let producer = start_evm(&broker.nats, config.clone());
    for amount in 1..=4 {
        emit(child, "PaidOut(uint256)", U256::from(amount)).await;
    }
    node.mine(5).await.unwrap();
    let paid_out = async || {
        let mut amounts = BTreeSet::new();
        for stream in ["EVM", "HISTORY"] {
            for message in broker.messages(stream).await {
                if let Event::ContractEvent(body) = Event::decode(&message.payload).unwrap() {
                    assert_eq!((body.name.as_str(), body.address), ("PaidOut", child));
                    amounts.insert(body.fields.to_json_text());
                }
            }
        }
        amounts
    };
    eventually(async || paid_out().await.len() == 4).await;
    producer.stop().await;
    // Once found, the contract is remembered.
    let producer = start_evm(&broker.nats, config);
    emit(child, "PaidOut(uint256)", U256::from(5)).await;
    eventually(async || paid_out().await.len() == 5).await;
    producer.stop().await;
}

/// `shop.v1`: payments out of any contract that the factory created.
fn shop(factory: Address, since: u64) -> Vec<AbiConfig> {
    vec![AbiConfig {
        name: "shop.v1".into(),
        events: vec!["event PaidOut(uint256 amount)".into()],
        factory: Some(FactoryConfig {
            contract: factory.to_string(),
            event: "event Made(address child)".into(),
            field: "child".into(),
            since,
        }),
        ..AbiConfig::default()
    }]
}

async fn emit(node: &Anvil, from: Address, contract: Address, signature: &str, data: U256) {
    let topic = alloy_primitives::keccak256(signature);
    let input = format!("{topic:#x}{data:064x}");
    send(node, json!({ "from": from, "to": contract, "data": input })).await;
}

fn paid_out(replayed: &Replayed) -> Vec<String> {
    let amounts = replayed.live().filter_map(|event| match event {
        Event::ContractEvent(body) => Some(body.fields.to_json_text()),
        _ => None,
    });
    amounts.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_that_an_older_version_kept_are_known() {
    let Some(node) = anvil(AnvilOptions::default()).await else { return };
    let broker = Broker::start().await;
    let alice = account(&node).await;
    let factory = deploy(&node, alice, EMITTER).await;
    let (first, second) =
        (deploy(&node, alice, EMITTER).await, deploy(&node, alice, EMITTER).await);
    let cursors = broker.nats.kv(crypto_intel_nats::Bucket::Cursors).await.unwrap();
    cursors.put(&format!("factory.{CHAIN}.shop.v1.{first:#x}"), "0").await.unwrap();
    let found = serde_json::to_vec(&[(second, 0)]).unwrap();
    cursors.put(&format!("factory_found.{CHAIN}.shop.v1.{:020}", 0), found).await.unwrap();
    let mut config = chain_config(&[node.ws_url()]);
    config.start = Start::Number(0);
    config.abis = shop(factory, 0);
    let producer = start_evm(&broker.nats, config);
    emit(&node, alice, first, "PaidOut(uint256)", U256::from(1)).await;
    emit(&node, alice, second, "PaidOut(uint256)", U256::from(2)).await;
    assert_eq!(paid_out(&caught_up(&broker, &node).await).len(), 2);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_bucket_of_contracts_stops_no_chain() {
    let Some(node) = anvil(AnvilOptions::default()).await else { return };
    let broker = Broker::start().await;
    let no_room = StreamOverride { max_bytes: Some(1), ..StreamOverride::default() };
    let streams = BTreeMap::from([("KV_contracts".to_owned(), no_room)]);
    let config = TopologyConfig { replicas: None, streams };
    let topology = small_topology().with_config(&config).unwrap();
    topology.apply(&broker.nats, true).await.unwrap();
    let alice = account(&node).await;
    let factory = deploy(&node, alice, EMITTER).await;
    let child = deploy(&node, alice, EMITTER).await;
    let mut config = chain_config(&[node.ws_url()]);
    config.start = Start::Number(0);
    config.abis = shop(factory, 0);
    let producer = start_evm(&broker.nats, config);
    caught_up(&broker, &node).await;
    let made = U256::from_be_bytes(child.into_word().0);
    emit(&node, alice, factory, "Made(address)", made).await;
    emit(&node, alice, child, "PaidOut(uint256)", U256::from(1)).await;
    assert_eq!(paid_out(&caught_up(&broker, &node).await).len(), 1);
    // Once there is room, it is saved together with the next contract.
    small_topology().apply(&broker.nats, false).await.unwrap();
    emit(&node, alice, factory, "Made(address)", U256::from_be_bytes(alice.into_word().0)).await;
    caught_up(&broker, &node).await;
    let contracts = broker.nats.kv(crypto_intel_nats::Bucket::Contracts).await.unwrap();
    let kept = contracts.entries(&format!("{CHAIN}.")).await.unwrap();
    // Address and block number each; a search of the past may have found the first one, too.
    let saved: BTreeSet<Address> = kept
        .iter()
        .flat_map(|(_, entry)| entry.value.chunks(28))
        .map(|contract| Address::from_slice(&contract[..20]))
        .collect();
    assert_eq!(saved, BTreeSet::from([child, alice]), "{kept:?}");
    producer.stop().await;
}
