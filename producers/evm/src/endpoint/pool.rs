use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crypto_intel_schemas::BlockRef;
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Class, Endpoint, Head,
    config::{EndpointConfig, Role},
    heights::Heights,
    session::Session,
};
use crate::{config::ChainConfig, metrics::ChainMetrics};

/// Share of failed recent requests above which another endpoint serves.
const FAILING: f64 = 0.5;
/// An endpoint this many times slower than the fastest of its role is slow,
const SLOW_TIMES: f64 = 4.0;
/// where the difference is at least this, milliseconds.
const SLOW_MS: f64 = 300.0;
/// An answer is late after this many times the usual time,
const LATE_TIMES: f64 = 4.0;
/// but not before this, milliseconds.
const LATE_MS: f64 = 1_000.0;

/// All endpoints of a chain, the preferred one first.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    endpoints: Arc<Vec<Arc<Endpoint>>>,
    changed: watch::Receiver<u64>,
    lag_blocks: u64,
    lag: Duration,
}

/// Why an endpoint does not serve, the most severe reason first; endpoints are asked in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    rests: bool,
    failed_just_now: bool,
    failing: bool,
    behind: bool,
    /// A request has been waiting for its answer longer than usual.
    late: bool,
    role: Role,
    slow: bool,
}

impl Standing {
    /// Whether it neither rests, fails nor lags.
    const fn is_sound(&self) -> bool {
        !(self.rests || self.failed_just_now || self.failing || self.behind)
    }

    /// Whether no request is sent to it.
    pub(crate) const fn rests(&self) -> bool {
        self.rests
    }

    /// Its name in metrics and events.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self { rests: true, .. } => "resting",
            Self { failed_just_now: true, .. } => "failed",
            Self { failing: true, .. } => "errors",
            Self { behind: true, .. } => "behind",
            Self { late: true, .. } | Self { slow: true, .. } => "slow",
            Self { role: Role::Fallback, .. } => "fallback",
            Self { role: Role::Primary, .. } => "standby",
        }
    }
}

impl Pool {
    /// Connects all endpoints, each by a task of its own in `tasks`, until `shutdown`.
    pub(crate) fn start(
        chain: &str,
        config: &ChainConfig,
        metrics: &ChainMetrics,
        shutdown: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (sender, changed) = watch::channel(0);
        let heights = Arc::new(Heights::default());
        let mut endpoints = Vec::new();
        let mut add = |endpoint_config: &EndpointConfig| {
            let endpoint = Arc::new(Endpoint::new(
                config,
                endpoint_config,
                Arc::clone(&heights),
                sender.clone(),
            ));
            let session = Session::new(chain, config, endpoint_config, endpoint.budget());
            tasks.spawn(session.run(Arc::clone(&endpoint), metrics.clone(), shutdown.clone()));
            endpoints.push(endpoint);
        };
        config.endpoints.iter().for_each(&mut add);
        Self {
            endpoints: Arc::new(endpoints),
            changed,
            lag_blocks: config.lag_blocks,
            lag: Duration::from_millis(config.lag_ms),
        }
    }

    /// All of them, in configured order.
    pub(crate) fn all(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// Connected endpoints in the order in which they should be asked: primaries in configured order, but those that
    /// rest, fail, lag or are slow later.
    pub(crate) fn ranked(&self, class: Class) -> Vec<Arc<Endpoint>> {
        let ranked = self.sorted(class);
        if ranked.first().is_some_and(|(standing, _)| standing.rests) {
            // Nothing else can serve: see whether one of them works again.
            for (_, endpoint) in &ranked {
                endpoint.try_early(class);
            }
        }
        ranked.into_iter().map(|(_, endpoint)| endpoint).collect()
    }

    fn sorted(&self, class: Class) -> Vec<(Standing, Arc<Endpoint>)> {
        let mut ranked = self.standings(class);
        ranked.sort_by_key(|(standing, _)| *standing);
        ranked
    }

    /// Endpoints other than the serving one that may confirm a branch: neither resting, failing nor behind, because a
    /// lagging endpoint cannot know a new block. If some are of other operators, only those.
    pub(crate) fn witnesses(&self) -> Vec<Arc<Endpoint>> {
        let mut ranked = self.sorted(Class::Blocks).into_iter();
        let Some((_, serving)) = ranked.next() else { return Vec::new() };
        let sound = ranked.filter(|(standing, _)| standing.is_sound());
        let (others, own): (Vec<_>, Vec<_>) = sound
            .map(|(_, endpoint)| endpoint)
            .partition(|endpoint| endpoint.operator() != serving.operator());
        if others.is_empty() { own } else { others }
    }

    /// Connected endpoints that neither rest, fail nor lag.
    pub(crate) fn sound(&self) -> Vec<Arc<Endpoint>> {
        let standings = self.standings(Class::Blocks).into_iter();
        standings
            .filter(|(standing, _)| standing.is_sound())
            .map(|(_, endpoint)| endpoint)
            .collect()
    }

    /// How long to wait for an answer before another endpoint is asked as well.
    pub(crate) fn late_after(&self, class: Class) -> Duration {
        let now = Instant::now();
        let latencies = self.endpoints.iter().filter_map(|one| one.latency_ms(class, now));
        let usual = latencies.fold(f64::INFINITY, f64::min);
        let late_ms = if usual.is_finite() { LATE_MS.max(usual * LATE_TIMES) } else { LATE_MS };
        Duration::from_secs_f64(late_ms / 1_000.0)
    }

    /// How each connected endpoint stands, in configured order.
    pub(crate) fn standings(&self, class: Class) -> Vec<(Standing, Arc<Endpoint>)> {
        let now = Instant::now();
        let connected: Vec<_> =
            self.endpoints.iter().filter(|endpoint| endpoint.is_connected()).collect();
        // A failing endpoint may have announced a block that it does not have: its head makes no other endpoint count
        // as behind.
        let works = |endpoint: &Endpoint| {
            endpoint.admits(Class::Blocks, now)
                && !endpoint.failed_just_now(Class::Blocks, now)
                && endpoint.error_rate(Class::Blocks, now) <= FAILING
        };
        let working = connected.iter().filter(|endpoint| works(endpoint));
        let best = working.filter_map(|endpoint| endpoint.head()).map(|head| head.number).max();
        let fastest = |role: Role| {
            let latencies = connected.iter().filter(|endpoint| endpoint.role() == role);
            latencies
                .filter_map(|endpoint| endpoint.latency_ms(class, now))
                .fold(f64::INFINITY, f64::min)
        };
        let late_after = self.late_after(class);
        let standing = |endpoint: &Endpoint| {
            let slow_from = |fastest: f64| (fastest * SLOW_TIMES).max(fastest + SLOW_MS);
            let latency = endpoint.latency_ms(class, now);
            Standing {
                rests: !endpoint.admits(class, now),
                failed_just_now: endpoint.failed_just_now(class, now),
                failing: endpoint.error_rate(class, now) > FAILING,
                behind: best.is_some_and(|best| self.is_behind(endpoint, best)),
                late: endpoint.waits_for(class, now) > late_after,
                role: endpoint.role(),
                slow: latency.is_some_and(|latency| latency > slow_from(fastest(endpoint.role()))),
            }
        };
        connected.iter().map(|endpoint| (standing(endpoint), Arc::clone(endpoint))).collect()
    }

    /// Whether an endpoint's head is too far below the best one, or for too long.
    fn is_behind(&self, endpoint: &Endpoint, best: u64) -> bool {
        let number = endpoint.head().map_or(0, |head| head.number);
        let lag = best.saturating_sub(number);
        lag > 0 && (lag >= self.lag_blocks || endpoint.behind_for(number) >= self.lag)
    }

    /// The head to follow: that of the serving endpoint.
    pub(crate) fn head(&self) -> Option<Head> {
        self.ranked(Class::Blocks).iter().find_map(|endpoint| endpoint.head())
    }

    /// Highest number that any endpoint announced.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.endpoints.iter().filter_map(|endpoint| endpoint.head()).map(|head| head.number).max()
    }

    /// Highest number that two operators announced, where there are two: a single one that claims a head far ahead is
    /// not believed.
    pub(crate) fn agreed_head(&self) -> Option<u64> {
        let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
        for endpoint in self.endpoints.iter() {
            let Some(head) = endpoint.head() else { continue };
            let number = highest.entry(endpoint.operator()).or_default();
            *number = head.number.max(*number);
        }
        let mut numbers: Vec<u64> = highest.into_values().collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers.get(1).or(numbers.first()).copied()
    }

    /// By operator, the newest blocks that its endpoints announced as heads, in the order of their numbers.
    pub(crate) fn announced(&self) -> Vec<Vec<BlockRef>> {
        let mut by_operator: BTreeMap<&str, Vec<BlockRef>> = BTreeMap::new();
        for endpoint in self.endpoints.iter() {
            by_operator.entry(endpoint.operator()).or_default().extend(endpoint.announced());
        }
        let mut operators: Vec<Vec<BlockRef>> = by_operator.into_values().collect();
        operators.iter_mut().for_each(|blocks| blocks.sort_by_key(|block| block.number));
        operators
    }

    /// A receiver that sees a change whenever a head came or a connection came or went.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Wakes the tasks that wait for a change.
    pub(crate) fn wake(&self) {
        if let Some(endpoint) = self.endpoints.first() {
            endpoint.wake();
        }
    }

    /// Why nothing is connected, for people.
    pub(crate) fn trouble(&self) -> String {
        let errors: Vec<_> = self
            .endpoints
            .iter()
            .map(|endpoint| {
                endpoint.last_error().unwrap_or_else(|| format!("{}: connecting", endpoint.label()))
            })
            .collect();
        errors.join("; ")
    }
}
