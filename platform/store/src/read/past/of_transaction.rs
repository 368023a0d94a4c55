//! What a transaction did beside its transfers.

use crypto_intel_schemas::{B256, Block, Event};

use super::{
    body::{body_of, select_list},
    kinds::event_of,
};
use crate::{
    error::StoreError,
    pool::store::Store,
    sql_values::{Timestamp, height},
    tables::{Table, common::block_tag},
};

/// Rows of a table that one transaction may have here.
const MAX_ROWS: i64 = 5_000;
/// Tables whose rows are read as transfers.
const TRANSFERS: [Table; 3] =
    [Table::TokenTransfers, Table::NativeTransfers, Table::InternalTransfers];

impl Store {
    /// Every stored event of a transaction that is no transfer: itself, contracts, swaps, liquidity, approvals, decoded events and
    /// others' logs, table by table. A height may have had several blocks: those that are on the chain have rows.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn events_of(
        &self,
        chain: &str,
        tx_hash: B256,
        block_number: u64,
    ) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        for block in self.markers(chain, block_number).await? {
            for table in Table::ALL.into_iter().filter(|table| names_transactions(*table)) {
                self.rows_of(table, tx_hash, &block, &mut events).await?;
            }
        }
        Ok(events)
    }

    async fn markers(&self, chain: &str, block_number: u64) -> Result<Vec<Block>, StoreError> {
        let sql = format!(
            "SELECT {} FROM blocks AS t WHERE t.chain = $1 AND t.block_number = $2",
            select_list(Table::Blocks)
        );
        let rows = self.ask("read a block", &sql, &[&chain, &height(block_number)]).await?;
        let mut blocks = Vec::new();
        for row in &rows {
            let body = body_of(Table::Blocks, row).map_err(StoreError::sql("read a block"))?;
            if let Ok(Event::Block(block)) = event_of(Table::Blocks, body, None) {
                blocks.push(block);
            }
        }
        Ok(blocks)
    }

    async fn rows_of(
        &self,
        table: Table,
        tx_hash: B256,
        block: &Block,
        events: &mut Vec<Event>,
    ) -> Result<(), StoreError> {
        let doing = "read the events of a transaction";
        let sql = format!(
            "SELECT {} FROM {table} AS t WHERE t.block_time = $1 AND t.block_number = $2 AND t.block_tag = $3 AND t.chain = $4 \
             AND t.tx_hash = $5 LIMIT {MAX_ROWS}",
            select_list(table)
        );
        let (time, number) = (Timestamp(block.block_time_us), height(block.block_number));
        let tag = block_tag(&block.block_hash);
        let rows =
            self.ask(doing, &sql, &[&time, &number, &tag, &block.chain, &tx_hash.to_vec()]).await?;
        for row in &rows {
            let body = body_of(table, row).map_err(StoreError::sql(doing))?;
            match event_of(table, body, Some(block)) {
                Ok(event) => events.push(event),
                Err(error) => {
                    tracing::warn!(%table, %error, "a row of a transaction is no event of this version");
                }
            }
        }
        Ok(())
    }
}

fn names_transactions(table: Table) -> bool {
    table.spec().of_block
        && !TRANSFERS.contains(&table)
        && table.columns().iter().any(|column| column.name == "tx_hash")
}
