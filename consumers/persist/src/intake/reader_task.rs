use std::sync::Arc;

use anyhow::Context as _;
use tokio::{sync::mpsc, task::JoinSet};

use super::{batch::Batch, input::Input, read_loop::ReadLoop};
use crate::{
    config::{Config, StreamSource},
    metrics::Metrics,
    status::Status,
};

/// Background reader and decoder of one stream; aborted on drop.
#[derive(Debug)]
pub(crate) struct ReaderTask {
    requests: mpsc::Sender<()>,
    batches: mpsc::Receiver<Batch>,
    task: JoinSet<anyhow::Result<()>>,
}

impl ReaderTask {
    /// Starts reading; `revision` is the highest block revision assigned so far.
    pub(crate) fn start(
        source: &StreamSource,
        input: Input,
        config: &Config,
        metrics: &Metrics,
        status: &Arc<Status>,
        revision: i64,
    ) -> Self {
        let (request_sender, requests) = mpsc::channel(1);
        let (batch_sender, batches) = mpsc::channel(1);
        let channels = (batch_sender, requests);
        let read_loop = ReadLoop::new(source, input, config, metrics, status, revision, channels);
        let mut task = JoinSet::new();
        task.spawn(read_loop.run());
        Self { requests: request_sender, batches, task }
    }

    /// The next batch: what has arrived by now, or what arrives next. `None` when reading has ended. Cancel-safe.
    pub(crate) async fn next_batch(&mut self) -> Option<Batch> {
        if let Ok(batch) = self.batches.try_recv() {
            return Some(batch);
        }
        // A pending request is enough.
        let _pending = self.requests.try_send(());
        self.batches.recv().await
    }

    /// How reading ended.
    ///
    /// # Errors
    /// When reading failed or panicked.
    pub(crate) async fn ended(mut self) -> anyhow::Result<()> {
        match self.task.join_next().await {
            Some(Ok(outcome)) => outcome.context("read the stream"),
            Some(Err(panic)) => Err(panic).context("read the stream"),
            None => Ok(()),
        }
    }
}
