use crypto_intel_nats::PublishError;
use crypto_intel_service::Retryable as _;

use super::{pacer::Again, verdict::Verdict};
use crate::{fetch::FetchError, quota::signals::Signals};

/// Why a slot is not done yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PollError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the stream refuses the events: {0}")]
    Publish(PublishError),
}

impl PollError {
    /// Whether and when to try again.
    pub(crate) fn again(&self) -> Again {
        match self {
            Self::Fetch(
                FetchError::Refused { .. }
                | FetchError::RateLimited { .. }
                | FetchError::Banned { .. }
                | FetchError::Spent { .. },
            ) => Again::WhenPermitted,
            Self::Fetch(error) if error.is_retryable() => Again::Soon,
            Self::Fetch(_) | Self::Publish(_) => Again::NextSlot,
        }
    }
}

/// What the outcome of a request means for the provider.
pub(crate) fn verdict_of(error: Option<&FetchError>, signals: Signals) -> Verdict {
    let Some(error) = error else { return Verdict::Answered(signals) };
    match error {
        FetchError::Refused { .. } => Verdict::Refused,
        FetchError::Spent { spent, wait, .. } => {
            Verdict::Spent { window: *spent, wait: Some(*wait) }
        }
        FetchError::RateLimited { .. } | FetchError::Banned { .. } | FetchError::Server { .. } => {
            let everybody = !matches!(error, FetchError::RateLimited { .. });
            match error.retry_after() {
                Some(wait) => Verdict::Wait { wait, everybody },
                None => Verdict::Failed,
            }
        }
        FetchError::Timeout { .. } | FetchError::Transport { .. } => Verdict::Failed,
        // The host answers.
        _ => Verdict::Answered(signals),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::quota::limits::Window;

    #[test]
    fn every_failure_has_its_answer() {
        let seconds = Duration::from_secs;
        let reason = String::new;
        let answered = Verdict::Answered(Signals::default());
        for (error, verdict, again) in [
            (
                FetchError::RateLimited { reason: reason(), wait: Some(seconds(7)) },
                Verdict::Wait { wait: seconds(7), everybody: false },
                Again::WhenPermitted,
            ),
            (
                FetchError::RateLimited { reason: reason(), wait: None },
                Verdict::Wait { wait: seconds(60), everybody: false },
                Again::WhenPermitted,
            ),
            (
                FetchError::Banned { reason: reason(), wait: seconds(120) },
                Verdict::Wait { wait: seconds(120), everybody: true },
                Again::WhenPermitted,
            ),
            (
                FetchError::Spent { spent: Window::Month, reason: reason(), wait: seconds(9) },
                Verdict::Spent { window: Window::Month, wait: Some(seconds(9)) },
                Again::WhenPermitted,
            ),
            (
                FetchError::Refused { status: 402, excerpt: reason() },
                Verdict::Refused,
                Again::WhenPermitted,
            ),
            (
                FetchError::Server { status: 503, excerpt: reason(), wait: Some(seconds(30)) },
                Verdict::Wait { wait: seconds(30), everybody: true },
                Again::Soon,
            ),
            (
                FetchError::Server { status: 500, excerpt: reason(), wait: None },
                Verdict::Failed,
                Again::Soon,
            ),
            (FetchError::Timeout { timeout_ms: 1 }, Verdict::Failed, Again::Soon),
            (FetchError::Transport { reason: reason() }, Verdict::Failed, Again::Soon),
            (FetchError::Status { status: 404, excerpt: reason() }, answered, Again::NextSlot),
            (FetchError::Fault { message: reason() }, answered, Again::NextSlot),
            (FetchError::Shape { problem: reason() }, answered, Again::NextSlot),
            (FetchError::Empty { excerpt: reason() }, answered, Again::NextSlot),
        ] {
            assert_eq!(verdict_of(Some(&error), Signals::default()), verdict, "{error}");
            assert_eq!(PollError::Fetch(error).again(), again);
        }
    }
}
