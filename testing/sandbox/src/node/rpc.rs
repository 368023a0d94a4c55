//! The methods.

use std::sync::Arc;

use alloy_primitives::B256;
use serde_json::{Value, json};

use super::block::{NodeBlock, quantity};
use super::logs::LogFilter;
use super::{NodeState, faults::RateLimit};

/// A `result`, ready to be put into an answer.
pub(super) enum Answer {
    Shared(Arc<str>),
    Text(String),
}

impl Answer {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Shared(text) => text,
            Self::Text(text) => text,
        }
    }

    fn null() -> Self {
        Self::Text("null".to_owned())
    }

    fn json(value: &Value) -> Self {
        Self::Text(value.to_string())
    }

    fn quantity(number: u64) -> Self {
        Self::Text(format!("\"{number:#x}\""))
    }
}

/// A JSON-RPC error.
#[derive(Debug)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    fn invalid(error: &anyhow::Error) -> Self {
        Self::new(-32602, format!("invalid argument: {error:#}"))
    }

    pub(super) fn rate_limited(limit: RateLimit) -> Self {
        Self {
            code: -32005,
            message: "daily request count exceeded, request rate limited".to_owned(),
            data: Some(json!({"rate": {"backoff_seconds": limit.retry_after_seconds}})),
        }
    }

    pub(super) fn to_json(&self) -> String {
        match &self.data {
            None => json!({"code": self.code, "message": self.message}).to_string(),
            Some(data) => {
                json!({"code": self.code, "message": self.message, "data": data}).to_string()
            }
        }
    }
}

/// Answers every method but the subscriptions.
pub(super) fn call(state: &NodeState, method: &str, params: &Value) -> Result<Answer, RpcError> {
    if let Some(fixed) = state.faults().answers.get(method) {
        return Ok(Answer::Text(fixed.clone()));
    }
    match method {
        "eth_chainId" => Ok(Answer::quantity(chain_id(state))),
        "net_version" => Ok(Answer::Text(format!("\"{}\"", chain_id(state)))),
        "web3_clientVersion" => {
            Ok(Answer::json(&json!(concat!("crypto-intel-sandbox/", env!("CARGO_PKG_VERSION")))))
        }
        "net_listening" => Ok(Answer::json(&json!(true))),
        "eth_syncing" => Ok(Answer::json(&json!(false))),
        "eth_blockNumber" => {
            Ok(Answer::quantity(state.visible_head().map_or(0, |block| block.number)))
        }
        "eth_getBlockByNumber" => {
            let block = block_at(state, &params[0])?;
            Ok(block.map_or_else(Answer::null, |block| whole(&block, &params[1])))
        }
        "eth_getBlockByHash" => {
            let block = block_with(state, &params[0])?;
            Ok(block.map_or_else(Answer::null, |block| whole(&block, &params[1])))
        }
        "eth_getBlockReceipts" => receipts(state, &params[0]),
        "eth_getTransactionReceipt" => transaction_receipt(state, &params[0]),
        "eth_getLogs" => logs(state, &params[0]),
        "eth_call" => Ok(eth_call(state, &params[0])),
        _ => Err(RpcError::new(
            -32601,
            format!("the method {method} does not exist/is not available"),
        )),
    }
}

fn chain_id(state: &NodeState) -> u64 {
    state.faults().wrong_chain_id.unwrap_or(state.chain_id)
}

fn whole(block: &NodeBlock, with_transactions: &Value) -> Answer {
    if with_transactions.as_bool() == Some(true) {
        Answer::Shared(Arc::clone(block.full_json()))
    } else {
        Answer::Text(block.json_with_hashes())
    }
}

fn block_at(state: &NodeState, tag: &Value) -> Result<Option<Arc<NodeBlock>>, RpcError> {
    let tag = tag.as_str().ok_or_else(|| RpcError::new(-32602, "missing value for argument 0"))?;
    let number = match tag {
        "latest" | "pending" => return Ok(state.visible_head()),
        "earliest" => return Ok(state.chain.earliest()),
        // As geth answers when its consensus client has not reported one.
        "safe" => state
            .chain
            .safe_number()
            .ok_or_else(|| RpcError::new(-39001, "safe block not found"))?,
        "finalized" => state
            .chain
            .finalized_number()
            .ok_or_else(|| RpcError::new(-39001, "finalized block not found"))?,
        number => quantity(number).map_err(|error| RpcError::invalid(&error))?,
    };
    Ok(state.chain.block(number).filter(|block| state.is_visible(block)))
}

fn block_with(state: &NodeState, hash: &Value) -> Result<Option<Arc<NodeBlock>>, RpcError> {
    let hash = read_hash(hash)?;
    Ok(state.chain.block_by_hash(&hash).filter(|block| state.is_visible(block)))
}

fn read_hash(value: &Value) -> Result<B256, RpcError> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| RpcError::new(-32602, format!("invalid argument: {value} is no hash")))
}

fn receipts(state: &NodeState, of: &Value) -> Result<Answer, RpcError> {
    let (missing, empty, omitting) = {
        let faults = state.faults();
        (faults.no_block_receipts, faults.empty_receipts, faults.omitting)
    };
    if missing {
        return Err(RpcError::new(
            -32601,
            "the method eth_getBlockReceipts does not exist/is not available",
        ));
    }
    // A hash, a number or tag, or an object with either.
    let by_hash = of.as_str().is_some_and(|text| text.len() == 66);
    let block = if by_hash {
        block_with(state, of)?
    } else if of.get("blockHash").is_some() {
        block_with(state, &of["blockHash"])?
    } else if of.get("blockNumber").is_some() {
        block_at(state, &of["blockNumber"])?
    } else {
        block_at(state, of)?
    };
    Ok(match block {
        None => Answer::null(),
        Some(_) if empty => Answer::Text("[]".to_owned()),
        Some(block) if omitting => Answer::Text(block.receipts_without_last_log()),
        Some(block) => Answer::Shared(Arc::clone(block.receipts_json())),
    })
}

fn transaction_receipt(state: &NodeState, hash: &Value) -> Result<Answer, RpcError> {
    let hash = read_hash(hash)?;
    for block in state.chain.blocks().iter().rev().filter(|block| state.is_visible(block)) {
        if let Some(text) = block.receipt_text(&hash) {
            return Ok(Answer::Text(text.to_owned()));
        }
    }
    Ok(Answer::null())
}

fn logs(state: &NodeState, filter: &Value) -> Result<Answer, RpcError> {
    if state.faults().empty_logs {
        return Ok(Answer::Text("[]".to_owned()));
    }
    let wanted = LogFilter::read(filter).map_err(|error| RpcError::invalid(&error))?;
    let blocks = if filter["blockHash"].is_null() {
        let head = state.visible_head().map_or(0, |block| block.number);
        let from = range_end(state, &filter["fromBlock"], head)?;
        let to = range_end(state, &filter["toBlock"], head)?.min(head);
        state.chain.blocks_between(from, to)
    } else {
        let block = block_with(state, &filter["blockHash"])?;
        vec![block.ok_or_else(|| RpcError::new(-32000, "unknown block"))?]
    };
    let mut text = String::from("[");
    let omitting = state.faults().omitting;
    let served =
        |block: &Arc<NodeBlock>| block.log_count() - usize::from(omitting).min(block.log_count());
    for log in blocks.iter().flat_map(|block| wanted.texts(block).take(served(block))) {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(log);
    }
    text.push(']');
    Ok(Answer::Text(text))
}

fn range_end(state: &NodeState, tag: &Value, head: u64) -> Result<u64, RpcError> {
    match tag.as_str() {
        None | Some("latest" | "pending") => Ok(head),
        Some(number) if number.starts_with("0x") => {
            quantity(number).map_err(|error| RpcError::invalid(&error))
        }
        Some(_) => Ok(block_at(state, tag)?.map_or(0, |block| block.number)),
    }
}

fn eth_call(state: &NodeState, call: &Value) -> Answer {
    let text = |name: &str| call[name].as_str().unwrap_or("").to_lowercase();
    let data = if call["input"].is_string() { text("input") } else { text("data") };
    let faults = state.faults();
    let result = faults.call_answers.get(&(text("to"), data)).map_or("0x", String::as_str);
    Answer::Text(format!("\"{result}\""))
}
