//! A client of the node that drops what it receives: this measures the node's own time, apart from the producer's.

use std::{collections::VecDeque, time::Instant};

use anyhow::{Context as _, bail};
use crypto_intel_service::now_us;
use futures::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::answer;
use crate::usage::Usage;

/// As many blocks as the producer fetches at once by default.
const CONCURRENCY: usize = 8;
/// How much of an answer is searched for its id.
const HEAD_BYTES: usize = 200;

/// What to fetch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FetchTask {
    /// The node's websocket.
    pub(crate) node_url: String,
    /// With heads: wait for so many and fetch each. Without: fetch so many blocks from 1 on.
    pub(crate) blocks: u64,
    /// Whether to follow heads.
    pub(crate) heads: bool,
}

/// What was fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FetchOutcome {
    /// From the first request to the last answer.
    pub(crate) seconds: f64,
    /// Bytes of JSON.
    pub(crate) bytes: u64,
    /// With heads: number of each block and when both its answers had arrived, microseconds since 1970.
    pub(crate) fetched: Vec<(u64, i64)>,
    /// Usage of this process.
    pub(crate) usage: Usage,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) async fn run(task: FetchTask) -> anyhow::Result<()> {
    let limits = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let (mut socket, _) = connect_async_with_config(&task.node_url, Some(limits), true)
        .await
        .context("connect to the node")?;
    let started = Instant::now();
    let mut outcome = if task.heads {
        follow(&mut socket, task.blocks).await?
    } else {
        fetch_all(&mut socket, task.blocks).await?
    };
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.usage = Usage::own();
    answer(&outcome)
}

/// Every block and, once its hash is known, its receipts, several at once.
async fn fetch_all(socket: &mut Socket, blocks: u64) -> anyhow::Result<FetchOutcome> {
    let mut outcome = empty();
    let mut next = 1;
    let mut waiting = VecDeque::new();
    let mut received = 0;
    while received < 2 * blocks {
        while next <= blocks && waiting.len() < CONCURRENCY {
            let number = format!("{next:#x}");
            ask(socket, 2 * next, "eth_getBlockByNumber", json!([number, true])).await?;
            waiting.push_back(next);
            next += 1;
        }
        let text = next_text(socket).await?;
        outcome.bytes += text.len() as u64;
        received += 1;
        let id = id_of(&text)?;
        if id.is_multiple_of(2) {
            ask(socket, id + 1, "eth_getBlockReceipts", json!([block_hash(&text)?])).await?;
        } else {
            waiting.retain(|number| *number != id / 2);
        }
    }
    Ok(outcome)
}

/// Each head's block and receipts, both at once.
async fn follow(socket: &mut Socket, blocks: u64) -> anyhow::Result<FetchOutcome> {
    let mut outcome = empty();
    ask(socket, 1, "eth_subscribe", json!(["newHeads"])).await?;
    let subscribed = next_text(socket).await?;
    if subscribed.contains("\"error\"") {
        bail!("the node refused a subscription: {subscribed}");
    }
    // The parent process lets the chain grow from now on.
    answer(&true)?;
    let mut halves: Vec<u64> = Vec::new();
    while (outcome.fetched.len() as u64) < blocks {
        let text = next_text(socket).await?;
        if text.get(..HEAD_BYTES).unwrap_or(&text).contains("subscription") {
            let head: Value = serde_json::from_str(&text).context("read a head")?;
            let head = &head["params"]["result"];
            let hash = head["hash"].as_str().context("find a head's hash")?;
            let number = head["number"].as_str().context("find a head's number")?;
            let number = u64::from_str_radix(number.trim_start_matches("0x"), 16)?;
            ask(socket, 2 * number, "eth_getBlockByHash", json!([hash, true])).await?;
            ask(socket, 2 * number + 1, "eth_getBlockReceipts", json!([hash])).await?;
            continue;
        }
        outcome.bytes += text.len() as u64;
        let number = id_of(&text)? / 2;
        if let Some(place) = halves.iter().position(|half| *half == number) {
            halves.swap_remove(place);
            outcome.fetched.push((number, now_us()));
        } else {
            halves.push(number);
        }
    }
    Ok(outcome)
}

fn empty() -> FetchOutcome {
    FetchOutcome { seconds: 0.0, bytes: 0, fetched: Vec::new(), usage: Usage::default() }
}

async fn ask(socket: &mut Socket, id: u64, method: &str, params: Value) -> anyhow::Result<()> {
    let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    socket.send(Message::text(request.to_string())).await.context("ask the node")
}

async fn next_text(socket: &mut Socket) -> anyhow::Result<String> {
    loop {
        match socket.next().await.context("the node closed the connection")? {
            Ok(Message::Text(text)) => return Ok(text.to_string()),
            Ok(_) => {}
            Err(error) => return Err(error).context("read from the node"),
        }
    }
}

/// The id of an answer, without reading all of it.
fn id_of(text: &str) -> anyhow::Result<u64> {
    let head = text.get(..HEAD_BYTES).unwrap_or(text);
    let (_, rest) = head.split_once("\"id\":").context("find an answer's id")?;
    let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap_or_default().parse().context("read an answer's id")
}

fn block_hash(text: &str) -> anyhow::Result<&str> {
    let (_, rest) = text.split_once("\"hash\":\"").context("find a block's hash")?;
    rest.get(..66).context("read a block's hash")
}
