//! One fetcher for live, gap and history: whole blocks by hash or number, verified.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crypto_intel_schemas::B256;
use serde_json::json;

use crate::{
    answer::{Checks, LogsAnswer, Untrue, assemble, read_header},
    block::{BlockData, Header},
    endpoint::{Answer, Endpoint, EndpointError, Pool},
    metrics::ChainMetrics,
    traces::{TraceError, Tracer},
    turns::{Disagreement, Turns},
};

/// An endpoint that failed is asked last for this long.
const AVOID: Duration = Duration::from_secs(2);

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockId {
    Hash(B256),
    Number(u64),
}

impl std::fmt::Display for BlockId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hash(hash) => write!(formatter, "{hash:#x}"),
            Self::Number(number) => write!(formatter, "{number}"),
        }
    }
}

/// A block cannot be had now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no endpoint is connected")]
    NoEndpoint,
    #[error("endpoint {endpoint} does not know block {block}")]
    NotFound { endpoint: String, block: BlockId },
    #[error("endpoint {endpoint}: {source}")]
    Untrue { endpoint: String, source: Untrue },
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// Fetches blocks of one chain.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    pool: Pool,
    checks: Checks,
    metrics: ChainMetrics,
    tracer: Tracer,
}

impl Fetcher {
    pub(crate) fn new(pool: Pool, checks: Checks, metrics: ChainMetrics) -> Self {
        Self { pool, checks, metrics, tracer: Tracer::default() }
    }

    /// Also fetches payments inside contracts.
    pub(crate) fn with_tracer(mut self, tracer: Tracer) -> Self {
        self.tracer = tracer;
        self
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn checks(&self) -> Checks {
        self.checks
    }

    /// A whole, verified block. Tries every endpoint, several times.
    ///
    /// # Errors
    /// The last failure: look at the heads again, the block may have left the chain.
    pub(crate) async fn block(&self, id: BlockId) -> Result<BlockData, FetchError> {
        let mut untrue = Disagreement::default();
        let mut turns = Turns::default();
        while let Some(endpoint) = turns.next(&self.pool).await {
            let Some(endpoint) = endpoint else { continue };
            let error = match fetch_block(&endpoint, id, untrue.relaxed(self.checks)).await {
                Ok(block) => {
                    endpoint.note_truth(true);
                    // Whose answer was not true alone did not lie.
                    for other in self.pool.all() {
                        if untrue.is_shared_by(other.label()) {
                            other.note_truth(true);
                        }
                    }
                    return self.with_payments(block).await;
                }
                Err(error) => error,
            };
            if let FetchError::Untrue { endpoint: label, source } = &error {
                untrue.note(label, source);
                self.metrics.untrue_answers(label, source.reason());
                tracing::warn!(endpoint = label, block = %id, error = %source, "answer cannot be true, asking again");
            }
            self.note_failure(&endpoint, &error);
            turns.note(error, id);
        }
        Err(turns.last)
    }

    /// A header alone.
    ///
    /// # Errors
    /// The last failure.
    pub(crate) async fn header(&self, id: BlockId) -> Result<Header, FetchError> {
        let mut turns = Turns::default();
        while let Some(endpoint) = turns.next(&self.pool).await {
            let Some(endpoint) = endpoint else { continue };
            match fetch_header(&endpoint, id).await {
                Ok(header) => return Ok(header),
                Err(error) => {
                    self.note_failure(&endpoint, &error);
                    turns.note(error, id);
                }
            }
        }
        Err(turns.last)
    }

    pub(crate) fn note_failure(&self, endpoint: &Arc<Endpoint>, error: &FetchError) {
        match error {
            // Nothing was asked.
            FetchError::Endpoint(EndpointError::Resting { .. }) => {}
            FetchError::Endpoint(error) => {
                self.metrics.request_failures(endpoint.label(), error.reason());
                if matches!(error, EndpointError::Refused { .. }) && !error.is_outage() {
                    endpoint.note_refusal();
                }
                endpoint.avoid(AVOID);
            }
            FetchError::Untrue { .. } => {
                endpoint.note_truth(false);
                endpoint.avoid(AVOID);
            }
            // It says that it has this block, and has not.
            FetchError::NotFound { block: BlockId::Number(number), .. }
                if endpoint.head().is_some_and(|head| head.number >= *number) =>
            {
                endpoint.note_truth(false);
                endpoint.avoid(AVOID);
            }
            FetchError::NotFound { .. } | FetchError::NoEndpoint => {}
        }
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
    let assembled = assemble(header, block.text(), source, checks)
        .map_err(|source| FetchError::Untrue { endpoint: endpoint.label().to_owned(), source })?;
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
        .map_err(|source| FetchError::Untrue { endpoint: label(), source })?
        .ok_or_else(|| FetchError::NotFound { endpoint: label(), block: id })?;
    let is_other = match id {
        BlockId::Hash(hash) => header.hash != hash,
        BlockId::Number(number) => header.number != number,
    };
    if is_other {
        let source = Untrue::OtherBlock { what: "header and transactions", number: header.number };
        return Err(FetchError::Untrue { endpoint: label(), source });
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

/// Traces that cannot be true are asked for so often before the block goes without.
const UNTRUE_TRACES: u32 = 3;

impl Fetcher {
    /// Adds the payments inside a block's contracts. Where no endpoint offers traces, or what they
    /// say cannot be true, the block goes without and its marker says so.
    pub(crate) async fn with_payments(
        &self,
        mut block: BlockData,
    ) -> Result<BlockData, FetchError> {
        if !self.tracer.is_on() {
            return Ok(block);
        }
        let id = BlockId::Hash(block.header.hash);
        let mut turns = Turns::default();
        let mut untrue = 0;
        let is_offered =
            || self.pool.ranked().iter().any(|endpoint| self.tracer.may_offer(endpoint));
        while untrue < UNTRUE_TRACES && is_offered() {
            let Some(endpoint) = turns.next(&self.pool).await else { return Err(turns.last) };
            let Some(endpoint) = endpoint.filter(|one| self.tracer.may_offer(one)) else {
                continue;
            };
            match self.tracer.payments(&endpoint, &block).await {
                Ok(payments) => {
                    block.payments = payments;
                    return Ok(block);
                }
                Err(TraceError::Untrue(error)) => {
                    untrue += 1;
                    self.metrics.untrue_answers(endpoint.label(), error.reason());
                    tracing::warn!(endpoint = endpoint.label(), block = %id, %error, "traces cannot be true");
                }
                Err(TraceError::Endpoint(EndpointError::Unsupported { .. })) => {}
                Err(TraceError::Endpoint(error)) => {
                    let error = FetchError::Endpoint(error);
                    self.note_failure(&endpoint, &error);
                    turns.note(error, id);
                }
            }
        }
        if self.pool.ranked().is_empty() {
            return Err(FetchError::NoEndpoint);
        }
        block.unverified.push("traces".to_owned());
        Ok(block)
    }
}
