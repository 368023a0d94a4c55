use std::{sync::Arc, time::Duration};

use anyhow::bail;
use crypto_intel_nats::{Notice, ReadBatch};
use crypto_intel_schemas::Event;
use crypto_intel_service::error_chain;
use tokio::sync::mpsc;

use super::{
    assembler::{Assembler, Item},
    batch::Batch,
    input::Input,
};
use crate::{
    config::{Config, NotStored, StreamSource},
    metrics::Metrics,
    status::Status,
};

/// Reads, decodes and assembles one stream while its last batch is being committed.
///
/// There is no timer: the writer requests a batch and gets what has arrived by then. Only a full batch is built before it is
/// requested.
#[derive(Debug)]
pub(super) struct ReadLoop {
    source: StreamSource,
    input: Input,
    metrics: Metrics,
    status: Arc<Status>,
    /// Highest block revision assigned so far.
    revision: i64,
    batches: mpsc::Sender<Batch>,
    requests: mpsc::Receiver<()>,
    assembler: Assembler,
    not_stored: NotStored,
    is_requested: bool,
    has_ended: bool,
}

impl ReadLoop {
    pub(super) fn new(
        source: &StreamSource,
        input: Input,
        config: &Config,
        metrics: &Metrics,
        status: &Arc<Status>,
        revision: i64,
        (batches, requests): (mpsc::Sender<Batch>, mpsc::Receiver<()>),
    ) -> Self {
        let patience = Duration::from_millis(config.patience_ms);
        Self {
            source: source.clone(),
            input,
            metrics: metrics.clone(),
            status: Arc::clone(status),
            revision,
            batches,
            requests,
            assembler: Assembler::new(config.max_batch_events, patience),
            not_stored: NotStored::of(config),
            is_requested: false,
            has_ended: false,
        }
    }

    /// Runs until the receiver of the batches is dropped, or to the end of a range.
    ///
    /// # Errors
    /// When the stream cannot be read again because the client was closed, or when the stream of a range was recreated.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let batches = self.batches.clone();
        loop {
            if self.has_ended && !self.has_more() {
                return Ok(());
            }
            let is_wanted = self.is_requested || self.assembler.is_full();
            let may_send = is_wanted && (self.assembler.is_ready() || self.has_ended);
            let waits = may_send && self.assembler.is_full();
            let may_read = !waits && !self.assembler.is_overfull() && !self.has_ended;
            let deadline = self.assembler.deadline().map(tokio::time::Instant::from_std);
            tokio::select! {
                biased;
                request = self.requests.recv() => match request {
                    Some(()) => self.is_requested = true,
                    None => return Ok(()),
                },
                permit = batches.reserve(), if may_send => {
                    let Ok(permit) = permit else { return Ok(()) };
                    permit.send(self.next_batch());
                    self.is_requested = false;
                    yield_to_woken_task().await;
                }
                read = self.input.next(), if may_read => match read? {
                    Some(read) => if !self.take(read).await? {
                        return Ok(());
                    },
                    None => self.has_ended = true,
                },
                () = sleep_until(deadline), if !self.assembler.is_ready() => {}
            }
        }
    }

    /// Whether held messages still have to be stored.
    fn has_more(&self) -> bool {
        if self.input.leaves_tail() {
            self.assembler.can_be_cut()
        } else {
            !self.assembler.is_empty()
        }
    }

    /// As many whole blocks as fit; at the end of a range also a block that the range cuts off.
    fn next_batch(&mut self) -> Batch {
        let mut items = self.assembler.take();
        if items.is_empty() {
            items = self.assembler.take_all();
        }
        self.batch(items)
    }

    fn batch(&mut self, items: Vec<Item>) -> Batch {
        let batch = Batch::new(items, self.revision, &self.not_stored);
        self.revision = batch.end.revision;
        batch
    }

    /// Decodes and holds what was read; `false` when the receiver of the batches is dropped.
    async fn take(&mut self, read: ReadBatch) -> anyhow::Result<bool> {
        for notice in read.notices {
            if !self.handle_notice(notice).await? {
                return Ok(false);
            }
        }
        self.status.received(&read.messages, self.input.pending());
        for message in read.messages {
            let event = Event::decode(&message.payload);
            let event = event.map(Box::new).map_err(|error| error_chain(&error));
            self.assembler.push(Item { message, event });
        }
        yield_to_woken_task().await;
        Ok(true)
    }

    async fn handle_notice(&mut self, notice: Notice) -> anyhow::Result<bool> {
        let stream = &self.source.stream;
        match notice {
            Notice::LostRange { from, to } => {
                self.metrics.lost_ranges.with_label_values(&[stream]).inc();
                tracing::error!(
                    stream,
                    from,
                    to,
                    hint = self.hint(),
                    "messages left the stream before they were stored"
                );
                Ok(true)
            }
            Notice::StreamReset { .. } if self.input.is_range() => {
                bail!(
                    "stream {stream} was recreated or restored meanwhile: its sequences mean other messages now"
                )
            }
            Notice::StreamReset { was, first_sequence } => {
                self.metrics.stream_resets.with_label_values(&[stream]).inc();
                tracing::error!(
                    stream,
                    position = was.sequence,
                    first_sequence,
                    hint = self.hint(),
                    "stream was recreated or restored: rereading from its first message, existing rows are skipped"
                );
                // Held messages belong to the old stream: they go into a batch of their own.
                if !self.assembler.is_empty() {
                    let items = self.assembler.take_all();
                    let batch = self.batch(items);
                    if self.batches.send(batch).await.is_err() {
                        return Ok(false);
                    }
                }
                // The new stream has the markers of its blocks from the beginning.
                self.revision = 0;
                Ok(true)
            }
        }
    }

    /// How to get back messages that a stream lost.
    fn hint(&self) -> &'static str {
        let of_chains = self
            .source
            .filters
            .iter()
            .any(|filter| filter.starts_with("evm.") || filter.starts_with("history."));
        if of_chains {
            "run `crypto-intel audit CHAIN` for each chain: it finds and fetches missing blocks"
        } else {
            "polled and alerting messages cannot be fetched again: raise the stream's max_age or max_bytes"
        }
    }
}

/// A task that this one has just woken runs next on the same thread, and no other thread steals it. Without yielding, it and
/// the database would wait while this task decodes or encodes thousands of events.
async fn yield_to_woken_task() {
    tokio::task::yield_now().await;
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
