use std::time::Duration;

use crypto_intel_sandbox::node::{Player, RateLimit, RateLimitForm, Synthetic, SyntheticOptions};
use crypto_intel_sandbox::{NodeOptions, RpcClient, ScriptedNode};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const LIMIT: Duration = Duration::from_secs(20);

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(node: &ScriptedNode) -> Self {
        Self(tokio_tungstenite::connect_async(node.ws_url()).await.unwrap().0)
    }

    async fn text(&mut self) -> Option<String> {
        match tokio::time::timeout(LIMIT, self.0.next()).await.expect("a frame in time") {
            Some(Ok(Message::Text(text))) => Some(text.to_string()),
            _ => None,
        }
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await.expect("a text frame")).unwrap()
    }

    async fn send(&mut self, method: &str, params: Value) {
        let request = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        self.0.send(Message::text(request.to_string())).await.unwrap();
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.send(method, params).await;
        let mut answer = self.json().await;
        assert_eq!(answer["id"], 7);
        answer["result"].take()
    }
}

fn generator() -> Synthetic {
    Synthetic::new(SyntheticOptions { transfers_per_block: 3, ..Default::default() })
}

async fn node_with(blocks: usize) -> (ScriptedNode, Synthetic) {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let mut chain = generator();
    for _ in 0..blocks {
        node.push_block(chain.next_block()).unwrap();
    }
    (node, chain)
}

#[tokio::test]
async fn answers_blocks_receipts_and_logs_over_http() {
    let (node, _) = node_with(5).await;
    node.set_finalized(2);
    let rpc = RpcClient::new(node.http_url()).unwrap();
    assert_eq!(rpc.call_quantity("eth_chainId", json!([])).await.unwrap(), 1);
    assert_eq!(rpc.call_quantity("eth_blockNumber", json!([])).await.unwrap(), 5);
    let latest = rpc.call("eth_getBlockByNumber", json!(["latest", true])).await.unwrap();
    assert_eq!(latest["transactions"][0]["blockHash"], latest["hash"]);
    let by_hash = rpc.call("eth_getBlockByHash", json!([latest["hash"], false])).await.unwrap();
    assert_eq!(by_hash["transactions"][2], latest["transactions"][2]["hash"]);
    let finalized = rpc.call("eth_getBlockByNumber", json!(["finalized", false])).await.unwrap();
    assert_eq!(finalized["number"], "0x2");
    assert!(rpc.call("eth_getBlockByNumber", json!(["safe", false])).await.is_err());
    assert!(rpc.call("eth_getBlockByNumber", json!(["0x6", true])).await.unwrap().is_null());
    let receipts = rpc.call("eth_getBlockReceipts", json!([latest["hash"]])).await.unwrap();
    let hash = &receipts[1]["transactionHash"];
    let receipt = rpc.call("eth_getTransactionReceipt", json!([hash])).await.unwrap();
    assert_eq!(receipt, receipts[1]);
    let all = json!([{"fromBlock": "0x2", "toBlock": "0x4"}]);
    assert_eq!(rpc.call("eth_getLogs", all).await.unwrap().as_array().unwrap().len(), 9);
    let log = &receipts[0]["logs"][0];
    let one = json!([{"blockHash": latest["hash"], "address": [log["address"]],
                      "topics": [null, [log["topics"][1]], log["topics"][2]]}]);
    assert_eq!(rpc.call("eth_getLogs", one).await.unwrap()[0], *log);
    let none = json!([{"blockHash": latest["hash"], "topics": [log["topics"][1]]}]);
    assert_eq!(rpc.call("eth_getLogs", none).await.unwrap(), json!([]));
    assert_eq!(rpc.call("eth_call", json!([{"to": "0x01", "data": "0x02"}])).await.unwrap(), "0x");
    node.set_call_answer("0x01", "0x02", "0x2a");
    let called = rpc.call("eth_call", json!([{"to": "0x01", "input": "0x02"}])).await.unwrap();
    assert_eq!(called, "0x2a");
    let unknown = rpc.call("eth_mine", json!([])).await.unwrap_err().to_string();
    assert!(unknown.contains("-32601"), "{unknown}");
    assert_eq!(node.calls("eth_getLogs"), 3);
}

#[tokio::test]
async fn pushes_heads_and_logs_and_reports_a_reorg() {
    let (node, mut chain) = node_with(2).await;
    let mut socket = Socket::open(&node).await;
    let heads = socket.call("eth_subscribe", json!(["newHeads"])).await;
    let logs = socket.call("eth_subscribe", json!(["logs", {}])).await;
    assert_ne!(heads, logs);
    assert_eq!(node.head_subscriptions(), 1);
    let block = chain.next_block();
    let hash = block.hash.to_string();
    node.push_block(block).unwrap();
    let head = socket.json().await;
    assert_eq!(head["params"]["subscription"], heads);
    assert_eq!(head["params"]["result"]["hash"], hash.as_str());
    assert!(head["params"]["result"].get("transactions").is_none());
    for _ in 0..3 {
        assert_eq!(socket.json().await["params"]["result"]["removed"], false);
    }
    let branch = chain.fork(1, 2);
    let new_hash = branch[0].hash.to_string();
    node.reorg(1, branch).unwrap();
    for _ in 0..3 {
        let removed = socket.json().await;
        assert_eq!(removed["params"]["result"]["removed"], true);
        assert_eq!(removed["params"]["result"]["blockHash"], hash.as_str());
    }
    assert_eq!(socket.json().await["params"]["result"]["hash"], new_hash.as_str());
    let old = socket_skip(&mut socket, 3 + 1 + 3).await;
    assert_eq!(old, 7);
    let still = socket.call("eth_getBlockByHash", json!([hash, false])).await;
    assert_eq!(still["hash"], hash.as_str());
    assert_eq!(socket.call("eth_unsubscribe", json!([heads])).await, true);
    assert_eq!(node.head_subscriptions(), 0);
}

async fn socket_skip(socket: &mut Socket, frames: usize) -> usize {
    for _ in 0..frames {
        socket.json().await;
    }
    frames
}

#[tokio::test]
async fn refuses_blocks_that_do_not_link() {
    let (node, mut chain) = node_with(2).await;
    let old_head = node.chain().head().unwrap().hash;
    let other = SyntheticOptions { first_number: 3, seed: 9, ..Default::default() };
    let stranger = || Synthetic::new(other.clone()).next_block();
    node.push_block(stranger()).unwrap_err();
    node.push_block(generator().next_block()).unwrap_err();
    let mut branch = chain.fork(1, 1);
    branch.push(stranger());
    node.reorg(1, branch).unwrap_err();
    assert_eq!(node.chain().head().unwrap().hash, old_head);
}

#[tokio::test]
async fn goes_silent_freezes_and_comes_back() {
    let (node, mut chain) = node_with(1).await;
    let mut socket = Socket::open(&node).await;
    socket.call("eth_subscribe", json!(["newHeads"])).await;
    node.go_silent(true);
    node.push_block(chain.next_block()).unwrap();
    // The answer comes first, so the head of block 2 was not sent before it.
    assert_eq!(socket.call("eth_blockNumber", json!([])).await, "0x2");
    node.go_silent(false);
    node.freeze_head(true);
    let hidden = chain.next_block();
    let hash = hidden.hash.to_string();
    node.push_block(hidden).unwrap();
    assert_eq!(socket.call("eth_blockNumber", json!([])).await, "0x2");
    assert!(socket.call("eth_getBlockByHash", json!([hash, false])).await.is_null());
    node.freeze_head(false);
    assert_eq!(socket.json().await["params"]["result"]["number"], "0x3");
    node.malformed_frame(None);
    assert!(serde_json::from_str::<Value>(&socket.text().await.unwrap()).is_err());
    node.cut_connections();
    assert!(socket.text().await.is_none());
    let mut second = Socket::open(&node).await;
    assert_eq!(second.call("eth_blockNumber", json!([])).await, "0x3");
    assert_eq!(node.sockets_opened(), 2);
}

#[tokio::test]
async fn misbehaves_on_command() {
    let (node, _) = node_with(2).await;
    let rpc = RpcClient::new(node.http_url()).unwrap();
    node.wrong_chain_id(Some(56));
    assert_eq!(rpc.call("net_version", json!([])).await.unwrap(), "56");
    node.answer_empty_logs(true);
    let logs = rpc.call("eth_getLogs", json!([{"fromBlock": "0x1"}])).await.unwrap();
    assert_eq!(logs, json!([]));
    node.answer_empty_receipts(true);
    let receipts = rpc.call("eth_getBlockReceipts", json!(["latest"])).await.unwrap();
    assert_eq!(receipts, json!([]));
    node.without_block_receipts(true);
    let missing = rpc.call("eth_getBlockReceipts", json!(["0x1"])).await.unwrap_err().to_string();
    assert!(missing.contains("-32601"), "{missing}");
    let limit = RateLimit { requests: 1, form: RateLimitForm::JsonRpc, retry_after_seconds: 3 };
    node.rate_limit(limit);
    let refused = rpc.call("eth_chainId", json!([])).await.unwrap_err().to_string();
    assert!(refused.contains("-32005"), "{refused}");
    rpc.call("eth_chainId", json!([])).await.unwrap();
    node.rate_limit(RateLimit { form: RateLimitForm::Http, ..limit });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"});
    let answer = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let answer = answer.post(node.http_url()).json(&body).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()),
        (429, "3")
    );
    node.go_unavailable(true);
    assert!(rpc.call("eth_chainId", json!([])).await.is_err());
    node.go_unavailable(false);
    rpc.call("eth_chainId", json!([])).await.unwrap();
    assert_eq!(node.calls("eth_chainId"), 4);
}

#[tokio::test]
async fn plays_a_chain_with_current_timestamps() {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let mut socket = Socket::open(&node).await;
    socket.call("eth_subscribe", json!(["newHeads"])).await;
    let player = Player::start(node.chain().clone(), generator(), Duration::from_millis(5));
    let first = socket.json().await;
    let second = socket.json().await;
    let (first, second) = (&first["params"]["result"], &second["params"]["result"]);
    assert_eq!(second["parentHash"], first["hash"]);
    let time = u64::from_str_radix(&second["timestamp"].as_str().unwrap()[2..], 16).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(now.as_secs() - time < 20);
    assert!(player.blocks() >= 2);
}

#[tokio::test]
async fn is_gone_after_drop() {
    let (node, _) = node_with(1).await;
    let mut socket = Socket::open(&node).await;
    socket.call("eth_blockNumber", json!([])).await;
    let url = node.http_url();
    drop(node);
    assert!(socket.text().await.is_none());
    let rpc = RpcClient::new(url).unwrap();
    let gone = tokio::time::timeout(LIMIT, async {
        while rpc.call("eth_chainId", json!([])).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    gone.await.expect("refused connections");
}
