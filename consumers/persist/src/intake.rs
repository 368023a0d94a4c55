use std::{sync::Arc, time::Duration};

use anyhow::bail;
use crypto_intel_nats::{Notice, RangeReader, ReadBatch, ReaderError, StreamReader};
use crypto_intel_schemas::Event;
use tokio::sync::mpsc;

use crate::{
    Config, StreamSource,
    assemble::{Assembler, Item},
    batch::Batch,
    metrics::Metrics,
    status::Status,
};

/// Messages decoded at a stretch, so that the runtime's other tasks are not kept waiting.
const READ_CHUNK: usize = 500;

/// Where messages come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// A stream, for ever.
    Live(StreamReader),
    /// A range of it, which ends.
    Range(RangeReader, Rest),
}

/// What becomes of half a block, or of a reorg without its first new block, at the end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It is stored as far as it came, with all that is behind it.
    Stored,
    /// It is left to who reads on.
    Left,
}

impl Input {
    /// The next messages; `None` at the end of a range. Cancel-safe.
    async fn next(&mut self) -> Result<Option<ReadBatch>, ReaderError> {
        match self {
            Self::Live(reader) => reader.next(READ_CHUNK).await.map(Some),
            Self::Range(reader, _) => reader.next(READ_CHUNK).await,
        }
    }

    fn pending(&self) -> u64 {
        match self {
            Self::Live(reader) => reader.pending(),
            Self::Range(reader, _) => reader.pending(),
        }
    }
}

/// Reads, decodes and assembles one stream while its last batch is being committed.
///
/// There is no timer: whoever commits asks for a batch and gets what has arrived by then. Only a full batch is made
/// ahead of the question.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) source: StreamSource,
    pub(crate) input: Input,
    pub(crate) metrics: Metrics,
    pub(crate) status: Arc<Status>,
    /// Highest block revision given out so far.
    pub(crate) revision: i64,
    pub(crate) batches: mpsc::Sender<Batch>,
    pub(crate) asks: mpsc::Receiver<()>,
    assembler: Assembler,
    wanted: bool,
    has_ended: bool,
}

impl Intake {
    pub(crate) fn new(
        source: &StreamSource,
        input: Input,
        config: &Config,
        metrics: &Metrics,
        status: &Arc<Status>,
        revision: i64,
        (batches, asks): (mpsc::Sender<Batch>, mpsc::Receiver<()>),
    ) -> Self {
        let patience = Duration::from_millis(config.patience_ms);
        Self {
            source: source.clone(),
            input,
            metrics: metrics.clone(),
            status: Arc::clone(status),
            revision,
            batches,
            asks,
            assembler: Assembler::new(config.max_batch_events, patience),
            wanted: false,
            has_ended: false,
        }
    }

    /// Runs until nobody asks any more, or to the end of its range.
    ///
    /// # Errors
    /// When the stream can never be read again, which is when the client was closed; of a range also when the stream was
    /// made anew.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let batches = self.batches.clone();
        loop {
            if self.has_ended && !self.has_more() {
                return Ok(());
            }
            let is_wanted = self.wanted || self.assembler.is_full();
            let may_send = is_wanted && (self.assembler.is_ready() || self.has_ended);
            let waits = may_send && self.assembler.is_full();
            let may_read = !waits && !self.assembler.is_overfull() && !self.has_ended;
            let deadline = self.assembler.deadline().map(tokio::time::Instant::from_std);
            tokio::select! {
                biased;
                ask = self.asks.recv() => match ask {
                    Some(()) => self.wanted = true,
                    None => return Ok(()),
                },
                permit = batches.reserve(), if may_send => {
                    let Ok(permit) = permit else { return Ok(()) };
                    permit.send(self.next_batch());
                    self.wanted = false;
                    give_way().await;
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

    /// Whether something is held that is to be stored.
    fn has_more(&self) -> bool {
        match self.input {
            Input::Range(_, Rest::Left) => self.assembler.can_be_cut(),
            _ => !self.assembler.is_empty(),
        }
    }

    /// As many whole blocks as fit; at the end of a range also what it cuts off.
    fn next_batch(&mut self) -> Batch {
        let mut items = self.assembler.take();
        if items.is_empty() {
            items = self.assembler.take_all();
        }
        self.batch(items)
    }

    fn batch(&mut self, items: Vec<Item>) -> Batch {
        let batch = Batch::new(items, self.revision);
        self.revision = batch.end.revision;
        batch
    }

    /// Takes in what was read; `false` when nobody asks any more.
    async fn take(&mut self, read: ReadBatch) -> anyhow::Result<bool> {
        for notice in read.notices {
            if !self.heed(notice).await? {
                return Ok(false);
            }
        }
        self.status.received(&read.messages, self.input.pending());
        for message in read.messages {
            let event = Event::decode(&message.payload);
            let event = event.map(Box::new).map_err(|error| describe(&error));
            self.assembler.push(Item { message, event });
        }
        give_way().await;
        Ok(true)
    }

    async fn heed(&mut self, notice: Notice) -> anyhow::Result<bool> {
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
            Notice::StreamReset { .. } if matches!(self.input, Input::Range(..)) => {
                bail!(
                    "stream {stream} was made anew or restored meanwhile: its sequences mean other messages now"
                )
            }
            Notice::StreamReset { was, first_sequence } => {
                self.metrics.stream_resets.with_label_values(&[stream]).inc();
                tracing::error!(
                    stream,
                    position = was.sequence,
                    first_sequence,
                    hint = self.hint(),
                    "stream was made anew or restored: reading it from its first message, known rows are absorbed"
                );
                // What is held is of the old stream and comes before.
                if !self.assembler.is_empty() {
                    let items = self.assembler.take_all();
                    let batch = self.batch(items);
                    if self.batches.send(batch).await.is_err() {
                        return Ok(false);
                    }
                }
                // The new stream tells its blocks' story from the beginning.
                self.revision = 0;
                Ok(true)
            }
        }
    }

    /// The command that brings back what a stream lost.
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

/// Whom this task woke is next on its thread, and nobody else may take it from there: while this one decodes or encodes
/// thousands of events, the other would wait, and the database with it.
async fn give_way() {
    tokio::task::yield_now().await;
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
