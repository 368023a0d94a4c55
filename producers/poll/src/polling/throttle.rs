use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use crypto_intel_service::{Admission, Breaker, BreakerSettings};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// When requests to a provider pause, and how they resume.
const BREAKER: BreakerSettings = BreakerSettings {
    failures: 5,
    open_for: Duration::from_secs(15),
    longest_open: Duration::from_secs(600),
    successes: 1,
};

/// Limits all requests to one provider: its quota and its breaker.
#[derive(Debug)]
pub(crate) struct ProviderThrottle {
    limiter: DefaultDirectRateLimiter,
    burst: NonZeroU32,
    breaker: Mutex<Breaker>,
    /// Endpoints that were rejected since they last answered.
    refused: Mutex<BTreeSet<String>>,
}

/// How long a request waited, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waited {
    pub(crate) for_quota: Duration,
    pub(crate) for_breaker: Duration,
}

impl ProviderThrottle {
    /// `per_minute` units of weight, at most `burst` of them at once.
    pub(crate) fn new(per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_minute(per_minute).allow_burst(burst);
        let breaker = Mutex::new(Breaker::new(BREAKER));
        Self { limiter: RateLimiter::direct(quota), burst, breaker, refused: Mutex::default() }
    }

    /// Waits until a request of this weight may be sent. The caller must report its outcome.
    /// A weight above the burst counts as the burst.
    pub(crate) async fn pass(&self, weight: NonZeroU32) -> Waited {
        let started = Instant::now();
        // Fails only for more than the burst, which the minimum excludes.
        let _ = self.limiter.until_n_ready(weight.min(self.burst)).await;
        let for_quota = started.elapsed();
        loop {
            let admission = self.breaker().admit(Instant::now());
            match admission {
                Admission::Go => break,
                Admission::Wait(wait) => tokio::time::sleep(wait).await,
            }
        }
        Waited { for_quota, for_breaker: started.elapsed().saturating_sub(for_quota) }
    }

    /// The provider answered.
    pub(crate) fn success(&self, endpoint: &str) {
        self.refused.lock().remove(endpoint);
        self.breaker().success();
    }

    /// An endpoint was rejected. `true` when it is not the only one: then the cause is the account, not the path.
    pub(crate) fn refused(&self, endpoint: &str) -> bool {
        let mut refused = self.refused.lock();
        refused.insert(endpoint.to_owned());
        // The host answers.
        self.breaker().success();
        refused.len() > 1
    }

    /// The provider did not answer. `true` when requests pause from now on.
    pub(crate) fn failure(&self) -> bool {
        self.breaker().failure(Instant::now())
    }

    /// The provider asked for a pause.
    pub(crate) fn hold(&self, wait: Duration) {
        self.breaker().hold(Instant::now(), wait);
    }

    /// Whether requests are held back now.
    pub(crate) fn is_open(&self) -> bool {
        self.breaker().is_open()
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn requests_above_the_quota_wait() {
        // 1,200 a minute: one each 50 ms, two at once.
        let throttle =
            ProviderThrottle::new(NonZeroU32::new(1_200).unwrap(), NonZeroU32::new(2).unwrap());
        let started = std::time::Instant::now();
        for _ in 0..2 {
            throttle.pass(NonZeroU32::MIN).await;
        }
        for _ in 0..2 {
            throttle.pass(NonZeroU32::MIN).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(90), "{:?}", started.elapsed());
    }

    #[test]
    fn one_rejected_endpoint_pauses_alone_and_two_pause_the_provider() {
        let throttle = ProviderThrottle::new(NonZeroU32::MIN, NonZeroU32::MIN);
        assert!(!throttle.refused("pro"));
        assert!(!throttle.refused("pro"), "one endpoint counts once");
        throttle.success("free");
        assert!(throttle.refused("news"));
        throttle.success("news");
        assert!(!throttle.refused("pro"));
    }

    #[tokio::test]
    async fn a_weight_above_the_burst_is_admitted_as_the_burst() {
        let throttle =
            ProviderThrottle::new(NonZeroU32::new(60_000).unwrap(), NonZeroU32::new(2).unwrap());
        let pass = throttle.pass(NonZeroU32::new(80).unwrap());
        tokio::time::timeout(Duration::from_secs(5), pass).await.unwrap();
    }
}
