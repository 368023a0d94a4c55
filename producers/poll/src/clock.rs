//! The time of day, which tests can pause.

use std::time::Duration;

use crypto_intel_service::now_us;

/// Longest single sleep, so that a changed clock or a suspended machine is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(15);

/// Where the time of day comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    /// The time of day at a moment of the runtime's own clock; absent: this machine's time of day.
    #[cfg(test)]
    pub(crate) paused: Option<(i64, tokio::time::Instant)>,
}

impl Clock {
    /// A clock that moves with the runtime's, from this time of day on.
    #[cfg(test)]
    pub(crate) fn paused_at(time_us: i64) -> Self {
        Self { paused: Some((time_us, tokio::time::Instant::now())) }
    }

    /// How long to sleep at once when the time to wait is this long. A paused clock cannot be changed meanwhile.
    pub(crate) fn single_sleep(self, wait: Duration) -> Duration {
        #[cfg(test)]
        if self.paused.is_some() {
            return wait;
        }
        wait.min(MAX_SLEEP)
    }

    /// Microseconds since the epoch.
    pub(crate) fn now_us(self) -> i64 {
        #[cfg(test)]
        if let Some((time_us, since)) = self.paused {
            let elapsed = i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX);
            return time_us.saturating_add(elapsed);
        }
        now_us()
    }
}
