//! Why NATS does not store a write: a full disk and a missing permission both look like a missing answer.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::client::api::Nats;
use crate::error::{KvError, NatsError, PublishError};
use crate::kv::{Bucket, Kv};

/// How long an answer may take before it counts as missing.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// What prevents a write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The server is down, or rejects the connection.
    #[error("not connected to nats: {0}")]
    Away(String),
    /// The user lacks a permission; with the server's text.
    #[error("NATS refuses this user: {0}")]
    Forbidden(String),
    /// Another refusal.
    #[error("{0}")]
    Refused(String),
    /// Reads are answered, writes are not acknowledged.
    #[error("NATS does not store ({0}): is its disk full? make room, then restart nats-server")]
    NotStored(String),
}

impl From<&KvError> for Obstacle {
    fn from(error: &KvError) -> Self {
        match error {
            KvError::Full { .. } => Self::NotStored(error.to_string()),
            KvError::Write(PublishError::Refused { status, .. }) if *status >= 500 => {
                Self::NotStored(error.to_string())
            }
            KvError::Read(NatsError::Forbidden { .. })
            | KvError::Write(PublishError::Forbidden { .. }) => Self::Forbidden(error.to_string()),
            error => Self::Refused(error.to_string()),
        }
    }
}

impl Nats {
    /// Writes a key of the bucket `leases` and deletes it: whether the server stores what this user writes.
    ///
    /// # Errors
    /// What prevents it.
    pub async fn check_writes(&self, key: &str) -> Result<(), Obstacle> {
        let kv = answered(self, self.kv(Bucket::Leases)).await?;
        written(&kv, key, kv.put(key, "check")).await?;
        written(&kv, key, kv.delete(key)).await
    }
}

/// The result of a read, or why there is none.
pub(crate) async fn answered<T, E: Into<KvError>>(
    nats: &Nats,
    read: impl Future<Output = Result<T, E>>,
) -> Result<T, Obstacle> {
    let asked = Instant::now();
    match timeout(ANSWER_TIMEOUT, read).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Obstacle::from(&error.into())),
        Err(_) => Err(silence(nats, asked).unwrap_or_else(|| {
            Obstacle::Away(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))
        })),
    }
}

/// The result of a write of `key`, or why there is none.
pub(crate) async fn written<T>(
    kv: &Kv,
    key: &str,
    write: impl Future<Output = Result<T, KvError>>,
) -> Result<T, Obstacle> {
    let sent = Instant::now();
    let reason = match timeout(ANSWER_TIMEOUT, write).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(KvError::Write(PublishError::UnknownOutcome { reason }))) => reason,
        Ok(Err(error)) => return Err(Obstacle::from(&error)),
        Err(_) => format!("no acknowledgement within {} s", ANSWER_TIMEOUT.as_secs()),
    };
    if let Some(obstacle) = silence(kv.nats(), sent) {
        return Err(obstacle);
    }
    // Whether the server answers reads.
    answered(kv.nats(), kv.get(key)).await?;
    Err(Obstacle::NotStored(reason))
}

/// Why a request since `sent` was not answered, where that is known.
fn silence(nats: &Nats, sent: Instant) -> Option<Obstacle> {
    if let Err(reason) = nats.connection() {
        return Some(Obstacle::Away(reason));
    }
    nats.refusal_since(sent.into_std()).map(Obstacle::Forbidden)
}
