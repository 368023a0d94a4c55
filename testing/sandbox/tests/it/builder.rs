use std::collections::HashSet;

use crypto_intel_sandbox::NodeBlock;
use crypto_intel_sandbox::node::{
    Chain, Relink, RelinkOptions, Synthetic, SyntheticOptions, load_recorded, recorded_numbers,
};
use crypto_intel_testkit::recorded_data;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Hashes, numbers and log indexes agree within a block.
fn assert_consistent(block: &NodeBlock) {
    let (full, receipts) = (json(block.full_json()), json(block.receipts_json()));
    let hash = block.hash.to_string();
    let number = format!("{:#x}", block.number);
    assert_eq!(full["hash"], hash.as_str());
    assert_eq!(full["number"], number.as_str());
    assert_eq!(full["parentHash"], block.parent_hash.to_string().as_str());
    assert_eq!(full["timestamp"], format!("{:#x}", block.timestamp).as_str());
    let header = json(block.header_json());
    for name in ["hash", "number", "parentHash", "timestamp", "logsBloom", "extraData", "gasUsed"] {
        assert_eq!(header[name], full[name], "{name}");
    }
    assert!(header.get("transactions").is_none());
    let transactions = full["transactions"].as_array().unwrap();
    let receipts = receipts.as_array().unwrap();
    assert_eq!(transactions.len(), receipts.len());
    let mut log_index = 0;
    for (transaction, receipt) in transactions.iter().zip(receipts) {
        assert_eq!(transaction["hash"], receipt["transactionHash"]);
        assert_eq!(transaction["blockHash"], hash.as_str());
        assert_eq!(receipt["blockHash"], hash.as_str());
        for log in receipt["logs"].as_array().unwrap() {
            assert_eq!(log["transactionHash"], transaction["hash"]);
            assert_eq!(log["blockHash"], hash.as_str());
            assert_eq!(log["blockNumber"], number.as_str());
            assert_eq!(log["logIndex"], format!("{log_index:#x}").as_str());
            log_index += 1;
        }
    }
    assert_eq!(block.log_count(), log_index);
}

fn assert_linked(blocks: &[NodeBlock]) {
    for pair in blocks.windows(2) {
        assert_eq!(pair[1].number, pair[0].number + 1);
        assert_eq!(pair[1].parent_hash, pair[0].hash);
        assert!(pair[1].timestamp >= pair[0].timestamp);
    }
}

fn transaction_hashes(blocks: &[NodeBlock]) -> Vec<String> {
    let list = |block: &NodeBlock| json(&block.json_with_hashes())["transactions"].clone();
    let lists = blocks.iter().flat_map(|block| list(block).as_array().unwrap().clone());
    lists.map(|hash| hash.as_str().unwrap().to_owned()).collect()
}

#[test]
fn generated_blocks_link_and_are_consistent() {
    let options =
        SyntheticOptions { transfers_per_block: 7, native_per_block: 2, ..Default::default() };
    let mut chain = Synthetic::new(options.clone());
    let blocks: Vec<NodeBlock> = (0..5).map(|_| chain.next_block()).collect();
    blocks.iter().for_each(assert_consistent);
    assert_linked(&blocks);
    let hashes = transaction_hashes(&blocks);
    assert_eq!(hashes.len(), 45);
    assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), 45);
    let again = Synthetic::new(options).next_block();
    assert_eq!(again.full_json(), blocks[0].full_json());
    assert_eq!(again.receipts_json(), blocks[0].receipts_json());
}

#[test]
fn generated_blooms_hold_exactly_the_logs() {
    use alloy_primitives::{Bloom, BloomInput, keccak256};
    let options = SyntheticOptions { transfers_per_block: 5, ..Default::default() };
    let block = Synthetic::new(options).next_block();
    let mut expected = Bloom::ZERO;
    for log in block.logs().map(json) {
        let topics = log["topics"].as_array().unwrap().iter().chain([&log["address"]]);
        for item in topics {
            let bytes: alloy_primitives::Bytes = item.as_str().unwrap().parse().unwrap();
            expected.accrue(BloomInput::Hash(keccak256(bytes)));
        }
    }
    assert_eq!(json(block.full_json())["logsBloom"], expected.to_string().as_str());
}

#[test]
fn a_fork_replaces_blocks_and_keeps_the_transactions_only_when_asked_to() {
    let mut chain =
        Synthetic::new(SyntheticOptions { transfers_per_block: 3, ..Default::default() });
    let old: Vec<NodeBlock> = (0..4).map(|_| chain.next_block()).collect();
    let same = chain.fork_with_same_transactions(2, 2);
    assert_eq!(same[0].number, old[2].number);
    assert_eq!(same[0].parent_hash, old[1].hash);
    assert_ne!(same[0].hash, old[2].hash);
    assert_eq!(transaction_hashes(&same), transaction_hashes(&old[2..]));
    same.iter().for_each(assert_consistent);
    let other = chain.fork(2, 3);
    assert_linked(&other);
    assert_eq!(other[0].parent_hash, old[1].hash);
    assert_ne!(transaction_hashes(&other[..2]), transaction_hashes(&same));
}

#[test]
fn recorded_blocks_are_served_as_they_are() {
    let Some(data) = recorded_data() else { return };
    let numbers = recorded_numbers(&data, "ethereum").unwrap();
    assert!(numbers.contains(&17_034_873) && !numbers.contains(&18_000_001), "{numbers:?}");
    let blocks = load_recorded(&data, "ethereum", &numbers).unwrap();
    let logs: usize = blocks.iter().map(NodeBlock::log_count).sum();
    assert!(logs > 40_000, "{logs}");
    let path = data.join("evm/ethereum/17053184.block.json");
    let block = blocks.iter().find(|block| block.number == 17_053_184).unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap().trim(), &**block.full_json());
}

#[test]
fn relinked_blocks_link_and_are_consistent() {
    let Some(data) = recorded_data() else { return };
    let bodies = load_recorded(&data, "ethereum", &[17_000_000, 15_537_394, 22_869_878]).unwrap();
    let options = RelinkOptions { first_number: 900, ..RelinkOptions::default() };
    let mut chain = Relink::new(&bodies, &options).unwrap();
    let blocks: Vec<NodeBlock> = (0..7).map(|_| chain.next_block()).collect();
    assert_eq!(blocks[0].number, 900);
    blocks.iter().for_each(assert_consistent);
    assert_linked(&blocks);
    let hashes = transaction_hashes(&blocks);
    assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
    let branch = chain.fork(3, 3);
    assert_eq!(branch[0].parent_hash, blocks[3].hash);
    branch.iter().for_each(assert_consistent);
    assert_linked(&branch);
    let old: HashSet<String> = transaction_hashes(&blocks).into_iter().collect();
    assert!(transaction_hashes(&branch).iter().all(|hash| !old.contains(hash)));
}

#[test]
fn a_chain_of_lazy_blocks_serves_the_same_blocks() {
    let Some(data) = recorded_data() else { return };
    let bodies = load_recorded(&data, "ethereum", &[17_000_000, 19_807_080]).unwrap();
    let relink = || Relink::new(&bodies, &RelinkOptions::default()).unwrap();
    let (mut whole, mut lazy) = (relink(), relink());
    let chain = Chain::new();
    let blocks: Vec<NodeBlock> = (1..=50).map(|number| whole.next_block_at(number)).collect();
    for number in 1..=50 {
        chain.push_lazy(lazy.next_lazy_at(number)).unwrap();
    }
    assert_eq!(chain.head().unwrap().hash, blocks[49].hash);
    for block in &blocks {
        let by_number = chain.block(block.number).unwrap();
        let by_hash = chain.block_by_hash(&block.hash).unwrap();
        for served in [by_number, by_hash] {
            assert_eq!(served.full_json(), block.full_json());
            assert_eq!(served.receipts_json(), block.receipts_json());
            assert_eq!(served.header_json(), block.header_json());
        }
    }
    let stranger = relink().next_lazy_at(1);
    assert!(chain.push_lazy(stranger).unwrap_err().to_string().contains("not above the head"));
}

#[test]
fn a_block_relinked_at_its_own_position_keeps_its_hash() {
    let Some(data) = recorded_data() else { return };
    let numbers = recorded_numbers(&data, "ethereum").unwrap();
    for block in load_recorded(&data, "ethereum", &numbers).unwrap() {
        let options = RelinkOptions {
            first_number: block.number,
            first_parent: block.parent_hash,
            first_timestamp: block.timestamp,
            seconds_per_block: 12,
        };
        let hash = block.hash;
        let again = Relink::new(&[block], &options).unwrap().next_block();
        assert_eq!(again.hash, hash, "block {}", again.number);
    }
}
