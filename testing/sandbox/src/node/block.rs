//! One block as a node answers it, kept as text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use alloy_primitives::{Address, B256};
use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What geth leaves out of a `newHeads` notification.
const NOT_IN_HEADS: [&str; 5] =
    ["transactions", "uncles", "withdrawals", "size", "totalDifficulty"];

/// A block with its receipts, both as JSON text exactly as served.
#[derive(Debug)]
pub struct NodeBlock {
    /// Height.
    pub number: u64,
    /// Hash in the block's JSON.
    pub hash: B256,
    /// Parent's hash.
    pub parent_hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
    full: Arc<str>,
    receipts: Arc<str>,
    header: Arc<str>,
    index: OnceLock<Index>,
}

/// Where transactions and logs are in the receipts' text.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) receipts: Vec<(B256, Range<usize>)>,
    pub(super) logs: Vec<LogPlace>,
    /// All transaction hashes as a JSON array.
    transaction_hashes: String,
}

#[derive(Debug)]
pub(super) struct LogPlace {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) text: Range<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    number: String,
    hash: B256,
    parent_hash: B256,
    timestamp: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TransactionOrHash {
    Hash(B256),
    Transaction { hash: B256 },
}

#[derive(Deserialize)]
struct Transactions {
    transactions: Vec<TransactionOrHash>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt<'a> {
    transaction_hash: B256,
    #[serde(borrow)]
    logs: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Log {
    address: Address,
    topics: Vec<B256>,
}

impl NodeBlock {
    /// Takes the answers of `eth_getBlockByNumber(n, true)` and `eth_getBlockReceipts(n)`.
    ///
    /// # Errors
    /// Fails when `block` is no block with number, hash, parentHash and timestamp. `receipts` is not parsed.
    pub fn from_json(
        block: impl Into<Arc<str>>,
        receipts: impl Into<Arc<str>>,
    ) -> anyhow::Result<Self> {
        let full: Arc<str> = block.into();
        let header: Header = serde_json::from_str(&full).context("read block header")?;
        let fields: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(&full).context("read block fields")?;
        let kept: Vec<String> = fields
            .iter()
            .filter(|(name, _)| !NOT_IN_HEADS.contains(&name.as_ref()))
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        Ok(Self {
            number: quantity(&header.number)?,
            hash: header.hash,
            parent_hash: header.parent_hash,
            timestamp: quantity(&header.timestamp)?,
            header: format!("{{{}}}", kept.join(",")).into(),
            receipts: receipts.into(),
            index: OnceLock::new(),
            full,
        })
    }

    /// Takes texts that are known to be valid, without parsing them.
    pub(super) fn from_texts(identity: Identity, texts: Texts) -> Self {
        Self {
            number: identity.number,
            hash: identity.hash,
            parent_hash: identity.parent_hash,
            timestamp: identity.timestamp,
            full: texts.full.into(),
            receipts: texts.receipts.into(),
            header: texts.header.into(),
            index: OnceLock::new(),
        }
    }

    /// The block with full transactions.
    #[must_use]
    pub fn full_json(&self) -> &Arc<str> {
        &self.full
    }

    /// The header as a `newHeads` notification carries it.
    #[must_use]
    pub fn header_json(&self) -> &Arc<str> {
        &self.header
    }

    /// All receipts.
    #[must_use]
    pub fn receipts_json(&self) -> &Arc<str> {
        &self.receipts
    }

    /// The block with transaction hashes only.
    #[must_use]
    pub fn json_with_hashes(&self) -> String {
        let body = self.header.strip_suffix('}').unwrap_or(&self.header);
        format!(r#"{body},"uncles":[],"transactions":{}}}"#, self.index().transaction_hashes)
    }

    /// The logs of all receipts as texts, in order.
    pub fn logs(&self) -> impl Iterator<Item = &str> {
        self.index().logs.iter().map(|log| &self.receipts[log.text.clone()])
    }

    /// How many logs there are.
    #[must_use]
    pub fn log_count(&self) -> usize {
        self.index().logs.len()
    }

    /// The receipts of a faulty node that has lost the block's last log.
    pub(super) fn receipts_without_last_log(&self) -> String {
        let mut text = self.receipts.to_string();
        if let Some(last) = self.index().logs.last() {
            // With the comma before it, unless it is the only one of its receipt.
            let comma = usize::from(text[..last.text.start].ends_with(','));
            text.replace_range(last.text.start - comma..last.text.end, "");
        }
        text
    }

    pub(super) fn log_text(&self, log: &LogPlace) -> &str {
        &self.receipts[log.text.clone()]
    }

    pub(super) fn receipt_text(&self, transaction_hash: &B256) -> Option<&str> {
        let (_, text) = self.index().receipts.iter().find(|(hash, _)| hash == transaction_hash)?;
        Some(&self.receipts[text.clone()])
    }

    // Built on first use: most blocks are only ever served whole.
    pub(super) fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            read_index(&self.full, &self.receipts).unwrap_or_else(|error| {
                tracing::warn!(
                    number = self.number,
                    error = format!("{error:#}"),
                    "block has no index"
                );
                Index { transaction_hashes: "[]".to_owned(), ..Index::default() }
            })
        })
    }
}

/// What identifies a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) parent_hash: B256,
    pub(super) timestamp: u64,
}

/// A block's answers.
pub(super) struct Texts {
    pub(super) header: String,
    pub(super) full: String,
    pub(super) receipts: String,
}

fn read_index(full: &str, receipts: &str) -> anyhow::Result<Index> {
    let mut index = Index::default();
    let body: Transactions = serde_json::from_str(full).context("read transactions")?;
    let hashes: Vec<B256> = body
        .transactions
        .iter()
        .map(|transaction| match transaction {
            TransactionOrHash::Hash(hash) | TransactionOrHash::Transaction { hash } => *hash,
        })
        .collect();
    index.transaction_hashes = serde_json::to_string(&hashes).context("write hashes")?;
    let raw_receipts: Vec<&RawValue> = serde_json::from_str(receipts).context("read receipts")?;
    for raw in raw_receipts {
        let receipt: Receipt<'_> = serde_json::from_str(raw.get()).context("read receipt")?;
        index.receipts.push((receipt.transaction_hash, range_in(receipts, raw.get())));
        for raw_log in receipt.logs {
            let log: Log = serde_json::from_str(raw_log.get()).context("read log")?;
            let text = range_in(receipts, raw_log.get());
            index.logs.push(LogPlace { address: log.address, topics: log.topics, text });
        }
    }
    Ok(index)
}

/// Where `part`, a slice of `whole`, lies in it.
fn range_in(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// Reads a quantity such as `"0x1b4"`.
pub(super) fn quantity(text: &str) -> anyhow::Result<u64> {
    let Some(digits) = text.strip_prefix("0x") else { bail!("{text:?} is no quantity") };
    u64::from_str_radix(digits, 16).with_context(|| format!("read quantity {text:?}"))
}
