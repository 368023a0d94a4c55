//! Past ranges that operators ask for, by a command or through the API.

use anyhow::Context as _;
use crypto_intel_nats::Nats;
use serde::Serialize;

use super::queue::{Gap, Gaps};

/// What was queued of a range that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requested {
    /// The chain.
    pub chain: String,
    /// Only what touches this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// First block.
    pub from: u64,
    /// Last block: what was asked for, or the last final one.
    pub to: u64,
    /// How many blocks that are.
    pub blocks: u64,
    /// Why it is less than what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why a range was not queued.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It ends before it begins.
    #[error("block {from} is above block {to}: the range ends before it begins")]
    Backwards {
        /// First block that was asked for.
        from: u64,
        /// Last block that was asked for.
        to: u64,
    },
    /// Live publishes it.
    #[error("block {from} is not final yet, block {finalized} is: live publishes it")]
    NotFinal {
        /// First block that was asked for.
        from: u64,
        /// The last final block.
        finalized: u64,
    },
    /// The bucket cannot be read or written.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Queues a range up to the last final block of its chain; `u64::MAX` as its end means everything that is final.
///
/// # Errors
/// When there is nothing final in it, or the bucket cannot be read or written.
pub async fn request_past(
    nats: &Nats,
    chain: &str,
    finalized: u64,
    wanted: Gap,
) -> Result<Requested, RequestError> {
    let (from, asked) = (wanted.from, wanted.to);
    if from > asked {
        return Err(RequestError::Backwards { from, to: asked });
    }
    if from > finalized {
        return Err(RequestError::NotFinal { from, finalized });
    }
    let to = asked.min(finalized);
    // Everything means everything final.
    let is_cut = to < asked && asked < u64::MAX;
    let requested = Requested {
        chain: chain.to_owned(),
        address: wanted.address.clone(),
        from,
        to,
        blocks: to + 1 - from,
        note: is_cut.then(|| {
            format!("stopped at block {finalized}, the last final one: live has the rest")
        }),
    };
    let gaps = Gaps::open(nats, chain).await.context("open bucket gaps")?;
    gaps.queue_gap(Gap { to, ..wanted }).await?;
    Ok(requested)
}
