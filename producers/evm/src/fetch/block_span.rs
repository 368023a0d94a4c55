//! Past blocks, several at a time: where an endpoint does not offer the receipts of a block, one range of logs serves
//! many blocks.

use std::collections::BTreeSet;

use crypto_intel_chain::header::Span;
use crypto_intel_schemas::Address;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{
    Fetcher, ask_block,
    error::{BlockId, FetchError},
    filtered::PastBlock,
    known_header,
    logs::{LogsByBlock, collect, logs_of},
    outcomes::with_outcomes,
};
use crate::{
    block::BlockData,
    endpoint::{Class, Endpoint, EndpointError},
    log_query::LogQuery,
    scope::plan::FetchPlan,
    verify::{LogsAnswer, assemble},
};

/// Blocks of one range of logs that are fetched concurrently.
const BLOCKS_AT_ONCE: usize = 4;

impl Fetcher {
    /// Whether the serving endpoint is asked for logs by range.
    pub(crate) fn prefers_ranges(&self) -> bool {
        self.is_filtered()
            || self
                .pool()
                .ranked(Class::Blocks)
                .first()
                .is_some_and(|endpoint| !endpoint.offers_block_receipts())
    }

    /// Verified blocks with everything that the scope needs, in order.
    ///
    /// # Errors
    /// As [`block`](Fetcher::block).
    pub(crate) async fn blocks(&self, span: Span) -> Result<Vec<PastBlock>, FetchError> {
        match &self.plan {
            FetchPlan::Logs { queries, every_block } => {
                self.filtered_blocks(span, queries, *every_block).await
            }
            FetchPlan::Whole => {
                let blocks = self.whole_blocks(span).await?;
                let whole = |block| PastBlock { block, covers_from: None };
                Ok(blocks.into_iter().map(whole).collect())
            }
        }
    }

    /// Falls back to fetching block by block.
    async fn whole_blocks(&self, span: Span) -> Result<Vec<BlockData>, FetchError> {
        let ranked = self.pool().ranked(Class::Blocks);
        let serving = ranked.first().filter(|endpoint| !endpoint.offers_block_receipts());
        let logs = match serving {
            Some(endpoint) if span.width() > 1 => match every_log(endpoint, span).await {
                Ok(logs) => Some((endpoint, logs)),
                Err(error) => {
                    tracing::debug!(endpoint = endpoint.label(), %error, "no logs by range, asking block by block");
                    None
                }
            },
            _ => None,
        };
        let logs = logs.as_ref();
        futures::stream::iter(span.from..=span.to)
            .map(|number| async move {
                if let Some((endpoint, logs)) = logs {
                    match self.with_logs(endpoint, number, logs).await {
                        Ok(block) => return Ok(self.with_payments(block).await),
                        Err(error) => {
                            tracing::debug!(number, %error, "block does not fit its range of logs, asking for it alone");
                        }
                    }
                }
                self.whole_block(BlockId::Number(number)).await
            })
            .buffered(BLOCKS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn with_logs(
        &self,
        endpoint: &Endpoint,
        number: u64,
        logs: &LogsByBlock,
    ) -> Result<BlockData, FetchError> {
        let id = BlockId::Number(number);
        let block = ask_block(endpoint, id, true).await?;
        let header = known_header(endpoint, id, &block)?;
        let text = logs.get(&number).map_or("[]", String::as_str);
        let block = assemble(header, block.text(), LogsAnswer::Logs(text), self.checks()).map_err(
            |source| FetchError::InvalidResponse { endpoint: endpoint.label().to_owned(), source },
        )?;
        with_outcomes(endpoint, block, self.checks().byzantium, &self.watch_view()).await
    }
}

async fn every_log(endpoint: &Endpoint, span: Span) -> Result<LogsByBlock, EndpointError> {
    let mut found = LogsByBlock::new();
    logs_of(endpoint, span, &LogQuery::default(), &mut |logs| collect(&mut found, logs)).await?;
    Ok(found)
}

impl Fetcher {
    /// Numbers of the blocks of a span with a log that names an address: emitted by it, or with it as an indexed
    /// parameter.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub(crate) async fn blocks_naming(
        &self,
        addresses: &[Address],
        span: Span,
    ) -> Result<BTreeSet<u64>, FetchError> {
        let numbers =
            self.logs(span, &LogQuery::naming(addresses), &|number, _| Ok(number)).await?;
        Ok(numbers.into_iter().collect())
    }
}
