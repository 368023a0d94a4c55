use crypto_intel_store::{Advance, BatchTransaction, RowSet, Store, StoreError, Table};

use crate::{batch::Batch, plan::Plan};

/// What a committed transaction did.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// New rows by table.
    pub(crate) rows: Vec<(Table, u64)>,
    /// Whether it went through staging tables.
    pub(crate) merged: bool,
    /// Blocks whose rows went or did not come in.
    pub(crate) dropped_blocks: u64,
    /// When the heads of the new canonical blocks were first seen, microseconds.
    pub(crate) heads_seen_at_us: Vec<i64>,
}

impl Written {
    /// Whether staging absorbed rows that were there: the next batch is likely to meet some, too.
    pub(crate) fn absorbed(&self, offered: u64) -> bool {
        self.merged && self.rows.iter().map(|(_, rows)| rows).sum::<u64>() < offered
    }
}

/// Why a transaction was not committed, or is not known to be.
#[derive(Debug)]
pub(crate) struct WriteError {
    /// The table whose rows were being written.
    pub(crate) table: Option<Table>,
    pub(crate) error: StoreError,
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self { table: None, error }
    }
}

/// Stores a batch and moves the position, in one transaction.
pub(crate) async fn write(
    store: &Store,
    advance: Advance<'_>,
    batch: &Batch,
    merge: bool,
) -> Result<Written, WriteError> {
    let (transaction, known) = store.begin(advance, &batch.heights()).await?;
    let plan = Plan::new(&batch.blocks, &known);
    transaction.demote_blocks(&plan.demote).await?;
    transaction.delete_rows(&plan.delete).await?;
    let gone: Vec<(&str, i64)> =
        plan.delete.iter().map(|(chain, _, time_us)| (*chain, *time_us)).collect();
    transaction.forget_sights(&gone).await?;
    let merge = merge || plan.may_conflict;
    let mut written = Written { merged: merge, ..Written::default() };
    for table in Table::ALL {
        let rows = batch.rows.table(table);
        let (body, count) = rows.copy_body(|row| {
            // Rows of no block have a number beyond all blocks.
            !plan.rejected.get(row.block as usize).copied().unwrap_or(false)
        });
        if count == 0 {
            continue;
        }
        let stored = if merge {
            transaction.merge(table, body).await
        } else {
            transaction.copy(table, body).await
        };
        let rows = stored.map_err(|error| WriteError { table: Some(table), error })?;
        written.rows.push((table, rows));
    }
    transaction.see(&batch.sights(&plan.rejected)).await?;
    write_blocks(&transaction, batch, &plan, &mut written).await?;
    transaction.commit().await?;
    Ok(written)
}

/// The blocks themselves come last, so that their `stored_at` is close to the commit.
async fn write_blocks(
    transaction: &BatchTransaction,
    batch: &Batch,
    plan: &Plan<'_>,
    written: &mut Written,
) -> Result<(), WriteError> {
    let marker = |index: usize| batch.blocks[index].marker.as_ref();
    for (index, canonical) in &plan.update {
        if let Some(marker) = marker(*index) {
            transaction.update_block(&marker.block, marker.revision, *canonical).await?;
        }
    }
    let fresh = new_blocks(batch, plan);
    let rows = fresh.table(Table::Blocks);
    if !rows.is_empty() {
        let copied = transaction.copy(Table::Blocks, rows.copy_body(|_| true).0).await;
        let count = copied.map_err(|error| WriteError { table: Some(Table::Blocks), error })?;
        written.rows.push((Table::Blocks, count));
    }
    written.dropped_blocks = plan.delete.len() as u64;
    written.heads_seen_at_us = plan
        .insert
        .iter()
        .filter(|(_, canonical)| *canonical)
        .filter_map(|(index, _)| marker(*index).map(|marker| marker.block.observed_at_us))
        .collect();
    Ok(())
}

/// The rows of blocks that the database does not know yet.
pub(crate) fn new_blocks(batch: &Batch, plan: &Plan<'_>) -> RowSet {
    let mut rows = RowSet::default();
    for (index, canonical) in &plan.insert {
        if let Some(marker) = &batch.blocks[*index].marker {
            // Whether it fits was found out when the batch was made.
            let fits = rows.add_block(&marker.block, marker.revision, *canonical, marker.message);
            debug_assert!(fits.is_ok(), "{fits:?}");
        }
    }
    rows.sort_and_reduce();
    rows
}
