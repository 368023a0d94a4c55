//! Up to which block an audit found everything stored: kept in the bucket `cursors`.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::B256;
use serde::{Deserialize, Serialize};

use crate::metrics::ChainMetrics;

const READ_INTERVAL: Duration = Duration::from_secs(10);

/// The verified range of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// First verified block.
    pub from: u64,
    /// Last verified block: everything from `from` up to here is stored.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// What the chain was compared with: `database` or `streams`.
    pub against: String,
    /// When it was verified, microseconds UTC.
    pub at_us: i64,
}

impl Verified {
    /// What is kept of a chain; `None` where no audit ended yet, or what is kept is unreadable, which is said.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn read(nats: &Nats, chain: &str) -> anyhow::Result<Option<Self>> {
        match Self::stored(nats, chain).await? {
            Some(Ok(verified)) => Ok(Some(verified)),
            Some(Err(error)) => {
                tracing::warn!(chain, %error, "the verified block is unreadable: the next audit begins where its range does");
                Ok(None)
            }
            None => Ok(None),
        }
    }

    async fn stored(nats: &Nats, chain: &str) -> anyhow::Result<Option<serde_json::Result<Self>>> {
        let bucket = nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
        let entry = bucket.get(&key(chain)).await.context("read the verified block")?;
        Ok(entry.map(|entry| serde_json::from_slice(&entry.value)))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When the bucket cannot be written.
    pub async fn write(&self, nats: &Nats, chain: &str) -> anyhow::Result<()> {
        let value = serde_json::to_vec(self).context("encode the verified block")?;
        let bucket = nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
        bucket.put(&key(chain), value).await.context("write the verified block")?;
        Ok(())
    }
}

/// Shows the kept block as a metric.
pub(crate) async fn show(nats: Nats, chain: String, metrics: ChainMetrics) {
    loop {
        match Verified::stored(&nats, &chain).await {
            Ok(Some(Ok(verified))) => metrics.verified(verified.number),
            Ok(Some(Err(_)) | None) => {}
            Err(error) => {
                tracing::debug!(chain, error = %format!("{error:#}"), "verified block is unknown");
            }
        }
        tokio::time::sleep(READ_INTERVAL).await;
    }
}

fn key(chain: &str) -> String {
    format!("verified.{chain}")
}
