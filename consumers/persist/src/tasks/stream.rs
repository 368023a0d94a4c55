use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Position, ReaderOptions, Start, StreamReader, TermEnd};
use crypto_intel_store::Store;

use super::LeaderTask;
use crate::{
    apply::{
        applier::{Applier, FenceLost},
        dead_letters::DeadLetters,
    },
    config::{Config, StreamSource},
    hint::with_hint,
    intake::{input::Input, reader_task::ReaderTask},
    metrics::Metrics,
    position_report,
    status::Status,
};

const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// Stores one stream for as long as the process runs.
#[derive(Debug)]
pub(crate) struct StreamTask {
    pub(crate) leadership: Leadership,
    pub(crate) source: StreamSource,
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) status: Arc<Status>,
}

impl LeaderTask for StreamTask {
    fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    fn purpose(&self) -> String {
        format!("store stream {}", self.source.stream)
    }

    fn failed(&self, reason: String) {
        self.status.failed(reason);
    }

    /// Reads and stores from the position on, until something fails. Cancel-safe.
    async fn run_term(&self) -> anyhow::Result<()> {
        let stream = &self.source.stream;
        let position = self.store.position(stream).await.map_err(with_hint)?;
        let start = Start::After(Position {
            sequence: position.sequence,
            stored_at_us: position.stored_at_us,
        });
        let name = format!("persist-{}", self.leadership.context().instance);
        let options = ReaderOptions::new(stream, name, start).filters(&self.source.filters);
        let nats = self.leadership.nats();
        let reader = StreamReader::open(nats, options).await.context("open the reader")?;
        tracing::info!(stream, after = position.sequence, "storing");
        self.status.begin(position.sequence, reader.trouble());

        let Self { source, config, metrics, status, .. } = self;
        let input = Input::Live(reader);
        let mut reader =
            ReaderTask::start(source, input, config, metrics, status, position.revision);
        let mut applier = Applier {
            stream: stream.clone(),
            position_name: stream.clone(),
            store: self.store.clone(),
            metrics: metrics.clone(),
            status: Arc::clone(status),
            dead_letters: DeadLetters {
                stream: stream.clone(),
                nats: nats.clone(),
                metrics: metrics.clone(),
                status: Arc::clone(status),
            },
            position,
            merging: false,
        };
        let applied = tokio::select! {
            applied = applier.run(&mut reader) => applied,
            never = self.report() => match never {},
            never = position_report::keep(nats, source, status) => match never {},
        };
        if let Err(FenceLost) = applied {
            return Err(TermEnd::Replaced.into());
        }
        reader.ended().await?;
        anyhow::bail!("reading ended unexpectedly")
    }
}

impl StreamTask {
    async fn report(&self) -> Infallible {
        let mut ticks = tokio::time::interval(REPORT_INTERVAL);
        loop {
            ticks.tick().await;
            self.status.report();
        }
    }
}
