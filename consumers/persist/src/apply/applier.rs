use std::{sync::Arc, time::Duration};

use crypto_intel_service::{Backoff, now_us};
use crypto_intel_store::{Advance, ErrorClass, RowSet, Store, StoreError, StreamPosition, Table};

use super::{
    dead_letters::DeadLetters,
    plan::Plan,
    refused_rows::find_refused,
    write::{WriteError, Written, new_blocks, write},
};
use crate::{
    intake::{batch::Batch, reader_task::ReaderTask},
    metrics::Metrics,
    status::Status,
};

/// A transaction that takes longer is stuck on a dead network: its connection is dropped.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(180);
/// Delay of retries while the database or its configuration has to be corrected.
const PROCESS_ERROR_DELAY: Duration = Duration::from_secs(10);

/// Another instance has moved the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FenceLost;

/// Stores the batches of one stream one after the other. Failures are retried in place, without limit.
#[derive(Debug)]
pub(crate) struct Applier {
    pub(crate) stream: String,
    /// Name of the position that moves with the rows: the stream's own, or that of a replay.
    pub(crate) position_name: String,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) status: Arc<Status>,
    pub(crate) dead_letters: DeadLetters,
    /// Where the position is.
    pub(crate) position: StreamPosition,
    /// Whether the last batch met existing rows.
    pub(crate) merging: bool,
}

impl Applier {
    /// Stores the batches of a reader until reading ends. Cancel-safe: a transaction is committed or rolled back as a whole.
    pub(crate) async fn run(&mut self, reader: &mut ReaderTask) -> Result<(), FenceLost> {
        while let Some(batch) = reader.next_batch().await {
            self.apply(batch).await?;
        }
        Ok(())
    }

    async fn apply(&mut self, mut batch: Batch) -> Result<(), FenceLost> {
        let poison = std::mem::take(&mut batch.poison);
        self.dead_letters.write(&batch.messages, &poison).await;
        let mut delays = Backoff::default().delays();
        let mut merge = self.merging;
        loop {
            let timer =
                self.metrics.commit_seconds.with_label_values(&[&self.stream]).start_timer();
            let mut error = match self.attempt(&batch, merge).await {
                Ok(written) => {
                    timer.observe_duration();
                    self.applied(&batch, &written);
                    drop_in_background(batch);
                    return Ok(());
                }
                Err(error) => error,
            };
            timer.stop_and_discard();
            if let StoreError::FenceLost { current, .. } = &error.error {
                // Our own commit succeeded, but the response was lost.
                if is_at(*current, batch.end) {
                    self.applied(&batch, &Written::default());
                    return Ok(());
                }
                tracing::warn!(stream = self.stream, error = %error.error, "position was moved by another instance");
                self.metrics.fence_lost.with_label_values(&[&self.stream]).inc();
                return Err(FenceLost);
            }
            let delay = match (error.error.class(), error.table) {
                // A key of `blocks` that appeared after the lookup needs another lookup, not a merge.
                (ErrorClass::Conflict, Some(table)) if table != Table::Blocks && !merge => {
                    merge = true;
                    continue;
                }
                (ErrorClass::Row, Some(table)) => match self.isolate(&mut batch, table).await {
                    Ok(0) => delays.next(),
                    Ok(_) => continue,
                    Err(failure) => {
                        error.error = failure;
                        delays.next()
                    }
                },
                (ErrorClass::Process, _) => Some(PROCESS_ERROR_DELAY),
                _ => delays.next(),
            };
            self.wait(&error.error, delay.unwrap_or(PROCESS_ERROR_DELAY)).await;
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
        self.merging = written.met_existing_rows(offered);
        let labels: &[&str] = &[&self.stream];
        self.metrics.applied.with_label_values(labels).inc_by(batch.messages.len() as u64);
        self.metrics.left_out.with_label_values(labels).inc_by(batch.left_out);
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

    /// Reports a failure and waits before the next attempt.
    async fn wait(&self, error: &StoreError, delay: Duration) {
        self.metrics.retries.with_label_values(&[&self.stream]).inc();
        let (hint, delay_ms) = (error.hint(), delay.as_millis() as u64);
        if error.class() == ErrorClass::Process {
            tracing::error!(stream = self.stream, %error, hint, delay_ms, "cannot store until the database or its configuration is corrected");
        } else {
            tracing::warn!(stream = self.stream, %error, hint, delay_ms, "cannot store, trying again");
        }
        self.status.failed(format!("cannot store: {error}; {hint}"));
        tokio::time::sleep(delay).await;
    }

    /// Dead-letters the messages whose rows the table refuses and removes these rows; returns how many.
    async fn isolate(&self, batch: &mut Batch, table: Table) -> Result<usize, StoreError> {
        let blocks;
        let rows = if table == Table::Blocks {
            blocks = every_block(batch);
            blocks.table(table)
        } else {
            batch.rows.table(table)
        };
        let refused = find_refused(&self.store, table, rows).await?;
        self.dead_letters.write(&batch.messages, &refused).await;
        for row in &refused {
            batch.remove(table, row.message);
        }
        Ok(refused.len())
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

/// Freeing a batch takes a millisecond, for which the database would wait.
fn drop_in_background(batch: Batch) {
    tokio::spawn(async move { drop(batch) });
}
