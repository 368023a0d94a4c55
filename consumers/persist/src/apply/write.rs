use crypto_intel_store::{
    Advance, BatchTransaction, Row, RowSet, Store, StoreError, Table, TableRows,
};

use super::plan::Plan;
use crate::intake::batch::Batch;

/// What a committed transaction did.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// New rows by table.
    pub(super) rows: Vec<(Table, u64)>,
    /// Whether it went through staging tables.
    pub(super) merged: bool,
    /// Blocks whose rows were deleted or left out.
    pub(super) dropped_blocks: u64,
    /// When the heads of the new canonical blocks were first seen, microseconds.
    pub(super) heads_seen_at_us: Vec<i64>,
}

impl Written {
    /// Whether staging skipped existing rows: the next batch is likely to meet some, too.
    pub(super) fn met_existing_rows(&self, offered: u64) -> bool {
        self.merged && self.rows.iter().map(|(_, rows)| rows).sum::<u64>() < offered
    }
}

/// A transaction was not committed, or it is unknown whether it was.
#[derive(Debug)]
pub(super) struct WriteError {
    /// The table whose rows were being written.
    pub(super) table: Option<Table>,
    pub(super) error: StoreError,
}

impl From<(Table, StoreError)> for WriteError {
    fn from((table, error): (Table, StoreError)) -> Self {
        Self { table: Some(table), error }
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self { table: None, error }
    }
}

/// Stores a batch and moves the position, in one transaction.
pub(super) async fn write(
    store: &Store,
    advance: Advance<'_>,
    batch: &Batch,
    merge: bool,
) -> Result<Written, WriteError> {
    let (transaction, known) = store.begin(advance, &batch.heights()).await?;
    let plan = Plan::new(&batch.blocks, &known);
    transaction.demote_blocks(&plan.demote).await?;
    transaction.delete_rows(&plan.delete).await?;
    let mut written = Written { merged: merge || plan.may_conflict, ..Written::default() };
    // Rows of no block have an index beyond all blocks.
    let keep = |row: &Row| !plan.rejected.get(row.block as usize).copied().unwrap_or(false);
    let tables = || Table::ALL.map(|table| (table, batch.rows.table(table))).into_iter();
    let fresh = new_blocks(batch, &plan);
    // Blocks come last, so that their `stored_at` is close to the commit.
    let blocks = (Table::Blocks, fresh.table(Table::Blocks));
    update_blocks(&transaction, batch, &plan).await?;
    if written.merged {
        written.rows = merge_all(&transaction, tables(), keep).await?;
        written.rows.extend(transaction.copy_all(&[blocks], keep).await?);
    } else {
        let parts: Vec<_> = tables().chain([blocks]).collect();
        written.rows = transaction.copy_all(&parts, keep).await?;
    }
    written.dropped_blocks = plan.delete.len() as u64;
    written.heads_seen_at_us = heads_seen_at_us(batch, &plan);
    transaction.commit().await?;
    Ok(written)
}

async fn merge_all<'a>(
    transaction: &BatchTransaction,
    tables: impl Iterator<Item = (Table, &'a TableRows)>,
    keep: impl Fn(&Row) -> bool,
) -> Result<Vec<(Table, u64)>, WriteError> {
    let mut merged = Vec::new();
    for (table, rows) in tables {
        let (body, count) = rows.copy_body(&keep);
        if count > 0 {
            let new = transaction.merge(table, body).await;
            merged.push((table, new.map_err(|error| (table, error))?));
        }
    }
    Ok(merged)
}

async fn update_blocks(
    transaction: &BatchTransaction,
    batch: &Batch,
    plan: &Plan<'_>,
) -> Result<(), StoreError> {
    for (index, canonical) in &plan.update {
        if let Some(marker) = &batch.blocks[*index].marker {
            transaction.update_block(&marker.block, marker.revision, *canonical).await?;
        }
    }
    Ok(())
}

fn heads_seen_at_us(batch: &Batch, plan: &Plan<'_>) -> Vec<i64> {
    let markers = plan.insert.iter().filter(|(_, canonical)| *canonical);
    markers
        .filter_map(|(index, _)| batch.blocks[*index].marker.as_ref())
        .map(|marker| marker.block.observed_at_us)
        .collect()
}

/// The rows of blocks that the database does not know yet.
pub(super) fn new_blocks(batch: &Batch, plan: &Plan<'_>) -> RowSet {
    let mut rows = RowSet::default();
    for (index, canonical) in &plan.insert {
        if let Some(marker) = &batch.blocks[*index].marker {
            // Checked when the batch was built.
            let fits = rows.add_block(&marker.block, marker.revision, *canonical, marker.message);
            debug_assert!(fits.is_ok(), "{fits:?}");
        }
    }
    rows.sort_and_reduce();
    rows
}
