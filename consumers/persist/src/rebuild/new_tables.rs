use anyhow::{Context as _, bail, ensure};
use crypto_intel_nats::{Nats, ReaderTrouble, StreamState};
use crypto_intel_service::Stopped;
use crypto_intel_store::{
    SchemaName, Store, StoreConfig, StreamPosition,
    policies::{self, StorageConfig},
    rebuild::{LiveSchema, SchemaState, create_schema, swap_obstacles},
};
use tokio_util::sync::CancellationToken;

use super::stage::{Stage, Watcher};
use crate::{
    config::{Config, StreamSource},
    intake::input::TailPolicy,
    replay::{
        progress::{Counts, Progress},
        range_run::RangeRun,
    },
};

/// What was done with one stream.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StreamReport {
    /// The stream.
    pub stream: String,
    /// Sequence of the last message applied to the new tables.
    pub position: u64,
    /// What this run did.
    #[serde(flatten)]
    pub counts: Counts,
}

/// How far one stream is read, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Last sequence.
    pub(super) to: u64,
    pub(super) tail: TailPolicy,
    pub(super) rate: Option<u32>,
}

/// New tables that are being filled, beside the live ones.
#[derive(Debug)]
pub struct Rebuild {
    config: Config,
    nats: Nats,
    pub(super) live: Store,
    /// Connected to the new tables.
    pub(super) store: Store,
    pub(super) location: LiveSchema,
    pub(super) schema: SchemaName,
    pub(super) rate: Option<u32>,
    pub(super) streams: Vec<(StreamSource, Progress)>,
    is_resumed: bool,
}

/// Servers and limits of a rebuild.
#[derive(Debug, Clone)]
pub struct RebuildOptions {
    /// The streams, as persist is configured.
    pub config: Config,
    /// The database, as persist is configured.
    pub database: StoreConfig,
    /// Retention, compression and refreshes, as `crypto-intel migrate` is configured.
    pub storage: StorageConfig,
    /// The schema of the new tables.
    pub schema: SchemaName,
    /// Maximum number of events per second; `None` = no limit.
    pub rate: Option<u32>,
}

impl Rebuild {
    /// Creates the new tables where they are missing. The live ones stay as they are.
    ///
    /// # Errors
    /// When the schema holds something else, or tables that another version created.
    pub async fn prepare(
        options: RebuildOptions,
        nats: &Nats,
        live: &Store,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let RebuildOptions { config, database, storage, schema, rate } = options;
        let location = LiveSchema::find(live)
            .await
            .context("there are no tables yet: run `crypto-intel migrate`")?;
        ensure!(
            location.owner == location.user,
            "the live tables belong to {}, and this is {}: connect as their owner",
            location.owner,
            location.user
        );
        ensure!(
            location.schema != schema.as_str(),
            "{schema} is the schema of the live tables: name another one"
        );
        let newer = live.unknown_migrations().await.context("compare the live migrations")?;
        ensure!(
            newer.is_empty(),
            "the live tables have {}: use the newer version",
            newer.join(", ")
        );
        let comment = comment();
        let state =
            SchemaState::read(live, schema.as_str()).await.context("look into the schema")?;
        let is_resumed = check_state(&state, &schema, &comment)?;
        let store = Store::connect_to_schema(&database, &schema, shutdown)
            .await
            .context("connect to the new tables")?;
        if is_resumed {
            let missing = store.missing_migrations().await.context("compare the new migrations")?;
            ensure!(missing.is_empty(), "{}", begun_by_another(&schema));
        }
        create_schema(&store, &comment).await.context("create the schema")?;
        store.migrate(false).await.context("create the new tables")?;
        policies::apply(&store, &storage, false)
            .await
            .context("apply the policies of [storage]")?;
        let streams = config.streams.iter().map(|source| {
            Progress::new(&source.stream, nats).map(|progress| (source.clone(), progress))
        });
        let streams = streams.collect::<anyhow::Result<Vec<_>>>()?;
        let (nats, live) = (nats.clone(), live.clone());
        Ok(Self { config, nats, live, store, location, schema, rate, streams, is_resumed })
    }

    /// Whether an earlier run started it.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Where the live tables are.
    #[must_use]
    pub fn location(&self) -> &LiveSchema {
        &self.location
    }

    /// What would prevent a swap, as far as it is known now: one sentence each, which says what to do.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn obstacles(&self) -> anyhow::Result<Vec<String>> {
        swap_obstacles(&self.live, &self.schema).await.context("look for what is in the way")
    }

    /// What was done with each stream so far.
    #[must_use]
    pub fn report(&self) -> Vec<StreamReport> {
        let report = |(source, progress): &(StreamSource, Progress)| StreamReport {
            stream: source.stream.clone(),
            position: progress.sequence(),
            counts: progress.counts(),
        };
        self.streams.iter().map(report).collect()
    }

    /// Applies every stream from the position of the new tables to its current end; returns the number of messages, or `None`
    /// when `shutdown` fired first.
    ///
    /// # Errors
    /// When a stream was recreated since the rebuild began, or another process runs the same rebuild.
    pub async fn catch_up(
        &self,
        watcher: Watcher<'_>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Option<u64>> {
        none_if_stopped(self.catch_up_at(self.rate, watcher, shutdown).await)
    }

    /// As [`catch_up`](Self::catch_up), at this rate; [`Stopped`] is an error.
    pub(super) async fn catch_up_at(
        &self,
        rate: Option<u32>,
        watcher: Watcher<'_>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<u64> {
        let mut messages = 0;
        for (source, progress) in &self.streams {
            let to = self.state(&source.stream).await?.last_sequence;
            let bounds = Bounds { to, tail: TailPolicy::Leave, rate };
            messages += self.read(source, progress, bounds, watcher, shutdown).await?;
        }
        Ok(messages)
    }

    /// Applies one stream up to a sequence; as [`catch_up_at`](Self::catch_up_at).
    pub(super) async fn read(
        &self,
        source: &StreamSource,
        progress: &Progress,
        Bounds { to, tail, rate }: Bounds,
        watcher: Watcher<'_>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<u64> {
        let stream = &source.stream;
        let position = self.position(stream).await?;
        progress.status().begin(position.sequence, ReaderTrouble::default());
        let state = self.state(stream).await?;
        ensure!(
            is_of(&state, position),
            "stream {stream} was recreated since the rebuild began: DROP SCHEMA {} CASCADE, then begin again",
            self.schema
        );
        let from = position.sequence + 1;
        if from > to {
            return Ok(0);
        }
        let progress_of = progress.clone();
        watcher(Stage::Reading { stream: stream.clone(), from, to, progress: progress_of });
        let before = progress.counts().messages;
        let run = RangeRun {
            source,
            config: &self.config,
            nats: &self.nats,
            store: &self.store,
            progress,
            position_name: stream,
            rate,
            tail,
        };
        run.run(position, to, shutdown).await?;
        Ok(progress.counts().messages - before)
    }

    /// How many ranges of messages left a stream before they were read.
    pub(super) fn lost_ranges(&self) -> u64 {
        self.streams.iter().map(|(_, progress)| progress.counts().lost_ranges).sum()
    }

    pub(super) async fn position(&self, stream: &str) -> anyhow::Result<StreamPosition> {
        self.store.position(stream).await.context("read a position of the new tables")
    }

    pub(super) async fn state(&self, stream: &str) -> anyhow::Result<StreamState> {
        Ok(self.nats.stream_state(stream).await?)
    }
}

/// Turns [`Stopped`] into `None`.
pub(super) fn none_if_stopped<T>(outcome: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match outcome {
        Err(error) if Stopped::caused(&error) => Ok(None),
        other => other.map(Some),
    }
}

/// Whether a position can belong to this stream.
pub(super) fn is_of(state: &StreamState, position: StreamPosition) -> bool {
    let StreamPosition { sequence, stored_at_us, .. } = position;
    sequence == 0 || sequence <= state.last_sequence && state.created_at_us <= stored_at_us
}

/// Whether there is a rebuild to resume.
fn check_state(state: &SchemaState, schema: &SchemaName, comment: &str) -> anyhow::Result<bool> {
    match state {
        SchemaState::Empty => Ok(false),
        SchemaState::Other => {
            bail!("schema {schema} holds something else: name another one, or drop it")
        }
        SchemaState::Tables { comment: found, .. } if found != comment => {
            bail!("{}", begun_by_another(schema))
        }
        SchemaState::Tables { is_filled, .. } => Ok(*is_filled),
    }
}

fn begun_by_another(schema: &SchemaName) -> String {
    format!(
        "the tables in schema {schema} were begun by another version, whose rows may differ: DROP SCHEMA {schema} \
         CASCADE, then begin again"
    )
}

/// The comment of the schema.
fn comment() -> String {
    format!("New tables of crypto-intel {}, not live", env!("CARGO_PKG_VERSION"))
}
