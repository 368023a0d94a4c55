use bytes::Bytes;
use crypto_intel_schemas::{B256, Block};
use deadpool_postgres::Object;
use futures::future;
use tokio_postgres::types::ToSql;

use super::{
    block_lookup::{KnownBlock, known_blocks},
    terminate_idle_blockers::with_idle_blockers_terminated,
};
use crate::{
    error::StoreError,
    pool::store::Store,
    sql_values::{Timestamp, height},
    stream_position::StreamPosition,
    tables::{Table, common::block_tag},
};

/// A move of a stream's position.
#[derive(Debug, Clone, Copy)]
pub struct Advance<'a> {
    /// The stream.
    pub stream: &'a str,
    /// Where it must be.
    pub from: StreamPosition,
    /// Where it will be.
    pub to: StreamPosition,
}

/// A block whose rows are deleted, because it has left the chain or never got onto it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DroppedBlock<'a> {
    /// Chain slug.
    pub chain: &'a str,
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// The block's own time, microseconds since 1970.
    pub time_us: i64,
}

/// A transaction that has moved a position and holds the locks of its heights. Dropping it without
/// [`commit`](Self::commit) closes its connection, so that everything rolls back.
pub struct BatchTransaction {
    /// `Some` until the transaction ends.
    client: Option<Object>,
}

impl std::fmt::Debug for BatchTransaction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BatchTransaction").finish_non_exhaustive()
    }
}

impl Store {
    /// Begins a transaction that moves a position by compare-and-set, and reads all hashes that are known at `heights`.
    /// Streams that write the same heights of a chain wait for each other here.
    ///
    /// # Errors
    /// [`StoreError::FenceLost`] when the position is not at `from`; else when a statement fails.
    pub async fn begin(
        &self,
        advance: Advance<'_>,
        heights: &[(&str, u64)],
    ) -> Result<(BatchTransaction, Vec<KnownBlock>), StoreError> {
        let transaction = BatchTransaction { client: Some(self.client().await?) };
        let client = transaction.client()?;
        let move_position = client
            .prepare_cached(
                "UPDATE positions SET sequence = $4, stored_at_us = $5, revision = $6, \
                 updated_at = clock_timestamp() \
                 WHERE stream = $1 AND sequence = $2 AND stored_at_us = $3",
            )
            .await
            .map_err(StoreError::sql("prepare moving the position"))?;
        let Advance { stream, from, to } = advance;
        let (from_sequence, to_sequence) = (from.sequence_as_i64(), to.sequence_as_i64());
        let parameters: [&(dyn ToSql + Sync); 6] = [
            &stream,
            &from_sequence,
            &from.stored_at_us,
            &to_sequence,
            &to.stored_at_us,
            &to.revision,
        ];
        // Sent together, in this order: one round trip.
        let statements = async {
            futures::join!(
                client.batch_execute("BEGIN"),
                client.execute(&move_position, &parameters),
                known_blocks(client, self.schema(), heights),
            )
        };
        let (begun, moved, known) = with_idle_blockers_terminated(self, statements).await;
        begun.map_err(StoreError::sql("begin"))?;
        if moved.map_err(StoreError::sql("move the position"))? == 0 {
            let current = transaction.current_position(stream).await?;
            let stream = stream.to_owned();
            return Err(StoreError::FenceLost { stream, expected: from, current });
        }
        Ok((transaction, known?))
    }

    /// Begins a transaction that moves no position and has no time limit: it copies rows of other tables.
    pub(crate) async fn begin_snapshot(&self) -> Result<BatchTransaction, StoreError> {
        let transaction = BatchTransaction { client: Some(self.client().await?) };
        // One snapshot of the live tables. TimescaleDB excludes chunks only where a plan has constants.
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0; \
                     SET LOCAL plan_cache_mode = force_custom_plan";
        transaction.client()?.batch_execute(begin).await.map_err(StoreError::sql("begin"))?;
        Ok(transaction)
    }

    /// Whether these rows can be stored: merges them and rolls back.
    ///
    /// # Errors
    /// When they cannot be stored, see [`StoreError::class`].
    pub async fn try_rows(&self, table: Table, body: Bytes) -> Result<(), StoreError> {
        let transaction = BatchTransaction { client: Some(self.client().await?) };
        let client = transaction.client()?;
        client.batch_execute("BEGIN").await.map_err(StoreError::sql("begin"))?;
        transaction.merge(table, body).await?;
        transaction.rollback().await
    }
}

impl BatchTransaction {
    /// Deletes the rows of blocks from every table of block events; returns how many.
    ///
    /// # Errors
    /// When a statement fails; drop the transaction then.
    pub async fn delete_rows(&self, blocks: &[DroppedBlock<'_>]) -> Result<u64, StoreError> {
        if blocks.is_empty() {
            return Ok(0);
        }
        let client = self.client()?;
        // TimescaleDB excludes chunks and compressed batches only for constants, not in a generic plan.
        client
            .batch_execute("SET LOCAL plan_cache_mode = force_custom_plan")
            .await
            .map_err(StoreError::sql("choose custom plans"))?;
        let mut deleted = 0;
        for table in Table::OF_BLOCKS {
            let doing = || format!("delete rows of dropped blocks from {table}");
            let sql = format!(
                "DELETE FROM {table} WHERE block_time = $1 AND block_number = $2 AND block_tag = $3 AND chain = $4"
            );
            let statement = client
                .prepare_cached(&sql)
                .await
                .map_err(|cause| StoreError::Sql { doing: doing(), cause })?;
            let deletions = blocks.iter().map(|block| {
                let statement = &statement;
                async move {
                    let (time, tag) = (Timestamp(block.time_us), block_tag(&block.hash));
                    client
                        .execute(statement, &[&time, &height(block.number), &tag, &block.chain])
                        .await
                }
            });
            let counts = future::try_join_all(deletions)
                .await
                .map_err(|cause| StoreError::Sql { doing: doing(), cause })?;
            deleted += counts.iter().sum::<u64>();
        }
        Ok(deleted)
    }

    /// Clears `canonical` of known blocks (chain, number, hash).
    ///
    /// # Errors
    /// When a statement fails; drop the transaction then.
    pub async fn demote_blocks(&self, blocks: &[(&str, u64, B256)]) -> Result<(), StoreError> {
        let client = self.client()?;
        for (chain, number, hash) in blocks {
            client
                .execute(
                    "UPDATE blocks SET canonical = false \
                     WHERE chain = $1 AND block_number = $2 AND block_hash = $3",
                    &[chain, &height(*number), &hash.as_slice()],
                )
                .await
                .map_err(StoreError::sql("demote a block"))?;
        }
        Ok(())
    }

    /// Updates a known block from a newer marker. A block that is complete for everything stays so when it comes again for a
    /// narrower scope.
    ///
    /// # Errors
    /// When a statement fails; drop the transaction then.
    pub async fn update_block(
        &self,
        block: &Block,
        revision: i64,
        canonical: bool,
    ) -> Result<(), StoreError> {
        let counts = [block.incarnation, block.rows, block.transactions]
            .map(|count| i32::try_from(count).unwrap_or(i32::MAX));
        let unverified = (!block.unverified.is_empty()).then_some(&block.unverified);
        let scope_version = block.scope_version.map(|version| version.cast_signed());
        self.client()?
            .execute(
                "UPDATE blocks SET canonical = $4, revision = $5, partial = $6, incarnation = $7, \
                 event_rows = CASE WHEN stays_whole THEN greatest(event_rows, $8) ELSE $8 END, transactions = $9, \
                 scope_version = CASE WHEN stays_whole THEN NULL ELSE $10 END, \
                 scope_digest = CASE WHEN stays_whole THEN NULL ELSE $11 END, \
                 covers_from = CASE WHEN scope_digest IS NOT DISTINCT FROM $11 THEN least(covers_from, $12) ELSE $12 END, \
                 unverified = CASE WHEN stays_whole THEN unverified ELSE $13 END \
                 FROM (SELECT canonical AND NOT partial AND scope_version IS NULL AND $4 AND $10::int IS NOT NULL AS stays_whole \
                       FROM blocks WHERE chain = $1 AND block_number = $2 AND block_hash = $3) AS before \
                 WHERE chain = $1 AND block_number = $2 AND block_hash = $3",
                &[
                    &block.chain,
                    &height(block.block_number),
                    &block.block_hash.as_slice(),
                    &canonical,
                    &revision,
                    &block.partial,
                    &counts[0],
                    &counts[1],
                    &counts[2],
                    &scope_version,
                    &block.scope_digest,
                    &block.covers_from.map(height),
                    &unverified,
                ],
            )
            .await
            .map_err(StoreError::sql("update a block"))?;
        Ok(())
    }

    /// Commits. After an error it is unknown whether the commit succeeded: the position shows it.
    ///
    /// # Errors
    /// When the commit fails or the connection is lost meanwhile.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.end("COMMIT").await
    }

    async fn rollback(mut self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, sql: &str) -> Result<(), StoreError> {
        self.client()?.batch_execute(sql).await.map_err(StoreError::sql(sql.to_lowercase()))?;
        // Back to the pool, without an open transaction.
        drop(self.client.take());
        Ok(())
    }

    async fn current_position(&self, stream: &str) -> Result<StreamPosition, StoreError> {
        let row = self
            .client()?
            .query_opt(
                "SELECT sequence, stored_at_us, revision FROM positions WHERE stream = $1",
                &[&stream],
            )
            .await
            .map_err(StoreError::sql("read the position"))?;
        Ok(row.as_ref().map(StreamPosition::from_row).unwrap_or_default())
    }

    pub(crate) fn client(&self) -> Result<&Object, StoreError> {
        // Ending a transaction takes it by value, so it cannot be used afterwards.
        self.client.as_ref().ok_or(StoreError::PoolExhausted)
    }
}

impl Drop for BatchTransaction {
    fn drop(&mut self) {
        // The next user must not get an open transaction, or a connection that an early COPY error poisoned.
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}
