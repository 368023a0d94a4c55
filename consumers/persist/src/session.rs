use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Lease, Nats, Position, ReaderOptions, Start, StreamReader, escape_key};
use crypto_intel_service::{Backoff, Context};
use crypto_intel_store::{Store, StoreError};

use crate::{
    Config, StreamSource,
    apply::{Applier, Stop, mend},
    intake::Input,
    metrics::Metrics,
    progress,
    pump::Pump,
    status::Status,
};

const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// Stores one stream for as long as the process runs.
#[derive(Debug)]
pub(crate) struct StreamTask {
    pub(crate) source: StreamSource,
    pub(crate) config: Config,
    pub(crate) nats: Nats,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) status: Arc<Status>,
    pub(crate) context: Context,
}

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Shutdown,
    /// The lease or the compare-and-set was lost: take both anew.
    Replaced,
}

impl StreamTask {
    /// Holds the lease, stores, and begins anew after whatever ended that, until shutdown.
    pub(crate) async fn run(self) {
        let backoff =
            Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(10) };
        let mut delays = backoff.delays();
        let shutdown = self.context.shutdown.clone();
        loop {
            match self.tenure().await {
                Ok(End::Shutdown) => return,
                Ok(End::Replaced) => {
                    delays = backoff.delays();
                    continue;
                }
                Err(error) => {
                    let delay = delays.next().unwrap_or(backoff.longest);
                    tracing::warn!(stream = self.source.stream, error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "cannot store stream, trying again");
                    self.status.failed(format!("{error:#}"));
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            }
        }
    }

    /// One holding of the lease.
    async fn tenure(&self) -> anyhow::Result<End> {
        let key = format!("persist.{}", escape_key(&self.source.stream));
        let shutdown = &self.context.shutdown;
        let free = Lease::try_acquire(&self.nats, &key, &self.context.instance)
            .await
            .context("take the lease")?;
        let lease = match free {
            Some(lease) => lease,
            None => {
                self.status.standing_by();
                let taken = Lease::acquire(&self.nats, &key, &self.context.instance, shutdown)
                    .await
                    .context("take the lease")?;
                match taken {
                    Some(lease) => lease,
                    None => return Ok(End::Shutdown),
                }
            }
        };
        let lost = lease.lost();
        let end = tokio::select! {
            end = self.session() => end,
            () = lost.cancelled() => {
                tracing::warn!(stream = self.source.stream, "lease lost, standing by");
                return Ok(End::Replaced);
            }
        };
        lease.release().await;
        end
    }

    /// Reads from the position on and stores, until something ends it. Cancel-safe.
    async fn session(&self) -> anyhow::Result<End> {
        let stream = &self.source.stream;
        let position = self.store.position(stream).await.map_err(with_mend)?;
        let start = Start::After(Position {
            sequence: position.sequence,
            stored_at_us: position.stored_at_us,
        });
        let name = format!("persist-{}", self.context.instance);
        let options = ReaderOptions::new(stream, name, start).filters(&self.source.filters);
        let reader = StreamReader::open(&self.nats, options).await.context("open the reader")?;
        tracing::info!(stream, after = position.sequence, "storing");
        self.status.begin(position.sequence, position.stored_at_us);

        let input = Input::Live(reader);
        let (config, metrics, status) = (&self.config, &self.metrics, &self.status);
        let mut pump = Pump::start(&self.source, input, config, metrics, status, position.revision);
        let mut applier = Applier {
            stream: stream.clone(),
            position_name: stream.clone(),
            nats: self.nats.clone(),
            store: self.store.clone(),
            metrics: self.metrics.clone(),
            status: Arc::clone(&self.status),
            shutdown: self.context.shutdown.clone(),
            position,
            merging: false,
        };
        let stop = tokio::select! {
            stop = pump.run(&mut applier) => stop,
            () = self.context.shutdown.cancelled() => Some(Stop::Shutdown),
            never = self.report() => match never {},
            never = progress::keep(&self.nats, &self.source, &self.status) => match never {},
        };
        match stop {
            Some(Stop::Shutdown) => Ok(End::Shutdown),
            Some(Stop::FenceLost) => Ok(End::Replaced),
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

fn with_mend(error: StoreError) -> anyhow::Error {
    let mend = mend(&error);
    anyhow::Error::new(error).context(mend)
}
