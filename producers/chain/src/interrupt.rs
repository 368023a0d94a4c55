//! Why following a chain is interrupted.

use std::time::Duration;

use crypto_intel_nats::{KvError, NatsError, PublishError, ReaderError};
use crypto_intel_service::Retryable;

use crate::{source::unavailable::Unavailable, stack::limits::Refused};

/// Why following a chain was interrupted.
#[derive(Debug, thiserror::Error)]
pub enum ChainInterrupt {
    /// Read the stream and plan again, after a while.
    #[error("{reason}")]
    Replan {
        /// What happened.
        reason: String,
        /// How long to wait, where it is known.
        after: Option<Duration>,
    },
    /// A block is unavailable right now; what is in the stream is known.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// It needs an operator: the chain stops, others go on.
    #[error(transparent)]
    Stop(#[from] anyhow::Error),
}

impl ChainInterrupt {
    /// Read the stream and plan again.
    pub fn replan(reason: impl Into<String>) -> Self {
        Self::Replan { reason: reason.into(), after: None }
    }

    fn of<E>(error: E, replans: bool) -> Self
    where
        E: Retryable + std::error::Error + Send + Sync + 'static,
    {
        if replans || error.is_retryable() {
            Self::Replan { reason: error.to_string(), after: error.retry_after() }
        } else {
            Self::Stop(error.into())
        }
    }
}

impl From<PublishError> for ChainInterrupt {
    fn from(error: PublishError) -> Self {
        let replans = matches!(
            error,
            PublishError::WrongLastSequence { .. } | PublishError::BatchTooLong { .. }
        );
        Self::of(error, replans)
    }
}

impl From<NatsError> for ChainInterrupt {
    fn from(error: NatsError) -> Self {
        Self::of(error, false)
    }
}

impl From<ReaderError> for ChainInterrupt {
    fn from(error: ReaderError) -> Self {
        Self::of(error, false)
    }
}

impl From<KvError> for ChainInterrupt {
    fn from(error: KvError) -> Self {
        Self::of(error, false)
    }
}

impl From<Refused> for ChainInterrupt {
    fn from(error: Refused) -> Self {
        Self::Stop(error.into())
    }
}
