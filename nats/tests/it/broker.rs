use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use crypto_intel_nats::{
    Batch, Fence, Nats, NatsConfig, OutMessage, StreamMessage, StreamOverride, StreamReader,
    Topology, TopologyConfig, connect,
};
use crypto_intel_sandbox::{NatsOptions, NatsServer};
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A private server with all streams, and a connection.
pub(crate) struct Broker {
    pub(crate) server: NatsServer,
    pub(crate) nats: Nats,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self::start_with(NatsOptions::default()).await
    }

    pub(crate) async fn start_with(options: NatsOptions) -> Self {
        let server = NatsServer::start(options).await.unwrap();
        let nats = client(&server, "test").await;
        small_topology().apply(&nats, false).await.unwrap();
        Self { server, nats }
    }
}

pub(crate) fn config(server: &NatsServer) -> NatsConfig {
    NatsConfig { url: server.url().into(), request_timeout_ms: 3_000, ..NatsConfig::default() }
}

pub(crate) async fn client(server: &NatsServer, name: &str) -> Nats {
    connect(&config(server), name, &CancellationToken::new()).await.unwrap()
}

/// Our streams, small enough for any disk.
pub(crate) fn small_topology() -> Topology {
    let topology = Topology::embedded().unwrap();
    let names: Vec<String> = topology.stream_names().into_iter().map(ToOwned::to_owned).collect();
    let small = |name: String| {
        (name, StreamOverride { max_bytes: Some(64 << 20), ..StreamOverride::default() })
    };
    let streams: BTreeMap<_, _> = names.into_iter().map(small).collect();
    topology.with_config(&TopologyConfig { replicas: None, streams }).unwrap()
}

pub(crate) fn message(subject: &str, number: usize) -> OutMessage {
    OutMessage::new(subject, format!("body {number}")).schema("test.kind/1")
}

pub(crate) fn block(subject: &str, messages: usize, fence: Option<u64>) -> Batch {
    Batch {
        messages: (0..messages).map(|number| message(subject, number)).collect(),
        fence: fence.map(|last_sequence| Fence { filter: "evm.anvil.>".to_owned(), last_sequence }),
    }
}

/// Reads until `count` messages have come; fails when a notice comes or nothing does.
pub(crate) async fn read(reader: &mut StreamReader, count: usize) -> Vec<StreamMessage> {
    let mut all = Vec::new();
    while all.len() < count {
        let batch = within("read a message", reader.next(count - all.len())).await.unwrap();
        assert_eq!(batch.notices, []);
        all.extend(batch.messages);
    }
    all
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("no {what} in time"))
}

/// Asks again until the answer is yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
