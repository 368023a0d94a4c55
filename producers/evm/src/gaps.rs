//! The bucket `gaps`: ranges of blocks that the history lane still has to publish.

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, KvError, KvWatch, Nats};
use crypto_intel_schemas::{Address, B256};
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};

/// Two writers of one key come one after the other; more attempts than this mean trouble.
const ATTEMPTS: u32 = 10;

/// Why a range has to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The live lane jumped over it.
    CatchUp,
    /// An audit found blocks missing.
    Audit,
    /// Somebody asked for it.
    Backfill,
    /// Somebody asked for the past of one address.
    Watch,
    /// A factory's contracts were found after these blocks had been published.
    Factory,
}

/// A range of final blocks that are still to be published on the history lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First block of the range.
    pub from: u64,
    /// Last block of the range.
    pub to: u64,
    /// Why it is wanted.
    pub reason: GapReason,
    /// Only the events that touch this address are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// With an address: every block is looked into, not only those whose logs name it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub every_block: bool,
    /// When it was queued, microseconds UTC.
    pub queued_at_us: i64,
    /// First block that is not yet acknowledged: everything below it is in the stream.
    pub next: u64,
    /// Hash of the block below `next`, on which that one must be built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_hash: Option<B256>,
    /// Why it does not go on, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl Gap {
    /// A range that nothing is published of yet.
    #[must_use]
    pub fn new(from: u64, to: u64, reason: GapReason) -> Self {
        Self {
            from,
            to,
            reason,
            address: None,
            every_block: false,
            queued_at_us: now_us(),
            next: from,
            last_hash: None,
            trouble: None,
        }
    }

    /// How many blocks are still to be published.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        (self.to + 1).saturating_sub(self.next)
    }
}

/// A gap with its place in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueuedGap {
    pub(crate) key: String,
    pub(crate) revision: u64,
    pub(crate) gap: Gap,
}

/// The gaps of one chain.
#[derive(Debug, Clone)]
pub struct Gaps {
    kv: Kv,
    chain: String,
}

impl Gaps {
    /// Opens the bucket.
    ///
    /// # Errors
    /// When the bucket does not exist or the server does not answer.
    pub async fn open(nats: &Nats, chain: &str) -> Result<Self, KvError> {
        let kv = nats.kv(Bucket::Gaps).await.map_err(KvError::Read)?;
        Ok(Self { kv, chain: chain.to_owned() })
    }

    /// Queues `from` to `to`, both included; a range that begins at the same block is extended. Returns
    /// what is queued under that beginning now.
    ///
    /// # Errors
    /// When the bucket cannot be read or written.
    pub async fn queue(&self, from: u64, to: u64, reason: GapReason) -> anyhow::Result<Gap> {
        self.queue_gap(Gap::new(from, to, reason)).await
    }

    /// As [`queue`](Self::queue), for a gap that may be of one address.
    ///
    /// # Errors
    /// When the bucket cannot be read or written.
    pub async fn queue_gap(&self, wanted: Gap) -> anyhow::Result<Gap> {
        let key = self.key(wanted.from, wanted.address.as_ref());
        for _ in 0..ATTEMPTS {
            let known = self.kv.get(&key).await.context("read gap")?;
            let written = match known {
                None => {
                    let created = self.kv.create(&key, encode(&wanted)?).await;
                    created.map(|_| wanted.clone())
                }
                Some(entry) => {
                    let mut gap: Gap = decode(&key, &entry.value)?;
                    if gap.to >= wanted.to && gap.every_block >= wanted.every_block {
                        return Ok(gap);
                    }
                    if wanted.every_block && !gap.every_block {
                        // What was looked into so far was looked into less closely.
                        (gap.every_block, gap.next) = (true, gap.from);
                    }
                    gap.to = gap.to.max(wanted.to);
                    self.kv.update(&key, encode(&gap)?, entry.revision).await.map(|_| gap)
                }
            };
            match written {
                Ok(gap) => return Ok(gap),
                Err(KvError::AlreadyExists { .. } | KvError::WrongRevision { .. }) => {}
                Err(error) => return Err(error).context("write gap"),
            }
        }
        anyhow::bail!("gap {key} is written by somebody else all the time")
    }

    /// The gap that begins at a block, of all events or of one address; `None` once it is filled.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn get(&self, from: u64, address: Option<&Address>) -> anyhow::Result<Option<Gap>> {
        let key = self.key(from, address);
        let entry = self.kv.get(&key).await.context("read gap")?;
        entry.map(|entry| decode(&key, &entry.value)).transpose()
    }

    /// All gaps of the chain: those that the live lane left first, then by the time they were queued.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn list(&self) -> anyhow::Result<Vec<Gap>> {
        Ok(self.queued().await?.into_iter().map(|queued| queued.gap).collect())
    }

    pub(crate) async fn queued(&self) -> anyhow::Result<Vec<QueuedGap>> {
        let entries = self.kv.entries(&format!("{}.", self.chain)).await.context("read gaps")?;
        let mut gaps = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            match decode(&key, &entry.value) {
                Ok(gap) => gaps.push(QueuedGap { key, revision: entry.revision, gap }),
                // Somebody has to look at it, but the others can be filled.
                Err(error) => {
                    tracing::error!(chain = self.chain, key, error = %format!("{error:#}"), "gap is unreadable, it stays unfilled");
                }
            }
        }
        gaps.sort_by_key(|queued| (queued.gap.reason, queued.gap.queued_at_us));
        Ok(gaps)
    }

    /// Changes of the chain's gaps.
    pub(crate) async fn watch(&self) -> Result<KvWatch, KvError> {
        self.kv.watch(&format!("{}.>", self.chain)).await
    }

    /// Writes how far a gap is filled; removes it when it is filled whole. Who extended it meanwhile is
    /// heard: the gap then goes on.
    ///
    /// # Errors
    /// When the bucket cannot be written, or another instance moved the gap.
    pub(crate) async fn advance(&self, queued: &mut QueuedGap) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS {
            let written = if queued.gap.remaining() == 0 {
                self.kv.delete_revision(&queued.key, queued.revision).await.map(|()| 0)
            } else {
                self.kv.update(&queued.key, encode(&queued.gap)?, queued.revision).await
            };
            match written {
                Ok(revision) => {
                    queued.revision = revision;
                    return Ok(());
                }
                Err(KvError::WrongRevision { .. }) => {
                    let entry = self.kv.get(&queued.key).await.context("read gap")?;
                    let entry = entry.context("gap was removed by somebody else")?;
                    let stored: Gap = decode(&queued.key, &entry.value)?;
                    anyhow::ensure!(
                        stored.next <= queued.gap.next,
                        "gap was moved by another instance"
                    );
                    queued.gap.to = queued.gap.to.max(stored.to);
                    queued.revision = entry.revision;
                }
                Err(error) => return Err(error).context("write gap"),
            }
        }
        anyhow::bail!("gap {} is written by somebody else all the time", queued.key)
    }

    fn key(&self, from: u64, address: Option<&Address>) -> String {
        match address {
            Some(address) => format!("{}.{from:020}.{address:#x}", self.chain),
            None => format!("{}.{from:020}", self.chain),
        }
    }
}

fn encode(gap: &Gap) -> anyhow::Result<Vec<u8>> {
    serde_json::to_vec(gap).context("encode gap")
}

fn decode(key: &str, value: &[u8]) -> anyhow::Result<Gap> {
    serde_json::from_slice(value).with_context(|| format!("decode gap {key}"))
}
