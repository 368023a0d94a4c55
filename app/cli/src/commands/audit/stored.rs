//! What is stored of a chain: rows in the database, or, where there is none, markers in the streams.

use std::collections::{BTreeMap, HashSet};

use anyhow::Context as _;
use crypto_intel_evm::ChainBlock;
use crypto_intel_nats::{Nats, ReaderOptions, Start, StreamReader};
use crypto_intel_schemas::{
    B256, Event, Kind, Stream,
    subjects::{self, Lane},
};
use crypto_intel_store::{BlockTime, RowKey, RowSet, Store};

use super::{
    super::connect_store,
    compare::{Findings, Wrong},
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
    },
    /// The canonical block of each height and how many events its marker counts.
    Streams(BTreeMap<u64, Marked>),
}

/// What a marker says of its block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marked {
    hash: B256,
    rows: u64,
}

impl Stored {
    pub(super) async fn open(config: &AppConfig, nats: &Nats, chain: &str) -> anyhow::Result<Self> {
        if !config.database.url.is_empty() {
            let store = connect_store(config).await?;
            let kept_days = config.storage.horizon_days();
            return Ok(Self::Database { store, chain: chain.to_owned(), kept_days });
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
            Self::Database { store, chain, kept_days } => {
                store.oldest_block(chain, *kept_days).await.context("read the oldest block")
            }
            Self::Streams(blocks) => Ok(blocks.keys().next().copied()),
        }
    }

    /// Compares blocks of the chain with what is stored of them.
    pub(super) async fn compare(
        &self,
        blocks: &[ChainBlock],
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        match self {
            Self::Database { store, chain, .. } => {
                compare_rows(store, chain, blocks, findings).await
            }
            Self::Streams(known) => {
                for block in blocks {
                    let events = block.events.len() as u64;
                    let marked = known.get(&block.number);
                    let wrong = match marked.filter(|marked| marked.hash == block.hash) {
                        Some(marked) => Wrong {
                            missing: events.saturating_sub(marked.rows),
                            surplus: marked.rows.saturating_sub(events),
                            ..Wrong::default()
                        },
                        None => Wrong { missing: events, block_missing: true, surplus: 0 },
                    };
                    findings.add(block.number, wrong);
                }
                Ok(())
            }
        }
    }
}

async fn compare_rows(
    store: &Store,
    chain: &str,
    blocks: &[ChainBlock],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(()) };
    let known = store
        .canonical_blocks(chain, first.number, last.number)
        .await
        .context("read stored blocks")?;
    let whole: HashSet<B256> =
        known.iter().filter(|block| !block.partial).map(|block| block.hash).collect();
    let times: Vec<BlockTime> =
        blocks.iter().map(|block| BlockTime { hash: block.hash, time_us: block.time_us }).collect();
    let stored = store.row_keys(chain, &times).await.context("read stored rows")?;
    let mut stored_of: BTreeMap<B256, HashSet<RowKey>> = BTreeMap::new();
    for key in stored {
        stored_of.entry(key.block_hash).or_default().insert(key);
    }
    for block in blocks {
        let mut rows = RowSet::default();
        for event in &block.events {
            // What has no place in a table is in the dead letters, and not missing.
            let _ = rows.add(event, 0, 0);
        }
        let expected = rows.block_keys();
        let stored = stored_of.remove(&block.hash).unwrap_or_default();
        let wrong = Wrong {
            missing: expected.difference(&stored).count() as u64,
            block_missing: !whole.contains(&block.hash),
            surplus: stored.difference(&expected).count() as u64,
        };
        findings.add(block.number, wrong);
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
            let marked = Marked { hash: marker.block_hash, rows: u64::from(marker.rows) };
            blocks.insert(marker.block_number, marked);
        }
    }
    Ok(())
}
