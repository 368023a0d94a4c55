//! A store of usage in memory, for tests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    store::{Conflict, Stored},
    usage::Usage,
};

#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryStore {
    entries: Arc<Mutex<BTreeMap<String, Stored>>>,
    /// Every so many writes are stored, but reported as a conflict.
    lose_every: u64,
    writes: Arc<AtomicU64>,
    /// Whether values are kept as they are, rather than by way of JSON, which takes most of the time of a simulated day.
    skips_json: bool,
}

impl MemoryStore {
    pub(crate) fn losing(lose_every: u64) -> Self {
        Self { lose_every, ..Self::default() }
    }

    pub(crate) fn without_json() -> Self {
        Self { skips_json: true, ..Self::default() }
    }

    pub(super) fn load(&self, key: &str) -> Stored {
        self.entries.lock().get(key).cloned().unwrap_or_default()
    }

    pub(super) fn save(
        &self,
        key: &str,
        usage: &Usage,
        revision: Option<u64>,
    ) -> Result<u64, Conflict> {
        let usage = match self.skips_json {
            true => usage.clone(),
            // As in KV.
            false => through_json(usage)?,
        };
        let mut entries = self.entries.lock();
        let stored = entries.entry(key.to_owned()).or_default();
        if stored.revision != revision {
            return Err(Conflict);
        }
        let next = revision.unwrap_or(0) + 1;
        *stored = Stored { usage, revision: Some(next) };
        let writes = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        match self.lose_every > 0 && writes.is_multiple_of(self.lose_every) {
            true => Err(Conflict),
            false => Ok(next),
        }
    }

    /// How many bytes all entries have.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.entries.lock();
        let length =
            |stored: &Stored| serde_json::to_vec(&stored.usage).map_or(0, |text| text.len());
        entries.values().map(length).sum()
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.entries.lock().keys().cloned().collect()
    }
}

fn through_json(usage: &Usage) -> Result<Usage, Conflict> {
    let text = serde_json::to_string(usage).map_err(|_| Conflict)?;
    serde_json::from_str(&text).map_err(|_| Conflict)
}
