//! Messages per second, published in atomic batches and read back, beside the same by the bare client.
//!
//! `cargo bench -p crypto-intel-nats`; needs a nats-server in `.tools/bin` or on `PATH`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, header};
use crypto_intel_nats::{
    Batch, Fence, Nats, NatsConfig, OutMessage, ReaderOptions, Start, StreamOverride, StreamReader,
    Topology, TopologyConfig, connect,
};
use crypto_intel_sandbox::{NatsOptions, NatsServer};
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

const MESSAGES: u64 = 200_000;
const BATCH: u64 = 1_000;
const ROUNDS: usize = 3;

#[tokio::main(worker_threads = 2)]
async fn main() {
    for round in 0..ROUNDS {
        let server = NatsServer::start(NatsOptions::default()).await.unwrap();
        let nats = client(&server).await;
        let ours = timed(publish_ours(&nats)).await;
        let bare = timed(publish_bare(&nats)).await;
        println!(
            "round {round} publish: {ours:>8.0}/s, bare {bare:>8.0}/s, ratio {:.2}",
            ours / bare
        );
        let bare = timed(read_bare(&nats)).await;
        let ours = timed(read_ours(&nats)).await;
        println!(
            "round {round} read:    {ours:>8.0}/s, bare {bare:>8.0}/s, ratio {:.2}",
            ours / bare
        );
    }
}

async fn client(server: &NatsServer) -> Nats {
    let config = NatsConfig { url: server.url().into(), ..NatsConfig::default() };
    let nats = connect(&config, "bench", &CancellationToken::new()).await.unwrap();
    let topology = Topology::embedded().unwrap();
    let small = StreamOverride { max_bytes: Some(512 << 20), ..StreamOverride::default() };
    let streams =
        topology.stream_names().into_iter().map(|name| (name.to_owned(), small.clone())).collect();
    let config = TopologyConfig { replicas: None, streams };
    topology.with_config(&config).unwrap().apply(&nats, false).await.unwrap();
    nats
}

async fn timed(work: impl Future<Output = u64>) -> f64 {
    let started = Instant::now();
    let messages = work.await;
    messages as f64 / started.elapsed().as_secs_f64()
}

fn body() -> bytes::Bytes {
    bytes::Bytes::from(vec![b'x'; 350])
}

async fn publish_ours(nats: &Nats) -> u64 {
    let payload = body();
    let mut last_sequence = 0;
    while last_sequence < MESSAGES {
        let message = || {
            OutMessage::new("evm.bench.transfer.erc20", payload.clone())
                .schema("evm.transfer.erc20/1")
        };
        let fence = Fence { filter: "evm.bench.>".to_owned(), last_sequence };
        let batch = Batch { messages: (0..BATCH).map(|_| message()).collect(), fence: Some(fence) };
        last_sequence = nats.publish_batch(batch).await.unwrap().last_sequence;
    }
    MESSAGES
}

async fn publish_bare(nats: &Nats) -> u64 {
    let payload = body();
    let client = nats.client();
    for batch in 0..MESSAGES / BATCH {
        let id = batch.to_string();
        for number in 1..=BATCH {
            let mut headers = HeaderMap::new();
            headers.insert("Schema", "evm.transfer.erc20/1");
            headers.insert("Content-Type", "application/msgpack");
            headers.insert(header::NATS_BATCH_ID, id.as_str());
            headers.insert(header::NATS_BATCH_SEQUENCE, number.to_string());
            let subject = "evm.bare.transfer.erc20";
            if number < BATCH {
                client.publish_with_headers(subject, headers, payload.clone()).await.unwrap();
            } else {
                headers.insert(header::NATS_BATCH_COMMIT, "1");
                client.request_with_headers(subject, headers, payload.clone()).await.unwrap();
            }
        }
    }
    MESSAGES
}

async fn read_ours(nats: &Nats) -> u64 {
    let options = ReaderOptions::new("EVM", "bench", Start::First);
    let mut reader = StreamReader::open(nats, options).await.unwrap();
    let mut count = 0;
    while count < 2 * MESSAGES {
        count += reader.next(5_000).await.unwrap().messages.len() as u64;
    }
    count
}

async fn read_bare(nats: &Nats) -> u64 {
    let config = async_nats::jetstream::consumer::pull::Config {
        ack_policy: async_nats::jetstream::consumer::AckPolicy::None,
        memory_storage: true,
        ..Default::default()
    };
    let jetstream = nats.jetstream();
    let consumer = jetstream.create_consumer_on_stream(config, "EVM").await.unwrap();
    let stream = consumer.stream().max_messages_per_batch(5_000).expires(Duration::from_secs(30));
    let mut messages = stream.messages().await.unwrap();
    let mut count = 0;
    while count < 2 * MESSAGES {
        messages.next().await.unwrap().unwrap();
        count += 1;
    }
    count
}
