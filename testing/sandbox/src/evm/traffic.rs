//! Transfers at a given rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::Address;
use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::contracts::{Contracts, native};
use crate::http::RpcClient;

const UNITS_PER_TOKEN: u128 = 1_000_000;
const WEI_PER_ETHER: u128 = 1_000_000_000_000_000_000;
/// What each account gets at the start: more than it can spend.
const INITIAL_TOKENS: u128 = 1_000_000_000_000;

/// What [`Traffic`] sends.
#[derive(Debug, Clone)]
pub struct TrafficOptions {
    /// Transactions per second.
    pub per_second: f64,
    /// Every n-th transaction moves 1 to 30 million tokens, the others 1 to 50,000; 0: never.
    pub whale_every: u64,
    /// Every n-th transaction moves native currency (0.01 to 100 ether); 0: never.
    pub native_every: u64,
    /// The same seed gives the same transfers.
    pub seed: u64,
}

impl Default for TrafficOptions {
    fn default() -> Self {
        Self { per_second: 20.0, whale_every: 47, native_every: 5, seed: 1 }
    }
}

/// Accepted by the node so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficCounts {
    /// ERC-20 transfers.
    pub token: u64,
    /// Native transfers.
    pub native: u64,
    /// Transactions that the node did not take.
    pub refused: u64,
}

/// Transfers between a node's unlocked accounts, until dropped or stopped.
#[derive(Debug)]
pub struct Traffic {
    contracts: Contracts,
    counters: Arc<Counters>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Counters {
    token: AtomicU64,
    native: AtomicU64,
    refused: AtomicU64,
}

impl Traffic {
    /// Deploys the contracts, mints to all accounts, and begins to send.
    ///
    /// # Errors
    /// Fails when the node cannot be reached, has fewer than two unlocked accounts, or refuses the deployment.
    pub async fn start(http_url: &str, options: TrafficOptions) -> anyhow::Result<Self> {
        ensure!(
            options.per_second > 0.0 && options.per_second.is_finite(),
            "a rate above 0 is needed"
        );
        let rpc = RpcClient::new(http_url)?;
        let accounts: Vec<Address> =
            serde_json::from_value(rpc.call("eth_accounts", json!([])).await?)
                .context("read accounts")?;
        ensure!(accounts.len() > 1, "the node has fewer than two unlocked accounts");
        let contracts = Contracts::deploy(&rpc, accounts[0]).await?;
        for account in &accounts {
            let units = INITIAL_TOKENS * UNITS_PER_TOKEN;
            send(&rpc, &contracts.mint(accounts[0], *account, units)).await.context("mint")?;
        }
        let counters = Arc::new(Counters::default());
        let stop = CancellationToken::new();
        let sender = Sender {
            rpc,
            accounts,
            contracts: contracts.clone(),
            counters: Arc::clone(&counters),
            random: StdRng::seed_from_u64(options.seed),
            options,
        };
        let task = tokio::spawn(sender.run(stop.clone()));
        Ok(Self { contracts, counters, stop, task: AbortOnDropHandle::new(task) })
    }

    /// Where the contracts are.
    #[must_use]
    pub fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// What was sent so far.
    #[must_use]
    pub fn counts(&self) -> TrafficCounts {
        TrafficCounts {
            token: self.counters.token.load(Ordering::Relaxed),
            native: self.counters.native.load(Ordering::Relaxed),
            refused: self.counters.refused.load(Ordering::Relaxed),
        }
    }

    /// Stops after the transaction in flight and returns what was sent in all.
    ///
    /// # Errors
    /// Fails when the sending task panicked.
    pub async fn stop(self) -> anyhow::Result<TrafficCounts> {
        self.stop.cancel();
        self.task.await.context("wait for traffic")?;
        Ok(TrafficCounts {
            token: self.counters.token.load(Ordering::Relaxed),
            native: self.counters.native.load(Ordering::Relaxed),
            refused: self.counters.refused.load(Ordering::Relaxed),
        })
    }
}

struct Sender {
    rpc: RpcClient,
    accounts: Vec<Address>,
    contracts: Contracts,
    counters: Arc<Counters>,
    random: StdRng,
    options: TrafficOptions,
}

impl Sender {
    async fn run(mut self, stop: CancellationToken) {
        let period = Duration::from_secs_f64(1.0 / self.options.per_second);
        let mut ticks = tokio::time::interval(period);
        // After a pause of the node, continue at the same rate instead of catching up.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0_u64;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            number += 1;
            self.send_one(number).await;
        }
    }

    async fn send_one(&mut self, number: u64) {
        let from = self.random.random_range(0..self.accounts.len());
        let step = self.random.random_range(1..self.accounts.len());
        let to = self.accounts[(from + step) % self.accounts.len()];
        let from = self.accounts[from];
        let is_native = is_nth(number, self.options.native_every);
        let transaction = if is_native {
            native(from, to, self.random.random_range(WEI_PER_ETHER / 100..100 * WEI_PER_ETHER))
        } else {
            let tokens = if is_nth(number, self.options.whale_every) {
                self.random.random_range(1_000_000..30_000_000)
            } else {
                self.random.random_range(1..50_000)
            };
            let cents = self.random.random_range(0..100) * (UNITS_PER_TOKEN / 100);
            self.contracts.transfer(from, to, tokens * UNITS_PER_TOKEN + cents)
        };
        let counter = match send(&self.rpc, &transaction).await {
            Ok(()) if is_native => &self.counters.native,
            Ok(()) => &self.counters.token,
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "transaction not sent");
                &self.counters.refused
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn is_nth(number: u64, every: u64) -> bool {
    every > 0 && number.is_multiple_of(every)
}

async fn send(rpc: &RpcClient, transaction: &Value) -> anyhow::Result<()> {
    rpc.call("eth_sendTransaction", json!([transaction])).await.map(drop)
}
