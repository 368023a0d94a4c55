use std::{sync::Arc, time::Duration};

use crypto_intel_nats::{Bucket, Kv, Nats};
use crypto_intel_schemas::{Address, TokenEntry};
use crypto_intel_service::now_us;
use futures::{StreamExt as _, stream};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Cache, Known, TokenInfo,
    call::{Called, aggregate, single},
};
use crate::{
    config::ChainConfig,
    endpoint::{Class, Endpoint, EndpointError, Pool},
    metrics::ChainMetrics,
};

/// Tokens in one call: three questions to each.
const AT_ONCE: usize = 40;
/// Concurrent reads of the bucket.
const READS: usize = 16;
/// A contract that did not answer like a token is asked again after this long: it may be a proxy that
/// is not set up yet.
const RETRY_NOTHING: Duration = Duration::from_secs(3_600);
/// The same when the endpoint did not answer.
const RETRY_FAILED: Duration = Duration::from_secs(30);

/// Looks tokens up, in the bucket and then in the chain.
#[derive(Debug)]
pub(super) struct Lookups {
    chain: String,
    multicall: Option<Address>,
    nats: Nats,
    bucket: Option<Kv>,
    pool: Pool,
    metrics: ChainMetrics,
    cache: Cache,
}

impl Lookups {
    pub(super) fn new(
        chain: &str,
        config: &ChainConfig,
        nats: &Nats,
        pool: &Pool,
        metrics: &ChainMetrics,
        cache: Cache,
    ) -> Self {
        Self {
            chain: chain.to_owned(),
            multicall: config.multicall.parse().ok(),
            nats: nats.clone(),
            bucket: None,
            pool: pool.clone(),
            metrics: metrics.clone(),
            cache,
        }
    }

    /// Answers requests until `stop`.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Address>, stop: CancellationToken) {
        loop {
            let mut tokens = Vec::new();
            tokio::select! {
                () = stop.cancelled() => return,
                count = queue.recv_many(&mut tokens, AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.look_up(tokens) => {}
            }
        }
    }

    async fn look_up(&mut self, tokens: Vec<Address>) {
        if self.bucket.is_none() {
            match self.nats.kv(Bucket::Tokens).await {
                Ok(bucket) => self.bucket = Some(bucket),
                Err(error) => {
                    tracing::debug!(chain = self.chain, %error, "bucket `tokens` cannot be opened")
                }
            }
        }
        let unknown = self.read_stored(tokens).await;
        self.metrics.token_lookups("asked", unknown.len());
        let mut groups = vec![unknown];
        while let Some(group) = groups.pop() {
            if group.is_empty() {
                continue;
            }
            let Some(endpoint) = self.pool.ranked(Class::Calls).first().cloned() else {
                self.give_up(&group, "no endpoint is connected");
                continue;
            };
            match self.ask(&endpoint, &group).await {
                Ok(Asked { known, again }) => {
                    groups.extend(again);
                    self.keep(known).await;
                }
                // A single token may be the cause: split the group.
                Err(error) if error.is_outage() && group.len() > 1 => {
                    let (first, second) = group.split_at(group.len() / 2);
                    groups.extend([first.to_vec(), second.to_vec()]);
                }
                Err(error) => self.give_up(&group, &error.to_string()),
            }
        }
    }

    /// Resolves the tokens that the bucket has; returns the others.
    async fn read_stored(&self, tokens: Vec<Address>) -> Vec<Address> {
        let Some(bucket) = &self.bucket else { return tokens };
        let reads = stream::iter(tokens).map(|token| async move {
            let entry = bucket.get(&self.key(&token)).await.ok().flatten();
            (token, entry.and_then(|entry| serde_json::from_slice::<TokenEntry>(&entry.value).ok()))
        });
        let mut unknown = Vec::new();
        let mut found = 0;
        for (token, stored) in reads.buffer_unordered(READS).collect::<Vec<_>>().await {
            let stored = stored.map(|entry| (entry.at_us, TokenInfo::from(entry)));
            match stored {
                Some((_, info)) if !info.is_empty() => {
                    found += 1;
                    self.cache.resolve(token, Known::Found(Arc::new(info)));
                }
                Some((at_us, _)) if now_us() - at_us < RETRY_NOTHING.as_micros() as i64 => {
                    found += 1;
                    self.cache.resolve(token, nothing(RETRY_NOTHING));
                }
                _ => unknown.push(token),
            }
        }
        self.metrics.token_lookups("stored", found);
        unknown
    }

    /// Asks for a group in one call; tokens without a complete answer are returned, to be asked for again in smaller
    /// groups.
    async fn ask(
        &mut self,
        endpoint: &Endpoint,
        group: &[Address],
    ) -> Result<Asked, EndpointError> {
        let Some(multicall) = self.multicall else {
            return self.ask_singly(endpoint, group).await;
        };
        match aggregate(endpoint, &multicall, group).await? {
            Called::Tokens(infos) => {
                let mut asked = Asked::default();
                for (token, info) in group.iter().zip(infos) {
                    // One token can use up the gas of the whole call: incomplete ones are asked for alone.
                    if info.is_whole() || group.len() == 1 {
                        asked.known.push((*token, info));
                    } else {
                        asked.again.push(vec![*token]);
                    }
                }
                Ok(asked)
            }
            Called::Hostile if group.len() > 1 => {
                let (first, second) = group.split_at(group.len() / 2);
                Ok(Asked { known: Vec::new(), again: vec![first.to_vec(), second.to_vec()] })
            }
            Called::Hostile => self.ask_singly(endpoint, group).await,
            Called::NoMulticall => {
                tracing::info!(
                    chain = self.chain,
                    %multicall,
                    "no Multicall3 at this address, tokens are asked one by one: set evm.chains.<chain>.multicall if it is elsewhere"
                );
                self.multicall = None;
                self.ask_singly(endpoint, group).await
            }
        }
    }

    async fn ask_singly(
        &self,
        endpoint: &Endpoint,
        group: &[Address],
    ) -> Result<Asked, EndpointError> {
        // One at a time: the same endpoint also serves blocks.
        let mut asked = Asked::default();
        for token in group {
            asked.known.push((*token, single(endpoint, token).await?));
        }
        Ok(asked)
    }

    /// Notifies the waiting blocks, then writes to the bucket.
    async fn keep(&self, known: Vec<(Address, TokenInfo)>) {
        for (token, info) in &known {
            let outcome = if info.is_empty() { "nothing" } else { "found" };
            self.metrics.token_lookups(outcome, 1);
            let entry = if info.is_empty() {
                nothing(RETRY_NOTHING)
            } else {
                Known::Found(Arc::new(info.clone()))
            };
            self.cache.resolve(*token, entry);
        }
        let Some(bucket) = &self.bucket else { return };
        for (token, info) in known {
            let Ok(value) = serde_json::to_vec(&info.entry(now_us())) else { continue };
            if let Err(error) = bucket.put(&self.key(&token), value).await {
                // It is asked again after a restart.
                tracing::debug!(chain = self.chain, %token, %error, "token cannot be written to bucket `tokens`");
            }
        }
    }

    fn give_up(&self, tokens: &[Address], reason: &str) {
        tracing::debug!(
            chain = self.chain,
            tokens = tokens.len(),
            reason,
            "token metadata is unavailable right now"
        );
        self.metrics.token_lookups("failed", tokens.len());
        for token in tokens {
            self.cache.resolve(*token, nothing(RETRY_FAILED));
        }
    }

    fn key(&self, token: &Address) -> String {
        TokenEntry::key(&self.chain, token)
    }
}

/// Results of a call, and the groups to ask for again.
#[derive(Debug, Default)]
struct Asked {
    known: Vec<(Address, TokenInfo)>,
    again: Vec<Vec<Address>>,
}

fn nothing(retry: Duration) -> Known {
    Known::Nothing { until: Instant::now() + retry }
}
