use std::sync::Arc;

use anyhow::Context as _;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    Config, StreamSource,
    apply::{Applier, Stop},
    batch::Batch,
    intake::{Input, Intake},
    metrics::Metrics,
    status::Status,
};

/// Reading and decoding, which runs beside the applying of what it makes; it ends with this value.
#[derive(Debug)]
pub(crate) struct Pump {
    ask: mpsc::Sender<()>,
    made: mpsc::Receiver<Batch>,
    reading: JoinSet<anyhow::Result<()>>,
}

impl Pump {
    /// Begins to read; `revision` is the highest block revision given out so far.
    pub(crate) fn start(
        source: &StreamSource,
        input: Input,
        config: &Config,
        metrics: &Metrics,
        status: &Arc<Status>,
        revision: i64,
    ) -> Self {
        let (ask, asks) = mpsc::channel(1);
        let (batches, made) = mpsc::channel(1);
        let channels = (batches, asks);
        let intake = Intake::new(source, input, config, metrics, status, revision, channels);
        let mut reading = JoinSet::new();
        reading.spawn(intake.run());
        Self { ask, made, reading }
    }

    /// Applies what is read, until something stops that or reading has ended (`None`).
    pub(crate) async fn run(&mut self, applier: &mut Applier) -> Option<Stop> {
        loop {
            let batch = match self.made.try_recv() {
                Ok(batch) => Some(batch),
                Err(_) => {
                    // A question that is still open is question enough.
                    let _open = self.ask.try_send(());
                    self.made.recv().await
                }
            };
            if let Err(stop) = applier.apply(batch?).await {
                return Some(stop);
            }
        }
    }

    /// How reading ended.
    ///
    /// # Errors
    /// When it did not end by itself.
    pub(crate) async fn ended(mut self) -> anyhow::Result<()> {
        match self.reading.join_next().await {
            Some(Ok(outcome)) => outcome.context("read the stream"),
            Some(Err(panic)) => Err(panic).context("read the stream"),
            None => Ok(()),
        }
    }
}
