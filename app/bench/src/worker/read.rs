//! Readers of the stream: ours, and a loop of the bare client.

use std::time::Instant;

use anyhow::Context as _;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use crypto_intel_nats::{Nats, ReaderOptions, Start, StreamReader};
use crypto_intel_schemas::{Event, Stream, subjects};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::{answer, connect};
use crate::usage::Usage;

/// Messages that the bare loop requests at once; more is no faster.
const BARE_BATCH: usize = 10_000;
/// Messages taken from our reader at a time, as consumers do.
const CHUNK: usize = 1_000;

/// What to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReadTask {
    /// The server.
    pub(crate) nats_url: String,
    /// How many messages the stream EVM holds.
    pub(crate) messages: u64,
    /// Which reader.
    pub(crate) how: ReadHow,
}

/// What reads the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReadHow {
    /// Our reader.
    Reader,
    /// Our reader, each message decoded.
    Decoded,
    /// The client's own pull consumer.
    Bare,
}

/// How it went.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ReadOutcome {
    /// From making the consumer to the last message.
    pub(crate) seconds: f64,
    /// Usage of the reader's process.
    pub(crate) usage: Usage,
}

pub(super) async fn run(task: ReadTask) -> anyhow::Result<()> {
    let nats = connect(&task.nats_url).await?;
    let before = Usage::own();
    let started = Instant::now();
    match task.how {
        ReadHow::Reader => read(&nats, task.messages, false).await?,
        ReadHow::Decoded => read(&nats, task.messages, true).await?,
        ReadHow::Bare => read_bare(&nats, task.messages).await?,
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut usage = Usage::own();
    usage.cpu_seconds -= before.cpu_seconds;
    answer(&ReadOutcome { seconds, usage })
}

async fn read(nats: &Nats, messages: u64, decode: bool) -> anyhow::Result<()> {
    let options =
        ReaderOptions::new(Stream::Evm.name(), "bench", Start::First).filters([subjects::EVM_ALL]);
    let mut reader = StreamReader::open(nats, options).await.context("open the reader")?;
    let mut count = 0;
    while count < messages {
        let batch = reader.next(CHUNK).await.context("read the stream")?;
        count += batch.messages.len() as u64;
        if decode {
            for message in &batch.messages {
                std::hint::black_box(Event::decode(&message.payload).context("decode")?);
            }
        }
    }
    Ok(())
}

async fn read_bare(nats: &Nats, messages: u64) -> anyhow::Result<()> {
    let config = pull::Config {
        ack_policy: AckPolicy::None,
        memory_storage: true,
        filter_subject: "evm.>".to_owned(),
        ..pull::Config::default()
    };
    let consumer = nats
        .jetstream()
        .create_consumer_on_stream(config, Stream::Evm.name())
        .await
        .context("make a consumer")?;
    let stream = consumer.stream().max_messages_per_batch(BARE_BATCH);
    let mut stream = stream.messages().await.context("read the stream")?;
    let mut count = 0;
    while count < messages {
        let message = stream.next().await.context("the stream ended")?.context("read")?;
        std::hint::black_box(&message.payload);
        count += 1;
    }
    Ok(())
}
