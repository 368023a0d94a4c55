//! Stores a range of a stream again with persist's own code, beside a running persist.

mod block_alignment;
mod filters;
pub(crate) mod progress;
pub(crate) mod range_run;

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Nats, RangeRequest, ReaderTrouble, StreamRange};
use crypto_intel_service::Stopped;
use crypto_intel_store::{Store, StreamPosition};
use tokio_util::sync::CancellationToken;

use self::{
    progress::{Counts, Progress},
    range_run::RangeRun,
};
use crate::{
    config::{Config, StreamSource},
    intake::input::TailPolicy,
};

/// A transaction locks its heights, which may be at the head: the live stream waits for at most this many events.
const MAX_BATCH_EVENTS: usize = 1_000;

/// What to store again.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The stream.
    pub stream: String,
    /// Subjects; empty = everything that persist stores of the stream.
    pub filters: Vec<String>,
    /// The range as the user wrote it; it is part of the name by which an earlier run is found.
    pub words: String,
    /// The range.
    pub request: RangeRequest,
    /// Maximum number of events per second; `None` = no limit.
    pub rate: Option<u32>,
    /// Start over although an earlier run has a position.
    pub anew: bool,
}

/// A replay that is ready to run.
#[derive(Debug)]
pub struct ReplayTask {
    source: StreamSource,
    config: Config,
    nats: Nats,
    store: Store,
    rate: Option<u32>,
    /// Name of its own position.
    name: String,
    position: StreamPosition,
    range: StreamRange,
    is_resumed: bool,
    progress: Progress,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReplayOutcome {
    /// Whether the range is stored to its end; if not, the same replay resumes after `position`.
    pub is_complete: bool,
    /// Sequence of the last message applied.
    pub position: u64,
    /// What this run did.
    #[serde(flatten)]
    pub counts: Counts,
}

impl ReplayTask {
    /// Resolves the range, and finds the position of an earlier run of the same replay.
    ///
    /// # Errors
    /// When persist stores nothing of it, or the range is empty.
    pub async fn prepare(
        config: &Config,
        nats: &Nats,
        store: &Store,
        replay: Replay,
    ) -> anyhow::Result<Self> {
        let stream = replay.stream.as_str();
        let Some(stored) = config.streams.iter().find(|source| source.stream == stream) else {
            let known: Vec<&str> =
                config.streams.iter().map(|source| source.stream.as_str()).collect();
            bail!(
                "persist stores nothing of stream {stream}: persist.streams has {}",
                known.join(", ")
            );
        };
        let filters = filters::with_markers(&replay.filters, stored)?;
        let key = key(&replay);
        let known = find(store, &key).await?;
        if let (Some((name, _)), true) = (&known, replay.anew) {
            store.remove_position(name).await.context("remove the position of an earlier run")?;
        }
        let resumed = known.filter(|_| !replay.anew);
        let is_resumed = resumed.is_some();
        let (name, range) = match resumed {
            Some(found) => found,
            None => {
                let asked = nats.range(stream, replay.request).await?;
                let range = block_alignment::widen(nats, stream, &filters, asked)
                    .await
                    .context("find the blocks at the range's ends")?;
                let name = format!("{key} [{}..{}]", range.from, range.to);
                // The store time is unknown: without one it is not compared.
                let before = StreamPosition { sequence: range.from - 1, ..Default::default() };
                store
                    .start_position(&name, before)
                    .await
                    .context("create the replay's position")?;
                (name, range)
            }
        };
        let position = store.position(&name).await.context("read the replay's position")?;
        let progress = Progress::new(stream, nats)?;
        progress.status().begin(position.sequence, ReaderTrouble::default());
        Ok(Self {
            source: StreamSource { stream: stream.to_owned(), filters },
            config: Config {
                max_batch_events: batch_events(config, replay.rate),
                ..config.clone()
            },
            nats: nats.clone(),
            store: store.clone(),
            rate: replay.rate,
            name,
            position,
            range,
            is_resumed,
            progress,
        })
    }

    /// The range, widened to whole blocks.
    #[must_use]
    pub fn range(&self) -> StreamRange {
        self.range
    }

    /// Subjects that are read.
    #[must_use]
    pub fn filters(&self) -> &[String] {
        &self.source.filters
    }

    /// Whether an earlier run started it.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Reads and stores to the end of the range, or until `shutdown`. A failure to store is logged and retried.
    ///
    /// # Errors
    /// When the stream was recreated meanwhile, or another process runs the same replay.
    pub async fn run(self, shutdown: &CancellationToken) -> anyhow::Result<ReplayOutcome> {
        let run = RangeRun {
            source: &self.source,
            config: &self.config,
            nats: &self.nats,
            store: &self.store,
            progress: &self.progress,
            position_name: &self.name,
            rate: self.rate,
            tail: TailPolicy::Flush,
        };
        let is_complete = match run.run(self.position, self.range.to, shutdown).await {
            Ok(()) => true,
            Err(error) if Stopped::caused(&error) => false,
            Err(error) => return Err(error),
        };
        if is_complete {
            self.store.remove_position(&self.name).await.context("remove the replay's position")?;
        }
        Ok(ReplayOutcome {
            is_complete,
            position: self.progress.sequence(),
            counts: self.progress.counts(),
        })
    }
}

/// The name of a replay, without the sequences of its range.
fn key(replay: &Replay) -> String {
    let mut key = format!("replay {}", replay.stream);
    for filter in &replay.filters {
        key.push(' ');
        key.push_str(filter);
    }
    if !replay.words.is_empty() {
        key.push(' ');
        key.push_str(&replay.words);
    }
    key
}

/// The position of an earlier run, and the range in its name.
async fn find(store: &Store, key: &str) -> anyhow::Result<Option<(String, StreamRange)>> {
    let positions = store.positions().await.context("look for an earlier run")?;
    Ok(positions.into_iter().find_map(|position| {
        let range = position.stream.strip_prefix(key)?.strip_prefix(" [")?.strip_suffix(']')?;
        let (from, to) = range.split_once("..")?;
        let range = StreamRange { from: from.parse().ok()?, to: to.parse().ok()?, is_cut: false };
        Some((position.stream, range))
    }))
}

fn batch_events(config: &Config, rate: Option<u32>) -> usize {
    let per_second = rate.map_or(usize::MAX, |rate| rate.max(1) as usize);
    config.max_batch_events.min(MAX_BATCH_EVENTS).min(per_second)
}
