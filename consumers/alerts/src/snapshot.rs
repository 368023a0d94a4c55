//! The engine's state in the bucket `rule_state`, written by compare-and-set: of two instances that
//! both assume to be active only one can continue.

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, KvError, Nats, Position, TermEnd};
use crypto_intel_service::retry;
use serde::Deserialize;

use crate::engine::state::{STATE_VERSION, State};

/// Part of a message that its headers may take.
const HEADER_BYTES: usize = 1_024;

/// State of one stream's rules in KV.
#[derive(Debug)]
pub(crate) struct SnapshotStore {
    kv: Kv,
    key: String,
    revision: Option<u64>,
    limit_bytes: usize,
}

/// Result of writing the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saved {
    /// It is stored, with this revision.
    At(u64),
    /// Another instance has stored its own.
    ByAnother,
}

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
        let limit_bytes = nats.client().max_payload().saturating_sub(HEADER_BYTES);
        let mut store = Self { kv, key: slug.to_owned(), revision: None, limit_bytes };
        let Some(entry) = store.kv.get(&store.key).await? else { return Ok((store, None)) };
        store.revision = Some(entry.revision);
        let state = store.decode(&entry.value);
        Ok((store, state))
    }

    fn decode(&self, value: &[u8]) -> Option<State> {
        let any = rmp_serde::from_slice::<AnyVersion>(value);
        if any.as_ref().is_ok_and(|any| any.version == STATE_VERSION)
            && let Ok(state) = rmp_serde::from_slice::<State>(value)
        {
            return Some(state);
        }
        // Earlier cooldowns and corrections are lost; the position is not.
        tracing::warn!(
            key = self.key,
            "rule state is of another version, rules start from empty state"
        );
        let position = any.ok()?.position;
        Some(State { position, stream_time_us: position.stored_at_us, ..State::empty() })
    }

    /// Bytes of a state, made smaller until it can be stored, and how many alerts were evicted for it.
    pub(crate) fn encode(&self, state: &State) -> (Vec<u8>, u64) {
        let mut bytes = encode(state);
        if bytes.len() <= self.limit_bytes {
            return (bytes, 0);
        }
        let mut smaller = state.clone();
        let mut evicted = 0;
        while bytes.len() > self.limit_bytes {
            let shrunk = smaller.shrink();
            evicted += shrunk;
            bytes = encode(&smaller);
            if shrunk == 0 {
                break;
            }
        }
        (bytes, evicted)
    }

    /// Stores encoded state in place of what was read or stored last, trying until it is stored.
    ///
    /// # Errors
    /// [`TermEnd::Replaced`] when another instance has stored its own, else what NATS refuses for good.
    pub(crate) async fn save(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let saved =
            retry(&format!("store the state of {}", self.key), || self.write(bytes)).await?;
        let Saved::At(revision) = saved else {
            let what = format!("another instance stored the state of {}", self.key);
            return Err(TermEnd::Replaced).context(what);
        };
        self.revision = Some(revision);
        Ok(())
    }

    async fn write(&self, bytes: &[u8]) -> Result<Saved, KvError> {
        let stored = match self.revision {
            Some(revision) => self.kv.update(&self.key, bytes.to_vec(), revision).await,
            None => self.kv.create(&self.key, bytes.to_vec()).await,
        };
        match stored {
            Ok(revision) => Ok(Saved::At(revision)),
            Err(KvError::WrongRevision { .. } | KvError::AlreadyExists { .. }) => {
                // Perhaps an own attempt whose answer was lost.
                match self.kv.get(&self.key).await? {
                    Some(entry) if entry.value == bytes => Ok(Saved::At(entry.revision)),
                    _ => Ok(Saved::ByAnother),
                }
            }
            Err(error) => Err(error),
        }
    }
}

pub(crate) fn encode(state: &State) -> Vec<u8> {
    let encoded = rmp_serde::to_vec_named(state);
    // Plain data in memory: writing it cannot fail.
    debug_assert!(encoded.is_ok(), "{encoded:?}");
    encoded.unwrap_or_default()
}
