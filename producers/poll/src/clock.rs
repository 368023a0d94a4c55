//! The time of day, which tests can pause.

use crypto_intel_service::now_us;

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
