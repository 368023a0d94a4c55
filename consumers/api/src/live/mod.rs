//! Live events: each stream is read once for all clients of the process, each event written once for all that want it.
//!
//! A message of a stream becomes a `LiveEvent` (`follow.rs`), which the [`Hub`](hub::Hub) puts into its stream's ring and, by an
//! index, into the cohorts of clients whose filter it matches. A cohort makes one frame per block, or every 50 ms. A client
//! (`session.rs`, over a websocket or as server-sent events) holds a place in its cohorts' frames; when it comes back or was too slow
//! it goes on from the ring, from the stream, or after a message that says what it does not get (`subscription.rs`). See
//! docs/live.md and ADR 26.

mod access;
pub(crate) mod asyncapi;
mod cohort;
pub(crate) mod config;
mod connection;
mod events;
mod filter;
mod follow;
mod format;
mod frame;
mod from_stream;
mod gap;
mod hub;
mod index;
mod kind_set;
mod live_event;
mod message;
mod metrics;
mod position;
mod query;
mod ring;
mod service;
mod session;
mod socket;
mod subscription;
mod wire;

use std::{sync::Arc, time::Duration};

use axum::Router;
use crypto_intel_nats::Nats;
use crypto_intel_service::{Context, Stopped, unless_stopped};
use prometheus::Histogram;
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use utoipa_axum::router::OpenApiRouter;

use self::{
    config::LiveConfig,
    hub::{Hub, HubLimits},
    metrics::LiveMetrics,
    position::Slot,
    ring::RingLimits,
};
use crate::{places::Places, state::ApiState};

/// How long clients may take to say goodbye when the process stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The live part of the API.
#[derive(Debug)]
pub(crate) struct Live {
    hub: Arc<Hub>,
    ring: RingLimits,
    connections: Arc<Places>,
    /// Websockets, which the server does not wait for.
    tracker: TaskTracker,
    latency: Histogram,
    stop: CancellationToken,
}

impl Live {
    /// Everything but the readers, which [`Live::follow`] starts.
    ///
    /// # Errors
    /// When metrics cannot be registered.
    pub(crate) fn new(
        config: &LiveConfig,
        nats: Nats,
        context: &Context,
    ) -> Result<Arc<Self>, prometheus::Error> {
        let metrics = LiveMetrics::new(&context.registry)?;
        let ring = RingLimits { events: config.ring_events, bytes: config.ring_megabytes << 20 };
        let limits = HubLimits { ring, addresses: config.max_addresses };
        Ok(Arc::new(Self {
            latency: metrics.latency(),
            hub: Hub::new(nats, context.instance.clone(), limits, metrics),
            ring,
            connections: Arc::default(),
            tracker: TaskTracker::new(),
            stop: context.shutdown.clone(),
        }))
    }

    /// Starts reading the streams.
    pub(crate) fn follow(&self, context: &Context, tasks: &mut JoinSet<Result<(), Stopped>>) {
        for slot in Slot::all() {
            let probe = context.health.probe(format!("api.live.{}", slot.stream().slug()), None);
            let stop = self.stop.clone();
            tasks.spawn(follow::follow(Arc::clone(&self.hub), slot, self.ring, probe, stop));
        }
        let (hub, stop) = (Arc::clone(&self.hub), self.stop.clone());
        tasks.spawn(async move { unless_stopped(&stop, hub.flush_when_due()).await });
    }

    /// Waits until the clients said goodbye.
    pub(crate) async fn close(&self) {
        self.tracker.close();
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.tracker.wait()).await;
    }
}

/// Routes that the description of the API has.
pub(crate) fn described() -> OpenApiRouter<ApiState> {
    events::routes()
}

/// Routes that it does not have.
pub(crate) fn sockets() -> Router<ApiState> {
    socket::routes()
}
