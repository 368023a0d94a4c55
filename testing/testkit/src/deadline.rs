//! Waiting for a condition.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What a probe may answer: not yet, or the value that was waited for.
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

/// Calls `probe` again and again, in growing intervals up to 0.1 s, until it answers `true`, `Some` or `Ok`.
///
/// # Panics
/// After `limit`, naming the place of the call. A probe that hangs counts as "not yet".
#[track_caller]
pub fn eventually<S: Settled>(
    limit: Duration,
    mut probe: impl AsyncFnMut() -> S,
) -> impl Future<Output = S::Value> {
    let place = Location::caller();
    async move {
        let deadline = Instant::now() + limit;
        let mut pause = FIRST_PAUSE;
        let mut probes = 0_u32;
        loop {
            probes += 1;
            if let Ok(answer) = tokio::time::timeout_at(deadline, probe()).await
                && let Some(value) = answer.settled()
            {
                return value;
            }
            if Instant::now() >= deadline {
                panic!("not within {limit:?} ({probes} probes), waited for at {place}");
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn returns_the_value_when_it_comes() {
        let mut probes = 0;
        let value = eventually(Duration::from_secs(9), async || {
            probes += 1;
            (probes == 5).then_some("there")
        })
        .await;
        assert_eq!(value, "there");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "not within 3s")]
    async fn gives_up_at_the_deadline_even_on_a_hanging_probe() {
        eventually(Duration::from_secs(3), async || std::future::pending::<bool>().await).await;
    }
}
