use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Position, ReaderOptions, Start, StreamReader, TermEnd};
use crypto_intel_store::Store;

use crate::{
    Config, StreamSource,
    apply::{Applier, Stop, with_mend},
    intake::Input,
    metrics::Metrics,
    progress,
    pump::Pump,
    status::Status,
    task::LeaderTask,
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

    async fn run_term(&self) -> anyhow::Result<()> {
        self.session().await
    }
}

impl StreamTask {
    /// Reads from the position on and stores, until something ends it. Cancel-safe.
    async fn session(&self) -> anyhow::Result<()> {
        let stream = &self.source.stream;
        let position = self.store.position(stream).await.map_err(with_mend)?;
        let start = Start::After(Position {
            sequence: position.sequence,
            stored_at_us: position.stored_at_us,
        });
        let name = format!("persist-{}", self.leadership.context().instance);
        let options = ReaderOptions::new(stream, name, start).filters(&self.source.filters);
        let reader =
            StreamReader::open(self.leadership.nats(), options).await.context("open the reader")?;
        tracing::info!(stream, after = position.sequence, "storing");
        self.status.begin(position.sequence, reader.trouble());

        let input = Input::Live(reader);
        let (config, metrics, status) = (&self.config, &self.metrics, &self.status);
        let mut pump = Pump::start(&self.source, input, config, metrics, status, position.revision);
        let mut applier = Applier {
            stream: stream.clone(),
            position_name: stream.clone(),
            nats: self.leadership.nats().clone(),
            store: self.store.clone(),
            metrics: self.metrics.clone(),
            status: Arc::clone(&self.status),
            shutdown: self.leadership.context().shutdown.clone(),
            position,
            merging: false,
        };
        let stop = tokio::select! {
            stop = pump.run(&mut applier) => stop,
            () = self.leadership.context().shutdown.cancelled() => Some(Stop::Shutdown),
            never = self.report() => match never {},
            never = progress::keep(self.leadership.nats(), &self.source, &self.status) => match never {},
        };
        match stop {
            Some(Stop::Shutdown) => Ok(()),
            Some(Stop::FenceLost) => Err(TermEnd::Replaced.into()),
            None => {
                pump.ended().await?;
                anyhow::bail!("reading ended although nobody asked it to")
            }
        }
    }

    async fn report(&self) -> std::convert::Infallible {
        let mut ticks = tokio::time::interval(REPORT_INTERVAL);
        loop {
            ticks.tick().await;
            self.status.report();
        }
    }
}
