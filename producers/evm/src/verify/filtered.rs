//! A block of which only the logs that match some filters were asked for.

use alloy_primitives::Bloom;
use crypto_intel_schemas::B256;
use serde::Deserialize;

use super::{
    Assembly, InvalidResponse, checks::Checks, lenient::Lenient, level::LogProof, parse, proof,
    raw::RawLog,
};
use crate::{
    block::{BlockData, Header, Transaction},
    hex::Hex,
    log_query::LogQuery,
};

/// In `unverified` of a block whose logs were asked for by filters: no root proves that none is missing.
pub(crate) const FILTERED_LOGS: &str = "filtered_logs";

/// The needed fields of a block with the hashes of its transactions, besides the header.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHashes<'a> {
    transactions: Vec<Hex<B256>>,
    #[serde(default, borrow)]
    logs_bloom: Lenient<&'a str>,
}

/// A block's header and hashes, before its logs are known.
#[derive(Debug)]
pub(crate) struct HeaderPart {
    assembly: Assembly,
    bloom: Option<Bloom>,
}

impl HeaderPart {
    /// Reads the answer for a block without its transactions.
    ///
    /// # Errors
    /// When it cannot be the block of that header.
    pub(crate) fn read(
        header: Header,
        block: &str,
        checks: Checks,
    ) -> Result<Self, InvalidResponse> {
        checks.check(&header)?;
        let raw: RawHashes<'_> = parse("block", block)?;
        let mut assembly = Assembly::new(header, &[]);
        let hashes = raw.transactions.iter().map(|hash| Transaction::of_hash(hash.0));
        assembly.block.transactions.extend(hashes);
        assembly.note_header(checks);
        // Where the configured proof does without the filter, the chain's filters are not reliable.
        let is_reliable = checks.logs >= LogProof::Bloom;
        let bloom = raw.logs_bloom.get().filter(|_| is_reliable).and_then(proof::read_filter);
        Ok(Self { assembly, bloom })
    }

    /// Hash of the block.
    pub(crate) fn hash(&self) -> B256 {
        self.assembly.block.header.hash
    }

    /// Whether the block may have a log that one of the queries asks for. If not, its header proves it.
    pub(crate) fn may_match(&self, queries: &[LogQuery]) -> bool {
        match &self.bloom {
            Some(bloom) => queries.iter().any(|query| query.is_possible_in(bloom)),
            None => !queries.is_empty(),
        }
    }

    /// Adds the logs that were answered; those that no query asks for are left out.
    ///
    /// # Errors
    /// When a log cannot be of this block.
    pub(crate) fn with_logs<'a>(
        mut self,
        logs: impl IntoIterator<Item = &'a str>,
        queries: &[LogQuery],
    ) -> Result<BlockData, InvalidResponse> {
        let number = self.assembly.block.header.number;
        for text in logs {
            let log: RawLog<'_> = parse("logs", text)?;
            let tx_index = log.transaction_index.get().unwrap_or(0);
            self.assembly.add_log(&log, tx_index)?;
        }
        let may_match = self.may_match(queries);
        let outside = proof::state_sync_hash(&self.assembly.block.header);
        let Self { assembly: Assembly { mut block }, bloom } = self;
        block.logs.retain(|log| queries.iter().any(|query| query.matches(log)));
        block.logs.sort_by_key(|log| log.log_index);
        block.logs.dedup_by_key(|log| log.log_index);
        for log in block.logs.iter().filter(|log| log.tx_hash != outside) {
            let place = log.tx_index as usize;
            if block.transactions.get(place).is_none_or(|one| one.hash != log.tx_hash) {
                return Err(InvalidResponse::LogPlace { number, index: log.log_index });
            }
            if bloom.as_ref().is_some_and(|bloom| !proof::has_log(bloom, log)) {
                return Err(InvalidResponse::Bloom { number, logs: block.logs.len() });
            }
        }
        if may_match {
            block.unverified.push(FILTERED_LOGS.to_owned());
        }
        Ok(block)
    }
}
