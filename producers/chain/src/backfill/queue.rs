//! The bucket `gaps`: ranges of blocks that the history lane still has to publish.

use std::collections::BTreeMap;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Entry, Kv, KvChange, KvError, Nats};
use crypto_intel_schemas::B256;
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Two writers of one key come one after the other; more attempts than this mean trouble.
const MAX_ATTEMPTS: u32 = 10;

/// Why a range has to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The live lane jumped over it.
    CatchUp,
    /// A block was published without the payments inside its contracts.
    Traces,
    /// An audit found blocks missing.
    Audit,
    /// An operator asked for it.
    Backfill,
    /// An operator asked for the past of one address.
    Watch,
    /// A factory's contracts were found after these blocks had been published.
    Factory,
    /// The blocks were published for a scope that lacks something of the one in force.
    Scope,
}

impl GapReason {
    /// Whether blocks are queued before they are final, and published once they are.
    pub(crate) const fn awaits_finality(self) -> bool {
        matches!(self, Self::Traces | Self::Scope)
    }
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
    /// Only the events that touch this address are wanted; its text as it stands in subjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// With an address: every block is looked into, not only those whose logs name it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub every_block: bool,
    /// The version of the chain's scope for which it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_version: Option<u32>,
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
            scope_version: None,
            queued_at_us: now_us(),
            next: from,
            last_hash: None,
            trouble: None,
        }
    }

    /// What is filled first: what the live lane left, then by the time it was queued.
    pub(crate) fn order(&self) -> (GapReason, i64) {
        (self.reason, self.queued_at_us)
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

/// The gaps of a chain as they are; made by [`Gaps::follow`].
#[derive(Debug)]
pub(crate) struct GapList {
    gaps: watch::Receiver<BTreeMap<String, QueuedGap>>,
    _task: AbortOnDropHandle<()>,
}

impl GapList {
    /// All of them, by their keys.
    pub(crate) fn borrow(&mut self) -> watch::Ref<'_, BTreeMap<String, QueuedGap>> {
        self.gaps.borrow_and_update()
    }

    /// Waits for a change.
    ///
    /// # Errors
    /// When there will be none: the connection was closed.
    pub(crate) async fn changed(&mut self) -> anyhow::Result<()> {
        self.gaps.changed().await.context("nats connection is closed")
    }
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
        let key = match wanted.reason {
            // Beside what is being filled there already: of that, too, all has to come again.
            GapReason::Factory => format!("{}.factory", self.key(wanted.from, None)),
            // What is filled of a range that was queued for an earlier scope may be filled for that one only.
            GapReason::Scope => {
                let version = wanted.scope_version.unwrap_or_default();
                format!("{}.scope{version}", self.key(wanted.from, None))
            }
            // A range under way would publish the block as it is.
            GapReason::Traces => format!("{}.traces", self.key(wanted.from, None)),
            _ => self.key(wanted.from, wanted.address.as_deref()),
        };
        for _ in 0..MAX_ATTEMPTS {
            let known = self.kv.get(&key).await.context("read gap")?;
            let written = match known {
                None => {
                    let created = self.kv.create(&key, encode(&wanted)?).await;
                    created.map(|_| wanted.clone())
                }
                Some(entry) => {
                    let Ok(mut gap) = decode(&key, &entry.value) else {
                        // How far it was cannot be known: what is wanted takes its place.
                        tracing::warn!(key, "gap is unreadable, it is queued again");
                        let written = self.kv.update(&key, encode(&wanted)?, entry.revision).await;
                        match written {
                            Err(KvError::WrongRevision { .. }) => continue,
                            written => written.context("write gap")?,
                        };
                        return Ok(wanted);
                    };
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
        anyhow::bail!("gap {key} is written by another instance all the time")
    }

    /// The gap that begins at a block, of all events or of one address; `None` once it is filled. For the administrator: the
    /// leader of the bucket's stream is asked, as an absence means something.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn get(&self, from: u64, address: Option<&str>) -> anyhow::Result<Option<Gap>> {
        let key = self.key(from, address);
        let entry = self.kv.get_from_leader(&key).await.context("read gap")?;
        entry.map(|entry| decode(&key, &entry.value)).transpose()
    }

    /// Takes back a range that an operator asked for, and what of it is not published yet is not published. `None` where no such
    /// range begins at this block; what live, audits and others queued stays, for it is needed.
    ///
    /// # Errors
    /// When the bucket cannot be read or written.
    pub async fn take_back(&self, from: u64) -> anyhow::Result<Option<Gap>> {
        let key = self.key(from, None);
        for _ in 0..MAX_ATTEMPTS {
            let Some(entry) = self.kv.get(&key).await.context("read gap")? else {
                return Ok(None);
            };
            let gap = decode(&key, &entry.value)?;
            if gap.reason != GapReason::Backfill {
                return Ok(None);
            }
            match self.kv.delete_revision(&key, entry.revision).await {
                Ok(()) => return Ok(Some(gap)),
                // Its producer went on meanwhile.
                Err(KvError::WrongRevision { .. }) => {}
                Err(error) => return Err(error).context("remove gap"),
            }
        }
        anyhow::bail!("gap {key} is written by another instance all the time")
    }

    /// All gaps of the chain: those that the live lane left first, then by the time they were queued.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn list(&self) -> anyhow::Result<Vec<Gap>> {
        let entries = self.kv.entries(&format!("{}.", self.chain)).await.context("read gaps")?;
        let read = |(key, entry): (String, Entry)| self.read(key, &entry.value, entry.revision);
        let mut gaps: Vec<Gap> =
            entries.into_iter().filter_map(read).map(|queued| queued.gap).collect();
        gaps.sort_by_key(Gap::order);
        Ok(gaps)
    }

    /// The gaps of every chain, by its name; those of a chain as [`list`](Self::list) has them.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn list_all(nats: &Nats) -> anyhow::Result<BTreeMap<String, Vec<Gap>>> {
        let all = Self::open(nats, "").await.context("open bucket gaps")?;
        let mut chains: BTreeMap<String, Vec<Gap>> = BTreeMap::new();
        for (key, entry) in all.kv.entries("").await.context("read gaps")? {
            let Some((chain, _)) = key.split_once('.') else { continue };
            let of_chain = Self { kv: all.kv.clone(), chain: chain.to_owned() };
            if let Some(queued) = of_chain.read(key, &entry.value, entry.revision) {
                chains.entry(of_chain.chain).or_default().push(queued.gap);
            }
        }
        chains.values_mut().for_each(|gaps| gaps.sort_by_key(Gap::order));
        Ok(chains)
    }

    fn read(&self, key: String, value: &[u8], revision: u64) -> Option<QueuedGap> {
        match decode(&key, value) {
            Ok(gap) => Some(QueuedGap { key, revision, gap }),
            // It needs an operator, but the others can be filled.
            Err(error) => {
                tracing::error!(chain = self.chain, key, error = %format!("{error:#}"), "gap is unreadable, it stays unfilled: queue it again");
                None
            }
        }
    }

    /// The chain's gaps, kept up to date from now on.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub(crate) async fn follow(&self) -> anyhow::Result<GapList> {
        let mut changes =
            self.kv.watch(&format!("{}.>", self.chain)).await.context("watch gaps")?;
        let (sender, gaps) = watch::channel(BTreeMap::new());
        let present = changes.load().await;
        let reader = self.clone();
        reader.apply(&sender, present);
        let task = tokio::spawn(async move {
            while let Some(change) = changes.next().await {
                reader.apply(&sender, vec![change]);
            }
        });
        Ok(GapList { gaps, _task: AbortOnDropHandle::new(task) })
    }

    fn apply(&self, gaps: &watch::Sender<BTreeMap<String, QueuedGap>>, changes: Vec<KvChange>) {
        gaps.send_modify(|gaps| {
            for KvChange { key, value, revision, .. } in changes {
                let queued = value.and_then(|value| self.read(key.clone(), &value, revision));
                match queued {
                    Some(queued) => gaps.insert(key, queued),
                    None => gaps.remove(&key),
                };
            }
        });
    }

    /// Writes how far a gap is filled; removes it when it is filled whole. If it was extended
    /// meanwhile, the gap goes on to its new end.
    ///
    /// # Errors
    /// When the bucket cannot be written, or another instance moved the gap.
    pub(crate) async fn advance(&self, queued: &mut QueuedGap) -> anyhow::Result<()> {
        for _ in 0..MAX_ATTEMPTS {
            let written = if queued.gap.remaining() == 0 {
                let deleted = self.kv.delete_revision(&queued.key, queued.revision).await;
                deleted.map(|()| queued.revision)
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
                    let entry = entry.context("gap was removed by another instance")?;
                    // One that is unreadable is written over by what is known here.
                    if let Ok(stored) = decode(&queued.key, &entry.value) {
                        anyhow::ensure!(
                            stored.next <= queued.gap.next,
                            "gap was moved by another instance"
                        );
                        queued.gap.to = queued.gap.to.max(stored.to);
                    }
                    queued.revision = entry.revision;
                }
                Err(error) => return Err(error).context("write gap"),
            }
        }
        anyhow::bail!("gap {} is written by another instance all the time", queued.key)
    }

    fn key(&self, from: u64, address: Option<&str>) -> String {
        match address {
            Some(address) => format!("{}.{from:020}.{address}", self.chain),
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
