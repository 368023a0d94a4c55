use std::{fmt::Display, future::Future, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::last_error::LastError,
    process::stop::{Stopped, unless_stopped},
};

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

/// Tries `operation` until it succeeds or can never succeed. To stop it, drop it: see
/// [`unless_stopped`](crate::unless_stopped).
///
/// Every failure is a warning with the attempt's number, so that waiting is never silent.
///
/// # Errors
/// The first error that is not retryable.
pub async fn retry<T, E, F>(what: &str, mut operation: impl FnMut() -> F) -> Result<T, E>
where
    E: Retryable + Display,
    F: Future<Output = Result<T, E>>,
{
    let mut failures = Failures::new(what);
    loop {
        match operation().await {
            Err(error) if error.is_retryable() => tokio::time::sleep(failures.count(&error)).await,
            done => return done,
        }
    }
}

/// A retry for what must be written down, because it has been done: no attempt is cut off, and one is made even after
/// the stop signal.
#[derive(Debug, Clone, Default)]
pub struct RecordingRetry {
    stop: CancellationToken,
    last_error: LastError,
}

impl RecordingRetry {
    /// Tries until `stop` fires and one attempt after that failed.
    #[must_use]
    pub fn until(stop: &CancellationToken) -> Self {
        Self { stop: stop.clone(), last_error: LastError::default() }
    }

    /// The stop signal.
    #[must_use]
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Why the newest attempt failed, while no later one has succeeded.
    #[must_use]
    pub const fn last_error(&self) -> &LastError {
        &self.last_error
    }

    /// Tries `operation`, as [`retry`] does.
    ///
    /// # Errors
    /// The outer error when it was stopped first, the inner one when it can never succeed.
    pub async fn run<T, E, F>(
        &self,
        what: &str,
        mut operation: impl FnMut() -> F,
    ) -> Result<Result<T, E>, Stopped>
    where
        E: Retryable + Display,
        F: Future<Output = Result<T, E>>,
    {
        let mut failures = Failures::new(what);
        loop {
            let error = match operation().await {
                Err(error) if error.is_retryable() => error,
                done => {
                    if failures.attempts > 0 {
                        self.last_error.clear();
                    }
                    return Ok(done);
                }
            };
            self.last_error.set(format!("{what}: {error:#}"));
            if self.stop.is_cancelled() {
                tracing::warn!(what, error = %format!("{error:#}"), "stopped before it succeeded");
                return Err(Stopped);
            }
            // A stop ends the waiting and leaves the final attempt.
            let delay = tokio::time::sleep(failures.count(&error));
            let _: Result<(), Stopped> = unless_stopped(&self.stop, delay).await;
        }
    }
}

/// The failed attempts of one operation.
struct Failures<'a> {
    what: &'a str,
    attempts: u64,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
}

impl<'a> Failures<'a> {
    fn new(what: &'a str) -> Self {
        Self { what, attempts: 0, delays: Box::new(Backoff::default().delays()) }
    }

    /// Logs one more, and says how long to wait.
    fn count(&mut self, error: &(impl Retryable + Display)) -> Duration {
        self.attempts += 1;
        let delay = error.retry_after().or_else(|| self.delays.next()).unwrap_or_default();
        tracing::warn!(
            what = self.what,
            attempt = self.attempts,
            delay_ms = delay.as_millis() as u64,
            error = %format!("{error:#}"),
            "attempt failed, trying again"
        );
        delay
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug, PartialEq, Eq, thiserror::Error)]
    #[error("not now")]
    struct NotNow {
        is_retryable: bool,
    }

    impl Retryable for NotNow {
        fn is_retryable(&self) -> bool {
            self.is_retryable
        }
    }

    /// Fails so often before it succeeds with the number of attempts.
    fn flaky(failures: u32) -> impl FnMut() -> std::future::Ready<Result<u32, NotNow>> {
        let made = Cell::new(0);
        move || {
            made.set(made.get() + 1);
            let fails = made.get() <= failures;
            std::future::ready(if fails {
                Err(NotNow { is_retryable: true })
            } else {
                Ok(made.get())
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tries_until_it_succeeds_or_never_can() {
        assert_eq!(retry("test", flaky(3)).await, Ok(4));
        let never = retry("test", || async { Err::<(), _>(NotNow { is_retryable: false }) });
        assert_eq!(never.await, Err(NotNow { is_retryable: false }));
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_be_written_down_is_tried_once_even_when_told_to_stop() {
        let retry = RecordingRetry::default();
        assert_eq!(retry.run("test", flaky(2)).await, Ok(Ok(3)));
        assert_eq!(retry.last_error().get(), None);
        retry.stop().cancel();
        assert_eq!(retry.run("test", flaky(0)).await, Ok(Ok(1)));
        assert_eq!(retry.run("test", flaky(1)).await, Err(Stopped));
        assert_eq!(retry.last_error().suffix(), ": test: not now");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting_and_leaves_the_final_attempt() {
        let retry = RecordingRetry::default();
        let (ended, ()) = tokio::join!(retry.run("test", flaky(1)), async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            retry.stop().cancel();
        });
        assert_eq!(ended, Ok(Ok(2)));
    }
}
