use std::{num::NonZeroU32, time::Duration};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::config::EndpointConfig;

/// Rate limits of an endpoint: requests, and compute units as its provider bills them.
#[derive(Debug)]
pub(crate) struct Budget {
    requests: Option<DefaultDirectRateLimiter>,
    units: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    config: EndpointConfig,
}

impl Budget {
    pub(super) fn new(config: &EndpointConfig) -> Self {
        let requests = config.requests_per_second.and_then(by_rate);
        let units = config.compute_units_per_second.and_then(NonZeroU32::new).map(|units| {
            // The heaviest request must fit.
            let heaviest = config.compute_units.values().copied().max().unwrap_or(0);
            let burst = NonZeroU32::new((units.get() / 4).max(heaviest)).unwrap_or(units);
            (RateLimiter::direct(Quota::per_second(units).allow_burst(burst)), burst)
        });
        Self { requests, units, config: config.clone() }
    }

    /// Waits until a request may be sent.
    pub(super) async fn wait(&self, method: &str) {
        if let Some(requests) = &self.requests {
            requests.until_ready().await;
        }
        if let Some((units, burst)) = &self.units {
            // Fails only above the burst, which `min` excludes.
            let _ = units.until_n_ready(self.config.weight_of(method).min(*burst)).await;
        }
    }
}

/// Allows a burst of a fifth of the rate and spreads the rest evenly: above one a second, no second exceeds the rate.
pub(crate) fn by_rate(per_second: f64) -> Option<DefaultDirectRateLimiter> {
    let burst = (per_second * 0.2).floor().max(1.0);
    let refill = (per_second - burst).max(per_second * 0.5);
    let quota = Quota::with_period(Duration::from_secs_f64(1.0 / refill))?;
    Some(RateLimiter::direct(quota.allow_burst(NonZeroU32::new(burst as u32)?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Instant;

    use super::*;

    async fn elapsed(config: &str, methods: &[&str]) -> Duration {
        let budget = Budget::new(&toml::from_str(config).unwrap());
        let started = Instant::now();
        for method in methods {
            budget.wait(method).await;
        }
        started.elapsed()
    }

    #[tokio::test]
    async fn requests_beyond_the_rate_wait() {
        // Two at once, then one each 125 ms.
        let spent = elapsed("requests_per_second = 10.0", &["eth_chainId"; 5]).await;
        assert!(spent >= Duration::from_millis(360), "{spent:?}");
        let free = elapsed("", &["eth_chainId"; 1_000]).await;
        assert!(free < Duration::from_millis(300), "{free:?}");
    }

    #[tokio::test]
    async fn heavy_methods_wait_longer() {
        let config = "compute_units_per_second = 400\ncompute_units = { eth_getLogs = 100, eth_chainId = 1 }";
        let light = elapsed(config, &["eth_chainId"; 4]).await;
        assert!(light < Duration::from_millis(150), "{light:?}");
        let heavy = elapsed(config, &["eth_getLogs"; 3]).await;
        assert!(heavy >= Duration::from_millis(480), "{heavy:?}");
    }
}
