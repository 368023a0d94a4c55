use std::sync::Arc;

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Nats, Position, RangeOptions, RangeReader};
use crypto_intel_service::unless_stopped;
use crypto_intel_store::{Store, StreamPosition};
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::{
    apply::{
        applier::{Applier, FenceLost},
        dead_letters::DeadLetters,
    },
    config::{Config, StreamSource},
    intake::{
        input::{Input, TailPolicy},
        reader_task::ReaderTask,
    },
};

/// Practically without limit: the range contains the rest of every block, however slowly it is read.
const INCOMPLETE_BLOCK_TIMEOUT_MS: u64 = 365 * 86_400_000;

/// Stores one range of a stream.
#[derive(Debug)]
pub(crate) struct RangeRun<'a> {
    pub(crate) source: &'a StreamSource,
    pub(crate) config: &'a Config,
    pub(crate) nats: &'a Nats,
    pub(crate) store: &'a Store,
    pub(crate) progress: &'a Progress,
    pub(crate) position_name: &'a str,
    pub(crate) rate: Option<u32>,
    pub(crate) tail: TailPolicy,
}

impl RangeRun<'_> {
    /// Reads and stores everything after a position, up to a sequence.
    ///
    /// # Errors
    /// [`Stopped`](crypto_intel_service::Stopped) when `shutdown` fired first; when the stream was recreated, or when another
    /// process moved the position.
    pub(crate) async fn run(
        &self,
        after: StreamPosition,
        to: u64,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let options = RangeOptions {
            stream: self.source.stream.clone(),
            filters: self.source.filters.clone(),
            name: "replay".to_owned(),
            after: Position { sequence: after.sequence, stored_at_us: after.stored_at_us },
            to,
            rate: self.rate,
        };
        let reader = RangeReader::open(self.nats, options).await.context("open the reader")?;
        let input = Input::Range(reader, self.tail);
        let (metrics, status) = (self.progress.metrics(), self.progress.status());
        let config = Config { patience_ms: INCOMPLETE_BLOCK_TIMEOUT_MS, ..self.config.clone() };
        let mut reader =
            ReaderTask::start(self.source, input, &config, metrics, status, after.revision);
        let mut applier = Applier {
            stream: self.source.stream.clone(),
            position_name: self.position_name.to_owned(),
            store: self.store.clone(),
            metrics: metrics.clone(),
            status: Arc::clone(status),
            dead_letters: DeadLetters {
                stream: self.source.stream.clone(),
                nats: self.nats.clone(),
                metrics: metrics.clone(),
                status: Arc::clone(status),
            },
            position: after,
            merging: false,
        };
        // Boxed: a replay is awaited deep within a swap, whose future would grow with it.
        let applying = Box::pin(applier.run(&mut reader));
        let applied = unless_stopped(shutdown, applying).await?;
        if let Err(FenceLost) = applied {
            bail!(
                "the position {:?} moved: another process does the same, let it end",
                self.position_name
            )
        }
        reader.ended().await
    }
}
