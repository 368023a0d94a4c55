//! The chain's cursor in the bucket `cursors`: where a fold may start, and how far it was.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvError, Nats};
use crypto_intel_schemas::ChainCursor;
use crypto_intel_service::now_us;
use tokio::sync::watch;

use crate::{source::family::Family, stack::marker_stack::MarkerStack};

const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// The cursor of a stack; `None` while a fold can start nowhere later.
pub(crate) fn of(stack: &MarkerStack) -> Option<ChainCursor> {
    let top = stack.top()?;
    let bottom = stack.fold_start()?;
    Some(ChainCursor {
        number: top.number,
        hash: top.hash,
        sequence: top.sequence,
        final_number: bottom.number,
        final_hash: bottom.hash,
        final_sequence: bottom.sequence,
        at_us: now_us(),
    })
}

/// The stored cursor; one that is unreadable counts as none, loudly.
///
/// # Errors
/// When the bucket cannot be read.
pub(crate) async fn read(
    nats: &Nats,
    family: Family,
    chain: &str,
) -> Result<Option<ChainCursor>, KvError> {
    let bucket = nats.kv(Bucket::Cursors).await?;
    let key = ChainCursor::key(family.name, chain);
    let Some(entry) = bucket.get(&key).await? else { return Ok(None) };
    match serde_json::from_slice(&entry.value) {
        Ok(cursor) => Ok(Some(cursor)),
        Err(error) => {
            tracing::warn!(chain, %error, "cursor is unreadable, the whole stream is folded");
            Ok(None)
        }
    }
}

async fn write(
    nats: &Nats,
    family: Family,
    chain: &str,
    cursor: &ChainCursor,
) -> anyhow::Result<()> {
    let value = serde_json::to_vec(cursor).context("encode cursor")?;
    let bucket = nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
    bucket.put(&ChainCursor::key(family.name, chain), value).await.context("write cursor")?;
    Ok(())
}

/// Writes the newest cursor once a second, as long as the leader sends some.
pub(crate) async fn keep(
    nats: Nats,
    family: Family,
    chain: String,
    mut newest: watch::Receiver<Option<ChainCursor>>,
) {
    while newest.changed().await.is_ok() {
        let cursor = newest.borrow_and_update().clone();
        if let Some(cursor) = cursor
            && let Err(error) = write(&nats, family, &chain, &cursor).await
        {
            // The fold only reads more markers.
            tracing::debug!(chain, error = %format!("{error:#}"), "cursor not written, trying again");
        }
        tokio::time::sleep(WRITE_INTERVAL).await;
    }
}
