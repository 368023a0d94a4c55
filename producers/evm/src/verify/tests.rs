#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, io::Read as _, path::Path};

use crypto_intel_schemas::U256;
use crypto_intel_testkit::recorded_data;
use serde_json::{Value, json};

use super::*;
use crate::config::ChainConfig;
use crate::{block::Outcome, details::Paid};

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        text
    } else {
        String::from_utf8(bytes).unwrap()
    }
}

/// Chain and text of every recorded block below a folder.
fn blocks(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for chain in std::fs::read_dir(folder).unwrap() {
        let chain = chain.unwrap().path();
        if !chain.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&chain).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains(".block.json") {
                let chain = chain.file_name().unwrap().to_string_lossy().into_owned();
                found.push((chain, read(&path)));
            }
        }
    }
    found
}

fn proof_of(text: &str) -> (Header, transactions::Proof) {
    let header = read_header(text).unwrap().unwrap();
    let raw: RawBlock<'_> = parse("block", text).unwrap();
    let outside = || proof::state_sync_hash(&header);
    (header, transactions::prove(&raw.transactions, raw.transactions_root.get(), outside))
}

#[test]
fn headers_and_transactions_of_recorded_blocks_match_their_hashes() {
    let Some(data) = recorded_data() else { return };
    let mut held: BTreeMap<String, u32> = BTreeMap::new();
    for folder in ["evm", "blocks_only"] {
        for (chain, text) in blocks(&data.join(folder)) {
            let (header, transactions) = proof_of(&text);
            assert!(header.hash_holds, "{chain} {}", header.number);
            assert_eq!(transactions, transactions::Proof::Holds, "{chain} {}", header.number);
            *held.entry(chain).or_default() += 1;
        }
    }
    for (preset, config) in crate::preset_names()
        .into_iter()
        .map(|name| (name, ChainConfig::from_preset(name).unwrap()))
    {
        // A preset demands it exactly where recorded blocks show that it holds.
        assert_eq!(config.check_header, held.contains_key(preset), "{preset}: {held:?}");
    }
    assert!(held.values().sum::<u32>() > 140, "{held:?}");
}

#[test]
fn headers_with_extra_fields_fail_and_are_marked_unverified() {
    let Some(data) = recorded_data() else { return };
    let mut odd = 0;
    for (chain, text) in blocks(&data.join("evm_failed_checks")) {
        let (header, _) = proof_of(&text);
        if header.hash_holds {
            continue;
        }
        odd += 1;
        let strict = Checks { header: Demand::Strict, ..Checks::strict(LogProof::Off) };
        let refused = assemble(header, &text, LogsAnswer::Logs("[]"), strict).unwrap_err();
        assert_eq!(refused, InvalidResponse::HeaderHash { number: header.number }, "{chain}");
        assert!(refused.to_string().contains("check_header = false"));
        let noted = Checks { header: Demand::Noted, ..strict };
        let block = assemble(header, &text, LogsAnswer::Logs("[]"), noted).unwrap();
        assert!(block.unverified.contains(&HEADER_HASH.to_owned()), "{chain}");
    }
    assert!(odd > 5, "{odd}");
}

/// Ethereum's block 46147, which has the first transaction of the chain.
fn first_transaction() -> Option<(Value, Value)> {
    let folder = recorded_data()?.join("evm/ethereum");
    let json = |name: &str| serde_json::from_str(&read(&folder.join(name))).unwrap();
    Some((json("46147.block.json"), json("46147.receipts.json")))
}

fn assembled(
    block: &Value,
    receipts: &Value,
    checks: Checks,
) -> Result<BlockData, InvalidResponse> {
    let text = block.to_string();
    let header = read_header(&text)?.unwrap();
    assemble(header, &text, LogsAnswer::Receipts(&receipts.to_string()), checks)
}

#[test]
fn forged_content_under_a_real_hash_is_refused() {
    let Some((block, receipts)) = first_transaction() else { return };
    let config = ChainConfig::from_preset("ethereum").unwrap();
    let checks = Checks::of(&config);
    let read = assembled(&block, &receipts, checks).unwrap();
    assert!(read.unverified.is_empty(), "{:?}", read.unverified);
    assert_eq!(read.transactions[0].value, U256::from(31_337));
    let forged = |change: &dyn Fn(&mut Value)| {
        let mut block = block.clone();
        change(&mut block);
        assembled(&block, &receipts, checks).unwrap_err().reason()
    };
    for name in ["parentHash", "receiptsRoot", "transactionsRoot", "stateRoot"] {
        assert_eq!(forged(&|block| block[name] = json!(B256::ZERO)), HEADER_HASH, "{name}");
    }
    assert_eq!(forged(&|block| block["timestamp"] = json!("0x1")), HEADER_HASH);
    assert_eq!(
        forged(&|block| drop(block.as_object_mut().unwrap().remove("mixHash"))),
        HEADER_HASH
    );
    let of_transaction = |name: &'static str, value: Value| {
        forged(&move |block: &mut Value| block["transactions"][0][name] = value.clone())
    };
    assert_eq!(of_transaction("value", json!("0x7a6a")), TRANSACTIONS_ROOT);
    assert_eq!(of_transaction("to", json!(Address::ZERO)), TRANSACTIONS_ROOT);
    assert_eq!(of_transaction("input", json!("0x00")), TRANSACTIONS_ROOT);
    assert_eq!(of_transaction("v", Value::Null), TRANSACTIONS_ROOT, "omitting it is no way around");
    assert_eq!(forged(&|block| block["transactions"] = json!([])), TRANSACTIONS_ROOT);
    // A transaction of an unknown type cannot be proven, and is marked.
    let mut odd = block.clone();
    odd["transactions"][0]["type"] = json!("0x76");
    let read = assembled(&odd, &receipts, checks).unwrap();
    assert_eq!(read.unverified, [TRANSACTIONS_ROOT]);
}

fn small_block() -> Value {
    json!({
        "number": "0x5", "hash": B256::repeat_byte(5), "parentHash": B256::repeat_byte(4), "timestamp": "0x1",
        "transactions": [{
            "hash": B256::repeat_byte(1), "from": Address::repeat_byte(0xa), "to": Address::repeat_byte(0xb),
            "value": "0x7", "input": "0x", "nonce": "0x0",
        }],
    })
}

fn small_receipts() -> Value {
    json!([{
        "transactionHash": B256::repeat_byte(1), "transactionIndex": "0x0", "status": "0x1", "logs": [],
        "contractAddress": null,
    }])
}

#[test]
fn optional_fields_that_cannot_be_read_are_absent_and_refuse_nothing() {
    let checks = Checks::strict(LogProof::Off);
    let odd = [json!("0x"), json!(""), json!("none"), json!(7.5), json!([]), json!({ "a": 1 })];
    for value in odd {
        let mut block = small_block();
        let mut receipts = small_receipts();
        for name in ["gasUsed", "gasLimit", "baseFeePerGas", "miner", "receiptsRoot", "extraData"] {
            block[name] = value.clone();
        }
        for name in ["from", "nonce", "gas", "accessList", "type", "v", "chainId", "input"] {
            block["transactions"][0][name] = value.clone();
        }
        for name in
            ["contractAddress", "from", "to", "type", "root", "cumulativeGasUsed", "logsBloom"]
        {
            receipts[0][name] = value.clone();
        }
        let read = assembled(&block, &receipts, checks).unwrap();
        let transaction = &read.transactions[0];
        assert_eq!(transaction.contract, None);
        assert_eq!(transaction.status, TransactionStatus::Success);
        assert_eq!((transaction.value, transaction.input_length), (U256::from(7), 0));
    }
    // An empty text means absent; fields that decide whether there is an event are never guessed.
    let mut block = small_block();
    block["transactions"][0]["to"] = json!("0x");
    block["transactions"][0]["value"] = json!("");
    let read = assembled(&block, &small_receipts(), checks).unwrap();
    assert_eq!((read.transactions[0].to, read.transactions[0].value), (None, U256::ZERO));
    for name in ["to", "value", "hash"] {
        let mut block = small_block();
        block["transactions"][0][name] = json!("0xnone");
        assert_eq!(assembled(&block, &small_receipts(), checks).unwrap_err().reason(), "malformed");
    }
}

#[test]
fn a_root_beside_the_status_counts_only_where_it_is_the_receipts() {
    let mut receipts = small_receipts();
    receipts[0]["status"] = json!("0x0");
    receipts[0]["root"] = json!(B256::repeat_byte(9));
    let status = |chain_id| {
        let config = ChainConfig { chain_id, check_logs: LogProof::Off, ..ChainConfig::default() };
        assembled(&small_block(), &receipts, Checks::of(&config)).unwrap().transactions[0].status
    };
    assert_eq!(status(324), TransactionStatus::Failed);
    assert_eq!(status(1), TransactionStatus::Unknown, "before Byzantium");
    // Proven by the receipts root, the chain does not matter.
    let Some((block, mut receipts)) = first_transaction() else { return };
    receipts[0]["status"] = json!("0x0");
    let read = assembled(&block, &receipts, Checks::strict(LogProof::ReceiptsRoot)).unwrap();
    assert_eq!(read.transactions[0].status, TransactionStatus::Unknown);
}

#[test]
fn old_receipts_with_a_status_in_place_of_the_root_are_published_unverified() {
    let Some((block, mut receipts)) = first_transaction() else { return };
    receipts[0]["status"] = json!("0x1");
    receipts[0].as_object_mut().unwrap().remove("root");
    let checks = Checks::of(&ChainConfig::from_preset("ethereum").unwrap());
    let read = assembled(&block, &receipts, checks).unwrap();
    assert_eq!(read.unverified, [LogProof::ReceiptsRoot.name()]);
    assert_eq!(read.transactions[0].status, TransactionStatus::Unknown);
    // On chains that never had such receipts, the receipt is invalid.
    let other = Checks { byzantium: 0, ..checks };
    assert_eq!(
        assembled(&block, &receipts, other).unwrap_err(),
        InvalidResponse::ReceiptsRoot { number: 46_147 }
    );
}

#[test]
fn single_receipts_must_be_of_their_transaction_and_block() {
    let (transaction, place) = (B256::repeat_byte(1), (5, B256::repeat_byte(5)));
    let answer = |change: &dyn Fn(&mut Value)| {
        let mut receipt = small_receipts()[0].clone();
        change(&mut receipt);
        read_outcome(&receipt.to_string(), transaction, place, 0)
    };
    let contract = Address::repeat_byte(3);
    let read = answer(&|receipt| receipt["contractAddress"] = json!(contract)).unwrap();
    let made = Outcome {
        status: TransactionStatus::Success,
        contract: Some(contract),
        paid: Paid::default(),
    };
    assert_eq!(read, Some(made));
    assert!(answer(&|receipt| receipt["blockHash"] = json!(B256::ZERO)).is_err());
    assert!(answer(&|receipt| receipt["transactionHash"] = json!(B256::ZERO)).is_err());
    assert_eq!(read_outcome("null", transaction, place, 0), Ok(None));
}
