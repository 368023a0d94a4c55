//! Writes to the bucket `cursors` how far a stream of history is stored; its producers use it to limit their lead.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::{PersistedPosition, subjects};
use crypto_intel_service::now_us;

use crate::{config::StreamSource, status::Status};

const WRITE_INTERVAL: Duration = Duration::from_millis(500);

/// Writes the position of a stream that carries history as it moves; does nothing for other streams.
pub(crate) async fn keep(nats: &Nats, source: &StreamSource, status: &Arc<Status>) -> Infallible {
    let is_history = source.filters.iter().any(|filter| filter == subjects::HISTORY_ALL);
    if !is_history {
        return std::future::pending().await;
    }
    let key = PersistedPosition::key(&source.stream);
    let mut written = None;
    let mut ticks = tokio::time::interval(WRITE_INTERVAL);
    loop {
        ticks.tick().await;
        let sequence = status.applied_sequence();
        if written == Some(sequence) {
            continue;
        }
        match write(nats, &key, sequence).await {
            Ok(()) => written = Some(sequence),
            // Until then producers see an older position and only wait longer.
            Err(error) => {
                tracing::debug!(key, error = %format!("{error:#}"), "position not written, trying again");
            }
        }
    }
}

async fn write(nats: &Nats, key: &str, sequence: u64) -> anyhow::Result<()> {
    let position = PersistedPosition { sequence, at_us: now_us() };
    let value = serde_json::to_vec(&position).context("encode position")?;
    let bucket = nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
    bucket.put(key, value).await.context("write position")?;
    Ok(())
}
