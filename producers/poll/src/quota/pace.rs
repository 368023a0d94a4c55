use std::time::Duration;

use super::{limits::Limits, usage::Usage};
use crate::clock::Clock;

/// Keeps requests of one process within the windows of a quota, without a store: for those who try a provider. What others
/// use of the same quota is not known here.
#[derive(Debug)]
pub(crate) struct Pace {
    usage: Usage,
    limits: Limits,
    clock: Clock,
}

impl Pace {
    pub(crate) fn new(limits: Limits, clock: Clock) -> Self {
        Self { usage: Usage::default(), limits, clock }
    }

    /// Waits until a request of this weight may be sent, and counts it.
    pub(crate) async fn wait(&mut self, weight: u32) {
        loop {
            let now_us = self.clock.now_us();
            let Err(blocked) = self.usage.check(&self.limits, weight, now_us) else {
                self.usage.take(&self.limits, weight, now_us);
                return;
            };
            let left_us = blocked.until_us.saturating_sub(now_us);
            let wait = Duration::from_micros(u64::try_from(left_us).unwrap_or(0));
            if wait > Duration::from_secs(1) {
                let wait_seconds = wait.as_secs();
                let window = blocked.window.as_str();
                tracing::info!(wait_seconds, window, "waiting for the quota of the provider");
            }
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::record::SendRecord;

    #[tokio::test(start_paused = true)]
    async fn requests_stay_within_every_window() {
        let limits = Limits { second: Some(2), minute: Some(20), burst: 2, ..Limits::default() };
        let clock = Clock::paused_at(1_797_033_600_000_000);
        let (mut pace, mut sent) = (Pace::new(limits, clock), SendRecord::default());
        for _ in 0..45 {
            pace.wait(1).await;
            sent.add(clock.now_us(), 1);
        }
        assert_eq!(sent.exceeded(&limits), None);
    }
}
