//! Up to which block an audit found everything stored: kept in the bucket `cursors`.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::Verified;

use crate::metrics::ChainMetrics;

const READ_INTERVAL: Duration = Duration::from_secs(10);

/// What is kept of a chain; `None` where no audit ended yet, or what is kept is unreadable, which is logged.
///
/// # Errors
/// When the bucket cannot be read.
pub async fn read_verified(nats: &Nats, chain: &str) -> anyhow::Result<Option<Verified>> {
    match stored(nats, chain).await? {
        Some(Ok(verified)) => Ok(Some(verified)),
        Some(Err(error)) => {
            tracing::warn!(chain, %error, "the verified block is unreadable: the next audit begins where its range does");
            Ok(None)
        }
        None => Ok(None),
    }
}

async fn stored(nats: &Nats, chain: &str) -> anyhow::Result<Option<serde_json::Result<Verified>>> {
    let bucket = nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
    let entry = bucket.get(&Verified::key(chain)).await.context("read the verified block")?;
    Ok(entry.map(|entry| serde_json::from_slice(&entry.value)))
}

/// Keeps the verified range of a chain.
///
/// # Errors
/// When the bucket cannot be written.
pub async fn write_verified(nats: &Nats, chain: &str, verified: &Verified) -> anyhow::Result<()> {
    let value = serde_json::to_vec(verified).context("encode the verified block")?;
    let bucket = nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
    bucket.put(&Verified::key(chain), value).await.context("write the verified block")?;
    Ok(())
}

/// Shows the kept block as a metric.
pub(crate) async fn show(nats: Nats, chain: String, metrics: ChainMetrics) {
    loop {
        match stored(&nats, &chain).await {
            Ok(Some(Ok(verified))) => metrics.verified(verified.number),
            Ok(Some(Err(_)) | None) => {}
            Err(error) => {
                tracing::debug!(chain, error = %format!("{error:#}"), "verified block is unknown");
            }
        }
        tokio::time::sleep(READ_INTERVAL).await;
    }
}
