//! The chain's cursor in the bucket `cursors`: where a fold may start, and how far it was.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvError, Nats};
use crypto_intel_schemas::B256;
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{family::Family, marker_stack::MarkerStack};

const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// What is kept of a chain's position outside of its stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The last acknowledged block.
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) sequence: u64,
    /// The newest block that was final, and the sequence of its marker: the fold starts there.
    pub(crate) final_number: u64,
    pub(crate) final_hash: B256,
    pub(crate) final_sequence: u64,
    /// When this was written, microseconds UTC.
    pub(crate) at_us: i64,
}

impl Cursor {
    /// The cursor of a stack; `None` while a fold can start nowhere later.
    pub(crate) fn of(stack: &MarkerStack) -> Option<Self> {
        let top = stack.top()?;
        let bottom = stack.fold_start()?;
        Some(Self {
            number: top.number,
            hash: top.hash,
            sequence: top.sequence,
            final_number: bottom.number,
            final_hash: bottom.hash,
            final_sequence: bottom.sequence,
            at_us: now_us(),
        })
    }

    fn key(family: Family, chain: &str) -> String {
        format!("{}.{chain}", family.name)
    }

    /// The stored cursor; one that is unreadable counts as none, loudly.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub(crate) async fn read(
        nats: &Nats,
        family: Family,
        chain: &str,
    ) -> Result<Option<Self>, KvError> {
        let bucket = nats.kv(Bucket::Cursors).await?;
        let Some(entry) = bucket.get(&Self::key(family, chain)).await? else { return Ok(None) };
        match serde_json::from_slice(&entry.value) {
            Ok(cursor) => Ok(Some(cursor)),
            Err(error) => {
                tracing::warn!(chain, %error, "cursor is unreadable, the whole stream is folded");
                Ok(None)
            }
        }
    }

    async fn write(&self, nats: &Nats, family: Family, chain: &str) -> anyhow::Result<()> {
        let value = serde_json::to_vec(self).context("encode cursor")?;
        let bucket = nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
        bucket.put(&Self::key(family, chain), value).await.context("write cursor")?;
        Ok(())
    }
}

/// Writes the newest cursor once a second, as long as the leader sends some.
pub(crate) async fn keep(
    nats: Nats,
    family: Family,
    chain: String,
    mut newest: watch::Receiver<Option<Cursor>>,
) {
    while newest.changed().await.is_ok() {
        let cursor = newest.borrow_and_update().clone();
        if let Some(cursor) = cursor
            && let Err(error) = cursor.write(&nats, family, &chain).await
        {
            // The fold only reads more markers.
            tracing::debug!(chain, error = %format!("{error:#}"), "cursor not written, trying again");
        }
        tokio::time::sleep(WRITE_INTERVAL).await;
    }
}
