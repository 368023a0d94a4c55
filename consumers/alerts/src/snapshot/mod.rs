//! The engine's state in the bucket `rule_state`. The key of a stream holds the head: how far the state is, and which
//! records hold it. Head and records are stored together or not at all, and only while the head is the one that was
//! read: of two instances that both assume to be active only one can continue.

mod records;
pub(crate) mod shards;

use std::collections::BTreeMap;

use anyhow::Context as _;
use bytes::Bytes;
use crypto_intel_nats::{Bucket, Kv, KvError, Nats, Position, TermEnd};
use crypto_intel_service::retry;
use serde::Deserialize;

use self::shards::{Record, Shards};
use crate::engine::{
    Engine,
    entries::encode,
    state::{Head, STATE_VERSION, SingleValue, State},
};

/// State of one stream's rules in KV.
#[derive(Debug)]
pub(crate) struct SnapshotStore {
    kv: Kv,
    key: String,
    revision: Option<u64>,
    shards: Shards,
}

/// What is to be stored together: keys and values, the head first.
pub(crate) type Snapshot = Vec<(String, Bytes)>;

/// The part of a state that every version has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u16,
    position: Position,
}

impl SnapshotStore {
    /// Opens the store and reads what is in it.
    pub(crate) async fn load(nats: &Nats, slug: &str) -> Result<(Self, Option<State>), KvError> {
        let kv = nats.kv(Bucket::RuleState).await?;
        let mut store = Self { kv, key: slug.to_owned(), revision: None, shards: Shards::new() };
        loop {
            let Some(head) = store.kv.get(&store.key).await? else { return Ok((store, None)) };
            let records = store.kv.entries(&format!("{slug}.")).await?;
            // While the head is the same, no record that it names was replaced.
            let again = store.kv.get(&store.key).await?;
            if again.is_none_or(|again| again.revision != head.revision) {
                continue;
            }
            let records = records.into_iter().map(|(key, entry)| (key, entry.value)).collect();
            store.revision = Some(head.revision);
            let state = store.decode(&head.value, &records);
            return Ok((store, state));
        }
    }

    fn decode(&mut self, head: &[u8], records: &BTreeMap<String, Bytes>) -> Option<State> {
        let any = rmp_serde::from_slice::<AnyVersion>(head);
        let reason = match any.as_ref().map(|any| any.version) {
            Ok(STATE_VERSION) => match self.restore(head, records) {
                Ok(state) => return Some(state),
                Err(reason) => reason,
            },
            Ok(SingleValue::VERSION) => match rmp_serde::from_slice::<SingleValue>(head) {
                Ok(value) => return Some(value.into()),
                Err(error) => error.to_string(),
            },
            Ok(version) => format!("it is of version {version}"),
            Err(error) => error.to_string(),
        };
        // Earlier cooldowns and corrections are lost; the position is not.
        tracing::warn!(
            key = self.key,
            reason,
            "rule state cannot be read, rules start from empty state"
        );
        self.shards = Shards::new();
        let position = any.ok()?.position;
        Some(State { position, stream_time_us: position.stored_at_us, ..State::empty() })
    }

    fn restore(&mut self, head: &[u8], records: &BTreeMap<String, Bytes>) -> Result<State, String> {
        let head: Head = rmp_serde::from_slice(head).map_err(|error| error.to_string())?;
        let record = |name: &str| records.get(&format!("{}.{name}", self.key)).cloned();
        self.shards = Shards::load(&head.table, record)?;
        Ok(State::restore(head, self.shards.entries()))
    }

    /// What has to be stored so that the state is. It counts as stored: [`save`](Self::save) must follow.
    pub(crate) fn take(&mut self, state: &mut State) -> Snapshot {
        let (head, records) = advance(&mut self.shards, state);
        let named = |(name, body)| (format!("{}.{name}", self.key), body);
        [(self.key.clone(), head)].into_iter().chain(records.into_iter().map(named)).collect()
    }

    /// Stores a snapshot in place of what was read or stored last, trying until it is stored.
    ///
    /// # Errors
    /// [`TermEnd::Replaced`] when another instance has stored its own, else what NATS refuses for good.
    pub(crate) async fn save(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let what = format!("store the state of {}", self.key);
        let saved = retry(&what, || self.write(snapshot)).await?;
        let Some(revision) = saved else {
            let what = format!("another instance stored the state of {}", self.key);
            return Err(TermEnd::Replaced).context(what);
        };
        self.revision = Some(revision);
        Ok(())
    }

    /// The new revision; `None` when another instance has stored its own state.
    async fn write(&self, snapshot: &Snapshot) -> Result<Option<u64>, KvError> {
        match self.kv.put_together(snapshot, self.revision).await {
            Ok(revision) => Ok(Some(revision)),
            Err(KvError::WrongRevision { .. } | KvError::AlreadyExists { .. }) => {
                // Perhaps an own attempt whose answer was lost.
                let head = snapshot.first().map(|(_, head)| head);
                let stored = self.kv.get(&self.key).await?;
                let own = stored.filter(|stored| Some(&stored.value) == head);
                Ok(own.map(|own| own.revision))
            }
            Err(error) => Err(error),
        }
    }
}

/// Tells how many bytes snapshots of an engine write, without a bucket: for measurements.
#[derive(Debug)]
pub struct SnapshotMeter {
    shards: Shards,
}

impl SnapshotMeter {
    /// One for an engine that has not been stored yet.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: Shards::new() }
    }

    /// Takes a snapshot; returns the bytes of its head and records.
    pub fn snapshot(&mut self, engine: &mut Engine) -> usize {
        let (head, records) = advance(&mut self.shards, engine.state_mut());
        head.len() + records.iter().map(|(_, body)| body.len()).sum::<usize>()
    }
}

impl Default for SnapshotMeter {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes over what changed: the head, and the records to be stored with it.
fn advance(shards: &mut Shards, state: &mut State) -> (Bytes, Vec<Record>) {
    let changes = state.take_changes(shards.entries());
    let records = shards.advance(changes);
    (encode(&state.head(shards.table())), records)
}

#[cfg(test)]
pub(crate) mod in_memory {
    //! A stand-in for the bucket, for tests of the engine.
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What a snapshot stores, in memory.
    #[derive(Debug)]
    pub(crate) struct Memory {
        shards: Shards,
        head: Bytes,
        records: BTreeMap<String, Bytes>,
    }

    impl Memory {
        pub(crate) fn new() -> Self {
            Self { shards: Shards::new(), head: Bytes::new(), records: BTreeMap::new() }
        }

        /// Stores a state and reads it again, as a restart does. Returns it with the bytes that were written.
        pub(crate) fn restart(&mut self, state: &mut State) -> (State, usize) {
            let (head, records) = advance(&mut self.shards, state);
            let bytes = records.iter().map(|(_, body)| body.len()).sum();
            self.records.extend(records);
            self.head = head;
            let head: Head = rmp_serde::from_slice(&self.head).unwrap();
            let record = |name: &str| self.records.get(name).cloned();
            self.shards = Shards::load(&head.table, record).unwrap();
            (State::restore(head, self.shards.entries()), bytes)
        }
    }
}

#[cfg(test)]
mod tests;
