//! Logs of long ranges, which no header proves: two operators are asked where there are two, their answers are compared
//! and sampled against blocks. A node that has pruned its logs, or limits its answers, reports that there are none.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use crypto_intel_chain::header::Span;
use crypto_intel_schemas::B256;
use serde::Deserialize;
use serde_json::json;

use super::{
    EndpointRotation, Fetcher, ask_block,
    error::{BlockId, FetchError},
    known_header,
    logs::{list, logs_of},
};
use crate::{
    block::BlockData,
    endpoint::{Class, Endpoint, EndpointError},
    hex::Hex,
    log_query::LogQuery,
    verify::{Checks, InvalidResponse, LogsAnswer, RENUMBERED, assemble, level::LogProof},
};

/// Maximum number of differing blocks that are fetched to decide between two answers.
const CHECKED_BLOCKS: usize = 2;

/// Reads one log of a block.
pub(crate) type ReadLog<'a, T> =
    dyn Fn(u64, &str) -> Result<T, serde_json::Error> + Send + Sync + 'a;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    block_number: Hex<u64>,
    block_hash: Hex<B256>,
    log_index: Hex<u32>,
}

/// The logs of one block, as one endpoint reports them.
#[derive(Debug)]
struct BlockLogs<T> {
    /// Equal for equal logs, independent of their order.
    digest: u64,
    items: Vec<T>,
}

/// One endpoint's answer for a span.
#[derive(Debug)]
struct RangeAnswer<T> {
    endpoint: Arc<Endpoint>,
    blocks: BTreeMap<u64, BlockLogs<T>>,
}

impl<T> RangeAnswer<T> {
    fn digest(&self, number: u64) -> u64 {
        self.blocks.get(&number).map_or(0, |logs| logs.digest)
    }

    /// Blocks for which another answer differs.
    fn differing(&self, other: &Self) -> Vec<u64> {
        let mut numbers: Vec<u64> =
            self.blocks.keys().chain(other.blocks.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|number| self.digest(*number) != other.digest(*number));
        numbers
    }
}

impl Fetcher {
    /// Reads each log of a span, by block. Two operators are asked where there are two; where they differ, whole blocks
    /// decide which one is right, and logs that only one of them reports are included. A log may occur twice.
    ///
    /// # Errors
    /// When no endpoint gives a plausible answer, or a log cannot be read.
    pub(crate) async fn logs<T: Send>(
        &self,
        span: Span,
        queries: &[LogQuery],
        read: &ReadLog<'_, T>,
    ) -> Result<Vec<T>, FetchError> {
        let id = BlockId::Number(span.from);
        let mut rotation = EndpointRotation::of(Class::Ranges);
        let mut answers: Vec<RangeAnswer<T>> = Vec::new();
        let mut refuted: Vec<RangeAnswer<T>> = Vec::new();
        while answers.len() < 2 {
            let Some(endpoint) = rotation.next(self.pool()).await else { break };
            if rotation.rounds() > 0 && !(answers.is_empty() && refuted.is_empty()) {
                break;
            }
            if answers.iter().any(|answer| answer.endpoint.operator() == endpoint.operator()) {
                continue;
            }
            match self.answer_of(&endpoint, span, queries, read).await {
                Ok(answer) => {
                    answers.push(answer);
                    self.move_refuted(&mut answers, &mut refuted, queries).await;
                }
                Err(error) => {
                    if let FetchError::InvalidResponse { endpoint: label, source } = &error {
                        self.metrics.untrue_answers(label, source.reason());
                        tracing::warn!(endpoint = label, from = span.from, to = span.to, error = %source, "logs of a range cannot be true, asking another endpoint");
                    }
                    self.note_failure(&endpoint, Class::Ranges, &error);
                    rotation.note(error, id);
                }
            }
        }
        if answers.is_empty() {
            // Each of them is incomplete: their union has the most.
            answers = refuted;
        }
        if answers.is_empty() {
            return Err(rotation.last);
        }
        self.learn(queries, &answers);
        Ok(union(answers))
    }

    async fn answer_of<T: Send>(
        &self,
        endpoint: &Arc<Endpoint>,
        span: Span,
        queries: &[LogQuery],
        read: &ReadLog<'_, T>,
    ) -> Result<RangeAnswer<T>, FetchError> {
        let sampled = self.sample(endpoint, span, queries).await?;
        let mut blocks: BTreeMap<u64, BlockLogs<T>> = BTreeMap::new();
        for query in queries {
            logs_of(endpoint, span, query, &mut |answer| {
                for log in list(answer)? {
                    let place: Place = serde_json::from_str(log)?;
                    let logs = blocks
                        .entry(place.block_number.0)
                        .or_insert_with(|| BlockLogs { digest: 0, items: Vec::new() });
                    logs.digest =
                        logs.digest.wrapping_add(digest(&place.block_hash.0, place.log_index.0));
                    logs.items.push(read(place.block_number.0, log)?);
                }
                Ok(())
            })
            .await?;
        }
        for block in &sampled {
            let number = block.header.number;
            let answered = blocks.get(&number).map_or(0, |logs| logs.digest);
            if answered != digest_of(block, queries) {
                let source = InvalidResponse::RangeLogs { number };
                return Err(FetchError::InvalidResponse {
                    endpoint: endpoint.label().to_owned(),
                    source,
                });
            }
        }
        endpoint.record_validity(Class::Ranges, true);
        Ok(RangeAnswer { endpoint: Arc::clone(endpoint), blocks })
    }

    /// Compares two answers; moves those that a whole block refutes to `refuted`.
    async fn move_refuted<T>(
        &self,
        answers: &mut Vec<RangeAnswer<T>>,
        refuted: &mut Vec<RangeAnswer<T>>,
        queries: &[LogQuery],
    ) {
        let [first, second] = answers.as_slice() else { return };
        let differing = first.differing(second);
        for number in differing.iter().take(CHECKED_BLOCKS.div_ceil(2)).chain(differing.last()) {
            let Ok(block) = self.whole_block(BlockId::Number(*number)).await else { continue };
            let truth = digest_of(&block, queries);
            let (held, wrong) = std::mem::take(answers)
                .into_iter()
                .partition::<Vec<_>, _>(|answer| answer.digest(*number) == truth);
            *answers = held;
            for answer in wrong {
                let label = answer.endpoint.label();
                tracing::warn!(
                    endpoint = label,
                    block = number,
                    "logs of a range are not those of the block, asking another endpoint"
                );
                self.metrics.untrue_answers(label, "range_logs");
                answer.endpoint.record_validity(Class::Ranges, false);
                refuted.push(answer);
            }
        }
    }

    /// Asks for logs that are known by other means: those of sampled blocks, which must match the bloom filter, and
    /// those of a block that is known to have one. The sampled blocks, where their filter was compared.
    async fn sample(
        &self,
        endpoint: &Endpoint,
        span: Span,
        queries: &[LogQuery],
    ) -> Result<Vec<BlockData>, FetchError> {
        for query in queries {
            let known = self.lock_known().get(query).copied();
            let Some(known) = known else { continue };
            let mut found = false;
            logs_of(endpoint, Span { from: known, to: known }, query, &mut |answer| {
                found |= !list(answer)?.is_empty();
                Ok(())
            })
            .await?;
            if !found {
                let source = InvalidResponse::Empty { number: known };
                return Err(FetchError::InvalidResponse {
                    endpoint: endpoint.label().to_owned(),
                    source,
                });
            }
        }
        let mut sampled = Vec::new();
        if self.checks().logs == LogProof::Off {
            return Ok(sampled);
        }
        let first = span.from;
        let middle = (first + span.width() / 2).min(span.to);
        for number in std::iter::once(first).chain((middle != first).then_some(middle)) {
            sampled.extend(self.sample_block(endpoint, number).await?);
        }
        // A weaker proof than the filter lets an incomplete block pass, and logs that were renumbered have other digests.
        let is_proven = self.checks().logs >= LogProof::Bloom;
        sampled.retain(|block: &BlockData| {
            is_proven && !block.unverified.iter().any(|missing| missing == RENUMBERED)
        });
        Ok(sampled)
    }

    async fn sample_block(
        &self,
        endpoint: &Endpoint,
        number: u64,
    ) -> Result<Option<BlockData>, FetchError> {
        let id = BlockId::Number(number);
        let at = format!("{number:#x}");
        let filter = json!({ "fromBlock": at, "toBlock": at });
        let logs = match endpoint.call_as(Class::Ranges, "eth_getLogs", [filter]).await {
            Ok(logs) => logs,
            // It refuses queries for all logs.
            Err(EndpointError::Refused { .. } | EndpointError::Unsupported { .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let block = ask_block(endpoint, id, true).await?;
        let header = known_header(endpoint, id, &block)?;
        let checks = Checks { log_indexes: false, ..self.checks() };
        assemble(header, block.text(), LogsAnswer::Logs(logs.text()), checks).map(Some).map_err(
            |source| FetchError::InvalidResponse { endpoint: endpoint.label().to_owned(), source },
        )
    }

    /// Remembers the first block with a log of a contract.
    fn learn<T>(&self, queries: &[LogQuery], answers: &[RangeAnswer<T>]) {
        let [query] = queries else { return };
        let first = answers.iter().filter_map(|answer| answer.blocks.keys().next()).min();
        if let Some(first) = first.filter(|_| query.is_of_contract()) {
            self.lock_known().entry(query.clone()).or_insert(*first);
        }
    }

    fn lock_known(&self) -> parking_lot::MutexGuard<'_, HashMap<LogQuery, u64>> {
        self.known_logs.lock()
    }
}

fn digest(block_hash: &B256, log_index: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (block_hash, log_index).hash(&mut hasher);
    hasher.finish()
}

/// The digest of a correct answer to all queries for a block.
fn digest_of(block: &BlockData, queries: &[LogQuery]) -> u64 {
    let of_query = |query: &LogQuery| {
        let logs = block.logs.iter().filter(|log| query.matches(log));
        logs.fold(0_u64, |sum, log| sum.wrapping_add(digest(&block.header.hash, log.log_index)))
    };
    queries.iter().fold(0, |sum, query| sum.wrapping_add(of_query(query)))
}

fn union<T>(answers: Vec<RangeAnswer<T>>) -> Vec<T> {
    let mut blocks: BTreeMap<u64, Vec<BlockLogs<T>>> = BTreeMap::new();
    for answer in answers {
        for (number, logs) in answer.blocks {
            let known = blocks.entry(number).or_default();
            if known.iter().all(|other| other.digest != logs.digest) {
                known.push(logs);
            }
        }
    }
    blocks.into_values().flatten().flat_map(|logs| logs.items).collect()
}
