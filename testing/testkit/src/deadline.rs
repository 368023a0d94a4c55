//! Waiting for a condition.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

/// Maximum time that a test waits for anything: much longer than usual, because a machine under load is slow.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(120);

const MIN_PAUSE: Duration = Duration::from_millis(2);
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// Answer of a probe: not yet, or the awaited value.
pub trait Settled {
    /// The value.
    type Value;

    /// The value, if it is there.
    fn settled(self) -> Option<Self::Value>;
}

impl Settled for bool {
    type Value = ();

    fn settled(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Settled for Option<T> {
    type Value = T;

    fn settled(self) -> Option<T> {
        self
    }
}

impl<T, E> Settled for Result<T, E> {
    type Value = T;

    fn settled(self) -> Option<T> {
        self.ok()
    }
}

/// Calls `probe` repeatedly, at growing intervals up to 0.1 s, until it answers `true`, `Some` or `Ok`.
///
/// # Panics
/// After [`TEST_TIMEOUT`], naming the place of the call. A probe that hangs counts as "not yet".
#[track_caller]
pub fn eventually<S: Settled>(probe: impl AsyncFnMut() -> S) -> impl Future<Output = S::Value> {
    poll_until_settled(Location::caller(), probe)
}

/// Waits for `future`.
///
/// # Panics
/// When it takes longer than [`TEST_TIMEOUT`], naming the place of the call.
#[track_caller]
pub fn within<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = Location::caller();
    async move {
        let waited = tokio::time::timeout(TEST_TIMEOUT, future).await;
        waited.unwrap_or_else(|_| panic!("not within {TEST_TIMEOUT:?}, waited for at {place}"))
    }
}

async fn poll_until_settled<S: Settled>(
    place: &Location<'_>,
    mut probe: impl AsyncFnMut() -> S,
) -> S::Value {
    let deadline = Instant::now() + TEST_TIMEOUT;
    let mut pause = MIN_PAUSE;
    let mut probes = 0_u32;
    loop {
        probes += 1;
        if let Ok(answer) = tokio::time::timeout_at(deadline, probe()).await
            && let Some(value) = answer.settled()
        {
            return value;
        }
        if Instant::now() >= deadline {
            panic!("not within {TEST_TIMEOUT:?} ({probes} probes), waited for at {place}");
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn returns_the_value_when_it_comes() {
        let mut probes = 0;
        let value = eventually(async || {
            probes += 1;
            (probes == 5).then_some("there")
        })
        .await;
        assert_eq!(value, "there");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "not within 120s")]
    async fn gives_up_at_the_deadline_even_on_a_hanging_probe() {
        eventually(async || std::future::pending::<bool>().await).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "deadline.rs")]
    async fn the_panic_names_the_caller() {
        within(std::future::pending::<()>()).await;
    }
}
