//! Recorded real blocks of every chain, against the counts of an independent program.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crypto_intel_evm::{LogProof, Start, measure::Pipeline};
use crypto_intel_sandbox::{
    NodeBlock,
    node::{load_recorded, recorded_numbers},
};
use crypto_intel_schemas::{B256, Event, Kind};
use crypto_intel_testkit::{Broker, assert_same_set, eventually, python, recorded_data};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    harness::{Replay as _, chain_config, node, push, start_evm},
    stream::Replayed,
};

#[derive(Debug, Deserialize)]
struct Expected {
    hash: B256,
    counts: BTreeMap<String, usize>,
    forms: BTreeMap<String, usize>,
    transfers: Vec<u32>,
}

fn counts<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(event.kind().to_string()).or_default() += 1;
    }
    counts
}

/// DEX events and events of built-in ABIs, by protocol and action.
fn forms<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeMap<String, usize> {
    let mut forms = BTreeMap::new();
    for event in events {
        let form = match event {
            Event::Swap(swap) => format!("{} swap", swap.protocol.as_str()),
            Event::Liquidity(body) => {
                format!("{} {}", body.protocol.as_str(), body.action.as_str())
            }
            Event::ContractEvent(body) => format!("{} {}", body.abi, body.name),
            _ => continue,
        };
        *forms.entry(form).or_default() += 1;
    }
    forms
}

/// The counts of several blocks together.
fn sum<'a>(counts: impl Iterator<Item = &'a BTreeMap<String, usize>>) -> BTreeMap<String, usize> {
    let mut sums = BTreeMap::new();
    for (name, count) in counts.flatten() {
        *sums.entry(name.clone()).or_default() += count;
    }
    sums
}

/// Runs of consecutive blocks: a block after a gap has no recorded parent and cannot be linked.
fn runs(numbers: &[u64]) -> Vec<Vec<u64>> {
    let mut runs: Vec<Vec<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.last() == Some(&(number - 1)) => run.push(*number),
            _ => runs.push(vec![*number]),
        }
    }
    runs
}

async fn play(broker: &Broker, data: &Path, chain: &str, run: &[u64]) -> Replayed {
    let node = node().await;
    push(&node, load_recorded(data, chain, run).unwrap());
    let mut config = chain_config(&[node.http_url()]);
    config.start = Start::Number(run[0]);
    config.finality_tags = false;
    config.finality_depth = 0;
    config.check_logs = LogProof::ReceiptsRoot;
    config.check_header = true;
    let producer = start_evm(&broker.nats, config);
    let replayed = broker.at_head(node.chain()).await;
    for (_, marker) in &replayed.markers {
        assert!(marker.unverified.is_empty(), "{chain} {run:?}: {:?}", marker.unverified);
    }
    producer.stop().await;
    // The next run is another chain as far as the stream is concerned.
    broker.nats.jetstream().get_stream("EVM").await.unwrap().purge().await.unwrap();
    let cursors = broker.nats.kv(crypto_intel_nats::Bucket::Cursors).await.unwrap();
    cursors.delete("evm.testchain").await.unwrap();
    replayed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_blocks_give_the_events_that_another_program_counts() {
    let Some(data) = recorded_data() else { return };
    let Some(python) = python(&[]) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded_counts.py");
    let broker = Broker::start().await;
    let mut blocks = 0;
    let mut transfers = 0;
    let mut trades = 0;
    for entry in std::fs::read_dir(data.join("evm")).unwrap() {
        let chain = entry.unwrap().file_name().into_string().unwrap();
        let arguments = [data.as_os_str(), chain.as_ref()];
        let output = python.run_async(&script, &arguments).await.unwrap();
        let expected: BTreeMap<String, Expected> = serde_json::from_str(&output).unwrap();
        for run in runs(&recorded_numbers(&data, &chain).unwrap()) {
            let replayed = play(&broker, &data, &chain, &run).await;
            let expected: Vec<&Expected> =
                run.iter().map(|number| &expected[&number.to_string()]).collect();
            let wanted = sum(expected.iter().map(|block| &block.counts));
            assert_eq!(counts(replayed.live()), wanted, "{chain} {run:?}");
            let wanted = sum(expected.iter().map(|block| &block.forms));
            assert_eq!(forms(replayed.live()), wanted, "{chain} {run:?}");
            trades += wanted.values().sum::<usize>();
            let wanted: BTreeSet<(B256, u32)> = expected
                .iter()
                .flat_map(|block| block.transfers.iter().map(|index| (block.hash, *index)))
                .collect();
            transfers += wanted.len();
            assert_same_set(wanted, replayed.transfers());
            let senders = replayed.live().all(|event| {
                event.transaction_fields().is_some_and(|fields| fields.tx_from.is_some())
            });
            assert!(senders, "every event says who sent its transaction");
            blocks += run.len();
        }
    }
    assert!(blocks > 100 && transfers > 15_000, "{blocks} blocks, {transfers} transfers");
    assert!(trades > 2_000, "{trades} events of pools, wrapped tokens and feeds");
}

/// Every log in a JSON value, at any depth.
fn logs_in(value: &Value, logs: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| logs_in(item, logs)),
        Value::Object(fields)
            if ["topics", "data", "logIndex"].iter().all(|name| fields.contains_key(*name)) =>
        {
            logs.push(value.clone());
        }
        Value::Object(fields) => fields.values().for_each(|field| logs_in(field, logs)),
        _ => {}
    }
}

/// Every JSON file below a folder that is not a block.
fn json_files(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            json_files(&path, files);
        } else if name.contains(".json") && !name.contains(".block.json") {
            files.push(path);
        }
    }
}

fn read_json(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        serde_json::from_reader(flate2::read::GzDecoder::new(&bytes[..])).unwrap()
    } else {
        serde_json::from_slice(&bytes).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_many_protocols_give_the_events_that_another_program_counts() {
    let Some(data) = recorded_data() else { return };
    let Some(python) = python(&[]) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded_counts.py");
    let folders = ["receipts_only", "logs"];
    let mut arguments = vec![data.as_os_str(), "logs".as_ref()];
    arguments.extend(folders.iter().map(std::ffi::OsStr::new));
    let output = python.run_async(&script, &arguments).await.unwrap();
    let expected: BTreeMap<String, BTreeMap<String, usize>> =
        serde_json::from_str(&output).unwrap();
    let pipeline = Pipeline::new("ethereum").unwrap();
    let mut files = Vec::new();
    folders.iter().for_each(|folder| json_files(&data.join(folder), &mut files));
    let mut events = Vec::new();
    for path in files {
        let mut logs = Vec::new();
        logs_in(&read_json(&path), &mut logs);
        for mut log in logs {
            let hash = format!("0x{}", "00".repeat(32));
            log["blockHash"] = hash.as_str().into();
            let header = json!({
                "number": "0x1", "hash": hash, "parentHash": hash, "timestamp": "0x1",
                "transactions": [],
            });
            let found = pipeline.events_of_logs(&header.to_string(), &json!([log]).to_string());
            events.extend(found.unwrap_or_else(|error| panic!("{}: {error:#}", path.display())));
        }
    }
    assert_eq!(counts(events.iter()), expected["counts"]);
    assert_eq!(forms(events.iter()), expected["forms"]);
    for rare in ["uniswap-v4 swap", "uniswap-v4 initialize", "pancake-v3 swap", "uniswap-v3 mint"] {
        assert!(expected["forms"].contains_key(rare), "{rare} is in the data");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_fail_checks_never_panic_and_are_not_believed_silently() {
    let Some(data) = recorded_data() else { return };
    let folder = data.join("evm_failed_checks");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let chain = path.file_name().unwrap().to_str().unwrap().to_owned();
        let parent = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(&folder, parent.path().join("evm")).unwrap();
        for number in recorded_numbers(parent.path(), &chain).unwrap() {
            let broker = Broker::start().await;
            let node = node().await;
            push(&node, load_recorded(parent.path(), &chain, &[number]).unwrap());
            let mut config = chain_config(&[node.http_url()]);
            config.start = Start::Number(number);
            config.finality_depth = 0;
            config.check_log_indexes = false;
            config.check_logs = LogProof::Off;
            let producer = start_evm(&broker.nats, config);
            crypto_intel_testkit::eventually(async || {
                let published = broker.replay().await.top().is_some();
                published
                    || producer.metric("crypto_intel_evm_untrue_answers_total", &["testchain"])
                        >= 2.0
            })
            .await;
            let replayed = broker.replay().await;
            let unique: BTreeSet<&str> = replayed.live().map(Event::id).collect();
            assert_eq!(unique.len(), replayed.live().count());
            producer.stop().await;
        }
    }
}

/// Hashes of transactions that moved value or created a contract, by the node's own JSON.
fn effective(block: &NodeBlock) -> BTreeSet<B256> {
    let whole: Value = serde_json::from_str(block.full_json()).unwrap();
    let receipts: Vec<Value> = serde_json::from_str(block.receipts_json()).unwrap();
    let transactions = whole["transactions"].as_array().unwrap().iter().zip(receipts);
    transactions
        .filter(|(transaction, receipt)| {
            let may_be_event = transaction["value"] != "0x0" || transaction["to"].is_null();
            may_be_event && receipt["status"] == "0x1"
        })
        .map(|(transaction, _)| transaction["hash"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_receipts_of_a_block_nothing_is_guessed_of_its_transactions() {
    let Some(data) = recorded_data() else { return };
    for knows_single_receipts in [true, false] {
        let block = load_recorded(&data, "ethereum", &[18_000_000]).unwrap().remove(0);
        let expected = if knows_single_receipts { effective(&block) } else { BTreeSet::new() };
        let (broker, node) = (Broker::start().await, node().await);
        node.without_block_receipts(true);
        if !knows_single_receipts {
            node.set_answer("eth_getTransactionReceipt", "null");
        }
        push(&node, [block]);
        let mut config = chain_config(&[node.http_url()]);
        config.start = Start::Number(18_000_000);
        (config.finality_tags, config.finality_depth) = (false, 0);
        config.check_header = true;
        let producer = start_evm(&broker.nats, config);
        let replayed = broker.at_head(node.chain()).await;
        let found = replayed
            .live()
            .filter(|event| matches!(event.kind(), Kind::NativeTransfer | Kind::ContractCreation))
            .map(|event| event.transaction_fields().unwrap().tx_hash);
        assert_same_set(expected, found.collect::<BTreeSet<_>>());
        let unverified = &replayed.stack.last().unwrap().unverified;
        let reasons: &[&str] =
            if knows_single_receipts { &["receipts"] } else { &["receipts", "outcomes"] };
        assert_eq!(unverified, reasons);
        producer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_forged_under_a_real_hash_is_not_believed() {
    let Some(data) = recorded_data() else { return };
    // The first transaction of Ethereum, and the same with one wei more.
    let real = || load_recorded(&data, "ethereum", &[46_147]).unwrap().remove(0);
    let text = real().full_json().replace("\"0x7a69\"", "\"0x7a6a\"");
    let forged = NodeBlock::from_json(text, real().receipts_json().as_ref()).unwrap();
    let (broker, forger, honest) = (Broker::start().await, node().await, node().await);
    push(&forger, [forged]);
    let mut config = chain_config(&[forger.http_url(), honest.http_url()]);
    config.start = Start::Number(46_147);
    (config.finality_tags, config.finality_depth) = (false, 0);
    config.check_header = true;
    let producer = start_evm(&broker.nats, config);
    // The honest endpoint has the block only after the forger was asked for it.
    let refused =
        || producer.metric("crypto_intel_evm_untrue_answers_total", &["transactions_root"]) >= 1.0;
    eventually(async || refused()).await;
    push(&honest, [real()]);
    let replayed = broker.at_head(honest.chain()).await;
    let paid: Vec<String> = replayed
        .live()
        .filter_map(|event| match event {
            Event::NativeTransfer(transfer) => Some(transfer.value.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(paid, ["31337"]);
    producer.stop().await;
}
