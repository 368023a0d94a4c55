use std::fmt::Display;

use crypto_intel_service::{Backoff, Retryable};
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// Until when something is tried again, and where its failures are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patience {
    pub(crate) shutdown: CancellationToken,
    pub(crate) trouble: Trouble,
}

/// Tries until it succeeds or can never succeed; `None` when told to stop while it does not.
///
/// Unlike an ordinary retry it tries at least once after `shutdown`: the result of an attempt that
/// has been made must be written down.
///
/// # Errors
/// The first error that is not retryable.
pub(crate) async fn keep_trying<T, E, F>(
    what: &str,
    patience: &Patience,
    mut operation: impl FnMut() -> F,
) -> Option<Result<T, E>>
where
    E: Retryable + Display,
    F: Future<Output = Result<T, E>>,
{
    let backoff = Backoff::default();
    let mut delays = backoff.delays();
    let Patience { shutdown, trouble } = patience;
    let mut failed = false;
    loop {
        let error = match operation().await {
            Err(error) if error.is_retryable() => error,
            done => {
                if failed {
                    trouble.clear();
                }
                return Some(done);
            }
        };
        failed = true;
        trouble.note(format!("{what}: {error:#}"));
        if shutdown.is_cancelled() {
            tracing::warn!(what, error = %format!("{error:#}"), "stopped before it succeeded");
            return None;
        }
        let delay = error.retry_after().unwrap_or_else(|| delays.next().unwrap_or(backoff.longest));
        tracing::warn!(what, delay_ms = delay.as_millis() as u64, error = %format!("{error:#}"), "attempt failed, trying again");
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(delay) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("not now")]
    struct NotNow;

    impl Retryable for NotNow {
        fn is_retryable(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn tries_once_even_when_told_to_stop() {
        let patience = Patience::default();
        patience.shutdown.cancel();
        let done = keep_trying("test", &patience, || async { Ok::<_, NotNow>(7) }).await;
        assert_eq!(done.and_then(Result::ok), Some(7));
        let tries = Cell::new(0);
        let failed = keep_trying("test", &patience, || {
            tries.set(tries.get() + 1);
            async { Err::<(), _>(NotNow) }
        })
        .await;
        assert!(failed.is_none());
        assert_eq!(tries.get(), 1);
        assert_eq!(patience.trouble.suffix(), ": test: not now");
    }
}
