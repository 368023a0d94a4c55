//! Transactions as events of their own: on recorded real blocks against another program, on anvil against the node.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crypto_intel_evm::{
    ChainConfig, L1FeeMode, Start, TransactionsMode, Watchlist, measure::Pipeline,
};
use crypto_intel_sandbox::{
    Anvil, AnvilOptions,
    node::{load_recorded, recorded_numbers},
};
use crypto_intel_schemas::{
    Address, Event, Kind, Transaction, TransactionStatus, U256, WatchChain, WatchEntry,
};
use crypto_intel_testkit::{Broker, anvil, assert_same_set, eventually, python, recorded_data};
use serde_json::{Value, json};

use crate::{
    harness::{CHAIN, Replay as _, chain_config, node, push, start_evm},
    stream::Replayed,
};

/// Fields that the other program computes as well.
const FIELDS: [&str; 25] = [
    "tx_index",
    "tx_from",
    "tx_to",
    "method",
    "nonce",
    "tx_type",
    "contract",
    "value",
    "amount",
    "input_length",
    "gas_limit",
    "gas_used",
    "gas_used_for_l1",
    "effective_gas_price",
    "max_fee_per_gas",
    "max_priority_fee_per_gas",
    "l1_fee",
    "blob_count",
    "blob_gas_used",
    "blob_gas_price",
    "fee",
    "fee_amount",
    "authorizations",
    "delegated_to",
    "status",
];

/// The event's own fields by the hash of its transaction.
fn own_fields(event: &Event) -> Option<(String, Value)> {
    if event.kind() != Kind::Transaction {
        return None;
    }
    let json = event.to_json();
    let given = FIELDS.iter().filter_map(|name| {
        let value = json.get(*name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), value.clone()))
    });
    let fields: serde_json::Map<String, Value> = given.collect();
    Some((json["tx_hash"].as_str().unwrap().to_owned(), Value::Object(fields)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_transactions_cost_what_another_program_computes() {
    let Some(data) = recorded_data() else { return };
    let Some(python) = python(&[]) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded_transactions.py");
    let (mut types, mut fees, mut unknown_fees, mut failed) = (BTreeSet::new(), 0, 0, 0);
    for entry in std::fs::read_dir(data.join("evm")).unwrap() {
        let chain = entry.unwrap().file_name().into_string().unwrap();
        let arguments = [data.as_os_str(), chain.as_ref()];
        let output = python.run_async(&script, &arguments).await.unwrap();
        let expected: BTreeMap<String, BTreeMap<String, Value>> =
            serde_json::from_str(&output).unwrap();
        let has_l1_fee = ["base", "optimism", "scroll"].iter().any(|name| chain.starts_with(name));
        let config = ChainConfig {
            transactions: TransactionsMode::All,
            l1_fee: if has_l1_fee { L1FeeMode::Required } else { L1FeeMode::Added },
            ..ChainConfig::default()
        };
        let pipeline = Pipeline::of(&chain, &config).unwrap();
        for number in recorded_numbers(&data, &chain).unwrap() {
            let block = load_recorded(&data, &chain, &[number]).unwrap().remove(0);
            let Some(expected) = expected.get(&number.to_string()) else { continue };
            let read = pipeline.read_proven(block.full_json(), block.receipts_json());
            let events = pipeline
                .events(&read.unwrap_or_else(|error| panic!("{chain} {number}: {error:#}")));
            let found: BTreeMap<String, Value> = events.iter().filter_map(own_fields).collect();
            for (hash, wanted) in expected {
                assert_eq!(found.get(hash), Some(wanted), "{chain} {number} {hash}");
                types.insert(wanted["tx_type"].as_u64().unwrap());
                fees += usize::from(wanted.get("fee").is_some());
                unknown_fees += usize::from(wanted.get("fee").is_none());
                failed += usize::from(wanted["status"] == "failed");
            }
            assert_eq!(found.len(), expected.len(), "{chain} {number}");
        }
    }
    assert_eq!(types, BTreeSet::from([0, 1, 2, 3, 4, 0x6a, 0x7e]));
    assert!(fees > 5_000 && failed > 100, "{fees} fees, {failed} failed");
    assert!(
        (10..100).contains(&unknown_fees),
        "{unknown_fees}: recordings without L1 fee or price of blobs"
    );
}

fn transactions(replayed: &Replayed) -> impl Iterator<Item = &Transaction> {
    replayed.live().filter_map(|event| match event {
        Event::Transaction(body) => Some(body),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_watched_senders_the_single_receipt_is_asked_for() {
    let Some(data) = recorded_data() else { return };
    let load = || load_recorded(&data, "ethereum", &[18_000_000]).unwrap().remove(0);
    let whole: Value = serde_json::from_str(load().full_json()).unwrap();
    let receipts: Vec<Value> = serde_json::from_str(load().receipts_json()).unwrap();
    // A call without value: no other event needs its receipt.
    let place = whole["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .position(|transaction| transaction["value"] == "0x0" && !transaction["to"].is_null());
    let place = place.unwrap();
    let sender: Address = receipts[place]["from"].as_str().unwrap().parse().unwrap();
    let hash = receipts[place]["transactionHash"].as_str().unwrap();
    for knows_single_receipts in [true, false] {
        let (broker, node) = (Broker::start().await, node().await);
        let list = Watchlist::open(&broker.nats).await.unwrap();
        list.add(&WatchChain::All, &sender.into(), WatchEntry::default()).await.unwrap();
        node.without_block_receipts(true);
        if !knows_single_receipts {
            node.set_answer("eth_getTransactionReceipt", "null");
        }
        push(&node, [load()]);
        let mut config = chain_config(&[node.http_url()]);
        config.start = Start::Number(18_000_000);
        (config.finality_tags, config.finality_depth) = (false, 0);
        let producer = start_evm(&broker.nats, config);
        let replayed = broker.at_head(node.chain()).await;
        let body = transactions(&replayed).find(|body| format!("{:#x}", body.tx_hash) == hash);
        let body = body.expect("the watched sender's");
        assert_eq!(body.status.is_some(), knows_single_receipts);
        assert_eq!(body.fee.is_some(), knows_single_receipts);
        assert!(body.nonce.is_some());
        producer.stop().await;
    }
}

async fn call(node: &Anvil, method: &str, params: Value) -> Value {
    node.rpc().call(method, params).await.unwrap()
}

async fn send(node: &Anvil, transaction: Value) {
    let hash = call(node, "eth_sendTransaction", json!([transaction])).await;
    eventually(async || {
        let receipt = call(node, "eth_getTransactionReceipt", json!([hash])).await;
        (!receipt.is_null()).then_some(())
    })
    .await;
}

fn quantity(value: &Value) -> U256 {
    U256::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Hash, status, type, created contract and fee of every transaction that touches an address, by the node's own blocks and
/// receipts.
async fn by_the_node(
    node: &Anvil,
    address: Address,
) -> BTreeSet<(String, bool, u64, String, U256)> {
    let is_meant = |value: &Value| value.as_str() == Some(format!("{address:#x}").as_str());
    let mut found = BTreeSet::new();
    for number in 0..=node.block_number().await.unwrap() {
        let id = format!("{number:#x}");
        let block = call(node, "eth_getBlockByNumber", json!([id, true])).await;
        for transaction in block["transactions"].as_array().unwrap() {
            let hash = transaction["hash"].clone();
            let receipt = call(node, "eth_getTransactionReceipt", json!([hash])).await;
            let parties = [&transaction["from"], &transaction["to"], &receipt["contractAddress"]];
            if !parties.iter().any(|party| is_meant(party)) {
                continue;
            }
            found.insert((
                hash.as_str().unwrap().to_owned(),
                receipt["status"] == "0x1",
                quantity(&transaction["type"]).to::<u64>(),
                receipt["contractAddress"].as_str().unwrap_or_default().to_owned(),
                quantity(&receipt["gasUsed"]) * quantity(&receipt["effectiveGasPrice"]),
            ));
        }
    }
    found
}

fn by_events(replayed: &Replayed) -> BTreeSet<(String, bool, u64, String, U256)> {
    let facts = |body: &Transaction| {
        (
            format!("{:#x}", body.tx_hash),
            body.status == Some(TransactionStatus::Success),
            u64::from(body.tx_type.unwrap()),
            body.contract.map(|contract| format!("{contract:#x}")).unwrap_or_default(),
            body.fee.unwrap().0,
        )
    };
    transactions(replayed).map(facts).collect()
}

async fn caught_up(broker: &Broker, node: &Anvil) -> Replayed {
    eventually(async || {
        let head = call(node, "eth_getBlockByNumber", json!(["latest", false])).await;
        let replayed = broker.replay().await;
        let top = replayed.top().map(|hash| format!("{hash:#x}"));
        (top.as_deref() == head["hash"].as_str()).then_some(replayed)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_account_is_told_of_all_that_it_did_on_a_real_node() {
    let Some(node) = anvil(AnvilOptions::default()).await else { return };
    let broker = Broker::start().await;
    let accounts: Vec<Address> =
        node.accounts().await.unwrap().iter().map(|text| text.parse().unwrap()).collect();
    let (alice, bob, carol) = (accounts[0], accounts[1], accounts[2]);
    let list = Watchlist::open(&broker.nats).await.unwrap();
    let entry = WatchEntry { label: Some("alice".into()), ..WatchEntry::default() };
    list.add(&WatchChain::All, &alice.into(), entry).await.unwrap();
    let mut config = chain_config(&[node.ws_url()]);
    config.start = Start::Number(0);
    let producer = start_evm(&broker.nats, config);
    // Code that reverts whatever it is asked.
    let reverting = "0x600580600b6000396000f360006000fd";
    send(&node, json!({ "from": alice, "data": reverting })).await;
    let refusing = {
        let block = call(&node, "eth_getBlockByNumber", json!(["latest", true])).await;
        let hash = block["transactions"][0]["hash"].clone();
        call(&node, "eth_getTransactionReceipt", json!([hash])).await["contractAddress"].clone()
    };
    let gas = "0x30d40";
    send(&node, json!({ "from": alice, "to": bob, "value": "0x5" })).await;
    send(&node, json!({ "from": alice, "to": refusing, "value": "0x1", "gas": gas })).await;
    send(&node, json!({ "from": bob, "to": alice, "gasPrice": "0x77359400", "gas": gas })).await;
    send(&node, json!({ "from": bob, "to": carol, "value": "0x7" })).await;
    let authorization = json!({
        "chainId": "0x7a69", "address": refusing, "nonce": "0x0", "yParity": "0x0", "r": "0x1", "s": "0x1",
    });
    send(
        &node,
        json!({ "from": alice, "to": bob, "gas": gas, "authorizationList": [authorization] }),
    )
    .await;
    let replayed = caught_up(&broker, &node).await;
    let found = by_events(&replayed);
    assert_same_set(by_the_node(&node, alice).await, found.clone());
    assert_eq!(found.len(), 5, "and none of bob's payment to carol");
    assert_eq!(found.iter().filter(|(_, succeeded, ..)| !succeeded).count(), 1);
    let types: BTreeSet<u64> = found.iter().map(|(_, _, kind, ..)| *kind).collect();
    assert_eq!(types, BTreeSet::from([0, 2, 4]));
    assert!(transactions(&replayed).all(|body| body.watched == ["alice"]));
    let delegating = transactions(&replayed).find(|body| body.tx_type == Some(4)).unwrap();
    assert_eq!(delegating.authorizations, Some(1));
    assert_eq!(delegating.delegated_to, [refusing.as_str().unwrap()]);

    // The last two go, others come.
    let new = [(json!({ "from": alice, "to": carol, "value": "0x9", "gas": gas }), 0)];
    node.reorg(2, &new).await.unwrap();
    send(&node, json!({ "from": alice, "to": refusing, "gas": gas })).await;
    let replayed = caught_up(&broker, &node).await;
    assert_same_set(by_the_node(&node, alice).await, by_events(&replayed));
    assert_eq!(replayed.count(Kind::Transaction), 6);
    assert!(transactions(&replayed).all(|body| body.tx_type != Some(4)), "it left the chain");
    let subject = format!("watch.{CHAIN}.{alice:#x}.transaction");
    let copies = broker.messages("EVM").await;
    let copies = copies.iter().filter(|message| message.subject == subject);
    assert_eq!(copies.count(), 5 + 1 + 2, "those before, the retracted one, and the new ones");
    producer.stop().await;
}
