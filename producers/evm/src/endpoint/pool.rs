use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Endpoint, Head, session::Session};
use crate::{config::ChainConfig, metrics::ChainMetrics};

/// An endpoint this many blocks below the best is behind: another one serves.
const LAG_BLOCKS: u64 = 3;

/// All endpoints of a chain, the preferred one first.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    endpoints: Arc<Vec<Arc<Endpoint>>>,
    changed: watch::Receiver<u64>,
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
        let timeout = Duration::from_millis(config.request_timeout_ms);
        let mut endpoints = Vec::new();
        for endpoint_config in &config.endpoints {
            let session = Session::new(chain, config, endpoint_config);
            let endpoint =
                Arc::new(Endpoint::new(endpoint_config.label(), timeout, sender.clone()));
            tasks.spawn(session.run(Arc::clone(&endpoint), metrics.clone(), shutdown.clone()));
            endpoints.push(endpoint);
        }
        Self { endpoints: Arc::new(endpoints), changed }
    }

    /// Connected endpoints, the one that should serve first: in configured order, but those that
    /// lag or just failed last.
    pub(crate) fn ranked(&self) -> Vec<Arc<Endpoint>> {
        let mut ranked: Vec<_> =
            self.endpoints.iter().filter(|endpoint| endpoint.is_connected()).cloned().collect();
        let best = self.highest();
        ranked.sort_by_key(|endpoint| (endpoint.is_avoided(), lags(endpoint, best)));
        ranked
    }

    /// Those beside the one that serves whose word counts about a branch: neither failing nor
    /// behind, for who is behind knows no new block.
    pub(crate) fn witnesses(&self) -> Vec<Arc<Endpoint>> {
        let best = self.highest();
        let mut ranked = self.ranked();
        ranked.drain(..ranked.len().min(1));
        ranked.retain(|endpoint| !endpoint.is_avoided() && !lags(endpoint, best));
        ranked
    }

    /// The head to follow: of the endpoint that serves.
    pub(crate) fn head(&self) -> Option<Head> {
        self.ranked().iter().find_map(|endpoint| endpoint.head())
    }

    /// Highest number that any endpoint spoke of.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.endpoints.iter().filter_map(|endpoint| endpoint.head()).map(|head| head.number).max()
    }

    /// A receiver that sees a change whenever a head came or a connection came or went.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
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

fn lags(endpoint: &Endpoint, best: Option<u64>) -> bool {
    let number = endpoint.head().map_or(0, |head| head.number);
    best.is_some_and(|best| number + LAG_BLOCKS < best)
}
