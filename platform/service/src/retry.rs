use std::{future::Future, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

/// What an error says about trying again. Every error that crosses a retry boundary implements it.
pub trait Retryable {
    /// Whether the same attempt can succeed later.
    fn is_retryable(&self) -> bool;

    /// How long the other side asked to be left alone.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// Exponential delays with jitter, from `first` to `longest`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Delay after the first failure.
    pub first: Duration,
    /// Upper bound of a delay.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// An endless sequence of delays.
    pub fn delays(self) -> impl Iterator<Item = Duration> + Send {
        let builder = ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_jitter()
            .without_max_times();
        let longest = self.longest;
        builder.build().chain(std::iter::repeat(longest))
    }
}

/// Tries `operation` until it succeeds, its error is not retryable, or `shutdown` fires (`None`).
///
/// Every failure is a warning with the attempt's number, so that waiting is never silent.
///
/// # Errors
/// The first error that is not retryable.
pub async fn retry_forever<T, E, F>(
    what: &str,
    backoff: Backoff,
    shutdown: &CancellationToken,
    mut operation: impl FnMut() -> F,
) -> Option<Result<T, E>>
where
    E: Retryable + std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let mut delays = backoff.delays();
    let mut attempt = 0_u64;
    loop {
        attempt += 1;
        let outcome = tokio::select! {
            () = shutdown.cancelled() => return None,
            outcome = operation() => outcome,
        };
        let error = match outcome {
            Ok(value) => return Some(Ok(value)),
            Err(error) if !error.is_retryable() => return Some(Err(error)),
            Err(error) => error,
        };
        let delay = error.retry_after().unwrap_or_else(|| delays.next().unwrap_or(backoff.longest));
        tracing::warn!(what, attempt, delay_ms = delay.as_millis() as u64, error = %format!("{error:#}"), "attempt failed, trying again");
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(delay) => {}
        }
    }
}
