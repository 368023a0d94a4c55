//! Copies blocks that the streams no longer hold, with their rows.

use crypto_intel_schemas::B256;
use tokio_postgres::types::ToSql;

use super::live_copy::{LiveCopy, Span};
use crate::{
    error::StoreError,
    sql_values::{Timestamp, height},
    tables::{Table, common::block_tag},
    write::{
        block_lookup::{KnownBlock, read_block},
        transaction::BatchTransaction,
    },
};

/// After which block the list of blocks continues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockCursor {
    /// Chain of the last block; empty = from the beginning.
    pub chain: String,
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

impl LiveCopy {
    /// Live blocks that are unknown here or have a newer marker, in order of chain and height.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn newer_blocks(
        &self,
        after: &BlockCursor,
        span: Span,
        limit: u32,
    ) -> Result<Vec<KnownBlock>, StoreError> {
        let sql = format!(
            "SELECT old.chain, old.block_number, old.block_hash, \
             (extract(epoch FROM old.block_time) * 1000000)::bigint, old.canonical, old.revision \
             FROM {live}.blocks AS old LEFT JOIN blocks AS new USING (chain, block_number, block_hash) \
             WHERE (old.chain, old.block_number, old.block_hash) > ($1, $2, $3) AND old.revision > $4 AND old.revision <= $5 \
             AND (new.chain IS NULL OR old.revision > new.revision) \
             ORDER BY old.chain, old.block_number, old.block_hash LIMIT $6",
            live = self.live
        );
        let number = if after.chain.is_empty() { -1 } else { height(after.number) };
        let parameters: [&(dyn ToSql + Sync); 6] = [
            &after.chain,
            &number,
            &after.hash.as_slice(),
            &span.after_us,
            &span.until_us,
            &i64::from(limit),
        ];
        self.blocks(&sql, &parameters, "compare the blocks").await
    }

    /// Blocks that are canonical in both sets and have fewer rows here than their marker says, or only those of some
    /// addresses: a stream that begins in the middle of a block holds only the rest of it.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn incomplete_blocks(&self) -> Result<Vec<KnownBlock>, StoreError> {
        // A marker counts only the rows of events.
        let events = Table::OF_BLOCKS.into_iter().filter(|table| !table.spec().kinds.is_empty());
        let rows: Vec<String> = events
            .map(|table| format!("SELECT chain, block_number, block_tag FROM {table}"))
            .collect();
        let sql = format!(
            "WITH counts AS (SELECT chain, block_number, block_tag, count(*) AS found FROM ({rows}) AS rows GROUP BY 1, 2, 3) \
             SELECT old.chain, old.block_number, old.block_hash, \
             (extract(epoch FROM old.block_time) * 1000000)::bigint, old.canonical, old.revision \
             FROM blocks AS new LEFT JOIN counts ON counts.chain = new.chain \
             AND counts.block_number = new.block_number AND counts.block_tag = block_tag(new.block_hash) \
             JOIN {live}.blocks AS old ON old.chain = new.chain AND old.block_number = new.block_number \
             AND old.block_hash = new.block_hash \
             WHERE new.canonical AND old.canonical \
             AND (new.partial OR new.event_rows > coalesce(found, 0)) ORDER BY 1, 2, 3",
            rows = rows.join(" UNION ALL "),
            live = self.live
        );
        self.blocks(&sql, &[], "count the rows of blocks").await
    }

    async fn blocks(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        doing: &str,
    ) -> Result<Vec<KnownBlock>, StoreError> {
        let transaction = self.store.begin_snapshot().await?;
        let rows = transaction.client()?.query(sql, parameters).await;
        let rows = rows.map_err(StoreError::sql(doing))?;
        transaction.commit().await?;
        Ok(rows.iter().map(read_block).collect())
    }

    /// Copies the rows of blocks of one chain and skips those whose key is here; returns how many were copied.
    ///
    /// # Errors
    /// When the new tables cannot take them, or a statement fails; drop the transaction then.
    pub async fn copy_rows(
        &self,
        transaction: &BatchTransaction,
        chain: &str,
        blocks: &[&KnownBlock],
    ) -> Result<u64, StoreError> {
        let times = || blocks.iter().map(|block| block.time_us);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(0) };
        let hashes: Vec<&[u8]> = blocks.iter().map(|block| block.hash.as_slice()).collect();
        let numbers: Vec<i64> = blocks.iter().map(|block| height(block.number)).collect();
        let tags: Vec<i32> = blocks.iter().map(|block| block_tag(&block.hash)).collect();
        let (first, last) = (Timestamp(first), Timestamp(last));
        let by_hash: &[&(dyn ToSql + Sync)] = &[&chain, &first, &last, &hashes];
        let by_tag: &[&(dyn ToSql + Sync)] = &[&chain, &first, &last, &numbers, &tags];
        let client = transaction.client()?;
        let mut copied = 0;
        for table in Table::OF_BLOCKS {
            let Some(matched) = self.matches.of(table) else { continue };
            let (of_blocks, parameters) = match matched.has_block_hash {
                true => ("old.block_hash = ANY ($4)", by_hash),
                false => (
                    "(old.block_number, old.block_tag) IN (SELECT * FROM unnest($4::bigint[], $5::int[]))",
                    by_tag,
                ),
            };
            let source = format!(
                "FROM {}.{table} AS old WHERE old.chain = $1 AND old.block_time BETWEEN $2 AND $3 AND {of_blocks}",
                self.live
            );
            self.refuse_obstacle(client, matched, &source, parameters).await?;
            if matched.obstacle.is_some() {
                continue;
            }
            let (columns, values) = (matched.list(), matched.value_list());
            let sql = format!(
                "INSERT INTO {table} ({columns}) SELECT {values} {source} ON CONFLICT DO NOTHING"
            );
            let count = client.execute(&sql, parameters).await;
            copied += count.map_err(StoreError::sql(format!("copy rows of {table}")))?;
        }
        Ok(copied)
    }

    /// Inserts live blocks that are unknown here, each with the given `canonical`.
    ///
    /// # Errors
    /// As [`copy_rows`](Self::copy_rows).
    pub async fn insert_blocks(
        &self,
        transaction: &BatchTransaction,
        blocks: &[(&KnownBlock, bool)],
    ) -> Result<(), StoreError> {
        if blocks.is_empty() {
            return Ok(());
        }
        let Some(matched) = self.matches.of(Table::Blocks) else { return Ok(()) };
        if let Some(obstacle) = &matched.obstacle {
            let reason = format!(
                "{}.blocks has blocks that no stream holds any more: {obstacle}",
                self.live
            );
            return Err(StoreError::Refusal { reason });
        }
        let columns = matched.list();
        let values = matched.columns.iter().map(|column| match column.as_str() {
            "canonical" => "wanted.canonical".to_owned(),
            other => format!("old.{other}"),
        });
        let sql = format!(
            "INSERT INTO blocks ({columns}) SELECT {} FROM {} ON CONFLICT DO NOTHING",
            values.collect::<Vec<_>>().join(", "),
            self.wanted()
        );
        execute(transaction, &sql, blocks, "copy blocks").await
    }

    /// Updates blocks that are known here from the newer markers of the live ones.
    ///
    /// # Errors
    /// As [`copy_rows`](Self::copy_rows).
    pub async fn update_blocks(
        &self,
        transaction: &BatchTransaction,
        blocks: &[(&KnownBlock, bool)],
    ) -> Result<(), StoreError> {
        if blocks.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "UPDATE blocks AS new SET canonical = wanted.canonical, revision = old.revision, \
             partial = old.partial, incarnation = old.incarnation, event_rows = old.event_rows, \
             transactions = old.transactions, scope_version = old.scope_version, \
             scope_digest = old.scope_digest, covers_from = old.covers_from, \
             unverified = old.unverified FROM {} \
             WHERE new.chain = old.chain AND new.block_number = old.block_number \
             AND new.block_hash = old.block_hash",
            self.wanted()
        );
        execute(transaction, &sql, blocks, "copy newer markers").await
    }

    /// Live blocks that the parameters of [`execute`] name.
    fn wanted(&self) -> String {
        format!(
            "unnest($1::text[], $2::bigint[], $3::bytea[], $4::boolean[]) \
             AS wanted (chain, block_number, block_hash, canonical) \
             JOIN {}.blocks AS old USING (chain, block_number, block_hash)",
            self.live
        )
    }

    /// Number of heights at which the live tables have a canonical block, and the new ones neither a canonical block nor a
    /// newer marker of it.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn count_missing_heights(&self, span: Span) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT count(*) FROM {}.blocks AS old WHERE old.canonical AND old.revision > $1 \
             AND old.revision <= $2 AND NOT EXISTS \
             (SELECT FROM blocks AS new WHERE new.chain = old.chain AND new.block_number = old.block_number \
              AND (new.canonical OR new.block_hash = old.block_hash AND new.revision > old.revision))",
            self.live
        );
        let transaction = self.store.begin_snapshot().await?;
        let span: [&(dyn ToSql + Sync); 2] = [&span.after_us, &span.until_us];
        let row = transaction.client()?.query_one(&sql, &span).await;
        let row = row.map_err(StoreError::sql("compare the heights"))?;
        transaction.commit().await?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }
}

async fn execute(
    transaction: &BatchTransaction,
    sql: &str,
    blocks: &[(&KnownBlock, bool)],
    doing: &str,
) -> Result<(), StoreError> {
    let chains: Vec<&str> = blocks.iter().map(|(block, _)| block.chain.as_str()).collect();
    let numbers: Vec<i64> = blocks.iter().map(|(block, _)| height(block.number)).collect();
    let hashes: Vec<&[u8]> = blocks.iter().map(|(block, _)| block.hash.as_slice()).collect();
    let canonical: Vec<bool> = blocks.iter().map(|(_, canonical)| *canonical).collect();
    transaction
        .client()?
        .execute(sql, &[&chains, &numbers, &hashes, &canonical])
        .await
        .map_err(StoreError::sql(doing))?;
    Ok(())
}
