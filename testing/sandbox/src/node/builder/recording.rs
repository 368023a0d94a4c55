//! A follower's recorded calls, as the chain that its node served over time.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use alloy_primitives::B256;
use anyhow::{Context as _, bail, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::node::block::NodeBlock;

/// One change of a recorded chain: its newest blocks leave, others follow.
#[derive(Debug)]
pub struct RecordedStep {
    /// How many of the newest blocks leave.
    pub dropped: usize,
    /// What follows, oldest first.
    pub blocks: Vec<NodeBlock>,
}

#[derive(Deserialize)]
struct Call {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    params: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Response {
    result: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockFilter {
    block_hash: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    transaction_hash: &'a str,
}

/// Reads a recording: gzipped lines `{"request", "response"}` with calls of `eth_getBlockByNumber`,
/// `eth_getBlockByHash` (both with transactions) and `eth_getLogs` by block hash. The blocks have their
/// logs, but no receipts: nodes that serve them need
/// [`without_block_receipts`](crate::ScriptedNode::without_block_receipts).
///
/// # Errors
/// Fails when a line cannot be read, a block's logs are missing, or a branch does not connect to the chain.
pub fn load_recording(path: &Path) -> anyhow::Result<Vec<RecordedStep>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut blocks = Vec::new();
    let mut logs: HashMap<B256, Vec<Box<RawValue>>> = HashMap::new();
    for line in BufReader::new(GzDecoder::new(file)).lines() {
        let line = line.with_context(|| format!("read {}", path.display()))?;
        let call: Call = serde_json::from_str(&line).context("read recorded call")?;
        let Some(result) = call.response.result else { continue };
        match call.request.method.as_str() {
            "eth_getLogs" => {
                let filter = call.request.params.first().context("find filter")?;
                let filter: BlockFilter =
                    serde_json::from_str(filter.get()).context("read filter")?;
                let list = serde_json::from_str(result.get()).context("read logs")?;
                logs.insert(filter.block_hash, list);
            }
            "eth_getBlockByNumber" | "eth_getBlockByHash" => blocks.push(result),
            other => bail!("unexpected method {other}"),
        }
    }
    let blocks = blocks.iter().map(|block| with_logs(block.get(), &logs));
    steps(blocks.collect::<anyhow::Result<_>>()?)
}

/// A block whose receipts hold nothing but its logs.
fn with_logs(block: &str, logs: &HashMap<B256, Vec<Box<RawValue>>>) -> anyhow::Result<NodeBlock> {
    let hash = NodeBlock::from_json(block, "[]")?.hash;
    let logs = logs.get(&hash).with_context(|| format!("find logs of block {hash}"))?;
    let mut receipts: Vec<(String, Vec<&str>)> = Vec::new();
    for log in logs {
        let transaction = serde_json::from_str::<Log<'_>>(log.get()).context("read log")?;
        match receipts.last_mut() {
            Some((hash, logs)) if hash == transaction.transaction_hash => logs.push(log.get()),
            _ => receipts.push((transaction.transaction_hash.to_owned(), vec![log.get()])),
        }
    }
    let receipts: Vec<String> = receipts
        .iter()
        .map(|(hash, logs)| {
            format!(r#"{{"transactionHash":"{hash}","logs":[{}]}}"#, logs.join(","))
        })
        .collect();
    NodeBlock::from_json(block, format!("[{}]", receipts.join(",")))
}

/// A follower sees a block on top, or one whose ancestors it then asks for, newest first.
fn steps(blocks: Vec<NodeBlock>) -> anyhow::Result<Vec<RecordedStep>> {
    let mut steps = Vec::new();
    let mut chain: Vec<B256> = Vec::new();
    let mut branch: Vec<NodeBlock> = Vec::new();
    for block in blocks {
        if let Some(child) = branch.last() {
            ensure!(block.hash == child.parent_hash, "block {} is in no branch", block.number);
        }
        let parent = block.parent_hash;
        branch.push(block);
        let kept = match chain.iter().rposition(|hash| *hash == parent) {
            Some(place) => place + 1,
            None if chain.is_empty() => 0,
            None => continue,
        };
        let dropped = chain.len() - kept;
        chain.truncate(kept);
        branch.reverse();
        chain.extend(branch.iter().map(|block| block.hash));
        steps.push(RecordedStep { dropped, blocks: std::mem::take(&mut branch) });
    }
    ensure!(branch.is_empty(), "the last branch does not connect to the chain");
    Ok(steps)
}
