//! What is stored of a chain: rows in the database, or, where there is none, markers in the streams.

use std::collections::{BTreeMap, HashSet};

use anyhow::Context as _;
use crypto_intel_evm::ChainBlock;
use crypto_intel_nats::{Nats, ReaderOptions, Start, StreamReader};
use crypto_intel_persist::NotStored;
use crypto_intel_schemas::{
    B256, Event, Kind, Stream,
    subjects::{self, Lane},
};
use crypto_intel_store::{BlockTime, RowKey, RowSet, Store, StoredBlock, Table};

use super::{
    super::connect_store,
    compare::{Findings, Range, Wrong},
};
use crate::config::AppConfig;

const READ_AT_ONCE: usize = 5_000;

/// Where events are looked for.
pub(super) enum Stored {
    Database {
        store: Store,
        chain: String,
        /// How long all rows of blocks are kept; `None` = without a limit.
        kept_days: Option<u32>,
        not_stored: NotStored,
    },
    /// The canonical block of each height and how many events its marker counts.
    Streams(BTreeMap<u64, Marked>),
}

/// What a marker says of its block.
#[derive(Debug, Clone)]
pub(super) struct Marked {
    hash: B256,
    rows: u64,
    scope: Option<String>,
    covers_from: Option<u64>,
}

impl Stored {
    pub(super) async fn open(config: &AppConfig, nats: &Nats, chain: &str) -> anyhow::Result<Self> {
        if !config.database.url.is_empty() {
            let store = connect_store(config).await?;
            let kept_days = config.storage.horizon_days();
            let not_stored = NotStored::of(&config.persist);
            let chain = chain.to_owned();
            return Ok(Self::Database { store, chain, kept_days, not_stored });
        }
        let mut blocks = BTreeMap::new();
        for (stream, lane) in [(Stream::Evm, Lane::Live), (Stream::History, Lane::History)] {
            let filter = subjects::chain(lane, chain, Kind::Block);
            read_markers(nats, stream.name(), &filter, &mut blocks)
                .await
                .with_context(|| format!("read the markers of stream {stream}"))?;
        }
        Ok(Self::Streams(blocks))
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Database { .. } => "database",
            Self::Streams(_) => "streams",
        }
    }

    /// Why what is older than the oldest block cannot be audited; `None` where nothing leaves by itself.
    pub(super) fn horizon(&self, oldest: u64) -> Option<String> {
        match self {
            Self::Database { kept_days, .. } => kept_days.map(|days| {
                format!(
                    "rows are kept for {days} days (storage.retention_days), which is from block {oldest} on: what is older was dropped and is not audited"
                )
            }),
            Self::Streams(_) => Some(format!(
                "streams hold markers from block {oldest} on: what is older left them and cannot be audited without a database"
            )),
        }
    }

    /// The oldest block that is stored with all its rows.
    pub(super) async fn oldest(&self) -> anyhow::Result<Option<u64>> {
        match self {
            Self::Database { store, chain, kept_days, .. } => {
                store.oldest_block(chain, *kept_days).await.context("read the oldest block")
            }
            Self::Streams(blocks) => {
                let first = blocks.iter().next();
                Ok(first.map(|(number, marked)| marked.covers_from.unwrap_or(*number)))
            }
        }
    }

    /// Compares blocks of the chain with what is stored of them.
    pub(super) async fn compare(
        &self,
        read: &ReadBlocks,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        match self {
            Self::Database { store, chain, not_stored, .. } => {
                compare_rows((store, not_stored), chain, read, findings).await
            }
            Self::Streams(marked) => {
                compare_markers(marked, read, findings);
                Ok(())
            }
        }
    }
}

/// Blocks as the chain has them.
#[derive(Debug)]
pub(super) struct ReadBlocks {
    pub(super) range: Range,
    /// Those of the range; what is left out has no event in the scope.
    pub(super) blocks: Vec<ChainBlock>,
    /// Digest of the scope that they were read for; `None` = everything.
    pub(super) scope: Option<String>,
    /// Whether transactions are among the events; else their rows depend on a watch-list of the past.
    pub(super) has_transactions: bool,
}

impl ReadBlocks {
    /// Numbers of the range that were not read, as they have no event.
    fn left_out(&self) -> impl Iterator<Item = u64> {
        let read: HashSet<u64> = self.blocks.iter().map(|block| block.number).collect();
        (self.range.from..=self.range.to).filter(move |number| !read.contains(number))
    }

    /// Whether rows that were not expected are wrong: a block that was stored for another scope may have more.
    fn judges_surplus(&self, stored_for: Option<&str>) -> bool {
        stored_for == self.scope.as_deref()
    }
}

fn compare_markers(known: &BTreeMap<u64, Marked>, read: &ReadBlocks, findings: &mut Findings) {
    let stands_for = |number: u64| {
        let next = known.range(number..).next();
        next.is_some_and(|(_, marked)| marked.covers_from.is_some_and(|from| from <= number))
    };
    for block in &read.blocks {
        let events = block.events.len() as u64;
        let marked = known.get(&block.number);
        let wrong = match marked.filter(|marked| marked.hash == block.hash) {
            Some(marked) => Wrong {
                missing: events.saturating_sub(marked.rows),
                // A marker does not say how many of its rows are transactions.
                surplus: match read.has_transactions && read.judges_surplus(marked.scope.as_deref())
                {
                    true => marked.rows.saturating_sub(events),
                    false => 0,
                },
                ..Wrong::default()
            },
            None => {
                let block_missing = events > 0 || !stands_for(block.number);
                Wrong { missing: events, block_missing, surplus: 0 }
            }
        };
        findings.add(block.number, wrong);
    }
    for number in read.left_out() {
        let block_missing = !known.contains_key(&number) && !stands_for(number);
        findings.add(number, Wrong { block_missing, ..Wrong::default() });
    }
}

async fn compare_rows(
    (store, not_stored): (&Store, &NotStored),
    chain: &str,
    read: &ReadBlocks,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let Range { from, to } = read.range;
    let known = store.canonical_blocks(chain, from, to).await.context("read stored blocks")?;
    let whole: BTreeMap<u64, &StoredBlock> =
        known.iter().filter(|block| !block.partial).map(|block| (block.number, block)).collect();
    let stands_for = |number: u64| {
        let next = whole.range(number..).next();
        next.is_some_and(|(_, block)| block.covers_from.is_some_and(|from| from <= number))
    };
    let time = |block: &ChainBlock| BlockTime {
        number: block.number,
        hash: block.hash,
        time_us: block.time_us,
    };
    let times: Vec<BlockTime> = read.blocks.iter().map(time).collect();
    let stored = store.row_keys(chain, &times).await.context("read stored rows")?;
    let mut stored_of: BTreeMap<u64, HashSet<RowKey>> = BTreeMap::new();
    let is_judged = |key: &RowKey| read.has_transactions || key.table != Table::Transactions;
    for key in stored.into_iter().filter(is_judged) {
        stored_of.entry(key.block_number).or_default().insert(key);
    }
    for block in &read.blocks {
        let mut rows = RowSet::default();
        for event in block.events.iter().filter(|one| !not_stored.leaves_out(&subjects::of(one))) {
            // What has no place in a table is in the dead letters, and not missing.
            let _ = rows.add(event, 0, 0);
        }
        let expected = rows.block_keys();
        let stored = stored_of.remove(&block.number).unwrap_or_default();
        let known = whole.get(&block.number).filter(|known| known.hash == block.hash);
        let is_judged = known.is_none_or(|known| read.judges_surplus(known.scope.as_deref()));
        let wrong = Wrong {
            missing: expected.difference(&stored).count() as u64,
            block_missing: known.is_none() && (!expected.is_empty() || !stands_for(block.number)),
            surplus: if is_judged { stored.difference(&expected).count() as u64 } else { 0 },
        };
        findings.add(block.number, wrong);
    }
    for number in read.left_out() {
        let block_missing = !whole.contains_key(&number) && !stands_for(number);
        findings.add(number, Wrong { block_missing, ..Wrong::default() });
    }
    Ok(())
}

async fn read_markers(
    nats: &Nats,
    stream: &str,
    filter: &str,
    blocks: &mut BTreeMap<u64, Marked>,
) -> anyhow::Result<()> {
    let options = ReaderOptions::new(stream, "audit", Start::First).filters([filter]);
    let mut reader = StreamReader::open(nats, options).await?;
    while let Some(batch) = reader.next_until_end(READ_AT_ONCE).await? {
        for message in batch.messages {
            let Ok(Event::Block(marker)) = Event::decode(&message.payload) else { continue };
            if marker.partial {
                continue;
            }
            if marker.removed {
                let is_same = |known: &Marked| known.hash == marker.block_hash;
                if blocks.get(&marker.block_number).is_some_and(is_same) {
                    blocks.remove(&marker.block_number);
                }
                continue;
            }
            // A block may come again alone; what it stood for stays true for the same scope.
            let before = blocks.get(&marker.block_number);
            let before = before.filter(|known| known.scope == marker.scope_digest);
            let covered = before.and_then(|known| known.covers_from);
            let marked = Marked {
                hash: marker.block_hash,
                rows: u64::from(marker.rows),
                scope: marker.scope_digest,
                covers_from: marker.covers_from.into_iter().chain(covered).min(),
            };
            blocks.insert(marker.block_number, marked);
        }
    }
    Ok(())
}
