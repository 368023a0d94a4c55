//! Which endpoint serves and why: metrics, log lines and `status.node` events.

use std::time::Duration;

use crypto_intel_nats::{Nats, OutMessage};
use crypto_intel_schemas::{Event, Kind, NodeStatus, polled_event_id, subjects};
use crypto_intel_service::now_us;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Class, Pool};
use crate::metrics::nodes::NodeMetrics;

/// How often the endpoints are compared.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Watches the endpoints of one chain.
#[derive(Debug)]
pub(crate) struct NodeWatch {
    pub(crate) chain: String,
    pub(crate) instance: String,
    pub(crate) pool: Pool,
    pub(crate) metrics: NodeMetrics,
    pub(crate) nats: Nats,
    /// How often all statuses are published while nothing changes.
    pub(crate) every: Duration,
}

impl NodeWatch {
    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut known: Vec<NodeStatus> = Vec::new();
        let mut published = Instant::now();
        let mut failing = false;
        loop {
            let now = self.look();
            now.iter().for_each(|status| self.metrics.show(status));
            self.note_switch(&known, &now);
            let due = published.elapsed() >= self.every;
            if due {
                published = Instant::now();
            }
            for status in &now {
                let before = known.iter().find(|before| before.endpoint == status.endpoint);
                if due || before.is_none_or(|before| differs(before, status)) {
                    self.publish(status, &mut failing).await;
                }
            }
            known = now;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    fn look(&self) -> Vec<NodeStatus> {
        let mut standings = self.pool.standings(Class::Blocks);
        let ranked = self.pool.ranked(Class::Blocks);
        let serving = ranked.first().map(|endpoint| endpoint.label());
        let highest = self.pool.highest();
        let (now, at_us) = (Instant::now(), now_us());
        let status = |endpoint: &super::Endpoint| {
            let place = standings.iter().position(|(_, other)| other.label() == endpoint.label());
            let standing = place.map(|place| standings.swap_remove(place).0);
            let head = endpoint.head().map(|head| head.number);
            let serves = standing.is_some_and(|standing| !standing.rests())
                && serving == Some(endpoint.label());
            let key = format!("{}:{}", self.chain, endpoint.label());
            NodeStatus {
                id: polled_event_id(&self.instance, Kind::NodeStatus, &key, at_us),
                chain: self.chain.clone(),
                endpoint: endpoint.label().to_owned(),
                role: endpoint.role().as_str().to_owned(),
                instance: self.instance.clone(),
                connected: standing.is_some(),
                serving: serves,
                reason: match standing {
                    None => "disconnected",
                    Some(_) if serves => "serving",
                    Some(standing) => standing.reason(),
                }
                .to_owned(),
                head,
                lag_blocks: head.zip(highest).map(|(head, best)| best.saturating_sub(head)),
                error_percent: (endpoint.error_rate(Class::Blocks, now) * 100.0).round() as u32,
                latency_ms: endpoint
                    .latency_ms(Class::Blocks, now)
                    .map(|latency| latency.round() as u64),
                breaker: endpoint.breaker().as_str().to_owned(),
                error: endpoint.last_error().filter(|_| !endpoint.is_connected()),
                ..NodeStatus::at("evm", at_us, at_us)
            }
        };
        self.pool.all().iter().map(AsRef::as_ref).map(status).collect()
    }

    fn note_switch(&self, before: &[NodeStatus], now: &[NodeStatus]) {
        let serving = |all: &[NodeStatus]| all.iter().position(|status| status.serving);
        if serving(before) == serving(now) {
            return;
        }
        // Elapsed time alone can cause a switch: nothing else wakes the tasks that wait for a head.
        self.pool.wake();
        let (Some(old), Some(new)) = (serving(before), serving(now)) else { return };
        let (old, new) = (&now[old], &now[new]);
        let labels = [self.chain.as_str(), new.endpoint.as_str(), old.reason.as_str()];
        self.metrics.switched(&labels);
        tracing::info!(
            chain = self.chain,
            from = old.endpoint,
            to = new.endpoint,
            reason = old.reason,
            lag_blocks = old.lag_blocks,
            error_percent = old.error_percent,
            "another endpoint serves"
        );
    }

    async fn publish(&self, status: &NodeStatus, failing: &mut bool) {
        let subject = subjects::node_status(&status.chain, &status.endpoint);
        let message = OutMessage::new(subject, Event::from(status.clone()).encode())
            .schema(Kind::NodeStatus.schema());
        match self.nats.publish(message).await {
            Ok(_) => *failing = false,
            // The next look tries again; the chain's own batches report what is wrong with the server.
            Err(error) if !*failing => {
                *failing = true;
                tracing::warn!(chain = self.chain, error = %format!("{error:#}"), "status of endpoints not published, trying again");
            }
            Err(_) => {}
        }
    }
}

/// Whether a change is published immediately.
fn differs(before: &NodeStatus, now: &NodeStatus) -> bool {
    let told = |status: &NodeStatus| {
        (status.connected, status.serving, status.reason.clone(), status.breaker.clone())
    };
    told(before) != told(now)
}
