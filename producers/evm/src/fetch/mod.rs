//! One fetcher for live, gap and history: whole blocks by hash or number, verified.

mod ask;
mod block_span;
mod cross_check;
pub(crate) mod error;
pub(crate) mod filtered;
pub(crate) mod finality;
pub(crate) mod log_range;
mod log_search;
pub(crate) mod logs;
mod outcomes;
mod payments;
mod rotation;
pub(crate) mod traces;

use std::{sync::Arc, time::Instant};

use crypto_intel_schemas::{B256, Kind};
use serde_json::json;

use self::{
    ask::{Attempt, Hedging},
    error::{BlockId, FetchError},
    logs::KnownLogs,
    outcomes::with_outcomes,
    traces::Tracer,
};
use crate::{
    block::{BlockData, Header},
    config::ChainConfig,
    decode::Decoder,
    endpoint::{Answer, Endpoint, EndpointError, Pool},
    enrich::watch::{WatchView, WatchlistCache},
    metrics::ChainMetrics,
    scope::plan::FetchPlan,
    verify::{Checks, InvalidResponse, LogsAnswer, assemble, read_header},
};

pub(crate) use self::rotation::EndpointRotation;

/// Fetches blocks of one chain.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    pool: Pool,
    checks: Checks,
    pub(crate) metrics: ChainMetrics,
    tracer: Tracer,
    pub(crate) known_logs: KnownLogs,
    plan: FetchPlan,
    /// The chain, and whose transactions are published on it whatever they are.
    watched: Option<(String, WatchlistCache)>,
}

impl Fetcher {
    pub(crate) fn new(pool: Pool, checks: Checks, metrics: ChainMetrics) -> Self {
        Self {
            pool,
            checks,
            metrics,
            tracer: Tracer::default(),
            known_logs: KnownLogs::default(),
            plan: FetchPlan::default(),
            watched: None,
        }
    }

    /// Whether only some logs of a block are fetched.
    pub(crate) fn is_filtered(&self) -> bool {
        matches!(self.plan, FetchPlan::Logs { .. })
    }

    /// For a chain as it is configured: what its scope needs, with payments inside contracts where those are in it.
    pub(crate) fn of(
        pool: Pool,
        config: &ChainConfig,
        decoder: &Decoder,
        metrics: ChainMetrics,
    ) -> Self {
        let scope = decoder.scope();
        let tracer = match scope.has_kind(Kind::InternalTransfer) {
            true => Tracer::of(config),
            false => Tracer::default(),
        };
        let plan = FetchPlan::of(scope, decoder.abis(), config);
        Self { tracer, plan, ..Self::new(pool, Checks::of(config), metrics) }
    }

    /// Asks for single receipts of the transactions of watched addresses, where an endpoint offers no receipts of blocks.
    pub(crate) fn with_watched(self, chain: &str, watched: WatchlistCache) -> Self {
        Self { watched: Some((chain.to_owned(), watched)), ..self }
    }

    /// Whether blocks are fetched with the payments inside their contracts, where an endpoint gives them.
    pub(crate) fn is_traced(&self) -> bool {
        self.tracer.is_on() && !self.is_filtered()
    }

    fn watch_view(&self) -> WatchView {
        self.watched.as_ref().map(|(chain, list)| list.view(chain)).unwrap_or_default()
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn checks(&self) -> Checks {
        self.checks
    }

    /// A verified block with everything that the scope needs. Tries every endpoint, several times.
    ///
    /// # Errors
    /// The last failure. Retry from the current head: the block may have left the chain.
    pub(crate) async fn block(&self, id: BlockId) -> Result<BlockData, FetchError> {
        self.block_in(id, Hedging::Off).await
    }

    /// The same with everything that there is of it, whatever the scope.
    ///
    /// # Errors
    /// As [`block`](Self::block).
    pub(crate) async fn whole_block(&self, id: BlockId) -> Result<BlockData, FetchError> {
        self.whole_block_in(id, Hedging::Off).await
    }

    /// The same for a block that the chain waits for: if the answer is late, another endpoint is asked as well.
    ///
    /// # Errors
    /// As [`block`](Self::block).
    pub(crate) async fn live_block(&self, id: BlockId) -> Result<BlockData, FetchError> {
        self.block_in(id, Hedging::On).await
    }

    async fn block_in(&self, id: BlockId, hedging: Hedging) -> Result<BlockData, FetchError> {
        match &self.plan {
            FetchPlan::Whole => self.whole_block_in(id, hedging).await,
            FetchPlan::Logs { queries, .. } => self.filtered_block(id, queries, hedging).await,
        }
    }

    async fn whole_block_in(&self, id: BlockId, hedging: Hedging) -> Result<BlockData, FetchError> {
        let watched = self.watch_view();
        let attempt = move |endpoint: Arc<Endpoint>, checks| -> Attempt<BlockData> {
            let watched = watched.clone();
            Box::pin(async move { fetch_block(&endpoint, id, checks, &watched).await })
        };
        let block = self.ask(id, hedging, attempt).await?;
        Ok(self.with_payments(block).await)
    }

    /// A header alone.
    ///
    /// # Errors
    /// The last failure.
    pub(crate) async fn header(&self, id: BlockId) -> Result<Header, FetchError> {
        let attempt = move |endpoint: Arc<Endpoint>, checks: Checks| -> Attempt<Header> {
            Box::pin(async move {
                let header = fetch_header(&endpoint, id).await?;
                checks.check(&header).map_err(|source| FetchError::InvalidResponse {
                    endpoint: endpoint.label().to_owned(),
                    source,
                })?;
                Ok(header)
            })
        };
        self.ask(id, Hedging::On, attempt).await
    }
}

pub(crate) async fn fetch_header(endpoint: &Endpoint, id: BlockId) -> Result<Header, FetchError> {
    let answer = ask_block(endpoint, id, false).await?;
    known_header(endpoint, id, &answer)
}

async fn fetch_block(
    endpoint: &Endpoint,
    id: BlockId,
    checks: Checks,
    watched: &WatchView,
) -> Result<BlockData, FetchError> {
    let started = Instant::now();
    let (header, block, logs) = match id {
        BlockId::Hash(hash) => {
            let (block, logs) =
                tokio::join!(ask_block(endpoint, id, true), ask_logs(endpoint, hash));
            let block = block?;
            (known_header(endpoint, id, &block)?, block, logs?)
        }
        BlockId::Number(_) => {
            let block = ask_block(endpoint, id, true).await?;
            let header = known_header(endpoint, id, &block)?;
            let logs = ask_logs(endpoint, header.hash).await?;
            (header, block, logs)
        }
    };
    let (answer, by_receipts) = &logs;
    if answer.is_null() {
        return Err(FetchError::NotFound { endpoint: endpoint.label().to_owned(), block: id });
    }
    let source = if *by_receipts {
        LogsAnswer::Receipts(answer.text())
    } else {
        LogsAnswer::Logs(answer.text())
    };
    let mut assembled = assemble(header, block.text(), source, checks).map_err(|source| {
        FetchError::InvalidResponse { endpoint: endpoint.label().to_owned(), source }
    })?;
    if !*by_receipts {
        assembled = with_outcomes(endpoint, assembled, checks.byzantium, watched).await?;
    }
    tracing::trace!(
        number = header.number,
        elapsed_us = started.elapsed().as_micros() as u64,
        "block fetched"
    );
    Ok(assembled)
}

pub(crate) fn known_header(
    endpoint: &Endpoint,
    id: BlockId,
    answer: &Answer,
) -> Result<Header, FetchError> {
    let label = || endpoint.label().to_owned();
    let header = read_header(answer.text())
        .map_err(|source| FetchError::InvalidResponse { endpoint: label(), source })?
        .ok_or_else(|| FetchError::NotFound { endpoint: label(), block: id })?;
    let is_other = match id {
        BlockId::Hash(hash) => header.hash != hash,
        BlockId::Number(number) => header.number != number,
    };
    if is_other {
        let source =
            InvalidResponse::OtherBlock { what: "header and transactions", number: header.number };
        return Err(FetchError::InvalidResponse { endpoint: label(), source });
    }
    Ok(header)
}

pub(crate) async fn ask_block(
    endpoint: &Endpoint,
    id: BlockId,
    full: bool,
) -> Result<Answer, EndpointError> {
    match id {
        BlockId::Hash(hash) => endpoint.call("eth_getBlockByHash", (hash, full)).await,
        BlockId::Number(number) => {
            endpoint.call("eth_getBlockByNumber", (format!("{number:#x}"), full)).await
        }
    }
}

/// Receipts where offered (`true`), else logs.
async fn ask_logs(endpoint: &Endpoint, hash: B256) -> Result<(Answer, bool), EndpointError> {
    if endpoint.offers_block_receipts() {
        match endpoint.call("eth_getBlockReceipts", [hash]).await {
            Err(EndpointError::Unsupported { .. }) => endpoint.set_without_block_receipts(),
            other => return other.map(|answer| (answer, true)),
        }
    }
    let answer = endpoint.call("eth_getLogs", [json!({ "blockHash": hash })]).await?;
    Ok((answer, false))
}
