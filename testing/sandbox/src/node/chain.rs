//! The chain that one or more scripted nodes serve.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use alloy_primitives::B256;
use anyhow::{Context as _, ensure};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::broadcast;

use super::block::NodeBlock;
use super::lazy_block::LazyBlock;

/// How many blocks built from lazy ones are kept: a request for a block is followed by one for its receipts.
const BUILT_KEPT: usize = 32;
/// Changes that a slow websocket client may fall behind before it is cut off.
const CHANGES_KEPT: usize = 4_096;

/// A chain of blocks; clones are the same chain.
#[derive(Debug, Clone)]
pub struct Chain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: RwLock<State>,
    changes: broadcast::Sender<Change>,
    built: Mutex<VecDeque<Arc<NodeBlock>>>,
}

#[derive(Debug, Default)]
struct State {
    canonical: BTreeMap<u64, Kept>,
    by_hash: HashMap<B256, Kept>,
    safe: Finality,
    finalized: Finality,
    blocks_kept: Option<usize>,
}

#[derive(Debug, Clone)]
enum Kept {
    Whole(Arc<NodeBlock>),
    Lazy(Arc<LazyBlock>),
}

#[derive(Debug, Clone, Copy, Default)]
enum Finality {
    #[default]
    Unknown,
    Number(u64),
    BelowHead(u64),
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Added(Arc<NodeBlock>),
    Removed(Arc<NodeBlock>),
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    /// An empty chain.
    #[must_use]
    pub fn new() -> Self {
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let shared = Shared { state: RwLock::default(), changes, built: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Appends a block. Numbers may have gaps, as recorded blocks do.
    ///
    /// # Errors
    /// Fails when the number is not above the head's, or is the next one with another parent.
    pub fn push_block(&self, block: NodeBlock) -> anyhow::Result<()> {
        let block = Arc::new(block);
        self.write().append(Kept::Whole(Arc::clone(&block)))?;
        // Sending fails only when there is no subscriber.
        let _ = self.shared.changes.send(Change::Added(block));
        Ok(())
    }

    /// Appends a block that is built whenever it is requested. Whatever reads many blocks at once builds all of
    /// them: [`blocks`](Self::blocks), `eth_getLogs` of a range, `eth_getTransactionReceipt`.
    ///
    /// # Errors
    /// As [`push_block`](Self::push_block).
    pub fn push_lazy(&self, lazy: LazyBlock) -> anyhow::Result<()> {
        let kept = Kept::Lazy(Arc::new(lazy));
        self.write().append(kept.clone())?;
        if self.shared.changes.receiver_count() > 0 {
            let _ = self.shared.changes.send(Change::Added(self.shared.block(&kept)));
        }
        Ok(())
    }

    /// Replaces the newest `depth` blocks. The old ones are still available by hash, as on a real node.
    ///
    /// # Errors
    /// Fails when there are fewer blocks, or when the new blocks do not link; then nothing changes.
    pub fn reorg(&self, depth: usize, new_blocks: Vec<NodeBlock>) -> anyhow::Result<()> {
        let mut changes = Vec::new();
        let mut state = self.write();
        ensure!(state.canonical.len() >= depth, "the chain has fewer than {depth} blocks");
        let mut removed = Vec::new();
        for _ in 0..depth {
            removed.extend(state.canonical.pop_last().map(|(_, block)| block));
        }
        let mut result = Ok(());
        let mut added = Vec::new();
        for block in new_blocks.into_iter().map(Arc::new) {
            result = state.append(Kept::Whole(Arc::clone(&block)));
            if result.is_err() {
                break;
            }
            added.push(block);
        }
        if result.is_err() {
            for block in &added {
                state.canonical.remove(&block.number);
                state.by_hash.remove(&block.hash);
            }
            for block in removed {
                state.canonical.insert(block.number(), block);
            }
            return result.context("link the new branch");
        }
        drop(state);
        changes.extend(removed.iter().map(|kept| Change::Removed(self.shared.block(kept))));
        changes.extend(added.into_iter().map(Change::Added));
        for change in changes {
            let _ = self.shared.changes.send(change);
        }
        Ok(())
    }

    /// From now on `safe` is this block.
    pub fn set_safe(&self, number: u64) {
        self.write().safe = Finality::Number(number);
    }

    /// From now on `finalized` is this block.
    pub fn set_finalized(&self, number: u64) {
        self.write().finalized = Finality::Number(number);
    }

    /// From now on `safe` and `finalized` follow the head at these distances.
    pub fn follow_finality(&self, safe_depth: u64, finalized_depth: u64) {
        let mut state = self.write();
        state.safe = Finality::BelowHead(safe_depth);
        state.finalized = Finality::BelowHead(finalized_depth);
    }

    /// Forgets all but the newest `count` blocks, now and after each new one.
    pub fn keep_only(&self, count: usize) {
        let mut state = self.write();
        state.blocks_kept = Some(count);
        state.forget_old();
    }

    /// The newest block.
    #[must_use]
    pub fn head(&self) -> Option<Arc<NodeBlock>> {
        let kept = self.read().canonical.values().next_back().cloned();
        kept.map(|kept| self.shared.block(&kept))
    }

    /// The canonical block at a height.
    #[must_use]
    pub fn block(&self, number: u64) -> Option<Arc<NodeBlock>> {
        let kept = self.read().canonical.get(&number).cloned();
        kept.map(|kept| self.shared.block(&kept))
    }

    /// A block of any branch by hash.
    #[must_use]
    pub fn block_by_hash(&self, hash: &B256) -> Option<Arc<NodeBlock>> {
        let kept = self.read().by_hash.get(hash).cloned();
        kept.map(|kept| self.shared.block(&kept))
    }

    /// All canonical blocks, oldest first.
    #[must_use]
    pub fn blocks(&self) -> Vec<Arc<NodeBlock>> {
        let kept: Vec<Kept> = self.read().canonical.values().cloned().collect();
        kept.iter().map(|kept| self.shared.block(kept)).collect()
    }

    pub(super) fn blocks_between(&self, from: u64, to: u64) -> Vec<Arc<NodeBlock>> {
        if from > to {
            return Vec::new();
        }
        let kept: Vec<Kept> =
            self.read().canonical.range(from..=to).map(|(_, kept)| kept.clone()).collect();
        kept.iter().map(|kept| self.shared.block(kept)).collect()
    }

    pub(super) fn earliest(&self) -> Option<Arc<NodeBlock>> {
        let kept = self.read().canonical.values().next().cloned();
        kept.map(|kept| self.shared.block(&kept))
    }

    pub(super) fn safe_number(&self) -> Option<u64> {
        let state = self.read();
        state.resolve(state.safe)
    }

    pub(super) fn finalized_number(&self) -> Option<u64> {
        let state = self.read();
        state.resolve(state.finalized)
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.shared.state.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.shared.state.write()
    }
}

impl Shared {
    /// The block itself, built if it is lazy. Nothing is locked meanwhile: building takes a while.
    fn block(&self, kept: &Kept) -> Arc<NodeBlock> {
        let lazy = match kept {
            Kept::Whole(block) => return Arc::clone(block),
            Kept::Lazy(lazy) => lazy,
        };
        let built = || self.built.lock();
        if let Some(block) = built().iter().rev().find(|block| block.hash == lazy.hash()) {
            return Arc::clone(block);
        }
        let block = Arc::new(lazy.make());
        let mut built = built();
        if built.len() >= BUILT_KEPT {
            built.pop_front();
        }
        built.push_back(Arc::clone(&block));
        block
    }
}

impl Kept {
    fn number(&self) -> u64 {
        match self {
            Self::Whole(block) => block.number,
            Self::Lazy(lazy) => lazy.number(),
        }
    }

    fn hash(&self) -> B256 {
        match self {
            Self::Whole(block) => block.hash,
            Self::Lazy(lazy) => lazy.hash(),
        }
    }

    fn parent_hash(&self) -> B256 {
        match self {
            Self::Whole(block) => block.parent_hash,
            Self::Lazy(lazy) => lazy.parent_hash(),
        }
    }
}

impl State {
    fn append(&mut self, block: Kept) -> anyhow::Result<()> {
        if let Some((number, head)) = self.canonical.last_key_value() {
            ensure!(
                block.number() > *number,
                "block {} is not above the head {number}: use reorg",
                block.number()
            );
            ensure!(
                block.number() > number + 1 || block.parent_hash() == head.hash(),
                "block {} has parent {}, the head is {}",
                block.number(),
                block.parent_hash(),
                head.hash()
            );
        }
        self.by_hash.insert(block.hash(), block.clone());
        self.canonical.insert(block.number(), block);
        self.forget_old();
        Ok(())
    }

    fn forget_old(&mut self) {
        let Some(kept) = self.blocks_kept else { return };
        while self.canonical.len() > kept.max(1) {
            self.canonical.pop_first();
        }
        // Orphans below the oldest block go too, in an occasional pass over all blocks.
        if self.by_hash.len() > 2 * kept.max(16)
            && let Some(oldest) = self.canonical.keys().next().copied()
        {
            self.by_hash.retain(|_, block| block.number() >= oldest);
        }
    }

    fn resolve(&self, finality: Finality) -> Option<u64> {
        match finality {
            Finality::Unknown => None,
            Finality::Number(number) => Some(number),
            Finality::BelowHead(depth) => {
                let head = *self.canonical.keys().next_back()?;
                let oldest = *self.canonical.keys().next()?;
                Some(head.saturating_sub(depth).max(oldest))
            }
        }
    }
}
