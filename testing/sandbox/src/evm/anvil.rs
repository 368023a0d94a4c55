//! A private anvil.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::contracts;
use crate::http::RpcClient;
use crate::port::free_port;
use crate::process::ServerProcess;
use crate::tools;

const START_ATTEMPTS: usize = 5;

/// How to start an [`Anvil`].
#[derive(Debug, Clone)]
pub struct AnvilOptions {
    /// The chain's id.
    pub chain_id: u64,
    /// A block at this interval; `None`: a block for each transaction.
    pub block_time: Option<Duration>,
    /// Only [`Anvil::mine`] makes blocks. `block_time` must then be `None`.
    pub manual_mining: bool,
    /// Gas limit of a block.
    pub gas_limit: u64,
    /// `safe` is this many blocks below the head, `finalized` twice as many.
    pub slots_in_an_epoch: u64,
    /// Further arguments for the command line.
    pub extra_args: Vec<String>,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self {
            chain_id: 31_337,
            block_time: None,
            manual_mining: false,
            gas_limit: 500_000_000,
            slots_in_an_epoch: 32,
            extra_args: Vec::new(),
        }
    }
}

/// A private development chain on 127.0.0.1 with ten funded, unlocked accounts; killed when dropped.
#[derive(Debug)]
pub struct Anvil {
    process: ServerProcess,
    port: u16,
    rpc: RpcClient,
    // Holds the log.
    _run_dir: TempDir,
}

impl Anvil {
    /// Starts anvil and waits until it answers.
    ///
    /// # Errors
    /// Fails when there is no anvil, or it is not ready after 60 s; the error shows its log.
    pub async fn start(options: AnvilOptions) -> anyhow::Result<Self> {
        let program = tools::anvil()?;
        let run_dir =
            TempDir::with_prefix("crypto-intel-anvil-").context("create folder for anvil")?;
        let log_path = run_dir.path().join("anvil.log");
        let mut attempt = 1;
        loop {
            let port = free_port()?;
            let rpc = RpcClient::new(format!("http://127.0.0.1:{port}"))?;
            let mut command = Command::new(&program);
            command.args(arguments(&options, port)).current_dir(run_dir.path());
            let mut process =
                ServerProcess::spawn("anvil", &mut command, &log_path, Some(run_dir.path()))?;
            let ready = process
                .wait_until_ready(async |_| rpc.call("eth_chainId", json!([])).await.is_ok())
                .await;
            match ready {
                Ok(()) => return Ok(Self { process, port, rpc, _run_dir: run_dir }),
                // Another process took the port first.
                Err(error)
                    if attempt < START_ATTEMPTS
                        && error.to_string().to_lowercase().contains("address already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `ws://127.0.0.1:PORT`
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The client behind the methods here, for any other call.
    #[must_use]
    pub fn rpc(&self) -> &RpcClient {
        &self.rpc
    }

    /// Addresses of the unlocked accounts.
    ///
    /// # Errors
    /// As [`RpcClient::call`].
    pub async fn accounts(&self) -> anyhow::Result<Vec<String>> {
        let answer = self.rpc.call("eth_accounts", json!([])).await?;
        serde_json::from_value(answer).context("read accounts")
    }

    /// The head's number.
    ///
    /// # Errors
    /// As [`RpcClient::call`].
    pub async fn block_number(&self) -> anyhow::Result<u64> {
        self.rpc.call_quantity("eth_blockNumber", json!([])).await
    }

    /// Sends a transaction from an unlocked account, waits until it is in a block, and returns its receipt. Anvil mines
    /// after it has answered `eth_sendTransaction`, so without waiting the transaction may be in no block yet.
    ///
    /// # Errors
    /// As [`RpcClient::call`], and when it is in no block after 60 s.
    pub async fn send(&self, transaction: &Value) -> anyhow::Result<Value> {
        let hash = self.rpc.call("eth_sendTransaction", json!([transaction])).await?;
        contracts::receipt(&self.rpc, &hash).await
    }

    /// Makes this many blocks at once.
    ///
    /// # Errors
    /// As [`RpcClient::call`].
    pub async fn mine(&self, blocks: u64) -> anyhow::Result<()> {
        self.rpc.call("anvil_mine", json!([format!("{blocks:#x}")])).await.map(drop)
    }

    /// Replaces the newest `depth` blocks (`anvil_reorg`). `transactions` are transaction objects, each with the
    /// new block, counted from 0, that it goes into; the transactions of the old blocks are gone.
    ///
    /// # Errors
    /// As [`RpcClient::call`].
    pub async fn reorg(&self, depth: u64, transactions: &[(Value, u64)]) -> anyhow::Result<()> {
        self.rpc.call("anvil_reorg", json!([depth, transactions])).await.map(drop)
    }

    /// SIGKILL; the chain is lost.
    ///
    /// # Errors
    /// Fails when the system does not let us wait for the process.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// SIGSTOP: sockets stay open, nothing answers.
    ///
    /// # Errors
    /// Fails when the signal cannot be sent.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.process.pause()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// Fails when the signal cannot be sent.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::CONT)
    }
}

fn arguments(options: &AnvilOptions, port: u16) -> Vec<String> {
    let mut arguments: Vec<String> = vec![
        "--host=127.0.0.1".to_owned(),
        format!("--port={port}"),
        "--silent".to_owned(),
        format!("--chain-id={}", options.chain_id),
        format!("--gas-limit={}", options.gas_limit),
        format!("--slots-in-an-epoch={}", options.slots_in_an_epoch),
        "--balance=1000000".to_owned(),
    ];
    if let Some(block_time) = options.block_time {
        arguments.push(format!("--block-time={}", block_time.as_secs_f64()));
    }
    if options.manual_mining {
        arguments.push("--no-mining".to_owned());
    }
    arguments.extend(options.extra_args.iter().cloned());
    arguments
}
