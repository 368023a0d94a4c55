//! Logs of long ranges, which no header proves: by two operators where there are two, compared, and sampled against
//! blocks. A node that has pruned them, or limits what it tells, says that there are none.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, PoisonError},
};

use crypto_intel_chain::header::Span;
use crypto_intel_schemas::B256;
use serde::Deserialize;
use serde_json::json;

use super::{
    EndpointRotation, Fetcher, ask_block,
    error::{BlockId, FetchError},
    known_header,
    logs::{LogQuery, list, logs_of},
};
use crate::{
    block::BlockData,
    endpoint::{Class, Endpoint, EndpointError},
    hex::Hex,
    verify::{Checks, LogsAnswer, assemble, level::LogProof},
};

/// Blocks in which two answers differ and that are looked into.
const SETTLED: usize = 2;

/// What is read of a log.
pub(crate) type ReadLog<'a, T> = dyn Fn(&str) -> Result<T, serde_json::Error> + Send + Sync + 'a;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    block_number: Hex<u64>,
    block_hash: Hex<B256>,
    log_index: Hex<u32>,
}

/// The logs of one block, by one endpoint's word.
#[derive(Debug)]
struct Told<T> {
    /// The same for the same logs, in whatever order.
    print: u64,
    items: Vec<T>,
}

/// One endpoint's word about a span.
#[derive(Debug)]
struct Word<T> {
    endpoint: Arc<Endpoint>,
    blocks: BTreeMap<u64, Told<T>>,
}

impl<T> Word<T> {
    fn print(&self, number: u64) -> u64 {
        self.blocks.get(&number).map_or(0, |told| told.print)
    }

    /// Blocks about which another one says something else.
    fn differing(&self, other: &Self) -> Vec<u64> {
        let mut numbers: Vec<u64> =
            self.blocks.keys().chain(other.blocks.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|number| self.print(*number) != other.print(*number));
        numbers
    }
}

impl Fetcher {
    /// What is read of each log of a span, by block. Two operators are asked where there are two; where they differ, whole
    /// blocks say who is right, and what only one of them says is taken as well. Some may come twice.
    ///
    /// # Errors
    /// When no endpoint tells what can be true, or a log cannot be read.
    pub(crate) async fn logs<T: Send>(
        &self,
        span: Span,
        queries: &[LogQuery],
        read: &ReadLog<'_, T>,
    ) -> Result<Vec<T>, FetchError> {
        let id = BlockId::Number(span.from);
        let mut rotation = EndpointRotation::of(Class::Ranges);
        let mut words: Vec<Word<T>> = Vec::new();
        let mut refuted: Vec<Word<T>> = Vec::new();
        while words.len() < 2 {
            let Some(endpoint) = rotation.next(self.pool()).await else { break };
            if rotation.rounds() > 0 && !(words.is_empty() && refuted.is_empty()) {
                break;
            }
            if words.iter().any(|word| word.endpoint.operator() == endpoint.operator()) {
                continue;
            }
            match self.word_of(&endpoint, span, queries, read).await {
                Ok(word) => {
                    words.push(word);
                    self.settle(&mut words, &mut refuted, queries).await;
                }
                Err(error) => {
                    if let FetchError::InvalidResponse { endpoint: label, source } = &error {
                        self.metrics.untrue_answers(label, source.reason());
                        tracing::warn!(endpoint = label, from = span.from, to = span.to, error = %source, "its logs of ranges cannot be true, asking another endpoint");
                    }
                    self.note_failure(&endpoint, Class::Ranges, &error);
                    rotation.note(error, id);
                }
            }
        }
        if words.is_empty() {
            // Each of them lacks something: together they have the most.
            words = refuted;
        }
        if words.is_empty() {
            return Err(rotation.last);
        }
        self.learn(queries, &words);
        Ok(union(words))
    }

    async fn word_of<T: Send>(
        &self,
        endpoint: &Arc<Endpoint>,
        span: Span,
        queries: &[LogQuery],
        read: &ReadLog<'_, T>,
    ) -> Result<Word<T>, FetchError> {
        self.sample(endpoint, span, queries).await?;
        let mut blocks: BTreeMap<u64, Told<T>> = BTreeMap::new();
        for query in queries {
            logs_of(endpoint, span, query, &mut |answer| {
                for log in list(answer)? {
                    let place: Place = serde_json::from_str(log)?;
                    let told = blocks
                        .entry(place.block_number.0)
                        .or_insert_with(|| Told { print: 0, items: Vec::new() });
                    told.print =
                        told.print.wrapping_add(print(&place.block_hash.0, place.log_index.0));
                    told.items.push(read(log)?);
                }
                Ok(())
            })
            .await?;
        }
        endpoint.record_validity(Class::Ranges, true);
        Ok(Word { endpoint: Arc::clone(endpoint), blocks })
    }

    /// Compares two words; those that a whole block refutes are put aside.
    async fn settle<T>(
        &self,
        words: &mut Vec<Word<T>>,
        refuted: &mut Vec<Word<T>>,
        queries: &[LogQuery],
    ) {
        let [first, second] = words.as_slice() else { return };
        let differing = first.differing(second);
        for number in differing.iter().take(SETTLED.div_ceil(2)).chain(differing.last()) {
            let Ok(block) = self.block(BlockId::Number(*number)).await else { continue };
            let truth = print_of(&block, queries);
            let (held, wrong) = std::mem::take(words)
                .into_iter()
                .partition::<Vec<_>, _>(|word| word.print(*number) == truth);
            *words = held;
            for word in wrong {
                let label = word.endpoint.label();
                tracing::warn!(
                    endpoint = label,
                    block = number,
                    "its logs of ranges are not those of the block, asking another endpoint"
                );
                self.metrics.untrue_answers(label, "range_logs");
                word.endpoint.record_validity(Class::Ranges, false);
                refuted.push(word);
            }
        }
    }

    /// Asks for what is known by other means: a block whose bloom filter says which logs there are, and one that is known
    /// to have one.
    async fn sample(
        &self,
        endpoint: &Endpoint,
        span: Span,
        queries: &[LogQuery],
    ) -> Result<(), FetchError> {
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
                let source = crate::verify::InvalidResponse::Empty { number: known };
                return Err(FetchError::InvalidResponse {
                    endpoint: endpoint.label().to_owned(),
                    source,
                });
            }
        }
        if self.checks().logs == LogProof::Off {
            return Ok(());
        }
        for number in [span.from, span.from + span.width() / 2] {
            self.sample_block(endpoint, number.min(span.to)).await?;
        }
        Ok(())
    }

    async fn sample_block(&self, endpoint: &Endpoint, number: u64) -> Result<(), FetchError> {
        let id = BlockId::Number(number);
        let at = format!("{number:#x}");
        let filter = json!({ "fromBlock": at, "toBlock": at });
        let logs = match endpoint.call_as(Class::Ranges, "eth_getLogs", [filter]).await {
            Ok(logs) => logs,
            // It takes no question for all logs.
            Err(EndpointError::Refused { .. } | EndpointError::Unsupported { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let block = ask_block(endpoint, id, true).await?;
        let header = known_header(endpoint, id, &block)?;
        let checks = Checks { log_indexes: false, ..self.checks() };
        assemble(header, block.text(), LogsAnswer::Logs(logs.text()), checks).map(|_| ()).map_err(
            |source| FetchError::InvalidResponse { endpoint: endpoint.label().to_owned(), source },
        )
    }

    /// Remembers the first block with a log of a contract.
    fn learn<T>(&self, queries: &[LogQuery], words: &[Word<T>]) {
        let [query] = queries else { return };
        let first = words.iter().filter_map(|word| word.blocks.keys().next()).min();
        if let Some(first) = first.filter(|_| query.is_of_contract()) {
            self.lock_known().entry(query.clone()).or_insert(*first);
        }
    }

    fn lock_known(&self) -> std::sync::MutexGuard<'_, HashMap<LogQuery, u64>> {
        self.known_logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn print(block_hash: &B256, log_index: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (block_hash, log_index).hash(&mut hasher);
    hasher.finish()
}

/// What a true answer to all queries says of a block.
fn print_of(block: &BlockData, queries: &[LogQuery]) -> u64 {
    let of_query = |query: &LogQuery| {
        let logs = block.logs.iter().filter(|log| query.matches(log));
        logs.fold(0_u64, |sum, log| sum.wrapping_add(print(&block.header.hash, log.log_index)))
    };
    queries.iter().fold(0, |sum, query| sum.wrapping_add(of_query(query)))
}

fn union<T>(words: Vec<Word<T>>) -> Vec<T> {
    let mut blocks: BTreeMap<u64, Vec<Told<T>>> = BTreeMap::new();
    for word in words {
        for (number, told) in word.blocks {
            let known = blocks.entry(number).or_default();
            if known.iter().all(|other| other.print != told.print) {
                known.push(told);
            }
        }
    }
    blocks.into_values().flatten().flat_map(|told| told.items).collect()
}
