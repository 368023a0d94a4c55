//! The rests after failures: longer each time, until something was read.

use std::time::Duration;

use crypto_intel_service::Backoff;
use tokio::time::Instant;

/// How long it rests.
pub(super) const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };

/// Whether it rests after failures, and for how long the next time.
pub(super) struct Rest {
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    until: Option<Instant>,
}

impl Rest {
    pub(super) fn new() -> Self {
        Self { delays: Box::new(BACKOFF.delays()), until: None }
    }

    /// Whether nothing is to be tried now.
    pub(super) fn lasts(&mut self, now: Instant) -> bool {
        self.until = self.until.filter(|until| now < *until);
        self.until.is_some()
    }

    /// Whether a rest had begun when this was asked last.
    pub(super) fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// Something failed: rests for the time that is returned.
    pub(super) fn after_failure(&mut self, now: Instant) -> Duration {
        let delay = self.delays.next().unwrap_or(BACKOFF.longest);
        self.until = Some(now + delay);
        delay
    }

    /// Something was read: the next rest is short again.
    pub(super) fn after_success(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_until_something_was_read() {
        let (mut rest, mut now) = (Rest::new(), Instant::now());
        let mut fail = |rest: &mut Rest| {
            let delay = rest.after_failure(now);
            assert!(rest.lasts(now));
            now += delay;
            assert!(!rest.lasts(now), "over at its end");
            delay
        };
        let delays: Vec<Duration> = (0..8).map(|_| fail(&mut rest)).collect();
        assert!(delays[7] >= Duration::from_secs(30), "{delays:?}");
        rest.after_success();
        assert!(fail(&mut rest) <= Duration::from_secs(1), "begins anew");
    }
}
