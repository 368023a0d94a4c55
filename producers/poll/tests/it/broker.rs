use std::{
    future::Future,
    path::Path,
    time::{Duration, Instant},
};

use crypto_intel_nats::{
    Bucket, Nats, NatsConfig, StreamMessage, StreamOverride, Topology, TopologyConfig, connect,
};
use crypto_intel_poll::{AssetPrice, Config, ProviderSettings, run};
use crypto_intel_sandbox::{NatsOptions, NatsServer};
use crypto_intel_schemas::Event;
use crypto_intel_service::{Context, ProbeReport, Secret};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stand_in::StandIn;

const PATIENCE: Duration = Duration::from_secs(60);

/// A nats-server with the configuration that we ship: the pollers have only their permissions.
pub(crate) struct Broker {
    pub(crate) server: NatsServer,
    pub(crate) admin: Nats,
    pub(crate) poll: Nats,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nats/server.conf");
        let options = NatsOptions::with_users_of(conf).unwrap();
        let server = NatsServer::start(options).await.unwrap();
        let admin = client(&server, "admin").await;
        small_topology().apply(&admin, false).await.unwrap();
        let poll = client(&server, "poll").await;
        Self { server, admin, poll }
    }

    /// Everything in a stream.
    pub(crate) async fn messages(&self, stream: &str) -> Vec<StreamMessage> {
        let state = self.admin.stream_state(stream).await.unwrap();
        let mut messages = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            messages.extend(self.admin.get(stream, sequence).await.unwrap());
        }
        messages
    }

    pub(crate) async fn count(&self, stream: &str) -> u64 {
        self.admin.stream_state(stream).await.map_or(0, |state| state.messages)
    }

    pub(crate) async fn price_of(&self, asset: &str) -> Option<AssetPrice> {
        let bucket = self.admin.kv(Bucket::Prices).await.ok()?;
        let entry = bucket.get(asset).await.ok()??;
        Some(serde_json::from_slice(&entry.value).unwrap())
    }
}

async fn client(server: &NatsServer, user: &str) -> Nats {
    let config = NatsConfig {
        url: server.url().into(),
        user: user.to_owned(),
        password: Secret::new(format!("of-{user}")),
        request_timeout_ms: 3_000,
        ..NatsConfig::default()
    };
    connect(&config, user, &CancellationToken::new()).await.unwrap()
}

fn small_topology() -> Topology {
    let topology = Topology::embedded().unwrap();
    let names: Vec<String> = topology.stream_names().into_iter().map(str::to_owned).collect();
    let small = |name: String| {
        (name, StreamOverride { max_bytes: Some(64 << 20), ..StreamOverride::default() })
    };
    let streams = names.into_iter().map(small).collect();
    topology.with_config(&TopologyConfig { replicas: None, streams }).unwrap()
}

/// A running instance of the role.
pub(crate) struct Role {
    pub(crate) context: Context,
    pub(crate) task: JoinHandle<anyhow::Result<()>>,
}

impl Role {
    pub(crate) fn start(broker: &Broker, config: Config, instance: &str) -> Self {
        let context = Context::new(instance);
        let task = tokio::spawn(run(config, broker.poll.clone(), context.clone()));
        Self { context, task }
    }

    pub(crate) async fn stop(self) {
        self.context.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }

    pub(crate) fn probe(&self, name: &str) -> Option<ProbeReport> {
        let report = self.context.health.report();
        report.probes.into_iter().find(|probe| probe.name == name)
    }

    pub(crate) fn is_healthy(&self, name: &str) -> bool {
        self.probe(name).is_some_and(|probe| probe.healthy)
    }

    /// A counter or gauge, summed over the labels that are not given.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let families = self.context.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.map_or(&[][..], |family| family.get_metric());
        metrics
            .iter()
            .filter(|metric| {
                labels.iter().all(|(key, value)| {
                    let pairs = metric.get_label();
                    pairs.iter().any(|pair| pair.name() == *key && pair.value() == *value)
                })
            })
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
            .sum()
    }
}

/// A configuration in which only these sources are polled, each at its stand-in.
pub(crate) fn only(sources: &[(&'static str, &StandIn, ProviderSettings)]) -> Config {
    let at = |(name, stand_in, settings): &(&'static str, &StandIn, ProviderSettings)| {
        (*name, stand_in.url(), settings.clone())
    };
    only_at(&sources.iter().map(at).collect::<Vec<_>>())
}

/// A configuration in which only these sources are polled, each at this address.
pub(crate) fn only_at(sources: &[(&str, String, ProviderSettings)]) -> Config {
    let mut config = Config::default();
    for name in ["alternative_me", "binance", "coingecko"] {
        let settings = match sources.iter().find(|(source, _, _)| *source == name) {
            Some((_, url, settings)) => ProviderSettings {
                base_url: Some(url.as_str().into()),
                per_minute: Some(6_000),
                ..settings.clone()
            },
            None => ProviderSettings { enabled: Some(false), ..ProviderSettings::default() },
        };
        config.providers.insert(name.to_owned(), settings);
    }
    config
}

pub(crate) fn event_of(message: &StreamMessage) -> Event {
    Event::decode(&message.payload).unwrap()
}

/// Asks again until the answer is yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
