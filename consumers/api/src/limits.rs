//! How much a client may ask in a minute. Each route has a cost; keys have a budget each, clients without one a budget by their
//! address. Headers are those of draft-ietf-httpapi-ratelimit-headers-11, which is no standard yet.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use parking_lot::Mutex;

use crate::{auth::Caller, config::Config, places::Owner};

/// What a request costs.
pub(crate) mod cost {
    /// One thing, by its name.
    pub(crate) const LOOK_UP: u32 = 1;
    /// A page of a list.
    pub(crate) const LIST: u32 = 2;
    /// What many rows come to.
    pub(crate) const SUMMARY: u32 = 5;
    /// Rows of many addresses.
    pub(crate) const GRAPH: u32 = 10;
    /// A list as a file.
    pub(crate) const EXPORT: u32 = 50;
    /// Rules over the past.
    pub(crate) const TRIAL: u32 = 50;
}

/// Keys that do not count, from one address, before it has to wait.
const FAILURES: u32 = 5;
const FAILURES_PER: Duration = Duration::from_secs(30);
/// Budgets that are full again are forgotten this often.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);

type Budgets<K> =
    RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// The budgets of all clients.
#[derive(Debug)]
pub(crate) struct Limits {
    keys: Budgets<String>,
    addresses: Budgets<IpAddr>,
    /// Of clients that change things, whatever that costs.
    changes: DefaultKeyedRateLimiter<Owner>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
    /// Addresses that tried too many keys, until when.
    banned: Mutex<std::collections::HashMap<IpAddr, Instant>>,
    quotas: [u32; 2],
    forgotten: Mutex<Instant>,
}

/// What is left of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    quota: u32,
    remaining: u32,
    /// Until the next unit, or until the request would be allowed.
    pub(crate) wait: Duration,
    policy: &'static str,
    pub(crate) is_allowed: bool,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        let quota =
            |units: u32| Quota::per_minute(NonZeroU32::new(units).unwrap_or(NonZeroU32::MIN));
        let failures = Quota::with_period(FAILURES_PER / FAILURES)
            .unwrap_or_else(|| quota(1))
            // The last one of them is that which makes it wait.
            .allow_burst(NonZeroU32::new(FAILURES - 1).unwrap_or(NonZeroU32::MIN));
        Arc::new(Self {
            keys: RateLimiter::keyed(quota(config.cost_per_minute)).with_middleware(),
            addresses: RateLimiter::keyed(quota(config.anonymous_cost_per_minute))
                .with_middleware(),
            changes: RateLimiter::keyed(quota(config.changes_per_minute)),
            failures: RateLimiter::keyed(failures),
            banned: Mutex::default(),
            quotas: [config.cost_per_minute, config.anonymous_cost_per_minute],
            forgotten: Mutex::new(Instant::now()),
        })
    }

    /// Takes the cost of a request from its client's budget.
    pub(crate) fn charge(&self, caller: &Caller, cost: u32) -> Left {
        self.forget();
        let [of_keys, of_addresses] = self.quotas;
        match &caller.key {
            Some(key) => check(&self.keys, key, cost, of_keys, "key"),
            None => {
                let address = network(caller.address);
                check(&self.addresses, &address, cost, of_addresses, "address")
            }
        }
    }

    /// Whether a client may change something, or how long it has to wait.
    pub(crate) fn may_change(&self, caller: &Caller) -> Result<(), Duration> {
        let checked = self.changes.check_key(&Owner::of(Some(caller), caller.address));
        checked.map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// Whether an address may try another key, or how long it has to wait.
    pub(crate) fn may_try(&self, address: IpAddr) -> Result<(), Duration> {
        let mut banned = self.banned.lock();
        let Some(until) = banned.get(&network(address)) else { return Ok(()) };
        let wait = until.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            banned.remove(&network(address));
            return Ok(());
        }
        Err(wait)
    }

    /// A key from an address did not count.
    pub(crate) fn failed(&self, address: IpAddr) {
        let address = network(address);
        if self.failures.check_key(&address).is_err() {
            self.banned.lock().insert(address, Instant::now() + FAILURES_PER);
        }
    }

    fn forget(&self) {
        let mut forgotten = self.forgotten.lock();
        if forgotten.elapsed() < FORGET_INTERVAL {
            return;
        }
        *forgotten = Instant::now();
        drop(forgotten);
        self.keys.retain_recent();
        self.addresses.retain_recent();
        self.changes.retain_recent();
        self.failures.retain_recent();
        let now = Instant::now();
        self.banned.lock().retain(|_, until| *until > now);
    }
}

fn check<K: Clone + std::hash::Hash + Eq>(
    budgets: &Budgets<K>,
    key: &K,
    cost: u32,
    quota: u32,
    policy: &'static str,
) -> Left {
    let unit = Duration::from_secs(60) / quota.max(1);
    let left = |remaining, wait, is_allowed| Left { quota, remaining, wait, policy, is_allowed };
    // A request that costs more than the whole budget takes all of it.
    let units = NonZeroU32::new(cost.min(quota)).unwrap_or(NonZeroU32::MIN);
    match budgets.check_key_n(key, units) {
        Ok(Ok(state)) => {
            let remaining = state.remaining_burst_capacity();
            left(remaining, unit * quota.saturating_sub(remaining), true)
        }
        Ok(Err(until)) => left(0, until.wait_time_from(DefaultClock::default().now()), false),
        Err(_) => left(0, Duration::from_secs(60), false),
    }
}

impl Left {
    /// Says so in the headers of an answer.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        let Self { quota, remaining, wait, policy, .. } = self;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        for (name, value) in [
            ("ratelimit-policy", format!("\"{policy}\";q={quota};w=60")),
            ("ratelimit", format!("\"{policy}\";r={remaining};t={seconds}")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// An IPv6 client has a whole /64 of addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(own) => IpAddr::V6((own.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::ApiRole;

    use super::*;

    fn limits() -> Arc<Limits> {
        Limits::new(&Config {
            cost_per_minute: 10,
            anonymous_cost_per_minute: 4,
            ..Config::default()
        })
    }

    fn caller(key: Option<&str>, address: &str) -> Caller {
        Caller {
            key: key.map(ToOwned::to_owned),
            name: "test".into(),
            role: ApiRole::Viewer,
            chains: None,
            credential: crate::auth::Credential::None,
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn each_key_has_a_budget_wherever_it_comes_from() {
        let limits = limits();
        let of = |key, address| limits.charge(&caller(Some(key), address), 5);
        assert_eq!((of("a", "::1").is_allowed, of("a", "1.1.1.1").remaining), (true, 0));
        let refused = of("a", "1.1.1.1");
        assert!(!refused.is_allowed && refused.wait > Duration::from_secs(20));
        assert!(of("b", "1.1.1.1").is_allowed);
        assert!(limits.charge(&caller(Some("c"), "::1"), 50).is_allowed, "takes what there is");
    }

    #[test]
    fn strangers_share_the_budget_of_their_network() {
        let limits = limits();
        let of = |address| limits.charge(&caller(None, address), 4).is_allowed;
        assert!(of("1.1.1.1") && of("1.1.1.2") && !of("1.1.1.1"));
        assert!(of("2001:db8::1") && !of("2001:db8::2") && of("2001:db8:0:1::1"));
    }

    #[test]
    fn who_tries_keys_has_to_wait() {
        let limits = limits();
        let address = "1.1.1.1".parse().unwrap();
        for _ in 0..FAILURES {
            assert_eq!(limits.may_try(address), Ok(()));
            limits.failed(address);
        }
        assert!(limits.may_try(address).is_err());
        assert_eq!(limits.may_try("1.1.1.2".parse().unwrap()), Ok(()));
    }

    #[test]
    fn headers_say_what_is_left() {
        let left = limits().charge(&caller(Some("a"), "::1"), 3);
        let mut headers = HeaderMap::new();
        left.put(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"key\";q=10;w=60");
        assert_eq!(headers["ratelimit"], "\"key\";r=7;t=18");
    }
}
