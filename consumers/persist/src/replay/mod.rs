//! A range of a stream through persist's own code, beside a running persist.

mod filters;
mod progress;
mod whole;

use anyhow::{Context as _, bail};
use crypto_intel_nats::{
    Nats, Position, RangeOptions, RangeReader, RangeRequest, ReaderTrouble, StreamRange,
};
use crypto_intel_store::{Store, StreamPosition};
use tokio_util::sync::CancellationToken;

pub use progress::{Counts, Progress};

use crate::{
    Config, StreamSource,
    apply::{Applier, Stop},
    intake::{Input, Rest},
    pump::Pump,
};

/// The rest of a block is in the range, however slowly it is read.
const PATIENCE_MS: u64 = 365 * 86_400_000;
/// A transaction holds its heights' locks, and those that are replayed may be at the head: live waits no longer than for
/// so many events.
const MAX_BATCH_EVENTS: usize = 1_000;

/// What is to be stored again.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The stream.
    pub stream: String,
    /// Subjects; empty = all that persist stores of the stream.
    pub filters: Vec<String>,
    /// The range in its user's words: the same words find again where an earlier run came to.
    pub words: String,
    /// The range.
    pub request: RangeRequest,
    /// Most events per second; `None` = as fast as it goes.
    pub rate: Option<u32>,
    /// Begin at the beginning although an earlier run came somewhere.
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
    /// Whether the range is stored to its end; else the same replay goes on after `position`.
    pub is_complete: bool,
    /// Sequence of the last message applied.
    pub position: u64,
    /// What this run did.
    #[serde(flatten)]
    pub counts: Counts,
}

impl ReplayTask {
    /// Finds out what is to be read, and where an earlier run of the same replay came to.
    ///
    /// # Errors
    /// When persist stores nothing of it, or the range is empty; the error says the mend.
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
                let range = whole::widen(nats, stream, &filters, asked)
                    .await
                    .context("find the blocks at the range's ends")?;
                let name = format!("{key} [{}..{}]", range.from, range.to);
                // Its store time is unknown, which is then not compared.
                let before = StreamPosition { sequence: range.from - 1, ..Default::default() };
                store.start_position(&name, before).await.context("make the replay's position")?;
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

    /// What is read, widened to whole blocks.
    #[must_use]
    pub fn range(&self) -> StreamRange {
        self.range
    }

    /// Subjects that are read.
    #[must_use]
    pub fn filters(&self) -> &[String] {
        &self.source.filters
    }

    /// Whether an earlier run began it.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Reads and stores to the end of the range, or until `shutdown`. What cannot be stored now is tried again, visibly.
    ///
    /// # Errors
    /// When the stream was made anew meanwhile, or another process runs the same replay.
    pub async fn run(self, shutdown: &CancellationToken) -> anyhow::Result<ReplayOutcome> {
        let reading = Reading {
            source: &self.source,
            config: &self.config,
            nats: &self.nats,
            store: &self.store,
            progress: &self.progress,
            position_name: &self.name,
            rate: self.rate,
            rest: Rest::Stored,
        };
        let is_complete = reading.run(self.position, self.range.to, shutdown).await?;
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

/// One range on its way into tables.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) source: &'a StreamSource,
    pub(crate) config: &'a Config,
    pub(crate) nats: &'a Nats,
    pub(crate) store: &'a Store,
    pub(crate) progress: &'a Progress,
    pub(crate) position_name: &'a str,
    pub(crate) rate: Option<u32>,
    pub(crate) rest: Rest,
}

impl Reading<'_> {
    /// Reads and stores what is after a position, up to a sequence; `false` when `shutdown` came first.
    pub(crate) async fn run(
        &self,
        after: StreamPosition,
        to: u64,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<bool> {
        let options = RangeOptions {
            stream: self.source.stream.clone(),
            filters: self.source.filters.clone(),
            name: "replay".to_owned(),
            after: Position { sequence: after.sequence, stored_at_us: after.stored_at_us },
            to,
            rate: self.rate,
        };
        let reader = RangeReader::open(self.nats, options).await.context("open the reader")?;
        let input = Input::Range(reader, self.rest);
        let (metrics, status) = (self.progress.metrics(), self.progress.status());
        let config = Config { patience_ms: PATIENCE_MS, ..self.config.clone() };
        let mut pump = Pump::start(self.source, input, &config, metrics, status, after.revision);
        let mut applier = Applier {
            stream: self.source.stream.clone(),
            position_name: self.position_name.to_owned(),
            nats: self.nats.clone(),
            store: self.store.clone(),
            metrics: metrics.clone(),
            status: std::sync::Arc::clone(status),
            shutdown: shutdown.clone(),
            position: after,
            merging: false,
        };
        let stop = tokio::select! {
            stop = pump.run(&mut applier) => stop,
            () = shutdown.cancelled() => Some(Stop::Shutdown),
        };
        match stop {
            Some(Stop::Shutdown) => Ok(false),
            Some(Stop::FenceLost) => {
                bail!(
                    "the position {:?} moved: another process does the same, let it end",
                    self.position_name
                )
            }
            None => pump.ended().await.map(|()| true),
        }
    }
}

/// What names a replay, without the sequences that its range was resolved to.
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
