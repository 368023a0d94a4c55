use std::{ops::Range, sync::Arc, time::Duration};

use crypto_intel_nats::{Nats, dead_letter};
use crypto_intel_service::{Backoff, Retryable, now_us};
use crypto_intel_store::{
    Advance, ErrorClass, RowSet, Store, StoreError, StreamPosition, Table, TableRows,
};
use tokio_util::sync::CancellationToken;

use crate::{
    batch::{Batch, Poison},
    metrics::Metrics,
    plan::Plan,
    status::Status,
    write::{WriteError, Written, new_blocks, write},
};

/// Name of this consumer in dead-letter subjects.
const CONSUMER: &str = "persist";
/// A transaction that takes longer hangs on a dead network: its connection is dropped.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(180);
/// Until somebody has mended the database or its configuration, there is no use in hurrying.
const MEND_INTERVAL: Duration = Duration::from_secs(10);

/// Why applying ended without having applied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Another instance has moved the position.
    FenceLost,
    /// The process is told to stop.
    Shutdown,
}

/// Stores batches one after the other; what fails is tried again in place, for ever.
#[derive(Debug)]
pub(crate) struct Applier {
    pub(crate) stream: String,
    /// Name of the position that moves with the rows: the stream's own, or that of a replay.
    pub(crate) position_name: String,
    pub(crate) nats: Nats,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) status: Arc<Status>,
    pub(crate) shutdown: CancellationToken,
    /// Where the stream's position is.
    pub(crate) position: StreamPosition,
    /// Whether the last batch met rows that were there.
    pub(crate) merging: bool,
}

impl Applier {
    /// Stores a batch. Cancel-safe: a transaction is whole or undone.
    pub(crate) async fn apply(&mut self, mut batch: Batch) -> Result<(), Stop> {
        let poison = std::mem::take(&mut batch.poison);
        self.bury(&batch, &poison).await?;
        let mut delays = Backoff::default().delays();
        let mut merge = self.merging;
        loop {
            let timer =
                self.metrics.commit_seconds.with_label_values(&[&self.stream]).start_timer();
            let mut error = match self.attempt(&batch, merge).await {
                Ok(written) => {
                    timer.observe_duration();
                    self.applied(&batch, &written);
                    free(batch);
                    return Ok(());
                }
                Err(error) => error,
            };
            timer.stop_and_discard();
            if let StoreError::FenceLost { current, .. } = &error.error {
                // The answer to our own commit was lost on the way.
                if is_at(*current, batch.end) {
                    self.applied(&batch, &Written::default());
                    return Ok(());
                }
                tracing::warn!(stream = self.stream, error = %error.error, "position was moved by another instance");
                self.metrics.fence_lost.with_label_values(&[&self.stream]).inc();
                return Err(Stop::FenceLost);
            }
            let delay = match (error.error.class(), error.table) {
                // Between our look and our insert nobody else may write blocks: look again.
                (ErrorClass::Conflict, Some(table)) if table != Table::Blocks && !merge => {
                    merge = true;
                    continue;
                }
                (ErrorClass::Row, Some(table)) => match self.separate(&mut batch, table).await {
                    Ok(0) => delays.next(),
                    Ok(_) => continue,
                    Err(Trouble::Stop(stop)) => return Err(stop),
                    Err(Trouble::Store(found)) => {
                        error.error = found;
                        delays.next()
                    }
                },
                (ErrorClass::Process, _) => Some(MEND_INTERVAL),
                _ => delays.next(),
            };
            self.wait(&error, delay.unwrap_or(MEND_INTERVAL)).await?;
        }
    }

    async fn attempt(&self, batch: &Batch, merge: bool) -> Result<Written, WriteError> {
        let advance = Advance { stream: &self.position_name, from: self.position, to: batch.end };
        let writing = write(&self.store, advance, batch, merge);
        match tokio::time::timeout(TRANSACTION_TIMEOUT, writing).await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Hung { seconds: TRANSACTION_TIMEOUT.as_secs() }.into()),
        }
    }

    fn applied(&mut self, batch: &Batch, written: &Written) {
        self.position = batch.end;
        let offered = batch.rows.len() as u64;
        self.merging = written.absorbed(offered);
        let labels: &[&str] = &[&self.stream];
        self.metrics.applied.with_label_values(labels).inc_by(batch.messages.len() as u64);
        self.metrics.batches.with_label_values(labels).inc();
        if written.merged {
            self.metrics.merged.with_label_values(labels).inc();
        }
        self.metrics.dropped_blocks.with_label_values(labels).inc_by(written.dropped_blocks);
        for (table, rows) in &written.rows {
            self.metrics.rows.with_label_values(&[table.name()]).inc_by(*rows);
        }
        let now = now_us();
        for seen_at_us in &written.heads_seen_at_us {
            self.metrics.head_to_row_seconds.observe((now - seen_at_us) as f64 / 1e6);
        }
        self.status.applied(batch.messages.len() as u64, batch.end);
    }

    /// Says what failed and waits before it is tried again.
    async fn wait(&self, error: &WriteError, delay: Duration) -> Result<(), Stop> {
        let error = &error.error;
        self.metrics.retries.with_label_values(&[&self.stream]).inc();
        let delay_ms = delay.as_millis() as u64;
        if error.class() == ErrorClass::Process {
            tracing::error!(stream = self.stream, %error, hint = error.hint(), delay_ms, "cannot store, somebody must mend it");
        } else {
            tracing::warn!(stream = self.stream, %error, hint = error.hint(), delay_ms, "cannot store, trying again");
        }
        self.status.failed(format!("cannot store: {error}; {}", error.hint()));
        tokio::select! {
            () = self.shutdown.cancelled() => Err(Stop::Shutdown),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }

    /// Finds the rows that the table refuses, dead-letters their messages and takes them out; returns how many.
    async fn separate(&self, batch: &mut Batch, table: Table) -> Result<usize, Trouble> {
        let blocks;
        let rows = if table == Table::Blocks {
            blocks = every_block(batch);
            blocks.table(table)
        } else {
            batch.rows.table(table)
        };
        let poison = self.find_poison(table, rows).await?;
        self.bury(batch, &poison).await?;
        for row in &poison {
            batch.remove(table, row.message);
        }
        Ok(poison.len())
    }

    /// Bisects: about 2 × log2(rows) small transactions per row that is refused, each undone.
    async fn find_poison(&self, table: Table, rows: &TableRows) -> Result<Vec<Poison>, Trouble> {
        let mut poison = Vec::new();
        let mut suspects: Vec<Range<usize>> = std::iter::once(0..rows.len()).collect();
        while let Some(suspect) = suspects.pop() {
            if suspect.is_empty() {
                continue;
            }
            let mut index = 0;
            let (body, _) = rows.copy_body(|_| {
                index += 1;
                suspect.contains(&(index - 1))
            });
            match self.store.try_rows(table, body).await {
                Ok(()) => {}
                Err(error) if error.class() != ErrorClass::Row => {
                    return Err(Trouble::Store(error));
                }
                Err(error) if suspect.len() == 1 => {
                    let message = rows.rows()[suspect.start].message;
                    poison.push(Poison { message, error: error.to_string() });
                }
                Err(_) => {
                    let middle = suspect.start + suspect.len() / 2;
                    suspects.push(middle..suspect.end);
                    suspects.push(suspect.start..middle);
                }
            }
        }
        Ok(poison)
    }

    /// Puts messages into the dead-letter stream. Done before the position moves: twice is once there.
    async fn bury(&self, batch: &Batch, poison: &[Poison]) -> Result<(), Stop> {
        for Poison { message, error } in poison {
            let message = &batch.messages[*message as usize];
            tracing::error!(
                stream = self.stream,
                subject = message.subject,
                sequence = message.sequence,
                error,
                hint = "see `crypto-intel dlq show`",
                "message can never be stored and goes to the dead letters"
            );
            let mut delays = Backoff::default().delays();
            while let Err(failure) =
                dead_letter(&self.nats, CONSUMER, &self.stream, message, error).await
            {
                let delay =
                    failure.retry_after().or_else(|| delays.next()).unwrap_or(MEND_INTERVAL);
                let delay_ms = delay.as_millis() as u64;
                tracing::warn!(stream = self.stream, error = %failure, delay_ms, "cannot write a dead letter, trying again");
                self.status.failed(format!("cannot write a dead letter: {failure}"));
                tokio::select! {
                    () = self.shutdown.cancelled() => return Err(Stop::Shutdown),
                    () = tokio::time::sleep(delay) => {}
                }
            }
            self.metrics.dead_lettered.with_label_values(&[&self.stream]).inc();
        }
        Ok(())
    }
}

/// Why separating ended early.
enum Trouble {
    Store(StoreError),
    Stop(Stop),
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// Rows of all blocks of a batch, as if none were known.
fn every_block(batch: &Batch) -> RowSet {
    let insert = (0..batch.blocks.len()).map(|index| (index, false)).collect();
    new_blocks(batch, &Plan { insert, ..Plan::default() })
}

fn is_at(current: StreamPosition, end: StreamPosition) -> bool {
    current.sequence == end.sequence && current.stored_at_us == end.stored_at_us
}

/// Frees what was stored beside what is stored next: a millisecond in which the database would wait.
fn free(batch: Batch) {
    tokio::spawn(async move { drop(batch) });
}

/// The error with what a human does about it.
pub(crate) fn with_mend(error: StoreError) -> anyhow::Error {
    let hint = error.hint();
    anyhow::Error::new(error).context(hint)
}
