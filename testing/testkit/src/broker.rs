//! A private nats-server with our streams, and connections to it.

use std::path::Path;

use crypto_intel_nats::{
    Batch, Nats, NatsConfig, OutMessage, ReaderOptions, Start, StreamMessage, StreamOverride,
    StreamReader, Topology, TopologyConfig, connect,
};
use crypto_intel_sandbox::{NatsOptions, NatsServer, nats_password};
use crypto_intel_schemas::{Event, subjects};
use crypto_intel_service::Secret;
use tokio_util::sync::CancellationToken;

use crate::deadline::within;

/// Streams reserve their limit on the disk; the real limits exceed the disks of many machines.
const STREAM_BYTES: u64 = 64 << 20;
/// A killed or paused server does not answer: requests to it fail after this.
const REQUEST_TIMEOUT_MS: u64 = 3_000;
const READ_MESSAGES: usize = 5_000;

/// A private server with all streams, and a connection that may do everything.
#[derive(Debug)]
pub struct Broker {
    /// The server, which tests can kill, stop and pause.
    pub server: NatsServer,
    /// The connection.
    pub nats: Nats,
}

impl Broker {
    /// A server without users.
    ///
    /// # Panics
    /// When there is no nats-server, or it does not start.
    pub async fn start() -> Self {
        Self::start_with(NatsOptions::default()).await
    }

    /// As [`start`](Self::start), with these options.
    ///
    /// # Panics
    /// As there.
    pub async fn start_with(options: NatsOptions) -> Self {
        let server = started(options).await;
        let nats = connect_to(server.url(), "test").await;
        Self::with_streams(server, nats).await
    }

    /// A server with the users and permissions that we ship; the connection is the administrator's.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_with_users() -> Self {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nats/server.conf");
        let server = started(NatsOptions::with_users_of(config).expect("server.conf")).await;
        let nats = connect_as(&server, "admin").await;
        Self::with_streams(server, nats).await
    }

    async fn with_streams(server: NatsServer, nats: Nats) -> Self {
        small_topology().apply(&nats, false).await.expect("apply streams");
        Self { server, nats }
    }

    /// Another connection, under this name.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn connect(&self, name: &str) -> Nats {
        connect_to(self.server.url(), name).await
    }

    /// A connection of one of the users that we ship.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn connect_as(&self, user: &str) -> Nats {
        connect_as(&self.server, user).await
    }

    /// Publishes these events together.
    ///
    /// # Panics
    /// When they are refused.
    pub async fn publish(&self, events: impl IntoIterator<Item = Event>) {
        let messages = events.into_iter().map(|event| message_of(&event)).collect();
        self.nats.publish_batch(Batch { messages, fence: None }).await.expect("publish events");
    }

    /// Everything that a stream holds.
    ///
    /// # Panics
    /// As [`messages`].
    pub async fn messages(&self, stream: &str) -> Vec<StreamMessage> {
        messages(&self.nats, stream).await
    }

    /// How many messages a stream holds; 0 while the server does not answer.
    pub async fn count(&self, stream: &str) -> u64 {
        self.nats.stream_state(stream).await.map_or(0, |state| state.messages)
    }
}

async fn started(options: NatsOptions) -> NatsServer {
    NatsServer::start(options).await.expect("start nats-server")
}

/// Configuration of a connection to a server without users.
#[must_use]
pub fn nats_config(url: impl AsRef<str>) -> NatsConfig {
    NatsConfig {
        url: url.as_ref().into(),
        request_timeout_ms: REQUEST_TIMEOUT_MS,
        ..NatsConfig::default()
    }
}

/// Configuration of a connection as one of the users that we ship.
fn nats_config_as(server: &NatsServer, user: &str) -> NatsConfig {
    NatsConfig {
        user: user.to_owned(),
        password: Secret::new(nats_password(user)),
        ..nats_config(server.url())
    }
}

/// Connects to the server at `url` under this name.
///
/// # Panics
/// When that fails.
pub async fn connect_to(url: impl AsRef<str>, name: &str) -> Nats {
    connected(&nats_config(url), name).await
}

/// Connects as one of the users that we ship.
///
/// # Panics
/// When that fails.
pub async fn connect_as(server: &NatsServer, user: &str) -> Nats {
    connected(&nats_config_as(server, user), user).await
}

async fn connected(config: &NatsConfig, name: &str) -> Nats {
    connect(config, name, &CancellationToken::new()).await.expect("connect to nats-server")
}

/// Our streams and buckets, small enough for any disk.
///
/// # Panics
/// When their definitions cannot be read.
#[must_use]
pub fn small_topology() -> Topology {
    let topology = Topology::embedded().expect("stream definitions");
    let small = |name: &str| -> (String, StreamOverride) {
        let limit = StreamOverride { max_bytes: Some(STREAM_BYTES), ..StreamOverride::default() };
        (name.to_owned(), limit)
    };
    let streams = topology.stream_names().into_iter().map(small).collect();
    let config = TopologyConfig { replicas: None, streams };
    topology.with_config(&config).expect("streams of the topology itself")
}

/// An event as its producer publishes it.
fn message_of(event: &Event) -> OutMessage {
    OutMessage::new(subjects::of(event), event.encode()).schema(event.kind().schema())
}

/// Everything that a stream holds.
///
/// # Panics
/// When it cannot be read.
pub async fn messages(nats: &Nats, stream: &str) -> Vec<StreamMessage> {
    let state = nats.stream_state(stream).await.expect("state of the stream");
    let mut messages: Vec<StreamMessage> = Vec::new();
    if state.messages == 0 {
        return messages;
    }
    let options = ReaderOptions::new(stream, "test", Start::First);
    let mut reader = StreamReader::open(nats, options).await.expect("open the stream");
    while messages.last().is_none_or(|message| message.sequence < state.last_sequence) {
        let batch = within(reader.next(READ_MESSAGES)).await.expect("read the stream");
        assert_eq!(batch.notices, [], "nothing is missing on the way");
        messages.extend(batch.messages);
    }
    messages
}
