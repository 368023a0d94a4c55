use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use crypto_intel_nats::Nats;
use tokio::time::Instant;

use super::{
    board::{Board, Note},
    throttle::{KeyState, KeyView, ProviderThrottle},
    view::{Seen, View},
};
use crate::{
    catalogue::Provider,
    clock::Clock,
    control::{board::Standing, pause::Pause},
    metrics::Metrics,
    publish::publish,
    quota::limits::Window,
};

const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How often it is published how a provider is, even if that stays the same.
const REPEAT_INTERVAL: Duration = Duration::from_secs(300);

/// Tells how one provider is.
#[derive(Debug)]
pub(crate) struct StatusReporter {
    pub(crate) provider: Arc<Provider>,
    pub(crate) board: Board,
    pub(crate) throttle: Arc<ProviderThrottle>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) nats: Nats,
}

impl StatusReporter {
    /// Looks until it is dropped.
    pub(crate) async fn run(self) -> Infallible {
        let mut published: Option<(View, Instant)> = None;
        loop {
            let view = self.look().await;
            let is_due = match &published {
                Some((last, at)) => view.differs(last) || at.elapsed() >= REPEAT_INTERVAL,
                None => view.is_known(),
            };
            if is_due {
                self.publish(&view).await;
                published = Some((view, Instant::now()));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn publish(&self, view: &View) {
        let (provider, now_us) = (self.provider.name.as_str(), self.clock.now_us());
        let event = view.event(provider, now_us);
        let message_id = format!("{provider}:status:{now_us}");
        if let Err(error) = publish(&self.nats, &message_id, &[event]).await {
            tracing::error!(provider, error = %format!("{error:#}"), "state of provider cannot be published");
        }
    }

    /// How the provider is, which the metrics show from now on.
    async fn look(&self) -> View {
        let paused = self.paused();
        let endpoints = self.board.look();
        let keys = self.throttle.keys().await;
        let is_refused = |name: &&str| self.throttle.is_refused(name);
        let seen = Seen {
            refused: endpoints.keys().map(String::as_str).filter(is_refused).collect(),
            endpoints: &endpoints,
            paused: &paused,
            keys: &keys,
            limits: &self.provider.limits,
            is_held: self.throttle.is_open(),
            now_us: self.clock.now_us(),
        };
        for (endpoint, note) in &endpoints {
            self.show_endpoint(endpoint, note);
        }
        for (place, key) in keys.iter().enumerate() {
            self.show_key(place, key, seen.now_us);
        }
        seen.view()
    }

    /// The endpoints that people paused. Their slots do not count.
    fn paused(&self) -> BTreeMap<String, Pause> {
        let enabled = self.provider.endpoints.iter().filter(|endpoint| endpoint.enabled);
        let paused = enabled.filter_map(|endpoint| match self.throttle.standing(&endpoint.name) {
            Standing::Paused(pause) => Some((endpoint.name.clone(), pause)),
            Standing::Open | Standing::Unknown => None,
        });
        let paused: BTreeMap<String, Pause> = paused.collect();
        paused.keys().for_each(|endpoint| self.board.excuse(endpoint));
        paused
    }

    fn show_endpoint(&self, endpoint: &str, note: &Note) {
        let stale = self.metrics.stale.with_label_values(&[&self.provider.name, endpoint]);
        stale.set(i64::from(note.is_stale()));
    }

    fn show_key(&self, place: usize, key: &KeyView, now_us: i64) {
        let (name, place) = (self.provider.name.as_str(), (place + 1).to_string());
        for state in KeyState::ALL {
            let gauge = self.metrics.keys.with_label_values(&[name, &place, state.as_str()]);
            gauge.set(i64::from(key.state == state));
        }
        let Some(usage) = &key.usage else { return };
        let limits = &self.provider.limits;
        for (window, limit) in limits.windows() {
            let labels = [name, &place, window.as_str()];
            let used = i64::try_from(usage.used(window, now_us)).unwrap_or(i64::MAX);
            self.metrics.quota_used.with_label_values(&labels).set(used);
            self.metrics.quota_limit.with_label_values(&labels).set(limit.into());
        }
        let nearly = usage.nearly_spent(limits, now_us).is_some();
        self.metrics.nearly_spent.with_label_values(&[name, &place]).set(i64::from(nearly));
    }
}

impl Drop for StatusReporter {
    /// Another instance may poll it from now on, and tells how it is.
    fn drop(&mut self) {
        let name = self.provider.name.as_str();
        for endpoint in &self.provider.endpoints {
            let _absent = self.metrics.stale.remove_label_values(&[name, &endpoint.name]);
        }
        for place in 1..=self.provider.keys.len().max(1) {
            let place = place.to_string();
            for state in KeyState::ALL {
                let labels = [name, &place, state.as_str()];
                let _absent = self.metrics.keys.remove_label_values(&labels);
            }
            for window in Window::ALL {
                let labels = [name, &place, window.as_str()];
                let _absent = self.metrics.quota_used.remove_label_values(&labels);
                let _absent = self.metrics.quota_limit.remove_label_values(&labels);
            }
            let _absent = self.metrics.nearly_spent.remove_label_values(&[name, &place]);
        }
    }
}
