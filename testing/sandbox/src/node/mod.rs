//! A scripted JSON-RPC node: real HTTP and websocket on one port, over a chain that the test writes.
//!
//! Several nodes can serve one [`Chain`], each with its own faults.

mod block;
mod builder;
mod chain;
mod faults;
mod lazy_block;
mod logs;
mod player;
mod rpc;
mod socket;

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

pub use self::block::NodeBlock;
pub use self::builder::{
    RecordedStep, Relink, RelinkOptions, Synthetic, SyntheticOptions, load_recorded,
    load_recording, recorded_numbers,
};
pub use self::chain::Chain;
use self::faults::Faults;
pub use self::faults::{RateLimit, RateLimitForm};
pub use self::lazy_block::LazyBlock;
pub use self::player::Player;
use crate::local_server::LocalServer;

/// Control frames that wait for a slow websocket client.
const CONTROLS_KEPT: usize = 1_024;

/// How to start a [`ScriptedNode`].
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// What `eth_chainId` answers.
    pub chain_id: u64,
    /// The chain to serve.
    pub chain: Chain,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { chain_id: 1, chain: Chain::new() }
    }
}

/// A JSON-RPC endpoint on 127.0.0.1; gone when dropped.
#[derive(Debug)]
pub struct ScriptedNode {
    server: LocalServer,
    state: Arc<NodeState>,
}

#[derive(Debug)]
pub(crate) struct NodeState {
    chain: Chain,
    chain_id: u64,
    faults: Mutex<Faults>,
    calls: Mutex<Calls>,
    control: broadcast::Sender<Control>,
}

#[derive(Debug, Default)]
struct Calls {
    by_method: HashMap<String, u64>,
    sockets_opened: u64,
    sockets_open: u64,
    head_subscriptions: u64,
}

#[derive(Debug, Clone)]
enum Control {
    /// A text frame as it is.
    Frame(String),
    /// Blocks that were held back while the head was frozen.
    Heads(Vec<Arc<NodeBlock>>),
}

impl ScriptedNode {
    /// Starts an endpoint.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start(options: NodeOptions) -> anyhow::Result<Self> {
        let (control, _) = broadcast::channel(CONTROLS_KEPT);
        let state = Arc::new(NodeState {
            chain: options.chain,
            chain_id: options.chain_id,
            faults: Mutex::default(),
            calls: Mutex::default(),
            control,
        });
        let server = LocalServer::start(socket::router(Arc::clone(&state))).await?;
        Ok(Self { server, state })
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// `ws://127.0.0.1:PORT`
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.server.port())
    }

    /// The chain behind this node.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.state.chain
    }

    /// As [`Chain::push_block`].
    ///
    /// # Errors
    /// As there.
    pub fn push_block(&self, block: NodeBlock) -> anyhow::Result<()> {
        self.state.chain.push_block(block)
    }

    /// As [`Chain::push_lazy`].
    ///
    /// # Errors
    /// As there.
    pub fn push_lazy(&self, lazy: LazyBlock) -> anyhow::Result<()> {
        self.state.chain.push_lazy(lazy)
    }

    /// As [`Chain::reorg`].
    ///
    /// # Errors
    /// As there.
    pub fn reorg(&self, depth: usize, new_blocks: Vec<NodeBlock>) -> anyhow::Result<()> {
        self.state.chain.reorg(depth, new_blocks)
    }

    /// As [`Chain::set_safe`].
    pub fn set_safe(&self, number: u64) {
        self.state.chain.set_safe(number);
    }

    /// As [`Chain::set_finalized`].
    pub fn set_finalized(&self, number: u64) {
        self.state.chain.set_finalized(number);
    }

    /// Sockets stay open and answer requests, but heads and logs are no longer sent.
    pub fn go_silent(&self, on: bool) {
        self.state.faults().silent = on;
    }

    /// Connections are accepted and requests are read, but nothing is ever answered.
    pub fn go_unresponsive(&self, on: bool) {
        self.state.faults().unresponsive = on;
    }

    /// Every request is answered 503, and open sockets are cut when this is turned on.
    pub fn go_unavailable(&self, on: bool) {
        self.state.faults().unavailable = on;
        if on {
            self.cut_connections();
        }
    }

    /// Cuts all connections, HTTP and websocket, without a close frame or an answer.
    pub fn cut_connections(&self) {
        self.server.cut_connections();
    }

    /// `eth_getLogs` answers `[]`.
    pub fn answer_empty_logs(&self, on: bool) {
        self.state.faults().empty_logs = on;
    }

    /// `eth_getBlockReceipts` answers `[]`.
    pub fn answer_empty_receipts(&self, on: bool) {
        self.state.faults().empty_receipts = on;
    }

    /// New heads are no longer pushed, subscribed logs are.
    pub fn push_no_heads(&self, on: bool) {
        self.state.faults().headless = on;
    }

    /// The last log of every block is left out, in receipts and in logs.
    pub fn omit_last_logs(&self, on: bool) {
        self.state.faults().omitting = on;
    }

    /// Announces a block that the node does not have to all subscribers of heads.
    pub fn announce(&self, block: NodeBlock) {
        let _ = self.state.control.send(Control::Heads(vec![Arc::new(block)]));
    }

    /// `eth_getBlockReceipts` is an unknown method.
    pub fn without_block_receipts(&self, on: bool) {
        self.state.faults().no_block_receipts = on;
    }

    /// Refuses the next requests.
    pub fn rate_limit(&self, limit: RateLimit) {
        self.state.faults().rate_limit = Some(limit);
    }

    /// Sends a text frame to all open sockets, by default one that is cut in the middle.
    pub fn malformed_frame(&self, text: Option<&str>) {
        let broken = r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscr"#;
        let _ = self.state.control.send(Control::Frame(text.unwrap_or(broken).to_owned()));
    }

    /// The node knows nothing above its current head until this is turned off; then it sends the heads it held back.
    pub fn freeze_head(&self, on: bool) {
        let head = self.state.chain.head().map(|block| block.number);
        let mut faults = self.state.faults();
        if on {
            faults.frozen_at = faults.frozen_at.or(head);
        } else if let Some(frozen_at) = faults.frozen_at.take() {
            let held = self.state.chain.blocks_between(frozen_at.saturating_add(1), u64::MAX);
            let _ = self.state.control.send(Control::Heads(held));
        }
    }

    /// `eth_chainId` and `net_version` answer this.
    pub fn wrong_chain_id(&self, chain_id: Option<u64>) {
        self.state.faults().wrong_chain_id = chain_id;
    }

    /// Every answer takes this much longer.
    pub fn delay_answers(&self, delay: Option<Duration>) {
        self.state.faults().delay = delay;
    }

    /// Requests of this method are read over a websocket but never answered, others are.
    pub fn never_answer(&self, method: &str, on: bool) {
        let mut faults = self.state.faults();
        if on {
            faults.muted.insert(method.to_owned());
        } else {
            faults.muted.remove(method);
        }
    }

    /// A method answers this `result` (JSON text) from now on.
    pub fn set_answer(&self, method: &str, result: &str) {
        self.state.faults().answers.insert(method.to_owned(), result.to_owned());
    }

    /// `eth_call` to `to` with exactly this `data` answers `result` (all with 0x); without it the answer is `0x`.
    pub fn set_call_answer(&self, to: &str, data: &str, result: &str) {
        let key = (to.to_lowercase(), data.to_lowercase());
        self.state.faults().call_answers.insert(key, result.to_owned());
    }

    /// How often a method was called, including refused calls.
    #[must_use]
    pub fn calls(&self, method: &str) -> u64 {
        self.state.calls().by_method.get(method).copied().unwrap_or(0)
    }

    /// Calls of all methods.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.state.calls().by_method.values().sum()
    }

    /// Websockets opened so far.
    #[must_use]
    pub fn sockets_opened(&self) -> u64 {
        self.state.calls().sockets_opened
    }

    /// Websockets open now.
    #[must_use]
    pub fn sockets_open(&self) -> u64 {
        self.state.calls().sockets_open
    }

    /// `newHeads` subscriptions open now.
    #[must_use]
    pub fn head_subscriptions(&self) -> u64 {
        self.state.calls().head_subscriptions
    }
}

impl NodeState {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock()
    }

    /// The highest block that this node shows.
    fn visible_head(&self) -> Option<Arc<NodeBlock>> {
        let frozen_at = self.faults().frozen_at;
        let head = self.chain.head()?;
        match frozen_at {
            Some(number) if number < head.number => self.chain.block(number),
            _ => Some(head),
        }
    }

    fn is_visible(&self, block: &NodeBlock) -> bool {
        self.faults().frozen_at.is_none_or(|number| block.number <= number)
    }
}
