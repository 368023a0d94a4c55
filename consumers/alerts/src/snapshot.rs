//! The engine's state in the bucket `rule_state`: written by compare-and-set, so that of two
//! instances that both believe to be the active one only one goes on.

use std::time::Duration;

use crypto_intel_nats::{Bucket, Kv, KvError, Nats, Position};
use crypto_intel_service::Retryable;
use serde::Deserialize;

use crate::engine::state::{STATE_VERSION, State};

/// Room for headers within a message.
const HEADER_ROOM: usize = 1_024;

/// State of one stream's rules in KV.
#[derive(Debug)]
pub(crate) struct SnapshotStore {
    kv: Kv,
    key: String,
    revision: Option<u64>,
    limit_bytes: usize,
}

/// Why the state was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    /// Another instance stored its own.
    #[error("another instance stored the state of {key}")]
    Superseded { key: String },
    #[error(transparent)]
    Kv(#[from] KvError),
}

impl Retryable for SaveError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Superseded { .. } => false,
            Self::Kv(error) => error.is_retryable(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Superseded { .. } => None,
            Self::Kv(error) => error.retry_after(),
        }
    }
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
        let limit_bytes = nats.client().max_payload().saturating_sub(HEADER_ROOM);
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
        // Cooldowns and corrections of the past are lost; the position is not.
        tracing::warn!(
            key = self.key,
            "rule state is of another version, rules start from empty state"
        );
        let position = any.ok()?.position;
        Some(State { position, stream_time_us: position.stored_at_us, ..State::empty() })
    }

    /// Bytes of a state, made smaller until it can be stored; and how much went for it.
    pub(crate) fn encode(&self, state: &State) -> (Vec<u8>, u64) {
        let mut bytes = encode(state);
        if bytes.len() <= self.limit_bytes {
            return (bytes, 0);
        }
        let mut smaller = state.clone();
        let mut gone = 0;
        while bytes.len() > self.limit_bytes {
            let shed = smaller.shed();
            gone += shed;
            bytes = encode(&smaller);
            if shed == 0 {
                break;
            }
        }
        (bytes, gone)
    }

    /// Stores encoded state in place of what was read or stored last.
    pub(crate) async fn save(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        let stored = match self.revision {
            Some(revision) => self.kv.update(&self.key, bytes.to_vec(), revision).await,
            None => self.kv.create(&self.key, bytes.to_vec()).await,
        };
        match stored {
            Ok(revision) => self.revision = Some(revision),
            Err(KvError::WrongRevision { .. } | KvError::AlreadyExists { .. }) => {
                // Perhaps our own attempt whose answer was lost.
                match self.kv.get(&self.key).await? {
                    Some(entry) if entry.value == bytes => self.revision = Some(entry.revision),
                    _ => return Err(SaveError::Superseded { key: self.key.clone() }),
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

pub(crate) fn encode(state: &State) -> Vec<u8> {
    let encoded = rmp_serde::to_vec_named(state);
    // Plain data in memory: writing it cannot fail.
    debug_assert!(encoded.is_ok(), "{encoded:?}");
    encoded.unwrap_or_default()
}
