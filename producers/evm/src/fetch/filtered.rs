//! Blocks of a narrow scope: headers, and only the logs that the scope asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crypto_intel_chain::header::Span;
use crypto_intel_schemas::B256;
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all};
use serde_json::json;

use super::{
    Fetcher,
    ask::{Attempt, Hedging},
    ask_block,
    error::{BlockId, FetchError},
    known_header,
    logs::list,
};
use crate::{
    block::BlockData,
    endpoint::{Answer, Endpoint, EndpointError},
    log_query::LogQuery,
    verify::{Checks, HeaderPart, InvalidResponse},
};

/// Headers of one range of logs that are fetched concurrently.
const HEADERS_AT_ONCE: usize = 16;
/// Of so many live blocks one is compared with all logs of the block, which its header proves.
const COMPARED_OF: u64 = 64;

/// A block of the past.
#[derive(Debug)]
pub(crate) struct PastBlock {
    pub(crate) block: BlockData,
    /// The blocks from here up to it were not fetched: they have no log that was asked for.
    pub(crate) covers_from: Option<u64>,
}

impl Fetcher {
    /// A block with the logs that match any of the queries.
    ///
    /// # Errors
    /// As [`block`](Fetcher::block).
    pub(super) async fn filtered_block(
        &self,
        id: BlockId,
        queries: &Arc<[LogQuery]>,
        hedging: Hedging,
    ) -> Result<BlockData, FetchError> {
        let asked = Arc::clone(queries);
        let attempt = move |endpoint: Arc<Endpoint>, checks| -> Attempt<BlockData> {
            let queries = Arc::clone(&asked);
            Box::pin(async move { fetch_filtered(&endpoint, id, &queries, checks).await })
        };
        let block = self.ask(id, hedging, attempt).await?;
        if hedging == Hedging::Off || !block.header.number.is_multiple_of(COMPARED_OF) {
            return Ok(block);
        }
        Ok(self.compared(block, queries).await)
    }

    /// Compares a block with what its header proves; the proven logs where they differ.
    async fn compared(&self, block: BlockData, queries: &[LogQuery]) -> BlockData {
        let Ok(whole) = self.whole_block(BlockId::Hash(block.header.hash)).await else {
            return block;
        };
        let indexes = |block: &BlockData| -> BTreeSet<u32> {
            let wanted =
                |log: &&crate::block::LogRecord| queries.iter().any(|one| one.matches(log));
            block.logs.iter().filter(wanted).map(|log| log.log_index).collect()
        };
        if indexes(&whole) == indexes(&block) {
            return block;
        }
        // Which of several endpoints answered is not known here; each is judged by its next answers.
        self.metrics.untrue_answers("any", "filtered_logs");
        tracing::error!(
            number = block.header.number,
            hash = %block.header.hash,
            "filtered logs of a block are not those that the whole block has, taking the whole block: an endpoint leaves logs out; audit the chain"
        );
        whole
    }

    /// The blocks of a span with a log that matches any of the queries, and its last one; or every block.
    ///
    /// # Errors
    /// When no endpoint gives a plausible answer.
    pub(super) async fn filtered_blocks(
        &self,
        span: Span,
        queries: &Arc<[LogQuery]>,
        every_block: bool,
    ) -> Result<Vec<PastBlock>, FetchError> {
        let found = match queries.is_empty() {
            true => Vec::new(),
            false => {
                let read = |number: u64, log: &str| Ok((number, log.to_owned()));
                self.logs(span, queries, &read).await?
            }
        };
        let mut logs: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (number, log) in found.into_iter().filter(|(number, _)| in_span(span, *number)) {
            logs.entry(number).or_default().push(log);
        }
        let numbers: Vec<u64> = match every_block {
            true => (span.from..=span.to).collect(),
            false => {
                let mut numbers: BTreeSet<u64> = logs.keys().copied().collect();
                numbers.insert(span.to);
                numbers.into_iter().collect()
            }
        };
        let wanted: Vec<(u64, Arc<[String]>)> = numbers
            .into_iter()
            .map(|number| (number, logs.remove(&number).unwrap_or_default().into()))
            .collect();
        let blocks: Vec<BlockData> = futures::stream::iter(wanted)
            .map(|(number, logs)| self.with_found_logs(number, logs, queries))
            .buffered(HEADERS_AT_ONCE)
            .try_collect()
            .await?;
        let mut next = span.from;
        let past = |block: BlockData| {
            let number = block.header.number;
            let covers_from = (next < number).then_some(next);
            next = number + 1;
            PastBlock { block, covers_from }
        };
        Ok(blocks.into_iter().map(past).collect())
    }

    /// The block of a number with logs that are known already. They have to be of the block that endpoints have there.
    async fn with_found_logs(
        &self,
        number: u64,
        logs: Arc<[String]>,
        queries: &Arc<[LogQuery]>,
    ) -> Result<BlockData, FetchError> {
        let id = BlockId::Number(number);
        let queries = Arc::clone(queries);
        let attempt = move |endpoint: Arc<Endpoint>, checks: Checks| -> Attempt<BlockData> {
            let (logs, queries) = (Arc::clone(&logs), Arc::clone(&queries));
            Box::pin(async move {
                let part = header_part(&endpoint, id, checks).await?;
                let logs = logs.iter().map(String::as_str);
                part.with_logs(logs, &queries).map_err(|source| invalid(&endpoint, source))
            })
        };
        self.ask(id, Hedging::Off, attempt).await
    }
}

fn in_span(span: Span, number: u64) -> bool {
    (span.from..=span.to).contains(&number)
}

fn invalid(endpoint: &Endpoint, source: InvalidResponse) -> FetchError {
    FetchError::InvalidResponse { endpoint: endpoint.label().to_owned(), source }
}

async fn header_part(
    endpoint: &Endpoint,
    id: BlockId,
    checks: Checks,
) -> Result<HeaderPart, FetchError> {
    let answer = ask_block(endpoint, id, false).await?;
    let header = known_header(endpoint, id, &answer)?;
    HeaderPart::read(header, answer.text(), checks).map_err(|source| invalid(endpoint, source))
}

async fn fetch_filtered(
    endpoint: &Endpoint,
    id: BlockId,
    queries: &[LogQuery],
    checks: Checks,
) -> Result<BlockData, FetchError> {
    let (part, answers) = match id {
        // A block that is waited for: a round trip less is worth a request whose answer the header may prove empty.
        BlockId::Hash(hash) => {
            let (part, answers) = futures::join!(
                header_part(endpoint, id, checks),
                ask_logs(endpoint, hash, queries)
            );
            (part?, answers?)
        }
        BlockId::Number(_) => {
            let part = header_part(endpoint, id, checks).await?;
            let answers = match part.may_match(queries) {
                true => ask_logs(endpoint, part.hash(), queries).await?,
                false => Vec::new(),
            };
            (part, answers)
        }
    };
    let mut logs = Vec::new();
    for answer in &answers {
        if answer.is_null() {
            return Err(FetchError::NotFound { endpoint: endpoint.label().to_owned(), block: id });
        }
        logs.extend(list(answer.text()).map_err(|error| {
            let reason = error.to_string();
            invalid(endpoint, InvalidResponse::Malformed { what: "logs", reason })
        })?);
    }
    part.with_logs(logs, queries).map_err(|source| invalid(endpoint, source))
}

/// The answer to each query for one block.
async fn ask_logs(
    endpoint: &Endpoint,
    hash: B256,
    queries: &[LogQuery],
) -> Result<Vec<Answer>, EndpointError> {
    let ask = |query: &LogQuery| {
        let filter = query.filter_in(json!({ "blockHash": hash }));
        endpoint.call("eth_getLogs", [filter])
    };
    try_join_all(queries.iter().map(ask)).await
}
